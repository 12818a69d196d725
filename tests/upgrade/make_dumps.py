#!/usr/bin/env python3
"""Makes the dumps of this folder: make_dumps.py BINARY NAME writes NAME.sqlite.sql, NAME.sqlite-log.sql and NAME.mysql.sql.

The databases of a server of an older release, killed while flows are in every state that a database can hold. The binary is built with
LIMIT_BATCH_ROWS 20: a flow that starts 150 nodes then has some of them left for later batches (`more`) when it is killed.
"""
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
BINARY, NAME = sys.argv[1:]
os.environ["WEIR_BIN"] = BINARY
sys.path.insert(0, str(HERE.parent / "e2e"))
from live import Server, directory, shell, task, until  # noqa: E402
from services import MariaDb  # noqa: E402

LATER = '[ "$WEIR_ATTEMPT" -gt 1 ] || exec sleep 600'   # an attempt that lasts, and one after the upgrade that does not
QUEUED, RUNNING, RETRY_WAIT, SUCCESS = 3, 4, 5, 9
TABLES = """schema_version id_block definitions installation task task_history task_flow task_flow_history task_node task_node_edge task_use
            task_flow_ins task_node_ins task_ins task_alone task_async task_attempt task_context task_progress idempotency engine_node task_log""".split()


def call(server, method, path, body=None, key=None):
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    request = urllib.request.Request(server.url + path, json.dumps(body or {}).encode() if method == "POST" else None, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


def start(server, name, *nodes, key=None):
    flow = call(server, "POST", "/flow", {"flowName": name, "flowNodes": list(nodes)}, key=key and f"save-{key}")
    return call(server, "POST", f"/exec/flow/{flow['flowId']}", key=key and f"start-{key}")["fiId"]


def several(key, *tasks, **more):
    return {"nodeKey": key, "nodeType": "TASK", **more,
            "tasks": [{"taskName": f"{key}{i}", "taskType": kind, "taskContent": content} for i, (kind, content) in enumerate(tasks)]}


def alone(server, name, kind, content, body=None, key=None):
    saved = call(server, "POST", "/task", {"taskName": name, "taskType": kind, "taskContent": content})["taskId"]
    call(server, "POST", f"/exec/task/{saved}", body, key)
    return saved


def fill(server, ask):
    """Flows in every state. ask(sql) is the first column of the answer."""
    def states(fi):
        return sorted(ask(f"SELECT state FROM task_ins WHERE fi_id={fi}"))

    def done(fi):
        until(f"flow {fi} ends", lambda: call(server, "GET", f"/monitor/flow/{fi}")["status"] != "RUNNING")

    done(start(server, "ended", task("a", "ECHO", "one"), task("b", "ECHO", "two", "a"), key="ended"))
    done(start(server, "failed", shell("a", "echo out; exit 3"), task("b", "ECHO", "never", "a")))
    done(start(server, "any", several("a", ("ECHO", "first"), ("WAIT", "600"), complete="any", rest="cancel"), task("b", "ECHO", "on", "a")))
    alone(server, "said", "ECHO", "alone", key="alone")
    retry = start(server, "retry", {**shell("a", 'echo try; [ "$WEIR_ATTEMPT" -gt 1 ]'), "attempts": 3, "backoff": {"base": "60s", "jitter": "none"}},
                  task("b", "ECHO", "on", "a"))
    until("a pause", lambda: states(retry) == [RETRY_WAIT])
    start(server, "runs", task("z", "ECHO", "before"), shell("a", "echo begun; " + LATER, "z"), task("b", "ECHO", "on", "a"), key="runs")
    slow = alone(server, "slow", "SHELL", LATER, {"params": {"to": "you"}})
    until("both slots are used", lambda: ask(f"SELECT count(*) FROM task_ins WHERE owner<>0 AND state={RUNNING}") == [2])
    start(server, "queued", shell("a", "exit 0"))
    start(server, "late", shell("a", "exit 0", taskConfig={"queueTimeout": "60s"}))
    call(server, "POST", f"/exec/task/{slow}")
    both = start(server, "join", several("a", ("ECHO", "1"), ("SHELL", "exit 0"), complete="all", prevNodes=[]), {**task("b", "ECHO", "2"), "prevNodes": []},
                 task("c", "ECHO", "joined", "a", "b"))
    until("it waits for a slot", lambda: states(both) == [QUEUED, SUCCESS, SUCCESS])


def kill_with_more(server, ask):
    """Starts a wide flow and kills the server between two of its batches."""
    wide = call(server, "POST", "/flow", {"flowName": "wide", "flowNodes": [task("root", "ECHO", "0"),
                *(task(f"n{i}", "ECHO", "", "root") for i in range(150))]})["flowId"]
    more = f"SELECT fi_id FROM task_flow_ins WHERE flow_id={wide} AND more_from IS NOT NULL"
    for _ in range(100):
        starter = threading.Thread(target=lambda: call(server, "POST", f"/exec/flow/{wide}"), daemon=True)
        starter.start()
        while starter.is_alive() or ask(f"SELECT fi_id FROM task_flow_ins WHERE flow_id={wide} AND state<4"):
            if not ask(more):
                continue
            server.signal(signal.SIGSTOP)
            if ask(more):
                server.kill()
                return
            server.signal(signal.SIGCONT)
    raise SystemExit("it was never seen between two batches")


def make(store, ask):
    with directory() as tmp:
        os.chmod(tmp, 0o755)
        server = Server(tmp / "data", "--store", store, "--run-as", "nobody", "--slots", 2, "--async-slots", 3, "--lease", "10s", dev=False)
        server.token = (tmp / "data" / "weir.token").read_text().strip()
        try:
            fill(server, ask)
            kill_with_more(server, ask)
        finally:
            server.kill()
        print(store.split(":")[0], "token", server.token)


def write(store, text):
    """Without the names of the machine that it was made on."""
    text = re.sub(r"/tmp/weir-e2e-\w+/data", "/var/lib/weir", re.sub(rf"'{socket.gethostname()}\b", "'elder", text))
    (HERE / f"{NAME}.{store}.sql").write_text(text)


def inserts(table, columns, rows):
    for i in range(0, len(rows), 20):
        yield f"INSERT INTO {table} ({','.join(columns)}) VALUES\n" + ",\n".join(f"({','.join(row)})" for row in rows[i:i + 20]) + ";\n"


# ---- SQLite ----
def sqlite_text(path):
    db = sqlite3.connect(path)
    out = [f"PRAGMA {p}={db.execute(f'PRAGMA {p}').fetchone()[0]};\n" for p in ("application_id", "user_version")]
    out += [sql + ";\n" for sql, in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")]
    for table, in db.execute("SELECT name FROM sqlite_schema WHERE type='table' ORDER BY rowid").fetchall():
        columns = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
        out += inserts(table, columns, db.execute(f"SELECT {','.join(f'quote({c})' for c in columns)} FROM {table}").fetchall())
    db.close()
    return "".join(out)


def sqlite():
    with directory() as tmp:
        path = f"{tmp}/weir.db"
        os.chmod(tmp, 0o755)
        opened = []

        def ask(sql):
            if not opened:
                opened.append(sqlite3.connect(path, timeout=10, isolation_level=None))
            return [row[0] for row in opened[0].execute(sql).fetchall()]

        make(f"sqlite:{path}", ask)
        print(opened[0].execute("SELECT state, count(*) FROM task_ins GROUP BY state").fetchall(), ask("SELECT more_from FROM task_flow_ins"))
        opened[0].close()
        write("sqlite", sqlite_text(path))
        write("sqlite-log", sqlite_text(f"{path}-log"))


# ---- MariaDB ----
def literal(kind, column):
    """An expression whose text is the value as a literal."""
    if kind == "binary" or kind.endswith("blob"):
        return f"IFNULL(CONCAT('x\\'',HEX(`{column}`),'\\''),'NULL')"
    return f"IFNULL(`{column}`,'NULL')" if kind.endswith("int") else f"QUOTE(`{column}`)"


def mysql_table(db, table):
    columns = db.sql("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema='weir' AND "
                     f"table_name='{table}' AND IFNULL(generation_expression,'')='' ORDER BY ordinal_position")
    row = ",'\t',".join(literal(kind, name) for name, kind in columns)
    text = subprocess.run([*db.client(), "--raw", "-e", f"SET time_zone='+00:00'; SELECT CONCAT({row}) FROM {table}"], check=True, capture_output=True, text=True)
    made = subprocess.run([*db.client(), "--raw", "-e", f"SHOW CREATE TABLE {table}"], check=True, capture_output=True, text=True).stdout
    return made.split("\t", 1)[1].rstrip("\n") + ";\n" + "".join(inserts(table, [f"`{name}`" for name, _ in columns],
                                                                        [line.split("\t") for line in text.stdout.splitlines()]))


def mysql():
    with directory() as tmp:
        db = MariaDb(tmp)
        session = subprocess.Popen([*db.client(), "--unbuffered", "--raw"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def ask(sql):
            session.stdin.write(f"{sql}; SELECT 'no more';\n")
            session.stdin.flush()
            rows = []
            for line in session.stdout:
                if line == "no more\n":
                    return [int(r) if r.isdigit() else r for r in rows]
                rows.append(line.rstrip("\n").split("\t")[0])
            raise SystemExit("the session ended")

        try:
            make(db.url, ask)
            print(db.sql("SELECT state, count(*) FROM task_ins GROUP BY state"), ask("SELECT more_from FROM task_flow_ins"))
            session.stdin.close()
            session.wait(60)
            there = [row[0] for row in db.sql("SHOW TABLES")]
            write("mysql", "SET NAMES utf8mb4;\nSET time_zone='+00:00';\n" + "".join(mysql_table(db, table) for table in TABLES if table in there))
        finally:
            db.stop()


sqlite()
mysql()
