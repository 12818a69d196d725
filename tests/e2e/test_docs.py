"""README, tutorials and API reference are true: their commands run, in order and in one shell, and print the text below them. README and
tutorials run after `./dev run`, as they tell their reader; so `./dev run` is tested, too."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import unittest

from live import CLEAN_ENV, LIMIT_S, ROOT, Server, directory, until

BLOCK = re.compile(r"<!-- test -->\n```sh\n(.*?)```(?:\n+```(json|text)\n(.*?)```)?", re.S)
DONE = "-- the block is done --"


def contains(got, want):
    """Is want part of got? Objects by the keys wanted, arrays element by element."""
    if isinstance(want, dict):
        return isinstance(got, dict) and all(k in got and contains(got[k], v) for k, v in want.items())
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(contains, got, want))
    return got == want


class Terminal:
    """A shell that a reader types into: the next block sees the variables of the one before."""

    def __init__(self, url):
        self.url = url
        self.process = subprocess.Popen(["sh"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=CLEAN_ENV)
        self.guard = threading.Timer(4 * LIMIT_S, self.process.kill)
        self.guard.start()

    def type(self, block):
        """What it prints."""
        self.process.stdin.write(block.replace("localhost:8088", self.url.removeprefix("http://")) + f"\necho; echo '{DONE}'\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == DONE:
                return "".join(lines).strip()
            lines.append(line)
        raise AssertionError(f"the shell ended in:\n{block}\n{''.join(lines)}")

    def close(self):
        self.guard.cancel()
        self.process.stdin.close()
        self.process.wait(LIMIT_S)
        self.process.stdout.close()


class DevRun:
    """`./dev run` on a free port, with a data directory of its own."""

    def __init__(self, *options):
        self.process = subprocess.Popen([ROOT / "dev", "run", "--listen", "127.0.0.1:0", *options], cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=CLEAN_ENV, start_new_session=True,
                                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell in the background ignores it
        self.url, self.lines = None, []
        for line in self.process.stdout:
            self.lines.append(line)
            match = re.match(r"== serving on (http://\S+) until Ctrl-C", line)
            if match:
                self.url = match.group(1)
                break
        if not self.url:
            self.close()
            raise AssertionError("./dev run does not serve:\n" + "".join(self.lines))
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def stop(self):
        os.killpg(self.process.pid, signal.SIGINT)  # as Ctrl-C does
        return self.process.wait(LIMIT_S)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(LIMIT_S)
        if hasattr(self, "reader"):
            self.reader.join(LIMIT_S)
        self.process.stdout.close()


@unittest.skipUnless(shutil.which("curl") and shutil.which("jq"), "no curl, no jq")
class Docs(unittest.TestCase):
    def holds(self, printed, form, want):
        """Does the printed text end with the text that the page shows?"""
        if form == "text":
            return printed == want.strip()
        decoder, answer = json.JSONDecoder(), None
        while printed:
            answer, end = decoder.raw_decode(printed)
            printed = printed[end:].strip()
        return contains(answer, json.loads(want))

    def play(self, terminal, path, least):
        blocks = BLOCK.findall((ROOT / path).read_text())
        self.assertGreaterEqual(len(blocks), least)
        for block, form, want in blocks:
            printed = terminal.type(block)
            if not form:
                self.assertNotRegex(printed, r'"error"|curl: |: not found|jq: ', block)
                continue
            try:
                if self.holds(printed, form, want):
                    continue
            except json.JSONDecodeError:
                self.fail(f"{path}:\n{block}\nprinted {printed}")
            ask = [line for line in block.splitlines() if "/monitor/" in line and not re.match(r"\w+(=|\()", line)]
            self.assertTrue(ask, f"{path}:\n{block}\nprinted {printed}")
            again = "\n".join(ask)
            until(f"{again} answers {want}", lambda: self.holds(terminal.type(again), form, want))

    def terminal(self, url):
        terminal = Terminal(url)
        self.addCleanup(terminal.close)
        return terminal

    def test_pages_after_dev_run(self):
        """README, then the tutorials, then the README once more: the pages hold on a store that is empty and on one that is not."""
        tmp = directory()
        data = tmp.__enter__() / "data"
        self.addCleanup(tmp.__exit__, None, None, None)
        dev = DevRun("--data", data)
        self.addCleanup(dev.close)
        terminal = self.terminal(dev.url)
        for route in ("task", "flow", "monitor/flow"):
            self.assertEqual(json.loads(terminal.type(f"curl -sS localhost:8088/{route}"))["data"], [], "the sample is not played in this store")
        self.play(terminal, "README.md", 4)
        self.play(terminal, "docs/tutorial/pipeline.md", 9)
        self.play(terminal, "docs/tutorial/async-task.md", 12)
        self.play(terminal, "docs/tutorial/job.md", 8)
        self.play(terminal, "README.md", 4)
        self.assertEqual(dev.stop(), 0)
        printed = "".join(dev.lines)
        self.assertIn("flow 1: SUCCESS", printed)

    def test_reference(self):
        with directory() as tmp:
            server = Server(tmp / "data")
            self.addCleanup(server.kill)
            self.play(self.terminal(server.url), "docs/reference/api.md", 6)
            self.play(self.terminal(server.url), "docs/how-to/queues.md", 1)
            self.assertEqual(server.stop(), 0)

    def test_dev_run_once(self):
        done = subprocess.run([ROOT / "dev", "run", "--once"], cwd=ROOT, capture_output=True, text=True, timeout=4 * LIMIT_S, env=CLEAN_ENV)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("flow 1: SUCCESS", done.stdout)
        self.assertLessEqual(len(done.stdout.splitlines()), 15, done.stdout)  # a stranger reads it
        self.assertNotIn("{", done.stdout)


if __name__ == "__main__":
    unittest.main()
