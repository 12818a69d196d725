"""Idempotency-Key: the same request again is the same run, whoever asks, however often, and after a restart too."""
import http.client
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import uuid
from urllib.parse import parse_qs, urlsplit

from weirtest import PATIENCE, Case, Raw, Server, get, inline, post, request

KEY = "Idempotency-Key"


def key():
    return f"test-{uuid.uuid4()}"


def keyed(path, name, body=None, to=None):
    """body: bytes as they are, anything else as JSON."""
    headers = {KEY: name}
    if isinstance(body, bytes):
        headers["Content-Type"] = "application/json"
    return request("POST", path, body, headers, to)


class Keys(Case):
    def same(self, first, again):
        """`again` answers the same request: with the same data, and marked as a replay."""
        self.ok(first)
        self.ok(again)
        self.assertNotIn("replayed", first.json)
        self.assertIs(again.json["replayed"], True)
        return again.data

    def runs(self, flow_id, to=None):
        return [run["fiId"] for run in self.ok(get(f"/monitor/flow?flowId={flow_id}&limit=500", to=to))]


class Start(Keys):
    def test_54_same_body(self):
        flow, name = self.flow(inline())["flowId"], key()
        first = keyed(f"/exec/flow/{flow}", name, {"params": {"a": 1, "b": "x y"}})
        self.finished(first.data["fiId"])
        for body in (b'{"params":{"a":1,"b":"x y"}}', b' { "params" : { "b" : "x y" , "a" : 1 } } ', b'{"params":{"\\u0061":1,"b":"x\\u0020y"}}'):
            again = self.same(first, keyed(f"/exec/flow/{flow}", name, body))
            self.assertEqual((again["fiId"], again["params"]), (first.data["fiId"], {"a": 1, "b": "x y"}))
            self.assertEqual((again["flowName"], again["startedAt"]), (first.data["flowName"], first.data["startedAt"]))
        self.assertEqual(self.runs(flow), [first.data["fiId"]])

    def test_54_no_body(self):
        flow, name = self.flow(inline())["flowId"], key()
        first = keyed(f"/exec/flow/{flow}", name)
        self.assertEqual(self.same(first, keyed(f"/exec/flow/{flow}", name))["fiId"], first.data["fiId"])
        self.assertEqual(self.same(first, keyed(f"/exec/flow/{flow}", name, {}))["fiId"], first.data["fiId"])

    def test_54_while_it_runs(self):
        flow, name = self.flow(inline("WAIT", "30"))["flowId"], key()
        first = keyed(f"/exec/flow/{flow}", name)
        again = self.same(first, keyed(f"/exec/flow/{flow}", name))
        self.assertEqual((again["fiId"], again["state"]), (first.data["fiId"], "RUNNING"))
        self.ok(post(f"/exec/flow-ins/{again['fiId']}/cancel"))
        self.finished(again["fiId"])

    def test_54_flow_without_nodes(self):
        flow, name = self.flow()["flowId"], key()
        first = keyed(f"/exec/flow/{flow}", name)
        self.assertEqual(self.same(first, keyed(f"/exec/flow/{flow}", name)), first.data)

    def test_54_after_a_change_of_the_flow(self):
        flow, name = self.flow(inline())["flowId"], key()
        first = keyed(f"/exec/flow/{flow}", name)
        self.finished(first.data["fiId"])
        self.flow(inline(), inline(), flowId=flow)
        self.assertEqual(self.same(first, keyed(f"/exec/flow/{flow}", name))["flowVersion"], 1)
        self.ok(request("DELETE", f"/flow/{flow}"))
        self.assertEqual(self.same(first, keyed(f"/exec/flow/{flow}", name))["fiId"], first.data["fiId"])
        self.refused(keyed(f"/exec/flow/{flow}", key()), 40910)

    def test_55_other_request(self):
        flow, other, name = self.flow(inline())["flowId"], self.flow(inline())["flowId"], key()
        task = self.task()
        first = self.ok(keyed(f"/exec/flow/{flow}", name, {"params": {"a": 1}}))["fiId"]
        for path, body in ((f"/exec/flow/{flow}", {"params": {"a": 2}}), (f"/exec/flow/{flow}", {"params": {"a": "1"}}),
                           (f"/exec/flow/{flow}", {}), (f"/exec/flow/{flow}", None), (f"/exec/flow/{other}", {"params": {"a": 1}}),
                           (f"/exec/task/{task}", {"params": {"a": 1}}), ("/exec/flows", {"starts": [{"flowId": flow}]}),
                           ("/task", {"taskName": "x", "taskType": "ECHO"}), ("/flow", {"flowName": "x", "flowNodes": [inline()]})):
            with self.subTest(path=path, body=body):
                self.refused(keyed(path, name, body), 40911, "KEY_REUSED")
        self.assertEqual((self.runs(flow), self.runs(other)), ([first], []))

    def test_refused_start_uses_no_key(self):
        name = key()
        self.refused(keyed("/exec/flow/999999999", name), 40402)
        flow = self.flow(inline())["flowId"]
        self.refused(keyed(f"/exec/flow/{flow}", name, {"params": 1}), 42201)
        self.assertNotIn("replayed", keyed(f"/exec/flow/{flow}", name).json)

    def test_keys_are_apart(self):
        flow = self.flow(inline())["flowId"]
        names = [key(), key()]
        names.append(names[0].upper())
        made = [self.ok(keyed(f"/exec/flow/{flow}", name))["fiId"] for name in names]
        made.append(self.ok(post(f"/exec/flow/{flow}"))["fiId"])
        self.assertEqual(len(set(made)), 4)

    def test_56_bad_keys(self):
        flow = self.flow(inline())["flowId"]
        for bad in ("", " ", "x" * 129, "a b", "k\xe9y", "\xff", "\x7f", "a\tb"):
            for path, body in ((f"/exec/flow/{flow}", None), ("/exec/flows", {"starts": [{"flowId": flow}]}), ("/exec/task/1", None),
                               ("/task", {"taskName": "x", "taskType": "ECHO"}), ("/flow", {"flowName": "x", "flowNodes": [inline()]})):
                with self.subTest(key=bad, path=path):
                    # control characters end a request even before its headers are known
                    self.assertIn(keyed(path, bad, body).json["code"], ("40012",) if bad.isprintable() else ("40012", "40013"))
        two = f"POST /exec/flow/{flow} HTTP/1.1\r\nHost: localhost\r\n{KEY}: a\r\n{KEY}: a\r\n\r\n".encode()
        with Raw() as raw:
            self.refused(raw.send(two).answer(), 40012, "BAD_KEY")
        self.assertEqual(self.runs(flow), [])

    def test_56_good_keys(self):
        flow = self.flow(inline())["flowId"]
        for good in (key() + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", (key() * 4)[:128], '"' + key() + '"', key() + "';--"):
            with self.subTest(key=good):
                first = keyed(f"/exec/flow/{flow}", good)
                self.assertEqual(self.same(first, keyed(f"/exec/flow/{flow}", good))["fiId"], first.data["fiId"])

    def test_other_routes_take_no_notice(self):
        for path in ("/livez", "/monitor/flow"):
            self.ok(request("GET", path, headers={KEY: "not a key"}))


class Others(Keys):
    def test_bulk(self):
        flow, other, name = self.flow(inline())["flowId"], self.flow(inline())["flowId"], key()
        body = {"starts": [{"flowId": flow}, {"flowId": other, "params": {"a": 1}}, {"flowId": flow}]}
        first = keyed("/exec/flows", name, body)
        self.assertEqual(len(set(first.data)), 3)
        self.assertEqual(self.same(first, keyed("/exec/flows", name, body)), first.data)
        self.assertEqual(sorted(self.runs(flow) + self.runs(other)), sorted(first.data))
        body["starts"].pop()
        self.refused(keyed("/exec/flows", name, body), 40911)
        self.refused(keyed("/exec/flows", name, {"starts": []}), 40911)

    def test_bulk_of_a_thousand(self):
        flow, name = self.flow(inline())["flowId"], key()
        body = {"starts": [{"flowId": flow}] * 1000}
        first = keyed("/exec/flows", name, body)
        self.assertEqual(len(set(first.data)), 1000)
        self.assertEqual(self.same(first, keyed("/exec/flows", name, body)), first.data)

    def test_bulk_of_none(self):
        name = key()
        first = keyed("/exec/flows", name, {"starts": []})
        self.assertEqual(self.same(first, keyed("/exec/flows", name, {"starts": []})), [])
        self.refused(keyed("/exec/flows", name, {"starts": [{"flowId": self.flow(inline())["flowId"]}]}), 40911)

    def test_bulk_is_all_or_nothing(self):
        flow, name = self.flow(inline())["flowId"], key()
        self.refused(keyed("/exec/flows", name, {"starts": [{"flowId": flow}, {"flowId": 999999999}]}), 40402)
        self.assertEqual(self.runs(flow), [])
        self.assertNotIn("replayed", keyed("/exec/flows", name, {"starts": [{"flowId": flow}]}).json)

    def test_task_run(self):
        task, name = self.task(), key()
        first = keyed(f"/exec/task/{task}", name)
        self.task_finished(first.data["tiId"])
        again = self.same(first, keyed(f"/exec/task/{task}", name))
        self.assertEqual((again["tiId"], again["execStatus"], again["result"]), (first.data["tiId"], "SUCCESS", "hello"))
        self.refused(keyed(f"/exec/task/{task}", name, {"params": {"a": 1}}), 40911)
        self.refused(keyed(f"/exec/task/{self.task()}", name), 40911)
        self.assertNotEqual(self.ok(keyed(f"/exec/task/{task}", key()))["tiId"], first.data["tiId"])

    def test_task_definition(self):
        name, body = key(), {"taskName": "once", "taskType": "ECHO", "taskContent": "x"}
        first = keyed("/task", name, body)
        self.assertEqual(self.same(first, keyed("/task", name, dict(reversed(body.items())))), first.data)
        self.refused(keyed("/task", name, {**body, "taskContent": "y"}), 40911)
        edit, body = key(), {"taskId": first.data["taskId"], "taskContent": "y", "taskVersion": 1}
        second = keyed("/task", edit, body)
        self.assertEqual(second.data["taskVersion"], 2)
        self.assertEqual(self.same(second, keyed("/task", edit, body)), second.data)  # not 412
        self.assertEqual(self.same(first, keyed("/task", name, {"taskName": "once", "taskType": "ECHO", "taskContent": "x"}))["taskVersion"], 1)

    def test_flow_definition(self):
        name, body = key(), {"flowName": "once", "flowNodes": [inline(), inline("WAIT", "0")]}
        first = keyed("/flow", name, body)
        self.assertEqual(self.same(first, keyed("/flow", name, body)), first.data)
        self.refused(keyed("/flow", name, {**body, "flowName": "twice"}), 40911)
        edit, body = key(), {"flowId": first.data["flowId"], "flowName": "again"}
        second = keyed("/flow", edit, body)
        self.assertEqual(second.data["flowVersion"], 2)
        self.assertEqual(self.same(second, keyed("/flow", edit, body)), second.data)
        self.assertEqual(self.ok(get(f"/flow/{first.data['flowId']}"))["flowVersion"], 2)
        wrong = keyed("/flow", key(), {"flowName": "x", "flowNodes": [inline(), inline("NONE")]})
        self.refused(wrong, 42220)
        self.assertIn("NONE", wrong.json["message"])  # the reason of the request itself, not one of its key


def at_once(n, call):
    """call(i) on n threads that start together; the answers in order."""
    barrier, found = threading.Barrier(n), [None] * n

    def one(i):
        barrier.wait()
        found[i] = call(i)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return found


class Together(Keys):
    def one_made(self, answers, field):
        made = {self.ok(a)[field] for a in answers}
        self.assertEqual(len(made), 1, answers)
        self.assertEqual(sum("replayed" not in a.json for a in answers), 1)
        return made.pop()

    def test_starts(self):
        flow = self.flow(inline())["flowId"]
        for _ in range(10):
            name = key()
            before = set(self.runs(flow))
            fi = self.one_made(at_once(16, lambda i: keyed(f"/exec/flow/{flow}", name)), "fiId")
            self.assertEqual(set(self.runs(flow)) - before, {fi})

    def test_starts_with_different_bodies(self):
        flow, name = self.flow(inline())["flowId"], key()
        answers = at_once(16, lambda i: keyed(f"/exec/flow/{flow}", name, {"params": {"i": i}}))
        self.assertEqual(sorted(a.status for a in answers), [200] + [409] * 15)
        self.assertEqual(len(self.runs(flow)), 1)

    def test_definitions(self):
        for _ in range(5):
            name = key()
            self.one_made(at_once(8, lambda i: keyed("/task", name, {"taskName": "x", "taskType": "ECHO"})), "taskId")
            flow = self.flow(inline())["flowId"]
            name = key()
            edited = at_once(8, lambda i: keyed("/flow", name, {"flowId": flow, "flowVersion": 1, "flowName": "y"}))
            self.assertEqual(self.one_made(edited, "flowVersion"), 2)


@unittest.skipIf(os.environ.get("WEIR_URL"), "needs servers of its own")
class Restart(Keys):
    """The store outlives the servers; what was acknowledged is known to the next one."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weir-keys-")
        self.own = None

    def tearDown(self):
        if self.own:
            self.own.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def again(self, sign=signal.SIGKILL):
        if self.own:
            self.own.process.send_signal(sign)
            self.own.stop()
        self.own = Server("--store", f"sqlite:{self.folder}/weir.db")

    def test_restarts(self):
        self.again()
        flow = self.ok(keyed("/flow", "the-flow", {"flowName": "f", "flowNodes": [inline()]}, self.own))
        fi = self.ok(keyed(f"/exec/flow/{flow['flowId']}", "the-start", None, self.own))["fiId"]
        bulk = self.ok(keyed("/exec/flows", "the-bulk", {"starts": [{"flowId": flow["flowId"]}] * 3}, self.own))
        for sign in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            self.again(sign)
            again = keyed("/flow", "the-flow", {"flowName": "f", "flowNodes": [inline()]}, self.own)
            self.assertEqual((self.ok(again), again.json["replayed"]), (flow, True))
            again = keyed(f"/exec/flow/{flow['flowId']}", "the-start", None, self.own)
            self.assertEqual((self.ok(again)["fiId"], again.json["replayed"]), (fi, True))
            again = keyed("/exec/flows", "the-bulk", {"starts": [{"flowId": flow["flowId"]}] * 3}, self.own)
            self.assertEqual((self.ok(again), again.json["replayed"]), (bulk, True))
            self.refused(keyed(f"/exec/flow/{flow['flowId']}", "the-start", {"params": {"a": 1}}, self.own), 40911)
            self.assertEqual(sorted(self.runs(flow["flowId"], self.own)), sorted([fi, *bulk]))

    def test_killed_while_clients_retry(self):
        """Every client repeats its start with its key until it is answered: one run for each, wherever the kill fell."""
        self.again()
        flow = self.ok(request("POST", "/flow", {"flowName": "f", "flowNodes": [inline()]}, to=self.own))["flowId"]
        names = [key() for _ in range(40)]
        done, changed, heard, stop = {}, set(), queue.Queue(), threading.Event()

        def client(mine):
            while mine and not stop.is_set():
                try:
                    answer = keyed(f"/exec/flow/{flow}", mine[0], None, self.own)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.005)  # no server is there just now
                    continue
                if answer.status == 200:
                    name = mine.pop(0)
                    if done.setdefault(name, answer.data["fiId"]) != answer.data["fiId"]:
                        changed.add(name)
                    heard.put(name)
        threads = [threading.Thread(target=client, args=(names[i::4] * 5,)) for i in range(4)]
        for t in threads:
            t.start()
        try:
            for _ in range(4):
                for _ in range(20):
                    heard.get(timeout=PATIENCE)
                self.again()
            for t in threads:
                t.join(PATIENCE)
            alive = [t for t in threads if t.is_alive()]
        finally:
            stop.set()
        self.assertFalse(alive)
        self.assertFalse(changed)
        self.assertEqual(len(done), len(names))
        self.assertEqual(sorted(self.runs(flow, self.own)), sorted(done.values()))


@unittest.skipUnless(os.environ.get("WEIR_TEST_MYSQL") and os.environ.get("WEIR_TEST_REDIS"), "no MariaDB and Redis")
class Nodes(Together):
    """Two servers on one database of their own."""

    @classmethod
    def setUpClass(cls):
        url = os.environ["WEIR_TEST_MYSQL"]
        parts = urlsplit(url)
        cls.client = ["mariadb", "--no-defaults", "-u", parts.username, "-S", parse_qs(parts.query)["socket"][0], "-e"]
        cls.sql("DROP DATABASE IF EXISTS weir_keys", "CREATE DATABASE weir_keys")
        options = ("--store", url.replace(parts.path, "/weir_keys", 1), "--queue", os.environ["WEIR_TEST_REDIS"], "--prefix", key())
        cls.two = [Server(*options), Server(*options)]

    @classmethod
    def sql(cls, *statements):
        subprocess.run(cls.client + ["; ".join(statements)], check=True)

    @classmethod
    def tearDownClass(cls):
        status = [s.stop() for s in cls.two]
        cls.sql("DROP DATABASE IF EXISTS weir_keys")
        if status != [0, 0]:
            raise AssertionError(f"the servers did not end well: {status}")

    def setUp(self):
        self.made = self.ok(request("POST", "/flow", {"flowName": "f", "flowNodes": [inline()]}, to=self.two[0]))["flowId"]

    def tearDown(self):
        for s in self.two:
            self.assertEqual(get("/readyz", to=s).status, 200)

    def test_starts(self):
        for _ in range(25):
            name, before = key(), set(self.runs(self.made, self.two[0]))
            fi = self.one_made(at_once(8, lambda i: keyed(f"/exec/flow/{self.made}", name, None, self.two[i % 2])), "fiId")
            self.assertEqual(set(self.runs(self.made, self.two[1])) - before, {fi})

    def test_starts_with_different_bodies(self):
        name = key()
        answers = at_once(8, lambda i: keyed(f"/exec/flow/{self.made}", name, {"params": {"i": i}}, self.two[i % 2]))
        self.assertEqual(sorted(a.status for a in answers), [200] + [409] * 7)
        self.assertEqual(len(self.runs(self.made, self.two[0])), 1)

    def test_definitions(self):
        for _ in range(5):
            name = key()
            self.one_made(at_once(8, lambda i: keyed("/task", name, {"taskName": "x", "taskType": "ECHO"}, self.two[i % 2])), "taskId")
            name = key()
            edited = at_once(8, lambda i: keyed("/flow", name, {"flowId": self.made, "flowName": "y"}, self.two[i % 2]))
            self.one_made(edited, "flowVersion")

    def test_one_after_the_other(self):
        task = self.ok(request("POST", "/task", {"taskName": "x", "taskType": "ECHO"}, to=self.two[0]))["taskId"]
        for path, body in ((f"/exec/flow/{self.made}", None), ("/exec/flows", {"starts": [{"flowId": self.made}] * 2}),
                           (f"/exec/task/{task}", {}), ("/task", {"taskName": "x", "taskType": "ECHO"})):
            name = key()
            first = self.ok(keyed(path, name, body, self.two[0]))
            again = keyed(path, name, body, self.two[1])
            self.assertIs(again.json["replayed"], True)
            for field in ("fiId", "tiId", "taskId"):
                if field in first:
                    self.assertEqual(first[field], self.ok(again)[field])
            if isinstance(first, list):
                self.assertEqual(first, self.ok(again))


if __name__ == "__main__":
    unittest.main()
