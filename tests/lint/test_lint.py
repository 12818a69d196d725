"""The tree keeps the rules, and the rules notice when it does not."""
import json
import os
import pathlib
import re
import shutil
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

    def test_abi_only(self):
        self.assertEqual(rules.abi_only(), [])

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

    def test_layers_call_what_they_include(self):
        for layer in rules.LAYERS:
            if (rules.ROOT / layer / "meson.build").exists() and list((rules.ROOT / layer).glob("*.c")):
                self.assertTrue(list((BUILD / layer).glob("*.a*")) or layer == "cli", f"{layer} is not built: build first")
        self.assertEqual(rules.layer_calls(BUILD), [])

    def test_no_circle(self):
        for name in rules.ORDERED:
            folder, objects = rules.ROOT / name, BUILD / name / f"lib{pathlib.Path(name).name}.a.p"
            self.assertTrue(objects.exists(), f"{objects} is missing: build first")
            self.assertEqual(sorted(rules.order(folder)), sorted(p.stem for p in folder.glob("*.c")))
            self.assertEqual(rules.calls(folder, objects), [])
            self.assertEqual(rules.includes(folder), [])

    def test_the_order_is_the_one_that_the_header_tells(self):
        folder = rules.ROOT / "engine/runner"
        told = re.findall(r"^ \*   (\w+)\.c ", (folder / "runner_int.h").read_text(), re.M)
        self.assertEqual(told, rules.order(folder)[-len(told):])

    def test_public_header_compiles_alone(self):
        header = rules.ROOT / "executors" / "abi" / "weir_executor.h"
        flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        subprocess.run(["gcc", "-std=c99", *flags, "-x", "c", str(header)], check=True)
        subprocess.run(["gcc", "-std=c99", "-DWX_BUILTIN", *flags, "-x", "c", str(header)], check=True)
        if shutil.which("g++"):
            subprocess.run(["g++", "-std=c++11", *flags, "-x", "c++", str(header)], check=True)


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

    def test_executor_that_knows_more(self):
        self.write("executors/a.c", '/* a */\n#include <stdio.h>\n#include "weir_executor.h"\n')
        self.write("executors/b.c", '/* b */\n#include <jansson.h>\n#include <sys/wait.h>\n#include "mem.h"\n#include <weir_executor.h>\n')
        others = ("<jansson.h>", "<sys/wait.h>", '"mem.h"', "<weir_executor.h>")
        self.assertEqual(rules.abi_only(self.root), [f"executors/b.c includes {n}" for n in others])

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

    def objects(self, **files):
        """A folder `room` with these files in that order, compiled."""
        self.write("room/meson.build", f"files({', '.join(repr(n + '.c') for n in files)})")
        for name, text in files.items():
            source = self.write(f"room/{name}.c", text)
            subprocess.run(["gcc", "-c", source, "-o", self.root / "room" / f"{name}.c.o"], check=True)
        return self.root / "room"

    def test_call_of_one_that_stands_behind(self):
        room = self.objects(low="int high(void); int low(void); int low(void) { return high(); }",
                            high="int low(void); int high(void); int high(void) { return low() + 1; }")
        self.assertEqual(rules.order(room), ["low", "high"])
        self.assertEqual(rules.calls(room, room), ["low.c calls high of high.c, which stands behind it"])

    def test_include_of_one_that_stands_behind(self):
        for name, text in {"low.h": '#include "room.h"\n#include "between.h"\n', "high.h": '#include "low.h"\n', "between.h": '#include "high.h"\n',
                           "room.h": "", "low.c": '#include "all.h"\n', "high.c": '#include "high.h"\n', "all.h": '#include "high.h"\n'}.items():
            self.write("room/" + name, text)
        self.write("room/meson.build", "files('low.c', 'high.c')")
        bad = rules.includes(self.root / "room")
        self.assertIn("low.c includes all.h, which stands behind it", bad)
        self.assertIn("low.h includes between.h, which stands behind it", bad)
        self.assertIn("a circle: high.h low.h between.h high.h", bad)
        self.write("room/low.h", '#include "room.h"\n')
        self.write("room/low.c", '#include "low.h"\n')
        self.assertEqual(rules.includes(self.root / "room"), [])
        self.write("room/room.h", '#include "low.h"\n')
        self.assertIn("room.h includes low.h", rules.includes(self.root / "room"))

    def test_call_upward(self):
        for layer, text in {"engine/core": "int store_x(void); int core_x(void); int core_x(void) { return store_x(); }",
                            "engine/store": "int core_x(void); int store_x(void); int store_x(void) { return core_x(); }"}.items():
            source = self.write(f"{layer}/a.c", text)
            subprocess.run(["gcc", "-c", source, "-o", self.root / layer / "a.o"], check=True)
            subprocess.run(["ar", "rcs", self.root / layer / "liba.a", self.root / layer / "a.o"], check=True)
        self.assertEqual(rules.layer_calls(self.root), ["engine/core calls store_x of engine/store"])


if __name__ == "__main__":
    unittest.main()
