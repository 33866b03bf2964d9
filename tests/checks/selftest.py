#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0
"""Shows that each check of this folder fails when it should, and passes otherwise."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECKS = Path(__file__).resolve().parent


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, **files):
        """Writes files; `__` in a name is a `/`, and `.rs` is added to names without an ending."""
        for name, text in files.items():
            self.put(name.replace("__", "/") + ".rs", text)

    def put(self, name, text):
        """Writes a file and the folders that it is in."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def check(self, script, *arguments):
        """Runs a check and returns whether it passed, and its output."""
        command = [sys.executable, CHECKS / script, *arguments]
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertNotIn("Traceback", done.stdout)
        return done.returncode == 0, done.stdout


class ImportCycles(Folder):
    """import_cycles.py"""

    def passes(self, **files):
        self.write(**files)
        return self.check("import_cycles.py", "lib.rs")

    def test_one_direction(self):
        passed, output = self.passes(
            lib="mod a; mod b; use bytes::Bytes; pub use a::A;",
            a="use crate::b::B; use super::Bytes; pub struct A(B);",
            b="pub struct B; #[cfg(test)] mod tests { use super::*; use crate::a::A; }",
        )
        self.assertTrue(passed, output)

    def test_two_files(self):
        passed, output = self.passes(
            lib="mod a; mod b;",
            a="use crate::b::B; pub struct A; pub fn a() -> B { loop {} }",
            b="pub struct B; pub fn b() { super::a::A; }",
        )
        self.assertFalse(passed)
        self.assertIn("a.rs -> b.rs  (crate::b::B)", output)
        self.assertIn("b.rs -> a.rs  (super::a::A)", output)

    def test_through_reexports(self):
        passed, output = self.passes(
            lib="mod part; pub use part::*;",
            part__mod="mod a; mod b; mod c; pub use {a::A, b::B as Other}; pub use self::c::C;",
            part__a="use super::{Other, /* } */ C as D}; pub struct A(Other, D);",
            part__b="use crate::part::C; pub struct B(C);",
            part__c="pub struct C; impl C { fn f(&self) -> Option<crate::A> { None } }",
        )
        self.assertFalse(passed)
        self.assertIn("a circle of 3 files", output)
        self.assertNotIn("mod.rs", output)

    def test_module_file_that_defines(self):
        passed, output = self.passes(
            lib="mod part;",
            part__mod="mod a; pub use a::A; pub fn helper() {}",
            part__a="use super::helper; pub struct A; fn f() { helper() }",
        )
        self.assertFalse(passed)
        self.assertIn("part/a.rs -> part/mod.rs  (super::helper)", output)

    def test_module_brought_into_scope(self):
        passed, output = self.passes(
            lib="mod a; mod part;",
            a="use crate::part::{self, b}; pub struct A; fn f() { part::C; b::B; }",
            part__mod="pub mod b; mod c; pub use c::C;",
            part__b="use crate::a::A; pub struct B; const X: [u8; 2] = [b'{', b'\\'']; fn f(_: A) {}",
            part__c="pub struct C;",
        )
        self.assertFalse(passed)
        self.assertIn("a circle of 2 files", output)
        self.assertIn("a.rs -> part/b.rs  (b::B)", output)

    def test_path_attribute(self):
        passed, output = self.passes(
            lib='mod a; #[path = "elsewhere/c.rs"] mod b;',
            a="use crate::b::d::D; pub struct A;",
            elsewhere__c="pub mod d;",
            elsewhere__d="use crate::a::A; pub struct D(A);",
        )
        self.assertFalse(passed)
        self.assertIn("elsewhere/d.rs -> a.rs", output)

    def test_element(self):
        files = {
            "lib": "mod element;",
            "element__mod": "mod imp; mod settings; glib::wrapper! { pub struct E(ObjectSubclass<imp::E>); } pub enum M {}",
            "element__imp": "use super::settings::S; type Type = super::E; pub struct E(S);",
            "element__settings": "use super::M; pub struct S(M);",
        }
        passed, output = self.passes(**files)
        self.assertTrue(passed, output)
        passed, output = self.passes(**files | {"element__settings": "use super::imp::E; pub struct S(E);"})
        self.assertFalse(passed)


class ModuleFiles(Folder):
    """module_files.py"""

    def test_declarations(self):
        self.write(lib="//! A crate.\n#![deny(missing_docs)]\nmod a;\n#[cfg(test)]\nmod t {}\npub use a::{A, B};", a="pub struct A; pub struct B;")
        passed, output = self.check("module_files.py", "lib.rs")
        self.assertTrue(passed, output)

    def test_definitions(self):
        self.write(lib="mod part;", part__mod="mod a; impl a::A { fn f() {} }", part__a="pub struct A;")
        passed, output = self.check("module_files.py", "lib.rs")
        self.assertFalse(passed)
        self.assertIn("part/mod.rs", output)


class Dependencies(Folder):
    """dependencies.py"""

    def passes(self, crates):
        self.put("Cargo.toml", '[workspace]\nmembers = ["*"]\nresolver = "2"\nexclude = ["outside"]\n')
        for name, dependencies in crates.items():
            folder = "outside/" + name if name in ("glib", "tokio") else name
            package = f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2024"\n'
            self.put(f"{folder}/Cargo.toml", package + dependencies)
            self.put(f"{folder}/src/lib.rs", "")
        command = ["cargo", "generate-lockfile", "--offline", "--quiet"]
        subprocess.run(command, cwd=self.folder, check=True)
        return self.check("dependencies.py", ".")

    def test_allowed(self):
        passed, output = self.passes(
            {
                "media": "",
                "client": '[dependencies]\ntokio = { path = "../outside/tokio" }\n',
                "tokio": "",
                "recording": '[dependencies]\nmedia = { path = "../media" }\nclient = { path = "../client" }\n',
            }
        )
        self.assertTrue(passed, output)

    def test_own_crate(self):
        passed, output = self.passes({"media": "", "client": '[dev-dependencies]\nmedia = { path = "../media" }\n'})
        self.assertFalse(passed)
        self.assertIn("not allowed: client depends on media", output)

    def test_indirect(self):
        passed, output = self.passes(
            {
                "media": "",
                "client": '[dependencies]\nglib = { path = "../outside/glib", optional = true }\n',
                "recording": '[dependencies]\nclient = { path = "../client", features = ["glib"] }\n',
                "glib": "",
            }
        )
        self.assertFalse(passed)
        self.assertIn("not allowed: client is built with glib", output)
        self.assertIn("not allowed: recording is built with glib", output)

    def test_input_and_output(self):
        passed, output = self.passes({"media": '[dependencies]\ntokio = { path = "../outside/tokio" }\n', "tokio": ""})
        self.assertFalse(passed)
        self.assertIn("not allowed: media is built with tokio", output)

    def test_unknown_crate(self):
        passed, output = self.passes({"media": "", "gateway": ""})
        self.assertFalse(passed)
        self.assertIn("gateway is not in the table", output)


class Wording(Folder):
    """wording.py"""

    def faults(self, name, text):
        """Returns the faults in a file as the check prints them."""
        self.put(name, text)
        passed, output = self.check("wording.py", "--all", name)
        lines = [line.strip() for line in output.splitlines() if line.startswith("  ")]
        self.assertEqual(passed, not lines, output)
        return [line.removeprefix(f"{name}:") for line in lines]

    def test_rust(self):
        text = '''//! Reads records.

/// What is read.
struct A; // tells "it"
/// Returns `what is` in it, or "nobody".
/// It goes
/// on.
fn f() { let x = "// nobody"; let y = '"'; } // who
// What a step needs: the question is no fault here.
'''
        self.assertEqual(
            self.faults("a.rs", text), ["3: starts with 'What'", "4: tells", "5: nobody", "6: goes on", "8: who"]
        )

    def test_shell(self):
        text = "#!/bin/sh\n# Prints what is there.\necho '# nobody' # somebody\n".replace("\\\n", "\n")
        self.assertEqual(self.faults("a.sh", text), ["2: what is", "3: somebody"])

    def test_python(self):
        text = '"""How it works."""\nx = "nobody"  # tells\ndef f():\n    """Returns it."""\n'
        self.assertEqual(self.faults("a.py", text), ["1: starts with 'How'", "2: tells"])

    def test_markdown(self):
        text = "# What is this\n\nA tool for users.\n\n```\nwho\n```\n\nNobody reads `who`.\n"
        self.assertEqual(self.faults("a.md", text), ["1: what is", "9: nobody"])

    def test_limit(self):
        self.put("a.rs", "// A line.\n" * 332 + "// nobody\n")
        self.assertFalse(self.check("wording.py", "a.rs")[0])
        self.put("a.rs", "// A line.\n" * 333 + "// nobody\n")
        self.assertTrue(self.check("wording.py", "a.rs")[0])

    def test_sources_without_a_repository(self):
        for name in ("src/a.rs", "target/b.rs", ".cache/c.rs"):
            self.put(name, "// nobody\n")
        self.put("target/CACHEDIR.TAG", "")
        passed, output = self.check("wording.py", "--all")
        self.assertFalse(passed)
        self.assertIn("\n1 faults in 1 lines", output)


if __name__ == "__main__":
    unittest.main()
