#!/usr/bin/env bash
# Builds the native library and its C++ tests for 64-bit Arm and runs them under qemu's user mode: recorded calls of every cell,
# the accuracy of the elementary functions, allocations that fail, and the fuzzer's corpus. Debian's packages g++-aarch64-linux-gnu,
# qemu-user and cmake are needed: tools/test_native_arm.sh [FOLDER of the build]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=${1:-$(mktemp -d)}
cmake -S native/tests -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER="${CXX:-aarch64-linux-gnu-g++}" > "$build.log"
cmake --build "$build" >> "$build.log"
arm() { "${QEMU:-qemu-aarch64}" -L "${SYSROOT:-/usr/aarch64-linux-gnu}" -E LD_LIBRARY_PATH="$build/native" "$build/$@"; }

echo "fused multiply-adds in the library: $(aarch64-linux-gnu-objdump -d "$build"/native/libgatewise_native.so | grep -cE '\sfml[as]\s')"
arm replay native/tests/cases/*.cases
arm functions 4099
arm allocation native/tests/cases/*.cases
mkdir -p "$build/corpus"
tar -xJf native/fuzz/corpus.tar.xz -C "$build/corpus"
arm fuzz native/fuzz/found "$build/corpus"
