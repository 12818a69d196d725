"""Damaged SQLite files: a small store with live work, changed at random places, value by value or byte by byte, then started.

Whatever stands there, the server must not crash, hang or spin at the start: it serves (and sets aside what it cannot read)
or it ends with a sentence that names the file. WEIR_DAMAGES=N: how many; WEIR_DAMAGE_SEED=N begins there.
"""
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import live  # noqa: E402
from live import Server, directory, until  # noqa: E402

DAMAGES = int(os.environ.get("WEIR_DAMAGES", "24"))
SEED = int(os.environ.get("WEIR_DAMAGE_SEED", "1"))
ANSWER_S = 30
BAD = re.compile(r"Sanitizer|runtime error|assert|SIGSEGV|weir: .*:\d+: ")
NUMBERS = [0, 1, -1, 2, 5, 9, 12, 255, 256, 70000, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
TEXTS = ["", "0", "1:1", "-1:-1", "9007199254740991:9007199254740991", "1:1,", "1:1,1:1", "99999999999999999999:1", "x", "{", "[]", "null", "{\"a\":1}",
         "1,2,3", "\u0000", "START", "a" * 5000, "0:0,1:0,2:0", "4294967295:1", "4294967294:0"]
TABLES = ["task_flow_ins", "task_node_ins", "task_ins", "task_alone", "task_flow_history", "task_flow", "task_node", "task_node_edge", "task",
          "task_history", "id_block", "engine_node", "task_attempt", "idempotency", "installation", "task_use", "definitions"]


def make_store(data):
    """Flows that wait, ended ones, one that was run again, tasks alone; then kill -9 and one file without a WAL."""
    server = Server(data, "--slots", "2")
    wait = {"tasks": [{"taskName": "w", "taskType": "WAIT", "taskContent": "1h"}]}
    echo = {"tasks": [{"taskName": "e", "taskType": "ECHO", "taskContent": "x"}, {"taskName": "f", "taskType": "ECHO", "taskContent": "y"}]}
    fail = {"tasks": [{"taskName": "x", "taskType": "SHELL", "taskContent": "exit 1", "taskConfig": {"attempts": 2, "backoff": {"base": "1ms"}}}]}
    sleep = {"tasks": [{"taskName": "s", "taskType": "SHELL", "taskContent": "sleep 600"}]}
    server.flow(echo, wait, echo)
    server.flow(echo, sleep)
    server.flow(*[dict(wait, nodeKey=f"n{i}", **({"prevNodes": [f"n{i // 2}"]} if i > 1 else {})) for i in range(1, 8)], timeout="2h")
    server.ended(server.flow(echo, echo))
    failed = server.flow(echo, fail)
    server.ended(failed)
    task = server.post("/task", {"taskName": "alone", "taskType": "WAIT", "taskContent": "1h"})["taskId"]
    for _ in range(3):
        server.post(f"/exec/task/{task}")
    server.process.kill()
    server.process.wait()
    with sqlite3.connect(data / "weir.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def damage(path, rnd):
    """Returns what was done."""
    kind = rnd.random()
    if kind < 0.65:
        return damage_values(path, rnd)
    size = path.stat().st_size
    if kind < 0.75:
        os.truncate(path, max(0, size - rnd.choice([1, 512, 2048, 4096, 6144, size // 2])))
        return "cut"
    spots = []
    with open(path, "r+b") as f:
        for _ in range(rnd.choice([1, 1, 3, 30])):
            at = rnd.randrange(100, size)
            f.seek(at)
            f.write(rnd.randbytes(rnd.choice([1, 1, 4, 64])))
            spots.append(at)
    return f"bytes {spots}"


def damage_values(path, rnd):
    done = []
    db = sqlite3.connect(path)
    try:
        for _ in range(rnd.choice([1, 1, 2, 5])):
            table = rnd.choice(TABLES[:7] if rnd.random() < 0.7 else TABLES)
            columns = [(c[1], c[2]) for c in db.execute(f"PRAGMA table_info({table})")]
            name, kind = rnd.choice(columns)
            value = rnd.choice(NUMBERS if kind == "INTEGER" else TEXTS)
            value = None if rnd.random() < 0.1 else value.encode() if kind == "BLOB" and isinstance(value, str) else value
            try:
                db.execute(f"UPDATE OR IGNORE {table} SET \"{name}\"=? WHERE rowid=(SELECT rowid FROM {table} ORDER BY random() LIMIT 1)" if table not in
                           ("id_block", "task_flow_history", "task_node_edge", "task_attempt", "idempotency", "task_use") else
                           f"UPDATE OR IGNORE {table} SET \"{name}\"=?", (value,))
                done.append(f"{table}.{name}={str(value)[:30]}")
            except sqlite3.Error as error:
                done.append(str(error))
        db.commit()
    finally:
        db.close()
    return "; ".join(done)


class Started:
    """A server that may refuse to start."""

    def __init__(self, data):
        self.lines, self.url, self.told = [], None, threading.Event()
        self.process = subprocess.Popen([live.BIN, "server", "--dev", "--data", str(data), "--listen", "127.0.0.1:0", "--slots", "2"],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", env=live.CLEAN_ENV)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            match = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
            if match:
                self.url = match.group(1)
                self.told.set()
        self.told.set()

    def ask(self, method, path, body=None):
        """The status; any answer will do, but there must be one."""
        at = urllib.parse.urlsplit(self.url)
        link = http.client.HTTPConnection(at.hostname, at.port, timeout=ANSWER_S)
        try:
            link.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = link.getresponse()
            answer.read()
            return answer.status
        finally:
            link.close()


class Damage(unittest.TestCase):
    def one(self, made, tmp, seed):
        rnd = random.Random(seed)
        data = tmp / f"d{seed}"
        shutil.copytree(made, data, ignore=lambda d, names: [n for n in names if n in ("run", "lock")])
        what = damage(data / "weir.db", rnd)
        server = Started(data)
        try:
            self.assertTrue(server.told.wait(ANSWER_S * 2), f"seed {seed} ({what}): neither started nor ended")
            if server.url:
                for method, path, body in (
                        ("GET", "/readyz", None), ("GET", "/monitor/flow?limit=50&total=true", None), ("GET", "/flow", None), ("GET", "/task", None),
                        *(("GET", f"/monitor/flow/{i}", None) for i in range(1, 6)), ("GET", "/flow/1", None), ("GET", "/monitor/task/1", None),
                        ("GET", "/monitor/task/1/log", None), ("POST", "/exec/flow/1", "{}"), ("POST", "/exec/flow/4", "{}"),
                        ("POST", "/task", '{"taskName":"n","taskType":"ECHO"}'), ("POST", "/exec/flow-ins/3/cancel", None), ("GET", "/livez", None)):
                    server.ask(method, path, body)
                server.process.send_signal(signal.SIGTERM)
            code = server.process.wait(ANSWER_S * 2)
            server.thread.join(ANSWER_S)
            text = "".join(server.lines)
            self.assertIsNone(BAD.search(text), f"seed {seed} ({what}): {text[-3000:]}")
            self.assertGreaterEqual(code, 0, f"seed {seed} ({what}): {text[-3000:]}")
            if not server.url:
                self.assertIn(code, (4, 5), f"seed {seed} ({what}): {text[-2000:]}")
                self.assertIn("weir.db", text, f"seed {seed} ({what})")
        except (OSError, http.client.HTTPException, subprocess.TimeoutExpired) as error:
            raise AssertionError(f"seed {seed} ({what}): {error!r}\n{''.join(server.lines)[-3000:]}") from None
        finally:
            server.process.kill()
            server.process.wait()
            server.thread.join(ANSWER_S)
            server.process.stderr.close()
            shutil.rmtree(data, ignore_errors=True)

    def test_damaged_files_neither_crash_nor_hang(self):
        with directory() as tmp:
            made = tmp / "made"
            make_store(made)
            for seed in range(SEED, SEED + DAMAGES):
                with self.subTest(seed=seed):
                    self.one(made, tmp, seed)


if __name__ == "__main__":
    unittest.main()
