"""Lists: newest first, filters and pages by the same names in query and body, an empty one is []."""
import unittest

from weirtest import Case, get, inline, post


class Lists(Case):
    @classmethod
    def setUpClass(cls):
        case = cls()
        cls.good = case.flow(inline(), name="lists: good")["flowId"]
        cls.bad = case.flow(inline("EXCEPTION"), name="lists: bad")["flowId"]
        cls.wait = case.flow(inline("WAIT", "1h"), name="lists: wait")["flowId"]
        cls.runs = case.ok(post("/exec/flows", {"starts": [{"flowId": cls.good, "params": {"i": i}} for i in range(12)]}))
        cls.fails = [case.start(cls.bad) for _ in range(3)]
        cls.canceled = case.start(cls.wait)
        case.ok(post(f"/exec/flow-ins/{cls.canceled}/cancel"))
        cls.running = case.start(cls.wait)
        for fi in cls.runs + cls.fails + [cls.canceled]:
            case.finished(fi)

    @classmethod
    def tearDownClass(cls):
        post(f"/exec/flow-ins/{cls.running}/cancel")
        cls().finished(cls.running)

    def both(self, **filters):
        """The same by GET and by POST, with the same answer."""
        query = "&".join(f"{k}={v}" for k, v in filters.items())
        one, two = get("/monitor/flow?" + query.replace(" ", "%20")), post("/monitor/flow", filters)
        rows = self.ok(one)
        self.assertEqual(rows, self.ok(two))
        self.assertEqual(one.json["page"], two.json["page"])
        return rows, one.json["page"]

    def ids(self, **filters):
        return [r["fiId"] for r in self.both(**filters)[0]]

    def test_filters(self):
        self.assertEqual(self.ids(flowId=self.good), self.runs[::-1])
        self.assertEqual(self.ids(flowId=self.bad, status="FAILED"), self.fails[::-1])
        self.assertEqual(self.ids(flowId=self.good, status="FAILED"), [])
        self.assertEqual(self.ids(flowId=self.wait, status="RUNNING"), [self.running])
        self.assertEqual(self.ids(flowId=self.wait, status="FAILED"), [self.canceled])      # S2's word
        self.assertEqual(self.ids(flowId=self.wait, status="CANCELED"), [self.canceled])    # the exact one
        self.assertEqual(self.ids(flowId=self.wait, state="FAILED"), [])                    # a bulk retry leaves what people canceled
        self.assertEqual(self.ids(flowId=self.wait, state="CANCELED"), [self.canceled])
        self.assertEqual(self.ids(flowId=self.wait, state="CANCELED", status="FAILED"), [self.canceled])
        self.assertEqual(self.ids(flowId=self.wait, state="CANCELED", status="SUCCESS"), [])
        self.assertEqual(self.ids(flowId=self.bad, state="FAILED"), self.fails[::-1])
        for answer in (get("/monitor/flow?state=DONE"), post("/monitor/flow", {"state": "DONE"})):
            refusal = self.refused(answer, 42205)
            self.assertEqual(refusal["data"]["path"], "/state")
            self.assertEqual(refusal["message"], "state must be one of RUNNING, PAUSED, CANCELING, SUCCESS, FAILED, CANCELED.")
        self.assertEqual(self.ids(fiId=self.runs[0]), [self.runs[0]])
        self.assertEqual(self.ids(fiId=self.runs[0], flowId=self.bad), [])
        self.assertEqual(self.ids(fiId=999999999), [])
        self.assertEqual(self.ids(fiId=self.running, status="RUNNING"), [self.running])
        running = self.ok(get("/monitor/flow?status=RUNNING"))  # others run and end meanwhile
        self.assertTrue(running and all(r["status"] == "RUNNING" for r in running))

    def test_times(self):
        rows, _ = self.both(flowId=self.good)
        first, last = rows[-1], rows[0]
        self.assertEqual(len(self.ids(flowId=self.good, **{"from": first["startedAt"], "to": last["startedAt"]})), 12)
        self.assertEqual(len(self.ids(flowId=self.good, **{"from": first["startTime"]})), 12)
        self.assertEqual(len(self.ids(flowId=self.good, **{"from": first["startTime"], "to": last["startTime"]})), 12)  # its whole second
        self.assertEqual(self.ids(flowId=self.good, to="2001-01-01 00:00:00"), [])
        self.assertEqual(self.ids(flowId=self.good, **{"from": "2999-01-01T00:00:00Z"}), [])
        self.assertEqual(self.ok(get(f"/monitor/flow?flowId={self.good}&from=2999-01-01T00:00:00%2B02:00")), [])

    def test_dates(self):
        """A date alone is its whole day, in the zone of the server."""
        rows, _ = self.both(flowId=self.good)
        first, last = rows[-1]["startTime"][:10], rows[0]["startTime"][:10]
        self.assertEqual(len(self.ids(flowId=self.good, **{"from": first, "to": last})), 12)
        self.assertEqual(self.ids(flowId=self.good, to="2001-01-01"), [])
        self.assertEqual(self.ids(flowId=self.good, **{"from": "2999-01-01"}), [])
        for bad in ("2001-02-30", "2001-1-1", "2001-01-01 ", "2001-01-01T"):
            self.refused(post("/monitor/flow", {"from": bad}), 42205)

    def test_tasks_by_state(self):
        node = self.ok(get(f"/monitor/flow/{self.fails[0]}"))["nodes"][0]["niId"]
        self.assertEqual([t["state"] for t in self.ok(get(f"/monitor/node/{node}?state=FAILED"))], ["FAILED"])
        self.assertEqual(self.ok(get(f"/monitor/node/{node}?state=TIMEOUT")), [])
        self.assertIn("RETRY_WAIT", self.refused(get(f"/monitor/node/{node}?state=BAD"), 42205)["message"])

    def test_pages(self):
        seen, offset = [], 0
        while offset is not None:
            rows, page = self.both(flowId=self.good, limit=5, offset=offset)
            self.assertEqual((page["limit"], page["offset"]), (5, offset))
            self.assertNotIn("total", page)
            seen += [r["fiId"] for r in rows]
            offset = page["next"]
        self.assertEqual(seen, self.runs[::-1])
        rows, page = self.both(flowId=self.good, limit=12)
        self.assertIsNone(page["next"])
        self.assertEqual(self.both(flowId=self.good, offset=1000)[0], [])
        answer = get(f"/monitor/flow?flowId={self.good}&total=true&limit=1")
        self.assertEqual(answer.json["page"]["total"], 12)
        self.assertEqual(post("/monitor/flow", {"flowId": self.good, "total": True, "limit": 1}).json["page"]["total"], 12)

    def test_default_limit(self):
        answer = get("/monitor/flow")
        self.assertLessEqual(len(self.ok(answer)), 50)
        self.assertEqual((answer.json["page"]["limit"], answer.json["page"]["offset"]), (50, 0))

    def test_bulk(self):
        self.assertEqual(self.runs, sorted(self.runs))
        self.assertEqual([r["params"] for r in self.both(flowId=self.good)[0]], [{"i": i} for i in range(11, -1, -1)])
        self.assertEqual(self.ok(post("/exec/flows", {"starts": []})), [])
        one, two = self.flow(inline())["flowId"], self.flow(inline("EXCEPTION"))["flowId"]
        self.refused(post("/exec/flows", {"starts": [{"flowId": one}, {"flowId": 999999}]}), 40402)
        self.refused(post("/exec/flows", {"starts": [{"flowId": one}, {"flowId": two, "params": {"a": []}}]}), 42201)
        self.assertEqual(self.ids(flowId=one), [])      # all or nothing
        mixed = self.ok(post("/exec/flows", {"starts": [{"flowId": two}, {"flowId": one}, {"flowId": two}]}))
        self.assertEqual([self.finished(fi)["flowId"] for fi in mixed], [two, one, two])
        many = self.ok(post("/exec/flows", {"starts": [{"flowId": one}] * 1000}))
        self.assertEqual((len(many), len(set(many))), (1000, 1000))
        self.assertEqual(get(f"/monitor/flow?flowId={one}&total=true&limit=1").json["page"]["total"], 1001)

    def test_definitions(self):
        flows = self.ok(get("/flow?name=lists:"))
        self.assertEqual([f["flowName"] for f in flows], ["lists: wait", "lists: bad", "lists: good"])
        self.assertNotIn("flowNodes", flows[0])
        answer = get("/flow?name=lists:&limit=2&total=true")
        self.assertEqual(len(self.ok(answer)), 2)
        self.assertEqual(answer.json["page"], {"limit": 2, "offset": 0, "next": 2, "total": 3})
        self.assertEqual([f["flowId"] for f in self.ok(get(f"/flow?flowId={self.bad}"))], [self.bad])
        self.assertEqual(self.ok(get("/flow?name=no%20such%20flow")), [])
        self.assertEqual(self.ok(get("/flow?name=" + "%C3%A9" * 128)), [])  # characters, not bytes
        self.assertEqual(get("/flow?name=" + "%C3%A9" * 129).status, 422)
        self.assertEqual(get("/flow?name=" + "x" * 129).status, 422)
        ids = [self.task(name="lists: a task", kind=kind) for kind in ("ECHO", "EXCEPTION")]
        self.assertEqual([t["taskId"] for t in self.ok(get("/task?name=lists:"))], ids[::-1])
        self.assertEqual([t["taskId"] for t in self.ok(get("/task?name=lists:&type=ECHO"))], ids[:1])


if __name__ == "__main__":
    unittest.main()
