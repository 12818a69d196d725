/* Facts of what the reconciler sees: live tasks and flows, in pages, in order, each once. */
#include <stdlib.h>
#include "facts.h"

/* All live tasks with ti in lo..hi, read in pages of n; the order of the whole pass is checked. */
static size_t live_tasks(struct world *w, size_t n, int64_t lo, int64_t hi, struct live_task *out, size_t cap) {
  struct live_task page[64];
  int64_t after = 0;
  size_t got, found = 0;
  assert_true(n <= 64);
  do {
    OK(store_live_tasks(w->s, after, page, n, &got));
    assert_true(got <= n);
    for (size_t i = 0; i < got; i++) {
      assert_true(page[i].ti > after);
      after = page[i].ti;
      if (after < lo || after > hi || page[i].state == TASK_NONE) continue;
      assert_true(found < cap);
      out[found++] = page[i];
    }
  } while (got > 0);
  return found;
}

static size_t live_flows(struct world *w, size_t n, int64_t lo, int64_t hi, struct live_flow *out, size_t cap) {
  struct live_flow page[64];
  int64_t after = 0;
  size_t got, found = 0;
  do {
    OK(store_live_flows(w->s, after, page, n, &got));
    for (size_t i = 0; i < got; i++) {
      assert_true(page[i].fi > after);
      after = page[i].fi;
      if (after < lo || after > hi) continue;
      assert_true(found < cap);
      out[found++] = page[i];
    }
  } while (got == n);
  return found;
}

static void nothing_is_live_at_first(struct world *w) {
  struct live_task t;
  struct live_flow f;
  size_t n = 9;
  OK(store_live_tasks(w->s, 0, &t, 1, &n));
  assert_int_equal(n, 0);
  n = 9;
  OK(store_live_flows(w->s, 0, &f, 1, &n));
  assert_int_equal(n, 0);
}

/* Run keys depend on the store's id: a database keeps its id for good, and no two databases have the same. */
static void a_database_has_an_id_of_its_own(struct world *w) {
  char first[STORE_ID_BYTES + 1];
  assert_int_equal(strspn(store_id(w->s), "0123456789abcdef"), STORE_ID_BYTES);
  memcpy(first, store_id(w->s), sizeof first);
  world_again(w);
  assert_string_equal(store_id(w->s), first);
  world_end(w);
  world_fresh(w);
  assert_string_not_equal(store_id(w->s), first);
}

/* A chain makes a new row for each row that ends: a pass that followed the chain would last as long as the chain. */
static void a_pass_does_not_follow_a_flow(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b"));
  struct started s = flow_start(w, f);
  struct task_row a = task_row_of(w, &s, 0, 0), b = task_row_of(w, &s, 1, 1);
  struct live_task t[7];
  size_t n;
  OK(put_task(w, ROW_INSERT, &a));
  OK(store_live_tasks(w->s, 0, t, 7, &n));
  assert_int_equal(n, 1);
  OK(put_task(w, ROW_INSERT, &b));
  OK(store_live_tasks(w->s, t[0].ti, t, 7, &n));
  assert_int_equal(n, 0);
  assert_int_equal(live_tasks(w, 7, s.ti, s.ti + 1, t, 2), 2);
  def_flow_unref(f);
}

/* Flows that begin one after the other do not hold up the reconciler either, which buries dead nodes between two passes. */
static void a_pass_does_not_follow_new_flows(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct live_flow v[7];
  struct started s = flow_start(w, f);
  size_t n;
  OK(store_live_flows(w->s, 0, v, 7, &n));
  assert_int_equal(n, 1);
  assert_int_equal(v[0].fi, s.fi);
  struct started later = flow_start(w, f);
  OK(store_live_flows(w->s, s.fi, v, 7, &n));
  assert_int_equal(n, 0);
  assert_int_equal(live_flows(w, 7, s.fi, later.fi, v, 2), 2);
  def_flow_unref(f);
}

static void live_task_tells_its_columns(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b"));
  struct started s = flow_start(w, f);
  struct task_row a = task_row_of(w, &s, 0, 0), b = task_row_of(w, &s, 1, 1);
  struct live_task t[2];
  a.t.state = TASK_CANCELING, a.t.epoch = 3, a.t.owner = w->me, a.update_us = 1234567, a.t.phase = PHASE_DELETE, a.t.end_as = TASK_FAILED;
  b.t.state = TASK_RETRY_WAIT, b.t.epoch = 4, b.t.due_us = 99887766;
  OK(put_task(w, ROW_INSERT, &a));
  OK(put_task(w, ROW_INSERT, &b));
  assert_int_equal(live_tasks(w, 7, s.ti, s.ti + 1, t, 2), 2);
  assert_int_equal(t[0].ti, a.ti);
  assert_int_equal(t[0].fi, s.fi);
  assert_int_equal(t[0].state, TASK_CANCELING);
  assert_int_equal(t[0].phase, PHASE_DELETE);
  assert_int_equal(t[0].end_as, TASK_FAILED);
  assert_int_equal(t[0].epoch, 3);
  assert_int_equal(t[0].owner, w->me);
  assert_true(t[0].owner_live);
  assert_int_equal(t[0].update_us, 1234567);
  assert_int_equal(t[0].due_us, 0);
  assert_int_equal(t[1].state, TASK_RETRY_WAIT);
  assert_int_equal(t[1].phase + t[1].end_as, 0);
  assert_int_equal(t[1].due_us, 99887766);
  assert_int_equal(t[1].owner, 0);
  assert_true(t[1].owner_live);
  def_flow_unref(f);
}

static void live_is_every_state_but_final(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row r = task_row_of(w, &s, 0, 0);
  struct live_task t[1];
  OK(put_task(w, ROW_INSERT, &r));
  for (int st = TASK_CREATED; st < TASK__N; st++) {
    r.t.state = (uint8_t)st;
    OK(put_task(w, ROW_UPDATE, &r));
    assert_int_equal(live_tasks(w, 64, s.ti, s.ti, t, 1), !task_final((enum task_state)st));
  }
  def_flow_unref(f);
}

static void live_in_pages_of_any_size(struct world *w) {
  enum { FLOWS = 9 };
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b") "," NODE("c"));
  struct started s[FLOWS];
  struct live_task t[3 * FLOWS];
  struct live_flow lf[FLOWS];
  for (int i = 0; i < FLOWS; i++) {
    s[i] = flow_start(w, f);
    for (uint32_t k = 0; k < 3; k++) {
      struct task_row r = task_row_of(w, &s[i], k, k);
      if (k == 1 && i % 2) r.t.state = TASK_SUCCESS;
      OK(put_task(w, ROW_INSERT, &r));
    }
  }
  for (size_t page = 1; page <= 10; page++) {
    size_t n = live_tasks(w, page, s[0].ti, s[FLOWS - 1].ti + 2, t, 3 * FLOWS), at = 0;
    assert_int_equal(n, 3 * FLOWS - FLOWS / 2);
    for (int i = 0; i < FLOWS; i++)
      for (uint32_t k = 0; k < 3; k++)
        if (k != 1 || i % 2 == 0) assert_int_equal(t[at++].ti, s[i].ti + k);
    assert_int_equal(live_flows(w, page, s[0].fi, s[FLOWS - 1].fi, lf, FLOWS), FLOWS);
  }
  def_flow_unref(f);
}

/* Live rows stand in many places, with final rows and ended flows between them. */
static void live_among_the_dead(struct world *w) {
  enum { FLOWS = 250 };
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b"));
  struct started *s = wr_calloc(FLOWS, sizeof *s);
  struct live_task t[FLOWS];
  int64_t id = task_save(w, "t", "ECHO"), want[FLOWS];
  size_t n = 0;
  for (int i = 0; i < FLOWS; i++) {
    struct task_row a = alone_row_of(w, id);
    s[i] = flow_start(w, f);
    struct task_row x = task_row_of(w, &s[i], 0, 0), y = task_row_of(w, &s[i], 1, 1);
    x.t.state = TASK_SUCCESS;
    y.t.state = i % 2 ? TASK_SUCCESS : TASK_QUEUED;
    OK(put_task(w, ROW_INSERT, &x));
    OK(put_task(w, ROW_INSERT, &y));
    if (i % 10 == 0) OK(put_task(w, ROW_INSERT, &a));
    if (i % 2) flow_end(w, &s[i], FLOW_SUCCESS);
    if (i % 10 == 0) want[n++] = a.ti; /* its id came before those of the flow */
    if (i % 2 == 0) want[n++] = y.ti;
  }
  for (size_t page = 1; page <= 64; page += 21) {
    assert_int_equal(live_tasks(w, page, want[0], want[n - 1], t, FLOWS), n);
    for (size_t i = 0; i < n; i++) assert_int_equal(t[i].ti, want[i]);
  }
  free(s);
  def_flow_unref(f);
}

static void live_stand_alone(struct world *w) {
  int64_t id = task_save(w, "t", "ECHO");
  struct task_row r = alone_row_of(w, id);
  struct live_task t[1];
  OK(put_task(w, ROW_INSERT, &r));
  assert_int_equal(live_tasks(w, 5, r.ti, r.ti, t, 1), 1);
  assert_int_equal(t[0].fi, 0);
  r.t.state = TASK_RUNNING, r.t.epoch = 1, r.t.owner = w->me;
  OK(put_task(w, ROW_UPDATE, &r));
  assert_int_equal(live_tasks(w, 5, r.ti, r.ti, t, 1), 1);
  r.t.state = TASK_FAILED, r.t.owner = 0;
  OK(put_finish(w, &r));
  assert_int_equal(live_tasks(w, 5, r.ti, r.ti, t, 1), 0);
}

static void live_stand_alone_made_final(struct world *w) {
  int64_t id = task_save(w, "t", "ECHO");
  struct task_row r = alone_row_of(w, id);
  struct live_task t[1];
  r.t.state = TASK_CANCELED;
  OK(put_task(w, ROW_INSERT, &r));
  assert_int_equal(live_tasks(w, 5, r.ti, r.ti, t, 1), 0);
}

static void live_of_a_second_run(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b"));
  struct started s = flow_start(w, f), other = flow_start(w, f);
  int64_t ni, ti;
  struct live_task t[4];
  char bases[500];
  OK(store_ids(w->s, ID_NI, 2, &ni));
  OK(store_ids(w->s, ID_TI, 2, &ti));
  snprintf(bases, sizeof bases, "%s,%lld:%lld", s.bases, (long long)ni, (long long)ti);
  struct flow_row fr = flow_get(w, s.fi);
  fr.bases = bases, fr.run_no = 2;
  OK(put_flow(w, ROW_UPDATE, s.version, &fr));
  struct task_row a = task_row_of(w, &s, 0, 0), b = task_row_of(w, &other, 0, 0), c = task_row_of(w, &s, 1, 1);
  c.ti = ti + 1, c.ni = ni + 1;
  OK(put_task(w, ROW_INSERT, &a));
  OK(put_task(w, ROW_INSERT, &b));
  OK(put_task(w, ROW_INSERT, &c));
  assert_int_equal(live_tasks(w, 1, s.ti, c.ti, t, 4), 3);
  assert_int_equal(t[0].ti, a.ti);
  assert_int_equal(t[1].ti, b.ti);
  assert_int_equal(t[2].ti, c.ti);
  assert_int_equal(t[1].fi, other.fi);
  assert_int_equal(t[2].fi, s.fi);
  def_flow_unref(f);
}

/* The tasks of a node that grew have a range of ids behind the ids of the flow. */
static void live_of_a_node_that_grew(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b"));
  struct started s = flow_start(w, f);
  int64_t ti;
  struct live_task t[4];
  char bases[500];
  OK(store_ids(w->s, ID_TI, 3, &ti));
  snprintf(bases, sizeof bases, "%s+1:3:%lld", s.bases, (long long)ti);
  struct flow_row fr = flow_get(w, s.fi);
  fr.bases = bases;
  OK(put_flow(w, ROW_UPDATE, s.version, &fr));
  struct task_row a = task_row_of(w, &s, 0, 0), b = task_row_of(w, &s, 1, 1);
  OK(put_task(w, ROW_INSERT, &a));
  b.ti = ti + 2;
  OK(put_task(w, ROW_INSERT, &b));
  assert_int_equal(live_tasks(w, 1, s.ti, ti + 2, t, 4), 2);
  assert_int_equal(t[0].ti, a.ti);
  assert_int_equal(t[1].ti, ti + 2);
  assert_int_equal(t[1].fi, s.fi);
  assert_string_equal(flow_get(w, s.fi).bases, bases);
  def_flow_unref(f);
}

static void live_flow_tells_its_columns(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct live_flow lf[1];
  struct flow_row r = flow_get(w, s.fi);
  assert_int_equal(live_flows(w, 9, s.fi, s.fi, lf, 1), 1);
  assert_false(lf[0].more);
  assert_int_equal(lf[0].due_us, 0);
  r.state = FLOW_CANCELING, r.more = "3:1", r.due_us = 555, r.update_us = 777;
  OK(put_flow(w, ROW_UPDATE, s.version, &r));
  assert_int_equal(live_flows(w, 9, s.fi, s.fi, lf, 1), 1);
  assert_true(lf[0].more);
  assert_int_equal(lf[0].state, FLOW_CANCELING);
  assert_int_equal(lf[0].due_us, 555);
  assert_int_equal(lf[0].update_us, 777);
  def_flow_unref(f);
}

static void live_flow_is_every_state_but_final(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct live_flow lf[1];
  struct flow_row r = flow_get(w, s.fi);
  for (int st = FLOW_RUNNING; st < FLOW__N; st++) {
    r.state = (uint8_t)st;
    OK(put_flow(w, ROW_UPDATE, 0, &r));
    assert_int_equal(live_flows(w, 64, s.fi, s.fi, lf, 1), !flow_final((enum flow_state)st));
  }
  r.state = FLOW_RUNNING; /* a re-run leaves a final state */
  OK(put_flow(w, ROW_UPDATE, 0, &r));
  assert_int_equal(live_flows(w, 64, s.fi, s.fi, lf, 1), 1);
  def_flow_unref(f);
}

static void a_flow_without_nodes_can_be_live(struct world *w) {
  struct flow_def *f = flow_save(w, "empty", "{'nodeType':'START'},{'nodeType':'END'}");
  assert_int_equal(f->dag->n, 0);
  struct started s = flow_start(w, f);
  struct live_flow lf[1];
  struct live_task t[1];
  assert_int_equal(live_flows(w, 9, s.fi, s.fi, lf, 1), 1);
  assert_int_equal(live_tasks(w, 9, s.ti, s.ti, t, 1), 0);
  flow_end(w, &s, FLOW_SUCCESS);
  assert_int_equal(live_flows(w, 9, s.fi, s.fi, lf, 1), 0);
  assert_int_equal(list_nodes(w, s.fi, false, (struct page){.limit = 9}).n, 0);
  def_flow_unref(f);
}

/* Only a store that one process owns knows at once that the former owner is dead. */
static void owner_of_a_former_life(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row r = task_row_of(w, &s, 0, 0);
  struct live_task t[1];
  r.t.state = TASK_RUNNING, r.t.epoch = 1, r.t.owner = w->me;
  OK(put_task(w, ROW_INSERT, &r));
  assert_int_equal(live_tasks(w, 9, s.ti, s.ti, t, 1), 1);
  assert_true(t[0].owner_live);
  OK(store_leave(w->s));
  store_close(w->s);
  w->s = facts_backend->again();
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  OK(store_join(w->s, &info, &w->me));
  w->batches = 0;
  assert_int_equal(live_tasks(w, 9, s.ti, s.ti, t, 1), 1);
  assert_false(t[0].owner_live);
  assert_int_equal(t[0].owner, r.t.owner);
  if (store_single(w->s)) {
    world_again(w); /* without leaving: the process lock is proof enough */
    assert_int_equal(live_tasks(w, 9, s.ti, s.ti, t, 1), 1);
    assert_false(t[0].owner_live);
  }
  def_flow_unref(f);
}

static void one_member_reconciles(struct world *w) {
  OK(store_renew(w->s));
  assert_true(store_reconciler(w->s));
  assert_true(store_reconciler(w->s)); /* and goes on */
}

struct told { int64_t me; char text[64], host[16]; int64_t slots; bool drains; int n; };

static int find_me(void *ctx, const struct node_offer *o) {
  struct told *t = ctx;
  if (o->incarnation != t->me) return 0;
  snprintf(t->text, sizeof t->text, "%s", o->trouble);
  snprintf(t->host, sizeof t->host, "%s", o->host);
  t->slots = o->slots;
  t->drains = o->drains;
  t->n++;
  return 0;
}

/* Readers see a node's trouble from a renewal on, until the node takes it back or is no member any more. */
static void a_member_tells_its_trouble(struct world *w) {
  static const char *const told[] = {"{\"starts\":\"x\"}", "'; --", ""};
  struct told t;
  struct wr_err err;
  for (size_t i = 0; i <= sizeof told / sizeof *told; i++) {
    const char *expect = i == 0 ? "" : told[i - 1];
    if (i > 0) OK(store_tell(w->s, expect));
    OK(store_renew(w->s));
    t = (struct told){.me = w->me};
    struct reader *r = reader_of(w);
    WR(reader_offers(r, find_me, &t, &err));
    reader_put(r);
    assert_int_equal(t.n, 1);
    assert_string_equal(t.text, expect);
    assert_string_equal(t.host, "h'ost");
    assert_int_equal(t.slots, 8);
  }
  OK(store_leave(w->s));
  IS(store_tell(w->s, "x"), STORE_FENCED);
  t = (struct told){.me = w->me};
  struct reader *r = reader_of(w);
  WR(reader_offers(r, find_me, &t, &err));
  reader_put(r);
  assert_int_equal(t.n, 0);
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  OK(store_join(w->s, &info, &w->me));
}

/* ---- members and their wish ---- */

struct seen_member { struct member_row m; char state[16], host[16], labels[64], version[16], roles[32]; int n; };

static int see_member(void *ctx, const struct member_row *m) {
  struct seen_member *s = ctx;
  s->m = *m;
  snprintf(s->state, sizeof s->state, "%s", member_state_name(m->state));
  snprintf(s->host, sizeof s->host, "%s", m->host);
  snprintf(s->labels, sizeof s->labels, "%s", m->labels);
  snprintf(s->version, sizeof s->version, "%s", m->version);
  snprintf(s->roles, sizeof s->roles, "%s", m->roles);
  s->n++;
  return 0;
}

static struct seen_member member_get(struct world *w, int64_t me) {
  struct seen_member s = {.n = 0};
  struct wr_err err;
  struct reader *r = reader_of(w);
  WR(reader_members(r, me, 0, 10, see_member, &s, &err));
  reader_put(r);
  return s;
}

static int count_members(struct world *w, int64_t ended_us, size_t most) {
  struct seen_member s = {.n = 0};
  struct wr_err err;
  struct reader *r = reader_of(w);
  WR(reader_members(r, 0, ended_us, most, see_member, &s, &err));
  reader_put(r);
  return s.n;
}

static void join_as(struct world *w, const char *labels, const struct drain_wish *wish) {
  const struct node_info info = {.host = "h", .pid = 7, .slots = 3, .roles = "worker", .types = "ECHO", .labels = labels, .version = "1.2.3",
                                 .drain_at_us = wish->at_us, .drain_stop_us = wish->stop_us};
  OK(store_leave(w->s));
  OK(store_join(w->s, &info, &w->me));
}

static void a_member_is_seen_as_it_joined(struct world *w) {
  int64_t before = w->me;
  join_as(w, "gpu,zone=a", &(struct drain_wish){0, 0});
  struct seen_member s = member_get(w, w->me);
  assert_int_equal(s.n, 1);
  assert_int_equal(s.m.incarnation, w->me);
  assert_int_equal(s.m.pid, 7);
  assert_int_equal(s.m.slots, 3);
  assert_string_equal(s.host, "h");
  assert_string_equal(s.roles, "worker");
  assert_string_equal(s.labels, "gpu,zone=a");
  assert_string_equal(s.version, "1.2.3");
  assert_string_equal(s.state, "LIVE");
  assert_int_equal(s.m.end_us, 0);
  assert_true(s.m.start_us > 0);
  if (!store_single(w->s)) assert_true(s.m.seen_us >= s.m.start_us - 1000000 && s.m.seen_us <= s.m.start_us + 60000000);
  s = member_get(w, before);
  assert_string_equal(s.state, "GONE");
  assert_true(s.m.end_us > 0);
  assert_int_equal(member_get(w, w->me + 100).n, 0);
  assert_int_equal(count_members(w, 0, 10), 2);
  assert_int_equal(count_members(w, 0, 1), 1);
  assert_int_equal(count_members(w, s.m.end_us + 1, 10), 1); /* the other one ended before */
}

static void members_that_ended_long_ago_go(struct world *w) {
  char sql[300];
  int64_t old = w->me;
  join_as(w, "", &(struct drain_wish){0, 0});
  snprintf(sql, sizeof sql, store_single(w->s) ? "UPDATE engine_node SET end_time=end_time-2591000000000 WHERE incarnation=%lld"
           : "UPDATE engine_node SET end_time=end_time - INTERVAL 2591000 SECOND WHERE incarnation=%lld", (long long)old);
  free(facts_backend->ask(false, sql));
  join_as(w, "", &(struct drain_wish){0, 0});
  assert_int_equal(member_get(w, old).n, 1); /* some minutes less than 30 days */
  snprintf(sql, sizeof sql, store_single(w->s) ? "UPDATE engine_node SET end_time=end_time-2000000000 WHERE incarnation=%lld"
           : "UPDATE engine_node SET end_time=end_time - INTERVAL 2000 SECOND WHERE incarnation=%lld", (long long)old);
  free(facts_backend->ask(false, sql));
  join_as(w, "", &(struct drain_wish){0, 0});
  assert_int_equal(member_get(w, old).n, 0);
}

static struct drain_wish wish_of(struct world *w) {
  struct drain_wish wish = {.at_us = -1};
  OK(store_wish(w->s, &wish));
  return wish;
}

static void tell_of(struct world *w, int64_t running, int64_t seen) {
  const struct member_figures f = {.running = running, .slots_used = running, .cpu_budget = 400, .cpu_used = 5,
                                   .load_percent = 123, .drain_seen_us = seen};
  store_figures(w->s, &f);
  OK(store_tell(w->s, ""));
}

/* A wish is drained when the member has told that it has read just this wish, and runs nothing. */
static void a_drain_is_a_wish_beside_the_state(struct world *w) {
  struct wr_err err;
  WR(store_drain(w->s, w->me, true, -1, &err));
  assert_string_equal(member_get(w, w->me).state, "DRAINING"); /* it runs no task type, and may call analyzers */
  join_as(w, "", &(struct drain_wish){0, 0});
  assert_int_equal(wish_of(w).at_us, 0);
  WR(store_drain(w->s, w->me, true, -1, &err));
  struct drain_wish wish = wish_of(w);
  assert_true(wish.at_us > 0);
  assert_int_equal(wish.stop_us, 0);
  assert_string_equal(member_get(w, w->me).state, "DRAINING");
  OK(store_renew(w->s)); /* the fence compares LIVE alone */
  tell_of(w, 2, wish.at_us);
  struct seen_member s = member_get(w, w->me);
  assert_string_equal(s.state, "DRAINING");
  assert_int_equal(s.m.told.running, 2);
  assert_int_equal(s.m.told.slots_used, 2);
  assert_int_equal(s.m.told.cpu_budget, 400);
  assert_int_equal(s.m.told.cpu_used, 5);
  assert_int_equal(s.m.told.load_percent, 123);
  assert_int_equal(s.m.told.drain_seen_us, wish.at_us);
  tell_of(w, 0, wish.at_us);
  assert_string_equal(member_get(w, w->me).state, "DRAINED");
  WR(store_drain(w->s, w->me, true, 5000000, &err)); /* the same wish, with a time */
  assert_int_equal(wish_of(w).at_us, wish.at_us);
  assert_true(wish_of(w).stop_us >= wish.at_us + 5000000);
  assert_string_equal(member_get(w, w->me).state, "DRAINED");
  WR(store_drain(w->s, w->me, false, -1, &err));
  assert_int_equal(wish_of(w).at_us, 0);
  assert_int_equal(wish_of(w).stop_us, 0);
  assert_string_equal(member_get(w, w->me).state, "LIVE");
  WR(store_drain(w->s, w->me, true, 0, &err)); /* another wish, which nobody has read */
  assert_true(wish_of(w).stop_us >= wish_of(w).at_us);
  assert_string_equal(member_get(w, w->me).state, "DRAINING");
}

static void only_a_member_that_lives_drains(struct world *w) {
  struct wr_err err;
  int64_t before = w->me;
  join_as(w, "", &(struct drain_wish){0, 0});
  assert_int_equal(store_drain(w->s, before, true, -1, &err), WR_ALREADY_FINISHED);
  assert_int_equal(store_drain(w->s, w->me + 100, true, -1, &err), WR_NOT_FOUND);
  assert_string_equal(member_get(w, before).state, "GONE");
}

/* A node that joins again is another member, of which the same is wished. */
static void a_wish_goes_on_with_a_new_row(struct world *w) {
  struct drain_wish wish = {1700000000000001, 1700000000000002};
  join_as(w, "", &wish);
  assert_int_equal(wish_of(w).at_us, wish.at_us);
  assert_int_equal(wish_of(w).stop_us, wish.stop_us);
  assert_string_equal(member_get(w, w->me).state, "DRAINING");
  struct told t = {.me = w->me};
  struct wr_err err;
  struct reader *r = reader_of(w);
  WR(reader_offers(r, find_me, &t, &err));
  reader_put(r);
  assert_true(t.drains);
}

const struct fact facts_live[] = {
  FACT_FRESH(nothing_is_live_at_first), FACT_FRESH(a_database_has_an_id_of_its_own), FACT_FRESH(a_pass_does_not_follow_a_flow), FACT_FRESH(a_pass_does_not_follow_new_flows),
  FACT(live_task_tells_its_columns), FACT(live_is_every_state_but_final),
  FACT(live_in_pages_of_any_size), FACT(live_among_the_dead), FACT(live_stand_alone), FACT(live_stand_alone_made_final), FACT(live_of_a_second_run), FACT(live_of_a_node_that_grew),
  FACT(live_flow_tells_its_columns), FACT(live_flow_is_every_state_but_final), FACT(a_flow_without_nodes_can_be_live),
  FACT_FRESH(owner_of_a_former_life), FACT_FRESH(one_member_reconciles), FACT_FRESH(a_member_tells_its_trouble),
  FACT_FRESH(a_member_is_seen_as_it_joined), FACT_FRESH(members_that_ended_long_ago_go), FACT_FRESH(a_drain_is_a_wish_beside_the_state),
  FACT_FRESH(only_a_member_that_lives_drains), FACT_FRESH(a_wish_goes_on_with_a_new_row),
};
const size_t n_facts_live = sizeof facts_live / sizeof *facts_live;
