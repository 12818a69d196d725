"""Executors that are registered at run time: every field, every refusal, versions, and which files may be run."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import time
import unittest

from weirtest import PATIENCE, ROOT, Case, Server, delete, get, post

ECHO = '#!/bin/sh\ncat > "$WEIR_OUTPUT"\n'
SHELL = "#!/bin/sh\n"


class Here(Case):
    """A server of its own, with a folder of programs."""
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="weir-programs-"))
        os.chmod(cls.dir, 0o755)
        cls.at = Server("--executor-dir", str(cls.dir) + "/", *cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.at.stop()
        shutil.rmtree(cls.dir, ignore_errors=True)

    def program(self, name, text=ECHO, mode=0o755):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.chmod(path, mode)
        return path

    def put(self, kind, **more):
        return self.ok(post("/executor", {"executorType": kind, "mode": "program", "location": ["echo"], **more}, to=self.at))

    def refuse(self, code, symbol=None, key=None, **body):
        answer = post("/executor", body, to=self.at, headers={"Idempotency-Key": key} if key else None)
        return self.refused(answer, code, symbol)

    def run_one(self, kind, **more):
        ti = self.ok(post("/exec/task", {"taskType": kind, **more}, to=self.at))["tiId"]
        return self.task_finished(ti, to=self.at)

    def why(self, kind):
        """What the one member says; None: it offers the type."""
        (member,) = self.ok(get(f"/executor/{kind}", to=self.at))["members"]
        self.assertEqual(member["offers"], "why" not in member)
        return member.get("why")

    def why_when(self, kind, pattern):
        """Files are looked at every five seconds."""
        end = time.monotonic() + PATIENCE
        while not (why := self.why(kind)) or not re.search(pattern, why):
            if time.monotonic() > end:
                self.fail(f"{kind}: {why}, wanted {pattern}")
            time.sleep(0.05)


class Registry(Here):
    def test_the_task_as_json_and_environment(self):
        self.program("env.sh", SHELL + 'cat > "$WEIR_OUTPUT"\nenv\n')
        self.put("as.json", location=["env.sh"], config={"attempts": 2, "mine": 1, "both": "executor"})
        row = self.run_one("as.json", taskName="n", taskKey="key-1", taskContent="c\u00e4\n", params={"a": 1, "b": "x"}, context="left",
                           taskConfig={"both": "task", "env": {"OWN": "1"}})
        ti = row["tiId"]
        request = json.loads(row["result"])
        self.assertEqual(request.pop("config"), {"attempts": 2, "mine": 1, "both": "task", "env": {"OWN": "1"}})
        run_key = request["runKey"]
        self.assertEqual(request, {"tiId": ti, "taskKey": "key-1", "taskName": "n", "taskType": "as.json", "content": "c\u00e4\n",
                                   "params": {"a": 1, "b": "x"}, "context": "left", "attempt": 1, "runKey": run_key, "fence": f"{run_key}:1"})
        log = get(f"/monitor/task/{ti}/log", to=self.at).body.decode()
        for line in (f"WEIR_TI_ID={ti}", "WEIR_TASK_KEY=key-1", "WEIR_TASK_NAME=n", "WEIR_TASK_TYPE=as.json", "W_a=1", "W_b=x", "OWN=1",
                     f"WEIR_FENCE={run_key}:1", "WEIR_ATTEMPT=1"):
            self.assertIn(line + "\n", log)
        self.assertNotIn("WEIR_FI_ID", log)
        bare = json.loads(self.run_one("as.json")["result"])
        self.assertEqual(set(bare), {"tiId", "taskName", "taskType", "config", "attempt", "runKey", "fence"})

    def test_of_a_job(self):
        self.program("env.sh", SHELL + 'cat > "$WEIR_OUTPUT"\nenv\n')
        self.put("of.job", location=["env.sh"])
        job = self.ok(post("/job", {"jobKey": "j", "closed": True, "tasks": [{"taskType": "of.job"}]}, to=self.at))["jobId"]
        self.ok(get(f"/job/{job}?wait=30", to=self.at))
        (task,) = self.ok(get(f"/job/{job}/task", to=self.at))
        row = self.ok(get(f"/monitor/task/{task['tiId']}", to=self.at))
        self.assertEqual((row["state"], json.loads(row["result"])["jobId"]), ("SUCCESS", job))
        self.assertIn(f"WEIR_JOB_ID={job}\n", get(f"/monitor/task/{row['tiId']}/log", to=self.at).body.decode())

    def test_in_a_flow(self):
        self.program("echo")
        self.put("of.flow")
        flow = self.ok(post("/flow", {"flowName": "f", "flowNodes": [
            {"nodeType": "START", "nodeKey": "s"}, {"nodeType": "TASK", "nodeKey": "a:b", "prevNodes": ["s"], "tasks": [
                {"taskName": "t", "taskType": "of.flow", "taskContent": "1"}]}, {"nodeType": "END", "nodeKey": "e", "prevNodes": ["a:b"]}]}, to=self.at))
        fi = self.ok(post(f"/exec/flow/{flow['flowId']}?wait=30", to=self.at))["fiId"]
        (node,) = self.ok(get(f"/monitor/flow/{fi}", to=self.at))["nodes"]
        (row,) = self.ok(get(f"/monitor/node/{node['niId']}", to=self.at))
        self.assertEqual((row["state"], row["executorVersion"]), ("SUCCESS", 1))
        request = json.loads(row["result"])
        self.assertEqual((request["fiId"], request["nodeKey"], request["content"]), (fi, "a:b", "1"))
        self.refused(delete("/executor/of.flow", to=self.at), 40915, "IN_USE")
        self.ok(delete(f"/flow/{flow['flowId']}", to=self.at))
        self.ok(delete("/executor/of.flow", to=self.at))

    def test_results_and_exit_codes(self):
        self.program("exit.sh", SHELL + 'echo out; [ "$WEIR_CONTENT" = report ] && echo \'{"result": {"a": 1}}\' >&3; exit "${W_code:-0}"\n')
        self.put("exits", location=["exit.sh"])
        self.assertEqual(self.run_one("exits", taskContent="report")["result"], '{"a": 1}')
        for code, state in ((0, "SUCCESS"), (1, "FAILED"), (125, "FAILED")):
            self.assertEqual(self.run_one("exits", params={"code": code})["state"], state)
        self.assertEqual(self.run_one("exits", params={"code": 1}, taskConfig={"attempts": 2, "backoff": {"base": "1ms"}})["failures"], 2)
        self.assertEqual(self.run_one("exits", params={"code": 125}, taskConfig={"attempts": 2})["failures"], 1)
        ti = self.ok(post("/exec/task", {"taskType": "exits", "params": {"code": 75}}, to=self.at))["tiId"]
        self.task_in(ti, "RETRY_WAIT", to=self.at)
        self.ok(delete(f"/exec/task-ins/{ti}?force=true", to=self.at))

    def test_arguments_and_the_name(self):
        self.program("deep/er/args", SHELL + 'printf "%s|" "$@" > "$WEIR_OUTPUT"\n')
        for where in ("deep/er/args", f"{self.dir}/deep/er/args"):
            self.put("args", location=[where, "--a", "b c", ""], replace=True)
            self.assertEqual(self.run_one("args")["result"], "--a|b c||")

    def test_defaults_of_the_engine(self):
        self.program("sleep.sh", SHELL + "exec sleep 60\n")
        self.put("sleeper", location=["sleep.sh"], config={"timeout": "200ms", "queue": {"user": "of-executor"}})
        row = self.run_one("sleeper")
        self.assertEqual((row["state"], row["user"]), ("TIMEOUT", "of-executor"))
        self.assertEqual(self.run_one("sleeper", taskConfig={"timeout": "1ms"}, user="mine")["user"], "mine")

    def test_floods(self):
        """A program that never reads its input, and one that prints without end."""
        self.program("deaf.sh", SHELL + "exec <&-\nprintf ok > \"$WEIR_OUTPUT\"\n")
        self.put("deaf", location=["deaf.sh"])
        self.assertEqual(self.run_one("deaf", taskContent="x" * 1000000)["result"], "ok")
        self.program("loud.sh", SHELL + "head -c 3000000 /dev/zero | tr '\\0' x\nhead -c 3000000 /dev/zero >&3\n")
        self.put("loud", location=["loud.sh"], config={"log": 100000})
        row = self.run_one("loud")
        self.assertEqual((row["state"], row["logLost"]["reason"]), ("SUCCESS", "LIMIT"))
        self.assertLess(row["logBytes"], 110000)

    def test_same_other_replace_delete(self):
        self.program("echo")
        first = self.put("versions", document={"text": "d\u00f6c"}, executorId="id-1", labels=["gpu", "zone=a"], sha256="0" * 64)
        self.assertEqual((first["executorVersion"], first["document"], first["labels"]), (1, {"text": "d\u00f6c"}, ["gpu", "zone=a"]))
        again = self.ok(post("/executor", first, to=self.at))   # what is answered can be posted back
        self.assertEqual({**again, "members": 0}, {**first, "members": 0})
        body = {"executorType": "versions", "mode": "program", "location": "echo"}
        self.refuse(40918, "EXISTS", **body)
        second = self.ok(post("/executor", {**body, "replace": True}, to=self.at))
        self.assertEqual((second["executorVersion"], second["location"], second["createdAt"]), (2, ["echo"], first["createdAt"]))
        self.assertEqual(self.ok(post("/executor", {**body, "replace": True}, to=self.at))["executorVersion"], 2)
        self.assertEqual(self.ok(post("/executor", body, to=self.at))["executorVersion"], 2)
        self.assertEqual(self.run_one("versions")["executorVersion"], 2)
        self.assertEqual(self.ok(delete("/executor/versions", to=self.at)), {"executorType": "versions"})
        self.refused(get("/executor/versions", to=self.at), 40402)
        self.refused(delete("/executor/versions", to=self.at), 40402)
        self.refused(post("/exec/task", {"taskType": "versions"}, to=self.at), 42220)
        self.assertEqual(self.ok(post("/executor", body, to=self.at))["executorVersion"], 3)
        self.ok(delete("/executor/versions", to=self.at))

    def test_an_instance_keeps_its_version(self):
        for n in (1, 2):
            self.program(f"v{n}", SHELL + f'printf {n} > "$WEIR_OUTPUT"\n')
        saved = {"taskName": "t", "taskType": "pinned"}
        self.put("pinned", location=["v1"])
        task = self.ok(post("/task", saved, to=self.at))["taskId"]
        old = [self.ok(post("/exec/task", {"taskType": "pinned", "autoRun": False}, to=self.at))["tiId"],
               self.ok(post(f"/exec/task/{task}", {"autoRun": False}, to=self.at))["tiId"]]
        self.put("pinned", location=["v2"], replace=True)
        for ti in old:
            self.assertEqual(self.ok(get(f"/monitor/task/{ti}", to=self.at))["executorVersion"], 1)
            self.ok(post(f"/exec/task-ins/{ti}/run", to=self.at))
            row = self.task_finished(ti, to=self.at)
            self.assertEqual((row["result"], row["executorVersion"]), ("1", 1))
        row = self.ok(post(f"/exec/task/{task}?wait=30", to=self.at))   # the definition is the old one, the instance is new
        self.assertEqual((row["result"], row["executorVersion"], row["taskVersion"]), ("2", 2, 1))
        self.assertEqual(self.run_one("pinned")["result"], "2")
        self.refused(delete("/executor/pinned", to=self.at), 40915, "IN_USE")
        self.ok(delete(f"/task/{task}", to=self.at))
        self.ok(delete("/executor/pinned", to=self.at))

    def test_what_the_executor_says_is_shown(self):
        self.program("sleeps", SHELL + "sleep 600\n")
        self.put("shows", location=["sleeps"], config={"timeout": "9m", "grace": "1s"})
        for more, seconds in (({}, 540), ({"taskConfig": {"timeout": "8m"}}, 480)):
            ti = self.ok(post("/exec/task", {"taskType": "shows", **more}, to=self.at))["tiId"]
            task = self.task_in(ti, "RUNNING", to=self.at)
            self.assertEqual((task["runTimeout"], "deadlineAt" in task), (seconds, True))
            (ran,) = task["executors"]
            self.assertEqual((ran["executorType"], ran["executorVersion"]), ("shows", 1))
            self.ok(post(f"/exec/task-ins/{ti}/cancel", to=self.at))
            self.task_finished(ti, to=self.at)
        task = self.task_finished(self.ok(post("/exec/task", {"taskType": "ECHO", "taskContent": "x"}, to=self.at))["tiId"], to=self.at)
        self.assertNotIn("executorType", task["executors"][0])

    def test_in_use_by_what_lives(self):
        self.put("alive", location=["not-there-yet"])
        ti = self.ok(post("/exec/task", {"taskType": "alive"}, to=self.at))["tiId"]
        body = self.refused(delete("/executor/alive", to=self.at), 40915, "IN_USE")
        self.assertIn(str(ti), body["message"])
        self.assertEqual(self.task_in(ti, "QUEUED", to=self.at)["executorVersion"], 1)
        row = self.ok(get(f"/monitor/task/{ti}", to=self.at))
        end = time.monotonic() + PATIENCE
        while row.get("why") != "NO_EXECUTOR" and time.monotonic() < end:
            row = self.ok(get(f"/monitor/task/{ti}", to=self.at))
        self.assertIn("GET /executor/alive says why", row["whyText"])
        self.program("not-there-yet")   # it runs when the program has come
        self.assertEqual(self.task_finished(ti, to=self.at)["state"], "SUCCESS")
        self.ok(delete("/executor/alive", to=self.at))

    def test_secrets_are_not_shown(self):
        for mode, more in (("url", {"location": ["https://example.org/run?a=1"]}), ("remote", {})):
            kind = f"by-{mode}"
            made = self.ok(post("/executor", {"executorType": kind, "mode": mode, "config": {"headers": {
                "Authorization": "Bearer s3cret", "cookie": "s3cret", "X-Api-Key": "s3cret", "X-TOKEN": "s3cret", "X-Other": "shown", "key": "shown"}}, **more}, to=self.at))
            self.assertEqual(made["config"]["headers"], {"Authorization": "***", "cookie": "***", "X-Api-Key": "***", "X-TOKEN": "***",
                                                         "X-Other": "shown", "key": "shown"})
            if mode == "url":
                self.assertIsNone(self.why(kind))
            else:
                self.assertIn("remote workers", self.why(kind))
            self.refused(post("/executor", made, to=self.at), 42221)   # a mask is no secret
            ti = self.ok(post("/exec/task", {"taskType": kind, "autoRun": mode == "remote"}, to=self.at))["tiId"]
            if mode == "remote":    # nobody runs it yet
                self.assertEqual(self.ok(get(f"/monitor/task/{ti}", to=self.at))["why"], "NO_EXECUTOR")
            self.assertNotIn(b"s3cret", get("/executor", to=self.at).body + get(f"/monitor/task/{ti}", to=self.at).body)
            self.ok(post(f"/exec/task-ins/{ti}/cancel", to=self.at))

    def test_the_key(self):
        self.program("echo")
        body = {"executorType": "keyed", "mode": "program", "location": ["echo"]}
        key = {"Idempotency-Key": "k-executor"}
        first = post("/executor", body, to=self.at, headers=key)
        self.put("keyed", document="newer", replace=True)
        again = post("/executor", body, to=self.at, headers=key)
        self.assertEqual((self.ok(first)["executorVersion"], self.ok(again)["executorVersion"], again.json["replayed"]), (1, 1, True))
        self.refuse(40911, "KEY_REUSED", key="k-executor", **{**body, "document": "other"})
        self.assertEqual(self.ok(get("/executor/keyed", to=self.at))["executorVersion"], 2)

    def test_one_name_space(self):
        self.program("echo")
        for name in ("ECHO", "SHELL", "WAIT", "EXCEPTION"):
            self.refuse(40918, "EXISTS", executorType=name, mode="program", location=["echo"])
        self.put("first", executorId="only-one")
        body = self.refuse(40918, "EXISTS", executorType="other", mode="program", location=["echo"], executorId="only-one")
        self.assertIn("first", body["message"])
        self.put("first", replace=True)      # gives it back
        self.put("other", executorId="only-one")
        self.put("FIRST")                    # names are compared byte by byte

    def test_bad_bodies(self):
        good = {"executorType": "bad", "mode": "program", "location": ["echo"]}
        self.refused(post("/executor", to=self.at), 40001)
        for field, value, code in (
                ("executorType", None, 42201), ("executorType", "", 42221), ("executorType", "1a", 42221), ("executorType", "a" * 65, 42221),
                ("executorType", "a b", 42221), ("executorType", "\u00e4", 42221), ("executorType", "a/b", 42221), ("executorType", "a:b", 42221),
                ("executorId", "", 42221), ("executorId", "a b", 42221), ("executorId", "x" * 129, 42221), ("executorId", 1, 42201),
                ("mode", "PROGRAM", 42221), ("mode", 1, 42201), ("location", [], 42221), ("location", [1], 42201), ("location", {}, 42201),
                ("location", ["x"] * 17, 42221), ("config", [], 42201), ("config", {"attempts": 0}, 42221), ("config", {"env": 1}, 42201),
                ("config", {"onDelete": {"content": "true"}}, 42202), ("config", {"a": "x" * 65536}, 42216), ("document", "x" * 65536, 42216),
                ("labels", "gpu", 42201), ("labels", ["a b"], 42221), ("labels", [""], 42221), ("labels", [1], 42201), ("labels", ["a"] * 33, 42216), ("labels", ["-a"], 42221), ("labels", ["a" * 129], 42221),
                ("sha256", "0" * 63, 42221), ("sha256", "G" * 64, 42221), ("replace", 1, 42201), ("replace", "true", 42201),
                ("analyzer", "a", 42221), ("maxRunning", -1, 42221), ("maxRunning", 1000001, 42221),
                ("maxRunning", "1", 42201), ("rate", 1, 42201), ("rate", {"count": 1}, 42201), ("rate", {"count": 0, "per": "1s"}, 42221),
                ("rate", {"count": 2, "per": "1us"}, 42221), ("rate", {"count": 1, "per": "1s", "x": 1}, 42202), ("unknown", 1, 42202)):
            with self.subTest(field=field, value=str(value)[:40]):
                self.refuse(code, **{**good, field: value})
        for field in ("executorType", "mode", "location"):
            self.refuse(42221, **{k: v for k, v in good.items() if k != field})
        self.refuse(42221, executorType="bad", mode="remote", location=["x"])
        self.refuse(42221, executorType="bad", mode="url", location=["http://a/", "http://b/"])
        self.refuse(42221, executorType="bad", mode="url", location=["http://a/"], sha256="0" * 64)
        self.refused(get("/executor/bad", to=self.at), 40402)
        self.refused(get("/executor/" + "x" * 200, to=self.at), 40402)

    def test_an_analyzer_that_is_not_there(self):
        for more, path in (({"analyzer": "nope"}, "/analyzer"), ({"config": {"analyzer": "nope"}}, "/config/analyzer")):
            answer = self.refuse(42221, executorType="needs", mode="program", location=["echo"], **more)
            self.assertEqual(answer["data"]["path"], path)
        self.put("needs", config={"analyzer": {"type": "exit-code", "ok": [0]}})

    def test_bad_paths(self):
        """The form, at POST."""
        for path in ("../x", "a/../b", "..", ".", "./a", "a/.", "a//b", "a/", "/", "", "a\nb", "a\x1bb", "a\x7f", "a\u0085b", "x" * 256, "a/" * 2048 + "a",
                     "/etc/passwd", "/bin/sh", str(self.dir), f"{self.dir}x/y", f"{self.dir}/../etc/passwd", f"{self.dir}//x"):
            with self.subTest(path=path[:40]):
                self.refuse(42222, "BAD_COMMAND", executorType="bad", mode="program", location=[path])
        self.refused(post("/executor", b'{"executorType":"bad","mode":"program","location":["a\\u0000b"]}', to=self.at), 40007)
        long = "/".join(["x" * 255] * 15)
        self.put("long", location=[long])   # a name that may be, and is not there
        self.assertIn("no such program", self.why("long"))

    def test_bad_urls(self):
        for url in ("ftp://a/", "file:///etc/passwd", "example.org/", "http://", "http:///x", "http://:80/", "http://user@a/", "http://user:pw@a/", "https://a b/",
                    "http://a\\@b/", "http://\u00e4/", "javascript:1", "http://a/\n", "http://" + "a" * 4096):
            with self.subTest(url=url[:40]):
                answer = post("/executor", {"executorType": "bad", "mode": "url", "location": [url]}, to=self.at)
                self.assertIn(answer.json["code"], ("42223", "42222"), answer)
                self.assertEqual(answer.json["code"] == "42222", len(url) > 4096)

    def test_limits_are_content(self):
        made = self.put("limited", maxRunning=3, rate={"count": 5, "per": "1000ms"})
        self.assertEqual((made["maxRunning"], made["rate"], made["executorVersion"]), (3, {"count": 5, "per": "1s"}, 1))
        self.assertEqual(self.put("limited", maxRunning=3, rate={"count": 5, "per": 1})["executorVersion"], 1)
        self.refuse(40918, "EXISTS", executorType="limited", mode="program", location=["echo"], maxRunning=4)
        made = self.put("limited", maxRunning=None, rate=None, replace=True)
        self.assertEqual(made["executorVersion"], 2)
        self.assertFalse({"maxRunning", "rate"} & set(made))
        self.assertEqual(self.put("limited")["executorVersion"], 2)

    def test_pages(self):
        self.program("echo")
        for i in range(3):
            self.put(f"page-{i}")
        offset, seen = 0, []
        while offset is not None:
            answer = get(f"/executor?limit=2&offset={offset}&total=true", to=self.at)
            seen += [x["executorType"] for x in self.ok(answer)]
            offset = answer.json["page"]["next"]
        self.assertEqual(seen, sorted(seen))
        self.assertEqual(len(seen), answer.json["page"]["total"])
        self.assertLessEqual({"page-0", "page-1", "page-2"}, set(seen))


class Files(Here):
    """Which files a member runs: looked at before the offer, and at each start."""
    def offer(self, kind, name, **more):
        self.put(kind, location=[name], **more)
        return self.why(kind)

    def test_table(self):
        real = self.program("real")
        (self.dir / "folder").mkdir()
        os.mkfifo(self.dir / "pipe", 0o755)
        os.chmod(self.dir / "pipe", 0o755)
        os.symlink(real, self.dir / "link")
        os.symlink("/bin", self.dir / "bin")
        os.symlink("missing", self.dir / "dangling")
        for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("group", 0o775), ("others", 0o757), ("plain", 0o644)):
            self.program(name, mode=mode)
        for folder, mode in (("open", 0o777), ("shared", 0o775), ("sticky", 0o1777)):
            self.program(f"{folder}/below/it")
            os.chmod(self.dir / folder, mode)
        for name, pattern in (
                ("folder", "no regular file"), ("pipe", "no regular file"), ("link", "symbolic link"), ("bin/sh", "symbolic link"), ("dangling", "symbolic link"),
                ("setuid", "setuid"), ("setgid", "setgid"), ("group", "written by others"), ("others", "written by others"), ("plain", "not executable"),
                ("open/below/it", "open may be written"), ("shared/below/it", "shared may be written"), ("sticky/below/it", "sticky may be written"),
                ("real/x", "no such program|no folder"), ("missing", "no such program"), ("missing/x", "no such program")):
            with self.subTest(name=name):
                self.assertRegex(str(self.offer("of-table", name, replace=True)), pattern)
        self.assertIsNone(self.offer("of-table", "real", replace=True))
        self.assertEqual(self.run_one("of-table")["state"], "SUCCESS")
        os.chmod(self.dir, 0o777)
        try:
            self.assertRegex(str(self.offer("of-table", "real", replace=True, document="again")), "may be written")
        finally:
            os.chmod(self.dir, 0o755)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to give files away")
    def test_owners(self):
        os.chown(self.program("given"), 12345, 12345)
        self.assertIn("another user", self.offer("given", "given"))
        self.program("theirs/x")
        os.chown(self.dir / "theirs", 12345, 12345)
        self.assertIn("another user", self.offer("theirs", "theirs/x"))

    def test_sha256(self):
        path = self.program("hashed")
        right = hashlib.sha256(path.read_bytes()).hexdigest()
        self.assertIsNone(self.offer("hashed", "hashed", sha256=right))
        self.assertEqual(self.run_one("hashed")["state"], "SUCCESS")
        self.assertIn("another sha256: " + right, self.offer("hashed", "hashed", sha256="0" * 64, replace=True))

    def test_swapped_behind_the_offer(self):
        """The start looks again: the task waits, nothing is counted, and it runs when the file is right again."""
        path = self.program("swap")
        self.assertIsNone(self.offer("swap", "swap", sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
        marker = self.dir / "ran"
        for text, mode, pattern in ((f"{SHELL}touch {marker}\n", 0o755, "another sha256"), (ECHO, 0o4755, "setuid"), (ECHO, 0o777, "written by others")):
            other = self.program("swap.new", text, mode)
            os.rename(other, path)
            ti = self.ok(post("/exec/task", {"taskType": "swap"}, to=self.at))["tiId"]
            self.why_when("swap", pattern)
            row = self.task_in(ti, "QUEUED", to=self.at)
            self.assertEqual((row["failures"], row["losses"]), (0, 0))
            os.rename(self.program("swap.new"), path)
            row = self.task_finished(ti, to=self.at)
            self.assertEqual((row["state"], row["failures"], row["losses"]), ("SUCCESS", 0, 0))
        self.assertFalse(marker.exists())

    def test_a_binary(self):
        path = self.dir / "cat"
        shutil.copy(shutil.which("cat"), path)
        os.chmod(path, 0o755)
        self.assertIsNone(self.offer("binary", "cat"))
        row = self.run_one("binary", taskContent="through")
        self.assertIn('"content":"through"', get(f"/monitor/task/{row['tiId']}/log", to=self.at).body.decode())
        # a binary has no descriptor but its own four
        shutil.copy(shutil.which("ls"), path)
        self.put("listing", location=["cat", "/proc/self/fd"])
        row = self.run_one("listing")
        self.assertEqual(get(f"/monitor/task/{row['tiId']}/log", to=self.at).body.decode().split()[:4], ["0", "1", "2", "3"])

    def test_a_script_without_its_interpreter(self):
        self.program("lost", "#!/no/such/interpreter\n")
        self.put("lost", location=["lost"])
        row = self.run_one("lost")
        self.assertEqual(row["state"], "FAILED")
        self.assertIn("first line", row["errorMsg"])


class Documented(Here):
    """The programs of docs/reference/executor-protocol.md."""
    def test_programs(self):
        text = (ROOT / "docs" / "reference" / "executor-protocol.md").read_text()
        programs = dict(re.findall(r"<!-- program: (\S+) -->\n```\w+\n(.*?)```\n", text, re.S))
        self.assertEqual(set(programs), {"upper.sh", "upper.py", "upper.js"})
        for name, source in programs.items():
            with self.subTest(name=name):
                self.assertLessEqual(len([line for line in source.splitlines() if line.strip() not in ("", "}", "fi")]), 11)
                needs = {"upper.sh": "sh", "upper.py": "python3", "upper.js": "node"}[name]
                if not shutil.which(needs, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"):
                    self.skipTest(f"{needs} is not installed")
                self.program(name, source)
                self.put(name, location=[name])
                row = self.run_one(name, taskContent="hello, \"you\"\n")
                self.assertEqual((row["state"], row["result"], row["progress"]["done"]), ("SUCCESS", "HELLO, \"YOU\"\n", 1), row)
                row = self.run_one(name, taskConfig={"attempts": 3})
                self.assertEqual((row["state"], row["failures"], row["exitCode"]), ("FAILED", 1, 125))


    def page(self, mark, path="docs/reference/executor-protocol.md"):
        return dict(re.findall(rf"<!-- {mark}:? ?(\S*) -->\n```\w+\n(.*?)```\n", (ROOT / path).read_text(), re.S))

    def test_analyzer(self):
        """The analyzer of the page, called; and the answers that it shows, given by another one."""
        sources = self.page("analyzer")
        self.assertEqual(set(sources), {"names.py"})
        self.assertLessEqual(len(sources["names.py"].splitlines()), 11)
        self.program("names.py", sources["names.py"])
        self.ok(post("/analyzer", {"analyzerType": "names", "mode": "program", "location": ["names.py"], "taskTypes": ["ECHO"]}, to=self.at))
        row = self.run_one("ECHO", taskContent='["ann", "bob"]', taskConfig={"analyzer": "names"})
        self.assertEqual((row["state"], row["verdict"], row["result"], row["children"]),
                         ("SUCCESS", "done", "2", {"total": 2, "live": 0, "failed": 0, "known": 0}), row)
        row = self.run_one("ECHO", taskContent="none", taskConfig={"analyzer": "names", "attempts": 1})
        self.assertEqual((row["state"], row["verdict"]), ("FAILED", "failed"), row)
        self.assertIn("no list of names", row["errorMsg"])
        self.program("echo.py", '#!/usr/bin/env python3\nimport json, os, sys\nopen(os.environ["WEIR_OUTPUT"], "w").write(json.load(sys.stdin)["result"])\n')
        self.ok(post("/analyzer", {"analyzerType": "echo", "mode": "program", "location": ["echo.py"], "taskTypes": ["HTTP"]}, to=self.at))
        answers = json.loads(self.page("answers")[""])
        for answer, verdict in zip(answers, ("done", "retry", "failed"), strict=True):
            ti = self.ok(post("/exec/task", {"taskType": "ECHO", "taskContent": json.dumps(answer), "taskConfig": {"analyzer": "echo", "attempts": 2}},
                              to=self.at))["tiId"]
            end = time.monotonic() + PATIENCE
            while (row := self.ok(get(f"/monitor/task/{ti}", to=self.at))).get("verdict") != verdict:
                self.assertLess(time.monotonic(), end, row)
                time.sleep(0.02)
            self.assertEqual(row.get("children", {"total": 0})["total"], len(answer.get("tasks", [])))
            post(f"/exec/task-ins/{ti}/cancel", {}, to=self.at)

    def test_bodies(self):
        """The files that cli.md shows are taken."""
        self.ok(post("/executor", json.loads(self.page("body: executor", "docs/reference/cli.md")[""]), to=self.at))
        self.ok(post("/analyzer", json.loads(self.page("body: analyzer", "docs/reference/cli.md")[""]), to=self.at))


class DocumentedSites(Here):
    """The sites of the same page."""
    options = ("--http-allow", "127.0.0.1/32:*")

    def test_sites(self):
        text = (ROOT / "docs" / "reference" / "executor-protocol.md").read_text()
        sites = dict(re.findall(r"<!-- site: (\S+) -->\n```\w+\n(.*?)```\n", text, re.S))
        self.assertEqual(set(sites), {"upper-site.py", "upper-site.js"})
        for name, source in sites.items():
            with self.subTest(name=name):
                self.assertLessEqual(len(source.splitlines()), 12)
                needs = {"upper-site.py": "python3", "upper-site.js": "node"}[name]
                if not shutil.which(needs):
                    self.skipTest(f"{needs} is not installed")
                with subprocess.Popen([needs, self.program(name, source), "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as site:
                    try:
                        port = site.stdout.readline().split()[1]
                        self.put(name, mode="url", location=[f"http://127.0.0.1:{port}/"])
                        row = self.run_one(name, taskContent="hello, \"you\" \u00e4\n")
                        self.assertEqual((row["state"], row["result"]), ("SUCCESS", "HELLO, \"YOU\" \u00c4\n"), row)
                        row = self.run_one(name, taskConfig={"attempts": 3})
                        self.assertEqual((row["state"], row["failures"]), ("FAILED", 1))
                    finally:
                        site.kill()


class Rights(Case):
    def test_off_without_dev(self):
        at = Server(dev=False)
        try:
            token = {"Authorization": "Bearer " + pathlib.Path(at.dir, "weir.token").read_text().strip()}
            body = {"executorType": "x", "mode": "remote"}
            self.refused(post("/executor", body, to=at), 40101)
            self.assertIn("--allow-executors", self.refused(post("/executor", body, to=at, headers=token), 40301, "FORBIDDEN")["message"])
            self.refused(delete("/executor/x", to=at, headers=token), 40301)
            self.assertEqual(self.ok(get("/executor", to=at, headers=token)), [])
        finally:
            at.stop()

    def test_on_where_it_is_said(self):
        at = Server("--allow-executors", dev=False)
        try:
            token = {"Authorization": "Bearer " + pathlib.Path(at.dir, "weir.token").read_text().strip()}
            made = self.ok(post("/executor", {"executorType": "x", "mode": "program", "location": ["p"]}, to=at, headers=token))
            self.assertEqual([m["offers"] for m in made["members"]], [False])
            self.refused(post("/executor", {"executorType": "y", "mode": "program", "location": ["/p"]}, to=at, headers=token), 42222)
        finally:
            at.stop()

    def test_folders(self):
        for name in ("relative", "/a/../b", "/a//b"):
            done = subprocess.run([os.environ.get("WEIR_BIN", str(ROOT / "build" / "weir")), "server", "--dev", "--executor-dir", name], capture_output=True, text=True,
                                  timeout=PATIENCE)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("--executor-dir", done.stderr)


if __name__ == "__main__":
    unittest.main()
