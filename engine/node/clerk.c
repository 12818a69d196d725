/* What this node offers of the executors that were registered at run time: clerk.h. */
#include "clerk.h"
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "added_ops.h"
#include "clock.h"
#include "cond.h"
#include "exec_offers.h"
#include "http_client.h"
#include "labels.h"
#include "log.h"
#include "log_place.h"
#include "mem.h"
#include "registry.h"
#include "run_as.h"

#define LOOK_US 1000000           /* a member sees what another one has registered within so long, and the time of a read */
#define CHECK_US 5000000          /* files may change without a word */
enum { WHY_BYTES = 512, LACKS_BYTES = 300, LISTEN_BYTES = 256 };

struct clerk {
  struct clerk_opts o;
  struct runner *runner;            /* NULL until clerk_start() */
  pthread_t thread;
  bool started;
  pthread_mutex_t mu;               /* leaf; guards these */
  pthread_cond_t wake, done;
  bool stop, asked;
  char listens[LISTEN_BYTES];       /* where the API listens; port 0: it does not */
  uint16_t port;
  uint64_t n_begun, n_done;         /* rounds */
  /* the thread's: */
  int64_t checked_us;               /* when files were checked last, monotonic */
  uint64_t known;                   /* changes() that the runner was told of */
  char *told;                       /* what this node's row says; NULL = nothing so far */
  int64_t told_as;                  /* in the row of this incarnation */
  bool store_away;                  /* it was said */
};

/* ---- what this node can run ---- */

static bool can_run(const struct clerk *c, struct added *a, char *why, size_t n) {
  const char *none = added_nobody(a->mode) ? added_nobody(a->mode) : c->o.why_none;
  if (!none && a->mode == ADDED_PROGRAM) none = c->o.why_no_program;
  char lacks[LACKS_BYTES];
  if (none) return snprintf(why, n, "%s", none), false;
  if (labels_lack(c->o.labels, a->labels, lacks, sizeof lacks))
    return snprintf(why, n, "This member lacks what the executor's labels ask for: %s (see --labels).", lacks), false;
  return added_check(a, why, n);
}

/* A URL that may not be asked from here may be asked from another member; one whose name leads to such an address is found by the
 * call alone. */
static bool can_call(const struct clerk *c, struct added *a, char *why, size_t n) {
  if (a->mode != ADDED_PROGRAM) return added_check(a, why, n);
  if (c->o.why_no_call) return snprintf(why, n, "%s", c->o.why_no_call), false;
  json_t *config = a->config ? json_loads(a->config, 0, NULL) : NULL;
  const char *user = json_string_value(json_object_get(config, "user"));
  bool may = !c->o.run_as || run_as_allows(c->o.run_as, user) == RUN_AS_ALLOWED;
  if (!may) snprintf(why, n, "This member runs nothing as the user %.64s (see --run-as).", user ? user : "that it names");
  json_decref(config);
  return may && added_check(a, why, n);
}

/* ---- where members listen ---- */

struct lines { struct buf *text; uint16_t port; };
static void add_own(void *ctx, const char *address) {
  const struct lines *l = ctx;
  exec_offers_listens(l->text, address, l->port);
}

/* A name, or any address: all that this machine has. */
static void say_listener(struct clerk *c, struct buf *text) {
  char at[LISTEN_BYTES];
  pthread_mutex_lock(&c->mu);
  (void)memcpy(at, c->listens, sizeof at);
  struct lines l = {text, c->port};
  pthread_mutex_unlock(&c->mu);
  if (!l.port) return;
  if (http_is_address(at)) exec_offers_listens(text, at, l.port);
  else http_own_addresses(add_own, &l);
}

struct listeners { struct http_listener *v; size_t n, cap; bool near; };

/* A loopback address of another machine is none of this one. */
static void keep_listener(void *ctx, const char *address, size_t n, uint16_t port) {
  struct listeners *l = ctx;
  if (l->n == HTTP_LISTENERS_MAX || n >= sizeof l->v->address || (!l->near && http_is_loopback(address, n))) return;
  struct http_listener *to = WR_PUSH(l->v, l->n, l->cap);
  *to = (struct http_listener){.port = port};
  memcpy(to->address, address, n);
}

static int keep_member(void *ctx, const struct node_offer *o) {
  struct listeners *l = ctx;
  char host[LISTEN_BYTES] = "";
  (void)gethostname(host, sizeof host - 1);
  l->near = o->host && strcmp(o->host, host) == 0;
  exec_offers_listeners(o->executors, keep_listener, l);
  return 0;
}

/* While the store is away those that were known stay. */
static void look_at_members(struct clerk *c) {
  struct listeners l = {0};
  struct wr_err err;
  struct reader *r = c->o.http && !store_single(c->o.store) ? reader_get(c->o.store, &err) : NULL;
  if (!r) return;
  if (reader_offers(r, keep_member, &l, &err) == WR_OK) http_refuse_members(c->o.http, l.v, l.n);
  reader_put(r);
  free(l.v);
}

/* Those that are registered now, where this node calls any. */
static const struct executor *next_analyzer(const struct clerk *c, const struct executor *prev) {
  return c->o.analyzers ? registry_next_added(c->o.analyzers, prev) : NULL;
}

static uint64_t changes(const struct clerk *c) {
  return registry_changes(c->o.types) + (c->o.analyzers ? registry_changes(c->o.analyzers) : 0);
}

/* All current ones, and what is to be told of them. True: some are offered that were not, or the reverse. */
static bool check_all(struct clerk *c, struct buf *text) {
  bool moved = false;
  for (size_t i = 0; i < c->o.dirs.n; i++) exec_offers_dir(text, c->o.dirs.dir[i]);
  say_listener(c, text);
  for (const struct executor *x = registry_next_added(c->o.types, NULL); x; x = registry_next_added(c->o.types, x)) {
    char why[WHY_BYTES] = "";
    atomic_store(&x->added->doubted, false);
    bool can = can_run(c, x->added, why, sizeof why);
    moved |= atomic_exchange(&x->added->offered, can) != can;
    exec_offers_add(text, x->ops.name, x->version, can ? NULL : why);
  }
  return moved;
}

/* The same of analyzers. */
static bool check_analyzers(struct clerk *c, struct buf *text) {
  bool moved = false;
  for (const struct executor *x = next_analyzer(c, NULL); x; x = next_analyzer(c, x)) {
    char why[WHY_BYTES] = "", name[EXEC_NAME];
    atomic_store(&x->added->doubted, false);
    bool can = can_call(c, x->added, why, sizeof why);
    moved |= atomic_exchange(&x->added->offered, can) != can;
    exec_offers_add(text, exec_offers_analyzer(name, x->ops.name), x->version, can ? NULL : why);
  }
  return moved;
}

static bool any_doubt(const struct clerk *c) {
  for (const struct executor *x = registry_next_added(c->o.types, NULL); x; x = registry_next_added(c->o.types, x))
    if (atomic_load(&x->added->doubted)) return true;
  for (const struct executor *x = next_analyzer(c, NULL); x; x = next_analyzer(c, x))
    if (atomic_load(&x->added->doubted)) return true;
  return false;
}

/* ---- one round ---- */

static bool look(struct clerk *c) {
  struct wr_err err = {0};
  struct reader *r = reader_get(c->o.store, &err);
  enum wr_rc rc = r ? defs_added_look(c->o.defs, r, &err) : err.code;
  if (r) reader_put(r);
  if (rc != WR_OK && !c->store_away) log_warn("node.executors", L_STR("why", err.msg[0] ? err.msg : wr_err_text(rc)));
  c->store_away = rc != WR_OK;
  return rc == WR_OK;
}

static void tell(struct clerk *c, const struct buf *text) {
  struct wr_err err;
  int64_t me = c->runner ? runner_incarnation(c->runner) : 0;
  const char *now = text->data ? text->data : "";
  if (!me || (c->told ? strcmp(c->told, now) == 0 && c->told_as == me : !*now)) return;
  if (store_executors_tell(c->o.store, me, now, &err) != WR_OK) return; /* again in the next round */
  free(c->told);
  c->told = wr_strdup(now);
  c->told_as = me;
}

static void tell_runner(struct clerk *c) {
  uint64_t now = changes(c);
  if (now != c->known && c->runner) runner_types_changed(c->runner);
  c->known = now;
}

static void one_round(struct clerk *c, bool asked) {
  struct buf text = BUF_INIT;
  int64_t now = clock_mono_us();
  bool well = look(c), changed = changes(c) != c->known;
  bool incomplete = c->runner && c->told && c->told_as != runner_incarnation(c->runner);
  look_at_members(c);
  if (asked || changed || incomplete || any_doubt(c) || now - c->checked_us >= CHECK_US) {
    c->checked_us = now;
    bool types = check_all(c, &text), calls = check_analyzers(c, &text);
    if (types || calls) registry_changed(c->o.types); /* the runner looks at what is QUEUED, too */
    tell_runner(c);
    if (well) tell(c, &text);
  }
  buf_done(&text);
}

/* ---- the thread ---- */

static bool has_any(const struct clerk *c) { return registry_next_added(c->o.types, NULL) || next_analyzer(c, NULL); }

/* The lock is held. */
static void rest(struct clerk *c) {
  bool single = store_single(c->o.store);
  int64_t at = clock_mono_us() + (single ? CHECK_US : LOOK_US);
  while (!c->stop && !c->asked) {
    if (single && !has_any(c)) pthread_cond_wait(&c->wake, &c->mu);
    else if (!cond_until(&c->wake, &c->mu, at)) return;
  }
}

static void *clerk_main(void *arg) {
  struct clerk *c = arg;
  bool asked = true;
  for (;;) {
    pthread_mutex_lock(&c->mu);
    if (c->stop) break;
    asked |= c->asked;
    c->asked = false;
    c->n_begun++;
    pthread_mutex_unlock(&c->mu);
    one_round(c, asked);
    pthread_mutex_lock(&c->mu);
    c->n_done = c->n_begun;
    pthread_cond_broadcast(&c->done);
    rest(c);
    asked = c->asked;
    pthread_mutex_unlock(&c->mu);
  }
  pthread_cond_broadcast(&c->done);
  pthread_mutex_unlock(&c->mu);
  return NULL;
}

/* ---- for the cache of definitions and the worker ---- */

/* Any thread; the worker's loop calls it. The runner is told at once, so that it claims no more. */
static void clerk_doubt(void *ctx) {
  struct clerk *c = ctx;
  registry_changed(c->o.types);
  if (c->runner) runner_types_changed(c->runner);
  pthread_mutex_lock(&c->mu);
  c->asked = true;
  pthread_cond_signal(&c->wake);
  pthread_mutex_unlock(&c->mu);
}

static void host_make(void *ctx, struct added *a) {
  struct clerk *c = ctx;
  a->dirs = &c->o.dirs;
  a->http = c->o.http;
  a->doubt = clerk_doubt;
  a->ctx = c;
}

/* A round that had begun before may have looked too early. */
static void host_ask(void *ctx, int64_t until_us) {
  struct clerk *c = ctx;
  pthread_mutex_lock(&c->mu);
  uint64_t want = c->n_begun + 1;
  c->asked = true;
  pthread_cond_signal(&c->wake);
  while (c->started && !c->stop && c->n_done < want)
    if (!cond_until(&c->done, &c->mu, until_us)) break;
  pthread_mutex_unlock(&c->mu);
}

static bool host_may_ask(void *ctx, const char *url, char *why, size_t why_n) {
  struct clerk *c = ctx;
  char flaw[URL_WHY] = "";
  bool may = http_check_url(c->o.http, url, flaw) == 0;
  if (!may) snprintf(why, why_n, "%s", flaw);
  return may;
}

struct added_host clerk_host(struct clerk *c) { return (struct added_host){added_ops, host_make, host_ask, host_may_ask, c}; }

/* ---- life ---- */

struct clerk *clerk_new(const struct clerk_opts *o) {
  struct clerk *c = wr_new(struct clerk);
  c->o = *o;
  c->known = changes(c);
  pthread_mutex_init(&c->mu, NULL);
  cond_mono(&c->wake);
  cond_mono(&c->done);
  return c;
}

void clerk_listens(struct clerk *c, const char *address, uint16_t port) {
  pthread_mutex_lock(&c->mu);
  snprintf(c->listens, sizeof c->listens, "%s", address ? address : "");
  c->port = port;
  c->asked = true;
  pthread_cond_signal(&c->wake);
  pthread_mutex_unlock(&c->mu);
}

void clerk_first(struct clerk *c) { one_round(c, true); }

enum wr_rc clerk_start(struct clerk *c, struct runner *r, struct wr_err *err) {
  c->runner = r;
  c->started = log_thread(&c->thread, NULL, clerk_main, c) == 0;
  if (!c->started) return wr_err_set(err, WR_INTERNAL, "No thread can be started.");
  pthread_setname_np(c->thread, "weir-clerk");
  return WR_OK;
}

void clerk_stop(struct clerk *c) {
  if (!c || !c->started) return;
  pthread_mutex_lock(&c->mu);
  c->stop = true;
  pthread_cond_broadcast(&c->wake);
  pthread_cond_broadcast(&c->done);
  pthread_mutex_unlock(&c->mu);
  pthread_join(c->thread, NULL);
  c->started = false;
}

void clerk_free(struct clerk *c) {
  if (!c) return;
  clerk_stop(c);
  pthread_mutex_destroy(&c->mu);
  pthread_cond_destroy(&c->wake);
  pthread_cond_destroy(&c->done);
  free(c->told);
  free(c);
}
