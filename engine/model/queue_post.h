/* What somebody wants to set of a queue: the body of POST /queue. Pure; any thread. */
#ifndef MODEL_QUEUE_POST_H
#define MODEL_QUEUE_POST_H
#include <jansson.h>
#include <stdint.h>
#include "err.h"

enum queue_order { QUEUE_ORDER_FIFO, QUEUE_ORDER_PRIORITY };
const char *queue_order_word(int32_t order);      /* NULL: not set */
/* The fields that are set, or cleared. */
enum { QUEUE_MAX_RUNNING = 1, QUEUE_WEIGHT = 2, QUEUE_RATE = 4, QUEUE_ORDER = 8, QUEUE_PAUSED = 16 };
struct queue_post {
  const char *user, *group;       /* the body's; "" when absent */
  uint32_t fields;
  int64_t max_running, rate_count, rate_per_us;   /* -1 = cleared, as the next */
  int32_t weight, order, paused;
};
/* Values that are not null, of these two fields alone. */
enum wr_rc queue_max_parse(const json_t *v, int64_t *out, struct wr_err *err) WR_MUST;
enum wr_rc queue_rate_parse(const json_t *v, int64_t *count, int64_t *per_us, struct wr_err *err) WR_MUST;
enum wr_rc queue_post_parse(const json_t *body, struct queue_post *out, struct wr_err *err) WR_MUST;
/* "1s", "500ms", "1d": the greatest unit in which it is a whole number; "0.0015" seconds when there is none. */
enum { QUEUE_PER_BYTES = 32 };
void queue_per_text(char out[QUEUE_PER_BYTES], int64_t us);
#endif
