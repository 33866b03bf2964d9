// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Facts of the process of a server, and a disk of its own for it (Linux).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{Builder, Server, binary};

/// Mounts a file system of `$1` bytes in memory at `$2`, and becomes the program after them. In a chroot, where `/` is no
/// mount point, the mounts of the namespace are as private as those outside.
const WITH_DISK: &str = r#"
mount --make-rprivate / 2>/dev/null
mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@""#;

/// A disk that no other process has. It goes with the server.
pub struct SmallDisk {
    folder: tempfile::TempDir,
    bytes: u64,
}

impl SmallDisk {
    /// Returns a disk of this size.
    pub fn new(bytes: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, bytes }
    }

    /// Starts a server whose temporary files are on the disk.
    pub fn start(&self, server: Builder) -> Server {
        let name = self.folder.path().to_str().expect("a name in UTF-8");
        let bytes = self.bytes.to_string();
        let uid = fs::metadata("/proc/self").expect("/proc").uid();
        let program = binary();
        let program = program.to_str().expect("a name in UTF-8");
        let mut command = vec!["unshare", "--mount", "--propagation", "unchanged"];
        // Root needs no user namespace, and in a chroot there is none.
        command.extend((uid != 0).then_some("--map-root-user"));
        command.extend(["sh", "-c", WITH_DISK, "with-disk", &bytes, name, program]);
        let server = server.env("EPISODE_SERVER_TEMP_PATH", name);
        let server = server.env("EPISODE_SERVER_MEMORY", "0B");
        let server = server.command(&command).start();
        let size = self.statistics(&server).0;
        assert_eq!(size, self.bytes, "not the disk in memory");
        server
    }

    /// Returns the number of bytes in use.
    pub fn used(&self, server: &Server) -> u64 {
        let (size, free) = self.statistics(server);
        size - free
    }

    /// Returns size and free space in bytes, as the server sees them. `df` would look at the disk below.
    fn statistics(&self, server: &Server) -> (u64, u64) {
        let pid = server.pid().expect("the server runs").to_string();
        let root = Path::new("/proc").join(pid).join("root");
        let inside: PathBuf = self.folder.path().components().skip(1).collect();
        let mut stat = Command::new("stat");
        stat.args(["--file-system", "--format=%S %b %f"]);
        let output = stat.arg(root.join(inside)).output().expect("stat starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers = text.split_whitespace().map(str::parse);
        match numbers.collect::<Result<Vec<u64>, _>>().as_deref() {
            Ok(&[block, blocks, free]) => (block * blocks, block * free),
            _ => panic!("stat: {text}{}", String::from_utf8_lossy(&output.stderr)),
        }
    }
}

/// Returns the number of files in `folder` that the server has open, those without a name included.
pub fn open_files(server: &Server, folder: &Path) -> usize {
    let pid = server.pid().expect("the server runs");
    let folder = folder.to_str().expect("a name in UTF-8");
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("open files");
    let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with(folder))
        .count()
}

/// Returns the memory of the server in bytes: now, and at most since it began.
pub fn memory(server: &Server) -> [u64; 2] {
    let pid = server.pid().expect("the server runs");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: Option<u64> = kib.and_then(|kib| kib.parse().ok());
        kib.expect("a size in KiB") << 10
    })
}

/// Returns whether the process of the server still runs.
pub fn is_alive(server: &Server) -> bool {
    let pid = server.pid().expect("the server was started");
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with('Z')
}
