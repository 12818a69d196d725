/* What the runner's admission decides, for tests of the core: the first tasks that are ready find the slots that are free. */
#ifndef TESTS_ADMIT_H
#define TESTS_ADMIT_H
#include "run.h"

/* Decides the effects after[from..]. */
static inline void admit_ready(struct run_ctx *c, size_t from, uint32_t free[SLOT__N]) {
  for (size_t i = from; i < c->out->n_after; i++) {
    const struct eff_after *f = &c->out->after[i];
    uint32_t *slots = &free[f->slot];
    if (f->kind == AFTER_START && *slots > 0) --*slots; /* it was claimed by its hint */
    if (f->kind != AFTER_READY) continue;
    if (*slots == 0 || f->pol->elsewhere) run_leave(c, i);
    else if (run_take(c, i)) --*slots;
  }
}
#endif
