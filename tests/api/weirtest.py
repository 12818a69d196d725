"""What the API tests share: a running server, requests, raw bytes.

The server is the one at WEIR_URL, or one that is started here: WEIR_BIN (default build/weir) with --dev on a free port
and a data directory of its own. After every test the server must answer /readyz with 200 (class Case). Every answer that comes
through here is held against schema/openapi.json (openapi.py).
"""
import atexit
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from urllib.parse import urlsplit

from openapi import JUDGE

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.path.abspath(os.environ.get("WEIR_BIN", str(ROOT / "build" / "weir")))
PATIENCE = 60  # seconds until a test gives up waiting; never an expectation


class Server:
    """A server process with its own data directory. cwd: where it, and with it every SHELL task, stands."""

    def __init__(self, *options, dev=True, cwd=None):
        self.dir = tempfile.mkdtemp(prefix="weir-api-")
        args = [BIN, "server", "--data", self.dir, "--listen", "127.0.0.1:0", *options]
        if dev:
            args.append("--dev")
        env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
        self.process = subprocess.Popen(args, stderr=subprocess.PIPE, text=True, env=env, cwd=cwd)
        self.lines = []
        self.host, self.port = None, None
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.match(r"listening on http://([^:]+):(\d+)", line)
            if found:
                self.host, self.port = found[1], int(found[2])
                break
        if self.port is None:
            raise RuntimeError("the server did not start: " + "".join(self.lines))
        self.reader = threading.Thread(target=self._drain, daemon=True)
        self.reader.start()

    def _drain(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def stop(self):
        if self.process.stderr.closed:
            return self.process.returncode
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.process.stderr.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return status


class Given:
    """The server at WEIR_URL."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.host, self.port, self.dir = parts.hostname, parts.port or 80, None

    def stop(self):
        return 0


_server = None


def server():
    global _server
    if _server is None:
        url = os.environ.get("WEIR_URL")
        _server = Given(url) if url else Server()
        atexit.register(forget)
    return _server


def forget():
    """Ends the shared server, if there is one."""
    global _server
    if _server is not None:
        _server.stop()
        _server = None


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]

    def __repr__(self):
        return f"{self.status} {(self.body or b'')[:300]!r}"


def request(method, path, body=None, headers=None, to=None):
    """One request on a connection of its own. body: bytes as they are, anything else as JSON."""
    to = to or server()
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(to.host, to.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
    finally:
        connection.close()
    JUDGE.answer(method, path, answer, body)
    return answer


def get(path, **kw):
    return request("GET", path, **kw)


def post(path, body=None, **kw):
    if isinstance(body, bytes):
        kw.setdefault("headers", {"Content-Type": "application/json"})
    return request("POST", path, body, **kw)


def delete(path, **kw):
    return request("DELETE", path, **kw)


class Raw:
    """A socket that sends bytes as they are and reads answers until the other side closes."""

    def __init__(self, to=None):
        to = to or server()
        self.socket = socket.create_connection((to.host, to.port), timeout=PATIENCE)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Sends; a peer that has closed already is no error."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def end(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return self

    def _fill(self):
        try:
            more = self.socket.recv(65536)
        except ConnectionResetError:
            more = b""
        self.buffer += more
        return bool(more)

    def answer(self):
        """The next answer, None when the connection ended."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._fill():
                if self.buffer:
                    raise AssertionError(f"half an answer: {self.buffer[:200]!r}")
                return None
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        if not version.startswith("HTTP/1."):
            raise AssertionError(f"not an answer: {lines[0]!r}")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
        if int(status) == 100:
            self.buffer = rest
            return self.answer()
        length = int(headers["content-length"])
        self.buffer = rest
        while len(self.buffer) < length and self._fill():
            pass
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        if len(body) < length:
            raise AssertionError("the answer is cut")
        answer = Answer(int(status), headers, body)
        JUDGE.some_answer(answer)
        return answer

    def answers(self):
        """All of them, until the connection closes."""
        found = []
        while True:
            one = self.answer()
            if one is None:
                return found
            found.append(one)


def exchange(data, to=None):
    """Sends data, says that no more comes, returns all answers."""
    with Raw(to) as raw:
        return raw.send(data).end().answers()


ERROR_FIELDS = {"error", "path", "limit", "got", "state", "requestId"}


class Case(unittest.TestCase):
    maxDiff = None

    def tearDown(self):
        self.assertEqual(get("/readyz").status, 200, "the server must stay healthy")

    def ok(self, answer):
        """The envelope of a success; returns its data."""
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual((answer.json["code"], answer.json["message"]), ("200", "SUCCESS"))
        return answer.data

    def refused(self, answer, code, symbol=None):
        """The envelope of an error with that code."""
        status = int(str(code)[:3])
        self.assertEqual(answer.status, status, answer)
        body = answer.json
        self.assertEqual(body["code"], str(code), answer)
        self.assertTrue(body["message"].endswith((".", "?")), body["message"])
        self.assertLessEqual(set(body["data"]), ERROR_FIELDS)
        self.assertRegex(body["data"]["requestId"], r"^[0-9a-f]{16}$")
        if symbol:
            self.assertEqual(body["data"]["error"], symbol)
        return body

    # things that tests need

    def task(self, kind="ECHO", content="hello", **more):
        body = {"taskName": more.pop("name", "a task"), "taskType": kind}
        if content is not None:
            body["taskContent"] = content
        return self.ok(post("/task", {**body, **more}))["taskId"]

    def flow(self, *nodes, **more):
        return self.ok(post("/flow", {"flowName": more.pop("name", "a flow"), "flowNodes": list(nodes), **more}))

    def start(self, flow_id, body=None):
        return self.ok(post(f"/exec/flow/{flow_id}", body))["fiId"]

    def finished(self, fi):
        """Waits until the instance is final; returns it with its nodes."""
        end = time.monotonic() + PATIENCE
        while True:
            data = self.ok(get(f"/monitor/flow/{fi}"))
            if data["status"] != "RUNNING":
                return data
            if time.monotonic() > end:
                self.fail(f"still running: {data}")
            time.sleep(0.005)

    def task_until(self, ti, wanted, to=None):
        """Waits until the row of a task instance is as wanted(row) says; returns it."""
        end = time.monotonic() + PATIENCE
        while True:
            data = self.ok(get(f"/monitor/task/{ti}", to=to))
            if wanted(data):
                return data
            if time.monotonic() > end:
                self.fail(f"still not as expected: {data}")
            time.sleep(0.005)

    def task_finished(self, ti, to=None):
        return self.task_until(ti, lambda row: row["execStatus"] != "RUNNING", to)

    def task_in(self, ti, *states, to=None):
        return self.task_until(ti, lambda row: row["state"] in states, to)


def inline(kind="ECHO", content="x", **node):
    """A TASK node with one inline task."""
    task = {"taskName": "t", "taskType": kind}
    if content is not None:
        task["taskContent"] = content
    return {"nodeType": "TASK", "tasks": [task], **node}
