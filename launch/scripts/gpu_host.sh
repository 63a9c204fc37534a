#!/usr/bin/env bash
# Train on all GPUs of this machine, in one process.
#
#   launch/scripts/gpu_host.sh --config=configs/vimogen_1b.py --config.train.workdir=runs/one
#
# All arguments are those of launch.train. In the environment:
#   PYTHON   of the installation; .venv/bin/python if it is not set
set -euo pipefail
cd "$(dirname "$0")/../.."

# JAX takes three quarters of a GPU's memory if nobody says otherwise.
export XLA_PYTHON_CLIENT_MEM_FRACTION="${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.93}"
exec "${PYTHON:-.venv/bin/python}" -m launch.train "$@"
