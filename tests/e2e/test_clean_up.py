"""The clean-up of a SHELL task (onDelete), over HTTP on each store: each wish in each of its steps, its surroundings, and what becomes
of it when its server stops or dies."""
import contextlib
import signal
import sqlite3
import threading
import unittest

from live import Refused, Server, alive, until
from services import OnMariaDb
from test_report import Base

# By hand: a state: changed, and what it is once the gates are open; False: 200 and not changed; a number: 409.
TABLE = {
    "run": dict(stops=40916, waits=40916, runs=40916, later=40916, failed=40916),
    "pause": dict(stops=40916, waits=40916, runs=40916, later=40916, failed=40916),
    "queue": dict(stops=40916, waits=40916, runs=40916, later=40916, failed=40916),
    "cancel": dict(stops="DELETE_FAILED", waits="DELETE_FAILED", runs="DELETE_FAILED", later="DELETE_FAILED", failed=40916),
    "delete": dict(stops=False, waits=False, runs=False, later=False, failed="gone"),
    "force": dict(stops="gone", waits="gone", runs="gone", later="gone", failed="gone"),
}


class Steps(Base):
    def setUp(self):
        super().setUp()
        self.n = 0

    def server(self, name="data"):
        server = Server(self.tmp / name, *self.store(), "--slots", "1")
        self.servers.append(server)
        return server

    def places(self):
        self.n += 1
        base = self.tmp / f"task{self.n}"
        return f"{base}.up", f"{base}.gate"

    def submit(self, server, clean, script="true", **more):
        body = {"taskType": "SHELL", "taskContent": script, "taskConfig": {"onDelete": {"content": clean}, **more.pop("config", {})}, **more}
        return server.post("/exec/task", body)["tiId"]

    def wish(self, server, wish, ti):
        if wish in ("delete", "force"):
            return server.call("DELETE", f"/exec/task-ins/{ti}" + ("?force=true" if wish == "force" else ""))
        return server.post(f"/exec/task-ins/{ti}/{wish}", {"user": "moved"} if wish == "queue" else None)

    def gone(self, server, ti):
        def ask():
            try:
                return server.get(f"/monitor/task/{ti}") and None
            except Refused as refused:
                self.assertEqual((refused.status, refused.answer["code"]), (404, "40402"))
                return True
        until(f"task {ti} is gone", ask)

    def is_there(self, path):
        until(f"{path} is there", lambda: open(path).close() is None if self.tmp.joinpath(path).exists() else None)

    # a task in each step of its deletion; returns what opens its gates

    def stops(self, server):
        up, gate = self.places()
        script = f"trap 'while [ ! -e {gate} ]; do sleep 0.02; done; exit 75' TERM; touch {up}; while :; do sleep 0.02; done"
        ti = self.submit(server, "true", script, config={"grace": "1h"})
        self.is_there(up)
        self.wish(server, "delete", ti)
        return ti, lambda: open(gate, "w").close()

    def waits(self, server):
        other = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "sleep 3600"})["tiId"]
        self.row_when(server, other, state="RUNNING")
        ti = self.submit(server, "true", autoRun=False)
        self.wish(server, "delete", ti)
        self.row_when(server, ti, state="DELETING", why="NO_SLOT")
        return ti, lambda: self.wish(server, "force", other)

    def runs(self, server):
        up, gate = self.places()
        ti = self.submit(server, f"touch {up}; while [ ! -e {gate} ]; do sleep 0.02; done", autoRun=False)
        self.wish(server, "delete", ti)
        self.is_there(up)
        return ti, lambda: open(gate, "w").close()

    def later(self, server):
        up, gate = self.places()
        ti = self.submit(server, f"[ -e {gate} ] && exit 0; touch {up}; echo '{{\"again\":{{\"after\":\"1s\"}}}}' >&3", autoRun=False)
        self.wish(server, "delete", ti)
        self.is_there(up)
        until("it waits", lambda: server.get(f"/monitor/task/{ti}").get("why") == "RETRY_WAIT" or None)
        return ti, lambda: open(gate, "w").close()

    def failed(self, server):
        _, gate = self.places()
        ti = self.submit(server, f"[ -e {gate} ] || exit 3", "exit 4")
        self.row_when(server, ti, state="FAILED")
        self.wish(server, "delete", ti)
        row = self.row_when(server, ti, state="DELETE_FAILED")
        self.assertEqual((row["execStatus"], row["errorMsg"], row["exitCode"]), ("FAILED", "The clean-up failed: Exit code 3.", 3))
        self.assertEqual([(h["attempt"], h["end"], h["exitCode"]) for h in row["history"]], [(1, "FAIL", 4)])
        return ti, lambda: open(gate, "w").close()

    def cell(self, server, wish, step):
        ti, release = getattr(self, step)(server)
        expected, shown = TABLE[wish][step], "DELETE_FAILED" if step == "failed" else "DELETING"
        self.assertEqual(server.get(f"/monitor/task/{ti}")["state"], shown)
        if isinstance(expected, int) and expected is not False:
            with self.assertRaises(Refused) as refused:
                self.wish(server, wish, ti)
            answer = refused.exception.answer
            self.assertEqual((refused.exception.status, answer["code"], answer["data"]["state"]), (409, str(expected), shown))
            way = ": DELETE it again, or with force=true." if step == "failed" else "; wait."
            self.assertEqual(answer["message"], f"It is {shown}{way}")
            if step == "failed":
                self.wish(server, "force", ti)
        else:
            if step == "failed":
                release()
            self.assertIs(self.wish(server, wish, ti)["changed"], expected is not False)
        if expected == "DELETE_FAILED" and step == "runs":  # one that ends before the TERM comes has done its work
            self.row_when(server, ti, state="DELETE_FAILED")
        try:
            release()
        except Refused as none:
            self.assertEqual(none.status, 404)
        if expected == "DELETE_FAILED":
            row = self.row_when(server, ti, state="DELETE_FAILED")
            self.assertEqual(row["errorMsg"], "The deletion was canceled.")
            self.wish(server, "force", ti)
        self.gone(server, ti)

    def test_every_cell(self):
        server = self.server()
        for wish, cells in TABLE.items():
            for step in cells:
                with self.subTest(wish=wish, step=step):
                    self.cell(server, wish, step)
        self.assertEqual(server.stop(), 0)

    # what it gets, and what it leaves

    def test_surroundings(self):
        server, out = self.server(), self.tmp / "out"
        script = "weir report --context kept --progress 3/10; echo said; cat"
        clean = f"{{ pwd; cat $WEIR_CONTEXT; echo \" $W_name $MINE $(umask) $WEIR_ATTEMPT\"; cat; }} > {out}; echo cleaned; exit 3"
        config = {"cwd": str(self.tmp), "stdin": "typed\n", "umask": "077", "env": {"MINE": "mine"}}
        ti = self.submit(server, clean, script, config=config, params={"name": "value"})
        row = self.row_when(server, ti, state="SUCCESS")
        self.assertEqual(row["history"], [])
        self.wish(server, "delete", ti)
        row = self.row_when(server, ti, state="DELETE_FAILED")
        self.assertEqual(out.read_text(), f"{self.tmp}\nkept value mine 0077 2\n")
        self.assertEqual(self.text(server, f"/monitor/task/{ti}/log?attempt=2"), "cleaned\n")
        self.assertEqual((row["history"], row["progress"]["done"], row["contextBytes"]), ([], 3, 4))
        self.wish(server, "force", ti)
        until("nothing of it is left", lambda: self.left(ti) == 0 or None)
        argv = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "true", "context": "given", "autoRun": False, "taskConfig": {
            "onDelete": {"argv": ["/bin/sh", "-c", f"cat $WEIR_CONTEXT > {out}.argv"]}}})["tiId"]
        self.wish(server, "delete", argv)
        self.gone(server, argv)
        self.assertEqual((self.tmp / "out.argv").read_text(), "given")
        self.assertEqual(server.stop(), 0)

    def left(self, ti):
        with contextlib.closing(sqlite3.connect(f"file:{self.tmp}/data/weir.db-log?mode=ro", uri=True)) as db:
            return sum(db.execute(f"SELECT count(*) FROM {table} WHERE ti_id=?", (ti,)).fetchone()[0]
                       for table in ("task_log", "task_context", "task_progress"))

    def test_a_crash_after_the_delete(self):
        """The row is gone, and what it left is not: the next start deletes that."""
        server = self.server()
        script = "weir report --context kept --progress 3/10; echo said"
        one, other = (server.post("/exec/task", {"taskType": "SHELL", "taskContent": script})["tiId"] for _ in "ab")
        for ti in (one, other):
            self.row_when(server, ti, state="SUCCESS")
        server.signal(signal.SIGSTOP)
        self.delete_row(one)
        server.kill()
        self.assertGreater(self.left(one), 0)
        server = self.server()
        until("the start has deleted the rest", lambda: self.left(one) == 0 or None)
        self.assertEqual(self.left(other), 3)
        self.assertEqual(server.stop(), 0)

    def test_a_wait_ends_with_404(self):
        server = self.server()
        ti, release = self.runs(server)
        answers = []

        def wait():
            try:
                answers.append(server.get(f"/monitor/task/{ti}?wait=60"))
            except Refused as refused:
                answers.append(refused.status)
        waiter = threading.Thread(target=wait)
        waiter.start()
        release()
        waiter.join()
        self.assertEqual(answers, [404])
        ti, release = self.failed(server)
        self.assertEqual(server.get(f"/monitor/task/{ti}?wait=60")["state"], "DELETE_FAILED")
        self.assertEqual(server.stop(), 0)

    def test_force_kills_at_once(self):
        """What ignores its TERM is deleted by force: it is dead long before its grace is over, and its place is another one's."""
        server = self.server()
        server.post("/queue", {"user": "one", "maxRunning": 1})
        for cleans in (False, True):
            up, _ = self.places()
            script = f"trap '' TERM; echo $$ > {up}.new; mv {up}.new {up}; while :; do sleep 0.02; done"
            body = {"taskType": "SHELL", "user": "one", "taskContent": "true" if cleans else script, "autoRun": not cleans,
                    "taskConfig": {"grace": "10m", **({"onDelete": {"content": script}} if cleans else {})}}
            with self.subTest(cleans=cleans):
                ti = server.post("/exec/task", body)["tiId"]
                if cleans:
                    self.wish(server, "delete", ti)
                self.is_there(up)
                with open(up, encoding="ascii") as f:
                    pid = int(f.read())
                self.wish(server, "delete", ti)
                after = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "exit 0", "user": "one"})["tiId"]
                why = until("it waits", lambda: server.get(f"/monitor/task/{after}").get("why"))
                self.assertEqual(why, "NO_SLOT" if cleans else "QUEUE_LIMIT")
                self.assertTrue(alive(pid))
                self.assertIs(self.wish(server, "force", ti)["changed"], True)
                self.gone(server, ti)
                until("it is dead", lambda: not alive(pid))
                self.row_when(server, after, state="SUCCESS")
                self.assertEqual([q["running"] for q in server.get("/queue") if q["user"] == "one"], [0])
        self.assertEqual(server.stop(), 0)

    def test_output_after_the_delete(self):
        """A task that still runs is deleted by force: what it says until it is dead goes, too."""
        server = self.server()
        up, _ = self.places()
        script = f"trap '' TERM; echo said; touch {up}; while :; do echo late; weir report --context late; done"
        ti = self.submit(server, "true", script)
        self.is_there(up)
        self.wish(server, "delete", ti)
        self.wish(server, "force", ti)
        self.gone(server, ti)
        other = server.post("/exec/task", {"taskType": "SHELL", "taskContent": "echo said"})["tiId"]
        self.row_when(server, other, state="SUCCESS")
        until("nothing of it is left", lambda: self.left(ti) == 0 or None)
        self.assertEqual(self.left(other), 1)
        self.assertEqual(server.stop(), 0)

    def delete_row(self, ti):
        """As the batch does it that deletes the task."""
        with contextlib.closing(sqlite3.connect(self.tmp / "data/weir.db")) as db, db:
            db.execute("DELETE FROM task_async WHERE ti_id=?", (ti,))
            db.execute("DELETE FROM task_ins WHERE ti_id=?", (ti,))
            db.execute("INSERT INTO task_gone (ti_id) VALUES (?)", (ti,))

    def test_timeout(self):
        server = self.server()
        ti = self.submit(server, "sleep 3600", autoRun=False, config={"onDelete": {"content": "sleep 3600", "timeout": "100ms"}})
        self.wish(server, "delete", ti)
        self.assertEqual(self.row_when(server, ti, state="DELETE_FAILED")["errorMsg"], "The clean-up timed out.")
        self.assertEqual(server.stop(), 0)

    def test_not_now_too_often(self):
        server = self.server()
        ti = self.submit(server, "echo '{\"again\":{\"after\":\"1ms\"}}' >&3", autoRun=False)
        self.wish(server, "delete", ti)
        row = self.row_when(server, ti, state="DELETE_FAILED")
        self.assertEqual((row["attempt"], row["errorMsg"]), (101, "The clean-up failed: it asked more than 100 times to be tried again later."))
        self.wish(server, "force", ti)
        self.assertEqual(server.stop(), 0)

    # the life of its server

    def test_planned_stop(self):
        server = self.server()
        ti, release = self.runs(server)
        self.assertEqual(server.stop(), 0)
        server = self.server()
        row = until("it runs again", lambda: (lambda r: r if r["attempt"] == 2 else None)(server.get(f"/monitor/task/{ti}")))
        self.assertEqual((row["state"], row["losses"], [h["end"] for h in row["history"]]), ("DELETING", 0, ["HANDBACK"]))
        release()
        self.gone(server, ti)
        self.assertEqual(server.stop(), 0)

    def test_lost(self):
        server = self.server()
        up, _ = self.places()
        ti = self.submit(server, f"touch {up}.$WEIR_ATTEMPT; sleep 3600", autoRun=False)
        self.wish(server, "delete", ti)
        for attempt in (1, 2, 3):
            self.is_there(f"{up}.{attempt}")
            server.signal(signal.SIGKILL)
            server.wait()
            server = self.server()
        row = self.row_when(server, ti, state="DELETE_FAILED")
        self.assertEqual((row["errorMsg"], row["losses"]), ("The clean-up was lost three times; given up. Its history says how.", 3))
        self.assertEqual([h["end"] for h in row["history"]], ["LOST", "LOST"])
        self.assertEqual(server.stop(), 0)


class StepsMariaDb(OnMariaDb, Steps):
    def delete_row(self, ti):
        self.db.sql(f"DELETE FROM task_async WHERE ti_id={ti}; DELETE FROM task_ins WHERE ti_id={ti}; INSERT INTO task_gone VALUES ({ti})")

    def left(self, ti):
        return sum(int(self.db.sql(f"SELECT count(*) FROM {table} WHERE ti_id={ti}")[0][0]) for table in ("task_log", "task_context", "task_progress"))


del Base
if __name__ == "__main__":
    unittest.main()
