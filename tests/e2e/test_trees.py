"""A node that analyses is killed (kill -9) between the call of the analyzer and the commit of its verdict: the call is made again, the
verdict and its tasks stand once, and that costs the task neither an attempt nor a loss."""
import json
import os
import unittest

from live import Server, directory, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis

# It says that it was called, waits until the test has killed its node, and answers two tasks; the next call answers at once.
PROGRAM = """#!/bin/sh
cat > /dev/null
echo x >> {called}
[ $(wc -l < {called}) -gt 1 ] || sleep 600
cat > "$WEIR_OUTPUT" <<'EOF'
{answer}
EOF
"""
ANSWER = {"verdict": "done", "result": {"n": 2}, "tasks": [{"taskType": "ECHO", "taskName": "c", "taskContent": "hi", "taskKey": "a"},
                                                        {"taskType": "ECHO", "taskName": "c", "taskContent": "hi"}]}


class Killed(unittest.TestCase):
    nodes = 1

    def store(self, tmp):
        return ()

    def setUp(self):
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        programs = self.tmp / "programs"
        programs.mkdir(mode=0o755)
        self.called = self.tmp / "called"
        (programs / "look").write_text(PROGRAM.format(called=self.called, answer=json.dumps(ANSWER)))
        os.chmod(programs / "look", 0o755)
        self.args = (*self.store(self.tmp), "--lease", "6s", "--executor-dir", str(programs))
        self.servers = [self.start(i) for i in range(self.nodes)]

    def start(self, i):
        server = Server(self.tmp / f"node{i}", *self.args)
        self.addCleanup(server.kill)
        return server

    def calls(self):
        return len(self.called.read_text().splitlines()) if self.called.exists() else 0

    def test_between_the_call_and_the_commit(self):
        self.servers[0].post("/analyzer", {"analyzerType": "look", "mode": "program", "location": ["look"], "taskTypes": ["ECHO"]})
        ti = self.servers[0].post("/exec/task", {"taskType": "ECHO", "taskName": "p", "taskContent": "x",
                                                 "taskConfig": {"analyzer": "look", "analyzerTimeout": "1h"}})["tiId"]
        until("the analyzer is called", lambda: self.calls() == 1 or None)
        self.assertEqual(self.servers[0].get(f"/monitor/task/{ti}")["state"], "ANALYZING")
        for server in self.servers:
            server.kill()
        self.servers = [self.start(i) for i in range(self.nodes)]
        got = until("the task ends", lambda: (lambda t: t if "endTime" in t else None)(self.servers[0].get(f"/monitor/task/{ti}?wait=5")))
        self.assertEqual((got["state"], got["verdict"], got["losses"], got["failures"], got["executions"], got["attempt"], got["result"]),
                         ("SUCCESS", "done", 0, 0, 1, 1, '{"n":2}'), got)
        self.assertEqual(got["children"], {"total": 2, "live": 0, "failed": 0, "known": 0})
        below = self.servers[0].get(f"/monitor/task?parentTiId={ti}")
        self.assertEqual([t["state"] for t in below], ["SUCCESS", "SUCCESS"], below)
        self.assertEqual(self.calls(), 2)


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS, "no MariaDB or no Redis")
class KilledInACluster(Killed):
    nodes = 2

    def store(self, tmp):
        db, redis = MariaDb(tmp), Redis(tmp)
        self.addCleanup(db.stop)
        self.addCleanup(redis.stop)
        return ("--store", db.url, "--queue", redis.url, "--prefix", "trees")


if __name__ == "__main__":
    unittest.main()
