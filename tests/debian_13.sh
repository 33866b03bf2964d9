#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Runs every check in Debian 13, in a chroot that the first run makes and that is kept, with the builds in it: about
# 10 GB. As root, with a Rust toolchain of rustup. Arguments go to run.sh. DEBIAN_13_ROOT is the folder of the chroot.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
# shellcheck source=../pipelines/lib/setup.sh
source "$top/pipelines/lib/setup.sh"

# shellcheck disable=SC2154 # of setup.sh
root=${DEBIAN_13_ROOT:-$cache/debian-13}
media=${REDUCT_TEST_MEDIA:-}

# Moved into place when it is whole.
make_root() {
  [[ ! -e $root/etc/debian_version ]] || return 0
  say "Making a chroot with Debian 13 in $root, once"
  rm -rf "$root.part"
  mkdir -p "$(dirname "$root")"
  debootstrap --variant=minbase trixie "$root.part" >&2
  mv -T "$root.part" "$root"
}

# The working tree, untracked files included. Dates are kept, so that cargo rebuilds changed files only.
copy_sources() {
  rm -rf "$root/gst-plugin-reduct"
  mkdir -p "$root/gst-plugin-reduct"
  git -C "$top" ls-files -z --cached --others --exclude-standard |
    tar --directory "$top" --null --files-from - --ignore-failed-read --create |
    tar --directory "$root/gst-plugin-reduct" --extract
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
}

# MODE PATH: the same path in the chroot. The mount goes with the namespace.
share() {
  mkdir -p "$root$2"
  mount --rbind "$2" "$root$2"
  [[ $1 == rw ]] || mount -o remount,ro,bind "$root$2"
}

inside() {
  mount -t proc proc "$root/proc"
  share rw /sys
  share rw /dev
  share ro "$RUSTUP_HOME"
  share rw "$CARGO_HOME"
  share ro "$(dirname "$REDUCTSTORE_BIN")"
  [[ -z $media ]] || share ro "$media"
  exec chroot "$root" /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 \
    PATH="$CARGO_HOME/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    CARGO_HOME="$CARGO_HOME" RUSTUP_HOME="$RUSTUP_HOME" CARGO_TARGET_DIR=/target CARGO_INCREMENTAL=0 \
    CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-$(nproc)}" REDUCTSTORE_BIN="$REDUCTSTORE_BIN" ${media:+REDUCT_TEST_MEDIA="$media"} \
    /gst-plugin-reduct/tests/run.sh "$@"
}

if [[ ${1:-} == --inside ]]; then
  shift
  inside "$@"
fi

((EUID == 0)) || fail "a chroot takes root"
install_packages debootstrap git
find_cargo
export CARGO_HOME=${CARGO_HOME:-$(dirname "$(dirname "$(command -v cargo)")")} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
[[ -x $CARGO_HOME/bin/cargo && -d $RUSTUP_HOME/toolchains ]] || fail "no Rust toolchain of rustup"
REDUCTSTORE_BIN=$(realpath "$(reductstore_binary)") # built here, it runs there as well
export REDUCTSTORE_BIN
make_root
copy_sources
exec unshare --mount --propagation private "${BASH_SOURCE[0]}" --inside "$@"
