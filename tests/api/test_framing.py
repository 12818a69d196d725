"""Bytes on the wire: one request in, one answer out, whatever the bytes are. Keep-alive is on."""
import os
import random
import re
import select
import socket
import threading
import time
import unittest

from weirtest import PATIENCE, Case, Raw, Server, exchange, get, request, server

LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b'{"starts":[]}'


def post(headers=b"", body=b"", path=b"/exec/flows", version=b"1.1"):
    return (b"POST " + path + b" HTTP/" + version + b"\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
            headers + b"\r\n" + body)


def sized(body=BODY, more=b""):
    return post(b"Content-Length: %d\r\n" % len(body) + more, body)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked(*chunks, end=b"0\r\n\r\n"):
    return post(b"Transfer-Encoding: chunked\r\n", b"".join(chunks) + end)


class OneAnswer(Case):
    """Each bad request carries a second one in what follows: it must never be answered."""

    def one(self, data, code, smuggled=LIVE):
        with Raw() as raw:
            answers = raw.send(data + smuggled).answers()  # ends only when the server closes
        self.assertEqual(len(answers), 1, (data[:200], answers))
        self.refused(answers[0], code)
        self.assertEqual(answers[0].headers["connection"], "close")

    def test_18_ambiguous_length(self):
        for headers in (b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n",
                        b"Transfer-Encoding: chunked\r\nContent-Length: 13\r\n",
                        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
                        b"Content-Length: 13\r\nContent-Length: 13\r\n",
                        b"Content-Length: 13\r\ncontent-length: 60\r\n",
                        b"Content-Length: 3abc\r\n", b"Content-Length: -1\r\n", b"Content-Length: +13\r\n",
                        b"Content-Length: 0x0d\r\n", b"Content-Length: 13,13\r\n", b"Content-Length:\r\n",
                        b"Content-Length: 99999999999999999999999\r\n", b"Content-Length: 9223372036854775808\r\n",
                        b"Content-Length : 13\r\n", b"Transfer-Encoding : chunked\r\n",
                        b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
                        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                        b"X: a\r\n folded\r\nContent-Length: 13\r\n", b"X: a\r\n\tfolded\r\n",
                        b"Content-Length: 13\nX: y\r\n", b"no colon\r\n", b"X(: y\r\n", b": empty\r\n"):
            with self.subTest(headers=headers):
                with Raw() as raw:
                    answers = raw.send(post(headers, BODY) + LIVE).answers()
                self.assertEqual(len(answers), 1, answers)
                self.assertIn(answers[0].json["code"], ("40010", "40013"))

    def test_18_many_headers(self):
        def flood(n):
            return b"".join(b"X-%d: y\r\n" % i for i in range(n))
        self.one(post(flood(70) + b"Content-Length: %d\r\n" % len(LIVE)), 40010)
        self.one(post(flood(62) + b"Content-Length: %d\r\n" % len(LIVE)), 40010)   # 64 with Host and Content-Type
        answers = exchange(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + flood(62) + b"\r\n")
        self.assertEqual([a.status for a in answers], [200])

    def test_line_ends_of_the_first_line(self):
        """CR or LF and a blank there, which a reader may take for a part of the version: on the first request and on a later one."""
        for end in (b"\r\r", b"\n\r", b"\r ", b"\n ", b"\r\n ", b"\r\r\n", b"\n"):
            line = b"GET /version HTTP/1.1" + end + b"Content-Length: 0\r\nHost: localhost\r\n\r\n"
            for before in (b"", LIVE, sized()):
                with self.subTest(end=end, before=before[:4]):
                    with Raw() as raw:
                        answers = raw.send(before + line + LIVE).answers()
                    self.assertEqual([a.status for a in answers], [200] * bool(before) + [400])
                    self.assertIn(answers[-1].json["code"], ("40010", "40013"))

    @unittest.skipIf(os.environ.get("WEIR_URL"), "needs threads that have served nothing")
    def test_blanks_in_front_of_the_first_request_of_a_thread(self):
        """Exactly one answer; sixteen blanks keep the alignment of the library's buffer."""
        fresh = Server()
        try:
            for blanks in (b"\r\n" * 8, b"\n" * 16, b" " * 16):
                for _ in range(150):
                    with Raw(fresh) as raw:
                        answers = raw.send(blanks + b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n").answers()
                    self.assertEqual([a.status for a in answers], [400], blanks)
        finally:
            self.assertEqual(fresh.stop(), 0)

    def test_first_line(self):
        for line in (b"GET  /livez HTTP/1.1\r\n", b"GET /livez  HTTP/1.1\r\n", b"GET /livez HTTP/1.1 \r\n",
                     b"GET /livez HTTP/1.1\r\n ", b"GET /livez HTTP/1.1\n", b"GET /livez\r\n", b"GET /livez HTTP/2.0\r\n",
                     b"GET /livez HTTP/1.2\r\n", b"GET /li\x01vez HTTP/1.1\r\n", b"GET /li\xffvez HTTP/1.1\r\n"):
            with self.subTest(line=line):
                answers = exchange(line + b"Host: localhost\r\n\r\n" + LIVE)
                self.assertEqual(len(answers), 1, answers)
                self.assertEqual(answers[0].status, 400)
                self.assertIn(answers[0].json["code"], ("40010", "40013"))

    def test_blanks_in_front(self):
        for blanks in (b"\r\n", b"\r\n\r\n", b" ", b"\n\n", b"   \r\n\r\n", b"\r\n" * 4, b"\n" * 15, b"\r\n" * 9):
            for data in (LIVE, sized(), post(b"Content-Length: %d\r\n" % len(LIVE))):
                with self.subTest(blanks=blanks, data=data[:5]):
                    answers = exchange(blanks + data + LIVE)
                    self.assertEqual(len(answers), 1, answers)
                    self.assertEqual(answers[0].status, 400)

    def test_host(self):
        self.one(b"GET /livez HTTP/1.1\r\n\r\n", 40010)
        self.one(b"GET /livez HTTP/1.1\r\nX: y\r\n\r\n", 40010)
        self.one(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 40010)

    def test_19_large_headers(self):
        for size in (17 << 10, 40 << 10, 100 << 10):
            with self.subTest(size=size):
                self.one(post(b"X: " + b"y" * size + b"\r\nContent-Length: 0\r\n"), 43101)
        fits = exchange(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * ((16 << 10) - 100) + b"\r\n\r\n")
        self.assertEqual([a.status for a in fits], [200])

    def test_21_nul_in_target(self):
        self.one(b"GET /livez%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 40013)

    def test_chunks(self):
        for bad in (b"xyz\r\n", b"-5\r\nhello\r\n", b"5\nhello\r\n", b"5;ext=1\r\nhello\r\n", b"5 \r\nhello\r\n", b"0x5\r\nhello\r\n",
                    b"FFFFFFFFFFFFFFFFF\r\n", b"8000000000000000\r\n", b"FFFFFFFFFFFFFFFF\r\n", b"5\r\nhelloXX", b"\r\n"):
            with self.subTest(chunk=bad):
                answers = exchange(post(b"Transfer-Encoding: chunked\r\n", bad) + LIVE)
                self.assertEqual(len(answers), 1, answers)
                self.assertIn(answers[0].json["code"], ("40010", "40801", "41301"))

    def test_errors_close(self):
        for first, status in ((b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
                              (b"PUT /flow HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
                              (sized(b"{"), 400), (sized(b'{"starts":1}'), 422)):
            with self.subTest(first=first):
                with Raw() as raw:
                    answers = raw.send(first + LIVE).answers()
                self.assertEqual([a.status for a in answers], [status])

    def test_body_where_none_belongs(self):
        """The body is not read, so the connection ends: its bytes must not be taken for a request."""
        for method, path in ((b"GET", b"/livez"), (b"DELETE", b"/flow/999999")):
            data = method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(LIVE)
            with Raw() as raw:
                self.assertEqual(len(raw.send(data + LIVE).end().answers()), 1)

    def test_target_that_is_no_path(self):
        for target in (b"*", b"http://other.example:1/livez", b"example"):
            with self.subTest(target=target):
                answers = exchange(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" + LIVE)
                self.assertEqual(len(answers), 1)
                self.assertEqual(answers[0].status, 400)

    def test_junk(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 64, b"hello\r\n\r\n", b"GET\r\n\r\n",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"FOO /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            with self.subTest(data=data):
                answers = exchange(data)
                self.assertEqual(len(answers), 1)
                self.assertIn(answers[0].status, (400, 405))


# Of the two bytes that end the first line the library keeps none: "\r " looks like "\r\n" to the gate.
HEAD = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.[01](?:\r\n|\r |\n |\n\r|\r\r)((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)*)\r\n")


def strict(data):
    """How many requests a strict reader finds before the first bytes that are no request."""
    found = 0
    while True:
        head = HEAD.match(data)
        if not head:
            return found
        lines = [line.split(b":", 1) for line in head[1].split(b"\r\n") if line]
        fields = [(k.lower(), v.strip(b" ")) for k, v in lines]
        length = [v for k, v in fields if k == b"content-length"]
        if len(length) > 1 or any(k == b"transfer-encoding" for k, _ in fields) or (length and not length[0].isdigit()):
            return found
        end = head.end() + int(length[0] if length else 0)
        if end > len(data):
            return found
        found += 1
        data = data[end:]


class Mutations(Case):
    """A pipeline with one byte changed, added or removed: never more answers than a strict reader finds requests, and one
    for the place where it stumbles."""

    def test_one_byte(self):
        seed = int(os.environ.get("WEIR_SEED", random.randrange(1 << 32)))
        rng = random.Random(seed)
        whole = LIVE + sized() + sized(BODY, b"X: y\r\n") + LIVE
        for i in range(400):
            at, byte = rng.randrange(len(whole)), bytes([rng.choice(b" \r\n\t:;,0159aZ\0\xff/%?-+")])
            data = {0: whole[:at] + byte + whole[at + 1:], 1: whole[:at] + byte + whole[at:], 2: whole[:at] + whole[at + 1:]}[rng.randrange(3)]
            answers = exchange(data)
            self.assertLessEqual(len(answers), strict(data) + 1, f"WEIR_SEED={seed} round {i}: {data!r}")
            self.assertTrue(all(a.status == 200 for a in answers[:-1]), f"WEIR_SEED={seed} round {i}: {data!r} {answers}")


class KeepAlive(Case):
    def test_pipeline(self):
        with Raw() as raw:
            raw.send(LIVE + sized() + sized(b" " * 100 + BODY) + LIVE)
            for _ in range(4):
                answer = raw.answer()
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.headers["connection"], "keep-alive")
            raw.end()
            self.assertIsNone(raw.answer())

    def test_pieces(self):
        """The borders of packets are not the borders of requests."""
        data = sized() + LIVE + sized()
        for step in (1, 7, len(data) - 1):
            with Raw() as raw:
                raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for i in range(0, len(data), step):
                    raw.send(data[i:i + step])
                self.assertEqual([a.status for a in (raw.answer(), raw.answer(), raw.answer())], [200] * 3)

    def test_many_begin_at_once(self):
        """Forty first requests in one moment: no connection is closed, because there are enough threads."""
        many = [Raw() for _ in range(40)]
        try:
            for _ in range(3):
                for raw in many:
                    raw.send(sized())
                self.assertEqual({raw.answer().headers["connection"] for raw in many}, {"keep-alive"})
        finally:
            for raw in many:
                raw.socket.close()

    def test_large_body_then_next(self):
        body = BODY + b" " * 900000
        with Raw() as raw:
            raw.send(sized(body) + LIVE)
            self.assertEqual([raw.answer().status, raw.answer().status], [200, 200])

    def test_chunked(self):
        for chunks in ((BODY,), (BODY[:3], BODY[3:]), tuple(BODY[i:i + 1] for i in range(len(BODY)))):
            answers = exchange(chunked(*[chunk(c) for c in chunks]) + LIVE)
            self.assertEqual([a.status for a in answers], [200])   # and closes: no doubt is left
        answers = exchange(chunked(chunk(BODY), end=b"0\r\nTrailer: x\r\n\r\n") + LIVE)
        self.assertEqual(len(answers), 1)

    def test_head(self):
        with Raw() as raw:
            raw.send(b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while b"\r\n\r\n" not in raw.buffer:
                self.assertTrue(raw._fill())
            head, raw.buffer = raw.buffer, b""
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "))
            self.assertTrue(head.endswith(b"\r\n\r\n"))
            self.assertEqual(raw.send(LIVE).answer().status, 200)

    def test_http_1_0_and_close(self):
        for data in (b"GET /livez HTTP/1.0\r\n\r\n", b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n",
                     b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                     post(b"Content-Length: 13\r\n", BODY, version=b"1.0")):
            with Raw() as raw:
                answers = raw.send(data).answers()     # ends because the server closes
            self.assertEqual([a.status for a in answers], [200])
            self.assertEqual(answers[0].headers["connection"], "close")
        with Raw() as raw:
            raw.send(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertEqual(raw.answer().headers["connection"], "keep-alive")
            self.assertEqual(raw.send(LIVE).answer().status, 200)

    def test_expect(self):
        with Raw() as raw:
            raw.send(post(b"Content-Length: 13\r\nExpect: 100-continue\r\n"))
            while b"\r\n\r\n" not in raw.buffer:
                self.assertTrue(raw._fill())
            self.assertEqual(raw.buffer, b"HTTP/1.1 100 Continue\r\n\r\n")
            self.assertEqual(raw.send(BODY).answer().status, 200)
            self.assertEqual(raw.send(LIVE).answer().status, 200)

    def test_absolute_target_of_others(self):
        """No other scheme, no user in front of the host, no other host."""
        here = b"localhost:%d" % server().port
        for target in (b"http://user@" + here, b"http://user:pw@" + here, b"https://" + here, b"ws://" + here, b"x://" + here,
                       b"http://evil.example", b"*"):
            with self.subTest(target=target):
                answers = exchange(b"GET " + target + b"/version HTTP/1.1\r\nHost: localhost\r\n\r\n" + LIVE)
                self.assertEqual(len(answers), 1, answers)
                self.refused(answers[0], 40013)

    def test_two_of_a_header_that_decides(self):
        for name, value, codes in ((b"Expect", b"100-continue", ("40010",)), (b"Content-Encoding", b"identity", ("40010",)),
                                   (b"Sec-Fetch-Site", b"none", ("40010",)), (b"Host", b"localhost", ("40010",)),
                                   (b"Content-Type", b"application/json", ("41501",)), (b"Idempotency-Key", b"k", ("40012",)),
                                   (b"Origin", b"http://localhost", ("40302",))):
            with self.subTest(name=name):
                line = name + b": " + value + b"\r\n"
                answers = exchange(sized(more=line * 2) + LIVE)
                self.assertEqual(len(answers), 1, answers)
                self.assertIn(answers[0].json["code"], codes)

    def test_absolute_target(self):
        target = b"http://localhost:%d/livez" % server().port
        answers = exchange(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual([a.status for a in answers], [200])

    def test_websocket_is_not_spoken(self):
        answers = exchange(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" + LIVE)
        self.assertEqual([a.status for a in answers], [200])

    def test_headers_of_answers(self):
        answer = get("/livez")
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertRegex(answer.headers["X-Request-Id"], r"^[0-9a-f]{16}$")
        self.assertNotEqual(answer.headers["X-Request-Id"], get("/livez").headers["X-Request-Id"])
        for name in answer.headers:
            self.assertFalse(name.lower().startswith("access-control-"), name)


class Sizes(Case):
    def test_16_announced_too_large(self):
        for path, limit in ((b"/exec/flows", 1 << 20), (b"/task", 1 << 20), (b"/flow", 64 << 20)):
            with Raw() as raw:                      # not one byte of the body is sent
                raw.send(post(b"Content-Length: %d\r\n" % (limit + 1), path=path))
                data = self.refused(raw.answer(), 41301, "BODY_TOO_LARGE")["data"]
                self.assertEqual((data["limit"], data["got"]), (limit, limit + 1))
                self.assertEqual(raw.send(LIVE).answers(), [])

    def test_16_client_that_sends_all_the_same(self):
        answer = request("POST", "/task", b" " * (3 << 20), {"Content-Type": "application/json"})
        self.refused(answer, 41301)

    def test_16_limit_itself(self):
        with Raw() as raw:
            raw.send(sized(BODY + b" " * ((1 << 20) - len(BODY))))
            self.assertEqual(raw.answer().status, 200)

    def test_17_chunks_without_end(self):
        with Raw() as raw:
            raw.send(post(b"Transfer-Encoding: chunked\r\n"))
            for _ in range(40):
                raw.send(chunk(b" " * 65536))
            self.refused(raw.answer(), 41301)


class Slow(Case):
    """Clients that do not send what they announced. The server ends them; nobody else waits for it."""

    def trickle(self, raw, stop):
        while not stop.wait(0.3):
            raw.send(b" ")

    def test_20_slow_bodies(self):
        stop = threading.Event()
        with Raw() as silent, Raw() as slow, Raw() as cut, Raw() as chunks:
            silent.send(post(b"Content-Length: 100\r\n"))
            slow.send(post(b"Content-Length: 100000\r\n"))
            chunks.send(post(b"Transfer-Encoding: chunked\r\n", b"ffff\r\n"))
            feeders = [threading.Thread(target=self.trickle, args=(r, stop)) for r in (slow, chunks)]
            for f in feeders:
                f.start()
            try:
                self.refused(cut.send(post(b"Content-Length: 100\r\n", b"{")).end().answer(), 40801)
                self.assertEqual(get("/livez").status, 200)
                for raw in (silent, slow, chunks):
                    self.refused(raw.answer(), 40801, "BODY_TIMEOUT")
            finally:
                stop.set()
                for f in feeders:
                    f.join()

    def test_slow_headers(self):
        """At most one answer, and the connection ends."""
        stop = threading.Event()
        with Raw() as half, Raw() as slow, Raw() as silent:
            half.send(b"GET /livez HT")
            slow.send(b"GET /livez HTTP/1.1\r\nX: ")
            feeder = threading.Thread(target=self.trickle, args=(slow, stop))
            feeder.start()
            try:
                for raw in (half, slow, silent):
                    self.assertLessEqual(len(raw.answers()), 1)
            finally:
                stop.set()
                feeder.join()

    def test_idle_connections(self):
        """More of them than threads: other clients wait for their end, but not for ever."""
        idle = [Raw() for _ in range(150)]
        try:
            self.assertEqual(get("/livez").status, 200)
        finally:
            for raw in idle:
                raw.socket.close()

    def test_68_half_sent_bodies(self):
        """As many of them as threads: no other client notices."""
        held = [Raw().send(post(b"Content-Length: 100\r\n")) for _ in range(120)]
        try:
            for path in ("/flow", "/livez", "/readyz", "/version"):
                self.assertEqual(get(path).status, 200)
            self.ok(request("POST", "/exec/flows", BODY, {"Content-Type": "application/json"}))
        finally:
            for raw in held:
                raw.socket.close()

    @unittest.skipIf(os.environ.get("WEIR_URL"), "knows how many threads there are")
    def test_68_too_many_slow_bodies(self):
        """Bodies that do not fit into a socket take a thread each: only so many, and the next one hears so."""
        for headers in (b"Content-Length: 100000\r\n", b"Transfer-Encoding: chunked\r\n"):
            held = [Raw().send(post(headers, b"5")) for _ in range(70)]
            try:
                refused = select.select([raw.socket for raw in held], [], [], PATIENCE)[0]
                self.assertEqual(get("/flow").status, 200)
                self.assertEqual(get("/livez").status, 200)
                answer = next(raw for raw in held if raw.socket is refused[0]).answer()
                self.refused(answer, 50302, "BUSY")
                self.assertEqual(answer.headers["retry-after"], "1")
            finally:
                for raw in held:
                    raw.socket.close()

    def test_clients_that_go_away(self):
        for data in (b"", b"GET", post(b"Content-Length: 1000\r\n", b"{"), LIVE, sized() * 50):
            for _ in range(20):
                with Raw() as raw:
                    raw.send(data)


if __name__ == "__main__":
    unittest.main()
