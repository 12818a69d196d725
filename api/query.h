/* Filters and paging: the same names in the query string and in a body. One table gives name, type and meaning. Pure. */
#ifndef API_QUERY_H
#define API_QUERY_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "err.h"
#include "wr_limits.h"

enum {
  Q_FLOW_ID = 1, Q_FI_ID = 2, Q_STATUS = 4, Q_FROM = 8, Q_TO = 16, Q_LIMIT = 32, Q_OFFSET = 64, Q_TOTAL = 128, Q_NAME = 256,
  Q_TYPE = 512, Q_NODES = 1024, Q_RUNS = 2048, Q_ATTEMPT = 4096, Q_STATE = 8192, Q_TASK_STATE = 16384, Q_STREAM = 32768,
  Q_WAIT = 65536, Q_FOLLOW = 131072,
  Q_USER = 1 << 18, Q_GROUP = 1 << 19, Q_TASK_KEY = 1 << 20, Q_TASK_ID = 1 << 21, Q_ALONE = 1 << 22, Q_TASK_STATUS = 1 << 23,
  Q_TASK_STATES = 1 << 24 /* may be given more than once */, Q_FORCE = 1 << 25, Q_ALIVE = 1 << 26, Q_S0_TASK = 1 << 27,
  Q_AFTER = 1 << 28, Q_ALL = 1 << 29, Q_JOB_ID = 1 << 30
};
#define Q_CLEAN_UP (1ull << 31)
#define Q_PARENT (1ull << 32)
#define Q_PAGE (Q_LIMIT | Q_OFFSET | Q_TOTAL)

struct query {
  uint64_t has;               /* Q_* that were given */
  int64_t flow_id, fi, from_us, to_us, limit, offset, attempt, wait_us;
  int status, state;          /* as in struct list_filter; of tasks: enum task_state */
  uint8_t stream;             /* WX_STDOUT, WX_STDERR; 0 = all */
  bool total, no_nodes, all_runs, all_attempts, follow;
  /* of stand-alone tasks: */
  int64_t job_id, parent;     /* 0 = any */
  int64_t task_id, alive, ti; /* ti: taskId of S0's routes, 0 = what is given is none */
  int64_t after_us, after_ti; /* where a list goes on; 0 0 = it begins */
  uint32_t states;            /* bit n: enum task_shown n; 0 = any */
  char no_task[WR_QUOTE_MAX]; /* with ti 0: what is given */
  bool every_task, force, key_prefix, all, no_clean_up;
  char user[LIMIT_QUEUE_NAME_CHARS * 4 + 1], group[LIMIT_QUEUE_NAME_CHARS * 4 + 1], key[LIMIT_KEY_CHARS + 1];
  char name[LIMIT_NAME_CHARS * 4 + 1], type[LIMIT_NAME_CHARS + 1];
};
#define S0_TASK "task-"       /* before the number of a task, in the ids of S0's routes */
void query_init(struct query *q);
/* max_limit: of `limit`. BAD_FILTER: an unknown name, a name twice, a bad value; BAD_PAGE: limit and offset. */
enum wr_rc query_string(struct query *q, const char *raw, uint64_t allowed, int64_t max_limit, struct wr_err *err) WR_MUST;
/* The same from a JSON object: UNKNOWN_FIELD and WRONG_TYPE for names and types. Wins over the query string. */
enum wr_rc query_body(struct query *q, const json_t *body, uint64_t allowed, int64_t max_limit, struct wr_err *err) WR_MUST;
#endif
