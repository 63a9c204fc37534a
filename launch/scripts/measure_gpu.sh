#!/usr/bin/env bash
# Measure on one GPU, in ten minutes at most, what docs/benchmarks.md leaves open for it.
#
#   launch/scripts/measure_gpu.sh out/gpu
#
# Parts, the dearest to lack first: a step of the 2.26 B model, sampling from it, a LoRA step, the
# kernels of attention. Each writes its JSON and what it said (said.txt) into a folder of its own once
# it is done, with launch.plan's bounds beside what was measured; one that takes too long is cut off,
# and the others go on. What stands behind the folder is given to each part. In the environment:
#   PYTHON   of the installation; .venv/bin/python if it is not set
#   CONFIG   of the model; configs/vimogen_1b.py if it is not set
#   SECONDS_IN_ALL   580 if it is not set
set -uo pipefail
out="$(realpath -m "${1:?name a folder for what is measured}")"
shift 1
cd "$(dirname "$0")/../.."
left=()  # of parts that have nothing to show

part() {
  local name="$1" most="$2"
  shift 2
  local until=$((${SECONDS_IN_ALL:-580} - SECONDS))
  if ((until < most)); then most="$until"; fi
  mkdir -p "$out/$name"
  echo "== $name, $most s at most"
  if ((most < 1)) || ! timeout --kill-after=5 "$most" "${PYTHON:-.venv/bin/python}" -m launch.bench \
    --config="${CONFIG:-configs/vimogen_1b.py}" --out="$out/$name" --overwrite "$@" 2>&1 \
    | tee "$out/$name/said.txt"; then
    left+=("$name")
  fi
}

nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2> /dev/null || true
part training 210 --config.data.batch_size=128 --repeats=10 "$@"
part sampling 150 --measure=sampling --config.data.batch_size=64 "--config.data.buckets=(100,)" --repeats=3 "$@"
part lora 150 --config.finetune.lora_rank=16 --config.model.remat=dots --config.data.batch_size=64 --repeats=10 "$@"
part attention 60 --measure=attention --repeats=10 "$@"
echo "took $SECONDS s; measured in $out"
if ((${#left[@]})); then
  echo "error: not measured: ${left[*]}" >&2
  exit 1
fi
