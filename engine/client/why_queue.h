/* Why a task waits in its queue: by what is set of the queue, and by what the nodes that could run it say of their load. The
 * part of why.c that knows of queues. Any thread; one struct for one answer. */
#ifndef CLIENT_WHY_QUEUE_H
#define CLIENT_WHY_QUEUE_H
#include "async.h"
#include "counts.h"
#include "node_trouble.h"
#include "view.h"

/* What holds for the queue that was asked for last. Zero-initialise. */
struct why_queue {
  struct arena text;
  bool open, known;               /* the arena is made; the rows could be read */
  const char *user, *group;
  struct queue_row row[QUEUE_RULES]; size_t n;
  const char *type;               /* asked for last; NULL = none */
  bool limited, type_known;
  struct queue_row type_row;
  struct count_set *counts;       /* NULL = not asked for, or not known */
  bool counted;
};
void why_queue_done(struct why_queue *q);

/* The code of what is set of the queue and holds this task back, and a sentence. NULL: nothing does. *known false: the store does
 * not say. The caller holds no reader. */
const char *why_queue_holds(struct why_queue *q, const struct view *v, const struct queue_view *of, int64_t now_us, char *text,
                            size_t n, bool *known);

/* The same of its type: TYPE_LIMIT. */
const char *why_type_holds(struct why_queue *q, const struct view *v, const char *type, int64_t now_us, char *text, size_t n,
                           bool *known);

/* A node that could run the task, and what it says. */
struct why_busy {
  size_t nodes, costly, full, loaded, held;
  int64_t budget, used, kept_for;
  char load[NODE_LOAD_BYTES];
  const char *host;
};
void why_busy_add(struct why_busy *b, const struct node_trouble *t, const char *host, int32_t cpu);
/* NULL: some node is held back by nothing of this. */
const char *why_busy_says(const struct why_busy *b, int32_t cpu, char *text, size_t n);
/* Does a node that says this of its queues run tasks of this one? */
bool why_served(const struct node_trouble *t, const struct queue_view *of);
#endif
