"""Wishes about tasks over HTTP: each pair of state and wish, as the table of docs/reference/api.md has it; races; many by a filter;
what they are for tasks of nodes."""
import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
import time
import unittest
import uuid

from weirtest import Case, PATIENCE, Server, delete, get, inline, post

WISHES = ("run", "pause", "cancel", "delete", "queue")
STATES = ("CREATED", "BLOCKED", "QUEUED", "RUNNING", "RETRY_WAIT", "PAUSING", "RESUMING", "PAUSED", "CANCELING", "SUCCESS", "FAILED", "TIMEOUT",
          "CANCELED", "DELETING", "DELETE_FAILED")

# By hand. True: 200 and changed; False: 200 and not changed; a number: the refusal. RESUMING: PAUSING after a run.
TABLE = {
    "run": dict(CREATED=True, BLOCKED=True, QUEUED=False, RUNNING=False, RETRY_WAIT=True, PAUSING=True, RESUMING=False, PAUSED=True,
                CANCELING=40916, SUCCESS=40912, FAILED=True, TIMEOUT=True, CANCELED=True, DELETING=40916, DELETE_FAILED=40916),
    "pause": dict(CREATED=False, BLOCKED=True, QUEUED=True, RUNNING=True, RETRY_WAIT=True, PAUSING=False, RESUMING=True, PAUSED=False,
                  CANCELING=40916, SUCCESS=40913, FAILED=40913, TIMEOUT=40913, CANCELED=40913, DELETING=40916, DELETE_FAILED=40916),
    "cancel": dict(CREATED=True, BLOCKED=True, QUEUED=True, RUNNING=True, RETRY_WAIT=True, PAUSING=True, RESUMING=True, PAUSED=True,
                   CANCELING=False, SUCCESS=40913, FAILED=40913, TIMEOUT=40913, CANCELED=False, DELETING=True, DELETE_FAILED=40916),
    "delete": dict(CREATED=True, BLOCKED=True, QUEUED=True, RUNNING=True, RETRY_WAIT=True, PAUSING=True, RESUMING=True, PAUSED=True,
                   CANCELING=True, SUCCESS=True, FAILED=True, TIMEOUT=True, CANCELED=True, DELETING=False, DELETE_FAILED=True),
    "queue": dict(CREATED=True, BLOCKED=True, QUEUED=True, RUNNING=True, RETRY_WAIT=True, PAUSING=True, RESUMING=True, PAUSED=True,
                  CANCELING=True, SUCCESS=40913, FAILED=40913, TIMEOUT=40913, CANCELED=40913, DELETING=40916, DELETE_FAILED=40916),
}
SYMBOL = {40912: "NOT_RETRYABLE", 40913: "ALREADY_FINISHED", 40916: "BUSY_STATE", 40917: "OF_A_FLOW"}

# What is seen after a wish that changed something, once everything has settled ("gone": 404). `held` tasks stop when they are told to.
AFTER = {
    ("run", "CREATED"): "SUCCESS", ("run", "BLOCKED"): "SUCCESS", ("run", "RETRY_WAIT"): "FAILED", ("run", "PAUSING"): "RUNNING",
    ("run", "PAUSED"): "RUNNING", ("run", "FAILED"): "FAILED", ("run", "TIMEOUT"): "TIMEOUT", ("run", "CANCELED"): "SUCCESS",
    ("pause", "BLOCKED"): "PAUSED", ("pause", "QUEUED"): "PAUSED", ("pause", "RUNNING"): "PAUSED", ("pause", "RETRY_WAIT"): "PAUSED",
    ("pause", "RESUMING"): "PAUSED", ("cancel", "DELETING"): "DELETE_FAILED",
    ("queue", "CREATED"): "CREATED", ("queue", "BLOCKED"): "BLOCKED", ("queue", "QUEUED"): "QUEUED", ("queue", "RUNNING"): "RUNNING",
    ("queue", "RETRY_WAIT"): "RETRY_WAIT", ("queue", "PAUSING"): "PAUSED", ("queue", "RESUMING"): "RUNNING", ("queue", "PAUSED"): "PAUSED",
    ("queue", "CANCELING"): "CANCELED",
}


def after(wish, state):
    if wish == "delete":
        return "gone"
    if wish == "cancel" and state != "DELETING":
        return "CANCELED"
    return AFTER[wish, state]


class Control(Case):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="weir-control-")
        self.made = []

    def tearDown(self):
        for ti, gate, to in self.made:
            self.open(gate)
            delete(f"/exec/task-ins/{ti}?force=true", to=to)
        super().tearDown()
        shutil.rmtree(self.dir, ignore_errors=True)

    # a program that goes on until it is told to stop, and then waits for its gate

    def open(self, gate):
        if gate:
            open(gate, "w").close()

    def submit(self, body, gate=None, to=None):
        ti = self.ok(post("/exec/task", body, to=to))["tiId"]
        self.made.append((ti, gate, to))
        return ti

    def held(self, opened=False):
        """A SHELL task that runs. Returns its id and the gate that lets it end once it was told to."""
        base = os.path.join(self.dir, uuid.uuid4().hex)
        gate = base + ".gate"
        script = (f"trap 'while [ ! -e {gate} ] && [ -d {self.dir} ]; do sleep 0.01; done; exit 75' TERM\ntouch {base}.up\n"
                  f"while [ -d {self.dir} ]; do sleep 0.01; done")
        ti = self.submit({"taskType": "SHELL", "taskContent": script, "taskConfig": {"grace": "1h"}}, gate)
        self.task_until(ti, lambda _: os.path.exists(base + ".up"))
        if opened:
            self.open(gate)
        return ti, gate

    def wish(self, wish, ti, body=None, to=None):
        if wish == "delete":
            return delete(f"/exec/task-ins/{ti}", to=to)
        if wish == "queue" and body is None:
            body = {"user": "moved"}
        return post(f"/exec/task-ins/{ti}/{wish}", body, to=to)

    # a task in each state; the gate, where one is to be opened

    def task_of(self, state):
        make = getattr(self, "make_" + state.lower(), None)
        ti, gate = make()
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}", to=self.server_of(state)))["state"], "PAUSING" if state == "RESUMING" else state)
        return ti, gate

    def server_of(self, state):
        return self.full if state == "QUEUED" else None

    def make_created(self):
        return self.submit({"taskType": "ECHO", "autoRun": False}), None

    def make_blocked(self):
        return self.submit({"taskType": "ECHO", "delay": "1h"}), None

    def make_queued(self):
        return self.submit({"taskType": "SHELL", "taskContent": "true"}, to=self.full), None

    def make_running(self):
        return self.held(opened=True)

    def make_retry_wait(self):
        config = {"attempts": 2, "backoff": {"base": "1h", "jitter": "none"}}
        ti = self.submit({"taskType": "EXCEPTION", "taskConfig": config})
        self.task_in(ti, "RETRY_WAIT")
        return ti, None

    def make_pausing(self):
        ti, gate = self.held()
        self.ok(self.wish("pause", ti))
        return ti, gate

    def make_resuming(self):
        ti, gate = self.make_pausing()
        self.ok(self.wish("run", ti))
        return ti, gate

    def make_paused(self):
        ti, gate = self.held(opened=True)
        self.ok(self.wish("pause", ti))
        self.task_in(ti, "PAUSED")
        return ti, gate

    def make_canceling(self):
        ti, gate = self.held()
        self.ok(self.wish("cancel", ti))
        return ti, gate

    def ended(self, state, **body):
        ti = self.submit(body)
        self.task_in(ti, state)
        return ti, None

    def make_success(self):
        return self.ended("SUCCESS", taskType="ECHO")

    def make_failed(self):
        return self.ended("FAILED", taskType="EXCEPTION")

    def make_timeout(self):
        return self.ended("TIMEOUT", taskType="WAIT", taskContent="1h", taskConfig={"timeout": "20ms"})

    def make_canceled(self):
        ti = self.submit({"taskType": "ECHO", "autoRun": False})
        self.ok(self.wish("cancel", ti))
        return ti, None

    def make_deleting(self):
        ti, gate = self.held()
        self.ok(self.wish("delete", ti))
        return ti, gate

    def make_delete_failed(self):
        ti, gate = self.make_deleting()
        self.ok(self.wish("cancel", ti))
        self.open(gate)
        self.task_in(ti, "DELETE_FAILED")
        return ti, gate

    def gone(self, ti, to=None):
        self.task_end = self.until_404(ti, to)

    def until_404(self, ti, to):
        for _ in range(12000):
            answer = get(f"/monitor/task/{ti}", to=to)
            if answer.status == 404:
                return self.refused(answer, 40402)
            threading.Event().wait(0.005)
        self.fail(f"still there: {answer}")


class Table(Control):
    """Every cell."""

    @classmethod
    def setUpClass(cls):
        cls.full = Server("--slots", "1")  # its slot is taken: what comes then is QUEUED
        cls.blocker = post("/exec/task", {"taskType": "SHELL", "taskContent": "sleep 3600"}, to=cls.full).data["tiId"]

    @classmethod
    def tearDownClass(cls):
        post(f"/exec/task-ins/{cls.blocker}/cancel", to=cls.full)
        cls.full.stop()

    def cell(self, wish, state):
        ti, gate = self.task_of(state)
        to, expected = self.server_of(state), TABLE[wish][state]
        answer = self.wish(wish, ti, to=to)
        if expected not in (True, False):
            body = self.refused(answer, expected, SYMBOL[expected])
            self.assertEqual(body["data"]["state"], state)
            if expected == 40916:
                way = ": DELETE it again, or with force=true." if state == "DELETE_FAILED" else "; wait."
                self.assertEqual(body["message"], f"It is {state}{way}")
            return
        self.assertIs(self.ok(answer)["changed"], expected)
        self.assertEqual(answer.data["tiId"], ti)
        if not expected:
            return
        if wish == "queue":
            self.assertEqual(answer.data["user"], "moved")
        self.open(gate)
        self.settles(wish, state, ti, to)

    def settles(self, wish, state, ti, to):
        end = after(wish, state)
        if end == "gone":
            self.gone(ti, to)
            self.refused(self.wish(wish, ti, to=to), 40402)
            return
        row = self.task_in(ti, end, to=to)
        self.assertEqual(row["runNo"], 2 if wish == "run" and state in ("FAILED", "TIMEOUT", "CANCELED") else 1)
        if state in ("RUNNING", "PAUSING", "PAUSED", "RESUMING") and end in ("PAUSED", "RUNNING"):
            self.assertEqual((row["failures"], row["losses"], row["errorMsg"]), (0, 0, ""))

    def test_the_table_is_whole(self):
        for wish in WISHES:
            self.assertEqual(sorted(TABLE[wish]), sorted(STATES))

    def test_unknown(self):
        for wish in WISHES:
            self.assertIn("999999999", self.refused(self.wish(wish, 999999999), 40402)["message"])
            self.refused(self.wish(wish, 0), 40011)


def cell_test(wish, state):
    def test(self):
        self.cell(wish, state)
    return test


for _wish in WISHES:
    for _state in STATES:
        setattr(Table, f"test_{_wish}_{_state.lower()}", cell_test(_wish, _state))


class Ways(Control):
    """What a wish leaves behind."""

    def test_pause_and_run_keep_the_history(self):
        ti, _ = self.held(opened=True)
        self.ok(self.wish("pause", ti))
        row = self.task_in(ti, "PAUSED")
        self.assertEqual((row["why"], row["attempt"], row["failures"], row["losses"]), ("PAUSED", 1, 0, 0))
        self.assertEqual([(h["attempt"], h["end"], h["runNo"], h["host"]) for h in row["history"]], [(1, "PAUSED", 1, row["host"])])
        self.ok(self.wish("run", ti))
        row = self.task_in(ti, "RUNNING")
        self.assertEqual((row["attempt"], row["runNo"], row["failures"]), (2, 1, 0))

    def test_a_pause_of_a_delay_forgets_it(self):
        ti, _ = self.make_blocked()
        self.ok(self.wish("pause", ti))
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["why"], "PAUSED")
        self.ok(self.wish("run", ti))
        self.assertEqual(self.task_finished(ti)["state"], "SUCCESS")

    def test_a_run_says_resuming(self):
        ti, gate = self.make_resuming()
        row = self.ok(get(f"/monitor/task/{ti}"))
        self.assertEqual((row["state"], row["why"]), ("PAUSING", "RESUMING"))
        self.open(gate)
        self.assertEqual(self.task_in(ti, "RUNNING")["attempt"], 2)

    def test_a_new_run_clears_what_the_former_left(self):
        out = os.path.join(self.dir, "flag")
        script = f"echo kept > $WEIR_OUTPUT\n[ -e {out} ] || exit 3"
        ti = self.submit({"taskType": "SHELL", "taskContent": script, "taskConfig": {"attempts": 2, "backoff": {"base": "1ms"}}})
        row = self.task_in(ti, "FAILED")
        self.assertEqual((row["failures"], row["attempt"], row["exitCode"]), (2, 2, 3))
        self.open(out)
        self.assertEqual(self.ok(self.wish("run", ti))["runNo"], 2)
        row = self.task_finished(ti)
        self.assertEqual((row["state"], row["failures"], row["attempt"], row["errorMsg"]), ("SUCCESS", 0, 3, ""))
        self.assertEqual([(h["attempt"], h["runNo"], h["end"], h["exitCode"]) for h in row["history"]], [(1, 1, "FAIL", 3), (2, 1, "FAIL", 3)])

    def test_a_run_of_one_that_was_canceled_while_it_waited(self):
        for make in (self.make_retry_wait, self.make_paused):
            ti, _ = make()
            self.ok(self.wish("cancel", ti))
            self.task_in(ti, "CANCELED")
            self.assertIs(self.ok(self.wish("run", ti))["changed"], True)
            row = self.task_until(ti, lambda r: r["attempt"] == 2)
            self.assertEqual([(h["attempt"], h["runNo"]) for h in row["history"] if h["runNo"] == 1], [(1, 1)])

    def test_a_run_of_one_that_was_canceled_while_it_ran(self):
        """Its last attempt becomes history."""
        ti, _ = self.make_running()
        self.ok(self.wish("cancel", ti))
        self.task_in(ti, "CANCELED")
        self.assertIs(self.ok(self.wish("run", ti))["changed"], True)
        row = self.task_until(ti, lambda r: r["attempt"] == 2)
        self.assertEqual([(h["attempt"], h["runNo"]) for h in row["history"]], [(1, 1)])

    def test_delete_answers_the_row_as_it_was(self):
        ti, _ = self.make_success()
        self.assertEqual(self.ok(self.wish("delete", ti))["state"], "SUCCESS")
        self.refused(get(f"/monitor/task/{ti}"), 40402)
        self.refused(get(f"/monitor/task/{ti}/log"), 40402)

    def test_what_it_left_goes_too(self):
        """Log, context and progress of a deleted task leave the store; those of another task stay."""
        server = Server()
        self.addCleanup(server.stop)
        script = 'echo out; echo \'{"context": "c"}\' >&3; echo \'{"progress": {"done": 1}}\' >&3'
        one, other = (self.ok(post("/exec/task", {"taskType": "SHELL", "taskContent": script}, to=server))["tiId"] for _ in "ab")
        for ti in (one, other):
            self.assertEqual(self.task_finished(ti, to=server)["contextBytes"], 1)
        self.ok(delete(f"/exec/task-ins/{one}", to=server))

        def left():
            with contextlib.closing(sqlite3.connect(f"file:{server.dir}/weir.db-log?mode=ro", uri=True)) as db:
                return [ti for table in ("task_log", "task_context", "task_progress")
                        for (ti,) in db.execute(f"SELECT ti_id FROM {table} ORDER BY 1")]
        end = time.monotonic() + PATIENCE
        while (found := left()) != [other] * 3:
            self.assertLess(time.monotonic(), end, found)

    def test_force(self):
        ti, gate = self.make_deleting()
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["execStatus"], "RUNNING")
        self.assertIs(self.ok(delete(f"/exec/task-ins/{ti}?force=true"))["changed"], True)
        self.refused(get(f"/monitor/task/{ti}"), 40402)
        self.open(gate)
        ti, gate = self.make_delete_failed()
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["execStatus"], "FAILED")
        self.assertIs(self.ok(delete(f"/exec/task-ins/{ti}?force=true"))["changed"], True)
        self.gone(ti)
        self.refused(delete(f"/exec/task-ins/{ti}?force=1"), 42205)

    def test_queue(self):
        ti, _ = self.make_created()
        row = self.ok(self.wish("queue", ti, {"user": "a", "group": "b", "priority": -5}))
        self.assertEqual((row["user"], row["group"], row["priority"]), ("a", "b", -5))
        row = self.ok(self.wish("queue", ti, {"group": ""}))
        self.assertEqual((row["user"], row["group"], row["priority"]), ("a", "", -5))
        self.assertEqual(self.ok(self.wish("queue", ti, {}))["priority"], -5)
        self.refused(self.wish("queue", ti, {"priority": 101}), 42221)
        self.refused(self.wish("queue", ti, {"cpuOverhead": 1}), 42202)
        self.refused(self.wish("queue", ti, {"user": "x" * 129}), 42221)
        self.refused(post(f"/exec/task-ins/{ti}/queue"), 40001)
        self.refused(self.wish("pause", ti, {"mode": "soft"}), 42202)

    def test_the_loser_of_a_race_is_told(self):
        for _ in range(10):
            ti, answers = self.make_created()[0], []
            threads = [threading.Thread(target=lambda w: answers.append((w, self.wish(w, ti))), args=(w,)) for w in ("cancel", "delete", "cancel")]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            for wish, answer in answers:
                self.assertIn(answer.status, (200, 404) if wish == "cancel" else (200,), answer)
            self.refused(get(f"/monitor/task/{ti}"), 40402)


class Nodes(Control):
    """Tasks of nodes: the same table while they are not final."""

    def task_of_node(self, kind="WAIT", content="1h", **config):
        self.flow_id = self.flow(inline(kind, content, **config))["flowId"]
        self.fi = self.start(self.flow_id)
        self.node = self.ok(get(f"/monitor/flow/{self.fi}"))["nodes"][0]["niId"]
        return self.ok(get(f"/monitor/node/{self.node}"))[0]["tiId"]

    def test_final_ones_belong_to_their_flow(self):
        ti = self.task_of_node("EXCEPTION", None)
        self.task_in(ti, "FAILED")
        self.finished(self.fi)
        for wish in ("run", "delete"):
            body = self.refused(self.wish(wish, ti), 40917, "OF_A_FLOW")
            self.assertEqual(body["data"]["state"], "FAILED")
            self.assertRegex(body["message"], rf'^Run the node again: POST /exec/flow/({self.flow_id}|ID) {{"fiId": {self.fi}, "niId": {self.node}}}\.$')
        self.refused(self.wish("pause", ti), 40913)
        self.refused(self.wish("cancel", ti), 40913)
        self.refused(self.wish("queue", ti), 40913)

    def test_a_live_one_is_not_deleted(self):
        ti = self.task_of_node()
        self.task_in(ti, "RUNNING")
        body = self.refused(self.wish("delete", ti), 40917, "OF_A_FLOW")
        self.assertEqual(body["message"], f'Run the node again: POST /exec/flow/{self.flow_id} {{"fiId": {self.fi}, "niId": {self.node}}}.')
        self.assertEqual(body["data"]["state"], "RUNNING")
        self.ok(post(f"/exec/flow-ins/{self.fi}/cancel"))

    def test_run_of_a_retry(self):
        ti = self.task_of_node("EXCEPTION", None, attempts=2, backoff={"base": "1h", "jitter": "none"})
        self.task_in(ti, "RETRY_WAIT")
        self.refused(self.wish("delete", ti), 40917)
        self.assertIs(self.ok(self.wish("run", ti))["changed"], True)
        self.assertEqual(self.task_in(ti, "FAILED")["attempt"], 2)

    def test_pause_and_run(self):
        ti = self.task_of_node("EXCEPTION", None, attempts=2, backoff={"base": "1h", "jitter": "none"})
        self.task_in(ti, "RETRY_WAIT")
        self.assertEqual(self.ok(self.wish("pause", ti))["state"], "PAUSED")
        self.assertIs(self.ok(self.wish("pause", ti))["changed"], False)
        self.assertIs(self.ok(self.wish("run", ti))["changed"], True)
        self.assertEqual(self.finished(self.fi)["state"], "FAILED")

    def test_cancel(self):
        ti = self.task_of_node()
        self.assertIs(self.ok(self.wish("cancel", ti))["changed"], True)
        self.assertEqual(self.finished(self.fi)["nodes"][0]["state"], "CANCELED")


class Many(Control):
    """By a filter: stand-alone tasks, newest first."""

    def some(self, n, **more):
        self.user = uuid.uuid4().hex
        ids = self.ok(post("/exec/tasks", {"tasks": [{"taskType": "ECHO", "user": self.user, "autoRun": False, **more} for _ in range(n)]}))
        self.made += [(ti, None, None) for ti in ids]
        return ids

    def all(self, wish, filter=None, **more):
        return self.ok(post(f"/exec/task-ins/{wish}", {"filter": filter or {"user": self.user}, **more}))

    def states(self):
        return [row["state"] for row in self.ok(get(f"/monitor/task?user={self.user}&limit=500"))]

    def test_each_wish(self):
        self.some(5)
        self.assertEqual(self.all("cancel", limit=2), {"changed": 2, "refused": 0, "more": True})
        self.assertEqual(self.states(), ["CANCELED"] * 2 + ["CREATED"] * 3)
        self.assertEqual(self.all("pause"), {"changed": 0, "refused": 2, "more": False})
        self.assertEqual(self.all("queue", group="g", priority=4), {"changed": 3, "refused": 2, "more": False})
        self.assertEqual(len(self.ok(get(f"/monitor/task?user={self.user}&group=g"))), 3)
        self.assertEqual(self.all("run", {"user": self.user, "state": "CREATED"}), {"changed": 3, "refused": 0, "more": False})
        for row in self.ok(get(f"/monitor/task?user={self.user}")):
            self.task_finished(row["tiId"])
        self.assertEqual(self.all("delete", {"user": self.user, "state": "SUCCESS,FAILED"}), {"changed": 3, "refused": 0, "more": False})
        self.assertEqual(self.all("delete"), {"changed": 2, "refused": 0, "more": False})
        self.assertEqual(self.states(), [])
        self.assertEqual(self.all("run"), {"changed": 0, "refused": 0, "more": False})

    def test_more_than_one_commit(self):
        self.user = uuid.uuid4().hex
        for _ in range(3):
            self.ok(post("/exec/tasks", {"tasks": [{"taskType": "ECHO", "user": self.user, "autoRun": False}] * 900}))
        self.assertEqual(self.all("cancel", limit=10000), {"changed": 2700, "refused": 0, "more": False})
        self.assertEqual(self.all("delete", limit=10000), {"changed": 2700, "refused": 0, "more": False})
        self.assertEqual(self.all("delete"), {"changed": 0, "refused": 0, "more": False})

    def test_by_name(self):
        base = uuid.uuid4().hex
        ids = [self.submit({"taskType": "ECHO", "autoRun": False, "taskKey": f"{base}-{i}"}) for i in range(3)]
        self.assertEqual(self.all("cancel", {"taskKey": f"{base}-1"})["changed"], 1)
        self.assertEqual(self.all("cancel", {"taskKey": f"{base}-*", "type": "ECHO"}), {"changed": 2, "refused": 0, "more": False})
        self.assertEqual([self.ok(get(f"/monitor/task/{ti}"))["state"] for ti in ids], ["CANCELED"] * 3)

    def test_refusals(self):
        for body, code in (({}, 42205), ({"filter": {}}, 42205), ({"filter": []}, 42201), ({"filter": {"state": "NOPE"}}, 42205), ({"filter": {"taskId": 1}}, 42202),
                           ({"filter": {"user": "a"}, "limit": 0}, 42221), ({"filter": {"user": "a"}, "limit": 10001}, 42221),
                           ({"filter": {"user": 1}}, 42201), ({"filter": {"user": "a"}, "force": True}, 42202)):
            self.refused(post("/exec/task-ins/pause", body), code)
        self.refused(post("/exec/task-ins/queue", {"filter": {"user": "a"}, "priority": 1000}), 42221)
        self.assertEqual(self.refused(post("/exec/task-ins/run", {"filter": {"state": "NOPE"}}), 42205)["data"]["path"], "/filter/state")


class Flows(Control):
    """Pause and resume of a flow instance."""

    def begin(self, *nodes):
        self.fi = self.start(self.flow(*nodes)["flowId"])
        return self.fi

    def hold(self, wish, body=None):
        return post(f"/exec/flow-ins/{self.fi}/{wish}", body)

    def tasks(self):
        return [t for n in self.ok(get(f"/monitor/flow/{self.fi}"))["nodes"] for t in self.ok(get(f"/monitor/node/{n['niId']}"))]

    def test_soft(self):
        retry = inline("EXCEPTION", None, nodeKey="a", attempts=2, backoff={"base": "1h", "jitter": "none"})
        self.begin(retry, inline("WAIT", "1h", nodeKey="b", prevNodes=[]))
        while sorted(t["state"] for t in self.tasks()) != ["RETRY_WAIT", "RUNNING"]:
            pass
        paused = self.ok(self.hold("pause"))
        self.assertEqual((paused["state"], paused["status"], paused["changed"]), ("PAUSED", "RUNNING", True))
        self.assertEqual([(t["state"], t.get("why")) for t in self.tasks()], [("BLOCKED", "FLOW_PAUSED"), ("RUNNING", None)])
        self.assertIs(self.ok(self.hold("pause", {"mode": "soft"}))["changed"], False)
        self.assertEqual([r["fiId"] for r in self.ok(get(f"/monitor/flow?status=PAUSED&fiId={self.fi}"))], [self.fi])
        resumed = self.ok(self.hold("resume"))
        self.assertEqual((resumed["state"], resumed["changed"]), ("RUNNING", True))
        self.assertEqual([t["state"] for t in self.tasks()], ["RETRY_WAIT", "RUNNING"])
        self.assertIs(self.ok(self.hold("resume"))["changed"], False)
        self.ok(self.hold("cancel"))
        self.finished(self.fi)

    def test_nothing_new_starts(self):
        gate = os.path.join(self.dir, "gate")
        self.begin({"tasks": [{"taskType": "SHELL", "taskContent": f"while [ ! -e {gate} ] && [ -d {self.dir} ]; do sleep 0.01; done"}]}, inline())
        self.ok(self.hold("pause"))
        self.open(gate)
        first = self.task_in(self.tasks()[0]["tiId"], "SUCCESS")
        row = self.ok(get(f"/monitor/flow/{self.fi}"))
        self.assertEqual((row["state"], first["state"], [n["state"] for n in row["nodes"]]), ("PAUSED", "SUCCESS", ["SUCCESS", "WAITING"]))
        self.ok(self.hold("resume"))
        self.assertEqual(self.finished(self.fi)["state"], "SUCCESS")

    def test_checkpoint(self):
        self.begin(inline("WAIT", "1h"))
        self.ok(self.hold("pause"))
        self.assertIs(self.ok(self.hold("pause", {"mode": "checkpoint"}))["changed"], True)
        row = self.task_in(self.tasks()[0]["tiId"], "PAUSED")
        self.assertEqual((row["why"], row["failures"]), ("FLOW_PAUSED", 0))
        self.ok(self.hold("resume"))
        self.assertEqual(self.task_in(row["tiId"], "RUNNING")["attempt"], 2)
        self.ok(self.hold("cancel"))
        self.finished(self.fi)

    def test_refusals(self):
        self.begin(inline("WAIT", "1h"))
        self.refused(self.hold("pause", {"mode": "hard"}), 42221)
        self.refused(self.hold("pause", {"mode": 1}), 42201)
        self.refused(self.hold("resume", {"mode": "soft"}), 42202)
        self.ok(self.hold("pause"))
        self.assertIs(self.ok(self.hold("cancel"))["changed"], True)
        self.finished(self.fi)
        for wish in ("pause", "resume"):
            self.assertEqual(self.refused(self.hold(wish), 40913)["data"]["state"], "CANCELED")
            self.refused(post(f"/exec/flow-ins/999999999/{wish}"), 40402)


class S0(Control):
    """S0's routes, word for word."""

    def words(self, answer, kind="text/plain"):
        self.assertEqual(answer.status, 200, answer)
        self.assertTrue(answer.headers["Content-Type"].startswith(kind), answer.headers["Content-Type"])
        return answer.body.decode()

    def test_the_way_of_a_task(self):
        accept = {"accept": "application/json"}
        task = self.words(post("/redis/task/start?alivetime=600", headers=accept))
        self.assertRegex(task, r"^task-[1-9][0-9]*$")
        ti = int(task[5:])
        self.made.append((ti, None, None))
        self.task_in(ti, "RUNNING")
        self.assertIn(task, self.listed())
        fetched = post(f"/redis/task/fetch?taskId={task}", headers=accept)
        host = self.ok(get(f"/monitor/task/{ti}"))["host"]
        self.assertEqual(fetched.json, {"taskId": task, "taskType": "WAIT", "taskStatus": "RUNNING", "taskResult": "", "taskError": "", "host": host})
        self.assertEqual(self.words(post(f"/redis/task/cancel?taskId={task}")), "Success")
        self.task_in(ti, "CANCELED")
        self.assertEqual(post(f"/redis/task/fetch?taskId={ti}").json["taskStatus"], "STOPPED")
        self.assertNotIn(task, self.listed())
        self.assertEqual(self.words(post(f"/redis/task/cancel?taskId={ti}")), "Success")

    def listed(self):
        answer = post("/redis/task/list")
        self.words(answer, "application/json")
        return answer.json

    def test_words_of_states(self):
        for state, word in (("CREATED", "INIT"), ("BLOCKED", "INIT"), ("RETRY_WAIT", "INIT"), ("PAUSED", "INIT"), ("RUNNING", "RUNNING"),
                            ("PAUSING", "RUNNING"), ("CANCELING", "STOPPING"), ("DELETING", "STOPPING"), ("CANCELED", "STOPPED"),
                            ("SUCCESS", "SUCCESS"), ("FAILED", "FAIL"), ("TIMEOUT", "FAIL"), ("DELETE_FAILED", "FAIL")):
            with self.subTest(state):
                ti, gate = self.task_of(state)
                answer = post(f"/redis/task/fetch?taskId=task-{ti}").json
                self.assertEqual(answer["taskStatus"], word)
                self.assertTrue(all(isinstance(v, str) for v in answer.values()), answer)
                self.assertEqual(f"task-{ti}" in self.listed(), state in ("RUNNING", "PAUSING", "CANCELING"))
                self.open(gate)

    def test_a_zero_time_and_a_result(self):
        ti = int(self.words(post("/redis/task/start?alivetime=0"))[5:])
        self.task_finished(ti)
        self.assertEqual(post(f"/redis/task/fetch?taskId={ti}").json["taskStatus"], "SUCCESS")
        self.refused(post(f"/redis/task/cancel?taskId={ti}"), 40913)
        echo = self.submit({"taskType": "ECHO", "taskContent": "hi"})
        self.task_finished(echo)
        self.assertEqual(post(f"/redis/task/fetch?taskId={echo}").json["taskResult"], "hi")
        binary = self.submit({"taskType": "SHELL", "taskContent": "printf 'a\\303\\251\\377\\303' >$WEIR_OUTPUT"})
        self.task_finished(binary)
        fetched = post(f"/redis/task/fetch?taskId={binary}").json
        self.assertEqual((fetched["taskResult"], len(fetched)), ("a\u00e9\ufffd\ufffd", 6))  # texts, and these six alone

    def test_refusals(self):
        for query in ("", "?alivetime=", "?alivetime=-1", "?alivetime=1.5", "?alivetime=604801", "?alivetime=x"):
            self.refused(post("/redis/task/start" + query), 40013)
        form = "as start answers it: task-NUMBER, or the number alone."
        said = {"?taskId=task-999999999": "Task instance 999999999 does not exist.", "?taskId=999999999": "Task instance 999999999 does not exist.",
                "": f"taskId is required, {form}"}
        for text in ("task-", "abc", "task-0", "task-5f0c6d1e-93d4-4bd6-9b3a-0c5f6a1d2b3c", "99999999999999999999"):
            said[f"?taskId={text}"] = f'There is no task "{text}"; taskId must be {form}'
        for query, why in said.items():
            for word in ("fetch", "cancel"):
                self.assertEqual(self.refused(post(f"/redis/task/{word}{query}"), 40402)["message"], why)

    def test_the_task_of_a_node(self):
        """S0 speaks of stand-alone tasks: what fetch does not know is not cancelled either."""
        fi = self.start(self.flow(inline("WAIT", "1h"))["flowId"])
        ti = self.ok(get(f"/monitor/node/{self.ok(get(f'/monitor/flow/{fi}'))['nodes'][0]['niId']}"))[0]["tiId"]
        self.task_in(ti, "RUNNING")
        for word in ("fetch", "cancel"):
            self.assertEqual(self.refused(post(f"/redis/task/{word}?taskId=task-{ti}"), 40402)["message"],
                             f"Task instance {ti} is not a stand-alone task.")
        self.task_in(ti, "RUNNING")
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))


if __name__ == "__main__":
    unittest.main()
