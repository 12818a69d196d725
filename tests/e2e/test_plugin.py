"""A server with plug-ins: their tasks run, pause and go on after a stop; a file that is no plug-in ends the start with 4 and a sentence."""
import pathlib
import shutil
import unittest

from live import BIN, ROOT, Server, directory, plugin_of, task, until, weir

BUILD = pathlib.Path(BIN).resolve().parent.parent
OF = "const weir_plugin_t weir_plugin = {{.size = sizeof weir_plugin, .abi = {abi}, .name = \"x\", .types = &t, .n_types = 1}};"
TYPE = """#include <weir_plugin.h>
static int run(weir_attempt_t *a, void *user) {{ (void)a; (void)user; return WEIR_PHASE_FINISHED; }}
static const weir_type_t t = {{.size = sizeof t, .name = "{name}", .run = run}};
"""


@unittest.skipUnless(shutil.which("cc"), "nothing to build with")
class Plugin(unittest.TestCase):
    def setUp(self):
        place = directory()
        self.dir = place.__enter__()
        self.addCleanup(place.__exit__, None, None, None)

    def build(self, source, *libs):
        return plugin_of(source, self.dir, *libs)

    def made(self, stem, text):
        source = self.dir / f"{stem}.c"
        source.write_text(text)
        return self.build(source)

    def plugin(self, stem, name, abi="WEIR_PLUGIN_ABI"):
        return self.made(stem, (TYPE + OF).format(name=name, abi=abi))

    def serve(self, *options):
        server = Server(self.dir / "data", *options)
        self.addCleanup(server.kill)
        return server

    def refused(self, *options):
        done = weir("server", "--dev", "--data", self.dir / "data", "--listen", "127.0.0.1:0", *options)
        self.assertEqual(done.returncode, 4, done.stderr)
        said = [line for line in done.stderr.splitlines() if line.startswith("weir server: ")]
        self.assertEqual(len(said), 1, done.stderr)
        self.assertNotRegex(said[0], r"\. [A-Z]")  # one sentence
        return said[0]

    def test_example(self):
        """With libweir.so named in the plug-in, and without."""
        for libs in ([f"-L{BUILD}/lib", "-lweir"], []):
            so = self.build(ROOT / "examples/lib/plugin.c", *libs)
            server = self.serve("--plugin", so)
            task = server.post("/exec/task?wait=60", {"taskType": "count.words", "taskContent": "to be or not"})
            self.assertEqual((task["state"], task["result"], task["progress"]["unit"]), ("SUCCESS", "4", "word"))
            self.assertEqual(server.post("/exec/task?wait=60", {"taskType": "count.words"})["state"], "FAILED")
            self.assertEqual(server.stop(), 0)

    def test_pause_and_planned_stop(self):
        options = ("--plugin", self.build(ROOT / "examples/lib/plugin.c"), "--shell", "off")
        server = self.serve(*options)
        ti = server.post("/exec/task", {"taskType": "count.slowly", "taskContent": "10000000"})["tiId"]

        def counts(more_than):
            return until("it counts", lambda: (server.get(f"/monitor/task/{ti}").get("progress") or {"done": 0})["done"] > more_than)

        counts(2)
        server.post(f"/exec/task-ins/{ti}/pause")
        until("it pauses", lambda: server.get(f"/monitor/task/{ti}")["state"] == "PAUSED")
        self.assertGreater(server.get(f"/monitor/task/{ti}")["contextBytes"], 0)
        before = server.get(f"/monitor/task/{ti}")["progress"]["done"]
        server.post(f"/exec/task-ins/{ti}/run")
        counts(before)
        self.assertEqual(server.stop(), 0)  # it is told to stop, and handed over
        server = self.serve(*options)
        seen = server.get(f"/monitor/task/{ti}")["progress"]["done"]
        self.assertGreater(seen, before)
        counts(seen)
        task = server.get(f"/monitor/task/{ti}")
        self.assertEqual((task["state"], [h["end"] for h in task["history"]]), ("RUNNING", ["PAUSED", "HANDBACK"]))
        server.post(f"/exec/task-ins/{ti}/cancel")
        until("it is canceled", lambda: server.get(f"/monitor/task/{ti}")["state"] == "CANCELED")
        self.assertEqual(server.stop(), 0)

    def test_error(self):
        """What went wrong in a call of a routine."""
        server = self.serve("--plugin", self.made("wrong", """#include <weir_plugin.h>
static int run(weir_attempt_t *a, void *user) {
  (void)user;
  if (weir_report_context(a, "\\xff", 1) != WEIR_ERR_INVALID || weir_error_code(NULL) != 42221) return WEIR_PHASE_FINISHED;
  return weir_report_error(a, weir_error(NULL), 0), WEIR_PHASE_FAILED;
}
static const weir_type_t t = {.size = sizeof t, .name = "wrong", .run = run};
""" + OF.format(abi="WEIR_PLUGIN_ABI")))
        task = server.post("/exec/task?wait=60", {"taskType": "wrong"})
        self.assertEqual((task["state"], task["errorMsg"]), ("FAILED", "A context is UTF-8 without NUL, at most 1048576 bytes."))
        self.assertEqual(server.stop(), 0)

    def test_policy(self):
        """It chooses for the whole server; two of them are refused."""
        text = """#include <string.h>
#include <weir_plugin.h>
static int enough;
static long pick(const weir_candidate_t *const *c, size_t n, void *user) {{
  size_t best = 0;
  *(int *)user |= n == 4;
  if (!enough) return -1;
  for (size_t i = 1; i < n; i++)
    if (strcmp(c[i]->name, c[best]->name) > 0) best = i;
  return (long)best;
}}
const weir_plugin_t weir_plugin = {{.size = sizeof weir_plugin, .abi = WEIR_PLUGIN_ABI, .name = "{0}", .pick = pick, .user = &enough}};
"""
        so = self.made("policy", text.format("one"))
        server = self.serve("--plugin", so, "--async-slots", "1")
        ids = server.post("/exec/tasks", {"tasks": [{"taskType": "ECHO", "taskName": name, "taskContent": name, "user": name} for name in "bdac"]})
        ended = [server.get(f"/monitor/task/{ti}?wait=60") for ti in ids]
        self.assertEqual("".join(t["taskName"] for t in sorted(ended, key=lambda t: t["startedAt"])), "dcba")
        fi = server.flow(task("one", "ECHO", "1"), task("two", "ECHO", "2"))
        self.assertEqual(server.ended(fi)["status"], "SUCCESS")
        self.assertEqual(server.stop(), 0)
        self.assertIn("so has another plug-in", self.refused("--plugin", so, "--plugin", self.made("second", text.format("two"))))

    def test_known_without_it(self):
        """A type is known once a node has registered it."""
        server = self.serve("--plugin", self.plugin("a", "a.type"))
        self.assertEqual(server.stop(), 0)
        server = self.serve()
        ti = server.post("/exec/task", {"taskType": "a.type"})["tiId"]
        until("nobody has it", lambda: server.get(f"/monitor/task/{ti}").get("why") == "NO_EXECUTOR")
        self.assertEqual(server.stop(), 0)
        server = self.serve("--plugin", self.dir / "a.so")
        self.assertEqual(server.get(f"/monitor/task/{ti}?wait=60")["state"], "SUCCESS")
        self.assertEqual(server.stop(), 0)

    def test_refused(self):
        self.assertIn('no.so" cannot be read: No such file', self.refused("--plugin", self.dir / "no.so"))
        self.assertIn("no regular file", self.refused("--plugin", self.dir))
        text = self.dir / "text.so"
        text.write_text("text")
        self.assertIn("cannot be loaded", self.refused("--plugin", text))
        self.assertIn("has no symbol weir_plugin", self.refused("--plugin", self.made("none", "int nothing_here;\n")))
        self.assertIn("another abi", self.refused("--plugin", self.plugin("future", "f", abi="WEIR_PLUGIN_ABI + 1")))
        self.assertIn('a task type "ECHO" already', self.refused("--plugin", self.plugin("echo", "ECHO")))
        a, b = self.plugin("a", "twice"), self.plugin("b", "twice")
        self.assertIn('b.so" cannot be used: There is a task type "twice" already', self.refused("--plugin", a, "--plugin", b))
        self.assertIn("is 1 to 128 characters", self.refused("--plugin", self.plugin("odd", "no blanks")))
        long = self.dir / ("d" * 200)
        long.mkdir()
        self.assertIn('x.so" has no symbol weir_plugin, so it is no plug-in; build it as weir_plugin.h says.',
                      self.refused("--plugin", shutil.copy(self.made("x", "int nothing_here;\n"), long)))
        self.assertTrue(self.refused("--plugin", self.made("u", "int nowhere(void);\nint here(void) { return nowhere(); }\n"))
                        .endswith("; build it for this machine, against this version of Weir."))
        whole = a.read_bytes()
        for part in (len(whole) // 4, len(whole) // 2, len(whole) - 3000):
            a.write_bytes(whole[:part])
            self.assertIn("is cut off", self.refused("--plugin", a))
        a.write_bytes(whole)
        a.chmod(0o757)
        self.assertIn("chmod o-w", self.refused("--plugin", a))


if __name__ == "__main__":
    unittest.main()
