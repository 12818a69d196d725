"""docs/reference/api.md names what the code has: every route, error, parameter, field of a body and field of an answer."""
import re
import unittest

from weirtest import ROOT

TEXT = (ROOT / "docs" / "reference" / "api.md").read_text()
NAMES = set(re.findall(r"[A-Za-z0-9_]+", " ".join(re.findall(r"`([^`\n]+)`", TEXT))))


def source(*names):
    return "".join((ROOT / name).read_text() for name in names)


class Reference(unittest.TestCase):
    def named(self, pattern, *files):
        found = set(re.findall(pattern, source(*files)))
        self.assertTrue(found, pattern)
        self.assertEqual(found - NAMES, set(), files)

    def test_routes(self):
        code = re.findall(r'^  \{"([A-Z]+)", "([^"]+)", ROLE', source("api/routes.c"), re.M)
        self.assertEqual(sorted(code), sorted(re.findall(r"^\| `([A-Z]+) (/[^`]*)` \|", TEXT, re.M)))

    def test_errors(self):
        code = re.findall(r'^WR_ERROR\((\d+), (\w+), "(.*)"\)', source("engine/base/errors.def"), re.M)
        self.assertTrue(code)
        self.assertEqual(code, re.findall(r"^\| `(\d{5})` \| `(\w+)` \| (.*?)(?: \((?:kept for later|at start): .*\))? \|$", TEXT, re.M))

    def test_parameters(self):
        self.named(r'\{"(\w+)", Q_', "api/query.c")

    def test_fields_of_bodies(self):
        self.named(r'FIELD\("(\w+)"', "engine/model/async.c", "engine/model/def_flow.c", "engine/model/def_task.c", "engine/model/field.c", "engine/model/queue_post.c")
        self.named(r'\[C_\w+\] = "(\w+)"', "engine/model/def_task.c")
        self.named(r'\{"(\w+)", JSON_', "api/h_ask.c", "api/h_async.c", "api/h_exec.c")
        self.named(r'\{"(\w+)", (?:parse_|RLIMIT)', "executors/shell.c")

    def test_words(self):
        self.named(r'\[(?:REST|FLOW|JITTER|ON_LOST)_\w+\] = "(\w+)"', "engine/model/settings.c", "engine/model/field.c", "engine/model/def_task.c")
        self.named(r'\[QUEUE_ORDER_\w+\] = "(\w+)"', "engine/model/queue_post.c")
        self.named(r'\[IF_EXISTS_\w+\] = "(\w+)"', "engine/model/async.c")

    def test_fields_of_answers(self):
        self.named(r'j_(?:i64|text|bool|raw|key|bytes|time)\(\w+(?:->\w+)?, "(\w+)"', "api/rows.c", "api/h_ask.c", "api/h_monitor.c", "api/h_node.c", "api/h_queue.c", "api/h_s0.c", "api/instance.c")
        self.named(r'j_time\(\w+, "\w+", "(\w+)"', "api/rows.c")

    def test_reasons(self):
        self.named(r'put\(w, "(\w+)"', "engine/client/why.c")
        self.named(r'return "([A-Z_]+)";', "engine/client/why_queue.c")

    def test_environment(self):
        self.named(r'"(WEIR_\w+)=?"', "engine/worker/worker_child.c")


if __name__ == "__main__":
    unittest.main()
