"""What a recorded tour is made of: requests in a fixed order, their answers as text, and the recording that they must equal.

A chapter (tour_chapters.py) is a list of requests to a server of its own, one after the other. Each becomes an entry of text:
what was sent, and the answer with its status, headers and body. All of it counts, byte by byte (ids too: they are as they were
counted), but for what no two runs can have in common:

  <moment> <time>  a moment of this tour in the two forms of the API; that both forms of one moment agree and that nothing ends
                   before it starts is checked here. Any other time stays as it is.
  <request>        the id of a request; that X-Request-Id repeats it is checked here
  <usage>          processor time and memory of a process
  <host> <here> <dir> <token> <database>  this machine, its address and port, the directory of the server, its token, its database
  <version>        of the program
  {129 x "a"}      a text that is repeated; {.., 70000 bytes, sha256 ..} the rest of a long one

Waiting for a state is polling, which is no part of the recording. An answer that may be given before or after something that runs
by itself has only the fields in LASTING; it is marked "moving".

    python3 tests/api/tour.py --record [CHAPTER..]

writes the recording anew. It is done when an issue changes an answer on purpose, in the commit that does so, whose text names the
entries; never to make a test green. A new request goes at the end of its chapter.
"""
import datetime
import hashlib
import json
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import time

from openapi import JUDGE
from weirtest import PATIENCE, Answer, Raw, Server, request

FOLDER = pathlib.Path(__file__).resolve().parent / "tour"
LONG, SHOWN, PARSED = 6000, 500, 1 << 20
USUAL = {"cache-control": "no-store", "connection": "keep-alive", "content-type": "application/json",
         "x-content-type-options": "nosniff"}
UNSAID = {"content-length", "x-request-id", "date"}  # checked where they are read
LASTING = ("fiId", "flowId", "flowName", "flowVersion", "tiId", "niId", "taskId", "taskVersion", "taskName", "taskType",
           "runNo", "params", "log", "changed")
RFC, PLAIN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", r"\d{4}-\d\d-\d\d[ +]\d\d:\d\d:\d\d"


def visible(data):
    """Bytes as text on one or more lines: what is no text and no line end is escaped."""
    text = data.decode("utf-8", "backslashreplace")
    return re.sub(r"[^\n -\uffff\U00010000-\U0010ffff]|[\x7f-\x9f\u2028-\u202e\u2066-\u2069]", lambda m: f"\\x{ord(m[0]):02x}",
                  text)


def shortened(text):
    if len(text) <= PARSED:
        text = re.sub(r"([^\n]{1,12}?)\1{39,}", lambda m: "{%d x %s}" % (len(m[0]) // len(m[1]), json.dumps(m[1])), text)
    if len(text) <= LONG:
        return text
    data = text.encode()
    return "%s{.., %d bytes, sha256 %s}" % (text[:SHOWN], len(data), hashlib.sha256(data).hexdigest()[:16])


def indented(text):
    """One row of a list a line."""
    rows = re.sub(r'([,\[])(\{")', r"\1\n\2", text)
    return "".join(f"  {line}\n" for line in rows.split("\n")) if text else ""


class Broken(AssertionError):
    """An answer that contradicts itself."""


class Tour:
    def __init__(self, *options, dev=True, store=None):
        self.dir = tempfile.mkdtemp(prefix="weir-tour-")
        self.began = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        more = ["--store", store] if store else []
        try:
            self.server = Server("--zone", "UTC", "--slots", "2", *more, *options, dev=dev, cwd=self.dir)
        except BaseException:
            shutil.rmtree(self.dir)
            raise
        self.token = None if dev else (pathlib.Path(self.server.dir) / "weir.token").read_text().strip()
        self.entries = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        status = self.server.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
        if kind is None and status != 0:
            raise AssertionError("the server did not end well: " + "".join(self.server.lines))

    # ---- requests that are recorded ----

    def send(self, method, path, body=None, headers=None, note="", moving=False):
        """One request on a connection of its own. body: bytes as they are, else JSON; a header that is None is not sent."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        named = {"host": ("Host", "localhost")}
        if body is not None:
            named["content-type"] = ("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            named[name.lower()] = (name, value)
        if method == "HEAD":
            named["connection"] = ("Connection", "close")
        lines = [f"{name}: {value}" for name, value in named.values() if value is not None]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("utf-8", "surrogateescape")
        with Raw(self.server) as raw:
            raw.send(head + (body or b""))
            answer = self.bare(raw) if method == "HEAD" else raw.answer()
        if answer is not None:
            JUDGE.answer(method, path, answer, body)
        said = [line for line in lines if not line.startswith(("Host: localhost", "Content-Type: application/json",
                                                               "Content-Length"))]
        self.record(note, f"{method} {path}", said, body, [answer], moving)
        return answer

    def get(self, path, **kw):
        return self.send("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.send("POST", path, body, **kw)

    def delete(self, path, **kw):
        return self.send("DELETE", path, **kw)

    def wire(self, data, note=""):
        """Bytes as they are; all answers until the server closes."""
        with Raw(self.server) as raw:
            answers = raw.send(data).end().answers()
        self.record(note, "bytes", (), data, answers, False)
        return answers

    def bare(self, raw):
        """The head of an answer to HEAD, behind which nothing may come."""
        while raw._fill():
            pass
        head, _, rest = raw.buffer.partition(b"\r\n\r\n")
        if rest:
            raise Broken(f"HEAD was answered with a body: {rest[:200]!r}")
        first, *lines = head.decode("latin-1").split("\r\n")
        return Answer(int(first.split(" ")[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, None)

    # ---- an entry ----

    def record(self, note, what, headers, body, answers, moving):
        text = f"=== {len(self.entries) + 1}{' ' if note else ''}{note}\n{shortened(self.same(what))}\n"
        text += "".join(f"{shortened(self.same(visible(line.encode('utf-8', 'surrogateescape'))))}\n" for line in headers)
        if body is not None:
            text += indented(self.same(shortened(visible(body))))
        for answer in answers:
            text += self.answered(answer, moving)
        self.entries.append(text if answers else text + "--- nothing\n")

    def answered(self, answer, moving):
        if answer is None:
            return "--- nothing\n"
        headers, body = answer.headers, answer.body
        text = f"--- {answer.status}{' moving' if moving else ''}\n"
        for name in sorted({*headers, *USUAL} - UNSAID):
            value = headers.get(name)
            if value != USUAL.get(name):
                text += f"{name}: {self.same(value)}\n" if value is not None else f"without {name}\n"
        if body is None:
            return text
        if int(headers["content-length"]) != len(body):
            raise Broken("Content-Length is not the length of the body")
        shown = visible(body)
        if headers.get("content-type") == "application/json":
            self.check(answer)
            if moving and answer.status == 200:
                whole = json.loads(body)
                whole["data"] = {k: v for k, v in whole["data"].items() if k in LASTING}
                shown = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
        return text + indented(shortened(self.same(shown)))

    def check(self, answer):
        whole, text = answer.json, answer.body.decode()
        given = answer.headers.get("x-request-id", "")
        if not re.fullmatch("[0-9a-f]{16}", given):
            raise Broken(f"X-Request-Id is {given!r}")
        if answer.status != 200 and whole["data"]["requestId"] != given:
            raise Broken("requestId is not X-Request-Id")
        for short, exact in re.findall(rf'"\w+Time":"({PLAIN})","\w+At":"({RFC})"', text):
            if exact[:19].replace("T", " ") != short:
                raise Broken(f"{short} and {exact} are not one moment")
        for start, end in re.findall(rf'"startedAt":"({RFC})","endTime":"{PLAIN}","endedAt":"({RFC})"', text):
            if end < start:
                raise Broken(f"it ended at {end}, before it started at {start}")

    def same(self, text):
        """What two runs of the tour have in common."""
        text = re.sub(RFC, lambda m: self.moment(m[0], "%Y-%m-%dT%H:%M:%S.%fZ", "<moment>"), text)
        text = re.sub(PLAIN, lambda m: self.moment(m[0], "%Y-%m-%d %H:%M:%S", "<time>"), text)
        text = re.sub(r'"requestId":"[0-9a-f]{16}"', '"requestId":"<request>"', text)
        text = re.sub(r'("(?:userTimeUs|systemTimeUs|maxRssKib)":)\d+', r"\1<usage>", text)
        text = re.sub(r'("name":"weir","version":)"[^"]*"', r'\1"<version>"', text)
        text = re.sub(r"\bs[0-9a-f]{8}:", "<database>:", text)
        text = text.replace(f"127.0.0.1:{self.server.port}", "<here>").replace(self.dir, "<dir>")
        text = re.sub(rf"\bhost {re.escape(socket.gethostname())}\b", "host <host>", text)
        text = text.replace(f'"host":"{socket.gethostname()}"', '"host":"<host>"')
        return text.replace(self.token, "<token>").replace(self.token[:-1], "<most of the token>") if self.token else text

    def moment(self, text, form, name):
        try:
            at = datetime.datetime.strptime(text.replace("+", " "), form)
        except ValueError:
            return text
        return name if abs(at - self.began) < datetime.timedelta(days=1) else text

    # ---- what is not recorded ----

    def wait(self, path, good):
        """Asks until good(data); returns the data."""
        end = time.monotonic() + PATIENCE
        while True:
            answer = request("GET", path, headers={"Authorization": f"Bearer {self.token}"} if self.token else None,
                             to=self.server)
            if answer.status == 200 and good(answer.data):
                return answer.data
            if time.monotonic() > end:
                raise AssertionError(f"{path} stays {answer}")
            time.sleep(0.005)

    def flow_ends(self, fi):
        """The run and all its tasks: those that are not needed any more run on."""
        return self.wait(f"/monitor/flow/{fi}",
                         lambda f: f["status"] != "RUNNING" and not any(n["tasks"]["open"] for n in f["nodes"]))

    def task_ends(self, ti):
        return self.wait(f"/monitor/task/{ti}", lambda t: t["execStatus"] != "RUNNING")

    def task_is(self, ti, state):
        return self.wait(f"/monitor/task/{ti}", lambda t: t["state"] == state)

    def node_tasks(self, fi, place, good=bool):
        """The task instances of a node of a run, once they are there."""
        ni = self.wait(f"/monitor/flow/{fi}", lambda f: len(f["nodes"]) > place)["nodes"][place]["niId"]
        return self.wait(f"/monitor/node/{ni}", good)

    def open_gate(self, name):
        (pathlib.Path(self.dir) / name).touch()

    def file_is_there(self, name):
        end = time.monotonic() + PATIENCE
        while not (pathlib.Path(self.dir) / name).exists():
            if time.monotonic() > end:
                raise AssertionError(f"{name} does not come")
            time.sleep(0.005)


# ---- the recording ----

def path_of(name):
    return FOLDER / f"{name}.txt"


def recorded(name):
    """The entries of a chapter."""
    return re.split(r"^(?==== )", path_of(name).read_text(), flags=re.M)[1:]


def play(chapter, store=None):
    """The entries of a chapter as they are now, and what ended it early, if anything did."""
    options = dict(chapter.options)
    with Tour(*options.pop("args", ()), store=store, **options) as tour:
        try:
            chapter(tour)
        except (AssertionError, KeyError, IndexError, TypeError) as early:
            return tour.entries, early
        return tour.entries, None


def record(names):
    import tour_chapters
    for name, chapter in tour_chapters.CHAPTERS.items():
        if names and name not in names:
            continue
        entries, early = play(chapter)
        if early:
            raise SystemExit(f"{name}: {early!r} after\n{''.join(entries[-2:])}")
        path_of(name).write_text(f"{chapter.__doc__}\n{''.join(entries)}")
        print(f"{name}: {len(entries)}")


if __name__ == "__main__":
    if sys.argv[1:2] != ["--record"]:
        sys.exit(__doc__)
    record(sys.argv[2:])
