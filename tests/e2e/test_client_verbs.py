"""`weir executor` and `weir job`: what they print, what they ask, and how they end when it is refused."""
import json
import unittest

from live import Server, directory, until, weir


class Verbs(unittest.TestCase):
    def setUp(self):
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        self.server = Server(self.tmp / "a", "--executor-dir", self.programs())
        self.addCleanup(self.server.kill)
        self.env = {"WEIR_SERVER": self.server.url}

    def programs(self):
        folder = self.tmp / "programs"
        folder.mkdir(mode=0o755)
        (folder / "p").write_text('#!/bin/sh\nprintf done > "$WEIR_OUTPUT"\n')
        (folder / "p").chmod(0o755)
        return folder

    def well(self, *words, stdin=None):
        done = weir(*words, env=self.env, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, verb, *cases):
        for code, words in cases:
            done = weir(verb, *words, env=self.env, stdin="")
            self.assertEqual((done.returncode, done.stdout), (code, ""), (words, done.stderr))
            self.assertRegex(done.stderr, rf"^weir {verb}: [^\n]+\n$")

    def test_executors(self):
        body = {"executorType": "by.file", "mode": "program", "location": ["p", "a\x1bb", "c" * 80], "config": {"headers": {"X-Key": "s3cret"}}}
        file = self.tmp / "e.json"
        file.write_text(json.dumps(body))
        self.assertRegex(self.well("executor", "add", "-f", file), r"^TYPE +VERSION +MODE +LOCATION +OFFERED +WHY NOT\n"
                                                                   r"by\.file +1 +program +p a\?b c+\.\. +1/1 +-\n$")
        made = json.loads(self.well("executor", "add", "-f", "-", "-o", "json", stdin=json.dumps({**body, "location": ["q"], "replace": True})))
        self.assertEqual((made["executorVersion"], made["config"]["headers"]["X-Key"]), (2, "***"))
        self.assertRegex(self.well("executor", "ls"), r"\nby\.file +2 +program +q +0/1 +There is no such program[^\n]*\n$")
        self.assertEqual([x["executorType"] for x in json.loads(self.well("executor", "ls", "-o", "json"))], ["by.file"])
        shown = self.well("executor", "show", "by.file")
        for line in ("executorType +by.file", "executorVersion +2", r"location\.0 +q", "members.0.offers +no", "members.0.why +There is no such program"):
            self.assertRegex(shown, f"(?m)^{line}")
        self.assertEqual(json.loads(self.well("executor", "show", "by.file", "-o", "json"))["executorVersion"], 2)
        (self.tmp / "bad").write_text("{")
        self.refused("executor", (4, ("add", "-f", file)), (3, ("add", "-f", self.tmp / "none")), (4, ("add", "-f", self.tmp / "bad")), (4, ("add", "-f", "-")),
                     (2, ("add",)), (2, ("add", "x", "-f", file)), (2, ("rm",)), (2, ("rm", "a/b")), (2, ("rm", "a", "b")), (3, ("rm", "unknown")),
                     (2, ("show",)), (2, ("show", "a/b")), (3, ("show", "unknown")), (2, ("show", "by.file", "-f", file)), (2, ("rm", "by.file", "-f", file)),
                     (2, ("ls", "x")), (2, ("ls", "-f", file)), (2, ()), (2, ("jump",)), (5, ("ls", "--server", "http://127.0.0.1:1")))
        ti = self.server.post("/exec/task", {"taskType": "by.file", "autoRun": False})["tiId"]
        self.refused("executor", (4, ("rm", "by.file")))
        self.server.post(f"/exec/task-ins/{ti}/cancel")
        self.assertEqual(self.well("executor", "rm", "by.file"), "by.file is removed.\n")
        self.assertEqual(json.loads(self.well("executor", "ls", "-o", "json")), [])

    def test_analyzers(self):
        body = {"analyzerType": "by.file", "mode": "url", "location": ["https://crawl.example/a"], "taskTypes": ["HTTP", "ECHO"],
                "config": {"headers": {"X-Key": "s3cret"}}}
        file = self.tmp / "a.json"
        file.write_text(json.dumps(body))
        self.assertRegex(self.well("analyzer", "add", "-f", file), r"^TYPE +VERSION +MODE +LOCATION +MAY ADD\n"
                                                                   r"by\.file +1 +url +https://crawl\.example/a +HTTP,ECHO\n$")
        made = json.loads(self.well("analyzer", "add", "-f", "-", "-o", "json", stdin=json.dumps({**body, "document": 1, "replace": True})))
        self.assertEqual((made["analyzerVersion"], made["config"]["headers"]["X-Key"]), (2, "***"))
        self.assertEqual([x["analyzerType"] for x in json.loads(self.well("analyzer", "ls", "-o", "json"))], ["by.file"])
        self.assertRegex(self.well("analyzer", "show", "by.file"), r"(?m)^taskTypes\.1 +ECHO$")
        self.refused("analyzer", (3, ("show", "unknown")), (4, ("add", "-f", file)), (3, ("add", "-f", self.tmp / "none")), (2, ("add",)), (2, ("rm",)), (2, ("rm", "a/b")),
                     (3, ("rm", "unknown")), (2, ("ls", "x")), (2, ("ls", "-f", file)), (2, ()), (2, ("jump",)))
        self.assertEqual(self.well("analyzer", "rm", "by.file"), "by.file is removed.\n")
        self.assertEqual(json.loads(self.well("analyzer", "ls", "-o", "json")), [])

    def test_nothing_reaches_the_terminal(self):
        """What others have named is shown, and does nothing: neither by a table, nor by JSON, nor by a line of output."""
        odd = "\x1b[31m\u009b31mRED\u202egnp.exe\x7f"
        self.server.post("/executor", {"executorType": "odd", "mode": "program", "location": ["a", odd]})
        for words in (("ls",), ("show", "odd"), ("ls", "-o", "json"), ("show", "odd", "-o", "json")):
            printed = self.well("executor", *words)
            self.assertIn("RED", printed)
            self.assertNotRegex(printed, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", words)
        self.assertEqual(json.loads(self.well("executor", "show", "odd", "-o", "json"))["location"], ["a", odd])
        flow = json.dumps({"flowName": "f", "flowNodes": [{"nodeKey": "n", "tasks": [
            {"taskName": "t", "taskType": "SHELL", "taskContent": "printf 'x\\302\\2332J\\033c\\n'; exit 3"}]}]})
        for words in ((), ("-o", "json")):
            printed = weir("run", *words, "-", stdin=flow).stdout
            self.assertRegex(printed, r"x.+2J.+c", printed)
            self.assertNotRegex(printed, "[\x1b\x7f-\x9f]")

    def test_every_page_of_a_list(self):
        for i in range(501):
            self.server.post("/job", {"jobKey": f"k{i}", "closed": True})
        keys = [j["jobKey"] for j in json.loads(self.well("job", "ls", "--all", "-o", "json"))]
        self.assertEqual(keys, [f"k{i}" for i in reversed(range(501))])
        done = weir("job", "ls", env=self.env)
        self.assertEqual((done.returncode, done.stdout.count("\n"), done.stderr),
                         (0, 51, "weir job: these are the newest 50; --all lists the others, too.\n"))

    def test_jobs(self):
        job = self.server.post("/job", {"jobKey": "a-key", "jobName": "name", "closed": True,
                                        "tasks": [{"taskType": "ECHO"}, {"taskType": "WAIT", "taskContent": "3600"}]})["jobId"]
        until("the first has ended", lambda: self.server.get(f"/job/{job}")["counts"]["success"] == 1)
        self.assertRegex(self.well("job", "ls"), rf"^JOB +KEY +STATE +CLOSED +TASKS +SUCCESS .*\n{job} +a-key +RUNNING +yes +2 +1 +0 +0 +")
        shown = self.well("job", "show", job)
        for line in (rf"jobId +{job}", "jobKey +a-key", "jobName +name", "state +RUNNING", "closed +yes", r"counts\.total +2", r"counts\.success +1"):
            self.assertRegex(shown, f"(?m)^{line}$")
        self.assertEqual(json.loads(self.well("job", "show", job, "-o", "json"))["counts"]["total"], 2)
        self.assertRegex(self.well("job", "cancel", job), r"(?m)^counts\.total +2$")
        until("it is canceled", lambda: self.server.get(f"/job/{job}")["state"] == "CANCELED")
        self.assertEqual(json.loads(self.well("job", "retry", job, "-o", "json"))["state"], "RUNNING")
        self.refused("job", (4, ("rm", job)), (2, ("show", job, "--force")))  # its tasks run again
        gone = json.loads(self.well("job", "rm", job, "--force", "-o", "json"))
        self.assertEqual((gone["state"], gone["removed"]["tasks"]), ("DELETED", 2))
        self.refused("job", (3, ("rm", job)))
        self.refused("job", (2, ("show", "1", "--timeout", "1")), (2, ("rm", "1", "--timeout", "61")), (5, ("ls", "--server", self.server.url + "/api")))
        self.refused("job", (3, ("show", "99")), (3, ("cancel", "99")), (2, ("show", "x")), (2, ("show",)), (2, ("show", "1", "2")), (2, ("ls", "1")), (2, ()),
                     (2, ("jump",)), (2, ("show", "1", "--all")), (5, ("ls", "--server", "http://127.0.0.1:1")))

    def made(self, key, clean_up):
        """A job whose only task has ended, and cleans up like that."""
        job = self.server.post("/job", {"jobKey": key, "closed": True, "tasks": [
            {"taskType": "SHELL", "taskContent": "true", "taskConfig": {"onDelete": {"content": clean_up}}}]})["jobId"]
        until("it has ended", lambda: self.server.get(f"/job/{job}")["state"] == "SUCCESS")
        return job, self.server.get(f"/job/{job}/task")[0]["tiId"]

    def test_a_job_whose_clean_up_fails(self):
        """0 is said of a job that is gone alone."""
        job, task = self.made("fails", "exit 7")
        for _ in range(2):
            done = weir("job", "rm", job, env=self.env)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stdout, r"(?m)^state +DELETING$")
            self.assertRegex(done.stderr, rf"^weir job: [^\n]*DELETE_FAILED is task {task} \(.*7.*weir job rm {job} --force[^\n]*\n$")
        done = weir("job", "rm", job, "-o", "json", env=self.env)
        self.assertEqual((done.returncode, json.loads(done.stdout)["state"]), (1, "DELETING"))
        self.assertRegex(self.well("job", "rm", job, "--force"), r"(?m)^state +DELETED$")

    def test_a_job_that_is_still_there(self):
        gate = self.tmp / "gate"
        job, _ = self.made("slow", f"while [ ! -e {gate} ]; do sleep 0.05; done")
        done = weir("job", "rm", job, "--timeout", "0.1", env=self.env)
        self.assertEqual(done.returncode, 124, done.stderr)
        self.assertRegex(done.stderr, r"^weir job: [^\n]*still being deleted[^\n]*\n$")
        gate.touch()
        self.assertRegex(self.well("job", "rm", job), r"(?m)^state +DELETED$")
        job = self.server.post("/job", {"jobKey": "runs", "tasks": [{"taskType": "WAIT", "taskContent": "3600"}]})["jobId"]
        done = weir("job", "rm", job, env=self.env)
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertRegex(done.stderr, rf"weir job cancel {job}`.*`weir job rm {job} --force`")
        self.assertNotIn("force=true", done.stderr)


if __name__ == "__main__":
    unittest.main()
