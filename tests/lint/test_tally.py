"""The counter of all tests: whatever is not plainly good is a failure."""
import contextlib
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tally  # noqa: E402


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

    def python(self, body, limit=tally.LIMIT_S):
        (self.tmp / "test_it.py").write_text(f"import unittest, os, subprocess\nclass T(unittest.TestCase):\n    def test_it(self):\n        {body}\n")
        return self.counted(lambda count: tally.count_python(str(self.tmp), count, limit))

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

    def test_python_that_hangs(self):
        """It and what it started are killed; both hold the pipe that is read to its end."""
        self.assertEqual(self.python("subprocess.run(['sleep', '1000'], start_new_session=True)", limit=1), (0, 1, 0))


if __name__ == "__main__":
    unittest.main()
