/* A server behind a handle: see remote.c, which talks, and remote_calls.c, which has the calls of weir.h. Any thread. */
#ifndef LIB_REMOTE_H
#define LIB_REMOTE_H
#include <jansson.h>
#include "lib_int.h"
#include "mem.h"

/* ---- remote.c; not there where the library was built without libcurl ---- */
struct remote *remote_new(const char *url, const char *token, int64_t request_us);
void remote_free(struct remote *r);
void remote_end(struct remote *r);           /* what only reads, and each wait, ends within a second (DRAINING) */
/* body NULL = none. *data: a reference to what the answer holds, which is a `want`; NULL = not wanted. */
enum wr_rc remote_ask(struct remote *r, const char *method, const char *path, const json_t *body, json_type want, json_t **data,
                      struct wr_err *err) WR_MUST;
/* Of a list. *rows: a reference. after: where the next page begins, "" = this was the last. */
enum { REMOTE_AFTER = 64 };
enum wr_rc remote_page(struct remote *r, const char *path, json_t **rows, char after[REMOTE_AFTER], struct wr_err *err) WR_MUST;
/* The answer to such a request is none that is known: an error, and for what changes something OUTCOME_UNKNOWN. */
enum wr_rc remote_odd(const char *method, struct wr_err *err) WR_MUST;
enum wr_rc remote_bytes(struct remote *r, const char *path, struct buf *out, struct wr_err *err) WR_MUST;
void remote_path(struct buf *b, const char *s);      /* adds it as a part of a path or a query */
/* *task: as it is at the end or when the time is up; a reference, to be given back on failure too. */
enum wr_rc remote_wait(struct remote *r, int64_t id, int64_t until_us, json_t **task, bool *ended, struct wr_err *err) WR_MUST;

/* ---- remote_calls.c: a call each; all note their failure. A close waits for those that are inside. ---- */
int remote_create(weir_t *h, json_t *body, size_t n, int64_t *ids);      /* of POST /exec/tasks */
int remote_wish(weir_t *h, const char *method, int64_t id, const char *wish, const json_t *body);   /* wish: "/pause", or "" */
int remote_get(weir_t *h, int64_t id, weir_task_t **out);
int remote_until(weir_t *h, int64_t id, int64_t until_us, weir_task_t **out);
int remote_list(weir_t *h, const weir_filter_t *f, weir_task_t ***out, size_t *n, int64_t *total);
int remote_log(weir_t *h, int64_t id, int attempt, int64_t offset, char *buf, size_t cap, size_t *got);
int remote_queue(weir_t *h, const json_t *body);                         /* of POST /queue */
int remote_queue_delete(weir_t *h, const char *user, const char *group);
#endif
