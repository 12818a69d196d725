/* The lists of the Redis queue: which there are, how much fits, and which of them the poller pops. Keys of an installation P:
 *
 *   weir:P.part:q:CLASS    a list of hints; CLASS default:0 = the shared list, which was the only one in former versions
 *   weir:P:lists           the keys of all lists that were pushed to, LIMIT_HINT_LISTS at most: these are counted
 *   weir:P:gen             a number by chance, another one each time that set changes
 *   weir:P.part:proof      a list of one, for a second: whether a push would be taken after one was refused
 *   weir:P:w:GEN           wakes a poller which knows the set as it was at GEN, and which wakes the next one so; it expires
 *
 * A push is one script, so that counting and pushing are one step. Nothing is counted beside the lists, so no count can drift.
 * All of these keys may be lost at any time: the next push makes them again, and a poller reads the set once a second.
 *
 * The push half is used under push_mu, the rest by the poller. What never happens: more hints than max after a push; a push to a
 * key that is not in the set. */
#include "redis_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "map64.h"
#include "mem.h"

enum { LISTS_FRESH_US = 1000000, WAKE_TTL_S = 60 };

/* KEYS: the list, the shared list, the set, the number. ARGV: most hints, most lists, a new number, how keys that wake begin, how
 * to push, hints. Returns how many hints were pushed, and the length of the list. When there are too many lists, those that are
 * empty leave the set; when none is, the hints go to the shared list. */
static const char script[] =
    "local at, n_lists, total, changed, list = {}, 0, 0, false, KEYS[1]\n"
    "local function count(key) at[key] = redis.call('LLEN', key) total = total + at[key] n_lists = n_lists + 1 end\n"
    "local function add(key) redis.call('SADD', KEYS[3], key) count(key) changed = true end\n"
    "local all = redis.call('SMEMBERS', KEYS[3])\n"
    "for _, key in ipairs(all) do count(key) end\n"
    "if not at[KEYS[2]] then add(KEYS[2]) end\n"
    "if not at[list] and n_lists >= tonumber(ARGV[2]) then\n"
    "  for _, key in ipairs(all) do\n"
    "    if at[key] == 0 and key ~= KEYS[2] then redis.call('SREM', KEYS[3], key) n_lists = n_lists - 1 changed = true end\n"
    "  end\n"
    "  if n_lists >= tonumber(ARGV[2]) then list = KEYS[2] end\n"
    "end\n"
    "if not at[list] then add(list) end\n"
    "if changed then\n"
    "  local wake = ARGV[4] .. (redis.call('GET', KEYS[4]) or '0')\n"
    "  redis.call('SET', KEYS[4], ARGV[3])\n"
    "  redis.call('LPUSH', wake, '1')\n"
    "  redis.call('EXPIRE', wake, 60)\n"
    "end\n"
    "local n, max = #ARGV - 5, tonumber(ARGV[1])\n"
    "local room, short = max - total, math.max(1, math.floor(max / 128)) - at[list]\n"
    "n = math.max(0, math.min(n, math.max(room - math.floor(max / 16), math.min(short, room))))\n"
    "if n > 0 then redis.call(ARGV[5], list, unpack(ARGV, 6, 5 + n)) end\n"
    "return {n, at[list] + n}\n";

void redis_lists_init(struct redis_queue *q, const char *install) {
  snprintf(q->list, sizeof q->list, "weir:%s:q:default:0", q->prefix);
  snprintf(q->set, sizeof q->set, "weir:%s:lists", install);
  snprintf(q->gen_key, sizeof q->gen_key, "weir:%s:gen", install);
  snprintf(q->wake_keys, sizeof q->wake_keys, "weir:%s:w:", install);
  snprintf(q->gen, sizeof q->gen, "0");
}

static void mine_clear(struct redis_queue *q) {
  for (size_t i = 0; i < q->n_mine; i++) free(q->mine[i].key);
  q->n_mine = 0;
}

void redis_lists_done(struct redis_queue *q) {
  mine_clear(q);
  free(q->mine);
}

static void list_key(const struct redis_queue *q, uint16_t list, char out[LIST_BYTES]) {
  char name[HINT_CLASS_BYTES];
  if (list == HINT_LIST_SHARED || !q->of.lists) {
    snprintf(out, LIST_BYTES, "%s", q->list);
    return;
  }
  hint_list_name(q->of.lists, list, name);
  snprintf(out, LIST_BYTES, "weir:%s:q:%s", q->prefix, name);
}

/* ---- push ---- */

/* The script is known to the server from then on, by its hash. NULL: the connection is gone. */
static const char *script_hash(struct redis_queue *q) {
  if (*q->sha) return q->sha;
  if (!redis_push_send(q, redis_append(q->push.c, 3, (const char *[]){"SCRIPT", "LOAD", script}))) return NULL;
  redisReply *r = redis_push_reply(q, redis_after(COMMAND_US));
  if (!r) return NULL;
  bool ok = r->type == REDIS_REPLY_STRING && r->len == SHA_BYTES - 1;
  if (ok) memcpy(q->sha, r->str, SHA_BYTES);
  else redis_link_lost(q, &q->push, LOSS_AWAY, r->type == REDIS_REPLY_ERROR ? r->str : "unexpected answer");
  freeReplyObject(r);
  return ok ? q->sha : NULL;
}

static bool script_send(struct redis_queue *q, const char *how, const struct hint *h, size_t n) {
  char key[LIST_BYTES], max[24], most[24], gen[24], text[PUSH_CHUNK][HINT_BYTES];
  const char *argv[PUSH_CHUNK + 12] = {"EVALSHA", script_hash(q), "4", key, q->list, q->set, q->gen_key, max, most, gen,
                                       q->wake_keys, how};
  uint64_t rnd;
  if (!argv[1]) return false;
  rand_secret(&rnd, sizeof rnd);
  list_key(q, h->list, key);
  snprintf(max, sizeof max, "%zu", q->max);
  snprintf(most, sizeof most, "%d", LIMIT_HINT_LISTS);
  snprintf(gen, sizeof gen, "%016llx", (unsigned long long)rnd);
  for (size_t i = 0; i < n; i++) {
    redis_hint_text(text[i], &h[i]);
    argv[i + 12] = text[i];
  }
  return redis_push_send(q, redis_append(q->push.c, (int)n + 12, argv));
}

static bool two_counts(const redisReply *r, size_t n, size_t *sent, size_t *len) {
  if (r->type != REDIS_REPLY_ARRAY || r->elements != 2) return false;
  const redisReply *a = r->element[0], *b = r->element[1];
  if (a->type != REDIS_REPLY_INTEGER || b->type != REDIS_REPLY_INTEGER) return false;
  if (a->integer < 0 || (unsigned long long)a->integer > n || b->integer < a->integer) return false;
  *sent = (size_t)a->integer;
  *len = (size_t)b->integer;
  return true;
}

/* A server that was restarted has forgotten the script: once more, with its text. */
bool redis_lists_push(struct redis_queue *q, const char *how, const struct hint *h, size_t n, int64_t wait_us, size_t *sent) {
  size_t len = 0;
  for (int i = 0; i < 2; i++) {
    redisReply *r = script_send(q, how, h, n) ? redis_push_reply(q, redis_after(wait_us)) : NULL;
    if (!r) return false;
    bool ok = two_counts(r, n, sent, &len), forgotten = r->type == REDIS_REPLY_ERROR && strncmp(r->str, "NOSCRIPT", 8) == 0;
    if (forgotten) *q->sha = '\0';
    if (!ok && (!forgotten || i > 0))
      redis_link_lost(q, &q->push, LOSS_AWAY, r->type == REDIS_REPLY_ERROR ? r->str : "unexpected answer");
    freeReplyObject(r);
    if (ok) {
      redis_link_good(q, &q->push);
      atomic_store(&q->known, len);
      return true;
    }
    if (!forgotten) return false;
  }
  return false;
}

/* The answer to one command on the way to a proof, or NULL and why. */
static redisReply *proof_step(redisContext *c, int argc, const char **argv, char why[WHY_BYTES]) {
  redisReply *r = NULL;
  bool ok = redis_append(c, argc, argv) && redis_flush(c) && redis_await(c, redis_after(CONNECT_US), -1, &r) == GOT;
  if (ok && r->type != REDIS_REPLY_ERROR) return r;
  snprintf(why, WHY_BYTES, "%.100s", ok ? r->str : "no answer");
  if (r) freeReplyObject(r);
  return NULL;
}

/* What a push does, with no hint: a key of a wrong type is found, and a server that takes no writes refuses the LPUSH. */
bool redis_lists_prove(const struct redis_queue *q, redisContext *c, char why[WHY_BYTES]) {
  char max[24], most[24], gen[24], sha[SHA_BYTES] = "", key[KEY_BYTES];
  uint64_t rnd;
  rand_secret(&rnd, sizeof rnd);
  snprintf(gen, sizeof gen, "%016llx", (unsigned long long)rnd);
  snprintf(max, sizeof max, "%zu", q->max);
  snprintf(most, sizeof most, "%d", LIMIT_HINT_LISTS);
  snprintf(key, sizeof key, "weir:%s:proof", q->prefix);
  struct { int argc; const char *argv[12]; } step[] = {
    {3, {"SCRIPT", "LOAD", script}},
    {12, {"EVALSHA", sha, "4", q->list, q->list, q->set, q->gen_key, max, most, gen, q->wake_keys, "LPUSH"}},
    {3, {"LPUSH", key, "1"}},
    {3, {"EXPIRE", key, "1"}}};
  for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
    redisReply *r = proof_step(c, step[i].argc, step[i].argv, why);
    if (!r) return false;
    if (i == 0) snprintf(sha, sizeof sha, "%s", r->type == REDIS_REPLY_STRING ? r->str : "");
    freeReplyObject(r);
  }
  return true;
}

/* ---- which lists the poller pops ---- */

static void mine_add(struct redis_queue *q, uint16_t list) {
  char key[LIST_BYTES];
  for (size_t i = 0; i < q->n_mine; i++)
    if (q->mine[i].list == list) return;
  if (q->n_mine == MINE_MAX) return;
  list_key(q, list, key);
  *WR_PUSH(q->mine, q->n_mine, q->cap_mine) = (struct mine){list, wr_strdup(key)};
}

/* The class of a key of ours; NULL: it is another queue's. */
static const char *class_of(const struct redis_queue *q, const char *key) {
  char begin[KEY_BYTES];
  size_t n = (size_t)snprintf(begin, sizeof begin, "weir:%s:q:", q->prefix);
  return strncmp(key, begin, n) == 0 ? key + n : NULL;
}

static void mine_named(struct redis_queue *q, const char *key) {
  char type[HINT_CLASS_BYTES], labels[HINT_CLASS_BYTES];
  const char *name = class_of(q, key);
  if (!name || !q->of.lists || !hint_class_read(name, strlen(name), type, labels) || !q->of.runs(q->of.ctx, type, labels)) return;
  mine_add(q, hint_list_named(q->of.lists, name, strlen(name)));
}

static void mine_make(struct redis_queue *q, const redisReply *set) {
  uint16_t own[MINE_MAX];
  mine_clear(q);
  mine_add(q, HINT_LIST_SHARED);
  size_t n = q->of.lists ? q->of.own(q->of.ctx, own, MINE_MAX) : 0;
  for (size_t i = 0; i < n; i++) mine_add(q, own[i]);
  for (size_t i = 0; i < set->elements; i++)
    if (set->element[i]->type == REDIS_REPLY_STRING) mine_named(q, set->element[i]->str);
}

static redisReply *pop_reply_of(redisContext *c) {
  redisReply *r = NULL;
  return redis_await(c, redis_after(COMMAND_US), -1, &r) == GOT ? r : NULL;
}

/* The number comes first: a set that changes between the two wakes whoever knows the number that was read. */
static const char *read_set(struct redis_queue *q, redisContext *c) {
  if (!redis_append(c, 2, (const char *[]){"GET", q->gen_key}) || !redis_append(c, 2, (const char *[]){"SMEMBERS", q->set}) ||
      !redis_flush(c)) return "connection lost";
  const char *why = NULL;
  redisReply *gen = pop_reply_of(c), *set = gen ? pop_reply_of(c) : NULL;
  bool number = gen && (gen->type == REDIS_REPLY_NIL || (gen->type == REDIS_REPLY_STRING && gen->len < sizeof q->gen));
  if (!set) why = "no answer";
  else if (!number || set->type != REDIS_REPLY_ARRAY) why = "unexpected answer";
  if (!why) {
    snprintf(q->gen, sizeof q->gen, "%s", gen->type == REDIS_REPLY_STRING ? gen->str : "0");
    mine_make(q, set);
  }
  if (gen) freeReplyObject(gen);
  if (set) freeReplyObject(set);
  return why;
}

void redis_lists_wake_key(const struct redis_queue *q, char out[WAKE_BYTES]) {
  snprintf(out, WAKE_BYTES, "%s%s", q->wake_keys, q->gen);
}

/* One element wakes one poller, since a pop takes all that there is. So each passes it on, unless the number is still the same:
 * then it would wake itself. A Redis that takes nothing does not matter: the others look once a second. */
static const char *wake_next(redisContext *c, const char *key) {
  char ttl[16];
  snprintf(ttl, sizeof ttl, "%d", WAKE_TTL_S);
  bool ok = redis_append(c, 3, (const char *[]){"LPUSH", key, "1"}) &&
            redis_append(c, 3, (const char *[]){"EXPIRE", key, ttl}) && redis_flush(c);
  for (int i = 0; ok && i < 2; i++) {
    redisReply *r = pop_reply_of(c);
    ok = r != NULL;
    if (r) freeReplyObject(r);
  }
  return ok ? NULL : "no answer";
}

const char *redis_lists_look(struct redis_queue *q, redisContext *c) {
  int64_t now = clock_mono_us();
  bool changed = atomic_exchange(&q->lists_stale, false), woken = q->lists_woken;
  char old[WAKE_BYTES], new[WAKE_BYTES];
  if (q->n_mine > 0 && !changed && !woken && now - q->lists_us < LISTS_FRESH_US) return NULL;
  q->lists_us = now;
  q->lists_woken = false;
  redis_lists_wake_key(q, old);
  const char *why = read_set(q, c);
  redis_lists_wake_key(q, new);
  return why || !woken || strcmp(old, new) == 0 ? why : wake_next(c, old);
}

size_t redis_lists_keys(const struct redis_queue *q, const char **argv) {
  for (size_t i = 0; i < q->n_mine; i++) argv[i] = q->mine[(q->turn + i) % q->n_mine].key;
  return q->n_mine;
}

bool redis_lists_find(const struct redis_queue *q, const char *key, uint16_t *list) {
  for (size_t i = 0; i < q->n_mine; i++) {
    if (strcmp(q->mine[i].key, key) != 0) continue;
    *list = q->mine[i].list;
    return true;
  }
  return false;
}

/* ---- lengths ---- */

static const char *shown(const char *key) {
  const char *name = strstr(key, ":q:");
  return !name ? NULL : strcmp(name, ":q:default:0") == 0 ? HINT_LIST_SHARED_NAME : name + 3;
}

/* SMEMBERS of the set; NULL: not known. Under push_mu, as all that follows. */
static redisReply *all_lists(struct redis_queue *q) {
  redisReply *set = NULL;
  if (redis_link_get(q, &q->push, FIRST_DIAL_US, NULL) &&
      redis_push_send(q, redis_append(q->push.c, 2, (const char *[]){"SMEMBERS", q->set})))
    set = redis_push_reply(q, redis_after(COMMAND_US));
  if (!set || set->type == REDIS_REPLY_ARRAY) return set;
  redis_link_lost(q, &q->push, LOSS_AWAY, set->type == REDIS_REPLY_ERROR ? set->str : "unexpected answer");
  freeReplyObject(set);
  return NULL;
}

static bool lengths_of(struct redis_queue *q, const redisReply *set, hints_each *each, void *to) {
  size_t n = set->elements < LENGTHS_MOST ? set->elements : LENGTHS_MOST;
  bool ok = true;
  for (size_t i = 0; ok && i < n; i++)
    ok = set->element[i]->type == REDIS_REPLY_STRING &&
         redis_append(q->push.c, 2, (const char *[]){"LLEN", set->element[i]->str});
  if (n > 0 && !redis_push_send(q, ok)) return false;
  for (size_t i = 0; i < n; i++) {
    long long len;
    if (!redis_push_count(q, redis_after(COMMAND_US), &len)) return false;
    const char *name = shown(set->element[i]->str);
    if (name) each(to, name, len);
  }
  return true;
}

bool redis_lengths(struct queue *base, hints_each *each, void *to) {
  struct redis_queue *q = (struct redis_queue *)base;
  pthread_mutex_lock(&q->push_mu);
  redisReply *set = all_lists(q);
  bool ok = set && lengths_of(q, set, each, to);
  if (ok) redis_link_good(q, &q->push);
  if (set) freeReplyObject(set);
  pthread_mutex_unlock(&q->push_mu);
  return ok;
}

/* ---- hints of tasks that are gone ---- */

static bool is_gone(const redisReply *r, const int64_t *ti, size_t n) {
  struct hint h;
  return r->type == REDIS_REPLY_STRING && redis_hint_read(r->str, r->len, &h) && (h.fi & ~HINT_QUEUED) == 0 &&
         bsearch(&h.ti, ti, n, sizeof *ti, wr_by_id) != NULL;
}

/* Of hints of this page: the last one stands nearest to the end at which LREM begins. False: the connection is gone. */
static bool page_drop(struct redis_queue *q, const char *key, const redisReply *page, const int64_t *ti, size_t n,
                      size_t *dropped) {
  size_t m = 0;
  bool ok = true;
  for (size_t i = page->elements; ok && i-- > 0;)
    if (is_gone(page->element[i], ti, n))
      m++, ok = redis_append(q->push.c, 4, (const char *[]){"LREM", key, "-1", page->element[i]->str});
  if (m > 0 && !redis_push_send(q, ok)) return false;
  for (*dropped = 0; m > 0; m--) {
    redisReply *r = redis_push_reply(q, redis_after(COMMAND_US));
    if (!r) return false;
    if (r->type == REDIS_REPLY_INTEGER && r->integer > 0) ++*dropped;
    freeReplyObject(r);
  }
  return true;
}

/* From the end at which it is popped. Who pops meanwhile drops what this passes over. */
static bool list_drop(struct redis_queue *q, const char *key, const int64_t *ti, size_t n) {
  for (size_t at = 0, got = PUSH_CHUNK, dropped; got == PUSH_CHUNK; at += got - dropped) {
    char from[24], to[24];
    snprintf(from, sizeof from, "-%zu", at + PUSH_CHUNK);
    snprintf(to, sizeof to, "-%zu", at + 1);
    pthread_mutex_lock(&q->push_mu);
    redisReply *page = NULL;
    if (redis_link_get(q, &q->push, FIRST_DIAL_US, NULL) &&
        redis_push_send(q, redis_append(q->push.c, 4, (const char *[]){"LRANGE", key, from, to})))
      page = redis_push_reply(q, redis_after(COMMAND_US));
    bool ok = page && page->type == REDIS_REPLY_ARRAY && page_drop(q, key, page, ti, n, &dropped);
    got = ok ? page->elements : 0;
    if (page) freeReplyObject(page);
    pthread_mutex_unlock(&q->push_mu);
    if (!ok) return false;
  }
  return true;
}

bool redis_forget(struct queue *base, const int64_t *ti, size_t n) {
  struct redis_queue *q = (struct redis_queue *)base;
  pthread_mutex_lock(&q->push_mu);
  redisReply *set = all_lists(q);
  pthread_mutex_unlock(&q->push_mu);
  bool ok = set != NULL;
  for (size_t i = 0; ok && i < set->elements; i++)
    ok = set->element[i]->type != REDIS_REPLY_STRING || list_drop(q, set->element[i]->str, ti, n);
  if (set) freeReplyObject(set);
  return ok;
}
