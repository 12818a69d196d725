"""A wish about a job that comes while the pass of another one is under way, and a node that is killed (kill -9) between two slices: each wish
that was acknowledged is carried out."""
import sqlite3
import unittest

from live import Server, directory, until

MANY = 4000  # eight slices
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


if __name__ == "__main__":
    unittest.main()
