"""Queues as their users see them: limits, rates, pauses, shares between users and between flows, costs. On SQLite, and on MariaDB with
and without Redis, where two nodes stand beside each other.

Each task writes a line when it begins and one before it ends, so that the tests count what ran at once from outside; and the rows are
asked all the time.
"""
import datetime
import os
import signal
import unittest
import urllib.parse

from live import Nodes, Refused, Server, directory, until

MYSQL, REDIS = os.environ.get("WEIR_TEST_MYSQL"), os.environ.get("WEIR_TEST_REDIS")
SLOTS = 4


class Queues(Nodes):
    options = ("--slots", str(SLOTS))

    def setUp(self):
        self.user = self.id().rsplit(".", 1)[1]  # each test has users of its own
        self.ledger = self.tmp / f"{self.user}.ledger"
        self.ledger.touch()

    def queue(self, user=None, **fields):
        return self.at.post("/queue", {"user": self.user if user is None else user, **fields})

    def submit(self, n, user=None, script="true", **fields):
        body = {"taskType": "SHELL", "taskContent": script, "user": self.user if user is None else user, **fields}
        ids = []
        while n > 0:
            ids += self.at.post("/exec/tasks", {"tasks": [body] * min(n, 1000)})
            n -= 1000
        return ids

    def task(self, ti):
        return self.at.get(f"/monitor/task/{ti}")

    def done(self, ids):
        for ti in ids:
            until(f"task {ti} has succeeded", lambda: self.task(ti)["state"] == "SUCCESS")

    def counts(self, user=None):
        """Of all groups of the user, as the rows say."""
        user = self.user if user is None else user
        rows = [q for q in self.at.get("/queue?limit=500") if q["user"] == user]
        return {k: sum(q[k] for q in rows) for k in ("queued", "running", "blocked")}

    def marks(self, seconds="0.05"):
        return f'echo + >>"{self.ledger}"; sleep {seconds}; echo - >>"{self.ledger}"'

    def at_once(self):
        """The most that ran at once, by what they wrote themselves."""
        most = now = 0
        for line in self.ledger.read_text().split():
            now += 1 if line == "+" else -1
            most = max(most, now)
        return most

    def watch(self, limit=None):
        """Until all of this user have ended: the rows never show more than the limit. (Those of flows and the others are counted one
        after the other, so of both together they may.)"""
        def over():
            c = self.counts()
            self.assertTrue(limit is None or c["running"] <= limit, c)
            return c["queued"] + c["running"] + c["blocked"] == 0
        until("all have ended", over)

    # ---- limits ----

    def test_a_limit_holds_on_all_nodes(self):
        self.queue(maxRunning=3)
        ids = self.submit(20, script=self.marks(), group="a") + self.submit(20, script=self.marks(), group="b")
        self.watch(3)
        self.done(ids)
        self.assertEqual(self.at_once(), 3)

    def wide(self, server, n, script, start=None, **of_task):
        """Starts a flow of so many tasks at that node; returns its fiId."""
        shell = {"taskType": "SHELL", "taskContent": script, **of_task}
        flow = server.post("/flow", {"flowName": self.user, "flowNodes": [{"nodeKey": "n", "tasks": [shell] * n}]})
        return server.post(f"/exec/flow/{flow['flowId']}", start or {})["fiId"]

    def flow_done(self, fi):
        until(f"flow {fi} has ended", lambda: self.at.get(f"/monitor/flow/{fi}")["state"] == "SUCCESS")

    def test_a_limit_counts_flows_of_all_nodes(self):
        self.queue(maxRunning=3)
        flows = [self.wide(s, 8, self.marks(), {"user": self.user}) for s in self.servers]
        flows += [self.wide(s, 8, self.marks(), taskConfig={"queue": {"user": self.user, "group": "g"}}) for s in self.servers]
        alone = self.submit(8, script=self.marks())
        self.watch()
        self.done(alone)
        for fi in flows:
            self.flow_done(fi)
        self.assertEqual(self.at_once(), 3)

    def test_a_limit_counts_what_ran_before_it(self):
        for q in self.at.get("/queue?limit=500"):
            try:  # the first row of all tells the nodes to say what they run
                self.at.call("DELETE", "/queue?" + urllib.parse.urlencode({"user": q["user"], "group": q["group"]}))
            except Refused:
                pass
        gate = self.tmp / f"{self.user}.gate"
        before = self.wide(self.servers[0], 3, f'until [ -e "{gate}" ]; do sleep 0.05; done', {"user": self.user})
        until("three run", lambda: self.counts()["running"] == 3)
        self.queue(maxRunning=3)
        held = self.submit(3, script=self.marks())
        after = self.wide(self.at, 3, self.marks(), {"user": self.user})
        until("all are held", lambda: all(self.task(ti).get("why") == "QUEUE_LIMIT" for ti in held))
        self.assertEqual(self.counts(), {"queued": 6, "running": 3, "blocked": 0})
        self.assertEqual(self.at_once(), 0)
        gate.touch()
        self.watch()
        self.done(held)
        self.flow_done(before)
        self.flow_done(after)
        self.assertLessEqual(self.at_once(), 3)

    def test_a_task_of_a_flow_moves(self):
        """While it runs, and told by another node than that which runs it."""
        other = self.user + "2"
        self.queue(maxRunning=1)
        self.queue(user=other, maxRunning=1)
        gate = self.tmp / f"{self.user}.gate"
        fi = self.wide(self.servers[0], 1, f'until [ -e "{gate}" ]; do sleep 0.05; done', {"user": self.user})
        until("it runs", lambda: self.counts()["running"] == 1)
        runs = self.at.get(f"/monitor/node/{self.at.get(f'/monitor/flow/{fi}')['nodes'][0]['niId']}")[0]["tiId"]
        waits, = self.submit(1)
        until("it is held", lambda: self.task(waits).get("why") == "QUEUE_LIMIT")
        self.assertTrue(self.at.post(f"/exec/task-ins/{runs}/queue", {"user": other})["changed"])
        self.done([waits])
        held = [self.wide(s, 1, self.marks(), {"user": other}) for s in self.servers]
        until("all are held", lambda: self.counts(other) == {"queued": self.nodes, "running": 1, "blocked": 0})
        self.assertEqual(self.at_once(), 0)
        gate.touch()
        for one in [fi, *held]:
            self.flow_done(one)

    def test_why_it_waits(self):
        self.queue(maxRunning=1)
        first, second = self.submit(2, script="sleep 1000")
        until("one runs", lambda: self.counts()["running"] == 1)
        held = self.task(first) if self.task(first)["state"] == "QUEUED" else self.task(second)
        self.assertEqual(held["state"], "QUEUED")
        held = until("it says so", lambda: (lambda t: t["why"] == "QUEUE_LIMIT" and t)(self.task(held["tiId"])))
        self.assertIn("1", held["whyText"])
        self.queue(paused=True)
        self.assertEqual(self.task(held["tiId"])["why"], "QUEUE_PAUSED")
        self.queue(paused=None, maxRunning=None)
        until("it runs now", lambda: self.task(held["tiId"])["state"] == "RUNNING")
        for ti in (first, second):
            self.at.post(f"/exec/task-ins/{ti}/cancel")

    def test_nothing_of_a_paused_queue_starts(self):
        self.queue(paused=True)
        held = self.submit(5)
        others = self.submit(5, user=self.user + "2")
        self.done(others)
        self.assertEqual(self.counts(), {"queued": 5, "running": 0, "blocked": 0})
        self.queue(paused=False)
        self.done(held)

    def test_a_limit_survives_a_kill(self):
        self.queue(maxRunning=2)
        ids = self.submit(12, script="sleep 0.2")
        until("some have ended", lambda: self.counts()["queued"] <= 8)
        self.servers[0].signal(signal.SIGKILL)
        self.servers[0].wait()
        type(self).servers[0] = self.start(0, *self.again)
        self.watch(2)
        self.done(ids)

    # A node that comes again takes over from the dead one at once when it has its data directory.
    again = ()

    def test_a_task_that_runs_moves(self):
        other = self.user + "2"
        self.queue(maxRunning=1)
        self.queue(user=other, maxRunning=1)
        first, second = self.submit(2, script="sleep 1000")
        until("one runs", lambda: self.counts()["running"] == 1)
        runs, waits = (first, second) if self.task(first)["state"] == "RUNNING" else (second, first)
        self.assertTrue(self.at.post(f"/exec/task-ins/{runs}/queue", {"user": other})["changed"])
        until("the other one runs", lambda: self.task(waits)["state"] == "RUNNING")
        held, = self.submit(1, user=other)
        self.assertEqual(self.task(held)["why"], "QUEUE_LIMIT")
        for ti in (runs, waits):
            self.at.post(f"/exec/task-ins/{ti}/cancel")
        self.done([held])

    def test_a_rate_is_kept(self):
        self.queue(rate={"count": 5, "per": "1s"})
        ids = self.submit(15)
        until("one is held by the rate", lambda: any(self.task(ti).get("why") == "RATE" for ti in ids[-3:]))
        self.done(ids)
        starts = sorted(datetime.datetime.fromisoformat(self.task(ti)["startedAt"].replace("Z", "+00:00")).timestamp() for ti in ids)
        for i, a in enumerate(starts):
            for k in range(i, len(starts)):
                self.assertLessEqual(k - i + 1, 5 * (1 + starts[k] - a) + 0.01, starts)

    # ---- shares ----

    def between(self, ids, large):
        """How many tasks of the large user started between the submit of the small one's and the start of each of these."""
        rows = [self.task(ti) for ti in ids]
        since = min(r["createdAt"] for r in rows)
        starts = [r["startedAt"] for r in (self.task(ti) for ti in large) if r.get("startedAt", "") >= since]
        return [sum(s < r["startedAt"] for s in starts) for r in rows]

    def test_a_large_user_delays_a_small_one_by_a_turn(self):
        large = self.submit(400, user=self.user + "-large", script="sleep 0.01")
        until("some have ended", lambda: self.counts(self.user + "-large")["queued"] < 380)
        small = self.submit(3, user=self.user + "-small")
        self.done(small)
        bound = 2 + SLOTS * self.nodes * 2  # of each node, and what it has taken ahead of its slots
        self.assertLessEqual(max(self.between(small, large)), 3 * bound)
        self.at.post("/exec/task-ins/cancel", {"filter": {"user": self.user + "-large"}, "limit": 10000})

    def test_urgent_ones_come_first(self):
        if self.nodes > 1:
            self.skipTest("the order is that of each node among the tasks that it knows")
        self.queue(paused=True, maxRunning=1)  # one at a time: their own lines tell the order, and nothing is claimed ahead
        later = self.submit(20, priority=-1, script=f'echo later >>"{self.ledger}"')
        first = self.submit(5, priority=1, script=f'echo first >>"{self.ledger}"')
        self.queue(paused=False)
        self.done(first + later)
        self.assertEqual(self.ledger.read_text().split(), ["first"] * 5 + ["later"] * 20)

    def test_urgent_ones_overtake_those_that_wait_for_a_slot(self):
        if self.nodes > 1:
            self.skipTest("the order is that of each node among the tasks that it knows")
        # Programs have been long of late: so nothing is claimed ahead, and each start is a choice among all that wait.
        self.done(self.submit(SLOTS, user=self.user + "-long", script="sleep 1"))
        gate = self.tmp / f"{self.user}.gate"
        held = self.submit(SLOTS, user=self.user + "-held", script=f'sleep 0.5; until [ -e "{gate}" ]; do sleep 0.05; done')
        until("every slot is taken", lambda: self.counts(self.user + "-held")["running"] == SLOTS)
        later = self.submit(20, priority=-1)
        first = self.submit(5, priority=1)
        self.assertEqual(self.counts(), {"queued": 25, "running": 0, "blocked": 0})
        gate.touch()
        self.done(held + first + later)
        urgent, others = ([self.task(ti)["startedAt"] for ti in ids] for ids in (first, later))
        self.assertLessEqual(max(urgent), min(others))

    def test_a_small_flow_beside_a_large_one(self):
        shell = {"taskType": "SHELL", "taskContent": "sleep 0.01"}
        wide = self.at.post("/flow", {"flowName": "wide", "flowNodes": [{"nodeKey": "n", "tasks": [shell] * 400}]})
        small = self.at.post("/flow", {"flowName": "small", "flowNodes": [
            {"nodeKey": "a", "tasks": [shell]}, {"nodeKey": "b", "prevNodes": ["a"], "tasks": [shell]}, {"nodeKey": "c", "prevNodes": ["b"], "tasks": [shell]}]})
        large = self.at.post(f"/exec/flow/{wide['flowId']}")
        until("some have ended", lambda: self.at.get(f"/monitor/flow/{large['fiId']}")["progress"]["done"] > 0)
        got = self.at.post(f"/exec/flow/{small['flowId']}?wait=60")
        self.assertEqual(got["state"], "SUCCESS")
        self.assertEqual(self.at.get(f"/monitor/flow/{large['fiId']}")["state"], "RUNNING")
        self.at.call("POST", f"/exec/flow-ins/{large['fiId']}/cancel")


class SqliteQueues(Queues, unittest.TestCase):
    pass


@unittest.skipUnless(MYSQL, "WEIR_TEST_MYSQL is not set")
class MysqlQueues(Queues, unittest.TestCase):
    nodes = 2

    @classmethod
    def store(cls):
        return ("--store", MYSQL, "--lease", "6s")


@unittest.skipUnless(MYSQL and REDIS, "WEIR_TEST_MYSQL or WEIR_TEST_REDIS is not set")
class RedisQueues(Queues, unittest.TestCase):
    nodes = 2

    @classmethod
    def store(cls):
        return ("--store", MYSQL, "--queue", REDIS, "--lease", "6s")


class Node(unittest.TestCase):
    """What one node may take on."""

    def server(self, *options):
        room = directory()
        tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        self.at = Server(tmp / "data", "--slots", "8", *options)
        self.addCleanup(self.at.kill)

    def submit(self, script="sleep 1000", **fields):
        return self.at.post("/exec/task", {"taskType": "SHELL", "taskContent": script, **fields})["tiId"]

    def why(self, ti, code):
        until(f"why: {code}", lambda: self.at.get(f"/monitor/task/{ti}").get("why") == code)
        return self.at.get(f"/monitor/task/{ti}")["whyText"]

    def state(self, ti, state):
        until(f"it is {state}", lambda: self.at.get(f"/monitor/task/{ti}")["state"] == state)

    def test_a_budget(self):
        self.server("--cpu-budget", "200")
        first = self.submit(cpuOverhead=150)
        self.state(first, "RUNNING")
        held, never, cheap = self.submit(cpuOverhead=100, script="true"), self.submit(cpuOverhead=201), self.submit(cpuOverhead=50, script="true")
        self.state(cheap, "SUCCESS")  # it passes what has no room
        self.assertIn("200", self.why(held, "CPU_BUDGET"))
        self.assertIn("201", self.why(never, "TOO_COSTLY"))
        self.at.post(f"/exec/task-ins/{first}/cancel")
        self.state(held, "SUCCESS")

    def test_the_budget_drains_for_the_oldest(self):
        self.server("--cpu-budget", "200", "--cost-wait", "1s")
        small = [self.submit(cpuOverhead=100, script="sleep 0.3") for _ in range(2)]
        large = self.submit(cpuOverhead=200, script="true")
        small += [self.submit(cpuOverhead=100, script="sleep 0.3") for _ in range(40)]
        self.state(large, "SUCCESS")
        self.assertNotEqual(self.at.get(f"/monitor/task/{small[-1]}")["state"], "SUCCESS")

    def test_who_waits_behind_the_oldest_is_told_so(self):
        self.server("--cpu-budget", "200", "--cost-wait", "100ms")
        first = self.submit(cpuOverhead=100)
        self.state(first, "RUNNING")
        large = self.submit(cpuOverhead=200, script="true")
        self.why(large, "CPU_BUDGET")
        def kept():
            held = self.at.get(f"/monitor/task/{self.submit(cpuOverhead=1, script='true')}")
            return held.get("why") == "CPU_BUDGET" and f"Task {large}" in held["whyText"]
        until("the budget is kept for it", kept)
        self.at.post(f"/exec/task-ins/{first}/cancel")
        self.state(large, "SUCCESS")

    def test_a_worker_of_some_queues(self):
        self.server("--queues", "anna/,/mail")
        mine, theirs = self.submit(script="true", user="anna"), self.submit(script="true", user="bob", group="mail")
        self.state(mine, "SUCCESS")
        self.state(theirs, "SUCCESS")
        self.why(self.submit(script="true", user="bob"), "NO_EXECUTOR")

    def test_waiting_makes_urgent(self):
        self.server("--priority-ageing", "100ms", "--slots", "1")
        first = self.submit()
        self.state(first, "RUNNING")
        old = self.submit(script="true", priority=-3)
        until("it has waited for more than a second", lambda: self.at.get("/queue")[0]["oldestSeconds"] >= 1)
        new = [self.submit(script="sleep 0.1", priority=0) for _ in range(3)]
        self.at.post(f"/exec/task-ins/{first}/cancel")
        self.state(new[-1], "SUCCESS")
        starts = [self.at.get(f"/monitor/task/{ti}")["startedAt"] for ti in (old, new[0])]
        self.assertLess(*starts)


if __name__ == "__main__":
    unittest.main()
