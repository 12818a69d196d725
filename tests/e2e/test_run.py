"""`weir run`: exit codes, outputs, signals, parameters, the store it keeps or not, and recorded workflows."""
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import unittest

from live import BIN, CLEAN_ENV, LIMIT_S, ROOT, alive, directory, shell, task, until, weir

# LGPL data, not copied into the project: read where it lies beside the checkout.
WFINSTANCES = sorted((ROOT.parent / "shared" / "inputs" / "wfinstances").rglob("*.json"))


def flow(*nodes, **settings):
    return json.dumps({"flowName": "e2e", "flowNodes": list(nodes), **settings})


class Run(unittest.TestCase):
    def run_flow(self, text, *args, env=None):
        return weir("run", *args, "-", stdin=text, env=env)

    def one_object(self, done):
        """stdout must be exactly one JSON object on one line."""
        self.assertEqual(done.stdout.count("\n"), 1, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_success(self):
        done = self.run_flow(flow(task("a", "ECHO", "hi"), task("b", "ECHO", "ho")))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^a SUCCESS \d+\.\d+s$")
        self.assertRegex(done.stdout, r"(?m)^b SUCCESS \d+\.\d+s$")
        self.assertRegex(done.stdout, r"flow 1 SUCCESS \d+\.\d+s\n$")

    def test_json(self):
        done = self.run_flow(flow(task("a", "ECHO", "hi"), task("b", "EXCEPTION", "no way"), task("c", "ECHO", "never")), "-o", "json")
        self.assertEqual(done.returncode, 1, done.stderr)
        run = self.one_object(done)
        self.assertEqual(set(run), {"fiId", "status", "state", "errorMsg", "nodes"})
        self.assertEqual((run["fiId"], run["status"], run["state"], run["errorMsg"]), (1, "FAILED", "FAILED", "no way"))
        self.assertEqual([(n["nodeKey"], n["state"], n["errorMsg"]) for n in run["nodes"][:2]], [("a", "SUCCESS", ""), ("b", "FAILED", "no way")])
        self.assertEqual(run["nodes"][2]["state"], "UPSTREAM_FAILED")
        self.assertRegex(run["nodes"][0]["startedAt"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertLessEqual(run["nodes"][0]["endedAt"], run["nodes"][1]["startedAt"])

    def test_error_in_one_line(self):
        """An error text is data: no line of its own, no escape sequence on the terminal."""
        done = self.run_flow(flow(task("a", "EXCEPTION", "one\ntwo\x1b[31m")))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^a FAILED \d+\.\d+s one two \[31m$")
        self.assertRegex(done.stdout, r"flow 1 FAILED \d+\.\d+s one two \[31m\n$")

    @unittest.skipUnless(os.geteuid() == 0, "not root")
    def test_run_as_result(self):
        """The result of a program that runs as another user."""
        done = self.run_flow(flow(shell("a", 'test "$(id -un)" = nobody; echo "$WEIR_OUTPUT"; echo > "$WEIR_OUTPUT"')), "--run-as", "nobody")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_no_room_for_the_answer(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BIN, "run", "-o", "json", "-"], input=flow(task("a", "ECHO", "x")), stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=LIMIT_S, env=CLEAN_ENV)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"(?m)^weir: .*standard output")

    def test_params_are_data(self):
        with directory() as tmp:
            done = self.run_flow(flow(shell("a", f'printf %s "$W_name" > {tmp}/out')), "-p", "name=$(reboot); a=b")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual((tmp / "out").read_text(), "$(reboot); a=b")

    def test_run_key_of_each_run(self):
        """Each `weir run` has a store of its own, and no key of one is a key of another: else who pays once by the key pays once, ever."""
        keys = []
        with directory() as tmp:
            for _ in range(2):
                done = self.run_flow(flow(shell("pay", f'printf "%s %s" "$WEIR_RUN_KEY" "$WEIR_FENCE" > {tmp}/out')))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                key, fence = (tmp / "out").read_text().split()
                self.assertRegex(key, r"^s[0-9a-f]{8}:1:pay:0$")
                self.assertEqual(fence, key + ":1")
                keys.append(key)
        self.assertNotEqual(*keys)

    def test_two_runs_of_the_diamond(self):
        """The example twice at once: each has a folder of its own."""
        with contextlib.ExitStack() as stack:
            runs = [stack.enter_context(subprocess.Popen([BIN, "run", str(ROOT / "examples" / "diamond-etl.json")], stdout=subprocess.PIPE,
                                                         stderr=subprocess.STDOUT, text=True, env=CLEAN_ENV)) for _ in range(2)]
            for run in runs:
                said, _ = run.communicate(timeout=LIMIT_S)
                self.assertEqual(run.returncode, 0, said)

    def test_broken_input(self):
        cases = [("{", 4), ("[]", 4), ("", 4), ('{"flowName":"x","flowNodes":[{"nodeType":"TASK","taskIds":"9"}]}', 4), ('{"flowName":"x"}', 4)]
        for text, code in cases:
            with self.subTest(text=text):
                done = self.run_flow(text, "-o", "json")
                self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
                self.assertRegex(done.stderr, r"(?m)^weir run: .+$")

    def test_usage(self):
        cases = [(["run"], 2), (["run", "a", "b"], 2), (["run", "--slot", "0", "-"], 2), (["run", "--nope", "-"], 2), (["run", "-o", "xml", "-"], 2),
                 (["run", "--time-scale", "-1", "-"], 2), (["run", "-p", "novalue", "-"], 2), (["run", "/no/such/file.json"], 3), (["rum"], 2), ([], 2)]
        for args, code in cases:
            with self.subTest(args=args):
                done = weir(*args, stdin=flow(task("a", "ECHO", "x")))
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertNotEqual(done.stderr, "")

    def test_shell_off(self):
        done = self.run_flow(flow(shell("a", "true")), "--shell", "off")
        self.assertEqual(done.returncode, 4, done.stdout)
        self.assertIn("SHELL", done.stderr)

    def test_signals(self):
        """Ctrl-C cancels, waits for the processes to die, leaves nothing behind; SIGTERM the same with another code."""
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 6)):
            with self.subTest(signal=number), directory() as tmp:
                text = flow(shell("a", f"echo $$ > {tmp}/pid.new; mv {tmp}/pid.new {tmp}/pid; sleep 600"), task("b", "ECHO", "x"))
                process = subprocess.Popen([BIN, "run", "-o", "json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE, text=True, env={**CLEAN_ENV, "TMPDIR": str(tmp)})
                process.stdin.write(text)
                process.stdin.close()
                process.stdin = None
                until("the task runs", (tmp / "pid").exists)
                pid = int((tmp / "pid").read_text())
                self.assertTrue(alive(pid))
                process.send_signal(number)
                out, err = process.communicate(timeout=LIMIT_S)
                self.assertEqual(process.returncode, code, err)
                self.assertFalse(alive(pid))
                self.assertEqual(json.loads(out)["state"], "CANCELED")
                self.assertEqual([p.name for p in tmp.iterdir()], ["pid"])

    def test_store_is_kept(self):
        with directory() as tmp:
            store = f"sqlite:{tmp}/kept.db"
            for fi in (1, 2):
                done = self.run_flow(flow(task("a", "ECHO", "x")), "--store", store, "-o", "json")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(self.one_object(done)["fiId"], fi)

    def test_examples(self):
        for path in sorted((ROOT / "examples").glob("*.json")):
            with self.subTest(path=path.name), directory() as tmp:
                done = weir("run", "-o", "json", path, "-p", f"from={ROOT}/examples", "-p", f"to={tmp}")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual({n["status"] for n in self.one_object(done)["nodes"]}, {"SUCCESS"})

    def test_terminal(self):
        """A live tree on a terminal: redrawn in place, no wider or higher than the screen, plain without colour."""
        with directory() as tmp:
            (tmp / "flow.json").write_text(flow(*[task(f"node-{i:02}", "WAIT", "10ms") for i in range(30)]))
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
            process = subprocess.Popen([BIN, "run", tmp / "flow.json"], stdin=slave, stdout=slave, stderr=subprocess.DEVNULL,
                                       env={**CLEAN_ENV, "TERM": "xterm", "NO_COLOR": "1"})
            os.close(slave)
            out = b""
            try:
                while chunk := os.read(master, 65536):
                    out += chunk
            except OSError:  # EIO: the other end is closed
                pass
            os.close(master)
            self.assertEqual(process.wait(LIMIT_S), 0)
        text = out.decode()
        self.assertIn("\x1b[8A", text)  # up by what was drawn: 7 nodes and the summary
        self.assertNotIn("\x1b[3", text)
        self.assertIn("(23 more nodes)", text)
        self.assertRegex(text, r"SUCCESS  30 done, 0 running, 0 failed")
        self.assertRegex(text, r"flow 1 SUCCESS \d+\.\d+s\r\n$")

    def test_mysql(self):
        url = os.environ.get("WEIR_TEST_MYSQL")
        if not url:
            self.skipTest("WEIR_TEST_MYSQL is not set")
        done = self.run_flow(flow(task("a", "ECHO", "x"), shell("b", "exit 0")), "--store", url, "-o", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.one_object(done)["status"], "SUCCESS")


class WfFormat(unittest.TestCase):
    KEYS = {"fiId", "status", "tasks", "slots", "makespanSeconds", "criticalPathSeconds", "workSeconds", "boundSeconds"}

    def replay(self, path, *args, stdin=None):
        done = weir("run", "--from", "wfformat", *args, "-o", "json", path, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        run = json.loads(done.stdout)
        self.assertEqual(set(run), self.KEYS)
        self.assertEqual(run["status"], "SUCCESS")
        return run

    def check(self, run, slots, tasks):
        self.assertEqual((run["tasks"], run["slots"]), (tasks, slots))
        self.assertAlmostEqual(run["boundSeconds"], max(run["criticalPathSeconds"], run["workSeconds"] / slots), places=5)
        # WAIT never ends early, and never more than `slots` run at once: the bound holds.
        self.assertGreaterEqual(run["makespanSeconds"], run["boundSeconds"])

    @unittest.skipUnless(WFINSTANCES, "the recorded workflows are not beside the checkout (../shared/inputs/wfinstances)")
    def test_given_files(self):
        self.assertEqual(len(WFINSTANCES), 5)
        for path in WFINSTANCES:
            with self.subTest(path=path.name):
                doc = json.loads(path.read_text())["workflow"]
                tasks = doc["execution"]["tasks"]
                work = sum(t["runtimeInSeconds"] for t in tasks)
                scale = 2 / work  # two seconds of work, whatever was recorded
                run = self.replay(path, "--time-scale", f"{scale:.12g}", "--slots", 4)
                self.check(run, 4, len(tasks))
                self.assertAlmostEqual(run["workSeconds"], work * float(f"{scale:.12g}"), delta=1e-6 * len(tasks))

    def test_slots_bound_waits(self):
        tasks = [{"name": f"t{i}", "runtime": 0.05} for i in range(8)]
        run = self.replay("-", "--slots", 2, stdin=json.dumps({"workflow": {"tasks": tasks}}))
        self.check(run, 2, 8)
        self.assertAlmostEqual(run["boundSeconds"], 0.2)

    def test_wide(self):
        """1,001 tasks, fan-in of 1,000; run times of 0 are allowed."""
        tasks = [{"name": f"t{i}", "runtime": (i % 3) * 0.001, "children": ["end"]} for i in range(1000)]
        tasks.append({"name": "end", "runtime": 0, "parents": [t["name"] for t in tasks]})
        run = self.replay("-", "--slots", 50, stdin=json.dumps({"workflow": {"tasks": tasks}}))
        self.check(run, 50, 1001)

    @unittest.skipUnless(WFINSTANCES, "the recorded workflows are not beside the checkout (../shared/inputs/wfinstances)")
    def test_text(self):
        done = weir("run", "--from", "wfformat", "--time-scale", "1e-5", WFINSTANCES[0])
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("tasks", "makespan", "critical path", "bound"):
            self.assertRegex(done.stdout, rf"(?m)^{word} +\d")

    def test_broken(self):
        cases = ["{}", '{"workflow":{"tasks":[]}}', '{"workflow":{"tasks":[{"name":"a","runtime":1,"parents":["b"]}]}}',
                 '{"workflow":{"tasks":[{"name":"a","runtime":1,"parents":["a"]}]}}', "not json"]
        for text in cases:
            with self.subTest(text=text):
                done = weir("run", "--from", "wfformat", "-o", "json", "-", stdin=text)
                self.assertEqual((done.returncode, done.stdout), (4, ""), done.stderr)
                self.assertTrue(re.search(r"(?m)^weir run: ", done.stderr), done.stderr)


if __name__ == "__main__":
    unittest.main()
