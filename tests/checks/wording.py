#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0
"""Counts wordings that make comments and documents hard to read, and fails above 3 in 1000 lines.

Counted are doc comments and docstrings that start with a question word instead of a noun or a verb, and phrases that
treat software as a person or say nothing. A line of a comment counts, and so does a line of prose in Markdown. Each
file that git knows or that is new is read, if it is Rust, shell, Python, awk, meson or Markdown.

Arguments: files; without them, all of the repository. `--all` prints each fault.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

MAX_PER_1000 = 3
PHRASES = re.compile(r"\b(nobody|somebody|who|what\s+is|tells|goes\s+on)\b", re.IGNORECASE)
QUESTION = re.compile(r"\s*(what|who|whether|how|why|which|where|when|if)\b", re.IGNORECASE)
IN_CODE = re.compile(r"`[^`]*`")
RUST = re.compile(
    r'//[^\n]*|/\*.*?\*/|b?c?r(#*)".*?"\1|[bc]?"(?:[^"\\]|\\.)*"'
    r"|b?'(?:[^'\\\n]|\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.))'",
    re.DOTALL,
)
FENCE = re.compile(r"\s*(```|~~~)")


@dataclass
class Comment:
    """Adjacent lines of one kind of comment, without their marks."""

    line: int
    lines: list
    is_doc: bool

    def faults(self):
        """Yields the line and the words of each fault."""
        text = IN_CODE.sub("``", "\n".join(self.lines))
        begin = 0
        if self.is_doc and (match := QUESTION.match(text)):
            yield self.line, f"starts with '{match[1]}'"
            begin = match.end()
        for match in PHRASES.finditer(text, begin):
            yield self.line + text.count("\n", 0, match.start()), " ".join(match[0].split()).lower()


def joined(marked):
    """Joins lines (number, mark, text) of which each follows the one before with the same mark."""
    comments = []
    last = None
    for number, mark, text in marked:
        if last == (number - 1, mark):
            comments[-1].lines.append(text)
        else:
            comments.append(Comment(number, [text], mark in ("///", "//!", '"""')))
        last = (number, mark)
    return comments


def rust(text):
    """Returns the comments of Rust source."""
    marked = []
    for match in RUST.finditer(text):
        number = text.count("\n", 0, match.start()) + 1
        if match[0].startswith("//"):
            mark = re.match(r"////|///|//!|//", match[0])[0]
            marked.append((number, mark, match[0][len(mark) :]))
        elif match[0].startswith("/*"):
            lines = match[0].strip("/*!").splitlines()
            marked += [(number + at, "/*", line.lstrip(" *")) for at, line in enumerate(lines)]
    return joined(marked)


def hashes(text):
    """Returns the comments of a language with `#`: whole lines, and ends of lines after a space."""
    marked = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*#(?!!)(.*)", line):
            marked.append((number, "#", match[1]))
        elif match := re.search(r"\s# (?!.*['\"])(.*)", line):
            marked.append((number, "end", match[1]))
    return joined(marked)


def python(text):
    """Returns the comments and docstrings of Python."""
    marked, previous = [], tokenize.NEWLINE
    between = (tokenize.NL, tokenize.COMMENT)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        number = token.start[0]
        if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
            marked.append((number, "#", token.string[1:]))
        elif token.type == tokenize.STRING and previous in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            lines = token.string.strip("\"'").splitlines()
            marked += [(number + at, '"""', line) for at, line in enumerate(lines)]
        if token.type not in between:
            previous = token.type
    return joined(marked)


def markdown(text):
    """Returns the prose of Markdown, without blocks of code."""
    marked, is_code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            is_code = not is_code
        elif not is_code and line.strip() and not line.startswith("    "):
            marked.append((number, "prose", line))
    return joined(marked)


READERS = {
    ".rs": rust, ".sh": hashes, ".awk": hashes, ".build": hashes, ".toml": hashes, ".py": python, ".md": markdown,
}  # fmt: skip


def reader(file):
    """Returns the function that reads a file's comments, or `None` if it is not prose or code."""
    if file.suffix in READERS:
        return READERS[file.suffix]
    if file.suffix == "" and file.is_file() and file.read_bytes()[:2] == b"#!":
        return hashes
    return None


def repository():
    """Returns the files of the working tree that git does not ignore. Sources from an archive have no repository:
    those outside of hidden folders and build folders, which have a file CACHEDIR.TAG or build.ninja."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, folders, files in os.walk("."):
            if {"CACHEDIR.TAG", "build.ninja"} & set(files):
                folders.clear()
                continue
            folders[:] = [name for name in folders if not name.startswith(".")]
            names += [os.path.normpath(os.path.join(folder, name)) for name in files]
    return [Path(name) for name in names if name and Path(name).is_file()]


def area(file):
    """Returns the part of the repository that a file belongs to."""
    parts = file.parts
    return "/".join(parts[: 2 if parts[0] in ("crates", "src") else 1]) if len(parts) > 1 else str(file)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--all", action="store_true", help="print each fault")
    arguments.add_argument("files", nargs="*", type=Path)
    arguments = arguments.parse_args()
    lines, faults = defaultdict(int), defaultdict(list)
    for file in arguments.files or repository():
        if read := reader(file):
            comments = read(file.read_text(encoding="utf-8"))
            lines[file] = sum(len(comment.lines) for comment in comments)
            faults[file] = [fault for comment in comments for fault in comment.faults()]

    areas = defaultdict(lambda: [0, 0])
    for file in lines:
        areas[area(file)][0] += lines[file]
        areas[area(file)][1] += len(faults[file])
    for name, (total, bad) in sorted(areas.items()):
        if total:
            print(f"{name:32} {total:6} lines {bad:5} faults {1000 * bad / total:6.1f} in 1000")

    worst = sorted((file for file in faults if faults[file]), key=lambda file: -len(faults[file]))
    for file in worst if arguments.all else worst[:10]:
        print(f"{file}: {len(faults[file])}")
        for line, words in faults[file] if arguments.all else faults[file][:3]:
            print(f"  {file}:{line}: {words}")
    total, bad = sum(lines.values()), sum(map(len, faults.values()))
    rate = 1000 * bad / total if total else 0
    print(f"{bad} faults in {total} lines of comments and prose: {rate:.1f} in 1000, at most {MAX_PER_1000}")
    sys.exit(rate > MAX_PER_1000 or not total)


if __name__ == "__main__":
    main()
