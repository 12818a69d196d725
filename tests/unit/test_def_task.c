/* Unit tests of tasks: POST /task's body, its update, parameters, stored text. One thread; deterministic. */
#include "model_env.h"

#include "attempt.h"
#include "clock.h"

static enum wr_rc parse(const char *body, struct task_post *p, struct wr_err *err) {
  json_t *v = json_of(body);
  wr_err_clear(err);
  world = (struct world){0};
  enum wr_rc rc = def_task_parse(v, &env, p, err);
  assert_true((rc == WR_OK) == (p->def != NULL));
  json_decref(v);
  return rc;
}

static struct task_post good(const char *body) {
  struct task_post p;
  struct wr_err err;
  expect_err(body, parse(body, &p, &err), &err, WR_OK, NULL, NULL);
  return p;
}

static void bad(const char *body, enum wr_rc code, const char *path, const char *words) {
  struct task_post p;
  struct wr_err err;
  expect_err(body, parse(body, &p, &err), &err, code, path, words);
}

static void test_s2_sample(void **st) {
  (void)st;
  struct task_post p = good("{'taskName':'exception task1','taskType':'EXCEPTION','taskContent':'task content'}");
  assert_int_equal(p.task_id, 0);
  assert_int_equal(p.has, DEF_HAS_NAME | DEF_HAS_TYPE | DEF_HAS_CONTENT);
  assert_string_equal(p.def->name, "exception task1");
  assert_string_equal(p.def->type, "EXCEPTION");
  assert_string_equal(p.def->content, "task content");
  assert_null(p.def->config);
  assert_null(p.def->description);
  assert_int_equal(p.def->policy.attempts, 1);
  assert_int_equal(p.def->policy.slot, SLOT_ASYNC);
  assert_int_equal(p.def->timeout_us, 0);
  assert_string_equal(world.path, "");
  struct buf b = BUF_INIT;
  p.def->task_id = 3;
  p.def->version = 1;
  p.def->create_us = p.def->update_us = 1650828604000000;
  def_task_write(&b, p.def);
  char when[CLOCK_S2_LEN], want[300];
  clock_s2(when, 1650828604000000);
  snprintf(want, sizeof want, "{\"createTime\":\"%s\",\"updateTime\":\"%s\",\"taskId\":3,\"taskName\":\"exception task1\","
           "\"taskType\":\"EXCEPTION\",\"taskContent\":\"task content\",\"taskVersion\":1}", when, when);
  assert_string_equal(b.data, want);
  def_task_unref(p.def);
  p = good(b.data); /* what GET answers can be posted back */
  assert_int_equal(p.task_id, 3);
  assert_int_equal(p.version, 1);
  assert_true(p.has & DEF_HAS_VERSION);
  def_task_unref(p.def);
  buf_done(&b);
}

static void test_config(void **st) {
  (void)st;
  struct task_post p = good("{'taskName':'t','taskType':'SHELL','taskConfig':{'argv':['a','b'],'attempts':101,'timeout':604800,"
      "'backoff':{'base':'500ms','factor':1.5,'max':10,'jitter':'none'},'queueTimeout':'5m','onLost':'fail','cwd':'/'}}");
  const struct task_policy *pol = &p.def->policy;
  assert_int_equal(pol->attempts, 101);
  assert_int_equal(pol->backoff_base_us, 500000);
  assert_int_equal(pol->backoff_cap_us, 10000000);
  assert_true(pol->backoff_factor == 1.5);
  assert_int_equal(pol->jitter, JITTER_NONE);
  assert_int_equal(pol->on_lost, ON_LOST_FAIL);
  assert_int_equal(pol->slot, SLOT_PROCESS);
  assert_int_equal(p.def->timeout_us, 604800LL * 1000000);
  assert_int_equal(p.def->policy.queue_timeout_us, 300LL * 1000000);
  assert_string_equal(world.config, "{\"argv\":[\"a\",\"b\"],\"cwd\":\"/\"}"); /* the executor's part */
  char *all = quoted("{'argv':['a','b'],'attempts':101,'timeout':604800,"
      "'backoff':{'base':'500ms','factor':1.5,'max':10,'jitter':'none'},'queueTimeout':'5m','onLost':'fail','cwd':'/'}");
  assert_string_equal(p.def->config, all); /* kept whole, in its order */
  free(all);
  def_task_unref(p.def);
  p = good("{'taskName':'t','taskType':'ECHO','taskConfig':{'runTimeout':'1.5s','backoff':{'base':0.25}}}");
  assert_int_equal(p.def->timeout_us, 1500000);
  assert_int_equal(p.def->policy.backoff_base_us, 250000);
  assert_int_equal(p.def->policy.backoff_cap_us, task_policy_default.backoff_cap_us);
  assert_string_equal(world.config, "");
  def_task_unref(p.def);
  p = good("{'taskName':'t','taskType':'ECHO','taskConfig':{'backoff':{'base':'1h'}}}"); /* above the default cap */
  assert_true(p.def->policy.backoff_cap_us == 3600LL * 1000000);
  def_task_unref(p.def);
}

static void test_config_as_text(void **st) {
  (void)st;
  struct task_post p = good("{'taskName':'t','taskType':'ECHO','taskConfig':'{\\'attempts\\' : 3}'}");
  assert_string_equal(p.def->config, "{\"attempts\":3}");
  assert_int_equal(p.def->policy.attempts, 3);
  def_task_unref(p.def);
  static const char *const none[] = {"''", "'{}'", "{}"};
  for (int i = 0; i < 3; i++) {
    char body[200];
    snprintf(body, sizeof body, "{'taskName':'t','taskType':'ECHO','taskConfig':%s}", none[i]);
    p = good(body);
    assert_null(p.def->config);
    assert_true(p.has & DEF_HAS_CONFIG);
    def_task_unref(p.def);
  }
}

#define T "{'taskName':'t','taskType':'ECHO',"
static void test_c10_wrong_type(void **st) {
  (void)st;
  static const char *const val[] = {"1.0", "1e3", "'1'", "true", "null", "[]", "{}"};
  static const char *const field[] = {"taskId", "taskVersion"};
  char body[300];
  for (size_t i = 0; i < sizeof val / sizeof *val; i++) {
    for (size_t k = 0; k < 2; k++) {
      char path[32], words[64];
      snprintf(body, sizeof body, T "'%s':%s}", field[k], val[i]);
      snprintf(path, sizeof path, "/%s", field[k]);
      snprintf(words, sizeof words, "%s must be an integer.", field[k]);
      bad(body, WR_WRONG_TYPE, path, words);
    }
    snprintf(body, sizeof body, T "'taskConfig':{'attempts':%s}}", val[i]);
    /* 1e3 is beyond the range as well: either answer would be right. */
    bad(body, strcmp(val[i], "1e3") == 0 ? WR_OUT_OF_RANGE : WR_WRONG_TYPE, "/taskConfig/attempts", "must be an integer");
  }
  static const char *const text_field[] = {"taskName", "taskType", "taskDescription", "taskContent"};
  static const char *const not_text[] = {"1", "true", "null", "[]", "{}"};
  for (size_t i = 0; i < 4; i++)
    for (size_t k = 0; k < 5; k++) {
      char path[32];
      snprintf(body, sizeof body, "{'%s':%s}", text_field[i], not_text[k]);
      snprintf(path, sizeof path, "/%s", text_field[i]);
      bad(body, WR_WRONG_TYPE, path, "must be a string");
    }
  bad(T "'taskConfig':null}", WR_WRONG_TYPE, "/taskConfig", "taskConfig must be a JSON object");
  bad(T "'taskConfig':[]}", WR_WRONG_TYPE, "/taskConfig", NULL);
  bad(T "'taskConfig':'[]'}", WR_WRONG_TYPE, "/taskConfig", NULL);
  bad(T "'taskConfig':'{'}", WR_WRONG_TYPE, "/taskConfig", "unexpected end");
  bad(T "'taskConfig':' '}", WR_WRONG_TYPE, "/taskConfig", NULL);
  bad(T "'taskConfig':{'onLost':1}}", WR_WRONG_TYPE, "/taskConfig/onLost", NULL);
  bad(T "'taskConfig':{'backoff':5}}", WR_WRONG_TYPE, "/taskConfig/backoff", NULL);
  bad(T "'taskConfig':{'backoff':{'factor':'2'}}}", WR_WRONG_TYPE, "/taskConfig/backoff/factor", NULL);
  bad(T "'taskConfig':{'backoff':{'jitter':2}}}", WR_WRONG_TYPE, "/taskConfig/backoff/jitter", NULL);
  bad(T "'taskConfig':{'timeout':true}}", WR_WRONG_TYPE, "/taskConfig/timeout", NULL);
  bad(T "'taskConfig':{'timeout':60.0}}", WR_WRONG_TYPE, "/taskConfig/timeout", NULL);
}

static void test_ids(void **st) {
  (void)st;
  bad("{'taskId':0}", WR_OUT_OF_RANGE, "/taskId", NULL);
  bad("{'taskId':-1}", WR_OUT_OF_RANGE, "/taskId", NULL);
  bad("{'taskId':9007199254740992}", WR_OUT_OF_RANGE, "/taskId", NULL);
  struct task_post p = good("{'taskId':9007199254740991}");
  assert_true(p.task_id == 9007199254740991);
  def_task_unref(p.def);
}

static void test_c11_unknown(void **st) {
  (void)st;
  bad(T "'tskContent':'x'}", WR_UNKNOWN_FIELD, "/tskContent", "Unknown field \"tskContent\". Did you mean \"taskContent\"?");
  bad(T "'taskname':'x'}", WR_UNKNOWN_FIELD, "/taskname", "Did you mean \"taskName\"?");
  bad(T "'zzzzzzzz':'x'}", WR_UNKNOWN_FIELD, "/zzzzzzzz", "Unknown field \"zzzzzzzz\". Known here: taskId, taskName,");
  bad(T "'a/b~c':'x'}", WR_UNKNOWN_FIELD, "/a~1b~0c", NULL);
  bad(T "'':'x'}", WR_UNKNOWN_FIELD, "/", "Unknown field \"\".");
  bad(T "'taskConfig':{'backoff':{'bse':1}}}", WR_UNKNOWN_FIELD, "/taskConfig/backoff/bse", "Did you mean \"base\"?");
  /* C 12 as the issue changes it: server-made fields are ignored, whatever they hold. */
  struct task_post p = good(T "'createTime':'x','updateTime':1,'createUser':null,'updateUser':[],'createdAt':{},'updatedAt':true}");
  def_task_unref(p.def);
}

static void test_c30_c31_names(void **st) {
  (void)st;
  static const char *const fine[] = {"\\' OR 1=1 --", "%_;", "\xF0\x9F\x98\x80 x", "a", "\xC3\xA9", "a\xE2\x80\xA8z"};
  static const char *const wrong[] = {"", " a", "a ", "\\t", "a\\nb", "\\u007f", "\\u0085", "a\\u202Eb", "\\u2066a", "\\u200Fa",
                                      "\\u00A0a", "a\\u3000", "\\uFEFFa", " "};
  char body[2000];
  for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
    snprintf(body, sizeof body, "{\"taskType\":\"ECHO\",\"taskName\":\"%s\"}", fine[i][0] == '\\' ? "OR 1=1 --" : fine[i]);
    struct task_post p = good(body);
    def_task_unref(p.def);
  }
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    snprintf(body, sizeof body, "{\"taskType\":\"ECHO\",\"taskName\":\"%s\"}", wrong[i]);
    bad(body, WR_BAD_NAME, "/taskName", NULL);
  }
  for (int n = 127; n <= 129; n++) { /* characters, not bytes */
    struct buf b = BUF_INIT;
    buf_str(&b, "{\"taskType\":\"ECHO\",\"taskName\":\"");
    for (int i = 0; i < n; i++) buf_str(&b, "\xE2\x82\xAC");
    buf_str(&b, "\"}");
    struct task_post p;
    struct wr_err err;
    assert_int_equal(parse(b.data, &p, &err), n <= 128 ? WR_OK : WR_BAD_NAME);
    def_task_unref(p.def);
    buf_done(&b);
  }
  bad("{'taskType':'ECHO'}", WR_BAD_NAME, "/taskName", "required");
}

static void test_c43_types(void **st) {
  (void)st;
  bad("{'taskName':'t','taskType':'NOPE'}", WR_UNKNOWN_TYPE, "", NULL);
  bad("{'taskName':'t','taskType':''}", WR_UNKNOWN_TYPE, NULL, NULL);
  bad("{'taskName':'t'}", WR_UNKNOWN_TYPE, "/taskType", "required");
  bad("{'taskName':'t','taskType':'WAIT','taskContent':'-5'}", WR_OUT_OF_RANGE, NULL, NULL); /* C 46: the type's own check */
}

static void test_c45_ranges(void **st) {
  (void)st;
  static const char *const key[] = {"timeout", "runTimeout", "queueTimeout", "heartbeatTimeout"};
  static const char *const out[] = {"0", "-1", "1.5", "604801", "9223372036854775807", "1e30", "-0.5", "'0'", "'-1s'", "'8d'", "'abc'",
                                    "''", "'1 s'", "'0ms'"};
  char body[300], path[64];
  for (size_t i = 0; i < sizeof out / sizeof *out; i++)
    for (size_t k = 0; k < sizeof key / sizeof *key; k++) {
      snprintf(body, sizeof body, T "'taskConfig':{'%s':%s}}", key[k], out[i]);
      snprintf(path, sizeof path, "/taskConfig/%s", key[k]);
      bad(body, WR_OUT_OF_RANGE, path, NULL);
    }
  static const char *const attempts[] = {"0", "-1", "102", "2.5", "9223372036854775807", "1e30"};
  for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
    snprintf(body, sizeof body, T "'taskConfig':{'attempts':%s}}", attempts[i]);
    bad(body, WR_OUT_OF_RANGE, "/taskConfig/attempts", "1 to 101");
  }
  static const char *const backoff[] = {"'base':0", "'base':-1", "'base':1e9", "'base':604801", "'base':'x'", "'max':0", "'factor':0.5",
                                        "'factor':101", "'factor':-2", "'jitter':'some'", "'base':10,'max':5", "'base':1e-9"};
  for (size_t i = 0; i < sizeof backoff / sizeof *backoff; i++) {
    snprintf(body, sizeof body, T "'taskConfig':{'backoff':{%s}}}", backoff[i]);
    bad(body, WR_OUT_OF_RANGE, NULL, NULL);
  }
  bad(T "'taskConfig':{'onLost':'hold'}}", WR_OUT_OF_RANGE, "/taskConfig/onLost", "onLost must be retry or fail.");
  bad(T "'taskConfig':{'timeout':1,'runTimeout':1}}", WR_OUT_OF_RANGE, NULL, "give one");
}

static void big(const char *field, size_t n, enum wr_rc code, const char *type) {
  struct buf b = BUF_INIT;
  struct task_post p;
  struct wr_err err;
  buf_printf(&b, "{'taskName':'t','taskType':'%s',%s", type, field);
  memset(buf_reserve(&b, n), 'x', n);
  b.len += n;
  buf_str(&b, strchr(field, '{') ? "'}}" : "'}");
  expect_err(field, parse(b.data, &p, &err), &err, code, NULL, NULL);
  if (code == WR_TOO_LARGE) assert_true(err.limit > 0 && err.got > err.limit);
  def_task_unref(p.def);
  buf_done(&b);
}

static void test_sizes(void **st) {
  (void)st;
  big("'taskContent':'", LIMIT_CONTENT_BYTES, WR_OK, "ECHO");
  big("'taskContent':'", LIMIT_CONTENT_BYTES + 1, WR_TOO_LARGE, "ECHO");
  big("'taskContent':'", LIMIT_CONTENT_BYTES + 1, WR_BAD_COMMAND, "SHELL"); /* C 48 */
  big("'taskDescription':'", LIMIT_DESCRIPTION_BYTES, WR_OK, "ECHO");
  big("'taskDescription':'", LIMIT_DESCRIPTION_BYTES + 1, WR_TOO_LARGE, "ECHO");
  big("'taskConfig':{'a':'", LIMIT_CONFIG_BYTES - 8, WR_OK, "ECHO");
  big("'taskConfig':{'a':'", LIMIT_CONFIG_BYTES - 7, WR_TOO_LARGE, "ECHO");
  bad(T "'taskConfig':{'a':[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}}", WR_TOO_LARGE, "/taskConfig", "Nesting");
  struct task_post p = good(T "'taskConfig':{'a':[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}}");
  def_task_unref(p.def);
}

static struct task_def *merged(const struct task_def *old, const char *body, enum wr_rc code) {
  struct task_post p = good(body);
  struct task_def *t = NULL;
  struct wr_err err = {0};
  expect_err(body, def_task_merge(&p, old, &env, &t, &err), &err, code, NULL, NULL);
  def_task_unref(p.def);
  return t;
}

static void test_merge(void **st) {
  (void)st;
  struct task_post p = good("{'taskName':'a','taskDescription':'d','taskType':'WAIT','taskContent':'2','taskConfig':{'attempts':2}}");
  struct task_def *old = p.def, *t;
  old->task_id = 7;
  old->version = 3;
  old->create_us = 11;
  old->create_user = wr_strdup("me");
  t = merged(old, "{'taskId':7}", WR_OK);
  assert_string_equal(t->name, "a");
  assert_string_equal(t->description, "d");
  assert_string_equal(t->content, "2");
  assert_string_equal(t->config, "{\"attempts\":2}");
  assert_string_equal(t->create_user, "me");
  assert_int_equal(t->policy.attempts, 2);
  assert_int_equal(t->task_id, 7);
  assert_int_equal(t->version, 3);
  assert_int_equal(t->create_us, 11);
  assert_int_equal(atomic_load(&t->refs), 1);
  def_task_unref(t);
  t = merged(old, "{'taskId':7,'taskName':'b','taskType':'SHELL','taskConfig':'','taskVersion':3}", WR_OK);
  assert_string_equal(t->name, "b");
  assert_string_equal(t->type, "SHELL");
  assert_null(t->config);
  assert_int_equal(t->policy.attempts, 1);
  assert_int_equal(t->policy.slot, SLOT_PROCESS);
  def_task_unref(t);
  /* New content is checked against the kept type, a new type against the kept content. */
  merged(old, "{'taskId':7,'taskContent':'-1'}", WR_OUT_OF_RANGE);
  merged(old, "{'taskId':7,'taskType':'NOPE'}", WR_UNKNOWN_TYPE);
  merged(old, "{'taskId':7,'taskConfig':{'attempts':0}}", WR_OUT_OF_RANGE);
  merged(old, "{'taskId':7,'taskVersion':2}", WR_STALE);
  def_task_unref(old);
}

static void test_derive(void **st) {
  (void)st;
  struct task_def t = {.policy.slot = SLOT_PROCESS};
  struct wr_err err;
  char good_text[] = "{\"attempts\":4,\"timeout\":\"2s\",\"env\":{}}", broken[] = "{\"attempts\":", wrong[] = "{\"attempts\":0}", list[] = "[]";
  t.config = good_text;
  assert_int_equal(def_task_derive(&t, &err), WR_OK);
  assert_int_equal(t.policy.attempts, 4);
  assert_int_equal(t.timeout_us, 2000000);
  assert_int_equal(t.policy.slot, SLOT_PROCESS);
  t.config = NULL;
  assert_int_equal(def_task_derive(&t, &err), WR_OK);
  assert_int_equal(t.policy.attempts, 1);
  assert_int_equal(t.policy.slot, SLOT_PROCESS);
  char *const bad_text[] = {broken, wrong, list};
  for (int i = 0; i < 3; i++) {
    t.config = bad_text[i];
    assert_int_equal(def_task_derive(&t, &err), WR_INTERNAL);
  }
}

static void params(const char *text, enum wr_rc code, const char *want) {
  json_t *v = json_of(text);
  struct wr_err err = {0};
  char *out = NULL, *w = want ? quoted(want) : NULL;
  expect_err(text, def_params_parse(json_object_get(v, "p"), "/params", &out, &err), &err, code, code ? "/params" : NULL, NULL);
  if (want) assert_string_equal(out, w);
  else assert_null(out);
  free(out);
  free(w);
  json_decref(v);
}

static void test_params(void **st) {
  (void)st;
  params("{}", WR_OK, NULL);
  params("{'p':{}}", WR_OK, NULL);
  params("{'p':{'b':1,'a':'$(reboot)\\n; rm','_c':true,'D9':0.1}}", WR_OK, "{'D9':0.1,'_c':true,'a':'$(reboot)\\n; rm','b':1}");
  params("{'p':null}", WR_WRONG_TYPE, NULL);
  params("{'p':[]}", WR_WRONG_TYPE, NULL);
  params("{'p':{'a':null}}", WR_WRONG_TYPE, NULL);
  params("{'p':{'a':{}}}", WR_WRONG_TYPE, NULL);
  params("{'p':{'a':[1]}}", WR_WRONG_TYPE, NULL);
  params("{'p':{'1a':1}}", WR_BAD_NAME, NULL);
  params("{'p':{'a-b':1}}", WR_BAD_NAME, NULL);
  params("{'p':{'':1}}", WR_BAD_NAME, NULL);
  for (int n = LIMIT_PARAMS; n <= LIMIT_PARAMS + 1; n++) {
    json_t *o = json_object();
    char key[16], *out = NULL;
    struct wr_err err = {0};
    for (int i = 0; i < n; i++) {
      snprintf(key, sizeof key, "k%d", i);
      json_object_set_new(o, key, json_integer(i));
    }
    assert_int_equal(def_params_parse(o, "", &out, &err), n <= LIMIT_PARAMS ? WR_OK : WR_TOO_LARGE);
    if (n > LIMIT_PARAMS) assert_true(err.limit == LIMIT_PARAMS && err.got == n);
    free(out);
    json_decref(o);
  }
  struct buf b = BUF_INIT;
  buf_str(&b, "{'p':{'a':'");
  memset(buf_reserve(&b, LIMIT_PARAMS_BYTES), 'x', LIMIT_PARAMS_BYTES);
  b.len += LIMIT_PARAMS_BYTES;
  buf_str(&b, "'}}");
  params(b.data, WR_TOO_LARGE, NULL);
  buf_done(&b);
}

static void test_attempt(void **st) {
  (void)st;
  struct task_post p = good("{'taskName':'t','taskType':'ECHO'}");
  struct params *q = params_new("{\"a\":1}");
  struct attempt *a = wr_new(struct attempt);
  a->def = def_task_ref(p.def);
  a->params = params_ref(q);
  a->key = wr_strdup("1:n1:0");
  a->error = wr_strdup("x");
  a->result = wr_memdup0("y", 1);
  assert_int_equal(atomic_load(&q->refs), 2);
  attempt_free(a);
  attempt_free(NULL);
  assert_int_equal(atomic_load(&q->refs), 1);
  assert_int_equal(atomic_load(&p.def->refs), 1);
  assert_string_equal(q->text, "{\"a\":1}");
  params_unref(q);
  params_unref(NULL);
  assert_null(params_ref(NULL));
  def_task_unref(p.def);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_s2_sample), cmocka_unit_test(test_config), cmocka_unit_test(test_config_as_text),
      cmocka_unit_test(test_c10_wrong_type), cmocka_unit_test(test_ids), cmocka_unit_test(test_c11_unknown),
      cmocka_unit_test(test_c30_c31_names), cmocka_unit_test(test_c43_types), cmocka_unit_test(test_c45_ranges),
      cmocka_unit_test(test_sizes), cmocka_unit_test(test_merge), cmocka_unit_test(test_derive), cmocka_unit_test(test_params),
      cmocka_unit_test(test_attempt)};
  return cmocka_run_group_tests_name("def_task", tests, NULL, NULL);
}
