"""wait=: an answer comes at the end of the instance or when the time is up; a connection that waits costs no thread. And the share
of its nodes that a flow instance shows as ended."""
import concurrent.futures
import json
import signal
import select
import time
import unittest

from weirtest import Case, PATIENCE, Raw, Server, delete, get, inline, post, request

LONG = 60  # the longest wait: a test that only ends with it fails by its clients' patience


def line(method, target, headers=""):
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()


class Waiter(Raw):
    """A connection that has sent a GET with wait=, and whose answer is read later."""

    def __init__(self, path, to=None):
        super().__init__(to)
        self.send(line("GET", path))

    def data(self):
        answer = self.answer()
        assert answer is not None and answer.status == 200, answer
        return json.loads(answer.body)["data"]


class Waits(Case):
    def long_task(self, **kw):
        """A task instance that runs until it is canceled."""
        ti = self.ok(post(f"/exec/task/{self.task('WAIT', '1h', **kw)}"))["tiId"]
        self.addCleanup(self.cancel, ti)
        return ti

    def cancel(self, ti):
        post(f"/exec/task-ins/{ti}/cancel")
        self.task_finished(ti)

    def test_until_the_end(self):
        task, flow = self.task("WAIT", "300ms"), self.flow(inline("WAIT", "300ms"))["flowId"]
        for answer in (post(f"/exec/task/{task}?wait={LONG}"), get(f"/monitor/task/{self.ok(post(f'/exec/task/{task}'))['tiId']}?wait={LONG}")):
            self.assertEqual(self.ok(answer)["state"], "SUCCESS")
        self.assertEqual(self.ok(post(f"/exec/flow/{flow}?wait={LONG}"))["state"], "SUCCESS")
        data = self.ok(get(f"/monitor/flow/{self.start(flow)}?wait={LONG}"))
        self.assertEqual((data["state"], [n["state"] for n in data["nodes"]]), ("SUCCESS", ["SUCCESS"]))

    def test_what_has_ended_is_answered_at_once(self):
        ti = self.ok(post(f"/exec/task/{self.task()}?wait={LONG}"))["tiId"]
        data = self.ok(get(f"/monitor/task/{ti}?wait={LONG}"))
        self.assertEqual((data["state"], data["result"], data["history"]), ("SUCCESS", "hello", []))
        self.assertEqual(self.ok(post(f"/exec/flow/{self.flow(inline('EXCEPTION'))['flowId']}?wait={LONG}"))["state"], "FAILED")

    def test_the_time_is_up(self):
        ti = self.long_task()
        for wait in ("0.2", "0", "0.000001", "1.0"):
            self.assertEqual(self.ok(get(f"/monitor/task/{ti}?wait={wait}"))["execStatus"], "RUNNING", wait)
        flow = self.flow(inline("WAIT", "1h"))["flowId"]
        data = self.ok(post(f"/exec/flow/{flow}?wait=0.1"))
        self.assertEqual(data["state"], "RUNNING")
        self.assertNotIn("nodes", data)  # the answer of a start, as without the wait
        data = self.ok(get(f"/monitor/flow/{data['fiId']}?wait=0.1&nodes=false"))
        self.assertEqual((data["state"], "nodes" in data), ("RUNNING", False))
        self.ok(post(f"/exec/flow-ins/{data['fiId']}/cancel"))
        self.finished(data["fiId"])

    def test_bad_values(self):
        ti = self.long_task()
        for wait in ("61", "60.1", "-1", "1s", "1e1", "", ".", "1.2.3", "+1", "%201", "nan", "ten"):
            body = self.refused(get(f"/monitor/task/{ti}?wait={wait}"), 42205, "BAD_FILTER")
            self.assertEqual((body["data"]["path"], body["message"]), ("/wait", "wait must be 0 to 60 seconds, as in 30 or 0.5."))
        self.refused(get(f"/monitor/task/{ti}?wait=1&wait=1"), 42205)
        for path in ("/monitor/flow?wait=1", "/task?wait=1", f"/monitor/task/{ti}/log?wait=1"):
            self.refused(get(path), 42205)
        self.refused(post("/exec/flows?wait=1", {"starts": []}), 42205)
        before = len(self.ok(get("/monitor/flow?limit=500")))
        self.refused(post(f"/exec/flow/{self.flow(inline())['flowId']}?wait=61"), 42205)
        self.assertEqual(len(self.ok(get("/monitor/flow?limit=500"))), before)
        self.refused(get(f"/monitor/task/999999999?wait={LONG}"), 40402)
        self.refused(get(f"/monitor/flow/999999999?wait={LONG}"), 40402)

    def test_of_one_that_is_deleted(self):
        """Whoever waits hears of it: 404, as from then on."""
        task = self.task("WAIT", "1h")
        running = self.ok(post(f"/exec/task/{task}"))["tiId"]
        created = self.ok(post("/exec/task", {"taskType": "ECHO", "autoRun": False}))["tiId"]
        for ti, state in ((running, "RUNNING"), (created, "CREATED")):
            with Waiter(f"/monitor/task/{ti}?wait={LONG}") as w1, Waiter(f"/monitor/task/{ti}?wait={LONG}") as w2:
                self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["state"], state)
                self.ok(delete(f"/exec/task-ins/{ti}"))
                for w in (w1, w2):
                    answer = w.answer()
                    self.assertEqual((answer.status, json.loads(answer.body)["code"]), (404, "40402"))
            self.refused(get(f"/monitor/task/{ti}?wait={LONG}"), 40402)

    def test_more_waiters_than_threads(self):
        """200 wait, and everything else goes on; one commit answers all of them."""
        ti = self.long_task()
        waiters = [Waiter(f"/monitor/task/{ti}?wait={LONG}") for _ in range(200)]
        try:
            self.assertEqual(self.ok(post(f"/exec/task/{self.task()}?wait={LONG}"))["state"], "SUCCESS")
            self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["state"], "RUNNING")
            self.ok(post(f"/exec/task-ins/{ti}/cancel"))
            self.assertEqual({w.data()["state"] for w in waiters}, {"CANCELED"})
        finally:
            for w in waiters:
                w.socket.close()

    def test_each_waits_for_its_own(self):
        """Waiters of several instances, of one that ends and one that does not."""
        one, two = self.long_task(), self.long_task()
        fi = self.start(self.flow(inline("WAIT", "1h"))["flowId"])
        with Waiter(f"/monitor/task/{one}?wait={LONG}") as w1, Waiter(f"/monitor/task/{one}?wait={LONG}") as w2, \
                Waiter(f"/monitor/task/{two}?wait={LONG}") as other, Waiter(f"/monitor/flow/{fi}?wait={LONG}") as flow:
            self.ok(post(f"/exec/task-ins/{one}/cancel"))
            self.assertEqual((w1.data()["tiId"], w2.data()["state"]), (one, "CANCELED"))
            self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
            self.assertEqual(flow.data()["state"], "CANCELED")
            other.socket.setblocking(False)
            self.assertRaises(BlockingIOError, other.socket.recv, 1)
            other.socket.settimeout(PATIENCE)
            self.ok(post(f"/exec/task-ins/{two}/cancel"))
            self.assertEqual(other.data()["tiId"], two)

    def test_a_task_of_a_node(self):
        fi = self.start(self.flow(inline("WAIT", "1h"))["flowId"])
        ni = self.ok(get(f"/monitor/flow/{fi}"))["nodes"][0]["niId"]
        ti = self.ok(get(f"/monitor/node/{ni}"))[0]["tiId"]
        with Waiter(f"/monitor/task/{ti}?wait={LONG}") as w:
            self.ok(post(f"/exec/task-ins/{ti}/cancel"))
            self.assertEqual(w.data()["state"], "CANCELED")
        self.finished(fi)

    def test_the_connection_goes_on(self):
        ti, task = self.long_task(), self.task()
        with Raw() as raw:
            raw.send(line("GET", f"/monitor/task/{ti}?wait=0.1"))
            answer = raw.answer()
            self.assertEqual((answer.status, answer.headers["connection"]), (200, "keep-alive"))
            raw.send(line("GET", f"/task/{task}"))
            self.assertEqual(self.ok(raw.answer())["taskId"], task)
            raw.send(line("HEAD", f"/monitor/task/{ti}?wait=0.1"))
            while b"\r\n\r\n" not in raw.buffer:
                raw._fill()
            raw.buffer = b""
            raw.send(line("GET", f"/monitor/task/{ti}?wait=0.1", "Connection: close\r\n"))
            self.assertEqual(raw.answer().headers["connection"], "close")
            self.assertIsNone(raw.answer())
        with Raw() as raw:  # what was sent behind it comes to nothing: the connection closes, and says so
            raw.send(line("GET", f"/monitor/task/{ti}?wait=0.1") * 2)
            self.assertEqual(raw.answer().headers["connection"], "close")
            self.assertIsNone(raw.answer())
        with Raw() as raw:
            raw.send(f"GET /monitor/task/{ti}?wait=0.1 HTTP/1.0\r\n\r\n".encode())
            self.assertEqual(raw.answer().headers["connection"], "close")

    def test_one_that_sends_no_more_is_answered_now(self):
        ti = self.long_task()
        with Waiter(f"/monitor/task/{ti}?wait={LONG}") as w:
            self.assertEqual(w.end().data()["state"], "RUNNING")

    def test_with_a_key(self):
        flow, key = self.flow(inline("WAIT", "1h"))["flowId"], {"Idempotency-Key": f"wait-{time.monotonic_ns()}"}
        first = post(f"/exec/flow/{flow}?wait=0.1", headers=key)
        again = post(f"/exec/flow/{flow}?wait=0.2", headers=key)  # what is asked for is the same: only the wait differs
        self.assertEqual(self.ok(first)["fiId"], self.ok(again)["fiId"])
        self.assertEqual((first.json.get("replayed"), again.json.get("replayed")), (None, True))
        self.ok(post(f"/exec/flow-ins/{first.data['fiId']}/cancel"))
        self.assertEqual(self.ok(post(f"/exec/flow/{flow}?wait={LONG}", headers=key))["state"], "CANCELED")

    def test_a_rerun(self):
        flow = self.flow(inline("EXCEPTION"))["flowId"]
        fi = self.ok(post(f"/exec/flow/{flow}?wait={LONG}"))["fiId"]
        data = self.ok(post(f"/exec/flow/{flow}?wait={LONG}", {"fiId": fi}))
        self.assertEqual((data["fiId"], data["runNo"], data["state"]), (fi, 2, "FAILED"))

    def test_a_large_answer_to_one_who_reads_late(self):
        """It waits for its client without a thread, and is whole."""
        content = "x" * 60000
        fi = self.start(self.flow(*[inline("ECHO", content)] * 3, {**inline("WAIT", "1h"), "nodeKey": "last"}, name="n" * 128)["flowId"])
        flow = self.flow(*[{**inline("ECHO"), "nodeKey": f"{i:05d}" + "k" * 100, "prevNodes": []} for i in range(20000)],
                         {**inline("WAIT", "1h"), "nodeKey": "long", "prevNodes": []})["flowId"]
        big = self.start(flow)
        slow = [Waiter(f"/monitor/flow/{big}?wait={LONG}") for _ in range(6)]
        self.ok(post(f"/exec/flow-ins/{big}/cancel"))
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.assertEqual(self.ok(get(f"/monitor/flow/{fi}?wait={LONG}"))["state"], "CANCELED")  # while six answers lie about
        with concurrent.futures.ThreadPoolExecutor(len(slow)) as pool:
            for data in pool.map(Waiter.data, slow):
                self.assertEqual((data["state"], len(data["nodes"])), ("CANCELED", data["progress"]["total"]))
        for w in slow:
            w.socket.close()


class Places(Case):
    """How many may wait at once."""

    def server(self, *options, **kw):
        server = Server(*options, **kw)
        self.addCleanup(server.stop)
        return server

    def waiting(self, server):
        task = self.ok(post("/task", {"taskName": "t", "taskType": "WAIT", "taskContent": "1h"}, to=server))["taskId"]
        return task, self.ok(post(f"/exec/task/{task}", to=server))["tiId"]

    def test_none(self):
        server = self.server("--wait-share", "0")
        task, ti = self.waiting(server)
        body = self.refused(get(f"/monitor/task/{ti}?wait=1", to=server), 50302, "BUSY")
        self.assertIn("--wait-share", body["message"])
        self.refused(post(f"/exec/task/{task}?wait=1", to=server), 50302, "BUSY")
        self.refused(get(f"/monitor/task/{ti}/log?follow=true", to=server), 50302, "BUSY")
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}?wait=0", to=server))["state"], "RUNNING")
        self.assertIsNotNone(self.refused(get(f"/monitor/task/{ti + 1}", to=server), 40402))  # the refused start started nothing
        self.ok(post(f"/exec/task-ins/{ti}/cancel", to=server))

    def until(self, path, status, server):
        end = time.monotonic() + PATIENCE
        while (answer := get(path, to=server)).status != status:
            self.assertLess(time.monotonic(), end, answer)
        return answer

    def test_a_share(self):
        """Beyond the share 503, other requests as ever; who goes away makes room, and so does who is answered."""
        server = self.server("--wait-share", "2")  # of 1,024 connections, or fewer: at most 20 wait
        task, ti = self.waiting(server)
        short = f"/monitor/task/{ti}?wait=0.01"
        waiters = [Waiter(f"/monitor/task/{ti}?wait={LONG}", server) for _ in range(30)]
        try:
            # one of them is refused when the others have all places; nobody else asks so far
            self.assertTrue(select.select([w.socket for w in waiters], [], [], PATIENCE)[0])
            refusal = get(short, to=server)
            self.refused(refusal, 50302, "BUSY")
            self.assertEqual(refusal.headers["retry-after"], "1")
            self.assertEqual(self.ok(get(f"/monitor/task/{ti}", to=server))["state"], "RUNNING")
            self.refused(post(f"/exec/task/{task}?wait=1", to=server), 50302)
            self.refused(get(f"/monitor/task/{ti}/log?follow=true", to=server), 50302)
        finally:
            for w in waiters:
                w.socket.close()
        self.until(short, 200, server)
        with Waiter(f"/monitor/task/{ti}?wait={LONG}", server) as w:
            self.ok(post(f"/exec/task-ins/{ti}/cancel", to=server))
            self.assertEqual(w.data()["state"], "CANCELED")

    def test_a_stop_ends_waits(self):
        server = self.server()
        task, ti = self.waiting(server)
        with Raw(server) as w:
            w.send(line("POST", f"/exec/task/{task}?wait={LONG}"))
            end = time.monotonic() + PATIENCE
            while get(f"/monitor/task/{ti + 1}", to=server).status != 200:
                self.assertLess(time.monotonic(), end)
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.ok(w.answer())["tiId"], ti + 1)
            self.assertEqual(server.stop(), 0)

    def test_a_token_is_needed(self):
        server = self.server(dev=False)
        self.refused(get("/monitor/task/1?wait=60", to=server), 40101)
        self.refused(get("/monitor/task/1/log?follow=true", to=server), 40101)


class Progress(Case):
    def share(self, fi):
        return tuple(self.ok(get(f"/monitor/flow/{fi}?nodes=false"))["progress"][k] for k in ("done", "total"))

    def test_of_a_flow(self):
        fi = self.start(self.flow({**inline(), "nodeKey": "a"}, {**inline("WAIT", "1h"), "nodeKey": "b"}, {**inline(), "nodeKey": "c"})["flowId"])
        end = time.monotonic() + PATIENCE
        while self.share(fi) != (1, 3):
            self.assertLess(time.monotonic(), end, self.share(fi))
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.assertEqual(self.ok(get(f"/monitor/flow/{fi}?wait={LONG}"))["progress"], {"total": 3, "done": 3})

    def test_after_a_rerun(self):
        """A node counts by its newest row."""
        flow = self.flow({**inline(), "nodeKey": "a"}, {**inline("EXCEPTION"), "nodeKey": "b"}, {**inline("WAIT", "1h"), "nodeKey": "c", "prevNodes": ["a"]})
        self.assertEqual(flow["flowNodes"][1]["prevNodes"] if "prevNodes" in flow["flowNodes"][1] else [], [])
        fi = self.start(flow["flowId"])
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.finished(fi)
        self.assertEqual(self.share(fi), (3, 3))
        self.ok(post(f"/exec/flow/{flow['flowId']}", {"fiId": fi}))
        done, total = self.share(fi)
        self.assertTrue(done <= total == 3)
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.finished(fi)
        self.assertEqual(self.share(fi), (3, 3))

    def test_of_a_flow_without_nodes(self):
        self.assertEqual(self.share(self.start(self.flow()["flowId"])), (0, 0))


if __name__ == "__main__":
    unittest.main()
