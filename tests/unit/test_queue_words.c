/* Queues in words: the body of POST /queue, the list of --queues, how long a rate's time is, and how busy the machine is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "load.h"
#include "queue_name.h"
#include "queue_post.h"
#include "wr_limits.h"

/* ---- the body ---- */
static enum wr_rc parse(const char *body, struct queue_post *out, json_t **keep, struct wr_err *err) {
  *keep = json_loads(body, 0, NULL);
  assert_non_null(*keep);
  return queue_post_parse(*keep, out, err);
}

static void body_sets_and_clears(void **st) {
  (void)st;
  struct queue_post p;
  struct wr_err err;
  json_t *v;
  assert_int_equal(parse("{}", &p, &v, &err), WR_OK);
  assert_true(!*p.user && !*p.group && p.fields == 0);
  json_decref(v);
  assert_int_equal(parse("{\"user\":\"u\",\"group\":\"g\",\"maxRunning\":0,\"weight\":1000,\"rate\":{\"count\":1000000,\"per\":\"7d\"},\"order\":\"fifo\",\"paused\":true}", &p, &v, &err), WR_OK);
  assert_true(p.fields == 31 && p.max_running == 0 && p.weight == 1000 && p.rate_count == 1000000 && p.rate_per_us == LIMIT_TIME_US);
  assert_true(p.order == QUEUE_ORDER_FIFO && p.paused == 1 && !strcmp(p.user, "u") && !strcmp(p.group, "g"));
  json_decref(v);
  assert_int_equal(parse("{\"maxRunning\":null,\"weight\":null,\"rate\":null,\"order\":null,\"paused\":null}", &p, &v, &err), WR_OK);
  assert_true(p.fields == 31 && p.max_running == -1 && p.weight == -1 && p.rate_count == -1 && p.rate_per_us == -1 && p.order == -1 && p.paused == -1);
  json_decref(v);
}

static void body_is_refused(void **st) {
  (void)st;
  static const struct { const char *body; enum wr_rc rc; const char *path; } bad[] = {
    {"{\"maxRunning\":1000001}", WR_OUT_OF_RANGE, "/maxRunning"}, {"{\"weight\":0}", WR_OUT_OF_RANGE, "/weight"}, {"{\"weight\":\"1\"}", WR_WRONG_TYPE, "/weight"},
    {"{\"rate\":{\"count\":1}}", WR_WRONG_TYPE, "/rate/per"}, {"{\"rate\":{\"count\":2000,\"per\":\"1ms\"}}", WR_OUT_OF_RANGE, "/rate"},
    {"{\"order\":\"Fifo\"}", WR_OUT_OF_RANGE, "/order"}, {"{\"paused\":0}", WR_WRONG_TYPE, "/paused"}, {"{\"user\":null}", WR_WRONG_TYPE, "/user"},
    {"{\"weigth\":1}", WR_UNKNOWN_FIELD, "/weigth"}, {"{\"user\":\"a\\u0001\"}", WR_OUT_OF_RANGE, "/user"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct queue_post p;
    struct wr_err err;
    json_t *v;
    wr_err_clear(&err);
    if (parse(bad[i].body, &p, &v, &err) != bad[i].rc || strcmp(err.path, bad[i].path) != 0)
      fail_msg("%s: %d %s %s", bad[i].body, (int)err.code, err.path, err.msg);
    json_decref(v);
  }
}

static void time_of_a_rate_in_its_greatest_unit(void **st) {
  (void)st;
  static const struct { int64_t us; const char *text; } is[] = {{1000000, "1s"}, {90000000, "90s"}, {60000000, "1m"}, {7200000000, "2h"}, {604800000000, "7d"}, {1000, "1ms"}, {1500, "0.001500"}, {1, "0.000001"}};
  char text[QUEUE_PER_BYTES];
  for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
    queue_per_text(text, is[i].us);
    assert_string_equal(text, is[i].text);
  }
}

/* ---- --queues ---- */
static void list_of_queues(void **st) {
  (void)st;
  struct arena a;
  struct queue_name *v;
  struct wr_err err;
  size_t n;
  arena_init(&a, 0);
  assert_int_equal(queue_names_parse("--queues", "u/g,w/,/h,a%2Fb/c%2Cd%20", &a, &v, &n, &err), WR_OK);
  assert_int_equal(n, 4);
  static const struct { const char *user, *group; bool served; } is[] = {
    {"u", "g", true}, {"u", "G", false}, {"u", "", false}, {"w", "any", true}, {"w", "", true}, {"x", "h", true}, {"", "h", true}, {"a/b", "c,d ", true},
    {"a/b", "c,d", false}, {"", "", false}};
  for (size_t i = 0; i < sizeof is / sizeof *is; i++) assert_int_equal(queue_served(v, n, is[i].user, is[i].group), is[i].served);
  assert_int_equal(queue_names_parse("--queues", "/", &a, &v, &n, &err), WR_OK); /* everything */
  assert_true(queue_served(v, n, "", "") && queue_served(v, n, "a", "b"));
  assert_true(queue_served(NULL, 0, "a", "b"));
  char long_name[129 * 6 + 2];
  for (size_t i = 0; i < 129; i++) memcpy(long_name + i * 6, "%C3%A9", 6);
  memcpy(long_name + 129 * 6, "/", 2);
  const char *bad[] = {"", "a", "a/b/c", "a/b,", ",a/b", "a/%0", "a/%zz", "a/%00", "%ff/", "a\n/b", "a%01/b", long_name};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (queue_names_parse("--queues", bad[i], &a, &v, &n, &err) != WR_BAD_REQUEST || strncmp(err.msg, "--queues: ", 10) != 0) fail_msg("%s", bad[i]);
  memmove(long_name, long_name + 6, strlen(long_name + 6) + 1); /* 128 characters */
  assert_int_equal(queue_names_parse("--queues", long_name, &a, &v, &n, &err), WR_OK);
  static char large[LIMIT_SERVES_BYTES + 2];
  memset(large, 'x', sizeof large - 1);
  assert_int_equal(queue_names_parse("--queues", large, &a, &v, &n, &err), WR_BAD_REQUEST);
  arena_done(&a);
}

/* ---- the machine ---- */
#define NEAR(a, b) assert_true((a) > (b) - 1e-9 && (a) < (b) + 1e-9)
static void machine_in_words(void **st) {
  (void)st;
  NEAR(load_of("0.00 0.01 0.05 1/234 5678\n"), 0.0);
  NEAR(load_of("12.07 1.00 0.90 1/9 9\n"), 12.07);
  NEAR(load_of("nan 1 1"), -1.0);
  NEAR(load_of(""), -1.0);
  assert_int_equal(load_free("MemTotal: 9 kB\nMemFree:  8 kB\nMemAvailable:    1024 kB\nBuffers: 1 kB\n"), 1 << 20);
  assert_int_equal(load_free("MemTotal: 9 kB\n"), -1);
  assert_int_equal(load_free("MemAvailable: kB\n"), -1);
}

static void machine_is_judged(void **st) {
  (void)st;
  char why[200] = "x";
  struct queue_opts o = {0};
  assert_true(load_allows(&o, why, sizeof why) && !*why);
  assert_true(load_judge(&o, 99, 0, why, sizeof why));
  o.max_load = 1.5;
  assert_true(load_judge(&o, 1.5, 0, why, sizeof why) && !*why);
  assert_false(load_judge(&o, 1.51, 0, why, sizeof why));
  assert_string_equal(why, "the load of the machine is 1.51 for each core, more than --max-load 1.5");
  o.max_load = 0.0001;
  assert_false(load_judge(&o, 1, 0, why, sizeof why));
  assert_string_equal(why, "the load of the machine is 1.00 for each core, more than --max-load 0.0001");
  assert_true(load_judge(&o, -1, 0, why, sizeof why)); /* it does not tell */
  o = (struct queue_opts){.min_free_bytes = 512LL << 20};
  assert_true(load_judge(&o, 99, 512LL << 20, why, sizeof why));
  assert_true(load_judge(&o, 99, -1, why, sizeof why));
  assert_false(load_judge(&o, 99, 100LL << 20, why, sizeof why));
  assert_string_equal(why, "100 MiB of memory are free, less than --min-free-memory 512 MiB");
  o.min_free_bytes = 1LL << 50; /* no machine has it; this one tells how much it has */
  assert_false(load_allows(&o, why, sizeof why));
  assert_non_null(strstr(why, " MiB of memory are free, less than --min-free-memory 1073741824 MiB"));
  assert_false(load_allows(&o, why, sizeof why)); /* from what was read just now */
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(body_sets_and_clears), cmocka_unit_test(body_is_refused), cmocka_unit_test(time_of_a_rate_in_its_greatest_unit), cmocka_unit_test(list_of_queues),
    cmocka_unit_test(machine_in_words), cmocka_unit_test(machine_is_judged)};
  return cmocka_run_group_tests_name("queue_words", tests, NULL, NULL);
}
