/* The watch alone: when it says that the store is away, full, or well again, and who asks for a write. */
#include "env_kit.h"
#include <sys/mman.h>
#include <unistd.h>
#include "watch.h"

static bool well(struct watch *w, int64_t now) {
  struct health_part store, disk;
  watch_health(w, now, &store, &disk);
  assert_true(store.ok == (store.why[0] == '\0'));
  assert_true(disk.ok == (disk.why[0] == '\0'));
  return store.ok && disk.ok;
}

static void watch_turns_at_once_or_after_a_second(void **st) {
  struct watch w;
  struct health_part store, disk;
  (void)st;
  watch_init(&w, SEC);
  assert_true(well(&w, SEC));
  watch_failed(&w, 2 * SEC, STORE_DOWN, "no route");
  watch_health(&w, 2 * SEC, &store, &disk);
  assert_false(store.ok);
  assert_string_equal(store.why, "no route");
  assert_int_equal(watch_admits(&w, 2 * SEC), WR_DB_UNAVAILABLE);
  watch_ok(&w, 3 * SEC);
  assert_true(well(&w, 3 * SEC));
  assert_int_equal(watch_admits(&w, 3 * SEC), WR_OK);
  watch_failed(&w, 4 * SEC, STORE_RETRY, NULL);
  assert_true(well(&w, 4 * SEC));                               /* a deadlock is no fault */
  watch_failed(&w, 5 * SEC, STORE_RETRY, NULL);
  assert_false(well(&w, 5 * SEC));
  watch_ok(&w, 6 * SEC);
  watch_failed(&w, 7 * SEC, STORE_UNKNOWN, NULL);
  watch_failed(&w, 17 * SEC, STORE_UNKNOWN, NULL);              /* that is another one */
  assert_true(well(&w, 17 * SEC));
  watch_failed(&w, 18 * SEC, STORE_NO_SPACE, NULL);
  watch_health(&w, 18 * SEC, &store, &disk);
  assert_true(store.ok);
  assert_false(disk.ok);
  assert_int_equal(watch_admits(&w, 18 * SEC), WR_NO_SPACE);
  watch_done(&w);
}

static int log_file = -1, old_stderr;

static void log_here(void) {
  log_file = memfd_create("log", MFD_CLOEXEC);
  old_stderr = dup(STDERR_FILENO);
  assert_true(log_file >= 0 && old_stderr >= 0);
  assert_int_equal(dup2(log_file, STDERR_FILENO), STDERR_FILENO);
}

/* Lines of that kind so far. */
static int logged(const char *what) {
  char text[16384];
  int n = 0;
  ssize_t got = pread(log_file, text, sizeof text - 1, 0);
  assert_true(got >= 0);
  text[got] = '\0';
  for (const char *p = text; (p = strstr(p, what)) != NULL; p++) n++;
  return n;
}

static void log_there(void) {
  assert_int_equal(dup2(old_stderr, STDERR_FILENO), STDERR_FILENO);
  close(old_stderr);
  close(log_file);
}

/* A fault that comes and goes is shown as one fault, in the log and to threads that ask. It is over when it was gone for a
 * while. */
static void watch_does_not_flap(void **st) {
  struct watch w;
  int64_t at = SEC;
  uint32_t turns = 0;
  bool was = true;
  (void)st;
  watch_init(&w, at);
  log_here();
  for (; at < 45 * SEC; at += SEC / 2) {
    if (at / (SEC / 2) % 2) watch_failed(&w, at, STORE_DOWN, "no descriptor");
    else watch_ok(&w, at);
    turns += well(&w, at) != was;
    was = well(&w, at);
    if (at / (SEC / 2) % 2 == 0) assert_int_equal(watch_admits(&w, at), WR_OK);
    assert_false(at / (SEC / 2) % 2 == 0 && watch_asked(&w)); /* no turn is made for it */
  }
  assert_false(was);
  assert_true(turns <= 3);
  assert_true(logged("event=store.") <= 3);
  for (int64_t end = at + 17 * SEC; at < end; at += SEC / 2) watch_ok(&w, at);
  assert_true(well(&w, at));
  assert_true(logged("event=store.") <= 4);
  assert_int_equal(logged("relapses="), 1);
  at += 61 * SEC;                                               /* that is another one */
  watch_failed(&w, at, STORE_DOWN, "no route");
  assert_false(well(&w, at));
  watch_ok(&w, at + SEC);
  assert_true(well(&w, at + SEC));
  log_there();
  watch_done(&w);
}

/* A thread that asks sees a stuck call while the runner's thread is inside. */
static void watch_sees_a_call_that_does_not_come_back(void **st) {
  struct watch w;
  (void)st;
  watch_init(&w, SEC);
  watch_busy(&w, 10 * SEC);
  assert_true(well(&w, 11 * SEC));
  assert_false(well(&w, 12 * SEC));
  assert_int_equal(watch_admits(&w, 12 * SEC), WR_OK);          /* it may be slow */
  assert_int_equal(watch_admits(&w, 15 * SEC), WR_DB_UNAVAILABLE);
  watch_failed(&w, 15 * SEC, STORE_RETRY, NULL);                /* it was refused in the end: that took five seconds */
  watch_idle(&w);
  assert_false(well(&w, 16 * SEC));
  watch_ok(&w, 16 * SEC);
  assert_true(well(&w, 16 * SEC));
  watch_done(&w);
}

static void watch_asks_once_a_second_at_most(void **st) {
  struct watch w;
  (void)st;
  watch_init(&w, SEC);
  assert_false(watch_ask(&w, SEC));                             /* it was just written */
  assert_true(watch_ask(&w, 5 * SEC));
  assert_true(watch_asked(&w));
  assert_false(watch_ask(&w, 5 * SEC));
  watch_ok(&w, 5 * SEC);
  assert_false(watch_asked(&w));
  assert_false(watch_ask(&w, 5 * SEC + SEC / 2));
  assert_true(watch_ask(&w, 7 * SEC));
  watch_failed(&w, 7 * SEC, STORE_RETRY, NULL);
  assert_true(watch_asked(&w));                                 /* it goes on trying until it is known */
  watch_ok(&w, 8 * SEC);
  assert_false(watch_asked(&w));
  watch_done(&w);
}

/* ---- what never happens ---- */

static struct watch bad;
static void ill(void) {
  watch_init(&bad, SEC);
  watch_failed(&bad, 2 * SEC, STORE_DOWN, "gone");
}
static void ill_and_nobody_looks(void) { ill(); atomic_store(&bad.ill, false); watch_check(&bad); }
static void ill_without_a_cause(void) { ill(); bad.why[0] = '\0'; watch_check(&bad); }
static void ill_since_later_than_now(void) { ill(); bad.bad_us = 3 * SEC; watch_check(&bad); }
static void well_beside_shown_well(void) { ill(); watch_ok(&bad, 3 * SEC); bad.well_us = 1; watch_check(&bad); }
static void facts_are_kept(void **st) {
  (void)st;
  ill();
  watch_check(&bad);
  watch_ok(&bad, 3 * SEC);
  watch_check(&bad);
  watch_done(&bad);
  assert_true(aborts(ill_and_nobody_looks));
  assert_true(aborts(ill_without_a_cause));
  assert_true(aborts(ill_since_later_than_now));
  assert_true(aborts(well_beside_shown_well));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(watch_turns_at_once_or_after_a_second), cmocka_unit_test(watch_does_not_flap),
    cmocka_unit_test(watch_sees_a_call_that_does_not_come_back), cmocka_unit_test(watch_asks_once_a_second_at_most),
    cmocka_unit_test(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
