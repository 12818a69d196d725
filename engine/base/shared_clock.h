/* The time that all nodes of one database share: what the database said last, plus CLOCK_BOOTTIME since. Every time of an
 * instance or a definition (due, start, end, ages, create) is of this clock. The wall clock of a node decides nothing: it gives
 * only times that are never compared, of pieces of logs, the token and the schema. Any thread; a mutex inside, held for a few
 * sums.
 *
 * What never happens: this time goes back. If the database's own clock is set back, this time goes on at half speed until the
 * two meet, so that timers still come. */
#ifndef WR_SHARED_CLOCK_H
#define WR_SHARED_CLOCK_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct shared_clock {
  pthread_mutex_t mu;
  bool set;
  int64_t ahead;                  /* how far it is ahead of the boot clock, as the last reading says */
  int64_t error_us, read_us;      /* how far off that reading may be, and when it was made (boot clock) */
  int64_t last_us, last_boot_us;  /* the newest answer */
};
#define SHARED_CLOCK_INIT {.mu = PTHREAD_MUTEX_INITIALIZER}

/* A reading: the database said `us` at some moment between the boot times before_us and after_us. A worse reading than the one
 * before counts only when the two disagree. */
void shared_clock_read(struct shared_clock *c, int64_t us, int64_t before_us, int64_t after_us);
/* The time at boot_us. Without a reading so far: wall_us. */
int64_t shared_clock_at(struct shared_clock *c, int64_t boot_us, int64_t wall_us);

/* Watches the wall clock of this node for steps: true once for each step, *by = how far. Belongs to one thread. */
struct clock_watch { bool known; int64_t ahead; };
#define CLOCK_STEP_US 1000000
bool clock_stepped(struct clock_watch *w, int64_t wall_us, int64_t boot_us, int64_t *by);
#endif
