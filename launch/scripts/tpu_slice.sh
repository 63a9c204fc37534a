#!/usr/bin/env bash
# Train on a Cloud TPU slice: the same command on each of its hosts.
#
#   launch/scripts/tpu_slice.sh NAME ZONE --config=configs/vimogen_1b.py --config.train.workdir=gs://BUCKET/run
#
# NAME and ZONE are those of the slice, as in `gcloud compute tpus tpu-vm list`; all other arguments
# are those of launch.train. Each host has the checkout, with its virtual environment in .venv, in
# the folder vimogen_jax of the home folder. The hosts find each other by the slice's metadata.
set -euo pipefail
name="${1:?name a TPU slice}" zone="${2:?name the zone of the slice}"
shift 2

exec gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
  --command="cd vimogen_jax && exec .venv/bin/python -m launch.train $(printf '%q ' "$@")"
