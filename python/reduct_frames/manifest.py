# SPDX-License-Identifier: MPL-2.0
"""Manifest of a folder of pictures: a row for each frame, as JSON lines and as Parquet."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .picture_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["JSON_NAME", "PARQUET_NAME", "Row", "sha256", "write_manifest"]

JSON_NAME = "manifest.jsonl"
PARQUET_NAME = "manifest.parquet"


@dataclass(frozen=True)
class Row:
    """A frame of a manifest.

    Attributes
    ----------
    index : int
        Index of the frame in the recording.
    capture_us : int
        Capture time, in microseconds since the Unix epoch.
    file : str or None
        Name of its file in the folder; None if the frame is missing.
    keyframe : bool
        Decoding can begin with the frame.
    sha256 : str or None
        Checksum of the file in hexadecimal digits, if it was asked for.
    reason : str or None
        Reason why the frame is missing.
    """

    index: int
    capture_us: int
    file: str | None
    keyframe: bool
    sha256: str | None = None
    reason: str | None = None


def sha256(path: Path) -> str:
    """Return the checksum of a file in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(folder: Path, rows: Sequence[Row]) -> None:
    """Write the manifest in both formats, each file complete when it appears."""
    import pyarrow as pa  # noqa: PLC0415 - takes long to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    lines = "".join(json.dumps(asdict(row)) + "\n" for row in rows)
    write_whole(folder / JSON_NAME, lines.encode())
    schema = pa.schema(
        [
            pa.field("index", pa.int64(), nullable=False),
            pa.field("capture_us", pa.int64(), nullable=False),
            pa.field("file", pa.string()),
            pa.field("keyframe", pa.bool_(), nullable=False),
            pa.field("sha256", pa.string()),
            pa.field("reason", pa.string()),
        ]
    )
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema), content)
    write_whole(folder / PARQUET_NAME, content.getvalue())
