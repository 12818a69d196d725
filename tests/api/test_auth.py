"""A server without --dev: the token, its file, and every route behind it."""
import os
import pathlib
import stat
import unittest

from weirtest import Case, Server, get, request

ROUTES = (("POST", "/flow"), ("GET", "/flow"), ("GET", "/flow/1"), ("DELETE", "/flow/1"), ("POST", "/task"), ("GET", "/task"),
          ("GET", "/task/1"), ("DELETE", "/task/1"), ("POST", "/exec/flow/1"), ("POST", "/exec/flows"), ("POST", "/exec/task/1"),
          ("POST", "/exec/flow-ins/1/cancel"), ("POST", "/exec/task-ins/1/cancel"), ("POST", "/monitor/flow"), ("GET", "/monitor/flow"),
          ("GET", "/monitor/flow/1"), ("POST", "/monitor/flow/detail/1"), ("GET", "/monitor/node/1"), ("GET", "/monitor/task/1"),
          ("GET", "/monitor/task/1/log"), ("GET", "/monitor/task/1/progress"), ("GET", "/monitor/task/1/context"))


@unittest.skipIf(os.environ.get("WEIR_URL"), "needs a server of its own")
class Token(Case):
    @classmethod
    def setUpClass(cls):
        cls.own = Server(dev=False)
        cls.file = pathlib.Path(cls.own.dir) / "weir.token"
        cls.token = cls.file.read_text().strip()

    @classmethod
    def tearDownClass(cls):
        if cls.own.stop() != 0:
            raise AssertionError("the server did not end well: " + "".join(cls.own.lines))

    def tearDown(self):
        self.assertEqual(get("/readyz", to=self.own).status, 200)

    def test_file(self):
        self.assertRegex(self.token, r"^[0-9a-f]{64}$")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertFalse([line for line in self.own.lines if self.token in line], "the token was printed")

    def test_25_every_route(self):
        bad = [{}] + [{"Authorization": v} for v in ("", "Bearer", "Bearer ", "Bearer nothing", "Basic " + self.token, self.token,
                                                     "Bearer " + self.token[:-1], "Bearer " + self.token + "0", "Bearer " + "0" * 64,
                                                     "Bearer  " + self.token)]
        bad += [{"X-Token": self.token}, {"Cookie": "token=" + self.token}]
        texts = set()
        for method, path in ROUTES:
            for headers in bad:
                with self.subTest(method=method, path=path, headers=headers):
                    answer = request(method, path, headers=headers, to=self.own)
                    self.refused(answer, 40101, "UNAUTHENTICATED")
                    self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
                    texts.add(answer.json["message"])
            self.assertEqual(request(method, f"{path}?token={self.token}", to=self.own).status, 401)
            right = request(method, path, headers={"Authorization": "Bearer " + self.token}, to=self.own)
            self.assertNotIn(right.status, (401, 403), right)
        self.assertEqual(len(texts), 1)

    def test_open_routes(self):
        for path in ("/livez", "/readyz", "/version"):
            self.ok(get(path, to=self.own))

    def test_47_shell_without_a_user(self):
        """No --run-as: the server's own user is not good enough, root or not."""
        answer = request("POST", "/task", {"taskName": "x", "taskType": "SHELL", "taskContent": "id"},
                         {"Authorization": "Bearer " + self.token}, self.own)
        self.refused(answer, 40303, "SHELL_NOT_ALLOWED")


if __name__ == "__main__":
    unittest.main()
