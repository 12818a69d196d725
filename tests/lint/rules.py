"""The rules that a machine keeps: layers, purity of core, sizes. Each function returns a list of sentences, one for each breach."""
import json
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Lowest first; a file may include headers of its own layer and of those named.
LAYERS = {
    "engine/base": [],
    "executors": ["executors/abi"],
    "executors/abi": [],
    "engine/registry": ["engine/base", "executors", "executors/abi"],
    "engine/core": ["engine/base"],
    "engine/model": ["engine/base", "engine/registry", "engine/core", "executors/abi"],
    "engine/http": ["engine/base", "engine/model", "executors/abi"],
    "engine/store": ["engine/base", "engine/core", "engine/model"],
    "engine/queue": ["engine/base", "engine/core", "engine/model"],
    "engine/defs": ["engine/base", "engine/registry", "engine/core", "engine/model", "engine/store", "executors/abi"],
    "engine/runner": ["engine/base", "engine/core", "engine/model", "engine/store", "engine/queue", "engine/defs"],
    "engine/spawner": ["engine/base", "engine/core", "engine/model"],
    "engine/worker": ["engine/base", "engine/core", "engine/model", "engine/http", "engine/spawner", "engine/registry", "executors/abi"],
    "engine/node": ["engine/base", "engine/core", "engine/model", "engine/store", "engine/queue", "engine/defs", "engine/runner",
                    "engine/client", "engine/spawner", "engine/worker", "engine/registry", "engine/http", "executors/abi"],
    "engine/client": ["engine/base", "engine/core", "engine/model", "engine/store", "engine/queue", "engine/defs", "engine/runner",
                      "engine/registry", "executors/abi"],
    "api": ["engine/client", "engine/base", "engine/core", "engine/model", "engine/store", "engine/queue", "engine/defs", "engine/runner",
            "engine/registry", "executors/abi"],
    "lib": ["engine/client", "engine/base", "engine/core", "engine/model", "engine/store", "engine/queue", "engine/defs",
            "engine/runner", "engine/spawner", "engine/worker", "engine/node", "engine/registry", "executors/abi",
            "api"],  # with listen= a handle serves it (lib/serve.c); api knows nothing of lib
    "cli": ["engine/client", "engine/base", "engine/core", "engine/model", "engine/store", "engine/queue", "engine/defs", "engine/runner", "engine/spawner",
            "engine/worker", "engine/node", "engine/registry", "executors/abi", "api", "lib"],
}
# Who alone may know a library.
LIBRARIES = {
    "mysql": r"engine/store/mysql\w*\.[ch]", "mariadb": r"engine/store/mysql\w*\.[ch]", "sqlite3": r"engine/store/sqlite\w*\.[ch]",
    "hiredis": r"engine/queue/redis\w*\.[ch]", "civetweb": r"api/http\.c",
    "curl": r"lib/remote\.c|engine/base/curl_link\.h",
    "netdb": r"engine/base/resolve\.c",  # getaddrinfo() has no bound
}
# What core may ask of the world: memory of base, string functions, and what the compiler adds.
PURE = re.compile(r"^(mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|chr|cspn)|bsearch|qsort|free|pow|fmod|ldexp|llround|floor|ceil"
                  r"|wr_\w+|buf_\w+|arena_\w+|heap_\w+|map64_\w+|text_\w+|rand_next"
                  r"|__stack_chk_fail|__mem(cpy|move|set)_chk|_GLOBAL_OFFSET_TABLE_|__asan_\w+|__ubsan_\w+|__sanitizer_\w+)$")
MAX_FILE, MAX_HEADER, MAX_FUNCTION, MAX_WIDTH = 800, 250, 60, 130


def sources(root=ROOT, folders=tuple(LAYERS)):
    seen = set()
    for folder in folders:
        for path in sorted((root / folder).glob("*.[ch]")):
            if path not in seen:
                seen.add(path)
                yield path


def layers(root=ROOT):
    home = {p.name: str(p.parent.relative_to(root)) for p in sources(root) if p.suffix == ".h"}
    bad = []
    for path in sources(root):
        here, text = str(path.parent.relative_to(root)), path.read_text()
        rel = str(path.relative_to(root))
        for name in re.findall(r'^\s*#\s*include\s+"(?:[^"]*/)?([^"/]+)"', text, re.M):
            layer = here if (path.parent / name).exists() else home.get(name)
            if layer and layer != here and layer not in LAYERS[here]:
                bad.append(f"{rel} includes {name} of {layer}")
        for name in re.findall(r"^\s*#\s*include\s+<([^>]+)>", text, re.M):
            for library, place in LIBRARIES.items():
                if library in name and not re.fullmatch(place, rel):
                    bad.append(f"{rel} includes <{name}>")
    return bad


def symbols(path):
    """Of an object or an archive: the names that it gives to others, those that it has, those that it asks for."""
    out = subprocess.run(["nm", str(path)], check=True, capture_output=True, text=True).stdout
    has = set(re.findall(r"^[0-9a-f]+ [A-TV-Zb-z] (\S+)$", out, re.M))
    gives = set(re.findall(r"^[0-9a-f]+ [A-TV-Z] (\S+)$", out, re.M))
    return gives, has, set(re.findall(r"^\s+U (\S+)$", out, re.M)) - has


C_HEADERS = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg stdbool stddef stdint stdio
    stdlib string tgmath time wchar wctype""".split())


def abi_only(root=ROOT):
    """An executor includes its ABI and the headers of standard C, so that anybody can write one."""
    return [f"{path.relative_to(root)} includes {name}" for path in sources(root, ("executors",))
            for name in re.findall(r'^\s*#\s*include\s+(["<][^">]+[">])', path.read_text(), re.M)
            if name != '"weir_executor.h"' and not (name[0] == "<" and name[1:-1].removesuffix(".h") in C_HEADERS)]


def purity(archive):
    """What core needs from outside itself and is not on the list."""
    return sorted(f"core asks for {n}" for n in symbols(archive)[2] if not PURE.match(n))


def layer_calls(build):
    """A layer calls only those that it may include: what a declaration of its own, or a macro, would get past layers()."""
    found = [(layer, symbols(a)) for layer in LAYERS for a in (pathlib.Path(build) / layer).glob("lib*.a")
             if a.name != "libweir.a"]  # that one holds all of them, as one object
    home = {name: layer for layer, (gives, _, _) in found for name in gives}
    return sorted(f"{layer} calls {name} of {home[name]}" for layer, (_, _, needs) in found for name in needs
                  if name in home and home[name] not in (layer, *LAYERS[layer]))


# ---- folders whose files have an order: the list in their meson.build, lowest first ----

ORDERED = ["engine/runner"]


def order(folder):
    """The files of a folder, without .c, as its meson.build lists them."""
    return re.findall(r"'(\w+)\.c'", (folder / "meson.build").read_text())


def calls(folder, objects):
    """A file calls only files that stand before it in the list."""
    place = {name: i for i, name in enumerate(order(folder))}
    found = {name: symbols(pathlib.Path(objects) / f"{name}.c.o") for name in place}
    home = {symbol: name for name, (gives, _, _) in found.items() for symbol in gives}
    return [f"{name}.c calls {symbol} of {home[symbol]}.c, which stands behind it" for name in place
            for symbol in sorted(found[name][2]) if symbol in home and place[home[symbol]] > place[name]]


def includes(folder):
    """And includes only their headers. The header that is named as the folder is its face: it includes no other of them. One without
    a file of its own stands where the last of those that it includes stands."""
    place = {name: i for i, name in enumerate(order(folder))}
    text = {p.name: p.read_text() for p in sorted(folder.glob("*.[ch]"))}
    face = folder.name + ".h"
    inner = {n: [i for i in re.findall(r'^\s*#\s*include\s+"(\w+\.h)"', t, re.M) if i in text] for n, t in text.items()}
    bad = [f"{face} includes {n}" for n in inner.get(face, [])]

    def stands(name, way):
        if name in way:
            bad.append("a circle: " + " ".join([*way[way.index(name):], name]))
            return -1
        below = max((stands(n, [*way, name]) for n in inner[name]), default=-1)
        return -1 if name == face else place.get(name[:-2], below)

    for name in inner:
        mine = stands(name, [])
        for other in inner[name] if name != face else []:
            if stands(other, [name]) > mine:
                bad.append(f"{name} includes {other}, which stands behind it")
    return list(dict.fromkeys(bad))


def functions(text):
    """(name, lines) of each function: from the line that opens it in column 0 to the brace that closes it there."""
    start = name = None
    for i, line in enumerate(text.splitlines()):
        head = re.match(r"[A-Za-z_][^;={}]*?\b(\w+)\([^;]*$", line)
        if start is None and head and not line.startswith("#"):
            start, name = i, head.group(1)
        if start is not None and line.rstrip().endswith(";") and "{" not in line and not line.startswith(" "):
            start = None
        if start is not None and line.startswith("}"):
            yield name, i - start + 1
            start = None


def sizes(root=ROOT):
    bad = []
    for path in sources(root):
        text = path.read_text()
        rel, lines = path.relative_to(root), text.count("\n")
        limit = MAX_HEADER if path.suffix == ".h" else MAX_FILE
        if lines > limit:
            bad.append(f"{rel} has {lines} lines, at most {limit}")
        for name, n in functions(text):
            if n > MAX_FUNCTION:
                bad.append(f"{rel}: {name}() has {n} lines, at most {MAX_FUNCTION}")
    return bad


def heads(root=ROOT):
    """Every file opens with a comment that says what it is."""
    return [f"{p.relative_to(root)} does not open with a comment" for p in sources(root) if not p.read_text().startswith("/*")]


def numbers(root=ROOT):
    """jansson writes 0.1 as 0.10000000000000001: only json_text() may ask it to write (what is only hashed goes by callback)."""
    return [f"{p.relative_to(root)} writes JSON without json_text()" for p in sources(root)
            if re.search(r"\bjson_dump(s|b|f|fd|_file)\(", p.read_text()) and str(p.relative_to(root)) != "engine/model/json.c"]


def widths(root=ROOT):
    return [f"{p.relative_to(root)}:{i} has {len(line)} columns, at most {MAX_WIDTH}" for p in sources(root)
            for i, line in enumerate(p.read_text().splitlines(), 1) if len(line) > MAX_WIDTH]


def lonely(build):
    """What a file of the product exports and no other file uses, a test neither: it should be static, or go."""
    objects = [c["output"] for c in json.loads((build / "compile_commands.json").read_text())]
    out = subprocess.run(["nm", "-A", *filter(lambda name: (build / name).exists(), objects)], cwd=build, capture_output=True,
                         text=True).stdout
    used = set(re.findall(r"^\S+:\s+U (\S+)$", out, re.M))
    defined = {name: place for place, name in re.findall(r"^(\S+):[0-9a-f]+ [TDBR] (\S+)$", out, re.M)
               if not re.search(r"\b(tests|bench)/", place)}
    promised = set(re.findall(r"\b(weir_\w+)\(", (ROOT / "lib/weir.h").read_text()))
    return sorted(f"nothing but {defined[name]} uses {name}" for name in defined.keys() - used - promised - {"main"})
