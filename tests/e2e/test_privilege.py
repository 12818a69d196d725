"""Who may do what on the host: users of tasks, the server's own user, its files, its token, its secrets.

Runs as root, with users of its own (made when they are not there); the token's tests run as anybody.
"""
import ctypes
import json
import os
import pathlib
import platform
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import unittest
import urllib.request

from live import BIN, CLEAN_ENV, LIMIT_S, Refused, Server, alive, children, directory, family, shell, until, weir

ROOT = os.geteuid() == 0
USERS = ("weirserver", "weirtask1", "weirtask2")
MYSQL = os.environ.get("WEIR_TEST_MYSQL")


def setUpModule():
    for name in USERS if ROOT else ():
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(["useradd", "--system", "--no-create-home", name], check=True, capture_output=True)


def status_of(pid, *fields):
    lines = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return [lines[f].split() for f in fields]


class Base(unittest.TestCase):
    def setUp(self):
        self.tmp = self.enterContext(directory()) if hasattr(self, "enterContext") else self.enter()
        self.tmp.chmod(0o711)
        self.data = self.tmp / "data"
        self.servers = []
        self.addCleanup(lambda: [s.kill() for s in self.servers])

    def enter(self):
        context = directory()
        self.addCleanup(context.__exit__, None, None, None)
        return context.__enter__()

    def server(self, *args, data=None, **more):
        server = Server(data or self.data, *args, **{"dev": False, **more})
        self.servers.append(server)
        return server

    def refused(self, *args, data=None, env=None):
        """A start that ends by itself with 4; returns what it said."""
        done = weir("server", "--data", data or self.data, "--listen", "127.0.0.1:0", *args, env=env)
        self.assertEqual(done.returncode, 4, done.stderr)
        return done.stderr

    def token(self, data=None):
        return ((data or self.data) / "weir.token").read_text().strip()

    def save(self, server, script="true", **config):
        return server.call("POST", "/task", {"taskName": "t", "taskType": "SHELL", "taskContent": script, "taskConfig": config}, token=self.token())

    def start(self, server, task_id):
        return server.call("POST", f"/exec/task/{task_id}", token=self.token())["tiId"]

    def row(self, server, ti):
        return server.call("GET", f"/monitor/task/{ti}", token=self.token())

    def result(self, server, script, **config):
        """Runs it to its end; its row."""
        ti = self.start(server, self.save(server, script, **config)["taskId"])
        return until("the task ends", lambda: (lambda r: r if r["state"] in ("SUCCESS", "FAILED", "DEAD", "CANCELED") else None)(self.row(server, ti)))

    def forbidden(self, call):
        with self.assertRaises(Refused) as refused:
            call()
        self.assertEqual((refused.exception.status, refused.exception.answer["code"]), (403, "40303"), refused.exception)
        return refused.exception.answer["message"]


@unittest.skipUnless(ROOT, "not root")
class Users(Base):
    """Who a SHELL task may be is the node's list."""

    def server(self, *args, **more):
        return super().server("--run-as", "weirtask1", "--user", "weirserver", *args, **more)

    def test_at_save(self):
        server = self.server("--run-as-also", "weirtask2")
        for user in ("root", "0", "weirserver", "daemon", "no-such-user", "weirtask1 "):
            self.forbidden(lambda: self.save(server, user=user))
            self.forbidden(lambda: server.call("POST", "/flow", {"flowName": "f", "flowNodes": [shell("a", "id", taskConfig={"user": user})]},
                                               token=self.token()))
        for user, config in (("weirtask1", {}), ("weirtask1", {"user": "weirtask1"}), ("weirtask2", {"user": "weirtask2"})):
            row = self.result(server, 'echo $(id -un) $(id -u) $(id -gn) > "$WEIR_OUTPUT"', **config)
            self.assertEqual((row["state"], row.get("result")), ("SUCCESS", f"{user} {pwd.getpwnam(user).pw_uid} {user}\n"), row)
        self.assertEqual(server.stop(), 0)

    def test_run_folder_taken_away(self):
        """The folder of tasks' directories is made again by a spawner that has no right to make anything where it stands."""
        server = self.server()
        shutil.rmtree(self.data / "run")
        row = self.result(server, 'echo $(stat -c "%U %a" "$WEIR_WORKDIR" "$WEIR_WORKDIR/..") > "$WEIR_OUTPUT"')
        self.assertEqual((row["state"], row.get("result")), ("SUCCESS", "weirtask1 700 root 711\n"), row)
        self.assertEqual(server.stop(), 0)

    @unittest.skipUnless(platform.machine() == "x86_64", "the numbers of the calls are another machine's")
    def test_keys_of_who_started_it(self):
        """Keys in the session keyring of the shell that starts the server are not the tasks'."""
        call, add_key, keyctl, join, session = ctypes.CDLL(None).syscall, 248, 250, 1, -3
        if call(keyctl, join, None) < 0 or call(add_key, b"user", b"weir-test:secret", b"x", 1, session) < 0:
            self.skipTest("no keys here")
        self.assertIn("weir-test:secret", pathlib.Path("/proc/keys").read_text())
        server = self.server()
        row = self.result(server, 'cat /proc/keys > "$WEIR_OUTPUT"')
        self.assertEqual(row["state"], "SUCCESS", row)
        self.assertNotIn("weir-test:secret", row.get("result") or "")
        self.assertEqual(server.stop(), 0)
        call(keyctl, join, None)

    def test_output_by_name(self):
        """/dev/stdout and /dev/stderr can be opened by a task of another user: its pipes are its own."""
        server = self.server()
        row = self.result(server, 'echo o > /dev/stdout && echo e > /dev/stderr && echo well > "$WEIR_OUTPUT"')
        self.assertEqual((row["state"], row.get("result")), ("SUCCESS", "well\n"), row)
        self.assertEqual(server.stop(), 0)

    def test_old_row(self):
        """A definition that is older than the node's list: never run as that user."""
        server = self.server("--run-as-also", "weirtask2")
        mark = self.tmp / "mark"
        task = self.save(server, f"touch {mark}", user="weirtask2")["taskId"]
        self.tmp.chmod(0o777)
        self.assertEqual(server.stop(), 0)
        server = self.server()
        ti = self.start(server, task)
        row = until("it is refused, or waits for a node that may",
                    lambda: (lambda r: r if r["state"] in ("FAILED", "DEAD") or r.get("why") == "NO_EXECUTOR" else None)(self.row(server, ti)))
        self.assertFalse(mark.exists(), row)
        self.assertEqual(server.stop(), 0)

    def test_weir_run(self):
        def run(user, *args):
            text = json.dumps({"flowName": "f", "flowNodes": [shell("a", "id -un", taskConfig={"user": user} if user else {})]})
            done = weir("run", "-o", "json", *args, "-", stdin=text)
            return done.returncode
        self.assertEqual(run("weirtask2", "--run-as", "weirtask1"), 4)
        self.assertEqual(run("root", "--run-as", "weirtask1"), 4)
        self.assertEqual(run("0", "--run-as", "weirtask1"), 4)
        self.assertEqual(run("weirtask1"), 4)
        self.assertEqual(run("no-such-user"), 4)
        self.assertEqual(run(None), 0)
        self.assertEqual(run("weirtask2", "--run-as", "weirtask1", "--run-as-also", "weirtask2"), 0)
        self.assertEqual(run("root", "--run-as", "weirtask1", "--run-as-also", "root"), 0)

    def test_refused_lists(self):
        for args, says in ((["--run-as", "root"], "--dev"), (["--run-as", "weirtask1", "--run-as-also", "root"], "--dev"),
                           (["--user", "weirserver", "--run-as", "weirtask1", "--run-as-also", "weirserver"], "--shell on"),
                           (["--shell", "on"], "--run-as")):
            self.assertIn(says, self.refused(*args))
        done = weir("server", "--data", self.data, "--run-as", "no-such-user")
        self.assertEqual(done.returncode, 2, done.stderr)
        done = weir("server", "--data", self.data, "--run-as-also", "weirtask1")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--dev", self.refused("--dev", "--user", "weirserver"))

    def test_auto_is_off(self):
        for args, warned in (((), False), (("--run-as", "weirserver"), True)):
            server = Base.server(self, "--user", "weirserver", *args)
            self.forbidden(lambda: self.save(server))
            self.assertEqual(any("SHELL is off" in line for line in server.lines), warned, server.lines)
            self.assertEqual(server.stop(), 0)


@unittest.skipUnless(ROOT, "not root")
class Itself(Base):
    """The server's own user."""

    def test_gives_up_root(self):
        server = self.server("--run-as", "weirtask1", "--user", "weirserver")
        me = pwd.getpwnam("weirserver")
        uid, gid, groups, eff, prm, inh, new = status_of(server.pid, "Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapInh", "NoNewPrivs")
        self.assertEqual((uid, gid, groups), ([str(me.pw_uid)] * 4, [str(me.pw_gid)] * 4, [str(me.pw_gid)]))
        self.assertEqual([int(c[0], 16) for c in (eff, prm, inh)], [0, 0, 0])
        self.assertEqual(new, ["1"])
        for thread in os.listdir(f"/proc/{server.pid}/task"):
            self.assertEqual(status_of(f"{server.pid}/task/{thread}", "Uid")[0], [str(me.pw_uid)] * 4)
        self.assertTrue(all(status_of(pid, "Uid")[0][1] == "0" for pid in family(server.pid)))
        for path in [self.data, *(self.data / n for n in ("lock", "id", "weir.token", "weir.db"))]:
            self.assertEqual(path.stat().st_uid, me.pw_uid, path)
        self.assertEqual(server.stop(), 0)

    def test_owner_of_data(self):
        """Without --user it is the owner of the data directory, and says so only where that is root."""
        self.data.mkdir(0o711)
        server = self.server()
        self.assertTrue(any("stays root" in line for line in server.lines))
        self.assertEqual(status_of(server.pid, "Uid")[0], ["0"] * 4)
        token = self.token()
        flow = server.call("POST", "/flow", {"flowName": "old", "flowNodes": [{"nodeKey": "a", "nodeType": "TASK", "tasks": [
            {"taskName": "a", "taskType": "ECHO", "taskContent": "x"}]}]}, token=token)["flowId"]
        self.assertEqual(server.stop(), 0)
        shutil.chown(self.data, "weirserver")
        server = self.server("--run-as", "weirtask1")
        self.assertFalse(any("stays root" in line for line in server.lines), server.lines)
        self.assertEqual(status_of(server.pid, "Uid")[0], [str(pwd.getpwnam("weirserver").pw_uid)] * 4)
        self.assertEqual(server.call("GET", f"/flow/{flow}", token=token)["flowName"], "old")
        self.assertEqual(self.result(server, "id -un")["state"], "SUCCESS")
        self.assertEqual(server.stop(), 0)

    def test_given_away(self):
        """A data directory of a root server becomes the user's; another folder of root's does not."""
        self.assertEqual(self.server().stop(), 0)
        self.assertEqual(self.data.stat().st_uid, 0)
        self.assertEqual(self.server("--user", "weirserver").stop(), 0)
        self.assertEqual(self.data.stat().st_uid, pwd.getpwnam("weirserver").pw_uid)
        other = self.tmp / "etc"
        other.mkdir(0o755)
        self.assertIn("chown weirserver", self.refused("--user", "weirserver", data=other))
        self.assertEqual(other.stat().st_uid, 0)

    def test_second_link(self):
        """A file of root's that only has the name of one of our files stays root's."""
        self.data.mkdir(0o711)
        shutil.chown(self.data, "weirserver")
        secret = self.tmp / "shadow"
        secret.write_text("root:secret\n")
        secret.chmod(0o600)
        os.link(secret, self.data / "weir.db")
        weir("server", "--data", self.data, "--listen", "127.0.0.1:0", "--roles", "runner")
        self.assertEqual(secret.stat().st_uid, 0)

    def test_closed_to_tasks(self):
        """Neither a task's user nor, with --shell on, another process of the server's own user sees its memory and environment."""
        look = ('for f in environ mem maps; do head -c1 /proc/{pid}/$f >/dev/null 2>&1 && echo read $f; done; '
                'cat {data}/weir.db >/dev/null 2>&1 && echo read db; cat {data}/weir.token >/dev/null 2>&1 && echo read token; echo end')
        server = self.server("--run-as", "weirtask1", "--user", "weirserver")
        row = self.result(server, f"({look.format(pid=server.pid, data=self.data)}) > $WEIR_OUTPUT")
        self.assertEqual(row.get("result"), "end\n", row)
        self.assertEqual(server.stop(), 0)
        server = self.server("--shell", "on", "--user", "weirserver")
        self.assertTrue(any("--shell on" in line for line in server.lines if line.startswith("warning: SHELL")), server.lines)
        row = self.result(server, f"(id -un; {look.format(pid=server.pid, data='/nowhere')}) > $WEIR_OUTPUT")
        self.assertEqual(row.get("result"), "weirserver\nend\n", row)
        self.assertEqual(server.stop(), 0)

    def test_rights_of_the_spawner(self):
        """Guard, spawner and spare of a server that root starts have four rights at most, and can have no other."""
        SETS = ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")
        server = self.server("--run-as", "weirtask1", "--user", "weirserver")
        four = 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7  # chown, kill, setgid, setuid
        seen = {}
        for pid in family(server.pid):
            seen[pathlib.Path(f"/proc/{pid}/comm").read_text().strip()] = [int(c[0], 16) for c in status_of(pid, *SETS)]
        self.assertEqual(seen, {"weir-guard": [1 << 5, 1 << 5, 0, four, 0], "weir-spawner": [four, four, 0, four, 0],
                                "weir-spare": [four, four, 0, four, 0]})
        script = ('mkdir -p "$WEIR_WORKDIR/a/b"; chmod 0 "$WEIR_WORKDIR/a"; (setsid sleep 600 & ) ; '
                  '{ cat /proc/self/oom_score_adj; grep -h ^Cap /proc/self/status; } > "$WEIR_OUTPUT"; chmod 0 "$WEIR_OUTPUT"')
        for _ in range(2):
            row = self.result(server, script)
            lines = row["result"].splitlines()
            self.assertEqual((row["state"], lines[0]), ("SUCCESS", "500"), row)
            self.assertEqual([int(line.split()[1], 16) for line in lines[1:]], [0, 0, 0, four, 0])
            uid = str(pwd.getpwnam("weirtask1").pw_uid)
            self.assertEqual([p for p in os.listdir("/proc") if p.isdigit() and self.of(p) == uid], [])
            until("the directory is removed", lambda: not os.listdir(self.data / "run"))
            spawner = next(p for p in family(server.pid) if pathlib.Path(f"/proc/{p}/comm").read_text() == "weir-spawner\n")
            os.kill(spawner, signal.SIGKILL)  # the spare is as good
        self.assertEqual(server.stop(), 0)

    def test_limits_of_others(self):
        """A task's user has limits of processes and of file size by default; a definition sets its own."""
        server = self.server("--run-as", "weirtask1", "--user", "weirserver")
        script = 'grep -E "^Max (processes|file size)" /proc/self/limits > "$WEIR_OUTPUT"'
        seen = lambda row: [line.split()[-3:-1] for line in sorted(row["result"].splitlines())]
        usual, own = (self.result(server, script, **c) for c in ({}, {"rlimits": {"nproc": {"soft": 100, "hard": 5000}, "fsize": 1048576}}))
        self.assertEqual(seen(usual), [["68719476736"] * 2, ["4096"] * 2])
        self.assertEqual(seen(own), [["1048576"] * 2, ["100", "5000"]])
        self.assertEqual(server.stop(), 0)

    def of(self, pid):
        try:
            return status_of(pid, "Uid")[0][0]
        except (FileNotFoundError, ProcessLookupError):
            return None

    def test_spare_kills_for_the_node(self):
        """Guard and spawner die while a task runs: the node, which gave up root, has the spare kill what is left."""
        server = self.server("--run-as", "weirtask1", "--user", "weirserver")
        pids = self.tmp / "pids"
        pids.touch()
        pids.chmod(0o666)
        ti = self.start(server, self.save(server, f"setsid sh -c 'echo $$ >> {pids}; exec sleep 600' & echo $$ >> {pids}; wait", onLost="fail")["taskId"])
        until("both run", lambda: len(pids.read_text().split()) == 2)
        names = {pathlib.Path(f"/proc/{p}/comm").read_text().strip(): p for p in family(server.pid)}
        for name in ("weir-spawner", "weir-guard"):
            os.kill(names[name], signal.SIGSTOP)
        for name in ("weir-guard", "weir-spawner"):
            os.kill(names[name], signal.SIGKILL)
        until("all of it is dead", lambda: not any(alive(int(p)) for p in pids.read_text().split()[:2]))
        until("the node knows", lambda: self.row(server, ti)["state"] in ("FAILED", "DEAD"))
        self.assertEqual(self.result(server, "true")["state"], "SUCCESS")
        self.assertEqual(server.stop(), 0)

    def test_folder_that_bars_the_way(self):
        """A task's user cannot reach its directory: refused at the start, with the folder."""
        self.tmp.chmod(0o700)
        said = self.refused("--run-as", "weirtask1", "--user", "weirserver")
        self.assertIn(f"may not pass through {self.tmp}:", said)
        self.assertIn("weirtask1", said)
        self.tmp.chmod(0o711)
        self.data.chmod(0o700)
        self.assertIn(f"may not pass through {self.data}:", self.refused("--run-as", "weirtask1", "--user", "weirserver"))
        self.assertEqual(os.listdir(self.data / "run"), [])
        self.data.chmod(0o711)
        self.assertEqual(self.server("--run-as", "weirtask1", "--user", "weirserver").stop(), 0)


class Files(Base):
    """The data directory and what lies in it is ours alone, or the start is refused with the way out."""

    def made(self):
        self.data.mkdir(0o700)
        return self.data

    def test_folder(self):
        data = self.made()
        for mode in (0o777, 0o775, 0o702, 0o1777):
            data.chmod(mode)
            self.assertIn("chmod go-w", self.refused())
        data.chmod(0o755)
        self.assertEqual(self.server().stop(), 0)

    def test_not_a_folder(self):
        os.mkfifo(self.data)
        self.refused()
        self.data.unlink()
        self.data.write_text("x")
        self.refused()

    @unittest.skipUnless(ROOT, "not root")
    def test_folder_of_another(self):
        shutil.chown(self.made(), "weirtask1")
        self.assertIn("chown weirserver", self.refused("--user", "weirserver"))
        self.refused("--run-as", "weirtask1", "--run-as-also", "weirtask2", "--user", "weirserver")

    def test_files(self):
        data = self.made()
        for name in ("lock", "weir.token"):
            path = data / name
            os.mkfifo(path)  # a start that opened it without care would wait for ever
            self.assertIn(name, self.refused())
            path.unlink()
            path.symlink_to(self.tmp / "elsewhere")
            self.assertIn(name, self.refused())
            path.unlink()
            path.mkdir()
            self.assertIn(name, self.refused())
            path.rmdir()
            path.write_text("0" * 64 + "\n")
            path.chmod(0o622)
            self.assertIn("chmod 600", self.refused())
            path.unlink()
            self.assertFalse((self.tmp / "elsewhere").exists())
        (data / "weir.token").write_text("0" * 64 + "\n")
        (data / "weir.token").chmod(0o644)
        self.assertIn("chmod 600", self.refused())

    @unittest.skipUnless(ROOT, "not root")
    def test_files_of_another(self):
        data = self.made()
        shutil.chown(data, "weirserver")
        for name in ("lock", "weir.token"):
            path = data / name
            path.write_text("0" * 64 + "\n")
            path.chmod(0o600)
            shutil.chown(path, "weirtask1")
            self.assertIn(name, self.refused("--user", "weirserver"))
            path.unlink()


class Secrets(Base):
    def test_argv_and_environment(self):
        """Nothing of a secret option is left for ps, in the server or in any process of its."""
        url = f"sqlite:{self.tmp}/hush.db"
        for args, env in ((("--store", url), {}), ((f"--store={url}",), {}), ((), {"WEIR_STORE": url})):
            server = self.server(*args, env=env)
            for pid in [server.pid, *family(server.pid)]:
                line, environ = (pathlib.Path(f"/proc/{pid}/{n}").read_bytes() for n in ("cmdline", "environ"))
                self.assertNotIn(b"hush", line)
                self.assertNotIn(b"hush", environ)
            self.assertIn(b"\0--listen\0", pathlib.Path(f"/proc/{server.pid}/cmdline").read_bytes())
            self.assertEqual(server.stop(), 0)

    def test_config_file(self):
        conf = self.tmp / "weir.conf"
        conf.write_text("store = mysql://weir:hush@127.0.0.1:1/weir\n")
        conf.chmod(0o644)
        said = self.refused("--config", conf)
        self.assertIn(f"chmod 600 {conf}", said)
        self.assertNotIn("hush", said)
        conf.chmod(0o600)
        self.assertEqual(weir("server", "--data", self.data, "--config", conf).returncode, 5)


class Limits(Base):
    """A server that could run nothing does not start: it says what is missing, and what to type."""

    def lacking(self, **limit):
        (what, value), = limit.items()
        done = subprocess.run(["prlimit", f"--{what}={value}", BIN, "server", "--dev", "--data", str(self.data), "--listen", "127.0.0.1:0",
                               "--slots", "40"], capture_output=True, text=True, timeout=LIMIT_S, env=CLEAN_ENV, **self.who)
        self.assertEqual(done.returncode, 4, done.stderr)
        return done.stderr

    def test_files(self):
        self.who = {}
        self.assertRegex(self.lacking(nofile=200), r"40 slots need 224 open files, 200 are allowed\..*ulimit -n 224")

    def outcome(self, files, *options):
        """Starts with so many descriptors. Returns its refusal, or None when it serves and ends well."""
        out = self.tmp / "out"
        with out.open("w") as err:
            server = subprocess.Popen(["prlimit", f"--nofile={files}", BIN, "server", "--dev", "--data", str(self.data), "--listen", "127.0.0.1:0", "--slots", "4",
                                       *options],
                                      stdin=subprocess.DEVNULL, stderr=err, env=CLEAN_ENV)
        try:
            said = until("it serves or ends", lambda: server.poll() is not None or re.search(r"listening on (\S+)|^ready$", out.read_text(), re.M))
            if server.poll() is not None:
                self.assertNotEqual(server.returncode, 0)
                return out.read_text()
            if said[1]:
                with urllib.request.urlopen(said[1] + "/livez", timeout=10) as answer:
                    self.assertEqual(answer.status, 200)
            server.terminate()
            self.assertEqual(server.wait(LIMIT_S), 0)
            return None
        finally:
            server.kill()
            server.wait()

    def test_any_number_of_files(self):
        """Whatever it is, and whatever is configured: a refusal that names it, or a server that answers."""
        for options in ((), ("--shell", "off"), ("--roles", "runner"), ("--roles", "api,runner")):
            for files in (3, 4, 7, 12, 16, 20, 30, 63, 64, 80, 100, 187, 188, 256):
                said = self.outcome(files, *options)
                if said is not None and files > 3: # with three the binary itself is not loaded
                    self.assertRegex(said, rf"need.* open files, {files} are allowed", (files, options))
                self.assertTrue(said is None or files < 256, said)

    @unittest.skipUnless(ROOT, "not root")
    def test_processes(self):
        self.who = {"user": "weirtask2", "group": "weirtask2"}
        self.data.mkdir()
        shutil.chown(self.data, "weirtask2")
        self.assertRegex(self.lacking(nproc=120), r"need 152 processes, 120 are allowed\..*ulimit -u 152")


class Token(Base):
    """One token for all nodes of a database."""

    def asks(self, server, token):
        try:
            server.call("GET", "/flow", token=token)
            return True
        except Refused as refused:
            self.assertEqual(refused.status, 401)
            return False

    def show(self, data=None, *args):
        return weir("token", "show", "--data", data or self.data, *args)

    def test_show(self):
        server = self.server()
        done = self.show()
        self.assertEqual((done.returncode, done.stdout.strip()), (0, self.token()), done.stderr)
        other = self.tmp / "other"
        other.mkdir(0o700)
        done = self.show(other, "--store", f"sqlite:{self.data}/weir.db")
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn(socket.gethostname(), done.stderr)
        self.assertIn(str(self.data), done.stderr)
        self.assertEqual(self.show(other).returncode, 3)
        self.assertEqual(self.show(self.tmp / "missing").returncode, 3)
        self.assertEqual(weir("token", "rotate", "--data", other).returncode, 3)
        self.assertEqual(list(other.iterdir()), [])
        self.assertEqual(weir("token").returncode, 2)
        self.assertEqual(weir("token", "shwo").returncode, 2)
        self.assertEqual(server.stop(), 0)

    def test_rotate_at_once(self):
        """The token in the file is the one that counts, whoever came last: several at once take turns."""
        server = self.server()
        command = [BIN, "token", "rotate", "--data", str(self.data)]
        for _ in range(3):
            several = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=CLEAN_ENV) for _ in range(6)]
            said = [p.communicate(timeout=LIMIT_S)[0] for p in several]
            self.assertEqual([p.returncode for p in several], [0] * 6, said)
            until("the token in the file counts", lambda: self.asks(server, self.token()))
        self.data.chmod(0o777)  # where others may put a token of theirs, none is shown and none is made
        for what in ("show", "rotate"):
            done = weir("token", what, "--data", self.data)
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertIn("chmod go-w", done.stderr)
        self.data.chmod(0o700)
        self.assertEqual(server.stop(), 0)

    def test_rotate(self):
        """Beside a running server, SQLite too; the former one counts no longer, after a restart neither."""
        server = self.server()
        old = self.token()
        self.assertTrue(self.asks(server, old))
        for _ in range(3):
            done = weir("token", "rotate", "--data", self.data)
            self.assertEqual(done.returncode, 0, done.stderr)
            new = self.token()
            self.assertNotEqual(new, old)
            self.assertNotIn(new, done.stdout + done.stderr)
            self.assertEqual((self.data / "weir.token").stat().st_mode & 0o777, 0o600)
            until("the new token counts", lambda: self.asks(server, new))
            self.assertFalse(self.asks(server, old))
            old = new
        self.assertEqual(server.stop(), 0)
        server = self.server()
        self.assertTrue(self.asks(server, new))
        self.assertEqual(self.token(), new)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(weir("token", "rotate", "--data", self.data).returncode, 0)  # and beside none
        server = self.server()
        self.assertTrue(self.asks(server, self.token()))
        self.assertFalse(self.asks(server, new))
        self.assertEqual(server.stop(), 0)

    def test_adopted(self):
        """A weir.token that was there before the database had a hash is taken as it is."""
        self.data.mkdir(0o700)
        (self.data / "weir.token").write_text("ab" * 32 + "\n")
        (self.data / "weir.token").chmod(0o600)
        server = self.server()
        self.assertTrue(self.asks(server, "ab" * 32))
        self.assertEqual(server.stop(), 0)

    def test_not_in_place(self):
        """The hash is written, the file cannot be: the user learns that the new one counts, and what to do."""
        self.assertEqual(self.server().stop(), 0)
        token, new = self.data / "weir.token", self.data / "weir.token.new"
        old = self.token()
        token.unlink()
        token.mkdir()
        done = weir("token", "rotate", "--data", self.data)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn(f"The new token counts already, but lies in {new} only (Is a directory)", done.stderr)
        token.rmdir()
        new.rename(token)
        server = self.server()
        self.assertTrue(self.asks(server, self.token()))
        self.assertFalse(self.asks(server, old))
        self.assertEqual(server.stop(), 0)

    def test_set_aside(self):
        """A token that does not count is kept under another name, and the way to the right one is shown."""
        self.assertEqual(self.server().stop(), 0)
        store, other = f"sqlite:{self.data}/weir.db", self.tmp / "other"
        right = self.token()
        other.mkdir(0o700)
        (other / "weir.token").write_text("ab" * 32 + "\n")
        (other / "weir.token").chmod(0o600)
        server = self.server("--store", store, data=other)
        self.assertTrue(self.asks(server, right))
        self.assertFalse(self.asks(server, "ab" * 32))
        self.assertFalse((other / "weir.token").exists())
        self.assertEqual((other / "weir.token.old").read_text(), "ab" * 32 + "\n")
        self.assertEqual(server.stop(), 0)
        done = self.show(other)  # by the note that the server left
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn(str(self.data), done.stderr)

    def all_weirs(self):
        for path in self.data.iterdir():
            self.assertEqual(path.owner(), "root" if path.name == "run" else "weirserver", path)  # run: the spawner's

    @unittest.skipUnless(ROOT, "not root")
    def test_owner(self):
        """Root rotates for a server that is another user: nothing of root's stands in its way."""
        server = self.server("--user", "weirserver")
        until("a rotation counts", lambda: weir("token", "rotate", "--data", self.data).returncode == 0)
        until("the new token counts", lambda: self.asks(server, self.token()))
        self.all_weirs()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(weir("token", "rotate", "--data", self.data).returncode, 0)
        self.all_weirs()
        self.assertEqual(self.server("--user", "weirserver").stop(), 0)


@unittest.skipUnless(MYSQL, "WEIR_TEST_MYSQL is not set")
class Cluster(Token):
    """The same over several nodes of one database."""

    def setUp(self):
        super().setUp()
        base, rest = MYSQL.split("?")
        self.name = "weir_token"
        self.store = f"{base.rsplit('/', 1)[0]}/{self.name}?{rest}"
        self.sock = rest.split("socket=")[1]
        self.sql(f"DROP DATABASE IF EXISTS {self.name}; CREATE DATABASE {self.name}")

    def sql(self, text):
        subprocess.run(["mariadb", "--no-defaults", "-u", "root", "-S", self.sock, "-e", text], check=True, capture_output=True)

    def node(self, name):
        return self.server("--store", self.store, data=self.tmp / name)

    # of Token, these are SQLite's
    test_show = test_rotate = test_rotate_at_once = test_not_in_place = test_adopted = test_set_aside = test_owner = None

    def test_one_for_all(self):
        a, b = self.node("a"), self.node("b")
        token = self.token(self.tmp / "a")
        self.assertTrue(self.asks(a, token) and self.asks(b, token))
        self.assertFalse((self.tmp / "b" / "weir.token").exists())
        for args in ((), ("--store", self.store)):
            done = self.show(self.tmp / "b", *args)
            self.assertEqual((done.returncode, done.stdout), (3, ""))
            self.assertIn(socket.gethostname(), done.stderr)
            self.assertIn(str(self.tmp / "a"), done.stderr)
        done = weir("token", "rotate", "--data", self.tmp / "b", "--store", self.store)
        self.assertEqual(done.returncode, 0, done.stderr)
        new = self.token(self.tmp / "b")
        for server in (a, b):
            until("the new token counts", lambda: self.asks(server, new))
            self.assertFalse(self.asks(server, token))
        until("the old one is set aside", lambda: not (self.tmp / "a" / "weir.token").exists())
        self.assertEqual(self.show(self.tmp / "b").stdout.strip(), new)
        self.assertEqual(self.show(self.tmp / "a").returncode, 3)
        self.assertEqual([a.stop(), b.stop()], [0, 0])

    def test_two_at_once(self):
        """Two first starts at the same moment make one token."""
        command = [BIN, "server", "--listen", "127.0.0.1:0", "--store", self.store, "--data"]
        started = [subprocess.Popen([*command, str(self.tmp / n)], stderr=subprocess.PIPE, text=True, env=CLEAN_ENV) for n in "abcd"]
        try:
            for process in started:
                while "listening" not in process.stderr.readline():
                    self.assertIsNone(process.poll())
            self.assertEqual(sum((self.tmp / n / "weir.token").exists() for n in "abcd"), 1)
        finally:
            for process in started:
                process.terminate()
            self.assertEqual([p.wait(LIMIT_S) for p in started], [0] * 4)
            for process in started:
                process.stderr.close()

    def test_store_away(self):
        """The last hash that was seen counts while the row cannot be read; a start waits for nothing else and is refused."""
        a = self.node("a")
        token = self.token(self.tmp / "a")
        self.sql(f"RENAME TABLE {self.name}.installation TO {self.name}.gone")
        try:
            turns = 5
            for _ in range(turns):
                self.assertTrue(self.asks(a, token))
            done = weir("server", "--data", self.tmp / "b", "--listen", "127.0.0.1:0", "--store", self.store)
            self.assertIn(done.returncode, (4, 5), done.stderr)
            self.assertNotEqual(weir("token", "rotate", "--data", self.tmp / "a", "--store", self.store).returncode, 0)
            self.assertEqual(self.token(self.tmp / "a"), token)  # nothing was lost
            self.assertTrue(self.asks(a, token))
        finally:
            self.sql(f"RENAME TABLE {self.name}.gone TO {self.name}.installation")
        self.assertEqual(weir("token", "rotate", "--data", self.tmp / "a", "--store", self.store).returncode, 0)
        until("the new token counts", lambda: self.asks(a, self.token(self.tmp / "a")))
        self.assertFalse(self.asks(a, token))
        self.assertEqual(a.stop(), 0)


if __name__ == "__main__":
    unittest.main()
