/* The door: see door.h. */
#include "door.h"
#include "cond.h"

void door_init(struct door *d) {
  *d = (struct door){0};
  pthread_mutex_init(&d->mu, NULL);
  cond_mono(&d->moved);
}

void door_done(struct door *d) {
  pthread_cond_destroy(&d->moved);
  pthread_mutex_destroy(&d->mu);
}

bool door_in(struct door *d, int64_t until_us) {
  pthread_mutex_lock(&d->mu);
  while (d->shut && !d->gone && cond_until(&d->moved, &d->mu, until_us)) {}
  bool ok = !d->shut;
  if (ok) d->in++;
  pthread_mutex_unlock(&d->mu);
  return ok;
}

void door_out(struct door *d) {
  pthread_mutex_lock(&d->mu);
  if (--d->in == 0 && d->shut) pthread_cond_broadcast(&d->moved);
  pthread_mutex_unlock(&d->mu);
}

void door_shut(struct door *d) {
  pthread_mutex_lock(&d->mu);
  d->shut = true;
  while (d->in > 0) pthread_cond_wait(&d->moved, &d->mu);
  pthread_mutex_unlock(&d->mu);
}

static void settle(struct door *d, bool shut, bool gone) {
  pthread_mutex_lock(&d->mu);
  d->shut = shut;
  d->gone = gone;
  pthread_cond_broadcast(&d->moved);
  pthread_mutex_unlock(&d->mu);
}

void door_open(struct door *d) { settle(d, false, false); }
void door_gone(struct door *d) { settle(d, true, true); }
