# SPDX-License-Identifier: MPL-2.0
"""Progress bars of an export."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Literal, Union

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Bars", "Progress", "Watched", "check_progress"]

Progress = Union[None, bool, Literal["separate"], Callable[[str], object]]
"""Nothing, a bar, a bar each for decoding and writing, or a function that is called with the path of each file."""


@dataclass(frozen=True)
class Watched:
    """A kind of progress, with a function that is called with the path of each file, too."""

    progress: Progress
    callback: Callable[[str], object]


def check_progress(progress: Progress | Watched) -> None:
    """Raise ValueError if there is no such kind of progress."""
    if isinstance(progress, Watched):
        check_progress(progress.progress)
    elif not (progress is None or isinstance(progress, bool) or progress == "separate" or callable(progress)):
        raise ValueError(f"progress is {progress!r}, not a bool, 'separate' or a function")


class Bars:
    """Progress of an export, reported by any thread."""

    def __init__(self, progress: Progress | Watched, total: int) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[str], object]] = []
        if isinstance(progress, Watched):
            self._callbacks.append(progress.callback)
            progress = progress.progress
        if callable(progress):
            self._callbacks.insert(0, progress)
        self._decoding = _bar("decoded", total, 0) if progress == "separate" else None
        is_shown = progress is True or progress == "separate"
        self._writing = _bar("written", total, 1 if progress == "separate" else 0) if is_shown else None

    def decoded(self) -> None:
        """Count a decoded frame."""
        if self._decoding is not None:
            with self._lock:
                self._decoding.update(1)

    def written(self, path: str) -> None:
        """Count a complete file."""
        with self._lock:
            if self._writing is not None:
                self._writing.update(1)
            for callback in self._callbacks:
                callback(path)

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for bar in (self._decoding, self._writing):
            if bar is not None:
                bar.close()


def _bar(what: str, total: int, position: int) -> Any:
    """Return a bar of tqdm, or None if it is not installed."""
    try:
        from tqdm import tqdm  # noqa: PLC0415
    except ImportError:
        return None
    return tqdm(total=total, desc=what, unit="frame", position=position)
