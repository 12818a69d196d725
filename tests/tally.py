#!/usr/bin/env python3
"""Counts what meson's test logs say, runs the Python tests, and ends with one line: N passed, N failed[, N skipped].

Single cases count, not binaries: each line of TAP, each Python test. A program that ends badly without a failing line
counts as one failure; so does a log that is missing, a unit of Python tests in which nothing ran, or one that does not end in
its time: it is killed with all that it started. Exit status 0 only when something ran and nothing failed.

A unit is what one process of unittest runs: a directory, or one file. SIDE units run at a time, each on a database of its own.
Files with the same line `# lane: NAME` never run at the same time. What a unit prints is kept, and is written whole when it ends.

    tally.py --meson BUILD.. --python DIR_OR_FILE..
"""
import argparse
import concurrent.futures
import contextlib
import json
import pathlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

TAP = re.compile(r"^(not )?ok\b(.*)$", re.M)
RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
PART = re.compile(r"(failures|errors|skipped|unexpected successes)=(\d+)")
GOOD = {"OK", "EXPECTEDFAIL"}
LANE = re.compile(r"^# lane: (\w+)", re.M)
SIDE = 3  # units at a time on two cores: a test waits more than it works
LIMIT_S = 1200  # of one unit


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def line(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


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


def end(run):
    for pid in reversed(family(run.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def tests_of(unit):
    """Its directory, and which of the files there."""
    path = pathlib.Path(unit)
    return (path, "test*.py") if path.is_dir() else (path.parent, path.name)


def lanes(units):
    """Lists of (number, unit); the units of one follow each other. The largest files come first: what is left over at the end,
    when fewer than SIDE are left, is short. No times are known in a new clone, and none are kept here to grow old."""
    found = {}
    for number, unit in enumerate(units, 1):
        path = pathlib.Path(unit)
        named = LANE.search(path.read_text()) if path.is_file() else None
        found.setdefault((named[1],) if named else unit, []).append((number, unit))

    def size(lane):
        return sum(file.stat().st_size for _, unit in lane for file in tests_of(unit)[0].glob(tests_of(unit)[1]))
    return sorted(found.values(), key=size, reverse=True)


def environment(number):
    """With a database of its own on the server of WEIR_TEST_MYSQL, if there is one: no unit meets another's rows and locks."""
    url = os.environ.get("WEIR_TEST_MYSQL")
    if not url:
        return os.environ
    parts = urllib.parse.urlsplit(url)
    name, socket = f"{parts.path[1:]}_{number}", urllib.parse.parse_qs(parts.query)["socket"][0]
    client = ["mariadb", "--no-defaults", "-u", parts.username, "-S", socket]
    subprocess.run([*client, "-e", f"CREATE DATABASE IF NOT EXISTS {name}"], check=True)
    return {**os.environ, "WEIR_TEST_MYSQL": parts._replace(path=f"/{name}").geturl()}


def run_unit(unit, env, limit):
    """What it printed, and its status. It prints into a file: nobody waits for what it leaves behind."""
    directory, files = tests_of(unit)
    command = [sys.executable, "-m", "unittest", "discover", "-v", "-s", directory, "-p", files]
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "printed"
        with path.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out, env=env) as run:
            late = ""
            try:
                run.wait(limit)
            except subprocess.TimeoutExpired:
                late = f"\nFAILED: {unit} did not end within its time\n"  # the line before says in which test it stood
                end(run)
        return path.read_text(errors="replace") + late, run.returncode


def count_python(units, count, limit=LIMIT_S):
    lock = threading.Lock()

    def one(number, unit):
        began = time.monotonic()
        try:
            text, status = run_unit(unit, environment(number), limit)
        except Exception:  # it did not even begin: a failure, and the others go on
            text, status = traceback.format_exc(), 1
        mine = Count()
        add_python(text, status, mine)
        with lock:
            count.add(mine)
            print(f"== {unit}: {mine.line()}, {time.monotonic() - began:.0f} s\n{text}", file=sys.stderr, flush=True)

    def run_lane(lane):
        for number, unit in lane:
            one(number, unit)

    with concurrent.futures.ThreadPoolExecutor(SIDE) as pool:
        for _ in pool.map(run_lane, lanes(units)):
            pass


def add_python(text, status, count):
    """The summary of one run of unittest."""
    ran = [None, *RAN.finditer(text)][-1]
    if not ran or ran[1] == "0":
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
    count_python(args.python, count)
    sys.stderr.flush()
    print(count.line(), flush=True)
    return 0 if count.passed and not count.failed else 1


if __name__ == "__main__":
    sys.exit(main())
