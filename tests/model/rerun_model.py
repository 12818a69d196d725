"""A task that is run again, and what it added in its former runs (docs/explanation/protocol.md, rule 42).

Everything here happens under the lock of the tree, so each step is a commit: a verdict, the end of a task below, a run again of a task that has
ended, by a user or by the retry of a job. An analyzer that gives its tasks keys names all again that it added before, one without
keys none; either adds one more.

Beside the counters stands what they stand for: `counts`, the tasks that the newest verdict named or added. The parent ends when none of
its tasks lives, of whatever run, and it has failed when one of those failed. Each variant leaves one part of the rule out, and must
fail.

  rerun_model.py            the rule, and all variants
  rerun_model.py VARIANT    that variant, with the shortest way to the fault
"""
import sys
from collections import deque, namedtuple

VARIANTS = {
    "waits_for_new_alone": "A parent waits only when its verdict adds tasks.",
    "failed_stays": "What failed below in a former run stays counted.",
    "named_starts_at_none": "What is named again, and has failed, is not counted.",
    "former_count": "A task of a former run that is not named again counts when it fails.",
    "former_never_count": "A task that is named again does not count when it fails later.",
    "live_is_reset": "A verdict forgets what lives of former runs.",
}

ANALYSED, WAITING, DONE, BAD = "awdf"
QUEUED, OK, FAILED = "qof"
# kids: (state, run that added it); counts: which of them matter; former: those of former runs do not change `failed`
Tree = namedtuple("Tree", "state run kids counts live failed former again")
RUNS, AGAIN = 3, 3  # runs of the parent, runs again of tasks below, so that the model is finite
START = Tree(ANALYSED, 1, (), frozenset(), 0, 0, False, 0)


def settle(t):
    if t.state != WAITING or t.live:
        return t
    return t._replace(state=BAD if t.failed > 0 else DONE)


def verdict(t, keyed, variant):
    there = frozenset(range(len(t.kids)))
    named = there if keyed else frozenset()
    live = (0 if variant == "live_is_reset" else t.live) + 1
    failed = 0 if variant == "named_starts_at_none" else sum(t.kids[i][0] == FAILED for i in named)
    if variant == "failed_stays":
        failed = t.failed
    after = t._replace(kids=t.kids + ((QUEUED, t.run),), counts=named | {len(t.kids)}, live=live, failed=failed,
                       former=bool(there) and not keyed and variant != "former_count" or variant == "former_never_count")
    return after._replace(state=WAITING)


def names(t, variant):
    """A verdict that names what is there, and adds nothing."""
    there = frozenset(range(len(t.kids)))
    failed = sum(t.kids[i][0] == FAILED for i in there)
    after = t._replace(counts=there, failed=failed, former=False)
    if t.live and variant != "waits_for_new_alone":
        return after._replace(state=WAITING)
    return after._replace(state=BAD if t.live == 0 and failed else DONE)


def moved(t, i, to):
    """One task below is another; the counters change by it."""
    was, run = t.kids[i]
    matters = not t.former or run == t.run
    live = t.live + (to == QUEUED) - (was == QUEUED)
    failed = t.failed + (to == FAILED) - (was == FAILED) if matters else t.failed
    return settle(t._replace(kids=t.kids[:i] + ((to, run),) + t.kids[i + 1:], live=live, failed=max(failed, 0)))


def steps(t, variant):
    if t.state == ANALYSED:
        for keyed in (True, False):
            yield f"verdict, keys {keyed}", verdict(t, keyed, variant)
        if t.kids:
            yield "verdict, all there", names(t, variant)
    for i, (state, _) in enumerate(t.kids):
        if state == QUEUED:
            yield f"{i} succeeds", moved(t, i, OK)
            yield f"{i} fails", moved(t, i, FAILED)
        elif state == FAILED and t.again < AGAIN:
            yield f"{i} is run again", moved(t, i, QUEUED)._replace(again=t.again + 1)
    if t.state in (DONE, BAD) and t.run < RUNS:
        yield "it is run again", t._replace(state=ANALYSED, run=t.run + 1)


def fault(t, before):
    """The sentence of the rule that does not hold, or None."""
    if t.state == WAITING and not any(s == QUEUED for s, _ in t.kids):
        return "nothing lives below a parent that waits"
    if t.state not in (DONE, BAD) or before is None or before.state in (DONE, BAD):
        return None
    if any(s == QUEUED for s, _ in t.kids):
        return "the parent has ended, and a task that it added lives"
    if (t.state == BAD) != any(t.kids[i][0] == FAILED for i in t.counts):
        return "the parent has ended otherwise than what counts"
    return None


def explore(variant=None):
    """(how many states there are, the way to the first fault or None)"""
    came, todo = {START: None}, deque([START])
    while todo:
        state = todo.popleft()
        for what, after in steps(state, variant):
            if after in came:
                continue
            came[after] = (state, what)
            todo.append(after)
            wrong = fault(after, state)
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
    print(f"the rule: {n} states, {'no fault' if not way else way}")
    blind = []
    for name in VARIANTS:
        n, found = explore(name)
        print(f"{name}: {n} states, {found[-1] if found else 'NO FAULT FOUND'}")
        if not found:
            blind.append(name)
    return 1 if way or blind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
