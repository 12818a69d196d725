"""What is wanted of all that a task has added is carried out in slices, each its own commit. A node is killed (kill -9) between two of them,
as the rows show while it is dead; what it had not come to is done all the same, by the next node, or by another one of the cluster."""
import json
import os
import sqlite3
import unittest

from live import Refused, Server, directory, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis

# The verdict about a task is its own result.
SAYS = """#!/usr/bin/env python3
import json, os, sys
open(os.environ["WEIR_OUTPUT"], "w").write(json.load(sys.stdin)["result"])
"""
MANY = 4000  # tasks below one: eight slices
FEW = 800    # what the content of a node's task has room for: two slices
LATER = {"taskType": "WAIT", "taskName": "w", "taskContent": "0", "startAt": "2099-01-01T00:00:00Z"}
LONG = {"taskType": "WAIT", "taskName": "w", "taskContent": "3600"}


class Wishes(unittest.TestCase):
    others = 0  # nodes that live on
    store = ()

    def setUp(self):
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        self.begin()
        programs = self.tmp / "programs"
        programs.mkdir(mode=0o755)
        (programs / "says").write_text(SAYS)
        os.chmod(programs / "says", 0o755)
        self.args = (*self.store, "--lease", "6s", "--executor-dir", str(programs))
        self.node, self.rest = self.start("node"), [self.start(f"other{i}") for i in range(self.others)]
        self.node.post("/analyzer", {"analyzerType": "says", "mode": "program", "location": ["says"], "taskTypes": ["ECHO", "WAIT"]})

    def begin(self):
        pass

    def start(self, name):
        server = Server(self.tmp / name, *self.args)
        self.addCleanup(server.kill)
        return server

    def row(self, sql):
        with sqlite3.connect(self.tmp / "node" / "weir.db") as db:
            return [c and str(c) for c in db.execute(sql).fetchone()]

    # what is made, and what is asked of it

    def adds(self, *tasks, **more):
        verdict = {"verdict": "done", "tasks": tasks, **more}
        return {"taskType": "ECHO", "taskName": "p", "taskContent": json.dumps(verdict), "taskConfig": {"analyzer": "says"}}

    def is_in(self, ti, *states):
        until(f"{ti} is {states}", lambda: self.node.get(f"/monitor/task/{ti}")["state"] in states or None)
        return ti

    def below(self, ti, **filters):
        words = "".join(f"&{k}={v}" for k, v in filters.items())
        return self.node.answer("GET", f"/monitor/task?parentTiId={ti}&limit=1&total=true{words}")

    def all_below(self, ti, **filters):
        until(f"all are {filters}", lambda: self.count(ti, **filters) == MANY or None)

    def count(self, ti, **filters):
        return self.below(ti, **filters)["page"]["total"]

    def first(self, task=LATER):
        return self.is_in(self.node.post("/exec/task", self.adds(*[task] * MANY))["tiId"], "WAITING_CHILDREN")

    def inner(self, wait=True):
        """A task within a tree; the one that added it waits, or has ended."""
        ti = self.node.post("/exec/task", self.adds(self.adds(*[LATER] * MANY), wait=wait))["tiId"]
        self.is_in(ti, "WAITING_CHILDREN" if wait else "SUCCESS")
        return self.is_in(self.below(ti)["data"][0]["tiId"], "WAITING_CHILDREN")

    def cut(self, make, ask, table):
        """Asks, and kills the node that works on it before it has come to the end."""
        for _ in range(5):
            ti = make()
            ask(ti)
            self.node.kill()
            under_way = self.row(f"SELECT pass_at FROM {table} {ti}")[0] is not None
            self.node = self.start("node")
            if under_way:
                return ti
        return self.fail("it had always come to the end before it was killed")

    def wish(self, what, **body):
        def ask(ti):
            self.assertTrue(self.node.post(f"/exec/task-ins/{ti}/{what}", body)["changed"])
        return ask

    INNER, FIRST = "task_tree WHERE ti_id =", "job WHERE job_id = -"

    def test_cancel_within_a_tree(self):
        ti = self.cut(self.inner, self.wish("cancel"), self.INNER)
        self.is_in(ti, "CANCELED")
        self.all_below(ti, state="CANCELED")

    def test_pause_within_a_tree(self):
        ti = self.cut(self.inner, self.wish("pause"), self.INNER)
        self.all_below(ti, state="PAUSED")
        self.is_in(ti, "WAITING_CHILDREN")

    def test_delete_within_a_tree(self):
        ti = self.cut(lambda: self.inner(False), lambda ti: self.node.call("DELETE", f"/exec/task-ins/{ti}"), self.INNER)

        def gone():
            try:
                self.node.get(f"/monitor/task/{ti}")
            except Refused as no:
                return no.status == 404 or None
            return None
        until("it is gone", gone)
        self.assertEqual(self.count(ti), 0)

    def test_queue_within_a_tree(self):
        ti = self.cut(self.inner, self.wish("queue", user="u", group="g"), self.INNER)
        self.all_below(ti, user="u", group="g")

    def test_queue_of_a_tree(self):
        ti = self.cut(self.first, self.wish("queue", group="g", priority=3), self.FIRST)
        self.all_below(ti, user="", group="g")
        self.assertEqual(self.below(ti)["data"][0]["priority"], 3)

    def test_pause_and_resume_of_the_flow_above(self):
        flows = {}

        def made():
            fi = self.node.post(f"/exec/flow/{flow}")["fiId"]
            node = self.node.get(f"/monitor/flow/{fi}")["nodes"][0]["niId"]
            ti = self.node.get(f"/monitor/node/{node}")[0]["tiId"]
            flows[ti] = fi
            return self.is_in(ti, "WAITING_CHILDREN")

        def hold(wish):
            return lambda ti: self.assertTrue(self.node.post(f"/exec/flow-ins/{flows[ti]}/{wish}")["changed"])
        flow = self.node.post("/flow", {"flowName": "f", "flowNodes": [{"tasks": [self.adds(*[LONG] * FEW)]}]})["flowId"]
        self.node.post("/queue", {"user": "", "group": "", "maxRunning": 1})  # the others stay QUEUED
        ti = made()
        hold("pause")(ti)
        self.node.kill()  # perhaps before anything of the tree is told
        self.node = self.start("node")
        until("all are held", lambda: self.count(ti, state="BLOCKED") >= FEW - 1 or None)
        hold("resume")(ti)
        self.node.kill()
        self.node = self.start("node")
        until("all go on", lambda: self.count(ti, state="BLOCKED") == 0 or None)
        self.assertEqual(self.count(ti, state="QUEUED,RUNNING"), FEW)


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS, "no MariaDB or no Redis")
class WishesInACluster(Wishes):
    others = 1

    def begin(self):
        self.db, redis = MariaDb(self.tmp), Redis(self.tmp)
        self.addCleanup(self.db.stop)
        self.addCleanup(redis.stop)
        self.store = ("--store", self.db.url, "--queue", redis.url, "--prefix", "trees")

    def row(self, sql):
        return [None if c == "NULL" else c for c in self.db.sql(sql)[0]]


if __name__ == "__main__":
    unittest.main()
