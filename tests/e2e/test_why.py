"""Why a task does not go on: `why` and `whyText` are there, are true, and are the same on whichever node is asked. The freezer
(cgroup v1, root) stands for a file system that hangs; a soft limit of the spawner for a node that can start nothing."""
import contextlib
import os
import pathlib
import unittest

from live import Server, directory, shell, task, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis
from test_worker import limited, spawner_of

FREEZER = pathlib.Path("/sys/fs/cgroup/freezer")
CAN_FREEZE = os.geteuid() == 0 and (FREEZER / "cgroup.procs").exists()


@contextlib.contextmanager
def frozen(pid):
    """SIGKILL does not end it while the block lasts."""
    group = FREEZER / f"weir-why-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(f"{pid}\n")
        (group / "freezer.state").write_text("FROZEN")
        yield
    finally:
        (group / "freezer.state").write_text("THAWED")
        until("the group is empty", lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()


class Base(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        self.urls = []

    def two_services(self):
        self.db, redis = MariaDb(self.tmp), Redis(self.tmp)
        self.addCleanup(self.db.stop)
        self.addCleanup(redis.stop)
        self.urls = ["--store", self.db.url, "--queue", redis.url]

    def server(self, *args, name="data"):
        server = Server(self.tmp / name, *self.urls, *args)
        self.addCleanup(server.kill)
        return server

    def task(self, server, script, **config):
        task_id = server.post("/task", {"taskName": "t", "taskType": "SHELL", "taskContent": script, "taskConfig": config})["taskId"]
        return server.post(f"/exec/task/{task_id}")["tiId"]

    def flow_task(self, server, node):
        """A flow of one node: (fi, ni, ti) of its task."""
        fi = server.flow(node)
        ni = until("its node is there", lambda: server.get(f"/monitor/flow/{fi}")["nodes"])[0]["niId"]
        return fi, ni, until("its task is there", lambda: server.get(f"/monitor/node/{ni}"))[0]["tiId"]

    def says(self, server, ti, code, path=None):
        """The row once it says that."""
        def ask():
            row = server.get(path or f"/monitor/task/{ti}")
            row = row[0] if path else row
            self.last = (row["state"], row.get("why"), row.get("whyText"))
            return row if row.get("why") == code else None
        try:
            row = until(f"task {ti} says {code}", ask)
        except AssertionError as late:
            raise AssertionError(f"{late}; it says {self.last}") from None
        self.assertRegex(row["whyText"], r"^[A-Z].*\.$")
        return row

    def ended(self, server, ti, state):
        row = until(f"task {ti} ends", lambda: (lambda r: r if r["execStatus"] != "RUNNING" else None)(server.get(f"/monitor/task/{ti}")))
        self.assertEqual((row["state"], row.get("why")), (state, None))
        return row


class OneNode(Base):
    def pid_of(self, server, script="exec sleep 1000", **config):
        """(ti, pid) of a task that runs."""
        said = self.tmp / "pid"
        ti = self.task(server, f"echo $$ > {said}.new; mv {said}.new {said}; {script}", **config)
        until("it runs", said.exists)
        pid, program = int(said.read_text()), script.split()[1]
        if script.startswith("exec "):
            until(f"it is {program}", lambda: pathlib.Path(f"/proc/{pid}/comm").read_text() == f"{program}\n")
        return ti, pid

    @unittest.skipUnless(CAN_FREEZE, "no freezer")
    def test_unkillable(self):
        """It costs its own slot; it says so; and no more when it has ended."""
        server = self.server("--slots", 2)
        ti, pid = self.pid_of(server, grace=0)
        with frozen(pid):
            server.post(f"/exec/task-ins/{ti}/cancel")
            row = self.says(server, ti, "UNKILLABLE")
            self.assertEqual(row["state"], "CANCELING")
            self.assertIn(f"pid {pid}, \"sleep\"", row["whyText"])
            self.assertIn(os.uname().nodename, row["whyText"])
            other = self.task(server, "exit 0")
            self.ended(server, other, "SUCCESS")
        self.ended(server, ti, "CANCELED")
        self.assertEqual(server.stop(), 0)

    def test_starts_paused(self):
        server = self.server()
        with limited(spawner_of(server), "nofile", 4):
            fi, ni, ti = self.flow_task(server, shell("s", "exit 0"))
            row = self.says(server, ti, "STARTS_PAUSED")
            self.assertEqual(row["state"], "QUEUED")
            self.assertRegex(row["whyText"], r"tries again at 20\d\d-.*Cannot prepare a process.*\.")
            self.says(server, ti, "STARTS_PAUSED", f"/monitor/node/{ni}")
        self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        self.assertNotIn("why", server.get(f"/monitor/task/{ti}"))
        echo = server.post("/task", {"taskName": "e", "taskType": "ECHO", "taskContent": "x"})["taskId"]
        self.assertNotIn("why", server.post(f"/exec/task/{echo}"))
        self.assertEqual(server.stop(), 0)

    def test_the_common_reasons(self):
        server = self.server("--slots", 1)
        late = self.task(server, "exit 1", attempts=2, backoff={"base": "60s", "jitter": "none"})
        row = self.says(server, late, "RETRY_WAIT")
        self.assertEqual(row["state"], "RETRY_WAIT")
        self.assertIn(row["retryAt"][:19], row["whyText"])
        ti, _ = self.pid_of(server, "trap '' TERM; while :; do sleep 0.1; done", grace="30s")
        self.assertNotIn("why", server.get(f"/monitor/task/{ti}"))
        waits = self.task(server, "exit 0")
        self.assertEqual(self.says(server, waits, "NO_SLOT")["state"], "QUEUED")
        server.post(f"/exec/task-ins/{ti}/cancel")
        self.assertEqual(self.says(server, ti, "STOPPING")["state"], "CANCELING")


    def test_queues(self):
        """What is set of its queue, one after the other; and what the node is given at its start."""
        server = self.server("--slots", 1, "--cpu-budget", 150)
        ti, _ = self.pid_of(server)
        where = {"user": "u", "group": "g"}
        waits = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "exit 0", **where})["tiId"]
        self.says(server, waits, "NO_SLOT")
        for queue, whose in ((where, '(user "u", group "g")'), ({"user": "u"}, '(all of user "u")'), ({"group": "g"}, '(group "g" of all users)'), ({}, "(all tasks)")):
            server.post("/queue", {**queue, "paused": True})
            self.assertIn(whose, self.says(server, waits, "QUEUE_PAUSED")["whyText"])
            server.post("/queue", {**queue, "paused": None, "maxRunning": 0})
            self.assertIn(whose, self.says(server, waits, "QUEUE_LIMIT")["whyText"])
            server.post("/queue", {**queue, "maxRunning": None})
            self.says(server, waits, "NO_SLOT")
        node = shell("q", "exit 0")
        node["tasks"][0]["taskConfig"] = {**node["tasks"][0].get("taskConfig", {}), "queue": where}
        fi, ni, of_node = self.flow_task(server, node)
        server.post("/queue", {**where, "paused": True})
        self.says(server, of_node, "QUEUE_PAUSED")
        self.says(server, of_node, "QUEUE_PAUSED", f"/monitor/node/{ni}")
        server.post("/queue", {**where, "paused": False})
        self.says(server, of_node, "NO_SLOT")
        costly = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "exit 0", "cpuOverhead": 151})["tiId"]
        row = self.says(server, costly, "TOO_COSTLY")
        self.assertIn("cpuOverhead is 151", row["whyText"])
        self.assertIn("(1) is 150", row["whyText"])
        server.post("/queue", {"paused": True})
        self.says(server, costly, "QUEUE_PAUSED")  # the first that applies
        server.post("/queue", {"paused": False})
        listed = {row["tiId"]: row.get("why") for row in server.get("/monitor/task?status=RUNNING")}
        self.assertEqual((listed[waits], listed[costly]), ("NO_SLOT", "TOO_COSTLY"))
        server.post(f"/exec/task-ins/{costly}/cancel")
        server.post(f"/exec/task-ins/{ti}/cancel")
        self.ended(server, waits, "SUCCESS")

    def submit(self, server, **fields):
        return server.post("/exec/task", {"taskType": "SHELL", "taskContent": "exec sleep 1000", **fields})["tiId"]

    def the_budget_comes_before_the_slots(self, server, asked):
        """server has 2 slots and a budget of 200. Both are lacking, and the budget is the first that applies."""
        full = [self.submit(server, cpuOverhead=95) for _ in range(2)]
        for ti in full:
            until("it runs", lambda: asked.get(f"/monitor/task/{ti}")["state"] == "RUNNING")
        costly, cheap = self.submit(server, cpuOverhead=11), self.submit(server, cpuOverhead=10)
        self.assertIn("has 190 of the --cpu-budget of 200", self.says(asked, costly, "CPU_BUDGET")["whyText"])
        self.says(asked, cheap, "NO_SLOT")
        server.post(f"/exec/task-ins/{full[0]}/cancel")
        def why():
            return [asked.get(f"/monitor/task/{ti}").get("why") for ti in (costly, cheap)]
        # there is room for both now; the second one may have been claimed ahead, and comes back
        until("one of them runs, and the other one lacks a slot", lambda: sorted(why(), key=str) == ["NO_SLOT", None])

    def test_budget_and_slots(self):
        server = self.server("--slots", 2, "--cpu-budget", 200, name="budget")
        self.the_budget_comes_before_the_slots(server, server)

    def test_limit_by_the_task_of_a_node(self):
        """Tasks of nodes and stand-alone ones are under one limit, and are counted together."""
        server = self.server("--slots", 1, name="limit")
        fi, _, ti = self.flow_task(server, shell("s", "exec sleep 1000", taskConfig={"queue": {"user": "both", "group": "g"}}))
        until("it runs", lambda: server.get(f"/monitor/task/{ti}")["state"] == "RUNNING")
        waits = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "exit 0", "user": "both"})["tiId"]
        self.says(server, waits, "NO_SLOT")
        server.post("/queue", {"user": "both", "maxRunning": 1})
        self.assertIn('(all of user "both"): 1, and maxRunning there is 1.', self.says(server, waits, "QUEUE_LIMIT")["whyText"])
        server.post("/queue", {"user": "both", "maxRunning": 2})
        self.says(server, waits, "NO_SLOT")
        server.post(f"/exec/flow-ins/{fi}/cancel")
        self.ended(server, waits, "SUCCESS")

    def test_what_the_node_takes_on(self):
        server = self.server("--slots", 1, "--queues", "u/g,%C3%A9%2F/", "--min-free-memory", "1048576GiB", name="busy")
        first = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "exec sleep 1000", "user": "u", "group": "g"})["tiId"]
        self.says(server, first, "LOAD")  # though nothing runs there
        served = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "exit 0", "user": "é/", "group": "x"})["tiId"]
        row = self.says(server, served, "LOAD")
        self.assertRegex(row["whyText"], r"\d+ MiB of memory are free, less than --min-free-memory 1073741824 MiB\.")
        other = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "exit 0", "user": "u"})["tiId"]
        self.assertIn("--queues", self.says(server, other, "NO_EXECUTOR")["whyText"])


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS, "no MariaDB or Redis")
class TwoNodes(OneNode):
    """The one that is asked has no trouble of its own."""

    test_starts_paused = test_the_common_reasons = test_queues = test_what_the_node_takes_on = \
        test_limit_by_the_task_of_a_node = None

    def setUp(self):
        super().setUp()
        self.two_services()
        self.ill, self.asked = self.server(name="ill"), self.server("--shell", "off", name="asked")

    @unittest.skipUnless(CAN_FREEZE, "no freezer")
    def test_unkillable(self):
        """While nothing can be written its own node says so; the other when it has been told."""
        ti, pid = self.pid_of(self.ill, grace=0)
        with frozen(pid):
            self.ill.post(f"/exec/task-ins/{ti}/cancel")
            with self.db.session("FLUSH TABLES WITH READ LOCK"):
                self.says(self.ill, ti, "UNKILLABLE")
                self.assertEqual(self.asked.get(f"/monitor/task/{ti}")["why"], "STOPPING")
            row = self.says(self.asked, ti, "UNKILLABLE")
            self.assertIn(f"pid {pid}, \"sleep\"", row["whyText"])
        self.ended(self.asked, ti, "CANCELED")

    def test_budget_and_slots(self):
        self.assertEqual(self.ill.stop(), 0)
        self.the_budget_comes_before_the_slots(self.server("--slots", 2, "--cpu-budget", 200, name="budget"), self.asked)

    def test_starts_paused_on_the_other(self):
        """Not while a node that could run it starts processes."""
        with limited(spawner_of(self.ill), "nofile", 4):
            _, ni, ti = self.flow_task(self.ill, shell("s", "exit 0"))
            row = self.says(self.asked, ti, "STARTS_PAUSED")
            self.assertRegex(row["whyText"], r"tries again at 20\d\d-.*Cannot prepare a process.*\.")
            self.says(self.asked, ti, "STARTS_PAUSED", f"/monitor/node/{ni}")
            self.server(name="well")
            self.ended(self.asked, ti, "SUCCESS")

    def test_quarantined(self):
        """The database refuses what the one writes of a run; the other shows it, and no more when it is over."""
        go = self.tmp / "go"
        fi, ni, ti = self.flow_task(self.ill, shell("s", f"until [ -e {go} ]; do sleep 0.05; done"))
        self.db.sql(f"ALTER TABLE task_node_ins ADD CONSTRAINT odd CHECK (ni_id<>{ni} OR t_ok=0)")
        go.touch()
        for server in (self.ill, self.asked):
            flow = until("it is set aside", lambda: (lambda f: f if f.get("why") else None)(server.get(f"/monitor/flow/{fi}?nodes=false")))
            self.assertEqual(flow["why"], "QUARANTINED")
            self.assertIn("event=runner.quarantined", flow["whyText"])
            self.says(server, ti, "QUARANTINED")
        self.db.sql("ALTER TABLE task_node_ins DROP CONSTRAINT odd")
        flow = self.asked.ended(fi)
        self.assertEqual((flow["state"], flow.get("why")), ("SUCCESS", None))


if __name__ == "__main__":
    unittest.main()
