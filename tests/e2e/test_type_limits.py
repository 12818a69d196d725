"""Limits of a type that was registered at run time, over all members, on SQLite and on MariaDB with and without Redis, where two nodes
stand beside each other: of stand-alone tasks and of those of flows, over deaths, and why a task waits.

Each task writes a line when it begins and one before it ends, so that what ran at once is counted from outside.
"""
import os
import unittest

from live import Nodes, Refused, directory, until

MYSQL, REDIS = os.environ.get("WEIR_TEST_MYSQL"), os.environ.get("WEIR_TEST_REDIS")


class TypeLimits(Nodes):
    @classmethod
    def setUpClass(cls):
        room = directory()
        cls.programs = room.__enter__()
        cls.addClassCleanup(room.__exit__, None, None, None)
        os.chmod(cls.programs, 0o755)
        cls.ledgers = cls.programs / "ledgers"
        cls.ledgers.mkdir()
        cls.program("marks", f'#!/bin/sh\nexec >>"{cls.ledgers}/$1"\necho +\nsleep 0.1\necho -\n')
        cls.program("gate", f'#!/bin/sh\nuntil [ -e "{cls.ledgers}/$1.open" ]; do sleep 0.05; done\n')
        cls.options = ("--slots", "6", "--executor-dir", cls.programs)
        super().setUpClass()

    @classmethod
    def program(cls, name, text):
        path = cls.programs / name
        path.write_text(text)
        os.chmod(path, 0o755)

    def setUp(self):
        self.kind = "t." + self.id().rsplit(".", 1)[1][5:60] + type(self).__name__[:3]

    def put(self, program="marks", **more):
        body = {"executorType": self.kind, "mode": "program", "location": [program, self.kind], "replace": True, **more}
        made = self.at.post("/executor", body)
        for server in self.servers:
            until("all offer it", lambda s=server: all(m["offers"] for m in s.get(f"/executor/{self.kind}")["members"]))
        return made

    def submit(self, n, **more):
        return self.at.post("/exec/tasks", {"tasks": [{"taskType": self.kind, **more}] * n})

    def wide(self, server, n, **more):
        flow = server.post("/flow", {"flowName": self.kind, "flowNodes": [{"nodeKey": "n", "tasks": [{"taskType": self.kind, **more}] * n}]})
        return server.post(f"/exec/flow/{flow['flowId']}")["fiId"]

    def of_flow(self, fi):
        node = self.at.get(f"/monitor/flow/{fi}")["nodes"][0]
        return [t["tiId"] for t in self.at.get(f"/monitor/node/{node['niId']}")]

    def task(self, ti):
        return self.at.get(f"/monitor/task/{ti}")

    def state(self, ti, state):
        until(f"{ti} is {state}", lambda: self.task(ti)["state"] == state)

    def at_once(self):
        most = now = 0
        for line in (self.ledgers / self.kind).read_text().split():
            now += 1 if line == "+" else -1
            most = max(most, now)
        return most

    def open(self):
        (self.ledgers / f"{self.kind}.open").touch()

    def running(self):
        """As the rows say."""
        return sum(row["taskType"] == self.kind for row in self.at.get("/monitor/task?limit=500&state=RUNNING"))

    def test_max_running_over_all_members(self):
        self.assertEqual(self.put(maxRunning=3)["maxRunning"], 3)
        alone = self.submit(15) + self.submit(5, user="other", group="g")
        flows = [self.wide(server, 10) for server in self.servers]
        until("all have ended", lambda: self.assertLessEqual(self.running(), 3) or
              all(self.task(ti)["state"] == "SUCCESS" for ti in alone[-5:]))
        for ti in alone:
            self.state(ti, "SUCCESS")
        for fi in flows:
            until("the flow has ended", lambda: self.at.get(f"/monitor/flow/{fi}")["state"] == "SUCCESS")
        self.assertEqual(self.at_once(), 3)

    def test_why_and_others_go_on(self):
        self.put("gate", maxRunning=1)
        first = self.submit(1)[0]
        self.state(first, "RUNNING")
        held = self.submit(20)
        fi = self.wide(self.servers[0], 2)
        until("why", lambda: self.task(held[0]).get("why") == "TYPE_LIMIT")
        text = self.task(held[0])["whyText"]
        self.assertIn(f"As many tasks of the type {self.kind} run as may: 1, and its maxRunning is 1.", text)
        of_flow = self.of_flow(fi)[0]
        until("why, of a flow", lambda: self.task(of_flow).get("why") == "TYPE_LIMIT")
        other = self.at.post("/exec/task?wait=30", {"taskType": "SHELL", "taskContent": "true"})
        self.assertEqual(other["state"], "SUCCESS")      # nothing that is held is in its way
        self.at.post("/queue", {"user": self.kind, "paused": True})
        of_queue = self.submit(1, user=self.kind)[0]
        until("the queue comes first", lambda: self.task(of_queue).get("why") == "QUEUE_PAUSED")
        self.at.post("/queue", {"user": self.kind, "paused": None})
        self.put("gate", maxRunning=0)
        until("none may run", lambda: "its maxRunning is 0" in self.task(held[0]).get("whyText", ""))
        self.assertFalse([q for q in self.at.get("/queue?limit=500") if "type" in q["user"] or q["group"] == self.kind])
        made = self.put("gate")      # without a limit
        self.assertNotIn("maxRunning", made)
        until("more than one run", lambda: self.running() > 1)
        self.open()
        for ti in (first, *held, of_queue):
            self.state(ti, "SUCCESS")

    def test_what_ran_before_the_limit_counts(self):
        self.put("gate")
        ran = self.submit(2) + self.of_flow(self.wide(self.servers[0], 2))
        for ti in ran:
            self.state(ti, "RUNNING")
        self.put("gate", maxRunning=4)
        held = self.submit(3)
        until("why", lambda: self.task(held[0]).get("why") == "TYPE_LIMIT")
        self.assertIn(": 4, and its maxRunning is 4.", self.task(held[0])["whyText"])
        self.assertEqual([self.task(ti)["state"] for ti in ran + held], ["RUNNING"] * 4 + ["QUEUED"] * 3)
        self.open()
        for ti in held:
            self.state(ti, "SUCCESS")

    def test_a_rate(self):
        made = self.put(rate={"count": 2, "per": "2000ms"})
        self.assertEqual(made["rate"], {"count": 2, "per": "2s"})
        ids = self.submit(6)
        until("why", lambda: any("The rate of the type" in t.get("whyText", "") for t in map(self.task, ids)))
        for ti in ids:
            self.state(ti, "SUCCESS")
        at = sorted(self.task(ti)["startedAt"] for ti in ids)
        seconds = [float(t[17:-1]) + 60 * int(t[14:16]) for t in at]
        for i in range(3, len(seconds)):    # two at once, then one each second; clocks of two nodes may differ a little
            self.assertGreaterEqual((seconds[i] - seconds[0]) % 3600, i - 2 + 1 - 0.3, at)

    def test_delete_and_a_new_one(self):
        self.put(maxRunning=0)
        held = self.submit(1)[0]
        until("held", lambda: self.task(held).get("why") == "TYPE_LIMIT")
        with self.assertRaises(Refused) as refused:
            self.at.call("DELETE", f"/executor/{self.kind}")
        self.assertEqual(refused.exception.answer["code"], "40915")
        self.assertEqual(self.task(held).get("why"), "TYPE_LIMIT")     # its limit is there still
        self.at.post(f"/exec/task-ins/{held}/cancel")
        self.state(held, "CANCELED")
        self.at.call("DELETE", f"/executor/{self.kind}")
        self.put()
        self.state(self.submit(1)[0], "SUCCESS")


class SqliteTypeLimits(TypeLimits, unittest.TestCase):
    def test_a_restart(self):
        self.put("gate", maxRunning=1)
        ids = self.submit(3)
        self.state(ids[0], "RUNNING")
        self.servers[0].kill()
        self.servers[0] = self.start(0)
        until("one runs again", lambda: self.running() == 1)
        self.open()
        for ti in ids:
            self.state(ti, "SUCCESS")


class OnTwoNodes(TypeLimits):
    nodes = 2

    def test_a_node_dies(self):
        """What it ran counts until it is proven dead, and nothing is left behind."""
        self.put("gate", maxRunning=2)
        extra = self.start(7)
        until("it offers", lambda: all(m["offers"] for m in extra.get(f"/executor/{self.kind}")["members"]) and
              len(extra.get(f"/executor/{self.kind}")["members"]) == 3)
        ids = self.submit(6)
        until("two run", lambda: self.running() == 2)
        extra.kill()
        until("two run, none of them lost", lambda: self.assertLessEqual(self.running(), 2) or
              not any(m["state"] == "LIVE" and m["pid"] == extra.pid for m in self.at.get("/members")))
        self.open()
        for ti in ids:
            self.state(ti, "SUCCESS")


@unittest.skipUnless(MYSQL, "WEIR_TEST_MYSQL is not set")
class MysqlTypeLimits(OnTwoNodes, unittest.TestCase):
    @classmethod
    def store(cls):
        return ("--store", MYSQL, "--lease", "6s")


@unittest.skipUnless(MYSQL and REDIS, "WEIR_TEST_MYSQL or WEIR_TEST_REDIS is not set")
class RedisTypeLimits(OnTwoNodes, unittest.TestCase):
    @classmethod
    def store(cls):
        return ("--store", MYSQL, "--queue", REDIS, "--lease", "6s")


if __name__ == "__main__":
    unittest.main()
