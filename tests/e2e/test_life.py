"""What a server says of itself at its start, and how it ends while its database is away."""
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest
import urllib.request
from urllib.parse import parse_qs, urlsplit

from services import HAVE_MARIADB, MariaDb
from live import BIN, CLEAN_ENV, LIMIT_S, Refused, Server, directory, shell, until, weir


class Says(unittest.TestCase):
    def test_start_line(self):
        with directory() as tmp:
            server = Server(tmp / "data", "--slots", 3, "--async-slots", 77)
            self.addCleanup(server.kill)
            start = [line for line in server.lines if "event=server.start" in line]
            self.assertEqual(len(start), 1, server.lines)
            for field in ("version=", "store=sqlite", "queue=memory", "roles=\"api,runner,worker\"", "slots=3", "async_slots=77", "shell=on", "user=",
                          "run_as=", f"data={tmp}/data"):
                self.assertIn(f" {field}", start[0])
            self.assertEqual(server.stop(), 0)

    def test_no_such_folder(self):
        """A folder of programs that is not there is no error, because it may be mounted later; but it is said."""
        with directory() as tmp:
            server = Server(tmp / "data", "--executor-dir", tmp / "none", "--executor-dir", tmp)
            self.addCleanup(server.kill)
            told = [line for line in server.lines if "--executor-dir" in line]
            self.assertEqual(len(told), 1, server.lines)
            self.assertRegex(told[0], rf'^warning: --executor-dir "{tmp}/none": No such file or directory\.')
            self.assertEqual(server.stop(), 0)

    def test_refused_start(self):
        """A refused start has made nothing, however late the refusal comes."""
        with directory() as tmp:
            (tmp / "data").mkdir(mode=0o700)
            (tmp / "data" / "weir.token").mkdir()
            done = weir("server", "--data", tmp / "data", "--listen", "127.0.0.1:0")
            self.assertTrue(done.returncode)
            self.assertIn("weir.token", done.stderr)
            self.assertNotIn("event=server.start", done.stderr)

    def test_clean_files(self):
        """After a clean stop everything is in the two files of the database."""
        with directory() as tmp:
            server = Server(tmp / "data")
            self.addCleanup(server.kill)
            fi = server.flow(shell("s", "echo said"))
            self.assertEqual(server.ended(fi)["status"], "SUCCESS")
            ti = server.get(f"/monitor/node/{server.get(f'/monitor/flow/{fi}')['nodes'][0]['niId']}")[0]["tiId"]
            with urllib.request.urlopen(f"{server.url}/monitor/task/{ti}/log", timeout=LIMIT_S) as answer:
                self.assertIn(b"said", answer.read())
            self.assertEqual(server.stop(), 0)
            self.assertEqual(sorted(p.name for p in (tmp / "data").glob("weir.db*")), ["weir.db", "weir.db-log", "weir.db.lock"])

    def test_json(self):
        """With --log-format json every line is an object, the address, the token and warnings too, whatever the level."""
        for dev in (["--dev"], []):
            with self.subTest(dev=dev), directory() as tmp:
                process = subprocess.Popen([BIN, "server", *dev, "--data", tmp / "data", "--listen", "127.0.0.1:0", "--log-format", "json",
                                            "--log-level", "error"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=CLEAN_ENV)
                self.addCleanup(process.kill)
                events = []
                for line in process.stderr:
                    events.append(json.loads(line))
                    if events[-1]["event"] == "server.listening":
                        self.assertRegex(events[-1]["url"], r"^http://127\.0\.0\.1:\d+$")
                        process.send_signal(signal.SIGTERM)
                process.stderr.close()
                self.assertEqual(process.wait(LIMIT_S), 0)
                seen = {e["event"] for e in events}
                self.assertIn("server.listening", seen)
                self.assertEqual("server.token" in seen, not dev)
        done = weir("server", "--log-format", "json", "--data", "/proc/no", "--listen", "127.0.0.1:0")
        self.assertTrue(done.returncode)
        self.assertIn("refused", [json.loads(line)["event"] for line in done.stderr.splitlines()])

    def test_help(self):
        """Every help fits 80 columns and has an example; no blank at the end of a line; an unknown option says where to look."""
        for args in (["--help"], ["server", "--help"], ["run", "--help"], ["config", "--help"]):
            done = weir(*args)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r"(?m)^  weir \w+ ")
            self.assertEqual([line for line in done.stdout.splitlines() if len(line) > 80 or line != line.rstrip()], [])
        self.assertRegex(weir("run", "--zzzzzz", "x").stderr, r'Unknown option "--zzzzzz"\. See `weir run --help`\.\n$')
        self.assertRegex(weir("rnu").stderr, r'unknown verb "rnu"\. Did you mean "run"\? See `weir --help`\.\n$')

    def test_config(self):
        done = weir("config", "--dev", "--store", "mysql://weir:hush@db/weir")
        self.assertNotIn("hush", done.stdout)
        for line in ("store            mysql://weir:\\*\\*\\*@db/weir +\\(flag\\)", "slots +[1-9]\\d* +\\(default\\)", "data +\\./data +\\(default\\)",
                     "shell +on +\\(default\\)", "user +\\S+ +\\(default\\)"):
            self.assertRegex(done.stdout, f"(?m)^{line}$")


class Cable:
    """Between a node and its database; pulled, nothing passes and nobody is told, as when a machine is gone."""

    def __init__(self, path, to):
        self.to, self.pulled, self.pairs = to, False, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.to)
            self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def _carry(self, a, b):
        try:
            while data := a.recv(65536):
                if not self.pulled:
                    b.sendall(data)
        except OSError:
            pass
        try:
            b.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for pair in self.pairs:
            for s in pair:
                s.close()


@unittest.skipUnless(os.environ.get("WEIR_TEST_MYSQL"), "no MariaDB")
class Away(unittest.TestCase):
    def test_stop(self):
        """A planned stop ends within its time and with 0 although the database does not answer; the step is dead."""
        url = urlsplit(os.environ["WEIR_TEST_MYSQL"])
        with directory() as tmp:
            cable = Cable(str(tmp / "db.sock"), parse_qs(url.query)["socket"][0])
            self.addCleanup(cable.close)
            store = url._replace(query=f"socket={tmp}/db.sock").geturl()
            server = Server(tmp / "data", "--store", store, "--stop-timeout", "4s", "--lease", "20s")
            self.addCleanup(server.kill)
            # It ends by itself when the directory is gone: another test on this database may run it again.
            server.flow(shell("a", f"echo $$ > {tmp}/p; mv {tmp}/p {tmp}/pid; while test -e {tmp}/pid; do sleep 0.1; done"))
            until("the step runs", (tmp / "pid").exists)
            cable.pulled = True
            began = time.monotonic()
            self.assertEqual(server.stop(), 0, server.lines[-5:])
            self.assertLess(time.monotonic() - began, 30)  # 4 s, and what a loaded machine adds
            until("the step is dead", lambda: not os.path.exists(f"/proc/{(tmp / 'pid').read_text().strip()}"))
            if any("exit.forced" in line for line in server.lines):
                self.assertRegex("".join(server.lines), r"event=server\.stop_unsaved why=\S")

    def test_dead_node_is_named(self):
        """A node that takes over names host and process of the node that died."""
        with directory() as tmp:
            nodes = [Server(tmp / name, "--store", os.environ["WEIR_TEST_MYSQL"], "--lease", "2s") for name in ("a", "b")]
            for node in nodes:
                self.addCleanup(node.kill)
            nodes[0].kill()
            until("it is named", lambda: any(f" pid={nodes[0].pid} " in line and "event=node.dead" in line for line in nodes[1].lines))
            self.assertIn(f" host={socket.gethostname()} ", next(line for line in nodes[1].lines if f" pid={nodes[0].pid} " in line))
            self.assertEqual(nodes[1].stop(), 0)


@unittest.skipUnless(HAVE_MARIADB, "no MariaDB")
class Starts(unittest.TestCase):
    """A start waits for an obstacle that goes away, and names one that does not."""

    def setUp(self):
        context = directory()
        self.tmp = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def database(self, *options):
        db = MariaDb(self.tmp, None, *options)
        self.addCleanup(db.stop)
        return db

    def starts_behind(self, db, *statements):
        """A short lease, so that this node waits for each answer no longer than another one is in the way."""
        done = []
        with db.session(*statements):
            starter = threading.Thread(target=lambda: done.append(Server(self.tmp / "data", "--store", db.url, "--lease", "3s")))
            starter.start()
            time.sleep(5)  # how long it is in the way
            self.assertFalse(done)
        starter.join(LIMIT_S)
        self.addCleanup(done[0].kill)
        self.assertEqual(done[0].stop(), 0)

    def started(self, server):
        try:
            return server.flow(shell("s", "true"))
        except Refused as refused:
            self.assertEqual(refused.status, 503)
            return None

    def test_another_makes_the_schema(self):
        self.starts_behind(self.database(), "SELECT GET_LOCK('weir.schema.weir', 0)")

    def test_rows_are_locked(self):
        db = self.database()
        first = Server(self.tmp / "first", "--store", db.url)
        self.assertEqual(first.stop(), 0)
        self.starts_behind(db, "BEGIN", "SELECT * FROM id_block FOR UPDATE")

    def test_binlog_of_statements(self):
        """READ COMMITTED cannot be logged as statements: the refusal says so, and what to do; so does a node that was there before."""
        db = self.database("--log-bin", "--binlog-format=STATEMENT", "--server-id=1", "--sync-binlog=1")
        done = weir("server", "--dev", "--data", self.tmp / "data", "--listen", "127.0.0.1:0", "--store", db.url)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("binlog_format of the database is STATEMENT", done.stderr)
        self.assertIn("ROW or MIXED", done.stderr)
        for good in ("MIXED", "ROW"):
            db.sql(f"SET GLOBAL binlog_format={good}")
            server = Server(self.tmp / "data", "--store", db.url)
            self.addCleanup(server.kill)
            self.assertEqual(server.ended(server.flow(shell("s", "true")))["status"], "SUCCESS")
            if good == "MIXED":
                self.assertEqual(server.stop(), 0)
        db.sql("SET GLOBAL binlog_format=STATEMENT")
        for (number,) in db.sql("SELECT id FROM information_schema.processlist WHERE id<>CONNECTION_ID() AND user='root'"):
            db.sql(f"KILL {number}")  # its next connections are made under the new setting
        until("it says why", lambda: any("binlog_format" in line for line in server.lines))
        db.sql("SET GLOBAL binlog_format=ROW")
        fi = until("it runs again", lambda: self.started(server))
        self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
