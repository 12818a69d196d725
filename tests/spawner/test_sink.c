/* What an attempt may say while it runs, and what becomes of it: an executor of the test's own, which joins the registry of a
 * worker that runs already. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "wr_limits.h"
#include "registry.h"

struct note { int kind, stream; const char *text; size_t n; int want; };
static const struct note *notes;   /* what the next attempt says; read and written while none runs */
static size_t n_notes;
static int took[20], after_end;

static int talk(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  (void)err, (void)err_n;
  for (size_t i = 0; i < n_notes; i++) took[i] = h->note(x, notes[i].kind, notes[i].stream, notes[i].text, notes[i].n);
  h->log(x, WX_STDERR, "old way\n", 8);
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_OK, .result = "end", .result_len = 3, .exit_code = -1});
  after_end = h->note(x, WX_NOTE_LOG, WX_STDOUT, "late", 4);
  return 0;
}

static struct attempt *say(const struct note *v, size_t n) {
  notes = v;
  n_notes = n;
  struct attempt *a = h_run("TALK", NULL, NULL);
  for (size_t i = 0; i < n; i++)
    if (took[i] != v[i].want) fail_msg("note %zu: %d", i, took[i]);
  assert_int_equal(after_end, -1);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_string_equal(a->result, "end"); /* whatever was noted as one before */
  return a;
}

static void test_kinds(void **st) {
  static const struct note v[] = {
    {WX_NOTE_LOG, WX_STDOUT, "one\n", 4, 0}, {WX_NOTE_PROGRESS, 0, "{\"done\":5}", 10, 0}, {WX_NOTE_CONTEXT, 0, "{\"a\":1}", 7, 0},
    {WX_NOTE_RESULT, 0, "early", 5, 0}, {WX_NOTE_LOG, WX_SYSTEM, "two\n", 4, 0}, {WX_NOTE_LOG, WX_STDOUT, "", 0, 0}};
  (void)st;
  struct attempt *a = say(v, sizeof v / sizeof *v);
  assert_string_equal(h_log(a->ti)->data, "one\ntwo\nold way\n");
  assert_int_equal(a->log_bytes, 16);
  assert_int_equal(a->log_lost, 0);
  attempt_free(a);
}

static void test_not_taken(void **st) {
  char *large = wr_malloc(LIMIT_RESULT_BYTES + 1);
  memset(large, ' ', LIMIT_RESULT_BYTES + 1);
  const struct note v[] = {
    {-1, 0, "x", 1, -1}, {4, 0, "x", 1, -1}, {WX_NOTE_LOG, 0, "x", 1, -1}, {WX_NOTE_LOG, 4, "x", 1, -1}, {WX_NOTE_LOG, -1, "x", 1, -1},
    {WX_NOTE_LOG, 256 + WX_STDOUT, "x", 1, -1},
    {WX_NOTE_PROGRESS, 0, "0.5", 3, -1}, {WX_NOTE_PROGRESS, 0, "{\"doen\":1}", 10, -1}, {WX_NOTE_PROGRESS, 0, large, 65537, -1},
    {WX_NOTE_CONTEXT, 0, large, LIMIT_CONTEXT_BYTES, 0}, {WX_NOTE_CONTEXT, 0, large, LIMIT_CONTEXT_BYTES + 1, -1},
    {WX_NOTE_CONTEXT, 0, "a\0b", 3, -1}, {WX_NOTE_CONTEXT, 0, "\xff", 1, -1},
    {WX_NOTE_RESULT, 0, large, LIMIT_RESULT_BYTES, 0}, {WX_NOTE_RESULT, 0, large, LIMIT_RESULT_BYTES + 1, -1}};
  (void)st;
  struct attempt *a = say(v, sizeof v / sizeof *v);
  assert_string_equal(h_log(a->ti)->data, "old way\n");
  attempt_free(a);
  free(large);
}

/* A struct that is not one of this ABI's, or that says more than it can hold: the attempt fails, the node goes on. */
static wx_result bad_result;
static wx_spawn bad_spawn;

static int end_badly(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  if (bad_spawn.size && h->spawn(x, &bad_spawn, err, err_n) != 0) return -1;
  h->done(x, &bad_result);
  return 0;
}

static void ends(const char *error) {
  struct attempt *a = h_run("BAD", NULL, NULL);
  assert_string_equal(a->error, error);
  assert_int_equal(a->end, ATTEMPT_FATAL);
  attempt_free(a);
}

static void test_flawed(void **st) {
  static const char *const none[] = {NULL}, *const some[] = {"true", NULL};
  (void)st;
  bad_result = (wx_result){.size = 8, .end = WX_OK};
  ends("The executor ended with a result that this program cannot read.");
  bad_result = (wx_result){.size = sizeof bad_result, .end = 6};
  ends("The executor ended with a result that this program cannot read.");
  bad_spawn = (wx_spawn){.size = 16, .argv = some};
  ends("The executor's wx_spawn is smaller than that of its ABI.");
  bad_spawn = (wx_spawn){.size = sizeof bad_spawn, .argv = none};
  ends("The executor names no program.");
  bad_spawn = (wx_spawn){.size = sizeof bad_spawn, .argv = some, .n_rlimit = 17};
  ends("The executor sets more limits than a wx_spawn has room for.");
}

static void type_add(const char *name, int (*start)(const wx_host *, wx_exec *, char *, size_t)) {
  const wx_ops o = {.abi = WX_ABI, .size = sizeof o, .name = name, .slot = WX_SLOT_ASYNC, .start = start};
  struct wr_err err;
  if (registry_add(H.executors, &o, &err)) abort();
}

int main(void) {
  h_open(NULL);
  type_add("TALK", talk);
  type_add("BAD", end_badly);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_not_taken), cmocka_unit_test(test_flawed)};
  int rc = cmocka_run_group_tests_name("sink", tests, NULL, NULL);
  h_close();
  return rc;
}
