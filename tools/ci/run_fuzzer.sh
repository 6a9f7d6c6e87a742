#!/bin/sh
# Runs one libFuzzer target on its committed seeds for a while. New inputs go to a scratch folder;
# an input that fails is left beside it and named in the output.
# usage: tools/ci/run_fuzzer.sh BINARY SEEDS SCRATCH SECONDS
set -eu
binary=$1 seeds=$2 scratch=$3 seconds=$4
[ -n "$(ls -A "$seeds" 2>/dev/null)" ] || { echo "no seeds in $seeds" >&2; exit 1; }
mkdir -p "$scratch/corpus"
exec "$binary" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
  -verbosity=0 -artifact_prefix="$scratch/" "$scratch/corpus" "$seeds"
