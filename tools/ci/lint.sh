#!/bin/sh
# clang-tidy over the named sources, or over all of src/ but tests and benchmarks. Needs
# build/release/compile_commands.json (cmake --preset release).
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] ||
  set -- $(find src -name '*.cc' ! -name '*_test.cc' ! -name '*_bench.cc' | sort)
printf '%s\n' "$@" | xargs -r -n 1 -P "$(nproc)" clang-tidy-19 -p build/release --quiet
