"""`weir run`: exit codes, outputs, signals, parameters, the store it keeps or not, and recorded workflows."""
# lane: nobody -- whose processes no other file has at the same time (tests/tally.py)
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import sqlite3
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

    def test_analysed(self):
        """An analysis is no attempt: no line, no log of its own; what it said is in the object. A verdict retry is a line."""
        adds = json.dumps({"tasks": [{"taskType": "ECHO", "taskContent": "c"}]})
        said = {"type": "subtasks", "pointer": "/tasks", "taskTypes": ["ECHO"]}
        text = flow({"nodeKey": "a", "tasks": [{"taskName": "t", "taskType": "ECHO", "taskContent": adds, "taskConfig": {"analyzer": said}}]},
                    {"nodeKey": "b", "tasks": [{"taskName": "t", "taskType": "SHELL", "taskContent": "echo out; exit 3",
                                                "taskConfig": {"attempts": 1, "analyzer": {"type": "exit-code", "ok": [3]}}}]})
        for words in ((), ("--logs",)):
            done = self.run_flow(text, *words)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn("RETRY", done.stdout)
            self.assertEqual(done.stdout.count("b | out"), len(words), done.stdout)
        nodes = self.one_object(self.run_flow(text, "-o", "json"))["nodes"]
        self.assertEqual([(t["verdict"], t.get("children")) for n in nodes for t in n["tasks"]],
                         [("done", {"total": 1, "live": 0, "failed": 0, "known": 0}), ("done", None)])
        self.assertEqual(nodes[1]["tasks"][0]["logTail"], "out\n")

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
        self.assertEqual((run["fiId"], run["status"], run["state"], run["errorMsg"]), (1, "FAILED", "FAILED", "node b: no way"))
        self.assertEqual([(n["nodeKey"], n["state"], n["errorMsg"]) for n in run["nodes"][:2]], [("a", "SUCCESS", ""), ("b", "FAILED", "no way")])
        self.assertEqual(run["nodes"][2]["state"], "UPSTREAM_FAILED")
        self.assertEqual([[(t["taskName"], t["state"], t.get("result")) for t in n["tasks"]] for n in run["nodes"]],
                         [[("a", "SUCCESS", "hi")], [("b", "FAILED", None)], []])
        self.assertRegex(run["nodes"][0]["startedAt"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertLessEqual(run["nodes"][0]["endedAt"], run["nodes"][1]["startedAt"])

    def test_start_is_not_answered(self):
        """The database takes the start and says nothing: one Ctrl-C is kept for the moment when it answers, two end at once; and there
        is a limit to it."""
        for signals, status in ((2, 130), (0, 5)):
            with directory() as tmp:
                store = f"{tmp}/weir.db"
                text = flow(task("a", "ECHO", "hi"))
                self.assertEqual(self.run_flow(text, "--store", f"sqlite:{store}").returncode, 0)
                with contextlib.closing(sqlite3.connect(store)) as db:
                    db.execute("CREATE TRIGGER slow BEFORE INSERT ON task_flow_ins BEGIN SELECT count(*) FROM "
                               "(WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END")
                run = subprocess.Popen([BIN, "run", "--store", f"sqlite:{store}", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, env=CLEAN_ENV)
                with run:
                    run.stdin.write(text)
                    run.stdin.close()
                    if signals:
                        until("the start is under way", lambda: int(pathlib.Path(f"/proc/{run.pid}/stat").read_text().split()[13]) > 50)
                        run.send_signal(signal.SIGINT)
                        while (line := run.stderr.readline()) != "canceling; Ctrl-C again ends at once\n":
                            self.assertNotEqual(line, "")
                        until("it ends", lambda: run.poll() is not None or run.send_signal(signal.SIGINT))
                    self.assertEqual(run.wait(LIMIT_S), status)
                    said = run.stderr.read()
                if not signals:
                    self.assertIn("The database has not answered for 10 s", said)

    def test_error_in_one_line(self):
        """An error text is data: no line of its own, no escape sequence on the terminal."""
        done = self.run_flow(flow(task("a", "EXCEPTION", "one\ntwo\x1b[31m")))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^a FAILED \d+\.\d+s one two \[31m$")
        self.assertRegex(done.stdout, r"flow 1 FAILED \d+\.\d+s node a: one two \[31m\n$")

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
                self.assertEqual(done.returncode, code, done.stderr)
                refusal = self.one_object(done)
                self.assertEqual((set(refusal), refusal["status"]), ({"status", "error"}, "REFUSED"))
                self.assertIn(refusal["error"]["message"], done.stderr)
                self.assertRegex(done.stderr, r"(?m)^weir run: .+$")

    def test_refused_before_the_file(self):
        for args, code in ((["-p", "1x=2"], 4), (["-p", "novalue"], 2)):
            with self.subTest(args=args):
                done = self.run_flow(flow(task("a", "ECHO", "x")), "-o", "json", *args)
                self.assertEqual((done.returncode, self.one_object(done)["status"]), (code, "REFUSED"), done.stderr)

    def test_forms_of_files(self):
        """A mark of the byte order is no error; what is no JSON is told which it must be; no warning comes before a file is there."""
        done = self.run_flow("\ufeff" + flow(task("a", "ECHO", "x")))
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_flow("flowName: x\n")
        self.assertEqual(done.returncode, 4)
        self.assertRegex(done.stderr, r"^weir run: The file is not JSON, which is what Weir reads")
        self.assertRegex(weir("run", "/no/such/file").stderr, r"^weir run: [^\n]+\n$")
        with directory() as tmp:
            for text, why in (("{", "Line 1, column 2: "), ("", "The file is empty.")):
                (tmp / "f.json").write_text(text)
                self.assertIn(f'"{tmp}/f.json": {why}', weir("run", tmp / "f.json").stderr)

    def test_usage(self):
        cases = [(["run"], 2), (["run", "a", "b"], 2), (["run", "--slot", "0", "-"], 2), (["run", "--nope", "-"], 2), (["run", "-o", "xml", "-"], 2),
                 (["run", "--time-scale", "-1", "-"], 2), (["run", "--time-scale", "2", "-"], 2), (["run", "-p", "novalue", "-"], 2), (["run", "-p", "k=1", "-p", "k=2", "-"], 2), (["run", "--resume", "-"], 2), (["run", "--resume"], 2),
                 (["run", "--resume", "--store", "sqlite:/nowhere", "--logs"], 2), (["run", "--resume", "--store", "sqlite:/nowhere", "-p", "a=1"], 2),
                 (["run", "/no/such/file.json"], 3), (["rum"], 2), ([], 2)]
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

    def test_output_of_steps(self):
        """Of a failed step its last lines, unasked; with --logs all of it, as it comes; in -o json too."""
        text = flow(shell("good", "echo fine"), shell("dump", "seq 1 100; echo 'pg_dump: refused' >&2; exit 1"))
        done = self.run_flow(text)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^dump FAILED \d+\.\d+s Exit code 1\.\n(dump \| .*\n){21}flow")  # 20 lines, and the mark
        self.assertIn("dump | pg_dump: refused\n", done.stdout)
        self.assertNotIn("good | fine", done.stdout)
        done = self.run_flow(text, "--logs")
        self.assertEqual([line for line in done.stdout.splitlines() if " | " in line],
                         ["good | fine", *(f"dump | {i}" for i in range(1, 101)), "dump | pg_dump: refused"])
        step = shell("flaky", "echo try $WEIR_ATTEMPT; test $WEIR_ATTEMPT -ge 3", taskConfig={"attempts": 3, "backoff": {"base": "1ms"}})
        done = self.run_flow(flow(step), "--logs")
        self.assertEqual(re.findall(r"(?m)^flaky (?:\| try|RETRY .* attempt) (\d)", done.stdout), list("11223"), done.stdout)
        run = self.one_object(self.run_flow(text, "-o", "json"))
        self.assertRegex(run["nodes"][1]["tasks"][0]["logTail"], r"99\n100\npg_dump: refused\n$")

    def test_logs_stream(self):
        """What a step prints is shown while it runs: the test lets it end only after it was seen."""
        with directory() as tmp:
            text = flow(shell("a", f"echo begun; until test -e {tmp}/go; do sleep 0.05; done; echo over"))
            process = subprocess.Popen([BIN, "run", "--logs", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       text=True, env=CLEAN_ENV)
            process.stdin.write(text)
            process.stdin.close()
            seen = []
            for line in process.stdout:
                seen.append(line)
                if line == "a | begun\n":
                    (tmp / "go").touch()
            process.stdout.close()
            self.assertEqual(process.wait(LIMIT_S), 0)
            self.assertIn("a | over\n", seen)

    def test_retries_are_seen(self):
        step = shell("flaky", "test $WEIR_ATTEMPT -ge 3", taskConfig={"attempts": 3, "backoff": {"base": "200ms", "jitter": "none"}})
        done = self.run_flow(flow(step))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^flaky RETRY \d+\.\d+s attempt 1: Exit code 1\.(?: Again in 0\.200s\.)?\nflaky RETRY .* attempt 2: ")

    def test_shell_warning(self):
        """Only where a task of the flow is a SHELL task."""
        done = self.run_flow(flow(task("a", "ECHO", "SHELL")))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.run_flow(flow(task("a", "ECHO", "x"), shell("b", "true", "a")))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("warning: SHELL tasks run as the user who started this", done.stderr)
        done = self.run_flow(flow(shell("b", "true")), "--shell", "off")
        self.assertEqual(done.returncode, 4)
        self.assertIn("SHELL is off on this node", done.stderr)

    def test_failed_sibling(self):
        """complete: any, by default: the node succeeds, and its failed task is not hidden."""
        both = {"nodeKey": "two", "tasks": [{"taskName": "good", "taskType": "ECHO"}, {"taskName": "bad", "taskType": "SHELL",
                                                                                      "taskContent": "echo lost; exit 1"}]}
        done = self.run_flow(flow(both))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('warning: Node "two" has 2 tasks and no "complete"', done.stderr)
        self.assertRegex(done.stdout, r"(?m)^two SUCCESS \d+\.\d+s \(1 of 2 tasks failed\)\ntwo/bad \| lost$")

    def killed_run(self, tmp, store, *nodes):
        """A run that is killed while its first node runs; returns what is left in TMPDIR."""
        (tmp / "tmp").mkdir(exist_ok=True)
        process = subprocess.Popen([BIN, "run", "--store", store, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, text=True, env={**CLEAN_ENV, "TMPDIR": str(tmp / "tmp")})
        process.stdin.write(flow(*nodes))
        process.stdin.close()
        until("the step runs", (tmp / "pid").exists)
        pid = int((tmp / "pid").read_text())
        process.kill()
        process.wait(LIMIT_S)
        until("the step is dead", lambda: not alive(pid))
        return list((tmp / "tmp").iterdir())

    def test_others_in_the_store(self):
        """What a killed run has left is named and left alone; --resume goes on with it; its directory goes with the next run."""
        with directory() as tmp:
            store, env = f"sqlite:{tmp}/kept.db", {"TMPDIR": str(tmp / "tmp")}
            left = self.killed_run(tmp, store, shell("old", f"echo >> {tmp}/begun; echo $$ > {tmp}/p; mv {tmp}/p {tmp}/pid; test -e {tmp}/go || sleep 600"))
            self.assertEqual(len(left), 1)
            for fi in (2, 3):
                done = self.run_flow(flow(task("new", "ECHO", "x")), "--store", store, "-o", "json", env=env)
                self.assertEqual((done.returncode, self.one_object(done)["fiId"]), (0, fi), done.stderr)
                self.assertRegex(done.stderr, r"(?m)^the store holds 1 unfinished run \(fiId 1\), left alone; ")
                self.assertEqual((tmp / "begun").read_text(), "\n")
                self.assertEqual(list((tmp / "tmp").iterdir()), [], "a dead run's directory is removed")
            with subprocess.Popen([BIN, "run", "--resume", "--store", store], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  env={**CLEAN_ENV, **env}) as run:
                until("the step runs again", lambda: (tmp / "begun").read_text() == "\n\n")
                run.send_signal(signal.SIGTERM)
                said = run.communicate(timeout=LIMIT_S)
            self.assertEqual((run.returncode, said[0]), (6, ""), said)
            self.assertRegex(said[1], r"resuming 1 run \(fiId 1\)\nstopping; 1 run \(fiId 1\) left unfinished: ")
            (tmp / "go").touch()
            done = weir("run", "--resume", "--store", store, env=env)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^flow 1 SUCCESS \d+\.\d+s\n$")
            self.assertEqual((tmp / "begun").read_text(), "\n\n\n")
            done = weir("run", "--resume", "--store", store, "-o", "json", env=env)
            self.assertEqual((done.returncode, json.loads(done.stdout)), (0, {"runs": []}), done.stderr)
            self.assertIn("the store holds no unfinished run\n", done.stderr)
            done = weir("run", "--resume", "--store", f"sqlite:{tmp}/mistyped.db", env=env)
            self.assertEqual((done.returncode, (tmp / "mistyped.db").exists()), (3, False), done.stderr)
            self.assertIn(f"There is no database sqlite:{tmp}/mistyped.db", done.stderr)

    def test_resumed_and_failed(self):
        """A failed step is shown as by a plain run: its line, the end of its output, then the flow."""
        with directory() as tmp:
            for options in ((), ("-o", "json")):
                (tmp / "pid").unlink(missing_ok=True)
                store = f"sqlite:{tmp}/kept{len(options)}.db"
                script = f"if test -e {tmp}/pid; then echo one; echo two >&2; exit 3; fi; echo $$ > {tmp}/p; mv {tmp}/p {tmp}/pid; sleep 600"
                self.killed_run(tmp, store, shell("bad", script), task("good", "ECHO", "x"), task("after", "ECHO", "x", "bad"))
                done = weir("run", "--resume", "--store", store, *options, env={"TMPDIR": str(tmp / "tmp")})
                self.assertEqual(done.returncode, 1, done.stderr)
                lines = r"(?m)^bad FAILED \d+\.\d+s Exit code 3\.\nbad \| one\nbad \| two$"
                self.assertRegex(done.stderr if options else done.stdout, lines)
                self.assertNotIn("good", done.stdout)
                if options:
                    self.assertEqual([r["state"] for r in json.loads(done.stdout)["runs"]], ["FAILED"])
                else:
                    self.assertRegex(done.stdout, r"bad \| two\nflow 1 FAILED \d+\.\d+s .*\n$")

    def test_directories_of_the_living(self):
        """A run that goes on keeps its directory, whoever starts another beside it."""
        with directory() as tmp:
            (tmp / "tmp").mkdir()
            env = {**CLEAN_ENV, "TMPDIR": str(tmp / "tmp")}
            process = subprocess.Popen([BIN, "run", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
            process.stdin.write(flow(shell("a", f"touch {tmp}/on; until test -e {tmp}/go; do sleep 0.05; done; echo > \"$WEIR_OUTPUT\"")))
            process.stdin.close()
            until("it runs", (tmp / "on").exists)
            mine = list((tmp / "tmp").iterdir())
            self.assertEqual(self.run_flow(flow(task("b", "ECHO", "x")), env=env).returncode, 0)
            self.assertEqual(list((tmp / "tmp").iterdir()), mine)
            (tmp / "go").touch()
            out = process.stdout.read()
            process.stdout.close()
            self.assertEqual(process.wait(LIMIT_S), 0, out)
            self.assertEqual(list((tmp / "tmp").iterdir()), [])

    def test_no_standard_output(self):
        """When standard output cannot be written, the exit status is no success."""
        done = subprocess.run(["sh", "-c", f"exec '{BIN}' run -o json - >&-"], input=flow(task("a", "ECHO", "x")), stderr=subprocess.PIPE,
                              text=True, timeout=LIMIT_S, env=CLEAN_ENV)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("standard output", done.stderr)

    def test_store_is_kept(self):
        with directory() as tmp:
            store = f"sqlite:{tmp}/kept.db"
            for fi in (1, 2):
                done = self.run_flow(flow(task("a", "ECHO", "x")), "--store", store, "-o", "json")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(self.one_object(done)["fiId"], fi)

    def test_examples(self):
        for path in sorted((ROOT / "examples").glob("*.json")):
            if "https://" in path.read_text():  # it asks the internet: test_http saves it, and asks a site of its own
                continue
            with self.subTest(path=path.name), directory() as tmp:
                done = weir("run", "-o", "json", path, "-p", f"from={ROOT}/examples", "-p", f"to={tmp}")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual({n["status"] for n in self.one_object(done)["nodes"]}, {"SUCCESS"})

    def on_terminal(self, text, rows, cols, *args):
        """Runs it on a terminal of that size. Returns what the terminal got, and the exit status."""
        with directory() as tmp:
            (tmp / "flow.json").write_text(text)
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
            process = subprocess.Popen([BIN, "run", *args, tmp / "flow.json"], stdin=slave, stdout=slave, stderr=subprocess.DEVNULL,
                                       env={**CLEAN_ENV, "TERM": "xterm", "NO_COLOR": "1"})
            os.close(slave)
            out = b""
            try:
                while chunk := os.read(master, 65536):
                    out += chunk
            except OSError:  # EIO: the other end is closed
                pass
            os.close(master)
            return out.decode(), process.wait(LIMIT_S)

    def test_terminal(self):
        """A live tree on a terminal: redrawn in place, no higher than the screen while it runs, whole at the end, plain without colour."""
        text, status = self.on_terminal(flow(*[task(f"node-{i:02}", "WAIT", "10ms") for i in range(30)]), 10, 80)
        self.assertEqual(status, 0)
        self.assertIn("\x1b[8A", text)  # up by what was drawn: 6 nodes, how many more there are, and the summary
        self.assertNotIn("\x1b[3", text)
        self.assertIn("(24 more nodes)", text)
        last = text[text.rindex("\x1b[8A"):]
        self.assertEqual(last.count("node-"), 30)
        self.assertRegex(last, r"SUCCESS \d+\.\ds  30 done\x1b")
        self.assertRegex(text, r"flow 1 SUCCESS \d+\.\d+s\r\n$")

    def test_narrow_terminal(self):
        """No line of the tree is wider than the screen, what is cut is marked, and what was canceled counts apart."""
        nodes = [shell("encode-the-film-of-last-summer-in-high-definition", "sleep 0.3; echo no; exit 1"), task("next", "ECHO", "x")]
        beside = {**task("slow", "WAIT", "1h"), "prevNodes": []}
        nodes[1]["prevNodes"] = [nodes[0]["nodeKey"]]
        text, status = self.on_terminal(flow(*nodes, beside, onFailure="cancel"), 24, 40)
        self.assertEqual(status, 1)
        tree = text[:text.rindex("\x1b[J")]
        for line in re.split(r"\r?\n", re.sub(r"\x1b\[\d*[A-Z]|\r(?!\n)", "", tree)):
            self.assertLess(len(line), 40, line)
        self.assertRegex(tree, r"✗ encode-the-\S*… \d\.\ds  Exit")
        self.assertRegex(tree, r"FAILED \d+\.\ds  1 failed, 2 canceled\x1b")
        self.assertRegex(text, r"encode-the-film-of-last-summer-in-high-definition \| no\r\n")
        lines = [len(re.findall(r"\n", part)) for part in tree.split("\x1b[J")]
        ups = [int(n) for n in re.findall(r"\x1b\[(\d+)A", tree)]
        self.assertEqual(ups, lines[:len(ups)], "each drawing goes back to where the one before began")

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
                self.assertEqual((done.returncode, json.loads(done.stdout)["status"]), (4, "REFUSED"), done.stderr)
                self.assertTrue(re.search(r"(?m)^weir run: ", done.stderr), done.stderr)


if __name__ == "__main__":
    unittest.main()
