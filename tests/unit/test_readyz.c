/* The sentence of /readyz: whoever knows what is wrong says it as a sentence, or as a part of one. */
#include "call.h"
#include "unit.h"

static struct health sick;
static void health(void *ctx, struct health *out) {
  (void)ctx;
  *out = sick;
}

static const char *says(struct health h) {
  static struct api api;
  static struct call c;
  struct buf out = BUF_INIT;
  sick = h;
  api.o.health = health;
  c = (struct call){.api = &api, .out = &out};
  assert_int_equal(h_readyz(&c), WR_DB_UNAVAILABLE);
  buf_done(&out);
  return c.err.msg;
}

#define WELL {.ok = true}
static void test_one_full_stop(void **st) {
  (void)st;
  assert_string_equal(says((struct health){.store = {false, "the database does not answer"}}), "Not ready: store: the database does not answer.");
  assert_string_equal(says((struct health){.store = {false, "The logs of tasks wait, and so do tasks with much output."}}),
                      "Not ready: store: The logs of tasks wait, and so do tasks with much output.");
  assert_string_equal(says((struct health){.store = WELL, .processes = {false, "There is no process left that could start tasks."}}),
                      "Not ready: processes: There is no process left that could start tasks.");
  assert_string_equal(says((struct health){.store = WELL, .processes = WELL, .disk = {false, "no room for the logs of tasks"}}),
                      "Not ready: disk: no room for the logs of tasks.");
  assert_string_equal(says((struct health){.store = {false, ""}}), "Not ready: store: no cause was given.");
  assert_string_equal(says((struct health){.store = {false, "The database cannot be reached: is it up?"}}),
                      "Not ready: store: The database cannot be reached: is it up?");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_full_stop)};
  return cmocka_run_group_tests_name("readyz", tests, NULL, NULL);
}
