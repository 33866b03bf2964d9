#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Sets up what is missing and runs every check. Arguments go to the test runner; --debian-13 before them runs all that in
# Debian 13, see tests/debian_13.sh.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
# shellcheck source=../pipelines/lib/setup.sh
source "$top/pipelines/lib/setup.sh"

if [[ ${1:-} == --debian-13 ]]; then
  exec "$top/tests/debian_13.sh" "${@:2}"
fi

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$top/target} # one for all, the meson build included
unset REDUCT_URL REDUCT_API_TOKEN # the tests start servers of their own
cargo_fuzz_version=0.13.2
results=()
failed=0

# HEADLINE COMMAND: a failed check is noted, and the next ones still run.
check() {
  local status result=ok start=$SECONDS
  printf '\n=== %s\n' "$1"
  set +e
  (
    set -e
    "${@:2}"
  ) </dev/null
  status=$?
  set -e
  ((status == 0)) || { result=FAILED && failed=1; }
  results+=("$(printf '%-6s  %-28s  %4d s' "$result" "$1" $((SECONDS - start)))")
}

# The colours would stand between the log and whoever searches it.
all_tests() {
  local status=0
  export CARGO_TERM_COLOR=never
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast "$@" 2>&1 | tee "$scratch/tests.log" || status=$?
    cargo test --workspace --locked --doc 2>&1 | tee -a "$scratch/tests.log" || status=$? # nextest leaves these out
  else
    cargo test --workspace --locked --no-fail-fast "$@" 2>&1 | tee "$scratch/tests.log" || status=$?
  fi
  return "$status"
}

meson_install() {
  local plugins=$scratch/install/usr/lib/gstreamer-1.0 element
  meson setup "$scratch/build" "$top" --prefix /usr --libdir lib
  meson compile -C "$scratch/build"
  DESTDIR=$scratch/install meson install -C "$scratch/build" --no-rebuild
  for element in reductsrc reductsink reductepisodesplit; do
    GST_PLUGIN_PATH=$plugins GST_REGISTRY=$scratch/registry.bin gst-inspect-1.0 "$element" >"$scratch/inspect"
    grep -F "$plugins/libgstreduct.so" "$scratch/inspect"
  done
}

same_version() {
  local cargo meson
  cargo=$(sed -n '0,/^version = /s/^version = "\(.*\)"/\1/p' Cargo.toml)
  meson=$(sed -n "s/^ *version: '\(.*\)',/\1/p" meson.build)
  printf 'Cargo.toml %s, meson.build %s\n' "$cargo" "$meson"
  [[ -n $cargo && $cargo == "$meson" ]]
}

# Begins with the stored seeds. An input that fails stays in fuzz/artifacts; all others go.
fuzz_targets() {
  local tool=$cache/cargo-fuzz-$cargo_fuzz_version target
  export PATH=$tool/bin:$PATH
  if ! cargo fuzz --version >/dev/null 2>&1; then
    say "Building cargo-fuzz $cargo_fuzz_version, once; this takes about a minute"
    env -u CARGO_TARGET_DIR cargo install cargo-fuzz --version "$cargo_fuzz_version" --locked --quiet --root "$tool"
  fi
  export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/fuzz
  cargo fmt --manifest-path fuzz/Cargo.toml --check
  cargo clippy --locked --manifest-path fuzz/Cargo.toml -- -D warnings
  for target in $(cargo fuzz list); do
    mkdir -p "$scratch/corpus/$target"
    # Sanitizers need a nightly toolchain, and look for what safe code does not do.
    cargo fuzz run --sanitizer none "$target" "$scratch/corpus/$target" "fuzz/seeds/$target" -- \
      -max_total_time=20 -max_len=65536 -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 |&
      sed '/^"/d' # hundreds of words for a dictionary
  done
}

# They are a package of their own, which no other check builds.
benchmark_tools() {
  local manifest=benches/tools/Cargo.toml
  cargo fmt --manifest-path "$manifest" --check
  cargo clippy --locked --manifest-path "$manifest" --all-targets -- -D warnings
  cargo test --locked --manifest-path "$manifest"
}

summary() {
  printf '\n=== Result\n'
  awk -f tests/results.awk "$scratch/tests.log" || true
  printf '\n'
  printf '%s\n' "${results[@]}"
}

cd "$top"
install_packages openssl xvfb gstreamer1.0-plugins-base-apps ges1.0-tools python3-gi gir1.2-gstreamer-1.0
find_cargo
REDUCTSTORE_BIN=$(reductstore_binary)
export REDUCTSTORE_BIN
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
touch "$scratch/tests.log"

check formatting cargo fmt --all --check
check clippy cargo clippy --workspace --locked --all-targets -- -D warnings
check tests all_tests "$@"
check 'fuzz targets, 20 s each' fuzz_targets
check "pipelines' smoke test" tests/smoke.sh
check 'benchmark tools' benchmark_tools
check 'meson build and install' meson_install
check 'equal version numbers' same_version
check "the test results' own test" tests/results_selftest.sh
summary
((failed == 0))
