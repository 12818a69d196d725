/* Executors that are registered at run time, the pure parts: which paths may be, one text for one content, what a member says of
 * them, and versions in the registry. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec_offers.h"
#include "executor_post.h"
#include "registry.h"
#include "wr_limits.h"

static void test_paths(void **st) {
  (void)st;
  static const char *const good[] = {"a", "a/b", "/a", "/a/b.sh", "...", "a/..b", ".a", "a b", "\xc3\xa4"};
  static const char *const bad[] = {"", "/", ".", "..", "a/", "a//b", "//a", "./a", "a/.", "../a", "a/..", "a/../b", "a\n", "\x1b", "a\x7f"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(program_path_form(good[i], strlen(good[i])));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (program_path_form(bad[i], strlen(bad[i]))) fail_msg("%s", bad[i]);
  assert_false(program_path_form("a\0b", 3));
  char *part = malloc(5001);
  memset(part, 'x', 5000);
  for (size_t n = 1; n <= 5000; n++) {
    char was = part[n];
    part[n] = '\0';
    assert_int_equal(program_path_form(part, n), n <= 255);
    part[n] = was;
  }
  for (size_t i = 1; i < 5000; i += 2) part[i] = '/';
  part[4095] = '\0';
  assert_true(program_path_form(part, 4095));
  part[4095] = '/', part[4097] = '\0';
  assert_false(program_path_form(part, 4097));
  free(part);
}

static void test_below(void **st) {
  (void)st;
  assert_true(program_path_below("/opt/weir/a", "/opt/weir") && program_path_below("/a", "/"));
  assert_false(program_path_below("/opt/weir", "/opt/weir"));
  assert_false(program_path_below("/opt/weirdo/a", "/opt/weir"));
  assert_false(program_path_below("/opt/weir/", "/opt/weir"));
}

static char *body_of(const char *text) {
  struct wr_err err;
  struct executor_post p;
  json_t *v = json_loads(text, 0, NULL);
  assert_non_null(v);
  enum wr_rc rc = executor_post_parse(v, ADDED_EXECUTOR, &p, &err);
  char *body = rc ? NULL : strdup(p.body);
  executor_post_done(&p);
  json_decref(v);
  return body;
}

/* Order, blanks, `replace` and what the server made are no content; a text is a list of one. */
static void test_one_text_for_one_content(void **st) {
  (void)st;
  char *a = body_of("{\"executorType\":\"x\",\"mode\":\"program\",\"location\":[\"p\"],\"config\":{\"b\":1,\"a\":2}}");
  char *b = body_of("{ \"config\" : {\"a\":2,\"b\":1}, \"replace\":true, \"location\":\"p\", \"mode\":\"program\", \"executorType\":\"x\", "
                    "\"executorVersion\":7, \"members\":[], \"createdAt\":\"-\"}");
  char *c = body_of("{\"executorType\":\"x\",\"mode\":\"program\",\"location\":[\"p\",\"1\"],\"config\":{\"b\":1,\"a\":2}}");
  assert_non_null(a);
  assert_string_equal(a, b);
  assert_string_not_equal(a, c);
  struct added *kept;
  struct wr_err err;
  assert_int_equal(executor_read(a, ADDED_EXECUTOR, &kept, &err), WR_OK);
  assert_true(kept->mode == ADDED_PROGRAM && strcmp(kept->type, "x") == 0 && strcmp(kept->location, "[\"p\"]") == 0);
  added_free(kept);
  for (size_t n = 0; n < strlen(a); n++) {  /* a row that was cut is no executor */
    char *cut = strndup(a, n);
    assert_int_equal(executor_read(cut, ADDED_EXECUTOR, &kept, &err), WR_INTERNAL);
    free(cut);
  }
  free(a), free(b), free(c);
}

static void test_config_over(void **st) {
  (void)st;
  char *both = config_over("{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2},\"b\":3}"), *none = config_over(NULL, NULL), *own = config_over("{}", NULL);
  json_t *v = json_loads(both, 0, NULL);
  assert_int_equal(json_object_size(json_object_get(v, "a")), 1);   /* a field wins as a whole */
  assert_int_equal(json_integer_value(json_object_get(v, "b")), 3);
  assert_null(none);
  assert_string_equal(own, "{}");
  json_decref(v);
  free(both), free(own);
}

static void test_config_masked(void **st) {
  (void)st;
  char *m = config_masked("{\"headers\":{\"Authorization\":\"s\",\"X\":\"t\"},\"a\":1}"), *same = config_masked("{\"a\": \"s-key\"}");
  json_t *v = json_loads(m, 0, NULL);
  assert_string_equal(json_string_value(json_object_get(json_object_get(v, "headers"), "Authorization")), "***");
  assert_string_equal(json_string_value(json_object_get(json_object_get(v, "headers"), "X")), "t");
  assert_int_equal(json_integer_value(json_object_get(v, "a")), 1);
  assert_string_equal(same, "{\"a\": \"s-key\"}");
  assert_null(config_masked(NULL));
  json_decref(v);
  free(m), free(same);
}

static void name_it(void *ctx, const char *name, size_t n) { buf_printf(ctx, "%.*s,", (int)n, name); }

static void listener(void *ctx, const char *address, size_t n, uint16_t port) { buf_printf(ctx, "%.*s %u,", (int)n, address, port); }

static void test_offers(void **st) {
  (void)st;
  struct buf b = BUF_INIT;
  char why[40] = "";
  exec_offers_dir(&b, "/opt/a b");
  exec_offers_listens(&b, "127.0.0.1", 8080);
  exec_offers_listens(&b, "fe80::1", 1);
  exec_offers_add(&b, "yes", 3, NULL);
  exec_offers_add(&b, "no", 12, "It\nis /opt/no.");
  exec_offers_add(&b, "ye", 1, NULL);
  struct buf all = BUF_INIT;
  exec_offers_each(b.data, name_it, &all);
  assert_string_equal(all.data, "yes,ye,");
  buf_done(&all);
  exec_offers_each(NULL, name_it, NULL);
  struct buf at = BUF_INIT;
  exec_offers_listeners(b.data, listener, &at);
  assert_string_equal(at.data, "127.0.0.1 8080,fe80::1 1,");
  buf_clear(&at);
  exec_offers_listeners("@/1\n@a\n@a/0\n@a/65536\n@a/x\n@b/2", listener, &at);
  assert_string_equal(at.data, "b 2,");
  exec_offers_listeners(NULL, listener, &at);
  buf_done(&at);
  assert_int_equal(exec_offers_say(b.data, "yes", 3, why, sizeof why), EXEC_OFFERED);
  assert_int_equal(exec_offers_say(b.data, "yes", 2, why, sizeof why), EXEC_UNSAID);
  assert_int_equal(exec_offers_say(b.data, "no", 12, why, sizeof why), EXEC_NOT);
  assert_string_equal(why, "It is /opt/no.");
  assert_int_equal(exec_offers_say(b.data, "no", 1, why, sizeof why), EXEC_UNSAID);
  assert_int_equal(exec_offers_say(b.data, "y", 3, why, sizeof why), EXEC_UNSAID);
  assert_int_equal(exec_offers_say(NULL, "yes", 3, why, sizeof why), EXEC_UNSAID);
  assert_true(exec_offers_any(b.data, "yes") && exec_offers_any(b.data, "ye"));
  assert_false(exec_offers_any(b.data, "no") || exec_offers_any(b.data, "y") || exec_offers_any(NULL, "yes"));
  assert_true(exec_offers_below(b.data, "/opt/a b/c"));
  assert_false(exec_offers_below(b.data, "/opt/no") || exec_offers_below(b.data, "/opt/a b") || exec_offers_below(NULL, "/opt/a b/c"));
  buf_done(&b);
}

static struct added *added_of(const char *type) {
  struct added *a = added_new();
  a->type = strdup(type);
  return a;
}

static void test_versions_in_the_registry(void **st) {
  (void)st;
  struct wr_err err;
  struct registry *r = registry_new();
  registry_add_builtins(r);
  uint64_t n = registry_changes(r);
  const wx_ops *ops = registry_shell();
  assert_int_equal(registry_add_added(r, ops, added_of("x"), 1, true, &err), WR_OK);
  assert_int_equal(registry_add_added(r, ops, added_of("x"), 3, true, &err), WR_OK);
  assert_int_equal(registry_add_added(r, ops, added_of("x"), 2, false, &err), WR_OK); /* a former one that is read later */
  assert_true(registry_changes(r) > n);
  assert_int_equal(registry_find(r, "x", 0)->version, 3);
  assert_true(registry_retire(r, "x", 3));
  assert_false(registry_retire(r, "x", 3));
  atomic_store(&registry_find(r, "x", 3)->added->offered, true);
  assert_true(registry_retire(r, "x", 0)); /* deleted: nobody finds it as the newest, what is pinned to it does */
  assert_null(registry_find(r, "x", 0));
  assert_int_equal(registry_find(r, "x", 2)->version, 2);
  assert_false(atomic_load(&registry_find(r, "x", 3)->added->offered));
  for (const struct executor *x = NULL; (x = registry_next(r, x));) assert_null(x->added);
  assert_null(registry_next_added(r, NULL));
  struct added *a = added_of("ECHO");
  assert_int_equal(registry_add_added(r, ops, a, 1, true, &err), WR_INTERNAL);
  added_free(a);
  a = added_of("large");
  a->bytes = (size_t)LIMIT_ADDED_BYTES;
  assert_int_equal(registry_add_added(r, ops, a, 1, true, &err), WR_INTERNAL);
  added_free(a);
  registry_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_paths), cmocka_unit_test(test_below), cmocka_unit_test(test_one_text_for_one_content),
    cmocka_unit_test(test_config_over), cmocka_unit_test(test_config_masked), cmocka_unit_test(test_offers), cmocka_unit_test(test_versions_in_the_registry)};
  return cmocka_run_group_tests_name("executor_post", tests, NULL, NULL);
}
