"""The tree keeps the rules, and the rules notice when it does not."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import rules

BUILD = pathlib.Path(os.environ.get("WEIR_LINT_BUILD", rules.ROOT / "build"))


class Tree(unittest.TestCase):
    def test_layers(self):
        self.assertEqual(rules.layers(), [])

    def test_sizes(self):
        self.assertEqual(rules.sizes(), [])

    def test_numbers(self):
        self.assertEqual(rules.numbers(), [])

    def test_heads(self):
        self.assertEqual(rules.heads(), [])

    def test_widths(self):
        self.assertEqual(rules.widths(), [])

    def test_nothing_is_exported_for_nobody(self):
        self.assertEqual(rules.lonely(BUILD), [])

    def test_core_is_pure(self):
        archive = BUILD / "engine" / "core" / "libcore.a"
        self.assertTrue(archive.exists(), f"{archive} is missing: build first")
        self.assertEqual(rules.purity(archive), [])

    def test_public_header_compiles_alone(self):
        header = rules.ROOT / "executors" / "abi" / "weir_executor.h"
        flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        subprocess.run(["gcc", "-std=c99", *flags, "-x", "c", str(header)], check=True)


class Rules(unittest.TestCase):
    """Each rule, on a tree with one breach."""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.dir.name)
        self.addCleanup(self.dir.cleanup)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def test_upward_include(self):
        self.write("engine/store/store.h", "/* store */\n")
        self.write("engine/core/run.c", '/* run */\n#include "store.h"\n')
        self.assertEqual(rules.layers(self.root), ["engine/core/run.c includes store.h of engine/store"])

    def test_library_in_the_wrong_place(self):
        self.write("engine/runner/a.c", "/* a */\n#include <hiredis/hiredis.h>\n")
        self.write("engine/queue/redis.c", "/* b */\n#include <hiredis/hiredis.h>\n")
        self.assertEqual(rules.layers(self.root), ["engine/runner/a.c includes <hiredis/hiredis.h>"])

    def test_long_function(self):
        body = "  x++;\n" * 60
        self.write("cli/a.c", f"/* a */\nstatic int f(int x) {{\n{body}}}\nint g(int x);\nint h(\n    int x) {{\n  return x;\n}}\n")
        self.assertEqual(rules.sizes(self.root), ["cli/a.c: f() has 62 lines, at most 60"])

    def test_long_file(self):
        self.write("cli/a.c", "/* a */\n" + "\n" * 800)
        self.assertEqual(rules.sizes(self.root), ["cli/a.c has 801 lines, at most 800"])

    def test_wide_line(self):
        self.write("api/a.c", "/* a */\n" + "x" * 130 + "\n" + "x" * 131 + "\n")
        self.assertEqual(rules.widths(self.root), ["api/a.c:3 has 131 columns, at most 130"])

    def test_exported_for_nobody(self):
        self.write("compile_commands.json", json.dumps([{"output": name} for name in ("a.o", "b.o", "tests/c.o")]))
        for name, text in (("a", "int f(void) { return 1; } int g(void) { return 2; } int h(void) { return 3; } static int s; int *k(void) { return &s; }"),
                           ("b", "int g(void); int main(void) { return g(); }"), ("tests/c", "int h(void); int t(void) { return h(); }")):
            source = self.write(f"{name}.c", text)
            subprocess.run(["gcc", "-c", source, "-o", self.root / f"{name}.o"], check=True)
        self.assertEqual(rules.lonely(self.root), ["nothing but a.o uses f", "nothing but a.o uses k"])

    def test_no_head(self):
        self.write("cli/a.c", "int x;\n")
        self.assertEqual(rules.heads(self.root), ["cli/a.c does not open with a comment"])

    def test_another_writer_of_numbers(self):
        self.write("executors/a.c", "char *f(json_t *v) { return json_dumps(v, 0); }\n")
        self.write("engine/model/json.c", "char *f(json_t *v) { return json_dumps(v, 0); }\n")
        self.assertEqual(rules.numbers(self.root), ["executors/a.c writes JSON without json_text()"])

    def test_impure(self):
        source = self.write("a.c", "#include <time.h>\nlong f(void);\nlong f(void) { return time(0); }\n")
        subprocess.run(["gcc", "-c", source, "-o", self.root / "a.o"], check=True)
        subprocess.run(["ar", "rcs", self.root / "liba.a", self.root / "a.o"], check=True)
        self.assertEqual(rules.purity(self.root / "liba.a"), ["core asks for time"])


if __name__ == "__main__":
    unittest.main()
