# SPDX-License-Identifier: MPL-2.0
"""Lock of a folder, which one call at a time writes to."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING

from .errors import FolderInUseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["locked"]

_NAME = ".reduct_frames.lock"
_IN_USE = (errno.EAGAIN, errno.EACCES)
"""Errors of a lock that another one holds; NFS has the second one."""
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without locks."""

_held: set[int] = set()
"""Descriptors of the locks of this process."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other calls from writing to a folder, which is created if it is missing: threads, and other processes.

    The system drops the lock when the process ends, however it ends. On file systems without locks two calls are not
    noticed.

    Raises
    ------
    FolderInUseError
        If another call writes to the folder. Nothing in it was changed then.
    OSError
        If the folder or the file of the lock cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _NAME
    descriptor = _lock(path)
    _held.add(descriptor)
    try:
        yield
    finally:
        # A forked child that leaves the block has closed it.
        if descriptor in _held:
            _held.remove(descriptor)
            # Under the lock, so that the file is not that of the next call.
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(descriptor)


def _lock(path: Path) -> int:
    """Return a descriptor that holds the lock of a file, which is created if it is missing."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            if not _try_flock(descriptor, path) or _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # The call before has removed the file in the meantime.
        os.close(descriptor)


def _try_flock(descriptor: int, path: Path) -> bool:
    """Lock a file. Return whether its file system has locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _IN_USE:
            raise FolderInUseError(f"Another call writes to {path.parent}") from None
        if error.errno in _UNSUPPORTED:
            return False
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file still is the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _close_in_child() -> None:
    """Close the locks of the parent in a forked child, which would keep them when the parent ends."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
