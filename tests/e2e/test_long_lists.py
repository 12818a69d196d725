"""A user whose newest tasks are more than one answer looks at: what lies behind them is listed, counted and reached by a wish."""
import unittest

from live import until
from services import OnMariaDb
from test_report import Base

LOOK = 100_000  # rows that one answer looks at (LIMIT_ALONE_LOOK)
NEWER = LOOK + 1_000
NEWEST = "9007199254740991.9007199254740991"  # a place before the newest


class LongLists(Base):
    def submit(self, server, **fields):
        return server.post("/exec/task", {"taskType": "ECHO", "taskContent": "x", "user": "ann", **fields})["tiId"]

    def page(self, server, query):
        answer = server.answer("GET", f"/monitor/task?{query}")
        return [row["tiId"] for row in answer["data"]], answer["page"]

    def pages(self, server, query):
        """All that the pages hold, by page.after; how many pages there were."""
        found, n, after = [], 0, NEWEST
        while True:
            rows, page = self.page(server, f"{query}&after={after}")
            found += rows
            n += 1
            self.assertLess(n, 1000)
            if "after" not in page:
                return found, n
            self.assertNotEqual(page["after"], after)
            after = page["after"]

    def test_all(self):
        server = self.server()
        running = self.submit(server, taskType="WAIT", taskContent="1h")
        failed = self.submit(server, taskType="EXCEPTION")
        self.row_when(server, failed, state="FAILED")
        for _ in range(NEWER // 1000):
            server.post("/exec/tasks", {"tasks": [{"taskType": "ECHO", "taskContent": "x", "user": "ann"}] * 1000})
        self.row_when(server, running, state="RUNNING")
        # Few are live, so these are found at once; whoever asks for what has ended goes on page by page.
        until("one alone runs", lambda: self.page(server, "user=ann&status=RUNNING&limit=2")[0] == [running])
        rows, page = self.page(server, "user=ann&state=FAILED&limit=500&total=true")
        self.assertEqual((rows, page["next"], page["total"]), ([], None, None))
        self.assertEqual(self.page(server, f"user=ann&state=FAILED&after={page['after']}")[0], [failed])
        self.assertEqual(self.pages(server, "user=ann&state=FAILED"), ([failed], 2))
        self.assertEqual(self.page(server, "user=ann&state=FAILED&taskId=1&limit=1&total=true")[1]["total"], None)
        self.assertEqual(self.page(server, f"user=ann&limit=5&offset={LOOK}")[0], [])
        newest, page = self.page(server, f"user=ann&limit=3&after={NEWEST}")
        self.assertEqual(page["next"], 3)
        self.assertEqual(self.page(server, "user=ann&limit=3"), (newest, {"limit": 3, "offset": 0, "next": 3}))
        self.assertEqual(self.page(server, f"user=ann&limit=3&after={page['after']}")[0], [newest[-1] - 1, newest[-1] - 2, newest[-1] - 3])

        wish = lambda what, **f: server.post(f"/exec/task-ins/{what}", {"filter": {"user": "ann", **f}})
        self.assertEqual(wish("run", state="FAILED"), {"changed": 1, "refused": 0, "more": False})
        self.row_when(server, failed, state="FAILED", runNo=2)
        self.assertEqual(wish("cancel"), {"changed": 1, "refused": NEWER + 1, "more": False})
        self.row_when(server, running, state="CANCELED")
        self.assertEqual(wish("cancel", state="RUNNING"), {"changed": 0, "refused": 0, "more": False})


class LongListsOnMariaDb(OnMariaDb, LongLists):
    pass


if __name__ == "__main__":
    unittest.main()
