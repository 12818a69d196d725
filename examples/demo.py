#!/usr/bin/env python3
"""The README's sample over HTTP, as `./dev run` shows it: three tasks, one flow; it fails at the third node as it must, the
task is fixed, and the flow is resumed at that node. Exit status 0 only when every answer was the expected one.

    python3 examples/demo.py [--json] http://127.0.0.1:8088

--json prints the node instances at the end as well, as the API answers them.
"""
import json
import pathlib
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).parent / "sample"
LIMIT_S = 60
FINAL = ("SUCCESS", "FAILED", "SKIPPED", "UPSTREAM_FAILED", "CANCELED")


class Weir:
    def __init__(self, url):
        self.url = url

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            reply = json.load(answer)
        expect(reply["code"], "200", f"{method} {path}")
        return reply["data"]


def expect(got, want, what):
    if got != want:
        sys.exit(f"demo: {what}: expected {want!r}, got {got!r}")


def sample(name):
    return json.loads((HERE / name).read_text())


def follow(weir, fi, known=()):
    """Prints how each node ends, but for those that had ended before; returns the instance once it is final."""
    shown = set(known)
    end = time.monotonic() + LIMIT_S
    while True:
        flow = weir.call("GET", f"/monitor/flow/{fi}")
        for node in flow["nodes"]:
            key, state = node["nodeKey"], node["state"]
            if state in FINAL and key not in shown:
                shown.add(key)
                print(f"  {key}  {state}  {node['errorMsg']}".rstrip(), flush=True)
        if flow["status"] != "RUNNING":
            print(f"flow {fi}: {flow['status']} {flow['errorMsg']}".rstrip(), flush=True)
            return flow
        if time.monotonic() > end:
            sys.exit(f"demo: flow {fi} did not end within {LIMIT_S} s")
        time.sleep(0.1)


def main():
    weir = Weir(sys.argv[-1].rstrip("/"))
    ids = [str(weir.call("POST", "/task", sample(name))["taskId"]) for name in ("task1.json", "task2.json", "task3.json")]

    flow = sample("flow.json")
    for node in flow["flowNodes"]:
        if "taskIds" in node:
            node["taskIds"] = ids[int(node["taskIds"]) - 1]
    flow_id = weir.call("POST", "/flow", flow)["flowId"]
    print(f'three tasks, and "{flow["flowName"]}" of them, are saved; it runs:', flush=True)

    fi = weir.call("POST", f"/exec/flow/{flow_id}")["fiId"]
    run = follow(weir, fi)
    expect(run["status"], "FAILED", "status of the first run")
    expect(run["errorMsg"], "node n4: Internal Exception.", "errorMsg of the first run")
    broken = run["nodes"][2]
    expect((broken["status"], broken["errorMsg"]), ("FAILED", "Internal Exception."), "third node")

    print(f"that is what an EXCEPTION task is for; it is fixed, and the run goes on at {broken['nodeKey']}:", flush=True)
    weir.call("POST", "/task", dict(sample("task3-fixed.json"), taskId=int(ids[2])))
    again = weir.call("POST", f"/exec/flow/{flow_id}", {"fiId": fi, "niId": broken["niId"]})
    expect(again["fiId"], fi, "fiId of the retry")
    run = follow(weir, fi, (n["nodeKey"] for n in run["nodes"] if n["status"] == "SUCCESS"))
    expect(run["status"], "SUCCESS", "status of the retried run")
    expect([n["status"] for n in run["nodes"]], ["SUCCESS"] * 4, "nodes of the retried run")

    detail = weir.call("POST", f"/monitor/flow/detail/{fi}")
    expect(len(detail), 4, "number of node instances")
    if "--json" in sys.argv[1:-1]:
        print(json.dumps(detail, indent=2), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
