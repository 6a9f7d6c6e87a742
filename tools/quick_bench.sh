#!/bin/sh
# A quick set of each benchmark: tables on the terminal, JSON in BUILD_FOLDER/bench, which names
# neither the machine nor its folders.
# usage: tools/quick_bench.sh BUILD_FOLDER [OPTION...]   (options of all benchmarks, e.g. --threads=1)
set -eu
build=$1
shift
mkdir -p "$build/bench"

run() {
  name=$1
  filter=$2
  shift 2
  result=$build/bench/$name.json
  "$build/bin/$name" --benchmark_filter="$filter" --benchmark_min_time=0.05 \
    --benchmark_out="$result" --benchmark_out_format=json "$@"
  sed -i '/^    "\(host_name\|executable\)":/d' "$result"
}

run gemm_bench 'gemm/(q4_K|q6_K|q8_0|f16)/qwen2.5-1.5b.up/.*/(1|8|512)/' "$@"
run attention_bench 'attention/((decode|prefill)/qwen2.5-1.5b|(flash|standard)/(1|16)/(64|256|1024)/)' "$@"
run lora_bench 'lora/qwen2.5-1.5b/rank:(8|64)/sequences:(1|8)/' "$@"
run e2e_bench 'e2e/(prefill/512|decode/batch:(1|8)/depth:512)' "$@"
