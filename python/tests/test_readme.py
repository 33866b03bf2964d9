# SPDX-License-Identifier: MPL-2.0
"""The examples of the README, with a recording and files in the place of those that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from episodes import mux

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


def test_the_lines_for_mp4_files_run(reordered: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = re.findall(r"## MP4 files\n.*?```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        mux(tmp_path / f"episode_{number:05}.mp4", reordered)
    code = code.replace("10.0, 20.0", "4.5, 5.5")
    places: dict[str, object] = {}
    exec("import reduct_frames\n" + code, places)
    assert getattr(places["array"], "shape", None) == (20, 3, 224, 224)
    assert len(list((tmp_path / "pictures").glob("frame_*.png"))) == 20
