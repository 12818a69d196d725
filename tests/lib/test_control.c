/* S4's five scenarios, and what steers a routine: finish; delete; fail and restart; pause and restart; fail and delete. */
#include "kit.h"
#include <poll.h>

static struct gate gate;
static int fails, cleaned, clean_answer;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

static int bump(int *v, int by) {
  pthread_mutex_lock(&mu);
  int now = *v += by;
  pthread_mutex_unlock(&mu);
  return now;
}

/* Stops at the gate; goes on from its context. */
static int stepper(weir_attempt_t *a, void *user) {
  size_t n = 0;
  const char *c = weir_attempt_context(a, &n);
  (void)user;
  if (c && strcmp(c, "halfway") == 0) {
    OK(weir_report_result(a, c, n));
    return WEIR_PHASE_FINISHED;
  }
  OK(weir_report_context(a, "halfway", 7));
  return gate_pass(&gate, a) ? WEIR_PHASE_FINISHED : WEIR_PHASE_NORMAL;
}

static int failing(weir_attempt_t *a, void *user) {
  (void)user;
  if (bump(&fails, -1) < 0) return WEIR_PHASE_FINISHED;
  OK(weir_report_error(a, "not today", 1));
  return WEIR_PHASE_FAILED;
}

static int for_good(weir_attempt_t *a, void *user) {
  (void)user;
  OK(weir_report_error(a, "never", 0));
  return WEIR_PHASE_FAILED;
}

static int deleting(weir_attempt_t *a, void *user) {
  (void)a, (void)user;
  bump(&cleaned, 1);
  return clean_answer;
}

static int vanishing(weir_attempt_t *a, void *user) {
  (void)a, (void)user;
  return WEIR_PHASE_FINISHED | WEIR_REMOVE;
}

/* It hears the stop, and says that it had finished all the same. */
static int stubborn(weir_attempt_t *a, void *user) {
  (void)user;
  (void)gate_pass(&gate, a);
  return WEIR_PHASE_FINISHED;
}

/* It hears the stop, and fails: for good, or to be tried again. */
static int fails_late(weir_attempt_t *a, void *user) {
  (void)gate_pass(&gate, a);
  OK(weir_report_error(a, "so it goes", user != NULL));
  return WEIR_PHASE_FAILED;
}

/* Ends as its content says. */
static int returns(weir_attempt_t *a, void *user) {
  (void)user;
  return (int)strtol(weir_attempt_content(a), NULL, 0);
}

/* Hears the stop, stays, and comes to the gate each time that the reason is the next one. */
static int moved_to[2];
static int stays(weir_attempt_t *a, void *user) {
  (void)user;
  gate_come(&gate);
  for (int i = 0; i < 2; i++) {
    for (int ms = 0; weir_attempt_stop_reason(a) != moved_to[i]; ms += 2) {
      if (ms > SOON_MS) return WEIR_PHASE_FINISHED;
      (void)poll(NULL, 0, 2);
    }
    gate_come(&gate);
  }
  return WEIR_PHASE_NORMAL;
}

enum { LONG = 70000 };               /* two of it are more than the line of a report */
static int wordy(weir_attempt_t *a, void *user) {
  char *text = malloc(LONG + 1);
  (void)user;
  assert_non_null(text);
  memset(text, 'm', LONG);
  text[LONG] = '\0';
  OK(weir_report_progress(a, 5, 10, text, text));
  free(text);
  return WEIR_PHASE_FINISHED;
}

static int configured(weir_attempt_t *a, void *user) {
  const char *c = weir_attempt_config(a);
  (void)user;
  if (c) OK(weir_report_result(a, c, strlen(c)));
  return WEIR_PHASE_FINISHED;
}

static weir_t *open_all(void) {
  const weir_type_t v[] = {
    {.size = sizeof *v, .name = "stepper", .run = stepper}, {.size = sizeof *v, .name = "failing", .run = failing},
    {.size = sizeof *v, .name = "for.good", .run = for_good}, {.size = sizeof *v, .name = "cleaner", .run = stepper, .deleting = deleting},
    {.size = sizeof *v, .name = "failing.cleaner", .run = for_good, .deleting = deleting},
    {.size = sizeof *v, .name = "vanishing", .run = vanishing}, {.size = sizeof *v, .name = "stubborn", .run = stubborn},
    {.size = sizeof *v, .name = "late.for.good", .run = fails_late}, {.size = sizeof *v, .name = "late", .run = fails_late, .user = &gate},
    {.size = sizeof *v, .name = "returns", .run = returns}, {.size = sizeof *v, .name = "stays", .run = stays},
    {.size = sizeof *v, .name = "wordy", .run = wordy}, {.size = sizeof *v, .name = "configured", .run = configured}};
  gate_init(&gate);
  fails = cleaned = 0;
  clean_answer = WEIR_PHASE_FINISHED;
  weir_t *h = kit_open("slots=4", NULL);
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) OK(weir_register(h, &v[i]));
  OK(weir_start(h));
  return h;
}

static void test_finish(void **st) {
  weir_t *h = open_all();
  int64_t id = kit_create(h, "stepper");
  weir_task_t *t;
  (void)st;
  gate_await(&gate, 1);
  kit_state(h, id, "RUNNING");
  gate_open(&gate);
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  weir_task_free(t);
  OK(weir_close(h));
}

static void test_pause_and_restart(void **st) {
  weir_t *h = open_all();
  int64_t id = kit_create(h, "stepper");
  weir_task_t *t;
  (void)st;
  gate_await(&gate, 1);
  OK(weir_pause(h, id));
  kit_state(h, id, "PAUSED");
  OK(weir_get(h, id, &t));
  IS(t->state, WEIR_STATE_PAUSE);
  assert_string_equal(t->context, "halfway");
  IS(t->failures, 0);
  assert_string_equal(t->why, "PAUSED");
  weir_task_free(t);
  OK(weir_pause(h, id)); /* it is paused: nothing changes */
  OK(weir_run(h, id));
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  assert_string_equal(t->result, "halfway");
  IS(t->attempt, 2);
  weir_task_free(t);
  IS(weir_pause(h, id), WEIR_ERR_CONFLICT);
  IS(weir_error_code(h), 40913);
  OK(weir_close(h));
}

static void test_fail_and_restart(void **st) {
  weir_t *h = open_all();
  weir_task_t *t;
  (void)st;
  bump(&fails, 1);
  int64_t id = kit_create(h, "failing");
  OK(weir_wait(h, id, SOON_MS, &t));
  IS(t->state, WEIR_STATE_FAILED);
  assert_string_equal(t->error, "not today");
  weir_task_free(t);
  OK(weir_run(h, id));
  OK(weir_wait(h, id, SOON_MS, &t));
  IS(t->state, WEIR_STATE_FINISHED);
  IS(t->run_no, 2);
  weir_task_free(t);
  OK(weir_close(h));
}

static void test_tries(void **st) {
  weir_t *h = open_all();
  weir_task_t *t;
  weir_spec_t s = {.size = sizeof s, .type = "failing", .attempts = 3, .config = "{\"backoff\": {\"base\": \"1ms\"}}"};
  int64_t id;
  (void)st;
  bump(&fails, 2);
  OK(weir_create(h, &s, &id));
  OK(weir_wait(h, id, SOON_MS, &t));
  IS(t->state, WEIR_STATE_FINISHED);
  IS(t->attempt, 3);
  weir_task_free(t);
  s.type = "for.good";
  OK(weir_create(h, &s, &id));
  OK(weir_wait(h, id, SOON_MS, &t));
  IS(t->state, WEIR_STATE_FAILED);
  IS(t->attempt, 1);
  weir_task_free(t);
  OK(weir_close(h));
}

static void test_delete(void **st) {
  weir_t *h = open_all();
  int64_t id = kit_create(h, "stepper");
  (void)st;
  gate_await(&gate, 1);
  OK(weir_delete(h, id)); /* it runs: stopped first */
  kit_state(h, id, "");
  OK(weir_close(h));
}

static void test_delete_cleans_up(void **st) {
  weir_t *h = open_all();
  int64_t id = kit_create(h, "cleaner"), held;
  const weir_spec_t s = {.size = sizeof s, .type = "cleaner", .hold = 1};
  (void)st;
  gate_await(&gate, 1);
  OK(weir_delete(h, id));
  kit_state(h, id, "");
  IS(bump(&cleaned, 0), 1);
  OK(weir_create(h, &s, &held)); /* also of one that never ran */
  OK(weir_delete(h, held));
  kit_state(h, held, "");
  IS(bump(&cleaned, 0), 2);
  OK(weir_close(h));
}

static void test_fail_and_delete(void **st) {
  weir_t *h = open_all();
  int64_t id = kit_create(h, "failing.cleaner");
  weir_task_t *t;
  (void)st;
  OK(weir_wait(h, id, SOON_MS, NULL));
  clean_answer = WEIR_PHASE_FAILED;
  OK(weir_delete(h, id));
  kit_state(h, id, "DELETE_FAILED");
  OK(weir_get(h, id, &t));
  IS(t->state, WEIR_STATE_FAILED);
  weir_task_free(t);
  clean_answer = WEIR_PHASE_FINISHED;
  OK(weir_delete(h, id));
  kit_state(h, id, "");
  OK(weir_close(h));
}

static void test_remove(void **st) {
  weir_t *h = open_all();
  int64_t id = kit_create(h, "vanishing");
  (void)st;
  int rc = weir_wait(h, id, SOON_MS, NULL);
  assert_true(rc == WEIR_ERR_NOT_FOUND);
  OK(weir_close(h));
}

/* A number that is no WEIR_PHASE is a failure that says so: C programs return -1 for one, and mean no WEIR_REMOVE. */
static void test_odd_phases(void **st) {
  static const struct { const char *content; bool removed; } all[] = {
    {"-1", false}, {"-2", false}, {"3", false}, {"0x200", false}, {"0x103", false}, {"0x101", true}, {"0x102", true}};
  weir_t *h = open_all();
  weir_task_t *t;
  int64_t id;
  char want[40];
  (void)st;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const weir_spec_t s = {.size = sizeof s, .type = "returns", .content = all[i].content, .attempts = 1};
    OK(weir_create(h, &s, &id));
    int rc = weir_wait(h, id, SOON_MS, &t);
    if (rc != (all[i].removed ? WEIR_ERR_NOT_FOUND : WEIR_OK)) fail_msg("%s: %d", all[i].content, rc);
    if (rc) continue;
    assert_string_equal(t->state_name, "FAILED");
    snprintf(want, sizeof want, "The routine returned %d,", (int)strtol(all[i].content, NULL, 0));
    if (!t->error || !strstr(t->error, want)) fail_msg("%s: %s", all[i].content, t->error);
    weir_task_free(t);
  }
  OK(weir_close(h));
}

/* A pause that becomes a cancel or a delete before the routine has stopped: the routine can tell. */
static void test_stop_moves(void **st) {
  weir_t *h = open_all();
  (void)st;
  moved_to[0] = WEIR_STOP_PAUSE, moved_to[1] = WEIR_STOP_CANCEL;
  int64_t id = kit_create(h, "stays");
  gate_await(&gate, 1);
  OK(weir_pause(h, id));
  gate_await(&gate, 2);
  OK(weir_cancel(h, id));
  kit_state(h, id, "CANCELED");
  IS(gate_came(&gate), 3);
  moved_to[1] = WEIR_STOP_DELETE;
  id = kit_create(h, "stays");
  gate_await(&gate, 4);
  OK(weir_pause(h, id));
  gate_await(&gate, 5);
  OK(weir_delete(h, id));
  kit_state(h, id, "");
  IS(gate_came(&gate), 6);
  OK(weir_close(h));
}

/* Texts are cut to what is stored; the numbers beside them count. */
static void test_long_progress(void **st) {
  weir_t *h = open_all();
  weir_task_t *t;
  (void)st;
  OK(weir_wait(h, kit_create(h, "wordy"), SOON_MS, &t));
  IS(t->done, 5);
  IS(t->total, 10);
  assert_non_null(t->unit);
  assert_non_null(t->message);
  IS(strlen(t->unit), 64);
  IS(strlen(t->message), 1024);
  assert_memory_equal(t->message, "mmm", 3);
  weir_task_free(t);
  OK(weir_close(h));
}

static void test_config(void **st) {
  weir_t *h = open_all();
  weir_spec_t s = {.size = sizeof s, .type = "configured", .config = "{\"timeout\": \"1h\", \"depth\": [3, \"x\"]}"};
  weir_task_t *t;
  int64_t id;
  (void)st;
  OK(weir_create(h, &s, &id));
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_non_null(t->result); /* a member of Weir's, and one of the type's own */
  assert_non_null(strstr(t->result, "\"timeout\""));
  assert_non_null(strstr(t->result, "\"depth\""));
  weir_task_free(t);
  OK(weir_wait(h, kit_create(h, "configured"), SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  assert_null(t->result);
  weir_task_free(t);
  OK(weir_close(h));
}

static void test_cancel(void **st) {
  weir_t *h = open_all();
  int64_t id = kit_create(h, "stepper"), other;
  weir_task_t *t;
  (void)st;
  gate_await(&gate, 1);
  OK(weir_cancel(h, id));
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "CANCELED");
  weir_task_free(t);
  other = kit_create(h, "stubborn"); /* that it finished wins */
  gate_await(&gate, 2);
  OK(weir_cancel(h, other));
  OK(weir_wait(h, other, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  weir_task_free(t);
  OK(weir_close(h));
}

/* As a program that ends with 1 after our TERM, and as one that ends with 125. */
static void test_failure_after_stop(void **st) {
  static const struct { const char *type; int (*wish)(weir_t *, int64_t); const char *state; } all[] = {
    {"late", weir_pause, "PAUSED"}, {"late", weir_cancel, "CANCELED"}, {"late.for.good", weir_pause, "FAILED"},
    {"late.for.good", weir_cancel, "FAILED"}};
  weir_t *h = open_all();
  weir_task_t *t;
  (void)st;
  for (int i = 0; i < 4; i++) {
    int64_t id = kit_create(h, all[i].type);
    gate_await(&gate, i + 1);
    OK(all[i].wish(h, id));
    kit_state(h, id, all[i].state);
    OK(weir_get(h, id, &t));
    IS(t->failures, i / 2);
    weir_task_free(t);
  }
  OK(weir_close(h));
}

/* Its time is over: it is asked to stop, and ends as TIMEOUT. */
static void test_timeout(void **st) {
  weir_t *h = open_all();
  const weir_spec_t s = {.size = sizeof s, .type = "stepper", .config = "{\"timeout\": \"50ms\"}"};
  weir_task_t *t;
  int64_t id;
  (void)st;
  OK(weir_create(h, &s, &id));
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "TIMEOUT");
  assert_string_equal(t->context, "halfway");
  weir_task_free(t);
  OK(weir_close(h));
}

static void test_hold_and_delay(void **st) {
  weir_t *h = open_all();
  weir_spec_t s = {.size = sizeof s, .type = "failing", .hold = 1};
  int64_t held, later;
  weir_task_t *t;
  (void)st;
  OK(weir_create(h, &s, &held));
  s.hold = 0, s.delay_ms = 3600 * 1000;
  OK(weir_create(h, &s, &later));
  kit_state(h, held, "CREATED");
  OK(weir_get(h, later, &t));
  assert_string_equal(t->why, "DELAYED");
  IS(t->state, WEIR_STATE_PENDING);
  assert_true(t->start_at_us > t->created_us);
  weir_task_free(t);
  OK(weir_run(h, held));
  OK(weir_run(h, later));
  OK(weir_wait(h, held, SOON_MS, NULL));
  OK(weir_wait(h, later, SOON_MS, NULL));
  s.hold = 1;
  IS(weir_create(h, &s, &held), WEIR_ERR_INVALID);
  OK(weir_close(h));
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {
    KIT_TEST(test_finish), KIT_TEST(test_pause_and_restart), KIT_TEST(test_fail_and_restart), KIT_TEST(test_tries),
    KIT_TEST(test_delete), KIT_TEST(test_delete_cleans_up), KIT_TEST(test_fail_and_delete), KIT_TEST(test_remove),
    KIT_TEST(test_cancel), KIT_TEST(test_failure_after_stop), KIT_TEST(test_timeout), KIT_TEST(test_hold_and_delay),
    KIT_TEST(test_odd_phases), KIT_TEST(test_stop_moves), KIT_TEST(test_long_progress), KIT_TEST(test_config)};
  return kit_main(argc, argv, "control", all, sizeof all / sizeof *all);
}
