"""Stand-alone tasks: POST /exec/task, /exec/tasks, /exec/task/{id}; their names (taskKey), times and queues; GET /monitor/task."""
import threading
import unittest
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from weirtest import Case, delete, get, inline, post, request

MIB = 1 << 20


def name():
    return f"k-{uuid.uuid4()}"


def echo(text="x", **more):
    return {"taskType": "ECHO", "taskContent": text, **more}


def of_queue(kind, queue):
    node = inline(kind)
    node["tasks"][0]["taskConfig"] = {"queue": queue}
    return node


class Submits(Case):
    def submit(self, body, **kw):
        return self.ok(post("/exec/task", body, **kw))

    def refuse(self, code, path, body, to="/exec/task"):
        answer = self.refused(post(to, body), code)
        self.assertEqual(answer["data"].get("path"), path, answer)
        return answer


class One(Submits):
    def test_inline(self):
        row = self.submit(echo("hello", taskName="greet", params={"a": 1}))
        self.assertEqual((row["taskName"], row["taskType"], row["params"]), ("greet", "ECHO", {"a": 1}))
        self.assertIn(row["state"], ("QUEUED", "RUNNING", "SUCCESS"))
        for field in ("niId", "fiId", "taskId", "taskVersion", "taskKey", "startAt", "history"):
            self.assertNotIn(field, row)
        self.assertEqual((row["user"], row["group"], row["priority"], row["cpuOverhead"], row["runNo"]), ("", "", 0, 0, 1))
        done = self.task_finished(row["tiId"])
        self.assertEqual((done["state"], done["result"], done["history"]), ("SUCCESS", "hello", []))
        self.assertTrue(done["host"])
        self.assertEqual(get(f"/monitor/task/{row['tiId']}/log").body, b"hello")

    def test_the_name_is_the_type_when_there_is_none(self):
        self.assertEqual(self.submit(echo())["taskName"], "ECHO")

    def test_all_control_fields_are_shown(self):
        at = datetime.now(timezone.utc) + timedelta(days=2)
        row = self.submit(echo(user="ann", group="böse Gruppe", priority=-100, cpuOverhead=1000000, taskKey=name(), startAt=at.isoformat()))
        self.assertEqual((row["user"], row["group"], row["priority"], row["cpuOverhead"]), ("ann", "böse Gruppe", -100, 1000000))
        self.assertEqual((row["state"], row["why"]), ("BLOCKED", "DELAYED"))
        self.assertEqual(datetime.fromisoformat(row["startAt"]), at)
        shown = self.ok(get(f"/monitor/task/{row['tiId']}"))
        for field in ("taskKey", "user", "group", "priority", "cpuOverhead", "startAt", "runNo", "state", "why", "whyText", "createdAt"):
            self.assertEqual(shown[field], row[field])

    def test_bad_fields(self):
        self.refuse(42220, "/taskType", {})
        self.refuse(42220, "/taskType", {"taskType": "NOPE"})
        self.refuse(42201, "/taskType", {"taskType": 1})
        self.refuse(42202, "/taskDescription", echo(taskDescription="x"))
        self.refuse(42204, "/taskName", echo(taskName=""))
        self.refuse(42201, "/taskConfig", echo(taskConfig=1))
        self.refuse(42221, "/taskConfig/attempts", echo(taskConfig={"attempts": 0}))
        for field, low, high in (("priority", -101, 101), ("cpuOverhead", -1, 1000001)):
            self.refuse(42221, f"/{field}", echo(**{field: low}))
            self.refuse(42221, f"/{field}", echo(**{field: high}))
            self.refuse(42201, f"/{field}", echo(**{field: "1"}))
            self.refuse(42221, f"/taskConfig/queue/{field}", echo(taskConfig={"queue": {field: high}}))
        for field in ("user", "group"):
            self.refuse(42221, f"/{field}", echo(**{field: "x" * 129}))
            self.refuse(42221, f"/{field}", echo(**{field: "a\nb"}))
            self.refuse(42201, f"/{field}", echo(**{field: 1}))
            self.assertEqual(self.submit(echo(**{field: "é" * 128}))[field], "é" * 128)
        self.refuse(42202, "/taskConfig/queue/weight", echo(taskConfig={"queue": {"weight": 1}}))
        self.refuse(42221, "/ifExists", echo(ifExists="maybe"))
        self.refuse(42201, "/autoRun", echo(autoRun="no"))
        for bad in ("", "x" * 129, "a b", "ü", "\x7f"):
            self.refuse(42221, "/taskKey", echo(taskKey=bad))
        self.refuse(42222, "/taskContent", {"taskType": "SHELL"})
        self.refused(post("/exec/task"), 40001)
        self.refused(post("/exec/task", []), 40003)
        self.refused(post("/exec/task", echo(params={"a": []})), 42201)

    def test_where_a_type_refuses(self):
        """The place of what a type refuses: alone, in a list, in a flow; and the settings that there are."""
        script = {"taskType": "SHELL", "taskContent": "true"}
        argv = {"taskType": "SHELL", "taskConfig": {"argv": ["true"], "cwd": "relative"}}
        known = "Known here: attempts, backoff, timeout, queueTimeout, onLost, queue, labels."
        for code, path, task, text in (
                (42220, "/taskType", {"taskType": "NOPE"}, "Known types: "),
                (42202, "/taskConfig/foo", echo(taskConfig={"attempts": 1, "foo": 1}), f'taskConfig has no field "foo". {known}'),
                (42202, "/taskConfig/a~1b~0", echo(taskConfig={"a/b~": 1}), known),
                (42202, "/taskConfig/onDelete", echo(taskConfig={"onDelete": {"content": "x"}}), known),
                (42202, "/taskConfig/time_out", {"taskType": "WAIT", "taskConfig": {"time_out": 1}}, "did you mean timeout?"),
                (42221, "/taskContent", {"taskType": "WAIT", "taskContent": "soon", "taskConfig": {"foo": 1}}, "is not a time"),
                (42202, "/taskConfig/qqqqqqqq", {**script, "taskConfig": {"cwd": "/", "qqqqqqqq": 1}}, "Known here: argv"),
                (42222, "/taskConfig/cwd", argv, "cwd"), (42222, "/taskContent", {"taskType": "SHELL"}, ""),
                (42222, "/taskConfig/argv", {**script, "taskConfig": {"argv": ["true"]}}, "not both")):
            with self.subTest(path):
                self.assertIn(text, self.refuse(code, path, task)["message"])
                self.refuse(code, f"/tasks/1{path}", {"tasks": [echo(), task]}, to="/exec/tasks")
                self.refuse(code, path, {"taskName": "t", **task}, to="/task")
                node = {"nodeType": "TASK", "tasks": [{"taskName": "t", **task}]}
                self.refuse(code, f"/flowNodes/0/tasks/0{path}", {"flowName": "f", "flowNodes": [node]}, to="/flow")

    def test_settings_at_the_top(self):
        for field in ("attempts", "onDelete", "heartbeatTimeout", "timeout", "argv", "grace"):
            for to, body in (("/exec/task", echo(**{field: 1})), ("/task", echo(taskName="t", **{field: 1}))):
                self.assertEqual(self.refuse(42202, f"/{field}", body, to=to)["message"], f'Unknown field "{field}". It belongs in taskConfig.')
        self.assertIn("Did you mean", self.refuse(42202, "/taskTipe", echo(taskTipe="x"))["message"])

    def test_unknown_fields_of_wishes(self):
        ti = self.submit(echo(autoRun=False))["tiId"]
        self.refuse(42202, "/foo", {"foo": 1}, to=f"/exec/task-ins/{ti}/run")
        self.refuse(42202, "/foo", {"foo": 1}, to=f"/exec/task-ins/{ti}/queue")
        self.refuse(42202, "/filter/foo", {"filter": {"foo": 1}}, to="/exec/task-ins/run")
        self.refuse(42202, "/foo~1bar", {"foo/bar": 1}, to="/monitor/flow")
        fi = self.start(self.flow(inline("ECHO"))["flowId"])
        flow = self.ok(get(f"/monitor/flow/{fi}"))["flowId"]
        self.refuse(42202, "/user", {"fiId": fi, "user": "u"}, to=f"/exec/flow/{flow}")

    def test_times(self):
        self.refuse(42221, "/startAt", echo(delay=1, startAt="2030-01-01T00:00:00Z"))
        self.refuse(42221, "/autoRun", echo(autoRun=False, delay=1))
        self.refuse(42221, "/autoRun", echo(autoRun=False, startAt="2030-01-01T00:00:00Z"))
        for bad in ("2030-01-01 00:00:00", "2030-01-01T00:00:00", "2030-01-01", "soon"):
            self.refuse(42221, "/startAt", echo(startAt=bad))
        for bad in (-1, "366d", 365 * 86400 + 1, "-1s", "x"):
            self.refuse(42221, "/delay", echo(delay=bad))
        self.refuse(42201, "/delay", echo(delay=True))
        for now in ({"delay": 0}, {"delay": "0s"}, {"startAt": "2001-01-01T00:00:00+02:00"}, {"delay": 0.001}):
            self.assertEqual(self.task_finished(self.submit(echo(**now))["tiId"])["state"], "SUCCESS")
        far = self.submit(echo(delay="365d"))
        self.assertEqual((far["state"], far["why"]), ("BLOCKED", "DELAYED"))
        self.assertEqual(self.task_finished(self.submit(echo(delay="200ms"))["tiId"])["state"], "SUCCESS")

    def test_held(self):
        row = self.submit(echo(autoRun=False))
        self.assertEqual((row["state"], row["why"], row["execStatus"], row["attempt"]), ("CREATED", "NOT_STARTED", "RUNNING", 0))
        self.assertIs(self.ok(post(f"/exec/task-ins/{row['tiId']}/run"))["changed"], True)
        self.assertEqual(self.task_finished(row["tiId"])["runNo"], 1)

    def test_a_context_is_there_at_the_start(self):
        row = self.submit({"taskType": "SHELL", "taskContent": "cat $WEIR_CONTEXT", "context": "from the submit"})
        self.task_finished(row["tiId"])
        self.assertEqual(get(f"/monitor/task/{row['tiId']}/log").body, b"from the submit")
        self.assertEqual(get(f"/monitor/task/{row['tiId']}/context").body, b"from the submit")
        held = self.submit({"taskType": "SHELL", "taskContent": "cat $WEIR_CONTEXT; exit 1", "context": "old", "autoRun": False})["tiId"]
        self.ok(post(f"/exec/task-ins/{held}/run", {"context": "newer"}))
        self.assertEqual(self.task_finished(held)["state"], "FAILED")
        self.assertEqual(get(f"/monitor/task/{held}/log").body, b"newer")
        self.ok(post(f"/exec/task-ins/{held}/run", {"context": ""}))
        self.task_until(held, lambda r: r["runNo"] == 2 and r["state"] == "FAILED")
        self.assertEqual(get(f"/monitor/task/{held}/log?attempt=2").body, b"")

    def test_sizes(self):
        big = self.task_finished(self.submit(echo("x" * MIB))["tiId"])
        self.assertEqual(len(big["result"]), MIB)
        answer = self.refuse(42216, "/taskContent", echo("x" * (MIB + 1)))
        self.assertEqual((answer["data"]["limit"], answer["data"]["got"]), (MIB, MIB + 1))
        self.refused(post("/exec/task", echo("x" * (4 * MIB))), 41301)
        self.refused(post("/exec/task", {"taskType": "ECHO", "params": {str(i): 1 for i in range(100001)}}), 41302)


class ById(Submits):
    def test_control_fields_and_the_definition_as_default(self):
        task = self.task(taskConfig={"queue": {"user": "u", "group": "g", "priority": 3, "cpuOverhead": 50}})
        plain = self.ok(post(f"/exec/task/{task}"))
        self.assertEqual((plain["user"], plain["group"], plain["priority"], plain["cpuOverhead"], plain["taskId"]), ("u", "g", 3, 50, task))
        own = self.ok(post(f"/exec/task/{task}", {"user": "", "priority": 0, "params": {"p": 1}}))
        self.assertEqual((own["user"], own["group"], own["priority"], own["cpuOverhead"]), ("", "g", 0, 50))
        self.assertEqual(self.ok(get(f"/monitor/task/{own['tiId']}"))["priority"], 0)
        self.refuse(42202, "/taskType", {"taskType": "ECHO"}, f"/exec/task/{task}")
        self.refused(post("/exec/task/999999999", {"delay": 1}), 40402)

    def test_a_task_of_a_node_shows_its_definition_s(self):
        flow = self.flow({"nodeType": "TASK", "tasks": [{**echo(), "taskConfig": {"queue": {"user": "n", "priority": 7}}}]})["flowId"]
        node = self.finished(self.start(flow))["nodes"][0]["niId"]
        row = self.ok(get(f"/monitor/node/{node}"))[0]
        self.assertEqual((row["user"], row["group"], row["priority"], row["cpuOverhead"], row["runNo"]), ("n", "", 7, 0, 1))

    def test_two_definitions_are_two_contents(self):
        one, two, key = self.task(), self.task(), name()
        first = self.ok(post(f"/exec/task/{one}", {"taskKey": key}))["tiId"]
        self.assertEqual(self.ok(post(f"/exec/task/{one}", {"taskKey": key}))["tiId"], first)
        self.refused(post(f"/exec/task/{two}", {"taskKey": key}), 40911)
        self.refuse(40911, "/taskKey", echo(taskKey=key))


class Keys(Submits):
    def test_long_scripts(self):
        """A script of up to 1 MiB: what does not go into one argument stands in a file. It behaves alike, and nothing of it stays."""
        for n in (65536, 65537, 131073, MIB):
            begin, end = "echo $# $W_a $WEIR_ATTEMPT\n", "\necho end; cat"
            script = begin + "#" * (n - len(begin) - len(end)) + end
            ti = self.ok(post("/exec/task", {"taskType": "SHELL", "taskContent": script, "params": {"a": "x"}, "taskConfig": {"stdin": "in"}}))["tiId"]
            self.assertEqual(self.task_finished(ti)["state"], "SUCCESS")
            self.assertEqual(get(f"/monitor/task/{ti}/log").body, b"0 x 1\nend\nin")
        self.refused(post("/exec/task", {"taskType": "SHELL", "taskContent": "#" * (MIB + 1)}), 42222, "BAD_COMMAND")

    def test_same_content_is_the_same_task(self):
        key = name()
        first = post("/exec/task", echo("a", taskKey=key, params={"x": 1, "y": "z"}))
        self.assertNotIn("replayed", first.json)
        ti = first.data["tiId"]
        self.task_finished(ti)
        again = post("/exec/task", f' {{"params": {{"y":"z","x":1}}, "taskKey":"{key}" ,"taskContent":"a","taskType":"ECHO"}} '.encode())
        self.assertEqual((self.ok(again)["tiId"], again.data["state"], again.json["replayed"]), (ti, "SUCCESS", True))
        for other in (echo("b", taskKey=key, params={"x": 1, "y": "z"}), echo("a", taskKey=key), echo("a", taskKey=key, params={"x": 2, "y": "z"})):
            self.refused(post("/exec/task", other), 40911, "KEY_REUSED")

    def test_a_move_is_no_other_content(self):
        key = name()
        ti = self.submit(echo(taskKey=key, autoRun=False, user="a"))["tiId"]
        self.assertEqual(self.ok(post(f"/exec/task-ins/{ti}/queue", {"user": "b", "priority": 9}))["user"], "b")
        self.assertEqual(self.submit(echo(taskKey=key, autoRun=False, user="a"))["tiId"], ti)

    def test_if_exists(self):
        key = name()
        body = {"taskType": "EXCEPTION", "taskKey": key}
        ti = self.submit({**body, "ifExists": "fail"})["tiId"]
        self.assertEqual(self.task_finished(ti)["state"], "FAILED")
        self.assertEqual(self.submit({**body, "ifExists": "return"})["state"], "FAILED")
        self.assertIn(str(ti), self.refused(post("/exec/task", {**body, "ifExists": "fail"}), 40911)["message"])
        again = post("/exec/task", {**body, "ifExists": "rerunFailed"})
        self.assertEqual((self.ok(again)["tiId"], again.data["runNo"], again.json["replayed"]), (ti, 2, True))
        done = self.task_finished(ti)
        self.assertEqual((done["state"], done["runNo"], [h["runNo"] for h in done["history"]]), ("FAILED", 2, [1]))
        good = self.submit(echo(taskKey=name()))
        self.task_finished(good["tiId"])
        self.assertEqual(self.submit(echo(taskKey=good["taskKey"], ifExists="rerunFailed"))["runNo"], 1)

    def test_a_deleted_task_frees_its_name(self):
        key = name()
        ti = self.submit(echo("a", taskKey=key, autoRun=False))["tiId"]
        self.ok(delete(f"/exec/task-ins/{ti}"))
        self.refused(get(f"/monitor/task/{ti}"), 40402)
        new = post("/exec/task", echo("b", taskKey=key))
        self.assertNotEqual(self.ok(new)["tiId"], ti)
        self.assertNotIn("replayed", new.json)

    def test_the_idempotency_key_is_looked_at_first(self):
        key, once = name(), {"Idempotency-Key": name()}
        ti = self.submit(echo("a", taskKey=key), headers=once)["tiId"]
        again = request("POST", "/exec/task", echo("a", taskKey=key), once)
        self.assertEqual((self.ok(again)["tiId"], again.json["replayed"]), (ti, True))
        self.refused(request("POST", "/exec/task", echo("a", taskKey=name()), once), 40911)
        self.refused(request("POST", "/exec/task", echo("a", taskKey=key, ifExists="fail"), {"Idempotency-Key": name()}), 40911)

    def test_many_at_once(self):
        key, got = name(), []
        threads = [threading.Thread(target=lambda: got.append(post("/exec/task", echo(taskKey=key)))) for _ in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len({self.ok(a)["tiId"] for a in got}), 1)
        self.assertEqual(sum("replayed" not in a.json for a in got), 1)


class Many(Submits):
    def test_order_and_names(self):
        key, there = name(), self.submit(echo("there", taskKey=name()))
        body = {"tasks": [echo("1"), echo("k", taskKey=key), echo("3"), echo("k", taskKey=key), echo("there", taskKey=there["taskKey"])]}
        answer = post("/exec/tasks", body)
        ids = self.ok(answer)
        self.assertNotIn("replayed", answer.json)
        self.assertEqual((ids[1], ids[4], len(set(ids))), (ids[3], there["tiId"], 4))
        for ti, text in zip(ids, ("1", "k", "3", "k", "there")):
            self.assertEqual(self.task_finished(ti)["result"], text)

    def test_all_or_nothing(self):
        user, key = name(), name()
        self.submit(echo("x", taskKey=key))
        good = echo(user=user)
        self.refuse(42221, "/tasks/1/priority", {"tasks": [good, echo(priority=1000)]}, "/exec/tasks")
        self.refuse(42201, "/tasks/1", {"tasks": [good, 7]}, "/exec/tasks")
        self.refuse(42202, "/tasks/0/taskId", {"tasks": [{"taskId": 1}]}, "/exec/tasks")
        self.refuse(40911, "/tasks/1/taskKey", {"tasks": [good, echo("other", taskKey=key)]}, to="/exec/tasks")
        self.refuse(40911, "/tasks/0/taskKey", {"tasks": [echo("other", taskKey=key)]}, to="/exec/tasks")
        answer = self.refuse(40911, "/tasks/2/taskKey", {"tasks": [good, echo("a", taskKey="same-" + key), echo("b", taskKey="same-" + key)]}, to="/exec/tasks")
        self.assertEqual(answer["message"], "Another task of this request has this taskKey, and was made with other content.")
        answer = self.refuse(42216, "/tasks", {"tasks": [good] * 1001}, "/exec/tasks")
        self.assertEqual((answer["data"]["limit"], answer["data"]["got"]), (1000, 1001))
        self.assertEqual(self.ok(get(f"/monitor/task?user={user}")), [])
        self.assertEqual(self.ok(post("/exec/tasks", {"tasks": [echo("a", taskKey="same-" + key)]}))[0] > 0, True)

    def test_a_thousand(self):
        user = name()
        ids = self.ok(post("/exec/tasks", {"tasks": [echo(str(i), user=user) for i in range(1000)]}))
        self.assertEqual(len(set(ids)), 1000)
        for ti in (ids[0], ids[500], ids[999]):
            self.assertEqual(self.task_finished(ti)["result"], str(ids.index(ti)))
        self.assertEqual(self.ok(post("/exec/tasks", {"tasks": []})), [])

    def test_an_idempotency_key(self):
        once, key = {"Idempotency-Key": name()}, name()
        there = self.submit(echo("there", taskKey=key))["tiId"]
        body = {"tasks": [echo("1"), echo("there", taskKey=key), echo("3")]}
        first = self.ok(request("POST", "/exec/tasks", body, once))
        again = request("POST", "/exec/tasks", body, once)
        self.assertEqual((self.ok(again), again.json["replayed"], first[1]), (first, True, there))

    def test_a_large_body(self):
        body = {"tasks": [echo("x" * 65536) for _ in range(200)]}
        ids = self.ok(post("/exec/tasks", body))
        self.assertEqual(len(self.task_finished(ids[199])["result"]), 65536)


class Lists(Submits):
    @classmethod
    def setUpClass(cls):
        case = cls()
        cls.user = name()
        cls.keys = [f"list-{cls.user}-{i}" for i in range(3)]
        cls.held = case.ok(post("/exec/tasks", {"tasks": [echo(user=cls.user, group="a", autoRun=False, taskKey=k) for k in cls.keys]}))
        cls.done = case.submit(echo(user=cls.user, group="b"))["tiId"]
        cls.failed = case.submit({"taskType": "EXCEPTION", "user": cls.user, "group": "b"})["tiId"]
        cls.task = case.task()
        cls.of_task = case.ok(post(f"/exec/task/{cls.task}", {"user": cls.user}))["tiId"]
        for ti in (cls.done, cls.failed, cls.of_task):
            case.task_finished(ti)

    def ids(self, query):
        return [row["tiId"] for row in self.ok(get(f"/monitor/task?user={self.user}&{query}"))]

    def test_filters(self):
        everything = [self.of_task, self.failed, self.done, *self.held[::-1]]
        self.assertEqual(self.ids(""), everything)
        self.assertEqual(self.ids("group=a"), self.held[::-1])
        self.assertEqual(self.ids("group="), [self.of_task])
        self.assertEqual(self.ids("type=EXCEPTION"), [self.failed])
        self.assertEqual(self.ids("state=CREATED"), self.held[::-1])
        self.assertEqual(self.ids("state=SUCCESS,FAILED"), [self.of_task, self.failed, self.done])
        self.assertEqual(self.ids("state=FAILED&state=CREATED"), [self.failed, *self.held[::-1]])
        self.assertEqual(self.ids("status=RUNNING"), self.held[::-1])
        self.assertEqual(self.ids("status=FAILED"), [self.failed])
        self.assertEqual(self.ids(f"taskKey={quote(self.keys[1])}"), [self.held[1]])
        self.assertEqual(self.ids(f"taskKey={quote('list-' + self.user)}*"), self.held[::-1])
        self.assertEqual(self.ids(f"taskId={self.task}"), [self.of_task])
        self.assertEqual(self.ids("from=2001-01-01&to=2001-01-02"), [])
        self.assertEqual(self.ids("from=2001-01-01T00:00:00Z"), everything)
        self.assertEqual(self.ids("limit=2"), everything[:2])
        self.assertEqual(self.ids("limit=2&offset=5"), everything[5:])
        page = get(f"/monitor/task?user={self.user}&limit=2&total=true").json["page"]
        self.assertEqual(page, {"limit": 2, "offset": 0, "next": 2, "total": 6})
        row = self.ok(get(f"/monitor/task?taskKey={quote(self.keys[0])}"))[0]
        self.assertEqual((row["taskKey"], row["state"], row["why"], row["group"]), (self.keys[0], "CREATED", "NOT_STARTED", "a"))

    def test_tasks_of_nodes_too(self):
        fi = self.start(self.flow(inline("ECHO", "in a flow"))["flowId"])
        self.finished(fi)
        of_nodes = [r for r in self.ok(get("/monitor/task?alone=false&limit=500")) if r.get("fiId") == fi]
        self.assertEqual([(r["taskName"], r["state"], r["runNo"]) for r in of_nodes], [("t", "SUCCESS", 1)])
        self.assertNotIn(fi, [r.get("fiId") for r in self.ok(get("/monitor/task?limit=500"))])

    def test_refusals(self):
        for query in ("state=DONE", "state=CREATED,", "status=DEAD", "taskKey=", "taskKey=a%20b", "taskId=0", "alone=maybe", "user=a&user=b",
                      f"user={'x' * 600}", "from=soon", "total=1", "name=x"):
            self.refused(get(f"/monitor/task?{query}"), 42205)
        for query in ("limit=501", "after=", "after=1", "after=1.x", "after=0.1", "after=1.2.3"):
            self.refused(get(f"/monitor/task?{query}"), 42206)
        for where, message in (("after=x", "after must be what page.after of an answer said."), ("limit=501", "limit must be 1 to 500, offset 0 or more."),
                               ("user=%00", "user must be at most 128 characters, UTF-8 without NUL."),
                               ("group=%ff", "group must be at most 128 characters, UTF-8 without NUL.")):
            self.assertEqual(get(f"/monitor/task?{where}").json["message"], message)
        answer = self.refused(get("/monitor/task/1/log?attempt=99999999999"), 42205)
        self.assertEqual(answer["message"], "attempt must be 1 to 4294967295, or all.")
        self.refused(post("/monitor/task", {}), 40501)


class OfNodes(Case):
    """GET /monitor/task?alone=false finds the tasks of nodes by what their rows show."""

    def test_whose_tasks_of_nodes(self):
        user = name()
        flow = self.flow(inline(), of_queue("ECHO", {"user": user, "group": "own"}), {"nodeType": "TASK", "taskIds": str(self.task())},
                         inline("EXCEPTION"))["flowId"]
        fi = self.start(flow, {"user": user, "group": "all"})
        self.finished(fi)
        other = self.start(flow)
        self.finished(other)
        rows = {r["tiId"]: r for r in self.ok(get("/monitor/task?alone=false&limit=500")) if r.get("fiId") in (fi, other)}
        self.assertEqual(len(rows), 8)

        def found(query):
            return [r["tiId"] for r in self.ok(get(f"/monitor/task?alone=false&{query}&limit=500"))]

        for group in ("", "own", "all", "none"):
            mine = [t for t, r in rows.items() if r["user"] == user and r["group"] == group]
            self.assertEqual(len(mine), {"own": 2, "all": 3}.get(group, 0))
            self.assertEqual(found(f"user={user}&group={group}"), mine)
            self.assertEqual([t for t in found(f"group={group}") if t in rows], [t for t, r in rows.items() if r["group"] == group])
        self.assertEqual(found(f"user={user}"), [t for t, r in rows.items() if r["user"] == user])
        for kind in ("ECHO", "EXCEPTION", "WAIT"):
            self.assertEqual([t for t in found(f"type={kind}") if t in rows], [t for t, r in rows.items() if r["taskType"] == kind])
            self.assertEqual(found(f"user={user}&type={kind}"), [t for t, r in rows.items() if (r["user"], r["taskType"]) == (user, kind)])
        self.assertEqual(found(f"user={user}&state=FAILED"), [t for t, r in rows.items() if r["user"] == user and r["state"] == "FAILED"])
        page = get(f"/monitor/task?alone=false&user={user}&limit=2&offset=1&total=true").json
        self.assertEqual([r["tiId"] for r in page["data"]], [t for t, r in rows.items() if r["user"] == user][1:3])
        self.assertEqual(page["page"], {"limit": 2, "offset": 1, "next": 3, "total": 5})
        self.assertEqual(self.ok(get(f"/monitor/task?user={user}")), [])

    def test_whose_tasks_of_a_flow_of_many_runs(self):
        user = name()
        flow = self.flow(of_queue("EXCEPTION", {"user": user}))["flowId"]
        fi = self.start(flow)
        self.finished(fi)
        for run in range(2, 62):
            self.assertEqual(self.ok(post(f"/exec/flow/{flow}", {"fiId": fi}))["runNo"], run)
            self.finished(fi)
        found = self.ok(get(f"/monitor/task?alone=false&user={user}&type=EXCEPTION&limit=500"))
        self.assertEqual([(r["fiId"], r["runNo"], r["user"]) for r in found], [(fi, n, user) for n in range(61, 0, -1)])


if __name__ == "__main__":
    unittest.main()
