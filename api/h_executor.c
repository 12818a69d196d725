/* /executor and /analyzer: executors, and result analyzers, that are registered at run time. Any API thread; the
 * definition writer stores them, one at a time.
 *
 * What never happens: one that is registered without its own right (--allow-executors); a secret header in an answer; an answer
 * that says of a member what that member has not said itself. */
#include <stdlib.h>
#include <string.h>
#include "added.h"
#include "analysis.h"
#include "call.h"
#include "clock.h"
#include "exec_offers.h"
#include "executor_post.h"
#include "h_def.h"
#include "json_out.h"
#include "wr_limits.h"

#define ASK_US 2000000            /* how long this node may take to know what was registered just now */

static const struct names { const char *plural, *word, *type, *version; } names[] = {
  [ADDED_EXECUTOR] = {"Executors", "executor", "executorType", "executorVersion"},
  [ADDED_ANALYZER] = {"Analyzers", "analyzer", "analyzerType", "analyzerVersion"}};

static enum wr_rc may_register(struct call *c, enum added_kind kind) {
  if (c->api->o.allow_executors) return WR_OK;
  return call_fail(c, WR_FORBIDDEN, "%s cannot be registered here: the server must be started with --allow-executors.",
                   names[kind].plural);
}

/* ---- members ---- */

struct member { int64_t id; const char *says; bool calls; };   /* calls: analyzers */
struct members { struct member *v; size_t n, cap; struct arena text; };

static bool has_role(const char *roles, const char *role) {
  size_t n = strlen(role);
  for (const char *p = roles ? roles : ""; *p; p += strcspn(p, ","), p += *p == ',')
    if (strcspn(p, ",") == n && memcmp(p, role, n) == 0) return true;
  return false;
}

static int keep_member(void *ctx, const struct node_offer *o) {
  struct members *m = ctx;
  bool calls = analysis_roles(has_role(o->roles, "api"), has_role(o->roles, "runner"));
  *WR_PUSH(m->v, m->n, m->cap) = (struct member){o->incarnation, arena_strdup(&m->text, o->executors), calls};
  return 0;
}

static enum wr_rc members_read(struct reader *r, struct members *m, struct wr_err *err) {
  *m = (struct members){0};
  arena_init(&m->text, 0);
  return reader_offers(r, keep_member, m, err);
}

static void members_done(struct members *m) {
  free(m->v);
  arena_done(&m->text);
}

/* Executors are run by workers, which each member may be; analyzers are called by managers. */
static void write_members(struct buf *b, const struct members *m, const struct executor_row *row) {
  char why[512], name[EXEC_NAME];
  bool analyzer = row->kind == ADDED_ANALYZER;
  const char *type = analyzer ? exec_offers_analyzer(name, row->type) : row->type;
  j_key(b, "members");
  j_open(b, '[');
  for (size_t i = 0; i < m->n; i++) {
    if (analyzer && !m->v[i].calls) continue;
    enum exec_says says = exec_offers_say(m->v[i].says, type, row->version, why, sizeof why);
    j_open(b, '{');
    j_i64(b, "memberId", m->v[i].id);
    j_bool(b, "offers", says == EXEC_OFFERED);
    if (says != EXEC_OFFERED) j_text(b, "why", says == EXEC_NOT ? why : "It has not said so far what it does with this version.");
    j_close(b, '}');
  }
  j_close(b, ']');
}

static void write_executor(struct buf *b, const struct members *m, const struct executor_row *row) {
  j_open(b, '{');
  executor_fields(b, row->kind, row->body);
  j_i64(b, names[row->kind].version, row->version);
  j_time(b, "createTime", "createdAt", row->create_us);
  j_time(b, "updateTime", "updatedAt", row->update_us);
  write_members(b, m, row);
  j_close(b, '}');
}

struct shown { struct call *c; struct members m; uint64_t at, first, end; };

static int show_row(void *ctx, const struct executor_row *row) {
  struct shown *s = ctx;
  write_executor(s->c->out, &s->m, row);
  return 0;
}

/* version 0 = the current one. */
static enum wr_rc show_one(struct call *c, enum added_kind kind, const char *type, int64_t version) {
  struct shown s = {.c = c};
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = members_read(r, &s.m, &c->err);
  if (rc == WR_OK) rc = reader_executor(r, kind, type, version, show_row, &s, &c->err);
  reader_put(r);
  members_done(&s.m);
  return rc;
}

/* ---- POST ---- */

/* A member has a folder that the path is below. */
static enum wr_rc some_folder(struct call *c, const char *path, bool *yes) {
  struct members m;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = members_read(r, &m, &c->err);
  reader_put(r);
  *yes = false;
  for (size_t i = 0; rc == WR_OK && i < m.n && !*yes; i++) *yes = exec_offers_below(m.v[i].says, path);
  members_done(&m);
  return rc;
}

/* This node may have begun a moment ago, and not have told its folders yet. */
static enum wr_rc check_path(struct call *c, const struct executor_post *p) {
  bool yes = true;
  if (p->mode != ADDED_PROGRAM || p->location[0] != '/') return WR_OK;
  enum wr_rc rc = some_folder(c, p->location, &yes);
  if (rc == WR_OK && !yes) {
    defs_added_ask(c->api->o.defs, clock_mono_us() + ASK_US);
    rc = some_folder(c, p->location, &yes);
  }
  if (rc != WR_OK || yes) return rc;
  return wr_err_at(&c->err, WR_BAD_COMMAND, "/location/0",
                   "The program is not below an --executor-dir of any member that lives.");
}

static enum wr_rc check_url(struct call *c, const struct executor_post *p) {
  char why[200] = "";
  if (p->mode != ADDED_URL || defs_added_may_ask(c->api->o.defs, p->location, why, sizeof why)) return WR_OK;
  return wr_err_at(&c->err, WR_URL_BLOCKED, "/location/0", "The URL may not be asked: %s.", why);
}

/* What the mode itself says of the defaults. */
static enum wr_rc check_config(struct call *c, const struct executor_post *p) {
  const wx_ops *ops = defs_added_ops(c->api->o.defs, p->mode);
  char why[200] = "";
  enum wr_rc code;
  if (!ops || !p->config) return WR_OK;
  const struct executor x = {.ops = *ops};
  char *text = json_text(p->config, 0);
  int bad = executor_check(&x, NULL, text, &code, why, sizeof why);
  free(text);
  return bad ? wr_err_at(&c->err, code, "/config", "%s", why) : WR_OK;
}

static enum wr_rc check_name(struct call *c, const struct executor_post *p) {
  if (p->kind != ADDED_EXECUTOR || !registry_builtin(c->api->o.executors, p->type)) return WR_OK;
  return wr_err_at(&c->err, WR_EXISTS, "/executorType", "%s is a task type of this server: choose another name.", p->type);
}

static enum wr_rc check_named(struct call *c, const char *name, const char *path) {
  const struct executor *x = NULL;
  enum wr_rc rc = defs_analyzer_find(c->api->o.defs, name, &x, &c->err);
  if (rc != WR_OK || x) return rc;
  return wr_err_at(&c->err, WR_OUT_OF_RANGE, path, "There is no analyzer %s: register it first (POST /analyzer).", name);
}

/* The default analyzer of its tasks, in its own field or in the config. */
static enum wr_rc check_analyzer(struct call *c, const struct executor_post *p) {
  const json_t *in_config = p->kind == ADDED_EXECUTOR ? json_object_get(p->config, "analyzer") : NULL;
  bool named = p->analyzer && p->analyzer->kind == ANALYZER_NAMED;
  enum wr_rc rc = named ? check_named(c, p->analyzer->name, "/analyzer") : WR_OK;
  if (rc != WR_OK || !json_is_string(in_config)) return rc;
  return check_named(c, json_string_value(in_config), "/config/analyzer");
}

static enum wr_rc save(struct call *c, enum added_kind kind, struct key_write *key) {
  struct executor_post p;
  enum wr_rc rc = executor_post_parse(c->body, kind, &p, &c->err);
  if (rc == WR_OK) rc = check_name(c, &p);
  if (rc == WR_OK) rc = check_config(c, &p);
  if (rc == WR_OK) rc = check_url(c, &p);
  if (rc == WR_OK) rc = check_analyzer(c, &p);
  if (rc == WR_OK) rc = check_path(c, &p);
  struct executor_row row = {.kind = kind, .type = p.type, .id = p.id, .body = p.body};
  const struct type_limits limits = {p.max_running, p.rate_count, p.rate_per_us};
  const struct executor_put how = {p.replace, key, &limits};
  if (rc == WR_OK) rc = store_executor_save(c->api->o.store, &row, &how, &c->err);
  if (rc == WR_OK) {
    runner_queues_changed(c->api->o.runner);
    defs_added_ask(c->api->o.defs, clock_mono_us() + ASK_US);
    rc = show_one(c, kind, p.type, row.version);
    if (rc == WR_DB_UNAVAILABLE || rc == WR_BUSY)
      rc = call_fail(c, WR_OUTCOME_UNKNOWN, "It is stored, but the %s %s cannot be read just now.", names[kind].word,
                     p.type);
  }
  executor_post_done(&p);
  return rc;
}

/* The key counts for one body, so the type is in it. */
static enum wr_rc show_made(struct call *c, enum added_kind kind, const struct key_row *made) {
  const char *type = json_string_value(json_object_get(c->body, names[kind].type));
  return show_one(c, kind, type ? type : "", made->n);
}

static enum wr_rc executor_save(struct call *c, struct key_write *key) { return save(c, ADDED_EXECUTOR, key); }
static enum wr_rc executor_made(struct call *c, const struct key_row *made) { return show_made(c, ADDED_EXECUTOR, made); }
static enum wr_rc analyzer_save(struct call *c, struct key_write *key) { return save(c, ADDED_ANALYZER, key); }
static enum wr_rc analyzer_made(struct call *c, const struct key_row *made) { return show_made(c, ADDED_ANALYZER, made); }

enum wr_rc h_executor_save(struct call *c) {
  enum wr_rc rc = may_register(c, ADDED_EXECUTOR);
  return rc == WR_OK ? key_once(c, KEY_EXECUTOR, executor_save, executor_made) : rc;
}

enum wr_rc h_analyzer_save(struct call *c) {
  enum wr_rc rc = may_register(c, ADDED_ANALYZER);
  return rc == WR_OK ? key_once(c, KEY_ANALYZER, analyzer_save, analyzer_made) : rc;
}

/* ---- GET, DELETE ---- */

enum wr_rc h_executor_get(struct call *c) { return show_one(c, ADDED_EXECUTOR, c->name, 0); }
enum wr_rc h_analyzer_get(struct call *c) { return show_one(c, ADDED_ANALYZER, c->name, 0); }

static int list_row(void *ctx, const struct executor_row *row) {
  struct shown *s = ctx;
  uint64_t place = s->at++;
  if (place >= s->end) return !s->c->q.total; /* goes on to count */
  if (place >= s->first) write_executor(s->c->out, &s->m, row);
  return 0;
}

static enum wr_rc list(struct call *c, enum added_kind kind) {
  struct shown s = {.c = c};
  c->page.on = true;
  c->page.limit = (uint32_t)c->q.limit;
  c->page.offset = s.first = (uint64_t)c->q.offset;
  s.end = s.first + c->page.limit;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = members_read(r, &s.m, &c->err);
  j_open(c->out, '[');
  if (rc == WR_OK) rc = reader_executors(r, kind, list_row, &s, &c->err);
  j_close(c->out, ']');
  reader_put(r);
  members_done(&s.m);
  c->page.more = s.at > s.end;
  if (rc == WR_OK && c->q.total) c->page.total = (int64_t)s.at;
  return rc;
}

enum wr_rc h_executor_list(struct call *c) { return list(c, ADDED_EXECUTOR); }
enum wr_rc h_analyzer_list(struct call *c) { return list(c, ADDED_ANALYZER); }

static enum wr_rc delete(struct call *c, enum added_kind kind) {
  enum wr_rc rc = may_register(c, kind);
  if (rc == WR_OK) rc = store_executor_delete(c->api->o.store, kind, c->name, &c->err);
  if (rc != WR_OK) return rc;
  runner_queues_changed(c->api->o.runner);
  defs_added_ask(c->api->o.defs, clock_mono_us() + ASK_US);
  j_open(c->out, '{');
  j_text(c->out, names[kind].type, c->name);
  j_close(c->out, '}');
  return WR_OK;
}

enum wr_rc h_executor_delete(struct call *c) { return delete(c, ADDED_EXECUTOR); }
enum wr_rc h_analyzer_delete(struct call *c) { return delete(c, ADDED_ANALYZER); }
