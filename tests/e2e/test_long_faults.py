"""What a client sees while something is away for long: the database stopped, frozen, read-only, locked, full, or with too
small a packet; Redis stopped; the disk of SQLite full or its lock held elsewhere.

The same is asked of each: every request has an answer within the request limit, and its code says whether it was stored;
/livez answers as if nothing were; /readyz says 503 and which part; the node does not burn a core meanwhile; and when the
fault is over all goes on by itself, each start acknowledged once is there once.

Bounds are some five times what is promised, for machines that do other things too.
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import threading
import time
import unittest
import urllib.parse

from live import Server, alive, directory, family, shell, task, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis, fill, small_disk

REQUEST_S = 3            # --request-timeout of these servers
ANSWER_S = REQUEST_S + 9  # no request may take longer
READY_S = 10             # /readyz turns within 2 s
LIVEZ_S = 1.0            # promised: 0.1
CPU_SHARE = 0.3          # of one core, while nothing can be done
WATCH_S = 2              # how long CPU is measured
TICK = os.sysconf("SC_CLK_TCK")


def ask(server, method, path, body=None):
    """(status, answer, seconds). Raises when there is no answer in time."""
    where = urllib.parse.urlsplit(server.url)
    link = http.client.HTTPConnection(where.hostname, where.port, timeout=ANSWER_S)
    began = time.monotonic()
    try:
        link.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"} if body is not None else {})
        answer = link.getresponse()
        return answer.status, json.loads(answer.read()), time.monotonic() - began
    finally:
        link.close()


def cpu_seconds(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICK


class Fault(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)

    def serve(self, *options, data="data"):
        server = Server(self.tmp / data, "--request-timeout", f"{REQUEST_S}s", *options)
        self.addCleanup(server.kill)
        return server

    def prepare(self, server):
        """A definition to start, and a first start that works."""
        self.flow = server.post("/flow", {"flowName": "fault", "flowNodes": [task("a", "ECHO", "a"), task("b", "ECHO", "b", "a")]})["flowId"]
        self.assertEqual(server.ended(server.post(f"/exec/flow/{self.flow}")["fiId"])["status"], "SUCCESS")
        self.held = server.post("/exec/task", {"taskType": "ECHO", "autoRun": False})["tiId"]
        server.post("/queue", {"user": "fault"})
        self.me = next(m["memberId"] for m in server.get("/members") if m["pid"] == server.pid)
        server.post("/executor", {"executorType": "fault", "mode": "remote"})
        server.post("/analyzer", {"analyzerType": "fault", "mode": "program", "location": ["fault"]})

    def taken(self, server):
        status, answer, _ = self.start(server)
        return answer["data"] if status == 200 else None

    def start(self, server):
        return ask(server, "POST", f"/exec/flow/{self.flow}")

    def parts(self, server):
        status, answer, _ = ask(server, "GET", "/readyz")
        return status, answer["data"]["parts"]

    def unready(self, server, part):
        """/readyz turns, and names the part; its sentence."""
        def turned():
            status, answer, _ = ask(server, "GET", "/readyz")
            bad = answer["data"]["parts"][part]
            if status != 503 or bad["ok"]:
                return None
            self.assertEqual(answer["code"], "50301")
            self.assertRegex(answer["message"], r"^Not ready: .*[^.!?][.!?]$")
            return bad
        began = time.monotonic()
        bad = until(f"/readyz says that {part} is not well", turned)
        self.assertLess(time.monotonic() - began, READY_S)
        self.assertTrue(bad["why"])
        return bad["why"]

    def bounded(self, server, n=8):
        """Starts at once, while nothing can be written: each refused in time, none stored for certain or said to be unsure."""
        answers = []
        def one():
            answers.append(self.start(server))
        clients = [threading.Thread(target=one) for _ in range(n)]
        for client in clients:
            client.start()
        slowest = max(ask(server, "GET", "/livez")[2] for _ in range(10))
        for client in clients:
            client.join(ANSWER_S + 5)
        self.assertEqual(len(answers), n, "a start has no answer")
        for status, answer, _ in answers:
            self.assertIn(status, (503, 507), answer)
            self.assertIn(answer["code"], ("50301", "50303", "50701"))
        self.assertLess(slowest, LIVEZ_S)
        return [answer["code"] for _, answer, _ in answers]

    def reads(self, server):
        """A list is answered too, by rows or by 503."""
        status, answer, _ = ask(server, "GET", "/flow")
        self.assertIn(status, (200, 503), answer)

    def queues(self, server):
        """What changes a queue, a member or an executor is refused in time too."""
        for method, path, body in (("POST", "/queue", {"user": "fault", "paused": True}), ("DELETE", "/queue?user=fault", None),
                                   ("POST", f"/members/{self.me}/drain", {"timeout": 60}), ("POST", f"/members/{self.me}/undrain", None),
                                   ("POST", "/executor", {"executorType": "fault", "mode": "remote", "document": 1, "replace": True}),
                                   ("DELETE", "/executor/fault", None),
                                   ("POST", "/analyzer", {"analyzerType": "fault", "mode": "program", "location": ["other"], "replace": True}),
                                   ("DELETE", "/analyzer/fault", None),
                                   ("POST", "/job", {"jobKey": "fault"}),
                                   ("POST", f"/exec/task-ins/{self.held}/queue", {"user": "fault"})):
            status, answer, took = ask(server, method, path, body)
            self.assertIn(status, (503, 507), (path, answer))
            self.assertIn(answer["code"], ("50301", "50302", "50303", "50701"), path)
            self.assertLess(took, ANSWER_S)
        for path in ("/queue", "/members", f"/members/{self.me}", "/executor", "/executor/fault", "/analyzer", "/analyzer/fault"):
            status, answer, _ = ask(server, "GET", path)
            self.assertIn(status, (200, 503), answer)

    def pages(self, server):
        """The API page and its document stand in the program: they answer as if nothing were, as /livez does."""
        where = urllib.parse.urlsplit(server.url)
        for path, kind in (("/swagger-ui.html", "text/html"), ("/openapi.json", "application/json")):
            link = http.client.HTTPConnection(where.hostname, where.port, timeout=ANSWER_S)
            began = time.monotonic()
            try:
                link.request("GET", path)
                answer = link.getresponse()
                self.assertEqual((answer.status, answer.headers["Content-Type"].split(";")[0], bool(answer.read())), (200, kind, True), path)
            finally:
                link.close()
            self.assertLess(time.monotonic() - began, LIVEZ_S, path)

    def quiet(self, server):
        began = cpu_seconds(server.pid)
        time.sleep(WATCH_S)  # the span that is measured
        self.assertLess((cpu_seconds(server.pid) - began) / WATCH_S, CPU_SHARE)

    def recovers(self, server, codes):
        """Ready again by itself; starts work; what was refused for certain is not there."""
        until("ready again", lambda: self.parts(server)[0] == 200)
        self.assertEqual(ask(server, "GET", "/flow")[0], 200)
        fi = until("a start is accepted", lambda: (lambda a: a[1]["data"]["fiId"] if a[0] == 200 else None)(self.start(server)))
        self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        runs = server.get("/monitor/flow?limit=500")
        self.assertLessEqual(len(runs), 2 + self.accepted + codes.count("50303"), "a start that was refused with 50301 was stored")
        until("all runs end", lambda: not server.get("/monitor/flow?status=RUNNING"))
        self.assertEqual(server.stop(), 0)

    accepted = 0

    def suffers(self, server, part="store", reads=True):
        """The checks that all faults share, between their begin and their end."""
        why = self.unready(server, part)
        codes = self.bounded(server)
        self.pages(server)
        if reads:
            self.reads(server)
        self.quiet(server)
        return why, codes

    def logged_once(self, server, event):
        lines = [line for line in server.lines if f"event={event}" in line]
        self.assertTrue(lines, f"no line {event}:\n" + "".join(server.lines))
        self.assertLessEqual(len(lines), 2, "".join(lines))


@unittest.skipUnless(HAVE_MARIADB, "there is no MariaDB server here")
class Database(Fault):
    def setUp(self):
        super().setUp()
        self.db = MariaDb(self.tmp)
        self.addCleanup(self.db.stop)

    def node(self, *options):
        server = self.serve("--store", self.db.url, *options)
        self.prepare(server)
        return server

    def test_stopped(self):
        server = self.node()
        self.db.stop()
        why, codes = self.suffers(server)
        self.queues(server)
        self.db.start()
        self.recovers(server, codes)
        self.logged_once(server, "store.down")
        self.logged_once(server, "store.back")

    def test_frozen(self):
        server = self.node()
        self.db.freeze()
        why, codes = self.suffers(server)
        self.queues(server)
        self.assertEqual(ask(server, "GET", "/flow")[0], 503) # and it is remembered for a moment that nothing came
        self.db.thaw()
        self.recovers(server, codes)

    def test_stop_while_it_is_away(self):
        server = self.node("--stop-timeout", "5s")
        fi = server.flow(shell("long", "sleep 100"))
        until("it runs", lambda: server.get(f"/monitor/flow/{fi}")["nodes"][0]["status"] == "RUNNING")
        self.db.stop()
        self.unready(server, "store")
        self.assertEqual(server.stop(), 0)

    def test_read_only(self):
        server = self.node()
        self.db.sql("SET GLOBAL read_only=1; FLUSH TABLES")
        # root is above read_only in MariaDB when it has READ_ONLY ADMIN; the server's user must not be
        self.db.sql("SET GLOBAL read_only=0")
        self.db.sql("CREATE USER plain@localhost; GRANT ALL ON weir.* TO plain@localhost")
        self.assertEqual(server.stop(), 0)
        server = self.serve("--store", self.db.url.replace("root@", "plain@"), data="plain")
        self.prepare(server)
        self.accepted = 1
        self.db.sql("SET GLOBAL read_only=1")
        why, codes = self.suffers(server)
        self.assertIn("read", why.lower())
        self.db.sql("SET GLOBAL read_only=0")
        self.recovers(server, codes)

    def test_tables_locked(self):
        server = self.node()
        with self.db.session("FLUSH TABLES WITH READ LOCK"):
            why, codes = self.suffers(server)
        self.recovers(server, codes)

    def test_rows_locked(self):
        server = self.node()
        with self.db.session("BEGIN", "SELECT * FROM task_flow FOR UPDATE"):
            began = time.monotonic()
            status, answer, _ = self.start(server)
            self.assertEqual(status, 503, answer)
            self.assertLess(time.monotonic() - began, ANSWER_S)
        self.recovers(server, [answer["code"]])

    def test_small_packet(self):
        """Lowered while the node works: a large result waits or its step fails; nothing else stands still."""
        server = self.node()
        self.accepted = 1
        self.db.sql("SET GLOBAL max_allowed_packet=1048576")
        self.db.sql("SET @x=(SELECT COUNT(*) FROM information_schema.processlist)")
        for row in self.db.sql("SELECT id FROM information_schema.processlist WHERE db='weir' AND id<>CONNECTION_ID()"):
            self.db.sql(f"KILL {row[0]}")
        self.assertIn("max_allowed_packet", self.unready(server, "store"))
        codes = self.bounded(server)
        self.quiet(server)
        self.db.sql("SET GLOBAL max_allowed_packet=16777216")
        self.accepted = 0
        self.recovers(server, codes)


@unittest.skipUnless(HAVE_MARIADB, "there is no MariaDB server here")
class DatabaseFull(Fault):
    def test_full(self):
        with small_disk(self.tmp / "disk", "160m") as disk:
            if not disk:
                self.skipTest("no file system can be mounted here")
            db = MariaDb(self.tmp, disk / "db")
            self.addCleanup(db.stop)
            server = self.serve("--store", db.url)
            self.prepare(server)
            filler = disk / "filler"
            fill(filler)
            # rows that fit into existing pages can still be written, so start flows until it is full
            until("it is full", lambda: self.start(server)[0] in (503, 507) or (setattr(self, "accepted", self.accepted + 1)))
            self.assertLess(max(ask(server, "GET", "/livez")[2] for _ in range(10)), LIVEZ_S)
            self.quiet(server)
            filler.unlink()
            until("ready again", lambda: self.parts(server)[0] == 200)
            until("a start is accepted", lambda: self.start(server)[0] == 200)
            until("all runs end", lambda: not server.get("/monitor/flow?status=RUNNING"))
            self.assertEqual(server.stop(), 0)
            db.stop()


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS, "there is no MariaDB or Redis server here")
class Queue(Fault):
    def setUp(self):
        super().setUp()
        self.db, self.redis = MariaDb(self.tmp), Redis(self.tmp)
        self.addCleanup(self.db.stop)
        self.addCleanup(self.redis.stop)

    def node(self, *options):
        server = self.serve("--store", self.db.url, "--queue", self.redis.url, *options)
        self.prepare(server)
        return server

    def test_away(self):
        """Work goes on from the rows; /readyz says so and stays 200; no core is burnt, slots full or free."""
        server = self.node("--slots", "2")
        self.redis.stop()
        until("/readyz says that the queue is not well", lambda: (lambda s, p: s == 200 and not p["queue"]["ok"] and p["queue"]["why"])(*self.parts(server)))
        self.quiet(server)
        began = time.monotonic()
        fis = [server.post(f"/exec/flow/{self.flow}")["fiId"] for _ in range(20)]
        for fi in fis:
            self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        self.assertLess(time.monotonic() - began, 20)
        full = server.flow(shell("a", "sleep 30"), {**shell("b", "sleep 30"), "prevNodes": []}, **{})
        until("both run", lambda: all(n["status"] == "RUNNING" for n in server.get(f"/monitor/flow/{full}")["nodes"]))
        self.quiet(server)
        server.post(f"/exec/flow-ins/{full}/cancel")
        self.redis.start()
        until("/readyz says that the queue is well", lambda: self.parts(server)[1]["queue"]["ok"])
        self.assertEqual(server.stop(), 0)

    def test_emptied_under_a_backlog(self):
        server = self.node("--slots", "2")
        flow = server.post("/flow", {"flowName": "short", "flowNodes": [shell("a", "sleep 0.1")]})["flowId"]
        fis = [server.post(f"/exec/flow/{flow}")["fiId"] for _ in range(30)]
        done = lambda: sum(server.final(server.get(f"/monitor/flow/{fi}")) is not None for fi in fis)
        until("some have ended", lambda: done() >= 4)
        self.redis.cli("FLUSHALL")
        began = time.monotonic()
        until("all end", lambda: done() == len(fis))
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(server.stop(), 0)

    def test_both_away(self):
        server = self.node()
        self.redis.stop()
        self.db.stop()
        self.unready(server, "store")
        self.bounded(server)
        self.quiet(server)
        self.db.start()
        self.redis.start()
        until("ready again", lambda: self.parts(server)[0] == 200)
        self.assertEqual(server.ended(until("a start is accepted", lambda: self.taken(server))["fiId"])["status"], "SUCCESS")


class Sqlite(Fault):
    def test_lock_held_elsewhere(self):
        server = self.serve()
        self.prepare(server)
        other = sqlite3.connect(self.tmp / "data" / "weir.db", isolation_level=None, timeout=30)
        self.addCleanup(other.close)
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            self.skipTest("nobody else gets the lock")
        why, codes = self.suffers(server)
        self.queues(server)
        other.execute("ROLLBACK")
        self.recovers(server, codes)

    def test_lock_of_the_logs_held_elsewhere(self):
        """Starts go on, logs wait; that is said; nothing of them is lost."""
        server = self.serve()
        self.prepare(server)
        other = sqlite3.connect(self.tmp / "data" / "weir.db-log", isolation_level=None, timeout=30)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        much = server.post("/task", {"taskName": "much", "taskType": "SHELL", "taskContent": "seq 1 200000; exit 0"})["taskId"]
        ti = server.post(f"/exec/task/{much}")["tiId"]
        self.assertIn("logs of tasks", self.unready(server, "store"))
        self.assertEqual(self.start(server)[0], 200)
        self.quiet(server)
        other.execute("ROLLBACK")
        until("it ends", lambda: server.get(f"/monitor/task/{ti}")["execStatus"] != "RUNNING")
        row = server.get(f"/monitor/task/{ti}")
        self.assertEqual((row["execStatus"], row["logBytes"], row.get("logLost")), ("SUCCESS", 1288895, None))
        until("ready again", lambda: self.parts(server)[0] == 200)
        self.logged_once(server, "worker.trouble")
        self.assertEqual(server.stop(), 0)

    def test_disk_full(self):
        with small_disk(self.tmp / "disk", "24m") as disk:
            if not disk:
                self.skipTest("no file system can be mounted here")
            server = self.serve(data="disk/data")
            self.prepare(server)
            filler = disk / "filler"
            fill(filler)
            until("it is full", lambda: self.start(server)[0] == 507 or (setattr(self, "accepted", self.accepted + 1)))
            self.unready(server, "disk")
            codes = self.bounded(server)
            self.quiet(server)
            filler.unlink()
            self.recovers(server, codes)

    def test_file_gone(self):
        """An unlinked database ends the node: what it would acknowledge would be lost."""
        server = self.serve("--lease", "3s")
        self.prepare(server)
        (self.tmp / "data" / "weir.db").unlink()
        with contextlib.suppress(OSError, http.client.HTTPException): # it may end before it answers
            self.start(server)
        until("the node ends", lambda: server.process.poll() is not None)
        self.assertNotEqual(server.wait(), 0)


class Cut(Fault):
    """Somebody shortens a file of SQLite under the server: one sentence, and its end; none of its processes stays."""

    def cut(self, name):
        server = self.serve("--lease", "3s")
        self.prepare(server)
        fi = server.flow(shell("long", "sleep 1000"))
        until("it runs", lambda: server.get(f"/monitor/flow/{fi}")["nodes"][0]["status"] == "RUNNING")
        below = family(server.pid)
        os.truncate(self.tmp / "data" / name, 0)

        def over():
            with contextlib.suppress(OSError, http.client.HTTPException):
                ask(server, "GET", "/monitor/flow")
            return server.process.poll() is not None
        until("the node ends", over)
        self.assertEqual(server.wait(), 5)
        until("none of its processes is left", lambda: not any(map(alive, below)))
        text = "".join(server.lines)
        self.assertRegex(text, rf"weir: \S+/{name} was cut")
        self.assertLess(len(text.splitlines()), 20, text) # however often it was asked
        again = self.serve()
        self.assertEqual(again.stop(), 0)

    def test_index_of_the_wal(self):
        self.cut("weir.db-shm")

    def test_wal(self):
        self.cut("weir.db-wal")


SOMEBODY = 54322  # a user that no other file has


class Lock(Fault):
    """The file by which a second server on the data directory is refused, whatever the store is."""

    def ends(self, take_away, *options):
        server = self.serve("--lease", "60s", *options)
        fi = server.flow(shell("long", "sleep 1000"))
        until("it runs", lambda: server.get(f"/monitor/flow/{fi}")["nodes"][0]["status"] == "RUNNING")
        below = family(server.pid)
        take_away(self.tmp / "data" / "lock")
        until("the node ends", lambda: server.process.poll() is not None)
        self.assertEqual(server.wait(), 5)
        self.assertRegex("".join(server.lines), r"weir: \S+/lock was removed or replaced: another server could use this directory\.")
        until("none of its processes is left", lambda: not any(map(alive, below)))

    def test_shut_away(self):
        """A folder above is shut to the server's user: nothing was taken away, and the node goes on."""
        if os.geteuid() == 0:
            shutil.chown(self.tmp, SOMEBODY)
        server = Server(self.tmp / "data", dev=True, user=SOMEBODY if os.geteuid() == 0 else None)
        self.addCleanup(server.kill)
        data = os.open(self.tmp / "data", os.O_RDONLY)
        self.addCleanup(os.close, data)
        shutil.chown(self.tmp, os.geteuid())
        self.tmp.chmod(0o700 if os.geteuid() == 0 else 0)
        self.addCleanup(self.tmp.chmod, 0o700)
        os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=data))
        os.unlink("x", dir_fd=data)
        time.sleep(2)  # looked at, more than once
        self.assertIsNone(server.process.poll(), server.lines)
        self.tmp.chmod(0o755)
        until("it stores", lambda: ask(server, "POST", "/task", {"taskName": "t", "taskType": "ECHO"})[0] == 200)
        self.assertEqual(server.stop(), 0)

    @staticmethod
    def replace(lock):
        other = lock.with_name("other")
        other.touch()
        other.rename(lock)

    def test_removed(self):
        self.ends(pathlib.Path.unlink)

    def test_replaced(self):
        self.ends(self.replace)

    def test_directory_moved(self):
        self.ends(lambda lock: lock.parent.rename(self.tmp / "moved"), "--store", f"sqlite:{self.tmp}/elsewhere.db")

    @unittest.skipUnless(HAVE_MARIADB, "there is no MariaDB server here")
    def test_other_store(self):
        db = MariaDb(self.tmp)
        self.addCleanup(db.stop)
        self.ends(pathlib.Path.unlink, "--store", db.url)


class Processes(Fault):
    """Guard, spawner or spare are stopped by somebody, and then the server is told to end."""

    def stopped(self, *names):
        server = self.serve()
        self.prepare(server)
        runs = self.tmp / "runs"
        server.flow(shell("long", f": > {runs}; exec sleep 100"))
        until("it runs", runs.exists) # before its exec it has the spawner's name
        below = family(server.pid)
        for name in names:
            pid = next(p for p in below if pathlib.Path(f"/proc/{p}/comm").read_text() == f"weir-{name}\n")
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        self.assertEqual(server.stop(), 0)
        took = time.monotonic() - began
        until("none of its processes is left", lambda: not any(map(alive, below)))
        return took

    def test_it_is_noticed_with_all_slots_taken(self):
        """Nothing is asked of the spawner then; the end of what runs is expected of it all the same."""
        server = self.serve("--slots", "1")
        began, go = self.tmp / "began", self.tmp / "go"
        fi = server.flow(shell("a", f": > {began}; until [ -e {go} ]; do sleep 0.05; done"))
        until("it runs", began.exists) # before its exec it has the spawner's name
        below = family(server.pid)
        for name in ("guard", "spawner"):
            pid = next(p for p in below if pathlib.Path(f"/proc/{p}/comm").read_text() == f"weir-{name}\n")
            os.kill(pid, signal.SIGSTOP)
        go.touch()
        self.assertEqual(server.ended(fi)["status"], "SUCCESS") # run again, or told by a spawner that the guard's end woke once more
        until("it is said", lambda: "event=worker.trouble " in "".join(server.lines))
        self.assertEqual(server.stop(), 0)

    def test_spare(self):
        self.assertLess(self.stopped("spare"), 5) # it has nothing to do: nobody waits for it

    def test_guard(self):
        self.stopped("guard")

    def test_spawner(self):
        self.stopped("spawner")

    def test_all(self):
        self.stopped("spare", "guard", "spawner")


if __name__ == "__main__":
    unittest.main()
