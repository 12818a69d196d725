"""The chapters of the recorded tour: see tour.py. Each is played on a server of its own, so that ids count from 1.

Where an answer depends on how far a task is, that task is held: it is a SHELL script that waits for a file, which the tour makes
(gate).
"""
import json
from urllib.parse import quote_plus

CHAPTERS = {}
START, END = {"nodeType": "START"}, {"nodeType": "END"}
IDS = ("GET /flow/%s", "DELETE /flow/%s", "GET /task/%s", "DELETE /task/%s", "POST /exec/flow/%s", "POST /exec/task/%s",
       "POST /exec/flow-ins/%s/cancel", "POST /exec/task-ins/%s/cancel", "GET /monitor/flow/%s", "POST /monitor/flow/detail/%s",
       "GET /monitor/node/%s", "GET /monitor/task/%s", "GET /monitor/task/%s/log")
ROUTES = ("POST /flow", "GET /flow", "POST /task", "GET /task", "POST /exec/flows", "POST /monitor/flow", "GET /monitor/flow",
          *(r % 1 for r in IDS))


def chapter(**options):
    def add(fn):
        fn.options = options
        CHAPTERS[fn.__name__] = fn
        return fn
    return add


def gate(name):
    """A script that waits for the file."""
    return f"until test -e {name}; do sleep 0.02; done"


def one(kind="ECHO", content="x", **node):
    """A TASK node with one inline task."""
    return {"nodeType": "TASK", "tasks": [{"taskName": "t", "taskType": kind, "taskContent": content}], **node}


def keyed(key, *parents, **more):
    return one(nodeKey=key, prevNodes=list(parents), **more)


def saved(t, kind="ECHO", content="x", note="", **more):
    body = {"taskName": more.pop("name", "t"), "taskType": kind, "taskContent": content, **more}
    return t.post("/task", {k: v for k, v in body.items() if v is not None}, note=note).data["taskId"]


def flow(t, *nodes, note="", **more):
    return t.post("/flow", {"flowName": more.pop("name", "f"), "flowNodes": list(nodes), **more}, note=note).data["flowId"]


def start(t, flow_id, body=None, **kw):
    return t.post(f"/exec/flow/{flow_id}", body, **kw).data["fiId"]


def began(t, fi, place=0, state="RUNNING"):
    """The first task of that node once it is so far; its tiId."""
    return t.node_tasks(fi, place, lambda tasks: tasks and tasks[0]["state"] == state)[0]["tiId"]


def shown(t, fi, note=""):
    """All that the monitor says of a run."""
    nodes = t.get(f"/monitor/flow/{fi}", note=note).data["nodes"]
    for n in nodes:
        for task in t.get(f"/monitor/node/{n['niId']}").data:
            t.get(f"/monitor/task/{task['tiId']}")


@chapter()
def tasks(t):
    """Definitions of tasks."""
    t.get("/task", note="nothing yet")
    saved(t, note="the least that a task may say")
    t.post("/task", {"taskName": "all of it", "taskDescription": "what\nit does", "taskType": "SHELL",
                     "taskContent": "echo \"$W_a\"",
                     "taskConfig": {"attempts": 3, "backoff": {"base": "2s", "factor": 1.5, "max": "1m", "jitter": "equal"},
                                    "timeout": "90s",
                                    "queueTimeout": 60, "onLost": "fail", "env": {"A": "1", "B": ""}, "cwd": "/tmp",
                                    "stdin": "in", "grace": "1s",
                                    "log": 1024, "stderr": "apart", "umask": "0027",
                                    "rlimits": {"nofile": 64, "cpu": {"soft": 1, "hard": 2}}}})
    t.post("/task", {"taskName": "argv", "taskType": "SHELL", "taskConfig": {"argv": ["/bin/echo", "a b", ""]}})
    t.post("/task", {"taskName": "a text that holds the settings", "taskType": "ECHO", "taskConfig": '{"attempts": 2}'})
    t.post("/task", {"taskName": "no settings", "taskType": "ECHO", "taskConfig": ""})
    for kind in ("WAIT", "EXCEPTION"):
        t.post("/task", {"taskName": kind.lower(), "taskType": kind})
    for text in ("' OR 1=1 --", "%", "_", "\\", '"', "\U0001f600 \u00e9\u4e2d", "a%00b", "${{x}}</script>", "x" * 128,
                 "\u00e9" * 128):
        saved(t, name=text, content=text, taskDescription=text)
    t.get("/task/8", note="texts are texts")
    t.get("/task/14")
    t.post("/task", {"taskId": 1, "taskContent": "y"}, note="edits: fields left out keep their value")
    t.post("/task", {"taskId": 1, "taskVersion": 2, "taskName": "renamed", "taskDescription": "d"})
    t.post("/task", {"taskId": 1, "taskVersion": 2, "taskName": "stale"})
    t.post("/task", {"taskId": 1})
    t.post("/task", {"taskId": 1, "taskType": "WAIT", "taskContent": "1s", "taskConfig": {"attempts": 2}})
    t.post("/task", {"taskId": 1, "taskConfig": {}})
    whole = t.get("/task/1").data
    t.post("/task", whole, note="what was answered can be posted")
    t.post("/task", {"taskId": 1, "taskType": "ECHO", "taskContent": None})
    for query in ("limit=3", "limit=3&offset=3&total=true", "name=t", "name=T", "name=%25", "name=_", "name=%5C", "name=%27",
                  "type=WAIT", "type=SHELL&total=true",
                  "name=x&type=ECHO", "type=NOPE", "name=none", "offset=1000", "name=%C3%A9", "name=" + "x" * 128):
        t.get(f"/task?{query}")
    for query in ("name=", "name=" + "x" * 129, "name=%FF", "name=%", "name=%2", "name=%zz", "limit=0", "limit=501", "limit=x",
                  "limit=", "offset=-1",
                  "total=yes", "sort=1", "flowId=1", "limit=1&limit=2", "type="):
        t.get(f"/task?{query}")
    t.delete("/task/2")
    t.delete("/task/2", note="again")
    t.get("/task/2")
    t.post("/task", {"taskId": 2, "taskName": "back"})
    t.post("/exec/task/2")
    t.get("/task?limit=2&type=SHELL")
    for name in ("", " ", " a", "a ", "x" * 129, "a\tb", "a\nb", "a\x7fb", "a\u202eb", "a\u0085b"):
        t.post("/task", {"taskName": name, "taskType": "ECHO"})
    for more in ({"taskName": 1}, {"taskType": "NOPE"}, {"taskType": "echo"}, {"taskType": 1}, {"taskContent": 1},
                 {"taskDescription": "x" * 4097},
                 {"taskContent": "x" * 65537}, {"taskConfig": 7}, {"taskConfig": "{"}, {"taskConfig": "[]"},
                 {"taskConfig": {"x": 1}},
                 {"taskId": 0}, {"taskId": -1}, {"taskId": "1"}, {"taskId": 999}, {"taskId": 1, "taskVersion": 0},
                 {"taskVersion": 1},
                 {"taskNme": "x"}, {"name": "x"}, {"command": "x"}, {"depends_on": 1}, {"zzz": 1},
                 {"taskType": "\x1b[31m\u202e"}):
        t.post("/task", {"taskName": "x", "taskType": "ECHO", **more})
    t.post("/task", {"taskType": "ECHO"})
    t.post("/task", {"taskName": "x"})
    for config in ({"attempts": 0}, {"attempts": 102}, {"attempts": 1.5}, {"attempts": "2"}, {"timeout": 0}, {"timeout": "8d"},
                   {"timeout": "x"},
                   {"timeout": 1, "runTimeout": 1}, {"queueTimeout": -1}, {"onLost": "x"}, {"backoff": 1},
                   {"backoff": {"base": 0}},
                   {"backoff": {"factor": 101}}, {"backoff": {"jitter": "x"}}, {"backoff": {"x": 1}},
                   {"backoff": {"base": "2s", "max": "1s"}},
                   {"env": {"LD_PRELOAD": "x"}}, {"env": {"WEIR_X": "x"}}, {"env": {"1A": "x"}}, {"env": {"A": 1}}, {"env": []},
                   {"cwd": "relative"},
                   {"stdin": 1}, {"user": "nobody-of-that-name"}, {"grace": "2h"}, {"log": -1}, {"stderr": "x"},
                   {"umask": "999"}, {"umask": 22},
                   {"rlimits": {"x": 1}}, {"rlimits": {"cpu": {"soft": 2, "hard": 1}}}, {"argv": []}, {"argv": [1]},
                   {"argv": ["x"]}, {"retries": 1},
                   {"shell": "bash"}):
        t.post("/task", {"taskName": "x", "taskType": "SHELL", "taskContent": "true", "taskConfig": config})
    t.post("/task", {"taskName": "x", "taskType": "SHELL", "taskContent": ""})
    t.post("/task", {"taskName": "x", "taskType": "SHELL"})
    t.post("/task", {"taskName": "x", "taskType": "ECHO", "taskConfig": {"env": {}}}, note="a setting of another type")
    for content in ("abc", "-5", "1e9", "5 m", "8d", "", "0", "0.5", "1e-3"):
        t.post("/task", {"taskName": "x", "taskType": "WAIT", "taskContent": content})


@chapter()
def flows(t):
    """Definitions of flows."""
    t.get("/flow", note="nothing yet")
    flow(t, note="no node at all")
    flow(t, START, END)
    flow(t, START, one(), one("WAIT", "0"), END, note="a chain")
    flow(t, keyed("a"), keyed("b", "a"), keyed("c", "a"), keyed("d", "b", "c"), note="a diamond", flowDescription="of four",
         onFailure="cancel", timeout="1h")
    for name in ("by id", "by id too"):
        saved(t, name=name)
    flow(t, {"taskIds": "1,2"}, {"tasks": [{"taskId": 1, "taskName": "ignored"}], "complete": "all"}, note="tasks by id")
    node = one("SHELL", "true", nodeKey="a", attempts=3, timeout="1500ms", complete="all", rest="cancel",
               backoff={"base": "1s", "factor": 3, "max": "1m", "jitter": "none"})
    node["tasks"][0]["taskConfig"] = {"env": {"A": "1"}, "grace": "1s"}
    node["tasks"][0]["taskDescription"] = "inline"
    flow(t, node, {**one(), "prevNodes": []}, {**one(), "nodeKey": "z", "prevNodes": ["a", "n2"]}, onFailure="stop_new",
         timeout=3600, note="every setting")
    flow(t, {**START, "nodeKey": "s"}, keyed("x" * 128, "s"), keyed("-.:_9", "x" * 128),
         {**END, "nodeKey": "e", "prevNodes": ["-.:_9"]})
    for text in ("' OR 1=1 --", "\U0001f600 \u00e9\u4e2d", "%", "\\\"</script>"):
        flow(t, one(content=text), name=text, flowDescription=text)
    two = [{"taskName": "t", "taskType": "ECHO", "taskContent": "x"}] * 2
    flow(t, {"nodeKey": "both", "tasks": two}, {"nodeKey": "said", "tasks": two, "complete": "any"}, note="a warning")
    flow(t, *[{"tasks": two} for _ in range(25)], note="many warnings")
    for i in (1, 4, 5, 6, 9):
        t.get(f"/flow/{i}")
    t.post("/flow", {"flowId": 3, "flowName": "renamed"}, note="edits")
    t.post("/flow", {"flowId": 3, "flowVersion": 2, "flowNodes": [one(nodeKey="other")]})
    t.post("/flow", {"flowId": 3, "flowVersion": 2, "flowName": "stale"})
    t.post("/flow", {"flowId": 3})
    t.post("/flow", {"flowId": 3, "onFailure": "stop_new", "timeout": "2h"})
    t.post("/flow", {"flowId": 3, "flowTimeout": 60})
    t.post("/flow", t.get("/flow/6").data, note="what was answered can be posted")
    t.post("/task", {"taskId": 1, "taskName": "renamed"})
    t.get("/flow/5", note="tasks by id are shown as they are now")
    t.delete("/task/1", note="in use")
    for query in ("limit=3", "limit=3&offset=3&total=true", "name=f", "name=RENAMED", "name=%25", "name=%F0%9F%98%80",
                  "flowId=4", "flowId=999", "offset=100", "name=none",
                  "name=by+id"):
        t.get(f"/flow?{query}")
    for query in ("flowId=0", "flowId=x", "flowId=1&flowId=2", "status=RUNNING", "nodes=false", "limit=501", "flowName=x",
                  "FlowId=1", "name=%C3"):
        t.get(f"/flow?{query}")
    t.delete("/flow/5")
    t.delete("/flow/5", note="again")
    t.get("/flow/5")
    t.post("/flow", {"flowId": 5, "flowName": "back"})
    t.post("/exec/flow/5")
    t.delete("/task/1", note="in use no more")
    t.delete("/task/2")
    for nodes in ([START, START, END], [START, one(), END, END], [{**START, "nodeKey": "s", "prevNodes": ["a"]}, keyed("a")],
                  [{**END, "nodeKey": "e"}, keyed("a", "e")], [{"nodeType": "OTHER"}], [keyed("a", "a")],
                  [keyed("a", "c"), keyed("b", "a"), keyed("c", "b"), keyed("d")], [keyed("a", "nowhere")],
                  [keyed("a"), keyed("a")], [keyed("")],
                  [keyed("a b")], [keyed("x" * 129)], [keyed("\u00e9")], [{**START, "nodeKey": "s"}, keyed("a", "s"),
                                                                          keyed("b")],
                  [keyed("a"), keyed("b"), {**END, "nodeKey": "e", "prevNodes": ["a"]}], [keyed("a"), keyed("b", "a", "a")],
                  [{}], [{"nodeType": "TASK", "tasks": []}],
                  [{"taskIds": "1,,2"}], [{"taskIds": "3, 4"}], [{"taskIds": ""}], [{"taskIds": "0"}], [{"taskIds": "3,3"}],
                  [{"taskIds": "999"}],
                  [{"taskIds": 1}], [{"taskIds": "1"}], [{"taskIds": "3", "tasks": two}], [one(), {"taskIds": "1,999"}],
                  [{**START, "taskIds": "1"}],
                  [one(complete=0)], [one(complete=2)], [one(complete="most")], [one(complete=1.5)], [one(rest="stop")],
                  [one("NOPE")], [one("WAIT", "x")],
                  [one(attempts=0)], [one(timeout="8d")], [one(backoff={"jitter": "x"})], [{**one(), "task": 1}],
                  [{**one(), "dependsOn": []}],
                  [{"tasks": [{"taskName": "x"}]}], [{"tasks": [{"taskType": "ECHO", "x": 1}]}], [{"tasks": [7]}],
                  [{"tasks": {}}], [7],
                  [{"tasks": [{"taskId": 999}]}], [{"tasks": [{"taskId": 3}, {"taskType": "ECHO"}]}], [one(prevNodes="a")],
                  [one(prevNodes=[1])], {}, "x"):
        t.post("/flow", {"flowName": "x", "flowNodes": nodes})
    for body in ({"flowName": "x"}, {"flowNodes": []}, {"flowName": "", "flowNodes": []},
                 {"flowName": "x", "flowNodes": [], "onFailure": "explode"},
                 {"flowName": "x", "flowNodes": [], "timeout": 0}, {"flowName": "x", "flowNodes": [], "timeout": 1,
                                                                    "flowTimeout": 1},
                 {"flowName": "x", "flowNodes": [], "status": "RUNNING"}, {"flwName": "x"}, {"dag_id": "x", "tasks": []},
                 {"flowId": 999, "flowName": "x"},
                 {"flowName": "x", "flowNodes": [], "flowDescription": "x" * 4097}, {"flowName": "x", "flowNodes": [],
                                                                                     "flowVersion": 1}):
        t.post("/flow", body)
    wide = [{"nodeKey": f"w{i}", "prevNodes": [], "tasks": two[:1]} for i in range(300)]
    wide.append({"nodeKey": "join", "prevNodes": [n["nodeKey"] for n in wide], "tasks": two[:1]})
    made = flow(t, *wide, name="wide", note="a large one")
    t.get(f"/flow/{made}")


@chapter()
def runs(t):
    """Runs of flows and tasks: starts, re-runs, cancels, and what the monitor says of what has ended."""
    chain = flow(t, one(content="first", nodeKey="a"), one("WAIT", "1ms", nodeKey="b"),
                 one("SHELL", "echo out; echo err >&2", nodeKey="c"))
    fi = start(t, chain)
    t.flow_ends(fi)
    shown(t, fi, note="a chain")
    t.flow_ends(start(t, chain, {}))
    t.flow_ends(start(t, chain, {"params": {}}))
    params = {"text": "$(id); 'x' \"\u00e9\U0001f600", "n": -9007199254740993, "x": 19.99, "e": 1e300, "yes": True, "no": False,
              "_A9": ""}
    t.flow_ends(start(t, chain, {"params": params}, note="parameters"))
    t.get("/monitor/flow/4?nodes=false")
    empty = flow(t, START, END)
    t.post(f"/exec/flow/{empty}", note="no node: it has ended at once")
    diamond = flow(t, keyed("a"), {**keyed("b", "a"), **one("EXCEPTION", "no \u00e9 \"way\"")}, keyed("c", "a"),
                   keyed("d", "b", "c"))
    fi = start(t, diamond, note="a failure")
    t.flow_ends(fi)
    shown(t, fi)
    t.post(f"/exec/flow/{diamond}", {"fiId": fi}, moving=True, note="re-runs")
    t.flow_ends(fi)
    shown(t, fi)
    t.get(f"/monitor/flow/{fi}?runs=all")
    t.get(f"/monitor/flow/{fi}?runs=newest&limit=2")
    b = t.get(f"/monitor/flow/{fi}").data["nodes"][1]["niId"]
    t.post(f"/exec/flow/{diamond}", {"fiId": fi, "niId": b}, moving=True)
    t.flow_ends(fi)
    t.post(f"/monitor/flow/detail/{fi}?runs=all")
    t.post(f"/monitor/flow/detail/{fi}", {"limit": 2, "offset": 1, "total": True})
    t.post(f"/monitor/flow/detail/{fi}", {"runs": "all", "limit": 3})
    t.post(f"/exec/flow/{chain}", {"fiId": 1}, note="of a SUCCESS run")
    t.post(f"/exec/flow/{chain}", {"fiId": fi})
    t.post(f"/exec/flow/{chain}", {"fiId": 999})
    t.post("/exec/flow/999", {"fiId": 1})
    t.post(f"/exec/flow/{chain}", {"fiId": 1, "niId": b})
    t.post(f"/exec/flow/{chain}", {"fiId": 1, "niId": 999})
    t.post(f"/exec/flow/{chain}", {"niId": 1})
    t.post(f"/exec/flow/{chain}", {"fiId": 1, "params": {}})
    t.post(f"/exec/flow/{chain}", {"fiId": 0})
    t.post(f"/exec/flow/{chain}", {"fiId": 1, "niId": 2}, moving=True, note="from the middle")
    t.flow_ends(1)
    shown(t, 1)
    for params in ({"a": {}}, {"a": []}, {"a": None}, {"1a": 1}, {"": 1}, {"a b": 1}, {f"p{i}": 1 for i in range(257)},
                   {"a": "x" * 70000}, {"a": 10 ** 30}, [], 1, None):
        t.post(f"/exec/flow/{chain}", {"params": params})
    for body in ({"param": {}}, {"conf": {}}, {"x": 1}, {"fiId": "1"}):
        t.post(f"/exec/flow/{chain}", body)
    for policy in ("continue", "stop_new", "cancel"):
        fi = start(t, flow(t, keyed("bad", attempts=1), keyed("slow"), keyed("after", "slow"), keyed("below", "bad"),
                           onFailure=policy))
        t.flow_ends(fi)
    for policy in ("continue", "stop_new", "cancel"):
        held = flow(t, {**keyed("bad"), **one("EXCEPTION", "bad")}, {**keyed("held"), **one("SHELL", gate(policy))},
                    keyed("after", "held"), keyed("below", "bad"),
                    onFailure=policy)
        fi = start(t, held)
        if policy != "cancel":
            began(t, fi, 1)
            t.node_tasks(fi, 0, lambda tasks: tasks and tasks[0]["state"] == "FAILED")
        t.open_gate(policy)
        t.flow_ends(fi)
        if policy != "cancel":
            t.get(f"/monitor/flow/{fi}", note=f"onFailure {policy}")
    two = [{"taskName": kind, "taskType": kind, "taskContent": content} for kind,
           content in (("EXCEPTION", "no"), ("ECHO", "yes"))]
    for complete in ("any", "all", 2, 1):
        fi = start(t, flow(t, {"nodeKey": "k", "tasks": two, "complete": complete}))
        t.flow_ends(fi)
        t.get(f"/monitor/flow/{fi}", note=f"complete {complete}")
    node = one("SHELL", 'test "$WEIR_ATTEMPT" = 3', nodeKey="k", attempts=3, backoff={"base": "1ms", "max": "1ms",
                                                                                      "jitter": "none"})
    fi = start(t, flow(t, node))
    t.flow_ends(fi)
    shown(t, fi, note="the third attempt")
    fi = start(t, flow(t, one("SHELL", "sleep 1000", nodeKey="k", timeout="50ms")))
    t.flow_ends(fi)
    shown(t, fi, note="a timeout")
    fi = start(t, flow(t, one("WAIT", "1h"), timeout="50ms"))
    t.flow_ends(fi)
    shown(t, fi, note="a timeout of the flow")
    for script in ("exit 7", "exit 125", "kill -9 $$", "printf '\\377\\001' > $WEIR_OUTPUT", "printf a\\\\nb > $WEIR_OUTPUT",
                   "head -c 1100000 /dev/zero > $WEIR_OUTPUT",
                   "printf %1100d 0 >&2; exit 1"):
        ti = t.post(f"/exec/task/{saved(t, 'SHELL', script)}", moving=True).data["tiId"]
        t.task_ends(ti)
        t.get(f"/monitor/task/{ti}")
    for config in ({"argv": ["/bin/echo", "a b"]}, {"argv": ["/nowhere/at/all"]}, {"argv": ["/bin/cat"], "stdin": "in"},
                   {"argv": ["/bin/pwd"], "cwd": "/"},
                   {"argv": ["/bin/true"], "cwd": "/nowhere"}):
        ti = t.post(f"/exec/task/{saved(t, 'SHELL', None, taskConfig=config)}", moving=True).data["tiId"]
        t.task_ends(ti)
        t.get(f"/monitor/task/{ti}")
        t.get(f"/monitor/task/{ti}/log")
    alone = saved(t, "ECHO", "hi")
    for body in (None, {}, {"params": {"a": 1, "b": "\u00e9"}}):
        ti = t.post(f"/exec/task/{alone}", body, moving=True).data["tiId"]
        t.task_ends(ti)
        t.get(f"/monitor/task/{ti}")
    for body in ({"params": 1}, {"parameters": {}}, {"fiId": 1}, {"params": {"a": []}}):
        t.post(f"/exec/task/{alone}", body)
    t.post(f"/exec/task-ins/{ti}/cancel", note="it has ended")
    t.post("/exec/flow-ins/1/cancel")
    t.post("/exec/flow-ins/1/cancel", {"x": 1})
    t.post("/exec/task-ins/1/cancel", {"x": 1})
    t.post("/exec/flows", {"starts": []}, note="many at once")
    found = t.post("/exec/flows", {"starts": [{"flowId": chain}, {"flowId": diamond, "params": {"i": 1}},
                                              {"flowId": empty}]}).data
    for fi in found:
        t.flow_ends(fi)
    t.get(f"/monitor/flow/{found[1]}")
    for starts in ([{"flowId": 999}], [{"flowId": chain}, {"flowId": chain, "params": {"a": []}}], [{}], [7], [{"flowId": "1"}],
                   [{"flowId": 0}], [{"flowId": chain, "x": 1}],
                   [{"flowId": chain}] * 1001, {}, None):
        t.post("/exec/flows", {"starts": starts})
    t.post("/exec/flows", {})
    t.delete(f"/flow/{chain}", note="deleted: its runs can still be read")
    t.post(f"/exec/flow/{chain}")
    t.post(f"/exec/flow/{chain}", {"fiId": 2})
    t.get("/monitor/flow/2")
    t.delete(f"/task/{alone}")
    t.post(f"/exec/task/{alone}")
    t.get(f"/monitor/task/{ti}")


@chapter()
def states(t):
    """What runs, waits, is asked to end: held by gates, on two slots for processes."""
    one_slot, other = (flow(t, one("SHELL", gate(name), nodeKey="k"), one(nodeKey="after")) for name in ("first", "second"))
    fi1, fi2 = start(t, one_slot), start(t, other)
    ti1 = began(t, fi1)
    began(t, fi2)
    shown(t, fi1, note="running")
    third = flow(t, one("SHELL", gate("third"), nodeKey="k"))
    fi3 = start(t, third, note="no slot is free")
    ti3 = began(t, fi3, state="QUEUED")
    shown(t, fi3)
    queued = saved(t, "SHELL", "true", taskConfig={"queueTimeout": "1h"})
    ti4 = t.post(f"/exec/task/{queued}", note="one alone is queued").data["tiId"]
    t.get(f"/monitor/task/{ti4}")
    t.get(f"/monitor/task/{ti4}/log")
    late = saved(t, "SHELL", "true", taskConfig={"queueTimeout": "50ms"})
    ti5 = t.post(f"/exec/task/{late}", moving=True).data["tiId"]
    t.task_ends(ti5)
    t.get(f"/monitor/task/{ti5}", note="it was queued for too long")
    for state in ("RUNNING", "QUEUED", "SUCCESS"):
        t.get(f"/monitor/node/{t.wait(f'/monitor/flow/{fi3}', bool)['nodes'][0]['niId']}?state={state}")
    t.post("/flow", {"flowId": third, "flowName": "edited while it runs", "flowNodes": [one()]})
    t.get(f"/monitor/flow/{fi3}")
    t.delete(f"/flow/{third}", note="active")
    t.delete(f"/task/{queued}")
    t.post(f"/exec/flow/{third}", {"fiId": fi3})
    t.post(f"/exec/task-ins/{ti4}/cancel", note="cancels of what is queued")
    t.post(f"/exec/task-ins/{ti4}/cancel")
    t.get(f"/monitor/task/{ti4}")
    t.post(f"/exec/task-ins/{ti3}/cancel", moving=True)
    t.flow_ends(fi3)
    shown(t, fi3)
    t.post(f"/exec/flow-ins/{fi3}/cancel", note="it failed")
    t.open_gate("first")
    t.flow_ends(fi1)
    shown(t, fi1, note="the gate is open")
    node = one("EXCEPTION", "once", nodeKey="k", attempts=2, backoff={"base": "1h", "max": "1h", "jitter": "none"})
    fi = start(t, flow(t, node, one()), note="between two attempts")
    began(t, fi, state="RETRY_WAIT")
    shown(t, fi)
    t.post(f"/exec/flow-ins/{fi}/cancel", {}, note="cancels at once")
    t.flow_ends(fi)
    t.post(f"/exec/flow-ins/{fi}/cancel")
    shown(t, fi)
    node = one("SHELL", f"exec 2>&-; trap : TERM; touch trapped; {gate('term')}; exit 3", nodeKey="k")
    node["tasks"][0]["taskConfig"] = {"grace": "1h"}
    stubborn = flow(t, node, one(nodeKey="after"))
    fi = start(t, stubborn)
    ti = began(t, fi)
    t.file_is_there("trapped")
    t.post(f"/exec/flow-ins/{fi}/cancel", note="it was asked to end and takes its time")
    t.post(f"/exec/flow-ins/{fi}/cancel")
    shown(t, fi)
    t.post(f"/exec/task-ins/{ti}/cancel")
    for query in ("status=RUNNING", "status=CANCELING", "state=CANCELING", "state=RUNNING", "status=FAILED&total=true",
                  "status=CANCELED"):
        t.get(f"/monitor/flow?{query}")
    t.post(f"/exec/flow/{stubborn}", {"fiId": fi})
    t.open_gate("term")
    t.flow_ends(fi)
    shown(t, fi)
    t.open_gate("second")
    t.flow_ends(fi2)
    fi = start(t, flow(t, one("WAIT", "1h", nodeKey="w"), one(nodeKey="after")))
    ti = began(t, fi)
    shown(t, fi, note="a wait")
    t.post(f"/exec/flow-ins/{fi}/cancel", moving=True)
    t.flow_ends(fi)
    shown(t, fi)
    t.post(f"/exec/task-ins/{ti}/cancel")
    again = t.post("/exec/flow/" + str(t.wait(f"/monitor/flow/{fi}", bool)["flowId"]), {"fiId": fi}, moving=True,
                   note="canceled, run again, canceled again").data["fiId"]
    began(t, again)
    t.get(f"/monitor/flow/{again}")
    t.post(f"/exec/task-ins/{began(t, again)}/cancel", moving=True)
    t.flow_ends(again)
    shown(t, again)
    three = [{"taskName": "t", "taskType": kind, "taskContent": content} for kind,
             content in (("EXCEPTION", "no"), ("WAIT", "1h"), ("WAIT", "1h"))]
    fi = start(t, flow(t, {"tasks": three, "complete": "all"}, one()), note="one failed, two are open")
    t.wait(f"/monitor/flow/{fi}", lambda f: f["nodes"] and f["nodes"][0]["tasks"]["failed"] == 1)
    t.post(f"/exec/flow-ins/{fi}/cancel", moving=True)
    t.flow_ends(fi)
    shown(t, fi)
    wait = saved(t, "WAIT", "1h")
    ti = t.post(f"/exec/task/{wait}", {"params": {"a": 1}}, moving=True).data["tiId"]
    t.task_is(ti, "RUNNING")
    t.get(f"/monitor/task/{ti}", note="a task alone")
    t.delete(f"/task/{wait}")
    t.post(f"/exec/task-ins/{ti}/cancel", moving=True)
    t.task_ends(ti)
    t.get(f"/monitor/task/{ti}")
    t.delete(f"/task/{wait}")


@chapter()
def lists(t):
    """Lists of runs: filters and pages by the same names in query and body."""
    good, bad, wait = flow(t, one(), name="good"), flow(t, one("EXCEPTION"), name="bad"), flow(t, one("WAIT", "1h"), name="wait")
    for fi in t.post("/exec/flows", {"starts": [{"flowId": good, "params": {"i": i}} for i in range(12)]}).data:
        t.flow_ends(fi)
    for _ in range(3):
        t.flow_ends(start(t, bad))
    canceled = start(t, wait)
    t.post(f"/exec/flow-ins/{canceled}/cancel", moving=True)
    t.flow_ends(canceled)
    began(t, start(t, wait))
    first = t.wait("/monitor/flow/1", bool)
    for filters in ({}, {"flowId": good}, {"flowId": good, "limit": 5}, {"flowId": good, "limit": 5, "offset": 10},
                    {"flowId": good, "limit": 12}, {"flowId": good, "offset": 1000},
                    {"flowId": good, "limit": 1, "total": True}, {"total": False, "limit": 1}, {"status": "RUNNING"},
                    {"status": "SUCCESS", "limit": 2}, {"status": "FAILED"},
                    {"status": "CANCELED"}, {"status": "CANCELING"}, {"status": "PAUSED"}, {"state": "FAILED"},
                    {"state": "CANCELED"}, {"state": "CANCELED", "status": "FAILED"},
                    {"state": "CANCELED", "status": "SUCCESS"}, {"fiId": 3}, {"fiId": 3, "flowId": bad}, {"fiId": 999},
                    {"flowId": 999}, {"flowId": bad, "status": "FAILED", "total": True},
                    {"from": "2999-01-01"}, {"to": "2001-01-01"}, {"from": "2001-01-01 00:00:00", "limit": 1},
                    {"to": "2999-01-01T00:00:00+02:00", "limit": 1},
                    {"from": "1969-12-31 00:00:00", "limit": 1}, {"from": first["startTime"], "flowId": good, "limit": 1,
                                                                  "total": True}, {"to": first["startedAt"], "fiId": 1},
                    {"from": "2999-01-01T00:00:00.123456789Z"}):
        t.get("/monitor/flow?" + "&".join(f"{k}={quote_plus(str(v).lower() if isinstance(v, bool) else str(v), ':')}" for k,
                                          v in filters.items()))
        t.post("/monitor/flow", filters)
    t.post("/monitor/flow", note="no body")
    t.post("/monitor/flow?limit=1", {"flowId": bad}, note="query and body")
    t.post("/monitor/flow?limit=1", {"limit": 2})
    for query in ("sort=x", "flowName=x", "flowId=abc", "flowId=1;DROP", "status=nope", "state=DONE", "status=failed",
                  "from=now", "from=2001-02-30", "to=2001-1-1",
                  "to=2001-01-01T", "total=yes", "flowId=1&flowId=2", "nodes=false", "limit=0", "limit=501", "limit=1e2",
                  "offset=-1", "offset=9007199254740992", "fiId=0",
                  "status=PAUSED&state=FAILED", "=x", "&&limit=1&", "limit", "from=2001-01-01T00:00:00+02:00&limit=1"):
        t.get(f"/monitor/flow?{query}")
    for body in ({"status": "nope"}, {"state": 1}, {"limit": "1"}, {"limit": 0}, {"offset": -1}, {"flowid": 1}, {"flowId": 1.0},
                 {"total": "true"}, {"from": 1}, {"nodes": False}):
        t.post("/monitor/flow", body)
    seven = start(t, flow(t, *[one(content=str(i)) for i in range(7)]))
    t.flow_ends(seven)
    for query in ("", "?limit=3", "?limit=3&offset=2", "?offset=6", "?offset=7", "?limit=2&total=true", "?nodes=false",
                  "?nodes=true&limit=1", "?runs=all", "?limit=200000"):
        t.get(f"/monitor/flow/{seven}{query}")
    for query in ("?limit=0", "?limit=200001", "?nodes=no", "?runs=old", "?x=1", "?status=RUNNING", "?total=1"):
        t.get(f"/monitor/flow/{seven}{query}")
    for body in ({}, {"limit": 2}, {"offset": 5}, {"limit": 200001}, {"nodes": False}, {"runs": 1}):
        t.post(f"/monitor/flow/detail/{seven}", body)
    for query in ("?state=SUCCESS", "?state=FAILED", "?state=BAD", "?limit=1"):
        t.get(f"/monitor/node/1{query}")
    t.get("/monitor/task/1?x=1")


@chapter()
def logs(t):
    """Logs: bytes, parts of them, streams, attempts."""
    def run(script, **config):
        ti = t.post(f"/exec/task/{saved(t, 'SHELL', script, taskConfig=config)}", moving=True).data["tiId"]
        t.task_ends(ti)
        t.get(f"/monitor/task/{ti}")
        return f"/monitor/task/{ti}/log"
    path = run("printf 0123456789")
    for query in ("", "?offset=4", "?offset=4&limit=3", "?offset=10", "?attempt=1", "?stream=stdout", "?stream=stderr",
                  "?limit=1048576", "?offset=11", "?offset=-1", "?limit=0",
                  "?limit=1048577", "?offset=x", "?attempt=2", "?attempt=0", "?attempt=x", "?stream=both", "?x=1",
                  "?offset=9007199254740991"):
        t.get(path + query)
    t.send("HEAD", path)
    path = run("echo out; echo err >&2; echo more", stderr="apart")
    for query in ("?stream=stdout", "?stream=stderr", "?stream=stdout&offset=4", "?stream=stderr&offset=2&limit=1",
                  "?stream=stderr&offset=5"):
        t.get(path + query)
    path = run('echo attempt $WEIR_ATTEMPT; test "$WEIR_ATTEMPT" = 2', attempts=2, backoff={"base": "1ms", "jitter": "none"})
    for query in ("", "?attempt=1", "?attempt=2", "?attempt=3"):
        t.get(path + query)
    path = run("printf '\\000\\001\\377\\033[31m'")
    t.get(path)
    t.get(run("printf 'h\\303\\251 %s' \"$WEIR_RUN_KEY $WEIR_ATTEMPT\""))
    t.get(run("seq 1 1000", log=512))
    t.get(run("seq 1 1000", log=0))
    t.get(run("seq 1 3000") + "?offset=100&limit=50")
    t.get(run("true"))
    ti = t.post(f"/exec/task/{saved(t, 'ECHO', 'hello')}", moving=True).data["tiId"]
    t.task_ends(ti)
    for query in ("", "?offset=1&limit=2", "?stream=stdout", "?stream=stderr", "?offset=6", "?attempt=1", "?attempt=2"):
        t.get(f"/monitor/task/{ti}/log{query}")
    ti = t.post(f"/exec/task/{saved(t, 'EXCEPTION', 'no')}", moving=True).data["tiId"]
    t.task_ends(ti)
    t.get(f"/monitor/task/{ti}/log")
    t.get("/monitor/task/999/log")


@chapter()
def keys(t):
    """Idempotency-Key."""
    def key(name):
        return {"Idempotency-Key": name}
    f, other = flow(t, one()), flow(t, one("EXCEPTION"))
    t.post(f"/exec/flow/{f}", {"params": {"a": 1, "b": "x y"}}, headers=key("k1"))
    t.flow_ends(1)
    for body in (b'{"params":{"a":1,"b":"x y"}}', b' { "params" : { "b" : "x y" , "a" : 1 } } ',
                 b'{"params":{"\\u0061":1,"b":"x\\u0020y"}}'):
        t.post(f"/exec/flow/{f}", body, headers=key("k1"))
    t.get("/monitor/flow")
    for path, body in ((f"/exec/flow/{f}", {"params": {"a": 2}}), (f"/exec/flow/{f}", {}), (f"/exec/flow/{f}", None),
                       (f"/exec/flow/{other}", {"params": {"a": 1, "b": "x y"}}),
                       ("/exec/task/1", None), ("/exec/flows", {"starts": [{"flowId": f}]}),
                       ("/task", {"taskName": "x", "taskType": "ECHO"}),
                       ("/flow", {"flowName": "x", "flowNodes": []})):
        t.post(path, body, headers=key("k1"))
    t.post("/exec/flow/999", headers=key("k2"))
    t.post(f"/exec/flow/{f}", {"params": 1}, headers=key("k2"))
    t.post(f"/exec/flow/{f}", headers=key("k2"), note="what was refused used no key")
    for bad in ("", " ", "x" * 129, "a b", "k\u00e9y", "a\tb"):
        t.post(f"/exec/flow/{f}", headers=key(bad))
    t.post(f"/exec/flow/{f}", headers=key("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))
    t.post(f"/exec/flow/{f}", headers=key("K1"))
    starts = {"starts": [{"flowId": f}, {"flowId": other, "params": {"a": 1}}, {"flowId": f}]}
    for body in (starts, starts, {"starts": starts["starts"][:2]}, {"starts": []}):
        t.post("/exec/flows", body, headers=key("bulk"))
    for body in ({"starts": []}, {"starts": []}, {"starts": [{"flowId": f}]}):
        t.post("/exec/flows", body, headers=key("none"))
    body = {"taskName": "once", "taskType": "ECHO", "taskContent": "x"}
    for given in (body, dict(reversed(body.items())), {**body, "taskContent": "y"}):
        t.post("/task", given, headers=key("task"))
    for _ in range(2):
        t.post("/task", {"taskId": 1, "taskContent": "y", "taskVersion": 1}, headers=key("task edit"))
        t.post("/task", {"taskId": 1, "taskContent": "y", "taskVersion": 1}, headers=key("task-edit"))
    t.post("/task", body, headers=key("task"), note="the version that it made")
    body = {"flowName": "once", "flowNodes": [{"tasks": [{"taskType": "ECHO"}] * 2}]}
    for given in (body, body, {**body, "flowName": "twice"}):
        t.post("/flow", given, headers=key("flow"))
    for _ in range(2):
        t.post("/flow", {"flowId": 3, "flowName": "again", "flowVersion": 1}, headers=key("flow-edit"))
    t.post("/flow", {"flowName": "x", "flowNodes": [one("NONE")]}, headers=key("flow-bad"))
    ti = t.post("/exec/task/1", headers=key("run"), moving=True).data["tiId"]
    t.task_ends(ti)
    t.post("/exec/task/1", headers=key("run"))
    t.post("/exec/task/1", {"params": {"a": 1}}, headers=key("run"))
    t.post(f"/exec/flow/{f}", {"fiId": 1}, headers=key("rerun"), note="a re-run takes none")
    t.delete(f"/flow/{f}")
    t.post(f"/exec/flow/{f}", {"params": {"a": 1, "b": "x y"}}, headers=key("k1"), note="after its flow was deleted")
    t.get("/monitor/flow?limit=1", headers=key("not a key"))


@chapter()
def refusals(t):
    """What is no request of the API: paths, methods, ids, hosts, origins, bodies."""
    for path in ("/", "/flows", "/Flow", "/flow/", "/flow/1/", "/flow/1/configs", "//flow", "/flow/../task", "/flow/%2e%2e",
                 "/flow%2F1", "/livez/", "/exec", "/monitor",
                 "/monitor/task/1/logs", "/" + "x" * 5000, "/index.html", "/flow%00", "/flow/%", "/flow/%zz", "/flow/%4",
                 "/livez%20", "/%6Civez", "/fl%6fw?limit=1"):
        t.get(path)
    t.post("/nowhere", {})
    for path in ("/flow", "/flow/1", "/exec/flow/1", "/monitor/flow", "/monitor/flow/detail/1", "/livez"):
        for method in ("PUT", "PATCH", "OPTIONS"):
            t.send(method, path)
    for request in ("POST /livez", "DELETE /flow", "GET /exec/flow/1", "HEAD /exec/flow/1", "POST /monitor/task/1",
                    "TRACE /flow"):
        t.send(*request.split())
    for path in ("/livez", "/readyz", "/version"):
        t.get(path)
        t.send("HEAD", path)
        t.get(path + "?x=1")
    t.send("HEAD", "/flow")
    t.send("HEAD", "/flow/1")
    for request in IDS:
        method, path = request.split()
        for bad in ("abc", "0", "9007199254740992", "01", "%27%20OR%201=1"):
            t.send(method, path % bad)
        for gone in (999999, 9007199254740991):
            t.send(method, path % gone)
    for host in ("evil.example", "localhost.evil.example", "", "localhost:", "[::2]", "LOCALHOST:8088", "127.0.0.1:1", "[::1]",
                 "<b>"):
        t.get("/livez", headers={"Host": host})
        t.get("/flow", headers={"Host": host})
    here = f"127.0.0.1:{t.server.port}"
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"http://{here}.evil.example"},
                    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                    {"Origin": f"http://{here}", "Sec-Fetch-Site": "cross-site"}, {"Origin": f"http://{here}"}):
        t.post("/exec/flows", {"starts": []}, headers=headers)
        t.get("/flow", headers=headers)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", None,
                 "application/json; charset=utf-8"):
        t.post("/exec/flows", {"starts": []}, headers={"Content-Type": kind})
    t.post("/exec/flows", b"\x1f\x8b\x08", headers={"Content-Encoding": "gzip"})
    t.post("/exec/flows", {"starts": []}, headers={"Content-Encoding": "identity"})
    for path in ("/task", "/flow", "/exec/flows"):
        for body in (b"", b"{", b'{"a":1} x', b'{"a":1,}', b"\xef\xbb\xbf{}", b'{"a":01}', b'{"a":"\n"}', b"[]", b'"x"',
                     b"null", b'{"x":{"y":1,"y":1}}',
                     b'{"a":' * 33 + b"1" + b"}" * 33, b'{"a":' + b"[" * 100000, b'{"a":"\xff"}', b'{"a":"\\ud800"}',
                     b'{"a\\u0000":1}', b'{"a":9223372036854775808}',
                     b'{"a":1e400}', b'{"a":NaN}', b'{\n"a": 1,\n  oops}'):
            t.post(path, body)
    t.post("/flow")
    t.post("/task", b'{"a":[' + b"0," * 100001 + b"0]}")
    t.post("/task", b" " * ((1 << 20) + 1))
    t.post("/exec/flows", b'{"starts":[]}' + b" " * ((1 << 20) - 13), note="the largest body")
    t.post("/flow", {"<script>" * 100: 1})
    t.get("/flow?" + "%3Cscript%3E" * 100)
    one_node = b'{"tasks":[{"taskType":"ECHO"}]}'
    t.post("/flow", b'{"flowName":"x","flowNodes":[' + b",".join([one_node] * 200001) + b"]}", note="too many nodes")


@chapter()
def wire(t):
    """Bytes on the wire. What follows a refused request is never answered."""
    live = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = b'{"starts":[]}'

    def post(headers=b"", body=b"", path=b"/exec/flows", version=b"1.1"):
        return (b"POST " + path + b" HTTP/" + version + b"\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
                headers + b"\r\n" + body)
    sized = post(b"Content-Length: %d\r\n" % len(body), body)
    t.wire(live)
    t.wire(live + sized + live, note="one behind the other")
    t.wire(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n" + live)
    t.wire(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + live)
    t.wire(post(b"Content-Length: %d\r\nExpect: 100-continue\r\n" % len(body), body))
    t.wire(post(b"Transfer-Encoding: chunked\r\n", b"5\r\n" + body[:5] + b"\r\n8\r\n" + body[5:] + b"\r\n0\r\n\r\n"),
           note="chunks")
    for headers in (b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 13\r\nContent-Length: 13\r\n",
                    b"Content-Length: 3abc\r\n", b"Content-Length: -1\r\n",
                    b"Content-Length: 0x0d\r\n", b"Content-Length:\r\n", b"Content-Length: 9223372036854775808\r\n",
                    b"Content-Length : 13\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
                    b"Transfer-Encoding: identity\r\n", b"X: a\r\n folded\r\nContent-Length: 13\r\n",
                    b"Content-Length: 13\nX: y\r\n", b"no colon\r\n", b"X(: y\r\n", b": empty\r\n"):
        t.wire(post(headers, body) + live)
    for line in (b"GET  /livez HTTP/1.1", b"GET /livez HTTP/1.1 ", b"GET /livez HTTP/2.0", b"GET /livez HTTP/1.2",
                 b"GET /li\x01vez HTTP/1.1", b"GET /li\xffvez HTTP/1.1",
                 b"OPTIONS * HTTP/1.1", b"GET http://other.example:1/livez HTTP/1.1", b"FOO /livez HTTP/1.1", b"PRI * HTTP/2.0",
                 b"GET /livez%00b HTTP/1.1"):
        t.wire(line + b"\r\nHost: localhost\r\n\r\n" + live)
    for blanks in (b"\r\n", b" ", b"\n\n", b"\r\n" * 9):
        t.wire(blanks + live + live)
    t.wire(b"GET /livez HTTP/1.1\r\n\r\n" + live, note="no Host")
    t.wire(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n" + live)
    t.wire(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * (17 << 10) + b"\r\n\r\n" + live, note="large headers")
    t.wire(post(b"".join(b"X-%d: y\r\n" % i for i in range(70)) + b"Content-Length: 13\r\n", body) + live, note="many headers")
    for bad in (b"xyz\r\n", b"-5\r\nhello\r\n", b"5\nhello\r\n", b"5;ext=1\r\nhello\r\n", b"5 \r\nhello\r\n",
                b"FFFFFFFFFFFFFFFFF\r\n", b"5\r\nhelloXX", b"\r\n"):
        t.wire(post(b"Transfer-Encoding: chunked\r\n", bad) + live)
    t.wire(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n" + live, note="after an error the connection closes")
    t.wire(post(b"Content-Length: 1\r\n", b"{") + live)
    t.wire(b"GET /flow HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(live) + live,
           note="a body where none belongs")
    t.wire(post(b"Content-Length: %d\r\n" % ((1 << 20) + 1)), note="announced, never sent")
    t.wire(post(b"Content-Length: 100\r\n", b"{"), note="cut")
    t.wire(post(b"Idempotency-Key: a\r\nIdempotency-Key: a\r\nContent-Length: %d\r\n" % len(body), body) + live)
    t.wire(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", note="TLS")


@chapter(dev=False)
def token(t):
    """A server without --dev: the token, and no SHELL."""
    good = {"Authorization": f"Bearer {t.token}"}
    for request in ROUTES:
        t.send(*request.split())
    for value in ("", "Bearer", "Bearer ", "Bearer nothing", f"Basic {t.token}", t.token, f"Bearer {t.token}0",
                  f"Bearer {t.token[:-1]}", f"Bearer  {t.token}", f"bearer {t.token}"):
        t.get("/flow", headers={"Authorization": value})
    for path in ("/livez", "/readyz", "/version", f"/flow?token={t.token}"):
        t.get(path)
    for request in ROUTES:
        t.send(*request.split(), headers=good)
    for kind in ("SHELL", "ECHO"):
        t.post("/task", {"taskName": "x", "taskType": kind, "taskContent": "x"}, headers=good)
    t.post("/flow", {"flowName": "x", "flowNodes": [one("SHELL", "true")]}, headers=good)
    t.post("/flow", b"{", note="no token, and a body that is none")


@chapter(args=("--roles", "api,runner"))
def no_worker(t):
    """A node that runs nothing: what is started stays queued, and says why."""
    fi = start(t, flow(t, one("SHELL", "true", nodeKey="k")))
    ti = began(t, fi, state="QUEUED")
    shown(t, fi)
    alone = t.post(f"/exec/task/{saved(t)}").data["tiId"]
    t.get(f"/monitor/task/{alone}")
    t.get(f"/monitor/task/{ti}/log")
    t.get("/readyz")
    t.post(f"/exec/task-ins/{alone}/cancel")
    t.post(f"/exec/flow-ins/{fi}/cancel")
    shown(t, fi)


@chapter()
def sample(t):
    """The requests of S2, word for word."""
    for name, kind, content in (("first task1", "ECHO", "task content"), ("wait task1", "WAIT", "0.01"),
                                ("exception task1", "EXCEPTION", "task content")):
        t.post("/task", json.dumps({"taskName": name, "taskType": kind, "taskContent": content}, indent=4).encode())
    nodes = [START, *({"nodeType": "TASK", "taskIds": i} for i in "1231"), END]
    body = {"flowName": "first flow", "flowDescription": "first flow for test1", "flowNodes": nodes}
    t.post("/flow", json.dumps(body, indent=4).encode())
    t.get("/flow/1")
    t.post("/flow", json.dumps({"flowId": 1, **body}, indent=4).encode())
    fi = start(t, 1)
    t.flow_ends(fi)
    t.post("/monitor/flow", b'{\n    "flowId":1,\n    "fiId":1\n}')
    rows = t.post("/monitor/flow/detail/1").data
    shown(t, fi)
    t.post("/task", {"taskId": 3, "taskType": "ECHO"})
    t.post("/exec/flow/1", {"fiId": 1, "niId": rows[2]["niId"]}, moving=True)
    t.flow_ends(fi)
    t.post("/monitor/flow/detail/1?runs=all")
    shown(t, fi)
