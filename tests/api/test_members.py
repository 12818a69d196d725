"""Members: how they are shown, and what is refused of a wish that one drains. That a drain does what it says: tests/e2e/test_members.py."""
import unittest

from weirtest import Case, get, post


class Members(Case):
    def me(self):
        (m,) = [m for m in self.ok(get("/members")) if m["state"] == "LIVE"]
        return m["memberId"]

    def test_one_and_all(self):
        me = self.me()
        m = self.ok(get(f"/members/{me}"))
        self.assertEqual((m["memberId"], m["state"], m["running"] >= 0, m["cpuBudget"] > 0), (me, "LIVE", True, True))
        self.assertNotIn("drainAt", m)
        self.assertNotIn("endedAt", m)
        self.assertEqual(m["hints"], {})  # no Redis, so no lists
        self.assertIn(me, [m["memberId"] for m in self.ok(get("/members?all=true"))])
        self.refused(get(f"/members/{me + 1000}"), 40402, "NOT_FOUND")
        self.refused(get("/members/0"), 40011)
        self.refused(get("/members?all=1"), 42205)
        self.refused(get("/members?limit=1"), 42205)

    def test_bad_wishes(self):
        me = self.me()
        for body, code, path in (({"timeout": -1}, 42221, "/timeout"), ({"timeout": 604801}, 42221, "/timeout"), ({"timeout": 1.5}, 42201, "/timeout"),
                                 ({"timeout": "soon"}, 42221, "/timeout"), ({"timeout": "8d"}, 42221, "/timeout"), ({"timeout": None}, 42201, "/timeout"),
                                 ({"timeout": True}, 42201, "/timeout"), ({"timeout": []}, 42201, "/timeout"), ({"grace": 1}, 42202, "/grace")):
            answer = post(f"/members/{me}/drain", body)
            self.refused(answer, code)
            self.assertEqual(answer.json["data"]["path"], path)
        self.refused(post(f"/members/{me}/undrain", {"timeout": 1}), 42202)
        for verb in ("drain", "undrain"):
            self.refused(post(f"/members/{me + 1000}/{verb}"), 40402)
        self.assertEqual(self.ok(get(f"/members/{me}"))["state"], "LIVE")

    def test_a_wish_is_shown_and_taken_back(self):
        me = self.me()
        try:
            m = self.ok(post(f"/members/{me}/drain", {"timeout": "7d"}))
            self.assertIn(m["state"], ("DRAINING", "DRAINED"))
            self.assertLess(m["drainAt"], m["drainStopAt"])
            again = self.ok(post(f"/members/{me}/drain"))
            self.assertEqual(again["drainAt"], m["drainAt"])
            self.assertNotIn("drainStopAt", again)
            self.assertTrue(self.ok(get("/readyz"))["ok"])
        finally:
            m = self.ok(post(f"/members/{me}/undrain"))
        self.assertEqual(m["state"], "LIVE")
        self.assertNotIn("drainAt", m)


if __name__ == "__main__":
    unittest.main()
