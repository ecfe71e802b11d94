#!/usr/bin/env bash
# Runs the native engine's tests and the conformance checks with the address and undefined-behaviour sanitizers.
# One test preloads an allocator of its own, which the sanitizer cannot stand beside. The environment must hold Gatewise with its native library (CONTRIBUTING.md); g++ and cmake are needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=$(mktemp -d)
library=$(python -c "from gatewise.engines import native; print(native.loaded().path)")
cmake -S native -B "$build" -DGATEWISE_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo > "$build/log"
cmake --build "$build" >> "$build/log"
cp "$library" "$build/kept"
trap 'cp "$build/kept" "$library"; rm -rf "$build"' EXIT
cp "$build"/libgatewise_native.* "$library"

LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0,handle_segv=0 UBSAN_OPTIONS=print_stacktrace=1 \
    python -m pytest -q tests/engines/native tests/conformance \
    -k "not functions and not python_says_so and (native or check_forward or check_gradients or check_mask or check_resets or check_ragged)"
