#!/usr/bin/env python3
"""Counts what meson's test logs say, runs the Python tests, and ends with one line: N passed, N failed[, N skipped].

Single cases count, not binaries: each line of TAP, each Python test. A program that ends badly without a failing line
counts as one failure; so does a log that is missing, or a directory of tests that does not end in its time: it is killed with all
that it started. Exit status 0 only when something ran and nothing failed.

    tally.py --meson BUILD.. --python DIR..
"""
import argparse
import contextlib
import json
import pathlib
import os
import re
import signal
import subprocess
import sys
import threading

TAP = re.compile(r"^(not )?ok\b(.*)$", re.M)
RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
PART = re.compile(r"(failures|errors|skipped|unexpected successes)=(\d+)")
GOOD = {"OK", "EXPECTEDFAIL"}
LIMIT_S = 1200  # of one directory of Python tests


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def line(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def count_test(test, count):
    """One test program of a meson log."""
    lines = TAP.findall(test.get("stdout", ""))
    if not lines:
        if test["result"] in GOOD:
            count.passed += 1
        elif test["result"] == "SKIP":
            count.skipped += 1
        else:
            count.failed += 1
        return
    failed = 0
    for bad, rest in lines:
        if re.search(r"#\s*skip", rest, re.I):
            count.skipped += 1
        elif bad:
            failed += 1
        else:
            count.passed += 1
    if not failed and test["result"] not in GOOD | {"SKIP"}:
        failed = 1
    count.failed += failed


def count_meson(build, count):
    log = pathlib.Path(build) / "meson-logs" / "testlog.json"
    if not log.exists():
        print(f"tally: {log} is missing", file=sys.stderr)
        count.failed += 1
        return
    for line in log.read_text().splitlines():
        test = json.loads(line)
        before = count.failed
        count_test(test, count)
        if count.failed > before:
            print(f"FAILED in {build}: {test['name']} ({test['result']})", file=sys.stderr)


def family(pid):
    """The process and all below it."""
    pids = [pid]
    for parent in pids:
        with contextlib.suppress(OSError):  # one that has ended
            for task in os.listdir(f"/proc/{parent}/task"):
                pids += map(int, pathlib.Path(f"/proc/{parent}/task/{task}/children").read_text().split())
    return pids


def end(run, directory):
    """The last line that it wrote says in which test it stands."""
    print(f"FAILED: {directory} did not end within its time", file=sys.stderr)
    for pid in reversed(family(run.pid)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def count_python(directory, count, limit=LIMIT_S):
    if not any(pathlib.Path(directory).glob("test*.py")):
        return
    with subprocess.Popen([sys.executable, "-m", "unittest", "discover", "-v", "-s", directory], stdout=sys.stderr, stderr=subprocess.PIPE,
                          text=True, errors="replace") as run:
        watch = threading.Timer(limit, end, (run, directory))
        watch.start()
        text = []
        for line in run.stderr:
            sys.stderr.write(line)
            text.append(line)
    watch.cancel()
    add_python("".join(text), run.returncode, count)


def add_python(text, status, count):
    """The summary of one run of unittest."""
    ran = RAN.search(text)
    if not ran:
        count.failed += 1
        return
    parts = {name: int(n) for name, n in PART.findall(text[ran.end():])}
    skipped = parts.get("skipped", 0)
    failed = parts.get("failures", 0) + parts.get("errors", 0) + parts.get("unexpected successes", 0)
    if status != 0 and failed == 0:
        failed = 1
    count.skipped += skipped
    count.failed += failed
    count.passed += max(0, int(ran.group(1)) - skipped - failed)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--meson", nargs="*", default=[])
    args.add_argument("--python", nargs="*", default=[])
    args = args.parse_args()
    count = Count()
    for build in args.meson:
        count_meson(build, count)
    for directory in args.python:
        count_python(directory, count)
    sys.stderr.flush()
    print(count.line(), flush=True)
    return 0 if count.passed and not count.failed else 1


if __name__ == "__main__":
    sys.exit(main())
