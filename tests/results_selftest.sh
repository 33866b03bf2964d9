#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Fails unless results.awk names all that went wrong in a small crate, by either test runner.
set -euo pipefail
results=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/results.awk
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CARGO_TARGET_DIR=$scratch/target CARGO_TERM_COLOR=never
cd "$scratch"

mkdir src tests
cat >Cargo.toml <<'END'
[package]
name = "sample"
version = "0.0.0"
edition = "2024"

[workspace]
END
cat >src/lib.rs <<'END'
/// ```
/// sample::documented();
/// ```
pub fn documented() {}

#[test]
fn unit() {}
END
cat >tests/aborts.rs <<'END'
#[test]
fn aborts() {
    std::process::abort()
}

#[test]
fn early() {}

#[test]
fn late() {}
END
cat >tests/fails.rs <<'END'
#[test]
fn fails() {
    println!("test another ... FAILED");
    panic!("by intention")
}

#[test]
fn passes() {}

#[test]
#[should_panic]
fn panics() {
    panic!("by intention")
}
END
cat >tests/passes.rs <<'END'
#[test]
fn passes() {}
END

# HEADLINE EXPECTED LOG
judge() {
  local found status=0
  found=$(awk -f "$results" "$3") || status=$?
  diff -u --label expected --label found <(printf '%s\n' "$2") <(printf '%s\n' "$found")
  ((status == 1)) || { printf '%s: exit status %d\n' "$1" "$status" && exit 1; }
  printf 'ok: %s\n' "$1"
}

# One thread, so that it is known which tests come before the one that aborts.
cargo test --no-fail-fast -- --test-threads 1 >log 2>&1 || true
judge 'cargo test' "\
ok       sample                       1 passed
ABORTED  aborts                       0 passed, 3 without a result (signal: 6, SIGABRT: process abort signal)
          no result: aborts
          no result: early
          no result: late
FAILED   fails                        2 passed, 1 failed
          failed: fails
ok       passes                       1 passed
ok       doc sample                   1 passed" log

if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --no-fail-fast --test-threads 1 >log 2>&1 || true
  judge 'cargo nextest' "\
ok       sample                       1 passed
ABORTED  aborts                       2 passed, 1 failed
          failed: aborts (SIGABRT)
FAILED   fails                        2 passed, 1 failed
          failed: fails
ok       passes                       1 passed" log
fi

echo "not Rust" >tests/passes.rs
cargo test --no-fail-fast >log 2>&1 || true
judge 'a test that is not built' "FAILED   $(grep '^error: could not compile' log)" log
