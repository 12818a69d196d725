"""Queues: what is set of them, which are in use, their counts, and why a task of one waits."""
import unittest

from weirtest import Case, delete, get, inline, post


class Queues(Case):
    def queue(self, user, group):
        """Its row in the list, or None."""
        offset = 0
        while offset is not None:
            answer = get(f"/queue?limit=100&offset={offset}")
            for row in self.ok(answer):
                if (row["user"], row["group"]) == (user, group):
                    return row
            offset = answer.json["page"]["next"]
        return None

    def put(self, **body):
        return self.ok(post("/queue", body))

    def forget(self, user="", group=""):
        return self.ok(delete(f"/queue?user={user}&group={group}"))

    def test_set_keep_and_clear(self):
        self.assertEqual(self.put(user="set", group="g", maxRunning=0, weight=1000, rate={"count": 3, "per": "1s"}, order="fifo", paused=False),
                         {"user": "set", "group": "g", "maxRunning": 0, "weight": 1000, "rate": {"count": 3, "per": "1s"}, "order": "fifo", "paused": False})
        self.assertEqual(self.put(user="set", group="g", weight=1, rate=None, order=None, paused=None),
                         {"user": "set", "group": "g", "maxRunning": 0, "weight": 1})
        self.assertEqual(self.put(user="set", group="g"), {"user": "set", "group": "g", "maxRunning": 0, "weight": 1})
        row = self.queue("set", "g")
        self.assertEqual(row, {"user": "set", "group": "g", "maxRunning": 0, "weight": 1, "queued": 0, "running": 0, "blocked": 0, "oldestSeconds": 0})
        self.assertEqual(self.forget("set", "g"), {"user": "set", "group": "g"})
        self.assertIsNone(self.queue("set", "g"))
        self.refused(delete("/queue?user=set&group=g"), 40402, "NOT_FOUND")

    def test_names(self):
        names = [("", ""), ("n", ""), ("", "n"), ("N", "n"), ("n", "n"), ("n ", "n"), ("né", "\N{PILE OF POO}"), ("n/,%", "n&=+")]
        for i, (user, group) in enumerate(names):
            self.put(user=user, group=group, weight=i + 1)
        for i, (user, group) in enumerate(names):
            self.assertEqual(self.queue(user, group)["weight"], i + 1)
        self.assertEqual(self.put(weight=77), {"user": "", "group": "", "weight": 77})
        for user, group in names:
            quoted = ["".join(f"%{b:02X}" for b in name.encode()) for name in (user, group)]
            self.forget(*quoted)
            self.assertNotIn("weight", self.queue(user, group) or {})  # other tests have tasks in the queue of nobody
        self.refused(delete("/queue"), 40402)  # both are ""

    def test_durations(self):
        for per, shown in (("1s", "1s"), ("500ms", "500ms"), ("60s", "1m"), ("90s", "90s"), ("1h", "1h"), ("24h", "1d"), ("7d", "7d"), (5, "5s"), ("0.0015", "0.001500")):
            self.assertEqual(self.put(user="per", rate={"count": 1, "per": per})["rate"], {"count": 1, "per": shown})
            self.put(user="per", rate={"count": 1, "per": shown})   # what is shown can be sent
        self.forget("per")

    def test_bad_bodies(self):
        for field, value, code in (
                ("maxRunning", -1, 42221), ("maxRunning", 1000001, 42221), ("maxRunning", "3", 42201), ("maxRunning", 1.5, 42221), ("maxRunning", 2.0, 42201),
                ("maxRunning", True, 42201), ("weight", 0, 42221), ("weight", 1001, 42221), ("weight", [], 42201), ("rate", 5, 42201), ("rate", [], 42201),
                ("order", "lifo", 42221), ("order", 1, 42201), ("order", "FIFO", 42221), ("paused", 1, 42201), ("paused", "true", 42201),
                ("user", None, 42201), ("user", 1, 42201), ("group", "x" * 129, 42221), ("user", "a\nb", 42221), ("group", "a\u202eb", 42221)):
            with self.subTest(field=field, value=value):
                body = self.refused(post("/queue", {field: value}), code)
                self.assertEqual(body["data"]["path"], f"/{field}")
        for rate, code, path in (({}, 42201, "/rate/count"), ({"count": 1}, 42201, "/rate/per"), ({"per": "1s"}, 42201, "/rate/count"),
                                 ({"count": 0, "per": "1s"}, 42221, "/rate/count"), ({"count": 1000001, "per": "1s"}, 42221, "/rate/count"),
                                 ({"count": "1", "per": "1s"}, 42201, "/rate/count"), ({"count": 1, "per": "0s"}, 42221, "/rate/per"),
                                 ({"count": 1, "per": "8d"}, 42221, "/rate/per"), ({"count": 1, "per": "soon"}, 42221, "/rate/per"),
                                 ({"count": 1, "per": None}, 42201, "/rate/per"), ({"count": 1001, "per": "1ms"}, 42221, "/rate"),
                                 ({"count": 1, "per": "1s", "burst": 2}, 42202, "/rate/burst")):
            with self.subTest(rate=rate):
                self.assertEqual(self.refused(post("/queue", {"rate": rate}), code)["data"]["path"], path)
        self.assertIn("maxRunning", self.refused(post("/queue", {"max_running": 1}), 42202)["message"])
        self.refused(post("/queue", b""), 40001)
        self.refused(post("/queue", []), 40003)
        self.assertIsNone(self.queue("", "x" * 129))

    def test_bad_queries(self):
        self.refused(get("/queue?limit=0"), 42206)
        self.refused(get("/queue?limit=501"), 42206)
        self.refused(get("/queue?user=a"), 42205)
        self.refused(delete("/queue?user=a&user=b"), 42205)
        self.refused(delete("/queue?name=a"), 42205)
        self.refused(delete("/queue?user=%ff"), 42205)
        self.refused(get("/queue/1"), 40401)

    def test_pages(self):
        for i in range(7):
            self.put(user="page", group=str(i), weight=i + 1)
        first = get("/queue?limit=2&total=true")
        total = first.json["page"]["total"]
        self.assertGreaterEqual(total, 7)
        seen, offset = [], 0
        while offset is not None:
            answer = get(f"/queue?limit=2&offset={offset}")
            self.assertLessEqual(len(self.ok(answer)), 2)
            seen += [(row["user"], row["group"]) for row in answer.data]
            offset = answer.json["page"]["next"]
        self.assertEqual(len(seen), total)
        self.assertEqual(seen, sorted(seen, key=lambda q: (q[0].encode(), q[1].encode())))
        self.assertEqual([g for u, g in seen if u == "page"], [str(i) for i in range(7)])
        self.assertEqual(self.ok(get("/queue?offset=1000000")), [])
        for i in range(7):
            self.forget("page", str(i))

    def test_in_use(self):
        """A queue is listed as long as a live task is in it, and counts what its tasks do now."""
        where = {"user": "in use", "group": "é"}
        self.assertIsNone(self.queue("in use", "é"))
        held = self.ok(post("/exec/task", {"taskType": "ECHO", "autoRun": False, **where}))["tiId"]
        self.assertEqual(self.queue("in use", "é"), {**where, "queued": 0, "running": 0, "blocked": 1, "oldestSeconds": 0})
        late = self.ok(post("/exec/task", {"taskType": "ECHO", "delay": "1h", **where}))["tiId"]
        runs = self.ok(post("/exec/task", {"taskType": "WAIT", "taskContent": "1h", **where}))["tiId"]
        self.task_until(runs, lambda row: row["state"] == "RUNNING")
        self.assertEqual(self.queue("in use", "é"), {**where, "queued": 0, "running": 1, "blocked": 2, "oldestSeconds": 0})
        self.assertEqual(self.ok(post(f"/exec/task-ins/{held}/queue", {"user": "elsewhere"}))["user"], "elsewhere")
        self.assertEqual(self.queue("elsewhere", "é")["blocked"], 1)
        self.assertEqual(self.queue("in use", "é")["blocked"], 1)
        self.ok(post(f"/exec/task-ins/{runs}/pause"))
        self.task_until(runs, lambda row: row["state"] == "PAUSED")
        self.assertEqual(self.queue("in use", "é"), {**where, "queued": 0, "running": 0, "blocked": 2, "oldestSeconds": 0})
        for ti in (held, late, runs):
            self.ok(post(f"/exec/task-ins/{ti}/cancel"))
        self.assertIsNone(self.queue("in use", "é"))
        self.assertIsNone(self.queue("elsewhere", "é"))

    def test_tasks_of_flows(self):
        """They are in the queue that their definition, their flow's start or a wish says, and are counted with the others."""
        node = inline("WAIT", "1h")
        node["tasks"].append({**node["tasks"][0], "taskConfig": {"queue": {"user": "flows", "group": "a"}}})
        fi = self.start(self.flow(node, name="queues: tasks of flows")["flowId"], {"user": "flows", "group": "b"})
        ni = self.ok(get(f"/monitor/flow/{fi}"))["nodes"][0]["niId"]
        ti = {row["group"]: row["tiId"] for row in self.ok(get(f"/monitor/node/{ni}"))}
        self.assertEqual(sorted(ti), ["a", "b"])
        for one in ti.values():
            self.task_in(one, "RUNNING")
        counts = {"queued": 0, "running": 1, "blocked": 0, "oldestSeconds": 0}
        self.assertEqual(self.queue("flows", "a"), {"user": "flows", "group": "a", **counts})
        self.assertEqual(self.queue("flows", "b"), {"user": "flows", "group": "b", **counts})
        self.put(user="flows", group="b", weight=5)
        alone = self.ok(post("/exec/task", {"taskType": "ECHO", "autoRun": False, "user": "flows", "group": "b"}))["tiId"]
        self.assertEqual(self.queue("flows", "b"), {"user": "flows", "group": "b", "weight": 5, **counts, "blocked": 1})
        total, seen, offset = get("/queue?limit=1&total=true").json["page"]["total"], [], 0
        while offset is not None:
            answer = get(f"/queue?limit=1&offset={offset}")
            seen += [(row["user"], row["group"]) for row in self.ok(answer)]
            offset = answer.json["page"]["next"]
        self.assertEqual((len(seen), len(set(seen))), (total, total))
        self.assertEqual(seen, sorted(seen, key=lambda q: (q[0].encode(), q[1].encode())))
        self.ok(post(f"/exec/task-ins/{ti['a']}/queue", {"group": "c"}))
        self.assertIsNone(self.queue("flows", "a"))
        self.assertEqual(self.queue("flows", "c"), {"user": "flows", "group": "c", **counts})
        self.ok(post(f"/exec/flow-ins/{fi}/cancel"))
        self.finished(fi)
        self.assertIsNone(self.queue("flows", "c"))
        self.ok(post(f"/exec/task-ins/{alone}/cancel"))
        self.assertEqual(self.queue("flows", "b")["running"], 0)
        self.forget("flows", "b")


if __name__ == "__main__":
    unittest.main()
