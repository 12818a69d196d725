/* Who waits for the end of an instance, and who follows a log. A connection that waits costs no thread: it is parked (http.h)
 * until its instance ends, its log grows, its time is up, its client goes, or the server stops. Then one of a few threads looks
 * again and writes what is to be sent.
 *
 * A waiter belongs to one thread at a time: to that of the request until waiter_give(), then to the ward (the one thread that
 * holds all parked connections), and to a worker for one look. What a commit of this node ends is said at once by the runner
 * (struct watcher); what other nodes do is seen by one look at the store for all who wait, each LOOK_US. So nobody asks the store
 * again and again for what this node does.
 *
 * What never happens: a thread, or a call of the store, for each one who waits; a client that does not read holds up others; more
 * waiters than places; a wait after waits_drain(). */
#ifndef API_WAIT_H
#define API_WAIT_H
#include "http.h"
#include "query.h"
#include "runner.h"

struct waits;
struct waits_opts {
  uint32_t percent;           /* of the connections: how many may wait or follow at once */
  int64_t follow_us;          /* a log is followed for so long */
};

/* ---- for the process; one thread ---- */
/* Before the node. Freed only when that is gone: a runner that hangs in the database may still tell it something at the end. */
struct waits *waits_new(const struct waits_opts *o);
void waits_free(struct waits *ws);                  /* after waits_stop(); NULL is fine */
struct watcher waits_watcher(struct waits *ws);     /* what the node's runner calls */

/* ---- for the API ---- */
struct api;
struct call;
typedef enum wr_rc handler_fn(struct call *c);
enum wr_rc waits_start(struct waits *ws, struct api *a, struct wr_err *err) WR_MUST;
void waits_drain(struct waits *ws);                 /* all waits end now, and none begins; any thread */
void waits_stop(struct waits *ws);                  /* ends the threads: at most 2 s for answers that are under way */

/* ---- for requests ---- */
enum wait_kind { WAIT_FLOW, WAIT_TASK, WAIT_LOG, WAIT_JOB, WAIT__N };

/* How to show the instance again when its time has come: what is left of the call. */
struct call_kept { handler_fn *show; const struct route *route; int64_t id; struct query q; bool replayed; };
/* A place in the log of a task that is followed. */
struct log_at { uint32_t epoch; int64_t offset; uint8_t stream; };

struct waiter;
/* From waiter_watch() on each end of the instance is noticed. So it is read afterwards: what ends in between is not missed. */
struct waiter *waiter_new(struct waits *ws, enum wait_kind kind);
void waiter_watch(struct waiter *w, int64_t id); /* once */
/* Takes one of the places. False: none is left, or the server stops. A second call does nothing. */
bool waiter_place(struct waiter *w, const struct http *h);
/* Parks the connection of q, and gives the waiter away. False: no descriptor is left; the waiter is still the caller's.
 * waiter_give_log: head is what the client gets first. */
bool waiter_give(struct waiter *w, struct http_req *q, int64_t wait_us, const struct call_kept *k);
bool waiter_give_log(struct waiter *w, struct http_req *q, const struct log_at *f, const struct buf *head);
void waiter_free(struct waiter *w);                 /* NULL is fine */
bool waits_ending(struct waits *ws);
#endif
