/* The bases of a flow instance as text (bases.h). Pure but for memory. */
#include "bases.h"
#include <string.h>
#include "err.h"
#include "mem.h"
#include "run.h"
#include "text.h"

void run_bases_text(const struct run *r, struct buf *out) {
  for (size_t i = 0; i < r->n_base; i++) {
    if (i > 0) buf_ch(out, ',');
    buf_i64(out, r->base[i].ni);
    buf_ch(out, ':');
    buf_i64(out, r->base[i].ti);
  }
}

bool run_base_next(const char **p, struct run_base *b) {
  const char *s = *p;
  size_t n = s ? strcspn(s, ",") : 0;
  const char *colon = n > 0 ? memchr(s, ':', n) : NULL;
  if (!colon || !text_i64(s, (size_t)(colon - s), &b->ni) || !text_i64(colon + 1, n - (size_t)(colon + 1 - s), &b->ti)) return false;
  if (b->ni < 0 || b->ti < 0 || b->ni > WR_ID_MAX || b->ti > WR_ID_MAX) return false; /* sums with an index stay in range */
  *p = s + n + (s[n] == ',');
  return true;
}

bool run_bases_parse(struct run *r, const char *s) {
  struct run_base b;
  r->n_base = 0;
  while (r->n_base < UINT16_MAX && run_base_next(&s, &b)) run_base_add(r, b);
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
