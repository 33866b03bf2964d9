// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A guard that turns a panic of the extension into an error.
//!
//! ReductStore 1.21.5 ends its process in its panic hook, which runs before any `catch_unwind` returns. So the hook is
//! wrapped, too.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// The work that was guarded panicked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Panicked(String);

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Wraps the panic hook of the server, once. To be called when the server has set its own one: from its first query on.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let server = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_GUARDED.try_with(Cell::get).unwrap_or(false) {
                log::error!("{info}");
            } else {
                server(info);
            }
        }));
    });
}

/// Runs `work`, which must not await.
///
/// # Errors
///
/// `work` panicked.
pub fn run<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = IS_GUARDED.replace(true);
    // What `work` shares is locked, and no longer used after a panic.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(outer);
    result.map_err(|payload| Panicked(text(&*payload)))
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic").to_owned()
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::{self, Command};

    use super::*;

    /// Set in a child process: the hook of its parent is that of the test runner.
    const STEP: &str = "GUARD_TEST_STEP";
    const SERVER_EXIT: i32 = 77;

    /// Runs the test `name` again in a process whose hook ends it, as the hook of the server does. Returns its status.
    fn exit_status(name: &str, step: &str) -> Option<i32> {
        let mut child = Command::new(env::current_exe().expect("the path of the tests"));
        child.args(["--exact", name, "--nocapture"]).env(STEP, step);
        child.output().expect("a child process").status.code()
    }

    fn is_child() -> Option<String> {
        let step = env::var(STEP).ok()?;
        panic::set_hook(Box::new(|_| process::exit(SERVER_EXIT)));
        install();
        install();
        Some(step)
    }

    #[test]
    fn a_guarded_panic_is_an_error_and_any_other_ends_the_process() {
        const NAME: &str =
            "guard::tests::a_guarded_panic_is_an_error_and_any_other_ends_the_process";
        match is_child().as_deref() {
            None => {
                assert_eq!(exit_status(NAME, "guarded"), Some(0));
                assert_eq!(exit_status(NAME, "nested"), Some(0));
                assert_eq!(exit_status(NAME, "after"), Some(SERVER_EXIT));
                assert_eq!(exit_status(NAME, "other thread"), Some(SERVER_EXIT));
            }
            Some("guarded") => {
                let error = run::<()>(|| panic!("number {}", 5)).expect_err("a panic");
                assert_eq!(error.to_string(), "number 5");
                assert_eq!(run(|| 5).ok(), Some(5));
            }
            Some("nested") => {
                let result = run::<()>(|| {
                    assert!(run::<()>(|| panic!("inner")).is_err());
                    panic!("outer")
                });
                assert_eq!(result.expect_err("a panic").to_string(), "outer");
            }
            Some("after") => {
                assert!(run::<()>(|| panic!("guarded")).is_err());
                panic!("not guarded");
            }
            _ => {
                let _ = run(|| std::thread::spawn(|| panic!("not guarded")).join());
            }
        }
    }
}
