/* The queues and what waits in them, as the tests of waiting begin: test_waiting.c and its neighbours. Each is a program of its own; one
 * thread. */
#ifndef WAITING_KIT_H
#define WAITING_KIT_H
#include "env_kit.h"
#include "waiting.h"

static struct queues q;
static struct waiting w;
static struct queue_opts opts;

static inline void begin(size_t bytes) {
  queues_init(&q, &kit.env, &opts);
  waiting_init(&w, &q, bytes);
}
static inline int set_up(void **st) {
  int rc = kit_up(st);
  kit.env.single = true;
  opts = (struct queue_opts){.cpu_budget = 200, .cost_wait_us = 30 * SEC, .ageing_us = 60 * SEC};
  begin(64 << 20);
  return rc;
}
static inline int tear_down(void **st) {
  waiting_check(&w);
  queues_check(&q);
  waiting_done(&w);
  queues_done(&q);
  return kit_down(st);
}

static inline bool add(const char *user, const char *group, int64_t ti, int64_t fi, int32_t priority, int32_t cpu) {
  return waiting_add(&w, SLOT_PROCESS, &(struct waits){ti, fi, {user, group, priority, cpu, NULL}, kit.env.wall_us, NULL, NULL, NULL, 0});
}
static inline void many(const char *user, const char *group, int64_t from, int64_t n) {
  for (int64_t i = 0; i < n; i++) assert_true(add(user, group, from + i, 0, 0, 0));
}
/* The id of the next one, 0 = nothing may start. */
static inline int64_t next(void) {
  struct hint h;
  waiting_check(&w);
  queues_check(&q);
  return waiting_pick(&w, SLOT_PROCESS, &h) ? h.ti : 0;
}
/* Picked, and claimed by a batch that committed. */
static inline int64_t starts(void) {
  int64_t ti = next();
  if (ti == 0) return 0;
  assert_true(queues_claim(&q, ti));
  queues_started(&q, ti);
  queues_batch_over(&q, true);
  return ti;
}

static inline struct queue_row row(int64_t id, const char *user, const char *group) {
  return (struct queue_row){.queue_id = id, .user = user, .group = group, .max_running = -1, .rate_count = -1, .rate_per_us = -1,
                            .weight = -1, .order = -1, .paused = -1};
}
static inline void load(const struct queue_row *r, size_t n) {
  queues_load(&q, r, n);
  waiting_ordered(&w);
}

static inline bool typed(const char *type, const char *user, int64_t ti, int64_t fi, int32_t cpu) {
  return waiting_add(&w, SLOT_PROCESS, &(struct waits){ti, fi, {user, "", 0, cpu, type}, kit.env.wall_us, NULL, NULL, NULL, 0});
}
/* As do_hint() goes on with one that is picked: of which type it is stands in its definition. */
static inline int64_t starts_as(const char *type) {
  int64_t ti = next();
  if (ti == 0) return 0;
  if (!queues_is_of(&q, ti, type) || !queues_claim(&q, ti)) {
    queues_release(&q, ti);
    return -ti;
  }
  queues_started(&q, ti);
  queues_batch_over(&q, true);
  return ti;
}
static inline struct queue_row type_row(int64_t id, const char *type, int64_t max) {
  struct queue_row r = row(id, QUEUE_OF_TYPE, type);
  r.max_running = max;
  return r;
}
#endif
