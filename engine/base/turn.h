/* A turn: one thread has it at a time, and nobody waits for it for ever. Any thread takes it; the same thread gives it back. */
#ifndef TURN_H
#define TURN_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "cond.h"

struct turn { pthread_mutex_t lock; pthread_cond_t free; bool taken; };
void turn_init(struct turn *t);
void turn_done(struct turn *t);
bool turn_take(struct turn *t, int64_t until_us); /* CLOCK_MONOTONIC; false: it was not free until then */
void turn_give(struct turn *t);
#endif
