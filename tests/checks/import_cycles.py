#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0
"""Fails if files of a crate import each other, directly or around a circle, and prints each circle.

A re-export is followed to the file that defines the name, so that a circle through a `mod.rs` is found. Unit tests are
left out, and so is the import of an element's `imp.rs` by the `mod.rs` beside it: glib::wrapper! needs both to name each
other. rustc accepts circles, and `cargo modules dependencies --acyclic` compares items instead of files, so that two
files that use different items of each other pass it.

Arguments: root files of crates; without them, those of the libraries, programs, tests, benchmarks and examples of all
workspaces of the repository.
"""

import os
import sys
from collections import defaultdict
from pathlib import Path

sys.dont_write_bytecode = True  # a new file in the package would make cargo build it again
import rust_modules  # noqa: E402

MANIFESTS = ["Cargo.toml", "benches/tools/Cargo.toml", "fuzz/Cargo.toml"]
KINDS = {"lib", "rlib", "bin", "test", "bench", "example"}


def imports(root):
    """Returns the edges between files of a crate: (file, file) -> the paths that cause them."""
    edges = defaultdict(set)
    for module in rust_modules.crate(root).below():
        for path in module.paths:
            target = rust_modules.resolve(module, path)
            if target is None or target.file == module.file or _only_names_module(module, path, target):
                continue
            if target.file != module.file.with_name("imp.rs") or module.file.name != "mod.rs":
                edges[module.file, target.file].add("::".join(path))
    return edges


def _only_names_module(module, path, target):
    """Returns whether a path brings a module into scope. Each use of it is a path of its own."""
    return path in module.imports.values() and rust_modules.is_module(module, path, target)


def circles(edges):
    """Returns the strongly connected components of more than one file (Tarjan's algorithm)."""
    after = defaultdict(set)
    for start, end in edges:
        after[start].add(end)
    index, low, stack, found = {}, {}, [], []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        for next_file in sorted(after[file]):
            if next_file not in index:
                visit(next_file)
                low[file] = min(low[file], low[next_file])
            elif next_file in stack:
                low[file] = min(low[file], index[next_file])
        if low[file] == index[file]:
            at = stack.index(file)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                found.append(sorted(component))

    for file in sorted(after):
        if file not in index:
            visit(file)
    return found


def main():
    sys.setrecursionlimit(10_000)
    roots = [Path(argument).absolute() for argument in sys.argv[1:]]
    roots = roots or [root for manifest in MANIFESTS for root in rust_modules.roots(KINDS, manifest)]
    files, found = set(), []
    for root in roots:
        edges = imports(root)
        files |= {file for edge in edges for file in edge}
        for component in circles(edges):
            if component in found:  # in a module that several tests share
                continue
            found.append(component)
            print(f"{os.path.relpath(root)}: a circle of {len(component)} files")
            for start, end in sorted(edges):
                if start in component and end in component:
                    names = ", ".join(sorted(edges[start, end]))
                    print(f"  {os.path.relpath(start)} -> {os.path.relpath(end)}  ({names})")
    print(f"{len(roots)} crates, {len(files)} files with imports of their crate, {len(found)} circles")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
