"""Clients that are silent, half send a request, or come again when they are cut: everybody else is answered as quickly as without them."""
import errno
import http.client
import json
import os
import pathlib
import resource
import selectors
import signal
import socket
import subprocess
import threading
import time
import unittest

from live import BIN, CLEAN_ENV, LIMIT_S, Refused, Server, directory, shell, until
from services import HAVE_MARIADB, MariaDb

QUICK_S = 1.0   # ten times and more what an answer takes
CROWD = 700
HALF_HEAD = b"POST /exec/flows HTTP/1.1\r\nHost: localhost\r\nX: "
HALF_BODY = b"POST /exec/flows HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"


def memory(pid):
    """Resident bytes of the server's process."""
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def unread(client):
    """Bytes that this client has sent and the server has not read: those under way, and those in the server's socket."""
    def port(address):
        return int(address.split(":")[1], 16)
    here, there = client.getsockname()[1], client.getpeername()[1]
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    queues = {(port(row[1]), port(row[2])): [int(n, 16) for n in row[4].split(":")] for row in rows}
    return queues[here, there][0] + queues[there, here][1]


def cpu(pid):
    """Seconds of all its threads so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Crowd:
    """Connections that send `first`, then a byte a second. Each one that is cut is opened again."""

    def __init__(self, url, n, first, trickle):
        host, port = url.removeprefix("http://").split(":")
        self.address, self.first, self.trickle = (host, int(port)), first, trickle
        self.poll, self.stop, self.cut = selectors.DefaultSelector(), threading.Event(), 0
        for _ in range(n):
            self.open()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def open(self):
        s = socket.create_connection(self.address, LIMIT_S)
        s.sendall(self.first)
        self.poll.register(s, selectors.EVENT_READ)

    def run(self):
        drip = time.monotonic()
        while not self.stop.is_set():
            for key, _ in self.poll.select(0.1):
                self.poll.unregister(key.fileobj)
                key.fileobj.close()
                self.cut += 1
                self.open()
            if self.trickle and time.monotonic() - drip > 1:
                drip = time.monotonic()
                for key in list(self.poll.get_map().values()):
                    try:
                        key.fileobj.send(b"x")
                    except OSError:
                        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(LIMIT_S)
        for key in list(self.poll.get_map().values()):
            key.fileobj.close()
        self.poll.close()


class SlowClients(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 2048:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, hard), hard))
        self.server = Server(self.tmp / "data")
        self.addCleanup(self.server.kill)
        self.task = self.server.post("/task", {"taskName": "t", "taskType": "ECHO", "taskContent": "x"})["taskId"]

    def timed(self, method, path, body=None):
        began = time.monotonic()
        self.server.call(method, path, body)
        return time.monotonic() - began

    def quick(self, rounds):
        """Each answer within QUICK_S but for a few: the machine has other work too. None takes long."""
        took = []
        for _ in range(rounds):
            took += [self.timed("GET", "/livez"), self.timed("GET", "/readyz"), self.timed("POST", f"/exec/task/{self.task}"),
                     self.timed("GET", "/version"), self.timed("GET", "/task")]
            time.sleep(0.05)  # spreads them over the seconds in which connections are cut and come again
        slow = sorted(t for t in took if t > QUICK_S)
        self.assertLessEqual(len(slow), len(took) // 20, slow)
        self.assertLess(max(took), 5 * QUICK_S)

    def crowd(self, n, first, trickle, rounds=60):
        before = memory(self.server.pid)
        with Crowd(self.server.url, n, first, trickle) as crowd:
            self.quick(rounds)
            self.assertLess(memory(self.server.pid) - before, 24 << 20)
            until("they are cut", lambda: crowd.cut >= n)
            self.quick(10)
        self.assertEqual(self.server.stop(), 0)

    def test_silent(self):
        self.crowd(CROWD, b"", False)

    def test_half_sent_heads(self):
        self.crowd(CROWD, HALF_HEAD, True)

    def test_half_sent_bodies(self):
        self.crowd(300, HALF_BODY, True)

    def test_idle_costs_nothing(self):
        """They wait in the kernel: no thread turns for them."""
        with Crowd(self.server.url, 500, HALF_HEAD, False):
            before, began = cpu(self.server.pid), time.monotonic()
            time.sleep(3)  # a while of doing nothing is what is measured
            share = (cpu(self.server.pid) - before) / (time.monotonic() - began)
        self.assertLess(share, 0.2)
        self.assertEqual(self.server.stop(), 0)

    def test_no_descriptor_left(self):
        """New clients wait, nothing spins, and the server goes on when there are descriptors again."""
        old = resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{self.server.pid}/fd"))
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, (used, old[1]))
        host, port = self.server.url.removeprefix("http://").split(":")
        knocking = [socket.create_connection((host, int(port)), LIMIT_S) for _ in range(100)]
        try:
            until("it says so", lambda: any("event=http.full" in line for line in self.server.lines))
            before, began = cpu(self.server.pid), time.monotonic()
            time.sleep(3)  # a while of doing nothing is what is measured
            self.assertLess((cpu(self.server.pid) - before) / (time.monotonic() - began), 0.2)
            self.assertEqual(sum("event=http.full" in line for line in self.server.lines), 1)
        finally:
            resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, old)
            for s in knocking:
                s.close()
        self.server.get("/livez")
        self.server.get("/task")
        self.assertEqual(self.server.stop(), 0)

    def test_more_than_there_is_room_for(self):
        """The oldest incomplete go; whoever sends a whole request is answered."""
        with Crowd(self.server.url, 1400, HALF_HEAD, False):
            self.quick(20)
        self.assertEqual(self.server.stop(), 0)


MIB = 1 << 20


def flow_head(headers):
    return b"POST /flow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers + b"\r\n"


class Bodies(unittest.TestCase):
    """Bodies are read before anything is locked, and all of them together are bounded."""

    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        self.server = Server(self.tmp / "data")
        self.addCleanup(self.server.kill)
        host, port = self.server.url.removeprefix("http://").split(":")
        self.address = (host, int(port))

    def open(self, data):
        s = socket.create_connection(self.address, LIMIT_S)
        self.addCleanup(s.close)
        s.sendall(data)
        return s

    def answer(self, s):
        """Status of the answer."""
        got = b""
        while b"\r\n" not in got:
            more = s.recv(4096)
            if not more:
                break
            got += more
        return int(got.split(b" ")[1])

    def test_a_slow_one_holds_up_no_other(self):
        self.open(flow_head(b"Content-Length: 67000000\r\n") + b"{" * MIB)
        for _ in range(20):
            self.open(flow_head(b"Transfer-Encoding: chunked\r\n"))
        began = time.monotonic()
        s = self.open(flow_head(b"Transfer-Encoding: chunked\r\n") + b"2\r\n{}\r\n0\r\n\r\n")
        self.assertEqual(self.answer(s), 422)
        self.server.get("/flow")
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(self.server.stop(), 0)

    @unittest.skipIf("asan" in BIN or "tsan" in BIN, "a sanitizer is slow")
    def test_all_together(self):
        """128 MiB; what comes beyond is refused at once, and one line of the log tells of many refusals."""
        began, before = time.monotonic(), memory(self.server.pid)
        two = [self.open(flow_head(b"Content-Length: %d\r\n" % (64 * MIB)) + b" " * (64 * MIB - 1)) for _ in range(2)]

        def refused():
            s = self.open(flow_head(b"Content-Length: %d\r\n" % MIB) + b" " * (MIB // 2))
            s.sendall(b" " * (MIB // 2))
            return self.answer(s) == 503
        # Not by the memory: one of the two could still want room when the first of the small ones takes it.
        until("both are read", lambda: unread(two[0]) + unread(two[1]) == 0)
        self.assertGreater(memory(self.server.pid) - before, 127 * MIB)
        until("it is full", refused)
        for _ in range(20):
            self.assertTrue(refused())
        self.server.get("/flow")
        lines = sum("event=http.refused" in line for line in self.server.lines)
        self.assertLessEqual(lines, 2 + (time.monotonic() - began) // 10)
        for s in two:
            s.close()
        until("there is room again", lambda: not refused())
        self.assertEqual(self.server.stop(), 0)


def probe(address, path):
    """(status, data, seconds) on a connection of its own."""
    began = time.monotonic()
    c = http.client.HTTPConnection(*address, timeout=LIMIT_S)
    try:
        c.request("GET", path)
        answer = c.getresponse()
        body = json.loads(answer.read())
        return answer.status, body, time.monotonic() - began
    finally:
        c.close()


class Probes(unittest.TestCase):
    PARTS = {"store", "queue", "processes", "disk"}

    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)

    def start(self, *args):
        server = Server(self.tmp / "data", *args)
        self.addCleanup(server.kill)
        host, port = server.url.removeprefix("http://").split(":")
        return server, (host, int(port))

    def test_while_it_stops(self):
        """/livez 200, /readyz 503 with its parts, until it is gone."""
        server, address = self.start()
        server.flow(shell("a", f"trap '' TERM; touch {self.tmp}/up; while :; do sleep 1; done"))
        until("it runs", (self.tmp / "up").exists)
        server.signal(signal.SIGTERM)
        status, body, _ = until("it drains", lambda: (lambda r: r if r[0] == 503 else None)(probe(address, "/readyz")))
        self.assertEqual((body["code"], body["data"]["error"], body["data"]["ok"]), ("50304", "DRAINING", False))
        self.assertEqual(set(body["data"]["parts"]), self.PARTS)
        self.assertEqual(probe(address, "/livez")[0], 200)
        self.assertEqual(server.wait(), 0)

    @unittest.skipUnless(HAVE_MARIADB, "no MariaDB")
    def test_while_nothing_can_be_written(self):
        """More clients than threads, all of them waiting for a database that is locked: probes are as quick as ever."""
        db = MariaDb(self.tmp)  # its own: the lock is one of the whole server
        self.addCleanup(db.stop)
        server, address = self.start("--store", db.url, "--request-timeout", "4s")
        task = server.post("/task", {"taskName": "t", "taskType": "ECHO", "taskContent": "x"})["taskId"]
        answers = []

        def ask():
            try:
                server.post(f"/exec/task/{task}")
                answers.append(200)
            except Refused as refused:
                answers.append(int(refused.answer["code"]))
        clients = [threading.Thread(target=ask) for _ in range(150)]
        with db.session("FLUSH TABLES WITH READ LOCK"):
            for c in clients:
                c.start()
            began, unready = time.monotonic(), None
            while any(c.is_alive() for c in clients):
                status, _, took = probe(address, "/livez")
                self.assertEqual(status, 200)
                self.assertLess(took, QUICK_S)
                status, body, took = probe(address, "/readyz")
                self.assertLess(took, QUICK_S)
                if status == 503:
                    unready = body
                self.assertLess(time.monotonic() - began, LIMIT_S)
                time.sleep(0.05)  # a probe now and then, while the others wait
        self.assertEqual(len(answers), 150)
        self.assertLessEqual(set(answers), {50301, 50302, 50303})
        if unready:
            self.assertEqual(unready["code"], "50301")
            self.assertFalse(unready["data"]["parts"]["store"]["ok"])
        until("it is ready again", lambda: probe(address, "/readyz")[0] == 200)
        self.assertEqual(server.stop(), 0)


class Starts(unittest.TestCase):
    """A start that cannot work says so and ends, and leaves nothing half made."""

    def refuse(self, *args, limit=None, **more):
        def before():
            for what, n in limit or ():
                resource.setrlimit(what, (n, n))
        return subprocess.run([BIN, "server", "--dev", *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LIMIT_S, env=CLEAN_ENV, preexec_fn=before, **more)

    def test_address_in_use(self):
        with directory() as tmp, socket.create_server(("127.0.0.1", 0)) as taken:
            done = self.refuse("--data", tmp / "data", "--listen", "127.0.0.1:%d" % taken.getsockname()[1])
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertIn(os.strerror(errno.EADDRINUSE), done.stderr)
            self.assertFalse((tmp / "data").exists())

    def test_few_descriptors(self):
        with directory() as tmp:
            done = self.refuse("--data", tmp / "data", "--listen", "127.0.0.1:0", "--slots", 1, limit=[(resource.RLIMIT_NOFILE, 100)])
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertRegex(done.stderr, r"open files|Too many open files|ulimit -n")

    @unittest.skipUnless(os.geteuid() == 0 and "asan" not in BIN and "tsan" not in BIN, "the limit of processes does not hold for root; sanitizers have threads")
    def test_few_processes(self):
        """With some limits a thread of the API cannot be made, with lower ones others: never a server that answers nobody."""
        with directory() as tmp:
            os.chmod(tmp, 0o777)
            for n in (20, 60):
                done = self.refuse("--data", tmp / f"data{n}", "--listen", "127.0.0.1:0", "--roles", "api,runner",
                                   limit=[(resource.RLIMIT_NPROC, n)], user=54321, group=54321, extra_groups=[])
                self.assertNotEqual(done.returncode, 0, done.stderr)
                self.assertNotIn("listening on", done.stderr)


if __name__ == "__main__":
    unittest.main()
