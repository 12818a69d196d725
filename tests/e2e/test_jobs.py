"""Jobs under kill -9: of the one server on SQLite, and of nodes of a cluster on MariaDB and Redis. What is added is doubled, wishes are
cut off in their middle; in the end the counts of each job are those of its rows, and it is final when the last of its tasks is."""
import collections
import contextlib
import random
import sqlite3
import unittest
import urllib.error

from live import Refused, Server, directory, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis

CLASSES = ("notStarted", "retrying", "running", "analyzing", "waiting", "success", "failed", "canceled")
CLASS_OF = {"SUCCESS": "success", "FAILED": "failed", "TIMEOUT": "failed", "DEAD": "failed", "CANCELED": "canceled", "RUNNING": "running",
            "PAUSING": "running", "CANCELING": "running", "RETRY_WAIT": "retrying"}
TASKS, PART = 1500, 100
DELETED = 5000                        # ten slices of its pass
AWAY = (urllib.error.URLError, ConnectionError, TimeoutError)


class Jobs(unittest.TestCase):
    nodes = 1

    def store(self, tmp):
        return ()

    def setUp(self):
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        self.args = self.store(self.tmp)
        self.rnd = random.Random(7)
        self.servers = [self.start(i) for i in range(self.nodes)]

    def start(self, i):
        server = Server(self.tmp / f"node{i}", *self.args, "--lease", "6s")
        self.addCleanup(server.kill)
        return server

    def kill(self):
        """kill -9 of any node, which comes back."""
        i = self.rnd.randrange(self.nodes)
        self.servers[i].kill()
        self.servers[i] = self.start(i)

    def ask(self, method, path, body=None):
        """Of any node, again while it is away: each of these may be asked twice."""
        def once():
            with contextlib.suppress(*AWAY):
                try:
                    return self.rnd.choice(self.servers).call(method, path, body)
                except Refused as refused:
                    if refused.status not in (503, 500):
                        raise
            return None
        return until(f"{method} {path}", once)

    def rows(self, job):
        states, after = collections.Counter(), ""
        while after is not None:
            answer = self.servers[0].answer("GET", f"/job/{job}/task?limit=500{after}")
            for task in answer["data"]:
                states[CLASS_OF.get(task["state"], "retrying" if task["failures"] + task["losses"] else "notStarted")] += 1
            at = answer["page"].get("next")
            after = None if at is None else f"&offset={at}"
        return states

    def final(self, job, state):
        path = f"/job/{job}"
        got = until(f"job {job} ends", lambda: (lambda j: j if "endTime" in j else None)(self.ask("GET", path + "?wait=5")))
        self.assertEqual(got["state"], state, got)
        rows = self.rows(job)
        self.assertEqual({name: rows[name] for name in CLASSES}, {name: got["counts"][name] for name in CLASSES})
        self.assertEqual(sum(rows.values()), got["counts"]["total"])
        self.assertEqual(self.ask("GET", path)["endedAt"], got["endedAt"])  # once
        return got["counts"]

    def add(self, job, first, kind):
        tasks = [kind(i) for i in range(first, first + PART)]
        self.ask("POST", f"/job/{job}/task", {"tasks": tasks})

    def test_a_job_that_grows(self):
        job = self.ask("POST", "/job", {"jobKey": "grows"})["jobId"]
        kills = {self.rnd.randrange(TASKS // PART) for _ in range(4)}
        for part in range(TASKS // PART):
            self.add(job, part * PART, lambda i: {"taskType": "ECHO", "taskContent": str(i), "taskKey": f"t-{i}"})
            if part % 3 == 0:
                self.add(job, part * PART, lambda i: {"taskType": "ECHO", "taskContent": str(i), "taskKey": f"t-{i}"})
            if part in kills:
                self.kill()
        self.ask("POST", f"/job/{job}/close")
        counts = self.final(job, "SUCCESS")
        self.assertEqual((counts["success"], counts["total"]), (TASKS, TASKS))

    def test_wishes_that_are_cut_off(self):
        job = self.ask("POST", "/job", {"jobKey": "wishes"})["jobId"]
        self.ask("POST", f"/job/{job}/pause")
        for part in range(TASKS // PART):
            self.add(job, part * PART, lambda i: {"taskType": "ECHO", "taskContent": str(i), "taskKey": f"t-{i}"})
        self.assertEqual(self.rows(job), {"notStarted": TASKS})
        self.ask("POST", f"/job/{job}/cancel")
        self.kill()
        self.assertEqual(self.final(job, "CANCELED")["canceled"], TASKS)
        self.ask("POST", f"/job/{job}/retry")
        self.kill()
        counts = self.final(job, "SUCCESS")
        self.assertEqual(counts["success"], TASKS)

    def query(self, sql):
        """Rows of the store, with what SQLite keeps in a file of its own."""
        tables = collections.Counter()
        for name in ("weir.db", "weir.db-log"):
            path = self.tmp / "node0" / name
            if path.exists():
                with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
                    for table, ask in sql.items():
                        if db.execute("SELECT 1 FROM sqlite_master WHERE name=?", (table,)).fetchone():
                            tables[table] += db.execute(ask).fetchone()[0]
        return tables

    def left(self, job, first, last):
        by_ti = {t: f"SELECT COUNT(*) FROM {t} WHERE ti_id BETWEEN {first} AND {last}"
                 for t in ("task_ins", "task_async", "task_alone", "task_attempt", "task_log", "task_context", "task_progress")}
        by_job = {t: f"SELECT COUNT(*) FROM {t} WHERE job_id={job}" for t in ("job", "job_task")}
        return self.query({**by_ti, **by_job})

    def change(self, sql):
        with contextlib.closing(sqlite3.connect(self.tmp / "node0/weir.db", timeout=30)) as db, db:
            db.execute(sql)

    def test_something_is_left(self):
        """A row that the deletion does not know: the job is not said to be gone."""
        server = self.servers[0]
        job = self.ask("POST", "/job", {"jobKey": "left", "closed": True, "tasks": [{"taskType": "ECHO"}]})["jobId"]
        self.final(job, "SUCCESS")
        self.change(f"INSERT INTO job_task (job_id, ti_id) VALUES ({job}, 9999999)")
        for _ in range(2):  # it stays so
            with self.assertRaises(Refused) as refused:
                server.call("DELETE", f"/job/{job}?wait=30")
            self.assertEqual((refused.exception.status, refused.exception.answer["code"]), (500, "50001"))
        self.assertEqual(server.get(f"/job/{job}")["state"], "DELETING")
        self.change(f"DELETE FROM job_task WHERE job_id={job}")
        until("the job is gone", lambda: self.taken_away(server, job))

    def taken_away(self, server, job):
        try:
            return server.call("DELETE", f"/job/{job}?wait=1")["state"] == "DELETED" or None
        except Refused as refused:
            self.assertEqual(refused.status, 404)
            return True

    def test_a_deletion_that_is_cut_off(self):
        job = self.ask("POST", "/job", {"jobKey": "deleted"})["jobId"]
        clean = {"onDelete": {"content": "exit 0"}}
        ids = []
        for part in range(DELETED // PART):
            tasks = [{"taskType": "ECHO", "taskContent": str(i), "taskKey": f"t-{i}"} for i in range(part * PART, (part + 1) * PART)]
            tasks[0] = {"taskType": "SHELL", "taskContent": "echo x", "taskKey": f"t-{part * PART}", "taskConfig": clean}
            ids += self.ask("POST", f"/job/{job}/task", {"tasks": tasks})["tiIds"]
        self.ask("POST", f"/job/{job}/close")
        self.final(job, "SUCCESS")
        here = self.left(job, min(ids), max(ids))
        self.assertEqual((here["job"], here["job_task"], here["task_ins"], here["task_async"] > 0), (1, DELETED, DELETED, True), here)
        self.assertGreater(here["task_log"], 0)
        self.ask("DELETE", f"/job/{job}")
        self.kill()
        self.kill()

        def deleted():
            try:
                got = self.ask("DELETE", f"/job/{job}?wait=1")
            except Refused as refused:
                self.assertEqual(refused.status, 404)
                return True
            self.assertEqual(got["removed"]["tasks"] + got["left"]["tasks"], DELETED)
            return got["state"] == "DELETED" or None
        until("the job is gone", deleted)
        until("nothing is left of it", lambda: not +self.left(job, min(ids), max(ids)) or None)
        again = self.ask("POST", "/job", {"jobKey": "deleted", "closed": True})
        self.assertNotEqual(again["jobId"], job)


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS, "needs mariadbd and redis-server")
class Cluster(Jobs):
    nodes = 3

    def store(self, tmp):
        db, redis = self.db, _ = MariaDb(tmp), Redis(tmp)
        self.addCleanup(db.stop)
        self.addCleanup(redis.stop)
        return ("--store", db.url, "--queue", redis.url, "--prefix", "jobs")

    def change(self, sql):
        self.db.sql(sql)

    def query(self, sql):
        return collections.Counter({table: int(self.db.sql(ask)[0][0]) for table, ask in sql.items()})


if __name__ == "__main__":
    unittest.main()
