"""A small HTTP site for tests of tasks behind URLs: it notes every request and answers as the test says, byte by byte if need be."""
import asyncio
import threading


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    def __repr__(self):
        return f"{self.method} {self.path}"


def answer(status=200, body=b"", **headers):
    """The bytes of an answer; names of headers are written with _ for -."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Site:
    """handle(request, writer) is a coroutine or a function; what it returns is sent, None = it wrote what it wanted."""

    def __init__(self, handle, host="127.0.0.1"):
        self.handle, self.requests, self.lock = handle, [], threading.Lock()
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, host, 0, backlog=4096))
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def close(self):
        async def end():
            self.server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def seen(self, method=None, path=None):
        with self.lock:
            return [r for r in self.requests if method in (None, r.method) and path in (None, r.path)]

    async def _serve(self, reader, writer):
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, path, headers, body)
        with self.lock:
            self.requests.append(request)
        out = self.handle(request, writer)
        if asyncio.iscoroutine(out):
            out = await out
        if out is None:
            return False
        writer.write(out)
        await writer.drain()
        return True
