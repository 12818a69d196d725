"""Calls of analyzers on real members: who makes them, what they take from the tasks of a member, what is said of a task whose analysis
does not go on, and what a drain waits for."""
import os
import subprocess
import unittest

from live import BIN, CLEAN_ENV, LIMIT_S, Server, directory, until, weir
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis

DONE = "echo '{\"verdict\":\"done\"}' >\"$WEIR_OUTPUT\"\n"


class Case(unittest.TestCase):
    def setUp(self):
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        self.programs = self.tmp / "programs"
        self.programs.mkdir(mode=0o755)

    def program(self, name, script):
        path = self.programs / name
        path.write_text("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)

    def held(self, name):
        """An analyzer that says that it was called, and answers when the test lets go of it."""
        self.program(name, f"echo x >>{self.tmp}/{name}.calls\nwhile [ ! -e {self.tmp}/{name}.go ]; do sleep 0.05; done\n" + DONE)

    def calls(self, name):
        path = self.tmp / f"{name}.calls"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def let_go(self, name):
        (self.tmp / f"{name}.go").write_text("")

    def server(self, name, *args):
        server = Server(self.tmp / name, *args)
        self.addCleanup(server.kill)
        return server

    def analyzer(self, server, name):
        server.post("/analyzer", {"analyzerType": name, "mode": "program", "location": [name]})

    def ended(self, server, ti):
        return until(f"task {ti} ends", lambda: (lambda t: t if "endTime" in t else None)(server.get(f"/monitor/task/{ti}?wait=5")))

    def state(self, server, ti, state, why=None):
        def look():
            task = server.get(f"/monitor/task/{ti}")
            return task if task["state"] == state and (why is None or task.get("why") == why) else None
        return until(f"task {ti} is {state} {why or ''}", look)


class One(Case):
    def start(self, *args):
        self.at = self.server("node", "--executor-dir", self.programs, *args)
        return self.at

    def test_analyses_take_no_slot(self):
        """Twelve calls at once on a member of two slots; a task that comes meanwhile runs at once, in its first attempt, and its job
        and its queue count no more than that."""
        self.held("slow")
        at = self.start("--slots", "2")
        at.post("/queue", {"user": "r", "group": "", "rate": {"count": 3, "per": "1h"}})
        self.analyzer(at, "slow")
        body = {"taskType": "ECHO", "taskContent": "x", "taskConfig": {"analyzer": "slow", "analyzerTimeout": "1h"}}
        looked = at.post("/exec/tasks", {"tasks": [body] * 12})
        until("all are called at once", lambda: self.calls("slow") == 12)
        job = at.post("/job", {"jobKey": "j", "closed": True, "tasks": [{"taskType": "SHELL", "taskContent": "true", "user": "r"}] * 3})
        got = until("the job ends", lambda: (lambda j: j if j["state"] == "SUCCESS" else None)(at.get(f"/job/{job['jobId']}?wait=5")))
        for task in at.get(f"/job/{job['jobId']}/task"):
            one = at.get(f"/monitor/task/{task['tiId']}")
            self.assertEqual((one["attempt"], one["executions"], len(one["history"])), (1, 1, 0), one)
        self.assertEqual(got["counts"]["executions"], 3)
        self.assertEqual(self.calls("slow"), 12)
        self.let_go("slow")
        for ti in looked:
            self.assertEqual(self.ended(at, ti)["state"], "SUCCESS")

    def test_users_take_turns(self):
        """As many calls as a member makes at once are those of one user; who comes then waits for two of them at most."""
        (self.tmp / "tokens").mkdir()
        self.program("slow", f"cd {self.tmp}/tokens\necho $WEIR_TI_ID >>../slow.calls\n"
                             "until mv a ../used.$$ || mv b ../used.$$; do sleep 0.5; done 2>/dev/null\n" + DONE)
        at = self.start()
        self.analyzer(at, "slow")
        body = {"taskType": "ECHO", "taskContent": "x", "taskConfig": {"analyzer": "slow", "analyzerTimeout": "1h"}}
        at.post("/exec/tasks", {"tasks": [{**body, "user": "many"}] * 80})
        until("as many as may be are called", lambda: self.calls("slow") == 64)
        one = at.post("/exec/task", {**body, "user": "one"})["tiId"]
        self.state(at, one, "ANALYZING", "NO_SLOT")
        for token in "ab":
            (self.tmp / "tokens" / token).write_text("")
        until("two more are called", lambda: self.calls("slow") == 66)
        self.assertIn(str(one), (self.tmp / "slow.calls").read_text().splitlines())

    def test_a_call_that_failed_says_so(self):
        self.program("bad", "echo oh no; exit 1\n")
        at = self.start()
        self.analyzer(at, "bad")
        ti = at.post("/exec/task", {"taskType": "ECHO", "taskContent": "x", "taskConfig": {
            "analyzer": "bad", "backoff": {"base": "1h", "jitter": "none"}}})["tiId"]
        task = self.state(at, ti, "ANALYZING", "RETRY_WAIT")
        said = 'Analyzer bad: its program ended with 1. It said last "oh no"'
        self.assertIn(said, task["errorMsg"])
        self.assertIn("1 call of its analyzer failed; the next one is due at 20", task["whyText"])
        self.assertIn(said, task["whyText"])

    def test_who_cannot_call_says_why(self):
        """A program that is not there: nobody takes the analysis, and nothing is counted, until it is there."""
        at = self.start()
        self.analyzer(at, "later")
        ti = at.post("/exec/task", {"taskType": "ECHO", "taskContent": "x", "taskConfig": {"analyzer": "later", "analyzerAttempts": 1}})["tiId"]
        task = self.state(at, ti, "ANALYZING", "NO_EXECUTOR")
        self.assertIn("can call later: of member ", task["whyText"])
        self.assertIn("There is no such program", task["whyText"])
        self.program("later", DONE)
        task = self.ended(at, ti)
        self.assertEqual((task["state"], task["executions"], task["attempt"]), ("SUCCESS", 1, 1), task)

    def test_a_drain_waits_for_analyses(self):
        self.held("slow")
        at = self.start()
        self.analyzer(at, "slow")
        body = {"taskType": "ECHO", "taskContent": "x", "taskConfig": {"analyzer": "slow", "analyzerTimeout": "1h"}}
        ti = at.post("/exec/task", body)["tiId"]
        until("it is called", lambda: self.calls("slow") == 1)
        drain = subprocess.Popen([BIN, "member", "drain", "--all", "--wait", "--server", at.url], env=CLEAN_ENV, stdout=subprocess.PIPE)
        self.addCleanup(drain.kill)
        state = lambda: [m["state"] for m in at.get("/members")]
        until("it drains", lambda: state() == ["DRAINING"])
        late = at.post("/exec/task", body)["tiId"]
        self.assertEqual((state(), drain.poll()), (["DRAINING"], None))
        self.let_go("slow")
        self.assertEqual(self.ended(at, ti)["state"], "SUCCESS")
        self.assertEqual(drain.wait(LIMIT_S), 0)
        drain.stdout.close()
        self.assertEqual(state(), ["DRAINED"])
        self.assertEqual(self.calls("slow"), 1)
        self.assertIn("drains", self.state(at, late, "QUEUED", "NO_EXECUTOR")["whyText"])


@unittest.skipUnless(HAVE_MARIADB, "no MariaDB")
class Cluster(Case):
    queued = False

    def setUp(self):
        super().setUp()
        db = MariaDb(self.tmp)
        self.addCleanup(db.stop)
        self.args = ["--store", db.url]
        if self.queued:
            redis = Redis(self.tmp)
            self.addCleanup(redis.stop)
            self.args += ["--queue", redis.url, "--prefix", "analyses"]

    def manager(self, name, *args):
        return self.server(name, "--roles", "api,runner", *self.args, *args)

    def test_a_member_that_cannot_call_leaves_it_to_others(self):
        self.program("look", DONE)
        first = self.manager("m1", "--shell", "off", "--allow-executors")
        self.server("all", "--roles", "api,worker", "--shell", "off", *self.args)
        self.analyzer(first, "look")
        body = {"taskType": "ECHO", "taskContent": "x", "taskConfig": {"analyzer": "look", "analyzerAttempts": 1}}
        ids = first.post("/exec/tasks", {"tasks": [body] * 20})
        text = self.state(first, ids[0], "ANALYZING", "NO_EXECUTOR")["whyText"]
        self.assertRegex(text, r"None of the members that call analyzers \(2\) can call look: of member \d+ on host .*: SHELL is off on this member")
        self.manager("m2", "--executor-dir", self.programs)
        for ti in ids:
            task = self.ended(first, ti)
            self.assertEqual((task["state"], task["executions"]), ("SUCCESS", 1), task)

    def test_a_manager_that_drains(self):
        """DRAINING while it calls an analyzer, though it runs no task; and a type that it cannot run says why a worker does not."""
        self.held("slow")
        at = self.manager("m1", "--executor-dir", self.programs)
        self.server("w", "--roles", "worker,api", "--shell", "off", *self.args)
        of = lambda: {"worker" in m["roles"]: m for m in at.get("/members")}
        until("both are there", lambda: len(of()) == 2)
        at.post("/executor", {"executorType": "none", "mode": "program", "location": ["none"]})
        listed = lambda: weir("executor", "ls", "--server", at.url).stdout
        self.assertIn("0/2", until("the worker says why", lambda: (lambda s: s if "SHELL is off on this member" in s else None)(listed())))
        self.assertNotIn("role worker", listed())
        self.analyzer(at, "slow")
        ti = at.post("/exec/task", {"taskType": "ECHO", "taskContent": "x", "taskConfig": {"analyzer": "slow", "analyzerTimeout": "1h"}})["tiId"]
        until("it is called", lambda: self.calls("slow") == 1)
        at.post(f"/members/{of()[False]['memberId']}/drain", {})
        self.assertEqual((of()[False]["state"], of()[False]["running"]), ("DRAINING", 1))
        self.let_go("slow")
        self.assertEqual(self.ended(at, ti)["state"], "SUCCESS")
        until("it is drained", lambda: of()[False]["state"] == "DRAINED")


@unittest.skipUnless(HAVE_REDIS, "no Redis")
class ClusterWithRedis(Cluster):
    queued = True


if __name__ == "__main__":
    unittest.main()
