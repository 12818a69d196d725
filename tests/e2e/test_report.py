"""What programs of SHELL tasks report, over HTTP: progress, context, how they end; and that the next attempt finds the context,
after a retry, a planned stop and the death of its node."""
import json
import os
import shlex
import signal
import subprocess
import unittest
import urllib.error
import urllib.request

from live import BIN, CLEAN_ENV, Refused, Server, directory, until, weir
from services import OnMariaDb


class Base(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        self.servers = []
        self.addCleanup(lambda: [s.kill() for s in self.servers])

    def store(self):
        return ()

    def server(self, name="data"):
        server = Server(self.tmp / name, *self.store())
        self.servers.append(server)
        return server

    def start(self, server, script, kind="SHELL", **config):
        task_id = server.post("/task", {"taskName": "t", "taskType": kind, "taskContent": script, "taskConfig": config})["taskId"]
        return server.post(f"/exec/task/{task_id}")["tiId"]

    def row_when(self, server, ti, **want):
        return until(f"task {ti} is {want}", lambda: (lambda row: row if all(row.get(k) == v for k, v in want.items()) else None)(
            server.get(f"/monitor/task/{ti}")))

    def text(self, server, path):
        with urllib.request.urlopen(server.url + path, timeout=60) as answer:
            self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
            return answer.read().decode()

    def context(self, server, ti):
        return self.text(server, f"/monitor/task/{ti}/context")

    def has_context(self, server, ti):
        """The context, "" while there is none."""
        try:
            return self.context(server, ti)
        except urllib.error.HTTPError as error:
            with error:
                self.assertEqual(error.code, 404)
            return ""


class Reports(Base):
    def test_progress(self):
        server = self.server()
        ti = self.start(server, f"weir report --progress 3/10 --unit files --message 'half way'; until test -e {self.tmp}/go; do sleep 0.05; done; "
                                "weir report --progress 10")
        with self.assertRaises(Refused) as unknown:
            server.get("/monitor/task/99999999/progress")
        self.assertEqual((unknown.exception.status, unknown.exception.answer["code"]), (404, "40402"))

        def seen():
            try:
                return server.get(f"/monitor/task/{ti}/progress")
            except Refused as none:
                self.assertEqual((none.status, none.answer["code"]), (404, "40402"))
                return None
        p = until("it reports", seen)
        self.assertEqual((p["total"], p["done"], p["unit"], p["message"]), (10, 3, "files", "half way"))
        self.assertRegex(p["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        until("it has a speed", lambda: server.get(f"/monitor/task/{ti}/progress")["speed"] > 0)
        self.assertGreater(server.get(f"/monitor/task/{ti}/progress").get("eta", 1), 0)
        (self.tmp / "go").touch()
        self.row_when(server, ti, state="SUCCESS")
        p = server.get(f"/monitor/task/{ti}/progress")  # it survives the end
        self.assertEqual((p["total"], p["done"], p["unit"]), (10, 10, "files"))
        self.assertGreater(p["speed"], 0)
        self.assertNotIn("eta", p)
        self.assertEqual(server.stop(), 0)

    def test_context(self):
        server = self.server()
        ti = self.start(server, "cat $WEIR_CONTEXT; test $WEIR_ATTEMPT = 2 && exit 0; weir report --context 'saved: é'; exit 1", attempts=2,
                        backoff={"base": "1ms"})
        self.row_when(server, ti, state="SUCCESS")
        self.assertEqual(self.context(server, ti), "saved: é")
        self.assertEqual(self.text(server, f"/monitor/task/{ti}/log?attempt=2"), "saved: é")
        none = self.start(server, "exit 0")
        self.row_when(server, none, state="SUCCESS")
        with self.assertRaises(Refused) as refused:
            server.get(f"/monitor/task/{none}/context")
        self.assertEqual((refused.exception.status, refused.exception.answer["code"]), (404, "40402"))
        self.assertEqual(server.stop(), 0)

    def test_not_now(self):
        """Exit 75 and `again` wait and count nothing; a failure that it reports is one, with its words."""
        server = self.server()
        ti = self.start(server, "test $WEIR_ATTEMPT -ge 3 && exit 0; test $WEIR_ATTEMPT = 1 && exit 75; echo '{\"again\":{\"after\":\"10ms\"}}' >&3",
                        backoff={"base": "10ms"})
        row = self.row_when(server, ti, state="SUCCESS")
        self.assertEqual((row["attempt"], row["failures"]), (3, 0))
        self.assertEqual([(h["end"], h["exitCode"], h["errorMsg"]) for h in row["history"]],
                         [("NOT_NOW", 75, "It asked to be tried again later."), ("NOT_NOW", 0, "It asked to be tried again later.")])
        ti = self.start(server, "echo '{\"fail\":{\"message\":\"no such disk\",\"retry\":false}}' >&3", attempts=5)
        row = self.row_when(server, ti, state="FAILED")
        self.assertEqual((row["errorMsg"], row["attempt"]), ("no such disk", 1))
        ti = self.start(server, "weir report --result '{\"a\": 1}'")
        self.assertEqual(self.row_when(server, ti, state="SUCCESS")["result"], '{"a": 1}')
        self.assertEqual(server.stop(), 0)

    def test_not_now_is_no_failure(self):
        """What is said of it tells it from a failure, and its limit is named."""
        server = self.server()
        hour = {"base": "1h", "max": "1h", "jitter": "none"}
        again = "echo '{\"again\":{\"after\":\"1ms\"}}' >&3"
        asked, failed = (self.start(server, script, attempts=2, backoff=hour) for script in ("exit 75", f"[ $WEIR_ATTEMPT = 2 ] && exit 3; {again}"))
        row = self.row_when(server, asked, state="RETRY_WAIT")
        self.assertEqual((row["failures"], row["exitCode"]), (0, 75))
        self.assertRegex(row["whyText"], r"^Attempt 1 asked to be tried again later; the next one is due at 20.*Z\.$")
        row = self.row_when(server, failed, state="RETRY_WAIT", attempt=2)
        self.assertRegex(row["whyText"], r"^Attempt 2 failed; the next one is due at 20.*Z\.$")
        often = self.start(server, again)
        row = self.row_when(server, often, state="FAILED")
        self.assertEqual((row["attempt"], row["failures"], row["errorMsg"]),
                         (101, 1, "It asked more than 100 times in this run to be tried again later; from then on that is a failure."))
        self.assertEqual(server.stop(), 0)

    def test_pause(self):
        """How the process ended is in the history, whatever it was told."""
        server = self.server()
        for trap, code in (("weir report --stopped; exit $?", 75), ("exit 3", 3)):
            ti = self.start(server, f"trap '{trap}' TERM; echo up; while :; do sleep 0.05; done")
            until("it is up", lambda ti=ti: "up" in self.text(server, f"/monitor/task/{ti}/log"))
            server.post(f"/exec/task-ins/{ti}/pause")
            row = self.row_when(server, ti, state="PAUSED")
            self.assertEqual([(h["end"], h["exitCode"]) for h in row["history"]], [("PAUSED", code)])
        self.assertEqual(server.stop(), 0)

    def test_heartbeat(self):
        """An attempt that reports nothing is LOST; its output is no report, and each line is one, even one that says nothing."""
        server = self.server()
        ti = self.start(server, "test $WEIR_ATTEMPT = 2 && exit 0; while :; do echo output; sleep 0.05; done", heartbeatTimeout="500ms")
        row = self.row_when(server, ti, state="SUCCESS")
        self.assertEqual((row["attempt"], row["losses"], row["failures"]), (2, 1, 0))
        self.assertEqual([(h["end"], h["errorMsg"]) for h in row["history"]], [("LOST", "It reported nothing for 0.5 s (heartbeatTimeout).")])
        ti = self.start(server, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo >&3; sleep 0.25; done", heartbeatTimeout=2)
        row = self.row_when(server, ti, state="SUCCESS")
        self.assertEqual((row["attempt"], row["losses"]), (1, 0))
        ti = self.start(server, "sleep 3600", heartbeatTimeout="50ms", onLost="fail")
        self.assertEqual(self.row_when(server, ti, state="FAILED")["errorMsg"], "It reported nothing for 0.05 s (heartbeatTimeout).")
        ti = self.start(server, "trap 'weir report --context saved; exit 75' TERM; test -s $WEIR_CONTEXT && exit 0; while :; do sleep 0.05; done",
                        heartbeatTimeout="500ms")
        self.row_when(server, ti, state="SUCCESS", attempt=2)
        self.assertEqual(server.stop(), 0)

    def test_planned_stop(self):
        """It reports its context when it is told to stop, and goes on with the next server; no attempt is used up."""
        server = self.server()
        script = ("i=$(cat $WEIR_CONTEXT); test -n \"$i\" && { echo went on at $i; exit 0; }; trap 'weir report --context 17 --stopped; exit $?' TERM; "
                  "echo up; while :; do sleep 0.05; done")
        ti, wait = self.start(server, script), self.start(server, "3600", "WAIT")
        until("it is up", lambda: "up" in self.text(server, f"/monitor/task/{ti}/log"))
        self.row_when(server, wait, state="RUNNING")
        self.assertEqual(server.stop(), 0)
        server = self.server()
        row = self.row_when(server, ti, state="SUCCESS")
        self.assertEqual((row["failures"], row["losses"]), (0, 0))
        self.assertEqual([(h["end"], h["exitCode"]) for h in row["history"]], [("HANDBACK", 75)])
        self.assertEqual(self.text(server, f"/monitor/task/{ti}/log?attempt=2"), "went on at 17\n")
        self.assertRegex(self.context(server, wait), r"^3[56]\d\d\.\d{6}s$")
        self.row_when(server, wait, state="RUNNING")
        self.assertEqual(server.stop(), 0)

    def test_killed_node(self):
        server = self.server()
        ti = self.start(server, "i=$(cat $WEIR_CONTEXT); test -n \"$i\" && { echo went on at $i; exit 0; }; weir report --context 5; "
                                "while :; do sleep 0.05; done")
        until("its context is stored", lambda: self.has_context(server, ti) == "5")
        server.signal(signal.SIGKILL)
        server.wait()
        server = self.server()
        row = self.row_when(server, ti, state="SUCCESS")
        self.assertEqual([h["end"] for h in row["history"]], ["LOST"])
        self.assertEqual(self.text(server, f"/monitor/task/{ti}/log?attempt=2"), "went on at 5\n")
        self.assertEqual(server.stop(), 0)


class ReportsMariaDb(OnMariaDb, Reports):
    pass


class Verb(unittest.TestCase):
    """`weir report` by itself."""

    def report(self, *args, fd=True, stdin=""):
        """Status, what stands on descriptor 3, standard error."""
        out, into = os.pipe()
        command = f"exec {shlex.quote(BIN)} report {shlex.join(args)} 3>&{into}" if fd else f"exec {shlex.quote(BIN)} report {shlex.join(args)} 3>&-"
        done = subprocess.run(["bash", "-c", command], input=stdin, capture_output=True, text=True, pass_fds=(into,),
                              env={**CLEAN_ENV, "WEIR_REPORT_FD": "3"})
        os.close(into)
        with open(out) as f:
            return done.returncode, f.read(), done.stderr

    def test_lines(self):
        code, said, _ = self.report("--progress", "3/10", "--unit", "fi\"les", "--message=m", "--context", "a\nb", "--result", "[1]")
        self.assertEqual(code, 0)
        self.assertEqual([json.loads(line) for line in said.splitlines()],
                         [{"progress": {"done": 3, "total": 10, "unit": "fi\"les", "message": "m"}}, {"context": "a\nb"}, {"result": [1]}])
        self.assertEqual(self.report("--progress", "0"), (0, '{"progress":{"done":0}}\n', ""))
        self.assertEqual(self.report("--context-file", "-", stdin="from é"), (0, '{"context":"from é"}\n', ""))

    def test_stopped(self):
        self.assertEqual(self.report("--context", "c", "--stopped"), (75, '{"context":"c"}\n', ""))
        self.assertEqual(self.report("--stopped"), (75, "", ""))

    def test_cut(self):
        """What the server cuts is said; at its limit nothing is."""
        self.assertEqual(self.report("--unit", "u" * 64, "--message", "m" * 1024)[::2], (0, ""))
        code, said, error = self.report("--unit", "é" * 33, "--message", "m" * 5000)
        self.assertEqual((code, error), (0, "weir report: --unit has 66 bytes and is cut to 64.\nweir report: --message has 5000 bytes and is cut to 1024.\n"))
        self.assertEqual(json.loads(said)["progress"]["unit"], "é" * 33)

    def test_refused(self):
        """Nothing of it is sent."""
        with directory() as tmp:
            (tmp / "large").write_bytes(b"x" * 1048577)
            (tmp / "nul").write_bytes(b"a\0b")
            (tmp / "no_utf8").write_bytes(b"\xff")
            for args, code in ((["--progress", "x"], 2), (["--progress", "3/"], 2), (["--progress", "-1"], 2), (["--progress", "9007199254740993"], 2),
                               (["--progress", "1", "--result", "{"], 2), (["--result", "1}\n{"], 2), (["--result", '1,"log":"x"'], 2), ([], 2),
                               (["--context"], 2), (["--context", "a", "--context", "b"], 2), (["--context", "a", "--context-file", "b"], 2),
                               (["--what", "x"], 2), (["x"], 2), (["--context-file", f"{tmp}/none"], 3), (["--context-file", f"{tmp}/large"], 4),
                               (["--context-file", f"{tmp}/nul"], 4), (["--context-file", f"{tmp}/no_utf8"], 4)):
                got, said, error = self.report(*args)
                self.assertEqual((got, said), (code, ""), args)
                self.assertRegex(error, r"^weir report: .*\.\n$")

    def test_largest(self):
        with directory() as tmp:
            (tmp / "large").write_text("x" * 1048576)
            out, into = os.pipe()
            command = f"exec {shlex.quote(BIN)} report --context-file {tmp}/large 3>&{into}"
            with subprocess.Popen(["bash", "-c", command], pass_fds=(into,), env={**CLEAN_ENV, "WEIR_REPORT_FD": "3"}) as run:
                os.close(into)
                with open(out) as f:
                    self.assertEqual(len(json.loads(f.read())["context"]), 1048576)
                self.assertEqual(run.wait(), 0)

    def test_a_number_that_is_too_large(self):
        code, said, error = self.report("--progress", "9007199254740993")
        self.assertEqual((code, said), (2, ""))
        self.assertIn("--progress takes whole numbers to 2^53, such as 3 or 3/10, not \"9007199254740993\".", error)
        self.assertEqual(self.report("--progress", "9007199254740992")[0], 0)

    def test_nobody_listens(self):
        for done in (weir("report", "--progress", "1"), weir("report")):
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("There is nobody to report to", done.stderr)
        code, _, error = self.report("--progress", "1", fd=False)
        self.assertEqual(code, 2)
        self.assertIn("There is nobody to report to", error)
        self.assertEqual(weir("report", "--help").returncode, 0)


if __name__ == "__main__":
    unittest.main()
