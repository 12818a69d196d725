"""The spawner as a program of its own: what it has of its node, which program it is, and which one is used when the usual one cannot
be executed."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import unittest

from live import BIN, CLEAN_ENV, LIMIT_S, Server, directory, family, shell, until, weir

IMAGE = "/memfd:weir-spawner (deleted)"
NAMES = ["weir-guard", "weir-spare", "weir-spawner"]


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None  # it has ended


def program_of(pid):
    return os.readlink(f"/proc/{pid}/exe")


class Base(unittest.TestCase):
    def setUp(self):
        context = directory()
        self.addCleanup(context.__exit__, None, None, None)
        self.tmp = context.__enter__()

    def server(self, *args, **more):
        server = Server(self.tmp / "data", *args, **more)
        self.addCleanup(server.kill)
        return server

    def standing(self, server):
        """pid by name, of guard, spawner and spare."""
        def look():
            by = {name_of(p): p for p in family(server.pid)}
            by.pop(None, None)
            return by if sorted(by) == NAMES else None
        return until("all three stand", look)


class Inherits(Base):
    def test_nothing(self):
        """Not a variable, an argument, a descriptor or a page of the node's memory."""
        secret = self.tmp / "hush"
        secret.write_text("hush")
        fd = os.open(secret, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        server = self.server(env={"SOME_SECRET": "hush"}, pass_fds=(fd,))
        self.assertIn(str(secret), [os.readlink(f"/proc/{server.pid}/fd/{n}") for n in os.listdir(f"/proc/{server.pid}/fd")])
        first = self.standing(server)
        os.kill(first["weir-spawner"], signal.SIGKILL)
        until("the next spawner is there", lambda: self.standing(server)["weir-spawner"] != first["weir-spawner"])
        for name, pid in self.standing(server).items():
            with self.subTest(name=name):
                proc = pathlib.Path(f"/proc/{pid}")
                self.assertEqual(proc.joinpath("cmdline").read_bytes().rstrip(b"\0"), name.encode())
                self.assertEqual(proc.joinpath("environ").read_bytes(), b"")
                self.assertEqual(program_of(pid), IMAGE)
                maps = proc.joinpath("maps").read_text()
                self.assertNotIn(os.path.realpath(BIN), maps)
                self.assertNotIn("libsqlite3", maps)
                data = re.escape(str(self.tmp / "data"))
                for n in os.listdir(proc / "fd"):
                    self.assertRegex(os.readlink(proc / "fd" / n),
                                     rf"^(/dev/null|socket:.*|anon_inode:.*|{data}/(lock|run)|/proc/\d+/task/\d+/children)$")
        self.assertEqual(server.stop(), 0)


class Program(Base):
    def test_file_that_goes(self):
        """An upgrade takes the file away, or puts another in its place: spawner and successors stay what the node is."""
        binary = self.tmp / "weir"
        shutil.copy(BIN, binary)
        server = self.server(binary=binary)
        binary.unlink()
        binary.write_text("#!/bin/false\n")
        for _ in range(2):
            self.assertEqual(server.ended(server.flow(shell("a", "exit 0")))["status"], "SUCCESS")
            spawner = self.standing(server)["weir-spawner"]
            os.kill(spawner, signal.SIGKILL)
            until("the next spawner is there", lambda: self.standing(server)["weir-spawner"] != spawner)
        self.assertEqual(server.stop(), 0)

    @unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/proc/sys/vm/memfd_noexec"), "not root, or no memfd_noexec")
    def test_kernel_that_executes_no_memory(self):
        """Then weir runs itself, by a verb that is not for people."""
        flow = self.tmp / "flow.json"
        look = 'readlink /proc/$PPID/exe; tr "\\0" " " < /proc/$PPID/cmdline'
        flow.write_text(json.dumps({"flowName": "f", "flowNodes": [shell("a", look)]}))
        for level, program in (("0", IMAGE), ("2", os.path.realpath(BIN))):
            with self.subTest(level=level):
                script = f'echo {level} > /proc/sys/vm/memfd_noexec && exec "$0" run --logs "$1"'
                done = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script, BIN, flow],
                                      capture_output=True, text=True, timeout=LIMIT_S, env=CLEAN_ENV)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(program, done.stdout)
                self.assertIn("weir-spawner", done.stdout)

    def test_verb_is_no_persons(self):
        done = weir("spawner")
        self.assertEqual(done.returncode, 2)
        self.assertIn('unknown verb "spawner"', done.stderr)
        self.assertNotIn("spawner", weir("--help").stdout)


if __name__ == "__main__":
    unittest.main()
