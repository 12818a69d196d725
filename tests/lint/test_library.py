"""The reference of the library says what weir.h has, no more and no less: calls, constants, structs and their members."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def header():
    return re.sub(r"/\*.*?\*/", "", (ROOT / "lib/weir.h").read_text(), flags=re.S)


def members(body):
    """The names that a struct declares: the last word of each declarator, and of each pointer to a function."""
    out = []
    for line in filter(str.strip, body.split(";")):
        call = re.search(r"\(\*(\w+)\)", line)
        out += [call.group(1)] if call else [re.search(r"(\w+)\s*$", part).group(1) for part in line.split(",")]
    return out


class Reference(unittest.TestCase):
    def setUp(self):
        self.page = (ROOT / "docs/reference/library.md").read_text()
        self.text = header()

    def test_calls(self):
        calls = set(re.findall(r"^WEIR_API [^;]*?\b(weir_\w+)\(", self.text, re.M))
        self.assertGreater(len(calls), 35)
        self.assertEqual({n for n in re.findall(r"`(weir_[a-z_]+)(?:\(\))?`", self.page) if not n.endswith("_t")}, calls)

    def test_documents(self):
        """The comment of each call, before it or behind it on its line, says which document it comes from."""
        whole = (ROOT / "lib/weir.h").read_text()
        calls = re.findall(r"((?:/\*(?:(?!\*/).)*\*/\n)?)WEIR_API [^;]*?\b(weir_\w+)\([^;]*;([^\n]*)", whole, re.S)
        self.assertEqual({name for _, name, _ in calls}, set(re.findall(r"^WEIR_API [^;]*?\b(weir_\w+)\(", self.text, re.M)))
        silent = [name for before, name, behind in calls if not re.search(r"\bS[014]\b|\(own\)|\bown[:; ]", before + behind)]
        self.assertEqual(silent, [])

    def test_constants(self):
        numbers = re.findall(r"\b(WEIR_(?:OK|ERR|STATE|PHASE|STOP|REMOVE)\w*)", self.text)
        self.assertEqual(set(re.findall(r"`(WEIR_(?:OK|ERR|STATE|PHASE|STOP|REMOVE)[A-Z_]*)`", self.page)), set(numbers))
        for name, number in re.findall(r"(WEIR_(?:OK|ERR_\w+)) = (-?\d+)", self.text):
            self.assertIn(f"| {number} | `{name}` |", self.page)

    def test_structs(self):
        structs = {name: members(body) for body, name in re.findall(r"typedef struct \{(.*?)\} (weir_\w+_t);", self.text, re.S)}
        self.assertGreaterEqual(len(structs), 6)
        shown = {name: re.findall(r"`(\w+)`", row) for name, row in re.findall(r"^\| `(weir_\w+_t)` \|(.*)\|$", self.page, re.M)}
        self.assertEqual(shown, structs)

    def test_options(self):
        rows = (ROOT / "lib/option.def").read_text().split("\nOPT(")[1:]
        known = {re.search(r'"([a-z-]+)"', row).group(1) for row in rows if "VERB_LIB" in row}
        self.assertGreater(len(known), 20)
        self.assertEqual(set(re.findall(r"^\| `([a-z-]+)=", self.page, re.M)), known)


if __name__ == "__main__":
    unittest.main()
