/* The gate: process attempts that were claimed ahead of a free slot. The next one starts the moment a child's exit is
 * known, while the result of the former is still on its way to the database: so a node that runs programs of a few
 * milliseconds does not stand idle for a commit between two of them. Loop thread only.
 *
 * The runner claims ahead only while attempts are short (runner.h); one that waits here longer than GATE_WAIT_US all the
 * same goes back to the queue, where another node may have it. What never happens: more children at once than
 * process_slots. */
#include "clock.h"
#include "worker_int.h"

#define GATE_WAIT_US 50000

static bool full(const struct worker *w) { return w->o.process_slots && w->kids.n >= w->o.process_slots; }

static void arm(struct worker *w) { worker_timer(w, &w->gate_timer, w->gate ? clock_mono_us() + GATE_WAIT_US : 0); }

static void waited_long(struct worker *w, struct timer *t) {
  (void)t;
  gate_empty(w, ATTEMPT_HANDBACK, NULL);
}

bool gate_hold(struct worker *w, struct attempt *a) {
  if (!full(w)) return false;
  bool first = !w->gate;
  a->next = NULL;
  if (first) w->gate_tail = &w->gate;
  *w->gate_tail = a;
  w->gate_tail = &a->next;
  w->gate_timer.fire = waited_long;
  if (first) arm(w);
  return true;
}

void gate_sweep(struct worker *w) {
  if (!w->gate) return;
  bool moved = false;
  for (struct attempt *a; (a = w->gate) && !full(w); moved = true) {
    w->gate = a->next;
    if (!w->gate) w->gate_tail = &w->gate;
    exec_start(w, a);
  }
  if (moved) arm(w);
}

bool gate_cancel(struct worker *w, int64_t ti, uint32_t epoch) {
  for (struct attempt **p = &w->gate, *a; (a = *p); p = &a->next) {
    if (a->ti != ti || a->epoch != epoch) continue;
    *p = a->next;
    if (!a->next) w->gate_tail = p;
    if (!w->gate) arm(w);
    exec_refuse(w, a, ATTEMPT_FAIL, "Canceled.");
    return true;
  }
  return false;
}

void gate_empty(struct worker *w, enum attempt_end end, const char *error) {
  for (struct attempt *a; (a = w->gate);) {
    w->gate = a->next;
    exec_refuse(w, a, end, error);
  }
  w->gate_tail = &w->gate;
  arm(w);
}
