/* Unit tests of result analyzers: what a definition may say, the built-in ones over results that were made up, and a table of
 * answers that must not be taken, whole or in part. */
#include "model_env.h"

#include <pthread.h>

#include "analysis.h"
#include "attempt.h"
#include "mem.h"
#include "model.h"
#include "pointer.h"
#include "regex.h"

/* ---- definitions ---- */

static enum wr_rc read_def(const char *text, struct analyzer **out, struct wr_err *err) {
  char *t = quoted(text);
  json_t *v = json_loads(t, JSON_DECODE_ANY, NULL);
  if (!v) fail_msg("%s is no JSON", t);
  enum wr_rc rc = analyzer_read(v, JKEY(NULL, "analyzer"), out, err);
  json_decref(v);
  free(t);
  return rc;
}

static struct analyzer *def_of(const char *text) {
  struct analyzer *a = NULL;
  struct wr_err err = {0};
  if (read_def(text, &a, &err)) fail_msg("%s: %s", text, err.msg);
  return a;
}

static void definitions_are_read(void **state) {
  (void)state;
  struct analyzer *a = def_of("'crawl.v2'");
  assert_int_equal(a->kind, ANALYZER_NAMED);
  assert_string_equal(a->name, "crawl.v2");
  analyzer_free(a);
  a = def_of("{'type':'exit-code','ok':[0,3,255]}");
  assert_int_equal(a->kind, ANALYZER_EXIT_CODE);
  assert_int_equal(a->ok[0], 1 << 0 | 1 << 3);
  assert_int_equal(a->ok[31], 1 << 7);
  analyzer_free(a);
  a = def_of("{'type':'json-pointer','pointer':'/ok','equals':null}");
  assert_true(a->equals && json_is_null(a->equals));
  analyzer_free(a);
  a = def_of("{'type':'regex','pattern':'^ok','on':'log'}");
  assert_true(a->on_log);
  analyzer_free(a);
  a = def_of("{'type':'subtasks','pointer':'/tasks','taskTypes':['HTTP','SHELL']}");
  assert_string_equal(a->task_types, "HTTP\nSHELL\n");
  analyzer_free(a);
  a = def_of("{'type':'subtasks','pointer':'','taskTypes':[]}");
  assert_string_equal(a->task_types, "");
  analyzer_free(a);
  analyzer_free(NULL);
}

static void bad_definitions(void **state) {
  static const struct { const char *text; enum wr_rc code; const char *path, *words; } bad[] = {
    {"1", WR_WRONG_TYPE, "/analyzer", "the name"},
    {"null", WR_WRONG_TYPE, "/analyzer", "the name"},
    {"''", WR_OUT_OF_RANGE, "/analyzer", "a letter"},
    {"'a b'", WR_OUT_OF_RANGE, "/analyzer", "a letter"},
    {"'../x'", WR_OUT_OF_RANGE, "/analyzer", "a letter"},
    {"{}", WR_OUT_OF_RANGE, "/analyzer/type", "type is required"},
    {"{'type':'exitcode'}", WR_OUT_OF_RANGE, "/analyzer/type", "exit-code, json-pointer, regex or subtasks"},
    {"{'type':1}", WR_WRONG_TYPE, "/analyzer/type", NULL},
    {"{'type':'exit-code'}", WR_OUT_OF_RANGE, "/analyzer/ok", "ok is required"},
    {"{'type':'exit-code','ok':[]}", WR_OUT_OF_RANGE, "/analyzer/ok", NULL},
    {"{'type':'exit-code','ok':0}", WR_WRONG_TYPE, "/analyzer/ok", NULL},
    {"{'type':'exit-code','ok':[0,256]}", WR_OUT_OF_RANGE, "/analyzer/ok/1", NULL},
    {"{'type':'exit-code','ok':[-1]}", WR_OUT_OF_RANGE, "/analyzer/ok/0", NULL},
    {"{'type':'exit-code','ok':[125]}", WR_OUT_OF_RANGE, "/analyzer/ok/0", "not analysed"},
    {"{'type':'exit-code','ok':[75]}", WR_OUT_OF_RANGE, "/analyzer/ok/0", "not analysed"},
    {"{'type':'exit-code','ok':[0],'pointer':'/a'}", WR_UNKNOWN_FIELD, "/analyzer/pointer", "has no field pointer"},
    {"{'type':'exit-code','ok':[0],'x':1}", WR_UNKNOWN_FIELD, "/analyzer/x", NULL},
    {"{'type':'json-pointer'}", WR_OUT_OF_RANGE, "/analyzer/pointer", "pointer is required"},
    {"{'type':'json-pointer','pointer':'ok'}", WR_OUT_OF_RANGE, "/analyzer/pointer", "no JSON pointer"},
    {"{'type':'json-pointer','pointer':'/~2'}", WR_OUT_OF_RANGE, "/analyzer/pointer", "no JSON pointer"},
    {"{'type':'regex'}", WR_OUT_OF_RANGE, "/analyzer/pattern", "pattern is required"},
    {"{'type':'regex','pattern':'('}", WR_OUT_OF_RANGE, "/analyzer/pattern", "at character"},
    {"{'type':'regex','pattern':'a','on':'stderr'}", WR_OUT_OF_RANGE, "/analyzer/on", "result or log"},
    {"{'type':'regex','pattern':'((a{1,1000}b){1,1000}){1,1000}'}",
     WR_OUT_OF_RANGE, "/analyzer/pattern", "too large"},
    {"{'type':'subtasks'}", WR_OUT_OF_RANGE, "/analyzer/pointer", NULL},
    {"{'type':'subtasks','pointer':'/t','taskTypes':'ECHO'}", WR_WRONG_TYPE, "/analyzer/taskTypes", NULL},
    {"{'type':'subtasks','pointer':'/t','taskTypes':[1]}", WR_WRONG_TYPE, "/analyzer/taskTypes/0", NULL},
    {"{'type':'subtasks','pointer':'/t','taskTypes':['']}", WR_OUT_OF_RANGE, "/analyzer/taskTypes/0", NULL},
    {"{'type':'subtasks','pointer':'/t','taskTypes':['A\\nSHELL']}", WR_OUT_OF_RANGE, "/analyzer/taskTypes/0", NULL}};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct analyzer *a = NULL;
    struct wr_err err = {0};
    expect_err(bad[i].text, read_def(bad[i].text, &a, &err), &err, bad[i].code, bad[i].path, bad[i].words);
    assert_null(a);
  }
}

/* ---- in a task's definition ---- */

static enum wr_rc registered(void *ctx, const char *name, const struct added **out, struct wr_err *err) {
  static char echo[] = "ECHO\n", shell[] = "ECHO\nSHELL\n";
  static const struct added crawl = {.task_types = echo}, wide = {.task_types = shell}, own = {.task_types = NULL};
  (void)ctx, (void)err;
  *out = strcmp(name, "crawl") == 0 ? &crawl : strcmp(name, "wide") == 0 ? &wide : strcmp(name, "own") == 0 ? &own : NULL;
  return WR_OK;
}

static enum wr_rc read_task(const char *config, struct task_post *p, struct wr_err *err) {
  struct def_env with = env;
  char body[400];
  with.analyzer_find = registered;
  snprintf(body, sizeof body, "{'taskName':'t','taskType':'ECHO','taskConfig':%s}", config);
  json_t *v = json_of(body);
  enum wr_rc rc = def_task_parse(v, &with, p, err);
  json_decref(v);
  return rc;
}

static void tasks_have_it(void **state) {
  static const struct { const char *config; enum wr_rc code; const char *path; } bad[] = {
    {"{'analyzer':'nobody'}", WR_OUT_OF_RANGE, "/taskConfig/analyzer"}, {"{'analyzer':1}", WR_WRONG_TYPE, "/taskConfig/analyzer"},
    {"{'analyzer':{'type':'regex','pattern':'('}}", WR_OUT_OF_RANGE, "/taskConfig/analyzer/pattern"},
    {"{'analyzerAttempts':0}", WR_OUT_OF_RANGE, "/taskConfig/analyzerAttempts"},
    {"{'analyzerAttempts':102}", WR_OUT_OF_RANGE, "/taskConfig/analyzerAttempts"},
    {"{'analyzerTimeout':0}", WR_OUT_OF_RANGE, "/taskConfig/analyzerTimeout"},
    {"{'childFailure':'no'}", WR_OUT_OF_RANGE, "/taskConfig/childFailure"}};
  struct task_post p;
  struct wr_err err = {0};
  (void)state;
  assert_int_equal(read_task("{'analyzer':'crawl','analyzerAttempts':101,'analyzerTimeout':'2s','childFailure':'ignore'}", &p, &err),
                   WR_OK);
  assert_string_equal(p.def->analyzer->name, "crawl");
  assert_true(p.def->analyzer_attempts == 101 && p.def->analyzer_timeout_us == 2000000 && p.def->child_failure == CHILD_IGNORE);
  assert_ptr_equal(analyzer_of(p.def, NULL), p.def->analyzer);
  assert_int_equal(def_task_derive(p.def, &err), WR_OK);   /* as the store has it */
  assert_string_equal(p.def->analyzer->name, "crawl");
  def_task_unref(p.def);
  assert_int_equal(read_task("{'attempts':2}", &p, &err), WR_OK);
  assert_true(!p.def->analyzer && p.def->analyzer_attempts == 4 && p.def->analyzer_timeout_us == 60000000 &&
              p.def->child_failure == CHILD_FAIL);
  struct added of_executor = {.analyzer = def_of("{'type':'exit-code','ok':[0]}")};
  const struct executor x = {.added = &of_executor};
  assert_ptr_equal(analyzer_of(p.def, &x), of_executor.analyzer);
  analyzer_free(of_executor.analyzer);
  def_task_unref(p.def);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    err = (struct wr_err){0};
    enum wr_rc rc = read_task(bad[i].config, &p, &err);
    expect_err(bad[i].config, rc, &err, bad[i].code, bad[i].path, NULL);
    def_task_unref(p.def);
  }
}

/* ---- pointers, patterns ---- */

static void pointers(void **state) {
  static const struct { const char *pointer, *is; } t[] = { /* those of RFC 6901, 5 */
    {"/foo", "['bar','baz']"}, {"/foo/0", "'bar'"}, {"/", "0"}, {"/a~1b", "1"}, {"/c%d", "2"}, {"/e^f", "3"}, {"/g|h", "4"},
    {"/i\\\\j", NULL}, {"/ ", "7"}, {"/m~0n", "8"}, {"/foo/2", NULL}, {"/foo/-", NULL}, {"/foo/01", NULL}, {"/foo/-1", NULL},
    {"/foo/0/x", NULL}, {"/nothing", NULL}, {"/foo/18446744073709551616", NULL}};
  (void)state;
  json_t *doc = json_of("{'foo':['bar','baz'],'':0,'a/b':1,'c%d':2,'e^f':3,'g|h':4,' ':7,'m~n':8}");
  assert_ptr_equal(pointer_follow(doc, ""), doc);
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    const json_t *got = pointer_follow(doc, t[i].pointer);
    char *want = t[i].is ? quoted(t[i].is) : NULL;
    json_t *v = want ? json_loads(want, JSON_DECODE_ANY, NULL) : NULL;
    if ((got != NULL) != (v != NULL) || (v && !json_same(got, v))) fail_msg("%s", t[i].pointer);
    json_decref(v);
    free(want);
  }
  json_decref(doc);
}

static void sameness(void **state) {
  static const struct { const char *a, *b; bool same; } t[] = {
    {"1", "1.0", true}, {"1", "2", false}, {"9007199254740993", "9007199254740992", false},
    {"{'a':[1,{'b':2}]}", "{'a':[1.0,{'b':2}]}", true},
    {"{'a':1,'b':2}", "{'b':2,'a':1}", true}, {"{'a':1}", "{'b':1}", false}, {"[1,2]", "[2,1]", false}, {"[1]", "[1,1]", false},
    {"true", "1", false}, {"null", "false", false}, {"'1'", "1", false}, {"'a'", "'a'", true}, {"[]", "{}", false}};
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    char *x = quoted(t[i].a), *y = quoted(t[i].b);
    json_t *a = json_loads(x, JSON_DECODE_ANY, NULL), *b = json_loads(y, JSON_DECODE_ANY, NULL);
    if (json_same(a, b) != t[i].same || json_same(b, a) != t[i].same) fail_msg("%s, %s", x, y);
    json_decref(a);
    json_decref(b);
    free(x);
    free(y);
  }
}

/* Patterns that never end without a limit; each is given up, and none takes the program with it. */
static void patterns_end(void **state) {
  static const char *const evil[] = {"(a+)+$", "(a|aa)+$", "(?:.*.*.*.*.*){5}x", "^(\\w+\\s?)*$", "(?R)?a",
                                     "((a?){100}){100}b", "a*?a*?a*?a*?a*?a*?c"};
  enum { N = 200000 };
  char why[REGEX_WHY] = "";
  (void)state;
  char *text = wr_malloc(N + 1);
  memset(text, 'a', N);
  text[N] = '!';
  for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
    enum regex_rc rc = regex_match(evil[i], strlen(evil[i]), text, N + 1, why);
    if (rc == REGEX_UNABLE) fail_msg("%s: %s", evil[i], why);
  }
  assert_int_equal(regex_match("(a+)+$", 6, text, N + 1, why), REGEX_LIMIT);
  assert_non_null(strstr(why, "given up"));
  free(text);
  assert_int_equal(regex_match("^ok$", 4, "\xff\xfe\xc0ok", 5, why), REGEX_NO_MATCH);
  assert_int_equal(regex_match("ok$", 3, "\xff\xfe\xc0ok", 5, why), REGEX_MATCH);
  assert_int_equal(regex_match("", 0, "", 0, why), REGEX_MATCH);
  assert_int_equal(regex_check("\\C", 2, why), REGEX_BAD);
}

/* ---- the built-in ones ---- */

static struct evidence evidence_of(const char *result, int exit_code, bool failed) {
  char *r = result ? quoted(result) : NULL;
  return (struct evidence){.exit_code = exit_code, .failed = failed, .result = r, .result_len = r ? strlen(r) : 0};
}

static const struct analysis_rule rule = {.parent_type = "ECHO"};

static enum wr_rc ask(const char *def, struct evidence e, struct verdict *v, struct wr_err *err) {
  struct analyzer *a = def_of(def);
  enum wr_rc rc = analysis_built_in(a, &e, &rule, &env, v, err);
  analyzer_free(a);
  evidence_done(&e);
  return rc;
}

static void built_in_ones(void **state) {
  static const struct { const char *def, *result; int exit_code; bool failed; enum verdict_kind kind;
                 const char *message; } t[] = {
    {"{'type':'exit-code','ok':[0,3]}", NULL, 3, true, VERDICT_DONE, NULL},
    {"{'type':'exit-code','ok':[0,3]}", NULL, 0, false, VERDICT_DONE, NULL},
    {"{'type':'exit-code','ok':[3]}", NULL, 0, false, VERDICT_FAILED, "exit code 0"},
    {"{'type':'exit-code','ok':[3]}", NULL, -1, false, VERDICT_DONE, NULL},
    {"{'type':'exit-code','ok':[3]}", NULL, -1, true, VERDICT_FAILED, "no exit code"},
    {"{'type':'exit-code','ok':[0]}", NULL, 300, true, VERDICT_FAILED, "300"},
    {"{'type':'json-pointer','pointer':'/ok','equals':true}", "{'ok':true}", 0, false, VERDICT_DONE, NULL},
    {"{'type':'json-pointer','pointer':'/ok','equals':true}", "{'ok':false}", 0, false, VERDICT_FAILED, "false"},
    {"{'type':'json-pointer','pointer':'/ok','equals':true}", "{}", 0, false, VERDICT_FAILED, "nothing at /ok"},
    {"{'type':'json-pointer','pointer':'/ok','equals':true}", "ok", 0, false, VERDICT_FAILED, "not JSON"},
    {"{'type':'json-pointer','pointer':'/ok','equals':true}", NULL, 0, false, VERDICT_FAILED, "not JSON"},
    {"{'type':'json-pointer','pointer':'/ok','equals':true}", "{'ok':true}", 1, true, VERDICT_FAILED, NULL},
    {"{'type':'json-pointer','pointer':'/n','equals':1}", "{'n':1.0}", 0, false, VERDICT_DONE, NULL},
    {"{'type':'json-pointer','pointer':'/n'}", "{'n':null}", 0, false, VERDICT_DONE, NULL},
    {"{'type':'json-pointer','pointer':'','equals':[1]}", "[1]", 0, false, VERDICT_DONE, NULL},
    {"{'type':'regex','pattern':'^done'}", "done.", 0, false, VERDICT_DONE, NULL},
    {"{'type':'regex','pattern':'^done$'}", "done.", 0, false, VERDICT_FAILED, "does not match the result"},
    {"{'type':'regex','pattern':'x','on':'log'}", "x", 0, false, VERDICT_FAILED, "does not match the log"},
    {"{'type':'regex','pattern':'done'}", "done", 1, true, VERDICT_FAILED, NULL},
    {"{'type':'subtasks','pointer':'/tasks'}", "{'tasks':[]}", 0, false, VERDICT_DONE, NULL},
    {"{'type':'subtasks','pointer':'/tasks'}", "{}", 0, false, VERDICT_FAILED, "nothing at /tasks"},
    {"{'type':'subtasks','pointer':'/tasks'}", "{'tasks':7}", 0, false, VERDICT_FAILED, "no array at /tasks"},
    {"{'type':'subtasks','pointer':''}", "{}", 0, false, VERDICT_FAILED, "no array at \"\""},
    {"{'type':'subtasks','pointer':'/tasks'}", "text", 0, false, VERDICT_FAILED, "cannot be read"},
    {"{'type':'subtasks','pointer':'/tasks'}", "{'tasks':[]}", 2, true, VERDICT_FAILED, NULL}};
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    struct verdict v;
    struct wr_err err = {0};
    enum wr_rc rc = ask(t[i].def, evidence_of(t[i].result, t[i].exit_code, t[i].failed), &v, &err);
    bool says = t[i].message ? v.message && strstr(v.message, t[i].message) : !v.message;
    if (rc || v.kind != t[i].kind || !says)
      fail_msg("%zu %s: %d %s, %s", i, t[i].def, (int)v.kind, v.message ? v.message : "-", err.msg);
    verdict_done(&v);
  }
}

static void subtasks_adds(void **state) {
  struct verdict v;
  struct wr_err err = {0};
  (void)state;
  assert_int_equal(ask("{'type':'subtasks','pointer':'','taskTypes':['ECHO','WAIT']}",
                       evidence_of("[{'taskType':'ECHO','taskContent':'a','taskKey':'k'},"
                                   "{'taskType':'WAIT','taskContent':'1'}]", 0, false), &v, &err), WR_OK);
  assert_int_equal(v.n_task, 2);
  assert_string_equal(v.task[0].def->type, "ECHO");
  assert_string_equal(v.task[0].spec->key, "k");
  assert_false(v.no_wait);
  struct async_post p;
  verdict_take(&v, 0, &p);
  assert_string_equal(p.def->content, "a");
  async_post_done(&p);
  verdict_done(&v);
  assert_int_equal(ask("{'type':'subtasks','pointer':''}", evidence_of("[{'taskType':'WAIT'}]", 0, false), &v, &err),
                   WR_OUT_OF_RANGE);
  assert_non_null(strstr(err.msg, "without taskTypes"));
  assert_int_equal(v.n_task, 0);
}

/* ---- answers ---- */

static enum wr_rc parse(const char *text, const struct analysis_rule *r, struct verdict *v, struct wr_err *err) {
  char *t = quoted(text);
  enum wr_rc rc = analysis_answer_parse(t, strlen(t), r, &env, v, err);
  free(t);
  return rc;
}

static void answers(void **state) {
  struct verdict v;
  struct wr_err err = {0};
  (void)state;
  assert_int_equal(parse("{'verdict':'done'}", &rule, &v, &err), WR_OK);
  assert_int_equal(v.kind, VERDICT_DONE);
  verdict_done(&v);
  assert_int_equal(parse("{'verdict':'failed','message':'no','result':{'a':1}}", &rule, &v, &err), WR_OK);
  assert_int_equal(v.kind, VERDICT_FAILED);
  assert_string_equal(v.message, "no");
  assert_string_equal(v.result, "{\"a\":1}");
  verdict_done(&v);
  assert_int_equal(parse("{'verdict':'retry','after':'5m'}", &rule, &v, &err), WR_OK);
  assert_true(v.has_after && v.after_us == 300000000);
  verdict_done(&v);
  assert_int_equal(parse("{'verdict':'retry','after':0}", &rule, &v, &err), WR_OK);
  assert_true(v.has_after && v.after_us == 0);
  verdict_done(&v);
  assert_int_equal(parse("{'verdict':'done','wait':false,'result':'x','tasks':[{'taskType':'ECHO'}]}", &rule, &v, &err), WR_OK);
  assert_true(v.no_wait && v.n_task == 1);
  assert_string_equal(v.result, "x");
  verdict_done(&v);
}

static void run_as_is_the_parents(void **state) {
  const struct analysis_rule shell = {.parent_type = "SHELL", .task_types = "SHELL\nECHO\n", .run_as = "alice"};
  struct verdict v;
  struct wr_err err = {0};
  (void)state;
  assert_int_equal(parse("{'verdict':'done','tasks':[{'taskType':'SHELL','taskContent':'id'},{'taskType':'ECHO'},"
                         "{'taskType':'SHELL','taskContent':'id','taskConfig':{'user':'alice'}}]}", &shell, &v, &err), WR_OK);
  assert_string_equal(v.task[0].def->config, "{\"user\":\"alice\"}");
  assert_null(v.task[1].def->config);
  verdict_done(&v);
}

/* Answers of an analyzer that is wrong, or means ill. Each is a failure of the analyzer, with a sentence, and nothing is left of it:
 * the first task of many is fine. */
#define FINE "{'taskType':'ECHO'},"
#define TASKS(x) "{'verdict':'done','tasks':[" FINE x "]}"
static void hostile_answers(void **state) {
  static const struct { const char *text, *words; } bad[] = {
    {TASKS("{'taskType':'ECHO','taskConfig':{'env':{'BASH_ENV':'/tmp/x'}}}"), "/tasks/1/taskConfig/env: A task that an analyzer adds cannot"},
    {"", "JSON"},
    {" ", "JSON"},
    {"x", "unexpected token"},
    {"{", "unexpected end"},
    {"[]", "JSON object"},
    {"'done'", "JSON object"},
    {"null", "JSON object"},
    {"{}", "verdict is required"},
    {"{'verdict':'ok'}", "done, failed or retry"},
    {"{'verdict':true}", "string"},
    {"{'verdict':'done','verdict':'failed'}", "twice"},
    {"{'verdict':'done'} {}", "unexpected token"},
    {"{'verdict':'DONE'}", "done, failed"},
    {"{'verdict':'done','task':[]}", "Unknown field"},
    {"{'verdict':'done','message':1}", "string"},
    {"{'verdict':'failed','tasks':[]}", "goes with the verdict done"},
    {"{'verdict':'retry','tasks':[" FINE "{}]}", "goes with the verdict done"},
    {"{'verdict':'failed','wait':true}", "goes with the verdict done"},
    {"{'verdict':'done','after':1}", "goes with the verdict retry"},
    {"{'verdict':'retry','after':-1}", "at most 365 days"},
    {"{'verdict':'retry','after':1e300}", "at most 365 days"},
    {"{'verdict':'retry','after':'never'}", "at most 365 days"},
    {"{'verdict':'retry','after':[1]}", "at most 365 days"},
    {"{'verdict':'done','wait':'no'}", "true or false"},
    {"{'verdict':'done','tasks':{}}", "an array"},
    {"{'verdict':'done','tasks':null}", "an array"},
    {"{'verdict':'done','result':'\\u0000'}", "NUL"},
    {"{'verdict':'done','result':'\xff'}", "UTF-8"},
    {"{'verdict':'done','result':1e999}", "out of range"},
    {TASKS("1"), "/tasks/1"},
    {TASKS("null"), "/tasks/1"},
    {TASKS("[]"), "/tasks/1"},
    {TASKS("{}"), "taskType"},
    {TASKS("{'taskType':1}"), "/tasks/1/taskType"},
    {TASKS("{'taskType':'SHELL','taskContent':'rm -rf /'}"), "SHELL must be named"},
    {TASKS("{'taskType':'WAIT'}"), "own type"},
    {TASKS("{'taskType':'echo'}"), "own type"},
    {TASKS("{'taskType':'ECHO\\nSHELL'}"), "own type"},
    {TASKS("{'taskType':''}"), "own type"},
    {TASKS("{'taskType':'ECHO','user':'root'}"), "cannot set it"},
    {TASKS("{'taskType':'ECHO','group':'g'}"), "cannot set it"},
    {TASKS("{'taskType':'ECHO','user':''}"), "cannot set it"},
    {TASKS("{'taskType':'ECHO','taskConfig':{'queue':{'user':'u'}}}"), "cannot set it"},
    {TASKS("{'taskType':'ECHO','taskConfig':{'queue':{'group':'u'}}}"), "cannot set it"},
    {TASKS("{'taskType':'ECHO','taskConfig':'{\\'queue\\':{\\'user\\':\\'u\\'}}'}"), "cannot set it"},
    {TASKS("{'taskType':'ECHO','taskConfig':{'user':'root'}}"), "cannot set it"},
    {TASKS("{'taskType':'ECHO','jobId':1}"), "jobId"},
    {TASKS("{'taskType':'ECHO','parentTiId':1}"), "parentTiId"},
    {TASKS("{'taskType':'ECHO','taskId':1}"), "taskId"},
    {TASKS("{'taskType':'ECHO','tiId':1}"), "tiId"},
    {TASKS("{'taskType':'ECHO','priority':101}"), "priority"},
    {TASKS("{'taskType':'ECHO','taskKey':''}"), "taskKey"},
    {TASKS("{'taskType':'ECHO','taskKey':'a b'}"), "taskKey"},
    {TASKS("{'taskType':'ECHO','delay':-1}"), "delay"},
    {TASKS("{'taskType':'ECHO','taskName':''}"), "taskName"},
    {TASKS("{'taskType':'ECHO','taskConfig':[]}"), "taskConfig"},
    {TASKS("{'taskType':'ECHO','params':[]}"), "params"},
    {TASKS("{'taskType':'ECHO','__proto__':{}}"), "__proto__"}};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct verdict v;
    struct wr_err err = {0};
    enum wr_rc rc = parse(bad[i].text, &rule, &v, &err);
    if (rc != WR_OUT_OF_RANGE || !strstr(err.msg, bad[i].words)) fail_msg("%s: %d %s", bad[i].text, (int)rc, err.msg);
    if (v.kind || v.task || v.n_task || v.message || v.result) fail_msg("%s: something of it is left", bad[i].text);
  }
}

static void shell_only_when_named(void **state) {
  const struct analysis_rule same = {.parent_type = "SHELL"}, none = {.parent_type = "ECHO", .task_types = ""},
                             named = {.parent_type = "ECHO", .task_types = "WAIT\nSHELL\n"};
  struct verdict v;
  struct wr_err err = {0};
  (void)state;
  assert_int_equal(parse("{'verdict':'done','tasks':[{'taskType':'SHELL','taskContent':'id'}]}", &same, &v, &err),
                   WR_OUT_OF_RANGE);
  assert_non_null(strstr(err.msg, "SHELL must be named"));
  assert_int_equal(parse("{'verdict':'done','tasks':[{'taskType':'ECHO'}]}", &none, &v, &err), WR_OUT_OF_RANGE);
  assert_int_equal(parse("{'verdict':'done','tasks':[{'taskType':'ECHO'}]}", &named, &v, &err), WR_OUT_OF_RANGE);
  assert_int_equal(parse("{'verdict':'done','tasks':[{'taskType':'SHELL','taskContent':'id'}]}", &named, &v, &err), WR_OK);
  verdict_done(&v);
}

/* As on the thread of a request, and on less than half of its stack. */
struct nest { const char *open; unsigned n; enum regex_rc rc; char why[REGEX_WHY]; };
static void *compile_nest(void *arg) {
  struct nest *x = arg;
  struct buf b = BUF_INIT;
  for (unsigned i = 0; i < x->n; i++) buf_str(&b, x->open);
  buf_ch(&b, 'a');
  for (unsigned i = 0; i < x->n; i++) buf_ch(&b, ')');
  x->rc = regex_check(b.data, b.len, x->why);
  buf_done(&b);
  return NULL;
}

static void groups_within_groups(void **state) {
  static const char *const open[] = {"(", "(?:", "(?=", "(?<=", "(?<!", "(?>", "(?|", "(?<n>", "(?i:", "(*atomic:", "(b|(?:)", "(?(?=x)y|"};
  (void)state;
  for (size_t i = 0; i < sizeof open / sizeof *open * 20; i++) {
    struct nest x = {.open = open[i / 20], .n = (unsigned)(i % 20 + 1) * 20};
    pthread_attr_t small;
    pthread_t t;
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, 48 * 1024), 0);
    assert_int_equal(pthread_create(&t, &small, compile_nest, &x), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(pthread_attr_destroy(&small), 0);
    if (x.n > 100) assert_int_equal(x.rc, REGEX_BAD);
  }
}

/* A result that may add ECHO alone says, in the task that it adds, that the next result may add SHELL. */
static void no_more_by_way_of_two(void **state) {
  static const struct { const char *analyzer; bool fine; } all[] = {
    {"{'type':'subtasks','pointer':'','taskTypes':['SHELL']}", false},
    {"{'type':'subtasks','pointer':'','taskTypes':['ECHO','SHELL']}", false},
    {"'wide'", false},
    {"{'type':'subtasks','pointer':'','taskTypes':['ECHO']}", true},
    {"{'type':'subtasks','pointer':'','taskTypes':[]}", true},
    {"{'type':'subtasks','pointer':''}", true},
    {"{'type':'exit-code','ok':[0]}", true},
    {"'crawl'", true},
    {"'own'", true}};
  static const struct analysis_rule may[] = {{.parent_type = "ECHO"}, {.parent_type = "WAIT", .task_types = "ECHO\n"}};
  struct def_env with = env;
  (void)state;
  with.analyzer_find = registered;
  for (size_t i = 0; i < 2 * sizeof all / sizeof *all; i++) {
    struct verdict v;
    struct wr_err err = {0};
    char text[400];
    snprintf(text, sizeof text, "{'verdict':'done','tasks':[{'taskType':'ECHO','taskConfig':{'analyzer':%s}}]}", all[i / 2].analyzer);
    for (char *c = text; *c; c++) *c = *c == '\'' ? '"' : *c;
    enum wr_rc rc = analysis_answer_parse(text, strlen(text), &may[i % 2], &with, &v, &err);
    if (rc != (all[i / 2].fine ? WR_OK : WR_OUT_OF_RANGE)) fail_msg("%s: %d %s", text, (int)rc, err.msg);
    if (rc) assert_non_null(strstr(err.msg, "/tasks/0/taskConfig/analyzer: Its analyzer may add tasks of type \"SHELL\""));
    verdict_done(&v);
  }
}

static char *many(const char *head, const char *one, size_t n, const char *tail, size_t *len) {
  struct buf b = BUF_INIT;
  buf_str(&b, head);
  for (size_t i = 0; i < n; i++) {
    if (i) buf_ch(&b, ',');
    buf_str(&b, one);
  }
  buf_str(&b, tail);
  *len = b.len;
  return b.data;
}

static void limits_hold(void **state) {
  static const struct { const char *head, *one; size_t n; const char *tail; const char *words; } t[] = {
    {"{\"verdict\":\"done\",\"tasks\":[", "{\"taskType\":\"ECHO\"}", LIMIT_ANALYSIS_TASKS, "]}", NULL},
    {"{\"verdict\":\"done\",\"tasks\":[", "{\"taskType\":\"ECHO\"}", LIMIT_ANALYSIS_TASKS + 1, "]}", "at most 10000"},
    {"{\"verdict\":\"done\",\"result\":[", "1", LIMIT_ANALYSIS_VALUES - 3, "]}", NULL},
    {"{\"verdict\":\"done\",\"result\":[", "1", LIMIT_ANALYSIS_VALUES, "]}", "at most 200000"},
    {"{\"verdict\":\"done\",\"result\":[", "\"0123456789abcdef\"", 65536, "]}", "Bytes of result"}};
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    struct verdict v;
    struct wr_err err = {0};
    size_t n;
    char *text = many(t[i].head, t[i].one, t[i].n, t[i].tail, &n);
    enum wr_rc rc = analysis_answer_parse(text, n, &rule, &env, &v, &err);
    bool right = t[i].words ? rc == WR_OUT_OF_RANGE && strstr(err.msg, t[i].words) : rc == WR_OK;
    if (!right) fail_msg("%zu: %d %s", i, (int)rc, err.msg);
    free(text);
    verdict_done(&v);
  }
  size_t n = LIMIT_ANALYSIS_BYTES + 1;
  char *large = wr_malloc(n), deep[200] = "{\"verdict\":\"done\",\"result\":";
  struct verdict v;
  struct wr_err err = {0};
  memset(large, ' ', n);
  assert_int_equal(analysis_answer_parse(large, n, &rule, &env, &v, &err), WR_OUT_OF_RANGE);
  assert_non_null(strstr(err.msg, "Bytes of the answer"));
  free(large);
  memset(deep + strlen(deep), '[', 60);
  assert_int_equal(analysis_answer_parse(deep, strlen(deep), &rule, &env, &v, &err), WR_OUT_OF_RANGE);
  assert_non_null(strstr(err.msg, "deeper"));
}

/* A name that is taken twice has one content; another order of the keys is the same content. */
static void keys_have_a_hash(void **state) {
  struct verdict v;
  struct wr_err err = {0};
  (void)state;
  assert_int_equal(parse("{'verdict':'done','tasks':[{'taskType':'ECHO','taskKey':'a','taskContent':'x'},"
                         "{'taskContent':'x','taskKey':'a','taskType':'ECHO','ifExists':'return'},"
                         "{'taskType':'ECHO','taskKey':'a','taskContent':'y'}]}", &rule, &v, &err), WR_OK);
  assert_memory_equal(v.task[0].spec->hash, v.task[1].spec->hash, ASYNC_HASH_BYTES);
  assert_memory_not_equal(v.task[0].spec->hash, v.task[2].spec->hash, ASYNC_HASH_BYTES);
  verdict_done(&v);
}

/* The store is away while a type is looked up: the analyzer has done nothing wrong. */
static enum wr_rc away(void *ctx, const char *type, const char *content, const json_t *config, const char *path, uint8_t *slot,
                       struct wr_err *err) {
  (void)ctx, (void)type, (void)content, (void)config, (void)path, (void)slot;
  return wr_err_set(err, WR_DB_UNAVAILABLE, "The store is away.");
}

static void a_store_that_is_away_is_no_failure(void **state) {
  const struct def_env gone = {.check_type = away};
  static const char text[] = "{\"verdict\":\"done\",\"tasks\":[{\"taskType\":\"ECHO\"}]}";
  struct verdict v;
  struct wr_err err = {0};
  (void)state;
  assert_int_equal(analysis_answer_parse(text, sizeof text - 1, &rule, &gone, &v, &err), WR_BUSY);
}

static void an_attempt_owns_its_analysis(void **state) {
  struct attempt *a = wr_new(struct attempt);
  (void)state;
  a->analysis = analysis_new(NULL, 3, true);
  a->analysis->evidence = evidence_of("{}", 1, true);
  assert_int_equal(parse("{'verdict':'done','tasks':[{'taskType':'ECHO'}]}", &rule, &a->analysis->verdict,
                         &(struct wr_err){0}), WR_OK);
  attempt_free(a); /* the leak checker looks */
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(definitions_are_read), cmocka_unit_test(bad_definitions), cmocka_unit_test(tasks_have_it),
    cmocka_unit_test(pointers),
    cmocka_unit_test(sameness), cmocka_unit_test(patterns_end), cmocka_unit_test(built_in_ones), cmocka_unit_test(subtasks_adds), cmocka_unit_test(answers),
    cmocka_unit_test(run_as_is_the_parents), cmocka_unit_test(hostile_answers), cmocka_unit_test(shell_only_when_named), cmocka_unit_test(no_more_by_way_of_two), cmocka_unit_test(groups_within_groups),
    cmocka_unit_test(limits_hold), cmocka_unit_test(keys_have_a_hash), cmocka_unit_test(a_store_that_is_away_is_no_failure),
    cmocka_unit_test(an_attempt_owns_its_analysis)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
