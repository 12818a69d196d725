"""Jobs: POST /job, /job/{id}/task, the wishes about a job, and the counts of its tasks."""
import uuid

from weirtest import Case, get, post, request

CLASSES = ("notStarted", "retrying", "running", "analyzing", "waiting", "success", "failed", "canceled")


def echo(text="x", **more):
    return {"taskType": "ECHO", "taskContent": text, **more}


def shell(text, **config):
    return {"taskType": "SHELL", "taskContent": text, "taskConfig": config}


class Jobs(Case):
    def refuse(self, code, path, answer):
        self.refused(answer, code)
        if path is not None:
            self.assertEqual(answer.data.get("path"), path, answer)
        return answer

    def make(self, **more):
        return self.ok(post("/job", {"jobKey": f"job-{uuid.uuid4()}", **more}))

    def ended(self, job, state):
        got = self.ok(get(f"/job/{job['jobId']}?wait=30"))
        self.assertEqual(got["state"], state, got)
        self.whole(got)
        self.assertIn("endTime", got)
        return got

    def whole(self, job):
        self.assertEqual(sum(job["counts"][name] for name in CLASSES), job["counts"]["total"], job)

    def test_a_job_grows_and_ends(self):
        job = self.make(jobName="grows", tasks=[echo("a", taskKey="a")])
        path = f"/job/{job['jobId']}"
        self.assertEqual((job["closed"], job["childFailure"], job["jobName"]), (False, "fail", "grows"))
        added = self.ok(post(path + "/task", {"tasks": [echo("a", taskKey="a"), echo("b", taskKey="b"), echo("c")]}))
        self.assertEqual(added["added"], 2)
        self.assertEqual(len(set(added["tiIds"])), 3)
        self.assertEqual(self.ok(get(path))["state"], "RUNNING")  # open, whatever has ended
        closed = self.ok(post(path + "/close"))
        self.assertEqual((closed["closed"], closed["changed"]), (True, True))
        self.assertIs(self.ok(post(path + "/close"))["changed"], False)
        counts = self.ended(job, "SUCCESS")["counts"]
        self.assertEqual((counts["success"], counts["total"], counts["executions"], counts["losses"]), (3, 3, 3, 0))
        tasks = self.ok(get(path + "/task"))
        self.assertEqual([t["tiId"] for t in tasks], sorted(added["tiIds"], reverse=True))
        self.assertEqual({t["jobId"] for t in tasks}, {job["jobId"]})
        self.assertEqual([t["tiId"] for t in self.ok(get(f"/monitor/task?jobId={job['jobId']}&taskKey=a"))], [added["tiIds"][0]])
        self.assertIn(job["jobId"], [j["jobId"] for j in self.ok(get("/job?limit=500"))])

    def test_one_key_one_job(self):
        body = {"jobKey": f"job-{uuid.uuid4()}", "tasks": [echo("a")]}
        first = self.ok(post("/job", body))
        again = post("/job", body)
        self.assertEqual((self.ok(again)["jobId"], again.json["replayed"]), (first["jobId"], True))
        self.refuse(40911, "/jobKey", post("/job", {**body, "jobName": "other"}))
        self.assertEqual(self.ok(get(f"/job/{first['jobId']}"))["counts"]["total"], 1)

    def test_idempotency_key(self):
        key = {"Idempotency-Key": f"k-{uuid.uuid4()}"}
        body = {"jobKey": f"job-{uuid.uuid4()}"}
        job = self.ok(request("POST", "/job", body, key))
        again = request("POST", "/job", body, key)
        self.assertEqual((self.ok(again)["jobId"], again.json["replayed"]), (job["jobId"], True))
        key = {"Idempotency-Key": f"k-{uuid.uuid4()}"}
        body = {"tasks": [echo("a"), echo("b")]}
        added = self.ok(request("POST", f"/job/{job['jobId']}/task", body, key))
        self.ok(post(f"/job/{job['jobId']}/close"))
        again = request("POST", f"/job/{job['jobId']}/task", body, key)
        self.assertEqual(self.ok(again)["tiIds"], added["tiIds"])
        self.assertEqual(self.ended(job, "SUCCESS")["counts"]["total"], 2)

    def test_names_are_those_of_their_job(self):
        one, two = self.make(tasks=[echo("a", taskKey="same")]), self.make(tasks=[echo("b", taskKey="same")])
        self.assertEqual([one["counts"]["total"], two["counts"]["total"]], [1, 1])
        self.refuse(40911, "/tasks/1/taskKey", post(f"/job/{one['jobId']}/task", {"tasks": [echo("new"), echo("b", taskKey="same")]}))
        self.assertEqual(self.ok(get(f"/job/{one['jobId']}"))["counts"]["total"], 1)  # nothing of the request is stored

    def test_closed(self):
        job = self.make(closed=True, tasks=[echo("a", taskKey="a")])
        self.ended(job, "SUCCESS")
        path = f"/job/{job['jobId']}/task"
        self.refuse(40919, None, post(path, {"tasks": [echo("b")]}))
        self.assertEqual(self.ok(post(path, {"tasks": [echo("a", taskKey="a")]}))["added"], 0)  # it is there
        self.ended(self.make(closed=True), "SUCCESS")

    def test_failures(self):
        bad = shell("exit 3", backoff={"base": "1ms", "jitter": "none"})
        counts = self.ended(self.make(closed=True, tasks=[bad, echo("a")]), "FAILED")["counts"]
        self.assertEqual((counts["failed"], counts["success"], counts["executions"]), (1, 1, 4))  # three attempts, unless it says
        self.assertEqual(self.ended(self.make(closed=True, childFailure="ignore", tasks=[shell("exit 3", attempts=1)]), "SUCCESS")["counts"]["executions"], 1)
        late = shell("sleep 30", attempts=1, runTimeout="100ms", grace="100ms")
        counts = self.ended(self.make(closed=True, tasks=[late]), "FAILED")["counts"]
        self.assertEqual((counts["failed"], counts["timeouts"]), (1, 1))

    def test_saved_definitions_have_three_attempts_too(self):
        job = self.make(closed=True, tasks=[shell("exit 3", attempts=1, backoff={"base": "1ms", "jitter": "none"})])
        job = self.ended(job, "FAILED")
        again = self.ok(post(f"/job/{job['jobId']}/retry"))
        self.assertEqual((again["state"], again["changed"]), ("RUNNING", True))
        self.assertEqual(self.ended(job, "FAILED")["counts"]["executions"], 2)

    def test_pause_resume_cancel(self):
        job = self.make(tasks=[shell("sleep 30", grace="100ms")])
        path = f"/job/{job['jobId']}"
        paused = self.ok(post(path + "/pause", {"mode": "checkpoint"}))
        self.assertEqual((paused["state"], paused["changed"]), ("PAUSED", True))
        self.assertIs(self.ok(post(path + "/pause"))["changed"], False)
        new = self.ok(post(path + "/task", {"tasks": [echo("late")]}))["tiIds"][0]
        self.assertEqual(self.ok(get(f"/monitor/task/{new}"))["state"], "PAUSED")
        self.assertIs(self.ok(post(f"/exec/task-ins/{new}/run"))["changed"], False)
        self.refuse(40916, None, post(path + "/retry"))
        self.assertEqual(self.ok(post(path + "/resume"))["state"], "RUNNING")
        self.assertEqual(self.ok(get(f"/monitor/task/{new}?wait=30"))["state"], "SUCCESS")
        self.assertIn(self.ok(post(path + "/cancel"))["state"], ("CANCELING", "CANCELED"))
        counts = self.ended(job, "CANCELED")["counts"]
        self.assertEqual((counts["canceled"], counts["success"]), (1, 1))
        self.assertIs(self.ok(post(path + "/cancel"))["changed"], False)
        self.refuse(40913, None, post(path + "/pause"))
        self.refuse(40919, None, post(path + "/task", {"tasks": [echo()]}))

    def test_a_task_of_a_job(self):
        job = self.make(tasks=[echo("a")])
        ti = self.ok(get(f"/job/{job['jobId']}/task"))[0]["tiId"]
        answer = self.refuse(40922, None, request("DELETE", f"/exec/task-ins/{ti}"))
        self.assertEqual(answer.json["message"], "Delete the job, or the parent.")
        job = self.make(tasks=[echo("a", autoRun=False)])
        ti = self.ok(get(f"/job/{job['jobId']}/task"))[0]["tiId"]
        self.ok(post(f"/job/{job['jobId']}/close"))
        self.ok(post(f"/exec/task-ins/{ti}/cancel"))
        self.ended(job, "CANCELED")
        self.ok(post(f"/exec/task-ins/{ti}/run"))  # the job goes on with it
        self.ended(job, "SUCCESS")

    def test_bad_input(self):
        for code, path, body in ((42201, "/jobKey", {}), (42221, "/jobKey", {"jobKey": ""}), (42221, "/jobKey", {"jobKey": "a b"}),
                                 (42221, "/jobKey", {"jobKey": "k" * 129}), (42204, "/jobName", {"jobKey": "k", "jobName": "n" * 129}),
                                 (42204, "/jobName", {"jobKey": "k", "jobName": "a\nb"}), (42221, "/childFailure", {"jobKey": "k", "childFailure": "x"}),
                                 (42201, "/closed", {"jobKey": "k", "closed": 1}), (42201, "/tasks", {"jobKey": "k", "tasks": {}}),
                                 (42202, "/x", {"jobKey": "k", "x": 1}), (42216, "/tasks", {"jobKey": "k", "tasks": [echo()] * 1001}),
                                 (42220, "/tasks/1/taskType", {"jobKey": "k", "tasks": [echo(), {"taskType": "NONE"}]}),
                                 (42202, "/tasks/0/jobId", {"jobKey": "k", "tasks": [echo(jobId=1)]})):
            with self.subTest(body=str(body)[:80]):
                self.refuse(code, path, post("/job", body))
        job = self.make()
        path = f"/job/{job['jobId']}"
        self.refuse(42221, "/tasks", post(path + "/task", {"tasks": []}))
        self.refuse(42216, "/tasks", post(path + "/task", {"tasks": [echo()] * 1001}))
        self.refuse(42221, "/mode", post(path + "/pause", {"mode": "hard"}))
        self.refuse(42202, "/x", post(path + "/close", {"x": 1}))
        for what in ("", "/task"):
            self.refuse(40402, None, get(f"/job/999999{what}"))
        for what in ("task", "close", "cancel", "pause", "resume", "retry"):
            self.refuse(40402, None, post(f"/job/999999/{what}", {"tasks": [echo()]} if what == "task" else None))
        self.assertEqual(self.ok(get(path))["counts"]["total"], 0)


if __name__ == "__main__":
    import unittest
    unittest.main()
