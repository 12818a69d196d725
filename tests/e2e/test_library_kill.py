"""Three processes that link the library, over one MariaDB, no server: killed and stopped at random. The ledger that their tasks write
shows that nothing is lost, that a former attempt does nothing once the next one has begun, and that no context goes backwards."""
import pathlib
import random
import signal
import subprocess
import unittest

from live import BIN, CLEAN_ENV, LIMIT_S, directory, until
from services import HAVE_MARIADB, MariaDb

PROGRAM = pathlib.Path(BIN).resolve().parent.parent / "tests/lib/ledger"
TASKS, ROUNDS, NODES = 250, 10, 3


class Node:
    def __init__(self, url, ledger):
        self.process = subprocess.Popen([PROGRAM, url, ledger, "work"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=CLEAN_ENV)
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise AssertionError(f"a node does not start: {line}")

    def end(self, number):
        self.process.send_signal(number)
        code = self.process.wait(LIMIT_S)
        self.process.stdout.close()
        return code


def faults(text, n):
    """What the ledger shows that may not be."""
    bad, newest, place, began = [], {}, {}, set()
    for line in text.splitlines():
        what, task, attempt, at = line[0], *map(int, line[2:].split())
        began.add(task)
        if what == "B":
            if attempt <= newest.get(task, 0):
                bad.append(f"{line}: attempt {newest[task]} began before")
            if at < place.get(task, 0):
                bad.append(f"{line}: place {place[task]} was stored")
            newest[task] = attempt
        else:
            if attempt != newest[task]:
                bad.append(f"{line}: attempt {newest[task]} has begun")
            place[task] = max(place.get(task, 0), at)
    if len(began) != n:
        bad.append(f"{len(began)} tasks of {n} have begun")
    return bad


@unittest.skipUnless(HAVE_MARIADB and PROGRAM.exists(), "no mariadbd, or no tests in this build")
class Kill(unittest.TestCase):
    def test_ledger(self):
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        with directory() as tmp, self.subTest(seed=seed):
            db = MariaDb(tmp)
            self.addCleanup(db.stop)
            url, ledger = f"mysql://root@localhost/weir?socket={db.socket}", tmp / "ledger"
            done = subprocess.run([PROGRAM, url, ledger, "make", str(TASKS)], capture_output=True, text=True, timeout=LIMIT_S, env=CLEAN_ENV)
            self.assertEqual((done.returncode, done.stdout), (0, ""))
            nodes = [Node(url, ledger) for _ in range(NODES)]
            try:
                for _ in range(ROUNDS):
                    lines = len(ledger.read_text().splitlines()) if ledger.exists() else 0
                    until("tasks go on", lambda: len(ledger.read_text().splitlines()) > lines + 3)
                    i = dice.randrange(NODES)
                    number = dice.choice([signal.SIGKILL, signal.SIGTERM])
                    code = nodes[i].end(number)
                    self.assertEqual(code, -9 if number == signal.SIGKILL else 0)
                    nodes[i] = Node(url, ledger)
                done = subprocess.run([PROGRAM, url, ledger, "wait"], capture_output=True, text=True, timeout=4 * LIMIT_S, env=CLEAN_ENV)
                self.assertEqual((done.returncode, done.stdout), (0, f"{TASKS}\n"))
                for node in nodes:
                    self.assertEqual(node.end(signal.SIGTERM), 0)
            finally:
                for node in nodes:
                    if node.process.poll() is None:
                        node.end(signal.SIGKILL)
            self.assertEqual(faults(ledger.read_text(), TASKS), [])

    def test_faults_are_seen(self):
        self.assertEqual(faults("B 1 1 0\nS 1 1 4\nB 1 2 4\nS 1 2 5\n", 1), [])
        for text in ("B 1 1 0\nS 1 1 4\nB 1 2 3\n", "B 1 1 0\nB 1 2 0\nS 1 1 1\n", "B 1 2 0\nB 1 1 0\n", ""):
            self.assertNotEqual(faults(text, 1), [], text)


if __name__ == "__main__":
    unittest.main()
