"""Whose the tasks of a flow are: by their definitions, by the start of the flow, by a wish about one of them; over restarts and
re-runs, on each store."""
import contextlib
import sqlite3
import unittest

from live import Refused, task
from services import OnMariaDb
from test_report import Base

FIELDS = ("user", "group", "priority", "cpuOverhead")


class Whose(Base):
    def whose(self, server, ti):
        row = server.get(f"/monitor/task/{ti}")
        listed = [r for r in server.get(f"/monitor/node/{row['niId']}") if r["tiId"] == ti]
        listed += [r for r in server.get("/monitor/task?alone=false&limit=100") if r["tiId"] == ti]
        self.assertEqual(len(listed), 2)
        for other in listed:
            self.assertEqual([other[f] for f in FIELDS], [row[f] for f in FIELDS])
        return tuple(row[f] for f in FIELDS)

    def tasks(self, server, fi):
        """nodeKey -> tiId of its first task, of the nodes that have begun."""
        nodes = server.get(f"/monitor/flow/{fi}")["nodes"]
        return {n["nodeKey"]: server.get(f"/monitor/node/{n['niId']}")[0]["tiId"] for n in nodes if n["tasks"]["open"] or n["state"] != "WAITING"}

    def flow_of(self, server):
        plain, own = task("plain", "WAIT", "1h"), task("own", "WAIT", "1h")
        own["tasks"][0]["taskConfig"] = {"queue": {"user": "o", "cpuOverhead": 7}}
        after = task("after", "ECHO", "x", "plain", "own")
        return server.post("/flow", {"flowName": "whose", "flowNodes": [plain, own, after]})["flowId"]

    def test_start(self):
        server = self.server()
        flow = self.flow_of(server)
        fi = server.post(f"/exec/flow/{flow}", {"user": "u", "group": "g", "priority": 5})["fiId"]
        ti = self.tasks(server, fi)
        self.assertEqual(self.whose(server, ti["plain"]), ("u", "g", 5, 0))
        self.assertEqual(self.whose(server, ti["own"]), ("o", "g", 5, 7))
        none = server.post(f"/exec/flow/{flow}")["fiId"]
        self.assertEqual([self.whose(server, t) for t in self.tasks(server, none).values()], [("", "", 0, 0), ("o", "", 0, 7)])
        self.assertEqual(self.rows(), 1)
        for body in ({"user": "x" * 129}, {"priority": 101}, {"group": 1}, {"cpuOverhead": 1}, {"fiId": fi, "user": "u"}):
            with self.assertRaises(Refused) as refused:
                server.post(f"/exec/flow/{flow}", body)
            self.assertEqual(refused.exception.status, 422)
        self.assertEqual(server.stop(), 0)
        server = self.server()
        self.row_when(server, ti["plain"], state="RUNNING", attempt=2)
        self.assertEqual(self.whose(server, ti["plain"]), ("u", "g", 5, 0))
        for t in ti.values():
            server.post(f"/exec/task-ins/{t}/cancel")
        self.assertEqual(server.ended(fi)["state"], "FAILED")
        self.assertEqual(server.post(f"/exec/flow/{flow}", {"fiId": fi})["runNo"], 2)
        again = self.tasks(server, fi)
        self.assertNotEqual(again["plain"], ti["plain"])
        self.assertEqual(self.whose(server, again["plain"]), ("u", "g", 5, 0))
        self.assertEqual(self.whose(server, again["own"]), ("o", "g", 5, 7))
        self.assertEqual(server.stop(), 0)

    def test_a_wish_about_one(self):
        server = self.server()
        flow = self.flow_of(server)
        fi = server.post(f"/exec/flow/{flow}")["fiId"]
        ti = self.tasks(server, fi)
        self.assertEqual(self.rows(), 0)
        self.assertIs(server.post(f"/exec/task-ins/{ti['own']}/queue", {"group": "moved"})["changed"], True)
        self.assertEqual(self.whose(server, ti["own"]), ("o", "moved", 0, 7))
        self.assertEqual(self.whose(server, ti["plain"]), ("", "", 0, 0))
        row = server.post(f"/exec/task-ins/{ti['own']}/queue", {"user": "m", "priority": -3})
        self.assertEqual((row["state"], tuple(row[f] for f in FIELDS)), ("RUNNING", ("m", "moved", -3, 7)))
        self.assertIs(server.post(f"/exec/task-ins/{ti['own']}/queue", {})["changed"], True)
        server.post(f"/exec/task-ins/{ti['own']}/pause")
        self.row_when(server, ti["own"], state="PAUSED")
        self.assertEqual(server.stop(), 0)
        server = self.server()
        self.assertEqual(self.whose(server, ti["own"]), ("m", "moved", -3, 7))
        self.assertEqual(server.post(f"/exec/task-ins/{ti['own']}/queue", {"user": "n"})["user"], "n")
        server.post(f"/exec/task-ins/{ti['own']}/run")
        self.row_when(server, ti["own"], state="RUNNING")
        self.assertEqual(self.whose(server, ti["own"]), ("n", "moved", -3, 7))
        server.post(f"/exec/flow-ins/{fi}/cancel")
        server.ended(fi)
        with self.assertRaises(Refused) as refused:
            server.post(f"/exec/task-ins/{ti['own']}/queue", {"user": "late"})
        self.assertEqual((refused.exception.answer["code"], refused.exception.answer["data"]["state"]), ("40913", "CANCELED"))
        self.assertEqual(server.stop(), 0)

    def rows(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.tmp}/data/weir.db?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM flow_queue").fetchone()[0]


class WhoseMariaDb(OnMariaDb, Whose):
    def rows(self):
        return int(self.db.sql("SELECT count(*) FROM flow_queue")[0][0])


del Base
if __name__ == "__main__":
    unittest.main()
