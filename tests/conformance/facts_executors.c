/* Facts of executors that were registered at run time: one current version each, versions that count on, both numbers that say that
 * something has changed, who uses a type, what a member tells, the version in the row of a task. */
#include "facts.h"
#include "clock.h"
#include "mem.h"

static struct executor_row saved(struct world *w, const char *type, const char *id, const char *body, bool replace) {
  struct executor_row row = {.type = type, .id = id, .body = body};
  const struct executor_put how = {.replace = replace};
  WR(store_executor_save(w->s, &row, &how, &e_));
  return row;
}

static void refused(struct world *w, const char *type, const char *id, const char *body, enum wr_rc code) {
  struct wr_err err;
  struct executor_row row = {.type = type, .id = id, .body = body};
  const struct executor_put how = {0};
  assert_int_equal(store_executor_save(w->s, &row, &how, &err), code);
}

static void deleted(struct world *w, const char *type) { WR(store_executor_delete(w->s, ADDED_EXECUTOR, type, &e_)); }
static void in_use(struct world *w, const char *type) {
  struct wr_err err;
  assert_int_equal(store_executor_delete(w->s, ADDED_EXECUTOR, type, &err), WR_IN_USE);
}

static int64_t number(struct world *w) {
  int64_t n;
  struct reader *r = reader_of(w);
  WR(reader_executors_version(r, ADDED_EXECUTOR, &n, &e_));
  reader_put(r);
  return n;
}

static int64_t defs_of(struct world *w) {
  int64_t defs;
  OK(store_begin(w->s, &defs));
  store_rollback(w->s);
  return defs;
}

struct seen { char type[65], id[129], body[200]; int64_t version, create_us, update_us; bool current; int n; };
static int see(void *ctx, const struct executor_row *row) {
  struct seen *s = ctx;
  snprintf(s->type, sizeof s->type, "%s", row->type);
  snprintf(s->id, sizeof s->id, "%s", row->id ? row->id : "-");
  snprintf(s->body, sizeof s->body, "%s", row->body);
  s->version = row->version, s->create_us = row->create_us, s->update_us = row->update_us, s->current = row->current;
  s->n++;
  return 0;
}

static struct seen got(struct world *w, const char *type, int64_t version) {
  struct seen s = {0};
  struct reader *r = reader_of(w);
  WR(reader_executor(r, ADDED_EXECUTOR, type, version, see, &s, &e_));
  reader_put(r);
  return s;
}

static void is_not(struct world *w, const char *type, int64_t version) {
  struct wr_err err;
  struct seen s = {0};
  struct reader *r = reader_of(w);
  assert_int_equal(reader_executor(r, ADDED_EXECUTOR, type, version, see, &s, &err), WR_NOT_FOUND);
  reader_put(r);
}

static void same_and_other_content(struct world *w) {
  int64_t n = number(w), defs = defs_of(w);
  struct executor_row one = saved(w, "x.same", "id-1", "{\"a\":1}", false);
  assert_int_equal(one.version, 1);
  assert_true(number(w) > n && defs_of(w) > defs);
  n = number(w), defs = defs_of(w);
  struct executor_row again = saved(w, "x.same", "id-1", "{\"a\":1}", true);
  assert_true(again.version == 1 && again.create_us == one.create_us && again.update_us == one.update_us);
  assert_true(number(w) == n && defs_of(w) == defs);
  refused(w, "x.same", NULL, "{\"a\":2}", WR_EXISTS);
  assert_true(number(w) == n && defs_of(w) == defs);
  struct executor_row two = saved(w, "x.same", NULL, "{\"a\":2}", true);
  assert_true(two.version == 2 && two.create_us == one.create_us && two.update_us >= one.update_us && number(w) > n);
  struct seen s = got(w, "x.same", 0);
  assert_true(s.version == 2 && s.current && strcmp(s.id, "-") == 0 && strcmp(s.body, "{\"a\":2}") == 0);
  s = got(w, "x.same", 1);
  assert_true(s.version == 1 && !s.current && strcmp(s.body, "{\"a\":1}") == 0);
  is_not(w, "x.same", 3);
  deleted(w, "x.same");
}

static void versions_count_on_behind_a_delete(struct world *w) {
  saved(w, "x.on", NULL, "{}", false);
  deleted(w, "x.on");
  is_not(w, "x.on", 0);
  assert_false(got(w, "x.on", 1).current);
  struct wr_err err;
  assert_int_equal(store_executor_delete(w->s, ADDED_EXECUTOR, "x.on", &err), WR_NOT_FOUND);
  assert_int_equal(saved(w, "x.on", NULL, "{}", false).version, 2);
  deleted(w, "x.on");
}

static void an_id_is_of_one_type(struct world *w) {
  saved(w, "x.a", "the-id", "{}", false);
  refused(w, "x.b", "the-id", "{}", WR_EXISTS);
  is_not(w, "x.b", 0);
  saved(w, "x.a", "the-id", "{\"b\":1}", true);   /* a new version of its own */
  saved(w, "x.a", NULL, "{\"c\":1}", true);
  saved(w, "x.b", "the-id", "{}", false);
  saved(w, "X.B", "The-Id", "{}", false);          /* bytes */
  deleted(w, "x.b");
  saved(w, "x.a", "the-id", "{}", true);
  deleted(w, "x.a");
  deleted(w, "X.B");
}

static void one_name_space_with_types(struct world *w) {
  struct wr_err err;
  const struct known_type lib = {"x.lib", false}, other = {"x.mine", false};
  WR(store_know_types(w->s, &lib, 1, &e_));
  refused(w, "x.lib", NULL, "{}", WR_EXISTS);
  saved(w, "x.mine", NULL, "{}", false);
  assert_int_equal(store_know_types(w->s, &other, 1, &err), WR_EXISTS);
  deleted(w, "x.mine");
  WR(store_know_types(w->s, &other, 1, &e_));
}

static void a_key_keeps_the_version(struct world *w) {
  struct key_write k = {.key = "x-key", .row = {.kind = KEY_EXECUTOR, .create_us = world_now(w)}}, k2 = k;
  struct executor_row row = {.type = "x.key", .body = "{}"};
  struct key_row kept;
  struct wr_err err;
  WR(store_executor_save(w->s, &row, &(struct executor_put){.key = &k}, &e_));
  struct reader *r = reader_of(w);
  WR(reader_key(r, "x-key", &kept, &e_));
  assert_true(kept.kind == KEY_EXECUTOR && kept.n == 1);
  reader_put(r);
  row.body = "{\"a\":1}";
  assert_int_equal(store_executor_save(w->s, &row, &(struct executor_put){.replace = true, .key = &k2}, &err), WR_KEY_REUSED);
  assert_int_equal(got(w, "x.key", 0).version, 1);
  deleted(w, "x.key");
}

static void what_uses_it_keeps_it(struct world *w) {
  struct wr_err err;
  struct flow_def *f = flow_parse("uses", "{'nodeKey':'a','tasks':[{'taskName':'t','taskType':'ECHO','taskContent':'\\\"taskType\\\":\\\"x.used\\\"'}]}");
  saved(w, "x.used", NULL, "{}", false);
  WR(store_save_flow(w->s, f, -1, NULL, &e_));     /* the name inside of a text is no use */
  deleted(w, "x.used");
  saved(w, "x.used", NULL, "{}", false);
  int64_t task = task_save(w, "t", "x.used");
  in_use(w, "x.used");
  WR(store_delete_task(w->s, task, &e_));
  struct task_row t = alone_row_of(w, 0);
  struct async_write a = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "x.used"}};
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1, .async = &a, .n_async = 1}));
  in_use(w, "x.used");
  tw.op = ROW_UPDATE, tw.finish = true, tw.row.t.state = TASK_SUCCESS, tw.row.end_us = world_now(w), tw.expect_state = TASK_QUEUED;
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1}));
  deleted(w, "x.used");
  def_flow_unref(f);
  (void)err;
}

static void inline_tasks_of_flows_use_it(struct world *w) {
  saved(w, "ECHO", NULL, "{}", false);             /* as any name; that it is built in is the API's to know */
  struct flow_def *f = flow_save(w, "inline", NODE("a"));
  in_use(w, "ECHO");
  struct started s = flow_start(w, f);
  struct flow_def *next = flow_parse("inline", "{'nodeKey':'a','tasks':[{'taskName':'t','taskType':'WAIT','taskContent':'1'}]}");
  next->flow_id = f->flow_id;
  WR(store_save_flow(w->s, next, -1, NULL, &e_));
  in_use(w, "ECHO");                               /* an older version of the flow lives */
  flow_end(w, &s, FLOW_SUCCESS);
  struct wr_err err;
  enum wr_rc rc = store_executor_delete(w->s, ADDED_EXECUTOR, "ECHO", &err);
  assert_true(rc == WR_OK || rc == WR_IN_USE);     /* flows of other facts use it, too */
  def_flow_unref(next);
  def_flow_unref(f);
}

static void retyped(struct world *w, int64_t task, const char *type) {
  struct task_def def = {.task_id = task, .name = (char[]){"t"}, .type = wr_strdup(type)};
  atomic_init(&def.refs, 1);
  WR(store_save_task(w->s, &def, -1, NULL, &e_));
  free(def.type);
}

/* A task that waits for its retry runs the version that it began with. */
static void a_version_that_a_live_flow_may_run_keeps_it(struct world *w) {
  char nodes[64];
  saved(w, "x.was", NULL, "{}", false);
  int64_t task = task_save(w, "t", "x.was");
  snprintf(nodes, sizeof nodes, "{'nodeKey':'a','taskIds':'%lld'}", (long long)task);
  struct flow_def *f = flow_save(w, "pinned", nodes);
  struct started s = flow_start(w, f);
  retyped(w, task, "ECHO");
  retyped(w, task, "WAIT");
  in_use(w, "x.was");
  int64_t was = w->now;
  w->now = clock_wall_us();                          /* the store's own time of the saves above */
  struct started later = flow_start(w, f);           /* began when the type was another one already */
  w->now = was;
  flow_end(w, &s, FLOW_SUCCESS);
  deleted(w, "x.was");
  flow_end(w, &later, FLOW_SUCCESS);
  def_flow_unref(f);
}

/* ---- analyzers ---- */

static enum wr_rc analyzer_put(struct world *w, const char *type, const char *body, bool replace, int64_t *version) {
  struct wr_err err;
  struct executor_row row = {.kind = ADDED_ANALYZER, .type = type, .body = body};
  enum wr_rc rc = store_executor_save(w->s, &row, &(struct executor_put){.replace = replace}, &err);
  *version = row.version;
  return rc;
}

static enum wr_rc analyzer_gone(struct world *w, const char *type) {
  struct wr_err err;
  return store_executor_delete(w->s, ADDED_ANALYZER, type, &err);
}

static struct seen analyzer_got(struct world *w, const char *type, int64_t version) {
  struct seen s = {0};
  struct wr_err err;
  struct reader *r = reader_of(w);
  enum wr_rc rc = reader_executor(r, ADDED_ANALYZER, type, version, see, &s, &err);
  reader_put(r);
  assert_true(rc == WR_OK || rc == WR_NOT_FOUND);
  return s;
}

/* A table, names and a number of changes of their own. */
static void analyzers_are_apart(struct world *w) {
  int64_t executors = number(w), defs = defs_of(w), version, before, after;
  struct reader *r = reader_of(w);
  WR(reader_executors_version(r, ADDED_ANALYZER, &before, &e_));
  reader_put(r);
  saved(w, "n.both", NULL, "{\"mode\":\"url\"}", false);
  executors = number(w);
  assert_int_equal(analyzer_put(w, "n.both", "{}", false, &version), WR_OK);
  assert_int_equal(version, 1);
  r = reader_of(w);
  WR(reader_executors_version(r, ADDED_ANALYZER, &after, &e_));
  reader_put(r);
  assert_true(after > before && number(w) == executors && defs_of(w) > defs);
  assert_int_equal(analyzer_put(w, "n.both", "{}", false, &version), WR_OK);
  assert_int_equal(version, 1);
  assert_int_equal(analyzer_put(w, "n.both", "{\"a\":1}", false, &version), WR_EXISTS);
  assert_int_equal(analyzer_put(w, "n.both", "{\"a\":1}", true, &version), WR_OK);
  assert_int_equal(version, 2);
  struct seen s = analyzer_got(w, "n.both", 0);
  assert_true(s.version == 2 && s.current && strcmp(s.body, "{\"a\":1}") == 0);
  s = analyzer_got(w, "n.both", 1);
  assert_true(s.version == 1 && !s.current);
  deleted(w, "n.both");
  assert_int_equal(analyzer_got(w, "n.both", 0).version, 2);
  assert_int_equal(analyzer_gone(w, "n.both"), WR_OK);
  assert_int_equal(analyzer_gone(w, "n.both"), WR_NOT_FOUND);
  assert_int_equal(analyzer_put(w, "n.both", "{}", false, &version), WR_OK);
  assert_int_equal(version, 3);
  assert_int_equal(analyzer_gone(w, "n.both"), WR_OK);
}

static void what_uses_an_analyzer_keeps_it(struct world *w) {
  int64_t version;
  assert_int_equal(analyzer_put(w, "n.used", "{}", false, &version), WR_OK);
  saved(w, "n.exec", NULL, "{\"analyzer\":\"n.used\",\"mode\":\"url\"}", false);
  assert_int_equal(analyzer_gone(w, "n.used"), WR_IN_USE);
  deleted(w, "n.exec");
  struct task_def def = {.name = (char[]){"n"}, .type = (char[]){"ECHO"}, .config = (char[]){"{\"analyzer\":\"n.used\"}"}};
  atomic_init(&def.refs, 1);
  WR(store_save_task(w->s, &def, -1, NULL, &e_));
  assert_int_equal(analyzer_gone(w, "n.used"), WR_IN_USE);
  WR(store_delete_task(w->s, def.task_id, &e_));
  struct task_row t = alone_row_of(w, 0);
  struct async_write a = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "ECHO",
                                       .config = "{\"analyzer\":\"n.used\"}"}};
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1, .async = &a, .n_async = 1}));
  assert_int_equal(analyzer_gone(w, "n.used"), WR_IN_USE);
  assert_int_equal(analyzer_put(w, "n.use", "{}", false, &version), WR_OK);   /* another name */
  assert_int_equal(analyzer_gone(w, "n.use"), WR_OK);
  tw.op = ROW_UPDATE, tw.finish = true, tw.row.t.state = TASK_SUCCESS, tw.row.end_us = world_now(w), tw.expect_state = TASK_QUEUED;
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1}));
  assert_int_equal(analyzer_gone(w, "n.used"), WR_OK);
}

/* Tasks that live run the version of their executor that was current when they were made. */
static void former_versions_use_an_analyzer(struct world *w) {
  int64_t version;
  assert_int_equal(analyzer_put(w, "n.former", "{}", false, &version), WR_OK);
  saved(w, "n.late", NULL, "{\"analyzer\":\"n.former\",\"mode\":\"url\"}", false);
  struct task_row t = alone_row_of(w, 0);
  t.executor = 1;
  struct async_write a = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "n.late"}};
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1, .async = &a, .n_async = 1}));
  saved(w, "n.late", NULL, "{\"mode\":\"url\"}", true);
  assert_int_equal(analyzer_gone(w, "n.former"), WR_IN_USE);
  tw.op = ROW_UPDATE, tw.finish = true, tw.row.t.state = TASK_SUCCESS, tw.row.end_us = world_now(w), tw.expect_state = TASK_QUEUED;
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1}));
  t = alone_row_of(w, 0);
  t.executor = 2;                                  /* of the version that names none */
  a.row.ti = t.ti;
  tw = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = t};
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1, .async = &a, .n_async = 1}));
  assert_int_equal(analyzer_gone(w, "n.former"), WR_OK);
  tw.op = ROW_UPDATE, tw.finish = true, tw.row.t.state = TASK_SUCCESS, tw.row.end_us = world_now(w), tw.expect_state = TASK_QUEUED;
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1}));
  deleted(w, "n.late");
}

static int count(void *ctx, const struct executor_row *row) {
  int *n = ctx;
  assert_true(row->current);
  if (strncmp(row->type, "x.list", 6) == 0) ++*n;
  return 0;
}

static void current_ones_are_listed(struct world *w) {
  int n = 0;
  for (char c = 'a'; c < 'e'; c++) {
    char type[] = {'x', '.', 'l', 'i', 's', 't', c, 0};
    saved(w, type, NULL, "{}", false);
    saved(w, type, NULL, "{\"v\":2}", true);
  }
  deleted(w, "x.lista");
  struct reader *r = reader_of(w);
  WR(reader_executors(r, ADDED_EXECUTOR, count, &n, &e_));
  reader_put(r);
  assert_int_equal(n, 3);
  for (char c = 'b'; c < 'e'; c++) {
    char type[] = {'x', '.', 'l', 'i', 's', 't', c, 0};
    deleted(w, type);
  }
}

struct telling { int64_t me; char text[100]; };
static int heard(void *ctx, const struct node_offer *o) {
  struct telling *t = ctx;
  if (o->incarnation == t->me) snprintf(t->text, sizeof t->text, "%s", o->executors ? o->executors : "-");
  return 0;
}

static int heard_of_member(void *ctx, const struct member_row *m) {
  struct telling *t = ctx;
  snprintf(t->text, sizeof t->text, "%s", m->executors ? m->executors : "");
  return 0;
}

static void a_member_tells_what_it_offers(struct world *w) {
  struct telling t = {.me = w->me};
  struct reader *r = reader_of(w);
  WR(store_executors_tell(w->s, w->me, "/opt\nx 1\ny 2 why not\n", &e_));
  WR(reader_offers(r, heard, &t, &e_));
  assert_string_equal(t.text, "/opt\nx 1\ny 2 why not\n");
  t.text[0] = '\0';
  WR(reader_members(r, w->me, 0, 1, heard_of_member, &t, &e_));
  assert_string_equal(t.text, "/opt\nx 1\ny 2 why not\n");
  WR(store_executors_tell(w->s, w->me, "", &e_));
  WR(reader_offers(r, heard, &t, &e_));
  assert_string_equal(t.text, "");
  reader_put(r);
}

static void a_task_keeps_its_version(struct world *w) {
  struct flow_def *f = flow_save(w, "pinned", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row t = task_row_of(w, &s, 0, 0);
  t.executor = 70000;
  OK(put_task(w, ROW_INSERT, &t));
  assert_int_equal(task_get(w, t.ti).executor, 70000);
  t.executor = 3;                                   /* an update keeps it */
  t.t.tries = 1;
  OK(put_task(w, ROW_UPDATE, &t));
  assert_int_equal(task_get(w, t.ti).executor, 70000);
  def_flow_unref(f);
}

static void a_batch_that_was_decided_before_is_stale(struct world *w) {
  struct world two = world_second(w);
  struct flow_def *f = flow_save(w, "stale", NODE("a"));
  int64_t defs;
  OK(store_begin(two.s, &defs));
  struct task_row t = alone_row_of(&two, 0);
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write a = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "x.stale"}};
  struct batch b = {.id = world_batch_id(&two), .task = &tw, .n_task = 1, .async = &a, .n_async = 1};
  saved(w, "x.stale", NULL, "{}", false);
  IS(store_write(two.s, &b), STORE_STALE);
  store_rollback(two.s);
  deleted(w, "x.stale");
  def_flow_unref(f);
  world_end(&two);
}

static void they_survive(struct world *w) {
  saved(w, "x.stays", "stays-id", "{\"k\":\"\xc3\xa4\"}", false);
  int64_t n = number(w);
  world_again(w);
  struct seen s = got(w, "x.stays", 0);
  assert_true(s.version == 1 && strcmp(s.id, "stays-id") == 0 && strcmp(s.body, "{\"k\":\"\xc3\xa4\"}") == 0 && number(w) == n);
}

const struct fact facts_executors[] = {
  FACT(same_and_other_content), FACT(versions_count_on_behind_a_delete), FACT(an_id_is_of_one_type), FACT(one_name_space_with_types),
  FACT(a_key_keeps_the_version), FACT(what_uses_it_keeps_it), FACT(inline_tasks_of_flows_use_it),
  FACT(a_version_that_a_live_flow_may_run_keeps_it), FACT(current_ones_are_listed),
  FACT(analyzers_are_apart), FACT(what_uses_an_analyzer_keeps_it), FACT(former_versions_use_an_analyzer),
  FACT(a_member_tells_what_it_offers), FACT(a_task_keeps_its_version), FACT_SEVERAL(a_batch_that_was_decided_before_is_stale),
  FACT_FRESH(they_survive)};
const size_t n_facts_executors = sizeof facts_executors / sizeof *facts_executors;
