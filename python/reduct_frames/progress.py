# SPDX-License-Identifier: MPL-2.0
"""Progress bars of an export."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, Literal, Union

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Bars", "Progress"]

Progress = Union[None, bool, Literal["separate"], Callable[[str], object]]
"""Nothing, a bar, a bar each for decoding and writing, or a function that is called with the path of each file."""


class Bars:
    """Progress of an export, reported by any thread."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._lock = threading.Lock()
        self._callback = progress if callable(progress) else None
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
            if self._callback is not None:
                self._callback(path)

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
