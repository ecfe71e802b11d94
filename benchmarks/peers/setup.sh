#!/usr/bin/env bash
# Makes a virtual environment beside this file with neuralforecast and darts, for benchmarks/forecast_peers.py, and
# prints its Python. For torch's CPU-only build, say in PIP_ARGS what installs it, as PyTorch's install selector prints it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
environment="${PEERS_VENV:-$here/.venv}"
if [ ! -e "$environment/complete" ]; then
    "${PYTHON:-python3}" -m venv "$environment"
    if [ -n "${PIP_ARGS:-}" ]; then
        # shellcheck disable=SC2086
        "$environment/bin/python" -m pip install --quiet $PIP_ARGS
    fi
    "$environment/bin/python" -m pip install --quiet -r "$here/requirements.txt"
    touch "$environment/complete"
fi
echo "$environment/bin/python"
