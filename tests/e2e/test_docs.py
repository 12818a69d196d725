"""What the README, the tutorial and the API's reference show is true: their commands run, in order, against a fresh server, and
answer what stands below them. The demo of `./dev run`, too."""
import json
import re
import shutil
import subprocess
import sys
import unittest

from live import LIMIT_S, ROOT, Server, directory, until

BLOCK = re.compile(r"<!-- test -->\n```sh\n(.*?)```(?:\n```json\n(.*?)```)?", re.S)


def contains(got, want):
    """Is want part of got? Objects by the keys wanted, arrays element by element."""
    if isinstance(want, dict):
        return isinstance(got, dict) and all(k in got and contains(got[k], v) for k, v in want.items())
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(contains, got, want))
    return got == want


class Docs(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.server = Server(tmp.__enter__() / "data")
        self.addCleanup(tmp.__exit__, None, None, None)
        self.addCleanup(self.server.kill)

    def answer(self, script):
        """The last line that the script prints, as JSON."""
        done = subprocess.run(["sh", "-ec", script.replace("localhost:8088", self.server.url)], cwd=ROOT, capture_output=True, text=True,
                              timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        decoder, text, answer = json.JSONDecoder(), done.stdout.strip(), None
        while text:
            answer, end = decoder.raw_decode(text)
            text = text[end:].strip()
        return answer

    def play(self, path, least):
        blocks = BLOCK.findall((ROOT / path).read_text())
        self.assertGreaterEqual(len(blocks), least)
        for script, want in blocks:
            first = self.answer(script)
            self.assertEqual(first["code"], json.loads(want or "{}").get("code", "200"))
            if not want or contains(first, json.loads(want)):
                continue
            self.assertIn("/monitor/", script, f"{script} answered {first}")
            until(f"{script} answers {want}", lambda: contains(self.answer(script), json.loads(want)))
        self.assertEqual(self.server.stop(), 0)

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_readme(self):
        self.play("README.md", 6)

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_tutorial(self):
        self.play("docs/tutorial/pipeline.md", 8)

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_reference(self):
        self.play("docs/reference/api.md", 6)

    def test_demo(self):
        done = subprocess.run([sys.executable, ROOT / "examples" / "demo.py", self.server.url], capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("SUCCESS", done.stdout)
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
