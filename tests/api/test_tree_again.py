"""A task that is run again, and what it had added in its former runs."""
import json
import pathlib
import tempfile
import time
import uuid

from weirtest import PATIENCE, Case, delete, get, post

TYPES = {"taskTypes": ["SHELL"]}


def parent(*tasks, **config):
    config = {"analyzer": {"type": "subtasks", "pointer": "", **TYPES}, **config}
    return {"taskType": "ECHO", "taskName": "p", "taskContent": json.dumps(tasks), "taskConfig": config}


def shell(script, **more):
    return {"taskType": "SHELL", "taskName": "s", "taskContent": script, "taskConfig": {"attempts": 1}, **more}


class Again(Case):
    def setUp(self):
        super().setUp()
        room = tempfile.TemporaryDirectory()
        self.addCleanup(room.cleanup)
        self.flag = pathlib.Path(room.name) / "flag"
        self.free = pathlib.Path(room.name) / "free"
        pathlib.Path(room.name).chmod(0o755)
        # it fails at once the first time; then it waits until it is let go, and is what `end` says
        self.holds = f"[ -e {self.flag} ] || exit 1; while [ ! -e {self.free} ]; do sleep 0.05; done; exit "

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
        return sorted(t["tiId"] for t in self.ok(get(f"/monitor/task?parentTiId={ti}")))

    def first_run(self, *tasks, state="FAILED", **config):
        ti = self.ok(post("/exec/task", parent(*tasks, **config)))["tiId"]
        self.until(ti, state)
        self.flag.touch()
        return ti

    def run_again(self, *tis):
        for ti in tis:
            self.ok(post(f"/exec/task-ins/{ti}/run", {}))

    def test_it_waits_for_what_it_had_added(self):
        for code, state in ((1, "FAILED"), (0, "SUCCESS")):
            self.flag.unlink(missing_ok=True), self.free.unlink(missing_ok=True)
            ti = self.first_run(shell(self.holds + str(code), taskKey="c"))
            child, = self.below(ti)
            self.run_again(child)
            self.until(child, "RUNNING")
            self.run_again(ti)
            got = self.until(ti, "WAITING_CHILDREN", "SUCCESS", "FAILED")
            self.assertEqual((got["state"], got["children"]), ("WAITING_CHILDREN", {"total": 1, "live": 1, "failed": 0, "known": 1}), got)
            self.free.touch()
            got = self.until(ti, "SUCCESS", "FAILED")
            self.assertEqual((got["state"], got["children"]["failed"]), (state, code), got)

    def test_what_is_named_again_and_has_failed_counts(self):
        ti = self.first_run(shell("exit 1", taskKey="c"))
        self.run_again(ti)
        got = self.until(ti, "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["runNo"], got["children"]), ("FAILED", 2, {"total": 1, "live": 0, "failed": 1, "known": 1}), got)
        ti = self.first_run(shell("exit 1", taskKey="c"), state="SUCCESS", childFailure="ignore")

    def test_what_is_not_named_again_does_not_count(self):
        ti = self.first_run(shell(f"test -e {self.flag}"))
        self.run_again(ti)
        got = self.until(ti, "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["children"]), ("SUCCESS", {"total": 2, "live": 0, "failed": 0, "known": 0}), got)

    def test_what_is_not_named_again_and_lives_is_waited_for(self):
        # the one of the first run fails again, and that of the second run succeeds
        ti = self.first_run(shell(self.holds + '$(( WEIR_ATTEMPT > 1 ))'))
        child, = self.below(ti)
        self.run_again(child)
        self.until(child, "RUNNING")
        self.run_again(ti)
        got = self.until(ti, "WAITING_CHILDREN", "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["children"]["total"], got["children"]["live"]), ("WAITING_CHILDREN", 2, 2), got)
        self.free.touch()
        self.until(ti, "SUCCESS")
        self.until(child, "FAILED")

    def test_what_is_below_a_task_of_a_job_is_of_the_job(self):
        job = self.ok(post("/job", {"jobKey": f"below-{uuid.uuid4()}", "closed": True, "tasks": [parent(shell("true"), shell("true"))]}))["jobId"]
        self.assertEqual(self.ok(get(f"/job/{job}?wait=30"))["state"], "SUCCESS")
        got = self.ok(delete(f"/job/{job}?wait=30"))
        self.assertEqual((got["state"], got["removed"]["tasks"], got["removed"]["children"], got["left"]["children"]), ("DELETED", 3, 0, 0), got)

    def test_retry_of_a_job(self):
        tasks = [parent(shell(self.holds + "0", taskKey="c"))]
        job = self.ok(post("/job", {"jobKey": f"again-{uuid.uuid4()}", "closed": True, "tasks": tasks}))["jobId"]
        self.assertEqual(self.ok(get(f"/job/{job}?wait=30"))["state"], "FAILED")
        self.flag.touch()
        self.ok(post(f"/job/{job}/retry", {}))
        ti = min(t["tiId"] for t in self.ok(get(f"/job/{job}/task")))
        got = self.until(ti, "WAITING_CHILDREN", "SUCCESS", "FAILED")
        self.assertEqual((got["state"], got["children"]["total"], got["children"]["live"]), ("WAITING_CHILDREN", 1, 1), got)
        self.free.touch()
        self.assertEqual(self.ok(get(f"/job/{job}?wait=30"))["state"], "SUCCESS")
