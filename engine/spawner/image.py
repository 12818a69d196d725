#!/usr/bin/env python3
"""image.py PROGRAM HEADER: the program as bytes in C."""
import pathlib
import sys

data = pathlib.Path(sys.argv[1]).read_bytes()
lines = (",".join(map(str, data[i:i + 4096])) for i in range(0, len(data), 4096))
pathlib.Path(sys.argv[2]).write_text("static const unsigned char spawner_image[] = {\n" + ",\n".join(lines) + "};\n")
