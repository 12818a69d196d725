#!/usr/bin/env python3
"""with_redis.py PROGRAM [redis-server options]: runs PROGRAM against a private redis-server on a unix socket.

The server's URL is in WEIR_TEST_REDIS. Exit status: PROGRAM's, or 77 when there is no redis-server."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile


def ready(path):
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(path)
            s.sendall(b"PING\r\n")
            return s.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


def main():
    if not shutil.which("redis-server"):
        print("no redis-server", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix="weir-redis-") as folder:
        path = os.path.join(folder, "redis.sock")
        log = os.path.join(folder, "log")
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
                                   "--dir", folder, "--logfile", log, *sys.argv[2:]])
        try:
            while not ready(path):
                try:
                    server.wait(0.01)
                except subprocess.TimeoutExpired:
                    continue
                print(open(log, encoding="utf-8").read(), file=sys.stderr)
                return 1
            return subprocess.run([sys.argv[1]], env={**os.environ, "WEIR_TEST_REDIS": "redis+unix://" + path}).returncode
        finally:
            server.send_signal(signal.SIGCONT)  # a test may have stopped it
            server.kill()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
