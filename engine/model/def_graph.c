/* The edges of a flow: keys of nodes, parents by key or by array order, and what shape is allowed.
 * Pure; any thread. Linear in nodes + edges (keys by hash, repeats by stamp): 200,000 nodes are an ordinary body. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "wr_limits.h"
#include "model.h"
#include "text.h"

static const struct jpath nodes_at = {NULL, "flowNodes", 0};
#define NODE_AT(i) JELEM(&nodes_at, (i))

/* ---- keys ---- */
/* k of "n<k>" when that is how the program itself would write it, and k <= max; else 0. */
static uint32_t default_number(const char *key, uint32_t max) {
  int64_t k;
  return key[0] == 'n' && text_id(key + 1, strlen(key + 1), &k) && k <= max ? (uint32_t)k : 0;
}

/* The smallest free number >= k. next[i] == i: i is free; else the search goes on at next[i], and halves the path on its way. */
static uint32_t free_number(uint32_t *next, uint32_t k) {
  while (next[k] != k) {
    next[k] = next[next[k]];
    k = next[k];
  }
  return k;
}

static enum wr_rc keys_explicit(struct flow_def *f, struct keymap *m, struct wr_err *err) {
  for (uint32_t i = 0; i < f->n; i++) {
    if (!f->node[i].key) continue;
    uint32_t was = keymap_add(m, i);
    if (was != KEYMAP_NONE)
      return fail_at(err, WR_BAD_EDGE, JKEY(NODE_AT(i), "nodeKey"), "Node key \"%.128s\" appears twice, at %u and %u.",
                     f->node[i].key, was + 1, i + 1);
  }
  return WR_OK;
}

/* n1, n2 .. by place; a number that is taken gives way to the next free one. */
static void keys_default(struct flow_def *f, struct keymap *m) {
  uint32_t max = 2 * f->n + 1;
  uint32_t *next = wr_calloc((size_t)max + 2, sizeof *next);
  for (uint32_t k = 0; k <= max + 1; k++) next[k] = k;
  for (uint32_t i = 0; i < f->n; i++) {
    uint32_t k = f->node[i].key ? default_number(f->node[i].key, max) : 0;
    if (k) next[k] = k + 1;
  }
  for (uint32_t i = 0; i < f->n; i++) {
    if (f->node[i].key) continue;
    uint32_t k = free_number(next, i + 1);
    struct buf b = BUF_INIT;
    buf_ch(&b, 'n');
    buf_i64(&b, k);
    f->node[i].key = wr_memdup0(b.data, b.len);
    buf_done(&b);
    next[k] = k + 1;
    wr_assert(keymap_add(m, i) == KEYMAP_NONE);
  }
  free(next);
}

/* ---- parents ---- */
static enum wr_rc parent_find(const struct flow_def *f, const struct keymap *m, const json_t *key, const struct jpath *at,
                              uint32_t *out, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  uint32_t i = (uint32_t)at->up->up->i; /* of the node whose prevNodes this is */
  if (!json_is_string(key)) return fail_at(err, WR_WRONG_TYPE, at, "prevNodes must hold node keys (strings).");
  *out = keymap_find(m, json_string_value(key), json_string_length(key));
  if (*out == KEYMAP_NONE) {
    wr_err_quote(q, json_string_value(key), json_string_length(key));
    return fail_at(err, WR_BAD_EDGE, at, "Node \"%.64s\" names %s as parent; there is no such node.", f->node[i].key, q);
  }
  if (*out == i) return fail_at(err, WR_CYCLE, at, "Cycle: %.64s -> %.64s.", f->node[i].key, f->node[i].key);
  if (f->node[*out].type == NODE_TYPE_END)
    return fail_at(err, WR_BAD_SHAPE, at, "END has a child, node \"%.64s\"; nothing can follow END.", f->node[i].key);
  return WR_OK;
}

/* stamp[p] == i + 1: p is a parent of i already. */
static enum wr_rc parents_read(struct flow_def *f, const struct keymap *m, uint32_t i, const json_t *prev, uint32_t *stamp,
                               struct wr_err *err) {
  struct node_def *n = &f->node[i];
  size_t count = json_array_size(prev);
  if (count == 0) return WR_OK;
  if (n->type == NODE_TYPE_START)
    return fail_at(err, WR_BAD_SHAPE, JKEY(NODE_AT(i), "prevNodes"), "START cannot have parents.");
  n->parent = wr_calloc(count, sizeof *n->parent);
  for (size_t k = 0; k < count; k++) {
    uint32_t p = 0;
    const struct jpath *at = JELEM(JKEY(NODE_AT(i), "prevNodes"), k);
    enum wr_rc rc = parent_find(f, m, json_array_get(prev, k), at, &p, err);
    if (rc) return rc;
    if (stamp[p] == i + 1)
      return fail_at(err, WR_BAD_EDGE, at, "Node \"%.64s\" names parent \"%.64s\" twice.", n->key, f->node[p].key);
    stamp[p] = i + 1;
    n->parent[n->n_parent++] = p;
  }
  return WR_OK;
}

static enum wr_rc parents_explicit(struct flow_def *f, const struct keymap *m, json_t *const *prev, struct wr_err *err) {
  uint64_t edges = 0;
  enum wr_rc rc = WR_OK;
  for (uint32_t i = 0; i < f->n; i++) edges += json_array_size(prev[i]);
  if (edges > LIMIT_EDGES) return fail_flow_large(err, &nodes_at, "Edges", (size_t)edges, LIMIT_EDGES);
  uint32_t *stamp = wr_calloc(f->n, sizeof *stamp);
  for (uint32_t i = 0; !rc && i < f->n; i++) rc = parents_read(f, m, i, prev[i], stamp, err);
  free(stamp);
  return rc;
}

/* No edge anywhere: array order is the chain. */
static enum wr_rc parents_chain(struct flow_def *f, struct wr_err *err) {
  for (uint32_t i = 1; i < f->n; i++) {
    if (f->node[i].type == NODE_TYPE_START)
      return fail_at(err, WR_BAD_SHAPE, NODE_AT(i), "START cannot have parents; without prevNodes it must be the first node.");
    if (f->node[i - 1].type == NODE_TYPE_END)
      return fail_at(err, WR_BAD_SHAPE, NODE_AT(i - 1), "Nothing can follow END; without prevNodes it must be the last node.");
    f->node[i].parent = wr_malloc(sizeof *f->node[i].parent);
    f->node[i].parent[0] = i - 1;
    f->node[i].n_parent = 1;
  }
  return WR_OK;
}

/* ---- shape ---- */
static enum wr_rc one_of(const struct flow_def *f, enum node_type type, const char *name, struct wr_err *err) {
  bool seen = false;
  for (uint32_t i = 0; i < f->n; i++) {
    if (f->node[i].type != type) continue;
    if (seen) return fail_at(err, WR_BAD_SHAPE, JKEY(NODE_AT(i), "nodeType"), "A flow can have only one %s.", name);
    seen = true;
  }
  return WR_OK;
}

enum wr_rc graph_link(struct flow_def *f, json_t *const *prev, struct wr_err *err) {
  struct keymap m;
  bool chain = true;
  enum wr_rc rc = one_of(f, NODE_TYPE_START, "START", err);
  if (!rc) rc = one_of(f, NODE_TYPE_END, "END", err);
  if (rc) return rc;
  for (uint32_t i = 0; i < f->n && chain; i++) chain = !prev[i];
  keymap_init(&m, f->node, f->n);
  rc = keys_explicit(f, &m, err);
  if (!rc) keys_default(f, &m);
  if (!rc) rc = chain ? parents_chain(f, err) : parents_explicit(f, &m, prev, err);
  keymap_done(&m);
  return rc;
}

/* Without cycles every way up ends at a node without parents, every way down at one without children. So START reaches
 * all when it alone has no parents, and all reach END when it alone has no children. */
enum wr_rc graph_reach(const struct flow_def *f, struct wr_err *err) {
  bool start = false, end = false;
  uint32_t orphan = UINT32_MAX, leaf = UINT32_MAX;
  uint8_t *has_child = wr_calloc(f->n, 1);
  for (uint32_t i = 0; i < f->n; i++)
    for (uint32_t k = 0; k < f->node[i].n_parent; k++) has_child[f->node[i].parent[k]] = 1;
  for (uint32_t i = f->n; i-- > 0;) {
    const struct node_def *n = &f->node[i];
    start |= n->type == NODE_TYPE_START;
    end |= n->type == NODE_TYPE_END;
    if (n->type != NODE_TYPE_START && n->n_parent == 0) orphan = i;
    if (n->type != NODE_TYPE_END && !has_child[i]) leaf = i;
  }
  free(has_child);
  if (start && orphan != UINT32_MAX)
    return fail_at(err, WR_UNREACHABLE, NODE_AT(orphan), "START does not reach node \"%.64s\".", f->node[orphan].key);
  if (end && leaf != UINT32_MAX)
    return fail_at(err, WR_UNREACHABLE, NODE_AT(leaf), "Node \"%.64s\" does not reach END.", f->node[leaf].key);
  return WR_OK;
}
