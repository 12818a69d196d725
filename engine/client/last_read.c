/* What was read last: see last_read.h. */
#include "last_read.h"
#include <stdlib.h>
#include "clock.h"

#define KNOWN_US 10000000             /* what was read longer ago says nothing about now: the database is away */

void last_read_init(struct last_read *l) {
  *l = (struct last_read){.tried_us = INT64_MIN / 2};
  pthread_mutex_init(&l->mu, NULL);
}

void last_read_end(struct last_read *l) {
  read_set_put(l->set);
  pthread_mutex_destroy(&l->mu);
}

void read_set_begin(struct read_set *s, void (*free_rows)(struct read_set *s)) {
  atomic_init(&s->refs, 1);
  s->free_rows = free_rows;
  s->at_us = clock_mono_us();
  arena_init(&s->text, 0);
}

void read_set_put(struct read_set *s) {
  if (!s || atomic_fetch_sub(&s->refs, 1) > 1) return;
  arena_done(&s->text);
  s->free_rows(s);
  free(s);
}

bool last_read_turn(struct last_read *l, int64_t fresh_us) {
  int64_t now = clock_mono_us();
  pthread_mutex_lock(&l->mu);
  bool mine = !l->reading && now - l->tried_us >= fresh_us;
  if (mine) l->reading = true, l->began_us = now;
  pthread_mutex_unlock(&l->mu);
  return mine;
}

int64_t last_read_is(struct last_read *l, struct read_set *fresh) {
  pthread_mutex_lock(&l->mu);
  struct read_set *was = fresh ? l->set : NULL;
  if (fresh) l->set = fresh;
  l->reading = false;
  l->tried_us = clock_mono_us();
  int64_t took = l->tried_us - l->began_us;
  pthread_mutex_unlock(&l->mu);
  read_set_put(was);
  return took;
}

struct read_set *last_read_get(struct last_read *l) {
  pthread_mutex_lock(&l->mu);
  struct read_set *set = l->set && clock_mono_us() - l->set->at_us < KNOWN_US ? l->set : NULL;
  if (set) atomic_fetch_add(&set->refs, 1);
  pthread_mutex_unlock(&l->mu);
  return set;
}
