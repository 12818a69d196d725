"""A wish about a job that comes while the pass of another one is under way, and a node that is killed (kill -9) between two slices: each wish
that was acknowledged is carried out."""
import json
import sqlite3
import unittest

from live import Server, directory, until

MANY = 4000  # eight slices
ECHO = {"taskType": "ECHO", "taskContent": "x"}
LONG = {"taskType": "WAIT", "taskContent": "3600", "autoRun": False}


class Wishes(unittest.TestCase):
    def setUp(self):
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        self.start()

    def start(self):
        self.node = Server(self.tmp / "node", "--lease", "6s")
        self.addCleanup(self.node.kill)

    def made(self, key, *more):
        """A job of MANY tasks that are not run, and these."""
        job = self.node.post("/job", {"jobKey": key, "tasks": more})["jobId"]
        for _ in range(MANY // 1000):
            self.node.post(f"/job/{job}/task", {"tasks": [LONG] * 1000})
        return job

    def ask(self, job, *wishes):
        for wish in wishes:
            body = {"mode": "checkpoint"} if wish == "pause" else {}
            self.assertTrue(self.node.post(f"/job/{job}/{wish}", body)["changed"], wish)

    def count(self, job, state):
        return self.node.answer("GET", f"/job/{job}/task?limit=1&total=true&state={state}")["page"]["total"]

    def all_are(self, job, state):
        until(f"all are {state}", lambda: self.count(job, state) == MANY or None)

    def cut(self, make, *wishes):
        """Asks, and kills the node before it has come to the end."""
        for n in range(5):
            job = make(f"j{n}")
            self.ask(job, *wishes)
            self.node.kill()
            with sqlite3.connect(self.tmp / "node" / "weir.db") as db:
                under_way = db.execute(f"SELECT pass_at FROM job WHERE job_id = {job}").fetchone()[0] is not None
            self.start()
            if under_way:
                return job
        return self.fail("it had always come to the end before it was killed")

    def canceled(self, key):
        job = self.made(key)
        self.ask(job, "cancel")
        self.all_are(job, "CANCELED")
        return job

    def paused(self, key):
        """All are PAUSED, and one has failed."""
        job = self.made(key, {"taskType": "SHELL", "taskContent": "exit 1", "taskConfig": {"attempts": 1}})
        self.failed = until("it has failed", lambda: self.node.get(f"/job/{job}/task?state=FAILED"))[0]["tiId"]
        for _ in range(MANY // 1000):  # these are run
            self.node.post(f"/job/{job}/task", {"tasks": [{**LONG, "autoRun": True}] * 1000})
        self.ask(job, "pause")
        self.all_are(job, "PAUSED")
        return job

    def test_retry_then_pause(self):
        job = self.cut(self.canceled, "retry", "pause")
        self.all_are(job, "PAUSED")
        self.assertEqual(self.node.get(f"/job/{job}")["state"], "PAUSED")

    def test_retry_pause_resume(self):
        job = self.cut(self.canceled, "retry", "pause", "resume")
        until("all go on", lambda: self.count(job, "CANCELED") + self.count(job, "PAUSED") == 0 or None)
        self.assertEqual(self.node.get(f"/job/{job}")["state"], "RUNNING")

    def test_resume_then_retry(self):
        job = self.cut(self.paused, "resume", "retry")
        until("none is PAUSED", lambda: self.count(job, "PAUSED") == 0 or None)
        until("it was run again", lambda: self.node.get(f"/monitor/task/{self.failed}")["executions"] > 1 or None)

    def next_number(self, n):
        self.node.kill()
        with sqlite3.connect(self.tmp / "node" / "weir.db") as db:
            db.execute(f"UPDATE id_block SET next = {n} WHERE kind = 'ti'")
        self.start()

    def parent(self, *tasks, **more):
        config = {"analyzer": {"type": "subtasks", "pointer": "", "taskTypes": ["ECHO", "WAIT"]}, "analyzerAttempts": 1}
        return {"taskType": "ECHO", "taskContent": json.dumps(tasks), "taskConfig": config, **more}

    def parents(self, numbers):
        """A job of tasks that wait for what they added, which has lower numbers: as when another member commits their verdicts."""
        self.next_number(1000000)
        job = self.node.post("/job", {"jobKey": "parents", "tasks": [self.parent(LONG, LONG, autoRun=False)] * numbers})["jobId"]
        self.next_number(1)
        self.node.post("/exec/task-ins/run", {"filter": {"jobId": job}, "limit": numbers})
        until("all wait", lambda: self.count(job, "WAITING_CHILDREN") == numbers or None)
        return job

    def test_cancel_reaches_what_was_added_first(self):
        job = self.parents(600)  # of 1,200 tasks below them; each slice has 500
        self.ask(job, "cancel")
        got = until("it is canceled", lambda: self.ended(job))
        self.assertEqual((got["state"], got["counts"]["canceled"], got["counts"]["failed"]), ("CANCELED", 1800, 0), got)

    def test_delete_reaches_what_was_added_first(self):
        job = self.parents(600)
        got = self.node.call("DELETE", f"/job/{job}?force=true&wait=30")
        self.assertEqual((got["state"], got["removed"]["tasks"], got["removed"]["children"]), ("DELETED", 1800, 0), got)

    def test_cancel_of_a_tree_reaches_what_was_added_first(self):
        self.next_number(1000000)
        root = self.node.post("/exec/task", self.parent(*[self.parent(LONG, LONG, autoRun=False)] * 300))["tiId"]
        until("it waits", lambda: self.node.get(f"/monitor/task/{root}")["state"] == "WAITING_CHILDREN" or None)
        inner = [t["tiId"] for t in self.node.get(f"/monitor/task?parentTiId={root}&limit=500")]
        more = self.node.post("/exec/task", self.parent(*[LONG] * 2))["tiId"]  # a tree of its own
        self.next_number(1)
        self.node.post("/exec/task-ins/run", {"filter": {"type": "ECHO", "state": "CREATED"}, "limit": 300})
        until("all wait", lambda: all(self.node.get(f"/monitor/task/{ti}")["state"] == "WAITING_CHILDREN" for ti in inner) or None)
        self.node.post(f"/exec/task-ins/{root}/cancel", {})
        until("it is canceled", lambda: self.node.get(f"/monitor/task/{root}")["state"] == "CANCELED" or None)
        self.assertEqual({self.node.get(f"/monitor/task/{ti}")["state"] for ti in inner}, {"CANCELED"})
        self.assertEqual(self.node.get(f"/monitor/task/{more}")["state"], "WAITING_CHILDREN")

    def test_a_tree_has_a_most(self):
        """Its head says how many there are: here after it was changed by hand."""
        most = 10000000
        for key, word in (("most", "job"), (None, "tree")):
            fits, more = self.parent(ECHO, autoRun=False), self.parent(ECHO, ECHO, autoRun=False)
            if key:
                job = self.node.post("/job", {"jobKey": key, "tasks": [fits, more]})["jobId"]
                tasks = [t["tiId"] for t in self.node.get(f"/job/{job}/task")]
            else:
                root = self.node.post("/exec/task", self.parent(fits, more))["tiId"]
                until("it waits", lambda: self.node.get(f"/monitor/task/{root}")["state"] == "WAITING_CHILDREN" or None)
                job, tasks = -root, [t["tiId"] for t in self.node.get(f"/monitor/task?parentTiId={root}")]
            self.node.kill()
            with sqlite3.connect(self.tmp / "node" / "weir.db") as db:
                db.execute(f"UPDATE job SET success = {most - 3} WHERE job_id = {job}")
            self.start()
            small, large = sorted(tasks)
            for ti, state in ((large, "FAILED"), (small, "SUCCESS")):
                self.node.post(f"/exec/task-ins/{ti}/run", {})
                got = until("it has ended", lambda: (t := self.node.get(f"/monitor/task/{ti}"))["state"] in ("FAILED", "SUCCESS") and t)
                self.assertEqual(got["state"], state, got)
                if state == "FAILED":
                    self.assertEqual(got["errorMsg"], f"Analyzer failed: with its tasks there would be more than 10000000 in the {word}.")

    def ended(self, job):
        got = self.node.get(f"/job/{job}")
        return got if got["state"] == "CANCELED" else None


if __name__ == "__main__":
    unittest.main()
