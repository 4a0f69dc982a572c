#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The fuzz targets: built by clang in a folder of their own, run each for some seconds, two at a
# time; or run for their coverage.
#
# Usage: tools/fuzz.sh build FOLDER JOBS
#        tools/fuzz.sh run FOLDER SECONDS
#        tools/fuzz.sh coverage FOLDER SECONDS
set -eu
cd "$(dirname "$0")/.."
what=$1
folder=$2

targets() {
    find "$folder/tests" -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x | LC_ALL=C sort
}

setup() { # sanitizers, further flags
    [ -f "$folder/build.ninja" ] ||
        CC=clang meson setup "$folder" . -Dfuzz=true "-Db_sanitize=$1" -Db_lundef=false \
            -Dmutants=false "-Dc_args=$2" "-Dc_link_args=$2" >/dev/null
}

# One target; its corpus starts from tests/fuzz/corpus/NAME where there is one.
one() {
    name=$(basename "$1")
    mkdir -p "$folder/corpus/$name" "$folder/crashes"
    set -- "$1" "$2" "$folder/corpus/$name"
    [ ! -d "tests/fuzz/corpus/${name#fuzz_}" ] || set -- "$@" "tests/fuzz/corpus/${name#fuzz_}"
    target=$1
    seconds=$2
    shift 2
    if "$target" "-max_total_time=$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 \
        "-artifact_prefix=$folder/crashes/$name-" -verbosity=0 -print_final_stats=1 \
        "$@" >"$folder/$name.log" 2>&1; then
        echo "ok $name ($(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$name.log") runs)"
    else
        echo "not ok $name"
        tail -n 40 "$folder/$name.log"
    fi
}

case $what in
build)
    setup address,undefined -O1
    ninja -C "$folder" -j "$3" --quiet fuzz-targets
    ;;
run)
    export ASAN_OPTIONS=detect_leaks=1
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    result=$folder/result
    targets | xargs -P 2 -n 1 "$0" one "$folder" "$3" | tee "$result"
    passed=$(grep -c '^ok ' "$result" || true)
    failed=$(grep -c '^not ok ' "$result" || true)
    [ "$passed" -gt 0 ] || failed=$((failed + 1))
    echo "fuzz: $passed passed, $failed failed"
    [ "$failed" = 0 ]
    ;;
one)
    one "$4" "$3"
    ;;
coverage)
    setup none "-O1 -fprofile-instr-generate -fcoverage-mapping"
    ninja -C "$folder" -j 2 --quiet fuzz-targets
    rm -f "$folder"/*.profraw
    for target in $(targets); do
        LLVM_PROFILE_FILE=$folder/$(basename "$target").profraw one "$target" "$3"
    done
    llvm-profdata-14 merge -o "$folder/all.profdata" "$folder"/*.profraw
    objects=$(targets | sed 's/^/-object /')
    # shellcheck disable=SC2086 # a list of arguments
    llvm-cov-14 report $objects -instr-profile="$folder/all.profdata" \
        -ignore-filename-regex='tests/' 2>/dev/null
    ;;
*)
    exit 2
    ;;
esac
