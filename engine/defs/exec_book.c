/* Executors that were registered at run time: exec_book.h. */
#include "exec_book.h"
#include <stdlib.h>
#include <string.h>
#include "executor_post.h"
#include "log.h"
#include "mem.h"

struct seen_row { char *type, *body; int64_t version; bool current; };
struct seen_rows { struct seen_row *v; size_t n, cap; };

void exec_book_init(struct exec_book *b, enum added_kind kind) {
  b->kind = kind;
  pthread_mutex_init(&b->mu, NULL);
}
void exec_book_done(struct exec_book *b) { pthread_mutex_destroy(&b->mu); }

static int keep(void *ctx, const struct executor_row *row) {
  struct seen_rows *s = ctx;
  *WR_PUSH(s->v, s->n, s->cap) = (struct seen_row){wr_strdup(row->type), wr_strdup(row->body), row->version, row->current};
  return 0;
}

static void rows_done(struct seen_rows *s) {
  for (size_t i = 0; i < s->n; i++) free(s->v[i].type), free(s->v[i].body);
  free(s->v);
}

/* One that cannot be used here is left out, and this node does not know the type. */
static void add(struct exec_book *b, const struct seen_row *row) {
  struct wr_err err = {0};
  struct added *a = NULL;
  if (registry_find(b->types, row->type, row->version)) return;
  enum wr_rc rc = executor_read(row->body, b->kind, &a, &err);
  if (!rc) b->host.make(b->host.ctx, a);
  if (!rc) rc = registry_add_added(b->types, b->host.ops(a->mode), a, row->version, row->current, &err);
  if (!rc) return;
  added_free(a);
  log_error(b->kind == ADDED_EXECUTOR ? "node.executor" : "node.analyzer", L_STR("type", row->type),
            L_INT("version", row->version), L_STR("error", err.msg));
}

static bool has(const struct seen_rows *s, const char *type) {
  for (size_t i = 0; i < s->n; i++)
    if (strcmp(s->v[i].type, type) == 0) return true;
  return false;
}

/* The lock is held. */
static void apply(struct exec_book *b, const struct seen_rows *s) {
  for (size_t i = 0; i < s->n; i++) {
    add(b, &s->v[i]);
    (void)registry_retire(b->types, s->v[i].type, s->v[i].version);
  }
  const struct executor *next;
  for (const struct executor *x = registry_next_added(b->types, NULL); x; x = next) {
    next = registry_next_added(b->types, x);
    if (!has(s, x->ops.name)) (void)registry_retire(b->types, x->ops.name, 0);
  }
}

enum wr_rc exec_book_look(struct exec_book *b, struct reader *r, struct wr_err *err) {
  struct seen_rows s = {0};
  int64_t version = 0;
  if (!b->types) return WR_OK;
  enum wr_rc rc = reader_executors_version(r, b->kind, &version, err);
  if (rc || version == atomic_load(&b->seen)) return rc;
  rc = reader_executors(r, b->kind, keep, &s, err); /* may be newer than the number: then the next look finds that again */
  pthread_mutex_lock(&b->mu);
  if (!rc && version > atomic_load(&b->seen)) {
    apply(b, &s);
    atomic_store(&b->seen, version);
  }
  pthread_mutex_unlock(&b->mu);
  rows_done(&s);
  return rc;
}

enum wr_rc exec_book_version(struct exec_book *b, struct reader *r, const char *type, int64_t version, struct wr_err *err) {
  struct seen_rows s = {0};
  if (!b->types || registry_find(b->types, type, version)) return WR_OK;
  enum wr_rc rc = reader_executor(r, b->kind, type, version, keep, &s, err);
  pthread_mutex_lock(&b->mu);
  if (!rc && s.n) add(b, &s.v[0]);
  pthread_mutex_unlock(&b->mu);
  rows_done(&s);
  return rc;
}
