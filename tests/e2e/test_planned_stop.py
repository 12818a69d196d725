"""A planned stop of one of two nodes: what runs there goes on elsewhere, with its last context, and nobody outside sees more than a
short QUEUED. Ten thousand WAITs keep what is left of them."""
import contextlib
import sqlite3
import threading
import unittest

from live import Server, until
from services import HAVE_REDIS, OnMariaDb, Redis
from test_report import Base

# Counts on; what it has counted is its context.
COUNTS = ("i=$(cat $WEIR_CONTEXT); i=${i:-0}; trap 'weir report --context $i --stopped; exit $?' TERM; "
          "weir report --progress $i; while :; do i=$((i + 1)); weir report --progress $i; sleep 0.1; done")
N = 10000


class OfTwo(OnMariaDb, Base):
    def node(self, name, *options):
        server = Server(self.tmp / name, *self.store(), *options)
        self.servers.append(server)
        return server

    def watch(self, server, ids, seen, over):
        while not over.is_set():
            for ti in ids:
                row = server.get(f"/monitor/task/{ti}")
                seen.add((row["state"], row.get("why")))

    def test_shell_tasks_go_on(self):
        first, second = self.node("a", "--slots", "8"), None
        ids = [first.post("/exec/task", {"taskType": "SHELL", "taskContent": COUNTS, "taskConfig": {"attempts": 2}})["tiId"] for _ in range(6)]
        for ti in ids:
            until(f"task {ti} has counted", lambda: self.done(first, ti) >= 3 or None)
        second = self.node("b", "--slots", "8")
        seen, over = set(), threading.Event()
        watcher = threading.Thread(target=self.watch, args=(second, ids, seen, over))
        watcher.start()
        self.assertEqual(first.stop(), 0)
        for ti in ids:
            row = self.row_when(second, ti, state="RUNNING", attempt=2)
            self.assertEqual((row["failures"], row["losses"], row["runNo"], row["errorMsg"]), (0, 0, 1, ""))
            self.assertEqual([h["end"] for h in row["history"]], ["HANDBACK"])
            context = int(self.context(second, ti))
            self.assertGreaterEqual(context, 3)
            until(f"task {ti} goes on behind its context", lambda: self.done(second, ti) > context or None)
        over.set()
        watcher.join()
        self.assertLessEqual({state for state, _ in seen}, {"RUNNING", "QUEUED"})
        for ti in ids:
            second.post(f"/exec/task-ins/{ti}/cancel")
            self.row_when(second, ti, state="CANCELED")
        self.assertEqual(second.stop(), 0)

    def done(self, server, ti):
        return server.get(f"/monitor/task/{ti}").get("progress", {}).get("done", 0)

    def test_waits_keep_what_is_left(self):
        self.waits_keep_what_is_left()

    def waits_keep_what_is_left(self):
        first = self.node("a")
        for _ in range(N // 1000):
            first.post("/exec/tasks", {"tasks": [{"taskType": "WAIT", "taskContent": "7200"}] * 1000})
        until("all of them run", lambda: self.count("state=4") == N or None)
        self.begun(first)
        self.assertEqual(first.stop(), 0)
        self.assertEqual((self.count("state=3"), self.count("losses>0"), self.count("tries>0")), (N, 0, 0))
        contexts = self.contexts()
        self.assertEqual(len(contexts), N)
        for text in contexts:
            self.assertRegex(text, r"^7[01]\d\d\.\d{6}s$")
        second = self.node("b" if self.store() else "a")
        until("all of them run again", lambda: self.count("state=4 AND epoch=2") == N or None)
        self.begun(second)
        self.assertEqual(second.stop(), 0)
        self.assertEqual(len(self.contexts()), N)
        self.assertEqual((self.count("state=3"), self.count("losses>0"), self.count("tries>0")), (N, 0, 0))

    def begun(self, server):
        """All that was claimed before has begun: the worker takes its starts in order. What has not begun leaves nothing."""
        self.assertEqual(server.post("/exec/task?wait=60", {"taskType": "SHELL", "taskContent": "true"})["state"], "SUCCESS")

    def count(self, where):
        return int(self.db.sql(f"SELECT count(*) FROM task_ins WHERE {where}")[0][0])

    def contexts(self):
        return [row[0] for row in self.db.sql("SELECT context FROM task_context")]


@unittest.skipUnless(HAVE_REDIS, "no Redis here")
class OfTwoRedis(OfTwo):
    def setUp(self):
        super().setUp()
        self.redis = Redis(self.tmp)
        self.addCleanup(self.redis.stop)

    def store(self):
        return ("--store", self.db.url, "--queue", self.redis.url)


class Alone(Base):
    """The same of a single node and its successor, on SQLite."""
    node, begun, waits_keep_what_is_left = OfTwo.node, OfTwo.begun, OfTwo.waits_keep_what_is_left

    def test_waits_keep_what_is_left(self):
        self.waits_keep_what_is_left()

    def ask(self, file, statement):
        with contextlib.closing(sqlite3.connect(f"file:{self.tmp}/a/{file}?mode=ro", uri=True)) as db:
            return db.execute(statement).fetchall()

    def count(self, where):
        return self.ask("weir.db", f"SELECT count(*) FROM task_ins WHERE {where}")[0][0]

    def contexts(self):
        return [row[0] for row in self.ask("weir.db-log", "SELECT context FROM task_context")]


del Base
if __name__ == "__main__":
    unittest.main()
