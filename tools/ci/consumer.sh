#!/bin/sh
# Installs the release build into a fresh folder and uses it as a stranger would: through
# find_package and through pkg-config, then runs the installed command.
# usage: tools/ci/consumer.sh BUILD_DIR CXX [EXPECTED_FILE...]
set -eu
cd "$(dirname "$0")/../.."
build=$1 cxx=$2
shift 2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
model=$prefix/share/ruvllm/models/demo-q8_0.gguf

cmake --install "$build" --prefix "$prefix" >/dev/null
for file in include/ruvllm/error.h share/ruvllm/models/demo-q8_0.gguf \
    share/ruvllm/models/LICENSE.md "$@"; do
  [ -s "$prefix/$file" ] || { echo "not installed or empty: $file" >&2; exit 1; }
done

cmake -S tests/consumer -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_CXX_COMPILER="$cxx" >/dev/null
cmake --build "$scratch/build"
"$scratch/build/consumer" "$model"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name ruvllm.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # the flags are words
"$cxx" -std=c++23 tests/consumer/main.cc $(pkg-config --cflags --libs ruvllm) \
  -Wl,-rpath,"$(pkg-config --variable=libdir ruvllm)" -o "$scratch/by_pkg_config"
"$scratch/by_pkg_config" "$model"

(cd / && "$prefix/bin/ruvllm" run -p "Once upon a time" -n 4 </dev/null)
