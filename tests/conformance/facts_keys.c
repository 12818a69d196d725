/* Facts of idempotency keys: a key is written with its rows or not at all, and once, whoever is first; it is kept, read back, and
 * deleted when it is old. */
#include "facts.h"
#include <pthread.h>
#include "clock.h"

#define DAY_US (86400LL * 1000000)

/* Names that no other fact uses. */
static void name(char out[LIMIT_KEY_CHARS + 1], const char *what, int i) { snprintf(out, LIMIT_KEY_CHARS + 1, "%s-%06d", what, i); }

static struct key_write key_of(struct world *w, const char *key, int64_t first_id) {
  struct key_write k = {.key = key, .row = {.kind = KEY_STARTS, .first_id = first_id, .n = 1, .create_us = world_now(w)}};
  for (size_t i = 0; i < KEY_HASH_BYTES; i++) k.row.hash[i] = (uint8_t)(first_id * 7 + (int64_t)i * 11);
  return k;
}

static void key_same(const struct key_row *a, const struct key_row *b) {
  assert_memory_equal(a->hash, b->hash, KEY_HASH_BYTES);
  assert_int_equal(a->kind, b->kind);
  assert_int_equal(a->first_id, b->first_id);
  assert_int_equal(a->n, b->n);
  assert_int_equal(a->create_us, b->create_us);
}

static enum store_rc put_keys(struct world *w, struct key_write *k, size_t n) {
  struct batch b = {.key = k, .n_key = n};
  return batch_do(w, &b);
}

/* Asks as the runner does; returns 0, 1 or 2 (store_keys()). */
static uint8_t ask(struct world *w, const char *key, struct key_row *out) {
  uint8_t got = 9;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_keys(w->s, &key, 1, out, &got));
  store_rollback(w->s);
  return got;
}

static bool reads(struct world *w, const char *key, struct key_row *out) {
  struct wr_err err;
  struct reader *r = reader_of(w);
  enum wr_rc rc = reader_key(r, key, out, &err);
  reader_put(r);
  if (rc && rc != WR_NOT_FOUND) fail_msg("%s", err.msg);
  return rc == WR_OK;
}

/* ---- one key ---- */
static void key_reads_back(struct world *w) {
  struct key_write k[2] = {key_of(w, "back-a", 7), key_of(w, "back-b", 8)};
  struct key_row got;
  k[0].row.kind = 200, k[0].row.n = 1000, k[0].row.first_id = INT64_C(1) << 52;
  for (size_t i = 0; i < KEY_HASH_BYTES; i++) k[1].row.hash[i] = (uint8_t)(i ? 255 - i : 0);
  OK(put_keys(w, k, 2));
  for (int i = 0; i < 2; i++) {
    assert_int_equal(ask(w, k[i].key, &got), 1);
    key_same(&got, &k[i].row);
    assert_true(reads(w, k[i].key, &got));
    key_same(&got, &k[i].row);
  }
}

static void key_that_is_free(struct world *w) {
  struct key_row got;
  assert_int_equal(ask(w, "never-used", &got), 0);
  assert_false(reads(w, "never-used", &got));
}

static void every_byte_of_a_hash(struct world *w) {
  char key[8][LIMIT_KEY_CHARS + 1];
  struct key_write k[8];
  struct key_row got;
  for (int i = 0; i < 8; i++) {
    name(key[i], "hash", i);
    k[i] = key_of(w, key[i], i);
    for (size_t b = 0; b < KEY_HASH_BYTES; b++) k[i].row.hash[b] = (uint8_t)((size_t)i * KEY_HASH_BYTES + b);
  }
  OK(put_keys(w, k, 8));
  for (int i = 0; i < 8; i++) {
    assert_int_equal(ask(w, key[i], &got), 1);
    key_same(&got, &k[i].row);
  }
}

/* Quotes, backslash, percent: text like any other. Case counts, and so does every character up to the last. */
static void key_of_any_visible_character(struct world *w) {
  char all[95] = "", longest[LIMIT_KEY_CHARS + 1], other[LIMIT_KEY_CHARS + 1];
  struct key_row got;
  for (int c = '!'; c <= '~'; c++) all[c - '!'] = (char)c;
  memset(longest, 'x', LIMIT_KEY_CHARS);
  longest[LIMIT_KEY_CHARS] = '\0';
  memcpy(other, longest, sizeof other);
  other[LIMIT_KEY_CHARS - 1] = 'y';
  const char *const names[] = {all, "Case", "case", "';--", "\"", "\\", "%", "_", longest};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct key_write k = key_of(w, names[i], (int64_t)i + 1);
    assert_int_equal(ask(w, names[i], &got), 0);
    OK(put_keys(w, &k, 1));
    assert_int_equal(ask(w, names[i], &got), 1);
    key_same(&got, &k.row);
  }
  assert_int_equal(ask(w, "CASE", &got), 0);
  assert_int_equal(ask(w, "x", &got), 0);
  assert_int_equal(ask(w, other, &got), 0);
}

static void key_outlives_the_process(struct world *w) {
  struct key_write k = key_of(w, "outlives", 5);
  struct key_row got;
  OK(put_keys(w, &k, 1));
  world_again(w);
  assert_int_equal(ask(w, "outlives", &got), 1);
  key_same(&got, &k.row);
}

/* ---- with its rows or not at all ---- */
static void key_and_rows_are_one(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = {.flow_id = f->flow_id, .flow_version = f->version, .bases = "1:1"};
  struct key_row got;
  int64_t defs;
  OK(store_ids(w->s, ID_FI, 1, &s.fi));
  struct flow_write fw = {.op = ROW_INSERT, .row = flow_row_of(w, &s)};
  struct key_write k = key_of(w, "one", s.fi);
  struct batch b = {.id = world_batch_id(w), .flow = &fw, .n_flow = 1, .key = &k, .n_key = 1};
  OK(store_begin(w->s, &defs));
  OK(store_write(w->s, &b));
  store_rollback(w->s);
  assert_int_equal(ask(w, "one", &got), 0);
  OK(batch_do(w, &b));
  assert_int_equal(ask(w, "one", &got), 1);
  assert_int_equal(flow_get(w, s.fi).flow_id, f->flow_id);
  def_flow_unref(f);
}

static void stale_start_leaves_no_key(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = {.flow_id = f->flow_id, .flow_version = f->version + 1, .bases = "1:1"};
  struct key_row got;
  OK(store_ids(w->s, ID_FI, 1, &s.fi));
  struct flow_write fw = {.op = ROW_INSERT, .row = flow_row_of(w, &s)};
  struct key_write k = key_of(w, "stale-start", s.fi);
  struct batch b = {.flow = &fw, .n_flow = 1, .key = &k, .n_key = 1};
  IS(batch_do(w, &b), STORE_STALE);
  assert_int_equal(ask(w, "stale-start", &got), 0);
  def_flow_unref(f);
}

static void second_write_is_refused_whole(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct key_write first = key_of(w, "second-b", 1);
  struct key_row got;
  uint8_t there = 9;
  int64_t defs;
  OK(put_keys(w, &first, 1));
  struct started s = {.flow_id = f->flow_id, .flow_version = f->version, .bases = "1:1"};
  OK(store_ids(w->s, ID_FI, 1, &s.fi));
  struct flow_write fw = {.op = ROW_INSERT, .row = flow_row_of(w, &s)};
  struct flow_row row;
  struct key_write k[3] = {key_of(w, "second-a", 2), key_of(w, "second-b", 3), key_of(w, "second-c", 4)};
  struct batch b = {.flow = &fw, .n_flow = 1, .key = k, .n_key = 3};
  IS(batch_do(w, &b), STORE_RETRY);
  assert_int_equal(ask(w, "second-b", &got), 1);
  key_same(&got, &first.row);
  assert_int_equal(ask(w, "second-a", &got), 0);
  assert_int_equal(ask(w, "second-c", &got), 0);
  OK(store_begin(w->s, &defs));
  OK(store_lock(w->s, &s.fi, 1, &row, &there));
  store_rollback(w->s);
  assert_int_equal(there, 0);
  k[1] = k[2]; /* without the used key the batch goes through */
  b.n_key = 2;
  OK(batch_do(w, &b));
  assert_int_equal(ask(w, "second-c", &got), 1);
  def_flow_unref(f);
}

/* ---- many ---- */
static void many_keys_at_once(struct world *w) {
  enum { N = 1300 };
  static char text[2 * N][LIMIT_KEY_CHARS + 1];
  static struct key_write k[N];
  static const char *asked[2 * N];
  static struct key_row row[2 * N];
  static uint8_t got[2 * N];
  int64_t defs;
  for (int i = 0; i < 2 * N; i++) {
    name(text[i], "many", i);
    asked[i] = text[i];
    if (i % 2) k[i / 2] = key_of(w, text[i], i);
  }
  OK(put_keys(w, k, N));
  OK(store_begin(w->s, &defs));
  OK(store_keys(w->s, asked, 2 * N, row, got));
  store_rollback(w->s);
  for (int i = 0; i < 2 * N; i++) {
    assert_int_equal(got[i], i % 2);
    if (i % 2) key_same(&row[i], &k[i / 2].row);
  }
}

/* A writer of new keys deletes old ones, so that the table is bounded. Nobody deletes a young one. */
static void old_keys_go(struct world *w) {
  char text[LIMIT_KEY_CHARS + 1];
  struct key_row got;
  int64_t born = world_now(w);
  for (int i = 0; i < 20; i++) {
    name(text, "old", i);
    struct key_write k = key_of(w, text, i);
    k.row.create_us = born + i * DAY_US;
    OK(put_keys(w, &k, 1));
  }
  for (int i = 0; i < 600; i++) {
    name(text, "young", i);
    struct key_write k = key_of(w, text, i);
    k.row.create_us = born + 40 * DAY_US;
    OK(put_keys(w, &k, 1));
  }
  for (int i = 0; i < 20; i++) {
    name(text, "old", i);
    assert_int_equal(ask(w, text, &got), i >= 10);
  }
  for (int i = 0; i < 600; i++) {
    name(text, "young", i);
    assert_int_equal(ask(w, text, &got), 1);
  }
}

/* ---- definitions ---- */
static struct key_write def_key(struct world *w, const char *key, uint8_t kind) {
  struct key_write k = key_of(w, key, 77);
  k.row.kind = kind;
  k.row.create_us = clock_wall_us();
  return k;
}

static void task_is_saved_once_for_a_key(struct world *w) {
  struct task_def t = {.name = (char[]){"t"}, .type = (char[]){"ECHO"}}, again = t;
  struct key_write k = def_key(w, "task-once", KEY_TASK), k2 = k;
  struct key_row got;
  struct wr_err err;
  atomic_init(&t.refs, 1);
  atomic_init(&again.refs, 1);
  WR(store_save_task(w->s, &t, -1, &k, &err));
  assert_int_equal(k.row.first_id, t.task_id);
  assert_int_equal(k.row.n, 1);
  assert_int_equal(store_save_task(w->s, &again, -1, &k2, &err), WR_KEY_REUSED);
  assert_int_equal(again.task_id, 0);
  assert_true(reads(w, "task-once", &got));
  key_same(&got, &k.row);
  assert_int_equal(ask(w, "task-once", &got), 1); /* the runner sees it too */
  again.task_id = t.task_id;
  assert_int_equal(store_save_task(w->s, &again, 99, &k2, &err), WR_KEY_REUSED); /* before any look at versions */
  WR(store_save_task(w->s, &again, -1, NULL, &err));
  assert_int_equal(again.version, 2);
  struct key_write k3 = def_key(w, "task-third", KEY_TASK);
  WR(store_save_task(w->s, &again, 2, &k3, &err));
  assert_int_equal(k3.row.n, 3);
}

static void refused_save_leaves_no_key(struct world *w) {
  int64_t id = task_save(w, "t", "ECHO");
  struct task_def t = {.task_id = id, .name = (char[]){"t"}, .type = (char[]){"ECHO"}};
  struct key_write k = def_key(w, "refused-save", KEY_TASK);
  struct key_row got;
  struct wr_err err;
  atomic_init(&t.refs, 1);
  assert_int_equal(store_save_task(w->s, &t, 7, &k, &err), WR_STALE);
  assert_false(reads(w, "refused-save", &got));
  WR(store_save_task(w->s, &t, 1, &k, &err));
  assert_true(reads(w, "refused-save", &got));
}

static void flow_is_saved_once_for_a_key(struct world *w) {
  struct flow_def *f = flow_parse("f", NODE("a") "," NODE("b")), *g = flow_parse("g", NODE("a"));
  struct key_write k = def_key(w, "flow-once", KEY_FLOW), k2 = k;
  struct key_row got;
  struct wr_err err;
  WR(store_save_flow(w->s, f, -1, &k, &err));
  assert_int_equal(k.row.first_id, f->flow_id);
  assert_int_equal(store_save_flow(w->s, g, -1, &k2, &err), WR_KEY_REUSED);
  assert_int_equal(g->flow_id, 0);
  assert_true(reads(w, "flow-once", &got));
  key_same(&got, &k.row);
  g->flow_id = f->flow_id;
  assert_int_equal(store_save_flow(w->s, g, 99, &k2, &err), WR_KEY_REUSED);
  WR(store_save_flow(w->s, g, -1, NULL, &err));
  assert_int_equal(g->version, 2);
  def_flow_unref(f);
  def_flow_unref(g);
}

/* A save of several transactions: the key comes with the last one. */
static void large_flow_is_saved_once_for_a_key(struct world *w) {
  enum { N = 9000 };
  struct buf nodes = BUF_INIT;
  for (int i = 0; i < N; i++) buf_printf(&nodes, "%s{'nodeKey':'k%d','tasks':[{'taskName':'t','taskType':'ECHO'}]}", i ? "," : "", i);
  struct flow_def *f = flow_parse("f", nodes.data), *g = flow_parse("g", nodes.data);
  struct key_write k = def_key(w, "flow-large", KEY_FLOW), k2 = k;
  struct key_row got;
  struct wr_err err;
  WR(store_save_flow(w->s, f, -1, &k, &err));
  assert_int_equal(store_save_flow(w->s, g, -1, &k2, &err), WR_KEY_REUSED);
  assert_true(reads(w, "flow-large", &got));
  assert_int_equal(got.first_id, f->flow_id);
  buf_done(&nodes);
  def_flow_unref(f);
  def_flow_unref(g);
}

static void key_of_a_start_refuses_a_save(struct world *w) {
  struct key_write start = key_of(w, "start-then-save", 3), k = def_key(w, "start-then-save", KEY_FLOW);
  struct flow_def *f = flow_parse("f", NODE("a"));
  struct wr_err err;
  OK(put_keys(w, &start, 1));
  assert_int_equal(store_save_flow(w->s, f, -1, &k, &err), WR_KEY_REUSED);
  def_flow_unref(f);
}

/* ---- races ---- */
enum { ROUNDS = 200 };
struct racer { struct world *w; const char *what; pthread_barrier_t *start; int64_t base; int64_t made[ROUNDS]; unsigned wins, bad; };

/* Does as a runner: looks, writes when the key is free, and begins again when a rival was faster. */
static int64_t race_one(struct racer *r, const char *key, int64_t mine) {
  for (;;) {
    struct key_row row;
    struct key_write k = {.key = key, .row = {.kind = KEY_STARTS, .first_id = mine, .n = 1, .create_us = 1700000000000000}};
    struct batch b = {.id = world_batch_id(r->w), .key = &k, .n_key = 1};
    uint8_t got = 9;
    int64_t defs;
    enum store_rc rc = store_begin(r->w->s, &defs);
    if (rc == STORE_OK) rc = store_keys(r->w->s, &key, 1, &row, &got);
    if (rc == STORE_OK && got == 0) rc = store_write(r->w->s, &b);
    if (rc == STORE_OK && got == 0) rc = store_commit(r->w->s);
    if (rc != STORE_OK || got != 0) store_rollback(r->w->s);
    if (rc == STORE_OK && got == 1) return row.first_id;
    if (rc == STORE_OK && got == 0) return r->wins++, mine;
    if (rc != STORE_OK && rc != STORE_RETRY && rc != STORE_STALE) return r->bad++, -1;
  }
}

static void *race(void *arg) {
  struct racer *r = arg;
  for (int i = 0; i < ROUNDS; i++) {
    char key[LIMIT_KEY_CHARS + 1];
    name(key, r->what, i);
    pthread_barrier_wait(r->start);
    r->made[i] = race_one(r, key, r->base + i);
  }
  return NULL;
}

/* The same key for a start and for a save at once: one of them gets it. */
static void *save_race(void *arg) {
  struct racer *r = arg;
  for (int i = 0; i < ROUNDS; i++) {
    char key[LIMIT_KEY_CHARS + 1];
    struct task_def t = {.name = (char[]){"t"}, .type = (char[]){"ECHO"}};
    struct wr_err err;
    name(key, "mixed", i);
    atomic_init(&t.refs, 1);
    pthread_barrier_wait(r->start);
    struct key_write k = {.key = key, .row = {.kind = KEY_TASK, .create_us = 1700000000000000}};
    enum wr_rc rc = store_save_task(r->w->s, &t, -1, &k, &err);
    r->wins += rc == WR_OK;
    r->bad += rc != WR_OK && rc != WR_KEY_REUSED;
    r->made[i] = rc == WR_OK ? t.task_id : 0;
  }
  return NULL;
}

static void runner_and_definition_writer_make_one(struct world *w) {
  static struct racer r[2];
  pthread_barrier_t start;
  pthread_t th;
  pthread_barrier_init(&start, NULL, 2);
  r[0] = (struct racer){.w = w, .what = "mixed", .start = &start, .base = INT64_C(1) << 40};
  r[1] = (struct racer){.w = w, .start = &start};
  assert_int_equal(pthread_create(&th, NULL, save_race, &r[1]), 0);
  race(&r[0]);
  pthread_join(th, NULL);
  pthread_barrier_destroy(&start);
  assert_int_equal(r[0].bad + r[1].bad, 0);
  assert_int_equal(r[0].wins + r[1].wins, ROUNDS);
  for (int i = 0; i < ROUNDS; i++) assert_int_equal(r[0].made[i], r[1].made[i] ? r[1].made[i] : r[0].base + i);
}

/* ---- several nodes: only where a database may have more than one ---- */
/* Another node's uncommitted key is reported, and nobody waits for it. */
static void key_under_way_elsewhere_is_told(struct world *w) {
  struct key_write k = key_of(w, "under-way", 1);
  struct batch b = {.id = world_batch_id(w), .key = &k, .n_key = 1};
  struct key_row got;
  int64_t defs;
  struct world o = world_second(w);
  OK(store_begin(w->s, &defs));
  OK(store_write(w->s, &b));
  assert_int_equal(ask(&o, "under-way", &got), 2);
  assert_false(reads(&o, "under-way", &got));
  OK(store_commit(w->s));
  assert_int_equal(ask(&o, "under-way", &got), 1);
  key_same(&got, &k.row);
  IS(put_keys(&o, &k, 1), STORE_RETRY);
  world_end(&o);
}

static void two_nodes_make_one(struct world *w) {
  static struct racer r[2];
  pthread_barrier_t start;
  pthread_t th;
  struct world o = world_second(w);
  pthread_barrier_init(&start, NULL, 2);
  r[0] = (struct racer){.w = w, .what = "race", .start = &start, .base = 1000};
  r[1] = (struct racer){.w = &o, .what = "race", .start = &start, .base = 2000};
  assert_int_equal(pthread_create(&th, NULL, race, &r[1]), 0);
  race(&r[0]);
  pthread_join(th, NULL);
  pthread_barrier_destroy(&start);
  assert_int_equal(r[0].bad + r[1].bad, 0);
  assert_int_equal(r[0].wins + r[1].wins, ROUNDS);
  for (int i = 0; i < ROUNDS; i++) assert_int_equal(r[0].made[i], r[1].made[i]);
  world_end(&o);
}

const struct fact facts_keys[] = {
  FACT(key_reads_back), FACT(key_that_is_free), FACT(every_byte_of_a_hash), FACT(key_of_any_visible_character),
  FACT(key_outlives_the_process), FACT(key_and_rows_are_one), FACT(stale_start_leaves_no_key), FACT(second_write_is_refused_whole),
  FACT(many_keys_at_once), FACT_FRESH(old_keys_go), FACT(task_is_saved_once_for_a_key), FACT(refused_save_leaves_no_key),
  FACT(flow_is_saved_once_for_a_key), FACT(large_flow_is_saved_once_for_a_key), FACT(key_of_a_start_refuses_a_save),
  FACT(runner_and_definition_writer_make_one),
  FACT_SEVERAL(key_under_way_elsewhere_is_told), FACT_SEVERAL(two_nodes_make_one),
};
const size_t n_facts_keys = sizeof facts_keys / sizeof *facts_keys;
