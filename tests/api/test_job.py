"""Jobs: POST /job, /job/{id}/task, the wishes about a job, and the counts of its tasks."""
import time
import uuid

from weirtest import PATIENCE, Case, delete, get, post, request

CLASSES = ("notStarted", "retrying", "running", "analyzing", "waiting", "success", "failed", "canceled")


def echo(text="x", **more):
    return {"taskType": "ECHO", "taskContent": text, **more}


def shell(text, **config):
    return {"taskType": "SHELL", "taskContent": text, "taskConfig": config}


def until(what, ask):
    """Asks again and again until the answer is not None."""
    end = time.monotonic() + PATIENCE
    while (got := ask()) is None:
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.01)
    return got


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

    def test_a_replayed_addition_has_the_answer_of_the_first(self):
        job = self.make()["jobId"]
        known = self.ok(post(f"/job/{job}/task", {"tasks": [echo(taskKey="known")]}))["tiIds"]
        for tasks, added in (([echo(), echo()], 2), ([echo(taskKey="new")], 1), ([echo(taskKey="known")], 0),
                             ([echo(taskKey="known"), echo(), echo(taskKey="newer")], 2)):
            key = {"Idempotency-Key": f"k-{uuid.uuid4()}"}
            first = self.ok(request("POST", f"/job/{job}/task", {"tasks": tasks}, key))
            again = request("POST", f"/job/{job}/task", {"tasks": tasks}, key)
            self.assertEqual((first["added"], self.ok(again)), (added, first))
            self.assertTrue(again.json["replayed"])
        self.assertEqual(first["tiIds"][0], known[0])

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

    def test_wishes_by_filter(self):
        job, other = (self.make(tasks=[echo(str(i), delay="1h") for i in range(3)]) for _ in range(2))
        each = {"filter": {"jobId": job["jobId"]}}
        self.assertEqual(self.ok(post("/exec/task-ins/pause", each)), {"changed": 3, "refused": 0, "more": False})
        self.assertEqual(self.ok(post("/exec/task-ins/queue", {**each, "user": "by-filter"})), {"changed": 3, "refused": 0, "more": False})
        self.assertEqual({t["user"] for t in self.ok(get(f"/monitor/task?jobId={job['jobId']}"))}, {"by-filter"})
        for limit in (1, 3):     # none takes a place: a call that is repeated comes to its end
            self.assertEqual(self.ok(post("/exec/task-ins/delete", {**each, "limit": limit})), {"changed": 0, "refused": 3, "more": False})
        ti = self.ok(get(f"/monitor/task?jobId={job['jobId']}"))[0]["tiId"]
        self.assertEqual(self.ok(post("/exec/task-ins/cancel", {**each, "limit": 1})), {"changed": 1, "refused": 0, "more": True})
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["state"], "CANCELED")
        self.assertEqual(self.ok(post("/exec/task-ins/run", {"filter": {"jobId": job["jobId"], "state": "PAUSED,CANCELED"}}))["changed"], 3)
        until("all of them have run", lambda: self.ok(get(f"/job/{job['jobId']}"))["counts"]["success"] == 3 or None)
        self.assertEqual(self.ok(get(f"/job/{other['jobId']}"))["counts"]["notStarted"], 3)
        self.refuse(42201, "/filter/jobId", post("/exec/task-ins/run", {"filter": {"jobId": "x"}}))
        self.refuse(42205, "/filter/jobId", post("/exec/task-ins/run", {"filter": {"jobId": 0}}))

    def remove(self, job, how="wait=30"):
        return self.ok(delete(f"/job/{job['jobId']}?{how}"))

    def gone(self, job):
        path = f"/job/{job['jobId']}"
        for answer in (get(path), get(path + "/task"), delete(path), delete(path + "?force=true"), post(path + "/close")):
            self.refuse(40402, None, answer)
        self.assertEqual(self.ok(get(f"/monitor/task?jobId={job['jobId']}")), [])

    def deleted(self, got, tasks, attempts):
        self.assertEqual((got["state"], got["removed"]["tasks"], got["removed"]["attempts"]), ("DELETED", tasks, attempts))
        self.assertEqual(got["left"], dict.fromkeys(self.MEMBERS, 0))
        self.assertEqual(set(got["removed"]), set(self.MEMBERS))

    MEMBERS = ("tasks", "attempts", "logs", "contexts", "children", "hints", "processes")

    def test_delete_counts_what_it_removes(self):
        job = self.make(tasks=[shell("echo some; sleep 60", grace="100ms"), shell("echo more"), echo("a", context="given"), echo("b", delay="1h")])
        path = f"/job/{job['jobId']}"
        until("all but two have ended", lambda: self.ok(get(path))["counts"]["success"] == 2 or None)
        ti = min(t["tiId"] for t in self.ok(get(path + "/task")))
        until("it has said something", lambda: request("GET", f"/monitor/task/{ti}/log").body or None)
        got = self.remove(job, "force=true&wait=30")
        self.deleted(got, 4, 3)
        self.assertEqual((got["removed"]["processes"], got["unconfirmed"], got["removed"]["children"]), (1, 0, 0))
        self.assertGreaterEqual(got["removed"]["logs"], 2)
        self.assertGreaterEqual(got["removed"]["contexts"], 1)
        self.refuse(40402, None, get(f"/monitor/task/{ti}/log"))

    def test_what_is_left_is_counted_in_attempts(self):
        analyzed = {**echo(), "taskConfig": {"analyzer": {"type": "exit-code", "ok": [0]}}}
        job = self.make(closed=True, tasks=[analyzed, shell("true", onDelete={"content": "sleep 1"})])
        self.ended(job, "SUCCESS")
        got = self.ok(delete(f"/job/{job['jobId']}"))
        self.assertEqual(got["state"], "DELETING")  # it cleans up
        self.assertLessEqual(got["left"]["attempts"], 3, got)  # the clean-up's is one, too
        self.remove(job)
        self.gone(job)

    def failed_clean_up(self, job, how=""):
        got = self.remove(job, "wait=30" + how)  # nothing goes on: the wait is over
        self.assertEqual((got["state"], got["left"]["tasks"], got["left"]["processes"]), ("DELETING", 1, 0))
        shown = self.ok(get(f"/job/{job['jobId']}"))
        self.assertEqual((shown["state"], shown["counts"]["failed"]), ("DELETING", 1))
        self.assertEqual([t["state"] for t in self.ok(get(f"/job/{job['jobId']}/task"))], ["DELETE_FAILED"])
        return got

    def test_delete(self):
        bad = shell("exit 3", attempts=2, backoff={"base": "1ms", "jitter": "none"})
        job = self.make(closed=True, tasks=[echo("a", taskKey="a"), echo("b"), bad])
        self.ended(job, "FAILED")
        ti = self.ok(get(f"/job/{job['jobId']}/task"))[0]["tiId"]
        self.deleted(self.remove(job), 3, 4)
        self.gone(job)
        self.refuse(40402, None, get(f"/monitor/task/{ti}"))
        again = self.ok(post("/job", {"jobKey": job["jobKey"]}))  # the key is free
        self.assertNotEqual(again["jobId"], job["jobId"])
        self.deleted(self.remove(again), 0, 0)  # open, but nothing of it lives
        self.gone(again)

    def test_delete_goes_on_by_itself(self):
        job = self.make(closed=True, tasks=[echo(str(i)) for i in range(700)])
        self.ended(job, "SUCCESS")
        got = self.ok(delete(f"/job/{job['jobId']}"))
        self.assertIn(got["state"], ("DELETING", "DELETED"))
        self.assertEqual(got["removed"]["tasks"] + got["left"]["tasks"], 700)
        until("the job is gone", lambda: get(f"/job/{job['jobId']}").status == 404 or None)
        self.gone(job)

    def test_delete_of_a_live_job(self):
        job = self.make(tasks=[shell("sleep 60", grace="100ms"), echo("held", autoRun=False), echo("a")])
        path = f"/job/{job['jobId']}"
        until("it runs", lambda: self.ok(get(path))["counts"]["success"] == 1 or None)
        for how in ("", "?cleanup=false", "?force=false&wait=5"):
            answer = self.refuse(40914, None, delete(path + how))
            self.assertIn("2 of its tasks have not ended", answer.json["message"])
        for wish in ("pause", "cancel"):
            self.ok(post(f"{path}/{wish}", {"mode": "soft"} if wish == "pause" else None))
            if wish == "pause":
                self.refuse(40914, None, delete(path))
        self.ended(job, "CANCELED")
        self.assertEqual(self.remove(job)["state"], "DELETED")
        self.gone(job)
        job = self.make(tasks=[shell("sleep 60", grace="100ms"), echo("held", autoRun=False), echo("a")])
        self.assertEqual(self.remove(job, "force=true&wait=30")["state"], "DELETED")
        self.gone(job)

    def test_delete_cleans_up(self):
        name = f"clean-{uuid.uuid4()}"
        clean = [shell("exit 0", onDelete={"content": f"exit 0 # {name}"}), shell("sleep 60", grace="100ms", onDelete={"content": "exit 0"})]
        job = self.make(tasks=clean)
        path = f"/job/{job['jobId']}"
        until("it runs", lambda: self.ok(get(path))["counts"]["executions"] == 2 or None)
        self.deleted(self.remove(job, "force=true&wait=30"), 2, 4)  # two attempts, and two clean-ups
        job = self.make(closed=True, tasks=[shell("exit 0", onDelete={"content": "exit 0"})] * 2)
        self.ended(job, "SUCCESS")
        self.deleted(self.remove(job, "cleanup=false&wait=30"), 2, 2)
        self.gone(job)

    def test_a_clean_up_that_fails(self):
        bad = shell("exit 0", onDelete={"content": "exit 3"})
        job = self.make(closed=True, tasks=[bad, echo("a")])
        path = f"/job/{job['jobId']}"
        self.ended(job, "SUCCESS")
        got = self.failed_clean_up(job)
        self.assertEqual((got["removed"]["tasks"], got["removed"]["attempts"]), (1, 1))
        for wish in ("cancel", "pause", "resume", "retry", "close"):
            self.refuse(40916, None, post(f"{path}/{wish}"))
        self.refuse(40916, None, post(path + "/task", {"tasks": [echo()]}))
        ti = self.ok(get(path + "/task"))[0]["tiId"]
        self.refuse(40916, None, post(f"/exec/task-ins/{ti}/run"))
        self.failed_clean_up(job)  # tried again
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["attempt"], 3)
        self.deleted(self.remove(job, "force=true&wait=30"), 2, 4)
        self.gone(job)
        job = self.make(closed=True, tasks=[bad])
        self.ended(job, "SUCCESS")
        self.failed_clean_up(job, "&force=true")  # by force it stops what runs; the clean-up runs all the same
        self.deleted(self.remove(job, "cleanup=false&wait=30"), 1, 2)
        self.gone(job)

    def test_a_clean_up_that_hangs(self):
        job = self.make(closed=True, tasks=[shell("exit 0", onDelete={"content": "sleep 600"})])
        self.ended(job, "SUCCESS")
        path = f"/job/{job['jobId']}"
        self.assertEqual(self.remove(job, "wait=0.1")["state"], "DELETING")
        until("it cleans up", lambda: self.ok(get(path + "/task"))[0]["attempt"] == 2 or None)
        self.assertEqual(self.remove(job, "force=true&wait=0.1")["state"], "DELETING")  # what cleans up goes on
        self.deleted(self.remove(job, "force=true&cleanup=false&wait=30"), 1, 2)
        self.gone(job)

    def test_bad_input(self):
        for code, path, body in ((42221, "/jobKey", {}), (42201, "/jobKey", {"jobKey": 1}), (42221, "/jobKey", {"jobKey": ""}), (42221, "/jobKey", {"jobKey": "a b"}),
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
        for what in ("force=1", "cleanup=no", "wait=61", "x=1", "force=true&force=true"):
            self.assertEqual(delete(f"{path}?{what}").status, 422, what)
        self.refuse(40402, None, delete("/job/999999"))
        for what in ("", "/task"):
            self.refuse(40402, None, get(f"/job/999999{what}"))
        for what in ("task", "close", "cancel", "pause", "resume", "retry"):
            self.refuse(40402, None, post(f"/job/999999/{what}", {"tasks": [echo()]} if what == "task" else None))
        self.assertEqual(self.ok(get(path))["counts"]["total"], 0)


if __name__ == "__main__":
    import unittest
    unittest.main()
