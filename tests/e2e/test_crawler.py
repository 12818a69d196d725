"""A crawler, as S3 wants jobs: a job begins with one page of a site; the analyzer of each page answers its links as further tasks,
whose taskKey is the URL. On the way members are killed, Redis is emptied, requests come twice, the analyzer fails. In the end each
page has one task and one result, the site was asked again only for what died with a member, and the job ends with its last task.

Kills come where they hurt: a worker dies while the site still owes it a page, a manager while it waits for the analyzer.
A watcher looks at the rows of the whole job, by one statement at a time, from the first to the last.
"""
import collections
import contextlib
import http.client
import json
import random
import sqlite3
import threading
import unittest
import urllib.error

from crawler import Analyst, Web
from live import LIMIT_S, Refused, Server, directory, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis
from test_members import Quiet

AWAY = (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException, json.JSONDecodeError)  # half an answer, too
CLASSES = ("notStarted", "retrying", "running", "analyzing", "waiting", "success", "failed", "canceled")
IDS = ("job_id", "ti_id", "parent_ti", "root_ti")   # columns with the number of a job or of a task

# What must hold whenever one looks: each answers rows that are wrong. A state of 9 and above has ended.
WATCHED = {
    "the counts of the job are those of its rows":
        "SELECT j.job_id, COUNT(i.ti_id), SUM(i.state<9), j.not_started+j.retrying+j.running+j.analyzing+j.waiting AS live,"
        " j.success+j.failed+j.canceled AS past FROM job j JOIN job_task t ON t.job_id=j.job_id JOIN task_ins i ON i.ti_id=t.ti_id"
        " GROUP BY j.job_id HAVING SUM(i.state<9)<>live OR SUM(i.state>=9)<>past",
    "a job that has ended has no live task":
        "SELECT j.job_id, i.ti_id, i.state FROM job j JOIN job_task t ON t.job_id=j.job_id JOIN task_ins i ON i.ti_id=t.ti_id"
        " WHERE j.end_time IS NOT NULL AND i.state<9 LIMIT 3",
    "a task that has ended has no live task below it":
        "SELECT c.parent_ti, c.ti_id, i.state FROM task_child c JOIN task_ins p ON p.ti_id=c.parent_ti"
        " JOIN task_ins i ON i.ti_id=c.ti_id WHERE p.state>=9 AND i.state<9 LIMIT 3",
    "no URL has two tasks":
        "SELECT task_key, COUNT(*) FROM task_async WHERE task_key IS NOT NULL GROUP BY task_key, key_scope HAVING COUNT(*)>1 LIMIT 3",
}


class Crawl:
    """What all kinds have in common. Each says how many pages there are (Web), and who may call the analyzer; it keeps `managers`,
    the servers that may be asked, and `workers`, the numbers of those that run tasks."""
    pages = near = 0
    callers = set()
    pause_s = 0.25      # between two looks

    def setUp(self):
        super().setUp()
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        self.rnd = random.Random(31)
        self.web = Web(self.pages, self.near, self.rnd)
        self.addCleanup(self.web.site.close)
        self.analyst = Analyst(self.tmp / "analyst", self.web, self.pages, self.rnd)
        self.managers, self.workers, self.killed, self.wrong, self.looks = {}, set(), set(), [], 0
        self.args = self.store()

    def member(self, name, *options, kind=Server):
        folder = self.tmp / f"programs-{name}"
        if not folder.exists():
            self.analyst.program(folder, name)
        server = kind(self.tmp / name, *self.args, "--executor-dir", folder, "--http-allow", f"127.0.0.1/32:{self.web.site.port}",
                      "--lease", "6s", *options)
        self.addCleanup(server.kill)
        return server

    # ---- requests ----

    def ask(self, method, path, body=None):
        """Of any manager, again while it is away."""
        def once():
            with contextlib.suppress(*AWAY):
                try:
                    return [self.rnd.choice(list(self.managers.values())).call(method, path, body)]
                except Refused as refused:
                    if refused.status not in (500, 503):
                        raise
            return None
        return until(f"{method} {path}", once)[0]

    def twice(self, path, body):
        """The same request at the same time, at two managers where there are two."""
        answers = []

        def post(server):
            try:
                whole = server.answer("POST", path, body)
                answers.append({**whole["data"], "replayed": whole.get("replayed", False)})
            except Refused as refused:
                answers.append(refused)
        servers = list(self.managers.values())
        threads = [threading.Thread(target=post, args=(servers[i % len(servers)],)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([type(a) for a in answers], [dict, dict], answers)
        return answers

    def begin(self):
        self.twice("/analyzer", self.analyst.body())
        body = {"jobKey": "crawl", "jobName": "all pages", "tasks": [self.web.task(0)]}
        one, two = self.twice("/job", body)
        self.assertEqual(one["jobId"], two["jobId"])
        self.assertEqual(sorted(a["replayed"] for a in (one, two)), [False, True])
        self.job = one["jobId"]
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        self.addCleanup(self.watcher.join)
        self.addCleanup(self.over.set)

    def seed(self, pages):
        """Pages that somebody knows without having found them; some have a task already. Once more at the other manager."""
        body = {"tasks": [self.web.task(i) for i in pages]}
        one, two = self.twice(f"/job/{self.job}/task", body)
        self.assertEqual(one["tiIds"], two["tiIds"])
        self.assertEqual(len(set(one["tiIds"])), len(pages))
        self.assertLessEqual(one["added"] + two["added"], len(pages))
        self.assertEqual(0, self.ask("POST", f"/job/{self.job}/task", body)["added"])

    def close(self):
        self.ask("POST", f"/job/{self.job}/close")
        self.ask("POST", f"/job/{self.job}/close")
        self.assertEqual(0, self.ask("POST", f"/job/{self.job}/task", {"tasks": [self.web.task(0)]})["added"])
        with self.assertRaises(Refused) as refused:
            self.ask("POST", f"/job/{self.job}/task", {"tasks": [{"taskType": "ECHO", "taskKey": "late"}]})
        self.assertEqual((refused.exception.status, refused.exception.answer["code"]), (409, "40919"))

    # ---- the watcher ----

    def watch(self):
        """Until the job is over, and once more then."""
        last, total = False, 0
        while not last and not self.wrong:
            last = self.over.is_set()
            try:
                total = self.look(total)
            except Exception as error:  # of this thread nobody would hear
                self.wrong.append(repr(error))
            self.looks += 1
            self.over.wait(self.pause_s)

    def look(self, total):
        for what, sql in WATCHED.items():
            if rows := self.rows(sql):
                self.wrong.append(f"not true: {what}: {rows}")
        with contextlib.suppress(*AWAY, Refused):
            job = next(iter(self.managers.values())).get(f"/job/{self.job}")
            counts = job["counts"]
            if sum(counts[name] for name in CLASSES) != counts["total"] or counts["total"] < total:
                self.wrong.append(f"counts after {total} tasks: {job}")
            if "endedAt" in job and (job["state"], counts["success"]) != ("SUCCESS", self.pages):
                self.wrong.append(f"ended early: {job}")
            return counts["total"]
        return total

    # ---- kills ----

    def reached(self, what, ask):
        """As until(), but it ends when the watcher has seen what must not be, and says what the job waits for."""
        def now():
            self.assertEqual(self.wrong, [])
            return ask()
        try:
            return until(what, now)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.web.found()} pages found; {self.stuck()}") from None

    def id_of(self, server):
        return next(m["memberId"] for m in self.ask("GET", "/members?all=true") if m["pid"] == server.pid)

    def kill(self, server, name):
        """It comes back under another number, or not at all."""
        self.killed.add(self.id_of(server))
        if len(self.managers) > 1:
            self.managers.pop(name, None)   # nobody asks it any more
        server.kill()
        self.analyst.dies(name)

    def kill_in_a_fetch(self, servers):
        """One of these dies while the site, which gives out no more pages now, owes it one."""
        names = {self.id_of(server): name for name, server in servers.items()}

        def victim():
            rows = self.tasks("&state=RUNNING")
            return next((names[t["memberId"]] for t in rows if t["memberId"] in names and self.web.waits(self.page(t))), None)
        name = self.reached("one waits for a page", victim)
        self.kill(servers.pop(name), name)

    def kill_in_an_analysis(self, part, before=lambda server: None):
        """A manager dies while the analyzer owes it an answer; then so many of the pages are given out."""
        servers = dict(self.managers)
        self.analyst.hold(True)
        try:
            self.web.allow(part)
            name = self.reached("one waits for the analyzer",
                                lambda: next((who for who, _ in self.analyst.calls("held") if who in servers), None))
            seen = before(servers[name])
            self.kill(servers[name], name)
        finally:
            self.analyst.hold(False)
        return seen

    # ---- the end ----

    def page(self, row):
        return int(row["taskKey"].rsplit("/", 1)[1])

    def tasks(self, more=""):
        out, at = [], 0
        while at is not None:
            def once(at=at):
                with contextlib.suppress(*AWAY):
                    return next(iter(self.managers.values())).answer("GET", f"/job/{self.job}/task?limit=500&offset={at}{more}")
            answer = until("the tasks of the job", once)
            out += answer["data"]
            at = answer["page"].get("next")
        return out

    def ended(self):
        """The job as it ended. As long as it comes on, it has time."""
        before, job = -1, {}

        def final():
            job.update(self.ask("GET", f"/job/{self.job}?wait=1"))
            return "endedAt" in job
        while True:
            try:
                self.reached("the job ends", final)
                return job
            except AssertionError:
                if self.wrong or job["counts"]["success"] == before:
                    raise
                before = job["counts"]["success"]

    def stuck(self):
        shown = ("tiId", "taskKey", "state", "why", "whyText", "memberId", "failures", "losses", "errorMsg", "children")
        return [{k: t[k] for k in shown if k in t} for t in self.tasks() if t["state"] != "SUCCESS"][:5]

    def check(self):
        """What a job of this kind is at its end."""
        job = self.ended()
        self.over.set()
        self.watcher.join()
        self.assertEqual(self.wrong, [])
        self.assertGreater(self.looks, 1)
        tasks = [self.ask("GET", f"/monitor/task/{t['tiId']}") for t in self.tasks()]
        counts = job["counts"]
        self.assertEqual({name: counts[name] for name in CLASSES}, {name: self.pages if name == "success" else 0 for name in CLASSES})
        self.assertEqual((job["state"], counts["total"]), ("SUCCESS", self.pages))
        self.assertEqual(sorted(map(self.page, tasks)), list(range(self.pages)))    # each page one task
        self.assertEqual(max(t["endedAt"] for t in tasks), job["endedAt"])          # with the last of them
        self.results(tasks)
        self.tree(tasks)
        self.ledger(tasks, counts)
        self.analyses()
        self.assertEqual(self.ask("GET", f"/job/{self.job}"), job)                  # once

    def results(self, tasks):
        for task in tasks:
            body = self.web.bodies[self.page(task)]
            self.assertEqual((task["state"], task["verdict"], task.pop("result", None)), ("SUCCESS", "done", body))

    def tree(self, tasks):
        """Each link of a page was a new task below it, or one that was there."""
        by_id = {t["tiId"]: t for t in tasks}
        below = collections.Counter(t["parentTiId"] for t in tasks if "parentTiId" in t)
        for task in tasks:
            parent, links = by_id.get(task.get("parentTiId")), self.web.links[self.page(task)]
            children = task.get("children", {"total": 0, "live": 0, "failed": 0, "known": 0})
            self.assertEqual((children["total"], children["live"], children["failed"]), (below[task["tiId"]], 0, 0), task)
            self.assertEqual(children["total"] + children["known"], len(links), task)
            if parent:
                self.assertIn(self.page(task), self.web.links[self.page(parent)])
                self.assertLessEqual(task["endedAt"], parent["endedAt"])
        self.assertEqual(set(below) - set(by_id), set())

    def ledger(self, tasks, counts):
        """The site was asked once for each attempt at most, and each attempt but the last of a task died with its member."""
        fetches, executions, lost = self.web.fetches(), 0, 0
        for task in tasks:
            requests = fetches[self.page(task)]
            attempts = [r.headers["x-weir-attempt"] for r in requests]
            self.assertEqual(len(attempts), len(set(attempts)), f"an attempt has asked twice: {task}")
            self.assertEqual(len({r.headers["idempotency-key"] for r in requests}), 1, "what is lost has failed in no way")
            died = [h["memberId"] for h in task["history"] if h["end"] == "LOST"]
            self.assertLessEqual(set(died), self.killed, task)
            self.assertEqual((task["attempt"], task["executions"], task["failures"], task["losses"]),
                             (len(died) + 1, len(died) + 1, 0, len(died)), task)
            ran = [x["memberId"] for x in task["executors"]]
            self.assertEqual((ran[:-1], {*ran} - self.workers), (died, set()), task)
            self.assertLessEqual(len(attempts), task["attempt"])
            self.assertIn(str(task["attempt"]), attempts)
            executions += task["attempt"]
            lost += task["losses"]
        self.assertEqual((counts["executions"], counts["losses"], counts["timeouts"]), (executions, lost, 0))
        self.assertGreater(sum(map(len, fetches.values())), self.pages, "nobody was killed in the middle of a fetch")

    def analyses(self):
        """Each page was looked at once, once more for each time that the analyzer failed, and for a call that died with a member."""
        self.assertEqual(self.analyst.left(), 0)
        calls = collections.Counter(page for _, page in self.analyst.calls())
        self.assertLessEqual({who for who, _ in self.analyst.calls()}, self.callers)
        died = self.analyst.may_have_died()
        for i in range(self.pages):
            due = 1 + self.analyst.fails.get(i, 0)
            self.assertIn(calls[i] - due, (0, 1) if i in died else (0,), f"page {i}: {self.analyst.story(i)}")

    def delete(self):
        """Nothing is left: no row with the number of the job or of a task of it."""
        path, removed = f"/job/{self.job}", {}
        here = self.left()
        self.assertTrue(all(here[t] for t in ("job.job_id", "job_task.ti_id", "task_ins.ti_id", "task_child.ti_id")), here)

        def gone():
            try:
                got = self.ask("DELETE", f"{path}?wait=10")
            except Refused as refused:
                self.assertEqual((refused.status, refused.answer["code"]), (404, "40402"))
                return True
            removed.update(got["removed"])
            return got["state"] == "DELETED"
        until("the job is gone", gone)
        self.assertEqual(removed["tasks"], self.pages)
        self.assertEqual(removed["children"], 0)  # all that was added is of the job
        try:
            until("nothing is left of it", lambda: not +self.left())
        except AssertionError as error:
            raise AssertionError(f"{error}: {+self.left()}") from None
        with self.assertRaises(Refused) as refused:
            self.ask("GET", path)
        self.assertEqual(refused.exception.status, 404)


class OneProcess(Crawl, unittest.TestCase):
    """On SQLite: the one server is killed while it waits for pages, then while it waits for the analyzer, and comes back."""
    pages, near, callers, pause_s = 200, 12, {"one"}, 0.02

    def store(self):
        return ()

    def start(self):
        self.managers["one"] = self.member("one", "--slots", 4)
        self.workers.add(self.id_of(self.managers["one"]))

    def test_crawl(self):
        self.web.allow(0.3)
        self.start()
        self.begin()
        self.kill_in_a_fetch(dict(self.managers))
        self.start()
        self.seed(range(40, 100))
        self.close()
        self.kill_in_an_analysis(1)
        self.start()
        self.check()
        self.delete()
        self.assertEqual(self.managers["one"].stop(), 0)

    def files(self):
        for name in ("weir.db", "weir.db-log"):
            with contextlib.closing(sqlite3.connect(f"file:{self.tmp}/one/{name}?mode=ro", uri=True, timeout=LIMIT_S)) as db:
                yield db

    def rows(self, sql):
        with contextlib.closing(self.files()) as files:
            return next(files).execute(sql).fetchall()

    def left(self):
        out = collections.Counter()
        for db in self.files():
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            for table in set(tables) - {"task_gone"}:   # numbers of tasks whose log is in the other file: kept until the next deletion
                for _, column, *_ in db.execute(f"PRAGMA table_info({table})"):
                    if column in IDS:
                        out[f"{table}.{column}"] += db.execute(f"SELECT COUNT({column}) FROM {table}").fetchone()[0]
        return out


class Members(Crawl):
    """Two managers and three workers on one database; at the end one manager and one worker are left."""
    callers = {"m1", "m2"}

    def store(self):
        self.db = MariaDb(self.tmp)
        self.addCleanup(self.db.stop)
        return ("--store", self.db.url)

    def flush(self):
        """All hints are lost, where there are any."""

    def test_crawl(self):
        for name in ("m1", "m2"):
            self.managers[name] = self.member(name, "--roles", "api,runner", "--slots", 4)
        workers = {name: self.member(name, "--roles", "worker", kind=Quiet) for name in ("w1", "w2", "w3")}
        self.workers = {self.id_of(worker) for worker in workers.values()}
        self.web.allow(0.1)
        self.begin()
        self.kill_in_a_fetch(workers)
        self.flush()
        self.web.allow(0.3)
        self.seed(range(self.pages // 4, self.pages // 2, self.pages // 100))
        self.flush()
        self.once_more(self.kill_in_an_analysis(0.6, self.asks_until_it_dies))
        self.close()
        self.kill_in_a_fetch(workers)
        self.flush()
        self.web.allow(1)
        self.check()
        self.delete()
        until("no hint is left", lambda: not self.hints())
        self.assertEqual([s.stop() for s in (*self.managers.values(), *workers.values())], [0, 0])

    def asks_until_it_dies(self, server):
        """Somebody goes on adding pages there, until there is no answer."""
        asked = []

        def add():
            for i in range(1, self.pages, 7):
                asked.append([i, None])
                try:
                    asked[-1][1] = server.post(f"/job/{self.job}/task", {"tasks": [self.web.task(i)]})["tiIds"]
                except AWAY:
                    return
        thread = threading.Thread(target=add)
        thread.start()
        self.addCleanup(thread.join)
        until("one is added", lambda: len(asked) > 1)
        return asked, thread

    def once_more(self, asks):
        """The same at the other manager: what was answered is there, what was not answered is made once."""
        asked, thread = asks
        thread.join()
        for i, ids in asked:
            again = self.ask("POST", f"/job/{self.job}/task", {"tasks": [self.web.task(i)]})
            self.assertIn(ids, (None, again["tiIds"]))
            self.assertLessEqual(again["added"], ids is None)

    def hints(self):
        return []

    def rows(self, sql):
        return self.db.sql(sql)

    def left(self):
        columns = self.db.sql("SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t"
                              " USING (table_schema, table_name) WHERE c.table_schema='weir' AND t.table_type='BASE TABLE'"
                              f" AND c.column_name IN {IDS}")
        counts = self.db.sql(" UNION ALL ".join(f"SELECT '{t}.{c}', COUNT({c}) FROM {t}" for t, c in columns))
        return collections.Counter({name: int(n) for name, n in counts})


@unittest.skipUnless(HAVE_MARIADB, "no MariaDB here")
class OnRows(Members, unittest.TestCase):
    """They find their work in the rows alone."""
    pages, near = 200, 60


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS, "no MariaDB or no Redis here")
class WithHints(Members, unittest.TestCase):
    """S3's job of 2,000 pages. Redis is emptied three times."""
    pages, near = 2000, 100

    def store(self):
        self.redis = Redis(self.tmp)
        self.addCleanup(self.redis.stop)
        return (*super().store(), "--queue", self.redis.url, "--prefix", "crawl")

    def flush(self):
        self.assertEqual(self.redis.cli("FLUSHALL").stdout, "OK\n")

    def hints(self):
        keys = self.redis.cli("KEYS", "*").stdout.split()
        return [key for key in keys if self.redis.cli("TYPE", key).stdout == "list\n"]


if __name__ == "__main__":
    unittest.main()
