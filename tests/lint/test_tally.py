"""The counter of all tests: whatever is not plainly good is a failure."""
import contextlib
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tally  # noqa: E402


def state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


class Tally(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.tmp = pathlib.Path(tmp.name)

    def counted(self, call):
        count = tally.Count()
        with open(self.tmp / "err", "w") as err, contextlib.redirect_stderr(err):
            call(count)
        return count.passed, count.failed, count.skipped

    def meson(self, *tests):
        log = self.tmp / "meson-logs" / "testlog.json"
        log.parent.mkdir(exist_ok=True)
        log.write_text("".join(json.dumps({"name": "t", "stdout": out, "result": result}) + "\n" for out, result in tests))
        return self.counted(lambda count: tally.count_meson(self.tmp, count))

    def unit(self, name, body, head=""):
        """A file with one test."""
        path = self.tmp / f"test_{name}.py"
        path.write_text(f"{head}\nimport os, pathlib, subprocess, sys, time, unittest\nTMP = pathlib.Path({str(self.tmp)!r})\n"
                        f"class T(unittest.TestCase):\n    def test_{name}(self):\n        {body}\n")
        return str(path)

    def units(self, *paths, limit=tally.LIMIT_S):
        return self.counted(lambda count: tally.count_python(paths, count, limit))

    def python(self, body, limit=tally.LIMIT_S):
        self.unit("it", body)
        return self.units(str(self.tmp), limit=limit)

    def printed(self):
        """What each unit printed: its header -> lines."""
        out, last = {}, None
        for line in (self.tmp / "err").read_text().splitlines():
            if line.startswith("== "):
                last = out.setdefault(line, [])
            else:
                last.append(line)
        return out

    def test_meson(self):
        two = "1..2\nok 1 - a\nok 2 - b\n"
        self.assertEqual(self.meson((two, "OK")), (2, 0, 0))
        self.assertEqual(self.meson((two.replace("ok 2", "not ok 2"), "FAIL")), (1, 1, 0))
        self.assertEqual(self.meson(("ok 1 - a # SKIP why\n", "OK")), (0, 0, 1))
        for end in ("FAIL", "TIMEOUT", "INTERRUPT", "ERROR", "UNEXPECTEDPASS"):
            with self.subTest(end=end):
                self.assertEqual(self.meson((two, end)), (2, 1, 0))
                self.assertEqual(self.meson(("", end)), (0, 1, 0))
        self.assertEqual(self.meson(("", "OK")), (1, 0, 0))

    def test_no_log(self):
        self.assertEqual(self.counted(lambda count: tally.count_meson(self.tmp / "none", count)), (0, 1, 0))

    def test_python(self):
        self.assertEqual(self.python("pass"), (1, 0, 0))
        self.assertEqual(self.python("self.fail()"), (0, 1, 0))
        self.assertEqual(self.python("self.skipTest('x')"), (0, 0, 1))
        self.assertEqual(self.python("os._exit(0)"), (0, 1, 0))
        self.assertEqual(self.python("os.abort()"), (0, 1, 0))

    def test_nothing_ran(self):
        (self.tmp / "test_it.py").write_text("")
        self.assertEqual(self.units(str(self.tmp)), (0, 1, 0))
        self.assertEqual(self.units(str(self.tmp / "test_none.py")), (0, 1, 0))
        self.assertEqual(self.units(str(self.tmp / "none" / "test_none.py")), (0, 1, 0))

    def test_python_that_hangs(self):
        """It and what it started are killed; the other units and lanes go on."""
        ids = self.tmp / "ids"
        hangs = self.unit("hangs", f"p = subprocess.Popen(['sleep', '1000'], start_new_session=True); open({str(ids)!r}, 'w').write(str(p.pid)); p.wait()",
                          "# lane: same")
        after, beside = self.unit("after", "pass", "# lane: same"), self.unit("beside", "pass")
        for limit in (2, 20, 60):  # on a loaded machine it takes long until the test begins, and until the others are done
            found = self.units(hangs, after, beside, limit=limit)
            if found == (2, 1, 0) and ids.exists():
                break
        self.assertEqual(found, (2, 1, 0))
        end = time.monotonic() + 60
        while state(ids.read_text()) not in "ZX":  # a zombie where nobody reaps it
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        out = {header.split(":")[0]: lines for header, lines in self.printed().items()}[f"== {hangs}"]
        self.assertIn("test_hangs", out[0])
        self.assertEqual(out[-2], f"FAILED: {hangs} did not end within its time")

    def test_counts_of_units(self):
        """Files and directories add up, whichever end first."""
        other = self.tmp / "other"
        other.mkdir()
        (other / "test_two.py").write_text("import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): self.fail()\n")
        units = [self.unit("good", "pass"), self.unit("bad", "self.fail()"), self.unit("not", "self.skipTest('x')"), self.unit("gone", "os._exit(0)"),
                 self.unit("slow", "time.sleep(0.5)"), str(other)]
        self.assertEqual(self.units(*units), (3, 3, 1))
        found = {header.split(",")[0]: header for header in self.printed()}
        for unit, said in zip(units, ("1 passed", "0 passed", "0 passed", "0 passed", "1 passed", "1 passed")):
            self.assertIn(f"== {unit}: {said}", found)

    def test_side_by_side(self):
        """Each waits until all are there."""
        wait = "(TMP / str(os.getpid())).touch()\n        end = time.monotonic() + 60\n        " \
               f"while len([p for p in TMP.iterdir() if p.name.isdigit()]) < {tally.SIDE}: self.assertLess(time.monotonic(), end); time.sleep(0.01)"
        self.assertEqual(self.units(*(self.unit(f"u{i}", wait) for i in range(tally.SIDE))), (tally.SIDE, 0, 0))

    def test_one_lane(self):
        """Never two of the same at a time."""
        alone = "(TMP / 'here').mkdir(); time.sleep(0.3); (TMP / 'here').rmdir()"
        self.assertEqual(self.units(*(self.unit(f"u{i}", alone, "# lane: same") for i in range(tally.SIDE))), (tally.SIDE, 0, 0))

    def test_printed_whole(self):
        """Each unit's lines follow its header, whatever the others print meanwhile."""
        say = "[(print('mine', n, file=f, flush=True), time.sleep(0.002)) for n in range(200) for f in (sys.stdout, sys.stderr)]"
        units = [self.unit(f"u{i}", say.replace("mine", f"unit {i}")) for i in range(tally.SIDE)]
        self.assertEqual(self.units(*units), (tally.SIDE, 0, 0))
        out = self.printed()
        self.assertEqual(len(out), tally.SIDE)
        for header, lines in out.items():
            i = str(units.index(header[3:].split(":")[0]))
            self.assertEqual(re.findall(r"unit (\d+) (\d+)", "\n".join(lines)), [(i, str(n)) for n in range(200) for _ in "ab"])

    def test_databases(self):
        """Each unit is told one of its own, which is made for it; when it cannot be made, that is a failure."""
        client = self.tmp / "bin" / "mariadb"
        client.parent.mkdir()
        client.write_text(f"#!/bin/sh\necho \"$*\" >> {self.tmp}/made\ntest ! -e {self.tmp}/full\n")
        client.chmod(0o755)
        env = {"PATH": f"{client.parent}:{os.environ['PATH']}", "WEIR_TEST_MYSQL": "mysql://u@localhost/some?socket=/s"}
        told = "open(TMP / 'told', 'a').write(os.environ['WEIR_TEST_MYSQL'] + '\\n')"
        units = [self.unit(name, told) for name in "ab"]
        with unittest.mock.patch.dict(os.environ, env):
            self.assertEqual(self.units(*units), (2, 0, 0))
            (self.tmp / "full").touch()
            self.assertEqual(self.units(*units), (0, 2, 0))
        self.assertEqual(sorted((self.tmp / "told").read_text().split()), [f"mysql://u@localhost/some_{n}?socket=/s" for n in (1, 2)])
        self.assertEqual(sorted((self.tmp / "made").read_text().splitlines())[::2],
                         [f"--no-defaults -u u -S /s -e CREATE DATABASE IF NOT EXISTS some_{n}" for n in (1, 2)])

    def test_files_that_use_nobody(self):
        """They count its processes and limit them: a file with that user is in that lane."""
        tests = pathlib.Path(tally.__file__).parent
        for path in sorted(p for name in ("api", "e2e", "crash") for p in (tests / name).glob("*.py")):
            text = path.read_text()
            lane = tally.LANE.search(text)
            self.assertEqual(bool(re.search(r"\"nobody\"|\b65534\b", text)), bool(lane) and lane[1] == "nobody", path)


if __name__ == "__main__":
    unittest.main()
