"""What a node does with attempts: starts that it cannot make, ends after its own TERM, logs as the API shows them."""
# lane: nobody -- whose processes no other file has at the same time (tests/tally.py)
import contextlib
import os
import pathlib
import signal
import subprocess
import unittest
import urllib.request

from live import Server, alive, children, directory, family, shell, until, weir


def by_name(pid, name):
    """The child of a process that has that name; the spawner is below its guard."""
    for child in children(pid):
        with open(f"/proc/{child}/comm") as f:
            if f.read().strip() == name:
                return child
    return None


def spawner_of(server):
    return until("the spawner is there", lambda: by_name(by_name(server.pid, "weir-guard"), "weir-spawner"))


@contextlib.contextmanager
def limited(pid, what, soft, user=None):
    """A soft limit of another process (`nofile`, `nproc`), while the block lasts; set as that user, for not every root may."""
    def put(value):
        subprocess.run(["prlimit", "--pid", str(pid), f"--{what}={value}:"], check=True, user=user, group=user)

    shown = subprocess.run(["prlimit", "--pid", str(pid), f"--{what}", "--noheadings", "--raw", "--output", "SOFT"], check=True,
                           capture_output=True, text=True, user=user, group=user)
    put(soft)
    try:
        yield
    finally:
        put(shown.stdout.strip())


class Base(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        self.servers = []
        self.addCleanup(lambda: [s.kill() for s in self.servers])

    def server(self, *args, name="data", **more):
        server = Server(self.tmp / name, *args, **more)
        self.servers.append(server)
        return server

    def task_ids(self, server, n, script="exit 0", **config):
        task_id = server.post("/task", {"taskName": "t", "taskType": "SHELL", "taskContent": script, "taskConfig": config})["taskId"]
        return [server.post(f"/exec/task/{task_id}")["tiId"] for _ in range(n)]

    def task_ended(self, server, ti):
        return until(f"task {ti} ends", lambda: (lambda row: row if row["execStatus"] != "RUNNING" else None)(server.get(f"/monitor/task/{ti}")))

    def log(self, server, ti, query=""):
        with urllib.request.urlopen(f"{server.url}/monitor/task/{ti}/log{query}", timeout=60) as answer:
            return answer.read().decode()


def parts(server):
    try:
        return server.get("/readyz")["parts"]
    except Exception as refused:  # 503: the same data beside the error
        return refused.answer["data"]["parts"]


class CannotStart(Base):
    """What never began is no loss: its node takes nothing for a while, says so, and the work goes elsewhere or waits."""

    def one_node(self, server, what, soft, user=None):
        spawner = spawner_of(server)
        with limited(spawner, what, soft, user):
            tasks = self.task_ids(server, 10)
            until("the node says so", lambda: not parts(server)["processes"]["ok"])
            why = parts(server)["processes"]["why"]
            self.assertRegex(why, r".+\.")
            until("it has tried again, and paused for longer", lambda: any(len(server.get(f"/monitor/task/{ti}")["history"]) > 1 for ti in tasks))
            row = server.get(f"/monitor/task/{tasks[0]}")
            self.assertEqual((row["losses"], row["failures"]), (0, 0))
        for ti in tasks:
            row = self.task_ended(server, ti)
            self.assertEqual((row["state"], row["losses"], row["failures"]), ("SUCCESS", 0, 0), row)
            self.assertEqual({h["end"] for h in row["history"]} - {"HANDBACK"}, set())
        until("the node is well again", lambda: parts(server)["processes"]["ok"] or self.task_ids(server, 1) and False)
        said = [line for line in server.lines if "event=worker.trouble" in line]
        self.assertIn("event=worker.trouble ", said[0])
        self.assertEqual(server.stop(), 0)

    def test_no_descriptor(self):
        self.one_node(self.server(), "nofile", 8)

    def test_no_process(self):
        """As an ordinary user, whose limit of processes is used up for some seconds."""
        user = 65534 if os.geteuid() == 0 else None
        if user:
            os.chmod(self.tmp, 0o777)
        self.one_node(self.server(user=user), "nproc", 1, user)

    @unittest.skipUnless(os.environ.get("WEIR_TEST_MYSQL") and os.environ.get("WEIR_TEST_REDIS"), "no MariaDB and Redis")
    def test_one_of_two(self):
        urls = ["--store", os.environ["WEIR_TEST_MYSQL"], "--queue", os.environ["WEIR_TEST_REDIS"], "--prefix", "e2e-starts", "--slots", 4]
        well, ill = self.server(*urls, name="well"), self.server(*urls, name="ill")
        with limited(spawner_of(ill), "nofile", 8):
            tasks = self.task_ids(ill, 200)
            for ti in tasks:
                row = self.task_ended(well, ti)
                self.assertEqual((row["state"], row["losses"], row["failures"]), ("SUCCESS", 0, 0), row)
        self.assertEqual((well.stop(), ill.stop()), (0, 0))


class Killed(Base):
    """What stands around a node ends with it, whoever was stopped; a node without ends itself."""

    def standing(self, server):
        by = {pathlib.Path(f"/proc/{p}/comm").read_text().strip(): p for p in family(server.pid)}
        return [by[f"weir-{name}"] for name in ("guard", "spawner", "spare")]

    def busy(self, server):
        """A task with a daemon of its own runs; all processes below the server."""
        up = self.tmp / "up"
        self.task_ids(server, 1, f"setsid sleep 1000 & echo > {up}; wait")
        until("it is up", up.exists)
        return family(server.pid)

    def test_node_whose_spawner_is_stopped(self):
        for i in range(2):  # the next start finds nothing in its way
            server = self.server()
            below = self.busy(server)
            for pid in self.standing(server):
                os.kill(pid, signal.SIGSTOP)
            server.kill()
            until("nothing is left", lambda: not any(alive(pid) for pid in below))
            (self.tmp / "up").unlink()
        self.assertEqual(self.server().stop(), 0)

    @unittest.skipUnless(os.geteuid() == 0, "not root")
    def test_node_that_may_not_continue_them(self):
        """Root's processes, stopped by root, of a node that is root no more: the next start sees to them."""
        self.tmp.chmod(0o711)
        mine = dict(dev=False)
        server = self.server("--run-as", "daemon", "--user", "nobody", **mine)
        below = self.standing(server)
        for pid in below:
            os.kill(pid, signal.SIGSTOP)
        server.kill()
        self.assertTrue(alive(below[0]) and alive(below[1]))
        again = self.server("--run-as", "daemon", "--user", "nobody", **mine)
        self.assertFalse(any(alive(pid) for pid in below))
        self.assertEqual(again.stop(), 0)

    def test_next_start_names_them(self):
        """They do not end: whoever stops them does so again."""
        server = self.server()
        guard, spawner, spare = self.standing(server)
        self.busy(server)
        group = pathlib.Path("/sys/fs/cgroup/freezer/weir-e2e-killed")
        try:
            group.mkdir(exist_ok=True)
            (group / "cgroup.procs").write_text(str(guard))
            (group / "freezer.state").write_text("FROZEN")
        except OSError:
            self.skipTest("no freezer")
        try:
            server.kill()
            said = weir("server", "--dev", "--data", self.tmp / "data", "--listen", "127.0.0.1:0")
            self.assertEqual(said.returncode, 4, said.stderr)
            self.assertIn(f"A server that was killed (pid {server.pid})", said.stderr)
            self.assertIn(f"weir-guard ({guard})", said.stderr)
        finally:
            (group / "freezer.state").write_text("THAWED")
        until("they end", lambda: not any(alive(pid) for pid in (guard, spawner, spare)))
        until("the group is empty", lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()
        self.assertEqual(self.server().stop(), 0)

    def test_spawner_dies(self):
        """The node is not ready from its spawner's death until the next one is, however soon that is."""
        server = self.server()
        _, spawner, _ = self.standing(server)
        os.kill(spawner, signal.SIGKILL)
        until("it says so", lambda: any("event=worker.trouble " in line and "has died" in line for line in server.lines))
        until("it is over", lambda: any("event=worker.trouble_over" in line for line in server.lines) and parts(server)["processes"]["ok"])
        self.assertEqual(server.stop(), 0)

    def test_nobody_is_left_to_wake(self):
        """Spawner and spare die at once: the node says so, ends with 1, and leaves nothing; a supervisor starts another."""
        server = self.server()
        below = self.busy(server)
        guard, spawner, spare = self.standing(server)
        os.kill(guard, signal.SIGSTOP)  # or the spare is woken before it is killed
        os.kill(spawner, signal.SIGKILL)
        os.kill(spare, signal.SIGKILL)
        os.kill(guard, signal.SIGCONT)
        self.assertEqual(server.wait(), 1)
        self.assertTrue(any("event=worker.no_spawner" in line for line in server.lines))
        self.assertIn("weir server:", server.lines[-1])
        self.assertFalse(any(alive(pid) for pid in below))
        self.assertEqual(self.server().stop(), 0)


class Stopped(Base):
    """Exit 0 after our own TERM is no success."""

    tidy = "trap 'echo half > $WEIR_OUTPUT; exit 0' TERM; echo up; while :; do sleep 0.05; done"

    def test_timeout(self):
        server = self.server()
        ti, = self.task_ids(server, 1, self.tidy, timeout="300ms", attempts=2, backoff={"base": 1, "jitter": "full"})
        row = self.task_ended(server, ti)
        self.assertEqual((row["state"], row["failures"], row["errorMsg"]), ("TIMEOUT", 2, "Timed out."))
        self.assertNotIn("result", row)
        self.assertEqual(row["history"][0]["end"], "TIMEOUT")
        self.assertEqual(server.stop(), 0)

    def test_cancel(self):
        server = self.server()
        fi = server.flow(shell("a", self.tidy))
        node = until("it runs", lambda: server.get(f"/monitor/flow/{fi}")["nodes"])[0]
        ti = until("it has a task", lambda: server.get(f"/monitor/node/{node['niId']}"))[0]["tiId"]
        until("it is up", lambda: "up" in self.log(server, ti))
        server.post(f"/exec/flow-ins/{fi}/cancel")
        flow = server.ended(fi)
        self.assertEqual((flow["state"], flow["nodes"][0]["state"]), ("CANCELED", "CANCELED"))
        row = server.get(f"/monitor/task/{ti}")
        self.assertEqual(row["state"], "CANCELED")
        self.assertNotIn("result", row)
        self.assertEqual(server.stop(), 0)


class Logs(Base):
    def test_streams(self):
        server = self.server()
        with_it, = self.task_ids(server, 1, "echo 1; echo 2 >&2; echo 3")
        apart, = self.task_ids(server, 1, "echo 1; echo 2 >&2; echo 3", stderr="apart")
        self.task_ended(server, with_it)
        self.task_ended(server, apart)
        self.assertEqual(self.log(server, with_it), "1\n2\n3\n")
        self.assertEqual(self.log(server, with_it, "?stream=stdout"), "1\n2\n3\n")
        self.assertEqual(self.log(server, with_it, "?stream=stderr"), "")
        self.assertEqual(self.log(server, apart, "?stream=stdout"), "1\n3\n")
        self.assertEqual(self.log(server, apart, "?stream=stdout&offset=2"), "3\n")
        self.assertEqual(self.log(server, apart, "?stream=stderr&offset=0&limit=1"), "2")
        with self.assertRaisesRegex(Exception, "422"):
            self.log(server, apart, "?stream=both")
        self.assertEqual(server.stop(), 0)

    def test_bytes_of_one_that_runs(self):
        server = self.server()
        go = self.tmp / "go"
        ti, = self.task_ids(server, 1, f"printf 12345; until [ -e {go} ]; do sleep 0.02; done; printf 678; exit 0")
        until("logBytes has grown", lambda: server.get(f"/monitor/task/{ti}")["logBytes"] == 5)
        go.touch()
        self.assertEqual(self.task_ended(server, ti)["logBytes"], 8)
        self.assertEqual(server.stop(), 0)

    def test_lost(self):
        server = self.server()
        ti, = self.task_ids(server, 1, "printf secret", log=0)
        row = self.task_ended(server, ti)
        self.assertEqual(row["logLost"], {"bytes": 6, "reason": "LIMIT"})
        self.assertEqual(self.log(server, ti), "\n[weir: 6 bytes left out here: LIMIT]\n")
        whole, = self.task_ids(server, 1, "printf x")
        self.assertNotIn("logLost", self.task_ended(server, whole))
        self.assertEqual(server.stop(), 0)


class Numbers(Base):
    def test_as_the_api_shows_them(self):
        server = self.server()
        flow = server.post("/flow", {"flowName": "n", "flowNodes": [shell("a", 'printf "%s %s %s" "$W_price" "$W_rate" "$W_tiny" > "$WEIR_OUTPUT"')]})
        fi = server.post(f"/exec/flow/{flow['flowId']}", {"params": {"price": 19.99, "rate": 0.1, "tiny": 2e-05}})["fiId"]
        node = server.ended(fi)["nodes"][0]
        self.assertEqual(server.get(f"/monitor/node/{node['niId']}")[0]["result"], "19.99 0.1 2e-5")
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
