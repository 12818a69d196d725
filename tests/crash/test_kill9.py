"""kill -9 in a loop: of the server, of the spawner, of both, of one of two nodes; and SIGTERM, with flows under way.

Client threads start flows and note which fiIds were acknowledged. SHELL steps append `start` and `end` lines to a ledger
(one write with O_APPEND each). After the last round every acknowledged flow must end, and ledger and API must agree:
no (key, attempt) twice, no attempt beside another of its key, nothing that was seen as SUCCESS starts again, no SUCCESS
without its work, no process of an attempt left. The moments are random; WEIR_CRASH_SEED=N repeats them.
"""
import collections
import contextlib
import http.client
import os
import pathlib
import random
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import live  # noqa: E402
from live import LIMIT_S, Refused, Server, directory, family, task, until  # noqa: E402
from services import HAVE_REDIS, Redis  # noqa: E402

ROUNDS = int(os.environ.get("WEIR_CRASH_ROUNDS", "8"))
CLIENTS = 3
LOSSES = 3  # the third makes a task DEAD
RESUME = "fails until it is resumed"

# $1 ledger, $2 seconds, $3 the attempt that first succeeds, $4 "daemon" = leave one behind.
STEP = r"""
last=$(sed -n "s|^start $WEIR_RUN_KEY [0-9]* \([0-9]*\)$|\1|p" "$1" | tail -n 1)
if [ -n "$last" ] && grep -qzx "WEIR_RUN_KEY=$WEIR_RUN_KEY" "/proc/$last/environ" 2>/dev/null; then
  echo "beside $WEIR_RUN_KEY $WEIR_ATTEMPT $last" >>"$1"
fi
echo "start $WEIR_RUN_KEY $WEIR_ATTEMPT $$" >>"$1"
[ "$4" != daemon ] || setsid sleep 600 </dev/null >/dev/null 2>&1 &
sleep "$2"
[ "$WEIR_ATTEMPT" -ge "$3" ] || exit 1
echo "end $WEIR_RUN_KEY $WEIR_ATTEMPT" >>"$1"
"""


def alive(pid):
    """As live.alive(), for a process that may end between the opening and the reading of its file."""
    try:
        return live.alive(pid)
    except ProcessLookupError:
        return False


class Ledger:
    """The lines that the steps write about themselves, in the order of their writes."""

    def __init__(self, tmp):
        self.path = tmp / "ledger"
        self.path.touch()
        self.script = tmp / "step.sh"
        self.script.write_text(STEP)
        self.mark = f"CRASH_{random.getrandbits(64):016x}"  # in the environment of every step and its children

    def size(self):
        return self.path.stat().st_size

    def step(self, key, seconds, *parents, good=1, extra="", **config):
        argv = ["/bin/sh", str(self.script), str(self.path), str(seconds), str(good), extra]
        node = task(key, "SHELL", "", *parents)
        node["tasks"] = [{"taskName": key, "taskType": "SHELL", "taskConfig": {"argv": argv, "env": {self.mark: "1"}, **config}}]
        return node

    def lines(self):
        """(offset, words) of each whole line; run keys without the store's id, which all of them share."""
        at, out, ids = 0, [], set()
        for line in self.path.read_bytes().split(b"\n")[:-1]:
            words = line.decode().split(" ")
            store, words[1] = words[1].split(":", 1)
            ids.add(store)
            out.append((at, words))
            at += len(line) + 1
        assert len(ids) <= 1, f"run keys of several stores: {ids}"
        return out

    def strays(self):
        """Live processes that belong to an attempt."""
        out, mark = set(), f"{self.mark}=1".encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark in f.read().split(b"\0"):
                        out.add(int(pid))
            except OSError:
                continue
        return {pid for pid in out if alive(pid)}


def shapes(ledger, rnd):
    """One flow at random: its nodes and settings."""
    def pause():
        return round(rnd.uniform(0, 0.3), 3)
    step = ledger.step
    kind = rnd.randrange(7)
    if kind == 0:
        return [task(f"e{i}", "ECHO", "x") for i in range(6)], {}
    if kind == 1:
        return [step(f"s{i}", pause()) for i in range(4)], {}
    if kind == 2:
        middle = [step("b0", pause(), "a"), task("b1", "WAIT", f"{pause()}", "a"), task("b2", "ECHO", "x", "a"), step("b3", pause(), "a")]
        return [task("a", "ECHO", "x"), *middle, step("j", 0, "b0", "b1", "b2", "b3")], {}
    if kind == 3:
        return [step("r", 0.01, good=2, attempts=5, backoff={"base": "50ms"}), step("after", pause())], {}
    if kind == 4:
        two = step("any", pause())
        two["tasks"].append(step("any", pause())["tasks"][0])
        two["complete"] = "any"
        return [two, step("next", 0), task("w", "WAIT", "0.1")], {}
    if kind == 5:
        return [step("d", pause(), extra="daemon"), step("after", 0)], {"onFailure": "stop_new"}
    return [step("kept", pause()), step("bad", pause(), good=2), step("after", pause())], {"flowDescription": RESUME}


class Client(threading.Thread):
    """Starts flows on whichever server there is, until it is told to stop."""

    def __init__(self, world, number):
        super().__init__(daemon=True)
        self.world, self.rnd = world, random.Random(world.rnd.getrandbits(64) + number)
        self.error, self.resume = None, []

    def run(self):
        try:
            while not self.world.stop.wait(self.rnd.uniform(0.02, 0.15)):
                try:
                    self.one()
                    if self.resume and self.world.resume(self.world.pick(self.rnd), self.resume[0]):
                        self.resume.pop(0)
                except Refused as refused:
                    if refused.status != 503:
                        raise
                except (OSError, ValueError, http.client.HTTPException):  # no server now, or half an answer
                    pass
        except Exception as error:  # shown by the test
            self.error = error

    def one(self):
        nodes, settings = shapes(self.world.ledger, self.rnd)
        fi = self.world.pick(self.rnd).flow(*nodes, **settings)
        with self.world.lock:
            self.world.accepted.append(fi)
        if settings.get("flowDescription") == RESUME:
            self.resume.append(fi)


class World:
    """Servers that come and go, clients, and what must be true of them."""

    def __init__(self, test, tmp, nodes=1, args=()):
        seed = int(os.environ.get("WEIR_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"{test.id()}: WEIR_CRASH_SEED={seed}", file=sys.stderr, flush=True)
        self.test, self.tmp, self.args, self.rnd = test, tmp, args, random.Random(seed)
        self.ledger = Ledger(tmp)
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.accepted, self.succeeded = [], {}
        self.servers, self.clients, self.ever = [], [], []
        test.addCleanup(self.close)
        for i in range(nodes):
            self.servers.append(self.start(i))
        for i in range(CLIENTS):
            self.clients.append(Client(self, i))
            self.clients[i].start()

    def start(self, i, life=0):
        server = Server(self.tmp / f"data{i}.{life}", "--slots", 6, *self.args)
        self.ever.append(server)
        return server

    def restart(self, i, life=0):
        self.servers[i] = self.start(i, life)

    def pick(self, rnd):
        server = self.servers[rnd.randrange(len(self.servers))]
        if server.process.poll() is not None:
            raise ConnectionRefusedError  # nor is its port asked: by now a server of another file may have it
        return server

    def close(self):
        self.stop.set()
        for client in self.clients:
            client.join(LIMIT_S)
        for server in self.servers:
            server.kill()
        for pid in self.ledger.strays():
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
        for line in [line for server in self.ever for line in server.lines if "level=error" in line][:20]:
            sys.stderr.write(line)

    def busy(self):
        """Some steps begin from here on."""
        before = self.ledger.size()
        until("steps run", lambda: self.check_clients() or self.ledger.size() > before)
        time.sleep(self.rnd.uniform(0, 0.7))  # the moment of the kill, not a wait for anything

    def check_clients(self):
        for client in self.clients:
            if client.error:
                raise client.error

    def look(self):
        """Notes which steps the API shows as SUCCESS now, and how long the ledger was then."""
        server = self.servers[0]
        with self.lock:
            flows = self.accepted[-20:]
        for fi in flows:
            for node in server.get(f"/monitor/flow/{fi}")["nodes"]:
                if node["state"] == "SUCCESS" and node["nodeKey"] != "any":
                    self.succeeded.setdefault(f"{fi}:{node['nodeKey']}:0", self.ledger.size())

    def gone(self, pids):
        """All of them are dead; says how long that took."""
        start = time.monotonic()
        until(f"children of a dead node are gone: {sorted(p for p in pids if alive(p))}", lambda: not any(map(alive, pids)))
        return time.monotonic() - start

    def resume(self, server, fi):
        """Runs again what failed, unless a task of it is DEAD. True when there is nothing to do any more."""
        flow = server.get(f"/monitor/flow/{fi}")
        if flow["status"] != "FAILED" or self.dead(server, flow):
            return flow["status"] != "RUNNING"
        try:
            server.post(f"/exec/flow/{flow['flowId']}", {"fiId": fi})
        except Refused as refused:
            if refused.status != 409:  # another did it meanwhile
                raise
        return False

    def dead(self, server, flow):
        rows = [row for node in flow["nodes"] for row in self.rows(server, node)]
        return any(row["state"] == "DEAD" and row["losses"] == LOSSES for row in rows)

    # ---- at the end ----

    def finish(self):
        self.stop.set()
        for client in self.clients:
            client.join(LIMIT_S)
        self.check_clients()
        server = self.servers[0]
        self.test.assertGreater(len(self.accepted), ROUNDS)
        for fi in [fi for client in self.clients for fi in client.resume]:
            until(f"flow {fi} is resumed to its end", lambda fi=fi: self.resume(server, fi))
        flows = {fi: server.ended(fi) for fi in self.accepted}
        until("what was not acknowledged has ended, too", lambda: not server.get("/monitor/flow?status=RUNNING&limit=500"))
        until("no process of an attempt is left", lambda: not self.ledger.strays())
        self.check_ledger()
        self.check_flows(server, flows)
        return flows

    def check_ledger(self):
        newest, seen = collections.Counter(), set()
        for offset, words in self.ledger.lines():
            self.test.assertNotEqual(words[0], "beside", f"an attempt ran beside a former one: {words}")
            if words[0] != "start":
                continue
            key, attempt = words[1], int(words[2])
            self.test.assertNotIn((key, attempt), seen, "an attempt number came twice")
            self.test.assertGreater(attempt, newest[key], "an old attempt started after a newer one")
            self.test.assertLess(offset, self.succeeded.get(key, offset + 1), f"{key} started after it was seen as SUCCESS")
            seen.add((key, attempt))
            newest[key] = attempt
        self.newest = newest

    def check_flows(self, server, flows):
        ends = {(w[1], int(w[2])) for _, w in self.ledger.lines() if w[0] == "end"}
        for fi, flow in flows.items():
            rows = [(n["nodeKey"], i, row) for n in flow["nodes"] for i, row in enumerate(self.rows(server, n))]
            if flow["status"] != "SUCCESS":
                self.test.assertTrue(self.dead(server, flow), f"failed without a reason: {flow}")
            for key, i, row in rows:
                name = f"{fi}:{key}:{i}"
                self.test.assertNotEqual(row["execStatus"], "RUNNING", row)
                self.test.assertLessEqual(self.newest[name], row["attempt"], f"{name}: the ledger knows an attempt that no row knows")
                if row["state"] == "SUCCESS" and row["taskType"] == "SHELL":
                    self.test.assertIn((name, row["attempt"]), ends, "recorded as SUCCESS, but its work was not done")
                    self.test.assertEqual(self.newest[name], row["attempt"], f"{name} ran again after its SUCCESS")

    @staticmethod
    def rows(server, node):
        return sorted(server.get(f"/monitor/node/{node['niId']}"), key=lambda row: row["tiId"])


def comm(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


def parent(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def spawner(server):
    """The process that forks for this server. Its children have its name, too, until they exec: it is the guard's child."""
    def find():
        return next((pid for pid in family(server.pid) if comm(pid) == "weir-spawner" and comm(parent(pid)) == "weir-guard"), None)
    return until("there is a spawner", find)


class Base(unittest.TestCase):
    def directory(self):
        tmp = directory()
        self.addCleanup(tmp.__exit__, None, None, None)
        return tmp.__enter__()

    def world(self, **more):
        return World(self, self.directory(), **more)


class Kill9(Base):
    def kill_rounds(self, kill):
        world, slowest = self.world(), 0
        for number in range(ROUNDS):
            world.busy()
            world.look()
            server, pids = world.servers[0], world.ledger.strays()
            kill(world, server)
            # Every second time the next server comes before the children are gone: it must wait for them.
            if server.process.poll() is not None and number % 2:
                world.restart(0)
            slowest = max(slowest, world.gone(pids))
            if world.servers[0].process.poll() is not None:
                world.restart(0)
        world.busy()  # steps run again
        flows = world.finish()
        print(f"{self.id()}: {len(flows)} flows, {sum(f['status'] == 'SUCCESS' for f in flows.values())} SUCCESS, "
              f"children gone after {slowest:.2f} s at most", file=sys.stderr)
        self.assertEqual(world.servers[0].stop(), 0)
        self.assertFalse(world.ledger.strays())

    def test_server(self):
        self.kill_rounds(lambda world, server: server.kill())

    def test_spawner(self):
        """The node goes on, with a new spawner; what ran is lost and runs again."""
        def kill(_world, server):
            old = spawner(server)
            os.kill(old, signal.SIGKILL)
            until("there is a new spawner", lambda: spawner(server) != old)
            self.assertIsNone(server.process.poll())
        self.kill_rounds(kill)

    def test_both(self):
        """Both at one instant: neither can see the other's end. The guard clears up."""
        def kill(_world, server):
            for sig in (signal.SIGSTOP, signal.SIGKILL):
                for pid in (spawner(server), server.pid):
                    os.kill(pid, sig)
            server.wait()
        self.kill_rounds(kill)

    def test_term(self):
        """Nothing is lost by a planned stop: attempts are handed back."""
        world = self.world()
        for _ in range(max(3, ROUNDS // 2)):
            world.busy()
            world.look()
            below = family(world.servers[0].pid)
            self.assertEqual(world.servers[0].stop(), 0, "".join(world.servers[0].lines[-20:]))
            self.assertFalse(world.ledger.strays())
            self.assertFalse([pid for pid in below if alive(pid)])
            world.restart(0)
        world.busy()
        flows = world.finish()
        for fi, flow in flows.items():
            self.assertEqual(flow["status"], "SUCCESS", flow)
            for node in flow["nodes"]:
                for row in world.rows(world.servers[0], node):
                    self.assertEqual(row["losses"], 0, row)
        self.assertEqual(world.servers[0].stop(), 0)


class Retry(Base):
    args = ()

    def test_killed_in_a_rerun(self):
        """A re-run that is interrupted goes on: nodes that wait in the new run have no rows of tasks there yet."""
        path = self.directory()
        ledger = Ledger(path)
        server = Server(path / "data", *self.args)
        self.addCleanup(lambda: server.kill())
        task_id = server.post("/task", {"taskName": "a", "taskType": "EXCEPTION", "taskContent": "not yet"})["taskId"]
        nodes = [{"nodeKey": "a", "taskIds": str(task_id)}, ledger.step("b", 0), ledger.step("c", 0, good=2)]
        flow_id = server.post("/flow", {"flowName": "rerun", "flowNodes": nodes})["flowId"]
        fi = server.post(f"/exec/flow/{flow_id}")["fiId"]
        self.assertEqual(server.ended(fi)["status"], "FAILED")
        server.post("/task", {"taskId": task_id, "taskType": "ECHO", "taskContent": "now"})
        server.post(f"/exec/flow/{flow_id}", {"fiId": fi})
        self.assertEqual(server.ended(fi)["status"], "FAILED")  # c, at its first attempt
        # Again from the start: b and c have rows of the run before; this time the server dies while a runs.
        server.post("/task", {"taskId": task_id, "taskType": "WAIT", "taskContent": "1"})
        first = server.get(f"/monitor/flow/{fi}")["nodes"][0]["niId"]
        server.post(f"/exec/flow/{flow_id}", {"fiId": fi, "niId": first})
        until("a runs", lambda: server.get(f"/monitor/flow/{fi}")["nodes"][0]["state"] == "RUNNING")
        server.kill()
        server = Server(path / "data", *self.args)
        self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        starts = [(w[1], int(w[2])) for _, w in ledger.lines() if w[0] == "start"]
        self.assertEqual(starts, [(f"{fi}:b:0", 1), (f"{fi}:c:0", 1), (f"{fi}:b:0", 2), (f"{fi}:c:0", 2)])
        self.assertEqual(server.stop(), 0)


STORE = os.environ.get("WEIR_TEST_MYSQL")


class OnServices(Base):
    """Nodes share the database of WEIR_TEST_MYSQL, and a Redis that no other test has: it loses all that it holds."""

    def setUp(self):
        path = self.directory()
        self.redis = Redis(path)
        self.addCleanup(self.redis.stop)
        self.args = ["--store", STORE, "--queue", self.redis.url, "--lease", "2s"]

    def flush(self):
        """Every hint is lost."""
        self.assertEqual(self.redis.cli("FLUSHALL").stdout, "OK\n")


@unittest.skipUnless(STORE and HAVE_REDIS, "WEIR_TEST_MYSQL is not set, or there is no Redis")
class ClusterRetry(OnServices, Retry):
    """The same with services."""


@unittest.skipUnless(STORE and HAVE_REDIS, "WEIR_TEST_MYSQL is not set, or there is no Redis")
class Cluster(OnServices):
    def test_two_nodes(self):
        """Two processes on one database; one dies at random, hints are lost at random."""
        world, slowest = self.world(nodes=2, args=self.args), 0
        for number in range(ROUNDS):
            world.busy()
            world.look()
            if world.rnd.randrange(2):
                self.flush()
            i = world.rnd.randrange(2)
            pids = self.of(world, i)
            world.servers[i].kill()
            slowest = max(slowest, world.gone(pids))
            if world.rnd.randrange(2):
                self.flush()
            world.busy()  # the other one goes on
            # On its old directory a node knows itself; on a new one only the end of the lease tells who is dead.
            world.restart(i, life=number * world.rnd.randrange(2))
        flows = world.finish()
        print(f"{self.id()}: {len(flows)} flows, children gone after {slowest:.2f} s at most", file=sys.stderr)
        for server in world.servers:
            self.assertEqual(server.stop(), 0)
        self.assertFalse(world.ledger.strays())

    @staticmethod
    def of(world, i):
        """Processes of attempts below one server."""
        return family(world.servers[i].pid) & world.ledger.strays()


if __name__ == "__main__":
    unittest.main()
