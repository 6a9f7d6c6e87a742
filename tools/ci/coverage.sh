#!/bin/sh
# Line coverage of the tests, per file, below src/ and include/.
set -eu
cd "$(dirname "$0")/../.."
build=build/coverage
jobs=$(nproc)
cmake --preset coverage
cmake --build --preset coverage -j "$jobs"
rm -rf "$build/profiles"
LLVM_PROFILE_FILE="$PWD/$build/profiles/%p.profraw" ctest --preset coverage -j "$jobs"
llvm-profdata-19 merge -sparse "$build"/profiles/*.profraw -o "$build/tests.profdata"
objects=$(find "$build/tests" "$build/bin" -type f -perm -u+x 2>/dev/null | sed 's/^/-object /')
llvm-cov-19 report $objects -instr-profile "$build/tests.profdata" \
  -ignore-filename-regex '(_test\.cc$|^/usr/|/build/)'
