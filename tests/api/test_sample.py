"""S2's own requests, word for word, and what they answer: names, envelope, time format, states."""
import re
import unittest

from weirtest import Case, Server, get, inline, post, request

TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
RFC = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
EXCEPTION = b"""{
    "taskName":"exception task1",
    "taskType":"EXCEPTION",
    "taskContent":"task content"
}"""
FLOW = b"""{
    "flowName":"first flow",
    "flowDescription":"first flow for test1",
    "flowNodes":[
            {
                "nodeType":"START"
            },
            {
                "nodeType":"TASK",
                "taskIds":"1"
            },
            {
                "nodeType":"TASK",
                "taskIds":"2"
            },
            {
                "nodeType":"TASK",
                "taskIds":"3"
            },
            {
                "nodeType":"TASK",
                "taskIds":"1"
            },
            {
                "nodeType":"END"
            }
        ]
    }"""


class Sample(Case):
    """On a server of its own: ids count from 1."""

    @classmethod
    def setUpClass(cls):
        cls.own = Server()

    @classmethod
    def tearDownClass(cls):
        if cls.own.stop() != 0:
            raise AssertionError("the server did not end well: " + "".join(cls.own.lines))

    def tearDown(self):
        self.assertEqual(get("/readyz", to=self.own).status, 200)

    def call(self, method, path, body=None):
        answer = request(method, path, body, {"Content-Type": "application/json"} if isinstance(body, bytes) else None, self.own)
        data = self.ok(answer)
        self.assertTrue(answer.body.startswith(b'{"code":"200","message":"SUCCESS","data":'))
        return data

    def finished(self, fi):
        while True:
            data = self.call("GET", f"/monitor/flow/{fi}")
            if data["status"] != "RUNNING":
                return data

    def test_whole_sample(self):
        echo = self.call("POST", "/task", {"taskName": "first task1", "taskType": "ECHO"})
        wait = self.call("POST", "/task", {"taskName": "wait task1", "taskType": "WAIT", "taskContent": "0.05"})
        failing = self.call("POST", "/task", EXCEPTION)
        self.assertEqual([t["taskId"] for t in (echo, wait, failing)], [1, 2, 3])
        self.assertEqual((failing["taskName"], failing["taskType"], failing["taskContent"]), ("exception task1", "EXCEPTION", "task content"))
        for t in (echo, wait, failing):
            self.assertRegex(t["createTime"], TIME)
            self.assertRegex(t["updateTime"], TIME)
        self.assertEqual(self.call("GET", "/task/3"), failing)
        self.definition()
        self.run_of_the_sample()

    def definition(self):
        flow = self.call("POST", "/flow", FLOW)
        self.assertEqual((flow["flowId"], flow["flowVersion"], flow["flowName"], flow["flowDescription"]), (1, 1, "first flow", "first flow for test1"))
        nodes = flow["flowNodes"]
        self.assertEqual([n["nodeType"] for n in nodes], ["START", "TASK", "TASK", "TASK", "TASK", "END"])
        self.assertEqual([n["tasks"][0]["taskId"] for n in nodes[1:5]], [1, 2, 3, 1])
        self.assertNotIn("prevNode", nodes[0])
        for before, after in zip(nodes, nodes[1:]):
            self.assertEqual(after["prevNode"], before["nodeId"])
        for n in nodes:
            self.assertRegex(n["createTime"], TIME)
            self.assertNotIn(None, n.values())
        self.assertEqual([t["taskName"] for t in nodes[1]["tasks"]], ["first task1"])
        self.assertEqual(self.call("GET", "/flow/1"), flow)
        again = self.call("POST", "/flow", b'{"flowId":1,' + FLOW.strip()[1:])
        self.assertEqual((again["flowId"], again["flowVersion"]), (1, 2))
        self.assertFalse({n["nodeId"] for n in again["flowNodes"]} & {n["nodeId"] for n in nodes})

    def run_of_the_sample(self):
        started = self.call("POST", "/exec/flow/1")
        self.assertEqual((started["fiId"], started["flowId"], started["flowName"], started["status"], started["errorMsg"]),
                         (1, 1, "first flow", "RUNNING", ""))
        done = self.finished(1)
        self.assertEqual((done["status"], done["state"], done["flowVersion"]), ("FAILED", "FAILED", 2))
        self.assertEqual(done["errorMsg"], "node n4: task content")
        self.assertEqual([n["state"] for n in done["nodes"]], ["SUCCESS", "SUCCESS", "FAILED", "UPSTREAM_FAILED"])
        self.assertEqual([n["status"] for n in done["nodes"]], ["SUCCESS", "SUCCESS", "FAILED", "FAILED"])
        self.assertEqual([n["nodeKey"] for n in done["nodes"]], ["n2", "n3", "n4", "n5"])
        history = self.call("POST", "/monitor/flow", b'{"flowId":1,"fiId":1}')
        self.assertEqual(len(history), 1)
        for field in ("fiId", "flowId", "flowName", "startTime", "endTime", "status", "errorMsg", "createTime", "updateTime"):
            self.assertIn(field, history[0])
        self.assertEqual({k: v for k, v in done.items() if k not in ("nodes", "progress")}, history[0])
        detail = self.call("POST", "/monitor/flow/detail/1")
        self.assertEqual(detail, done["nodes"])
        self.node_rows(detail)
        self.retry(done)

    def node_rows(self, nodes):
        for n in nodes:
            for field in ("niId", "fiId", "nodeId", "nodeKey", "nodeType", "status", "state", "errorMsg", "createTime", "updateTime"):
                self.assertIn(field, n)
            for field in ("startTime", "endTime", "createTime", "updateTime"):
                if field in n:
                    self.assertRegex(n[field], TIME)
            for field in ("startedAt", "endedAt"):
                if field in n:
                    self.assertRegex(n[field], RFC)
            self.assertNotIn(None, n.values())
        for before, after in zip(nodes, nodes[1:3]):
            self.assertLessEqual(before["endedAt"], after["startedAt"])

    def retry(self, done):
        """Fix the task, retry the node: what came before keeps its rows."""
        self.call("POST", "/task", {"taskId": 3, "taskType": "ECHO"})
        again = self.call("POST", "/exec/flow/1", {"fiId": 1, "niId": done["nodes"][2]["niId"]})
        self.assertEqual((again["fiId"], again["runNo"]), (1, 2))
        self.assertIn(again["status"], ("RUNNING", "SUCCESS"))  # it is read back, and its tasks take a millisecond
        now = self.finished(1)
        self.assertEqual((now["status"], now["errorMsg"]), ("SUCCESS", ""))
        self.assertEqual([n["status"] for n in now["nodes"]], ["SUCCESS"] * 4)
        self.assertEqual(now["nodes"][:2], done["nodes"][:2])
        self.assertNotEqual(now["nodes"][2]["niId"], done["nodes"][2]["niId"])
        everything = self.ok(request("POST", "/monitor/flow/detail/1?runs=all", to=self.own))
        self.assertEqual(len(everything), 6)

    def test_zz_task_alone(self):
        task = self.call("POST", "/task", {"taskName": "alone", "taskType": "ECHO", "taskContent": "hi"})["taskId"]
        one = self.call("POST", f"/exec/task/{task}")
        self.assertEqual((one["taskId"], one["execStatus"] in ("RUNNING", "SUCCESS")), (task, True))
        self.assertNotIn("niId", one)
        while True:
            now = self.call("GET", f"/monitor/task/{one['tiId']}")
            if now["execStatus"] != "RUNNING":
                break
        self.assertEqual((now["execStatus"], now["state"], now["result"], now["errorMsg"]), ("SUCCESS", "SUCCESS", "hi", ""))


class Monitor(Case):
    def test_nodes_and_tasks(self):
        node = inline("SHELL", "echo out; echo err >&2; exit 3", nodeKey="k", attempts=2, backoff={"base": "1ms", "max": "1ms"})
        fi = self.start(self.flow(node)["flowId"])
        done = self.finished(fi)
        self.assertEqual(done["status"], "FAILED")
        tasks = self.ok(get(f"/monitor/node/{done['nodes'][0]['niId']}"))
        self.assertEqual(len(tasks), 1)
        task = tasks[0]
        self.assertEqual((task["exitCode"], task["attempt"], task["failures"], task["losses"]), (3, 2, 2, 0))
        self.assertEqual((task["taskName"], task["taskType"], task["niId"], task["fiId"]), ("t", "SHELL", done["nodes"][0]["niId"], fi))
        one = self.ok(get(f"/monitor/task/{task['tiId']}"))
        self.assertEqual([a["attempt"] for a in one["history"]], [1])
        self.assertEqual({k: v for k, v in one.items() if k not in ("history", "executions", "executors")}, task)
        for attempt in ("", "?attempt=1", "?attempt=2"):
            self.assertEqual(sorted(get(f"/monitor/task/{task['tiId']}/log{attempt}").body.split()), [b"err", b"out"])

    def test_nodes_can_be_left_out_or_paged(self):
        flow = self.flow(*[inline() for _ in range(7)])["flowId"]
        fi = self.start(flow)
        whole = self.finished(fi)["nodes"]
        self.assertEqual([n["nodeKey"] for n in whole], [f"n{i}" for i in range(1, 8)])
        self.assertNotIn("nodes", self.ok(get(f"/monitor/flow/{fi}?nodes=false")))
        answer = get(f"/monitor/flow/{fi}?limit=3&offset=2")
        self.assertEqual(self.ok(answer)["nodes"], whole[2:5])
        self.assertEqual(answer.json["page"], {"limit": 3, "offset": 2, "next": 5})
        self.assertEqual(self.ok(post(f"/monitor/flow/detail/{fi}?limit=3&offset=6")), whole[6:])
        self.assertEqual(self.ok(post(f"/monitor/flow/detail/{fi}", {"limit": 2})), whole[:2])

    def test_binary_result(self):
        ti = self.ok(post(f"/exec/task/{self.task('SHELL', 'printf ' + chr(39) + chr(92) + '377' + chr(92) + '001' + chr(39) + ' > $WEIR_OUTPUT')}"))["tiId"]
        done = self.task_finished(ti)
        self.assertEqual(done["resultBase64"], "/wE=")
        self.assertNotIn("result", done)

    def test_params_of_a_task_alone(self):
        """They reach every attempt, and the monitor shows them."""
        script = 'printf "%s|%s" "$W_who" "$W_n"; test "$WEIR_ATTEMPT" = 2'
        task = self.task("SHELL", script, taskConfig={"attempts": 2, "backoff": {"base": "1ms"}})
        params = {"who": "$(id); 'x'", "n": 5}
        made = self.ok(post(f"/exec/task/{task}", {"params": params}))
        self.assertEqual(made["params"], params)
        end = self.task_finished(made["tiId"])
        self.assertEqual((end["execStatus"], end["params"], end["attempt"]), ("SUCCESS", params, 2))
        self.assertEqual(get(f"/monitor/task/{made['tiId']}/log").body, b"$(id); 'x'|5")
        self.assertNotIn("params", self.ok(post(f"/exec/task/{task}")))

    def test_version_and_probes(self):
        self.assertEqual(self.ok(get("/livez")), {"ok": True})
        parts = {name: {"ok": True} for name in ("store", "queue", "processes", "disk")}
        self.assertEqual(self.ok(get("/readyz")), {"ok": True, "parts": parts})
        self.assertIn("version", self.ok(get("/version")))


if __name__ == "__main__":
    unittest.main()
