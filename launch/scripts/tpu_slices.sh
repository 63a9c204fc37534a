#!/usr/bin/env bash
# Train on Cloud TPU slices, one or several, made anew each time that they are taken away.
#
#   SETUP="git clone https://HOST/vimogen_jax && cd vimogen_jax && python3 -m venv .venv && .venv/bin/pip install -e .[tpu]" \
#   CREATE="--accelerator-type=v5litepod-256 --runtime-version=v2-alpha-tpuv5-lite --node-count=2 --node-prefix=NAME --spot" \
#   launch/scripts/tpu_slices.sh NAME ZONE --config=configs/vimogen_1b.py --config.data.path=gs://BUCKET/dataset \
#     --config.sharding.strategy=hybrid --config.train.workdir=gs://BUCKET/run
#
# NAME and ZONE are those of a queued resource of one or more nodes; all other arguments are those of
# launch.train. That several slices are one machine, and which one a host is of, is in their metadata
# (MEGASCALE_...). The first axis of the mesh runs across them. In the environment:
#   CREATE   what `gcloud compute tpus queued-resources create` needs besides; without it, the
#            resource must be there, and is not made again
#   SETUP    makes the folder vimogen_jax, with the checkout and .venv, in the home folder of a host
#            that has none
#   PAUSE    seconds between two looks at a resource that waits for its turn; 60 if it is not set
set -euo pipefail
name="${1:?name a queued resource}" zone="${2:?name the zone of the resource}"
shift 2
resources=(gcloud compute tpus queued-resources)

state() {
  "${resources[@]}" describe "$name" --zone="$zone" --format="value(state.state)" 2>/dev/null || echo MISSING
}

run() {
  "${resources[@]}" ssh "$name" --zone="$zone" --node=all --worker=all --batch-size=all \
    --command="[ -e vimogen_jax ] || (${SETUP:-false}); cd vimogen_jax && exec launch/scripts/again.sh .venv/bin/python -m launch.train $arguments"
}

arguments="$(printf '%q ' "$@")"
while true; do
  now="$(state)"
  case "$now" in
    ACTIVE)
      status=0
      run || status=$?
      # The command ended by itself, or else with what it ran on.
      if [ "$status" = 0 ] || [ "$(state)" = ACTIVE ]; then exit "$status"; fi
      ;;
    MISSING | FAILED | SUSPENDING | SUSPENDED)
      : "${CREATE:?error: the resource is $now; say in CREATE how to make it}"
      if [ "$now" != MISSING ]; then "${resources[@]}" delete "$name" --zone="$zone" --force --quiet; fi
      # shellcheck disable=SC2086  # several words
      "${resources[@]}" create "$name" --zone="$zone" --quiet $CREATE
      ;;
    *) sleep "${PAUSE:-60}" ;;
  esac
done
