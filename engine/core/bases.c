/* The bases of a flow instance as text (bases.h). Pure but for memory. */
#include "bases.h"
#include <string.h>
#include "err.h"
#include "mem.h"
#include "effects.h"
#include "wr_limits.h"
#include "run.h"
#include "text.h"

void run_bases_text(const struct run *r, struct buf *out) {
  for (size_t i = 0; i < r->n_base; i++) {
    if (i > 0) buf_ch(out, ',');
    buf_i64(out, r->base[i].ni);
    buf_ch(out, ':');
    buf_i64(out, r->base[i].ti);
    for (size_t k = 0; k < r->n_wide; k++)
      if (r->wide[k].base == i) buf_printf(out, "+%u:%u:%lld", r->wide[k].node, r->wide[k].n, (long long)r->wide[k].ti);
  }
}

static bool id_valid(int64_t id) { return id >= 0 && id <= WR_ID_MAX; } /* sums with an index stay in range */

bool run_base_next(const char **p, struct run_base *b) {
  const char *s = *p;
  size_t n = s ? strcspn(s, ",+") : 0;
  const char *colon = n > 0 ? memchr(s, ':', n) : NULL;
  if (!colon || !text_i64(s, (size_t)(colon - s), &b->ni)) return false;
  if (!text_i64(colon + 1, n - (size_t)(colon + 1 - s), &b->ti)) return false;
  if (!id_valid(b->ni) || !id_valid(b->ti)) return false;
  n += strcspn(s + n, ",");
  *p = s + n + (s[n] == ',');
  return true;
}

/* "node:n:ti" */
static bool wide_read(const char *s, size_t len, struct run_wide *w) {
  const char *one = memchr(s, ':', len), *two = one ? memchr(one + 1, ':', len - (size_t)(one + 1 - s)) : NULL;
  int64_t node, n;
  if (!two || !text_i64(s, (size_t)(one - s), &node) || !text_i64(one + 1, (size_t)(two - one - 1), &n) ||
      !text_i64(two + 1, len - (size_t)(two + 1 - s), &w->ti)) return false;
  if (node < 0 || node > LIMIT_NODES || n < 1 || n > LIMIT_WIDTH || !id_valid(w->ti)) return false;
  w->node = (uint32_t)node;
  w->n = (uint32_t)n;
  return true;
}

bool run_wide_next(const char **p, struct run_wide *w) {
  const char *s = *p ? strchr(*p, '+') : NULL;
  if (s == NULL) return false;
  size_t n = strcspn(++s, ",+");
  *p = s + n;
  return wide_read(s, n, w);
}

/* Reads the ranges that follow the last pair, up to `end`. */
static bool wides_parse(struct run *r, const char *s, const char *end) {
  while (s < end && (s = memchr(s, '+', (size_t)(end - s))) != NULL) {
    struct run_wide w = {.base = (uint16_t)(r->n_base - 1)};
    size_t n = strcspn(++s, ",+");
    if (!wide_read(s, n, &w) || w.node >= r->dag->n || !r->dag->node[w.node].expands || r->n_wide >= LIMIT_WIDE_NODES ||
        w.n > LIMIT_FLOW_TASKS - r->n_task) return false;
    run_wide_add(r, w);
    s += n;
  }
  return true;
}

bool run_bases_parse(struct run *r, const char *s) {
  struct run_base b;
  r->n_base = 0;
  for (const char *from = s; r->n_base < UINT16_MAX && run_base_next(&s, &b); from = s) {
    run_base_add(r, b);
    if (!wides_parse(r, from, s)) return false;
  }
  return r->n_base > 0 && *s == '\0';
}

bool run_base_of_node(const char *bases, int64_t n, int64_t ni, struct run_base *out) {
  bool found = false;
  struct run_base b;
  while (run_base_next(&bases, &b))
    if (ni >= b.ni && ni < b.ni + n) *out = b, found = true;
  return found;
}

int64_t run_base_of_task(const char *bases, int64_t ti) {
  int64_t found = -1;
  struct run_base b;
  while (run_base_next(&bases, &b))
    if (b.ti <= ti && b.ti > found) found = b.ti;
  return found;
}

bool run_wide_of_node(const char *bases, int64_t n, int64_t ni, struct run_wide *out) {
  struct run_base b;
  for (const char *from = bases; run_base_next(&bases, &b); from = bases) {
    struct run_wide w;
    if (ni < b.ni || ni >= b.ni + n) continue;
    for (const char *p = from; run_wide_next(&p, &w) && p <= bases;)
      if (w.node == ni - b.ni) { *out = w; return true; }
  }
  return false;
}
