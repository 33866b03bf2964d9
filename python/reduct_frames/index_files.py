# SPDX-License-Identifier: MPL-2.0
"""Files of an index of frames: Parquet, and datasets of Lance. They are complete when they appear."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .picture_files import PART, write_whole

if TYPE_CHECKING:
    import os

    import pyarrow as pa

__all__ = ["FORMATS", "IndexFormat", "find_index", "read_index", "save_index"]

IndexFormat = Literal["parquet", "lance"]
FORMATS = ("parquet", "lance")
"""Formats of an index, which are the extensions of their files."""


def find_index(path: Path) -> Path | None:
    """Return the index beside an MP4 file, or None without one. Parquet comes first."""
    beside = (path.with_name(f"{path.name}.{extension}") for extension in FORMATS)
    return next((index for index in beside if index.exists()), None)


def read_index(path: str | os.PathLike[str]) -> pa.Table:
    """Read an index that :func:`write_index`, `reductepisodesplit` or the server has written.

    Parameters
    ----------
    path : path
        A Parquet file, or a folder of Lance with the extension ``.lance``.

    Returns
    -------
    pyarrow.Table
        The rows, with the columns and the metadata of :func:`index`.

    Raises
    ------
    ImportError
        If it is a dataset of Lance, and pylance is not installed.
    ValueError
        If it is no Parquet file.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    if path.suffix == ".lance":
        if not path.exists():
            raise FileNotFoundError(f"There is no index {path}")
        return _import_lance().dataset(str(path)).to_table()
    import pyarrow.parquet as pq  # noqa: PLC0415 - takes long to import

    return pq.read_table(path, partitioning=None)


def save_index(table: pa.Table, path: Path, index_format: IndexFormat) -> None:
    """Write an index under a temporary name, and rename it when it is complete. An older one is replaced."""
    if index_format == "parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415

        content = io.BytesIO()
        pq.write_table(table, content)
        write_whole(path, content.getvalue())
        return
    lance = _import_lance()
    part = path.with_name(path.name + PART)
    shutil.rmtree(part, ignore_errors=True)
    try:
        lance.write_dataset(table, str(part))
        if path.exists():
            shutil.rmtree(path)
        part.replace(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _import_lance() -> Any:
    """Return pylance.

    Raises
    ------
    ImportError
        If it is not installed, with the command that installs it.
    """
    try:
        import lance  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("Lance needs pylance: pip install 'reduct-frames[lance]'") from error
    return lance
