#!/bin/sh
# Configures, builds and tests one preset. usage: tools/ci/preset.sh PRESET [TARGET]
set -eu
cd "$(dirname "$0")/../.."
preset=$1
target=${2:-all}
jobs=$(nproc)
cmake --preset "$preset"
cmake --build --preset "$preset" --target "$target" -j "$jobs"
ctest --preset "$preset" -j "$jobs"
