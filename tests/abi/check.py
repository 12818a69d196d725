#!/usr/bin/env python3
"""What a program that was linked with an older libweir.so relies on: its symbols, and the types of weir.h behind them.

    check.py LIBRARY [types]    TAP: its names, and with `types` (it has debug info) all that they stand for, against libweir.abi
    check.py LIBRARY --renew    writes libweir.abi anew

Names may be added; one that goes, and any change of a type, fails. A struct that grows at its end is such a change too, which
the rules of weir.h allow: a person looks at the report, and renews the dump. What libweir.abi cannot hold is in frozen.c."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = HERE / "libweir.abi"
HEADERS = [ROOT / "lib/weir.h", ROOT / "lib/weir_plugin.h"]
# Nothing of the machine, and of where a declaration stands: so the next dump shows what has changed in the ABI.
PLAIN = ["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-architecture", "--no-elf-needed",
         "--no-parameter-names", "--exported-interfaces-only", "--drop-undefined-syms", "--type-id-style",
         "hash"]
WAY_OUT = ("If that is meant (a struct that grows at its end; or a break, which needs a new soversion): run ./dev abi, "
           "and commit tests/abi/libweir.abi with the change.")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def dump(library, out):
    """Only a folder that has nothing but our headers tells private types from public ones: of a header that is named by itself,
    the structs count as private too, because they have no tag, and lose their members."""
    with tempfile.TemporaryDirectory() as public:
        for header in HEADERS:
            shutil.copy(header, public)
        done = run("abidw", *PLAIN, "--headers-dir", public, "--drop-private-types", "--out-file", out, library)
    if done.returncode:
        return done.stderr or "abidw failed"
    out.write_text(re.sub(r"(<abi-instr [^>]*? path=')[^']*/", r"\1", out.read_text()))
    return hollow(out.read_text())


def hollow(text):
    """A dump in which a struct of weir.h has no members would let any change of it pass."""
    structs = re.findall(r"^\} (weir_\w+_t);", HEADERS[0].read_text(), re.M)
    bare = [name for name in structs if not re.search(rf"<class-decl name='{name}' size-in-bits=[^>]*>\s*<data-member", text)]
    if structs and not bare:
        return ""
    return f"The dump has no members of {', '.join(bare)}: is a call gone, or is there no debug info?"


def names(library):
    done = run("nm", "-D", "--defined-only", library)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}, done.stderr


def check_names(library):
    there, trouble = names(library)
    kept = set(re.findall(r"<elf-symbol name='(\w+)'", KEPT.read_text()))
    strange, gone = sorted(n for n in there if not n.startswith("weir_")), sorted(kept - there)
    if not there or not kept:
        return trouble or "There are no names."
    if strange:
        return f"Seen from outside, and not weir_*: {' '.join(strange)}. lib/libweir.map says what is seen."
    return f"Gone: {' '.join(gone)}. {WAY_OUT}" if gone else ""


def check_types(library):
    with tempfile.TemporaryDirectory() as tmp:
        now = pathlib.Path(tmp, "now.abi")
        trouble = dump(library, now)
        if trouble:
            return trouble
        done = run("abidiff", "--no-added-syms", KEPT, now)
    return f"{done.stdout}{done.stderr}\nThe ABI of libweir is not the kept one. {WAY_OUT}" if done.returncode else ""


def renew(library):
    """The sentence of what kept it from that, or None: what sys.exit() takes."""
    with tempfile.TemporaryDirectory() as tmp:
        now = pathlib.Path(tmp, "now.abi")
        trouble = dump(library, now)
        if not trouble:
            shutil.copyfile(now, KEPT)
    return trouble or None


def report(number, what, trouble):
    for line in trouble.splitlines():
        print(f"# {line}")
    print(f"{'not ok' if trouble else 'ok'} {number} - {what}")
    return bool(trouble)


def main(library, *words):
    if "--renew" in words:
        return renew(library)
    print(f"1..{1 + ('types' in words)}")
    bad = report(1, "only weir_*, and none is gone", check_names(library))
    if "types" in words:
        if shutil.which("abidiff"):
            bad |= report(2, "calls and types as kept", check_types(library))
        else:
            print("ok 2 - calls and types as kept # SKIP no abidiff")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
