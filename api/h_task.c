/* /task: definitions of tasks. Any API thread; the database serialises what is written. */
#include "h_def.h"
#include <string.h>
#include "def_json.h"

struct update { struct task_post p; const struct def_env *env; struct key_write *key; struct task_def *saved; };

static enum wr_rc save_merged(struct call *c, void *ctx) {
  struct update *u = ctx;
  const struct task_post *p = &u->p;
  struct task_def *old = NULL;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_task(r, p->task_id, 0, &old, &c->err);
  reader_put(r);
  c->id = p->task_id;
  if (rc == WR_NOT_FOUND || (rc == WR_OK && old->deleted)) rc = call_missing(c, "Task");
  if (rc == WR_OK && (p->has & DEF_HAS_VERSION) && p->version != old->version) rc = def_stale(c, p->version, old->version);
  def_task_unref(u->saved);
  u->saved = NULL;
  if (rc == WR_OK) rc = def_task_merge(p, old, u->env, &u->saved, &c->err);
  if (rc == WR_OK) rc = store_save_task(c->api->o.store, u->saved, old->version, u->key, &c->err);
  def_task_unref(old);
  return rc;
}

static enum wr_rc task_save(struct call *c, struct key_write *key) {
  struct def_site site = def_site_of(c);
  struct def_env env = def_env_at(&site);
  struct update u = {.env = &env, .key = key};
  enum wr_rc rc = def_task_parse(c->body, &env, &u.p, &c->err);
  if (rc == WR_OK && u.p.task_id == 0) {
    u.saved = def_task_ref(u.p.def);
    rc = store_save_task(c->api->o.store, u.saved, 0, key, &c->err);
  } else if (rc == WR_OK) {
    rc = def_update(c, u.p.has & DEF_HAS_VERSION, save_merged, &u);
  }
  if (rc == WR_OK) def_task_write(c->out, u.saved);
  def_task_unref(u.saved);
  def_task_unref(u.p.def);
  return rc;
}

/* Shows what a key made: that version, even if others came after it. */
static enum wr_rc show_made(struct call *c, const struct key_row *made) {
  struct task_def *t = NULL;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_task(r, made->first_id, made->n, &t, &c->err);
  reader_put(r);
  if (rc == WR_OK) def_task_write(c->out, t);
  def_task_unref(t);
  return rc;
}

enum wr_rc h_task_save(struct call *c) { return key_once(c, KEY_TASK, task_save, show_made); }

enum wr_rc h_task_get(struct call *c) {
  struct task_def *t = NULL;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_task(r, c->id, 0, &t, &c->err);
  reader_put(r);
  if (rc == WR_NOT_FOUND || (rc == WR_OK && t->deleted)) rc = call_missing(c, "Task");
  if (rc == WR_OK) def_task_write(c->out, t);
  def_task_unref(t);
  return rc;
}

static int list_task(void *ctx, const struct task_def *t) {
  struct call *c = ctx;
  def_task_write(c->out, t);
  return 0;
}

enum wr_rc h_task_list(struct call *c) {
  struct list_filter f = {.state = -1, .name_like = c->q.has & Q_NAME ? c->q.name : NULL,
                          .type = c->q.has & Q_TYPE ? c->q.type : NULL};
  struct page p = def_page(c);
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  j_open(c->out, '[');
  enum wr_rc rc = reader_list_tasks(r, &f, &p, list_task, c, &c->page.more, &c->page.total, &c->err);
  reader_put(r);
  j_close(c->out, ']');
  return rc;
}

enum wr_rc h_task_delete(struct call *c) {
  enum wr_rc rc = store_delete_task(c->api->o.store, c->id, &c->err);
  if (rc != WR_OK) return rc;
  j_open(c->out, '{');
  j_i64(c->out, "taskId", c->id);
  j_close(c->out, '}');
  return WR_OK;
}
