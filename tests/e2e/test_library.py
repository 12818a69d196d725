"""The library as a stranger gets it: installed into a folder, found by pkg-config, and nothing else. The examples, and the tutorial that
a reader types."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from live import BIN, CLEAN_ENV, LIMIT_S, ROOT, Server, directory
from services import HAVE_MARIADB, MariaDb
from test_docs import BLOCK, Terminal

BUILD = pathlib.Path(BIN).resolve().parent.parent
EXAMPLES = {"vector_dot": [], "matrix_product": [], "sleep_task": [], "copy_file": ["FROM", "TO"], "policy": []}
NAMES = {"include": ["weir.h", "weir_plugin.h"], "bin": ["weir"], "libexec/weir": ["weir-spawner"]}


# A program that has sockets of its own, and knows nothing of the library before it opens it.
LATE = """
import ctypes, json, pathlib, signal, sys, urllib.error, urllib.request
so, url = sys.argv[1:]
lib, handle, err = ctypes.CDLL(so, mode=0), ctypes.c_void_p(), ctypes.create_string_buffer(300)
handlers = [signal.getsignal(s) for s in signal.valid_signals()]
options = (ctypes.c_char_p * 2)(b"listen=127.0.0.1:0", None)
if lib.weir_open(ctypes.byref(handle), url.encode(), options, err, 300):
    sys.exit(err.value.decode())
place = f"http://127.0.0.1:{lib.weir_port(handle)}"
token = pathlib.Path(url[7:]).with_name("weir.token").read_text().strip()
def ask(path, body=None, **more):
    head = {"Content-Type": "application/json", **more}
    try:
        with urllib.request.urlopen(urllib.request.Request(place + path, body, head), timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, None
print(ask("/readyz")[0])
print(ask("/monitor/task")[0])
print(ask("/monitor/task", Authorization="Bearer " + token)[0])
assert lib.weir_start(handle) == 0
made = ask("/exec/task?wait=20", b'{"taskType": "ECHO", "taskContent": "hi"}', Authorization="Bearer " + token)[1]["data"]
assert lib.weir_wait(handle, ctypes.c_int64(made["tiId"]), ctypes.c_int64(20000), None) == 0
print(made["state"])
assert handlers == [signal.getsignal(s) for s in signal.valid_signals()]
print(lib.weir_close(handle))
try:
    ask("/readyz")
except OSError:
    print("refused")
"""


OWN_NAMES = """
#include <stdio.h>
#include <weir.h>
int failed(void) { return puts("mine") < 0; }
int fail(int rc) { return rc; }
void enter(void) {}
int main(void) {
  char err[200];
  weir_t *h;
  if (weir_open(&h, "sqlite:/nowhere/at/all.db", NULL, err, sizeof err) != WEIR_ERR_UNAVAILABLE) return 1;
  enter();
  return fail(failed());
}
"""


def sanitized():
    options = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", BUILD], check=True, capture_output=True, text=True).stdout)
    return next(o["value"] for o in options if o["name"] == "b_sanitize") not in ("none", [])


@unittest.skipUnless(shutil.which("meson") and shutil.which("pkg-config") and shutil.which("cc"), "nothing to build with")
class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if sanitized():
            raise unittest.SkipTest("a program without sanitizers cannot be linked with this build")
        cls.dir = tempfile.mkdtemp(prefix="weir-library-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", f"{cls.dir}/root"], capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        cls.pc = next(pathlib.Path(cls.dir).rglob("weir.pc"))
        cls.so = next(pathlib.Path(cls.dir).rglob("libweir.so"))
        cls.prefix = next(pathlib.Path(cls.dir).rglob("weir.h")).parent.parent

    def flags(self, *options):
        out = subprocess.run(["pkg-config", f"--define-variable=prefix={self.prefix}", *options, "weir"], check=True, capture_output=True,
                             text=True, env={**CLEAN_ENV, "PKG_CONFIG_PATH": str(self.pc.parent)}).stdout
        return out.split()

    def static(self):
        return [self.so.with_suffix(".a"), *(f for f in self.flags("--libs", "--static") if f != "-lweir")]

    def linked(self, source, *more):
        program = f"{self.dir}/{source.stem}"
        done = subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", source, "-o", program, *more], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return program

    def build(self, name, *more):
        return self.linked(ROOT / f"examples/lib/{name}.c", *(more or self.flags("--cflags", "--libs")))

    def run_it(self, program, *args):
        done = subprocess.run([program, *args], capture_output=True, text=True, timeout=3 * LIMIT_S,
                              env={**CLEAN_ENV, "LD_LIBRARY_PATH": str(self.so.parent)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.splitlines()

    def play(self, url):
        """url(name): of an empty database."""
        five = ["finished", "paused, went on, finished", "failed, was run again, finished", "the process stopped and started, finished"]
        self.assertEqual(self.run_it(self.build("vector_dot"), url("dot")), [*five, "deleted"])
        self.assertEqual(self.run_it(self.build("matrix_product"), url("product")), [*five, "deleted, with its elements"])
        self.assertEqual(self.run_it(self.build("sleep_task"), url("sleep")),
                         ["SUCCESS, 1 of 1 nap", "sleeping for 50 ms", "awake", "CANCELED", "sleeping for 600000 ms", "interrupted"])
        self.assertEqual(self.run_it(self.build("policy"), url("policy")),
                         ["milk 0600", "breakfast 0730", "coffee 1000", "lunch 1200", "tea 1600", "supper 1900"])
        source = pathlib.Path(self.dir) / "from"
        source.write_bytes(os.urandom(5_000_000))
        target = pathlib.Path(self.dir) / "to"
        target.unlink(missing_ok=True)
        self.assertEqual(self.run_it(self.build("copy_file"), url("copy"), str(source), str(target)), ["SUCCESS: 5000000 of 5000000 bytes"])
        self.assertEqual(target.read_bytes(), source.read_bytes())

    def test_installed(self):
        for folder, names in NAMES.items():
            for name in names:
                self.assertTrue((self.prefix / folder / name).exists(), f"{folder}/{name}")
        self.assertTrue(self.so.with_suffix(".a").exists())

    def test_names(self):
        """Only weir_* is seen from outside, and all that the header promises."""
        out = subprocess.run(["nm", "-D", "--defined-only", self.so], check=True, capture_output=True, text=True).stdout
        names = {line.split()[-1] for line in out.splitlines()}
        self.assertEqual([n for n in names if not n.startswith("weir_")], [])
        self.assertIn("weir_open", names)
        self.assertNotIn("weir_executor_echo", names)

    def test_names_static(self):
        out = subprocess.run(["nm", "-g", "--defined-only", self.so.with_suffix(".a")], check=True, capture_output=True, text=True).stdout
        names = {line.split()[-1] for line in out.splitlines() if " " in line}
        header = re.sub(r"/\*.*?\*/", "", (ROOT / "lib/weir.h").read_text(), flags=re.S)
        self.assertEqual(names, set(re.findall(r"^WEIR_API [^;]*?\b(weir_\w+)\(", header, re.M)))
        source = pathlib.Path(self.dir) / "own.c"  # names that the library has, too
        source.write_text(OWN_NAMES)
        program = self.linked(source, *self.flags("--cflags"), *self.static())
        self.assertEqual(self.run_it(program), ["mine"])

    def test_short(self):
        for path in (ROOT / "examples/lib").iterdir():
            self.assertLess(len(path.read_text().splitlines()), 150, path.name)

    def test_headers(self):
        """C99 and C++98, alone, without a warning."""
        for compiler, form, suffix in (("cc", "c99", "c"), ("c++", "c++98", "cc")):
            if not shutil.which(compiler):
                continue
            source = pathlib.Path(self.dir) / f"alone.{suffix}"
            source.write_text("#include <weir_plugin.h>\nint main(void) { return weir_version() == 0; }\n")
            done = subprocess.run([compiler, f"-std={form}", "-Wall", "-Wextra", "-pedantic", "-Werror", *self.flags("--cflags"), source, "-o",
                                   f"{self.dir}/alone", *self.flags("--libs")], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.run_it(f"{self.dir}/alone")

    def test_examples_sqlite(self):
        with directory() as tmp:
            self.play(lambda name: f"sqlite:{tmp}/{name}.db")

    @unittest.skipUnless(HAVE_MARIADB, "no mariadbd")
    def test_examples_mariadb(self):
        with directory() as tmp:
            db = MariaDb(tmp)
            self.addCleanup(db.stop)

            def url(name):
                db.sql(f"CREATE DATABASE {name}", database=None)
                return f"mysql://root@localhost/{name}?socket={db.socket}"
            self.play(url)

    def test_server(self):
        """The URL of a server: with a token and without."""
        client = BUILD / "tests/lib/http_client"
        for dev in (True, False):
            with directory() as tmp:
                server = Server(tmp / "data", dev=dev)
                self.addCleanup(server.kill)
                token = [] if dev else [(tmp / "data/weir.token").read_text().strip()]
                self.run_it(client, server.url, *token)
                if not dev:
                    wrong = subprocess.run([client, server.url, "nonsense"], capture_output=True, text=True, timeout=LIMIT_S)
                    self.assertIn("-10 ", wrong.stdout)
                self.assertEqual(server.stop(), 0)

    def test_serves(self):
        """listen= in a process that loads the library late: nobody but its own HTTP library may notice, or be needed to."""
        with directory() as tmp:
            out = self.run_it(sys.executable, "-c", LATE, str(self.so), f"sqlite:{tmp}/late.db")
            self.assertEqual(out, ["200", "401", "200", "SUCCESS", "0", "refused"])
            self.assertEqual((tmp / "weir.token").stat().st_mode & 0o777, 0o600)

    def test_static(self):
        program = self.build("vector_dot", *self.flags("--cflags"), *self.static())
        with directory() as tmp:
            self.assertEqual(self.run_it(program, f"sqlite:{tmp}/dot.db")[-1], "deleted")

    def test_tutorial(self):
        terminal = Terminal("http://localhost:8088")
        self.addCleanup(terminal.close)
        blocks = BLOCK.findall((ROOT / "docs/tutorial/library.md").read_text().replace("-C build ", f"-C {BUILD} "))
        self.assertEqual(len(blocks), 5)
        for block, form, want in blocks:
            self.assertEqual(terminal.type(block), want.strip() if form else "", block)


if __name__ == "__main__":
    unittest.main()
