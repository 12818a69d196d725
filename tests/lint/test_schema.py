"""Schema files: what cannot be applied again after a crash in its middle does not build, and files of a release are as they were."""
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Never edited: a database somewhere was made by them. A new file is added to this list with its release.
RELEASED = {
    "mysql/0001_init.sql": "4f7563a14b146ae5095ac4a24da0fae9a8c16150b42f7376052be415e58eb513",
    "sqlite/0001_init.sql": "e2988f461b919aed67d5ae87732dfcb05a8c08ece721f1fa676d9963d42f1e4b",
    "sqlite/0001_log.sql": "f232cec378d4cf2fda6531b9094cfcba7d1af5d9f394ffb194380c5cf23762df",
}


def embed(sql, kind="mysql", name="0005_next.sql"):
    """What embed.py says of a file after the present ones; "" = it builds."""
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / kind / name
        path.parent.mkdir()
        path.write_text(sql)
        done = subprocess.run([sys.executable, ROOT / "schema/embed.py", f"{tmp}/out.c", "schema_x", ROOT / f"schema/{kind}/0004_beside.sql", path],
                              capture_output=True, text=True, timeout=60)
        return done.stderr if done.returncode else ""


class Files(unittest.TestCase):
    def test_what_builds(self):
        for sql in ("ALTER TABLE a ADD COLUMN x DECIMAL(9,2) DEFAULT 0 AFTER b, ADD COLUMN `y` INT;", "ALTER TABLE a DROP COLUMN x;",
                    "ALTER TABLE a MODIFY COLUMN x BIGINT;", "ALTER TABLE a ADD KEY k (x, y), DROP INDEX l;", "UPDATE a SET x=';' WHERE x IS NULL;",
                    "CREATE TABLE IF NOT EXISTS a (\n  x INT -- it's; one\n);\nINSERT IGNORE INTO a VALUES (1);", "-- nothing; at all\n"):
            self.assertEqual(embed("-- oldest: 3\n" + sql), "", sql)
        self.assertEqual(embed("-- oldest: 3\nCREATE INDEX i ON a (b);", "sqlite"), "")  # in one transaction

    def test_what_does_not(self):
        for sql in ("ALTER TABLE a RENAME COLUMN x TO y;", "INSERT INTO a VALUES (1);", "CREATE TABLE a (x INT);", "CREATE INDEX x ON y (z);",
                    "ALTER TABLE a ADD COLUMN x INT, CHANGE b c INT;", "DROP TABLE a;"):
            self.assertIn("cannot be known after a crash", embed("-- oldest: 3\n" + sql), sql)
        for sql, name in (("UPDATE a SET x=1;", "0005_next.sql"), ("-- oldest: 6\nUPDATE a SET x=1;", "0005_next.sql"),
                          ("-- oldest: 2\nUPDATE a SET x=1;", "0005_next.sql"), ("-- oldest: 3\nUPDATE a SET x=1;", "0004_again.sql")):
            self.assertIn("does not fit to the file before", embed(sql, name=name), (sql, name))
        self.assertIn("has no `;`", embed("-- oldest: 3\nUPDATE a SET x=1"))

    def test_programs_that_do_not_ask_are_shut_out(self):
        begin = ("ALTER TABLE engine_node MODIFY COLUMN schema_no INT NOT NULL;\n"
                 "UPDATE engine_node SET state='DEAD', end_time=UTC_TIMESTAMP(6) WHERE state='LIVE' AND schema_no=3;\n")
        self.assertEqual(embed("-- oldest: 5\n" + begin + "UPDATE a SET x=1;"), "")
        self.assertIn("it shuts out programs of schema 3", embed("-- oldest: 5\nUPDATE a SET x=1;\n" + begin))
        self.assertEqual(embed("-- oldest: 5\nUPDATE a SET x=1;", "sqlite"), "")  # one process at a time

    def test_released_files_are_as_they_were(self):
        for name, digest in RELEASED.items():
            self.assertEqual(hashlib.sha256((ROOT / "schema" / name).read_bytes()).hexdigest(), digest, f"schema/{name} was edited: add a new file")


if __name__ == "__main__":
    unittest.main()
