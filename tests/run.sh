#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Installs missing packages and tools, and runs every check. Arguments go to the runner of the elements' tests;
# --debian-13 before them runs all that in Debian 13, see tests/debian_13.sh.
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
cargo_deny_version=0.20.2
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

# NAME VERSION: lets cargo find one of its tools, which is built first where there is none.
find_tool() {
  local root=$cache/$1-$2
  export PATH=$root/bin:$PATH
  [[ ! -x $root/bin/$1 ]] || return 0
  say "Building $1 $2, once; this takes a few minutes"
  env -u CARGO_TARGET_DIR cargo install "$1" --version "$2" --locked --quiet --root "$root"
}

# LOG PACKAGES... -- ARGUMENTS: the colours would be in the way of a search in the log.
run_tests() {
  local log=$1 packages=() status=0
  shift
  while [[ $1 != -- ]]; do packages+=("$1") && shift; done
  shift
  export CARGO_TERM_COLOR=never
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run "${packages[@]}" --locked --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
    cargo test "${packages[@]}" --locked --doc 2>&1 | tee -a "$log" || status=$? # nextest leaves these out
  else
    cargo test "${packages[@]}" --locked --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
  fi
  return "$status"
}

# The crates below the elements, where pkg-config finds no library. Their tests run here and nowhere else. In the target
# folder of the elements, each change of PKG_CONFIG_LIBDIR would rebuild aws-lc-sys and all that uses it.
core_tests() {
  export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/core PKG_CONFIG_LIBDIR=$scratch/no-libraries PKG_CONFIG_PATH=
  run_tests "$scratch/core.log" "${core[@]/#/--package=}" --
}

plugin_tests() {
  run_tests "$scratch/plugin.log" --workspace "${core[@]/#/--exclude=}" -- "$@"
}

# Advisories come from a repository elsewhere, see deny.toml.
dependency_rules() {
  find_tool cargo-deny "$cargo_deny_version"
  tests/checks/dependencies.py
  cargo deny --locked check bans licenses sources
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

# Every workspace has one of its own, and a new dependency of a crate belongs into all that build the crate.
lock_files() {
  local lock stale=0
  for lock in Cargo.lock */Cargo.lock */*/Cargo.lock; do
    cargo metadata --locked --format-version 1 --manifest-path "$(dirname "$lock")/Cargo.toml" >/dev/null || {
      printf '%s does not fit its Cargo.toml\n' "$lock"
      stale=1
    }
  done
  return "$stale"
}

# TARGET: begins with the stored seeds. An input that fails stays in fuzz/artifacts; all others go.
fuzz_target() {
  mkdir -p "$scratch/corpus/$1"
  # Sanitizers need a nightly toolchain, and look for faults that safe code cannot have.
  cargo fuzz run --sanitizer none "$1" "$scratch/corpus/$1" "fuzz/seeds/$1" -- \
    -max_total_time=20 -max_len=65536 -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
    >"$scratch/fuzz-$1.log" 2>&1
}

# As many at a time as there are processors.
fuzz_targets() {
  local target failed=0 running=0
  find_tool cargo-fuzz "$cargo_fuzz_version"
  export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/fuzz
  cargo fmt --manifest-path fuzz/Cargo.toml --check
  cargo clippy --locked --manifest-path fuzz/Cargo.toml -- -D warnings
  cargo fuzz build --sanitizer none
  for target in $(cargo fuzz list); do
    if ((running == $(nproc))); then
      wait -n || failed=1
      running=$((running - 1))
    fi
    fuzz_target "$target" &
    running=$((running + 1))
  done
  while ((running > 0)); do
    wait -n || failed=1
    running=$((running - 1))
  done
  sed '/^"/d' "$scratch"/fuzz-*.log # without hundreds of words for a dictionary
  return "$failed"
}

# They are a package of their own, which no other check builds.
benchmark_tools() {
  local manifest=benches/tools/Cargo.toml
  cargo fmt --manifest-path "$manifest" --check
  cargo clippy --locked --manifest-path "$manifest" --all-targets -- -D warnings
  cargo test --locked --manifest-path "$manifest"
}

# The server is a workspace of its own, whose dependencies stay out of the plugin's. All of it is compiled into the target
# folder of the program that the other tests use, with its profile. The program that can panic
# is copied out of there, before the one for users takes its place.
server_tests() {
  local manifest=server/Cargo.toml
  export PANICKING_SERVER_BIN=$scratch/panicking-server
  export CARGO_TARGET_DIR=$cache/episode-server/target
  tests/checks/dependencies.py server
  tests/checks/licenses.py server --check
  find_tool cargo-deny "$cargo_deny_version"
  cargo deny --locked --manifest-path "$manifest" check bans licenses sources
  cargo fmt --manifest-path "$manifest" --all --check
  cargo clippy --locked --release --manifest-path "$manifest" --workspace --all-targets -- -D warnings
  cargo clippy --locked --release --manifest-path "$manifest" --package video-extension --all-features -- -D warnings
  cargo test --locked --release --manifest-path "$manifest" --package video-extension
  cargo test --locked --release --manifest-path "$manifest" --package episode-server
  cargo build --locked --release --manifest-path "$manifest" --package episode-server --features panic-injection
  cp "$CARGO_TARGET_DIR/release/episode-server" "$PANICKING_SERVER_BIN"
  cargo build --locked --release --manifest-path "$manifest" --package episode-server
  cargo test --locked --release --manifest-path "$manifest" --package server-tests
}

# The native part of the Python package is a workspace of its own, too. Tests import the package as users have it, from a
# wheel.
python_package() {
  local manifest=python/Cargo.toml environment=$cache/python-tests
  local python=$environment/bin/python wheels=$scratch/wheels file
  tests/checks/dependencies.py python
  tests/checks/licenses.py python --check
  find_tool cargo-deny "$cargo_deny_version"
  cargo deny --config deny.toml --locked --manifest-path "$manifest" check bans licenses sources
  cargo fmt --manifest-path "$manifest" --check
  cargo clippy --locked --release --manifest-path "$manifest" --all-targets -- -D warnings
  [[ -x $python ]] || python3 -m venv "$environment"
  "$python" -m pip --quiet --disable-pip-version-check install --requirement python/tests/requirements.txt
  "$environment/bin/maturin" build --locked --release --manifest-path "$manifest" --out "$wheels"
  "$python" -m pip --quiet --disable-pip-version-check install --force-reinstall --no-deps "$wheels"/*.whl
  "$python" -m pip --quiet --disable-pip-version-check install "$wheels"/*.whl
  # As a user installs it.
  python3 -m venv "$scratch/empty"
  "$scratch/empty/bin/pip" --quiet --disable-pip-version-check install "$wheels"/*.whl
  "$scratch/empty/bin/python" -m reduct_frames --help
  for file in LICENSE LICENSES.txt NOTICE; do
    cmp "python/$file" "$scratch"/empty/lib/python*/site-packages/reduct_frames-*.dist-info/licenses/"$file"
  done
  "$environment/bin/ruff" check python
  "$environment/bin/ruff" format --check python
  "$environment/bin/mypy" --config-file python/pyproject.toml python/reduct_frames python/tests/typed_calls.py
  (
    cd python/tests # where no folder of sources hides the installed package
    "$python" -m pytest -q
  )
}

# Of the checks themselves: each fails when it should.
own_tests() {
  tests/results_selftest.sh
  tests/checks/selftest.py
}

summary() {
  printf '\n=== Result\n'
  awk -f tests/results.awk "$scratch/core.log" "$scratch/plugin.log" || true
  printf '\n'
  printf '%s\n' "${results[@]}"
}

cd "$top"
find_cargo
install_packages openssl python3 python3-venv xvfb gstreamer1.0-plugins-base-apps ges1.0-tools python3-gi gir1.2-gstreamer-1.0
REDUCTSTORE_BIN=$(reductstore_binary)
REDUCT_SDK=$(sdk_folder)
export REDUCTSTORE_BIN REDUCT_SDK
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
touch "$scratch/core.log" "$scratch/plugin.log"
core=(crates/*)
core=("${core[@]#crates/}")

check 'lock files' lock_files
check formatting cargo fmt --all --check
check dependencies dependency_rules
check 'import circles' tests/checks/import_cycles.py
check 'module files' tests/checks/module_files.py
check wording tests/checks/wording.py
check clippy cargo clippy --workspace --locked --all-targets -- -D warnings
check 'core, without GStreamer' core_tests
check elements plugin_tests "$@"
check 'fuzz targets, 20 s each' fuzz_targets
check "pipelines' smoke test" tests/smoke.sh
check 'benchmark tools' benchmark_tools
check server server_tests
check 'Python package' python_package
check 'meson build and install' meson_install
check 'equal version numbers' same_version
check "the checks' own tests" own_tests
summary
((failed == 0))
