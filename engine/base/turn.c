/* One at a time: see turn.h. A mutex and a condition, since sanitizers do not know a mutex that waits by a given clock. */
#include "turn.h"

void turn_init(struct turn *t) {
  pthread_mutex_init(&t->lock, NULL);
  cond_mono(&t->free);
  t->taken = false;
}

void turn_done(struct turn *t) {
  pthread_mutex_destroy(&t->lock);
  pthread_cond_destroy(&t->free);
}

bool turn_take(struct turn *t, int64_t until_us) {
  pthread_mutex_lock(&t->lock);
  while (t->taken && cond_until(&t->free, &t->lock, until_us)) {}
  bool mine = !t->taken;
  t->taken = true;
  pthread_mutex_unlock(&t->lock);
  return mine;
}

void turn_give(struct turn *t) {
  pthread_mutex_lock(&t->lock);
  t->taken = false;
  pthread_cond_signal(&t->free);
  pthread_mutex_unlock(&t->lock);
}
