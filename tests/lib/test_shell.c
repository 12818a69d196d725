/* SHELL tasks in the process of a host: off, on, and on without the program that they need. WEIR_HELPER names it. */
#include "kit.h"

static int64_t shell(weir_t *h, const char *script) {
  const weir_spec_t s = {.size = sizeof s, .type = "SHELL", .content = script};
  int64_t id = 0;
  OK(weir_create(h, &s, &id));
  return id;
}

static void test_on(void **st) {
  weir_t *h = kit_open("slots=2", "shell=on");
  weir_task_t *t;
  char log[20];
  size_t n;
  int64_t id;
  (void)st;
  OK(weir_start(h));
  id = shell(h, "echo hello; echo 42 > \"$WEIR_OUTPUT\"");
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  assert_string_equal(t->result, "42\n");
  IS(t->exit_code, 0);
  weir_task_free(t);
  OK(weir_log_read(h, id, 0, 0, log, sizeof log, &n));
  assert_memory_equal(log, "hello\n", 6);
  id = shell(h, "sleep 600");
  kit_state(h, id, "RUNNING");
  OK(weir_cancel(h, id));
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "CANCELED");
  weir_task_free(t);
  OK(weir_close(h));
}

static void test_no_program(void **st) {
  char *was = strdup(getenv("WEIR_HELPER"));
  weir_t *h = kit_open("slots=2", "shell=on");
  weir_task_t *t;
  (void)st;
  setenv("WEIR_HELPER", "/nowhere", 1);
  OK(weir_start(h)); /* all else works */
  OK(weir_wait(h, kit_create(h, "ECHO"), SOON_MS, NULL));
  OK(weir_wait(h, shell(h, "true"), SOON_MS, &t));
  assert_string_equal(t->state_name, "FAILED");
  assert_non_null(strstr(t->error, "weir-spawner"));
  weir_task_free(t);
  OK(weir_close(h));
  setenv("WEIR_HELPER", was, 1);
  free(was);
}

static void test_off(void **st) {
  weir_t *h = kit_open("slots=2", NULL);
  weir_task_t *t;
  (void)st;
  OK(weir_start(h));
  OK(weir_get(h, shell(h, "true"), &t));
  assert_string_equal(t->why, "NO_EXECUTOR");
  weir_task_free(t);
  OK(weir_close(h));
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {KIT_TEST(test_on), KIT_TEST(test_no_program), KIT_TEST(test_off)};
  return kit_main(argc, argv, "shell", all, sizeof all / sizeof *all);
}
