"""The table of bad inputs, row by row: the number in a test's name is the row. After each the server is healthy."""
import json
import threading
import time
import unittest

from weirtest import PATIENCE, Case, Raw, delete, get, inline, post, request, server

START, END = {"nodeType": "START"}, {"nodeType": "END"}
JSON = {"Content-Type": "application/json"}
BODIES = ("/task", "/flow", "/exec/flows", "/queue", "/executor", "/analyzer")


def node(key, *parents, **more):
    return inline(nodeKey=key, prevNodes=list(parents), **more)


class Bodies(Case):
    def each(self, body, code, symbol=None, paths=BODIES):
        for path in paths:
            with self.subTest(path=path, body=body[:60]):
                self.refused(post(path, body), code, symbol)

    def test_01_empty(self):
        self.each(b"", 40001, "BODY_MISSING")
        for path in BODIES:
            self.refused(request("POST", path), 40001)

    def test_02_broken(self):
        for body in (b"{", b"}", b'{"a":1} x', b'{"a":1}{}', b'{"a":1,}', b"{/* no */}", b"\xef\xbb\xbf{}", b"{'a':1}", b'{"a":}',
                     b'{"a":01}', b'{"a":"\n"}', b"nothing", b'{"a":"x'):
            self.each(body, 40002, "BAD_JSON")
        answer = post("/task", b'{\n"taskName": "x",\n      oops}')
        self.assertIn("ine 3", self.refused(answer, 40002)["message"])

    def test_03_not_an_object(self):
        for body in (b"[]", b"[{}]", b"1", b'"x"', b"null", b"true"):
            self.each(body, 40003, "NOT_OBJECT")

    def test_04_duplicate_key(self):
        self.each(b'{"taskName":"a","taskName":"b"}', 40004, "DUPLICATE_KEY")
        self.each(b'{"x":{"y":1,"y":1}}', 40004)

    def test_05_too_deep(self):
        for depth in (33, 5000):
            self.each(b'{"a":' * depth + b"1" + b"}" * depth, 40005, "TOO_DEEP")
        self.each(b'{"a":' + b"[" * 100000, 40005)

    def test_06_too_many_values(self):
        many = b'{"starts":[' + b"0," * 100001 + b"0]}"
        self.each(many, 41302, "TOO_MANY_VALUES", ("/task", "/exec/flows"))

    def test_07_not_utf8(self):
        for text in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\\ud800", b"\\udc00x", b"\xf4\x90\x80\x80"):
            self.each(b'{"taskName":"' + text + b'"}', 40006, "BAD_UTF8")

    def test_08_nul(self):
        self.each(b'{"taskName":"a\\u0000b"}', 40007, "NUL_IN_TEXT")

    def test_09_numbers(self):
        for number in (b"9223372036854775808", b"-9223372036854775809", b"1e400", b"1" * 400):
            self.each(b'{"taskId":' + number + b"}", 40008, "NUMBER_RANGE")
        for number in (b"NaN", b"Infinity", b"-Infinity"):
            for path in BODIES:
                self.assertEqual(post(path, b'{"taskId":' + number + b"}").status, 400)

    def test_10_wrong_type(self):
        for value in (b"1.0", b"1e3", b'"1"', b"true", b"null", b"[]", b"{}"):
            with self.subTest(value=value):
                self.refused(post("/flow", b'{"flowName":"x","flowNodes":[],"flowId":' + value + b"}"), 42201, "WRONG_TYPE")
                self.refused(post("/task", b'{"taskName":"x","taskType":"ECHO","taskId":' + value + b"}"), 42201)
                self.refused(post("/exec/flow/1", b'{"fiId":' + value + b"}"), 42201)
                self.refused(post("/monitor/flow", b'{"flowId":' + value + b"}"), 42201)
                self.refused(post("/exec/flows", b'{"starts":[{"flowId":' + value + b"}]}"), 42201)
        for field in ("flowName", "flowDescription", "onFailure"):
            self.refused(post("/flow", {"flowName": "x", "flowNodes": [], field: 7}), 42201)
        self.refused(post("/flow", {"flowName": "x", "flowNodes": {}}), 42201)
        self.refused(post("/flow", {"flowName": "x", "flowNodes": [7]}), 42201)
        self.refused(post("/flow", {"flowName": "x", "flowNodes": [{"nodeType": "TASK", "taskIds": 1}]}), 42201)
        self.refused(post("/task", {"taskName": "x", "taskType": "ECHO", "taskContent": 1}), 42201)
        self.refused(post("/exec/flow/1", {"params": []}), 42201)
        self.refused(post("/exec/flows", {"starts": {}}), 42201)
        self.refused(post("/exec/flows", {}), 42201)

    def test_11_unknown_field(self):
        answer = self.refused(post("/flow", {"flwName": "x"}), 42202, "UNKNOWN_FIELD")
        self.assertIn('Did you mean "flowName"?', answer["message"])
        for path, body, name in (("/flow", {"dag_id": "x", "tasks": []}, "flowName"), ("/task", {"name": "x"}, "taskName"),
                                 ("/exec/flow/1", {"conf": {}}, "params"), ("/exec/task/1", {"parameters": {}}, "params")):
            answer = self.refused(post(path, body), 42202, "UNKNOWN_FIELD")
            self.assertIn(f'Did you mean "{name}"?', answer["message"])
        self.refused(post("/task", {"taskNme": "x"}), 42202)
        self.refused(post("/flow", {"flowName": "x", "flowNodes": [{"nodeType": "TASK", "task": "1"}]}), 42202)
        self.refused(post("/exec/flow/1", {"param": {}}), 42202)
        self.refused(post("/exec/task/1", {"x": 1}), 42202)
        self.refused(post("/exec/flow-ins/1/cancel", {"x": 1}), 42202)
        self.refused(post("/monitor/flow", {"flowid": 1}), 42202)

    def test_12_what_get_answers_can_be_posted(self):
        task = self.task()
        self.ok(post("/task", self.ok(get(f"/task/{task}"))))
        flow = self.flow(START, {"nodeType": "TASK", "taskIds": str(task)}, inline(), END)
        again = self.ok(post("/flow", self.ok(get(f"/flow/{flow['flowId']}"))))
        self.assertEqual(again["flowVersion"], flow["flowVersion"] + 1)
        self.assertEqual(post("/flow", {"flowName": "x", "flowNodes": [], "status": "RUNNING"}).status, 422)

    def test_13_14_content_type(self):
        for kind in ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/jsonp", ""):
            for path in BODIES + ("/exec/flow/1", "/monitor/flow"):
                self.refused(request("POST", path, b"{}", {"Content-Type": kind}), 41501, "WRONG_CONTENT_TYPE")
        with Raw() as raw:
            raw.send(b"POST /task HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
            self.refused(raw.answer(), 41501)
        self.assertEqual(request("POST", "/monitor/flow", b"{}", {"Content-Type": "application/json; charset=utf-8"}).status, 200)

    def test_15_encoding(self):
        self.refused(request("POST", "/task", b"\x1f\x8b\x08", {**JSON, "Content-Encoding": "gzip"}), 41502, "ENCODING")

    def test_optional_bodies(self):
        flow = self.flow(inline())["flowId"]
        for body in (None, {}, {"params": {}}):
            self.finished(self.start(flow, body))
        self.finished(self.ok(request("POST", f"/exec/flow/{flow}", headers={"Content-Length": "0"}))["fiId"])
        self.ok(post("/monitor/flow"))
        self.ok(post("/monitor/flow", {}))


class Routes(Case):
    def test_21_unknown_paths(self):
        for path in ("/", "/flows", "/Flow", "/flow/", "/flow/1/", "/flow/1/configs", "//flow", "/flow//1", "/flow/../task", "/flow/.",
                     "/flow/%2e%2e", "/flow%2F1", "/flow/%2e", "/livez/", "/livez/x", "/flow/1%2Fx", "/exec", "/exec/flow", "/monitor",
                     "/monitor/task/1/logs", "/" + "x" * 5000, "/.git/config", "/index.html", "/favicon.ico"):
            for method in ("GET", "POST", "DELETE"):
                with self.subTest(path=path[:60], method=method):
                    self.refused(request(method, path), 40401, "NO_ROUTE")
        for path in ("/flow%00", "/flow/1%00", "/flow/%", "/flow/%zz"):
            self.refused(get(path), 40013)
        self.assertEqual(get("/livez%20").status, 404)
        self.assertEqual(get("/%6Civez").status, 200)

    def test_22_methods(self):
        for path, allow in (("/flow", {"GET", "HEAD", "POST"}), ("/flow/1", {"GET", "HEAD", "DELETE"}), ("/exec/flow/1", {"POST"}),
                            ("/monitor/flow/detail/1", {"POST"}), ("/livez", {"GET", "HEAD"})):
            for method in ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"):
                if method in allow:
                    continue
                with self.subTest(path=path, method=method):
                    answer = request(method, path)
                    self.assertEqual(answer.status, 405)
                    self.assertEqual({m.strip() for m in answer.headers["Allow"].split(",")}, allow)
                    if method != "HEAD":
                        self.refused(answer, 40501, "METHOD")
        self.refused(request("TRACE", "/flow"), 40501)
        answer = request("OPTIONS", "/flow", headers={"Origin": "http://x.example", "Access-Control-Request-Method": "POST"})
        self.assertFalse([h for h in answer.headers if h.lower().startswith("access-control")])

    def test_head_is_get_without_body(self):
        for path in ("/livez", "/flow", "/version"):
            answer, head = get(path), request("HEAD", path)
            self.assertEqual((head.status, head.body), (200, b""))
            self.assertEqual(head.headers["Content-Length"], str(len(answer.body)))

    def test_23_host(self):
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "localhost:", "[::2]", "10.1.2.3"):
            for path in ("/livez", "/flow"):
                self.refused(get(path, headers={"Host": host}), 42101, "WRONG_HOST")
        for host in ("localhost", "LOCALHOST:8088", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8088"):
            self.ok(get("/livez", headers={"Host": host}))

    def test_24_cross_site(self):
        here = f"{server().host}:{server().port}"
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"http://{here}.evil.example"},
                        {"Origin": f"http://{server().host}:1"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                        {"Origin": f"http://{here}", "Sec-Fetch-Site": "cross-site"}, {"Origin": f"x://{here}"},
                        {"Origin": f"ws://{here}"}, {"Origin": f"http://u@{here}"}):
            for method, path in (("POST", "/flow"), ("POST", "/exec/flow/1"), ("DELETE", "/task/1")):
                self.refused(request(method, path, headers=headers), 40302, "CROSS_SITE")
            self.ok(get("/flow", headers=headers))
        self.ok(request("POST", "/monitor/flow", headers={"Origin": f"http://{here}", "Sec-Fetch-Site": "same-origin"}))

    def test_28_ids(self):
        for bad in ("abc", "-1", "0", "1e3", "%EF%BC%99", "9007199254740992", "18446744073709551616", "1%20", "%201", "+1", "0x1", "01",
                    "1.0", "1;x", "1'", "%27%20OR%201=1%20--"):
            for method, path in (("GET", "/flow/%s"), ("DELETE", "/flow/%s"), ("GET", "/task/%s"), ("DELETE", "/task/%s"),
                                 ("POST", "/exec/flow/%s"), ("POST", "/exec/task/%s"), ("POST", "/exec/flow-ins/%s/cancel"),
                                 ("POST", "/exec/task-ins/%s/cancel"), ("GET", "/monitor/flow/%s"), ("POST", "/monitor/flow/detail/%s"),
                                 ("GET", "/monitor/node/%s"), ("GET", "/monitor/task/%s"), ("GET", "/monitor/task/%s/log"),
                                 ("GET", "/monitor/task/%s/progress"), ("GET", "/monitor/task/%s/context")):
                with self.subTest(id=bad, path=path):
                    self.refused(request(method, path % bad), 40011, "BAD_ID")

    def test_29_no_such_object(self):
        for gone in (999999, 9007199254740991):
            for method, path in (("GET", "/flow/%d"), ("DELETE", "/flow/%d"), ("GET", "/task/%d"), ("DELETE", "/task/%d"),
                                 ("POST", "/exec/flow/%d"), ("POST", "/exec/task/%d"), ("POST", "/exec/flow-ins/%d/cancel"),
                                 ("POST", "/exec/task-ins/%d/cancel"), ("GET", "/monitor/flow/%d"), ("POST", "/monitor/flow/detail/%d"),
                                 ("GET", "/monitor/node/%d"), ("GET", "/monitor/task/%d"), ("GET", "/monitor/task/%d/log"),
                                 ("GET", "/monitor/task/%d/progress"), ("GET", "/monitor/task/%d/context")):
                with self.subTest(path=path, id=gone):
                    self.refused(request(method, path % gone), 40402, "NOT_FOUND")
        self.assertIn("Flow 999999 ", get("/flow/999999").json["message"])
        self.refused(post("/flow", {"flowId": 999999, "flowName": "x", "flowNodes": []}), 40402)
        self.refused(post("/task", {"taskId": 999999, "taskName": "x", "taskType": "ECHO"}), 40402)
        self.refused(post("/exec/flows", {"starts": [{"flowId": 999999}]}), 40402)


class Definitions(Case):
    def test_30_texts_are_texts(self):
        for text in ("' OR 1=1 --", "%", "_", ";", "\\", '"', "; DROP TABLE task;", "\U0001f600 emoji", "${HOME}", "$(reboot)", "a%00b", "${{x}}"):
            with self.subTest(text=text):
                task = self.task(name=text, content=text, taskDescription=text)
                found = self.ok(get(f"/task/{task}"))
                self.assertEqual((found["taskName"], found["taskContent"], found["taskDescription"]), (text,) * 3)
                flow = self.flow(inline(content=text), name=text)["flowId"]
                self.assertEqual(self.ok(get(f"/flow/{flow}"))["flowName"], text)
                self.assertEqual(self.finished(self.start(flow))["flowName"], text)
        from urllib.parse import quote
        self.assertNotIn("emoji", {t["taskName"] for t in self.ok(get("/task?name=" + quote("%")))})
        for text in ("%", "_", "'", "\\"):
            for t in self.ok(get("/task?limit=500&name=" + quote(text))):
                self.assertIn(text, t["taskName"])

    def test_31_names(self):
        for name in ("", " ", " a", "a ", "x" * 129, "a\tb", "a\nb", "a\x7fb", "a\u202eb", "a\u0085b", "\u2066x"):
            with self.subTest(name=name):
                self.refused(post("/task", {"taskName": name, "taskType": "ECHO"}), 42204, "BAD_NAME")
                self.refused(post("/flow", {"flowName": name, "flowNodes": []}), 42204)
        self.task(name="x" * 128)
        self.task(name="\u00e9" * 128)

    def test_32_filters(self):
        for query in ("sort=flowName", "order=1", "flowName=x", "FlowId=1", "flowId=abc", "flowId=1;DROP", "status=nope", "from=now", "total=yes",
                      "flowId=1&flowId=2", "nodes=false"):
            with self.subTest(query=query):
                self.refused(get("/monitor/flow?" + query), 42205, "BAD_FILTER")
        self.assertIn("flowId", get("/monitor/flow?sort=1").json["message"])
        self.refused(get("/flow?status=RUNNING"), 42205)
        self.refused(get("/flow/1?x=1"), 42205)
        self.refused(get("/livez?x=1"), 42205)
        self.refused(post("/monitor/flow", {"status": "nope"}), 42205)

    def test_33_pages(self):
        for query in ("limit=0", "limit=-1", "limit=501", "limit=1000000000", "limit=abc", "offset=-1", "offset=1e3", "limit="):
            for path in ("/flow", "/task", "/monitor/flow"):
                self.refused(get(f"{path}?{query}"), 42206, "BAD_PAGE")
        for body in ({"limit": 0}, {"limit": 501}, {"offset": -1}):
            self.refused(post("/monitor/flow", body), 42206)

    def refuse_flow(self, code, *nodes, **more):
        return self.refused(post("/flow", {"flowName": "x", "flowNodes": list(nodes), **more}), code)

    def test_34_shape(self):
        self.refuse_flow(42210, START, START, inline(), END)
        self.refuse_flow(42210, START, inline(), END, END)
        self.refuse_flow(42210, {**START, "nodeKey": "s", "prevNodes": ["a"]}, node("a"))
        self.refuse_flow(42210, {**END, "nodeKey": "e"}, node("a", "e"))
        self.refuse_flow(42210, {"nodeType": "OTHER"})
        for nodes in ((inline(),), (START, inline()), (inline(), END), (START, inline(), END)):
            self.flow(*nodes)

    def test_35_cycles(self):
        self.refuse_flow(42211, node("a", "a"))
        answer = self.refuse_flow(42211, node("a", "c"), node("b", "a"), node("c", "b"), node("d"))
        for key in ("a", "b", "c"):
            self.assertIn(key, answer["message"])

    def test_36_edges(self):
        self.refuse_flow(42212, node("a", "nowhere"))
        self.refuse_flow(42212, node("a"), node("a"))
        for key in ("", "a b", "x" * 129, "\u00e9", "a/b"):
            self.assertEqual(post("/flow", {"flowName": "x", "flowNodes": [node(key)]}).status, 422)
        self.flow(node("x" * 128), node("-.:_9", "x" * 128))

    def test_37_unreachable(self):
        self.refuse_flow(42213, {**START, "nodeKey": "s"}, node("a", "s"), node("b"))
        self.refuse_flow(42213, node("a"), node("b"), {**END, "nodeKey": "e", "prevNodes": ["a"]})

    def test_38_39_task_ids(self):
        task = self.task()
        for ids in ("1,,2", "1, x", f"{task},{task}", "", ",", "1,", "x", "-1", "0", "1;2", "1 2", ",".join(["1"] * 10000)):
            with self.subTest(ids=ids[:20]):
                self.refuse_flow(42214, {"nodeType": "TASK", "taskIds": ids})
        answer = self.refuse_flow(42215, {"nodeType": "TASK", "taskIds": f"{task},999999"})
        self.assertIn("999999", answer["message"])
        gone = self.task()
        self.ok(delete(f"/task/{gone}"))
        self.refuse_flow(42215, {"nodeType": "TASK", "taskIds": str(gone)})

    def test_40_too_large(self):
        one = b'{"nodeType":"TASK","tasks":[{"taskName":"t","taskType":"ECHO"}]}'
        body = b'{"flowName":"x","flowNodes":[' + b",".join([one] * 200001) + b"]}"
        data = self.refused(post("/flow", body), 41303, "FLOW_TOO_LARGE")["data"]
        self.assertEqual((data["limit"], data["got"]), (200000, 200001))
        key = [f"a{i}" for i in range(1001)]
        nodes = [{"nodeKey": k, "tasks": [{"taskName": "t", "taskType": "ECHO"}]} for k in key]
        nodes += [{**nodes[0], "nodeKey": f"b{i}", "prevNodes": key[:1000]} for i in range(1000)]
        nodes[-1]["prevNodes"] = key
        data = self.refused(post("/flow", {"flowName": "x", "flowNodes": nodes}), 41303, "FLOW_TOO_LARGE")["data"]
        self.assertEqual((data["limit"], data["got"]), (1000000, 1000001))
        self.refused(post("/exec/flows", {"starts": [{"flowId": 1}] * 1001}), 42216)

    def test_40_two_million_values(self):
        body = b'{"flowName":"x","flowNodes":[' + b"1," * 2000001 + b"1]}"
        self.refused(post("/flow", body), 41302)

    def test_41_empty_flow(self):
        for nodes in ((START, END), (), (START,)):
            flow = self.flow(*nodes)["flowId"]
            data = self.ok(post(f"/exec/flow/{flow}"))
            self.assertEqual((data["status"], data["state"]), ("SUCCESS", "SUCCESS"))
            self.assertEqual(self.finished(data["fiId"])["nodes"], [])

    def test_42_completion(self):
        for complete in (0, -1, 2, "most"):
            self.refuse_flow(42217, inline(complete=complete))
        self.refuse_flow(42201, inline(complete=1.5))
        self.refuse_flow(42217, inline(rest="stop"))

    def test_42_counts(self):
        """A failed task of a node that succeeded is seen in its row; what was canceled counts apart; a re-run counts anew."""
        def counts(fi):
            return [n["tasks"] for n in self.finished(fi)["nodes"]]
        def cancel_once_one_failed(fi):
            end = time.monotonic() + PATIENCE
            while True:
                tasks = self.ok(get(f"/monitor/flow/{fi}"))["nodes"][0]["tasks"]
                if tasks["failed"]:
                    break
                self.assertLess(time.monotonic(), end, tasks)
            self.assertGreater(tasks["open"], 0)
            self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        bad, brief, long = ({"taskName": "t", "taskType": kind, "taskContent": content}
                            for kind, content in (("EXCEPTION", "no"), ("WAIT", "100ms"), ("WAIT", "1h")))
        fi = self.start(self.flow({"tasks": [bad, brief], "complete": "any"}, inline())["flowId"])
        self.assertEqual(counts(fi), [{"total": 2, "success": 1, "failed": 1, "canceled": 0, "open": 0},
                                      {"total": 1, "success": 1, "failed": 0, "canceled": 0, "open": 0}])
        fi = self.start(self.flow({"tasks": [bad, long, long], "complete": "all"}, inline())["flowId"])
        cancel_once_one_failed(fi)
        first = {"total": 3, "success": 0, "failed": 1, "canceled": 2, "open": 0}
        self.assertEqual(counts(fi)[0], first)
        self.assertEqual(counts(fi)[1]["total"], 1)
        flow = self.ok(get(f"/monitor/flow/{fi}"))["flowId"]
        self.assertEqual(self.start(flow, {"fiId": fi}), fi)
        cancel_once_one_failed(fi)
        self.assertEqual(counts(fi)[0], first)

    def test_42_no_task(self):
        flow = self.ok(post("/flow", {"flowName": "empty", "flowNodes": []}))
        self.assertEqual(flow["warnings"], ["The flow has no task: each of its runs is SUCCESS at once."])

    def test_42_where_a_task_is_missing(self):
        nodes = [{"tasks": [{"taskType": "ECHO", "taskContent": "x"}]}, {"taskIds": "999999"}]
        answer = self.refused(post("/flow", {"flowName": "gap", "flowNodes": nodes}), 42215)
        self.assertEqual(answer["data"]["path"], "/flowNodes/1")

    def test_42_warnings(self):
        """Several tasks and no word on how many must succeed: saved, and said. What was answered can be posted back."""
        task = {"taskName": "t", "taskType": "ECHO", "taskContent": "x"}
        key = {"Idempotency-Key": "warnings"}
        body = {"flowName": "w", "flowNodes": [{"nodeKey": "both", "tasks": [task, task]}, {"nodeKey": "said", "tasks": [task, task], "complete": "any"},
                                               {"nodeKey": "one", "tasks": [task]}]}
        flow = self.ok(post("/flow", body, headers={"Content-Type": "application/json", **key}))
        self.assertEqual(len(flow["warnings"]), 1)
        self.assertIn('"both" has 2 tasks and no "complete"', flow["warnings"][0])
        self.assertEqual(self.ok(post("/flow", body, headers={"Content-Type": "application/json", **key})), flow)
        self.assertNotIn("warnings", self.ok(get(f"/flow/{flow['flowId']}")))
        self.assertNotIn("warnings", self.ok(post("/flow", flow)))
        many = [{"tasks": [task, task]} for _ in range(300)]
        self.assertEqual(len(self.ok(post("/flow", {"flowName": "w", "flowNodes": many}))["warnings"]), 20)

    def test_43_unknown_type(self):
        for kind in ("NOPE", "echo", "ECHO ", "../ECHO"):
            answer = self.refused(post("/task", {"taskName": "x", "taskType": kind}), 42220, "UNKNOWN_TYPE")
            self.assertIn(". Known types: ECHO, WAIT, EXCEPTION, SHELL, HTTP, and what nodes have registered.", answer["message"])
            self.refuse_flow(42220, inline(kind))

    def test_45_ranges(self):
        for more in ({"attempts": 0}, {"attempts": -1}, {"attempts": 102}, {"timeout": 0}, {"timeout": -1}, {"timeout": 604801}, {"timeout": "8d"}):
            with self.subTest(more=more):
                self.refuse_flow(42221, inline(**more))
                self.refused(post("/task", {"taskName": "x", "taskType": "SHELL", "taskContent": "true", "taskConfig": more}), 42221)
        self.refuse_flow(42221, inline(), timeout=0)
        self.refuse_flow(42221, inline(), onFailure="explode")

    def test_46_wait(self):
        for content in ("abc", "-5", "1e9", "inf", "nan", "5 m", "8d", "1e400"):
            with self.subTest(content=content):
                self.refused(post("/task", {"taskName": "x", "taskType": "WAIT", "taskContent": content}), 42221, "OUT_OF_RANGE")
        for content in ("0", "2", "0.5", "500ms", "2s", "5m", "1e-3"):
            self.task("WAIT", content)

    def test_48_shell(self):
        def shell(content="true", **config):
            return post("/task", {"taskName": "x", "taskType": "SHELL", "taskContent": content, "taskConfig": config})
        for answer in (shell("x" * 65537), shell(env={"LD_PRELOAD": "x"}), shell(env={"WEIR_RUN_KEY": "x"}), shell(env={"1A": "x"}),
                       shell(env={"A-B": "x"}), shell(env={"": "x"})):
            self.refused(answer, 42222, "BAD_COMMAND")
        self.ok(shell("x" * 65536))

    def test_49_parameters_are_data(self):
        task = self.task("SHELL", 'printf %s "$W_x"; printf %s "$x"')
        flow = self.flow({"nodeType": "TASK", "taskIds": str(task)})["flowId"]
        for value in ("$(echo hacked)", "; echo hacked", "`echo hacked`", "a\nb"):
            fi = self.start(flow, {"params": {"x": value}})
            done = self.finished(fi)
            self.assertEqual(done["status"], "SUCCESS", done)
            self.assertEqual(done["params"], {"x": value})

    def test_49_bad_parameters(self):
        flow = self.flow(inline())["flowId"]
        for params in ({"a": {}}, {"a": []}, {"a": None}, {"1a": 1}, {"": 1}, {"a b": 1}, {f"p{i}": 1 for i in range(257)}, {"a": "x" * 70000}):
            self.assertEqual(post(f"/exec/flow/{flow}", {"params": params}).status, 422)


class Lifecycle(Case):
    def long(self):
        """A flow that runs until it is cancelled."""
        return self.flow(inline("WAIT", "1h"))["flowId"]

    def test_53_deleted(self):
        flow, task = self.flow(inline())["flowId"], self.task()
        fi = self.start(flow)
        self.finished(fi)
        ti = self.ok(post(f"/exec/task/{task}"))["tiId"]
        self.task_finished(ti)
        self.ok(delete(f"/flow/{flow}"))
        self.ok(delete(f"/task/{task}"))
        self.refused(post(f"/exec/flow/{flow}"), 40910, "NOT_STARTABLE")
        self.refused(post(f"/exec/task/{task}"), 40910)
        self.assertIn("was deleted. Its runs can still be read", self.refused(get(f"/flow/{flow}"), 40402)["message"])
        self.refused(get(f"/task/{task}"), 40402)
        self.refused(delete(f"/flow/{flow}"), 40402)
        self.refused(post("/flow", {"flowId": flow, "flowName": "again"}), 40402)
        self.assertEqual(self.ok(get(f"/monitor/flow/{fi}"))["flowId"], flow)     # instances stay readable
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["taskId"], task)
        self.assertNotIn(flow, [f["flowId"] for f in self.ok(get("/flow?limit=500"))])

    def test_57_retries(self):
        good, other = self.flow(inline())["flowId"], self.flow(inline())["flowId"]
        fi, fi2 = self.start(good), self.start(other)
        self.finished(fi)
        ni2 = self.finished(fi2)["nodes"][0]["niId"]
        self.refused(post(f"/exec/flow/{good}", {"fiId": fi}), 40912, "NOT_RETRYABLE")
        self.refused(post(f"/exec/flow/{good}", {"fiId": fi2}), 40912)
        self.refused(post(f"/exec/flow/{good}", {"fiId": 999999}), 40402)
        self.refused(post("/exec/flow/999999", {"fiId": fi}), 40402)
        self.refused(post(f"/exec/flow/{good}", {"fiId": fi, "niId": ni2}), 42224, "WRONG_NODE")
        self.refused(post(f"/exec/flow/{good}", {"niId": ni2}), 42224)
        self.refused(post(f"/exec/flow/{good}", {"fiId": fi, "niId": 999999}), 42224)
        running = self.long()
        fi3 = self.start(running)
        ni3 = self.ok(get(f"/monitor/flow/{fi3}"))["nodes"][0]["niId"]
        self.refused(post(f"/exec/flow/{running}", {"fiId": fi3}), 40912)
        self.refused(post(f"/exec/flow/{running}", {"fiId": fi3, "niId": ni3}), 40912)
        self.ok(post(f"/exec/flow-ins/{fi3}/cancel"))
        self.assertEqual(self.finished(fi3)["state"], "CANCELED")

    def test_58_two_retries_at_once(self):
        flow = self.flow(inline("EXCEPTION", "no"), inline("WAIT", "1h"), onFailure="continue")["flowId"]
        fi = self.start(flow)
        self.assertEqual(self.finished(fi)["status"], "FAILED")
        task = self.flow(inline("WAIT", "1h"))["flowId"]
        fi = self.start(task)
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.finished(fi)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(post(f"/exec/flow/{task}", {"fiId": fi}))) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(a.status for a in answers), [200] + [409] * 7)
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.finished(fi)

    def test_59_60_cancel(self):
        for _ in range(20):
            fi = self.start(self.long())
            self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
            done = self.finished(fi)
            self.assertEqual((done["status"], done["state"]), ("FAILED", "CANCELED"))
        self.assertEqual(self.ok(post(f"/exec/flow-ins/{fi}/cancel"))["state"], "CANCELED")   # again: 200, nothing changes
        fi = self.start(self.flow(inline())["flowId"])
        self.finished(fi)
        answer = self.refused(post(f"/exec/flow-ins/{fi}/cancel"), 40913, "ALREADY_FINISHED")
        self.assertIn("SUCCESS", answer["message"])

    def test_59_cancel_of_a_task(self):
        ti = self.ok(post(f"/exec/task/{self.task('WAIT', '1h')}"))["tiId"]
        self.ok(post(f"/exec/task-ins/{ti}/cancel"))
        done = self.task_finished(ti)
        self.assertEqual((done["execStatus"], done["state"], done["errorMsg"]), ("FAILED", "CANCELED", "Canceled."))
        again = self.ok(post(f"/exec/task-ins/{ti}/cancel"))   # 200, nothing changes
        self.assertEqual((again["state"], again["changed"]), ("CANCELED", False))
        fi = self.start(self.long())
        ni = self.ok(get(f"/monitor/flow/{fi}"))["nodes"][0]["niId"]
        ti = self.ok(get(f"/monitor/node/{ni}"))[0]["tiId"]
        self.assertTrue(self.ok(post(f"/exec/task-ins/{ti}/cancel"))["changed"])
        self.finished(fi)
        self.assertFalse(self.ok(post(f"/exec/task-ins/{ti}/cancel"))["changed"])
        ti = self.ok(post(f"/exec/task/{self.task()}"))["tiId"]
        self.task_finished(ti)
        self.refused(post(f"/exec/task-ins/{ti}/cancel"), 40913)

    def test_cancel_between_attempts(self):
        """A task that waits for its next attempt ends at once and says that it was canceled."""
        node = inline("EXCEPTION", "once", nodeKey="k", attempts=2, backoff={"base": "1h", "max": "1h", "jitter": "none"})
        fi = self.start(self.flow(node)["flowId"])
        ni = self.ok(get(f"/monitor/flow/{fi}"))["nodes"][0]["niId"]
        end = time.monotonic() + PATIENCE
        while (row := self.ok(get(f"/monitor/node/{ni}"))[0])["state"] != "RETRY_WAIT":
            self.assertLess(time.monotonic(), end, row)
        self.assertTrue(self.ok(post(f"/exec/flow-ins/{fi}/cancel"))["changed"])
        self.finished(fi)
        row = self.ok(get(f"/monitor/node/{ni}"))[0]
        self.assertEqual((row["state"], row["errorMsg"], row["failures"]), ("CANCELED", "Canceled.", 1))

    def test_62_63_delete_while_used(self):
        flow = self.long()
        fi = self.start(flow)
        self.refused(delete(f"/flow/{flow}"), 40914, "ACTIVE")
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.finished(fi)
        self.ok(delete(f"/flow/{flow}"))
        task = self.task()
        flow = self.flow({"nodeType": "TASK", "taskIds": str(task)})["flowId"]
        answer = self.refused(delete(f"/task/{task}"), 40915, "IN_USE")
        self.assertIn(str(flow), answer["message"])
        self.ok(delete(f"/flow/{flow}"))
        self.ok(delete(f"/task/{task}"))
        alone = self.task("WAIT", "1h")
        ti = self.ok(post(f"/exec/task/{alone}"))["tiId"]
        self.refused(delete(f"/task/{alone}"), 40914)
        self.ok(post(f"/exec/task-ins/{ti}/cancel"))
        self.task_finished(ti)
        self.ok(delete(f"/task/{alone}"))

    def test_64_stale(self):
        flow = self.flow(inline())
        self.assertEqual(flow["flowVersion"], 1)
        fid = flow["flowId"]
        self.ok(post("/flow", {"flowId": fid, "flowName": "b", "flowVersion": 1}))
        answer = self.refused(post("/flow", {"flowId": fid, "flowName": "c", "flowVersion": 1}), 41201, "STALE")
        self.assertIn("2", answer["message"])
        self.assertEqual(self.ok(post("/flow", {"flowId": fid}))["flowVersion"], 3)   # a new version although nothing differs
        self.assertEqual(self.ok(get(f"/flow/{fid}"))["flowName"], "b")

    def test_64_writers_at_once(self):
        """Updates without a version all count; none is lost."""
        fid = self.flow(inline())["flowId"]
        answers = []
        threads = [threading.Thread(target=lambda i=i: answers.append(post("/flow", {"flowId": fid, "flowDescription": str(i)}))) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(self.ok(a)["flowVersion"] for a in answers), [2, 3, 4, 5])

    def test_65_redefine_while_active(self):
        fid = self.flow(inline("WAIT", "1h", nodeKey="old"))["flowId"]
        fi = self.start(fid)
        new = self.ok(post("/flow", {"flowId": fid, "flowNodes": [inline(nodeKey="new")]}))
        self.assertEqual(new["flowVersion"], 2)
        running = self.ok(get(f"/monitor/flow/{fi}"))
        self.assertEqual((running["flowVersion"], [n["nodeKey"] for n in running["nodes"]]), (1, ["old"]))
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.finished(fi)
        self.assertEqual([n["nodeKey"] for n in self.finished(self.start(fid))["nodes"]], ["new"])

    def test_67_logs(self):
        ti = self.ok(post(f"/exec/task/{self.task('SHELL', 'printf 0123456789')}"))["tiId"]
        self.assertEqual(self.task_finished(ti)["execStatus"], "SUCCESS")
        path = f"/monitor/task/{ti}/log"
        for query, body in (("", b"0123456789"), ("?offset=4", b"456789"), ("?offset=4&limit=3", b"456"), ("?offset=10", b""), ("?attempt=1", b"0123456789")):
            answer = get(path + query)
            self.assertEqual((answer.status, answer.body), (200, body))
            self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
            self.assertEqual(answer.headers["X-Log-Size"], "10")
        self.refused(get(path + "?offset=11"), 41601, "BAD_RANGE")
        for query in ("offset=-1", "limit=0", "limit=1048577", "limit=10000000000", "offset=x"):
            self.refused(get(f"{path}?{query}"), 42206)
        self.refused(get(path + "?attempt=2"), 40402)
        self.refused(get(path + "?attempt=0"), 42205)

    def test_67_log_of_echo(self):
        """A log that equals the result is kept once."""
        ti = self.ok(post(f"/exec/task/{self.task('ECHO', 'hello')}"))["tiId"]
        self.assertEqual(self.task_finished(ti)["result"], "hello")
        self.assertIn(b"hello", get(f"/monitor/task/{ti}/log").body)
        self.assertEqual(get(f"/monitor/task/{ti}/log?offset=1&limit=2").body, b"el")

    def test_errors_do_not_echo(self):
        """Not more than 64 bytes of the input, escaped; no path, no SQL, no library text."""
        long = "<script>" * 100
        for answer in (post("/task", {"taskName": "x", "taskType": long}), post("/flow", {long: 1}), get("/flow?" + long.replace("<", "%3C")),
                       post("/task", {"taskName": "x", "taskType": "\x1b[31m\u202e"})):
            self.assertEqual(answer.status, 422)
            text = json.dumps(answer.json)
            self.assertLessEqual(answer.json["message"].count("script"), 8)
            self.assertLessEqual(answer.json["data"].get("path", "").count("script"), 8)
            self.assertNotIn("\x1b", answer.json["message"])
            for word in ("sqlite", "select", ".c:", "jansson"):
                self.assertNotIn(word, text.lower())


if __name__ == "__main__":
    unittest.main()
