"""The database is there and does not do what it should, for a while: what is answered, when, and what /readyz says."""
import contextlib
import sqlite3
import time
import unittest

from live import Refused, Server, directory, task, until
from services import HAVE_MARIADB, MariaDb

FLOW = [task("a", "ECHO", "x")]


def readiness(server):
    """None when it is ready, else what the store is said to have."""
    try:
        server.get("/readyz")
    except Refused as e:
        return e.answer["data"]["parts"]["store"]["why"]
    return None


class Away(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)

    def server(self, *args):
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

    @unittest.skipUnless(HAVE_MARIADB, "no MariaDB")
    def test_mariadb_that_lets_nobody_write(self):
        db = MariaDb(self.tmp)  # its own: the lock is one of the whole server
        self.addCleanup(db.stop)
        server = self.server("--store", db.url, "--lease", "60s")

        def begin():
            held = contextlib.ExitStack()
            held.enter_context(db.session("FLUSH TABLES WITH READ LOCK"))
            return held

        self.lasting(server, begin, lambda held: held.close())


if __name__ == "__main__":
    unittest.main()
