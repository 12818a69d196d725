"""The database is there and does not do what it should, for a while: what is answered, when, and what /readyz says."""
import os
import sqlite3
import subprocess
import time
import unittest
from urllib.parse import parse_qs, urlsplit

from live import Refused, Server, directory, task, until

FLOW = [task("a", "ECHO", "x")]


def readiness(server):
    """None when it is ready, else what the store is said to have."""
    try:
        server.get("/readyz")
    except Refused as e:
        return e.answer["data"]["parts"]["store"]["why"]
    return None


class Away(unittest.TestCase):
    def server(self, *args):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        server = Server(self.tmp / "data", "--request-timeout", "3s", *args)
        self.addCleanup(server.kill)
        return server

    def refused_in_time(self, server, flow):
        """A start is refused for certain: within its time (and much of the machine's), with the code that says so."""
        began = time.monotonic()
        with self.assertRaises(Refused) as got:
            server.post(f"/exec/flow/{flow}")
        self.assertEqual(got.exception.answer["code"], "50301")
        self.assertLess(time.monotonic() - began, 30)

    def lasting(self, server, begin, end):
        flow = server.post("/flow", {"flowName": "away", "flowNodes": FLOW})["flowId"]
        server.ended(server.post(f"/exec/flow/{flow}")["fiId"])
        began = begin()
        until("it says that it is not ready", lambda: readiness(server))
        for _ in range(2):
            self.refused_in_time(server, flow)
        server.get("/livez")
        end(began)
        until("it is ready again", lambda: not readiness(server))
        self.assertEqual(server.ended(server.post(f"/exec/flow/{flow}")["fiId"])["state"], "SUCCESS")
        text = "\n".join(server.lines)
        self.assertIn("event=store.down", text)
        self.assertIn("event=store.back", text)
        began = begin()
        until("it says that it is not ready", lambda: readiness(server))
        self.assertEqual(server.stop(), 0) # though nothing can be written
        end(began)

    def test_sqlite_lock_held_elsewhere(self):
        server = self.server()

        def begin():
            db = sqlite3.connect(self.tmp / "data" / "weir.db", isolation_level=None, timeout=30)
            db.execute("BEGIN IMMEDIATE")
            return db

        self.lasting(server, begin, lambda db: db.close())

    @unittest.skipUnless(os.environ.get("WEIR_TEST_MYSQL"), "no MariaDB")
    def test_mariadb_that_lets_nobody_write(self):
        url = urlsplit(os.environ["WEIR_TEST_MYSQL"])
        server = self.server("--store", os.environ["WEIR_TEST_MYSQL"], "--lease", "60s")

        def begin():
            db = subprocess.Popen(["mariadb", "--no-defaults", "-u", url.username, "-S", parse_qs(url.query)["socket"][0], "--unbuffered"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            db.stdin.write("FLUSH TABLES WITH READ LOCK; SELECT 'held';\n")
            db.stdin.flush()
            db.stdout.readline()
            return db

        self.lasting(server, begin, lambda db: db.communicate())


if __name__ == "__main__":
    unittest.main()
