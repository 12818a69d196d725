"""wait= and follow=true on a node that does not run the task: MariaDB and Redis, one node for the API and one that works; and while
the database does not answer."""
import http.client
import json
import threading
import unittest
from urllib.parse import urlsplit

from live import LIMIT_S, Refused, Server, alive, directory, shell, task, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis

REQUEST_S = 3


class Asked(threading.Thread):
    """A GET under way; its status and data come later."""

    def __init__(self, server, path):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=LIMIT_S)
        self.connection.request("GET", path)
        self.status = None
        self.start()

    def run(self):
        answer = self.connection.getresponse()
        self.body = answer.read()
        self.status = answer.status
        self.connection.close()

    def data(self):
        self.join(LIMIT_S)
        if self.status is None:
            raise AssertionError("no answer")
        return self.status, json.loads(self.body)["data"]


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS, "no mariadbd, no redis-server")
class Nodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        room = directory()
        cls.tmp = room.__enter__()
        cls.addClassCleanup(room.__exit__, None, None, None)
        cls.db = MariaDb(cls.tmp)
        cls.addClassCleanup(cls.db.stop)
        cls.redis = Redis(cls.tmp)
        cls.addClassCleanup(cls.redis.stop)
        common = ("--store", cls.db.url, "--queue", cls.redis.url, "--request-timeout", f"{REQUEST_S}s")
        cls.front = Server(cls.tmp / "front", *common, "--roles", "api,runner")
        cls.addClassCleanup(cls.front.kill)
        cls.worker = Server(cls.tmp / "worker", *common)
        cls.addClassCleanup(cls.worker.kill)

    def started(self, *nodes):
        """The flow and its only task, once it runs: on the worker, asked of the front."""
        fi = self.front.flow(*nodes)
        ti = lambda: self.front.get(f"/monitor/node/{self.front.get(f'/monitor/flow/{fi}')['nodes'][0]['niId']}")
        until("the task runs", lambda: ti()[0]["state"] == "RUNNING")
        return fi, ti()[0]["tiId"]

    def test_an_end_of_another_node(self):
        go = self.tmp / "go"
        fi, ti = self.started(shell("a", f'until [ -e "{go}" ]; do sleep 0.02; done'))
        asked = [Asked(self.front, f"/monitor/{what}?wait=60") for what in [f"flow/{fi}", f"task/{ti}"] * 20]
        self.assertEqual(self.front.get(f"/monitor/flow/{fi}?wait=0.2")["state"], "RUNNING")
        go.touch()
        for a in asked:
            status, data = a.data()
            self.assertEqual((status, data["state"]), (200, "SUCCESS"))

    def test_a_task_that_another_node_deletes_by_force(self):
        """Its node kills it, although it finds no row that would say so."""
        for told in (True, False):
            up = self.tmp / f"up.{told}"
            script = f"trap 'touch {self.tmp}/told' TERM; echo $$ > {up}.new; mv {up}.new {up}; while :; do sleep 0.02; done"
            body = {"taskType": "SHELL", "taskContent": script, "taskConfig": {"grace": "10m"}}
            ti = self.front.post("/exec/task", body)["tiId"]
            until("it runs", up.exists)
            pid = int(up.read_text())
            self.front.call("DELETE", f"/exec/task-ins/{ti}")
            if told:
                until("it has heard of the first one", (self.tmp / "told").exists)
            self.assertIs(self.front.call("DELETE", f"/exec/task-ins/{ti}?force=true")["changed"], True)
            until("it is dead", lambda: not alive(pid))

    def test_a_log_of_another_node(self):
        two, three = self.tmp / "two", self.tmp / "three"
        script = f'echo "one $WEIR_ATTEMPT"; until [ -e "{two}" ]; do sleep 0.02; done; echo two; until [ -e "{three}" ]; do sleep 0.02; done; [ "$WEIR_ATTEMPT" = 2 ]'
        _, ti = self.started(shell("a", script, taskConfig={"attempts": 2, "backoff": {"base": "1ms", "jitter": "none"}}))
        connection = http.client.HTTPConnection(urlsplit(self.front.url).netloc, timeout=LIMIT_S)
        self.addCleanup(connection.close)
        connection.request("GET", f"/monitor/task/{ti}/log?follow=true")
        answer, got = connection.getresponse(), b""
        for text, go in ((b"one 1\n", two), (b"two\n", three)):
            while text not in got:
                more = answer.read1(65536)
                self.assertTrue(more, got)
                got += more
            go.touch()
        self.assertEqual(got + answer.read(), b"one 1\ntwo\none 2\ntwo\n")
        self.assertEqual(self.front.get(f"/monitor/task/{ti}")["state"], "SUCCESS")

    def test_the_database_does_not_answer(self):
        """A wait whose time ends then is answered as a GET is; one with more time goes on when the database is back."""
        fi, ti = self.started(task("a", "WAIT", "1h"))
        long = Asked(self.front, f"/monitor/flow/{fi}?wait=60")
        stream = Asked(self.front, f"/monitor/task/{ti}/log?follow=true")
        self.assertEqual(self.front.get(f"/monitor/flow/{fi}?wait=1")["state"], "RUNNING")  # by then both wait, and read nothing
        short = [Asked(self.front, f"/monitor/task/{ti}?wait=1") for _ in range(50)]
        self.front.get("/version")
        self.db.freeze()
        try:
            answers = [a.data() for a in short]
        finally:
            self.db.thaw()
        for status, data in answers:
            self.assertIn((status, data.get("error")), ((503, "DB_UNAVAILABLE"), (503, "BUSY"), (200, None)))
        self.assertIn(503, [status for status, _ in answers])
        until("the cancel is taken", lambda: self.cancel(fi))
        status, data = long.data()
        self.assertEqual((status, data["state"]), (200, "CANCELED"))
        stream.join(LIMIT_S)
        self.assertEqual((stream.status, stream.body), (200, b""))

    def test_an_unread_body_and_the_database(self):
        """A body that no route reads is read by the front, from the client's connection: never from that of the database."""
        address = urlsplit(self.front.url).netloc
        for _ in range(10):
            for body in (b"x" * 10, None):
                connection = http.client.HTTPConnection(address, timeout=LIMIT_S)
                connection.request("GET", "/monitor/flow?limit=500", body)
                answer = connection.getresponse()
                self.assertEqual((answer.status, json.loads(answer.read())["code"]), (200, "200"))
                connection.close()

    def cancel(self, fi):
        try:
            return self.front.post(f"/exec/flow-ins/{fi}/cancel")
        except Refused:  # the database has just come back
            return None


if __name__ == "__main__":
    unittest.main()
