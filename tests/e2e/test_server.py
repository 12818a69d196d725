"""`weir server`: starting, refusing to start, stopping, and being killed."""
# lane: nobody -- whose processes no other file has at the same time (tests/tally.py)
import os
import re
import signal
import sqlite3
import subprocess
import unittest

from live import BIN, CLEAN_ENV, LIMIT_S, Refused, Server, alive, children, directory, family, shell, task, until, weir


def refuse(*args, env=None):
    """Starts a server that must not start; (exit status, stderr)."""
    done = subprocess.run([BIN, "server", *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S,
                          env={**CLEAN_ENV, **(env or {})})
    return done.returncode, done.stderr


class Base(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        self.servers = []
        self.addCleanup(lambda: [s.kill() for s in self.servers])

    def server(self, *args, **more):
        server = Server(self.tmp / "data", *args, **more)
        self.servers.append(server)
        return server

    def pid_file(self, name="pid"):
        """Script text that tells its pid, and a function that waits for it."""
        path = self.tmp / name
        return f"echo $$ > {path}.new; mv {path}.new {path}", lambda: int(until(f"{name} is written", lambda: path.exists() and path.read_text()))


class Start(Base):
    def test_ready(self):
        server = self.server()
        self.assertEqual(server.get("/version")["version"], "0.1.0")
        server.get("/readyz")
        server.get("/livez")
        self.assertTrue(any(line.startswith("warning: SHELL") for line in server.lines))
        self.assertEqual(server.stop(), 0)

    def test_refusals(self):
        data = self.tmp / "data"
        cases = [(["--dev", "--listen", "0.0.0.0:0"], 4), (["--listen", "0.0.0.0:0"], 4), (["--lisen", "x"], 2), (["extra"], 2),
                 (["--dev", "--roles", "api,cook"], 2), (["--dev", "--store", "oracle://x"], 2), (["--dev", "--queue", "kafka:"], 2),
                 (["--dev", "--zone", "Moon/Base"], 2), (["--dev", "--run-as", "no-such-user-here"], 2),
                 (["--dev", "--store", f"mysql://root@localhost/x?socket={self.tmp}/none.sock"], 5)]
        for args, code in cases:
            with self.subTest(args=args):
                status, err = refuse("--data", data, *args)
                self.assertEqual(status, code, err)
                self.assertRegex(err, r"(?m)^weir server: .+")

    def test_database_that_is_not_ours(self):
        """It is there and will not change by waiting: refused, not unreachable."""
        path = self.tmp / "songs.db"
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE song (title TEXT)")
        for store in (f"sqlite:{path}", f"sqlite:{self.tmp}"):
            with self.subTest(store=store):
                status, err = refuse("--dev", "--data", self.tmp / "data", "--store", store)
                self.assertEqual(status, 4, err)

    def test_closed_descriptors(self):
        """Started with none of 0, 1, 2: nothing else takes their places, so no line of the log lands in a socket or a file."""
        lock = self.tmp / "data" / "weir.db.lock"
        process = subprocess.Popen(["sh", "-c", 'exec "$0" server --dev --data "$1" --listen 127.0.0.1:0 <&- >&- 2>&-', BIN, self.tmp / "data"],
                                   env=CLEAN_ENV)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        until("it is up", lambda: lock.exists() and lock.read_text())
        self.assertEqual([os.readlink(f"/proc/{process.pid}/fd/{i}") for i in range(3)], ["/dev/null"] * 3)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(LIMIT_S), 0)

    def test_localhost(self):
        server = self.server("--listen", "localhost:0")
        server.get("/livez")
        self.assertEqual(server.stop(), 0)

    def test_config_file(self):
        conf = self.tmp / "weir.conf"
        conf.write_text(f"# one node\ndev = on\nslots = 3\nlog-level = warn\nlisten = 127.0.0.1:1\n")
        server = self.server("--config", conf, dev=False)
        self.assertEqual(server.stop(), 0)
        conf.write_text("slotz = 3\n")
        status, err = refuse("--config", conf)
        self.assertEqual(status, 2)
        self.assertIn('Did you mean "slots"?', err)

    def test_second_server_on_one_store(self):
        self.server()
        status, err = refuse("--dev", "--data", self.tmp / "data", "--listen", "127.0.0.1:0")
        self.assertEqual(status, 4, err)
        self.assertIn("event=worker.waiting", err)
        self.assertRegex(err, r"Another Weir process \(pid \d+\) uses this data directory: stop it, or name another one with --data\.")

    def test_data_directory_that_cannot_be_made(self):
        status, err = refuse("--dev", "--data", "/proc/weir", "--listen", "127.0.0.1:0")
        self.assertEqual(status, 4, err)
        self.assertRegex(err, r"The data directory /proc/weir cannot be made: .*\. Name another one with --data\.")

    def test_token(self):
        server = self.server(dev=False)
        with self.assertRaises(Refused) as refused:
            server.get("/flow")
        self.assertEqual(refused.exception.status, 401)
        path = self.tmp / "data" / "weir.token"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        token = path.read_text().strip()
        self.assertFalse(any(token in line for line in server.lines))
        self.assertEqual(server.call("GET", "/flow", token=token), [])
        self.assertEqual(server.stop(), 0)

    @unittest.skipUnless(os.geteuid() == 0, "not root")
    def test_root_runs_no_shell(self):
        """SHELL tasks never run as root, but for --dev."""
        server = self.server(dev=False)
        token = (self.tmp / "data" / "weir.token").read_text().strip()
        with self.assertRaises(Refused) as refused:
            server.call("POST", "/task", {"taskName": "x", "taskType": "SHELL", "taskContent": "id"}, token=token)
        self.assertEqual((refused.exception.status, refused.exception.answer["code"]), (403, "40303"))
        self.assertEqual(refused.exception.answer["message"], "SHELL is off on this node (see --run-as and --shell).")
        server.stop()
        status, _ = refuse("--data", self.tmp / "data", "--shell", "on")
        self.assertEqual(status, 4)

    @unittest.skipIf("asan" in BIN, "a sanitizer needs its memory")
    def test_memory(self):
        """Server, guard, spawner and spare together, PSS: 12 MiB is promised; pages that servers of other tests have, too, count less."""
        server = self.server()
        until("the spawner is there", lambda: len(family(server.pid)) == 3)
        kib = 0
        for pid in {server.pid} | family(server.pid):
            with open(f"/proc/{pid}/smaps_rollup") as f:
                kib += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        self.assertLessEqual(kib, 10 * 1024)
        server.stop()


class Stop(Base):
    def test_hand_back(self):
        """SIGTERM: the running attempt dies, is no failure, and runs again after the restart."""
        script, pid = self.pid_file()
        server = self.server()
        fi = server.flow(shell("a", f'echo "$WEIR_ATTEMPT" >> {self.tmp}/attempts; {script}; test "$WEIR_ATTEMPT" -gt 1 || sleep 600'),
                         task("b", "ECHO", "after"))
        child, below = pid(), family(server.pid)
        self.assertTrue(alive(child))
        self.assertEqual(server.stop(), 0)
        self.assertFalse(alive(child))
        self.assertFalse([p for p in below if alive(p)])
        server = self.server()
        self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        self.assertEqual((self.tmp / "attempts").read_text(), "1\n2\n")
        self.assertEqual(server.stop(), 0)

    def test_interrupt_idle(self):
        server = self.server()
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)

    def test_second_signal(self):
        """A child that ignores TERM holds up the stop: a second TERM waits for it all the same, a later Ctrl-C does not."""
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                script, pid = self.pid_file(number.name)
                server = self.server()
                server.flow(shell("a", f"trap '' TERM; {script}; while :; do sleep 600; done"))
                child = pid()
                server.signal(signal.SIGTERM)
                until("the stop has begun", lambda: any("server.stop" in line for line in server.lines))
                until("it ends", lambda: server.signal(number) or server.process.poll() is not None)
                self.assertEqual(server.wait() == 0, number == signal.SIGTERM, server.lines)
                until("the spawner has killed the child", lambda: not alive(child))

    @unittest.skipUnless(os.geteuid() == 0, "not root")
    def test_run_as_result(self):
        """A run-as user gets through the data directory to its WEIR_OUTPUT, whatever the umask; nobody else reads our files."""
        self.tmp.chmod(0o711)
        old = os.umask(0o077)
        try:
            server = self.server("--run-as-also", "nobody")
        finally:
            os.umask(old)
        fi = server.flow(shell("a", 'id -un > "$WEIR_OUTPUT"; ! cat "${WEIR_OUTPUT%/run/*}/weir.db"', taskConfig={"user": "nobody"}))
        node = server.ended(fi)["nodes"][0]
        row = server.get(f"/monitor/node/{node['niId']}")[0]
        self.assertEqual((row["state"], row.get("result")), ("SUCCESS", "nobody\n"), row)
        self.assertEqual(server.stop(), 0)

    def test_roles(self):
        """A process without the worker role accepts and stores, and has no child."""
        server = self.server("--roles", "api,runner")
        fi = server.flow(task("a", "ECHO", "x"))
        self.assertEqual(server.get(f"/monitor/flow/{fi}")["status"], "RUNNING")
        self.assertEqual(children(server.pid), set())
        self.assertEqual(server.stop(), 0)
        server = self.server()
        self.assertEqual(server.ended(fi)["status"], "SUCCESS")

    def test_worker_says_that_it_starts(self):
        """A node without an API keeps its log as any other: what it is at the start, and why it ends."""
        with subprocess.Popen([BIN, "server", "--dev", "--roles", "worker", "--data", str(self.tmp / "worker")], stderr=subprocess.PIPE, text=True,
                              env=CLEAN_ENV) as node:
            lines = []
            for line in node.stderr:
                lines.append(line)
                if line == "ready\n":
                    break
            node.terminate()
            lines += node.stderr.readlines()
        self.assertEqual(node.returncode, 0, lines)
        for event in ("server.start", "server.stop"):
            self.assertTrue([line for line in lines if f"event={event} " in line], lines)


class Killed(Base):
    def test_kill_9(self):
        """Acknowledged flows end, what is done is not run again, no child outlives its node, attempts never come twice."""
        script, pid = self.pid_file()
        ledger = self.tmp / "ledger"
        note = f'echo "$WEIR_RUN_KEY $WEIR_ATTEMPT" >> {ledger}'
        server = self.server()
        fi = server.flow(shell("first", note), shell("second", f'{note}; {script}; test "$WEIR_ATTEMPT" -gt 1 || sleep 600'), shell("third", note))
        child, below = pid(), family(server.pid)
        server.kill()
        server = self.server()
        until("the child is dead", lambda: not alive(child))
        self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        until("the former spawner is gone", lambda: not [p for p in below if alive(p)])
        lines = ledger.read_text().split("\n")[:-1]
        self.assertEqual(len(lines), len(set(lines)), lines)
        self.assertEqual([line.split(":")[2] for line in lines], ["first", "second", "second", "third"])
        self.assertEqual(server.stop(), 0)

    def test_three_losses(self):
        """A task that kills its node three times is given up and says why, in a flow and alone."""
        script, pid = self.pid_file()
        server = self.server()
        fi = server.flow(shell("poison", f"{script}; sleep 600"))
        ti = server.post(f"/exec/task/{server.post('/task', {'taskName': 'poison', 'taskType': 'WAIT', 'taskContent': '1h'})['taskId']}")["tiId"]
        for n in range(1, 4):
            until(f"attempt {n} runs", lambda n=n: server.get(f"/monitor/task/{ti}")["attempt"] == n and pid())
            child = pid()
            server.kill()
            until("the child is dead", lambda child=child: not alive(child))
            (self.tmp / "pid").unlink()
            server = self.server()
        node = server.ended(fi)["nodes"][0]
        inside, alone = server.get(f"/monitor/node/{node['niId']}")[0], server.get(f"/monitor/task/{ti}")
        for one in (inside, alone):
            self.assertEqual((one["state"], one["attempt"], one["losses"]), ("DEAD", 3, 3))
            self.assertEqual(one["errorMsg"], node["errorMsg"])
            self.assertIn("three times", one["errorMsg"])
        self.assertEqual(server.stop(), 0)

    def test_kill_loop(self):
        """Ten kills while flows run; every accepted one ends, each step has one success."""
        ledger = self.tmp / "ledger"
        accepted = []
        for _ in range(10):
            server = self.server()
            for _ in range(3):
                accepted.append(server.flow(*[shell(f"s{i}", f'echo "$WEIR_RUN_KEY $WEIR_ATTEMPT" >> {ledger}; sleep 0.05') for i in range(4)]))
            seen = ledger.stat().st_size if ledger.exists() else 0
            until("something has run", lambda before=seen: ledger.exists() and ledger.stat().st_size > before)
            server.kill()
        server = self.server()
        states = {fi: server.ended(fi)["status"] for fi in accepted}
        # The third loss of one task makes it DEAD: allowed, but then the flow says so; it never hangs.
        self.assertLessEqual(set(states.values()), {"SUCCESS", "FAILED"})
        lines = ledger.read_text().split("\n")[:-1]
        self.assertEqual(len(lines), len(set(lines)))
        self.assertEqual(server.stop(), 0)


@unittest.skipUnless(os.environ.get("WEIR_TEST_MYSQL") and os.environ.get("WEIR_TEST_REDIS"), "no MariaDB and Redis")
class Cluster(Base):
    def test_two_nodes(self):
        urls = ["--store", os.environ["WEIR_TEST_MYSQL"], "--queue", os.environ["WEIR_TEST_REDIS"], "--prefix", "e2e"]
        a = Server(self.tmp / "a", *urls)
        self.servers.append(a)
        b = Server(self.tmp / "b", *urls)
        self.servers.append(b)
        ids = [server.flow(*[shell(f"s{i}", "true") for i in range(5)]) for server in (a, b) for _ in range(10)]
        for fi in ids:
            self.assertEqual(b.ended(fi)["status"], "SUCCESS")
        self.assertEqual(a.stop(), 0)
        fi = b.flow(task("x", "ECHO", "alone"))
        self.assertEqual(b.ended(fi)["status"], "SUCCESS")
        self.assertEqual(b.stop(), 0)

    def test_kill_9(self):
        """A node that is started again does not wait for its former lease: the lock of its directory proves the former node dead."""
        urls = ["--store", os.environ["WEIR_TEST_MYSQL"], "--queue", os.environ["WEIR_TEST_REDIS"], "--prefix", "e2e-kill", "--lease", "1h"]
        server = self.server(*urls)
        script, pid = self.pid_file()
        fi = server.flow(shell("a", f'{script}; test "$WEIR_ATTEMPT" -gt 1 || sleep 600'), shell("b", "true"))
        child = pid()
        server.kill()
        server = self.server(*urls)
        self.assertFalse(alive(child))
        done = server.ended(fi)
        self.assertEqual(done["status"], "SUCCESS")
        row = server.get(f"/monitor/node/{done['nodes'][0]['niId']}")[0]
        self.assertEqual((row["attempt"], row["losses"]), (2, 1))
        self.assertEqual(server.stop(), 0)

    def test_shared_work(self):
        """Two small nodes, many flows: steps of one flow run here and there, and no hint is lost on the way."""
        urls = ["--store", os.environ["WEIR_TEST_MYSQL"], "--queue", os.environ["WEIR_TEST_REDIS"], "--prefix", "e2e-shared", "--slots", 2]
        nodes = [Server(self.tmp / name, *urls) for name in "ab"]
        self.servers += nodes
        flow = nodes[0].post("/flow", {"flowName": "shared", "flowNodes": [shell(f"s{i}", "true") for i in range(5)]})
        ids = nodes[0].post("/exec/flows", {"starts": [{"flowId": flow["flowId"]}] * 60})
        for fi in ids:
            self.assertEqual(nodes[1].ended(fi)["status"], "SUCCESS")
        for node in nodes:
            self.assertEqual(node.stop(), 0)


class Version(unittest.TestCase):
    def test_version(self):
        done = weir("version")
        self.assertEqual((done.returncode, done.stdout), (0, "weir 0.1.0, schema 10\n"))

    def test_config(self):
        done = weir("config", "--store", "mysql://u:hush@h/d", env={"WEIR_SLOTS": "7", "WEIR_DEV": "yes"})
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"(?m)^dev +on +\(environment\)$")
        self.assertRegex(done.stdout, r"(?m)^slots +7 +\(environment\)$")
        self.assertNotIn("hush", done.stdout + done.stderr)

    def test_options_of_queues(self):
        """What they come to; and what is no queue, no budget, no load is refused with a sentence that says what would be one."""
        done = weir("config", "--queues", "alice/,%2F/%2C", "--max-load", "1.5", "--cost-wait", "0s", "--min-free-memory", "2048KiB")
        self.assertEqual(done.returncode, 0, done.stderr)
        for option, value, source in (("cpu-budget", str(100 * os.cpu_count()), "default"), ("cost-wait", "0s", "flag"), ("priority-ageing", "60s", "default"),
                                      ("max-load", "1.5", "flag"), ("min-free-memory", "2048KiB", "flag"), ("queues", "alice/,%2F/%2C", "flag")):
            self.assertRegex(done.stdout, rf"(?m)^{option} +{re.escape(value)} +\({source}\)$")
        for option, values, sentence in (("--queues", ("", "alice", "a/b/c", "a/b,", "a%2/b", "a%00/b", "x" * 129 + "/"), "is not a queue: expected USER/GROUP|at least one character"),
                                         ("--max-load", ("0", "-1", "1e3", "x", "1001", "1.5.1"), "is not a number above 0 and up to 1000"),
                                         ("--cpu-budget", ("0", "1.5", "100000001"), "a whole number from 1 to 100000000"),
                                         ("--min-free-memory", ("1", "1KB", "-1GiB"), "a size from 1MiB"),
                                         ("--cost-wait", ("-1s", "2h", "x"), "a time from 0s to 3600s"), ("--priority-ageing", ("-1s", "8d"), "a time from 0s to 604800s")):
            for value in values:
                with self.subTest(option=option, value=value), directory() as tmp:
                    done = weir("server", "--dev", "--data", tmp / "data", "--listen", "127.0.0.1:0", f"{option}={value}")
                    self.assertNotEqual(done.returncode, 0)
                    self.assertRegex(done.stderr, sentence)

    def test_help(self):
        for args in (["--help"], ["help"], ["server", "--help"], ["run", "-h"], ["config", "--help"], ["help", "config"], ["help", "version"]):
            with self.subTest(args=args):
                done = weir(*args)
                self.assertEqual(done.returncode, 0)
                self.assertIn("Usage: weir " + (args[-1] if args[0] == "help" and args[1:] else ""), done.stdout)


if __name__ == "__main__":
    unittest.main()
