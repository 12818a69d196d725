"""Three nodes on one database, and everything that may befall them: kill -9, a freeze that outlives the lease, lost hints,
database connections killed in the middle of batches; while flows with joins, retries, cancels and re-runs are under way.

Afterwards the tables themselves are asked (not the API alone): every acknowledged flow is final, no node has two rows in
one run, counters and rows agree, nothing is owned. The moments are random; WEIR_CRASH_SEED=N repeats the choices.
"""
import os
import signal
import subprocess
import time
import unittest
import urllib.parse

import test_kill9
from live import Refused, until
from services import HAVE_REDIS
from test_kill9 import ROUNDS, STORE, Client, OnServices, World

FREEZE_S = 4  # the lease is 2 s
URL = urllib.parse.urlsplit(STORE or "")


def sql(text):
    """Rows of an answer, as lists of words."""
    query = dict(urllib.parse.parse_qsl(URL.query))
    where = ["-S", query["socket"]] if "socket" in query else ["-h", URL.hostname, "-P", str(URL.port or 3306)]
    env = {**os.environ, "MYSQL_PWD": urllib.parse.unquote(URL.password or "")}
    out = subprocess.run(["mariadb", "--no-defaults", "-u", URL.username, *where, "-N", "-B", "-e", text, URL.path[1:]],
                         capture_output=True, text=True, env=env, check=True)
    return [line.split("\t") for line in out.stdout.splitlines()]


class Meddler(Client):
    """A client that also cancels what runs and runs again what has ended."""

    def one(self):
        super().one()
        with self.world.lock:
            fi = self.rnd.choice(self.world.accepted)
        what, server = self.rnd.randrange(4), self.world.pick(self.rnd)
        try:
            if what == 0:
                server.post(f"/exec/flow-ins/{fi}/cancel")
            elif what == 1:
                server.post(f"/exec/flow/{server.get(f'/monitor/flow/{fi}')['flowId']}", {"fiId": fi})
        except Refused as refused:
            if refused.status not in (409, 503):
                raise


@unittest.skipUnless(STORE and HAVE_REDIS, "WEIR_TEST_MYSQL is not set, or there is no Redis")
class Chaos(OnServices):
    def world(self, **more):
        usual, test_kill9.Client = test_kill9.Client, Meddler
        self.addCleanup(setattr, test_kill9, "Client", usual)
        return World(self, self.directory(), **more)

    def kill(self, world, number):
        i = world.rnd.randrange(len(world.servers))
        world.servers[i].kill()
        if world.rnd.randrange(2):
            world.busy()  # the others go on
        world.restart(i, life=number * world.rnd.randrange(2))

    def freeze(self, world, _number):
        """The other nodes take its attempts over; when it wakes, none of its reports may count."""
        server = world.servers[world.rnd.randrange(len(world.servers))]
        server.signal(signal.SIGSTOP)
        time.sleep(FREEZE_S)  # how long it is frozen, not a wait for anything
        server.signal(signal.SIGCONT)

    def lose_hints(self, _world, _number):
        self.flush()

    def cut(self, _world, _number):
        """All connections of all nodes; a connection that is gone meanwhile does not matter."""
        ids = [row[0] for row in sql("SELECT id FROM information_schema.processlist WHERE db=DATABASE() AND id<>CONNECTION_ID()")]
        for number in ids:
            try:
                sql(f"KILL {number}")
            except subprocess.CalledProcessError:
                pass

    def test_three_nodes(self):
        world = self.world(nodes=3, args=self.args)
        faults = [self.kill, self.freeze, self.lose_hints, self.cut] * (ROUNDS // 4 + 1)
        world.rnd.shuffle(faults)
        for number, fault in enumerate(faults[:ROUNDS]):
            world.busy()
            fault(world, number)
        world.stop.set()
        for client in world.clients:
            client.join(test_kill9.LIMIT_S)
        world.check_clients()
        server = world.servers[0]
        for fi in world.accepted:
            server.ended(fi)
        until("what was not acknowledged has ended, too", lambda: not server.get("/monitor/flow?status=RUNNING&limit=500"))
        until("no process of an attempt is left", lambda: not world.ledger.strays())
        world.check_ledger()
        self.check_tables(world)
        for server in world.servers:
            self.assertEqual(server.stop(), 0)

    def check_tables(self, world):
        ids = ",".join(map(str, world.accepted))
        self.assertEqual(sql(f"SELECT COUNT(*) FROM task_flow_ins WHERE fi_id IN ({ids}) AND state>=4"), [[str(len(world.accepted))]])
        for what in (
            "SELECT fi_id, state, live FROM task_flow_ins WHERE state<4 OR live<>0 OR more_from IS NOT NULL",
            "SELECT ti_id, state, owner, epoch FROM task_ins WHERE state<9 OR (owner<>0)<>(epoch>0)",  # who ran it last
            "SELECT fi_id, node_id, run_no FROM task_node_ins GROUP BY 1, 2, 3 HAVING COUNT(*)>1",
            "SELECT ni_id, state, t_open FROM task_node_ins WHERE state<3 OR t_open<>0",
            "SELECT n.ni_id, n.t_ok, n.t_bad FROM task_node_ins n LEFT JOIN task_ins t ON t.ni_id=n.ni_id GROUP BY n.ni_id "
            "HAVING n.t_ok<>IFNULL(SUM(t.state=9), 0) OR n.t_bad<>IFNULL(SUM(t.state>9), 0)",
            "SELECT a.ti_id, a.epoch FROM task_attempt a JOIN task_ins t USING (ti_id) WHERE a.epoch>t.epoch",
        ):
            self.assertEqual(sql(what), [], what)


if __name__ == "__main__":
    unittest.main()
