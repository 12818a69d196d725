/* Recorded workflows: both shapes of the schema, names, edges, run times, and broken files. Each loaded body is then read by
 * the flow parser itself. */
#include "wfformat.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers it needs */
#include <cmocka.h>
#include "def.h"
#include "mem.h"

static struct wr_err err;

static enum wr_rc any_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path, uint8_t *slot,
                           struct wr_err *e) {
  (void)ctx; (void)content; (void)config; (void)path; (void)e;
  *slot = SLOT_ASYNC;
  assert_string_equal(type, "WAIT");
  return WR_OK;
}

static enum wr_rc load(const char *text, double scale, struct wf *w) {
  json_error_t je;
  json_t *doc = json_loads(text, 0, &je);
  if (!doc) fail_msg("%s", je.text);
  enum wr_rc rc = wf_load(doc, scale, w, &err);
  json_decref(doc);
  return rc;
}

/* Loads, and parses the result as a flow; the caller releases both. */
static struct flow_def *flow_of(const char *text, double scale, struct wf *w) {
  struct def_env env = {.check_type = any_type};
  struct flow_post p = {0};
  if (load(text, scale, w)) fail_msg("%s", err.msg);
  if (def_flow_parse(w->body, &env, &p, &err)) fail_msg("%s %s", err.msg, err.path);
  assert_int_equal(p.def->dag->n, w->n);
  return p.def;
}

static void done(struct flow_def *f, struct wf *w) {
  def_flow_unref(f);
  wf_done(w);
}

#define V15(spec, exec) "{\"name\":\"x\",\"workflow\":{\"specification\":{\"tasks\":[" spec "]},\"execution\":{\"tasks\":[" exec "]}}}"
#define T(id, parents, children) "{\"id\":\"" id "\",\"name\":\"" id "\",\"parents\":[" parents "],\"children\":[" children "]}"
#define R(id, s) "{\"id\":\"" id "\",\"runtimeInSeconds\":" s "}"

static void test_diamond(void **state) {
  (void)state;
  struct wf w;
  /* one edge only as a child, one only as a parent, two as both */
  struct flow_def *f = flow_of(V15(T("a", "", "\"b\",\"c\"") "," T("b", "\"a\"", "\"d\"") "," T("c", "", "") "," T("d", "\"b\",\"c\"", ""),
                                   R("d", "1e-6") "," R("c", "3") "," R("b", "2.5") "," R("a", "1")), 0.5, &w);
  assert_int_equal(f->dag->n_edge, 4);
  assert_int_equal(w.run_us[0], 500000);
  assert_int_equal(w.run_us[1], 1250000);
  assert_int_equal(w.run_us[3], 1); /* half a microsecond is rounded */
  assert_int_equal(w.work_us, 3250001);
  assert_int_equal(dag_critical_path(f->dag, w.run_us), 2000001);
  assert_string_equal(f->node[1].task[0]->content, "1.250000");
  done(f, &w);
}

/* Up to schema 1.4: run times inside, tasks named by name. */
static void test_older(void **state) {
  (void)state;
  struct wf w;
  struct flow_def *f = flow_of("{\"name\":\"o\",\"workflow\":{\"tasks\":["
                               "{\"name\":\"p\",\"id\":\"ID1\",\"runtime\":2,\"children\":[\"q\"]},"
                               "{\"name\":\"q\",\"id\":\"ID2\",\"runtimeInSeconds\":3,\"parents\":[\"p\"]}]}}", 1, &w);
  assert_int_equal(f->dag->n_edge, 1);
  assert_int_equal(w.work_us, 5000000);
  assert_string_equal(f->node[0].key, "ID1");
  done(f, &w);
  f = flow_of("{\"workflow\":{\"jobs\":[{\"name\":\"only\",\"runtime\":0}]}}", 1, &w);
  assert_int_equal(w.work_us, 0);
  done(f, &w);
}

/* No edge at all: all are roots, not a chain. */
static void test_no_edges(void **state) {
  (void)state;
  struct wf w;
  struct flow_def *f = flow_of(V15(T("a", "", "") "," T("b", "", "") "," T("START", "", ""), R("a", "1") "," R("b", "1") "," R("START", "1")), 1, &w);
  assert_int_equal(f->dag->n_edge, 0);
  assert_int_equal(dag_critical_path(f->dag, w.run_us), 1000000);
  done(f, &w);
}

static void test_keys(void **state) {
  (void)state;
  struct wf w;
  char text[2048], long1[200], long2[200];
  memset(long1, 'x', 150);
  long1[150] = 0;
  memcpy(long2, long1, 151);
  long2[149] = 'y';
  snprintf(text, sizeof text, V15("%s", "%s"),
           T("a b", "", "") "," T("a/b", "", "") "," T("a_b", "", "") "," T("a_b-2", "", "") "," T("é", "", ""),
           R("a b", "0") "," R("a/b", "0") "," R("a_b", "0") "," R("a_b-2", "0") "," R("é", "0"));
  struct flow_def *f = flow_of(text, 1, &w);
  assert_string_equal(f->node[1].key, "a_b"); /* node 0 is the START */
  assert_string_equal(f->node[2].key, "a_b-2");
  assert_string_equal(f->node[3].key, "a_b-3");
  assert_string_equal(f->node[4].key, "a_b-2-2");
  assert_string_equal(f->node[5].key, "__");
  done(f, &w);
  snprintf(text, sizeof text, "{\"workflow\":{\"tasks\":[{\"name\":\"%s\",\"runtime\":1},{\"name\":\"%s\",\"runtime\":1}]}}", long1, long2);
  f = flow_of(text, 1, &w);
  assert_int_equal(strlen(f->node[1].key), 112);
  assert_int_equal(strlen(f->node[2].key), 114);
  done(f, &w);
}

/* Fan-in of 1,000: as wide as the files to come. */
static void test_wide(void **state) {
  (void)state;
  struct buf b = BUF_INIT;
  struct wf w;
  buf_str(&b, "{\"workflow\":{\"tasks\":[{\"name\":\"end\",\"runtime\":1,\"parents\":[");
  for (int i = 0; i < 1000; i++) buf_printf(&b, "%s\"t%d\"", i ? "," : "", i);
  buf_str(&b, "]}");
  for (int i = 0; i < 1000; i++) buf_printf(&b, ",{\"name\":\"t%d\",\"runtime\":0.%d,\"children\":[\"end\"]}", i, i % 10);
  buf_str(&b, "]}}");
  struct flow_def *f = flow_of(b.data, 1, &w);
  assert_int_equal(w.n, 1001);
  assert_int_equal(f->dag->n_edge, 1000);
  assert_int_equal(dag_critical_path(f->dag, w.run_us), 1900000);
  done(f, &w);
  buf_done(&b);
}

static void test_broken(void **state) {
  (void)state;
  static const struct { const char *text, *part; } cases[] = {
    {"{}", "\"workflow\" is missing"},
    {"{\"workflow\":{}}", "workflow.tasks is missing"},
    {"{\"workflow\":{\"specification\":{}}}", "specification.tasks is missing"},
    {"{\"workflow\":{\"specification\":{\"tasks\":[]}}}", "execution.tasks is missing"},
    {V15("", ""), "it has no tasks"},
    {V15(T("a", "", ""), ""), "no run time is recorded for \"a\""},
    {V15(T("a", "", ""), R("a", "\"1\"")), "no run time"},
    {V15(T("a", "", ""), R("a", "-1")), "negative run time"},
    {V15(T("a", "", ""), R("a", "1e9")), "seven days"},
    {V15(T("a", "", "") "," T("a", "", ""), R("a", "1")), "two tasks have the id \"a\""},
    {V15(T("a", "", ""), R("a", "1") "," R("a", "1")), "names twice \"a\""},
    {V15(T("a", "\"b\"", ""), R("a", "1")), "no such parent: \"b\""},
    {V15(T("a", "", "\"b\""), R("a", "1")), "no such child: \"b\""},
    {V15(T("a", "7", ""), R("a", "1")), "a parent is not a text"},
    {V15("{\"id\":\"a\",\"parents\":{}}", R("a", "1")), "parents is not an array"},
    {V15("{\"x\":1}", ""), "neither id nor name"},
    {V15("7", ""), "neither id nor name"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct wf w;
    assert_int_equal(load(cases[i].text, 1, &w), WR_BAD_REQUEST);
    if (!strstr(err.msg, cases[i].part)) fail_msg("\"%s\" is not in \"%s\"", cases[i].part, err.msg);
    assert_null(w.body);
  }
}

/* A cycle is for the flow parser to find. */
static void test_cycle(void **state) {
  (void)state;
  struct wf w;
  struct def_env env = {.check_type = any_type};
  struct flow_post p = {0};
  assert_int_equal(load(V15(T("a", "\"b\"", "") "," T("b", "\"a\"", ""), R("a", "1") "," R("b", "1")), 1, &w), WR_OK);
  assert_int_equal(def_flow_parse(w.body, &env, &p, &err), WR_CYCLE);
  wf_done(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_diamond), cmocka_unit_test(test_older), cmocka_unit_test(test_no_edges),
                                     cmocka_unit_test(test_keys),    cmocka_unit_test(test_wide),  cmocka_unit_test(test_broken),
                                     cmocka_unit_test(test_cycle)};
  return cmocka_run_group_tests_name("wfformat", tests, NULL, NULL);
}
