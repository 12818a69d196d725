#!/usr/bin/env python3
"""libweir.a: one object in which only the calls of weir.h are seen, so that names of the engine cannot meet those of a program.

    archive.py OUT HEADER "CC .." OBJCOPY AR ARCHIVE..    all that is in the archives, as the compiler links it (-r)

An archive of plain objects cannot do that: what one object takes from another must be global in it."""
import pathlib
import re
import subprocess
import sys
import tempfile

out, header, compiler, objcopy, ar, *archives = sys.argv[1:]
calls = re.findall(r"^WEIR_API [^;]*?\b(weir_\w+)\(", pathlib.Path(header).read_text(), re.M)
with tempfile.TemporaryDirectory(dir=pathlib.Path(out).parent) as place:
    whole, seen = f"{place}/weir.o", f"{place}/seen"
    pathlib.Path(seen).write_text("".join(f"{name}\n" for name in calls))
    subprocess.run([*compiler.split(), "-r", "-nostdlib", "-o", whole, "-Wl,--whole-archive", *archives, "-Wl,--no-whole-archive"], check=True)
    subprocess.run([objcopy, f"--keep-global-symbols={seen}", whole], check=True)
    pathlib.Path(out).unlink(missing_ok=True)
    subprocess.run([ar, "rcsD", out, whole], check=True)
