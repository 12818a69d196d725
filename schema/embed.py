#!/usr/bin/env python3
"""Turns a text file into a C array: embed.py NAME IN OUT. The array ends with a NUL that its length does not count."""
import sys

name, source, target = sys.argv[1:]
data = open(source, "rb").read()
lines = [", ".join(str(b) for b in data[i:i + 20]) for i in range(0, len(data), 20)]
with open(target, "w", encoding="ascii") as out:
    out.write("/* Generated from %s by schema/embed.py. */\n" % source.split("schema/")[-1])
    out.write("static const char %s[] = {\n  %s,\n  0};\n" % (name, ",\n  ".join(lines)))
