"""Hints that are lost, a Redis that is away, nodes that cannot run everything, clocks that differ: work goes on, and idle
nodes stay idle. Each test has a Redis of its own on a socket in its directory; all have one MariaDB, which counts its questions.
Bounds are ten times what is usual, and well below what it took when hints were waited for."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from live import LIMIT_S, Server, directory, shell, task, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb

FAKETIME = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
TICKS = os.sysconf("SC_CLK_TCK")
TASKS = 50000


def cpu_s(pid):
    """CPU seconds of all its threads."""
    with open(f"/proc/{pid}/stat") as f:
        field = f.read().rsplit(")", 1)[1].split()
    return (int(field[11]) + int(field[12])) / TICKS


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS, "no MariaDB or Redis")
class Hints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        context = directory()
        cls.addClassCleanup(context.__exit__, None, None, None)
        cls.db = MariaDb(context.__enter__())
        cls.addClassCleanup(cls.db.stop)

    def setUp(self):
        context = directory()
        self.tmp = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.tmp.chmod(0o711)
        self.servers, self.redis = [], None
        self.addCleanup(self.end)
        self.db.sql("CREATE OR REPLACE DATABASE weir", database=None)  # rows that another test left must not run here
        self.start_redis()

    def end(self):
        for server in self.servers:
            server.kill()
        self.stop_redis()

    def start_redis(self):
        socket = self.tmp / "redis.sock"
        self.redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no",
                                       "--dir", str(self.tmp)], stdout=subprocess.DEVNULL)
        until("Redis listens", socket.exists)

    def stop_redis(self):
        if self.redis:
            self.redis.kill()
            self.redis.wait()
        self.redis = None

    def flush(self):
        subprocess.run(["redis-cli", "-s", str(self.tmp / "redis.sock"), "FLUSHALL"], check=True, stdout=subprocess.DEVNULL)

    def node(self, name, *args, **more):
        server = Server(self.tmp / name, "--store", self.db.url, "--queue", f"redis+unix://{self.tmp}/redis.sock",
                        "--prefix", self.id().rsplit(".", 1)[1], *args, **more)
        self.servers.append(server)
        return server

    def all_end(self, server, ids, within_s):
        start = time.monotonic()
        for fi in ids:
            self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        self.assertLess(time.monotonic() - start, within_s)

    def test_a_full_redis(self):
        """It gives hints and takes none, so tasks under a limit, whose hints come by it alone, are claimed from their rows."""
        a, b = self.node("a", "--slots", 2), self.node("b", "--slots", 2)
        a.post("/queue", {"user": "l", "maxRunning": 2})
        self.cli("CONFIG", "SET", "maxmemory", "1")
        until("Redis takes nothing", lambda: "OOM" in subprocess.run(["redis-cli", "-s", str(self.tmp / "redis.sock"), "LPUSH", "full", "x"], capture_output=True, text=True).stdout)
        ids = [n.post("/exec/task", {"taskType": "ECHO", "taskContent": "x", "user": "l"})["tiId"] for n in (a, b) * 10]
        until("all end", lambda: all(a.get(f"/monitor/task/{ti}")["state"] == "SUCCESS" for ti in ids))
        self.cli("CONFIG", "SET", "maxmemory", "0")
        after = b.post("/exec/task?wait=30", {"taskType": "ECHO", "taskContent": "x", "user": "l"})
        self.assertEqual(after["state"], "SUCCESS")

    def test_a_deleted_job_leaves_no_hint(self):
        """Nobody pops the list of its class, and one of its tasks was canceled before."""
        a = self.node("a")
        config = {"labels": ["nosuch"]}
        tasks = [{"taskType": "ECHO", "taskContent": "x", "taskConfig": config} for _ in range(3)]
        job = a.post("/job", {"jobKey": "j", "tasks": tasks})
        other = a.post("/exec/task", tasks[0])["tiId"]
        key = f"weir:{self.id().rsplit('.', 1)[1]}.async:q:ECHO;nosuch"
        hints = lambda: subprocess.run(["redis-cli", "-s", str(self.tmp / "redis.sock"), "LRANGE", key, "0", "-1"], capture_output=True, text=True).stdout.split()
        until("hints are there", lambda: len(hints()) == 4)
        a.post(f"/exec/task-ins/{other - 1}/cancel")
        gone = a.call("DELETE", f"/job/{job['jobId']}?force=true&wait=30")
        self.assertEqual((gone["state"], gone["left"]["hints"]), ("DELETED", 0))
        self.assertEqual(hints(), [f"{other}:0"])

    def test_flushall(self):
        """Four run, four wait, all hints are lost: the others begin as slots become free, not when their rows are old enough."""
        a = self.node("a", "--slots", 4)
        ids = [a.flow(shell("s", "sleep 2")) for _ in range(8)]
        self.flush()
        self.all_end(a, ids, 11)

    def key(self, slot="process"):
        return f"weir:{self.id().rsplit('.', 1)[1]}.{slot}:q:SHELL"

    def thief(self):
        """A node that was blocked at the list before all others, pops the next hint, and never does anything with it."""
        link = socket.socket(socket.AF_UNIX)
        self.addCleanup(link.close)
        link.connect(str(self.tmp / "redis.sock"))
        link.sendall(b"CLIENT ID\r\n")
        mine = link.recv(100).decode().strip(":\r\n")
        link.sendall(f"BRPOP {self.key()} 0\r\n".encode())
        listed = lambda: [dict(word.split("=", 1) for word in line.split()) for line in self.cli("CLIENT", "LIST").splitlines()]
        until("it waits", lambda: any(c["id"] == mine and "b" in c["flags"] for c in listed()))
        for client in listed():
            if client["id"] != mine and "b" in client["flags"]:
                self.cli("CLIENT", "KILL", "ID", client["id"])  # a client that connects again queues up behind it
        return link

    def cli(self, *words):
        return subprocess.run(["redis-cli", "-s", str(self.tmp / "redis.sock"), *words], check=True, capture_output=True, text=True).stdout

    def popped_by(self, thief):
        thief.settimeout(LIMIT_S)
        return thief.recv(1000)

    def test_hint_dies_with_a_node(self):
        """A hint was popped by a node that then froze: another one with a free slot finds its row, again and again."""
        self.node("b", "--slots", 4)
        a = self.node("a", "--roles", "api,runner")  # it takes nothing home
        self.assertEqual(a.ended(a.flow(shell("s", "true")))["status"], "SUCCESS")
        for _ in range(3):
            thief = self.thief()
            time.sleep(2)  # until all others are idle: the look that they make when they connect again does not count
            fi = a.flow(shell("s", "true"))
            self.assertIn(b":q:SHELL", self.popped_by(thief))
            self.all_end(a, [fi], 8)

    def test_frozen_node(self):
        """The node that may be the one to look for lost hints, and to reconcile, is frozen with hints in its hands."""
        a, _ = (self.node(name, "--slots", 2) for name in "ab")
        c = self.node("c", "--roles", "api,runner")
        self.assertEqual(c.ended(c.flow(shell("s", "true")))["status"], "SUCCESS")
        os.kill(a.pid, signal.SIGSTOP)
        try:
            ids = [c.flow(shell("s", "true")) for _ in range(6)]
            self.all_end(c, ids, 9)
        finally:
            os.kill(a.pid, signal.SIGCONT)

    def test_frozen_redis(self):
        """Redis is there and does not answer: idle nodes notice, and claim from the rows."""
        a = self.node("a", "--slots", 2)
        self.assertEqual(a.ended(a.flow(shell("s", "true")))["status"], "SUCCESS")
        time.sleep(2)  # the pollers wait at an empty list
        self.redis.send_signal(signal.SIGSTOP)
        try:
            start = time.monotonic()
            until("it is noticed", lambda: not a.get("/readyz")["parts"]["queue"]["ok"])
            self.assertLess(time.monotonic() - start, 10)
            ids = [a.flow(shell("s", "true")) for _ in range(6)]
            self.all_end(a, ids, 10)
        finally:
            self.redis.send_signal(signal.SIGCONT)
        until("it is back", lambda: a.get("/readyz")["parts"]["queue"]["ok"])

    def test_idle_is_cheap(self):
        """Nodes that wait at an empty list: one of them at a time asks the database, one small statement."""
        nodes = [self.node(name, "--slots", 2) for name in "abc"]
        self.assertEqual(nodes[0].ended(nodes[0].flow(shell("s", "true")))["status"], "SUCCESS")
        time.sleep(2)
        before, cpu = self.questions(), [cpu_s(n.pid) for n in nodes]
        time.sleep(10)
        self.assertLess(self.questions() - before, 220)  # some 2 a second for each class of slots, however many nodes; and renewals
        for node, was in zip(nodes, cpu):
            self.assertLess(cpu_s(node.pid) - was, 0.5)

    def questions(self):
        return int(self.db.sql("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])

    def test_without_redis(self):
        """The nodes claim from the rows as fast as their slots become free."""
        nodes = [self.node(name, "--slots", 2) for name in "ab"]
        self.stop_redis()
        ids = [nodes[i % 2].flow(shell("s", "sleep 0.1"), shell("t", "sleep 0.1", "s")) for i in range(24)]
        self.all_end(nodes[0], ids, 25)
        until("the queue is said to be away", lambda: not nodes[0].get("/readyz")["parts"]["queue"]["ok"])
        self.start_redis()
        until("and to be back", lambda: nodes[0].get("/readyz")["parts"]["queue"]["ok"])
        for node in nodes:
            self.assertEqual(node.stop(), 0)
        self.assertEqual(sum("event=queue.away" in line for line in nodes[0].lines), 3)  # one for each of its three classes

    def test_idle_cpu(self):
        """Nobody spins: slots full or free, Redis there or not."""
        a = self.node("a", "--slots", 2)
        for full in (False, True):
            if full:
                ids = [a.flow(shell("s", "sleep 600")) for _ in range(2)]
                for fi in ids:
                    until("it runs", lambda fi=fi: a.get(f"/monitor/node/{a.get(f'/monitor/flow/{fi}')['nodes'][0]['niId']}")[0]["state"] == "RUNNING")
            for there in (True, False):
                if not there:
                    self.stop_redis()
                    time.sleep(1)
                before = cpu_s(a.pid)
                time.sleep(3)
                self.assertLess(cpu_s(a.pid) - before, 0.5, f"full {full}, Redis {there}")
                if not there:
                    self.start_redis()

    def test_shell_off_elsewhere(self):
        """One node of two has SHELL off: it leaves all of it to the other."""
        a = self.node("a", "--slots", 4)
        self.node("b", "--slots", 4, "--shell", "off")
        self.all_end(a, [a.flow(shell("s", "sleep 0.05", taskConfig={"attempts": 1})) for _ in range(40)], 60)

    def test_no_executor(self):
        """The only node has SHELL off: the task waits and says why. It runs when a node comes that can run it."""
        a = self.node("a")
        flow = a.post("/flow", {"flowName": "w", "flowNodes": [task("e", "ECHO", "x"), shell("s", "true")]})["flowId"]
        self.assertEqual(a.stop(), 0)
        b = self.node("b", "--shell", "off")
        fi = b.post(f"/exec/flow/{flow}")["fiId"]
        until("ECHO runs", lambda: b.get(f"/monitor/flow/{fi}")["nodes"][0]["status"] == "SUCCESS")
        until("the next is there", lambda: len(b.get(f"/monitor/flow/{fi}")["nodes"]) == 2)
        rows = lambda: b.get(f"/monitor/node/{b.get(f'/monitor/flow/{fi}')['nodes'][1]['niId']}")
        row = until("it says why", lambda: next((r for r in rows() if r.get("why") == "NO_EXECUTOR"), None))
        self.assertEqual(row["state"], "QUEUED")
        self.assertIn("SHELL", row["whyText"])
        self.assertEqual(b.get(f"/monitor/task/{row['tiId']}")["why"], "NO_EXECUTOR")
        self.node("c")
        self.assertEqual(b.ended(fi)["status"], "SUCCESS")
        self.assertNotIn("why", rows()[0])

    # ---- lists by class, and their bound ----

    def watched(self):
        """What Redis is asked from now on; returns a function that ends it and gives all lines."""
        watch = subprocess.Popen(["redis-cli", "-s", str(self.tmp / "redis.sock"), "MONITOR"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (watch.kill(), watch.wait(), watch.stdout.close()))
        self.assertEqual(watch.stdout.readline(), "OK\n")
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(watch.stdout), daemon=True)
        reader.start()

        def end():
            self.cli("PING", "the end")
            until("all is read", lambda: any("the end" in line for line in lines[-50:]))
            return [re.findall(r'"((?:[^"\\]|\\.)*)"', line) for line in lines]
        return end

    def member(self, server, of):
        return next(m for m in server.get("/members") if m["pid"] == of.pid)

    def test_lists_by_class(self):
        """Members with other labels and other types: nobody pops what it cannot run, so every hint is pushed once."""
        m = self.node("m", "--roles", "api,runner")
        a = self.node("a", "--slots", 2, "--labels", "gpu,zone=a")
        b = self.node("b", "--slots", 2, "--labels", "zone=b", "--shell", "off")
        kinds = [("SHELL", None, a), ("SHELL", ["gpu"], a), ("SHELL", ["zone=a", "gpu"], a), ("ECHO", ["zone=b"], b), ("ECHO", None, None)]
        end = self.watched()
        ids = [(m.post("/exec/task", {"taskType": t, "taskContent": "true", **({"taskConfig": {"labels": labels}} if labels else {})})["tiId"], runs)
               for _ in range(20) for t, labels, runs in kinds]
        for ti, runs in ids:
            row = m.get(f"/monitor/task/{ti}?wait=30")
            self.assertEqual(row["state"], "SUCCESS")
            if runs:
                self.assertEqual(row["memberId"], self.member(m, runs)["memberId"])
        pushed = [word for words in end() if words and words[0] == "LPUSH" and ":q:" in words[1] for word in words[2:]]
        self.assertEqual(len(pushed), len(set(pushed)), "a hint was put back")
        self.assertEqual({int(hint.split(":")[0]) for hint in pushed}, {ti for ti, _ in ids})
        hints = {name: self.member(m, node)["hints"] for name, node in (("m", m), ("a", a), ("b", b))}
        self.assertEqual(hints["m"], {})
        self.assertLessEqual({"SHELL": 0, "SHELL;gpu": 0, "SHELL;gpu,zone=a": 0, "ECHO": 0, "*": 0}.items(), hints["a"].items())
        self.assertLessEqual({"ECHO;zone=b": 0, "ECHO": 0}.items(), hints["b"].items())
        self.assertFalse([name for name in hints["b"] if "gpu" in name or "SHELL" in name], hints["b"])
        self.assertNotIn("ECHO;zone=b", hints["a"])

    def test_a_class_that_nobody_runs_shuts_out_no_other(self):
        """Its hints fill Redis, and those of the others are pushed and popped as ever."""
        m = self.node("m", "--roles", "api,runner", "--max-queued", 100)
        a = self.node("a", "--slots", 2, "--max-queued", 100)
        lost = m.post("/exec/tasks", {"tasks": [{"taskType": "ECHO", "taskContent": "x", "taskConfig": {"labels": "gpu"}}] * 500})
        until("its list is full", lambda: self.lengths().get("ECHO;gpu", 0) >= 90)
        self.assertLessEqual(sum(self.lengths().values()), 100)
        for _ in range(20):
            self.assertEqual(m.post("/exec/task?wait=30", {"taskType": "ECHO", "taskContent": "x"})["state"], "SUCCESS")
        self.assertEqual(self.member(m, a)["hints"]["ECHO"], 0)
        self.node("b", "--slots", 2, "--labels", "gpu", "--max-queued", 100)
        for ti in lost:
            self.assertEqual(m.get(f"/monitor/task/{ti}?wait=30")["state"], "SUCCESS")

    def lengths(self):
        """Of all lists of hints in Redis, by class; in one step."""
        script = "local out = {} for _, k in ipairs(redis.call('KEYS', 'weir:*:q:*')) do out[#out + 1] = k .. ' ' .. redis.call('LLEN', k) end return out"
        rows = [line.rsplit(" ", 1) for line in self.cli("EVAL", script, "0").split("\n") if line]
        return {key.split(":q:", 1)[1]: int(n) for key, n in rows}

    def test_bounded(self):
        """Many more tasks than --max-queued, and the node that holds what found no room is killed: the bound holds all the time,
        and all tasks are done."""
        bound = ("--max-queued", 1000)
        m, other = (self.node(name, "--roles", "api,runner", "--lease", "3s", *bound) for name in "mn")
        self.cli("CONFIG", "SET", "latency-tracking", "no")
        most, over = [0], threading.Event()

        def sample():
            while not over.is_set():
                most[0] = max(most[0], sum(self.lengths().values()))
        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            for k in range(TASKS // 1000):
                m.post("/exec/tasks", {"tasks": [{"taskType": "ECHO", "taskContent": "x"}] * 1000})
            self.assertGreater(sum(self.lengths().values()), 900)
            for name in "ab":
                self.node(name, "--async-slots", 200, "--lease", "3s", *bound)
            until("some have run", lambda: self.ended_tasks() > TASKS // 10)
            m.kill()
            left = TASKS - self.ended_tasks()
            self.assertGreater(left, TASKS // 10)
            until("all end", lambda: self.ended_tasks() == TASKS)
        finally:
            over.set()
            sampler.join()
        self.assertLessEqual(most[0], 1000)
        self.assertGreater(most[0], 900)

    def ended_tasks(self):
        return int(self.db.sql("SELECT COUNT(*) FROM task_ins WHERE state = 9")[0][0])

    @unittest.skipUnless(FAKETIME, "no libfaketime")
    def test_clocks_apart(self):
        """Nodes a day ahead and a day behind: no timeout comes early, no time runs backwards."""
        fake = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        nodes = [self.node("a", "--slots", 2), self.node("b", "--slots", 2, env={**fake, "FAKETIME": "+1d"}),
                 self.node("c", "--slots", 2, env={**fake, "FAKETIME": "-1d"})]
        # No WAIT: libfaketime moves the absolute times of timerfd, so the timers of the worker are not to be trusted here.
        steps = [shell("s", 'test "$WEIR_ATTEMPT" -ge 2', taskConfig={"attempts": 3, "backoff": {"base": "500ms"}}), shell("t", "true", "s")]
        ids = [node.flow(*steps, timeout=120) for node in nodes for _ in range(4)]
        self.all_end(nodes[0], ids, 60)
        for fi in ids:
            flow = nodes[0].get(f"/monitor/flow/{fi}")
            times = [flow["startedAt"], *(n["startedAt"] for n in flow["nodes"]), flow["endedAt"]]
            self.assertEqual(times, sorted(times))
            self.assertEqual(times[0][:10], times[-1][:10] if times[0][11:13] != "23" else times[0][:10])


if __name__ == "__main__":
    unittest.main()
