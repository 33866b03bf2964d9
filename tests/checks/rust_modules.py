# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0
"""The module tree of a crate: definitions, imports and paths of each module, and the file that each is in.

Reads the text of the files with a small scanner, which is enough for the code of this repository: it knows comments,
literals, nested modules, `use` trees and re-exports. It expands no macros and evaluates no `cfg` other than `test`,
whose items are left out.
"""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*)
  | (?P<block>/\*)
  | (?P<raw>b?c?r(?P<hashes>\#*)".*?"(?P=hashes))
  | (?P<string>[bc]?"(?:[^"\\]|\\.)*")
  | (?P<char>b?'(?:[^'\\\n]|\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.))')
  | (?P<lifetime>'[A-Za-z_]\w*)
  | (?P<word>(?:r\#)?[A-Za-z_]\w*)
  | (?P<number>[0-9]\w*)
  | (?P<colons>::)
  | (?P<sign>\S)
    """,
    re.VERBOSE | re.DOTALL,
)
BLOCK_EDGE = re.compile(r"/\*|\*/")
OPENING, CLOSING = "([{", ")]}"
DEFINING = {"struct", "enum", "union", "trait", "fn", "const", "static", "type"}


def tokens(text):
    """Returns the words, signs and strings of Rust source, without comments and other literals."""
    found, at = [], 0
    while match := TOKEN.search(text, at):
        at = match.end()
        if match["block"]:
            depth = 1
            while depth and (edge := BLOCK_EDGE.search(text, at)):
                depth += 1 if edge[0] == "/*" else -1
                at = edge.end()
        elif match["word"]:
            found.append(match["word"].removeprefix("r#"))
        elif match["colons"] or match["sign"] or match["string"]:
            found.append(match[0])
        elif not match["comment"]:
            found.append('""')  # a literal, which keeps its neighbours apart
    return found


@dataclass
class Module:
    """A module, in a file of its own or within one."""

    file: Path
    parent: "Module | None"
    children: dict = field(default_factory=dict)
    defined: set = field(default_factory=set)
    has_code: bool = False  # anything besides modules and imports
    imports: dict = field(default_factory=dict)  # name -> path
    globs: list = field(default_factory=list)  # paths
    paths: set = field(default_factory=set)  # all that are written in it, imports included

    def root(self):
        """Returns the module of the crate's root."""
        return self if self.parent is None else self.parent.root()

    def below(self):
        """Yields this module and those below it."""
        yield self
        for child in self.children.values():
            yield from child.below()


def crate(root):
    """Reads a crate from the file of its root module."""
    root = Path(root)
    module = Module(root, None)
    _Reader(module, tokens(root.read_text()), root.parent).read()
    return module


class _Reader:
    """Fills a module with the items that its tokens declare. `folder` is where files of its children are."""

    def __init__(self, module, words, folder):
        self.module, self.words, self.folder, self.at = module, words, folder, 0

    def read(self):
        while self.at < len(self.words):
            self.item()

    def word(self, ahead=0):
        at = self.at + ahead
        return self.words[at] if at < len(self.words) else ""

    def balanced(self):
        """Consumes a group in brackets and returns its inner tokens."""
        start, depth = self.at, 0
        while self.at < len(self.words):
            depth += (self.word() in OPENING) - (self.word() in CLOSING)
            self.at += 1
            if depth == 0:
                break
        return self.words[start + 1 : self.at - 1]

    def rest_of_item(self):
        """Consumes up to the end of an item, a `;` or a block, and returns its tokens."""
        start = self.at
        first, second = [*self.words[start : start + 2], ""][:2]
        is_function = first == "const" and second in ("fn", "unsafe", "async", "extern")
        has_value = first in ("const", "static", "type", "use") and not is_function
        while self.at < len(self.words):
            if self.word() in OPENING:
                is_block = self.word() == "{"
                self.balanced()
                if is_block and not has_value:
                    break
                continue
            self.at += 1
            if self.words[self.at - 1] == ";":
                break
        return self.words[start : self.at]

    def item(self):
        is_test, path = False, None
        attributes = []
        while self.word() == "#":
            self.at += 1 + (self.word(1) == "!")
            attribute = self.balanced()
            is_test |= attribute in (["cfg", "(", "test", ")"], ["test"])
            attributes += attribute
            if attribute[:2] == ["path", "="]:
                path = self.module.file.parent / attribute[2].strip('"')
        if self.word() == "pub":
            self.at += 1
            if self.word() == "(":
                self.balanced()
        if self.word() == "mod" and self.word(2) in ("{", ";"):
            self.child(is_test, path)
        elif self.word() == "use":
            tree = self.rest_of_item()
            if not is_test:
                self.use_tree(tree[1:])
        elif self.at < len(self.words):
            body = self.rest_of_item()
            if not is_test:
                self.module.has_code = True
                self.definition(body)
                self.body(attributes + body)

    def child(self, is_test, path):
        name = self.word(1)
        self.at += 2
        folder = self.folder / name
        if self.word() == "{":
            child = Module(self.module.file, self.module)
            inner = self.balanced()
        else:
            self.at += 1
            file = self.folder / f"{name}.rs"
            if path:
                file, folder = path.resolve(), path.resolve().parent
            elif not file.exists():
                file = folder / "mod.rs"
            if not file.exists():
                return
            child = Module(file, self.module)
            inner = tokens(file.read_text()) if not is_test else []
        if not is_test:
            self.module.children[name] = child
            _Reader(child, inner, folder).read()

    def definition(self, body):
        if body[:2] == ["macro_rules", "!"]:
            self.module.defined.add(body[2])
        for at, word in enumerate(body[:-1]):
            if word in ("impl", "{", "(", "!"):
                return
            if word in DEFINING and body[at + 1] not in DEFINING | {"unsafe", "async", "extern"}:
                self.module.defined.add(body[at + 2] if body[at + 1] == "mut" else body[at + 1])
                return

    def body(self, body):
        """Notes the paths of an item, those of nested `use` included."""
        at = 0
        while at < len(body):
            if body[at] == "use" and (at == 0 or body[at - 1] in "{};"):
                end = body.index(";", at) if ";" in body[at:] else len(body)
                self.use_tree(body[at + 1 : end])
                at = end
            elif body[at] != "::" and body[at + 1 : at + 2] == ["::"] and (at == 0 or body[at - 1] != "::"):
                path = [body[at]]
                while body[at + 1 : at + 2] == ["::"] and re.match(r"\w", body[at + 2] if at + 2 < len(body) else ""):
                    path.append(body[at + 2])
                    at += 2
                self.module.paths.add(tuple(path))
                at += 1
            else:
                at += 1

    def use_tree(self, words, prefix=()):
        """Notes what a tree of imports binds."""
        words = [word for word in words if word != ";"]
        depth, start = 0, 0
        for at, word in enumerate([*words, ","]):
            depth += (word == "{") - (word == "}")
            if word == "," and depth == 0:
                self.use_branch(words[start:at], prefix)
                start = at + 1

    def use_branch(self, words, prefix):
        path = list(prefix)
        if not words:  # after the last comma
            return
        for at, word in enumerate(words):
            if word == "{":
                self.use_tree(words[at + 1 : -1], tuple(path))
                return
            if word == "*":
                self.module.globs.append(tuple(path))
                self.module.paths.add(tuple(path))
                return
            if word == "as":
                self.bind(words[at + 1], path)
                return
            if word != "::":
                path.append(word)
        if path[-1] == "self" and len(path) > 1:
            path.pop()
        self.bind(path[-1], path)

    def bind(self, name, path):
        if name != "_":
            self.module.imports.setdefault(name, tuple(path))
        self.module.paths.add(tuple(path))


def roots(kinds, manifest="Cargo.toml"):
    """Returns the root files of a workspace's targets of some kinds, such as `lib`."""
    command = ["cargo", "metadata", "--format-version=1", "--no-deps", "--locked", "--manifest-path", manifest]
    packages = json.loads(subprocess.check_output(command))["packages"]
    targets = (target for package in packages for target in package["targets"])
    return sorted(Path(target["src_path"]) for target in targets if kinds & set(target["kind"]))


def resolve(module, path, seen=frozenset()):
    """Returns the module that defines what a path names, or `None` for a name from another crate.

    Re-exports are followed. A path to a module gives that module.
    """
    at, words = module, list(path)
    relative = True
    while words and words[0] in ("crate", "self", "super"):
        word = words.pop(0)
        at = {"crate": at.root(), "self": at, "super": at.parent}[word]
        relative = False
        if at is None:
            return None
    while words:
        name = words.pop(0)
        is_item, found = _lookup(at, name, seen)
        if found is None:
            is_from_other_crate = relative or name in at.imports
            return None if is_from_other_crate else at
        if is_item:
            return found
        at, relative = found, False
    return at


def _lookup(module, name, seen):
    """Returns whether a name in a module is an item, and the module that it is or is defined in."""
    if (id(module), name) in seen:
        return False, None
    seen |= {(id(module), name)}
    if name in module.children:
        return False, module.children[name]
    if name in module.defined:
        return True, module
    if path := module.imports.get(name):
        if path == (name,):
            return False, None  # a crate
        found = resolve(module, path, seen)
        if found is None:
            return False, None
        return not is_module(module, path, found, seen), found
    for glob in module.globs:
        target = resolve(module, glob, seen)
        if target is not None and target is not module:
            is_item, found = _lookup(target, name, seen)
            if found is not None:
                return is_item, found
    return False, None


def is_module(module, path, found, seen=frozenset()):
    """Returns whether a resolved path names the module itself, and not an item of it."""
    if path[-1] in ("crate", "self", "super"):
        return True
    parent = resolve(module, path[:-1], seen) if len(path) > 1 else module
    if parent is None:
        return False
    is_item, last = _lookup(parent, path[-1], seen)
    return last is found and not is_item
