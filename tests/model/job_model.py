"""The lock rule of jobs (docs/explanation/protocol.md, rules 34 to 37), in all orders in which its steps can come.

Two nodes work on one job with two tasks: they add, claim, end tasks, close, pause and resume. Each statement is a step of its
own, and between any two steps the other node may go on, or the node under way may die (its transaction is rolled back, and its
lock is free). The answer of a commit may be lost: then the request is made again.

The rule holds in every state that can be reached. Each variant leaves one part of the rule out, and must fail: a variant that
passes shows that the model is blind there.

  job_model.py            the rule, and all variants
  job_model.py VARIANT    that variant, with the shortest way to the fault
"""
import sys
from collections import deque, namedtuple

VARIANTS = {
    "claim_without_lock": "A claim locks only the row of its task.",
    "final_by_stale_read": "Whether the job is final is decided by counters that were read before the lock.",
    "add_after_stale_read": "Whether the job is closed is read before the lock.",
    "wish_unseen": "A claim does not look at the wish in the head.",
    "counters_later": "The counters change in a commit of their own, behind that of the rows.",
    "counters_absolute": "The counters are written as they were read before the lock, not changed by a difference.",
    "last_does_not_decide": "Who ends the last task leaves the end of the job to somebody else.",
    "close_does_not_decide": "Who closes a job without live tasks leaves its end to somebody else.",
    "add_without_key": "A request that is made again after a lost answer adds its task again.",
}

# state of a task: 0 no row, 1 QUEUED, 2 RUNNING, 3 SUCCESS
Job = namedtuple("Job", "tasks total live running closed paused final owed lock")
# pc: 0 idle, 1 the head was read without a lock, 2 the head is locked and read; todo: requests that are not answered yet
Node = namedtuple("Node", "pc act seen todo")

START = Job((0, 0, 0), 0, 0, 0, False, False, False, None, None)
REQUESTS = (("add0", "close"), ("add1", "pause", "resume"))


def counted(tasks):
    made = [t for t in tasks if t]
    return len(made), sum(t in (1, 2) for t in made), sum(t == 2 for t in made)


def acts(job, node):
    """What this node may begin: its next request, a claim of a QUEUED task, the end of a RUNNING one."""
    if node.todo:
        yield node.todo[0]
    for i, state in enumerate(job.tasks):
        if state == 1:
            yield f"claim{i}"
        elif state == 2:
            yield f"end{i}"


def put(tasks, i, state):
    return tasks[:i] + (state,) + tasks[i + 1:]


def apply(job, act, seen, variant):
    """The rows that one transaction writes, as a new job; None: it has nothing to write. seen: the head as this node read it."""
    kind, i = act.rstrip("0123456789"), int(act[-1]) if act[-1].isdigit() else 0
    head = seen if variant == "add_after_stale_read" and kind == "add" else job
    after = job
    if kind == "add":
        if head.closed:
            return None
        place = i
        if job.tasks[i]:
            if variant != "add_without_key" or job.tasks[2]:
                return None
            place = 2
        after = job._replace(tasks=put(job.tasks, place, 1))
    elif kind == "claim":
        if job.tasks[i] != 1 or (job.paused and variant != "wish_unseen"):
            return None
        after = job._replace(tasks=put(job.tasks, i, 2))
    elif kind == "end":
        if job.tasks[i] != 2:
            return None
        after = job._replace(tasks=put(job.tasks, i, 3))
    elif kind == "close":
        after = job._replace(closed=True)
    elif kind == "pause":
        after = job._replace(paused=True)
    elif kind == "resume":
        after = job._replace(paused=False)
    was, now = counted(job.tasks), counted(after.tasks)
    diff = tuple(b - a for a, b in zip(was, now))
    if variant == "counters_later" and any(diff):
        return after._replace(owed=tuple(map(sum, zip(diff, job.owed or (0, 0, 0)))))
    base = (seen.total, seen.live, seen.running) if variant == "counters_absolute" else (job.total, job.live, job.running)
    total, live, running = (a + b for a, b in zip(base, diff))
    after = after._replace(total=total, live=live, running=running)
    decides = not (variant == "last_does_not_decide" and kind == "end") and not (variant == "close_does_not_decide" and kind == "close")
    known = seen.live + diff[1] if variant == "final_by_stale_read" else after.live
    return after._replace(final=after.closed and known == 0) if decides else after


def locks(act, variant):
    return not (variant == "claim_without_lock" and act.startswith("claim"))


def steps(state, variant):
    """(what happens, the state that follows) for each step that can come next."""
    job, nodes = state
    if job.owed and job.lock is None:
        a, b, c = job.owed
        yield "the counters follow", (job._replace(total=job.total + a, live=job.live + b, running=job.running + c, owed=None), nodes)
    for n, node in enumerate(nodes):
        def become(new_job, new_node, n=n):
            return new_job, nodes[:n] + (new_node,) + nodes[n + 1:]
        idle = node._replace(pc=0, act=None, seen=None)
        if node.pc == 0:
            for act in acts(job, node):
                yield f"node {n} begins {act}", become(job, node._replace(pc=1, act=act, seen=job._replace(lock=None)))
        elif node.pc == 1:
            if not locks(node.act, variant):
                # its own row alone is compared: the head stands as it was read
                i = int(node.act[-1])
                if job.tasks[i] == 1 and not node.seen.paused:
                    head = node.seen
                    yield f"node {n} commits {node.act}", become(
                        job._replace(tasks=put(job.tasks, i, 2), running=head.running + 1), idle)
                else:
                    yield f"node {n} leaves {node.act}", become(job, idle)
            elif job.lock is None:
                yield f"node {n} locks the job", become(job._replace(lock=n), node._replace(pc=2))
        else:
            request = bool(node.todo) and node.act == node.todo[0]
            over = idle._replace(todo=node.todo[1:]) if request else idle
            after = apply(job, node.act, node.seen, variant)
            free = (after or job)._replace(lock=None)
            if after is None:
                yield f"node {n} has nothing to write for {node.act}", become(free, over)
                continue
            yield f"node {n} commits {node.act}", become(free, over)
            if request and node.act.startswith("add"):
                yield f"node {n} commits {node.act}, the answer is lost", become(free, idle)
        if node.pc:
            yield f"node {n} dies", become(job._replace(lock=None) if job.lock == n else job, idle)


def fault(state, came_by, before):
    """The sentence of the rule that does not hold, or None."""
    job, nodes = state
    if (job.total, job.live, job.running) != counted(job.tasks):
        return "the counters are not those of the rows"
    live = counted(job.tasks)[1]
    if job.final and live:
        return "the job is final, and a task lives"
    if job.closed and not live and not job.final:
        return "nothing lives in a closed job, and it is not final"
    if job.final and not job.closed:
        return "an open job is final"
    if before is not None and "commits claim" in came_by and before[0].paused:
        return "a task was claimed after the pause had committed"
    if before is not None and before[0].closed and sum(map(bool, job.tasks)) > sum(map(bool, before[0].tasks)):
        return "a task was added after the close"
    return "a request added two tasks" if job.tasks[2] else None


def explore(variant=None):
    """(how many states there are, the way to the first fault or None)"""
    first = (START, tuple(Node(0, None, None, todo) for todo in REQUESTS))
    came = {first: None}
    todo = deque([first])
    while todo:
        state = todo.popleft()
        for what, after in steps(state, variant):
            if after in came:
                wrong = fault(after, what, state) if "claim" in what else None
            else:
                came[after] = (state, what)
                todo.append(after)
                wrong = fault(after, what, state)
            if wrong:
                way, at = [what, wrong], state
                while came[at]:
                    at, step = came[at]
                    way.insert(0, step)
                return len(came), way
    return len(came), None


def main(asked):
    if asked:
        n, way = explore(asked)
        print(f"{asked}: {VARIANTS[asked]}\n{n} states")
        print("\n".join(way or ["no fault"]))
        return 0 if way else 1
    n, way = explore()
    print(f"the rule: {n} states, {'no fault' if not way else way[-1]}")
    blind = []
    for name in VARIANTS:
        n, found = explore(name)
        print(f"{name}: {n} states, {found[-1] if found else 'NO FAULT FOUND'}")
        if not found:
            blind.append(name)
    return 1 if way or blind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
