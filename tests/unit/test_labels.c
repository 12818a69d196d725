/* Labels: of an option, of a taskConfig, and whether a member has what a task asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "labels.h"
#include "wr_limits.h"

static void parses(const char *text, const char *want) {
  struct wr_err err;
  char *got;
  assert_int_equal(labels_parse("--labels", text, &got, &err), WR_OK);
  assert_string_equal(got, want);
  free(got);
}

static void refuses(const char *text, const char *what) {
  struct wr_err err;
  char *got;
  assert_int_equal(labels_parse("--labels", text, &got, &err), WR_BAD_REQUEST);
  assert_null(got);
  assert_non_null(strstr(err.msg, what));
}

static void of_an_option(void **st) {
  (void)st;
  parses("gpu", "gpu");
  parses("gpu,zone=a", "gpu,zone=a");
  parses(" gpu , zone=a,gpu", "gpu,zone=a");
  parses("a.b/c:d-e_f=1.2", "a.b/c:d-e_f=1.2");
  for (const char *const *p = (const char *const[]){"", ",", "a,", ",a", "a b", "=a", "a=", "a==b", "a=b=c", "-a", "a=-b", "\xc3\xa9", "a\n", NULL}; *p; p++)
    refuses(*p, "no label");
  char most[LIMIT_LABEL_CHARS + 2];
  memset(most, 'x', sizeof most);
  most[LIMIT_LABEL_CHARS + 1] = '\0';
  refuses(most, "no label");
  most[LIMIT_LABEL_CHARS] = '\0';
  parses(most, most);
  char many[LIMIT_LABELS_BYTES + 10] = "";
  for (int i = 0; i < 8; i++) most[0] = (char)('a' + i), snprintf(many + strlen(many), sizeof many - strlen(many), "%s%s", i ? "," : "", most);
  refuses(many, "bytes of labels");
}

static enum wr_rc reads(const char *json, char **got) {
  struct wr_err err;
  json_t *v = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  assert_non_null(v);
  enum wr_rc rc = labels_read(v, NULL, got, &err);
  json_decref(v);
  return rc;
}

static void is_read_as(const char *json, const char *want) {
  char *got;
  assert_int_equal(reads(json, &got), WR_OK);
  assert_string_equal(got ? got : "", want);
  free(got);
}

static void of_a_config(void **st) {
  (void)st;
  char *got;
  is_read_as("[]", "");
  is_read_as("{}", "");
  is_read_as("[\"gpu\",\"zone=a\",\"gpu\"]", "gpu,zone=a");
  is_read_as("\"gpu, zone=a\"", "gpu,zone=a");
  is_read_as("{\"gpu\":true,\"zone\":\"a\"}", "gpu,zone=a");
  assert_int_equal(reads("5", &got), WR_WRONG_TYPE);
  assert_int_equal(reads("[5]", &got), WR_WRONG_TYPE);
  assert_int_equal(reads("{\"a\":false}", &got), WR_WRONG_TYPE);
  assert_int_equal(reads("[\"a,b\"]", &got), WR_OUT_OF_RANGE);
  assert_int_equal(reads("[\"a\\u0000b\"]", &got), WR_OUT_OF_RANGE);
  assert_int_equal(reads("{\"a=b\":\"c\"}", &got), WR_OUT_OF_RANGE);
  assert_int_equal(reads("\"\"", &got), WR_OUT_OF_RANGE);
  assert_null(labels_of_config(NULL));
  assert_null(labels_of_config("{\"env\":{\"labels\":\"x\"}}"));
  got = labels_of_config("{\"labels\":[\"b\",\"a\"]}");
  assert_string_equal(got, "b,a");
  free(got);
}

static void all_must_be_there(void **st) {
  (void)st;
  assert_true(labels_have("gpu,zone=a", "gpu"));
  assert_true(labels_have("gpu,zone=a", "zone=a,gpu"));
  assert_true(labels_have("gpu", NULL));
  assert_true(labels_have(NULL, ""));
  assert_false(labels_have(NULL, "gpu"));
  assert_false(labels_have("gpu,zone=a", "zone"));
  assert_false(labels_have("gpu,zone=a", "zone=b"));
  assert_false(labels_have("gpu,zone=a", "gp"));
  assert_false(labels_have("gp", "gpu"));
  assert_false(labels_have("gpu", "GPU"));
  assert_false(labels_have("gpu", "gpu,ssd"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(of_an_option), cmocka_unit_test(of_a_config), cmocka_unit_test(all_must_be_there)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
