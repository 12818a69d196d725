/* Definitions of tasks of nodes for lists: node_defs.h. */
#include "node_defs.h"
#include <stdlib.h>
#include "bases.h"
#include "dag.h"
#include "defs.h"

void node_defs_init(struct node_defs *n, struct defs *d) { *n = (struct node_defs){.d = d}; }

void node_defs_done(struct node_defs *n) {
  def_flow_unref(n->flow);
  free(n->bases);
  n->flow = NULL;
  n->bases = NULL;
  n->fi = 0;
}

struct task_def *node_def_inline(const struct flow_def *f, const char *bases, int64_t ti) {
  int64_t first = f && f->dag && bases ? run_base_of_task(bases, ti) : -1;
  if (first < 0 || ti - first >= f->dag->n_task) return NULL;
  return def_task_ref(f->ref[ti - first].inl);
}

/* A store that is away or busy is no answer; a definition that is not there, or not whole, says nothing. */
static enum wr_rc says_nothing(enum wr_rc rc) { return rc == WR_NOT_FOUND || rc == WR_INTERNAL ? WR_OK : rc; }

static int keep_bases(void *ctx, const struct flow_row *row) {
  ((struct node_defs *)ctx)->bases = wr_strdup(row->bases ? row->bases : "");
  return 0;
}

static enum wr_rc see_flow(struct node_defs *n, struct reader *r, const struct node_task *t, struct wr_err *err) {
  if (n->fi == t->fi) return WR_OK;
  node_defs_done(n);
  if (t->flow_id == 0) return WR_OK;
  enum wr_rc rc = says_nothing(defs_flow_by(n->d, r, t->flow_id, t->flow_version, &n->flow, err));
  if (!rc && n->flow && !t->bases) rc = says_nothing(reader_flow_ins(r, t->fi, keep_bases, n, err));
  n->fi = rc ? 0 : t->fi;
  return rc;
}

enum wr_rc node_def_of(void *ctx, struct reader *r, const struct node_task *t, struct task_def **out, struct wr_err *err) {
  struct node_defs *n = ctx;
  *out = NULL;
  if (t->task_id) return says_nothing(defs_task_by(n->d, r, t->task_id, t->version, out, err));
  enum wr_rc rc = see_flow(n, r, t, err);
  if (!rc) *out = node_def_inline(n->flow, t->bases ? t->bases : n->bases, t->ti);
  return rc;
}
