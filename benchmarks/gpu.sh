#!/usr/bin/env bash
# Every GPU benchmark on one box, under eight minutes, from a bare checkout plus wheels. Prints one JSON line a part.
#
#   benchmarks/gpu.sh wheels .whl 3.12     with a network: the locked wheels in folders .whl/01, .whl/02 … < 44 MiB
#   benchmarks/gpu.sh take .whl/01         on the box: put a folder's wheels aside (once for each, in any order)
#   benchmarks/gpu.sh run                  on the box: join, install, measure; lines also go to $OUT/gpu.jsonl
#   benchmarks/gpu.sh run --quick          anywhere: every part as a slice on the CPU, with the checkout's own .venv
#
# Without a pack in LFR_STORE (LFR_PACK, default: default) the networks have random weights of SCRFD-10G's and
# IResNet-50's architecture, and every line says so. LFR_WORK is where wheels and environment lie (/tmp/lfr-gpu),
# PROVIDER is cuda or tensorrt.
set -uo pipefail
cd "$(dirname "$0")/.."
work=${LFR_WORK:-/tmp/lfr-gpu}
provider=${PROVIDER:-cuda}
out=${OUT:-$work/out}
began=$SECONDS
budget=470 # seconds of the eight minutes

die() { echo "gpu.sh: $*" >&2; exit 1; }
# A Python that can install: the checkout's own, or the box's.
tool() { for one in "${PYTHON:-}" python3; do [ -n "$one" ] && "$one" -m pip --version >/dev/null 2>&1 && echo "$one" && return; done; }

# The card's libraries, where another package (PyTorch, say) brought them: ONNX Runtime looks beside itself only.
libraries() {
  "$1" -c 'import glob, sys
found = [d for p in sys.path for d in glob.glob(p + "/nvidia/*/lib")]
print(":".join(found))' 2>/dev/null
}

# part NAME SECONDS [OPTIONS]: one line; a part that fails or takes too long is said and does not stop the others.
failed=0
part() {
  local name=$1 limit=$2 left=$((budget - (SECONDS - began)))
  shift 2
  [ "$left" -lt 15 ] && { echo "gpu.sh: no time left for $name" >&2; failed=1; return; }
  [ "$limit" -lt "$left" ] || limit=$left
  if ! PYTHONPATH=. timeout --signal=INT --kill-after=10 "$limit" \
    "$python" -W ignore -m benchmarks.gpu "$name" --json "$@" | tee -a "$out/gpu.jsonl"; then
    echo "gpu.sh: $name $* failed (limit ${limit} s)" >&2
    failed=1
  fi
}

case ${1:-} in
  wheels)
    [ $# -ge 2 ] || die "where to? gpu.sh wheels FOLDER [3.12]"
    python=$(tool)
    [ -n "$python" ] || die "no python3 with pip"
    exec "$python" benchmarks/_gpu_wheels.py fetch "$2" --python "${3:-3.12}" ${4:+"$4"}
    ;;
  take)
    [ -d "${2:-}" ] || die "which folder? gpu.sh take FOLDER"
    exec python3 benchmarks/_gpu_wheels.py take "$2" "$work"
    ;;
  run) ;;
  *) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

mkdir -p "$out"
: > "$out/gpu.jsonl"
if [ "${2:-}" = --quick ]; then
  python=${PYTHON:-.venv/bin/python}
  part all 300 --quick --recognisers 1 2
  exit $failed
fi

command -v nvidia-smi >/dev/null 2>&1 || die "no NVIDIA driver here (nvidia-smi); 'run --quick' measures a slice on a CPU"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >&2 || die "the driver does not answer"
if [ -z "${PYTHON:-}" ] || ! "$PYTHON" -c 'import onnxruntime' 2>/dev/null; then
  [ -d "$work/parts" ] || die "no wheels were taken: gpu.sh wheels (elsewhere), then gpu.sh take"
  box=$(tool)
  [ -n "$box" ] || die "no python3 with pip"
  "$box" benchmarks/_gpu_wheels.py install "$work" || die "the wheels do not install"
  python=$work/venv/bin/python
  LD_LIBRARY_PATH=$(libraries "$box"):${LD_LIBRARY_PATH:-}
  export LD_LIBRARY_PATH
else
  python=$PYTHON
fi
"$python" -c 'import onnxruntime as o; assert "CUDAExecutionProvider" in o.get_available_providers()' ||
  die "this ONNX Runtime has no CUDA provider"
echo "gpu.sh: ready after $((SECONDS - began)) s" >&2

pack=()
if [ -n "${LFR_STORE:-}" ]; then pack=(--store "$LFR_STORE" --pack "${LFR_PACK:-default}"); fi
common=(--provider "$provider" "${pack[@]}")
half=(--precision fp16)
part prove 60 "${common[@]}"
part cameras 110 "${common[@]}" "${half[@]}"
# The goal's 64 cameras, shared out: what one recogniser carries of them is the last row of the line before. A line
# for each: eight contexts that take too long to open must not cost the four's figures.
for many in 8 4; do part cameras 65 "${common[@]}" "${half[@]}" --cameras 64 --recognisers "$many"; done
part options 90 "${common[@]}" "${half[@]}"
part floor 60 "${common[@]}" "${half[@]}"
part options 90 "${common[@]}"
part floor 60 "${common[@]}"
part align 40 "${common[@]}"
part decode 40 --provider "$provider"
echo "gpu.sh: done after $((SECONDS - began)) s, lines in $out/gpu.jsonl" >&2
exit $failed
