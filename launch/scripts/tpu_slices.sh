#!/usr/bin/env bash
# Train on several Cloud TPU slices: the same command on each host of each of them.
#
#   launch/scripts/tpu_slices.sh NAME ZONE --config=configs/vimogen_1b.py \
#     --config.sharding.strategy=hybrid --config.train.workdir=gs://BUCKET/run
#
# NAME and ZONE are those of a queued resource of several nodes (`gcloud compute tpus
# queued-resources create --node-count=...`); all else is as in tpu_slice.sh. That they are one
# machine, and which slice a host is of, is in the metadata of the slices (MEGASCALE_...). The first
# axis of the mesh runs across them.
set -euo pipefail
name="${1:?name a queued resource}" zone="${2:?name the zone of the resource}"
shift 2

exec gcloud compute tpus queued-resources ssh "$name" --zone="$zone" --node=all --worker=all \
  --command="cd vimogen_jax && exec .venv/bin/python -m launch.train $(printf '%q ' "$@")"
