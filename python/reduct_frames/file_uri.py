# SPDX-License-Identifier: MPL-2.0
"""Paths of files, also as URIs with the scheme ``file``."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .picture_files import absolute

__all__ = ["absolute_path", "is_file_uri"]


def is_file_uri(uri: str) -> bool:
    """Return whether a text is a URI of a file."""
    return uri.lower().startswith("file://")


def absolute_path(uri: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a file, by its path or by its URI ``file:///folder/file``.

    Raises
    ------
    ValueError
        If the URI is that of another machine, or has a query or a fragment.
    """
    text = os.fspath(uri)
    if not (isinstance(uri, str) and is_file_uri(text)):
        return absolute(text)
    parts = urlsplit(text)
    if parts.netloc.lower() not in ("", "localhost") or parts.query or parts.fragment or not parts.path:
        raise ValueError(f"{text!r} is no URI of a file on this machine")
    return absolute(url2pathname(parts.path))
