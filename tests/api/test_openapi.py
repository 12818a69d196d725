"""schema/openapi.json says what the code does, both ways; and the page that shows it. (That every answer is one of those that it
promises: openapi.py, which weirtest.py asks about each of them. Here is proved that it would notice.)"""
import contextlib
import gzip
import http.client
import json
import os
import re
import socket
import threading
import unittest

from openapi import DOCUMENT, Judge, Mismatch, Schemas
from weirtest import PATIENCE, ROOT, Answer, Case, Server, get, post, request, server

TEXT = (ROOT / "schema" / "openapi.json").read_text()
SCHEMAS, PARAMETERS = DOCUMENT["components"]["schemas"], DOCUMENT["components"]["parameters"]
OPERATIONS = {(method.upper(), path): o for path, item in DOCUMENT["paths"].items() for method, o in item.items()}
ROUTE = re.compile(r'^  \{"([A-Z]+)", "([^"]+)", (ROLE_\w+), (BODY_\w+), ([^,]+), ([^,]+),\s+[^,]+,\s+\w+\}', re.M)


def source(*names):
    return "".join((ROOT / name).read_text() for name in names)


def parameters(operation, place):
    given = [PARAMETERS[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in operation.get("parameters", ())]
    return {p["name"] for p in given if p["in"] == place}


class Routes(unittest.TestCase):
    """The table of api/routes.c and the paths of the document are the same."""

    @classmethod
    def setUpClass(cls):
        cls.routes = {(m, p): more for m, p, *more in ROUTE.findall(source("api/routes.c"))}
        cls.bits = {}
        for name, bit in re.findall(r'\{"(\w+)", (Q_\w+)', source("api/query.c")):
            cls.bits[bit] = {name}
        lines = re.sub(r"\\\n *", "", source("api/query.h", "api/routes.c"))
        for name, bits in re.findall(r"#define (Q_\w+) \((Q_[^)]*)\)", lines):
            cls.bits[name] = set().union(*(cls.bits[bit] for bit in bits.split(" | ")))

    def each(self):
        for (method, path), (role, body, flags, query) in self.routes.items():
            with self.subTest(method=method, path=path):
                yield path, role, body, set(flags.split(" | ")), query.split(" | "), OPERATIONS[method, path]

    def test_both_ways(self):
        self.assertEqual(len(re.findall(r'^  \{"', source("api/routes.c"), re.M)), len(self.routes))
        self.assertEqual(set(self.routes), set(OPERATIONS))

    def test_names_of_the_query(self):
        for _, _, _, _, query, operation in self.each():
            wanted = set().union(*(self.bits[bit] for bit in query if bit != "0"))
            self.assertEqual(parameters(operation, "query"), wanted)

    def test_names_in_the_path(self):
        for path, _, _, _, _, operation in self.each():
            self.assertEqual(parameters(operation, "path"), set(re.findall(r"\{(\w+)\}", path)))

    def test_bodies(self):
        says = {"BODY_NONE": None, "BODY_OPTIONAL": False, "BODY_REQUIRED": True}
        for _, _, body, _, _, operation in self.each():
            self.assertEqual(operation.get("requestBody", {}).get("required"), says[body])
            self.assertEqual({"408", "413", "415"} <= operation["responses"].keys(), body != "BODY_NONE")

    def test_keys(self):
        for _, _, _, flags, _, operation in self.each():
            self.assertEqual("Idempotency-Key" in parameters(operation, "header"), "ROUTE_KEYED" in flags)

    def test_token(self):
        self.assertEqual(DOCUMENT["security"], [{"token": []}])
        for _, role, _, _, _, operation in self.each():
            open_to_all = role == "ROLE_NONE"
            self.assertEqual(operation.get("security"), [] if open_to_all else None)
            self.assertEqual("401" in operation["responses"], not open_to_all)

    def test_what_changes_something(self):
        for _, _, _, flags, _, operation in self.each():
            self.assertEqual("507" in operation["responses"], "ROUTE_CHANGES" in flags)


class Words(unittest.TestCase):
    """Words and names of the document are those of the code."""

    def test_errors(self):
        code = re.findall(r"^WR_ERROR\((\d{3})\d\d, (\w+),", source("engine/base/errors.def"), re.M)
        self.assertEqual(SCHEMAS["Error"]["properties"]["data"]["properties"]["error"]["enum"], [symbol for _, symbol in code])
        later = re.findall(r"^\| `(\d{3})\d\d` .*\(kept for later", source("docs/reference/api.md"), re.M)
        self.assertEqual(set(DOCUMENT["components"]["responses"]), {s for s, _ in code} - {"429"})
        self.assertIn("429", later)

    def test_states(self):
        for name, words, file in (("TaskState", "TASK_STATES", "engine/core/task.h"),
                                  ("NodeState", "NODE_STATES", "engine/core/states.h"),
                                  ("FlowState", "FLOW_STATES", "engine/core/states.h")):
            table = re.search(rf"#define {words}\(X\).*?\nenum", source(file), re.S)[0]
            found = set(re.findall(r"X\((\w+), \d", table)) - {"NONE"}
            if name == "TaskState":  # and those that are a phase of a task
                found |= {"DELETING", "DELETE_FAILED", "ANALYZING", "WAITING_CHILDREN"}
            self.assertEqual(set(SCHEMAS[name]["enum"]), found)

    def test_reasons(self):
        said = SCHEMAS["TaskInstanceFields"]["properties"]["why"]["enum"]
        self.assertEqual(set(said), set(re.findall(r'put\(w, "(\w+)"', source("engine/client/why.c")) +
                                        re.findall(r'return "([A-Z_]+)";', source("engine/client/why_queue.c"))))

    def test_fields_of_bodies(self):
        def code(table, file):
            found = re.search(rf"{table}\[.*?\}};", source(f"engine/model/{file}"), re.S)[0]
            return set(re.findall(r'FIELD\("(\w+)"', found))
        self.assertEqual(set(SCHEMAS["FlowPost"]["properties"]), code("flow_field", "def_flow.c"))
        self.assertEqual(set(SCHEMAS["NodePost"]["properties"]), code("node_field", "def_flow.c"))
        self.assertEqual(set(SCHEMAS["TaskPost"]["properties"]), code("task_field", "def_task.c"))
        keys = set(re.findall(r'\[C_\w+\] = "(\w+)"', source("engine/model/def_task.c")))
        keys |= set(re.findall(r'\{"(\w+)", parse_\w+\}', source("executors/shell.c")))
        self.assertEqual(set(SCHEMAS["TaskConfig"]["properties"]), keys)
        limits = set(re.findall(r'\{"(\w+)", RLIMIT', source("engine/registry/lib.c")))
        self.assertEqual(set(SCHEMAS["TaskConfig"]["properties"]["rlimits"]["propertyNames"]["enum"]), limits)

    def test_fields_stand_in_the_reference(self):
        named = set(re.findall(r"[A-Za-z0-9_]+", " ".join(re.findall(r"`([^`\n]+)`", source("docs/reference/api.md")))))
        fields = set()

        def walk(node):
            if isinstance(node, dict):
                fields.update(node["properties"] if isinstance(node.get("properties"), dict) else ())
                for below in node.values():
                    walk(below)
        walk(SCHEMAS)
        self.assertEqual(fields - named, set())

    def test_version(self):
        self.assertEqual(DOCUMENT["info"]["version"], re.search(r"^  version: '([^']+)'", source("meson.build"), re.M)[1])
        self.assertRegex(DOCUMENT["openapi"], r"^3\.1\.")


class Whole(unittest.TestCase):
    """The document holds together."""

    def test_references(self):
        used = set(re.findall(r'"\$ref": "([^"]+)"', TEXT))
        for ref in used:
            Schemas(DOCUMENT).at(ref)
        have = {f"#/components/{kind}/{name}" for kind in ("schemas", "parameters", "responses")
                for name in DOCUMENT["components"][kind]}
        self.assertEqual(have - used, {"#/components/responses/405"})  # of no route: of a method that a route has not

    def test_names_of_operations(self):
        names = [o["operationId"] for o in OPERATIONS.values()]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual({t for o in OPERATIONS.values() for t in o["tags"]}, {t["name"] for t in DOCUMENT["tags"]})

    def test_every_schema_is_one_that_the_judge_knows(self):
        judge = Judge(DOCUMENT)
        for schema in SCHEMAS.values():
            judge.schema(schema)
        for operation in OPERATIONS.values():
            for response in map(judge.resolved, operation["responses"].values()):
                for content in response.get("content", {}).values():
                    judge.schema(content["schema"])

    def test_examples(self):
        judge, n = Judge(DOCUMENT), 0
        for operation in OPERATIONS.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                judge.schema(content["schema"])(example["value"], "")
                n += 1
        for status, response in DOCUMENT["components"]["responses"].items():
            content = response["content"]["application/json"]
            judge.schema(content["schema"])(content["example"], "")
            said = content["example"]
            self.assertIn(f'WR_ERROR({said["code"]}, {said["data"]["error"]},', source("engine/base/errors.def"))
            self.assertTrue(said["code"].startswith(status))
        self.assertGreater(n, 8)

    def test_no_key_twice(self):
        def once(pairs):
            self.assertEqual(len(pairs), len(dict(pairs)), [k for k, _ in pairs])
            return dict(pairs)
        json.loads(TEXT, object_pairs_hook=once)


class Noticed(unittest.TestCase):
    """The judge finds each of these."""
    ERROR = {"code": "40402", "message": "No.", "data": {"error": "NOT_FOUND", "requestId": "0123456789abcdef"}}
    FLOW = {"flowId": 1, "flowName": "x", "flowVersion": 1, "onFailure": "continue", "createTime": "2026-01-01 00:00:00",
            "updateTime": "2026-01-01 00:00:00", "flowNodes": []}

    def judged(self, method, target, status, body, headers=(), sent=None):
        said = {"content-type": "application/json", "retry-after": "1", "www-authenticate": "Bearer", **dict(headers)}
        Judge(DOCUMENT).answer(method, target, Answer(status, said, None if body is None else json.dumps(body).encode()), sent)

    def bad(self, pattern, *given, **more):
        with self.assertRaisesRegex(Mismatch, pattern):
            self.judged(*given, **more)

    def good(self, data, **more):
        return {"code": "200", "message": "SUCCESS", "data": data, **more}

    def test_right_ones(self):
        self.judged("GET", "/flow/1", 200, self.good(self.FLOW))
        self.judged("HEAD", "/flow/1", 200, None)
        self.judged("GET", "/flow/1", 404, self.ERROR)
        self.judged("GET", "/nowhere", 404, self.ERROR)
        self.judged("PUT", "/flow", 405, self.ERROR, {"allow": "GET"})

    def test_a_field_that_is_not_written_down(self):
        self.bad("/data/new is not documented", "GET", "/flow/1", 200, self.good({**self.FLOW, "new": 1}))
        self.bad("/new is not documented", "GET", "/flow/1", 200, self.good(self.FLOW, new=1))
        self.bad("/replayed is not documented", "GET", "/flow/1", 200, self.good(self.FLOW, replayed=True))
        self.bad("/data/new is not documented", "GET", "/flow/1", 404, {**self.ERROR, "data": {**self.ERROR["data"], "new": 1}})
        self.bad("/data/warnings is not documented", "GET", "/flow/1", 200, self.good({**self.FLOW, "warnings": ["x"]}))

    def test_a_field_that_is_missing(self):
        self.bad("missing", "GET", "/flow/1", 200, self.good({k: v for k, v in self.FLOW.items() if k != "flowVersion"}))
        self.bad("missing", "GET", "/flow", 200, self.good([]))

    def test_a_value_that_is_wrong(self):
        for field, value in (("flowId", "1"), ("flowId", 0), ("flowId", True), ("flowName", ""), ("onFailure", "explode"),
                             ("createTime", "now"), ("createTime", "2026-01-01 00:00:00\n"), ("flowNodes", {})):
            with self.subTest(field=field, value=value):
                self.bad(f"/data/{field}", "GET", "/flow/1", 200, self.good({**self.FLOW, field: value}))
        self.bad("/data/error", "GET", "/flow/1", 404, {**self.ERROR, "data": {**self.ERROR["data"], "error": "NEW"}})

    def test_a_status_a_type_a_header(self):
        self.bad("status is not documented", "GET", "/flow/1", 409, self.ERROR)
        self.bad("status is not documented", "GET", "/nowhere", 200, self.good({}))
        self.bad("its type is", "GET", "/flow/1", 200, self.good(self.FLOW), headers={"content-type": "text/html"})
        self.bad("without the header X-Log-Size", "GET", "/monitor/task/1/log", 200, None, headers={"content-type": "text/plain"})
        self.bad("header X-Log-Size", "GET", "/monitor/task/1/log", 200, None,
                 headers={"content-type": "text/plain", "x-log-size": "many", "x-log-offset": "0"})
        self.bad("there is a body", "HEAD", "/flow/1", 200, self.good(self.FLOW))

    def test_a_request_that_was_accepted(self):
        self.bad("the query has new", "GET", "/flow/1?new=1", 200, self.good(self.FLOW))
        self.bad("query limit", "GET", "/flow?limit=501", 200, self.good([], page={"limit": 501, "offset": 0, "next": None}))
        saved = self.good(self.FLOW)
        self.judged("POST", "/flow", 200, saved, sent=b'{"flowName": "x", "flowNodes": [{"tasks": [{"taskType": "ECHO"}]}]}')
        self.bad("flowNodes/0/new is not documented", "POST", "/flow", 200, saved, sent=b'{"flowNodes": [{"new": 1}]}')
        self.bad("is required", "POST", "/flow", 200, saved)

    def test_bytes_of_unknown_requests(self):
        judge = Judge(DOCUMENT)

        def some(status, body):
            judge.some_answer(Answer(status, {"content-type": "application/json", "retry-after": "1"}, json.dumps(body).encode()))
        some(200, self.good({"ok": True}))
        some(404, self.ERROR)
        some(503, {"code": "50301", "message": "Not ready.", "data": {**self.ERROR["data"], "ok": False}})
        for status, body in ((200, self.good({"ok": 1})), (404, self.good({"ok": True})), (418, self.ERROR)):
            with self.assertRaises(Mismatch):
                some(status, body)

    def test_each_word_of_a_schema(self):
        made = Schemas({}).made
        for schema, right, wrong in (
                ({"type": ["integer", "null"]}, (1, None), (True, 1.5, "1")),
                ({"type": "number"}, (1, 1.5), (True, "1")),
                ({"enum": [1, "a"]}, (1, "a"), (True, "b")), ({"const": True}, (True,), (1,)),
                ({"required": ["a"]}, ({"a": 1}, 7), ({},)),
                ({"properties": {"a": {"type": "string"}}}, ({"a": "", "b": 1}, 7), ({"a": 1},)),
                ({"properties": {"a": True}, "additionalProperties": False}, ({"a": 1}, {}), ({"b": 1},)),
                ({"additionalProperties": {"type": "string"}}, ({"a": ""},), ({"a": 1},)),
                ({"allOf": [{"properties": {"a": True}}], "properties": {"b": True}, "unevaluatedProperties": False},
                 ({"a": 1, "b": 1},), ({"c": 1},)),
                ({"anyOf": [{"type": "object", "required": ["a"], "properties": {"a": True}}, {"type": "string"}],
                  "unevaluatedProperties": False}, ({"a": 1}, ""), ({"a": 1, "b": 1}, 7, {})),
                ({"propertyNames": {"pattern": "^a"}}, ({"ab": 1},), ({"b": 1},)),
                ({"maxProperties": 0}, ({},), ({"a": 1},)),
                ({"minProperties": 1}, ({"a": 1},), ({},)),
                ({"items": {"type": "string"}, "minItems": 1, "maxItems": 2}, ([""], ["", ""]), ([], [1], [""] * 3)),
                ({"minLength": 1, "maxLength": 2}, ("a", "ab", 7), ("", "abc")),
                ({"pattern": "^a+$"}, ("aa", 7), ("ab", "a\n", "ba")),
                ({"minimum": 1, "maximum": 2}, (1, 2, "0"), (0, 3)),
                ({"exclusiveMinimum": 0}, (0.1,), (0,)),
                (False, (), (1,))):
            for value in right:
                made(schema)(value, "")
            for value in wrong:
                with self.subTest(schema=schema, value=value), self.assertRaises(Mismatch):
                    made(schema)(value, "")
        with self.assertRaisesRegex(ValueError, "does not know oneOf"):
            made({"oneOf": []})


# ---- the page ----

LINKED = re.compile(r'(?:src|href)="([^"]+)"')
BUNDLE = "/swagger-ui/swagger-ui-bundle.js"


def files():
    return next(p for p in DOCUMENT["paths"]["/swagger-ui/{file}"]["get"]["parameters"])["schema"]["enum"]


class Page(Case):
    def there(self):
        """Was the server built with the files of npm?"""
        return get(BUNDLE).status == 200

    def plain(self, path, **headers):
        return get(path, headers={"Accept-Encoding": "identity", **headers})

    def test_the_document(self):
        answer = self.plain("/openapi.json")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/json"))
        self.assertEqual(answer.body.decode(), TEXT)

    def test_no_token(self):
        if os.environ.get("WEIR_URL"):
            self.skipTest("needs a server of its own")
        own = Server(dev=False)
        try:
            for path in ("/openapi.json", "/swagger-ui.html", *(f"/swagger-ui/{name}" for name in files())):
                self.assertIn(get(path, to=own).status, (200, 404), path)
            self.assertEqual(get("/swagger-ui.html", to=own).status, 200)
        finally:
            own.stop()

    def test_it_is_whole_or_says_that_it_is_not(self):
        page = self.plain("/swagger-ui.html")
        self.assertEqual((page.status, page.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        text, there = page.body.decode(), self.there()
        self.assertEqual("The API page is not in this server" in text, not there)
        for name in files():
            self.assertEqual(get(f"/swagger-ui/{name}").status, 200 if there else 404, name)
        linked = [link for link in LINKED.findall(text) if link != "data:,"]
        self.assertIn("openapi.json", linked)
        for link in linked:
            self.assertEqual(get("/" + link).status, 200, link)
        self.assertEqual({link for link in linked if "/" in link}, {f"swagger-ui/{name}" for name in files()} if there else set())

    def test_what_npm_gave_came_with_its_licence(self):
        if not self.there():
            self.skipTest("built without npm")
        self.assertIn("Apache License", self.plain("/swagger-ui/LICENSE.txt").body.decode())
        self.assertIn("SmartBear", self.plain("/swagger-ui/NOTICE.txt").body.decode())
        self.assertIn(b"SwaggerUIBundle", self.plain(BUNDLE).body)

    def test_nothing_from_elsewhere(self):
        """What is ours asks no other server, and has no script or style within the page; the browser is told to refuse both."""
        for path in (ROOT / "ui" / "swagger-ui").iterdir():
            text = path.read_text()
            self.assertNotRegex(text, r"https?://|[\"'(]//", path)
            self.assertNotRegex(text, r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)|\beval\b|innerHTML", path)
        policy = get("/swagger-ui.html").headers["Content-Security-Policy"]
        self.assertEqual(policy, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
                                 "base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
        self.assertEqual(get("/swagger-ui.html").headers["Referrer-Policy"], "no-referrer")
        self.assertIn("validatorUrl: null", (ROOT / "ui" / "swagger-ui" / "page.js").read_text())

    def test_no_address_of_a_registry(self):
        lock = json.loads((ROOT / "ui" / "package-lock.json").read_text())
        wanted = json.loads((ROOT / "ui" / "package.json").read_text())["dependencies"]
        packages = {name: p for name, p in lock["packages"].items() if name}
        self.assertIn("node_modules/swagger-ui-dist", packages)
        for name, package in packages.items():
            self.assertNotIn("resolved", package, name)
            self.assertRegex(package["integrity"], r"^sha512-", name)
        self.assertEqual(packages["node_modules/swagger-ui-dist"]["version"], wanted["swagger-ui-dist"])
        self.assertIn("ignore-scripts=true", (ROOT / "ui" / ".npmrc").read_text())

    def test_compressed_for_whoever_asks(self):
        for path in ("/openapi.json", "/swagger-ui.html"):
            whole = self.plain(path)
            self.assertNotIn("Content-Encoding", whole.headers)
            tags = {whole.headers["ETag"]}
            for said in ("gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8, *;q=0.1", "GZIP", "identity , gzip ; q=0.001", "gzip;q=1"):
                answer = get(path, headers={"Accept-Encoding": said})
                self.assertEqual(answer.headers["Content-Encoding"], "gzip", said)
                self.assertEqual(gzip.decompress(answer.body), whole.body)
                tags.add(answer.headers["ETag"])
            self.assertEqual(len(tags), 2)
            for said in ("", "br", "*", "gzip;q=0", "gzip;q=0.000", "gzip2", "x-gzip", "gzip;w=1", "deflate;q=0.5, gzip;q=0"):
                answer = get(path, headers={"Accept-Encoding": said})
                self.assertNotIn("Content-Encoding", answer.headers, said)
                self.assertEqual(answer.body, whole.body, said)
            self.assertEqual(whole.headers["Vary"], "Accept-Encoding")

    def test_unchanged(self):
        tag = self.plain("/openapi.json").headers["ETag"]
        self.assertRegex(tag, r'^"[0-9a-f]{32}"$')
        for said in (tag, f"W/{tag}", f'"x", {tag}', f'W/"x",W/{tag} , "y"', "*"):
            answer = self.plain("/openapi.json", **{"If-None-Match": said})
            self.assertEqual((answer.status, answer.body, answer.headers["ETag"]), (304, b"", tag), said)
            self.assertEqual(answer.headers["Cache-Control"], "no-cache")
        for said in ('"x"', tag[1:-1], tag[:-1], tag[:-1] + '-gzip"', "x, *", '"', 'W/', f"x{tag}", ""):
            self.assertEqual(self.plain("/openapi.json", **{"If-None-Match": said}).status, 200, said)
        packed = get("/openapi.json", headers={"Accept-Encoding": "gzip"}).headers["ETag"]
        self.assertEqual(get("/openapi.json", headers={"Accept-Encoding": "gzip", "If-None-Match": packed}).status, 304)
        self.assertEqual(get("/openapi.json", headers={"Accept-Encoding": "gzip", "If-None-Match": tag}).status, 200)

    def test_the_connection_lives_on(self):
        """After a file, after HEAD, after 304: the next answer begins where the last one ended."""
        connection = http.client.HTTPConnection(server().host, server().port, timeout=PATIENCE)
        try:
            tag = None
            for method, headers, status in (("GET", {}, 200), ("HEAD", {}, 200), ("GET", {"If-None-Match": "*"}, 304), ("GET", {}, 200)):
                connection.request(method, "/openapi.json", headers={"Accept-Encoding": "identity", **headers})
                answer = connection.getresponse()
                body = answer.read()
                self.assertEqual((answer.status, answer.headers["Connection"]), (status, "keep-alive"))
                self.assertEqual(len(body), len(TEXT.encode()) if method == "GET" and status == 200 else 0)
                self.assertEqual(int(answer.headers["Content-Length"]), len(TEXT.encode()))
                tag = tag or answer.headers["ETag"]
                self.assertEqual(answer.headers["ETag"], tag)
        finally:
            connection.close()

    def test_refusals(self):
        for path in ("/openapi.json", "/swagger-ui.html", "/swagger-ui/page.js"):
            answer = post(path, {})
            self.refused(answer, 40501, "METHOD")
            self.assertEqual(answer.headers["Allow"], "GET, HEAD")
            self.refused(get(path + "?url=x"), 42205, "BAD_FILTER")
        for name in ("nothing.js", "swagger-ui.html", "openapi.json", "a" * 200, "page.jsx", "%7Bfile%7D"):
            self.refused(get(f"/swagger-ui/{name}"), 40402, "NOT_FOUND")
        for path in ("/swagger-ui", "/swagger-ui/", "/swagger-ui/..%2fopenapi.json", "/swagger-ui/../openapi.json", "/swagger-ui/a/b",
                     "/openapi.json/"):
            self.refused(get(path), 40401, "NO_ROUTE")
        self.refused(request("GET", "/openapi.json", headers={"Host": "evil.example"}), 42101)

    def slow_reader(self):
        """Asks for a large file. A small segment and a small window: the answer does not fit into the sockets of both sides."""
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        s.settimeout(PATIENCE)
        s.connect((server().host, server().port))
        s.sendall(f"GET {BUNDLE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return s

    def test_readers_that_are_slow(self):
        """More of them than threads, and each reads a little again and again: others are served while they read."""
        if not self.there():
            self.skipTest("built without npm")
        held, stop = [self.slow_reader() for _ in range(120)], threading.Event()

        def trickle():
            while not stop.wait(0.1):
                for s in held:
                    with contextlib.suppress(OSError):
                        s.recv(1024, socket.MSG_DONTWAIT)
        reader = threading.Thread(target=trickle)
        reader.start()
        try:
            for path in ("/flow", "/livez", "/readyz", "/version"):
                self.assertEqual(get(path).status, 200)
        finally:
            stop.set()
            reader.join()
            for s in held:
                s.close()
        self.assertEqual(self.plain(BUNDLE).status, 200)


if __name__ == "__main__":
    unittest.main()
