#!/bin/sh
# Checks that clang-format would change nothing; with --fix, changes it.
set -eu
cd "$(dirname "$0")/../.."
mode="--dry-run --Werror"
[ "${1:-}" = --fix ] && mode=-i
find include src tests fuzz bench -name '*.h' -o -name '*.cc' | sort |
  xargs -r clang-format-19 --style=file $mode
