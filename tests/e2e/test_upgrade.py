"""Upgrades: the databases of older releases (tests/upgrade) go on where those were killed, and nodes of two releases share a database."""
import hashlib
import json
import pathlib
import sqlite3
import subprocess
import unittest
import urllib.request

from live import BIN, CLEAN_ENV, LIMIT_S, ROOT, Refused, Server, directory, shell, task, until, weir
from services import HAVE_MARIADB, MariaDb

DUMPS = ROOT / "tests" / "upgrade"
NEXT = pathlib.Path(BIN).resolve().parents[1] / "tests" / "upgrade"
RELEASES = {"8ec770b": 1, "3f30a82": 3}
SCHEMA = 10
# Of the kept databases: the token whose hash they hold, where there is one.
TOKENS = {("3f30a82", "sqlite"): "dd8acd6ba8162e77d753e1d6f8dc52507d8c80a5b436a8b0c5b6f36411bd09d1",
          ("3f30a82", "mysql"): "531e229c4c3d5076e0ff2461c46997863326929ff61f071683f315ebca7eae6b"}
# How each flow of them ends. "late" waits for a slot, for 60 s from the day of the dump on: a free slot or the end of that time may come first.
ENDS = {"ended": "SUCCESS", "failed": "FAILED", "any": "SUCCESS", "retry": "SUCCESS", "runs": "SUCCESS", "queued": "SUCCESS", "late": None,
        "join": "SUCCESS", "wide": "SUCCESS"}


class Sqlite:
    oldest = "9"

    def __init__(self, tmp):
        self.path = tmp / "data" / "weir.db"
        self.url = f"sqlite:{self.path}"

    def load(self, release):
        self.path.parent.mkdir(mode=0o755)
        for path, name in ((self.path, "sqlite"), (f"{self.path}-log", "sqlite-log")):
            db = sqlite3.connect(path)
            db.executescript((DUMPS / f"{release}.{name}.sql").read_text())
            db.close()

    def ask(self, sql):
        db = sqlite3.connect(self.path, timeout=LIMIT_S)
        rows = [[str(cell) for cell in row] for row in db.execute(sql).fetchall()]
        db.close()
        return rows

    def close(self):
        pass


class Mysql:
    oldest = "9"

    def __init__(self, tmp):
        self.db = MariaDb(tmp)
        self.url, self.ask, self.close = self.db.url, self.db.sql, self.db.stop

    def load(self, release):
        subprocess.run(self.db.client(), input=(DUMPS / f"{release}.mysql.sql").read_text(), text=True, check=True, timeout=LIMIT_S)


def stores():
    return {"sqlite": Sqlite, **({"mysql": Mysql} if HAVE_MARIADB else {})}


class Kept(unittest.TestCase):
    """A database of an older release whose server was killed: everything in it goes on and ends."""

    def test_flows_end(self):
        for release in RELEASES:
            for name, store in stores().items():
                with self.subTest(release=release, store=name), directory() as tmp:
                    db = store(tmp)
                    self.addCleanup(db.close)
                    db.load(release)
                    self.dry_run(db, tmp, release)
                    server = Server(tmp / "data", "--store", db.url, "--lease", "3s")
                    self.addCleanup(server.kill)
                    self.went_on(server, db)
                    self.known(server, db)
                    self.assertEqual(server.stop(), 0)
                    self.token(tmp, db, TOKENS.get((release, name)))
                    db.close()

    def dry_run(self, db, tmp, release):
        before = db.ask("SELECT * FROM schema_version")
        done = weir("db", "migrate", "--dry-run", "--store", db.url)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"has schema {RELEASES[release]}, this weir needs {SCHEMA}\n", done.stdout)
        self.assertEqual("  0002_installation.sql\n" in done.stdout, RELEASES[release] < 2)
        self.assertIn("  0004_beside.sql\n  0005_async.sql\n  0006_queues.sql\n  0007_counted.sql\n  0008_s3.sql\n  0009_s3_more.sql\n  0010_verdicts.sql\n", done.stdout)
        self.assertIn(f"Nothing was changed. Make a backup before you migrate: no weir before schema {db.oldest} starts", done.stdout)
        self.assertEqual(db.ask("SELECT * FROM schema_version"), before)

    def went_on(self, server, db):
        ends = {}
        for fi, name in db.ask("SELECT i.fi_id, f.flow_name FROM task_flow_ins i JOIN task_flow f ON f.flow_id=i.flow_id"):
            ends[name] = server.ended(fi)
            if ENDS[name]:
                self.assertEqual((name, ends[name]["state"]), (name, ENDS[name]), ends[name])
        self.assertEqual(sorted(ends), sorted(ENDS))
        self.assertEqual(len(ends["wide"]["nodes"]), 151)
        self.assertEqual({node["state"] for node in ends["wide"]["nodes"]}, {"SUCCESS"})
        until("tasks that run alone end", lambda: db.ask("SELECT count(*) FROM task_ins WHERE state<9") == [["0"]])
        ran = {n["nodeKey"]: n for n in ends["runs"]["nodes"]}["a"]
        ran = server.get(f"/monitor/task/{server.get('/monitor/node/%d' % ran['niId'])[0]['tiId']}")
        self.assertEqual([ran["attempt"], ran["losses"], [a["end"] for a in ran["history"]]], [2, 1, ["LOST"]])
        canceled = {n["nodeKey"]: n for n in ends["any"]["nodes"]}["a"]
        self.assertEqual(canceled["tasks"]["canceled"], 1, canceled)
        failed = server.get("/monitor/node/%d" % ends["failed"]["nodes"][0]["niId"])[0]["tiId"]
        with urllib.request.urlopen(f"{server.url}/monitor/task/{failed}/log", timeout=LIMIT_S) as answer:
            self.assertEqual(answer.read(), b"out\n")

    def known(self, server, db):
        """Keys of the old release are answered with what they made then, and new ones count."""
        flow = {"flowName": "ended", "flowNodes": [task("a", "ECHO", "one"), task("b", "ECHO", "two", "a")]}
        for path, body, key, field in (("/flow", flow, "save-ended", "flowId"), ("/exec/flow/1", {}, "start-ended", "fiId"), ("/exec/task/1", {}, "alone", "tiId")):
            request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json", "Idempotency-Key": key})
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                got = json.load(answer)["data"][field]
            self.assertEqual([[str(got)]], db.ask(f"SELECT first_id FROM idempotency WHERE idem_key='{key}'"))
        self.assertEqual(server.ended(server.flow(shell("a", "echo new"), task("b", "ECHO", "on", "a")))["state"], "SUCCESS")
        self.assertEqual(db.ask("SELECT max(version), max(oldest) FROM schema_version"), [[str(SCHEMA), db.oldest]])

    def token(self, tmp, db, token):
        """Who had it before has it still."""
        if not token:
            return
        self.assertEqual(db.ask("SELECT token_hash FROM installation"), [[hashlib.sha256(token.encode()).hexdigest()]])
        (tmp / "data" / "weir.token").write_text(token + "\n")
        (tmp / "data" / "weir.token").chmod(0o600)
        server = Server(tmp / "data", "--store", db.url, dev=False)
        self.addCleanup(server.kill)
        self.assertTrue(server.call("GET", "/flow", token=token))
        self.assertEqual(server.stop(), 0)

    def test_run_migrates_too(self):
        with directory() as tmp:
            db = Sqlite(tmp)
            db.load("8ec770b")
            (tmp / "flow.json").write_text(json.dumps({"flowName": "f", "flowNodes": [task("a", "ECHO", "1")]}))
            self.assertEqual(weir("run", "--store", db.url, tmp / "flow.json").returncode, 0)
            self.assertEqual(db.ask("SELECT max(version) FROM schema_version"), [[str(SCHEMA)]])

    def test_nothing_is_made(self):
        with directory() as tmp:
            done = weir("db", "migrate", "--store", f"sqlite:{tmp}/none.db")
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertEqual(list(tmp.iterdir()), [])
            self.assertEqual(weir("db", "--store", f"sqlite:{tmp}/none.db").returncode, 2)

    def test_dry_run_is_a_flag(self):
        """Whoever sets WEIR_DRY_RUN expects that nothing is changed, and only a backup would lead back."""
        with directory() as tmp:
            db = Sqlite(tmp)
            db.load("8ec770b")
            before = db.path.read_bytes()
            done = weir("db", "migrate", "--store", db.url, env={"WEIR_DRY_RUN": "on"})
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("WEIR_DRY_RUN is set, but only the flag counts: say --dry-run", done.stderr)
            self.assertEqual(db.path.read_bytes(), before)

    def test_wrong_words(self):
        with directory() as tmp:
            for args, says in ((("db",), "Say what to do: `weir db migrate`."), (("db", "upgrade"), 'There is no "upgrade" here: say `weir db migrate`.'),
                               (("db", "migrate", "x"), '`weir db migrate` takes no "x": name the database with --data or --store.')):
                done = weir(*args)
                self.assertEqual((done.returncode, done.stdout), (2, ""), args)
                self.assertIn(says, done.stderr)
            for verb in (("db", "migrate"), ("token", "show")):
                done = weir(*verb, "--data", tmp / "none")
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn("none: name it with --data.", done.stderr)
            (tmp / "weir.db").touch(0o600)
            done = weir("db", "migrate", "--dry-run", "--store", f"sqlite:{tmp}/weir.db")
            self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (0, "Nothing was changed."))


class Stopped(unittest.TestCase):
    @unittest.skipUnless(HAVE_MARIADB, "needs mariadbd")
    def test_in_its_migration(self):
        """A server that waits for a table ends when it is told to, and the next one goes on."""
        with directory() as tmp:
            db = Mysql(tmp)
            self.addCleanup(db.close)
            db.load("3f30a82")
            reader = subprocess.Popen(db.db.client(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            self.addCleanup(reader.wait, LIMIT_S)
            self.addCleanup(reader.stdin.close)
            reader.stdin.write("BEGIN; SELECT incarnation FROM engine_node; SELECT GET_LOCK('read', 0);\n") # the last says that all is done
            reader.stdin.flush()
            until("the table is in use", lambda: db.ask("SELECT IS_USED_LOCK('read') IS NOT NULL") == [["1"]])
            args = [BIN, "server", "--dev", "--listen", "127.0.0.1:0", "--data", tmp / "data", "--store", db.url]
            server = subprocess.Popen(list(map(str, args)), stderr=subprocess.PIPE, text=True, env=CLEAN_ENV)
            self.addCleanup(server.kill)
            waits = "SELECT count(*) FROM information_schema.processlist WHERE state='Waiting for table metadata lock'"
            until("the server waits", lambda: db.ask(waits) != [["0"]])
            server.terminate()
            self.assertIn("told to stop before the database had its schema", server.communicate(timeout=LIMIT_S)[1])
            self.assertEqual(server.returncode, 0)


def other(name, *args):
    """A program of another release."""
    return subprocess.run([NEXT / name, *map(str, args)], capture_output=True, text=True, timeout=LIMIT_S, env=CLEAN_ENV)


class Beside(unittest.TestCase):
    """weir_next has one more, additive schema file; weir_after another, which takes something away."""

    def start(self, data, url, binary=BIN):
        server = Server(data, "--store", url, binary=str(binary))
        self.addCleanup(server.kill)
        return server

    @unittest.skipUnless(HAVE_MARIADB, "needs mariadbd")
    def test_two_releases(self):
        with directory() as tmp:
            db = Mysql(tmp)
            self.addCleanup(db.close)
            gate = tmp / "gate"
            old = self.start(tmp / "old", db.url)
            long = old.flow(shell("a", f"while [ ! -e {gate} ]; do sleep 0.05; done"), task("b", "ECHO", "on", "a"))
            new = self.start(tmp / "new", db.url, NEXT / "weir_next")
            self.assertEqual(db.ask("SELECT max(version) FROM schema_version"), [[str(SCHEMA + 1)]])
            for server in (old, new, old):
                self.assertEqual(server.ended(server.flow(shell("a", "echo 1"), task("b", "ECHO", "2", "a")))["state"], "SUCCESS")
            self.assertEqual(old.stop(), 0)
            old = self.start(tmp / "old", db.url)  # a start beside a newer release
            self.assertTrue([line for line in old.lines if "event=store.schema_newer" in line and f" schema={SCHEMA + 1} " in line], old.lines)
            self.assertEqual(old.ended(old.flow(task("a", "ECHO", "1")))["state"], "SUCCESS")
            gate.touch()
            self.assertEqual(new.ended(long)["state"], "SUCCESS")

            done = other("weir_after", "db", "migrate", "--dry-run", "--store", db.url)
            self.assertEqual(done.returncode, 4)
            self.assertNotIn("backup", done.stdout)  # it will not begin
            done = other("weir_after", "db", "migrate", "--store", db.url)
            self.assertEqual(done.returncode, 4)
            self.assertRegex(done.stderr, rf"A node of an older weir \([^)]*pid {old.pid}\) uses the database, and cannot work with schema 12: stop it first")
            self.assertEqual(old.stop(), 0)
            done = other("weir_after", "db", "migrate", "--store", db.url)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(new.ended(new.flow(task("a", "ECHO", "1")))["state"], "SUCCESS")
            done = weir("server", "--dev", "--data", tmp / "old", "--listen", "127.0.0.1:0", "--store", db.url)
            self.assertEqual(done.returncode, 4)
            self.assertIn("has schema 12, which this weir (schema 10) may not use: start a newer weir, or restore the backup", done.stderr)

    def test_there_and_back(self):
        """SQLite has one process at a time: the rule is about the way back."""
        with directory() as tmp:
            url = f"sqlite:{tmp}/weir.db"
            for binary in (BIN, NEXT / "weir_next", BIN, NEXT / "weir_next"):
                server = self.start(tmp / "data", url, binary)
                self.assertEqual(server.ended(server.flow(task("a", "ECHO", "1")))["state"], "SUCCESS")
                self.assertEqual(server.stop(), 0)
            self.assertEqual(other("weir_after", "db", "migrate", "--store", url).stdout.splitlines(),
                             [f"{tmp}/weir.db has schema 11, this weir needs 12", f"{tmp}/weir.db-log has schema 5, as this weir needs",
                              "  0012_after.sql", f"{tmp}/weir.db has schema 12 now"])
            self.assertEqual(weir("run", "--store", url, "-", stdin="{}").returncode, 4)


if __name__ == "__main__":
    unittest.main()
