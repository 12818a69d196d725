"""Rows of the database that another session has locked, one table after the other, as an operator's long transaction does.

What needs such a row waits; a start that does not is stored all the same. Where nothing can be stored a start is refused in time, and
/readyz does not say otherwise for long. When the lock is gone a start is accepted soon, and all flows end.

Bounds are some five times what is promised, for machines that do other things too.
"""
import contextlib
import threading
import time
import unittest

from live import Server, directory, shell, task, until
from services import HAVE_MARIADB, MariaDb
from test_long_faults import ask

REQUEST_S = 5
ANSWER_S = REQUEST_S + 5
LEASE = "6s"
HOLD_S = 15
SOON_S = 10              # after a lock has gone: a start is accepted; promised: 2
READY_LIES_S = 5         # how long /readyz may say 200 while every start is refused; promised: 2
WAIT_S = 5               # a start whose rows are free; promised: what the database takes, and once a second more

READ_COMMITTED = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"  # locks rows and no gaps: what is new may be inserted


class Watcher(threading.Thread):
    """Asks the same again and again; keeps (when, status, seconds) of each answer."""

    def __init__(self, once, pause):
        super().__init__(daemon=True)
        self.once, self.pause = once, pause
        self.seen, self.wrong = [], []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.pause):
            began = time.monotonic()
            try:
                self.seen.append((began, *self.once()))
            except Exception as error:  # no answer in time: the test says so
                self.wrong.append(repr(error))

    def end(self):
        self.over.set()
        self.join(ANSWER_S + 5)
        return self.seen


@unittest.skipUnless(HAVE_MARIADB, "there is no MariaDB server here")
class RowLocks(unittest.TestCase):
    def setUp(self):
        tmp = directory()
        self.tmp = tmp.__enter__()
        self.addCleanup(tmp.__exit__, None, None, None)
        self.db = MariaDb(self.tmp)
        self.addCleanup(self.db.stop)
        self.servers = []
        for name in ("one", "two"):
            server = Server(self.tmp / name, "--request-timeout", f"{REQUEST_S}s", "--lease", LEASE, "--slots", "4", "--store", self.db.url)
            self.addCleanup(server.kill)
            self.servers.append(server)
        chain = [task("a", "ECHO", "a"), shell("b", "true", "a"), task("c", "ECHO", "c", "b")]
        self.flow = self.save("chain", chain)
        self.slow = self.save("slow", [shell("a", "sleep 1"), task("b", "ECHO", "b", "a")])
        self.accepted = []

    def save(self, name, nodes):
        return self.servers[0].post("/flow", {"flowName": name, "flowNodes": nodes})["flowId"]

    def start(self, server):
        status, answer, seconds = ask(server, "POST", f"/exec/flow/{self.flow}")
        if status == 200:
            self.accepted.append(answer["data"]["fiId"])
        else:
            self.assertIn(answer["code"], ("50301", "50303"), answer)
        return status, seconds

    def watch(self):
        clients = [Watcher(lambda s=s: self.start(s), 0.3) for s in self.servers for _ in range(3)]
        probes = [Watcher(lambda s=s: (ask(s, "GET", "/readyz")[0], 0), 0.2) for s in self.servers]
        for w in clients + probes:
            self.addCleanup(w.over.set)
            w.start()
        return clients, probes

    def stranger(self, *statements):
        """The other session. In half of the deadlocks the server makes it the loser: then it asks again."""
        stack = contextlib.ExitStack()

        def got():
            with contextlib.suppress(AssertionError):
                stack.enter_context(self.db.session(*statements))
                return True
        until("the stranger has its locks", got)
        return stack

    def backlog(self, n):
        """More work than slots, so that there is always a row that somebody wants."""
        for i in range(n):
            self.servers[i % 2].post(f"/exec/flow/{self.slow}")

    def held(self, *statements):
        """The rows are held for HOLD_S while clients go on. The answers to starts and probes, node by node, and when it ended."""
        clients, probes = self.watch()
        with self.stranger(*statements):
            began = time.monotonic()
            time.sleep(HOLD_S)  # the span that is measured
        ended = time.monotonic()
        for server in self.servers:
            until("a start is accepted again", lambda s=server: self.start(s)[0] == 200)
        self.assertLess(time.monotonic() - ended, SOON_S)
        starts = [[], []]
        for i, client in enumerate(clients):
            starts[i // 3] += client.end()
            self.assertEqual(client.wrong, [])
        ready = [probe.end() for probe in probes]
        for node in starts:
            node.sort()
            self.assertLess(max(seconds for _, _, seconds in node), ANSWER_S)
        return starts, ready, began, ended

    def truthful(self, starts, ready, began, ended):
        """No longer than READY_LIES_S in a row 200 while all starts of that node that are sent are refused."""
        for node, probes in zip(starts, ready):
            taken = sorted(at + seconds for at, status, seconds in node if status == 200)
            since = None
            for at, status, _ in probes:
                lies = status == 200 and began < at < ended and not any(at - READY_LIES_S < t < at + READY_LIES_S for t in taken)
                since = (since or at) if lies else None
                self.assertLess(at - (since or at), READY_LIES_S, "/readyz says 200 while no start is accepted")

    def all_end(self):
        until("all runs end", lambda: not self.servers[0].get("/monitor/flow?status=RUNNING"))
        for fi in self.accepted:
            self.assertEqual(self.servers[0].get(f"/monitor/flow/{fi}")["status"], "SUCCESS")
        for server in self.servers:
            self.assertEqual(server.stop(), 0)

    def test_whole_tables_in_turn(self):
        """Nothing new can be inserted: every start is refused in time, and both nodes say so."""
        self.backlog(20)
        for table in ("engine_node", "task_ins", "task_flow_ins"):
            with self.subTest(table):
                self.truthful(*self.held("BEGIN", f"SELECT COUNT(*) FROM {table} FOR UPDATE"))
        self.all_end()

    def test_rows_of_what_runs(self):
        """Only rows that are there: every start goes on."""
        self.backlog(40)
        for table, key in (("task_ins", "ti_id"), ("task_node_ins", "ni_id"), ("task_flow_ins", "fi_id")):
            with self.subTest(table):
                starts, ready, began, ended = self.held(READ_COMMITTED, "BEGIN", f"SELECT {key} FROM {table} FORCE INDEX(PRIMARY) FOR UPDATE")
                for node in starts:
                    self.assertEqual({status for _, status, _ in node}, {200})
                    self.assertLess(max(seconds for _, _, seconds in node), WAIT_S)
                for node in ready:
                    self.assertGreater(sum(status == 200 for _, status, _ in node), len(node) * 0.7)
        self.all_end()

    def test_one_definition(self):
        """Starts of that flow wait and are refused; those of another go on, and the nodes are ready."""
        other = self.slow
        with self.stranger("BEGIN", f"SELECT flow_id FROM task_flow WHERE flow_id={other} FOR UPDATE"):
            refused = []
            waiting = threading.Thread(target=lambda: refused.append(ask(self.servers[0], "POST", f"/exec/flow/{other}")))
            waiting.start()
            while waiting.is_alive():
                status, seconds = self.start(self.servers[0])
                self.assertEqual(status, 200)
                self.assertLess(seconds, WAIT_S)
                waiting.join(0.1)
        self.assertEqual((refused[0][0], refused[0][1]["code"]), (503, "50301"))
        self.all_end()

    def test_tasks_of_a_job(self):
        """A wish about a job needs rows of tasks that it does not name. It waits for them; starts do not, and the wish is carried out."""
        one = self.servers[0]
        tasks = [{"taskType": "ECHO", "taskContent": "x", "autoRun": False} for _ in range(30)]
        job = one.post("/job", {"jobKey": "held", "tasks": tasks})["jobId"]
        held = one.get(f"/job/{job}/task")[7]["tiId"]
        with self.stranger(READ_COMMITTED, "BEGIN", f"SELECT ti_id FROM task_ins WHERE ti_id={held} FOR UPDATE"):
            self.assertEqual(ask(one, "POST", f"/job/{job}/cancel")[0], 200)
            end = time.monotonic() + HOLD_S
            while time.monotonic() < end:
                for server in self.servers:
                    status, seconds = self.start(server)
                    self.assertEqual(status, 200)
                    self.assertLess(seconds, WAIT_S)
        until("all are canceled", lambda: one.get(f"/job/{job}")["state"] == "CANCELED")
        self.all_end()

    def test_stored_late(self):
        """A cancel that waits for a locked row, and is stored when that is free, is answered so: whoever reads "nothing was stored" believes it."""
        fi = self.servers[0].flow(shell("long", "sleep 30"))
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(ask(self.servers[0], "POST", f"/exec/flow-ins/{fi}/cancel")))
        with self.stranger("BEGIN", f"SELECT fi_id FROM task_flow_ins WHERE fi_id={fi} FOR UPDATE"):
            waiting.start()
            time.sleep(REQUEST_S * 0.6)  # it has less than half of its time left
        waiting.join()
        status, answer, _ = answers[0]
        self.assertEqual((status, answer["data"].get("changed")), (200, True), answer)
        self.servers[0].ended(fi)
        self.all_end()


if __name__ == "__main__":
    unittest.main()
