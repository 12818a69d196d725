"""Tasks that were answered 202 with a Location and end while no attempt of them runs: whoever works for them is told by DELETE, once.
On SQLite, MariaDB, MariaDB with Redis."""
import asyncio
import unittest

from live import until
from services import HAVE_REDIS, OnMariaDb, WithRedis
from test_http import Base
from websites import answer


def work(r, _):
    """/work/N is accepted, and goes on at /job/N until it is deleted."""
    if r.path.startswith("/work/"):
        return answer(202, "", Location="/job/" + r.path[6:])
    return answer(204, "") if r.method == "DELETE" else answer(202, "")


class Partings(Base):
    def begun(self, server, site, n, **more):
        """A task whose Location is stored: it is polled."""
        server.post("/executor", {"executorType": f"k{n}", "mode": "url", "location": [f"{site.url}/work/{n}"], "replace": True,
                                  "config": {"headers": {"Authorization": "Bearer s3cret"}}})
        ti = server.post("/exec/task", {"taskType": f"k{n}", **more})["tiId"]
        until("it is polled", lambda: site.seen("GET", f"/job/{n}"))
        return ti

    def paused(self, server, site, n):
        ti = self.begun(server, site, n)
        server.post(f"/exec/task-ins/{ti}/pause")
        self.row_when(server, ti, state="PAUSED")
        self.assertEqual(site.seen("DELETE", f"/job/{n}"), [])
        return ti

    def told(self, site, n):
        until(f"/job/{n} is told", lambda: site.seen("DELETE", f"/job/{n}"))
        (seen,) = site.seen("DELETE", f"/job/{n}")
        self.assertEqual(seen.headers["authorization"], "Bearer s3cret")
        (posted,) = site.seen("POST", f"/work/{n}")
        for name in ("x-weir-fence", "x-weir-attempt", "idempotency-key"):
            self.assertEqual(seen.headers[name], posted.headers[name])

    def test_a_paused_task(self):
        site = self.site(work)
        server = self.server(site)
        canceled, deleted = self.paused(server, site, 1), self.paused(server, site, 2)
        self.assertEqual(server.post(f"/exec/task-ins/{canceled}/cancel")["state"], "CANCELED")
        self.told(site, 1)
        server.call("DELETE", f"/exec/task-ins/{deleted}")
        self.told(site, 2)
        server.call("DELETE", f"/exec/task-ins/{canceled}")  # it was told when it was canceled
        resumed = self.paused(server, site, 3)
        server.post(f"/exec/task-ins/{resumed}/run")
        polls = len(site.seen("GET", "/job/3"))
        until("it is polled again", lambda: len(site.seen("GET", "/job/3")) > polls)
        server.post(f"/exec/task-ins/{resumed}/cancel")
        self.row_when(server, resumed, state="CANCELED")
        self.assertEqual([len(site.seen("DELETE", f"/job/{n}")) for n in (1, 2, 3)], [1, 1, 1])

    def test_a_task_that_a_drain_put_back(self):
        site = self.site(work)
        server = self.server(site)
        canceled, late = self.begun(server, site, 1), self.begun(server, site, 2, taskConfig={"queueTimeout": "500ms"})
        me = server.get("/members")[0]["memberId"]
        server.post(f"/members/{me}/drain", {"timeout": 0})
        self.row_when(server, canceled, state="QUEUED")
        server.post(f"/exec/task-ins/{canceled}/cancel")
        self.told(site, 1)
        self.row_when(server, late, state="TIMEOUT")
        self.told(site, 2)

    def test_a_task_of_a_flow(self):
        site = self.site(work)
        server = self.server(site)
        fi = server.flow({"nodeKey": "a", "tasks": [{"taskName": "t", "taskType": "HTTP", "taskConfig": {
            "url": site.url + "/work/1", "method": "POST", "headers": {"Authorization": "Bearer s3cret"}}}]})
        until("it is polled", lambda: site.seen("GET", "/job/1"))
        server.post(f"/exec/flow-ins/{fi}/pause", {"mode": "checkpoint"})
        (node,) = server.get(f"/monitor/flow/{fi}")["nodes"]
        until("its task is paused", lambda: [t["state"] for t in server.get(f"/monitor/node/{node['niId']}")] == ["PAUSED"])
        server.post(f"/exec/flow-ins/{fi}/cancel")
        self.told(site, 1)

    def test_a_job(self):
        """More than are told at once."""
        site = self.site(work)
        server = self.server(site)
        every = range(150)
        tasks = [{"taskType": "HTTP", "taskConfig": {"url": f"{site.url}/work/{n}", "method": "POST", "headers": {"Authorization": "Bearer s3cret"}}}
                 for n in every]
        job = server.post("/job", {"jobKey": "k", "tasks": tasks})["jobId"]
        until("all are polled", lambda: all(site.seen("GET", f"/job/{n}") for n in every))
        server.post(f"/job/{job}/pause", {"mode": "checkpoint"})
        stopped = f"/monitor/task?jobId={job}&state=PAUSED&limit=1&total=true"
        until("all have stopped", lambda: server.answer("GET", stopped)["page"]["total"] == len(every))
        self.assertEqual(site.seen("DELETE"), [])
        gone = server.call("DELETE", f"/job/{job}?force=true&wait=30")
        self.assertEqual((gone["state"], gone["removed"]["tasks"]), ("DELETED", len(every)))
        self.assertEqual(set(gone["left"].values()), {0})
        for n in every:
            self.told(site, n)

    def test_nobody_who_is_away_holds_up_anything(self):
        """The site does not answer: the cancel is acknowledged, and the member stops."""
        async def silent():
            await asyncio.sleep(3600)
        site = self.site(lambda r, w: silent() if r.method == "DELETE" else work(r, w))
        server = self.server(site)
        ti = self.paused(server, site, 1)
        self.assertEqual(server.post(f"/exec/task-ins/{ti}/cancel")["state"], "CANCELED")
        until("it is asked", lambda: site.seen("DELETE", "/job/1"))
        server.call("DELETE", f"/exec/task-ins/{ti}")
        self.assertEqual(server.stop(), 0)


class PartingsOnMariaDb(OnMariaDb, Partings):
    def test_a_member_without_the_role_worker_tells(self):
        """Whoever commits the end asks, by its own rules."""
        site = self.site(work)
        worker, api = self.server(site, name="worker"), self.server(site, name="api", more=("--roles", "api,runner"))
        ti = self.paused(api, site, 1)
        worker.signal(15)
        worker.wait()
        api.post(f"/exec/task-ins/{ti}/cancel")
        self.told(site, 1)


@unittest.skipUnless(HAVE_REDIS, "no Redis here")
class PartingsWithRedis(WithRedis, PartingsOnMariaDb):
    pass


if __name__ == "__main__":
    unittest.main()
