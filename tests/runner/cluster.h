/* Several runners on the simulator's database in memory, turned by hand.
 *
 * One clock for all, moved by the tests; workers are lists. What never happens: a real wait. */
#ifndef CLUSTER_H
#define CLUSTER_H
#include "../unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../sim/memstore.h"
#include "defs.h"
#include "mem.h"
#include "runner.h"

#define SEC 1000000LL
enum { MEMBERS = 3, HINTS = 4096 };

struct member {
  struct store *s;
  struct defs *defs;
  struct runner *r;
  struct attempt *work, **tail;
  size_t n_work;
  uint32_t calls[MEM__N], pushed;
};

#define CHAIN "{\"flowName\":\"c\",\"flowNodes\":[{\"tasks\":[{\"taskType\":\"ECHO\"}]},{\"tasks\":[{\"taskType\":\"ECHO\"}]}]}"

extern struct memdb *db;
extern struct member m[MEMBERS];
extern struct hint hint[HINTS];         /* the hints that all have pushed, in order */
extern size_t n_hint;
extern size_t small_queue;              /* bytes; > 0: hints stay in each runner, and so few find room */
extern bool gone;                       /* the database cannot be reached */
extern int64_t now, bad_fi, bad_ti;     /* the rows of flow bad_fi are refused; the result of task bad_ti is */
extern bool bad_result, bad_end;        /* every result is refused; every end of an attempt is refused, whatever it says */
extern const struct never_started *never; extern size_t n_never;  /* what the next node that joins is told */
extern int deadlocks;                   /* how many of the next batches must be made again */

struct member *join(int i, uint32_t process, uint32_t async);
int64_t one_turn(struct member *x);
void turns(struct member *x);
void finish_work(struct member *x);
void answered(struct req *q, void *ctx);
void request(struct member *x, struct req *q);
int64_t start(struct member *x, int64_t flow, uint32_t n);
void hand_hints(struct member *x);
bool all_final(void);
void open_world(bool single);
int set_up(void **st);
void leave(struct member *x);
int tear_down(void **st);
int set_up_single(void **st);
void pass(int64_t seconds, int from, int n);
int64_t wide_flow(unsigned n, const char *const *type, unsigned n_type);
#endif
