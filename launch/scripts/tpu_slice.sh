#!/usr/bin/env bash
# Train on a Cloud TPU slice: the same command on each of its hosts, started again where interrupted.
#
#   launch/scripts/tpu_slice.sh NAME ZONE --config=configs/vimogen_1b.py --config.data.path=gs://BUCKET/dataset --config.train.workdir=gs://BUCKET/run
#
# NAME and ZONE are those of the slice, as in `gcloud compute tpus tpu-vm list`; all other arguments
# are those of launch.train. Each host has the checkout, with its virtual environment in .venv, in
# the folder vimogen_jax of the home folder. The hosts find each other by the slice's metadata. A
# slice that is taken away ends the script; tpu_slices.sh makes another.
set -euo pipefail
name="${1:?name a TPU slice}" zone="${2:?name the zone of the slice}"
shift 2

# All hosts at once: by default gcloud starts them in groups, and those of one wait for the next.
exec gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --batch-size=all \
  --command="cd vimogen_jax && exec launch/scripts/again.sh .venv/bin/python -m launch.train $(printf '%q ' "$@")"
