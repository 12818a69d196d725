/* The queue on Redis or Valkey: its commands. With redis_link.c the only place that knows hiredis.
 *
 * Two connections. `push`: under push_mu, by whoever pushes or nudges. `pop`: by the one poller. A dialer thread makes
 * both, so that nobody ever waits for a Redis that is away:
 *
 *   AWAY --get--> wanted --dialer: connect, AUTH, SELECT, PING--> fresh --get--> in use --any error--> AWAY
 *
 * Between failures the dialer backs off with jitter, up to BACKOFF_MAX_US, and forgets the failures only when a real
 * command has worked: a Redis that answers PING but refuses every write (READONLY, WRONGTYPE, LOADING) is away too. The dialer
 * sends such a command itself when a push was refused, since the next push may be long in coming.
 *
 * A pop is a request that may outlive the call: queue_wake ends the call while BLMPOP is under way, and the next pop reads
 * its answer (`owed`, `spare`). All waiting is poll(2) with a deadline; a read or write never waits longer than
 * COMMAND_US. What never happens: user text as a format, a reply used before its type and size were checked. */
#include "redis_int.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "log_place.h"
#include "mem.h"
#include "text.h"

static struct redis_queue *self(struct queue *q) { return (struct redis_queue *)q; }

/* ---- push ---- */

/* One answer of the push connection. NULL: the connection is gone. */
redisReply *redis_push_reply(struct redis_queue *q, int64_t until_us) {
  redisReply *r = NULL;
  enum await how = redis_await(q->push.c, until_us, -1, &r);
  if (how == TIMED_OUT) redis_link_lost(q, &q->push, LOSS_AWAY, "no answer");
  else if (how != GOT) redis_link_lost(q, &q->push, LOSS_BROKEN, "connection lost");
  return r;
}

/* An integer. False: the connection is gone. */
bool redis_push_count(struct redis_queue *q, int64_t until_us, long long *out) {
  redisReply *r = redis_push_reply(q, until_us);
  if (!r) return false;
  bool ok = r->type == REDIS_REPLY_INTEGER && r->integer >= 0;
  *out = ok ? r->integer : 0;
  if (!ok) redis_link_lost(q, &q->push, LOSS_AWAY, r->type == REDIS_REPLY_ERROR ? r->str : "unexpected answer");
  freeReplyObject(r);
  return ok;
}

static bool push_answer(struct redis_queue *q, long long *out) { return redis_push_count(q, redis_after(COMMAND_US), out); }

bool redis_push_send(struct redis_queue *q, bool appended) {
  if (appended && redis_flush(q->push.c)) return true;
  redis_link_lost(q, &q->push, LOSS_BROKEN, "connection lost");
  return false;
}

void redis_hint_text(char out[HINT_BYTES], const struct hint *h) {
  snprintf(out, HINT_BYTES, "%lld:%lld%s", (long long)h->ti, (long long)(h->fi & ~HINT_QUEUED), h->fi & HINT_QUEUED ? "q" : "");
}

/* When the connection broke, one more try is made on its successor, if that comes soon; this may double hints. */
static enum queue_push redis_push(struct queue *base, const struct hint *h, size_t n, size_t *sent) {
  struct redis_queue *q = self(base);
  enum queue_push how = QUEUE_SENT;
  int tries = 0;
  pthread_mutex_lock(&q->push_mu);
  while (how == QUEUE_SENT && *sent < n) {
    size_t todo = n - *sent < PUSH_CHUNK ? n - *sent : PUSH_CHUNK, got = 0;
    if (!redis_link_get(q, &q->push, FIRST_DIAL_US, NULL)) how = QUEUE_AWAY;
    else if (!redis_lists_push(q, "LPUSH", h + *sent, todo, COMMAND_US, &got)) how = tries++ ? QUEUE_AWAY : QUEUE_SENT;
    else if (got < todo) how = QUEUE_FULL;
    *sent += got;
  }
  pthread_mutex_unlock(&q->push_mu);
  return how;
}

static void nudge_key(const struct redis_queue *q, int64_t incarnation, char out[KEY_BYTES]) {
  snprintf(out, KEY_BYTES, "weir:%s:n:%lld", q->prefix, (long long)incarnation);
}

/* One element is enough, and the list of a node that never comes expires. */
static bool redis_nudge(struct queue *base, int64_t incarnation) {
  struct redis_queue *q = self(base);
  char key[KEY_BYTES], ttl[16];
  long long n;
  bool ok = false;
  nudge_key(q, incarnation, key);
  snprintf(ttl, sizeof ttl, "%d", NUDGE_TTL_S);
  pthread_mutex_lock(&q->push_mu);
  if (redis_link_get(q, &q->push, FIRST_DIAL_US, NULL)) {
    ok = redis_push_send(q, redis_append(q->push.c, 3, (const char *[]){"LPUSH", key, "1"}) &&
                          redis_append(q->push.c, 3, (const char *[]){"EXPIRE", key, ttl})) &&
         push_answer(q, &n) && push_answer(q, &n);
    if (ok) redis_link_good(q, &q->push);
  }
  pthread_mutex_unlock(&q->push_mu);
  return ok;
}

/* A Redis user without the right to SET cannot take turns: then each node looks for itself. */
static bool turn_answer(struct redis_queue *q) {
  redisReply *r = redis_push_reply(q, redis_after(COMMAND_US));
  if (!r) return false;
  bool mine = r->type == REDIS_REPLY_STATUS, no_right = r->type == REDIS_REPLY_ERROR && strncmp(r->str, "NOPERM", 6) == 0;
  if (mine || no_right || r->type == REDIS_REPLY_NIL) redis_link_good(q, &q->push);
  else redis_link_lost(q, &q->push, LOSS_AWAY, r->type == REDIS_REPLY_ERROR ? r->str : "unexpected answer");
  freeReplyObject(r);
  return mine || no_right;
}

/* The key expires by itself: nobody has to give a turn back. */
static bool redis_turn(struct queue *base, uint32_t kind, int64_t for_us) {
  struct redis_queue *q = self(base);
  char key[KEY_BYTES], node[24], ms[24];
  bool mine = false;
  snprintf(key, sizeof key, "weir:%s:turn:%08x", q->prefix, kind);
  snprintf(node, sizeof node, "%lld", (long long)atomic_load(&q->node));
  snprintf(ms, sizeof ms, "%lld", (long long)(for_us / 1000 > 0 ? for_us / 1000 : 1));
  pthread_mutex_lock(&q->push_mu);
  if (redis_link_get(q, &q->push, FIRST_DIAL_US, NULL) &&
      redis_push_send(q, redis_append(q->push.c, 6, (const char *[]){"SET", key, node, "NX", "PX", ms})))
    mine = turn_answer(q);
  pthread_mutex_unlock(&q->push_mu);
  return mine;
}

/* ---- pop ---- */

static void bad_hint(struct redis_queue *q, const char *s, size_t n) {
  int64_t now = clock_mono_us();
  char quoted[WR_QUOTE_MAX];
  q->bad++;
  if (q->bad_us && now - q->bad_us < BAD_LOG_US) return;
  log_warn("queue.bad_hint", L_STR("hint", wr_err_quote(quoted, s, n)), L_INT("count", q->bad));
  q->bad_us = now;
  q->bad = 0;
}

bool redis_hint_read(const char *s, size_t n, struct hint *out) {
  const char *colon = memchr(s, ':', n);
  if (!colon) return false;
  size_t head = (size_t)(colon - s), tail = n - head - 1;
  bool queued = tail > 1 && s[n - 1] == 'q';
  tail -= queued;
  if (!text_id(s, head, &out->ti)) return false;
  out->fi = 0;
  if (!(tail == 1 && colon[1] == '0') && !text_id(colon + 1, tail, &out->fi)) return false;
  if (queued) out->fi |= HINT_QUEUED;
  return true;
}

/* False: r is not a string, or more came than was asked for. */
static bool pop_value(struct redis_queue *q, const redisReply *r, uint16_t list) {
  if (r->type != REDIS_REPLY_STRING || q->n_spare == POP_MAX) return false;
  q->spare[q->n_spare].list = list;
  if (redis_hint_read(r->str, r->len, &q->spare[q->n_spare])) q->n_spare++;
  else bad_hint(q, r->str, r->len);
  return true;
}

/* Another queue's key was asked for: our nudge list, or what says that there are other lists now. */
static void pop_signal(struct redis_queue *q, const char *key) {
  if (strncmp(key, q->wake_keys, strlen(q->wake_keys)) != 0) q->nudged = true;
  else q->lists_woken = true;
}

/* [key, value] of BRPOP or [key, [values]] of BLMPOP. */
static bool pop_first(struct redis_queue *q, const redisReply *r) {
  uint16_t list;
  if (r->type == REDIS_REPLY_NIL) return true;
  if (r->type != REDIS_REPLY_ARRAY || r->elements != 2) return false;
  const redisReply *key = r->element[0], *v = r->element[1];
  if (key->type != REDIS_REPLY_STRING) return false;
  if (!redis_lists_find(q, key->str, &list)) {
    pop_signal(q, key->str);
    return true;
  }
  if (v->type != REDIS_REPLY_ARRAY) return pop_value(q, v, list);
  if (v->elements > q->asked) return false;
  for (size_t i = 0; i < v->elements; i++)
    if (!pop_value(q, v->element[i], list)) return false;
  return true;
}

/* A single pop: they go round the lists, beginning with the one whose turn it was. */
static bool pop_single(struct redis_queue *q, const redisReply *r) {
  const struct mine *m = &q->mine[(q->turn + q->nth++) % q->n_mine];
  return r->type == REDIS_REPLY_NIL || pop_value(q, r, m->list);
}

/* Sorts one reply of the pop under way: the blocking one, then single pops, then how many lists are not empty. NULL, or what is
 * wrong. */
static const char *pop_reply(struct redis_queue *q, const redisReply *r) {
  bool first = q->first, last = q->owed == 1, ok;
  q->first = false;
  q->owed--;
  if (r->type == REDIS_REPLY_ERROR) {
    if (!first || q->no_blmpop || strncmp(r->str, "ERR unknown command", 19) != 0) return r->str;
    q->no_blmpop = true; /* older than Redis 7 */
    return NULL;
  }
  if (first) ok = pop_first(q, r);
  else if (last) ok = r->type == REDIS_REPLY_INTEGER && r->integer >= 0;
  else ok = pop_single(q, r);
  if (ok && last) {
    atomic_store(&q->known, (size_t)r->integer);
    q->turn++;
  }
  return ok ? NULL : "unexpected answer";
}

static bool single_pops(struct redis_queue *q, redisContext *c) {
  bool ok = true;
  for (unsigned i = 1; ok && i < q->asked; i++)
    ok = redis_append(c, 2, (const char *[]){"RPOP", q->mine[(q->turn + i - 1) % q->n_mine].key});
  return ok;
}

/* BLMPOP of up to n, or BRPOP and single RPOPs; EXISTS after it says whether more is there. The nudge list comes first, then
 * what says that there are other lists, then ours in their turn. */
static bool pop_send(struct redis_queue *q, redisContext *c, size_t n, int64_t wait_us) {
  char nudge[KEY_BYTES], wake[WAKE_BYTES], count[16], keys[16], wait[32];
  const char *blmpop[MINE_MAX + 8] = {"BLMPOP", wait, keys}, *argv[MINE_MAX + 8] = {"EXISTS"};
  const char **first = q->no_blmpop ? argv + 1 : blmpop + 3;
  int64_t node = atomic_load(&q->node), ms = wait_us / 1000;
  size_t limit = q->no_blmpop ? POP_SINGLE : POP_MAX;
  if (ms < 1) ms = 1;
  if (ms > 60000) ms = 60000;
  if (q->no_blmpop) ms = (ms + 999) / 1000 * 1000; /* whole seconds before Redis 6 */
  nudge_key(q, node, nudge);
  redis_lists_wake_key(q, wake);
  q->asked = (unsigned)(n < limit ? n : limit);
  snprintf(count, sizeof count, "%u", q->asked);
  first[0] = nudge;
  first[1] = wake;
  size_t lists = redis_lists_keys(q, first + 2), at = lists + 2;
  bool ok;
  if (q->no_blmpop) {
    argv[0] = "BRPOP";
    snprintf(wait, sizeof wait, "%lld", (long long)ms / 1000);
    first[at] = wait;
    ok = redis_append(c, (int)at + 2, argv) && single_pops(q, c);
    q->owed = q->asked + 1;
  } else {
    snprintf(wait, sizeof wait, "%lld.%03lld", (long long)ms / 1000, (long long)ms % 1000);
    snprintf(keys, sizeof keys, "%zu", at);
    first[at] = "RIGHT";
    first[at + 1] = "COUNT";
    first[at + 2] = count;
    ok = redis_append(c, (int)at + 6, blmpop);
    q->owed = 2;
  }
  argv[0] = "EXISTS";
  (void)redis_lists_keys(q, argv + 1);
  ok = ok && redis_append(c, (int)lists + 1, argv) && redis_flush(c);
  q->first = true;
  q->nth = 0;
  q->dead_us = redis_after(ms * 1000 + COMMAND_US);
  return ok;
}

static void pop_lost(struct redis_queue *q, enum loss loss, const char *why) {
  q->owed = 0;
  q->no_blmpop = false; /* the next one may be newer */
  atomic_store(&q->known, 0);
  redis_link_lost(q, &q->pop, loss, why);
}

/* Waits for one reply until until_us, telling depth meanwhile whether the list is empty. */
static enum await pop_await(struct redis_queue *q, redisContext *c, int64_t until_us, redisReply **r) {
  int64_t end = until_us < q->dead_us ? until_us : q->dead_us, soon = redis_after(EMPTY_AFTER_US);
  enum await how = TIMED_OUT;
  if (atomic_load(&q->known) > 0) how = redis_await(c, soon < end ? soon : end, q->wake_fd, r);
  if (how == TIMED_OUT && q->first) {
    atomic_store(&q->known, 0);
    atomic_store(&q->blocked, true);
  }
  if (how == TIMED_OUT) how = redis_await(c, end, q->wake_fd, r);
  atomic_store(&q->blocked, false);
  return how;
}

/* Runs pops until one brings something, the time is over or it is woken. False: away. */
static bool pop_run(struct redis_queue *q, redisContext *c, size_t n, int64_t wait_us) {
  int64_t until = redis_after(wait_us > POP_MIN_US ? wait_us : POP_MIN_US);
  do {
    redisReply *r = NULL;
    const char *bad = q->owed ? NULL : redis_lists_look(q, c);
    if (bad) {
      pop_lost(q, LOSS_AWAY, bad);
      return false;
    }
    if (q->owed == 0 && !pop_send(q, c, n, until - clock_mono_us())) {
      pop_lost(q, LOSS_BROKEN, "connection lost");
      return false;
    }
    enum await how = pop_await(q, c, until, &r);
    if (how == WOKEN) return true;
    if (how == TIMED_OUT && clock_mono_us() < q->dead_us) return true;
    if (how != GOT) {
      if (how == TIMED_OUT) pop_lost(q, LOSS_AWAY, "no answer");
      else pop_lost(q, LOSS_BROKEN, "connection lost");
      return false;
    }
    const char *why = pop_reply(q, r);
    if (why) pop_lost(q, LOSS_AWAY, why);
    freeReplyObject(r);
    if (why) return false;
    if (q->owed == 0) redis_link_good(q, &q->pop);
  } while (q->owed || (!q->n_spare && !q->nudged && clock_mono_us() < until));
  return true;
}

static size_t take_spare(struct redis_queue *q, struct hint *out, size_t n) {
  size_t left = q->n_spare - q->spare_at, got = n < left ? n : left;
  memcpy(out, q->spare + q->spare_at, got * sizeof *out);
  q->spare_at += got;
  if (q->spare_at == q->n_spare) q->spare_at = q->n_spare = 0;
  return got;
}

/* Under mu: was the poller woken? The wake is then used up. */
static bool take_wake(struct redis_queue *q) {
  bool woken = q->woken;
  if (woken && !q->closing) {
    uint64_t n;
    (void)!read(q->wake_fd, &n, sizeof n); /* readable: it was set */
  }
  q->woken = false;
  return woken;
}

static bool pop_enter(struct redis_queue *q) {
  pthread_mutex_lock(&q->mu);
  bool ok = !q->closing && !take_wake(q);
  if (ok) q->popping++;
  pthread_mutex_unlock(&q->mu);
  return ok;
}

/* True: it was woken meanwhile, or is closing. */
static bool pop_leave(struct redis_queue *q) {
  pthread_mutex_lock(&q->mu);
  q->popping--;
  bool woken = take_wake(q) || q->closing;
  if (q->closing) pthread_cond_broadcast(&q->cv);
  pthread_mutex_unlock(&q->mu);
  return woken;
}

static size_t redis_pop(struct queue *base, struct hint *out, size_t n, int64_t wait_us, bool *away) {
  struct redis_queue *q = self(base);
  *away = false;
  if (!pop_enter(q)) return 0;
  if (q->n_spare == 0 && !q->nudged) {
    redisContext *c = redis_link_get(q, &q->pop, wait_us > FIRST_DIAL_US ? wait_us : FIRST_DIAL_US, &q->woken);
    *away = c ? !pop_run(q, c, n, wait_us) : true;
  }
  size_t got = 0;
  if (q->nudged) {
    q->nudged = false;
    out[got++] = (struct hint){0};
  }
  got += take_spare(q, out + got, n - got);
  if (pop_leave(q) || got) *away = false;
  return got;
}

/* Asks the nudge list and waits to be woken, alternately. */
static void nudge_run(struct redis_queue *q, redisContext *c, int64_t until_us) {
  char key[KEY_BYTES];
  nudge_key(q, atomic_load(&q->node), key);
  for (int woken = 0; !woken && !q->nudged;) {
    redisReply *r = NULL;
    enum await how = BROKEN;
    if (redis_append(c, 2, (const char *[]){"RPOP", key}) && redis_flush(c))
      how = redis_await(c, redis_after(COMMAND_US), -1, &r);
    bool ok = how == GOT && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_NIL);
    q->nudged = ok && r->type == REDIS_REPLY_STRING;
    if (ok) redis_link_good(q, &q->pop);
    else pop_lost(q, how == BROKEN ? LOSS_BROKEN : LOSS_AWAY, r && r->type == REDIS_REPLY_ERROR ? r->str : "no answer");
    if (r) freeReplyObject(r);
    int64_t left = until_us - clock_mono_us();
    if (!ok || left <= 0) return;
    struct timespec ts = mono_at(left < NUDGE_LOOK_US ? left : NUDGE_LOOK_US);
    struct pollfd p = {.fd = q->wake_fd, .events = POLLIN};
    if (!q->nudged) woken = ppoll(&p, 1, &ts, NULL) > 0;
  }
}

/* A pop already under way brings nudges first; otherwise the nudge list is asked alone, which takes no hints. */
static bool redis_pop_nudge(struct queue *base, int64_t wait_us, bool *away) {
  struct redis_queue *q = self(base);
  int64_t until = redis_after(wait_us);
  if (!pop_enter(q)) return false;
  redisContext *c = q->nudged ? NULL : redis_link_get(q, &q->pop, wait_us, &q->woken);
  if (c && q->owed) (void)pop_run(q, c, 1, until - clock_mono_us());
  else if (c) nudge_run(q, c, until);
  bool nudged = q->nudged;
  *away = !nudged && q->pop.c == NULL;
  q->nudged = false;
  if (pop_leave(q)) *away = false;
  return nudged;
}

static void redis_wake(struct queue *base) {
  struct redis_queue *q = self(base);
  const uint64_t one = 1;
  pthread_mutex_lock(&q->mu);
  if (!q->woken && !q->closing) (void)!write(q->wake_fd, &one, sizeof one); /* an eventfd far from full */
  q->woken = true;
  pthread_cond_broadcast(&q->cv);
  pthread_mutex_unlock(&q->mu);
}

static void redis_set_node(struct queue *base, int64_t incarnation) { atomic_store(&self(base)->node, incarnation); }

static size_t redis_depth(struct queue *base) {
  struct redis_queue *q = self(base);
  return atomic_load(&q->blocked) ? 0 : atomic_load(&q->known);
}

/* ---- life ---- */

/* Hints popped and never handed out go back to where they were, if Redis is there and has room: the rows have them. */
static void give_back(struct redis_queue *q) {
  size_t left = q->n_spare - q->spare_at, lost = 0;
  struct hint h[PUSH_CHUNK];
  pthread_mutex_lock(&q->push_mu);
  while (left > 0) {
    size_t n = 0, sent = 0;
    const struct hint *last = &q->spare[q->spare_at + left - 1];
    for (; n < left && n < PUSH_CHUNK && (last - n)->list == last->list; n++) h[n] = *(last - n);
    left -= n;
    if (lost > 0 || !redis_link_get(q, &q->push, FIRST_DIAL_US, NULL) || !redis_lists_push(q, "RPUSH", h, n, END_US, &sent) ||
        sent < n)
      lost += n - sent;
  }
  if (lost > 0) log_info("queue.hints_lost", L_INT("hints", (int64_t)lost));
  q->spare_at = q->n_spare = 0;
  pthread_mutex_unlock(&q->push_mu);
}

/* Asks the server to answer the pop that is open there, now. Closing our connection instead would lose a hint that is
 * given to it at that very moment. */
static void unblock(struct redis_queue *q) {
  char id[24];
  long long n;
  snprintf(id, sizeof id, "%lld", (long long)q->pop.client);
  pthread_mutex_lock(&q->push_mu);
  if (q->pop.client && redis_link_get(q, &q->push, FIRST_DIAL_US, NULL) &&
      redis_push_send(q, redis_append(q->push.c, 3, (const char *[]){"CLIENT", "UNBLOCK", id})))
    (void)redis_push_count(q, redis_after(END_US), &n); /* 0 = it was not blocked: its answer is on its way */
  else if (q->pop.c) (void)shutdown(q->pop.c->fd, SHUT_WR);
  pthread_mutex_unlock(&q->push_mu);
}

static void redis_pop_end(struct queue *base) {
  struct redis_queue *q = self(base);
  if (q->pop.c && q->owed) {
    unblock(q);
    int64_t until = redis_after(END_US);
    for (redisReply *r = NULL; q->owed && redis_await(q->pop.c, until, -1, &r) == GOT; r = NULL) {
      (void)pop_reply(q, r); /* an error brings no hint */
      freeReplyObject(r);
    }
  }
  if (q->pop.c) redisFree(q->pop.c);
  q->pop.c = NULL;
  q->owed = 0;
  give_back(q);
}

static void redis_health(struct queue *base, struct health_part *out) {
  struct redis_queue *q = self(base);
  pthread_mutex_lock(&q->mu);
  out->ok = !q->told;
  if (q->told) snprintf(out->why, sizeof out->why, "Redis is away: %s", q->why);
  pthread_mutex_unlock(&q->mu);
}

static void redis_done(struct redis_queue *q) {
  struct link *links[2] = {&q->push, &q->pop};
  for (int i = 0; i < 2; i++) {
    if (links[i]->c) redisFree(links[i]->c);
    if (links[i]->fresh) redisFree(links[i]->fresh);
  }
  if (q->wake_fd >= 0) close(q->wake_fd);
  pthread_cond_destroy(&q->cv);
  pthread_mutex_destroy(&q->mu);
  pthread_mutex_destroy(&q->push_mu);
  redis_where_done(&q->where);
  redis_lists_done(q);
  free(q->spare);
  free(q);
}

static void redis_close(struct queue *base) {
  struct redis_queue *q = self(base);
  const uint64_t one = 1;
  pthread_mutex_lock(&q->mu);
  q->closing = true;
  (void)!write(q->wake_fd, &one, sizeof one);
  if (q->dial_fd >= 0) (void)shutdown(q->dial_fd, SHUT_RDWR); /* ends its connect or handshake */
  pthread_cond_broadcast(&q->cv);
  while (q->popping) pthread_cond_wait(&q->cv, &q->mu);
  pthread_mutex_unlock(&q->mu);
  redis_pop_end(base);
  pthread_join(q->dialer, NULL);
  redis_done(q);
}

static void redis_lists_of(struct queue *base, const struct queue_of *of) {
  struct redis_queue *q = self(base);
  q->of = *of;
  redis_lists_init(q, of->install);
}

static void redis_lists_changed(struct queue *base) { atomic_store(&self(base)->lists_stale, true); }

static bool redis_pops(struct queue *base, uint16_t list) {
  const struct redis_queue *q = self(base);
  for (size_t i = 0; i < q->n_mine; i++)
    if (q->mine[i].list == list) return true;
  return false;
}

static const struct queue_ops redis_ops = {
    .lists = redis_lists_of, .lists_changed = redis_lists_changed, .pops = redis_pops, .lengths = redis_lengths,
    .forget = redis_forget,
    .set_node = redis_set_node, .close = redis_close, .push = redis_push, .pop = redis_pop,
    .pop_nudge = redis_pop_nudge, .pop_end = redis_pop_end, .turn = redis_turn, .health = redis_health, .wake = redis_wake,
    .nudge = redis_nudge, .depth = redis_depth,
};

enum wr_rc queue_redis_new(struct redis_where *w, const char *prefix, size_t max_hints, struct queue **out,
                           struct wr_err *err) {
  struct redis_queue *q = wr_new(struct redis_queue);
  q->base.ops = &redis_ops;
  q->where = *w;
  q->max = max_hints;
  q->dial_fd = -1;
  q->spare = wr_calloc(POP_MAX, sizeof *q->spare);
  snprintf(q->prefix, sizeof q->prefix, "%s", prefix);
  redis_lists_init(q, prefix);
  pthread_mutex_init(&q->mu, NULL);
  pthread_mutex_init(&q->push_mu, NULL);
  cond_mono(&q->cv);
  q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (q->wake_fd < 0 || log_thread(&q->dialer, NULL, redis_dialer, q) != 0) {
    redis_done(q);
    return wr_err_set(err, WR_INTERNAL, "No file or thread is left for the queue.");
  }
  *out = &q->base;
  return WR_OK;
}
