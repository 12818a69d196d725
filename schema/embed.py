#!/usr/bin/env python3
"""Turns schema files into C: embed.py OUT SET FILE.. [SET FILE..]. See engine/store/migrate.h for what comes out.

A file is NNNN_name.sql: statements, each ended by `;`, and comments. From 0004 on its first lines say `-- oldest: N`, the oldest schema
whose programs may run on the database afterwards. This program refuses what cannot be applied again after a crash in its middle: on
a server, where each ALTER TABLE is done or not and commits by itself, a statement is one that may be repeated, or one whose effect can be
looked for.
"""
import pathlib
import re
import sys

OLDEST_FROM = 4
# The first file that shuts out programs of schema 3, which do not look at `oldest` when they join, has to begin with this: see
# docs/how-to/upgrade.md.
SHUT_OUT_3 = ["ALTER TABLE engine_node MODIFY COLUMN schema_no INT NOT NULL",
              "UPDATE engine_node SET state='DEAD', end_time=UTC_TIMESTAMP(6) WHERE state='LIVE' AND schema_no=3"]
ALTER = re.compile(r"ALTER TABLE `?(\w+)`? (.*)", re.S)
CLAUSE = re.compile(r"(ADD|DROP|MODIFY) (?:UNIQUE )?(COLUMN|KEY|INDEX) `?(\w+)`?\b")
AGAIN = re.compile(r"CREATE TABLE IF NOT EXISTS |CREATE OR REPLACE (?:SQL SECURITY INVOKER )?VIEW |DROP TABLE IF EXISTS |INSERT IGNORE |UPDATE |DELETE ")


def statements(text):
    """Without what stands between them. Comments inside stay: the database shows them."""
    out, start, i, quote = [], None, 0, None
    while i < len(text):
        c = text[i]
        if quote:
            quote = None if c == quote else quote
        elif text.startswith("--", i):
            i = text.index("\n", i)
            continue
        elif c in "'\"`":
            quote = c
        if start is None and not c.isspace():
            start = i
        if c == ";" and not quote:
            out.append(text[start:i])
            start = None
        i += 1
    if start is not None:
        raise SystemExit(f"the last statement has no `;`: {text[start:start + 60]}")
    return out


def clauses(text):
    """Of an ALTER TABLE: (ADD, COLUMN, name) and so on; None for one that is not known here."""
    plain = re.sub(r"'[^']*'|\([^)]*\)", "", text)
    return [m.groups() if m else None for m in map(CLAUSE.match, map(str.strip, plain.split(",")))]


def named(table, name, what):
    place, column = ("columns", "column_name") if what == "COLUMN" else ("statistics", "index_name")
    return f"EXISTS (SELECT 1 FROM information_schema.{place} WHERE table_schema=DATABASE() AND table_name='{table}' AND {column}='{name}')"


def done(kind, sql, where):
    """A query whose answer is not 0 when the statement's effect is there already; None: it may be repeated."""
    alter = ALTER.match(sql)
    parts = clauses(alter[2]) if alter else []
    if kind == "sqlite":  # in one transaction with its file; some databases got a column before its number
        if parts and parts[0] and parts[0][:2] == ("ADD", "COLUMN"):
            return f"SELECT count(*) FROM pragma_table_info('{alter[1]}') WHERE name='{parts[0][2]}'"
        return None
    if None in parts or not (alter or AGAIN.match(sql)):
        raise SystemExit(f"{where}: it cannot be known after a crash whether this was done: {sql[:100]}")
    looks = [("" if verb == "ADD" else "NOT ") + named(alter[1], name, what) for verb, what, name in parts if verb != "MODIFY"]
    return "SELECT " + "\n   AND ".join(looks) if looks else None


def literal(text):
    if text is None:
        return "0"
    text.encode("ascii")
    lines = text.split("\n")
    return "\n    ".join('"%s%s"' % (line.replace("\\", "\\\\").replace('"', '\\"'), "\\n" if i + 1 < len(lines) else "")
                        for i, line in enumerate(lines))


def read(path, last):
    """(version, oldest, name, [(sql, done)]); last: the same of the file before."""
    where, text = f"schema/{path.parent.name}/{path.name}", path.read_text()
    version = int(re.fullmatch(r"(\d{4})_\w+\.sql", path.name)[1])
    said = re.search(r"\A(?:--.*\n)*?-- oldest: (\d+)\n", text)
    oldest = int(said[1]) if said else 0
    if version <= last[0] or oldest > version or oldest < last[1] or (version >= OLDEST_FROM) != bool(said):
        raise SystemExit(f"{where}: its number, or its `-- oldest:`, does not fit to the file before")
    all_of_it = statements(text)
    if path.parent.name == "mysql" and last[1] == 3 < oldest and all_of_it[:2] != SHUT_OUT_3:
        raise SystemExit(f"{where}: it shuts out programs of schema 3, so it has to begin with:\n{';'.join(SHUT_OUT_3)};")
    return version, oldest, path.name, [(sql, done(path.parent.name, sql, where)) for sql in all_of_it]


def main():
    out, sets = ["/* Generated from schema/ by schema/embed.py. */", '#include "migrate.h"'], {}
    for word in sys.argv[2:]:
        if word.endswith(".sql"):
            files = list(sets.values())[-1]
            files.append(read(pathlib.Path(word), files[-1] if files else (0, 0)))
        else:
            sets[word] = []
    for name, files in sets.items():
        for version, _, _, steps in files:
            rows = ",\n".join(f"  {{{literal(sql)},\n   {literal(again)}}}" for sql, again in steps) or "  {0, 0}"
            out.append(f"static const struct schema_step {name}_{version}[] = {{\n{rows}}};")
        rows = ",\n".join(f'  {{"{file}", {version}, {oldest}, {name}_{version}, {len(steps)}}}' for version, oldest, file, steps in files)
        out.append(f"static const struct schema_file {name}_files[] = {{\n{rows}}};")
        out.append(f"const struct schema_set {name} = {{{name}_files, {len(files)}}};")
    pathlib.Path(sys.argv[1]).write_text("\n".join(out) + "\n", encoding="ascii")


main()
