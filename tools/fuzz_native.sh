#!/usr/bin/env bash
# Fuzzes the native library's C interface under the address and undefined-behaviour sanitizers: tools/fuzz_native.sh MINUTES [FOLDER]
# MINUTES are of processor time, so that a run may be stopped and continued. FOLDER keeps what is found from run to run (a new
# one where none is named). clang++ and cmake are needed; with a Python that has Gatewise (PYTHON), every registered cell's plans join
# the kept corpus as seeds. At the end the corpus is made small again: copy FOLDER/corpus.tar.xz over native/fuzz to keep it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

minutes=${1:?minutes of processor time, for example 30}
folder=${2:-$(mktemp -d)}
mkdir -p "$folder/work" "$folder/seeds" "$folder/findings" "$folder/kept"
tar -xJf native/fuzz/corpus.tar.xz -C "$folder/kept"
CXX=${CXX:-clang++} cmake -S native/tests -B "$folder/build" -DGATEWISE_LIBFUZZER=ON -DGATEWISE_SANITIZE=ON \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo > "$folder/build.log"
cmake --build "$folder/build" --target fuzz >> "$folder/build.log"
"${PYTHON:-python}" tools/record_native.py --seeds "$folder/seeds" || echo "no seeds from the registered cells; the corpus alone"

# No time limit for one input: libFuzzer counts the time in which the process is stopped. Processor time ends a slice that hangs.
options=(-report_slow_units=100000 -artifact_prefix="$folder/findings/" -max_len=16384 -timeout=0 \
    -rss_limit_mb=3000 -print_final_stats=1)
# Of this shell's children, in hundredths (proc(5): cutime, cstime).
used() { awk '{ print int(($16 + $17) / 100) }' "/proc/$$/stat"; }
begun=$(used)
while (($(used) - begun < minutes * 60)); do
    (ulimit -t 1500; exec "$folder/build/fuzz" "${options[@]}" -max_total_time=600 "$folder/work" "$folder/seeds" "$folder/kept" native/fuzz/found) \
        > "$folder/last.log" 2>&1 || { tail -n 60 "$folder/last.log"; echo "found something: $folder/findings"; exit 1; }
    runs=$((${runs:-0} + $(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/last.log")))
    echo "$(($(used) - begun)) s, $runs runs, $(grep -o 'cov: .* corp: [^ ]*' "$folder/last.log" | tail -n 1)"
done
rm -rf "$folder/small" && mkdir "$folder/small"
"$folder/build/fuzz" -merge=1 -use_counters=0 -timeout=0 -rss_limit_mb=3000 \
    "$folder/small" "$folder/kept" "$folder/seeds" "$folder/work" 2> "$folder/last.log"
tar --sort=name --owner=0 --group=0 --mtime=@0 -cJf "$folder/corpus.tar.xz" -C "$folder/small" .
echo "no finding in $runs runs; $(find "$folder/small" -type f | wc -l) inputs reach every branch that was reached: $folder/corpus.tar.xz"
