"""What test_crawler.py crawls, and with what: a site of linked pages that notes who fetched what, and the analyzer that finds the
links of a page. Both can be held, so that a process is killed in the middle of a fetch or of an analysis, not near it."""
import asyncio
import collections
import json
import os
import threading

from websites import Site, answer

# A page as a task; @ stands for its URL. The analyzer writes the same text.
TASK = '{"taskType":"HTTP","taskName":"page","taskKey":"@","taskConfig":{"url":"@","analyzer":"links","backoff":{"base":"100ms"}}}'

# It answers each link of the page as a task. Before that, when it finds a token for the page, it takes it away and fails in the way
# that the token says; so it fails as often as there are tokens, whoever calls it and whatever dies.
LINKS = r"""#!/bin/sh
who=@WHO room=$1 site=$2 tasks=
json=$(cat)
key=${json#*'"taskKey":"'} key=${key%%'"'*} page=${key##*/} rest=${json#*'"result":"'} end=
echo "$who $page began" >> "$room/calls"
if [ -e "$room/hold" ]; then
  echo "$who $page held" >> "$room/calls"
  while [ -e "$room/hold" ]; do sleep 0.05; done
fi
for token in "$room/fails/$page".*; do
  rm "$token" 2> /dev/null && end=${token##*.} && break
done
[ "$end" = exit ] && echo "no links today" && exit 1
[ "$end" = silent ] && exit 0
[ "$end" = killed ] && kill -9 $$
while [ "$rest" != "${rest#*"href='"}" ]; do
  rest=${rest#*"href='"} url=$site${rest%%"'"*}
  tasks="$tasks${tasks:+,}"'@TASK'
done
[ "$end" = half ] && tasks="$tasks,{"
[ "$end" = type ] && tasks="$tasks"',{"taskType":"SHELL","taskKey":"rogue","taskContent":"true"}'
[ "$end" = owner ] && tasks="$tasks"',{"taskType":"HTTP","taskKey":"rogue","jobId":1,"taskConfig":{"url":"'$site/p/0'"}}'
printf '{"verdict":"done","tasks":[%s]}' "$tasks" > "$WEIR_OUTPUT"
"""
IN_FLIGHT = 128                       # more calls than a member has under way at once
FAILS = ("exit", "silent", "killed", "half", "type", "owner")


class Web:
    """`pages` pages: links[i] are those of page i, in their order; a link may stand twice, lead back, or to the page itself.
    Each page but the first is linked from one of the `near` before it, so that finding them all takes pages / near steps or more."""

    def __init__(self, pages, near, rnd):
        self.links = [[] for _ in range(pages)]
        for i in range(1, pages):
            self.links[rnd.randrange(max(0, i - near), i)].append(i)
        for i, links in enumerate(self.links):
            links += [min(pages - 1, i + rnd.randrange(near)) for _ in range(rnd.randrange(6))]
            links += [rnd.randrange(i + 1) for _ in range(rnd.randrange(4))]
            links += [0] if i % 3 == 0 else []
            rnd.shuffle(links)
        self.bodies = [self.body(i) for i in range(pages)]
        self.here, self.asked, self.quota, self.raised, self.lock = collections.Counter(), {}, pages, asyncio.Event(), threading.Lock()
        self.site = Site(self.handle)
        self.url = self.site.url

    def body(self, i):
        items = "".join(f"<li>and <a href='/p/{to}'>page {to}</a></li>" for to in self.links[i])
        return f"<!DOCTYPE html><title>Page \"{i}\"</title>\n<p>{'é ' * (i % 200)}</p>\n<ul>{items}</ul>\n"

    async def handle(self, request, writer):
        i = int(request.path.removeprefix("/p/"))
        with self.lock:
            place = self.asked.setdefault(i, len(self.asked))
            self.here[i] += 1
        while place >= self.quota:
            await self.raised.wait()
        with self.lock:
            self.here[i] -= 1
        return answer(200, self.bodies[i], Content_Type="text/html; charset=utf-8")

    def allow(self, part):
        """So many of the pages are given out; whoever asks for another one waits until more are allowed."""
        async def change():
            before, self.quota, self.raised = self.raised, int(len(self.links) * part), asyncio.Event()
            before.set()
        asyncio.run_coroutine_threadsafe(change(), self.site.loop).result(30)

    def waits(self, i):
        """Does somebody wait for this page?"""
        with self.lock:
            return self.here[i] > 0

    def fetches(self):
        """Page -> its requests, in their order."""
        out = collections.defaultdict(list)
        for request in self.site.seen():
            out[int(request.path.removeprefix("/p/"))].append(request)
        return out

    def found(self):
        with self.lock:
            return len(self.asked)

    def address(self, i):
        return f"{self.url}/p/{i}"

    def task(self, i):
        return json.loads(TASK.replace("@", self.address(i)))


class Analyst:
    """The analyzer's room: `fails` has its tokens, `calls` says who called it for which page, `hold` makes it wait."""

    def __init__(self, room, web, pages, rnd):
        self.room, self.url, self.died, self.killed = room, web.url, set(), []
        (room / "fails").mkdir(parents=True)
        (room / "calls").touch()
        self.fails = {i: rnd.choice((1, 1, 2)) for i in rnd.sample(range(pages), pages // 10)}
        for i, times in self.fails.items():
            for n in range(times):
                (room / "fails" / f"{i}.{n}.{rnd.choice(FAILS)}").touch()

    def program(self, folder, who):
        """The program, in a folder of its member's own: so it knows who has called it."""
        folder.mkdir()
        path = folder / "links.sh"
        path.write_text(LINKS.replace("@WHO", who).replace("@TASK", TASK.replace("@", "'\"$url\"'")))
        os.chmod(path, 0o755)
        os.chmod(folder, 0o755)
        return folder

    def body(self):
        return {"analyzerType": "links", "mode": "program", "location": ["links.sh", str(self.room), self.url]}

    def calls(self, what="began"):
        """[(who, page)]"""
        return [(who, int(page)) for who, page, word in map(str.split, self.notes()) if word == what]

    def story(self, page):
        """All that was noted of the page, with its place among the calls."""
        return [(n, who, word) for n, (who, i, word) in enumerate(map(str.split, self.notes())) if i == str(page)]

    def notes(self):
        return (self.room / "calls").read_text().splitlines()

    def dies(self, who):
        """A member was killed: what it has asked last may be asked again. Programs that it has started may still say that they begin."""
        self.killed.append((who, sum(name == who for name, _ in self.calls())))
        self.died |= {page for _, page in self.calls("held")}

    def may_have_died(self):
        """The pages whose call may have died with a member."""
        pages = set(self.died)
        for who, at in self.killed:
            pages |= set([page for name, page in self.calls() if name == who][max(0, at - IN_FLIGHT):at + IN_FLIGHT])
        return pages

    def left(self):
        """How many tokens nobody has taken."""
        return len(os.listdir(self.room / "fails"))

    def hold(self, on):
        path = self.room / "hold"
        if on:
            path.touch()
        else:
            path.unlink()
