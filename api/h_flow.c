/* /flow: definitions of flows. Any API thread. */
#include "h_def.h"
#include <stdlib.h>
#include <string.h>
#include "def_json.h"
#include "map64.h"

/* ---- what the handlers of definitions share ---- */

enum wr_rc def_stale(struct call *c, int64_t given, int64_t current) {
  return call_fail(c, WR_STALE, "You have version %lld, current is %lld.", (long long)given, (long long)current);
}

#define SAVE_TRIES 50

enum wr_rc def_update(struct call *c, bool versioned, enum wr_rc (*save)(struct call *c, void *ctx), void *ctx) {
  enum wr_rc rc = WR_STALE;
  if (call_turn(c, &c->api->merge, "Another definition is being changed. Try again.")) return c->err.code;
  for (int i = 0; rc == WR_STALE && i < (versioned ? 1 : SAVE_TRIES); i++) rc = save(c, ctx);
  turn_give(&c->api->merge);
  return rc == WR_STALE && !versioned ? call_fail(c, WR_BUSY, "Others are changing it. Try again.") : rc;
}

struct page def_page(struct call *c) {
  c->page.on = true;
  c->page.limit = (uint32_t)c->q.limit;
  c->page.offset = (uint64_t)c->q.offset;
  return (struct page){c->page.limit, c->page.offset, c->q.total};
}

/* ---- a flow with the tasks of its nodes ---- */

struct known { int64_t *id; struct task_def **def; size_t n; };

static const struct task_def *known_task(void *ctx, int64_t id) {
  const struct known *k = ctx;
  const int64_t *at = k->n ? bsearch(&id, k->id, k->n, sizeof id, wr_by_id) : NULL;
  return at ? k->def[at - k->id] : NULL;
}

static void known_ids(struct known *k, const struct flow_def *f) {
  size_t n = 0, cap = 0, kept = 0;
  for (uint32_t i = 0; i < f->n; i++)
    for (uint32_t j = 0; j < f->node[i].n_task_id; j++) *WR_PUSH(k->id, n, cap) = f->node[i].task_id[j];
  if (n > 1) qsort(k->id, n, sizeof *k->id, wr_by_id);
  for (size_t i = 0; i < n; i++)
    if (kept == 0 || k->id[i] != k->id[kept - 1]) k->id[kept++] = k->id[i];
  k->n = kept;
}

static enum wr_rc write_flow(struct call *c, const struct flow_def *f) {
  struct known k = {0};
  enum wr_rc rc = WR_OK;
  known_ids(&k, f);
  if (k.n > 0) {
    k.def = wr_calloc(k.n, sizeof *k.def);
    struct reader *r = call_reader(c);
    rc = r ? reader_tasks(r, k.id, k.n, k.def, &c->err) : c->err.code;
    reader_put(r);
  }
  if (rc == WR_OK) def_flow_write(c->out, f, known_task, &k);
  for (size_t i = 0; k.def && i < k.n; i++) def_task_unref(k.def[i]);
  free(k.def);
  free(k.id);
  return rc;
}

/* ---- warnings: of what was just saved ---- */

static void warning(void *ctx, const char *text) { j_string(ctx, text); }

/* The flow, and beside its fields `warnings` when there are any. */
static enum wr_rc write_saved(struct call *c, const struct flow_def *f) {
  enum wr_rc rc = write_flow(c, f);
  if (rc != WR_OK || !def_flow_warn(f, NULL, NULL)) return rc;
  c->out->len--; /* removes the closing bracket of the flow */
  j_key(c->out, "warnings");
  j_open(c->out, '[');
  (void)def_flow_warn(f, warning, c->out);
  buf_str(c->out, "]}");
  return rc;
}

/* ---- handlers ---- */

struct update { struct flow_post p; struct key_write *key; struct flow_def *saved; };

static enum wr_rc save_merged(struct call *c, void *ctx) {
  struct update *u = ctx;
  const struct flow_post *p = &u->p;
  struct flow_def *old = NULL;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_flow(r, p->flow_id, 0, &old, &c->err);
  reader_put(r);
  c->id = p->flow_id;
  if (rc == WR_NOT_FOUND || (rc == WR_OK && old->deleted)) rc = call_missing(c, "Flow");
  if (rc == WR_OK && (p->has & DEF_HAS_VERSION) && p->version != old->version) rc = def_stale(c, p->version, old->version);
  def_flow_unref(u->saved);
  u->saved = NULL;
  if (rc == WR_OK) rc = def_flow_merge(p, old, &u->saved, &c->err);
  if (rc == WR_OK) rc = store_save_flow(c->api->o.store, u->saved, old->version, u->key, &c->err);
  def_flow_unref(old);
  return rc;
}

static enum wr_rc flow_save(struct call *c, struct key_write *key) {
  struct def_site site = def_site_of(c);
  struct def_env env = def_env_at(&site);
  struct update u = {.key = key};
  enum wr_rc rc = def_flow_parse(c->body, &env, &u.p, &c->err);
  json_decref(c->body); /* for a large flow the tree takes most of the memory */
  c->body = NULL;
  if (rc == WR_OK && u.p.flow_id == 0) {
    u.saved = def_flow_ref(u.p.def);
    rc = store_save_flow(c->api->o.store, u.saved, 0, key, &c->err);
  } else if (rc == WR_OK) {
    rc = def_update(c, u.p.has & DEF_HAS_VERSION, save_merged, &u);
  }
  if (rc == WR_OK) rc = write_saved(c, u.saved);
  def_flow_unref(u.saved);
  def_flow_unref(u.p.def);
  return rc;
}

/* Shows what a key made: that version, even if others came after it. */
static enum wr_rc show_made(struct call *c, const struct key_row *made) {
  struct flow_def *f = NULL;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_flow(r, made->first_id, made->n, &f, &c->err);
  reader_put(r);
  if (rc == WR_OK) rc = write_saved(c, f);
  def_flow_unref(f);
  return rc;
}

enum wr_rc h_flow_save(struct call *c) { return key_once(c, KEY_FLOW, flow_save, show_made); }

enum wr_rc h_flow_get(struct call *c) {
  struct flow_def *f = NULL;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_flow(r, c->id, 0, &f, &c->err);
  reader_put(r);
  if (rc == WR_NOT_FOUND) rc = call_missing(c, "Flow");
  else if (rc == WR_OK && f->deleted)
    rc = call_fail(c, WR_NOT_FOUND, "Flow %lld was deleted. Its runs can still be read.", (long long)c->id);
  else if (rc == WR_OK) rc = write_flow(c, f);
  def_flow_unref(f);
  return rc;
}

static int list_flow(void *ctx, const struct flow_def *f) {
  struct call *c = ctx;
  def_flow_write_head(c->out, f);
  return 0;
}

enum wr_rc h_flow_list(struct call *c) {
  struct list_filter f = {.state = -1, .flow_id = c->q.flow_id, .name_like = c->q.has & Q_NAME ? c->q.name : NULL};
  struct page p = def_page(c);
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  j_open(c->out, '[');
  enum wr_rc rc = reader_list_flows(r, &f, &p, list_flow, c, &c->page.more, &c->page.total, &c->err);
  reader_put(r);
  j_close(c->out, ']');
  return rc;
}

enum wr_rc h_flow_delete(struct call *c) {
  enum wr_rc rc = store_delete_flow(c->api->o.store, c->id, &c->err);
  if (rc != WR_OK) return rc;
  j_open(c->out, '{');
  j_i64(c->out, "flowId", c->id);
  j_close(c->out, '}');
  return WR_OK;
}
