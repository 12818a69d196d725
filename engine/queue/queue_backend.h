/* Private to engine/queue: what a backend implements, and the parsed URL it is made from.
 *
 * A backend's struct begins with struct queue; ops never change. Threads as in queue.h. */
#ifndef QUEUE_BACKEND_H
#define QUEUE_BACKEND_H
#include "queue.h"

struct queue_ops {
  void (*set_node)(struct queue *q, int64_t incarnation);
  void (*close)(struct queue *q);
  void (*lists)(struct queue *q, const struct queue_of *of);
  void (*lists_changed)(struct queue *q);
  bool (*pops)(struct queue *q, uint16_t list);
  bool (*lengths)(struct queue *q, hints_each *each, void *to);
  bool (*forget)(struct queue *q, const int64_t *ti, size_t n);
  enum queue_push (*push)(struct queue *q, const struct hint *h, size_t n, size_t *sent);
  size_t (*pop)(struct queue *q, struct hint *out, size_t n, int64_t wait_us, bool *away);
  bool (*pop_nudge)(struct queue *q, int64_t wait_us, bool *away);
  void (*pop_end)(struct queue *q);
  bool (*turn)(struct queue *q, uint32_t kind, int64_t for_us);
  void (*health)(struct queue *q, struct health_part *out);
  void (*wake)(struct queue *q);
  bool (*nudge)(struct queue *q, int64_t incarnation);
  size_t (*depth)(struct queue *q);
};
struct queue { const struct queue_ops *ops; };

/* Where a Redis is. Every string is from wr_malloc; NULL = not given. path or host, never both. */
struct redis_where { char *path, *host, *user, *password; int port, db; };
void redis_where_done(struct redis_where *w);

/* Takes what w points to, in any case. prefix is checked already. */
enum wr_rc queue_redis_new(struct redis_where *w, const char *prefix, size_t max_hints, struct queue **out,
                           struct wr_err *err) WR_MUST;
#endif
