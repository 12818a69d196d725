"""The five scenarios that go-async shows (finish; delete; fail and restart; pause and restart; fail and delete), each with each kind
of queue and on each store. The task sums the squares of 1 to 10, step by step, and reports its context at each; files in the test's
directory say whether it waits at the fifth step, and whether it fails there.

On MariaDB two nodes stand beside each other, and all that is asked is asked of the one that need not run the task.
"""
import os
import unittest
import urllib.error
import urllib.request

from live import Nodes, Refused, plugin_of, until

SUM = """
read i sum <"$WEIR_CONTEXT" # a file without a last newline; it is empty at first
i=${i:-0} sum=${sum:-0}
echo "from $i"
trap 'weir report --context "$i $sum"; exit 75' TERM
while [ $i -lt 10 ]; do
  i=$((i + 1)) sum=$((sum + i * i))
  weir report --context "$i $sum" --progress $i/10
  while [ $i = 5 ] && [ -e "@hold" ]; do sleep 0.02; done
  if [ $i = 5 ] && [ -e "@bad" ]; then echo "it breaks" >&2; exit 1; fi
done
echo $sum >"$WEIR_OUTPUT"
"""
# A policy of one's own, as a plug-in: the task of the newest submit comes first.
POLICY = """#include <weir_plugin.h>
static long pick(const weir_candidate_t *const *v, size_t n, void *user) {
  long best = -1;
  (void)user;
  for (size_t i = 0; i < n; i++)
    if (best < 0 || v[i]->id > v[best]->id) best = (long)i;
  return best;
}
const weir_plugin_t weir_plugin = {.size = sizeof weir_plugin, .abi = WEIR_PLUGIN_ABI, .name = "newest first", .pick = pick};
"""
# A kind of queue: what each task says besides.
KINDS = {"default": {}, "priority": {"user": "anna", "group": "sums", "priority": 7}, "policy": {"user": "bob"}}
MYSQL, REDIS = os.environ.get("WEIR_TEST_MYSQL"), os.environ.get("WEIR_TEST_REDIS")


class Scenarios(Nodes):
    """For one kind of queue on one store: `more` is what each task says besides, `policy` the text of the nodes' plug-in."""
    policy = None

    @classmethod
    def start(cls, i, *more):
        if cls.policy:
            source = cls.tmp / "policy.c"
            source.write_text(cls.policy)
            more += ("--plugin", plugin_of(source, cls.tmp))
        return super().start(i, *more)

    def flag(self, name, on=True):
        path = self.tmp / f"{self.id()}.{name}"
        if on:
            path.touch()
        else:
            path.unlink()

    def submit(self, *flags):
        for name in flags:
            self.flag(name)
        script = SUM.replace("@", f"{self.tmp}/{self.id()}.")
        self.body = {"taskType": "SHELL", "taskName": "sum", "taskContent": script, "taskKey": self.id(), **self.more}
        row = self.at.post("/exec/task", self.body)
        self.ti = row["tiId"]
        for name, value in self.more.items():
            self.assertEqual(row[name], value)

    def row(self):
        return self.at.get(f"/monitor/task/{self.ti}")

    def when(self, state):
        def there():
            row = self.row()
            self.assertIn(row["state"], {state, *self.on_the_way[state]}, row)
            return row if row["state"] == state else None
        return until(f"it is {state}", there)

    on_the_way = {"SUCCESS": ("QUEUED", "RUNNING", "PAUSING"), "FAILED": ("QUEUED", "RUNNING"), "PAUSED": ("PAUSING",)}

    def at_step(self, n):
        until(f"it is at step {n}", lambda: self.row().get("progress", {}).get("done") == n)

    def wish(self, what):
        return self.at.post(f"/exec/task-ins/{self.ti}/{what}")

    def text(self, path):
        try:
            with urllib.request.urlopen(f"{self.at.url}/monitor/task/{self.ti}/{path}", timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                self.assertEqual(error.code, 404, path)
            return None

    def finished(self, run_no, log):
        row = self.when("SUCCESS")
        self.assertEqual((row["result"].strip(), row["runNo"], row["errorMsg"]), ("385", run_no, ""))
        self.assertEqual([row["progress"][k] for k in ("done", "total")], [10, 10])
        self.assertEqual(self.text("context"), "10 385")
        self.assertEqual(self.text("log?attempt=all"), log)
        return row

    def gone(self):
        """Nothing of it is left, and its name is free."""
        def refused():
            try:
                return self.assertEqual(self.row()["state"], "DELETING")
            except Refused as gone:
                return gone
        self.assertEqual((lambda e: (e.status, e.answer["code"]))(until("it is gone", refused)), (404, "40402"))
        self.assertEqual([self.text(path) for path in ("context", "progress", "log?attempt=all")], [None] * 3)
        again = self.at.post("/exec/task", {**self.body, "autoRun": False})
        self.assertNotEqual(again["tiId"], self.ti)
        self.assertNotIn("replayed", again)
        self.at.call("DELETE", f"/exec/task-ins/{again['tiId']}")

    def fails(self):
        self.submit("bad")
        row = self.when("FAILED")
        self.assertEqual((row["failures"], row["progress"]["done"], self.text("context")), (1, 5, "5 55"))

    def test_finish(self):
        self.submit()
        self.assertEqual(self.finished(1, "from 0\n")["history"], [])

    def test_delete(self):
        self.submit("hold")
        self.at_step(5)
        row = self.at.call("DELETE", f"/exec/task-ins/{self.ti}")
        self.assertEqual((row["state"], row["changed"]), ("RUNNING", True))  # as it was
        self.gone()

    def test_fail_and_restart(self):
        self.fails()
        self.flag("bad", False)
        self.wish("run")
        row = self.finished(2, "from 0\nit breaks\nfrom 5\n")
        self.assertEqual([(h["end"], h["runNo"]) for h in row["history"]], [("FAIL", 1)])

    def test_pause_and_restart(self):
        self.submit("hold")
        self.at_step(5)
        self.assertIn(self.wish("pause")["state"], ("PAUSING", "PAUSED"))
        row = self.when("PAUSED")
        self.assertEqual((row["why"], row["failures"], self.text("context")), ("PAUSED", 0, "5 55"))
        self.assertFalse(self.wish("pause")["changed"])
        self.flag("hold", False)
        self.wish("run")
        log = self.text("log?attempt=all")
        self.assertTrue(log.startswith("from 0\n"), log)
        row = self.when("SUCCESS")
        self.assertTrue(self.text("log?attempt=all").endswith("from 5\n"))
        self.assertEqual((row["result"].strip(), row["runNo"], row["failures"]), ("385", 1, 0))
        self.assertEqual([(h["end"], h["runNo"]) for h in row["history"]], [("PAUSED", 1)])

    def test_fail_and_delete(self):
        self.fails()
        self.assertEqual(self.at.call("DELETE", f"/exec/task-ins/{self.ti}")["state"], "FAILED")
        self.gone()


class Sqlite(Scenarios):
    pass


class Maria(Scenarios):
    nodes = 2

    @classmethod
    def store(cls):
        if not MYSQL:
            raise unittest.SkipTest("no MariaDB")
        return ("--store", MYSQL)


class MariaRedis(Maria):
    @classmethod
    def store(cls):
        if not REDIS:
            raise unittest.SkipTest("no Redis")
        return (*super().store(), "--queue", REDIS, "--prefix", f"scenarios{os.getpid()}")


for _store in (Sqlite, Maria, MariaRedis):
    for _kind in KINDS:
        _name = f"{_store.__name__}{_kind.capitalize()}"
        _own = {"more": KINDS[_kind], "policy": POLICY if _kind == "policy" else None, "__module__": __name__}
        globals()[_name] = type(_name, (_store, unittest.TestCase), _own)

if __name__ == "__main__":
    unittest.main()
