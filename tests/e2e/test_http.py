"""Tasks of type HTTP against a site of this test: results, statuses, 202 with its Location over the death of the node, Retry-After,
stops, redirects, answers that are too large or too slow, and what may not be asked at all."""
import asyncio
import json
import signal
import socket
import threading
import unittest

from live import ROOT, Refused, Server, directory, task, until, weir
from services import OnMariaDb
from websites import Site, answer


class Base(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        self.servers = []
        self.addCleanup(lambda: [s.kill() for s in self.servers])

    def store(self):
        return ()

    def site(self, handle):
        site = Site(handle)
        self.addCleanup(site.close)
        return site

    def server(self, *sites, name="data", more=()):
        allow = [word for site in sites for word in ("--http-allow", f"127.0.0.1/32:{site.port}")]
        server = Server(self.tmp / name, *self.store(), *allow, *more)
        self.servers.append(server)
        return server

    def submit(self, server, url, **config):
        config["url"] = url
        return server.post("/exec/task", {"taskType": "HTTP", "taskConfig": config})["tiId"]

    def row_when(self, server, ti, **want):
        return until(f"task {ti} is {want}", lambda: (lambda row: row if all(row.get(k) == v for k, v in want.items()) else None)(
            server.get(f"/monitor/task/{ti}")))

    def ended(self, server, ti):
        final = ("SUCCESS", "FAILED", "TIMEOUT", "CANCELED", "DEAD")
        return until(f"task {ti} ends", lambda: (lambda row: row if row["state"] in final else None)(server.get(f"/monitor/task/{ti}")))


class Plain(Base):
    def test_results(self):
        def handle(r, _):
            if r.path == "/json":
                return answer(200, '{"a":{"b":[1,{"c":"text"}]},"n":1.5}')
            if r.path == "/nul":
                return answer(200, '{"v":"a\\u0000b","ok":"yes"}')
            return answer(int(r.path[2:]), "body " + r.path) if r.path.startswith("/s") else answer(200, r.method + " " + r.body.decode())
        site = self.site(handle)
        server = self.server(site)
        cases = [
            ({"path": "/"}, "SUCCESS", "GET "),
            ({"path": "/", "method": "POST", "body": "as it is"}, "SUCCESS", "POST as it is"),
            ({"path": "/", "method": "PUT", "body": {"a": [1, None]}}, "SUCCESS", 'PUT {"a":[1,null]}'),
            ({"path": "/", "method": "POST"}, "SUCCESS", "POST "),
            ({"path": "/json", "pointer": "/a/b/1/c"}, "SUCCESS", "text"),
            ({"path": "/json", "pointer": "/a/b"}, "SUCCESS", '[1,{"c":"text"}]'),
            ({"path": "/json", "pointer": "/a/x"}, "FAILED", "pointer: the answer has nothing there."),
            ({"path": "/", "pointer": ""}, "FAILED", "pointer: the answer is not JSON."),
            ({"path": "/nul", "pointer": "/ok"}, "SUCCESS", "yes"),
            ({"path": "/nul", "pointer": "/v"}, "SUCCESS", "a\0b"),
            ({"path": "/s204"}, "SUCCESS", None),
            ({"path": "/s404"}, "FAILED", 'The URL answered 404. It says "body /s404".'),
            ({"path": "/s404", "status": [404]}, "SUCCESS", "body /s404"),
            ({"path": "/s200", "status": [201]}, "FAILED", 'The URL answered 200. It says "body /s200".'),
            ({"path": "/s302"}, "FAILED", 'The URL answered 302. It says "body /s302".'),
        ]
        for config, state, text in cases:
            with self.subTest(config):
                path = config.pop("path")
                row = self.ended(server, self.submit(server, site.url + path, **config))
                self.assertEqual(row["state"], state, row)
                if text is not None:
                    self.assertEqual(row["result" if state == "SUCCESS" else "errorMsg"], text)

    def test_content_is_the_url_and_head_has_no_body(self):
        site = self.site(lambda r, _: answer(200, "" if r.method == "HEAD" else "x"))
        server = self.server(site)
        ti = server.post("/exec/task", {"taskType": "HTTP", "taskContent": site.url + "/c", "taskConfig": {"method": "HEAD"}})["tiId"]
        self.assertEqual(self.ended(server, ti)["state"], "SUCCESS")
        self.assertEqual(site.seen("HEAD", "/c")[0].headers["user-agent"], "weir")

    def test_headers(self):
        site = self.site(lambda r, _: answer(200, "ok"))
        server = self.server(site)
        ti = self.submit(server, site.url, method="POST", body={"x": 1}, headers={"Authorization": "Bearer s", "X-Empty": ""})
        self.ended(server, ti)
        headers = site.seen("POST")[0].headers
        self.assertEqual((headers["authorization"], headers["x-empty"], headers["content-type"]), ("Bearer s", "", "application/json"))
        key, n = headers["idempotency-key"].rsplit(":", 1)
        self.assertEqual(n, "0")
        self.assertEqual(headers["x-weir-fence"], f"{key}:1")
        self.assertEqual(headers["x-weir-attempt"], "1")
        for name in ("cookie", "expect", "proxy-connection"):
            self.assertNotIn(name, headers)

    def test_without_a_server(self):
        site = self.site(lambda r, _: answer(200, "ok"))
        file = self.tmp / "flow.json"
        file.write_text(json.dumps({"flowName": "f", "flowNodes": [task("a", "HTTP", site.url + "/run")]}))
        self.assertEqual(weir("run", "--http-allow", f"127.0.0.1/32:{site.port}", file, cwd=self.tmp).returncode, 0)
        self.assertEqual(len(site.seen("GET", "/run")), 1)
        refused = weir("run", file, cwd=self.tmp)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("/flowNodes/0/tasks/0/taskContent", refused.stderr)
        self.assertEqual(len(site.seen()), 1)

    def test_the_example_is_taken(self):
        flow = self.server().post("/flow", json.loads((ROOT / "examples/http.json").read_text()))
        self.assertEqual([node["nodeKey"] for node in flow["flowNodes"]], ["there", "title"])

    def test_nothing_is_said_of_a_body_that_is_not_there(self):
        site = self.site(lambda r, _: answer(200, "ok"))
        server = self.server(site)
        self.ended(server, self.submit(server, site.url, method="POST"))
        headers = site.seen("POST")[0].headers
        self.assertEqual(headers["content-length"], "0")
        self.assertNotIn("content-type", headers)

    def test_a_body_that_is_no_text(self):
        site = self.site(lambda r, _: answer(200, b"a\xff\x00b"))
        server = self.server(site)
        row = self.ended(server, self.submit(server, site.url))
        self.assertEqual((row["state"], row["resultBase64"]), ("SUCCESS", "Yf8AYg=="))

    def test_which_failures_are_tried_again_and_with_which_key(self):
        site = self.site(lambda r, _: answer(int(r.path[1:]), "no"))
        server = self.server(site)
        for status, tries in ((500, 2), (408, 2), (425, 2), (429, 2), (400, 1), (401, 1), (499, 1)):
            ti = self.submit(server, f"{site.url}/{status}", attempts=2, backoff={"base": "10ms"})
            self.assertEqual(self.ended(server, ti)["state"], "FAILED")
            seen = site.seen(path=f"/{status}")
            self.assertEqual(len(seen), tries, status)
            self.assertEqual([r.headers["idempotency-key"].rsplit(":", 1)[1] for r in seen], ["0", "1"][:tries])

    def test_what_may_change_something_is_sent_once_for_each_attempt(self):
        """A site that does the work and closes the connection that it had kept, without an answer."""
        site = self.site(lambda r, _: None if r.path.startswith("/close") and len(site.seen(path=r.path)) == 1 else answer(200, "ok"))
        server = self.server(site)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with self.subTest(method):
                self.ended(server, self.submit(server, site.url + "/kept"))
                row = self.ended(server, self.submit(server, f"{site.url}/close-{method}", method=method))
                self.assertEqual((row["state"], row["attempt"], len(site.seen(path=f"/close-{method}"))), ("FAILED", 1, 1))
        self.ended(server, self.submit(server, site.url + "/kept"))
        row = self.ended(server, self.submit(server, site.url + "/close-2", method="POST", attempts=2, backoff={"base": "10ms"}))
        seen = site.seen("POST", "/close-2")
        self.assertEqual((row["state"], [r.headers["x-weir-attempt"] for r in seen]), ("SUCCESS", ["1", "2"]))
        self.ended(server, self.submit(server, site.url + "/kept"))
        row = self.ended(server, self.submit(server, site.url + "/close-get"))
        self.assertEqual((row["state"], row["attempt"], len(site.seen("GET", "/close-get"))), ("SUCCESS", 1, 2))  # what only reads may be repeated

    def test_nobody_there(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
            server = self.server(more=("--http-allow", f"127.0.0.1/32:{port}"))
            row = self.ended(server, self.submit(server, f"http://127.0.0.1:{port}/"))
            self.assertEqual(row["errorMsg"], "The URL gave no answer: Couldn't connect to server.")
        row = self.ended(server, self.submit(server, "http://no-such-name.invalid/"))
        self.assertRegex(row["errorMsg"], r"^The URL gave no answer: the name no-such-name\.invalid was not found: ")


class Bounds(Base):
    def test_too_large_too_many_headers_and_half_an_answer(self):
        async def endless(w):
            w.write(b"HTTP/1.1 200 OK\r\n")
            for i in range(100000):
                w.write(b"X-%d: y\r\n" % i)
                await w.drain()

        async def line(w, begin):
            w.write(begin)
            for _ in range(10000):
                w.write(b"a" * 65536)
                await w.drain()

        async def stream(w):
            w.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            for _ in range(3000):
                w.write(b"x" * 1024)
                await w.drain()

        def handle(r, w):
            if r.path == "/headers":
                return endless(w)
            if r.path == "/line":
                return line(w, b"HTTP/1.1 200 OK\r\nX: ")
            if r.path == "/first":
                return line(w, b"HTTP/1.1 200 ")
            if r.path == "/stream":
                return stream(w)
            if r.path == "/declared":
                return b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n"
            if r.path == "/two":
                return b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\nLocation: /a\r\nLocation: /b\r\n\r\n"
            if r.path == "/half":
                w.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                return None
            return answer(200, "x" * (1 << 20))
        site = self.site(handle)
        server = self.server(site)
        for path, text in (("/headers", "BAD_HEADER: "), ("/line", "BAD_HEADER: a line of the answer's head is too long"),
                           ("/first", "BAD_HEADER: a line"), ("/stream", "RESPONSE_TOO_LARGE: the answer is larger than 1048576 bytes."),
                           ("/declared", "RESPONSE_TOO_LARGE: "), ("/two", "BAD_HEADER: the answer has two Locations."),
                           ("/half", "The URL gave no answer: ")):
            with self.subTest(path):
                row = self.ended(server, self.submit(server, site.url + path))
                self.assertEqual(row["state"], "FAILED", row)
                self.assertTrue(row["errorMsg"].startswith(text), row["errorMsg"])
        row = self.ended(server, self.submit(server, site.url + "/exact"))
        self.assertEqual(row["state"], "SUCCESS", row.get("errorMsg"))

    def test_more_large_answers_than_places(self):
        site = self.site(lambda r, _: answer(200, "y" * (300 << 10)))
        server = self.server(site)
        tasks = server.post("/exec/tasks", {"tasks": [{"taskType": "HTTP", "taskContent": f"{site.url}/{i}"} for i in range(200)]})
        for ti in tasks:
            self.assertEqual(self.ended(server, ti)["state"], "SUCCESS")

    def test_a_slow_drip_ends_with_the_timeout(self):
        async def drip(w):
            w.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                w.write(b"x")
                await w.drain()
                await asyncio.sleep(0.05)
        site = self.site(lambda r, w: drip(w))
        server = self.server(site)
        self.assertEqual(self.ended(server, self.submit(server, site.url, timeout="1s"))["state"], "TIMEOUT")


class Redirects(Base):
    def test_redirects(self):
        other = self.site(lambda r, _: answer(200, "other " + r.headers.get("authorization", "none")))

        def handle(r, _):
            if r.path.startswith("/r"):
                n = int(r.path[2:])
                return answer(302, "", Location=f"/r{n - 1}" if n else "/end")
            to = {"/other": other.url + "/o", "/local": "http://127.0.0.1:1/", "/meta": "http://169.254.169.254/", "/file": "file:///etc/passwd",
                  "/odd": "http://0x7f000001/"}.get(r.path)
            return answer(301, "", Location=to) if to else answer(200, "end " + r.headers.get("authorization", "none"))
        site = self.site(handle)
        server = self.server(site, other)
        with_header = {"headers": {"Authorization": "a"}}
        cases = [("/r2", {"redirects": 3, **with_header}, "SUCCESS", "end a"), ("/r2", {"redirects": 2}, "FAILED", "The URL redirects more often than"),
                 ("/r0", {"redirects": 1, "method": "HEAD"}, "SUCCESS", None), ("/other", {"redirects": 1, **with_header}, "SUCCESS", "other none"),
                 ("/local", {"redirects": 1}, "FAILED", "URL_BLOCKED: "), ("/meta", {"redirects": 1}, "FAILED", "URL_BLOCKED: "),
                 ("/file", {"redirects": 1}, "FAILED", "URL_BLOCKED: "), ("/odd", {"redirects": 1}, "FAILED", "URL_BLOCKED: "),
                 ("/r0", {}, "FAILED", "The URL answered 302.")]
        for path, config, state, text in cases:
            with self.subTest(path=path, **config):
                row = self.ended(server, self.submit(server, site.url + path, **config))
                self.assertEqual(row["state"], state, row)
                if text:
                    self.assertTrue(row["result" if state == "SUCCESS" else "errorMsg"].startswith(text), row)


class Job:
    """A site that takes work with 202 and says where it is seen to; it is over when the test says so."""

    def __init__(self, case, **accepted):
        self.over, self.busy = None, None
        self.accepted = accepted
        self.site = case.site(self.handle)

    def handle(self, r, _):
        if r.path == "/work":
            return answer(202, "", Location="/job/7", **self.accepted)
        if self.busy:
            return self.busy
        return answer(200, self.over) if self.over else answer(202, "")


class Accepted(Base):
    def test_the_location_is_kept_and_polled_by_the_next_attempt(self):
        """The node dies while the work goes on: its next attempt asks no second time."""
        job = Job(self)
        server = self.server(job.site)
        ti = self.submit(server, job.site.url + "/work", method="POST", body="x", pointer="/r")
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        server.signal(signal.SIGKILL)
        server.wait()
        polls = len(job.site.seen("GET", "/job/7"))
        server = self.server(job.site)
        until("the next attempt polls", lambda: len(job.site.seen("GET", "/job/7")) > polls)
        job.over = '{"r":"done"}'
        row = self.ended(server, ti)
        self.assertEqual((row["state"], row["result"]), ("SUCCESS", "done"))
        self.assertEqual(len(job.site.seen("POST")), 1)
        polled = job.site.seen("GET", "/job/7")[-1].headers
        self.assertGreater(int(polled["x-weir-attempt"]), 1)
        self.assertTrue(polled["idempotency-key"].endswith(":0"))
        self.assertNotIn("content-type", polled)

    def test_a_planned_stop_leaves_the_location_alone(self):
        job = Job(self)
        server = self.server(job.site)
        ti = self.submit(server, job.site.url + "/work", method="POST")
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        self.assertEqual(server.stop(), 0)
        server = self.server(job.site)
        job.over = "late"
        self.assertEqual(self.ended(server, ti)["result"], "late")
        self.assertEqual((len(job.site.seen("POST")), job.site.seen("DELETE")), (1, []))

    def test_pause_and_run(self):
        job = Job(self)
        server = self.server(job.site)
        ti = self.submit(server, job.site.url + "/work", method="POST")
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        server.post(f"/exec/task-ins/{ti}/pause")
        self.row_when(server, ti, state="PAUSED")
        job.over = "after"
        server.post(f"/exec/task-ins/{ti}/run")
        self.assertEqual(self.ended(server, ti)["result"], "after")
        self.assertEqual((len(job.site.seen("POST")), job.site.seen("DELETE")), (1, []))

    def test_cancel_deletes_the_location(self):
        job = Job(self)
        server = self.server(job.site)
        ti = self.submit(server, job.site.url + "/work", method="POST")
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        server.post(f"/exec/task-ins/{ti}/cancel")
        self.assertEqual(self.ended(server, ti)["state"], "CANCELED")
        self.assertEqual(len(job.site.seen("DELETE", "/job/7")), 1)

    def test_a_timeout_deletes_it_too_and_the_next_try_asks_anew(self):
        job = Job(self)
        server = self.server(job.site)
        ti = self.submit(server, job.site.url + "/work", method="POST", timeout="1s", attempts=2, backoff={"base": "10ms"})
        self.assertEqual(self.ended(server, ti)["state"], "TIMEOUT")
        self.assertEqual(len(job.site.seen("DELETE", "/job/7")), 2)
        self.assertEqual([r.headers["idempotency-key"].rsplit(":", 1)[1] for r in job.site.seen("POST")], ["0", "1"])

    def test_a_later_run_asks_anew(self):
        """What the run before had been told is not this one's, though no try of either has failed."""
        job = Job(self)
        server = self.server(job.site)
        ti = self.submit(server, job.site.url + "/work", method="POST")
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        server.post(f"/exec/task-ins/{ti}/cancel")
        self.assertEqual(self.ended(server, ti)["state"], "CANCELED")
        job.over = "second"
        server.post(f"/exec/task-ins/{ti}/run")
        self.row_when(server, ti, state="SUCCESS", result="second")
        self.assertEqual(len(job.site.seen("POST")), 2)

    def test_busy_polls_and_failed_work(self):
        job = Job(self, Retry_After="0")
        server = self.server(job.site)
        ti = self.submit(server, job.site.url + "/work", method="POST")
        job.busy = answer(503, "", Retry_After="1")
        until("it is polled twice", lambda: len(job.site.seen("GET", "/job/7")) >= 2)
        job.busy = answer(500, "broken")
        row = self.ended(server, ti)
        self.assertEqual((row["state"], row["errorMsg"]), ("FAILED", 'The Location answered 500. It says "broken".'))
        self.assertEqual(len(job.site.seen("POST")), 1)

    def test_a_location_elsewhere_is_blocked(self):
        other = self.site(lambda r, _: answer(200, "no"))
        for to in (other.url + "/x", "https://127.0.0.1/", "//127.0.0.1:1/x", "file:///x", "http://a@127.0.0.1/"):
            with self.subTest(to):
                site = self.site(lambda r, _, to=to: answer(202, "", Location=to))
                server = self.server(site, other, name=f"d{site.port}")
                row = self.ended(server, self.submit(server, site.url, method="POST", attempts=3))
                self.assertEqual(row["state"], "FAILED")
                self.assertTrue(row["errorMsg"].startswith("URL_BLOCKED: "), row["errorMsg"])
                self.assertEqual((len(site.seen()), other.seen()), (1, []))
                server.kill()


class RetryAfter(Base):
    def test_it_waits_without_a_try(self):
        count = []

        def handle(r, _):
            count.append(r)
            return answer(200, "ok") if len(count) == 3 else answer(503 if len(count) == 1 else 429, "", Retry_After="0")
        site = self.site(handle)
        server = self.server(site)
        row = self.ended(server, self.submit(server, site.url))
        self.assertEqual((row["state"], row["result"]), ("SUCCESS", "ok"))
        self.assertEqual({r.headers["idempotency-key"].rsplit(":", 1)[1] for r in count}, {"0"})
        self.assertEqual({r.headers["x-weir-attempt"] for r in count}, {"1"})

    def test_up_to_the_run_timeout(self):
        site = self.site(lambda r, _: answer(503, "", Retry_After="3600"))
        server = self.server(site)
        self.assertEqual(self.ended(server, self.submit(server, site.url, timeout="1s"))["state"], "TIMEOUT")
        ti = self.submit(server, site.url)
        until("it waits", lambda: len(site.seen()) >= 2)
        server.post(f"/exec/task-ins/{ti}/cancel")
        self.assertEqual(self.ended(server, ti)["state"], "CANCELED")


class Closed(Base):
    BAD = ["file:///etc/passwd", "gopher://a/", "ftp://a/", "http://user:pw@example.com/", "http://user@example.com/", "http://0x7f000001/",
           "http://2130706433/", "http://127.1/", "http://0177.0.0.1/", "http://127.0.0.1/", "http://127.0.0.1:8088/", "http://0.0.0.0/",
           "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "http://100.64.0.1/", "http://169.254.169.254/latest",
           "http://224.0.0.1/", "http://255.255.255.255/", "http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:8.8.8.8]/",
           "http://[fd00::1]/", "http://[fe80::1]/", "http://[2002:7f00:1::]/", "http://[64:ff9b::7f00:1]/", "http://[::127.0.0.1]/",
           "http://a b/", "http://a\\@b/", "http://ex%61mple.com/", "http:///x", "http://", "x", "//a/", "http://a:0/", "http://a:99999/",
           "http://[::1%25eth0]/", "http://a/#f", "http://\u0665.example/", "http://1.2.3.4.5/", "http://a..b/", "http://127.0.0.1./"]

    def test_urls_that_say_so_themselves(self):
        server = self.server()
        for url in self.BAD:
            with self.subTest(url), self.assertRaises(Refused) as no:
                self.submit(server, url)
            self.assertEqual((no.exception.status, no.exception.answer["code"], no.exception.answer["data"]["error"]),
                             (422, "42223", "URL_BLOCKED"), url)
            self.assertEqual(no.exception.answer["data"]["path"], "/taskConfig/url")
        with self.assertRaises(Refused) as no:
            server.post("/task", {"taskName": "t", "taskType": "HTTP", "taskContent": "http://127.0.0.1/"})
        self.assertEqual(no.exception.answer["data"]["path"], "/taskContent")

    def test_names_at_the_start_of_the_attempt(self):
        server = self.server()
        row = self.ended(server, self.submit(server, "http://localhost:9/", attempts=3))
        self.assertEqual(row["state"], "FAILED")
        self.assertTrue(row["errorMsg"].startswith("URL_BLOCKED: the address "), row["errorMsg"])

    def test_what_is_opened_and_no_more(self):
        site = self.site(lambda r, _: answer(200, "in"))
        server = self.server(site)
        self.assertEqual(self.ended(server, self.submit(server, f"http://localhost:{site.port}/"))["result"], "in")
        for url in (f"http://127.0.0.2:{site.port}/", f"http://[::ffff:127.0.0.1]:{site.port}/", f"http://127.0.0.1:{site.port + 1}/"):
            with self.subTest(url), self.assertRaises(Refused):
                self.submit(server, url)

    def test_our_own_listener_store_and_queue(self):
        server = self.server(more=("--http-allow", "127.0.0.0/8:*", "--http-allow", "::1/128:*"))
        port = server.url.rsplit(":", 1)[1]
        for host in ("127.0.0.1", "0.0.0.0"):
            with self.subTest(host), self.assertRaises(Refused) as no:
                self.submit(server, f"http://{host}:{port}/readyz")
            self.assertEqual(no.exception.answer["code"], "42223")
        row = self.ended(server, self.submit(server, f"http://localhost:{port}/readyz"))
        self.assertTrue(row["errorMsg"].startswith("URL_BLOCKED: "), row["errorMsg"])

    def test_the_environment_has_no_proxy_for_it(self):
        site = self.site(lambda r, _: answer(200, r.path))
        proxy = self.site(lambda r, _: answer(200, "proxy"))
        server = Server(self.tmp / "p", *self.store(), "--http-allow", f"127.0.0.1:{site.port}",
                        env={"http_proxy": proxy.url, "HTTP_PROXY": proxy.url, "ALL_PROXY": proxy.url})
        self.servers.append(server)
        self.assertEqual(self.ended(server, self.submit(server, site.url + "/direct"))["result"], "/direct")
        self.assertEqual(proxy.seen(), [])

    def test_fields_that_are_wrong(self):
        server = self.server()
        for config, code in (({"url": 1}, "42201"), ({}, "42221"), ({"headers": {"A": "x\r\nB: y"}}, "42221"), ({"headers": {"A\n": "x"}}, "42221"),
                             ({"headers": {"Host": "x"}}, "42221"), ({"headers": {"content-length": "1"}}, "42221"),
                             ({"headers": {"Transfer-Encoding": "chunked"}}, "42221"), ({"headers": {"X-Weir-Fence": "1"}}, "42221"),
                             ({"headers": {"A": 1}}, "42201"), ({"headers": {f"A{i}": "x" for i in range(65)}}, "42221"),
                             ({"headers": {"A": "x" * 9000}}, "42221"), ({"method": "TRACE"}, "42221"), ({"method": "get"}, "42221"),
                             ({"status": []}, "42221"), ({"status": [99]}, "42221"), ({"status": 200}, "42201"), ({"pointer": "a"}, "42221"),
                             ({"redirects": 4}, "42221"), ({"redirects": 1, "method": "POST"}, "42221"), ({"body": "x"}, "42221"),
                             ({"urll": "x"}, "42202")):
            with self.subTest(config), self.assertRaises(Refused) as no:
                server.post("/task", {"taskName": "t", "taskType": "HTTP", "taskConfig": {**({} if not config else {"url": "http://a/"}), **config}})
            self.assertEqual(no.exception.answer["code"], code, (config, no.exception.answer))

    def test_rules_that_are_none(self):
        for rule in ("127.0.0.1/33", "x", "10.0.0.0/8:0", "10.0.0.0/8:", "::1:80:x", "[::1", "010.0.0.1", "/8"):
            with self.subTest(rule), self.assertRaises(AssertionError) as no:
                Server(self.tmp / "r", "--http-allow", rule)
            self.assertIn("is not CIDR[:PORT]", str(no.exception))


class OnMariaDbToo(OnMariaDb, Accepted):
    pass


class Members(OnMariaDb, Base):
    def test_no_member_is_asked(self):
        """Where another member listens is refused as our own listener is, whatever a rule opens, by address and by name."""
        all_open = ("--http-allow", "127.0.0.0/8:*", "--http-allow", "[::1]:*")
        one, two = (Server(self.tmp / name, *self.store(), *all_open) for name in ("one", "two"))
        self.servers += [one, two]
        port = two.url.rsplit(":", 1)[1]

        def refused():
            try:
                ti = self.submit(one, f"http://127.0.0.1:{port}/healthz")
            except Refused as no:
                return no.answer
            self.ended(one, ti)
        answer = until("one knows where two listens", refused)
        self.assertEqual(answer["code"], "42223")
        self.assertIn("a member of the cluster listens there", answer["message"])
        row = self.ended(one, self.submit(one, f"http://localhost:{port}/healthz"))
        self.assertEqual(row["state"], "FAILED")
        self.assertTrue(row["errorMsg"].startswith("URL_BLOCKED: a member of the cluster listens there"), row["errorMsg"])
        with self.assertRaises(Refused):
            self.submit(one, f"http://0.0.0.0:{port}/")
        self.assertEqual(two.stop(), 0)

        def open_again():     # its row is not LIVE any more
            try:
                return self.ended(one, self.submit(one, f"http://127.0.0.1:{port}/"))["errorMsg"]
            except Refused:
                return None
        self.assertNotIn("URL_BLOCKED", until("the address is another's now", open_again))


class StoreAway(OnMariaDb, Base):
    def test_no_location_is_polled_before_it_is_stored(self):
        """The store stops while the site still thinks; what it says then waits for the store, and is not polled meanwhile."""
        thinks, told = asyncio.Event(), threading.Event()

        async def work(w):
            await thinks.wait()
            w.write(answer(202, "", Location="/job", Retry_After="0"))
            await w.drain()
            told.set()

        site = self.site(lambda r, w: work(w) if r.method == "POST" else answer(200, "done"))
        server = self.server(site)
        ti = self.submit(server, site.url, method="POST")
        until("it is asked", lambda: site.seen("POST"))
        self.db.freeze()
        self.addCleanup(self.db.thaw)
        site.loop.call_soon_threadsafe(thinks.set)
        self.assertTrue(told.wait(60))
        until("the store is seen to be away", lambda: self.is_away(server))
        self.assertEqual(site.seen("GET"), [])
        self.db.thaw()
        self.assertEqual(self.ended(server, ti)["result"], "done")
        self.assertEqual((len(site.seen("POST")), len(site.seen("GET"))), (1, 1))

    @staticmethod
    def is_away(server):
        try:
            server.get("/readyz")
        except Refused:
            return True
        return False


if __name__ == "__main__":
    unittest.main()
