/* The body of POST /queue: see queue_post.h. */
#include "queue_post.h"
#include <stdio.h>
#include "async.h"
#include "model.h"
#include "wr_limits.h"

enum { P_USER, P_GROUP, P_MAX, P_WEIGHT, P_RATE, P_ORDER, P_PAUSED, P__N };
static const struct field field[P__N] = {[P_USER] = FIELD("user", F_TEXT), [P_GROUP] = FIELD("group", F_TEXT),
    [P_MAX] = FIELD("maxRunning", F_ANY), [P_WEIGHT] = FIELD("weight", F_ANY), [P_RATE] = FIELD("rate", F_ANY),
    [P_ORDER] = FIELD("order", F_ANY), [P_PAUSED] = FIELD("paused", F_ANY)};
static const char *const order_word[] = {[QUEUE_ORDER_FIFO] = "fifo", [QUEUE_ORDER_PRIORITY] = "priority"};

const char *queue_order_word(int32_t order) { return order < 0 || order > QUEUE_ORDER_PRIORITY ? NULL : order_word[order]; }

enum wr_rc queue_rate_parse(const json_t *v, int64_t *count, int64_t *per_us, struct wr_err *err) {
  static const struct field part[] = {FIELD("count", F_ANY), FIELD("per", F_ANY)};
  const struct jpath *at = JKEY(NULL, "rate");
  json_t *f[2];
  if (!json_is_object(v))
    return fail_at(err, WR_WRONG_TYPE, at, "rate must be an object, {\"count\":10,\"per\":\"1s\"}, or null.");
  enum wr_rc rc = field_read(v, part, 2, f, at, err);
  for (int i = 0; i < 2 && !rc; i++)
    if (!f[i]) rc = fail_at(err, WR_WRONG_TYPE, JKEY(at, part[i].name), "rate needs both count and per.");
  if (!rc) rc = field_int(f[0], 1, LIMIT_RATE_COUNT, JKEY(at, "count"), count, err);
  if (!rc) rc = field_timeout(f[1], JKEY(at, "per"), per_us, err);
  if (!rc && *count > *per_us)
    rc = fail_at(err, WR_OUT_OF_RANGE, at, "rate must be at most one start in each microsecond.");
  return rc;
}

enum wr_rc queue_max_parse(const json_t *v, int64_t *out, struct wr_err *err) {
  return field_int(v, 0, LIMIT_QUEUE_RUNNING, JKEY(NULL, "maxRunning"), out, err);
}

static enum wr_rc read_order(const json_t *v, struct queue_post *out, struct wr_err *err) {
  const struct jpath *at = JKEY(NULL, "order");
  if (!json_is_string(v)) return fail_at(err, WR_WRONG_TYPE, at, "order must be \"fifo\", \"priority\" or null.");
  for (int32_t i = 0; i <= QUEUE_ORDER_PRIORITY; i++)
    if (strcmp(json_string_value(v), order_word[i]) == 0) out->order = i;
  return out->order >= 0 ? WR_OK : fail_at(err, WR_OUT_OF_RANGE, at, "order must be \"fifo\" or \"priority\".");
}

/* A value that is not null. */
static enum wr_rc read_value(int which, const json_t *v, struct queue_post *out, struct wr_err *err) {
  int64_t n = 0;
  enum wr_rc rc = WR_OK;
  switch (which) {
  case P_MAX: return queue_max_parse(v, &out->max_running, err);
  case P_WEIGHT:
    rc = field_int(v, 1, LIMIT_QUEUE_WEIGHT, JKEY(NULL, "weight"), &n, err);
    out->weight = (int32_t)n;
    return rc;
  case P_RATE: return queue_rate_parse(v, &out->rate_count, &out->rate_per_us, err);
  case P_ORDER: return read_order(v, out, err);
  default:
    if (!json_is_boolean(v)) return fail_at(err, WR_WRONG_TYPE, JKEY(NULL, "paused"), "paused must be true, false or null.");
    out->paused = json_is_true(v);
    return WR_OK;
  }
}

enum wr_rc queue_post_parse(const json_t *body, struct queue_post *out, struct wr_err *err) {
  static const uint32_t bit[P__N] = {[P_MAX] = QUEUE_MAX_RUNNING, [P_WEIGHT] = QUEUE_WEIGHT, [P_RATE] = QUEUE_RATE,
                                     [P_ORDER] = QUEUE_ORDER, [P_PAUSED] = QUEUE_PAUSED};
  json_t *v[P__N] = {0};
  *out = (struct queue_post){.user = "", .group = "", .max_running = -1, .rate_count = -1, .rate_per_us = -1, .weight = -1,
                             .order = -1, .paused = -1};
  enum wr_rc rc = field_read(body, field, P__N, v, NULL, err);
  if (!rc && v[P_USER]) rc = queue_name_check(v[P_USER], JKEY(NULL, "user"), err);
  if (!rc && v[P_GROUP]) rc = queue_name_check(v[P_GROUP], JKEY(NULL, "group"), err);
  for (int i = P_MAX; i < P__N && !rc; i++) {
    if (!v[i]) continue;
    out->fields |= bit[i];
    if (!json_is_null(v[i])) rc = read_value(i, v[i], out, err);
  }
  if (v[P_USER]) out->user = json_string_value(v[P_USER]);
  if (v[P_GROUP]) out->group = json_string_value(v[P_GROUP]);
  return rc;
}

void queue_per_text(char out[QUEUE_PER_BYTES], int64_t us) {
  static const struct { const char *unit; int64_t us; } unit[] = {
    {"d", 86400000000}, {"h", 3600000000}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}};
  for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
    if (us % unit[i].us) continue;
    snprintf(out, QUEUE_PER_BYTES, "%lld%s", (long long)(us / unit[i].us), unit[i].unit);
    return;
  }
  snprintf(out, QUEUE_PER_BYTES, "%lld.%06lld", (long long)(us / 1000000), (long long)(us % 1000000));
}
