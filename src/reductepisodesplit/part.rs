// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! File of an episode while it is written.
//!
//! It is created here and stays open until it is complete, so that a link or a pipe that is put in its place is never
//! written to.

use std::collections::BTreeSet;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use media::cut::names;

/// Folder with names of open files, by which other code of this process opens the same file.
const OPEN_FILES: &str = "/proc/self/fd";

/// A new file with the name of an episode and `.part`.
#[derive(Debug)]
pub struct PartFile {
    file: File,
    /// Name of the complete file.
    name: String,
}

/// Permissions of a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Those of the umask of the process.
    Usual,
    /// Readable and writable by its owner only.
    Private,
}

impl PartFile {
    /// Creates the file. A file of an earlier run is replaced, a link is not followed.
    ///
    /// # Errors
    ///
    /// Those of the file system, and `InvalidInput` if this name, or the final one, is that of a folder, a FIFO or
    /// another special file.
    pub fn create(name: &str, access: Access) -> io::Result<Self> {
        if let Some(kind) = obstacle(name.as_ref())? {
            return Err(in_the_way(name, kind));
        }
        let part = names::part(name);
        if let Some(kind) = obstacle(part.as_ref())? {
            return Err(in_the_way(&part, kind));
        }
        match fs::remove_file(&part) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true) // It follows no link.
            .mode(match access {
                Access::Usual => 0o666,
                Access::Private => 0o600,
            })
            .open(&part)?;
        Ok(Self {
            file,
            name: name.to_owned(),
        })
    }

    /// Returns a name by which the muxer opens this very file, even if it was renamed or replaced.
    pub fn to_write(&self) -> String {
        let open = format!("{OPEN_FILES}/{}", self.file.as_raw_fd());
        match Path::new(&open).exists() {
            true => open,
            false => names::part(&self.name),
        }
    }

    /// Returns the name of the complete file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the open file, to complete it.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Returns its size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Gives the synced file its final name.
    fn rename(&self) -> io::Result<()> {
        let part = names::part(&self.name);
        let place = |data: &Metadata| (data.dev(), data.ino());
        let found = fs::symlink_metadata(&part)?;
        if place(&found) != place(&self.file.metadata()?) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "another process has put another file there meanwhile",
            ));
        }
        fs::rename(&part, &self.name)
    }

    /// Returns the folder that the file is in.
    fn folder(&self) -> &Path {
        let folder = Path::new(&self.name).parent();
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(".".as_ref())
    }
}

/// Syncs complete files and gives them their final names, in order. Returns the result of each.
///
/// Each step is done for all files before the next one: the first sync commits the journal of the file system for
/// all of them, and their folder is synced once.
///
/// # Errors
///
/// Those of the file system, and `AlreadyExists` if another process has replaced a file.
pub fn publish(files: &[PartFile]) -> Vec<io::Result<()>> {
    let synced: Vec<_> = files.iter().map(|part| part.file.sync_all()).collect();
    let published: Vec<_> = (files.iter().zip(synced))
        .map(|(part, synced)| synced.and_then(|()| part.rename()))
        .collect();
    let folders: BTreeSet<_> = (files.iter().zip(&published))
        .filter(|(_, published)| published.is_ok())
        .map(|(part, _)| part.folder())
        .collect();
    for folder in folders {
        // Not every file system can sync a folder.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    published
}

/// Returns the kind of special file or folder that has this name, or `None` if it is a file or a link, or does not
/// exist.
fn obstacle(path: &Path) -> io::Result<Option<&'static str>> {
    match fs::symlink_metadata(path) {
        Ok(data) => Ok(special(data.file_type())),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

fn special(kind: FileType) -> Option<&'static str> {
    if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else {
        None
    }
}

fn in_the_way(name: &str, kind: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{name} is {kind}. Remove it, or set the property location to another name"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn publish_one(file: PartFile) -> io::Result<()> {
        let [result] = <[_; 1]>::try_from(publish(&[file])).unwrap();
        result
    }

    #[test]
    fn files_are_published_although_another_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let names_of = ["a.mp4", "b.mp4", "c.mp4"];
        let files = names_of.map(|name| PartFile::create(&path(name), Access::Usual).unwrap());
        fs::remove_file(path("b.mp4.part")).unwrap();
        let published = publish(&files);
        let is_published: Vec<_> = published.iter().map(Result::is_ok).collect();
        assert_eq!(is_published, [true, false, true]);
        assert_eq!(names(folder.path()), ["a.mp4", "c.mp4"]);
    }

    #[test]
    fn a_complete_file_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("a.mp4");
        fs::write(&name, "old").unwrap();
        let mut part = PartFile::create(name.to_str().unwrap(), Access::Usual).unwrap();
        // What opens it by this name writes to it, even if its own name is another file's.
        fs::write(part.to_write(), "new").unwrap();
        part.file().write_all(b"n").unwrap();
        assert_eq!(
            (part.size().unwrap(), fs::read(&name).unwrap()),
            (3, b"old".into())
        );
        publish_one(part).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.mp4"]);
    }

    #[test]
    fn what_is_left_is_replaced_and_no_link_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [name, part, precious] =
            ["a.mp4", "a.mp4.part", "precious"].map(|it| folder.path().join(it));
        fs::write(&precious, "precious").unwrap();
        for is_link in [false, true] {
            match is_link {
                false => fs::write(&part, "left by a crash").unwrap(),
                true => symlink(&precious, &part).unwrap(),
            }
            // The name itself may be a link, which is replaced as any file of that name is.
            let _ = fs::remove_file(&name);
            symlink(&precious, &name).unwrap();
            let file = PartFile::create(name.to_str().unwrap(), Access::Usual).unwrap();
            fs::write(file.to_write(), "new").unwrap();
            publish_one(file).unwrap();
            assert_eq!(fs::read(&name).unwrap(), b"new");
            assert!(!fs::symlink_metadata(&name).unwrap().is_symlink());
            assert_eq!(fs::read(&precious).unwrap(), b"precious");
        }
    }

    #[test]
    fn what_is_put_in_its_place_is_not_published() {
        let folder = tempfile::tempdir().unwrap();
        let [name, part, other] = ["a.mp4", "a.mp4.part", "other"].map(|it| folder.path().join(it));
        fs::write(&other, "other").unwrap();
        let file = PartFile::create(name.to_str().unwrap(), Access::Usual).unwrap();
        fs::remove_file(&part).unwrap();
        symlink(&other, &part).unwrap();
        fs::write(file.to_write(), "new").unwrap();
        let error = publish_one(file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&other).unwrap(), b"other");
        assert!(!name.exists());
    }

    #[test]
    fn obstacles_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for obstacle in ["a.mp4", "a.mp4.part"] {
            let path = folder.path().join(obstacle);
            let name = folder.path().join("a.mp4");
            let create = || PartFile::create(name.to_str().unwrap(), Access::Usual).unwrap_err();
            fs::create_dir(&path).unwrap();
            assert!(
                create()
                    .to_string()
                    .starts_with(&format!("{} is a folder", path.display()))
            );
            fs::remove_dir(&path).unwrap();
            let socket = UnixListener::bind(&path).unwrap();
            assert!(create().to_string().contains("is a socket"));
            drop(socket);
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(names(folder.path()), [""; 0]);
        let device = PartFile::create("/dev/null", Access::Usual).unwrap_err();
        assert!(device.to_string().contains("is a device"), "{device}");
    }

    #[test]
    fn a_private_file_is_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("a.mp4");
        let part = PartFile::create(name.to_str().unwrap(), Access::Private).unwrap();
        let mode = part.file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
