"""Analyses and sub-tasks: what a verdict makes of a task, the tasks that it adds, and wishes about a task that waits for them."""
import json
import time
import uuid

from weirtest import PATIENCE, Case, delete, get, post


def echo(text="x", **more):
    return {"taskType": "ECHO", "taskName": "c", "taskContent": text, **more}


def wait(seconds, **more):
    return {"taskType": "WAIT", "taskName": "w", "taskContent": str(seconds), **more}


def parent(*tasks, types=("ECHO", "WAIT"), **more):
    config = {"analyzer": {"type": "subtasks", "pointer": "/tasks", "taskTypes": list(types)}, **more.pop("config", {})}
    return {"taskType": "ECHO", "taskName": "p", "taskContent": json.dumps({"tasks": list(tasks)}), "taskConfig": config, **more}


class Trees(Case):
    def start(self, body):
        return self.ok(post("/exec/task", body))["tiId"]

    def task(self, ti):
        return self.ok(get(f"/monitor/task/{ti}"))

    def until(self, ti, *states):
        end = time.monotonic() + PATIENCE
        while (got := self.task(ti))["state"] not in states:
            if time.monotonic() > end:
                raise AssertionError(got)
            time.sleep(0.01)
        return got

    def below(self, ti):
        return sorted(self.ok(get(f"/monitor/task?parentTiId={ti}")), key=lambda t: t["tiId"])

    def ask(self, ti, what):
        return post(f"/exec/task-ins/{ti}/{what}", {})

    def test_the_analyzer_decides(self):
        shell = {"taskType": "SHELL", "taskName": "s", "taskContent": "exit 3"}
        fine = self.start({**shell, "taskConfig": {"analyzer": {"type": "exit-code", "ok": [0, 3]}}})
        got = self.until(fine, "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["verdict"], got["exitCode"], got["attempt"], got["executions"]), ("SUCCESS", "done", 3, 1, 1), got)
        bad = self.start({**shell, "taskConfig": {"analyzer": {"type": "exit-code", "ok": [0]}, "attempts": 2, "backoff": {"base": "1ms"}}})
        got = self.until(bad, "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["verdict"], got["failures"], got["attempt"]), ("FAILED", "failed", 2, 2), got)

    def test_a_parent_ends_with_its_last_task(self):
        ti = self.start(parent(echo(), wait(1), user="u", group="g"))
        got = self.until(ti, "WAITING_CHILDREN")
        self.assertEqual((got["execStatus"], got["verdict"], got["children"]["total"]), ("RUNNING", "done", 2), got)
        for child in self.below(ti):
            self.assertEqual((child["parentTiId"], child["rootTiId"], child["user"], child["group"]), (ti, ti, "u", "g"))
            self.assertNotIn("jobId", child)
        got = self.until(ti, "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["children"]), ("SUCCESS", {"total": 2, "live": 0, "failed": 0, "known": 0}), got)
        self.assertLessEqual(max(t["endedAt"] for t in self.below(ti)), got["endedAt"])
        self.assertEqual([j for j in self.ok(get("/job")) if j["jobId"] < 0], [])

    def test_child_failure(self):
        bad = {"taskType": "SHELL", "taskName": "b", "taskContent": "exit 1"}
        ti = self.start(parent(bad, echo(), types=["ECHO", "SHELL"]))
        got = self.until(ti, "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["children"]["failed"]), ("FAILED", 1), got)
        self.assertIn("did not succeed", got["errorMsg"])
        ti = self.start(parent(bad, echo(), types=["ECHO", "SHELL"], config={"childFailure": "ignore"}))
        self.assertEqual(self.until(ti, "SUCCESS", "FAILED")["state"], "SUCCESS")

    def test_keys_are_unique_in_the_tree(self):
        key = f"root-{uuid.uuid4()}"
        ti = self.start(parent(echo(taskKey="a"), echo("other", taskKey="a"), echo(taskKey=key), taskKey=key))
        got = self.until(ti, "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["children"]["total"], got["children"]["known"]), ("SUCCESS", 1, 2), got)
        other = self.start(parent(echo(taskKey="a")))  # in a tree of its own
        self.assertEqual(self.until(other, "SUCCESS", "FAILED")["children"]["total"], 1)

    def test_trees_are_deep(self):
        ti = self.start(parent(parent(parent(echo(taskKey="deep")))))
        self.assertEqual(self.until(ti, "SUCCESS", "FAILED")["state"], "SUCCESS")
        one = self.below(ti)[0]["tiId"]
        two = self.below(one)[0]["tiId"]
        leaf = self.below(two)[0]
        self.assertEqual((leaf["parentTiId"], leaf["rootTiId"], leaf["taskKey"]), (two, ti, "deep"))

    def test_a_tree_is_canceled_as_one(self):
        ti = self.start(parent(wait(600), parent(wait(600))))
        self.until(ti, "WAITING_CHILDREN")
        inner = next(t["tiId"] for t in self.below(ti) if t["taskType"] == "ECHO")
        self.until(inner, "WAITING_CHILDREN")
        self.assertTrue(self.ok(self.ask(ti, "cancel"))["changed"])
        self.assertEqual(self.until(ti, "CANCELED")["errorMsg"], "Canceled.")
        for t in self.below(ti) + self.below(inner):
            self.assertEqual(t["state"], "CANCELED", t)

    def test_a_list_knows_what_is_canceling(self):
        stubborn = {"taskType": "SHELL", "taskName": "s", "taskContent": "trap '' TERM; sleep 60 & wait; wait", "taskConfig": {"grace": "5s"}}
        ti = self.start(parent(stubborn, types=["SHELL"]))
        self.until(self.until(ti, "WAITING_CHILDREN") and self.below(ti)[0]["tiId"], "RUNNING")
        self.ok(self.ask(ti, "cancel"))
        self.until(ti, "CANCELING")
        listed = lambda state: [t["tiId"] for t in self.ok(get(f"/monitor/task?state={state}&limit=200"))]
        self.assertIn(ti, listed("CANCELING"))
        self.assertNotIn(ti, listed("WAITING_CHILDREN"))
        self.until(ti, "CANCELED")

    def test_a_part_of_a_tree_is_canceled(self):
        ti = self.start(parent(wait(2), parent(wait(600))))
        self.until(ti, "WAITING_CHILDREN")
        inner = next(t["tiId"] for t in self.below(ti) if t["taskType"] == "ECHO")
        self.until(inner, "WAITING_CHILDREN")
        self.ok(self.ask(inner, "cancel"))
        self.until(inner, "CANCELED")
        got = self.until(ti, "SUCCESS", "FAILED")
        self.assertEqual((got["state"], [t["state"] for t in self.below(ti) if t["tiId"] != inner]), ("FAILED", ["SUCCESS"]), got)

    def test_pause_and_run(self):
        ti = self.start(parent(wait(1), {**wait(0), "startAt": "2099-01-01T00:00:00Z"}))
        self.until(ti, "WAITING_CHILDREN")
        got = self.ok(self.ask(ti, "pause"))
        self.assertEqual((got["state"], got["changed"]), ("WAITING_CHILDREN", True))
        for t in self.below(ti):
            self.until(t["tiId"], "PAUSED", "SUCCESS")
        got = self.ok(self.ask(ti, "run"))
        self.assertEqual((got["state"], got["changed"]), ("WAITING_CHILDREN", False))
        self.assertEqual(self.until(ti, "SUCCESS", "FAILED")["state"], "SUCCESS")

    def moved(self, ti, **to):
        return self.ok(post(f"/exec/task-ins/{ti}/queue", to))

    def all_in(self, tasks, **to):
        end = time.monotonic() + PATIENCE
        while any(self.task(t)[k] != v for t in tasks for k, v in to.items()):
            if time.monotonic() > end:
                raise AssertionError([self.task(t) for t in tasks])

    def test_another_queue_for_what_was_added(self):
        later = {**wait(0), "startAt": "2099-01-01T00:00:00Z"}
        ti = self.start(parent(echo(), {**later, "priority": 7}, parent(later), wait(600), user="u", group="g"))
        self.until(ti, "WAITING_CHILDREN")
        ended, waits, inner, runs = (t["tiId"] for t in self.below(ti))
        deep = self.until(inner, "WAITING_CHILDREN") and self.below(inner)[0]["tiId"]
        self.until(runs, "RUNNING")
        self.until(ended, "SUCCESS")
        got = self.moved(ti, group="h")
        self.assertEqual((got["state"], got["changed"], got["group"]), ("WAITING_CHILDREN", True, "h"))
        self.all_in((waits, inner, deep, runs), user="u", group="h")
        self.assertEqual((self.task(waits)["priority"], self.task(deep)["priority"], self.task(ended)["group"]), (7, 0, "g"))
        self.moved(inner, user="v", priority=3)  # a part of the tree
        self.all_in((inner, deep), user="v", group="h", priority=3)
        self.assertEqual([(self.task(t)["user"], self.task(t)["priority"]) for t in (ti, waits)], [("u", 0), ("u", 7)])
        self.ok(self.ask(ti, "pause"))
        self.until(runs, "PAUSED")
        self.moved(ti, user="w", group="i")
        self.all_in((waits, inner, deep, runs), user="w", group="i")
        self.assertEqual(self.task(runs)["state"], "PAUSED")
        self.ok(self.ask(ti, "cancel"))
        self.until(ti, "CANCELED")

    def test_another_queue_below_the_task_of_a_node(self):
        fi, ti = self.begin(wait(600), parent({**wait(0), "startAt": "2099-01-01T00:00:00Z"}))
        runs, inner = (t["tiId"] for t in self.below(ti))
        deep = self.until(inner, "WAITING_CHILDREN") and self.below(inner)[0]["tiId"]
        self.moved(ti, user="n", priority=-4)
        self.all_in((ti, runs, inner, deep), user="n", group="", priority=-4)
        self.hold(fi, "pause", mode="checkpoint")
        self.until(runs, "PAUSED")
        self.moved(ti, group="m")
        self.all_in((ti, runs, inner, deep), user="n", group="m", priority=-4)
        self.hold(fi, "resume")
        self.until(runs, "RUNNING")
        self.hold(fi, "cancel")
        self.finished(fi)

    def begin(self, *tasks):
        """A flow whose only task has added these; its fiId and that task."""
        fi = super().start(self.flow({"tasks": [parent(*tasks)]})["flowId"])
        node = self.ok(get(f"/monitor/flow/{fi}"))["nodes"][0]["niId"]
        ti = self.ok(get(f"/monitor/node/{node}"))[0]["tiId"]
        self.until(ti, "WAITING_CHILDREN")
        return fi, ti

    def hold(self, fi, wish, **body):
        return self.ok(post(f"/exec/flow-ins/{fi}/{wish}", body or None))

    def test_the_pause_of_a_flow_reaches_what_its_tasks_have_added(self):
        later = {**wait(0), "delay": "700ms"}
        fi, ti = self.begin(wait(0.7), later, parent(later), {**echo(), "autoRun": False})
        runs, waits, inner, made = (t["tiId"] for t in self.below(ti))
        deep = self.until(inner, "WAITING_CHILDREN") and self.below(inner)[0]["tiId"]
        self.assertEqual(self.hold(fi, "pause")["state"], "PAUSED")
        self.until(runs, "SUCCESS")  # what runs goes on to its end
        for t in (waits, deep):
            got = self.until(t, "BLOCKED")
            end = time.monotonic() + PATIENCE
            while got.get("why") != "FLOW_PAUSED" and time.monotonic() < end:
                got = self.task(t)
            self.assertEqual((got["state"], got["why"]), ("BLOCKED", "FLOW_PAUSED"), got)
            self.assertIs(self.ok(self.ask(t, "run"))["changed"], False)
        self.assertEqual((self.task(ti)["state"], self.task(made)["state"]), ("WAITING_CHILDREN", "CREATED"))
        self.assertEqual(self.hold(fi, "resume")["state"], "RUNNING")
        for t in (waits, deep, inner):
            self.until(t, "SUCCESS")
        self.ok(self.ask(made, "run"))
        self.assertEqual(self.finished(fi)["state"], "SUCCESS")

    def test_checkpoint_stops_what_runs_below(self):
        fi, ti = self.begin(wait(600), parent(wait(600)), wait(600))
        runs, inner, user = (t["tiId"] for t in self.below(ti))
        deep = self.until(inner, "WAITING_CHILDREN") and self.below(inner)[0]["tiId"]
        for t in (runs, deep, user):
            self.until(t, "RUNNING")
        self.ok(self.ask(user, "pause"))
        self.until(user, "PAUSED")
        self.hold(fi, "pause")
        self.hold(fi, "pause", mode="checkpoint")
        for t in (runs, deep):
            self.assertEqual(self.until(t, "PAUSED")["why"], "FLOW_PAUSED")
        self.hold(fi, "resume")
        for t in (runs, deep):
            self.until(t, "RUNNING")
        self.assertEqual(self.task(user)["state"], "PAUSED")  # a user has paused it
        self.hold(fi, "pause", mode="checkpoint")
        self.until(deep, "PAUSED")
        self.hold(fi, "cancel")
        self.assertEqual(self.finished(fi)["state"], "CANCELED")
        for t in (runs, inner, deep, user):
            self.until(t, "CANCELED")

    def test_a_users_pause_of_a_tree_stands_after_that_of_its_flow(self):
        fi, ti = self.begin(wait(600))
        child = self.below(ti)[0]["tiId"]
        self.until(child, "RUNNING")
        self.ok(self.ask(ti, "pause"))
        self.until(child, "PAUSED")
        self.hold(fi, "pause", mode="checkpoint")
        self.hold(fi, "resume")
        self.assertEqual(self.task(child)["state"], "PAUSED")
        self.hold(fi, "pause")
        self.assertIs(self.ok(self.ask(ti, "run"))["changed"], False)
        self.assertEqual(self.task(child)["state"], "PAUSED")  # its flow is paused
        self.hold(fi, "resume")
        self.until(child, "RUNNING")
        self.hold(fi, "cancel")
        self.finished(fi)

    def test_what_is_added_in_a_paused_flow_waits(self):
        body = parent(echo())
        slow = {"taskType": "SHELL", "taskName": "s", "taskContent": "sleep 0.5; echo '{\"result\": {\"tasks\": [{\"taskType\": \"ECHO\", \"taskName\": "
                "\"c\", \"taskContent\": \"x\"}]}}' >&3", "taskConfig": body["taskConfig"]}
        fi = super().start(self.flow({"tasks": [slow]})["flowId"])
        node = self.ok(get(f"/monitor/flow/{fi}"))["nodes"][0]["niId"]
        ti = self.ok(get(f"/monitor/node/{node}"))[0]["tiId"]
        self.until(ti, "ANALYZING", "WAITING_CHILDREN", "RUNNING")
        self.hold(fi, "pause")
        self.until(ti, "ANALYZING")
        self.assertEqual(self.below(ti), [])
        self.hold(fi, "resume")
        self.assertEqual(self.finished(fi)["state"], "SUCCESS")
        self.assertEqual([t["state"] for t in self.below(ti)], ["SUCCESS"])

    def test_a_tree_is_deleted_as_one(self):
        ti = self.start(parent(wait(600), parent(wait(600)), echo()))
        self.until(ti, "WAITING_CHILDREN")
        inner = next(t["tiId"] for t in self.below(ti) if t["taskType"] == "ECHO" and t["taskName"] == "p")
        self.until(inner, "WAITING_CHILDREN")
        all_of = [t["tiId"] for t in self.below(ti) + self.below(inner)]
        self.refused(delete(f"/exec/task-ins/{inner}"), 40922)
        self.ok(delete(f"/exec/task-ins/{ti}"))
        end = time.monotonic() + PATIENCE
        while any(get(f"/monitor/task/{t}").status == 200 for t in all_of + [ti]):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_in_a_job(self):
        job = self.ok(post("/job", {"jobKey": f"tree-{uuid.uuid4()}", "closed": True, "tasks": [parent(echo(taskKey="a"), wait(1))]}))
        got = self.ok(get(f"/job/{job['jobId']}?wait=30"))
        self.assertEqual((got["state"], got["counts"]["success"], got["counts"]["total"], got["counts"]["executions"]), ("SUCCESS", 3, 3, 3), got)
        tasks = self.ok(get(f"/monitor/task?jobId={job['jobId']}"))
        self.assertEqual({t["jobId"] for t in tasks}, {job["jobId"]})
