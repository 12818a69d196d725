/* What was read last, for many who ask: one thread at a time reads it anew when it is old; meanwhile the others use what was read
 * before. A set is never changed once it is made, and lives as long as somebody holds it.
 *
 * Owner: offers.c and counts.c, one each. Any thread. What never happens: a read under the lock; two threads that read. */
#ifndef CLIENT_LAST_READ_H
#define CLIENT_LAST_READ_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "mem.h"

/* The first member of a set. free_rows: what the set has beside the texts. */
struct read_set { _Atomic uint32_t refs; int64_t at_us; struct arena text; void (*free_rows)(struct read_set *s); };
struct last_read { pthread_mutex_t mu; bool reading; int64_t began_us, tried_us; struct read_set *set; };

void last_read_init(struct last_read *l);
void last_read_end(struct last_read *l);
/* It is read from now on; one reference, the caller's. */
void read_set_begin(struct read_set *s, void (*free_rows)(struct read_set *s));
void read_set_put(struct read_set *s);   /* NULL: nothing */
/* True: what is known was read fresh_us ago or longer, and the caller reads it anew. Then last_read_is() follows. */
bool last_read_turn(struct last_read *l, int64_t fresh_us);
/* Its reference is given away. NULL: it could not be read; then the former one stays. Returns how long the read took. */
int64_t last_read_is(struct last_read *l, struct read_set *fresh);
/* NULL: what was read last says nothing about now, because the database is away. */
struct read_set *last_read_get(struct last_read *l);
#endif
