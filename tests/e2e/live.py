"""Real processes for the end-to-end tests: a server on a free port, an HTTP client, and waiting with a bound.

Nothing here sleeps to be right: until() asks again until it is true, and fails the test after LIMIT_S.
WEIR_BIN names the binary (default build/weir); WEIR_TEST_MYSQL and WEIR_TEST_REDIS the services, when there are any.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("WEIR_BIN", str(ROOT / "build" / "weir"))
LIMIT_S = 60
CLEAN_ENV = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_") and k != "TMPDIR"}


def until(what, ask):
    """Asks until the answer is true; returns it."""
    end = time.monotonic() + LIMIT_S
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {LIMIT_S} s: {what}")
        time.sleep(0.02)


def weir(*args, stdin=None, env=None, cwd=None):
    """One run of the binary to its end."""
    return subprocess.run([BIN, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=LIMIT_S * 4,
                          env={**CLEAN_ENV, **(env or {})}, cwd=cwd)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    """The children of all its threads; those of a thread that ends meanwhile are left out."""
    out, gone, threads = set(), contextlib.suppress(FileNotFoundError, ProcessLookupError), []
    with gone:
        threads = os.listdir(f"/proc/{pid}/task")
    for thread in threads:
        with gone:
            out |= set(map(int, pathlib.Path(f"/proc/{pid}/task/{thread}/children").read_text().split()))
    return out


def family(pid):
    """All processes below it: guard, spawner, spare, attempts and what these have started."""
    below, todo = set(), [pid]
    while todo:
        more = children(todo.pop()) - below
        below |= more
        todo += more
    return below


class Refused(Exception):
    def __init__(self, status, answer):
        super().__init__(f"{status} {answer}")
        self.status, self.answer = status, answer


class Server:
    """A `weir server`; one data directory may see several of them, one after the other."""

    def __init__(self, data, *args, env=None, dev=True, user=None, binary=BIN, pass_fds=()):
        command = [binary, "server", *(["--dev"] if dev else []), "--data", str(data), "--listen", "127.0.0.1:0", *map(str, args)]
        self.lines = []
        self.url = None
        self.token = None
        self.ready = threading.Event()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                                        env={**CLEAN_ENV, **(env or {})}, user=user, group=user, pass_fds=pass_fds)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.ready.wait(LIMIT_S) or not self.url:
            self.kill()
            raise AssertionError("the server did not listen:\n" + "".join(self.lines))

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            match = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
            if match:
                self.url = match.group(1)
                self.ready.set()
        self.ready.set()

    def call(self, method, path, body=None, token=None):
        return self.answer(method, path, body, token)["data"]

    def answer(self, method, path, body=None, token=None):
        """The whole of a success: data, and beside it page."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, json.load(error)) from None

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=None):
        return self.call("POST", path, body)

    def flow(self, *nodes, **settings):
        """Saves and starts a flow; returns its fiId."""
        flow = self.post("/flow", {"flowName": "e2e", "flowNodes": list(nodes), **settings})
        return self.post(f"/exec/flow/{flow['flowId']}")["fiId"]

    def ended(self, fi):
        """The instance with its nodes, once it is final."""
        return until(f"flow {fi} ends", lambda: self.final(self.get(f"/monitor/flow/{fi}")))

    @staticmethod
    def final(flow):
        return flow if flow["status"] != "RUNNING" else None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        status = self.process.wait(LIMIT_S)
        self.reader.join(LIMIT_S)
        self.process.stderr.close()
        return status

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        if not self.process.stderr.closed:
            self.wait()


@contextlib.contextmanager
def directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-e2e-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def plugin_of(source, folder, *libs):
    """Builds a plug-in as its users do."""
    path = folder / f"{pathlib.Path(source).stem}.so"
    subprocess.run(["cc", "-std=c99", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{ROOT}/lib", source, "-o", path,
                    *libs], check=True)
    return path


class Nodes:
    """Servers that stand beside each other for all tests of a class, each with the options of store() and `options`; all of them
    must end well. `at` is the one that is asked."""
    nodes = 1
    options = ()

    @classmethod
    def store(cls):
        return ()

    @classmethod
    def setUpClass(cls):
        room = directory()
        cls.tmp = room.__enter__()
        cls.addClassCleanup(room.__exit__, None, None, None)
        cls.servers = [cls.start(i) for i in range(cls.nodes)]

    @classmethod
    def start(cls, i, *more):
        server = Server(cls.tmp / f"node{i}", *cls.store(), *cls.options, *more)
        cls.addClassCleanup(server.kill)
        return server

    @classmethod
    def tearDownClass(cls):
        for server in cls.servers:
            if server.stop() != 0:
                raise AssertionError("a server did not end well:\n" + "".join(server.lines))

    @property
    def at(self):
        return self.servers[-1]


def shell(key, script, *parents, **more):
    node = {"nodeKey": key, "nodeType": "TASK", "tasks": [{"taskName": key, "taskType": "SHELL", "taskContent": script, **more}]}
    return {**node, "prevNodes": list(parents)} if parents else node


def task(key, kind, content, *parents):
    node = {"nodeKey": key, "nodeType": "TASK", "tasks": [{"taskName": key, "taskType": kind, "taskContent": content}]}
    return {**node, "prevNodes": list(parents)} if parents else node
