#!/usr/bin/env bash
# Train on all GPUs of this machine, in one process, which is started again where it was interrupted.
#
#   launch/scripts/gpu_host.sh --config=configs/vimogen_1b.py --config.data.path=DATASET --config.train.workdir=runs/one
#
# All arguments are those of launch.train. In the environment:
#   PYTHON   of the installation; .venv/bin/python if it is not set
#   XLA_CLIENT_MEM_FRACTION   how much of a GPU's memory JAX takes; 0.93 if it is not set
# and those of again.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

# JAX reads the older name too, and refuses both at once.
fraction="${XLA_CLIENT_MEM_FRACTION:-${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.93}}"
unset XLA_PYTHON_CLIENT_MEM_FRACTION
export XLA_CLIENT_MEM_FRACTION="$fraction"
exec launch/scripts/again.sh "${PYTHON:-.venv/bin/python}" -m launch.train "$@"
