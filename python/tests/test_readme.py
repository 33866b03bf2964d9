# SPDX-License-Identifier: MPL-2.0
"""The example of the README, with a recording in the place of the one that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Server
    from streams import Stream

README = Path(__file__).parent.parent / "README.md"


def test_the_ten_lines_run(
    server: Server, plain: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.record("readme", plain)
    [code] = re.findall(r"## Ten lines\n+```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    places: dict[str, object] = {}
    exec(code.replace("http://127.0.0.1:8383", server.url).replace('"cam"', '"readme"'), places)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"100 20.0 {plain.times_us[0]}", "10 pictures, 0 frames missing"]
    assert len(list((tmp_path / "pictures").glob("frame_*.jpg"))) == 10
    height, width = plain.pictures.shape[1:3]
    assert [getattr(places[name], "shape", None) for name in ("array", "frames")] == [
        (10, height, width, 3),
        (2, height, width, 3),
    ]
