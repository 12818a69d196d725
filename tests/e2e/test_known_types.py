"""A type that is known, because some node once offered it, and that no live node offers: its tasks wait with why NO_EXECUTOR, and cost
nothing while they wait. On each store."""
import contextlib
import os
import sqlite3
import time
import unittest

from live import Refused, task, until
from services import OnMariaDb
from test_report import Base

TICKS = os.sysconf("SC_CLK_TCK")


class Known(Base):
    def know(self, name, cleans_up=0):
        with contextlib.closing(sqlite3.connect(self.tmp / "data/weir.db")) as db, db:
            db.execute("INSERT INTO task_type (task_type, cleans_up) VALUES (?, ?)", (name, cleans_up))

    def cpu(self, server):
        with open(f"/proc/{server.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def accepted(self, server, body):
        """A server that has just refused the type looks for it again after a second."""
        def ask():
            try:
                return server.post("/exec/task", body)["tiId"]
            except Refused as refused:
                self.assertEqual(refused.answer["code"], "42220")
                return None
        return until("the type is known", ask)

    def test_waits(self):
        server = self.server()
        body = {"taskType": "vector.dot", "taskContent": "1 2", "taskConfig": {"attempts": 3}}
        with self.assertRaises(Refused) as refused:
            server.post("/exec/task", body)
        self.assertEqual(refused.exception.answer["code"], "42220")
        self.know("vector.dot")
        ti = self.accepted(server, body)
        fi = server.flow(task("only", "vector.dot", "x"))
        row = self.row_when(server, ti, state="QUEUED", why="NO_EXECUTOR")
        self.assertIn("vector.dot", row["whyText"])
        node = server.get(f"/monitor/flow/{fi}")["nodes"][0]["niId"]
        self.assertEqual(server.get(f"/monitor/node/{node}")[0]["why"], "NO_EXECUTOR")
        many = server.post("/exec/tasks", {"tasks": [body] * 1000})
        echo = server.post("/exec/task", {"taskType": "ECHO", "taskContent": "goes past"})["tiId"]
        self.row_when(server, echo, state="SUCCESS")
        before = self.cpu(server)
        self.assertEqual(server.get(f"/monitor/task/{many[1]}?wait=4")["state"], "QUEUED")
        self.assertLess(self.cpu(server) - before, 2.0)  # one that spins uses up a core
        for wish in ("pause", "run", "cancel"):
            self.assertIs(server.post(f"/exec/task-ins/{ti}/{wish}")["changed"], True)
        self.assertEqual(server.get(f"/monitor/task/{ti}")["state"], "CANCELED")
        self.assertEqual(server.stop(), 0)
        server = self.server()  # it is known for good
        self.row_when(server, many[0], state="QUEUED", why="NO_EXECUTOR")
        server.call("DELETE", f"/exec/task-ins/{many[0]}")
        self.assertEqual(server.stop(), 0)

    def test_clean_up_waits_too(self):
        server = self.server()
        self.know("cleans", 1)
        ti = self.accepted(server, {"taskType": "cleans"})
        server.call("DELETE", f"/exec/task-ins/{ti}")
        self.row_when(server, ti, state="DELETING", why="NO_EXECUTOR")
        server.call("DELETE", f"/exec/task-ins/{ti}?force=true")
        with self.assertRaises(Refused) as gone:
            server.get(f"/monitor/task/{ti}")
        self.assertEqual(gone.exception.status, 404)
        self.assertEqual(server.stop(), 0)


class KnownMariaDb(OnMariaDb, Known):
    def know(self, name, cleans_up=0):
        self.db.sql(f"REPLACE INTO task_type (task_type, cleans_up) VALUES ('{name}', {cleans_up})")

    def test_a_newer_version_cleans_up(self):
        server = self.server()
        self.know("grows")
        inline = self.accepted(server, {"taskType": "grows"})
        saved = self.start(server, "x", kind="grows")
        self.know("grows", 1)  # another node has a newer version of it
        time.sleep(1.1)
        for ti in (inline, saved):
            server.call("DELETE", f"/exec/task-ins/{ti}")
            self.row_when(server, ti, state="DELETING", why="NO_EXECUTOR")
        self.assertEqual(server.stop(), 0)

    def test_store_away(self):
        server = self.server()
        self.know("late")
        self.db.stop()
        try:
            for _ in range(2):
                with self.assertRaises(Refused) as away:
                    server.post("/exec/task", {"taskType": "late"})
                self.assertEqual(away.exception.status, 503, away.exception.answer)  # and not: there is no such type
        finally:
            self.db.start()
        self.assertEqual(server.stop(), 0)


del Base
if __name__ == "__main__":
    unittest.main()
