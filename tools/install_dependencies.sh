#!/bin/sh
# Installs what is missing of the Debian 12 packages for the named groups (all of them by default).
# usage: tools/install_dependencies.sh [build] [test]
set -eu

build="clang-19 lld-19 cmake ninja-build pkg-config libstdc++-12-dev libfmt-dev nlohmann-json3-dev
  libcli11-dev libtomlplusplus-dev libpcre2-dev libutf8proc-dev libedit-dev
  libcurl4-openssl-dev libssl-dev libhwloc-dev libsqlite3-dev libhnswlib-dev"
test="g++-12 clang-format-19 clang-tidy-19 libclang-rt-19-dev llvm-19 binutils python3
  libgtest-dev libgmock-dev libbenchmark-dev
  g++-12-aarch64-linux-gnu qemu-user googletest"

wanted=
for group in ${*:-build test}; do
  case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    *) echo "$0: no group '$group'; there are: build, test" >&2; exit 2 ;;
  esac
done

give_up() {
  echo "$0: $1." >&2
  echo "Install these (names of Debian 12), then run make with DEPENDENCIES=true:" >&2
  echo $2 >&2
  exit 1
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  give_up "this is not Debian, so nothing can be installed for you" "$wanted"

missing=
# dpkg-query fails for names it has never seen, and prints nothing for them.
installed=" $(dpkg-query -W -f '${Package}:${db:Status-Status} ' $wanted 2>/dev/null || true)"
for package in $wanted; do
  case $installed in
    *" $package:installed "*) ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    give_up "some packages are missing, and there is neither root nor sudo to install them" "$missing"
  as_root=sudo
  # Without a terminal a password cannot be asked for: fail instead of waiting.
  [ -t 0 ] || as_root="sudo -n"
fi

echo "Installing:$missing"
$as_root apt-get update -q || give_up "apt-get update failed" "$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
  $missing </dev/null || give_up "apt-get install failed" "$missing"
