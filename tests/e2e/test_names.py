"""A database and a Redis that come back under another address behind the same name (S3 2.1, 2.2): a server finds them without a
restart, and /readyz says meanwhile which of them is away.

The server has an /etc/hosts of its own, in a mount namespace.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import unittest

from live import Refused, Server, directory, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis


def free_port(address):
    with socket.socket() as s:
        s.bind((address, 0))
        return s.getsockname()[1]


def own_hosts():
    """Can a process here have an /etc/hosts of its own?"""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-m", "mount", "--bind", "/etc/hosts", "/etc/hosts"], capture_output=True).returncode == 0


class NamedDb(MariaDb):
    address, port = "127.0.0.2", 0

    def command(self):
        return [*super().command(), "--skip-networking=0", f"--bind-address={self.address}", f"--port={self.port}", "--skip-name-resolve"]


class NamedRedis(Redis):
    address, number = "127.0.0.2", 0

    def command(self):
        return [*(w for w in super().command() if w not in ("--port", "0")), "--port", str(self.number), "--bind", self.address,
                "--protected-mode", "no"]


@unittest.skipUnless(HAVE_MARIADB and HAVE_REDIS and own_hosts(), "needs MariaDB, Redis and a mount namespace")
class Names(unittest.TestCase):
    def setUp(self):
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        NamedDb.port, NamedRedis.number = free_port("127.0.0.2"), free_port("127.0.0.2")
        NamedDb.address = NamedRedis.address = "127.0.0.2"
        self.hosts = self.tmp / "hosts"
        self.name(db="127.0.0.2", redis="127.0.0.2")
        (self.tmp / "db").mkdir()
        (self.tmp / "q").mkdir()
        self.db = NamedDb(self.tmp / "db")
        self.addCleanup(self.db.stop)
        self.db.sql("CREATE USER weir@'%' IDENTIFIED BY 'w'; GRANT ALL ON weir.* TO weir@'%'")
        self.redis = NamedRedis(self.tmp / "q")
        self.addCleanup(self.redis.stop)
        wrapper = self.tmp / "weir"
        real = os.environ.get("WEIR_BIN", str(pathlib.Path(__file__).resolve().parents[2] / "build" / "weir"))
        wrapper.write_text(f'#!/bin/sh\nexec unshare -m sh -c \'mount --bind "{self.hosts}" /etc/hosts && exec "$@"\' - "{os.path.abspath(real)}" "$@"\n')
        wrapper.chmod(0o755)
        self.server = Server(self.tmp / "data", "--store", f"mysql://weir:w@weir-db:{NamedDb.port}/weir", "--queue",
                             f"redis://weir-redis:{NamedRedis.number}/0", binary=str(wrapper))
        self.addCleanup(self.server.kill)

    def name(self, **where):
        """The same file, with other lines: its inode stands in the namespace."""
        self.where = {**getattr(self, "where", {}), **where}
        with open(self.hosts, "w", encoding="ascii") as f:
            f.write("127.0.0.1 localhost\n" + "".join(f"{a} weir-{n}\n" for n, a in self.where.items()))

    def away(self):
        """Names of the parts that are not well."""
        try:
            data = self.server.answer("GET", "/readyz")["data"]
        except Refused as refused:
            data = refused.answer["data"]
        return sorted(n for n, p in data["parts"].items() if not p["ok"])

    def moved(self, part, service, address):
        service.stop()
        until(f"{part} is away", lambda: part in self.away())
        type(service).address = address
        service.start()
        self.name(**{"db" if part == "store" else "redis": address})
        until(f"{part} is back", lambda: part not in self.away())

    def test_each_is_found_again(self):
        self.assertEqual(self.away(), [])
        for part, service in (("queue", self.redis), ("store", self.db)):
            self.moved(part, service, "127.0.0.3")
            self.assertEqual(self.away(), [])
            self.assertEqual(self.server.post("/exec/task?wait=30", {"taskType": "SHELL", "taskContent": "true"})["state"], "SUCCESS")
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
