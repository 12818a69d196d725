"""Promises to clients that no other file here tests: writers at once, all forms of a time, the answers of S2 itself."""
import threading
import unittest
from urllib.parse import quote

from weirtest import Case, get, inline, post


def at_once(n, work):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


class Writers(Case):
    """Updates that name no version are never stale: each makes the next one, and keeps what it does not name."""

    def many(self, path, body, version):
        answers = []
        at_once(16, lambda i: answers.extend(post(path, body(i)) for _ in range(12)))
        self.assertEqual(sorted(self.ok(a)[version] for a in answers), list(range(2, 2 + len(answers))))

    def test_task(self):
        task = self.task(taskDescription="kept")
        self.many("/task", lambda i: {"taskId": task, "taskContent": str(i)}, "taskVersion")
        self.assertEqual(self.ok(get(f"/task/{task}"))["taskDescription"], "kept")

    def test_flow(self):
        flow = self.flow(inline(), flowDescription="kept")["flowId"]
        self.many("/flow", lambda i: {"flowId": flow, "flowName": f"name {i}"}, "flowVersion")
        now = self.ok(get(f"/flow/{flow}"))
        self.assertEqual((now["flowDescription"], len(now["flowNodes"])), ("kept", 1))

    def test_a_named_version_wins_once(self):
        task, answers = self.task(), []
        at_once(8, lambda i: answers.append(post("/task", {"taskId": task, "taskVersion": 1, "taskContent": str(i)})))
        self.assertEqual(sorted(a.status for a in answers), [200] + [412] * 7)


class OnePicture(Case):
    """An instance and its nodes are of one moment: no node of a run that the instance does not show, none open in a final one."""

    def test_reruns_while_it_is_read(self):
        flow = self.flow(inline(nodeKey="a"))["flowId"]
        fi, torn, left = self.start(flow), [], [150]

        def rerun():
            for _ in range(left[0]):
                node = self.finished(fi)["nodes"][0]["niId"]
                self.ok(post(f"/exec/flow/{flow}", {"fiId": fi, "niId": node}))
            left[0] = 0

        def watch(runs):
            while left[0] and not torn:
                now = self.ok(get(f"/monitor/flow/{fi}?runs={runs}"))
                if any(n["runNo"] > now["runNo"] or (now["status"] != "RUNNING" and n["status"] == "RUNNING") for n in now["nodes"]):
                    torn.append(now)

        at_once(4, lambda i: rerun() if i == 0 else watch(("newest", "all")[i % 2]))
        self.assertEqual(torn, [])


class Times(Case):
    """from and to: S2's form and every form of RFC 3339 that other languages print."""

    def found(self, name, text, flow):
        one, two = get(f"/monitor/flow?flowId={flow}&{name}={quote(text)}"), post("/monitor/flow", {"flowId": flow, name: text})
        self.assertEqual(self.ok(one), self.ok(two))
        return len(one.data)

    def test_forms(self):
        flow = self.flow(inline())["flowId"]
        start = self.finished(self.start(flow))["startedAt"]
        for text in (start, start[:-1] + "+00:00", start[:-1] + "999Z", start[:-1] + "123456789Z", start.lower()):
            with self.subTest(text=text):
                self.assertEqual((self.found("from", text, flow), self.found("to", text, flow)), (1, 1))

    def test_long_ago(self):
        flow = self.flow(inline())["flowId"]
        self.finished(self.start(flow))
        for text in ("1970-01-01T00:00:00Z", "1969-12-31 00:00:00", "0001-01-01T00:00:00Z"):
            with self.subTest(text=text):
                self.assertEqual((self.found("from", text, flow), self.found("to", text, flow)), (1, 0))


class PostedBack(Case):
    """An answer can be edited and posted; fields that only the server makes are ignored."""

    def test_the_shape_that_s2_answers(self):
        """tasks that name a taskId stand for that task, whatever else they show."""
        task = self.task(name="its own name")
        old = "2022-04-25 09:50:12"
        nodes = [{"nodeId": 41, "nodeType": "START", "createTime": old, "updateTime": old},
                 {"nodeId": 42, "nodeType": "TASK", "prevNode": 41, "createTime": old, "updateTime": old,
                  "tasks": [{"createTime": old, "updateTime": old, "taskId": task, "taskName": "shown then", "taskType": "ECHO"}]},
                 {"nodeId": 43, "nodeType": "END", "prevNode": 42, "createTime": old, "updateTime": old}]
        flow = self.ok(post("/flow", {"flowName": "s2", "flowNodes": nodes, "createTime": old, "updateTime": old}))
        self.assertEqual(flow["flowNodes"][1]["taskIds"], str(task))
        self.assertEqual(flow["flowNodes"][1]["tasks"][0]["taskName"], "its own name")
        self.assertNotIn(old, (flow["createTime"], flow["flowNodes"][1]["createTime"]))
        self.assertNotIn(41, [n["nodeId"] for n in flow["flowNodes"][1:]])

    def test_every_setting(self):
        """Each part of a definition comes back as it was given, and once more when the answer is posted back."""
        node = inline("SHELL", "true", nodeKey="a", attempts=3, timeout="1500ms", complete="all", rest="cancel",
                      backoff={"base": "1s", "factor": 3, "max": "1m", "jitter": "none"})
        node["tasks"][0]["taskConfig"] = {"env": {"A": "1"}, "grace": "1s"}
        roots = [dict(inline(), nodeKey=k, prevNodes=[]) for k in ("r1", "r2")]
        saved = self.flow(node, *roots, {**inline(), "nodeKey": "z", "prevNodes": ["a", "r1"]}, onFailure="stop_new", timeout=3600)
        again = self.ok(post("/flow", saved))
        made = ("nodeId", "prevNode", "createTime", "updateTime", "flowVersion", "flowNodes")
        self.assertEqual(*[[{k: v for k, v in n.items() if k not in made} for n in f["flowNodes"]] for f in (saved, again)])
        self.assertEqual(*[{k: v for k, v in f.items() if k not in made} for f in (saved, again)])
        self.assertEqual(saved["flowNodes"][0]["tasks"][0]["taskConfig"], {"env": {"A": "1"}, "grace": "1s"})
        for name, value in (("attempts", 3), ("complete", "all"), ("rest", "cancel")):
            self.assertEqual(saved["flowNodes"][0][name], value)


if __name__ == "__main__":
    unittest.main()
