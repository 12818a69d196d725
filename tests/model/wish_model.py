"""The pass of a job (docs/explanation/protocol.md, rule 37), when one wish comes while the pass of another is under way.

Everything here happens under the lock of the job, so each step is a commit: a request that is acknowledged, a slice of the pass (one
task), a task that starts, succeeds or fails. What the steps read stands in the rows, so a crash between two of them is no step of its own.

Beside the rows stands what users were promised. `must`: tasks that had failed when a retry was acknowledged, and were not run since; a
cancel takes it back. `may`: how often each task may be run again by the retries that were acknowledged. Each variant leaves one part of the
rule out, and must fail.

  wish_model.py            the rule, and all variants
  wish_model.py VARIANT    that variant, with the shortest way to the fault
"""
import sys
from collections import deque, namedtuple

VARIANTS = {
    "takes_the_place": "A wish takes the place of the retry that is under way.",
    "resume_is_replaced": "A retry takes the place of the resume that is under way.",
    "starts_over": "A retry begins anew when another wish comes.",
    "one_lap": "The pass ends with the lap that began with the retry.",
    "no_again": "A second retry finds the first one under way, and is nothing new.",
    "ends_meanwhile": "The job ends while its retry is under way, because nothing of it lives.",
}

# a task
QUEUED, RUNNING, PAUSED, OK, FAILED, CANCELED = "QRPOFC"
# wish: what holds, or RESUME. retry, again: a retry is under way; another lap of it comes. at: the next task of the pass; None: it is over
Job = namedtuple("Job", "tasks wish retry again at ended asked must may runs")
NONE, PAUSE, RESUME, CANCEL = "-", "pause", "resume", "cancel"

N = 3
ASKS = 4  # requests, so that the model is finite
RUNS = 2  # attempts that fail, of each task
START = Job((FAILED, FAILED, PAUSED), PAUSE, False, False, None, False, 0, frozenset(), (0,) * N, (0,) * N)


def put(t, i, what):
    return t[:i] + (what,) + t[i + 1:]


def live(job):
    return any(t in (QUEUED, RUNNING, PAUSED) for t in job.tasks)


def decide(job, variant):
    """The job is closed: it ends when nothing lives, and nothing is about to."""
    if live(job) or (job.retry and variant != "ends_meanwhile"):
        return job
    return job._replace(ended=True, at=None, retry=False, again=False, wish=CANCEL if job.wish == CANCEL else NONE)


def retry(job, variant):
    bad = frozenset(i for i, t in enumerate(job.tasks) if t in (FAILED, CANCELED))
    if job.wish == PAUSE or (job.wish == CANCEL and not job.ended) or not bad:
        return None
    after = job._replace(ended=False, must=job.must | bad, may=tuple(n + 1 for n in job.may))
    if job.wish == CANCEL:
        after = after._replace(wish=NONE)
    if not job.retry:
        keeps = job.wish == RESUME and variant != "resume_is_replaced"
        return after._replace(retry=True, at=0, wish=RESUME if keeps else NONE)
    if job.at == 0 or job.again or variant == "no_again":
        return after
    return after._replace(again=True)


def wish(job, what, variant):
    goes_on = job.retry and what != CANCEL and variant != "takes_the_place"
    at = job.at if goes_on and variant != "starts_over" else 0
    must = frozenset() if what == CANCEL else job.must
    return job._replace(wish=what, at=at, retry=goes_on, again=goes_on and job.again, must=must)


def ask(job, what, variant):
    if what == "retry":
        return retry(job, variant)
    if job.ended or job.wish == CANCEL or what == job.wish or (what == RESUME and job.wish != PAUSE):
        return None
    return wish(job, what, variant)


def obey(job, i):
    """What the wish wants of one task in its pass."""
    t = job.tasks[i]
    if job.retry and t in (FAILED, CANCELED):
        job = job._replace(must=job.must - {i}, may=put(job.may, i, job.may[i] - 1))
        t = QUEUED  # a pause holds it: nothing starts meanwhile, and the next lap makes it PAUSED
    elif job.wish == PAUSE and t == QUEUED:
        t = PAUSED
    elif job.wish == RESUME and t == PAUSED:
        t = QUEUED
    elif job.wish == CANCEL and t in (QUEUED, RUNNING, PAUSED):
        t = CANCELED
    return job._replace(tasks=put(job.tasks, i, t))


def over(job, variant):
    """The pass has come to the end."""
    if job.again:
        return job._replace(again=False, at=0)
    if job.retry and job.wish != NONE and variant != "one_lap":
        return job._replace(retry=False, at=0)
    return job._replace(retry=False, at=None, wish=NONE if job.wish == RESUME else job.wish)


def steps(job, variant):
    for what in ("retry", PAUSE, RESUME, CANCEL) if job.asked < ASKS else ():
        after = ask(job, what, variant)
        if after:
            yield what, decide(after._replace(asked=job.asked + 1), variant)
    if job.at is not None and job.at < N:
        after = decide(obey(job, job.at), variant)
        yield f"slice {job.at}", after if after.at is None else after._replace(at=job.at + 1)
    elif job.at is not None:
        yield "the lap is over", decide(over(job, variant), variant)
    for i, t in enumerate(job.tasks):
        if t == QUEUED and job.wish not in (PAUSE, CANCEL):
            yield f"{i} starts", job._replace(tasks=put(job.tasks, i, RUNNING))
        elif t == RUNNING:
            yield f"{i} succeeds", decide(job._replace(tasks=put(job.tasks, i, OK)), variant)
            if job.runs[i] < RUNS:
                yield f"{i} fails", decide(job._replace(tasks=put(job.tasks, i, FAILED), runs=put(job.runs, i, job.runs[i] + 1)), variant)


def fault(job):
    """The sentence of the rule that does not hold, or None."""
    if min(job.may) < 0:
        return "a task was run again once more than anybody asked"
    if job.at is not None:
        return None
    if job.must:
        return "a retry was acknowledged, and a task that had failed was not run again"
    if job.wish == NONE and PAUSED in job.tasks:
        return "the job goes on, and a task of it stays PAUSED"
    if job.wish == PAUSE and QUEUED in job.tasks:
        return "the pause is carried out, and a task waits that is not PAUSED"
    if job.wish == CANCEL and live(job):
        return "the cancel is carried out, and a task lives"
    return None


def explore(variant=None):
    """(how many states there are, the way to the first fault or None)"""
    came, todo = {START: None}, deque([START])
    while todo:
        job = todo.popleft()
        for what, after in steps(job, variant):
            if after in came:
                continue
            came[after] = (job, what)
            todo.append(after)
            wrong = fault(after)
            if wrong:
                way, at = [what, wrong], job
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
