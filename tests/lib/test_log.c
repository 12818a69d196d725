/* weir_log() while the store of the logs is slow: the routine waits, as a program does whose output is not read. What it was told is
 * taken is in the log in the end, and nothing else. */
#include "kit.h"
#include <poll.h>
#include <stdatomic.h>

enum { LINE = 1024, MANY = 8192, MOST = 2 << 20 };   /* MOST: what one attempt may have on its way, generously */
static atomic_int written;           /* lines that were taken */
static atomic_int refused;           /* what the first call was answered that failed */
static atomic_int again;             /* and the one after it */
static struct gate gate;             /* a routine comes when it was refused */

static const char *line_of(int i, char at[LINE + 1]) {
  memset(at, 'a' + i % 26, LINE);
  int n = snprintf(at, LINE, "%d", i);
  at[n] = ' ';
  at[LINE - 1] = '\n';
  return at;
}

/* Writes until it is refused. */
static int say(weir_attempt_t *a, int most) {
  char line[LINE + 1];
  for (int i = atomic_load(&written); i < most; i++) {
    int rc = weir_log(a, line_of(i, line), LINE);
    if (rc) return rc;
    atomic_store(&written, i + 1);
  }
  return WEIR_OK;
}

static int writer(weir_attempt_t *a, void *user) {
  (void)user;
  int rc = say(a, MANY);
  if (!rc) return WEIR_PHASE_FINISHED;
  atomic_store(&refused, rc);
  if (rc == WEIR_ERR_REFUSED) {
    atomic_store(&again, weir_log(a, "x", 1));
    return WEIR_PHASE_NORMAL;
  }
  if (!gate_pass(&gate, a)) return WEIR_PHASE_NORMAL;
  while (say(a, MANY)) {}
  return WEIR_PHASE_FINISHED;
}

static weir_t *open_writer(const char *more) {
  const weir_type_t t = {.size = sizeof t, .name = "writer", .run = writer};
  weir_t *h = kit_open("slots=2", more);
  atomic_store(&written, 0);
  atomic_store(&refused, 0);
  atomic_store(&again, 0);
  gate_init(&gate);
  OK(weir_register(h, &t));
  OK(weir_start(h));
  return h;
}

/* Until the routine has written something, and then nothing for a while. */
static void await_still(void) {
  for (int ms = 0, was = 0, still = 0; still < 100; ms += 10) {
    int now = atomic_load(&written);
    still = now && now == was ? still + 10 : 0;
    was = now;
    if (ms > SOON_MS) fail_msg("it has written %d lines, and goes on", now);
    (void)poll(NULL, 0, 10);
  }
}

static size_t log_bytes(weir_t *h, int64_t id, char *buf, size_t cap) {
  size_t n = 0, got;
  do {
    OK(weir_log_read(h, id, 0, (int64_t)n, buf + n, cap - n, &got));
    n += got;
  } while (got > 0 && n < cap);
  return n;
}

/* The log is what was taken, once the store has it. */
static void expect_all(weir_t *h, int64_t id) {
  size_t want = (size_t)atomic_load(&written) * LINE, n = 0;
  char *buf = malloc(want + LINE), line[LINE + 1];
  assert_non_null(buf);
  for (int ms = 0; n < want && ms < SOON_MS; ms += 50) {
    n = log_bytes(h, id, buf, want + LINE);
    if (n < want) (void)poll(NULL, 0, 50);
  }
  IS(n, want);
  for (size_t i = 0; i < want / LINE; i++) assert_memory_equal(buf + i * LINE, line_of((int)i, line), LINE);
  free(buf);
}

static void test_waits(void **st) {
  weir_t *h = open_writer(NULL);
  (void)st;
  kit_hold_logs();
  int64_t id = kit_create(h, "writer");
  await_still();
  assert_true(atomic_load(&written) * LINE < MOST);
  kit_release_logs();
  weir_task_t *t;
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  weir_task_free(t);
  IS(atomic_load(&written), MANY);
  expect_all(h, id);
  OK(weir_close(h));
}

static void test_stop_ends_the_wait(void **st) {
  weir_t *h = open_writer(NULL);
  (void)st;
  kit_hold_logs();
  int64_t id = kit_create(h, "writer");
  await_still();
  OK(weir_cancel(h, id));
  kit_state(h, id, "CANCELED");
  IS(atomic_load(&refused), WEIR_ERR_REFUSED);
  IS(atomic_load(&again), WEIR_ERR_REFUSED);
  kit_release_logs();
  expect_all(h, id);
  OK(weir_close(h));
}

static void test_time_is_up(void **st) {
  weir_t *h = open_writer("request-timeout=1s");
  (void)st;
  kit_hold_logs();
  int64_t id = kit_create(h, "writer");
  gate_await(&gate, 1);
  IS(atomic_load(&refused), WEIR_ERR_UNAVAILABLE);
  assert_true(atomic_load(&written) * LINE < MOST);
  kit_release_logs();
  gate_open(&gate);
  OK(weir_wait(h, id, SOON_MS, NULL));
  expect_all(h, id);
  OK(weir_close(h));
}

static void test_close_ends_the_wait(void **st) {
  weir_t *h = open_writer(NULL);
  (void)st;
  kit_hold_logs();
  (void)kit_create(h, "writer");
  await_still();
  OK(weir_close(h));
  IS(atomic_load(&refused), WEIR_ERR_REFUSED);
  IS(atomic_load(&again), WEIR_ERR_REFUSED);
  kit_release_logs();
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {KIT_TEST(test_waits), KIT_TEST(test_stop_ends_the_wait), KIT_TEST(test_time_is_up),
                                   KIT_TEST(test_close_ends_the_wait)};
  return kit_main_at_once(argc, argv, "log", all, sizeof all / sizeof *all);
}
