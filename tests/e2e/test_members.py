"""Members: processes that register, are seen, drain and come back; labels; roles apart. On MariaDB without and with Redis, and what a
single node on SQLite does of it.

A task that is to be seen running waits for a file, so that nothing here depends on how fast it is.
"""
import json
import unittest

from live import Refused, Server, directory, shell, task, until, weir
from services import HAVE_REDIS, OnMariaDb, Redis


class Quiet(Server):
    """A server without the role api: it listens nowhere."""

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if line == "ready\n":
                self.url = "none"
                self.ready.set()
        self.ready.set()


class Members(unittest.TestCase):
    options = ("--slots", "2", "--lease", "3s")

    def setUp(self):
        super().setUp()
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)

    def store(self):
        return ()

    def node(self, name, *options, kind=Server):
        server = kind(self.tmp / name, *self.store(), *self.options, *options)
        self.addCleanup(server.kill)
        return server

    def member(self, server, pid=None):
        """The row of the process with that pid, as this server shows it."""
        pid = pid or server.pid
        return next(m for m in server.get("/members?all=true") if m["pid"] == pid)

    def becomes(self, server, state, pid=None):
        return until(f"the member is {state}", lambda: (m := self.member(server, pid))["state"] == state and m)

    def gated(self, name):
        return f'until [ -e "{self.tmp / name}" ]; do sleep 0.02; done; echo through'

    def submit(self, server, script="true", **fields):
        return server.post("/exec/task", {"taskType": "SHELL", "taskContent": script, **fields})["tiId"]

    def row(self, server, ti):
        return server.get(f"/monitor/task/{ti}")

    def when(self, server, ti, **want):
        return until(f"task {ti} is {want}", lambda: (r := self.row(server, ti)) and all(r.get(k) == v for k, v in want.items()) and r)


class Single(Members):
    """One process on SQLite."""

    def test_what_a_member_says_of_itself(self):
        one = self.node("a", "--labels", "gpu, zone=a,gpu")
        m = self.member(one)
        self.assertEqual((m["state"], m["roles"], m["labels"], m["slots"], m["slotsUsed"], m["running"]),
                         ("LIVE", ["api", "runner", "worker"], ["gpu", "zone=a"], 2, 0, 0))
        self.assertLessEqual({"ECHO", "WAIT", "SHELL", "EXCEPTION"}, set(m["types"]))
        self.assertRegex(m["version"], r"^\d+\.\d+\.\d+$")
        self.assertLess(m["ageMs"], 10000)
        ti = self.submit(one, self.gated("go"))
        self.when(one, ti, state="RUNNING")
        m = until("it is seen", lambda: (m := self.member(one))["running"] == 1 and m)
        self.assertEqual(m["slotsUsed"], 1)
        self.assertEqual(self.row(one, ti)["memberId"], m["memberId"])
        (self.tmp / "go").touch()
        row = self.when(one, ti, state="SUCCESS")
        self.assertEqual(row["executors"], [{"memberId": m["memberId"], "host": m["host"], "attempt": 1}])
        self.assertEqual(row["executions"], 1)

    def test_former_members_are_shown(self):
        one = self.node("a")
        first, second = self.member(one)["memberId"], None
        one.kill()
        two = self.node("a")
        second = self.member(two)["memberId"]
        self.assertEqual(two.stop(), 0)
        three = self.node("a")
        self.assertEqual([(m["memberId"], m["state"]) for m in three.get("/members")],
                         [(self.member(three)["memberId"], "LIVE"), (second, "GONE"), (first, "DEAD")])
        self.assertIn("endedAt", three.get(f"/members/{first}"))
        with self.assertRaises(Refused) as refused:
            three.post(f"/members/{first}/drain")
        self.assertEqual(refused.exception.answer["code"], "40913")
        self.assertEqual(three.stop(), 0)

    def test_a_drain_lets_submits_wait(self):
        one = self.node("a")
        me = self.member(one)["memberId"]
        running = self.submit(one, self.gated("go"))
        self.when(one, running, state="RUNNING")
        self.assertEqual(one.post(f"/members/{me}/drain")["state"], "DRAINING")
        waits = self.submit(one)
        row = self.when(one, waits, why="NO_EXECUTOR")
        self.assertIn("drain", row["whyText"])
        self.assertEqual((row["state"], row["attempt"]), ("QUEUED", 0))
        flow = one.flow(shell("a", "true"), task("b", "ECHO", "x", "a"))
        self.assertTrue(one.answer("GET", "/readyz")["data"]["ok"])
        (self.tmp / "go").touch()
        self.when(one, running, state="SUCCESS", attempt=1)
        self.becomes(one, "DRAINED")
        self.assertEqual(self.row(one, waits)["state"], "QUEUED")
        self.assertEqual(one.post(f"/members/{me}/undrain")["state"], "LIVE")
        self.when(one, waits, state="SUCCESS", attempt=1)
        self.assertEqual(one.ended(flow)["state"], "SUCCESS")
        self.assertEqual(one.stop(), 0)

    def test_the_time_of_a_drain(self):
        one = self.node("a")
        me = self.member(one)["memberId"]
        wait = one.post("/exec/task", {"taskType": "WAIT", "taskContent": "3600"})["tiId"]
        # it would run for ever; what it says on TERM is its own
        shell_task = self.submit(one, "trap 'exit 1' TERM; while :; do sleep 0.05; done", taskConfig={"attempts": 1})
        for ti in (wait, shell_task):
            self.when(one, ti, state="RUNNING")
        one.post(f"/members/{me}/drain", {"timeout": 0})
        self.becomes(one, "DRAINED")
        for ti in (wait, shell_task):
            row = self.when(one, ti, state="QUEUED")
            self.assertEqual((row["failures"], row["losses"], [h["end"] for h in row["history"]], row["executions"]), (0, 0, ["HANDBACK"], 0))
        one.post(f"/members/{me}/undrain", {})
        for ti in (wait, shell_task):
            self.when(one, ti, state="RUNNING", attempt=2)
            one.post(f"/exec/task-ins/{ti}/cancel")
            self.when(one, ti, state="CANCELED")
        self.assertEqual(one.stop(), 0)

    def test_labels_that_nobody_has(self):
        one = self.node("a", "--labels", "gpu,zone=a")
        for labels in (["gpu"], "zone=a, gpu", {"gpu": True, "zone": "a"}, []):
            self.when(one, self.submit(one, taskConfig={"labels": labels}), state="SUCCESS")
        for labels in (["GPU"], ["zone"], ["zone=b"], ["gpu", "ssd"]):
            row = self.when(one, self.submit(one, taskConfig={"labels": labels}), why="NO_EXECUTOR")
            self.assertIn(",".join(labels), row["whyText"])
            self.assertEqual(row["attempt"], 0)
        for labels in ([""], ["a b"], ["=x"], ["x="], [1], 5, None, {"a": 1}, "a,,b", ["a,b"], ["x" * 129], {"a=b": "c"}):
            with self.assertRaises(Refused) as refused:
                self.submit(one, taskConfig={"labels": labels})
            self.assertEqual(refused.exception.status, 422, labels)
            self.assertIn("/taskConfig/labels", refused.exception.answer["data"]["path"])

    def test_the_verb(self):
        one = self.node("a")
        env = {"WEIR_SERVER": one.url}
        me = str(self.member(one)["memberId"])
        done = weir("member", "ls", env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rf"(?m)^MEMBER +HOST +PID +STATE .*\n{me} .* {one.pid} +LIVE ")
        self.assertEqual(json.loads(weir("member", "ls", "-o", "json", env=env).stdout)[0]["memberId"], int(me))
        done = weir("member", "drain", me, "--wait", "--timeout", "1s", "-o", "json", env=env)
        self.assertEqual((done.returncode, json.loads(done.stdout)["state"]), (0, "DRAINED"))
        shown = weir("member", "show", me, env=env).stdout
        for line in (f"memberId +{me}", "state +DRAINED", r"roles\.0 +\w+", r"hints +-"):
            self.assertRegex(shown, f"(?m)^{line}$")
        self.assertEqual(json.loads(weir("member", "show", me, "-o", "json", env=env).stdout)["memberId"], int(me))
        self.assertEqual(json.loads(weir("member", "undrain", me, "-o", "json", env=env).stdout)["state"], "LIVE")
        self.assertEqual(json.loads(weir("member", "drain", "--all", "-o", "json", env=env).stdout)[0]["memberId"], int(me))
        self.assertEqual(weir("member", "undrain", "--all", "--server", one.url).returncode, 0)
        self.assertEqual(self.member(one)["state"], "LIVE")
        for code, words in ((3, ("drain", "99")), (2, ("drain", "x")), (2, ("drain",)), (2, ()), (2, ("jump",)), (2, ("ls", "1")),
                            (3, ("show", "99")), (2, ("show", "x")), (2, ("show",)), (2, ("show", "1", "2")), (2, ("show", me, "--all")),
                            (2, ("ls", "--wait")), (2, ("ls", "--timeout", "5")), (2, ("undrain", me, "--wait")), (2, ("undrain", me, "--timeout", "5")),
                            (2, ("show", me, "--wait")), (5, ("ls", "--server", one.url + "/api")), (2, ("ls", "--token", "s3cret")), (2, ("ls", "--al")),
                            (4, ("drain", me, "--timeout", "never")), (5, ("ls", "--server", "http://127.0.0.1:1")),
                            (2, ("ls", "--server", "127.0.0.1:1")), (2, ("ls", "--server", "http://a:b@127.0.0.1:1"))):
            done = weir("member", *words, env=env)
            self.assertEqual((done.returncode, done.stdout), (code, ""), (words, done.stderr))
            self.assertRegex(done.stderr, r"^weir member: [^\n]+\n$")
            self.assertNotIn("s3cret", done.stderr)

    def test_the_token(self):
        one = Server(self.tmp / "s", dev=False)
        self.addCleanup(one.kill)
        token = (self.tmp / "s" / "weir.token").read_text().strip()
        (self.tmp / "t").write_text(token + "\n")
        for code, words, env in ((0, ("--data", str(self.tmp / "s")), {}), (0, ("--token-file", str(self.tmp / "t")), {}),
                                 (0, (), {"WEIR_TOKEN": token}), (4, (), {"WEIR_TOKEN": "wrong"}), (4, ("--data", str(self.tmp)), {}),
                                 (2, ("--token-file", str(self.tmp / "none")), {})):
            done = weir("member", "ls", "--server", one.url, *words, env=env)
            self.assertEqual(done.returncode, code, (words, env, done.stderr))
        (self.tmp / "other").mkdir(mode=0o711)
        (self.tmp / "other" / "weir.token.host").write_text("db1:/var/lib/weir")
        (self.tmp / "other" / "weir.token.host").chmod(0o600)
        for says, words, env in ((["WEIR_TOKEN", "weir token show"], (), {"WEIR_TOKEN": "s3cret"}), (["WEIR_TOKEN", "--token-file", "--data"], (), {}),
                                 (["WEIR_TOKEN", "--token-file", "db1:/var/lib/weir"], ("--data", str(self.tmp / "other")), {}),
                                 (["--token-file"], ("--token-file", "s3cret"), {})):
            done = weir("member", "ls", "--server", one.url, *words, env=env)
            for text in says:
                self.assertIn(text, done.stderr)
            self.assertNotIn("s3cret", done.stderr)
            self.assertNotIn("Bearer", done.stderr)


class Two(OnMariaDb, Members):
    def test_a_drain_sends_work_elsewhere(self):
        one, two = self.node("a"), self.node("b")
        flow = one.flow({"nodeKey": "n", "tasks": [{"taskName": "t", "taskType": "SHELL", "taskContent": self.gated("go")}] * 4})
        until("both run", lambda: all(self.member(one, s.pid)["running"] == 2 for s in (one, two)))
        self.assertEqual(two.post(f"/members/{self.member(one)['memberId']}/drain")["state"], "DRAINING")
        until("it has read that", lambda: any("event=runner.drain " in line for line in one.lines))
        later = [self.submit(one) for _ in range(20)]
        self.assertTrue(one.answer("GET", "/readyz")["data"]["ok"])
        (self.tmp / "go").touch()
        self.assertEqual(one.ended(flow)["state"], "SUCCESS")
        self.becomes(two, "DRAINED", one.pid)
        other = self.member(two)["memberId"]
        for ti in later:
            row = self.when(two, ti, state="SUCCESS")
            self.assertEqual((row["memberId"], row["failures"], row["losses"]), (other, 0, 0))
        two.post(f"/members/{self.member(one)['memberId']}/undrain")
        two.post(f"/members/{other}/drain")
        until("it has read that", lambda: any("event=runner.undrain " in line for line in one.lines))
        until("it has read that", lambda: any("event=runner.drain " in line for line in two.lines))
        row = self.when(two, self.submit(two), state="SUCCESS")
        self.assertEqual(row["memberId"], self.member(one)["memberId"])
        self.assertEqual((one.stop(), two.stop()), (0, 0))

    def test_the_time_of_a_drain(self):
        one = self.node("a")
        ids = [self.submit(one, "trap 'exit 1' TERM; while [ ! -e go ]; do sleep 0.05; done", taskConfig={"cwd": str(self.tmp)}) for _ in range(2)]
        for ti in ids:
            self.when(one, ti, state="RUNNING")
        two = self.node("b")
        two.post(f"/members/{self.member(one)['memberId']}/drain", {"timeout": "100ms"})
        for ti in ids:
            row = self.when(two, ti, state="RUNNING", attempt=2)
            self.assertEqual(([h["end"] for h in row["history"]], row["failures"], row["losses"]), (["HANDBACK"], 0, 0))
            self.assertEqual([(e["memberId"], e["attempt"]) for e in row["executors"]],
                             [(self.member(two, one.pid)["memberId"], 1), (self.member(two)["memberId"], 2)])
        self.becomes(two, "DRAINED", one.pid)
        (self.tmp / "go").touch()
        for ti in ids:
            self.when(two, ti, state="SUCCESS")
        self.assertEqual((one.stop(), two.stop()), (0, 0))

    def test_killed_is_dead_and_stopped_is_gone(self):
        one, two = self.node("a"), self.node("b")
        ids = [self.submit(one, self.gated("go")) for _ in range(4)]
        until("both run", lambda: all(self.member(two, s.pid)["running"] == 2 for s in (one, two)))
        one.kill()
        self.becomes(two, "DEAD", one.pid)
        three = self.node("c", "--slots", "4")
        (self.tmp / "go").touch()
        for ti in ids:
            self.when(two, ti, state="SUCCESS")
        lost = [r for r in (self.row(two, ti) for ti in ids) if r["losses"]]
        self.assertEqual(len(lost), 2)
        self.assertEqual({r["executors"][0]["memberId"] for r in lost}, {self.member(two, one.pid)["memberId"]})
        self.assertEqual(three.stop(), 0)
        self.assertEqual(self.becomes(two, "GONE", three.pid)["running"], 0)
        self.assertEqual(two.stop(), 0)

    def test_labels_of_two(self):
        one, two = self.node("a", "--labels", "zone=a,ssd"), self.node("b", "--labels", "zone=b,gpu")
        of = {"a": self.member(one)["memberId"], "b": self.member(two)["memberId"]}
        tasks = [(zone, self.submit(server, taskConfig={"labels": [f"zone={zone}"]}))
                 for _ in range(6) for zone in "ab" for server in (one, two)]
        flow = one.flow(shell("a", "true", taskConfig={"labels": ["gpu"]}), shell("b", "true", "a", taskConfig={"labels": ["ssd"]}))
        for zone, ti in tasks:
            self.assertEqual(self.when(one, ti, state="SUCCESS")["memberId"], of[zone])
        ended = one.ended(flow)
        self.assertEqual(ended["state"], "SUCCESS")
        for node, zone in zip(ended["nodes"], "ba"):
            (row,) = one.get(f"/monitor/node/{node['niId']}")
            self.assertEqual(row["memberId"], of[zone])
        self.assertEqual((one.stop(), two.stop()), (0, 0))

    def test_roles_apart(self):
        """S3's managers and workers, any number of both: api and runner beside workers that listen nowhere."""
        api = self.node("m1", "--roles", "api")
        self.assertEqual(self.member(api)["types"], [])
        runner = self.node("m2", "--roles", "runner", kind=Quiet)
        api.post(f"/members/{self.member(api, runner.pid)['memberId']}/drain")  # it runs no task, and calls no analyzer just now
        until("it is drained", lambda: self.member(api, runner.pid)["state"] == "DRAINED")
        waits = self.submit(api)
        self.assertEqual(self.when(api, waits, why="NO_EXECUTOR")["state"], "QUEUED")
        workers = [self.node(f"w{i}", "--roles", "worker", kind=Quiet) for i in range(2)]
        self.when(api, waits, state="SUCCESS")
        flow = api.flow({"nodeKey": "n", "tasks": [{"taskName": "t", "taskType": "SHELL", "taskContent": "true"}] * 12},
                        task("e", "ECHO", "x", "n"))
        self.assertEqual(api.ended(flow)["state"], "SUCCESS")
        ran = {t["memberId"] for t in api.get("/monitor/task?alone=false&limit=100")}
        roles = {m["memberId"]: m["roles"] for m in api.get("/members")}
        self.assertEqual({tuple(roles[m]) for m in ran}, {("worker",)})
        self.assertEqual([s.stop() for s in (*workers, runner, api)], [0, 0, 0, 0])


@unittest.skipUnless(HAVE_REDIS, "no Redis here")
class TwoRedis(Two):
    def setUp(self):
        super().setUp()
        self.redis = Redis(self.tmp)
        self.addCleanup(self.redis.stop)

    def store(self):
        return ("--store", self.db.url, "--queue", self.redis.url)


if __name__ == "__main__":
    unittest.main()
