"""The lock rule of trees of tasks and the fence of an analysis (docs/explanation/protocol.md, rules 39 to 43), in all orders in which
their steps can come.

The first task of the tree is that of a node: somebody pauses its flow, whose head is a lock of its own, behind that of the tree.

Two nodes work on one tree: a task whose attempt has ended is analysed, its verdict adds two tasks, these are claimed and end, and
with the last of them the task itself; meanwhile somebody cancels the tree. Each statement is a step of its own. Between any two steps
the other node may go on, or the node under way may die: its transaction is rolled back, its lock is free, and what it had claimed is
lost. The answer of a commit may be lost, and then the same commit is asked for again. A node may be declared dead while it still
runs: its late verdict must not count.

The rule holds in every state that can be reached. Each variant leaves one part of the rule out, and must fail: a variant that
passes shows that the model is blind there.

  tree_model.py            the rule, and all variants
  tree_model.py VARIANT    that variant, with the shortest way to the fault
"""
import sys
from collections import deque, namedtuple

VARIANTS = {
    "verdict_without_fence": "A verdict counts whoever claims the analysis now.",
    "tasks_later": "The tasks of a verdict are stored in a commit of their own, behind it.",
    "tasks_before": "The tasks of a verdict are stored in a commit of their own, before it.",
    "claim_without_lock": "The claim of a task below locks only its own row.",
    "counters_later": "The counters of the parent change in a commit of their own, behind that of the rows.",
    "counters_absolute": "The counters are written as they were read before the lock.",
    "last_does_not_end_parent": "Who ends the last task leaves the end of the parent to somebody else.",
    "parent_by_stale_read": "Whether the parent ends is decided by counters that were read before the lock.",
    "cancel_unseen": "A claim does not look at the cancel of the tree.",
    "cancel_ends_at_once": "A cancel ends the parent, whatever runs below it.",
    "flow_unseen": "A claim does not look at the flow above the tree.",
    "flow_read_without_lock": "A claim reads the flow above the tree, and does not lock it.",
    "lost_is_a_loss": "An analysis that is lost counts as a loss of the task.",
    "lost_runs_again": "An analysis that is lost runs the task again.",
}

# the parent: ANALYZING (it waits, or somebody calls), WAITING_CHILDREN, and the two ends
A, CALLED, WAITING, DONE, STOPPED = range(5)
# a task below: no row, QUEUED, RUNNING, ended
NONE, QUEUED, RUNNING, OVER, CANCELED = range(5)
# epoch: of the newest claim of the analysis; verdicts: how many were stored; owed: rows or counters that a variant writes later
# paused: the flow; flow_lock: who has locked its head
Tree = namedtuple("Tree", "state epoch owner below live canceled verdicts losses runs owed lock paused flow_lock")
# pc: 0 idle, 1 the head was read without a lock, 2 it is locked, 3 the flow was looked at, too. call: the epoch of the analysis that this node makes; todo: a
# request for a cancel
Node = namedtuple("Node", "pc act seen call todo")

START = Tree(A, 0, None, (NONE, NONE), 0, False, 0, 0, 1, None, None, False, None)
EPOCHS = 3  # claims of the analysis, so that the model is finite


def living(below):
    return sum(s in (QUEUED, RUNNING) for s in below)


def put(below, i, state):
    return below[:i] + (state,) + below[i + 1:]


def acts(t, n, node):
    if node.todo:
        yield "cancel"
    if node.call:
        yield "verdict"
    elif t.state == A and t.epoch < EPOCHS:
        yield "analyse"
    if t.state == CALLED and t.owner != n:
        yield "lost"  # whoever looks thinks that the owner is dead; it may be alive
    for i, s in enumerate(t.below):
        if s == QUEUED:
            yield f"claim{i}"
        elif s == RUNNING:
            yield f"end{i}"
        if t.canceled and s == QUEUED:
            yield f"stop{i}"


def settle(t, variant, known):
    """The parent ends when nothing lives below it."""
    if t.state != WAITING or known:
        return t
    return t._replace(state=STOPPED if t.canceled else DONE)


def apply(t, act, n, node, variant):
    """What one transaction makes of the tree; None: nothing. node: with what it read before the lock."""
    kind, i = act.rstrip("0123456789"), int(act[-1]) if act[-1].isdigit() else 0
    seen = node.seen
    if kind == "analyse":
        return t._replace(state=CALLED, epoch=t.epoch + 1, owner=n) if t.state == A else None
    if kind == "lost":
        if t.state != CALLED or t.epoch != seen.epoch:
            return None
        again = t._replace(state=A, owner=None)
        if variant == "lost_is_a_loss":
            again = again._replace(losses=t.losses + 1)
        return again._replace(runs=t.runs + 1) if variant == "lost_runs_again" else again
    if kind == "verdict":
        stands = t.state == CALLED and t.owner == n and t.epoch == node.call
        if variant == "verdict_without_fence":
            stands = t.state in (A, CALLED, WAITING)
        if variant == "tasks_before" and t.verdicts == 0 and t.below == (NONE, NONE) and stands:
            return t._replace(below=(QUEUED, QUEUED), live=2)
        if not stands:
            return None
        after = t._replace(state=WAITING, owner=None, verdicts=t.verdicts + 1)
        if variant == "tasks_later":
            return after._replace(owed=("tasks", 2))
        return after._replace(below=(QUEUED, QUEUED), live=2) if t.below == (NONE, NONE) or variant == "verdict_without_fence" else after
    if kind == "cancel":
        if t.state in (DONE, STOPPED) or t.canceled:
            return None
        if t.state in (A, CALLED):
            return t._replace(state=STOPPED, owner=None, canceled=True)
        after = t._replace(canceled=True)
        return after._replace(state=STOPPED) if variant == "cancel_ends_at_once" else after
    if kind == "claim":
        if t.below[i] != QUEUED or (t.canceled and variant != "cancel_unseen"):
            return None
        if seen.paused and variant != "flow_unseen":
            return None
        return t._replace(below=put(t.below, i, RUNNING))
    want = QUEUED if kind == "stop" else RUNNING
    if t.below[i] != want:
        return None
    after = t._replace(below=put(t.below, i, CANCELED if kind == "stop" else OVER))
    if variant == "counters_later":
        return after._replace(owed=("live", (t.owed[1] if t.owed else 0) + 1))
    base = seen.live if variant in ("counters_absolute",) else t.live
    after = after._replace(live=base - 1)
    if variant == "last_does_not_end_parent":
        return after
    return settle(after, variant, seen.live - 1 if variant == "parent_by_stale_read" else after.live)


def unlocked(t, n):
    return t._replace(lock=None, flow_lock=None if t.flow_lock == n else t.flow_lock)


def locks(act, variant):
    return not (variant == "claim_without_lock" and act.startswith("claim"))


def follow(t):
    what, k = t.owed
    if what == "tasks":
        return t._replace(below=(QUEUED, QUEUED), live=2, owed=None)
    return settle(t._replace(live=t.live - k, owed=None), None, t.live - k)


def steps(state, variant):
    """(what happens, the state that follows) for each step that can come next."""
    t, nodes = state
    if t.owed and t.lock is None:
        yield "what was owed follows", (follow(t), nodes)
        if t.owed[0] == "tasks":
            yield "who owed the tasks dies", (t._replace(owed=None), nodes)
    if t.flow_lock is None and not t.paused:  # the request of a user, whoever works on it
        yield "the flow is paused", (t._replace(paused=True), nodes)
    for n, node in enumerate(nodes):
        def become(tree, new, n=n):
            return tree, nodes[:n] + (new,) + nodes[n + 1:]
        idle = node._replace(pc=0, act=None, seen=None)
        if node.pc == 0:
            for act in acts(t, n, node):
                yield f"node {n} begins {act}", become(t, node._replace(pc=1, act=act, seen=t._replace(lock=None, flow_lock=None)))
        elif node.pc == 1:
            if not locks(node.act, variant):
                i = int(node.act[-1])  # its own row alone is compared: the head stands as it was read
                ok = t.below[i] == QUEUED and not node.seen.canceled and not t.paused
                yield f"node {n} commits {node.act} without the lock", become(
                    t._replace(below=put(t.below, i, RUNNING)) if ok else t, idle)
            elif t.lock is None:
                yield f"node {n} locks the tree", become(t._replace(lock=n), node._replace(pc=2))
        elif node.pc == 2 and node.act.startswith("claim"):
            seen = node._replace(pc=3, seen=node.seen._replace(paused=t.paused))
            yield f"node {n} looks at the flow", become(t if variant == "flow_read_without_lock" else t._replace(flow_lock=n), seen)
        else:
            after = apply(t, node.act, n, node, variant)
            over = idle
            if node.act == "cancel":
                over = idle._replace(todo=0)
            if node.act == "analyse":
                over = idle._replace(call=after.epoch if after else 0)
            half = variant == "tasks_before" and node.act == "verdict" and after and after.verdicts == t.verdicts
            if node.act == "verdict" and not half:
                over = idle._replace(call=0)
            if after is None:
                yield f"node {n} has nothing to write for {node.act}", become(unlocked(t, n), over)
                continue
            free = unlocked(after, n)
            yield f"node {n} commits {node.act}", become(free, over)
            if node.act in ("verdict", "cancel"):
                yield f"node {n} commits {node.act}, the answer is lost", become(free, idle)
        if node.pc or node.call:
            dead = unlocked(t, n) if t.lock == n else t
            yield f"node {n} dies", become(dead, idle._replace(call=0))


def fault(state, came_by, before):
    """The sentence of the rule that does not hold, or None."""
    t = state[0]
    if t.live != living(t.below):
        return "the counter of the parent is not that of the rows"
    if t.verdicts > 1:
        return "the verdict was stored twice"
    if t.losses:
        return "a lost analysis counts as a loss"
    if t.runs > 1:
        return "a lost analysis runs the task again"
    if t.verdicts == 0 and any(t.below):
        return "tasks stand without the verdict that added them"
    if t.verdicts == 1 and not all(t.below):
        return "a verdict stands without its tasks"
    if t.state in (DONE, STOPPED) and living(t.below):
        return "the parent has ended before its last task"
    if t.state == WAITING and not living(t.below):
        return "nothing lives below a parent that waits"
    if before is not None and "commits claim" in came_by and before[0].canceled:
        return "a task was claimed after the cancel had committed"
    if before is not None and "commits claim" in came_by and before[0].paused:
        return "a task was claimed after its flow was paused"
    return None


def explore(variant=None):
    """(how many states there are, the way to the first fault or None)"""
    first = (START, (Node(0, None, None, 0, 0), Node(0, None, None, 0, 1)))
    came, todo = {first: None}, deque([first])
    while todo:
        state = todo.popleft()
        for what, after in steps(state, variant):
            fresh = after not in came
            if fresh:
                came[after] = (state, what)
                todo.append(after)
            wrong = fault(after, what, state) if fresh or "claim" in what else None
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
