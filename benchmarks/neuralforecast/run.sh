#!/usr/bin/env bash
# Makes a virtual environment beside this file and runs neuralforecast's LSTM in the protocol of forecast_beijing.py.
#     benchmarks/neuralforecast/run.sh [--quick] [--seeds 0 1 2] [--out benchmarks/results]
# Then run benchmarks/forecast_beijing.py with the same --out: it shows these results beside its own.
# For torch's CPU-only build, say in PIP_ARGS what installs it, as PyTorch's install selector prints it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
environment="${NEURALFORECAST_VENV:-$here/.venv}"
if [ ! -x "$environment/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$environment"
    if [ -n "${PIP_ARGS:-}" ]; then
        # shellcheck disable=SC2086
        "$environment/bin/python" -m pip install --quiet $PIP_ARGS
    fi
    "$environment/bin/python" -m pip install --quiet -r "$here/requirements.txt"
fi
exec "$environment/bin/python" "$here/forecast_beijing.py" "$@"
