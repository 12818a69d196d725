"""Executors of mode url against a site of this test: the request, what each answer means, 202 over the death of the member, headers of
the config, addresses that are closed, and members that may ask and that may not. On SQLite, MariaDB, MariaDB with Redis."""
import asyncio
import json
import signal
import socket
import unittest

from live import Refused, until
from services import HAVE_REDIS, OnMariaDb, WithRedis
from test_http import Base, Job
from websites import answer

SECRETS = {"Authorization": "Bearer s3cret", "cookie": "s3cret", "X-Api-Key": "s3cret", "X-TOKEN": "s3cret", "my-token": "s3cret"}


class Urls(Base):
    def put(self, server, kind, url, **more):
        return server.post("/executor", {"executorType": kind, "mode": "url", "location": [url], **more})

    def run_one(self, server, kind, **more):
        return self.ended(server, server.post("/exec/task", {"taskType": kind, **more})["tiId"])

    def offers(self, server, kind):
        """memberId -> why not, None: it offers it."""
        return {m["memberId"]: m.get("why") for m in server.get(f"/executor/{kind}")["members"]}

    def test_the_request_and_the_result(self):
        site = self.site(lambda r, _: answer(200, r.body))
        server = self.server(site)
        made = self.put(server, "by.url", site.url + "/work?a=1", config={"attempts": 2, "mine": 1, "both": "executor"})
        self.assertEqual([m["offers"] for m in made["members"]], [True])
        row = self.run_one(server, "by.url", taskName="n", taskKey="key-1", taskContent="c\u00e4\n", params={"a": 1}, context="left",
                           taskConfig={"both": "task"})
        self.assertEqual((row["state"], row["executorVersion"]), ("SUCCESS", 1))
        got = json.loads(row["result"])
        run_key = got["runKey"]
        self.assertEqual(got, {"tiId": row["tiId"], "taskKey": "key-1", "taskName": "n", "taskType": "by.url", "content": "c\u00e4\n",
                               "config": {"attempts": 2, "mine": 1, "both": "task"}, "params": {"a": 1}, "context": "left", "attempt": 1,
                               "runKey": run_key, "fence": f"{run_key}:1"})
        (request,) = site.seen()
        self.assertEqual((request.method, request.path), ("POST", "/work?a=1"))
        for name, value in (("content-type", "application/json"), ("idempotency-key", f"{run_key}:0"), ("x-weir-fence", f"{run_key}:1"),
                            ("x-weir-attempt", "1")):
            self.assertEqual(request.headers[name], value)

    def test_in_a_flow(self):
        site = self.site(lambda r, _: answer(200, r.body))
        server = self.server(site)
        self.put(server, "of.flow", site.url)
        flow = server.post("/flow", {"flowName": "f", "flowNodes": [{"nodeKey": "a:b", "tasks": [
            {"taskName": "t", "taskType": "of.flow", "taskContent": "1"}]}]})
        fi = server.post(f"/exec/flow/{flow['flowId']}")["fiId"]
        until("the flow ends", lambda: server.get(f"/monitor/flow/{fi}")["state"] == "SUCCESS")
        got = json.loads(site.seen("POST")[0].body)
        self.assertEqual((got["fiId"], got["nodeKey"], got["content"]), (fi, "a:b", "1"))

    def test_each_run_has_keys_of_its_own(self):
        """Whoever keeps the key does the work of a re-run, too."""
        bad = [500] * 3
        site = self.site(lambda r, _: answer(bad.pop() if bad else 200, "x"))
        server = self.server(site)
        self.put(server, "twice", site.url, config={"attempts": 2, "backoff": {"base": "10ms"}})
        row = self.run_one(server, "twice")
        self.assertEqual(row["state"], "FAILED")
        server.post(f"/exec/task-ins/{row['tiId']}/run")
        self.assertEqual(self.ended(server, row["tiId"])["state"], "SUCCESS")
        keys = [r.headers["idempotency-key"].rsplit(":", 1) for r in site.seen("POST")]
        self.assertEqual([n for _, n in keys], ["0", "1", "2", "3"])
        self.assertEqual(len({key for key, _ in keys}), 1)
        flow = server.post("/flow", {"flowName": "f", "flowNodes": [{"nodeKey": "a", "tasks": [{"taskType": "twice"}]}]})
        fi = server.post(f"/exec/flow/{flow['flowId']}?wait=30")["fiId"]
        node = server.get(f"/monitor/flow/{fi}")["nodes"][0]["niId"]
        server.post(f"/exec/flow/{flow['flowId']}?wait=30", {"fiId": fi, "niId": node})
        until("it has run again", lambda: len(site.seen("POST")) == 6)
        keys = [r.headers["idempotency-key"] for r in site.seen("POST")[4:]]
        self.assertEqual(len(set(keys)), 2, keys)
        self.assertEqual(len({k.rsplit(":", 1)[0] for k in keys}), 1)

    def test_a_job_that_is_deleted_tells_urls_to_stop(self):
        async def slow(_):
            await asyncio.sleep(3600)
        site = self.site(lambda r, w: slow(w))
        server = self.server(site)
        self.put(server, "slow", site.url)
        job = server.post("/job", {"jobKey": "k", "tasks": [{"taskType": "slow"}, {"taskType": "HTTP", "taskContent": site.url + "/h"}]})["jobId"]
        until("both are asked", lambda: len(site.seen()) == 2)
        gone = server.call("DELETE", f"/job/{job}?force=true&wait=30")
        self.assertEqual((gone["state"], gone["unconfirmed"], gone["removed"]["tasks"], gone["removed"]["processes"]), ("DELETED", 2, 2, 0))
        self.assertEqual(set(gone["left"].values()), {0})

    def test_what_each_answer_means(self):
        """200 alone is a success; 4xx but three is for good; no redirect is followed."""
        site = self.site(lambda r, _: answer(int(r.path[1:]), "no", Location="/200"))
        server = self.server(site)
        for status, tries, state in ((200, 1, "SUCCESS"), (201, 2, "FAILED"), (204, 2, "FAILED"), (302, 2, "FAILED"), (307, 2, "FAILED"), (400, 1, "FAILED"),
                                     (404, 1, "FAILED"), (422, 1, "FAILED"), (408, 2, "FAILED"), (425, 2, "FAILED"), (429, 2, "FAILED"), (500, 2, "FAILED")):
            with self.subTest(status):
                self.put(server, "answers", f"{site.url}/{status}", replace=True)
                row = self.run_one(server, "answers", taskConfig={"attempts": 2, "backoff": {"base": "10ms"}})
                self.assertEqual(row["state"], state, row)
                seen = site.seen(path=f"/{status}")
                self.assertEqual([r.headers["idempotency-key"].rsplit(":", 1)[1] for r in seen], ["0", "1"][:tries])
        self.assertEqual(len(site.seen(path="/200")), 1)

    def test_every_answer_is_analysed(self):
        """The analyzer sees the status and the body of an answer that is a failure, of both kinds of tasks, and its verdict wins."""
        bodies = {"/done": {"verdict": "done"}, "/own": {"verdict": "done", "result": "other"}, "/failed": {"verdict": "failed"},
                  "/said": {"verdict": "failed", "message": "no good"}, "/retry": {"verdict": "retry", "after": 0.01}}

        def handle(r, _):
            if r.path.startswith("/look"):
                return answer(200, json.dumps(bodies[r.path[5:]]))
            return answer(200 if r.path == "/0" else int(r.path[1:]), "" if r.path == "/204" else f"body {r.path}")
        site = self.site(handle)
        server = self.server(site)
        for name in bodies:
            server.post("/analyzer", {"analyzerType": name[1:], "mode": "url", "location": [f"{site.url}/look{name}"]})
        said = "The URL answered %d. It says \"body /%d\"."
        for status, verdict, tries, state, result, error in (
                (200, "done", 1, "SUCCESS", "body /200", None), (404, "done", 1, "SUCCESS", "body /404", None),
                (500, "done", 1, "SUCCESS", "body /500", None), (302, "own", 1, "SUCCESS", "other", None), (204, "done", 1, "SUCCESS", "", None),
                (404, "failed", 1, "FAILED", "body /404", said % (404, 404)), (404, "said", 1, "FAILED", "body /404", "no good"),
                (500, "failed", 3, "FAILED", "body /500", said % (500, 500)), (429, "failed", 3, "FAILED", "body /429", said % (429, 429)),
                (200, "failed", 3, "FAILED", "body /200", "The analyzer says that it failed."),
                (404, "retry", 3, "FAILED", "body /404", "The analyzer asks for another try.")):
            for kind in ("HTTP", "looked.at"):
                if kind == "HTTP" and status == 204:
                    continue                                    # a success of its own
                with self.subTest(status=status, verdict=verdict, kind=kind):
                    url, before = f"{site.url}/{status}", len(site.seen(path=f"/{status}"))
                    asked = len(site.seen(path=f"/look/{verdict}"))
                    config = {"analyzer": verdict, "attempts": 3, "backoff": {"base": "10ms"}}
                    if kind != "HTTP":
                        self.put(server, kind, url, replace=True)
                    row = self.run_one(server, kind, taskConfig={**config, **({"url": url} if kind == "HTTP" else {})})
                    self.assertEqual((row["state"], row.get("result", ""), row.get("errorMsg") or None, row["failures"]),
                                     (state, result, error, tries if state == "FAILED" else 0), row)
                    self.assertEqual(len(site.seen(path=f"/{status}")) - before, tries)
                    looked = [json.loads(r.body) for r in site.seen(path=f"/look/{verdict}")[asked:]]
                    self.assertEqual([x["task"]["attempt"] for x in looked], [*range(1, tries + 1)])
                    body = "" if status == 204 else f"body /{status}"
                    self.assertEqual([(x["status"], x.get("result", ""), "exitCode" in x) for x in looked], [(status, body, False)] * tries)
                    self.assertNotIn("exitCode", row)
                    self.assertEqual([h for h in row.get("history", ()) if "exitCode" in h], [])

    def test_built_in_analyzers_of_answers(self):
        """They say failed of an answer that is a failure, and that is as if there were none: no 4xx is asked again."""
        site = self.site(lambda r, _: answer(int(r.path[1:]), '{"ok":true}'))
        server = self.server(site)
        for analyzer in ({"type": "json-pointer", "pointer": "/ok", "equals": True}, {"type": "regex", "pattern": "ok", "on": "result"},
                         {"type": "exit-code", "ok": [0]}):
            for status, state, tries in ((200, "SUCCESS", 1), (404, "FAILED", 1), (500, "FAILED", 2)):
                with self.subTest(analyzer=analyzer, status=status):
                    self.put(server, "built", f"{site.url}/{status}", replace=True, analyzer=analyzer)
                    before = len(site.seen(path=f"/{status}"))
                    row = self.run_one(server, "built", taskConfig={"attempts": 2, "backoff": {"base": "10ms"}})
                    self.assertEqual((row["state"], row["verdict"], len(site.seen(path=f"/{status}")) - before),
                                     (state, "done" if status == 200 else "failed", tries), row)

    def test_no_answer_is_not_analysed(self):
        """Nobody listens; half an answer; a URL that may not be asked; more than is read is an answer, without its body."""
        async def half(w):
            w.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            await w.drain()
            w.close()

        def handle(r, w):
            if r.path == "/look":
                return answer(200, '{"verdict":"done"}')
            return half(w) if r.path == "/half" else answer(404, b"x" * (1 << 20 | 1)) if r.path == "/vast" else answer(202, "", Location="http://a/")
        site = self.site(handle)
        shut = socket.socket()                                  # its port is taken, and nobody listens
        self.addCleanup(shut.close)
        shut.bind(("127.0.0.1", 0))
        port = shut.getsockname()[1]
        server = self.server(site, more=("--http-allow", f"127.0.0.1/32:{port}"))
        server.post("/analyzer", {"analyzerType": "look", "mode": "url", "location": [site.url + "/look"]})
        self.put(server, "asks", site.url)
        for url in (f"http://127.0.0.1:{port}/", site.url + "/half", site.url + "/away", "http://localhost:9/"):
            for kind in ("HTTP", "asks"):
                with self.subTest(url=url, kind=kind):
                    self.put(server, "asks", url, replace=True)
                    row = self.run_one(server, kind, taskConfig={"analyzer": "look", **({"url": url} if kind == "HTTP" else {})})
                    self.assertEqual((row["state"], row.get("verdict"), site.seen(path="/look")), ("FAILED", None, []), row)
        row = self.run_one(server, "HTTP", taskConfig={"analyzer": "look", "url": site.url + "/vast"})
        self.assertEqual((row["state"], row["verdict"], row.get("result")), ("SUCCESS", "done", None))
        (looked,) = site.seen(path="/look")
        self.assertEqual([json.loads(looked.body).get(k) for k in ("status", "result")], [404, None])

    def test_busy_uses_no_attempt(self):
        busy = [answer(503, "", Retry_After="0"), answer(429, "", Retry_After="0")]
        site = self.site(lambda r, _: busy.pop() if busy else answer(200, "at last"))
        server = self.server(site)
        self.put(server, "busy", site.url)
        row = self.run_one(server, "busy", taskConfig={"attempts": 1})
        self.assertEqual((row["result"], row["failures"], row["attempt"]), ("at last", 0, 1))
        self.assertEqual({r.headers["idempotency-key"].rsplit(":", 1)[1] for r in site.seen("POST")}, {"0"})

    def test_accepted_and_killed(self):
        """The member dies while the work goes on: the next attempt polls the Location, and posts nothing."""
        job = Job(self)
        server = self.server(job.site)
        self.put(server, "accepted", job.site.url + "/work", config={"headers": {"Authorization": "Bearer s3cret"}})
        ti = server.post("/exec/task", {"taskType": "accepted"})["tiId"]
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        server.signal(signal.SIGKILL)
        server.wait()
        polls = len(job.site.seen("GET", "/job/7"))
        server = self.server(job.site)
        until("the next attempt polls", lambda: len(job.site.seen("GET", "/job/7")) > polls)
        job.over = "done"
        row = self.ended(server, ti)
        self.assertEqual((row["state"], row["result"]), ("SUCCESS", "done"))
        self.assertEqual(len(job.site.seen("POST")), 1)
        polled = job.site.seen("GET", "/job/7")[-1].headers
        self.assertGreater(int(polled["x-weir-attempt"]), 1)
        self.assertEqual(polled["authorization"], "Bearer s3cret")

    def test_a_context_from_outside_is_no_location(self):
        """Whoever starts a task of the type chooses no path at which the headers of its executor are shown."""
        failing = []
        site = self.site(lambda r, _: answer(500 if failing else 200, r.path))
        server = self.server(site)
        self.put(server, "mine", site.url + "/work", config={"attempts": 1, "headers": {"Authorization": "Bearer s3cret"}})
        for attempt in range(1, 4):
            with self.subTest(attempt):
                left = json.dumps({"location": "/admin", "attempt": attempt, "failed": 0})
                row = self.run_one(server, "mine", context=left)
                self.assertEqual((row["state"], row["result"]), ("SUCCESS", "/work"))
                self.assertEqual(json.loads(site.seen("POST")[-1].body)["context"], left)
                self.assertEqual(self.ended(server, server.post("/exec/task", {"taskType": "HTTP", "taskContent": site.url + "/own", "context": left})["tiId"])
                                 ["result"], "/own")
        failing.append(True)
        row = self.run_one(server, "mine", context="none")
        self.assertEqual(row["state"], "FAILED")
        failing.clear()
        server.post(f"/exec/task-ins/{row['tiId']}/run", {"context": json.dumps({"location": "/admin", "attempt": 2, "failed": 0})})
        until("it has run again", lambda: server.get(f"/monitor/task/{row['tiId']}")["state"] == "SUCCESS")
        self.assertEqual(site.seen(path="/admin"), [])

    def test_accepted_and_replaced(self):
        """What was taken by the former URL is polled there, whatever the type has become."""
        job, site = Job(self), self.site(lambda r, _: answer(200, "newer"))
        server = self.server(job.site, site)
        self.put(server, "moves", job.site.url + "/work")
        ti = server.post("/exec/task", {"taskType": "moves"})["tiId"]
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        self.put(server, "moves", site.url, replace=True)
        self.assertEqual(server.stop(), 0)      # a planned stop aborts nothing that goes on elsewhere
        server = self.server(job.site, site)
        job.over = "older"
        row = self.ended(server, ti)
        self.assertEqual((row["result"], row["executorVersion"], len(job.site.seen("POST")), job.site.seen("DELETE")), ("older", 1, 1, []))
        self.assertEqual(self.run_one(server, "moves")["result"], "newer")

    def test_a_drain_leaves_the_location_alone(self):
        job = Job(self)
        server = self.server(job.site)
        self.put(server, "drained", job.site.url + "/work")
        ti = server.post("/exec/task", {"taskType": "drained"})["tiId"]
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        me = server.get("/members")[0]["memberId"]
        server.post(f"/members/{me}/drain", {"timeout": 0})
        row = self.row_when(server, ti, state="QUEUED")
        self.assertEqual((row["failures"], row["losses"]), (0, 0))
        server.post(f"/members/{me}/undrain")
        job.over = "after"
        self.assertEqual(self.ended(server, ti)["result"], "after")
        self.assertEqual((len(job.site.seen("POST")), job.site.seen("DELETE")), (1, []))

    def test_cancel_deletes_the_location(self):
        job = Job(self)
        server = self.server(job.site)
        self.put(server, "canceled", job.site.url + "/work")
        ti = server.post("/exec/task", {"taskType": "canceled"})["tiId"]
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        server.post(f"/exec/task-ins/{ti}/cancel")
        self.assertEqual(self.ended(server, ti)["state"], "CANCELED")
        self.assertEqual(len(job.site.seen("DELETE", "/job/7")), 1)

    def test_a_location_elsewhere(self):
        site = self.site(lambda r, _: answer(202, "", Location="http://127.0.0.1:1/job"))
        server = self.server(site)
        self.put(server, "leads-away", site.url)
        row = self.run_one(server, "leads-away", taskConfig={"attempts": 3})
        self.assertEqual((row["state"], len(site.seen())), ("FAILED", 1))
        self.assertTrue(row["errorMsg"].startswith("URL_BLOCKED"), row["errorMsg"])

    def test_headers_of_the_config(self):
        """They are sent; a secret stands in no answer, and not in the body that is posted either."""
        site = self.site(lambda r, _: answer(200, r.body))
        server = self.server(site)
        headers = {**SECRETS, "X-Other": "shown", "Content-Type": "application/x-task+json"}
        made = self.put(server, "secrets", site.url, config={"headers": headers, "mine": 1})
        shown = {**dict.fromkeys(SECRETS, "***"), "X-Other": "shown", "Content-Type": "application/x-task+json"}
        self.assertEqual(made["config"]["headers"], shown)
        row = self.run_one(server, "secrets")
        self.assertEqual(json.loads(row["result"])["config"], {"headers": shown, "mine": 1})
        sent = site.seen("POST")[0].headers
        self.assertEqual({name: sent[name.lower()] for name in headers}, headers)
        for path in ("/executor", "/executor/secrets", f"/monitor/task/{row['tiId']}"):
            self.assertNotIn("s3cret", json.dumps(server.get(path)))
        self.run_one(server, "secrets", taskConfig={"headers": {"X-Own": "task"}})   # a field of the task wins as a whole
        sent = site.seen("POST")[1].headers
        self.assertEqual((sent["x-own"], sent["content-type"]), ("task", "application/json"))
        self.assertNotIn("authorization", sent)

    def test_configs_that_are_refused(self):
        server = self.server()
        for config, code in (({"headers": {"A": "x\r\nB: y"}}, "42221"), ({"headers": {"Host": "x"}}, "42221"), ({"headers": {"X-Weir-Fence": "1"}}, "42221"),
                             ({"headers": {"Idempotency-Key": "1"}}, "42221"), ({"headers": {"A": 1}}, "42201"), ({"headers": []}, "42201"),
                             ({"headers": {f"A{i}": "x" for i in range(65)}}, "42221"), ({"onDelete": {"content": "true"}}, "42202"),
                             ({"heartbeatTimeout": "5s"}, "42202")):
            with self.subTest(config):
                with self.assertRaises(Refused) as no:
                    self.put(server, "bad", "http://example.org/", config=config)
                self.assertEqual(no.exception.answer["code"], code, no.exception.answer)
                self.put(server, "good", "http://example.org/")
                with self.assertRaises(Refused) as no:
                    server.post("/exec/task", {"taskType": "good", "taskConfig": config})
                self.assertEqual(no.exception.answer["code"], code, no.exception.answer)

    def test_addresses_that_are_closed(self):
        server = self.server()
        for url in ("http://127.0.0.1/", "http://127.0.0.1:8088/", "http://10.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/",
                    "http://0x7f000001/", "http://2130706433/", "http://127.1/", "http://[::ffff:127.0.0.1]/", "http://user@example.org/",
                    "ftp://example.org/", "http://a:99999/", "http://ex%61mple.org/", server.url + "/flow"):
            with self.subTest(url):
                with self.assertRaises(Refused) as no:
                    self.put(server, "bad", url)
                self.assertEqual((no.exception.status, no.exception.answer["code"], no.exception.answer["data"]["error"],
                                  no.exception.answer["data"]["path"]), (422, "42223", "URL_BLOCKED", "/location/0"))
        self.put(server, "name", "http://localhost:9/")     # what a name leads to is known at the start
        row = self.run_one(server, "name", taskConfig={"attempts": 3})
        self.assertEqual((row["state"], row["attempt"]), ("FAILED", 1))
        self.assertTrue(row["errorMsg"].startswith("URL_BLOCKED: the address "), row["errorMsg"])

    def test_our_own_api_stays_closed(self):
        server = self.server(more=("--http-allow", "127.0.0.0/8:*"))
        with self.assertRaises(Refused) as no:
            self.put(server, "own", server.url + "/flow")
        self.assertEqual(no.exception.answer["code"], "42223")

    def test_types_of_the_member(self):
        site = self.site(lambda r, _: answer(200, "ok"))
        server = self.server(site)
        self.put(server, "shown", site.url)
        self.assertIn("shown", server.get("/members")[0]["types"])
        server.call("DELETE", "/executor/shown")
        until("it is gone", lambda: "shown" not in server.get("/members")[0]["types"])


class UrlsOnMariaDb(OnMariaDb, Urls):
    def test_members_that_may_not_ask(self):
        """Every worker whose rules open the address offers it; the others say why, and get none of its tasks."""
        site = self.site(lambda r, _: answer(200, "ok"))
        may, may_not = self.server(site, name="may"), self.server(name="may-not")
        api = self.server(site, name="api", more=("--roles", "api,runner"))
        self.put(api, "asked", site.url)
        for server in (may, may_not, api):
            until("one offers it", lambda s=server: sorted(why is None for why in self.offers(s, "asked").values()) == [False, False, True])
        for text in ("may not be asked from this member", "it has not the role worker"):
            until(text, lambda t=text: t in " ".join(filter(None, self.offers(may, "asked").values())))
        for _ in range(5):
            row = self.run_one(may_not, "asked")
            self.assertEqual((row["state"], row["failures"], row["losses"]), ("SUCCESS", 0, 0))
        until("its types show it", lambda: {"asked" in m["types"] for m in api.get("/members")} == {True, False})
        with self.assertRaises(Refused) as no:
            self.put(may_not, "refused", site.url)
        self.assertEqual(no.exception.answer["code"], "42223")

    def test_another_member_polls(self):
        job = Job(self)
        lease = ("--lease", "2s")
        one = self.server(job.site, name="one", more=lease)
        self.put(one, "passed-on", job.site.url + "/work")
        ti = one.post("/exec/task", {"taskType": "passed-on"})["tiId"]
        until("it is polled", lambda: job.site.seen("GET", "/job/7"))
        two = self.server(job.site, name="two", more=lease)
        one.signal(signal.SIGKILL)
        one.wait()
        polls = len(job.site.seen("GET", "/job/7"))
        until("the other one polls", lambda: len(job.site.seen("GET", "/job/7")) > polls)
        job.over = "done"
        row = self.ended(two, ti)
        self.assertEqual((row["result"], row["losses"], len(job.site.seen("POST"))), ("done", 1, 1))


@unittest.skipUnless(HAVE_REDIS, "no Redis here")
class UrlsWithRedis(WithRedis, UrlsOnMariaDb):
    pass


if __name__ == "__main__":
    unittest.main()
