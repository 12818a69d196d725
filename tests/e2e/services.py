"""Private services for the tests that stop, freeze and starve them: a MariaDB and a Redis on unix sockets in a directory of
their own, and a small file system that can be filled. Each ends with the test that asked for it, by its pid.
"""
import atexit
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from live import LIMIT_S, directory, until

MARIADBD = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
HAVE_MARIADB = os.path.exists(MARIADBD) and shutil.which("mariadb-install-db") is not None
PLAIN = ["--innodb-log-file-size=8M", "--innodb-use-native-aio=0"] # small, and nothing that all servers of a machine share
HAVE_REDIS = shutil.which("redis-server") is not None


class Service:
    """One server process. stop() ends it. freeze() makes it do nothing until thaw()."""

    def __init__(self):
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(f"{type(self).__name__} answers", self.answers)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self, number=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(LIMIT_S)


def copy_of_empty(data, user):
    """The files of an empty server. Made once, because making them takes longer than most tests."""
    if not copy_of_empty.made:
        made = tempfile.mkdtemp(prefix="weir-e2e-db-")
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        done = subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={made}/db", f"--tmpdir={made}", user,
                               "--auth-root-authentication-method=normal", "--skip-test-db", *PLAIN], capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"mariadb-install-db: {done.stdout}{done.stderr}")
        copy_of_empty.made = f"{made}/db"
    shutil.copytree(copy_of_empty.made, data)


copy_of_empty.made = None


class MariaDb(Service):
    def __init__(self, directory, data=None, *options):
        super().__init__()
        self.dir = pathlib.Path(directory)
        self.data = pathlib.Path(data or self.dir / "db")
        self.socket = self.dir / "db.sock"
        self.options = options
        user = "--user=root" if os.geteuid() == 0 else "--skip-name-resolve"
        self.base = ["--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.dir}", user]  # one that starts empties its tmpdir
        copy_of_empty(self.data, user)
        self.start()
        self.sql("CREATE DATABASE weir", database=None)

    def command(self):
        return [MARIADBD, *self.base, *PLAIN, f"--socket={self.socket}", "--skip-networking", "--innodb-buffer-pool-size=32M",
                f"--pid-file={self.dir}/db.pid", *self.options]

    def answers(self):
        return subprocess.run(self.client(None) + ["-e", "SELECT 1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def client(self, database="weir"):
        return ["mariadb", "--no-defaults", "-u", "root", "-S", str(self.socket), "-N", "-B", *([database] if database else [])]

    def sql(self, text, database="weir"):
        done = subprocess.run(self.client(database) + ["-e", text], capture_output=True, text=True, timeout=LIMIT_S, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    @contextlib.contextmanager
    def session(self, *statements):
        """Another connection that has executed this, and keeps its locks until the block ends."""
        client = subprocess.Popen(self.client() + ["--unbuffered"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            for statement in statements:
                client.stdin.write(statement + ";\n")
            client.stdin.write("SELECT 'said';\n")
            client.stdin.flush()
            for line in client.stdout:
                if line == "said\n":
                    break
            else:
                raise AssertionError(f"refused: {statements}")
            yield
        finally:
            client.stdin.close()
            client.wait(LIMIT_S)
            client.stdout.close()

    @property
    def url(self):
        return f"mysql://root@localhost/weir?socket={self.socket}"


@unittest.skipUnless(HAVE_MARIADB, "no MariaDB here")
class OnMariaDb:
    """For the tests of a class: a MariaDB of their own, `db`, and an empty database for each of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        room = directory()
        cls.addClassCleanup(room.__exit__, None, None, None)
        cls.db = MariaDb(room.__enter__())
        cls.addClassCleanup(cls.db.stop)

    def setUp(self):
        super().setUp()
        self.db.sql("DROP DATABASE IF EXISTS weir; CREATE DATABASE weir", database=None)

    def store(self):
        return ("--store", self.db.url)


class Redis(Service):
    def __init__(self, directory):
        super().__init__()
        self.dir = pathlib.Path(directory)
        self.socket = self.dir / "redis.sock"
        self.start()

    def command(self):
        return ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no", "--dir", str(self.dir)]

    def cli(self, *words):
        return subprocess.run(["redis-cli", "-s", str(self.socket), *words], capture_output=True, text=True, timeout=LIMIT_S)

    def answers(self):
        return self.cli("PING").stdout == "PONG\n"

    @property
    def url(self):
        return f"redis+unix://{self.socket}"


def fill(path):
    """Fills the file system: this file takes all the room that is left."""
    with open(path, "wb", buffering=0) as f:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    f.write(bytes(size))


@contextlib.contextmanager
def small_disk(path, size="32m"):
    """A file system of that size at path; None where none can be made."""
    path.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "weir-test", str(path)], capture_output=True).returncode == 0
    try:
        yield path if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(path)], check=True)


class WithRedis:
    """The same with a Redis of its own, `redis`, which is the queue. Stands before OnMariaDb, or a class of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        room = directory()
        cls.addClassCleanup(room.__exit__, None, None, None)
        cls.redis = Redis(room.__enter__())
        cls.addClassCleanup(cls.redis.stop)

    def store(self):
        return (*super().store(), "--queue", self.redis.url)
