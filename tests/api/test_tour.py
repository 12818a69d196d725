"""The recorded tour: 500 requests and more, whose answers are those of the recording (tour/*.txt), byte by byte: see tour.py."""
import difflib
import os
import re
import subprocess
import shutil
import unittest

import tour
from tour_chapters import CHAPTERS

MYSQL = os.environ.get("WEIR_TEST_MYSQL")
SHOWN = 5  # of the entries that differ


def differences(was, now):
    """The entries that differ, as text."""
    found = []
    for i in range(max(len(was), len(now))):
        a, b = (x[i] if i < len(x) else "" for x in (was, now))
        if a != b:
            found.append("".join(difflib.unified_diff(a.splitlines(True), b.splitlines(True), "recorded", "now", n=1000)))
    if len(found) > SHOWN:
        found[SHOWN:] = [f".. and {len(found) - SHOWN} more\n"]
    return "".join(found)


@unittest.skipIf(os.environ.get("WEIR_URL"), "needs servers of its own")
class Play(unittest.TestCase):
    def equal(self, name, store=None):
        was = tour.recorded(name)
        now, early = tour.play(CHAPTERS[name], store)
        text = differences(was, now)
        if text or early:
            end = f"the chapter ended early: {early!r}" if early else ""
            self.fail(f"the answers are not those of {tour.path_of(name)}:\n{text}{end}")


class Recorded(Play):
    """On SQLite."""

    def test_size(self):
        self.assertGreaterEqual(sum(len(tour.recorded(name)) for name in CHAPTERS), 500)
        self.assertEqual({path.stem for path in tour.FOLDER.glob("*.txt")}, set(CHAPTERS))


@unittest.skipUnless(MYSQL and shutil.which("mariadb"), "needs WEIR_TEST_MYSQL")
class RecordedOnMariaDb(Play):
    """The same recording: the API's answers do not depend on the store."""

    def fresh(self):
        """An empty database; its URL."""
        base, socket = re.fullmatch(r"(mysql://root@localhost/\w+)\?socket=(.+)", MYSQL).groups()
        name = base.rpartition("/")[2] + "_tour"
        drop = f"DROP DATABASE IF EXISTS {name}"
        client = ["mariadb", "--no-defaults", "-u", "root", "-S", socket, "-e"]
        subprocess.run([*client, f"{drop}; CREATE DATABASE {name}"], check=True, timeout=tour.PATIENCE)
        self.addCleanup(subprocess.run, [*client, drop], check=True, timeout=tour.PATIENCE)
        return f"mysql://root@localhost/{name}?socket={socket}"


for _name in CHAPTERS:
    setattr(Recorded, f"test_{_name}".replace("-", "_"), lambda self, n=_name: self.equal(n))
    setattr(RecordedOnMariaDb, f"test_{_name}".replace("-", "_"), lambda self, n=_name: self.equal(n, self.fresh()))

if __name__ == "__main__":
    unittest.main()
