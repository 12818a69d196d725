"""follow=true: a log streams while its task runs, over its attempts; attempt=all: the bytes of all attempts."""
import http.client
import os
import shutil
import signal
import tempfile
import time
import unittest

from weirtest import Case, PATIENCE, Raw, Server, delete, get, inline, post, server


class Stream:
    """A log that is followed, read piece by piece."""

    def __init__(self, path, to=None):
        to = to or server()
        self.connection = http.client.HTTPConnection(to.host, to.port, timeout=PATIENCE)
        self.connection.request("GET", path)
        self.answer = self.connection.getresponse()
        self.got = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def until(self, text):
        while text not in self.got:
            more = self.answer.read1(65536)
            if not more:
                raise AssertionError(f"the stream ended: {self.got!r}")
            self.got += more

    def rest(self):
        self.got += self.answer.read()
        return self.got


class Following(Case):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="weir-follow-")
        self.addCleanup(shutil.rmtree, self.dir)

    def go(self, name):
        """What a script waits for: `await NAME`."""
        with open(os.path.join(self.dir, name), "w"):
            pass

    def shell(self, script, to=None, **config):
        """Starts a SHELL task alone; its script knows `await`."""
        text = f'await() {{ until [ -e "{self.dir}/$1" ]; do sleep 0.02; done; }}\n{script}'
        body = {"taskName": "t", "taskType": "SHELL", "taskContent": text, "taskConfig": config}
        return self.ok(post(f"/exec/task/{self.ok(post('/task', body, to=to))['taskId']}", to=to))["tiId"]

    def test_the_last_attempt_is_the_newest(self):
        """Also while it has written nothing: the log of the attempt before it is not shown in its place."""
        ti = self.shell(f'if [ -e "{self.dir}/second" ]; then await never; fi; echo old; touch "{self.dir}/second"; exit 75', backoff={"base": "1ms"})
        deadline = time.monotonic() + PATIENCE
        while self.ok(get(f"/monitor/task/{ti}"))["attempt"] < 2:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(self.log(ti).body, b"")
        self.assertEqual(self.log(ti, "?attempt=1").body, b"old\n")
        self.ok(post(f"/exec/task-ins/{ti}/cancel"))

    def log(self, ti, query=""):
        answer = get(f"/monitor/task/{ti}/log{query}")
        self.assertEqual(answer.status, 200, answer)
        return answer

    def started(self, ti, to=None):
        end = time.monotonic() + PATIENCE
        while self.ok(get(f"/monitor/task/{ti}", to=to))["state"] != "RUNNING":
            self.assertLess(time.monotonic(), end)

    def test_of_one_that_has_ended(self):
        ti = self.shell("printf 'a\\000b\\377\\n'; echo two")
        self.task_finished(ti)
        plain = self.log(ti)
        with Stream(f"/monitor/task/{ti}/log?follow=true") as s:
            self.assertEqual(s.rest(), plain.body)
            self.assertEqual(s.got, b"a\0b\xff\ntwo\n")
            self.assertEqual([s.answer.headers[h] for h in ("X-Log-Size", "X-Log-Offset", "Transfer-Encoding", "Content-Type")],
                             ["9", "0", "chunked", plain.headers["Content-Type"]])
        with Stream(f"/monitor/task/{ti}/log?follow=true&offset=5") as s:
            self.assertEqual((s.rest(), s.answer.headers["X-Log-Offset"]), (b"two\n", "5"))
        self.assertEqual(self.log(ti, "?follow=false").body, plain.body)
        with Stream(f"/monitor/task/{ti}/log?follow=true&offset=9") as s:
            self.assertEqual(s.rest(), b"")

    def test_of_a_result(self):
        """A log that equals the result stands only there."""
        ti = self.ok(post(f"/exec/task/{self.task(content='hello')}?wait=60"))["tiId"]
        for query in ("?follow=true", "?follow=true&attempt=all", "?attempt=all", "?follow=true&stream=stdout"):
            self.assertEqual(self.log(ti, query).body, b"hello", query)
        for query in ("?follow=true&stream=stderr", "?attempt=all&stream=stderr"):
            self.assertEqual(self.log(ti, query).body, b"", query)
        self.assertEqual(self.log(ti, "?attempt=all&offset=2&limit=2").body, b"ll")

    def test_while_it_runs(self):
        ti = self.shell("echo one; await two; echo two; await three; echo three")
        with Stream(f"/monitor/task/{ti}/log?follow=true") as s, Stream(f"/monitor/task/{ti}/log?follow=true&offset=0&attempt=all") as all_:
            s.until(b"one\n")
            self.go("two")
            s.until(b"two\n")
            all_.until(b"two\n")
            self.go("three")
            self.assertEqual(s.rest(), b"one\ntwo\nthree\n")
            self.assertEqual(all_.rest(), s.got)
            self.assertEqual(self.ok(get(f"/monitor/task/{ti}"))["state"], "SUCCESS")  # the end of the stream is the end of the task

    def test_over_attempts(self):
        script = 'echo "attempt $WEIR_ATTEMPT"; await "$WEIR_ATTEMPT"; [ "$WEIR_ATTEMPT" = 3 ]'
        ti = self.shell(script, attempts=5, backoff={"base": "1ms", "jitter": "none"})
        whole = b"attempt 1\nattempt 2\nattempt 3\n"
        with Stream(f"/monitor/task/{ti}/log?follow=true") as s:
            s.until(b"attempt 1\n")
            self.go("1")
            s.until(b"attempt 2\n")
            with Stream(f"/monitor/task/{ti}/log?follow=true") as newest, Stream(f"/monitor/task/{ti}/log?follow=true&attempt=1") as first, \
                    Stream(f"/monitor/task/{ti}/log?follow=true&attempt=all&offset=3") as all_:
                self.refused(get(f"/monitor/task/{ti}/log?follow=true&attempt=7"), 40402)
                self.go("2")
                self.go("3")
                self.assertEqual(s.rest(), whole)
                self.assertEqual(newest.rest(), whole[10:])
                self.assertEqual(first.rest(), whole)
                self.assertEqual(all_.rest(), whole[3:])
        self.assertEqual(self.log(ti).body, whole[20:])
        self.assertEqual(self.log(ti, "?attempt=2").body, whole[10:20])
        answer = self.log(ti, "?attempt=all")
        self.assertEqual((answer.body, answer.headers["X-Log-Size"], answer.headers["X-Log-Offset"]), (whole, "30", "0"))
        for offset in range(0, 31):
            for limit in (1, 9, 10, 11, 25, 31):
                answer = self.log(ti, f"?attempt=all&offset={offset}&limit={limit}")
                self.assertEqual((answer.body, answer.headers["X-Log-Size"]), (whole[offset:offset + limit], "30"))
            with Stream(f"/monitor/task/{ti}/log?follow=true&attempt=all&offset={offset}") as s:
                self.assertEqual(s.rest(), whole[offset:])
        refusal = self.refused(get(f"/monitor/task/{ti}/log?attempt=all&offset=31"), 41601)
        self.assertEqual((refusal["data"]["limit"], refusal["data"]["got"]), (30, 31))
        self.refused(get(f"/monitor/task/{ti}/log?follow=true&attempt=all&offset=31"), 41601)
        self.refused(get(f"/monitor/task/{ti}/log?follow=true&offset=11"), 41601)

    def test_the_newest_attempt_says_nothing(self):
        """Its log is empty, as that of a follower, and not that of the attempt before."""
        ti = self.shell('[ "$WEIR_ATTEMPT" = 2 ] && { await go; exit 0; }; echo old; exit 1', attempts=2, backoff={"base": "1ms"}, stderr="apart")
        for state in ("RUNNING", "SUCCESS"):
            self.task_until(ti, lambda row: (row["attempt"], row["state"]) == (2, state))
            for query in ("", "?stream=stdout"):
                answer = self.log(ti, query)
                self.assertEqual((answer.body, answer.headers["X-Log-Size"]), (b"", "0"))
            self.assertEqual(self.log(ti, "?attempt=1").body, b"old\n")
            self.refused(get(f"/monitor/task/{ti}/log?offset=1"), 41601)
            self.go("go")
        self.assertEqual(self.log(ti, "?follow=true").body, b"")

    def test_of_one_that_is_deleted(self):
        """The stream ends with the removal, and what had come by then stays."""
        ti = self.shell("echo one; sleep 3600")
        with Stream(f"/monitor/task/{ti}/log?follow=true") as s, Stream(f"/monitor/task/{ti}/log?follow=true&attempt=all") as all_:
            s.until(b"one\n")
            all_.until(b"one\n")
            self.ok(delete(f"/exec/task-ins/{ti}"))
            self.assertEqual((s.rest(), all_.rest()), (b"one\n", b"one\n"))
        self.refused(get(f"/monitor/task/{ti}/log?follow=true"), 40402)

    def test_streams_apart(self):
        ti = self.shell("echo o1; echo e1 >&2; await x; echo o2; echo e2 >&2; exit 1", stderr="apart", attempts=2,
                        backoff={"base": "1ms", "jitter": "none"})
        with Stream(f"/monitor/task/{ti}/log?follow=true&stream=stderr") as err, Stream(f"/monitor/task/{ti}/log?follow=true&stream=stdout") as out:
            err.until(b"e1\n")
            self.go("x")
            self.assertEqual((err.rest(), out.rest()), (b"e1\ne2\n" * 2, b"o1\no2\n" * 2))
        self.assertEqual(self.log(ti, "?attempt=all&stream=stderr&offset=4").body, b"2\ne1\ne2\n")

    def test_bad_requests(self):
        ti = self.shell("true")
        self.refused(get(f"/monitor/task/{ti}/log?follow=yes"), 42205)
        self.refused(get(f"/monitor/task/{ti}/log?attempt=every"), 42205)
        self.refused(get(f"/monitor/task/{ti}/log?follow=true&limit=5"), 42206)
        self.refused(get("/monitor/task/999999999/log?follow=true"), 40402)
        self.refused(get("/monitor/task/999999999/log?attempt=all"), 40402)
        self.task_finished(ti)
        self.assertEqual(self.log(ti, "?attempt=all").body, b"")
        self.assertEqual(self.log(ti, "?follow=true").body, b"")

    def test_forms_of_http(self):
        ti = self.shell("echo hello")
        self.task_finished(ti)
        with Raw() as raw:  # HTTP/1.0: until the connection closes
            raw.send(f"GET /monitor/task/{ti}/log?follow=true HTTP/1.0\r\n\r\n".encode())
            while raw._fill():
                pass
            head, body = raw.buffer.split(b"\r\n\r\n", 1)
            self.assertEqual(body, b"hello\n")
            self.assertNotIn(b"chunked", head)
            self.assertIn(b"Connection: close", head)
        connection = http.client.HTTPConnection(server().host, server().port, timeout=PATIENCE)
        try:  # the connection goes on after the last chunk
            for _ in range(3):
                connection.request("GET", f"/monitor/task/{ti}/log?follow=true")
                answer = connection.getresponse()
                self.assertEqual((answer.read(), answer.headers["Connection"]), (b"hello\n", "keep-alive"))
            connection.request("HEAD", f"/monitor/task/{ti}/log?follow=true")  # no bytes, so nothing to follow
            answer = connection.getresponse()
            self.assertEqual((answer.read(), answer.headers["Content-Length"]), (b"", "6"))
        finally:
            connection.close()

    def test_one_who_reads_late(self):
        """8 MiB for a client that does not read hold up nobody, and are whole in the end."""
        ti = self.shell("head -c 8388608 /dev/zero | tr '\\000' 'x'; await end; echo end", log=1 << 26)
        with Stream(f"/monitor/task/{ti}/log?follow=true") as s, Stream(f"/monitor/task/{ti}/log?follow=true&offset=0") as fast:
            while len(fast.got) < 8388608:
                fast.got += fast.answer.read1(65536)
            self.assertEqual(self.ok(post(f"/exec/task/{self.task()}?wait=60"))["state"], "SUCCESS")
            self.go("end")
            self.assertEqual(fast.rest()[-4:], b"end\n")
            self.assertEqual(s.rest(), fast.got)

    def test_the_task_of_a_node(self):
        node = inline("SHELL", f'echo one; until [ -e "{self.dir}/go" ]; do sleep 0.02; done; echo two')
        fi = self.start(self.flow(node)["flowId"])
        ti = self.ok(get(f"/monitor/node/{self.ok(get(f'/monitor/flow/{fi}'))['nodes'][0]['niId']}"))[0]["tiId"]
        with Stream(f"/monitor/task/{ti}/log?follow=true") as s:
            s.until(b"one\n")
            self.go("go")
            self.assertEqual(s.rest(), b"one\ntwo\n")
        self.finished(fi)

    def test_before_it_runs(self):
        """One that waits for a slot: the stream is there before the first attempt."""
        own = Server("--slots", "1")
        self.addCleanup(own.stop)
        first = self.shell("await first", own)
        second = self.shell("echo hello", own)
        self.started(first, own)
        self.refused(get(f"/monitor/task/{second}/log?follow=true&offset=1", to=own), 41601)
        with Stream(f"/monitor/task/{second}/log?follow=true", own) as s:
            self.go("first")
            self.assertEqual(s.rest(), b"hello\n")

    def test_it_ends_with_its_time(self):
        own = Server("--follow-timeout", "1s")
        self.addCleanup(own.stop)
        ti = self.shell("echo hello; await end", own)
        end = time.monotonic() + PATIENCE
        while get(f"/monitor/task/{ti}/log", to=own).body != b"hello\n":
            self.assertLess(time.monotonic(), end)
        with Stream(f"/monitor/task/{ti}/log?follow=true", own) as s:
            self.assertEqual(s.rest(), b"hello\n")
        self.assertEqual(self.ok(get(f"/monitor/task/{ti}", to=own))["state"], "RUNNING")
        self.go("end")

    def test_it_ends_with_the_server(self):
        own = Server()
        self.addCleanup(own.stop)
        ti = self.shell("echo hello; await never", own)
        with Stream(f"/monitor/task/{ti}/log?follow=true", own) as s:
            s.until(b"hello\n")
            own.process.send_signal(signal.SIGTERM)
            self.assertEqual(s.rest(), b"hello\n")

    def test_who_goes_makes_room(self):
        own = Server("--wait-share", "1")
        self.addCleanup(own.stop)
        ti = self.shell("echo hello; await end", own)
        streams = []
        while True:
            streams.append(Stream(f"/monitor/task/{ti}/log?follow=true", own))
            if streams[-1].answer.status != 200:
                break
            streams[-1].until(b"hello\n")
        self.assertEqual(streams[-1].answer.status, 503)
        for s in streams:
            s.connection.close()
            s.answer.close()
        end = time.monotonic() + PATIENCE
        while (answer := get(f"/monitor/task/{ti}?wait=0.01", to=own)).status != 200:
            self.assertLess(time.monotonic(), end, answer)
        self.go("end")


if __name__ == "__main__":
    unittest.main()
