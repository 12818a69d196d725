"""Last by name: the server that all tests used ends as it should."""
import os
import unittest

import weirtest


@unittest.skipIf(os.environ.get("WEIR_URL"), "needs a server of its own")
class End(unittest.TestCase):
    def test_server_ends_well(self):
        server = weirtest.server()
        self.assertEqual(weirtest.get("/readyz").status, 200)
        status = server.stop()
        lines = [line for line in server.lines if "ERROR" in line or "runtime error" in line or "Sanitizer" in line]
        self.assertEqual((status, lines), (0, []))
        weirtest.forget()


if __name__ == "__main__":
    unittest.main()
