/* Private to api: one request on its way through the table of routes to its handler. A struct call lives on the stack of
 * the request's thread. Order of the checks, so that nothing is read from a stranger: path, Host, route and method, Origin,
 * token, draining, id, query, sizes, Content-Type, body, handler. */
#ifndef API_CALL_H
#define API_CALL_H
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include "answer.h"
#include "api.h"
#include "ask_runner.h"
#include "auth.h"
#include "door.h"
#include "http.h"
#include "offers.h"
#include "page_files.h"
#include "query.h"
#include "share.h"
#include "turn.h"
#include "view.h"
#include "wait.h"

struct said { _Atomic int64_t at_us, n; }; /* when a refusal was logged last, and how many came since */


struct api {
  struct api_opts o;
  struct http *http;
  struct auth auth;
  struct door door;           /* o.store .. o.runner and view change only while it is shut */
  bool single;                /* the store belongs to this process */
  struct gate_hosts hosts;
  const char **host_name;     /* what hosts points to */
  char listen_host[32];
  atomic_bool draining;
  int64_t unready_us, look_us;   /* CLOCK_MONOTONIC: since when /readyz is 503, 0 = it is not; the next look. Only the tick's */
  _Atomic int64_t asked_us;      /* when /readyz was asked last */
  struct said said[2];        /* refusals: 503, 507 */
  struct offers offers;
  struct view view;           /* of the node, for engine/client */
  struct shares shares;
  struct turn merge;          /* one update of a definition at a time: read, merged, saved (the store saves one at a time too) */
  struct turn large;          /* one large body at a time: taken when it is read, given back after its handler */
  _Atomic uint32_t n_large;   /* threads that have `large` or wait for it */
};

enum body_rule { BODY_NONE, BODY_OPTIONAL, BODY_REQUIRED };
enum {
  ROUTE_LARGE = 1,            /* the limits of POST /flow */
  ROUTE_CHANGES = 2,          /* refused while draining */
  ROUTE_ALWAYS = 4,           /* answered even when crowded */
  ROUTE_KEYED = 8,            /* makes something: Idempotency-Key counts */
  ROUTE_TASK = 16,            /* a body of up to LIMIT_TASK_BODY_BYTES */
  ROUTE_FILE = 32,            /* answers a file of page_files.h, by its path */
  ROUTE_NAME = 64             /* {type} is a name, not a number: call.name */
};

struct route {
  const char *method, *pattern;   /* pattern: "/flow/{id}", where {id} is 1 to 2^53-1; {file}, {type} are any text without '/' */
  enum role role;
  enum body_rule body;
  unsigned flags;                 /* ROUTE_* */
  uint64_t query;                 /* Q_* that the query string may have */
  int64_t most;                   /* the largest limit= that it takes */
  handler_fn *fn;
};

/* Of a call that may wait: whether what it shows goes on, and how it is shown again. */
struct call_wait {
  struct waiter *w;               /* NULL = it does not wait */
  handler_fn *show;
  bool live;                      /* what was shown has not ended */
  struct log_at follow;           /* of a log: where it goes on (show is NULL) */
};

struct call {
  struct api *api;
  const struct route *route;
  struct http_req *http;
  int64_t id;
  char path[PAGE_PATH_ROOM];      /* ROUTE_FILE: as it was asked for; a longer one is cut, and is the path of no file */
  char name[LIMIT_EXECUTOR_TYPE_CHARS + 2];   /* ROUTE_NAME: a longer one is cut, and is the name of nothing */
  json_t *body;                   /* NULL = none */
  struct query q;
  struct buf *out;                /* what follows "data": in the answer; until the handler returns */
  struct answer_page page;
  struct call_wait wait;
  struct health health;           /* of /readyz, when has_health: shown beside the error too */
  bool has_health;
  struct wr_err err;
  const char *won;                /* beside a 409: the state of the instance; NULL = not shown */
  const char *type;               /* NULL = the envelope; else `out` is the body itself, of this type */
  struct http_fixed fixed;        /* status 0 = `out` is the answer; else this is */
  char headers[192];              /* complete lines */
  char key[LIMIT_KEY_CHARS + 1];  /* ROUTE_KEYED: Idempotency-Key, "" = none */
  uint8_t key_hash[KEY_HASH_BYTES];
};

/* The route for path and method (HEAD finds GET), its {id} as text. NO_ROUTE; METHOD, with the methods that would do in allow. */
enum wr_rc routes_find(const char *method, const char *path, const struct route **out, const char **id, char *allow,
                       size_t n_allow) WR_MUST;

void call_handle(void *api, struct http_req *q);
void call_refuse(void *api, struct http_req *q, const struct wr_err *err);

/* For handlers: all fill c->err and return its code. */
enum wr_rc call_fail(struct call *c, enum wr_rc code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
enum wr_rc call_missing(struct call *c, const char *what); /* 404: "Flow 7 does not exist." of c->id */
/* Sends q to the runner and waits for its answer. A start carries the call's key; its answer says whether it was replayed. load:
 * NULL = q points to nothing but `start`; else what stands there counts only when the call says that it is answered (WR_OK, or a
 * refusal of the runner). */
enum wr_rc call_post(struct call *c, struct req *q, struct load *load);
int64_t call_deadline(const struct call *c);               /* CLOCK_MONOTONIC: nothing of the call waits longer */
enum wr_rc call_turn(struct call *c, struct turn *t, const char *busy); /* waits no longer either: BUSY */
/* Shows instance `id`, which becomes c->id: once, or with wait=, when it has ended or the time is up. show() sets wait.live. A
 * start calls call_place() before it starts anything, so that one that cannot wait starts nothing: BUSY. */
enum wr_rc call_wait(struct call *c, enum wait_kind kind, int64_t id, handler_fn *show);
enum wr_rc call_place(struct call *c, enum wait_kind kind);
void call_watch(struct call *c, enum wait_kind kind, int64_t id); /* before it is read for the first time */
/* For the waiters: the call is answered on a thread of theirs, in any case when it is the last time. Else: LIVE, what is shown
 * goes on; AWAY, the store does not answer just now. */
enum again { AGAIN_ANSWERED, AGAIN_LIVE, AGAIN_AWAY };
enum again call_again(struct api *a, struct http_req *q, const struct call_kept *k, bool last);
/* h_log.c: the next piece of a log, appended to out. WAIT: no more is there so far; MORE: the next call finds more; OVER: the
 * task has ended or is gone; AWAY: the store does not answer. */
enum log_then { FOLLOW_WAIT, FOLLOW_MORE, FOLLOW_OVER, FOLLOW_AWAY };
enum log_then log_step(struct api *a, int64_t ti, struct log_at *f, struct buf *out);
/* h_async.c: makes a stand-alone task of the body of POST /exec/task. */
enum wr_rc submit_body(struct call *c, const json_t *body, int64_t *ti);
/* h_ask.c: cancels a task instance. */
enum wr_rc ask_cancel(struct call *c, int64_t ti);
/* The part that makes a node unready, NULL = it is ready. */
const struct health_part *health_bad(const struct health *h, const char **name);
struct reader *call_reader(struct call *c);                /* NULL: c->err is set */
/* What the query asks of a list of task instances. Borrows its texts. */
struct alone_filter alone_filter_of(const struct query *q);
/* Fields of a body: one table each. v[i] is NULL when absent or null is not allowed. */
struct body_field { const char *name; json_type type; bool required; };
enum wr_rc call_fields(struct call *c, const json_t *obj, const char *path, const struct body_field *f, size_t n,
                       json_t **v) WR_MUST;
/* A body of one field, an array of at most so many elements: TOO_LARGE. */
enum wr_rc call_list(struct call *c, const char *name, size_t most, json_t **out) WR_MUST;

/* key.c: reads Idempotency-Key of a call whose body is parsed. BAD_KEY. */
enum wr_rc key_read(struct call *c) WR_MUST;
/* Makes a definition once for the call's key: show()s what an earlier request with that key made, else save()s. key: for
 * store_save_*_key(), NULL = the call has none. */
typedef enum wr_rc key_save_fn(struct call *c, struct key_write *key);
typedef enum wr_rc key_show_fn(struct call *c, const struct key_row *made);
enum wr_rc key_once(struct call *c, enum key_kind kind, key_save_fn *save, key_show_fn *show) WR_MUST;

handler_fn h_task_save, h_task_get, h_task_list, h_task_delete;
handler_fn h_flow_save, h_flow_get, h_flow_list, h_flow_delete;
handler_fn h_exec_flow, h_exec_flows, h_cancel_flow, h_pause_flow, h_resume_flow;
handler_fn h_exec_task, h_exec_inline, h_exec_tasks;
handler_fn h_task_run, h_task_pause, h_task_cancel, h_task_queue, h_task_remove;
handler_fn h_tasks_run, h_tasks_pause, h_tasks_cancel, h_tasks_queue, h_tasks_remove;
handler_fn h_s0_start, h_s0_fetch, h_s0_list, h_s0_cancel;
handler_fn h_executor_save, h_executor_get, h_executor_list, h_executor_delete;
handler_fn h_analyzer_save, h_analyzer_get, h_analyzer_list, h_analyzer_delete;
handler_fn h_job_make, h_job_list, h_job_get, h_job_add, h_job_tasks, h_job_remove;
handler_fn h_job_close, h_job_cancel, h_job_pause, h_job_resume, h_job_retry;
handler_fn h_queue_set, h_queue_list, h_queue_delete;
handler_fn h_member_list, h_member_get, h_member_drain, h_member_undrain;
handler_fn h_mon_tasks;
handler_fn h_mon_flows, h_mon_flow, h_mon_detail, h_mon_node, h_mon_task, h_mon_log, h_mon_progress, h_mon_context;
handler_fn h_livez, h_readyz, h_version;
handler_fn h_page;
#endif
