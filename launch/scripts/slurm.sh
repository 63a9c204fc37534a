#!/usr/bin/env bash
# Train on GPUs that SLURM gives, one process a node, which drives all of its GPUs.
#
#   sbatch --nodes=4 launch/scripts/slurm.sh --config=configs/vimogen_1b.py --config.data.path=DATASET --config.train.workdir=runs/one
#
# All arguments are those of launch.train; what stands below after #SBATCH can be said to sbatch too.
# Submit it in the checkout, which all nodes must see, and the workdir with it. The processes find
# each other by SLURM's environment. Five minutes before the time is over the run saves, and the
# job is queued again; so it is after a node failed or was taken away, and where the run ended with
# another status than 0 (all done) and 1 (something has to be mended first). In the environment:
#   PYTHON    of the installation; .venv/bin/python if it is not set
#   RESTARTS  how often in all the job may have been queued again; 100 if it is not set
#
#SBATCH --job-name=vimogen
#SBATCH --nodes=1
#SBATCH --gpus-per-node=8
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

time_is_over=no
trap 'time_is_over=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1  # to the processes, not to this shell

# One process that is killed takes the others along; they would notice by themselves, but later.
srun --kill-on-bad-exit=1 "${PYTHON:-.venv/bin/python}" -m launch.train "$@" &
status=0
wait $! || status=$?
if [ "$time_is_over" = yes ]; then
  wait $! || true  # the signal ended the first wait
elif [ "$status" -le 1 ]; then
  exit "$status"
elif [ "${SLURM_RESTART_COUNT:-0}" -ge "${RESTARTS:-100}" ]; then
  echo "error: ended with status $status, and was queued again ${SLURM_RESTART_COUNT} times" >&2
  exit "$status"
fi
scontrol requeue "$SLURM_JOB_ID"
