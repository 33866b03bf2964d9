#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0
"""Fails if a `lib.rs` or `mod.rs` of the crates below `crates/` defines anything: they declare and re-export.

A definition there is a reason for import circles, and a reader looks for it last. Arguments: root files of crates;
without them, those of the libraries below `crates/`.
"""

import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # a new file in the package would make cargo build it again
import rust_modules  # noqa: E402


def main():
    roots = [Path(argument) for argument in sys.argv[1:]]
    roots = roots or [root for root in rust_modules.roots({"lib"}) if "crates" in root.parts]
    faults = {
        module.file
        for root in roots
        for module in rust_modules.crate(root).below()
        if module.has_code and module.file.name in ("lib.rs", "mod.rs")
    }
    print(f"{len(roots)} crates, {len(faults)} files that define what belongs elsewhere")
    for file in sorted(faults):
        print(f"  {os.path.relpath(file)}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
