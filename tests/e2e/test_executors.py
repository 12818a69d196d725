"""Executors that are registered at run time, over members of one MariaDB: seen by all of them, offered by those that have the program,
whole or not at all when a manager dies in the middle."""
import os
import threading
import unittest

from live import Refused, Server, until
from services import HAVE_REDIS, OnMariaDb, WithRedis
from test_members import Quiet
from test_report import Base

SAYS = '#!/bin/sh\nprintf %s "{}" > "$WEIR_OUTPUT"\n'


class Executors(Base):
    def member(self, name, *more):
        programs = self.tmp / f"programs-{name}"
        programs.mkdir(exist_ok=True)
        os.chmod(programs, 0o755)
        server = Server(self.tmp / name, *self.store(), "--executor-dir", programs, *more)
        self.servers.append(server)
        server.programs = programs
        return server

    def program(self, server, name, says):
        path = server.programs / f".{name}"
        path.write_text(SAYS.format(says))
        os.chmod(path, 0o755)
        path.rename(server.programs / name)

    def put(self, server, kind, *location, **more):
        return server.post("/executor", {"executorType": kind, "mode": "program", "location": list(location), **more})

    def offers(self, server, kind):
        """memberId -> why not, None: it offers it."""
        return {m["memberId"]: m.get("why") for m in server.get(f"/executor/{kind}")["members"]}

    def result(self, server, kind, **more):
        ti = server.post("/exec/task", {"taskType": kind, **more})["tiId"]
        return self.row_when(server, ti, state="SUCCESS")["result"]

    def test_restart(self):
        one = self.member("one")
        self.program(one, "p", "first")
        self.put(one, "stays", "p", config={"attempts": 2})
        waits = one.post("/exec/task", {"taskType": "stays", "autoRun": False})["tiId"]
        self.program(one, "q", "second")
        self.put(one, "stays", "q", replace=True)
        self.assertEqual(one.stop(), 0)
        one = self.member("one")
        self.assertEqual(one.get("/executor/stays")["executorVersion"], 2)
        self.assertEqual(self.result(one, "stays"), "second")
        one.post(f"/exec/task-ins/{waits}/run")     # a version that this process has not seen before
        row = self.row_when(one, waits, state="SUCCESS")
        self.assertEqual((row["result"], row["executorVersion"]), ("first", 1))


    def test_analyzed_by_its_own_version(self):
        """Also where that has an analyzer and the newest has none, and the other way round."""
        one = self.member("one")
        self.program(one, "p", "ok")
        strict = {"type": "regex", "pattern": "never there"}
        self.put(one, "versions", "p", config={"n": 1}, analyzer=strict)
        was = one.post("/exec/task", {"taskType": "versions", "autoRun": False})["tiId"]
        self.put(one, "versions", "p", config={"n": 2}, replace=True)
        plain = one.post("/exec/task", {"taskType": "versions", "autoRun": False})["tiId"]
        one.post(f"/exec/task-ins/{was}/run")
        self.assertEqual(self.row_when(one, was, state="FAILED")["verdict"], "failed")
        self.put(one, "versions", "p", config={"n": 3}, analyzer=strict, replace=True)
        one.post(f"/exec/task-ins/{plain}/run")
        self.assertNotIn("verdict", self.row_when(one, plain, state="SUCCESS"))

    def test_a_program_takes_a_slot_when_the_newest_version_is_a_url(self):
        one = self.member("one", "--slots", "1", "--http-allow", "127.0.0.1/32:1")
        gate = self.tmp / "gate"
        path = one.programs / "waits"
        path.write_text(f"#!/bin/sh\n[ ${{WEIR_ATTEMPT}} -gt 1 ] || exit 1\nwhile [ ! -e {gate} ]; do sleep 0.05; done\n")
        os.chmod(path, 0o755)
        url = {"executorType": "moves", "mode": "url", "location": ["http://127.0.0.1:1/"], "replace": True}
        two = {"attempts": 2, "backoff": {"base": "1h", "jitter": "none"}}
        self.put(one, "moves", "waits")
        saved = one.post("/task", {"taskName": "saved", "taskType": "moves", "taskConfig": two})["taskId"]
        flow = one.post("/flow", {"flowName": "f", "flowNodes": [{"nodeKey": "n", "taskIds": str(saved)}]})["flowId"]
        alone = [one.post("/exec/task", {"taskType": "moves", "taskConfig": two})["tiId"], one.post(f"/exec/task/{saved}")["tiId"]]
        one.post(f"/exec/flow/{flow}")
        for ti in alone:
            self.row_when(one, ti, state="RETRY_WAIT")
        node = until("the node waits", lambda: [t["tiId"] for t in one.get("/monitor/task?alone=false") if t["state"] == "RETRY_WAIT" and "fiId" in t])[0]
        one.post("/executor", url)
        for ti in alone + [node]:
            gate.unlink(missing_ok=True)
            one.post(f"/exec/task-ins/{ti}/run")
            self.assertEqual(self.row_when(one, ti, state="RUNNING")["executorVersion"], 1)
            until("a slot is taken", lambda: one.get("/members")[0]["slotsUsed"] == 1)
            gate.touch()
            self.row_when(one, ti, state="SUCCESS")

    def test_an_analysis_outlives_its_version(self):
        """The executor loses its analyzer while that is called, and the server starts again."""
        one = self.member("one")
        self.program(one, "p", "ok")
        fails = one.programs / "fails"
        fails.write_text("#!/bin/sh\nexit 1\n")
        os.chmod(fails, 0o755)
        one.post("/analyzer", {"analyzerType": "fails", "mode": "program", "location": ["fails"]})
        self.put(one, "outlives", "p", analyzer="fails")
        again = {"backoff": {"base": "1s", "jitter": "none"}, "analyzerAttempts": 3}
        ti = one.post("/exec/task", {"taskType": "outlives", "taskConfig": again})["tiId"]
        self.row_when(one, ti, state="ANALYZING")
        self.put(one, "outlives", "p", replace=True)
        one.kill()
        one = self.member("one")
        self.assertIn("Analyzer fails", self.row_when(one, ti, state="FAILED")["errorMsg"])

    def test_attempts_of_a_job(self):
        one = self.member("one")
        no = one.programs / "no"
        no.write_text("#!/bin/sh\nexit 1\n")
        os.chmod(no, 0o755)
        for kind, more in (("bare", {}), ("graceful", {"config": {"grace": "1s"}}), ("once", {"config": {"attempts": 1}})):
            self.put(one, kind, "no", **more)
            job = one.post("/job", {"jobKey": kind, "closed": True, "tasks": [{"taskType": kind, "taskConfig": {"backoff": {"base": "1ms"}}}]})
            self.assertEqual(one.get(f"/job/{job['jobId']}?wait=30")["counts"]["executions"], 1 if kind == "once" else 3, kind)

    def test_a_task_does_not_say_what_runs(self):
        one = self.member("one")
        shown = one.programs / "env"
        shown.write_text('#!/bin/bash\nprintf %s "$GREETING $EDITOR" > "$WEIR_OUTPUT"\n')
        os.chmod(shown, 0o755)
        self.put(one, "env", "env", config={"env": {"EDITOR": "ed", "GREETING": "none"}})
        for name in ("BASH_ENV", "PATH", "PYTHONSTARTUP", "LD_PRELOAD", "NODE_OPTIONS", "EDITOR", "HOME"):
            with self.assertRaises(Refused) as refused:
                one.post("/exec/task", {"taskType": "env", "taskConfig": {"env": {name: "$(id >/tmp/never)"}}})
            self.assertEqual(refused.exception.answer["code"], "42222")
            self.assertIn(name, str(refused.exception))
        self.assertEqual(self.result(one, "env", taskConfig={"env": {"GREETING": "hello"}}), "hello ")
        self.assertEqual(self.result(one, "env"), "none ed")

    def test_labels_of_the_executor(self):
        one = self.member("one", "--labels", "zone=a")
        self.program(one, "p", "labelled")
        self.put(one, "gpu", "p", labels=["gpu", "zone=a"])
        why, = self.offers(one, "gpu").values()
        self.assertEqual(why, "This member lacks what the executor's labels ask for: gpu (see --labels).")
        ti = one.post("/exec/task", {"taskType": "gpu"})["tiId"]
        row = self.row_when(one, ti, why="NO_EXECUTOR")
        self.assertIn("none has the labels that the executor gpu asks for (gpu,zone=a): host", row["whyText"])
        self.assertTrue(row["whyText"].endswith(" lacks gpu. See their --labels."), row["whyText"])
        self.put(one, "gpu", "p", labels=["zone=a"], replace=True)
        self.row_when(one, ti, state="SUCCESS")     # the member offers what the instance needs from now on
        asks = one.post("/exec/task", {"taskType": "gpu", "taskConfig": {"labels": ["ssd", "zone=a"]}})["tiId"]
        text = until("its own label is named", lambda: (text := one.get(f"/monitor/task/{asks}").get("whyText", "")) and "(ssd,zone=a): host" in text and text)
        self.assertIn(" lacks ssd.", text)


class ExecutorsOnMariaDb(OnMariaDb, Executors):
    def test_labels_over_members(self):
        one, two = self.member("one", "--labels", "gpu"), self.member("two")
        for server, name in ((one, "one"), (two, "two")):
            self.program(server, "p", name)
        self.put(two, "only.gpu", "p", labels=["gpu"])
        until("one of them offers it", lambda: sorted(map(bool, self.offers(two, "only.gpu").values())) == [False, True])
        for _ in range(10):
            self.assertEqual(self.result(two, "only.gpu"), "one")

    def test_every_member_sees_it(self):
        one, two = self.member("one"), self.member("two")
        api = self.member("api", "--roles", "api,runner")
        self.program(one, "p", "one")
        self.put(two, "seen", str(one.programs / "p"))     # a folder of another member
        for server in (one, two, api):
            until("two members say no, one offers it",
                  lambda s=server: sorted(why is None for why in self.offers(s, "seen").values()) == [False, False, True])
        for text in ("not below an --executor-dir of this node", "it has not the role worker"):
            until(text, lambda t=text: t in " ".join(filter(None, self.offers(two, "seen").values())))
        for server in (one, two, api):
            self.assertEqual(self.result(server, "seen"), "one")

    def test_at_once_by_another_member(self):
        """A task that is made by another member a moment later has the new version."""
        one, two = self.member("one"), self.member("two")
        for server in (one, two):
            for n in range(1, 6):
                self.program(server, f"v{n}", n)
        for n in range(1, 6):
            made = self.put(one, "moved", f"v{n}", replace=True)
            self.assertEqual(made["executorVersion"], n)
            row = two.post("/exec/task", {"taskType": "moved"})
            self.assertEqual(row["executorVersion"], n)
            self.assertEqual(self.row_when(two, row["tiId"], state="SUCCESS")["result"], str(n))
        with self.assertRaises(Refused) as refused:
            two.post("/executor", {"executorType": "moved", "mode": "program", "location": ["v1"]})
        self.assertEqual(refused.exception.answer["code"], "40918")
        one.call("DELETE", "/executor/moved")
        for _ in range(20):     # at once, by all of them
            with self.assertRaises(Refused) as refused:
                two.post("/exec/task", {"taskType": "moved"})
            self.assertEqual(refused.exception.answer["code"], "42220")
        self.assertEqual(self.put(two, "moved", "v1")["executorVersion"], 6)

    def test_another_member_has_the_program(self):
        """Where the file is not right any more, tasks go to a member where it is, and nothing is counted."""
        one, two = self.member("one"), self.member("two")
        for server, name in ((one, "one"), (two, "two")):
            self.program(server, "p", name)
        self.put(one, "both", "p")
        until("both offer it", lambda: list(self.offers(one, "both").values()) == [None, None])
        os.chmod(one.programs / "p", 0o777)
        rows = [one.post("/exec/task", {"taskType": "both"})["tiId"] for _ in range(20)]
        for ti in rows:
            row = self.row_when(two, ti, state="SUCCESS")
            self.assertEqual((row["result"], row["failures"], row["losses"]), ("two", 0, 0))
        until("one says why", lambda: [why for why in self.offers(two, "both").values() if why and "written by others" in why])

    def test_managers_say_which_analyzers_they_can_call(self):
        """One has the program, one has not, one runs no programs; a worker calls none and is not among them."""
        one, two = self.member("one", "--roles", "api,runner"), self.member("two")
        off = self.member("off", "--roles", "api", "--shell", "off")
        worker = Quiet(self.tmp / "worker", *self.store(), "--roles", "worker")
        self.servers.append(worker)
        names = {m["memberId"]: m["pid"] for m in until("all four are there", lambda: (lambda m: m if len(m) == 4 else None)(one.get("/members")))}
        self.program(one, "look", "")
        one.post("/analyzer", {"analyzerType": "look", "mode": "program", "location": ["look"]})

        def said(server):
            members = server.get("/analyzer/look")["members"]
            says = {names[m["memberId"]]: m.get("why") for m in members}
            return says if not any("not said" in (w or "") for w in says.values()) else None
        says = until("all managers have said it", lambda: said(two))
        self.assertEqual(says, {one.pid: None, two.pid: "There is no such program below an --executor-dir of this node.",
                                off.pid: "SHELL is off on this member, and a program runs as SHELL runs."})
        self.program(two, "look", "")
        until("the other one has it, too", lambda: said(one)[two.pid] is None)

    def test_manager_killed_in_the_middle(self):
        """Each registration is there whole or not at all, and every one that was answered is there."""
        other = self.member("other")
        answered = {}

        def register(server, kind):
            for n in range(1, 10000):
                try:
                    made = self.put(server, kind, "p", document={"n": n, "fill": "x" * 20000}, replace=True)
                except OSError:
                    return
                answered[kind] = made["executorVersion"]

        for _ in range(3):
            manager = self.member("manager", "--roles", "api,runner")
            kinds = [f"killed.{i}" for i in range(4)]
            threads = [threading.Thread(target=register, args=(manager, kind)) for kind in kinds]
            before = dict(answered)
            for thread in threads:
                thread.start()
            until("all of them are registered a few times", lambda: all(answered.get(k, 0) > before.get(k, 0) + 2 for k in kinds))
            manager.kill()
            for thread in threads:
                thread.join()
            for kind in kinds:
                row = other.get(f"/executor/{kind}")
                self.assertGreaterEqual(row["executorVersion"], answered[kind])
                self.assertLessEqual(row["executorVersion"], answered[kind] + 1)
                self.assertEqual(len(row["document"]["fill"]), 20000)
                versions = self.db.sql(f"SELECT COUNT(*), MAX(executor_version), SUM(current) FROM task_executor WHERE executor_type='{kind}'")
                self.assertEqual(versions[-1], [str(row["executorVersion"]), str(row["executorVersion"]), "1"])
                answered[kind] = row["executorVersion"]


@unittest.skipUnless(HAVE_REDIS, "no Redis here")
class ExecutorsWithRedis(WithRedis, ExecutorsOnMariaDb):
    pass


if __name__ == "__main__":
    unittest.main()
