"""Result analyzers that are registered at run time: every field, every refusal, versions."""
import os
import pathlib
import shutil
import tempfile
import unittest

from weirtest import Case, Server, delete, get, post

PROGRAM = {"mode": "program", "location": ["look"]}


class Here(Case):
    @classmethod
    def setUpClass(cls):
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="weir-programs-"))
        os.chmod(cls.dir, 0o755)
        (cls.dir / "look").write_text("#!/bin/sh\n")
        os.chmod(cls.dir / "look", 0o755)
        cls.at = Server("--executor-dir", str(cls.dir), "--http-allow", "127.0.0.0/8:*")

    @classmethod
    def tearDownClass(cls):
        cls.at.stop()
        shutil.rmtree(cls.dir, ignore_errors=True)

    def put(self, name, **more):
        return self.ok(post("/analyzer", {"analyzerType": name, **PROGRAM, **more}, to=self.at))

    def refuse(self, code, symbol=None, key=None, **body):
        answer = post("/analyzer", body, to=self.at, headers={"Idempotency-Key": key} if key else None)
        return self.refused(answer, code, symbol)


class Registry(Here):
    def test_same_other_replace_delete(self):
        made = self.put("v", document={"a": [1]}, taskTypes=["HTTP", "SHELL"])
        self.assertEqual((made["analyzerType"], made["mode"], made["location"], made["document"], made["taskTypes"], made["analyzerVersion"]),
                         ("v", "program", ["look"], {"a": [1]}, ["HTTP", "SHELL"], 1))
        self.assertEqual([m["offers"] for m in made["members"]], [True])
        self.assertEqual(self.put("v", taskTypes=["HTTP", "SHELL"], document={"a": [1]}), made)
        self.assertEqual(self.ok(post("/analyzer", made, to=self.at)), made)  # what is answered can be posted back
        body = self.refuse(40918, "EXISTS", analyzerType="v", **PROGRAM)
        self.assertIn("replace", body["message"])
        self.assertEqual(self.put("v", replace=True)["analyzerVersion"], 2)
        self.assertEqual(self.ok(get("/analyzer/v", to=self.at))["analyzerVersion"], 2)
        self.assertEqual(self.ok(delete("/analyzer/v", to=self.at)), {"analyzerType": "v"})
        self.refused(get("/analyzer/v", to=self.at), 40402)
        self.refused(delete("/analyzer/v", to=self.at), 40402)
        self.assertEqual(self.put("v")["analyzerVersion"], 3)

    def test_names_are_its_own(self):
        self.put("ECHO")  # no task type is meant
        self.ok(post("/executor", {"executorType": "both", "mode": "remote"}, to=self.at))
        self.put("both")
        self.ok(delete("/executor/both", to=self.at))
        self.assertEqual(self.ok(get("/analyzer/both", to=self.at))["analyzerVersion"], 1)
        self.refused(post("/exec/task", {"taskType": "both"}, to=self.at), 42220)

    def test_members_say_whether_they_can_call_it(self):
        def why(name):
            (member,) = self.ok(get(f"/analyzer/{name}", to=self.at))["members"]
            self.assertEqual(member["offers"], "why" not in member)
            self.assertEqual(member["memberId"], self.ok(get("/members", to=self.at))[0]["memberId"])
            (listed,) = [a for a in self.ok(get("/analyzer?limit=500", to=self.at)) if a["analyzerType"] == name]
            self.assertEqual(listed["members"], [member])
            return member.get("why")
        (made,) = self.put("not-there", location=["missing"])["members"]
        self.assertEqual((made["offers"], "no such program" in made["why"]), (False, True), made)
        self.assertEqual(why("not-there"), made["why"])
        self.put("there")
        self.assertIsNone(why("there"))
        (self.dir / "missing").write_text("#!/bin/sh\n")
        os.chmod(self.dir / "missing", 0o755)
        self.put("there", replace=True)                       # the files of all are looked at
        self.assertIsNone(why("not-there"))
        os.chmod(self.dir / "missing", 0o644)
        self.put("not-there", location=["missing"], document=1, replace=True)
        self.assertIn("execut", why("not-there"))
        os.remove(self.dir / "missing")
        self.put("by-url", mode="url", location="http://127.0.0.1:9/a")
        self.assertIsNone(why("by-url"))
        self.ok(post("/executor", {"executorType": "there", "mode": "remote"}, to=self.at))   # the names are apart
        self.assertIsNone(why("there"))
        self.assertEqual([m["offers"] for m in self.ok(get("/executor/there", to=self.at))["members"]], [False])
        self.assertNotIn("there", self.ok(get("/members", to=self.at))[0]["types"])
        self.ok(delete("/executor/there", to=self.at))

    def test_url_and_secrets(self):
        made = self.put("u", mode="url", location="http://127.0.0.1:9/a", config={"headers": {"X-Api-Key": "s3cret", "X-A": "b"}})
        self.assertEqual(made["location"], ["http://127.0.0.1:9/a"])
        self.assertEqual(made["config"]["headers"], {"X-Api-Key": "***", "X-A": "b"})
        self.refuse(42221, **{k: made[k] for k in ("analyzerType", "mode", "location", "config")}, replace=True)
        self.refuse(42221, analyzerType="u2", mode="url", location=["http://127.0.0.1:9/"], config={"headers": {"Host": "x"}})

    def test_the_key(self):
        body = {"analyzerType": "keyed", **PROGRAM}
        one = self.ok(post("/analyzer", body, to=self.at, headers={"Idempotency-Key": "a-key"}))
        again = self.ok(post("/analyzer", body, to=self.at, headers={"Idempotency-Key": "a-key"}))
        self.assertEqual(one, again)
        self.refuse(40911, key="a-key", analyzerType="other", **PROGRAM)

    def test_bad_bodies(self):
        good = {"analyzerType": "bad", **PROGRAM}
        self.refused(post("/analyzer", to=self.at), 40001)
        for field, value, code in (
                ("analyzerType", None, 42201), ("analyzerType", "", 42221), ("analyzerType", "1a", 42221), ("analyzerType", "a" * 65, 42221),
                ("analyzerType", "a b", 42221), ("analyzerType", "a/b", 42221), ("mode", "remote", 42221), ("mode", "PROGRAM", 42221), ("mode", 1, 42201),
                ("location", [], 42221), ("location", [1], 42201), ("location", {}, 42201), ("location", ["x"] * 17, 42221),
                ("config", [], 42201), ("config", {"env": 1}, 42201), ("config", {"a": "x" * 65536}, 42216), ("document", "x" * 65536, 42216),
                ("taskTypes", "ECHO", 42201), ("taskTypes", [1], 42201), ("taskTypes", [""], 42221), ("taskTypes", ["a"] * 65, 42221),
                ("taskTypes", ["a\nSHELL"], 42221), ("replace", 1, 42201), ("unknown", 1, 42202), ("executorType", "bad", 42202),
                ("labels", ["a"], 42202), ("sha256", "0" * 64, 42202), ("executorId", "x", 42202), ("analyzer", "x", 42202)):
            with self.subTest(field=field, value=str(value)[:40]):
                self.refuse(code, **{**good, field: value})
        for field in ("analyzerType", "mode", "location"):
            self.refuse(42221, **{k: v for k, v in good.items() if k != field})
        for path in ("../x", "a/../b", "/etc/passwd", "/bin/sh", "a\nb", str(self.dir), f"{self.dir}x/y"):
            with self.subTest(path=path):
                self.refuse(42222, "BAD_COMMAND", analyzerType="bad", mode="program", location=[path])
        for url in ("ftp://a/", "http://user@a/", "http://10.0.0.1/", "http://169.254.169.254/latest", f"http://127.0.0.1:{self.at.port}/x"):
            with self.subTest(url=url):
                self.refuse(42223, "URL_BLOCKED", analyzerType="bad", mode="url", location=[url])
        self.refused(get("/analyzer/bad", to=self.at), 40402)

    def test_pages(self):
        for i in range(3):
            self.put(f"page-{i}")
        offset, seen = 0, []
        while offset is not None:
            answer = get(f"/analyzer?limit=2&offset={offset}&total=true", to=self.at)
            seen += [x["analyzerType"] for x in self.ok(answer)]
            offset = answer.json["page"]["next"]
        self.assertEqual(seen, sorted(seen))
        self.assertEqual(len(seen), answer.json["page"]["total"])


class Tasks(Here):
    """taskConfig.analyzer: checked where a task is saved or submitted, shown as it was given, and kept while it is used."""

    def config(self, **more):
        return {"taskName": "t", "taskType": "ECHO", "taskContent": "x", "taskConfig": more}

    def test_saved_and_shown(self):
        self.put("shown")
        for analyzer in ("shown", {"type": "exit-code", "ok": [0, 3]}, {"type": "json-pointer", "pointer": "/ok", "equals": True},
                         {"type": "json-pointer", "pointer": ""}, {"type": "regex", "pattern": "^ok", "on": "log"},
                         {"type": "subtasks", "pointer": "/tasks", "taskTypes": ["ECHO"]}):
            with self.subTest(analyzer=analyzer):
                config = {"analyzer": analyzer, "analyzerAttempts": 3, "analyzerTimeout": "10s", "childFailure": "ignore"}
                task = self.ok(post("/task", self.config(**config), to=self.at))["taskId"]
                self.assertEqual(self.ok(get(f"/task/{task}", to=self.at))["taskConfig"], config)
                self.ok(delete(f"/task/{task}", to=self.at))

    def test_refused_with_its_place(self):
        for config, code, path in (
                ({"analyzer": "unknown"}, 42221, "analyzer"), ({"analyzer": ""}, 42221, "analyzer"), ({"analyzer": 1}, 42201, "analyzer"),
                ({"analyzer": {"type": "exit-code", "ok": [125]}}, 42221, "analyzer/ok/0"), ({"analyzer": {"type": "no"}}, 42221, "analyzer/type"),
                ({"analyzer": {"type": "regex", "pattern": "("}}, 42221, "analyzer/pattern"), ({"analyzerAttempts": 102}, 42221, "analyzerAttempts"),
                ({"analyzerTimeout": 0}, 42221, "analyzerTimeout"), ({"childFailure": "no"}, 42221, "childFailure")):
            for route, at in (("/task", ""), ("/exec/task", "")):
                with self.subTest(config=config, route=route):
                    body = self.refused(post(route, self.config(**config), to=self.at), code)
                    self.assertEqual(body["data"]["path"], f"{at}/taskConfig/{path}")
        node = {"nodeKey": "a", "tasks": [self.config(analyzer="unknown")]}
        body = self.refused(post("/flow", {"flowName": "f", "flowNodes": [node]}, to=self.at), 42221)
        self.assertEqual(body["data"]["path"], "/flowNodes/0/tasks/0/taskConfig/analyzer")

    def test_the_history_says_what_was_said(self):
        (self.dir / "half").write_text('#!/bin/sh\n[ $WEIR_ATTEMPT = 1 ] && echo \'{"verdict":"retry","message":"half a page"}\' > "$WEIR_OUTPUT" '
                                       '|| echo \'{"verdict":"failed"}\' > "$WEIR_OUTPUT"\n')
        os.chmod(self.dir / "half", 0o755)
        self.put("half", location=["half"])
        config = {"analyzer": "half", "attempts": 2, "backoff": {"base": "10ms"}}
        ti = self.ok(post("/exec/task", {"taskType": "ECHO", "taskContent": "x", "taskConfig": config}, to=self.at))["tiId"]
        task = self.task_finished(ti, to=self.at)
        self.assertEqual([(a["attempt"], a["end"], a["verdict"], a["errorMsg"]) for a in task["history"]],
                         [(1, "OK", "retry", "half a page"), (2, "OK", "failed", "")])
        config = {"analyzer": {"type": "exit-code", "ok": [3]}, "attempts": 1}
        ti = self.ok(post("/exec/task", {"taskType": "SHELL", "taskContent": "exit 4", "taskConfig": config}, to=self.at))["tiId"]
        (only,) = self.task_finished(ti, to=self.at)["history"]
        self.assertEqual((only["end"], only["verdict"]), ("FAIL", "failed"))
        self.assertIn("The exit code 4", only["errorMsg"])
        config = {"analyzer": {"type": "exit-code", "ok": [4]}}
        ti = self.ok(post("/exec/task", {"taskType": "SHELL", "taskContent": "exit 4", "taskConfig": config}, to=self.at))["tiId"]
        (only,) = self.task_finished(ti, to=self.at)["history"]
        self.assertNotIn("verdict", only)

    def test_its_queue_cannot_change_meanwhile(self):
        (self.dir / "slow").write_text("#!/bin/sh\nsleep 600\n")
        os.chmod(self.dir / "slow", 0o755)
        self.put("slow", location=["slow"])
        ti = self.ok(post("/exec/task", {"taskType": "ECHO", "taskContent": "x", "taskConfig": {"analyzer": "slow"}}, to=self.at))["tiId"]
        self.task_in(ti, "ANALYZING", to=self.at)
        body = self.refused(post(f"/exec/task-ins/{ti}/queue", {"user": "u"}, to=self.at), 40916)
        self.assertEqual(body["message"], "It is ANALYZING, and waits in no queue; wait.")
        self.ok(post(f"/exec/task-ins/{ti}/cancel", to=self.at))
        self.task_finished(ti, to=self.at)

    def test_kept_while_it_is_used(self):
        self.put("used")
        task = self.ok(post("/task", self.config(analyzer="used"), to=self.at))["taskId"]
        self.assertIn(f"task {task}", self.refused(delete("/analyzer/used", to=self.at), 40915)["message"])
        self.ok(delete(f"/task/{task}", to=self.at))
        node = {"nodeKey": "a", "tasks": [self.config(analyzer="used")]}
        flow = self.ok(post("/flow", {"flowName": "f", "flowNodes": [node]}, to=self.at))["flowId"]
        self.assertIn(f"flow {flow}", self.refused(delete("/analyzer/used", to=self.at), 40915)["message"])
        self.ok(delete(f"/flow/{flow}", to=self.at))
        ti = self.ok(post("/exec/task", {**self.config(analyzer="used"), "autoRun": False}, to=self.at))["tiId"]
        self.assertIn(f"task instance {ti}", self.refused(delete("/analyzer/used", to=self.at), 40915)["message"])
        self.ok(post(f"/exec/task-ins/{ti}/cancel", to=self.at))
        executor = {"executorType": "uses", "mode": "remote", "analyzer": "used"}
        self.assertEqual(self.ok(post("/executor", executor, to=self.at))["analyzer"], "used")
        self.assertIn("executor uses", self.refused(delete("/analyzer/used", to=self.at), 40915)["message"])
        self.ok(delete("/executor/uses", to=self.at))
        self.ok(delete("/analyzer/used", to=self.at))
        self.refused(post("/executor", executor, to=self.at), 42221)
        self.refused(post("/executor", {**executor, "analyzer": {"type": "regex"}}, to=self.at), 42221)


    def test_former_versions_of_an_executor(self):
        """A task that lives runs the version that was current when it was made."""
        self.put("former")
        body = {"executorType": "moves", "mode": "remote", "analyzer": "former"}
        self.ok(post("/executor", body, to=self.at))
        ti = self.ok(post("/exec/task", {"taskType": "moves"}, to=self.at))["tiId"]
        flow = self.ok(post("/flow", {"flowName": "f", "flowNodes": [{"nodeKey": "a", "tasks": [{"taskType": "moves"}]}]}, to=self.at))["flowId"]
        fi = self.ok(post(f"/exec/flow/{flow}", to=self.at))["fiId"]
        self.ok(post("/executor", {"executorType": "moves", "mode": "remote", "replace": True}, to=self.at))
        later = self.ok(post("/exec/task", {"taskType": "moves"}, to=self.at))["tiId"]
        next_fi = self.ok(post(f"/exec/flow/{flow}", to=self.at))["fiId"]
        self.assertIn(f"task instance {ti}.", self.refused(delete("/analyzer/former", to=self.at), 40915)["message"])
        self.ok(post(f"/exec/task-ins/{ti}/cancel", to=self.at))
        self.assertIn(f"flow instance {fi}.", self.refused(delete("/analyzer/former", to=self.at), 40915)["message"])
        self.ok(post(f"/exec/flow-ins/{fi}/cancel", to=self.at))
        self.ok(delete("/analyzer/former", to=self.at))
        self.ok(post(f"/exec/flow-ins/{next_fi}/cancel", to=self.at))
        self.ok(post(f"/exec/task-ins/{later}/cancel", to=self.at))

    def test_a_failed_program_leaves_its_result(self):
        for ok, state in (([0, 3], "SUCCESS"), ([0], "FAILED")):
            body = {"taskType": "SHELL", "taskContent": "printf left > $WEIR_OUTPUT; exit 3", "taskConfig": {"analyzer": {"type": "exit-code", "ok": ok}}}
            row = self.ok(post("/exec/task?wait=30", body, to=self.at))
            row = self.ok(get(f"/monitor/task/{row['tiId']}", to=self.at))
            self.assertEqual((row["state"], row["result"], row["exitCode"]), (state, "left", 3))
        row = self.ok(post("/exec/task?wait=30", {"taskType": "SHELL", "taskContent": "printf left > $WEIR_OUTPUT; exit 3"}, to=self.at))
        self.assertNotIn("result", self.ok(get(f"/monitor/task/{row['tiId']}", to=self.at)))


class Rights(Case):
    def test_off_without_dev(self):
        at = Server(dev=False)
        self.addCleanup(at.stop)
        token = {"Authorization": "Bearer " + pathlib.Path(at.dir, "weir.token").read_text().strip()}
        body = {"analyzerType": "no", **PROGRAM}
        self.refused(post("/analyzer", body, to=at), 40101)
        self.assertIn("--allow-executors", self.refused(post("/analyzer", body, to=at, headers=token), 40301, "FORBIDDEN")["message"])
        self.refused(delete("/analyzer/no", to=at, headers=token), 40301)
        self.assertEqual(self.ok(get("/analyzer", to=at, headers=token)), [])


if __name__ == "__main__":
    unittest.main()
