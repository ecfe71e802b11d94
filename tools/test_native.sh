#!/usr/bin/env bash
# Builds the native library with the C++ tests of its interface and runs them, under sanitizers: tools/test_native.sh [KIND] [FOLDER]
# KIND is "address" (with undefined behaviour and leaks; the default), "thread" or "none". A C++ compiler (CXX) and cmake are needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=${1:-address}
build=${2:-$(mktemp -d)}
case $kind in
    address) options=(-DGATEWISE_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo) ;;
    thread) options=(-DCMAKE_CXX_FLAGS=-fsanitize=thread -DCMAKE_BUILD_TYPE=RelWithDebInfo) ;;
    none) options=(-DCMAKE_BUILD_TYPE=Release) ;;
    *) echo "KIND: expected address, thread or none, not '$kind'"; exit 2 ;;
esac
cmake -S native/tests -B "$build" "${options[@]}" > "$build.log"
cmake --build "$build" >> "$build.log"

export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
"$build/replay" native/tests/cases/*.cases
# The thread sanitizer has allocations of its own; and made-up plans may have threads race over numbers (never over what says
# where to write), as their order of reads and writes is anyone's. Plans of Gatewise's own, which replay runs, do not.
if [ "$kind" = thread ]; then exit; fi
"$build/allocation" native/tests/cases/*.cases
"$build/functions" 4099
mkdir -p "$build/corpus"
tar -xJf native/fuzz/corpus.tar.xz -C "$build/corpus"
"$build/fuzz" native/fuzz/found "$build/corpus"
