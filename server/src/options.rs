// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of the command line.

use std::ffi::OsString;

/// Name and version of this program, and version of ReductStore.
const VERSION: &str = concat!(
    "episode-server ",
    env!("CARGO_PKG_VERSION"),
    "\nReductStore ",
    env!("REDUCTSTORE_VERSION"),
    "\n"
);
const USAGE: &str = "\
Usage: episode-server [--version | --licenses | --help]

ReductStore with the extension 'video', which exports H.264 as MP4 episodes.

  -V, --version   print the versions of this program and of ReductStore
      --licenses  print the licences of what is linked
  -h, --help      print this text

It is set up by environment variables: those of ReductStore (RS_PORT, RS_DATA_PATH, ...), and
EPISODE_SERVER_TEMP_PATH, a folder for the episodes that are being sent; without it that of the system (TMPDIR).
Episodes up to the size EPISODE_SERVER_MEMORY (2MiB) are in memory instead.
";
const LICENSES: &str = concat!(
    include_str!("../NOTICE"),
    "\n",
    include_str!("../LICENSES.txt")
);

/// Purpose of a call of the program.
#[derive(Debug, PartialEq, Eq)]
pub enum Options {
    /// A text is printed.
    Text(&'static str),
    /// The server runs.
    Serve,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// A text that names the argument that is not known.
    pub fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let options = match arguments.next() {
            None => return Ok(Self::Serve),
            Some(argument) => match argument.to_str() {
                Some("-V" | "--version") => Self::Text(VERSION),
                Some("--licenses") => Self::Text(LICENSES),
                Some("-h" | "--help") => Self::Text(USAGE),
                _ => return Err(unknown(&argument)),
            },
        };
        arguments
            .next()
            .map_or(Ok(options), |argument| Err(unknown(&argument)))
    }
}

fn unknown(argument: &OsString) -> String {
    format!(
        "unknown argument '{}'\n\n{USAGE}",
        argument.to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, String> {
        Options::read(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_version_names_both_programs() {
        let Ok(Options::Text(text)) = read(&["--version"]) else {
            panic!("no text");
        };
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                format!("episode-server {}", env!("CARGO_PKG_VERSION")),
                "ReductStore 1.21.5".into()
            ]
        );
    }

    #[test]
    fn arguments() {
        assert_eq!(read(&[]), Ok(Options::Serve));
        assert_eq!(read(&["-h"]), Ok(Options::Text(USAGE)));
        assert!(
            read(&["--port"])
                .expect_err("unknown")
                .starts_with("unknown argument '--port'")
        );
        assert!(
            read(&["-V", "x"])
                .expect_err("unknown")
                .starts_with("unknown argument 'x'")
        );
    }
}
