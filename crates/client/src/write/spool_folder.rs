// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A folder that only this user can read, opened without following links.
//!
//! Others may have write access to the folder above, as in `/tmp`. So folders and files are opened
//! relative to their parent and without following symbolic links, and have to be of the right type and
//! this user's own; opening a FIFO does not wait for its other end.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

const FOLDER_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open folder.
#[derive(Debug)]
pub struct PrivateFolder {
    folder: OwnedFd,
    path: PathBuf,
}

/// Mode of opening a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    Read,
    /// Read and written; it must exist.
    Write,
    /// Read and written; created if necessary.
    Create,
    /// Read and written; it must not exist.
    CreateNew,
}

/// Reason why a file or folder was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// It must not be used, as the text says with its path.
    Refused(String),
    Io(io::Error),
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl OpenError {
    /// Returns the error with the path in its text.
    pub fn named(self, path: &Path) -> io::Error {
        match self {
            Self::Refused(text) => io::Error::other(text),
            Self::Io(error) => named(path, &error),
        }
    }
}

/// Returns an error with the path in its text.
pub fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("'{}': {error}", path.display()))
}

impl PrivateFolder {
    /// Opens a folder in a folder in the user's own folder; missing ones are created. The mode of an existing folder
    /// of the user is not changed.
    ///
    /// # Errors
    ///
    /// The texts have the path.
    pub fn open(base: &Path, names: [&str; 2]) -> io::Result<Self> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(base);
        created.map_err(|error| named(base, &error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(base, flags, Mode::empty());
        let mut opened = Self {
            folder: folder.map_err(|error| named(base, &error.into()))?,
            path: base.to_owned(),
        };
        for name in names {
            let path = opened.path.join(name);
            opened = opened.folder(name).map_err(|error| error.named(&path))?;
        }
        Ok(opened)
    }

    /// Opens a folder in this one.
    fn folder(&self, name: &str) -> Result<Self, OpenError> {
        match rustix::fs::mkdirat(&self.folder, name, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.folder, name, flags, Mode::empty());
        let path = self.path.join(name);
        let folder = match opened {
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(refused(&path, "a symbolic link or a file, not a folder"));
            }
            opened => opened?,
        };
        assert_own(&folder, FileType::Directory, FOLDER_MODE, &path)?;
        Ok(Self { folder, path })
    }

    /// Returns the path of a file, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a regular file.
    pub fn file(&self, name: &str, access: OpenMode) -> Result<File, OpenError> {
        let flags = match access {
            OpenMode::Read => OFlags::RDONLY,
            OpenMode::Write => OFlags::RDWR,
            OpenMode::Create => OFlags::RDWR | OFlags::CREATE,
            OpenMode::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = self.path(name);
        let file = match rustix::fs::openat(&self.folder, name, flags, FILE_MODE) {
            Err(Errno::LOOP) => return Err(refused(&path, "a symbolic link")),
            Err(Errno::ISDIR) => return Err(refused(&path, "a folder")),
            Err(Errno::NXIO) => return Err(refused(&path, "a socket or a device")),
            opened => opened?,
        };
        assert_own(&file, FileType::RegularFile, FILE_MODE, &path)?;
        Ok(file.into())
    }

    /// Returns the names of all files.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for file in Dir::read_from(&self.folder)? {
            names.push(OsString::from_vec(file?.file_name().to_bytes().to_vec()));
        }
        Ok(names)
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::empty())?)
    }

    /// Renames a file if the new name is free. Only one process at a time may do so.
    pub fn rename(&self, name: &str, to: &str) -> io::Result<()> {
        match rustix::fs::statat(&self.folder, to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) => return Err(error.into()),
        }
        Ok(rustix::fs::renameat(&self.folder, name, &self.folder, to)?)
    }

    /// Makes new names survive a loss of power.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.folder)?)
    }
}

/// Checks the type and owner, and sets the mode.
fn assert_own(file: impl AsFd, kind: FileType, mode: Mode, path: &Path) -> Result<(), OpenError> {
    let stat = rustix::fs::fstat(&file)?;
    let found = FileType::from_raw_mode(stat.st_mode);
    if found != kind {
        let found = match found {
            FileType::Directory => "a folder",
            FileType::Fifo => "a FIFO",
            FileType::RegularFile => "a file",
            _ => "a socket or a device",
        };
        return Err(refused(path, found));
    }
    let user = rustix::process::geteuid().as_raw();
    if stat.st_uid != user {
        let text = format!("owned by user {}, not by {user}", stat.st_uid);
        return Err(refused(path, &text));
    }
    // A file system without modes, as of a memory card, has the same mode for all.
    if Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
        let _ = rustix::fs::fchmod(file, mode);
    }
    Ok(())
}

fn refused(path: &Path, what: &str) -> OpenError {
    let path = path.display();
    OpenError::Refused(format!(
        "'{path}' is {what}. Remove it, or set another folder"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn open(base: &Path) -> PrivateFolder {
        PrivateFolder::open(base, ["b", "e"]).unwrap()
    }

    fn mode(path: impl AsRef<Path>) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn text(error: OpenError) -> String {
        match error {
            OpenError::Refused(text) => text,
            OpenError::Io(error) => panic!("{error}"),
        }
    }

    #[test]
    fn what_is_made_is_private() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().join("a/spool");
        let folder = open(&base);
        folder.file("f", OpenMode::CreateNew).unwrap();
        for made in [&base, &base.join("b"), &base.join("b/e")] {
            assert_eq!(mode(made), 0o700, "{made:?}");
        }
        assert_eq!(mode(base.join("b/e/f")), 0o600);
    }

    #[test]
    fn what_is_there_becomes_private_but_for_the_users_folder() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        fs::create_dir_all(base.join("b/e")).unwrap();
        fs::write(base.join("b/e/f"), "content").unwrap();
        for path in [base.to_owned(), base.join("b"), base.join("b/e")] {
            set_mode(path, 0o755);
        }
        set_mode(base.join("b/e/f"), 0o644);
        let mut content = String::new();
        let file = open(base).file("f", OpenMode::Read);
        file.unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        assert_eq!(mode(base), 0o755);
        assert_eq!(mode(base.join("b")), 0o700);
        assert_eq!(mode(base.join("b/e")), 0o700);
        assert_eq!(mode(base.join("b/e/f")), 0o600);
    }

    #[test]
    fn nothing_is_followed_or_waited_for() {
        let base = tempfile::tempdir().unwrap();
        let folder = open(base.path());
        let inside = base.path().join("b/e");
        let precious = base.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, inside.join("link")).unwrap();
        symlink(base.path().join("nothing"), inside.join("dangling")).unwrap();
        fs::create_dir(inside.join("folder")).unwrap();
        let fifo = inside.join("fifo");
        // Not by a command: a child process holds the locks of other tests until it runs it.
        let made = rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, FILE_MODE, 0);
        made.unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(inside.join("socket")).unwrap();
        for access in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
            for (name, what) in [
                ("link", "symbolic link"),
                ("dangling", "symbolic link"),
                ("folder", "folder"),
                ("fifo", "FIFO"),
                ("socket", "socket"),
            ] {
                let text = text(folder.file(name, access).unwrap_err());
                let path = inside.join(name).display().to_string();
                assert!(text.contains(&path) && text.contains(what), "{text}");
            }
        }
        assert!(folder.file("dangling", OpenMode::CreateNew).is_err());
        assert!(!base.path().join("nothing").exists());
        assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
    }

    #[test]
    fn folders_that_are_links_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), base.path().join("b")).unwrap();
        let error = PrivateFolder::open(base.path(), ["b", "e"]).unwrap_err();
        let path = base.path().join("b").display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        // The user's own folder may be one.
        let link = elsewhere.path().join("link");
        fs::create_dir(elsewhere.path().join("disk")).unwrap();
        symlink(elsewhere.path().join("disk"), &link).unwrap();
        open(&link);
        assert!(elsewhere.path().join("disk/b/e").is_dir());
    }

    #[test]
    fn what_others_own_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let folder = open(base.path());
        folder.file("f", OpenMode::CreateNew).unwrap();
        let file = base.path().join("b/e/f");
        if std::os::unix::fs::chown(&file, Some(12_345), None).is_err() {
            return; // Only root can give files away.
        }
        let error = text(folder.file("f", OpenMode::Read).unwrap_err());
        assert!(error.contains("12345"), "{error}");
        std::os::unix::fs::chown(base.path().join("b/e"), Some(12_345), None).unwrap();
        let error = PrivateFolder::open(base.path(), ["b", "e"]).unwrap_err();
        assert!(error.to_string().contains("12345"), "{error}");
    }

    #[test]
    fn a_name_that_is_taken_is_not_given_to_another_file() {
        let base = tempfile::tempdir().unwrap();
        let folder = open(base.path());
        let mut file = folder.file("a", OpenMode::CreateNew).unwrap();
        file.write_all(b"a").unwrap();
        folder.file("b", OpenMode::CreateNew).unwrap();
        let error = folder.rename("a", "b").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        folder.rename("a", "c").unwrap();
        let mut names = folder.names().unwrap();
        names.retain(|name| !name.to_string_lossy().starts_with('.'));
        names.sort();
        assert_eq!(names, ["b", "c"]);
        folder.remove("c").unwrap();
        folder.sync().unwrap();
        assert!(matches!(
            folder.file("c", OpenMode::Read),
            Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::NotFound
        ));
    }
}
