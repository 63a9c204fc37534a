#!/usr/bin/env bash
# Train on: run a command, and start it again where it ended through no fault of its input.
#
#   launch/scripts/again.sh .venv/bin/python -m launch.train --config=configs/small.py --config.data.path=DATASET
#
# Status 0 means that all is done, and 1 that something has to be mended first: both end this script
# too, as do Ctrl-C, SIGTERM and a command that is not found. Others, such as 75 of launch.train or those of a
# kill, start the command again. In the environment:
#   RESTARTS  how often in a row, not counting starts that lasted an hour; 10 if it is not set
#   PAUSE     seconds before a start; 10 if it is not set
set -um  # -m: else the command would not hear Ctrl-C

left="${RESTARTS:-10}"
while true; do
  began=$SECONDS passed_on=no
  "$@" &
  trap 'passed_on=yes; kill -TERM $!' TERM
  trap 'passed_on=yes; kill -INT $!' INT
  wait $!
  status=$?
  while [ "$passed_on" = yes ]; do  # a signal ends a wait, not the command
    passed_on=no
    wait $!
    status=$?
  done
  trap - TERM INT
  case "$status" in 0 | 1 | 126 | 127 | 130 | 143) exit "$status" ;; esac
  if ((SECONDS - began >= 3600)); then left="${RESTARTS:-10}"; fi
  if ((left-- <= 0)); then
    echo "error: ended with status $status, ${RESTARTS:-10} times after it was started again" >&2
    exit "$status"
  fi
  echo "ended with status $status; starting again" >&2
  sleep "${PAUSE:-10}"
done
