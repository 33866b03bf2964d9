#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0
"""Writes LICENSES.txt in a folder of the repository: the licences of all crates that its product is linked with.

The crates are those of the lock file, without those for builds and tests. A text that several crates share is printed
once. `licenses.py FOLDER --check` fails if the file is not that of the lock file.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PRODUCTS = {"server": ("episode-server", "episode-server"), "python": ("reduct-frames", "the wheel of reduct-frames")}
"""By folder: the package whose dependencies are linked, and the name in the text."""
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
TEXTS = re.compile(r"(licen[cs]e|copying|notice|unlicense|copyright)", re.IGNORECASE)
APACHE = "Apache-2.0"
APACHE_TEXT_OF = "reduct-base"
"""Crate whose file has the text of that licence."""
MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


def cargo(folder, *arguments):
    """Returns the output of a cargo command."""
    return subprocess.check_output(["cargo", *arguments, "--locked"], cwd=folder, text=True)


def linked(folder, package):
    """Returns names and versions of the crates that are linked, those of this repository left out."""
    tree = ["tree", f"--package={package}", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}"]
    lines = {line for target in TARGETS for line in cargo(folder, *tree, f"--target={target}").splitlines()}
    return {tuple(line.split()[:2]) for line in lines if line and "(/" not in line}


def texts(package, apache):
    """Returns the texts of a package's licence."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if path.is_file() and TEXTS.match(path.name))
    found = [path.read_text(encoding="utf-8", errors="replace").strip() for path in files]
    if found:
        return [text.replace("\r\n", "\n") for text in found]
    # Without a file the text of the licence itself has to do.
    if "MIT" in package["license"]:
        return [f"Copyright (c) {', '.join(package['authors']) or 'the authors of ' + package['name']}\n\n{MIT}"]
    return [apache] if APACHE in package["license"] else []


def document(folder, product, name):
    """Returns the content of the file."""
    packages = json.loads(cargo(folder, "metadata", "--format-version=1"))["packages"]
    wanted = linked(folder, product)
    packages = [package for package in packages if (package["name"], "v" + package["version"]) in wanted]
    packages.sort(key=lambda package: (package["name"], package["version"]))
    base = next(package for package in packages if package["name"] == APACHE_TEXT_OF)
    apache = texts(base, "")[0]
    users = defaultdict(list)
    layouts = {}  # text without its layout -> text
    lines = [f"Licences of the crates that are linked into {name}. Their source is on https://crates.io.", ""]
    for package in packages:
        crate = f"{package['name']} {package['version']}"
        lines.append(f"{crate}: {package['license']}")
        found = texts(package, apache)
        if not found:
            sys.exit(f"no licence text of {crate}, {package['license']}")
        for text in found:
            users[layouts.setdefault(" ".join(text.split()), text)].append(crate)
    for text, names in sorted(users.items(), key=lambda item: item[1]):
        lines += ["", "-" * 120, ", ".join(names), "-" * 120, "", text]
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Writes the licences of the crates that a product is linked with.")
    parser.add_argument("folder", choices=PRODUCTS)
    parser.add_argument("--check", action="store_true", help="fail if the file is not current")
    arguments = parser.parse_args()
    folder = TOP / arguments.folder
    output = folder / "LICENSES.txt"
    content = document(folder, *PRODUCTS[arguments.folder])
    if not arguments.check:
        output.write_text(content, encoding="utf-8")
    elif not output.exists() or output.read_text(encoding="utf-8") != content:
        sys.exit(f"{output} is not current: run {sys.argv[0]} {arguments.folder}")


if __name__ == "__main__":
    main()
