#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Finds, installs or builds what the scripts need: Debian packages, cargo, the ReductStore server, the plugin. To be
# sourced.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C.UTF-8 # numbers and dates are read by scripts

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gst-plugin-reduct
reductstore_version=1.21.5
reduct_py_version=1.21.0
reduct_js_version=1.20.0

packages=(
  build-essential pkg-config ca-certificates curl ffmpeg meson ninja-build
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
  gstreamer1.0-tools gstreamer1.0-libav gstreamer1.0-x
  gstreamer1.0-plugins-{base,good,bad,ugly}
)

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$(basename "$0"): $*"
  exit 1
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# PACKAGE...: installs these packages and those that all scripts need, if they are missing.
install_packages() {
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    say "Not a Debian system; what Debian has in these packages has to be there: ${packages[*]}"
    return
  fi
  for package in "${packages[@]}" "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "Installing Debian packages: ${missing[*]}"
  # A broken package source of a third party is no reason to stop; the installation names packages that it cannot find.
  as_root apt-get -qq update || say "apt-get update failed, trying with the lists that are there"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
    install -y --no-install-recommends "${missing[@]}" >/dev/null </dev/null
}

# Puts a toolchain that is new enough on PATH, or fails. Under sudo, PATH and HOME are root's while the toolchain is the
# caller's.
find_cargo() {
  local home required found
  required=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$top/Cargo.toml")
  if is_rust "$required" cargo; then return; fi
  found=$(rust_version cargo)
  for home in "$HOME" "$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)"; do
    if is_rust "$required" "$home/.cargo/bin/cargo"; then
      export PATH=$home/.cargo/bin:$PATH RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
      return
    fi
    found=${found:-$(rust_version "$home/.cargo/bin/cargo")}
  done
  fail "Rust $required or newer is needed, and ${found:-none} is installed; the cargo of Debian is too old." \
    "Install Rust with rustup (https://rustup.rs) or run 'rustup update', and run this again"
}

# CARGO: prints its version, or nothing if there is none.
rust_version() {
  { "$1" --version 2>/dev/null || true; } | sed -n 's/^cargo \([0-9.]*\).*/\1/p'
}

# VERSION CARGO: succeeds if that cargo is of this version or a newer one.
is_rust() {
  local version
  version=$(rust_version "$2")
  [[ -n $version ]] && printf '%s\n' "$1" "$version" | sort --version-sort --check=quiet
}

# Prints the path of the server, after building it if there is none of this source.
reductstore_binary() {
  local root=$cache/episode-server
  local binary=${REDUCTSTORE_BIN:-$root/bin/episode-server}
  [[ -n ${REDUCTSTORE_BIN:-} ]] || build_server "$root" >&2
  [[ -x $binary ]] || fail "$binary is not a program"
  printf '%s\n' "$binary"
}

# ROOT: one run builds, others wait for it. The target folder stays: after a change of this source, ReductStore itself
# is not compiled again.
build_server() {
  local root=$1 source
  source=$(server_source)
  mkdir -p "$root/bin"
  (
    flock 9
    [[ ! -x $root/bin/episode-server || $(cat "$root/source" 2>/dev/null) != "$source" ]] || exit 0
    find_cargo
    say "Building the server, ReductStore $reductstore_version with the extension 'video'; the first time takes about" \
      "six minutes on two cores"
    cargo build --locked --release --manifest-path "$top/server/Cargo.toml" --target-dir "$root/target"
    # A server that runs keeps its file.
    cp "$root/target/release/episode-server" "$root/bin/episode-server.part"
    mv -T "$root/bin/episode-server.part" "$root/bin/episode-server"
    printf '%s\n' "$source" >"$root/source"
  ) 9>"$root.lock"
}

# Prints a checksum of all that the server is built of.
server_source() {
  (
    cd "$top"
    find Cargo.toml crates/{frame-index,media}/{Cargo.toml,src} \
      server/{Cargo.toml,Cargo.lock,build.rs,NOTICE,LICENSES.txt,src,video} -type f -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
  )
}

# Prints the folder of the SDKs that programs in Python and JavaScript use, after installing them if they are missing: a
# virtual environment with `node_modules` beside it.
sdk_folder() {
  local folder=${REDUCT_SDK:-$cache/sdk}
  [[ -n ${REDUCT_SDK:-} ]] || install_sdks "$folder" >&2
  printf '%s\n' "$folder"
}

# FOLDER: one run installs, others wait for it.
install_sdks() {
  local folder=$1 versions="reduct-py $reduct_py_version, reduct-js $reduct_js_version"
  mkdir -p "$cache"
  (
    flock 9
    [[ $(cat "$folder/versions" 2>/dev/null) != "$versions" ]] || exit 0
    say "Installing $versions"
    install_packages python3-venv
    command -v npm >/dev/null || install_packages nodejs npm # Node.js may be there without a package
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" --quiet --disable-pip-version-check install "reduct-py==$reduct_py_version"
    npm install --loglevel=error --no-audit --no-fund --save-exact --prefix "$folder" "reduct-js@$reduct_js_version"
    printf '%s\n' "$versions" >"$folder/versions"
  ) 9>"$folder.lock"
}

build_plugin() {
  local profile=${1:-release}
  find_cargo
  say "Building the plugin (profile $profile)"
  cargo build --locked --lib --profile "$profile" --manifest-path "$top/Cargo.toml"
  use_plugin "$profile"
}

# Lets GStreamer find the built plugin, with a registry of its own beside it: the user's stays as it is.
use_plugin() {
  local folder
  folder=$(realpath -m "${CARGO_TARGET_DIR:-$top/target}")/${1/dev/debug}
  [[ -e $folder/libgstreduct.so ]] || return 0
  export GST_PLUGIN_PATH=$folder${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
  export GST_REGISTRY=$folder/gstreamer-registry.bin
}

require_plugin() {
  use_plugin release
  gst-inspect-1.0 reductsrc >/dev/null 2>&1 ||
    fail "GStreamer does not find the plugin: run 'cargo build --release' in $top first"
}
