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

static int run(weir_attempt_t *a, void *user) {
  (void)a, (void)user;
  return WEIR_PHASE_FINISHED;
}

/* It is not there, it is a folder, another program, none at all: all else works. */
static void test_no_program(void **st) {
  const struct { const char *named, *error; } all[] = {
    {"/nowhere", "weir-spawner"}, {"/", "weir-spawner"}, {"/etc/passwd", "weir-spawner"}, {"/bin/true", "/bin/true cannot be used"}};
  const weir_type_t mine = {.size = sizeof mine, .name = "mine", .run = run};
  char *was = strdup(getenv("WEIR_HELPER"));
  weir_task_t *t;
  (void)st;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    weir_t *h = kit_open("slots=2", "shell=on");
    OK(weir_register(h, &mine));
    setenv("WEIR_HELPER", all[i].named, 1);
    OK(weir_start(h));
    OK(weir_wait(h, kit_create(h, "ECHO"), SOON_MS, NULL));
    OK(weir_wait(h, kit_create(h, "mine"), SOON_MS, NULL));
    OK(weir_wait(h, shell(h, "true"), SOON_MS, &t));
    assert_string_equal(t->state_name, "FAILED");
    if (!strstr(t->error, all[i].error)) fail_msg("%s: %s", all[i].named, t->error);
    weir_task_free(t);
    OK(weir_close(h));
  }
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
  assert_non_null(strstr(t->why_text, "shell=on"));
  weir_task_free(t);
  OK(weir_close(h));
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {KIT_TEST(test_on), KIT_TEST(test_no_program), KIT_TEST(test_off)};
  return kit_main(argc, argv, "shell", all, sizeof all / sizeof *all);
}
