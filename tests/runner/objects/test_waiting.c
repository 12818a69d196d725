/* What waits, and which of it is next: shares, priorities, turns, limits, rates, the budget, and the memory of all that. */
#include "env_kit.h"
#include "waiting.h"

static struct queues q;
static struct waiting w;
static struct queue_opts opts;

static void begin(size_t bytes) {
  queues_init(&q, &kit.env, &opts);
  waiting_init(&w, &q, bytes);
}
static int set_up(void **st) {
  int rc = kit_up(st);
  kit.env.single = true;
  opts = (struct queue_opts){.cpu_budget = 200, .cost_wait_us = 30 * SEC, .ageing_us = 60 * SEC};
  begin(64 << 20);
  return rc;
}
static int tear_down(void **st) {
  waiting_check(&w);
  queues_check(&q);
  waiting_done(&w);
  queues_done(&q);
  return kit_down(st);
}

static bool add(const char *user, const char *group, int64_t ti, int64_t fi, int32_t priority, int32_t cpu) {
  return waiting_add(&w, SLOT_PROCESS, &(struct waits){ti, fi, {user, group, priority, cpu, NULL}, kit.env.wall_us, NULL, NULL, NULL, 0});
}
static void many(const char *user, const char *group, int64_t from, int64_t n) {
  for (int64_t i = 0; i < n; i++) assert_true(add(user, group, from + i, 0, 0, 0));
}
/* The id of the next one, 0 = nothing may start. */
static int64_t next(void) {
  struct hint h;
  waiting_check(&w);
  queues_check(&q);
  return waiting_pick(&w, SLOT_PROCESS, &h) ? h.ti : 0;
}
/* Picked, and claimed by a batch that committed. */
static int64_t starts(void) {
  int64_t ti = next();
  if (ti == 0) return 0;
  assert_true(queues_claim(&q, ti));
  queues_started(&q, ti);
  queues_batch_over(&q, true);
  return ti;
}

static struct queue_row row(int64_t id, const char *user, const char *group) {
  return (struct queue_row){.queue_id = id, .user = user, .group = group, .max_running = -1, .rate_count = -1, .rate_per_us = -1,
                            .weight = -1, .order = -1, .paused = -1};
}
static void load(const struct queue_row *r, size_t n) {
  queues_load(&q, r, n);
  waiting_ordered(&w);
}

/* ---- order ---- */

static void first_come_first_served(void **st) {
  (void)st;
  many("", "", 1, 100);
  for (int64_t i = 1; i <= 100; i++) assert_int_equal(next(), i);
  assert_int_equal(next(), 0);
}

static void urgent_ones_come_first(void **st) {
  (void)st;
  add("", "", 1, 0, -100, 0);
  add("", "", 2, 0, 0, 0);
  add("", "", 3, 0, 100, 0);
  add("", "", 4, 0, 0, 0);
  static const int64_t want[] = {3, 2, 4, 1};
  for (int i = 0; i < 4; i++) assert_int_equal(next(), want[i]);
}

static void waiting_makes_urgent(void **st) {
  (void)st;
  add("", "", 1, 0, -2, 0);
  kit_pass(100 * SEC);
  add("", "", 2, 0, 0, 0);
  assert_int_equal(next(), 2); /* -2 + 1 */
  kit_pass(21 * SEC);
  add("", "", 3, 0, 0, 0);
  assert_int_equal(next(), 1); /* -2 + 2, and the older one */
  assert_int_equal(next(), 3);
  add("", "", 4, 0, -100, 0);
  kit_pass(60 * 101 * SEC);
  add("", "", 5, 0, 1, 0);
  assert_int_equal(next(), 5); /* a hundred at most */
  assert_int_equal(next(), 4);
}

/* A flow of three beside one of 100,000, whatever its age. */
static void flows_take_turns(void **st) {
  (void)st;
  for (int64_t i = 1; i <= 1000; i++) add("", "", i, 7, 0, 0);
  kit_pass(3600 * SEC);
  for (int i = 0; i < 10; i++) assert_in_range(next(), 1, 1000);
  for (int64_t i = 0; i < 3; i++) add("", "", 2001 + i, 8, 0, 0);
  int got = 0;
  for (int i = 0; i < 7; i++) got += next() > 2000;
  assert_int_equal(got, 3);
}

static void fifo_knows_no_turns(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  add("u", "", 1, 7, 0, 0);
  add("u", "", 2, 7, 5, 0);
  kit_pass(1);
  add("u", "", 3, 8, 9, 0);
  r.order = QUEUE_ORDER_FIFO;
  load(&r, 1);
  kit_pass(1);
  add("u", "", 4, 9, 100, 0);
  for (int64_t i = 1; i <= 4; i++) assert_int_equal(next(), i);
}

/* ---- shares ---- */

/* The bound of the issue: with U users waiting each one's next task starts before U others have started. */
static void a_small_user_waits_for_no_large_one(void **st) {
  (void)st;
  many("large", "", 1, 10000);
  for (int i = 0; i < 500; i++) assert_in_range(next(), 1, 10000);
  many("small", "", 20001, 3);
  int after = 0;
  for (int left = 3; left > 0; after++) left -= next() > 20000;
  assert_true(after <= 6);
}

static void weights_are_kept(void **st) {
  struct queue_row r[3] = {row(1, "a", ""), row(2, "b", "y"), row(3, "b", "z")};
  int got[4] = {0};
  (void)st;
  r[0].weight = 300;
  r[1].weight = 100;
  r[2].weight = 200;
  load(r, 3);
  many("a", "", 10000, 900);
  many("b", "y", 20000, 900);
  many("b", "z", 30000, 900);
  for (int i = 0; i < 1200; i++) got[next() / 10000]++;
  assert_in_range(got[1], 899, 900);
  assert_in_range(got[2], 99, 101);
  assert_in_range(got[3], 199, 201);
}

static void nobody_saves_up(void **st) {
  (void)st;
  many("busy", "", 1, 2000);
  for (int i = 0; i < 1000; i++) (void)next();
  many("late", "", 5001, 100);
  int late = 0;
  for (int i = 0; i < 100; i++) late += next() > 5000;
  assert_in_range(late, 49, 51);
}

static void dear_starts_count_more(void **st) {
  int dear = 0;
  (void)st;
  opts.cpu_budget = 1000000;
  q.opts.cpu_budget = 1000000;
  for (int i = 0; i < 100; i++) add("dear", "", 1 + i, 0, 0, 400);
  many("cheap", "", 1001, 400);
  for (int i = 0; i < 100; i++) dear += next() < 1000;
  assert_in_range(dear, 19, 21);
}

/* ---- limits ---- */

static void a_limit_holds_back_its_own_only(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  r.max_running = 2;
  load(&r, 1);
  many("u", "x", 1, 5);
  many("u", "y", 11, 5);
  many("v", "", 101, 2);
  int u = 0, v = 0;
  for (int64_t ti; (ti = starts()) != 0;) *(ti > 100 ? &v : &u) += 1;
  assert_int_equal(u, 2);
  assert_int_equal(v, 2);
  queues_ended(&q, 1);
  assert_true(starts() != 0);
  assert_int_equal(starts(), 0);
}

static void all_rows_must_have_room(void **st) {
  struct queue_row r[4] = {row(1, "u", "g"), row(2, "u", ""), row(3, "", "g"), row(4, "", "")};
  (void)st;
  for (int i = 0; i < 4; i++) {
    r[i].max_running = 1;
    load(&r[i], 1);
    many("u", "g", 1, 2);
    int64_t ti = starts();
    assert_true(ti != 0);
    assert_int_equal(starts(), 0);
    queues_ended(&q, ti);
    ti = starts();
    assert_true(ti != 0);
    queues_ended(&q, ti);
  }
  load(r, 4);
  many("u", "g", 1, 1);
  many("v", "g", 2, 1);
  many("v", "", 3, 1);
  assert_true(starts() != 0);
  assert_int_equal(starts(), 0);
}

static void a_paused_queue_starts_nothing(void **st) {
  struct queue_row r = row(1, "", "g");
  (void)st;
  r.paused = 1;
  load(&r, 1);
  many("u", "g", 1, 1);
  many("v", "g", 2, 1);
  assert_int_equal(next(), 0);
  r.paused = 0;
  load(&r, 1);
  assert_true(starts() != 0);
  assert_true(starts() != 0);
}

/* Lowered below what runs: nothing is stopped, nothing starts until there is room. A row that goes lets all start. */
static void limits_change(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  r.max_running = 3;
  load(&r, 1);
  many("u", "", 1, 10);
  for (int i = 0; i < 3; i++) assert_true(starts() != 0);
  r.max_running = 1;
  load(&r, 1);
  queues_ended(&q, 1);
  queues_ended(&q, 2);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 3);
  assert_int_equal(starts(), 4);
  load(NULL, 0);
  for (int i = 0; i < 6; i++) assert_true(starts() != 0);
}

/* What ran before the row was written counts, and so does what others run. */
static void what_runs_already_counts(void **st) {
  struct queue_row r = row(1, "u", "");
  struct running_row run[2] = {{.ti = 91, .user = "u", .group = "x", .owner = ME}, {.ti = 92, .user = "u", .group = "", .owner = ME + 1}};
  (void)st;
  kit.env.single = false;
  r.max_running = 3;
  load(&r, 1);
  queues_running(&q, run, 2);
  many("u", "", 1, 3);
  assert_true(starts() != 0);
  assert_int_equal(starts(), 0);
  queues_running(&q, run, 1); /* the other node's has ended */
  assert_true(starts() != 0);
  queues_ended(&q, 91);
  assert_true(starts() != 0);
}

/* A task of another node of which nobody knows whose it is counts everywhere, until that node has said so. */
static void what_nobody_knows_counts_everywhere(void **st) {
  struct queue_row r[2] = {row(1, "u", ""), row(2, "v", "")};
  struct running_row run[2] = {{.ti = 91, .fi = 7, .owner = ME + 1}, {.ti = 92, .user = "v", .group = "", .owner = ME + 1}};
  (void)st;
  kit.env.single = false;
  r[0].max_running = r[1].max_running = 2;
  load(r, 2);
  assert_true(q.owes && q.unsure);
  queues_running(&q, run, 2);
  assert_true(q.unsure);
  many("u", "", 1, 3);
  many("v", "", 11, 1);
  assert_int_equal(starts(), 1); /* of u; of v two others run */
  run[0].user = "u", run[0].group = "g", run[0].noted = run[1].noted = true;
  queues_running(&q, run, 2);
  assert_false(q.unsure);
  assert_int_equal(starts(), 11);
  assert_int_equal(starts(), 0);
}

/* This node runs it, and another one has moved it. */
static void a_task_is_moved_by_another_node(void **st) {
  struct queue_row r[2] = {row(1, "u", ""), row(2, "v", "")};
  struct running_row run = {.ti = 91, .fi = 7, .user = "u", .group = "", .owner = ME, .noted = true};
  (void)st;
  kit.env.single = false;
  r[0].max_running = r[1].max_running = 1;
  load(r, 2);
  queues_running(&q, &run, 1);
  many("u", "", 1, 1);
  many("v", "", 11, 1);
  assert_int_equal(starts(), 11);
  queues_ended(&q, 11);
  run.user = "v";
  queues_running(&q, &run, 1);
  many("v", "", 12, 1);
  assert_int_equal(starts(), 1);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 91);
  assert_int_equal(starts(), 12);
}

/* Notes of what ran before the first row are owed again when all rows went and others came. */
static void notes_are_owed(void **st) {
  struct queue_row r = row(1, "u", ""), other = row(2, "u", "");
  struct running_row run = {.ti = 91, .user = "u", .group = "g", .owner = ME};
  struct count_note n;
  (void)st;
  kit.env.single = false;
  load(&r, 1);
  queues_running(&q, &run, 1);
  assert_int_equal(queues_notes(&q, &n, 1), 1);
  assert_true(n.ti == 91 && strcmp(n.user, "u") == 0 && strcmp(n.group, "g") == 0);
  queues_batch_over(&q, false);
  assert_true(q.owes);
  queues_batch_over(&q, true);
  assert_false(q.owes);
  r.max_running = 5;
  load(&r, 1);
  assert_false(q.owes);
  load(&other, 1);
  assert_true(q.owes && q.unsure);
  queues_ended(&q, 91);
}

/* A hint that comes to nothing gives its place back, and so does a batch that does not commit. */
static void a_pick_that_is_lost_gives_back(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  r.max_running = 1;
  load(&r, 1);
  many("u", "", 1, 2);
  assert_int_equal(next(), 1);
  assert_int_equal(next(), 0);
  queues_release(&q, 1);
  assert_int_equal(next(), 2);
  queues_release(&q, 2);
  assert_true(queues_home(&q, &(struct queue_view){"u", "", 0, 0, NULL}, 3));
  assert_false(queues_home(&q, &(struct queue_view){"u", "", 0, 0, NULL}, 4));
  queues_batch_over(&q, false);
  assert_true(queues_home(&q, &(struct queue_view){"u", "", 0, 0, NULL}, 4));
  queues_started(&q, 4);
  queues_batch_over(&q, true);
  assert_false(queues_home(&q, &(struct queue_view){"u", "", 0, 0, NULL}, 5));
  queues_ended(&q, 4);
  assert_int_equal(q.holds.n, 0);
}

static void a_task_that_runs_moves(void **st) {
  struct queue_row r[2] = {row(1, "u", ""), row(2, "v", "")};
  (void)st;
  r[0].max_running = r[1].max_running = 1;
  load(r, 2);
  many("u", "", 1, 2);
  assert_int_equal(starts(), 1);
  queues_move(&q, 1, "v", "x", false);
  queues_batch_over(&q, false); /* not committed: it is where it was */
  assert_int_equal(starts(), 0);
  queues_move(&q, 1, "v", "x", false);
  queues_batch_over(&q, true);
  many("v", "", 11, 1);
  assert_int_equal(starts(), 2);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 1);
  assert_int_equal(starts(), 11);
}

/* Of any stretch of length T no more than count * (1 + T/per) starts. */
static void a_rate_is_kept(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  r.rate_count = 3;
  r.rate_per_us = SEC;
  load(&r, 1);
  many("u", "", 1, 100);
  int got = 0;
  while (starts()) got++;
  assert_int_equal(got, 3);
  assert_in_range(queues_next(&q), kit.env.wall_us + 1, kit.env.wall_us + SEC / 3 + 1);
  for (int i = 1; i <= 30; i++) {
    kit_pass(100 * MS);
    while (starts()) got++;
    assert_true(got <= 3 + 3 * i / 10);
  }
  assert_in_range(got, 11, 12);
  queues_batch_over(&q, true);
}

/* A batch that does not commit takes nothing from the bucket. */
static void a_rate_is_paid_with_the_commit(void **st) {
  struct queue_row r = row(1, "u", "");
  struct queue_rate out[2];
  (void)st;
  r.rate_count = 1;
  r.rate_per_us = 10 * SEC;
  load(&r, 1);
  many("u", "", 1, 2);
  assert_int_equal(next(), 1);
  assert_true(queues_claim(&q, 1));
  assert_int_equal(queues_rates(&q, out, 2), 1);
  assert_int_equal(out[0].rate_at, kit.env.wall_us + 10 * SEC);
  queues_batch_over(&q, false);
  assert_int_equal(queues_rates(&q, out, 2), 0);
  assert_true(queues_claim(&q, 1));
  queues_started(&q, 1);
  queues_batch_over(&q, true);
  queues_ended(&q, 1);
  assert_int_equal(next(), 0);
  kit_pass(10 * SEC);
  assert_int_equal(next(), 2);
}

/* ---- cost ---- */

static void what_is_too_dear_is_passed_by(void **st) {
  (void)st;
  add("", "", 1, 0, 0, 150);
  add("", "", 2, 0, 0, 100);
  add("", "", 3, 0, 0, 50);
  add("", "", 4, 0, 0, 0);
  add("", "", 5, 0, 0, 201);
  assert_int_equal(starts(), 1);
  assert_int_equal(starts(), 3);
  assert_int_equal(starts(), 4);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 1);
  assert_int_equal(starts(), 2);
  assert_int_equal(starts(), 0); /* 201 never fits */
}

/* A stream of small ones does not hold up a large one for ever. */
static void the_budget_drains_for_the_oldest(void **st) {
  int64_t ti, last = 0, ran[64];
  size_t n = 0;
  (void)st;
  for (int i = 0; i < 4; i++) add("", "", 10 + i, 0, 0, 50);
  for (int i = 0; i < 4; i++) ran[n++] = starts();
  add("", "", 1, 0, 0, 200);
  for (int second = 0; second < 60 && last != 1; second++) {
    kit_pass(SEC);
    add("", "", 100 + second, 0, 0, 50);
    if (second % 2 == 0 && n > 0) queues_ended(&q, ran[--n]);
    while ((ti = starts()) != 0) {
      last = ti;
      if (ti == 1) {
        assert_true(second >= 29);
        break;
      }
      ran[n++] = ti;
    }
  }
  assert_int_equal(last, 1);
  queues_ended(&q, 1);
  assert_true(starts() != 0); /* and the others go on */
}

/* Nor for one that is gone. */
static void the_budget_drains_for_what_waits(void **st) {
  (void)st;
  add("x", "", 10, 0, 0, 100);
  assert_int_equal(starts(), 10);
  add("u", "", 1, 0, 0, 200);
  assert_int_equal(starts(), 0);
  kit_pass(31 * SEC);
  add("y", "", 2, 0, 0, 10);
  assert_int_equal(starts(), 0);
  assert_true(waiting_drop(&w, 1));
  assert_true(waiting_some(&w, SLOT_PROCESS)); /* so that somebody asks */
  assert_int_equal(starts(), 2);
}

/* ---- memory ---- */

/* A group that has filled its part leaves room for others; when it has run empty, what was refused may come again. */
static void one_group_leaves_room_for_others(void **st) {
  int64_t n = 0;
  (void)st;
  waiting_done(&w);
  waiting_init(&w, &q, 100000);
  while (add("large", "", 1 + n, 0, 0, 0)) n++;
  assert_true(n > 100);
  for (int64_t i = 0; i < 3; i++) assert_true(add("small", "", 10001 + i, 0, 0, 0));
  assert_false(w.dry[SLOT_PROCESS]);
  for (int64_t i = 0, ti; i < n + 3; i++) {
    ti = next();
    assert_true(ti != 0);
    queues_release(&q, ti);
  }
  assert_true(w.dry[SLOT_PROCESS]);
  assert_int_equal(w.bytes[SLOT_PROCESS], 0);
  assert_int_equal(q.people.n, 0);
}

static void a_task_is_here_once(void **st) {
  (void)st;
  add("u", "", 1, 0, 0, 0);
  add("u", "", 1, 0, 0, 0);
  assert_int_equal(waiting_count(&w, SLOT_PROCESS), 1);
  add("v", "", 1, 0, 3, 0); /* it was moved */
  assert_int_equal(waiting_count(&w, SLOT_PROCESS), 1);
  assert_true(waiting_drop(&w, 1));
  assert_false(waiting_drop(&w, 1));
  assert_int_equal(next(), 0);
}

/* Random adds, drops, picks, ends and limits; the checks of both objects hold after each, and all memory comes back. */
static void anything_goes(void **st) {
  uint64_t rnd = 5;
  static const char *const name[] = {"", "a", "b", "c"}, *const type[] = {NULL, "X", "Y"};
  struct queue_row r[7];
  (void)st;
  for (int i = 0; i < 20000; i++) {
    const char *u = name[rand_next(&rnd) % 4], *g = name[rand_next(&rnd) % 4];
    int64_t ti = 1 + (int64_t)(rand_next(&rnd) % 300);
    switch (rand_next(&rnd) % 12) {
    case 0: case 1: case 2: case 3:
      if (!queues_held(&q, ti)) {
        struct queue_view of = {u, g, (int32_t)(rand_next(&rnd) % 5), (int32_t)(rand_next(&rnd) % 3) * 70, type[rand_next(&rnd) % 3]};
        (void)waiting_add(&w, SLOT_PROCESS, &(struct waits){ti, (int64_t)(rand_next(&rnd) % 4), of, kit.env.wall_us, NULL, NULL, NULL, 0});
      }
      break;
    case 4: (void)waiting_drop(&w, ti); break;
    case 5: case 6: (void)starts(); break;
    case 7: if ((ti = next()) != 0) queues_release(&q, ti); break;
    case 8: case 9: queues_ended(&q, ti); break;
    case 10: if (queues_held(&q, ti)) {
      queues_move(&q, ti, u, g, false);
      queues_batch_over(&q, rand_next(&rnd) % 2);
    } break;
    case 11:
      for (int k = 0; k < 7; k++) {
        r[k] = row(k + 1, k > 4 ? QUEUE_OF_TYPE : name[k < 4 ? k : 1], k > 4 ? type[k - 4] : k < 4 ? "" : "b");
        r[k].max_running = (int64_t)(rand_next(&rnd) % 4) - 1;
        r[k].paused = k < 5 && rand_next(&rnd) % 8 == 0;
        r[k].order = (int32_t)(rand_next(&rnd) % 3) - 1;
        if (rand_next(&rnd) % 4 == 0) r[k].rate_count = 2, r[k].rate_per_us = SEC;
      }
      load(r + rand_next(&rnd) % 3, rand_next(&rnd) % 6);
      break;
    }
    kit_pass((int64_t)(rand_next(&rnd) % (100 * MS)));
    waiting_check(&w);
    queues_check(&q);
  }
  queues_reset(&q);
  load(NULL, 0);
  int64_t n = waiting_count(&w, SLOT_PROCESS);
  for (int64_t i = 0; i < n; i++) {
    int64_t ti = next();
    assert_true(ti != 0);
    queues_release(&q, ti);
  }
  assert_int_equal(w.bytes[SLOT_PROCESS], 0);
  assert_int_equal(q.people.n, 0);
}

/* ---- a policy of the host ---- */

static struct asked { size_t calls, n; struct candidate v[OFFER_MOST]; long (*pick)(const struct candidate *v, size_t n); } asked;
static long ask_policy(void *ctx, const struct candidate *v, size_t n) {
  assert_ptr_equal(ctx, &asked);
  assert_in_range(n, 1, OFFER_MOST);
  asked.calls++;
  asked.n = n;
  memcpy(asked.v, v, n * sizeof *v);
  return asked.pick(v, n);
}
static struct queue_policy own = {.ctx = &asked, .pick = ask_policy};
static void policy(long (*pick)(const struct candidate *v, size_t n)) {
  asked.calls = 0;
  asked.pick = pick;
  atomic_store(&own.on, true);
  q.opts.policy = &own;
}
static long the_last(const struct candidate *v, size_t n) { return (void)v, (long)n - 1; }
static long the_first(const struct candidate *v, size_t n) { return (void)v, (void)n, 0; }
/* Texts of a candidate are valid during the call. */
static long the_named(const struct candidate *v, size_t n) {
  (void)n;
  if (v->ti != 1) return 0;
  assert_string_equal(v->type, "count");
  assert_string_equal(v->name, "a name");
  assert_string_equal(v->key, "a key");
  return 0;
}
static long none_now(const struct candidate *v, size_t n) { return (void)v, (void)n, -1; }
static long beyond(const struct candidate *v, size_t n) { return (void)v, (long)n; }
static long least_running(const struct candidate *v, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (v[i].running_user < v[best].running_user) best = i;
  return (long)best;
}

static void a_policy_sees_the_first_of_each_group(void **st) {
  (void)st;
  policy(the_last);
  many("a", "x", 1, 100);
  many("a", "y", 1001, 3);
  many("b", "", 2001, 20);
  assert_int_not_equal(next(), 0);
  assert_int_equal(asked.n, 16 + 3 + 16);
  size_t of[3] = {0};
  for (size_t i = 0; i < asked.n; i++) {
    assert_in_range(asked.v[i].ti % 1000, 1, 16);
    of[asked.v[i].ti / 1000]++;
  }
  assert_int_equal(of[0], 16);
  assert_int_equal(of[1], 3);
  assert_int_equal(of[2], 16);
}

/* Its word is the last one, whatever priority and age say; what it passes by stays, in its order. */
static void a_policy_chooses(void **st) {
  (void)st;
  policy(the_last);
  add("", "", 1, 0, 100, 0);
  many("", "", 2, 40);
  for (int64_t i = 0; i < 26; i++) assert_int_equal(next(), 16 + i);
  for (int64_t i = 15; i >= 1; i--) assert_int_equal(next(), i);
  assert_int_equal(next(), 0);
  assert_int_equal(w.bytes[SLOT_PROCESS], 0);
}

static void a_policy_sees_what_is_urgent_first(void **st) {
  (void)st;
  policy(the_first);
  many("", "", 1, 30);
  add("", "", 31, 7, 5, 0);
  add("", "", 32, 8, -5, 0);
  add("", "", 33, 9, 5, 20);
  assert_int_equal(next(), 31);
  assert_int_equal(next(), 33);
  assert_int_equal(next(), 1);
}

/* At most 1,024 in all, of the groups whose turn it is. */
static void a_policy_sees_a_bounded_list(void **st) {
  char name[16];
  (void)st;
  policy(the_first);
  for (int u = 0; u < 2000; u++) {
    snprintf(name, sizeof name, "u%d", u);
    many(name, "", 1 + 10 * u, 2);
  }
  assert_int_not_equal(next(), 0);
  assert_int_equal(asked.n, OFFER_MOST);
  while (next()) continue;
  assert_int_equal(asked.calls, 4000);
}

/* Limits were checked before; what they hold back is not offered. */
static void a_policy_sees_only_what_may_start(void **st) {
  struct queue_row r[2] = {row(1, "full", ""), row(2, "", "paused")};
  (void)st;
  r[0].max_running = 1;
  r[1].paused = 1;
  load(r, 2);
  policy(the_first);
  many("full", "", 1, 3);
  many("u", "paused", 11, 3);
  add("dear", "", 21, 0, 0, 150);
  add("dear", "", 22, 0, 0, 100);
  int64_t got = 0;
  for (int i = 0; i < 2; i++) got += starts();
  assert_int_equal(got, 22); /* 1 and 21 */
  assert_int_equal(starts(), 0);
  queues_ended(&q, 1);
  assert_int_equal(starts(), 2);
  assert_int_equal(asked.n, 2); /* 2 and 3 */
  queues_ended(&q, 21);
  assert_int_equal(starts(), 22);
}

static void a_policy_knows_what_runs(void **st) {
  (void)st;
  policy(least_running);
  many("a", "x", 1, 4);
  many("a", "y", 11, 4);
  many("b", "", 21, 4);
  int of_b = 0;
  for (int i = 0; i < 8; i++) of_b += starts() > 20;
  assert_int_equal(of_b, 4);
  queues_ended(&q, 21);
  assert_in_range(starts(), 1, 20);
  for (size_t i = 0; i < asked.n; i++) {
    assert_int_equal(asked.v[i].running_user, 4);
    assert_true(asked.v[i].running_group <= 4);
  }
}

/* "None" holds until the next turn, and so does an index that is none. */
static void a_policy_may_want_none(void **st) {
  (void)st;
  policy(none_now);
  many("", "", 1, 3);
  for (int i = 0; i < 5; i++) assert_int_equal(next(), 0);
  assert_int_equal(asked.calls, 1);
  assert_false(waiting_some(&w, SLOT_PROCESS));
  w.none[SLOT_PROCESS] = false; /* a turn begins: wait_pull() */
  asked.pick = beyond;
  for (int i = 0; i < 5; i++) assert_int_equal(next(), 0);
  assert_int_equal(asked.calls, 2);
  assert_true(w.odd);
  w.none[SLOT_PROCESS] = false;
  asked.pick = the_first;
  assert_int_equal(next(), 1);
  atomic_store(&own.on, false);
  assert_int_equal(next(), 2);
  assert_int_equal(asked.calls, 3);
}

static void a_policy_knows_names(void **st) {
  (void)st;
  policy(the_named);
  size_t empty = w.bytes[SLOT_PROCESS];
  assert_true(waiting_add(&w, SLOT_PROCESS, &(struct waits){1, 0, {"u", "g", 3, 10, NULL}, 77, "count", "a name", "a key", 0}));
  assert_true(waiting_add(&w, SLOT_PROCESS, &(struct waits){2, 0, {"u", "g", 3, 10, NULL}, 78, NULL, NULL, NULL, 0}));
  assert_int_equal(next(), 1);
  assert_string_equal(asked.v[0].user, "u");
  assert_string_equal(asked.v[0].group, "g");
  assert_int_equal(asked.v[0].priority, 3);
  assert_int_equal(asked.v[0].cpu, 10);
  assert_int_equal(asked.v[0].since_us, 77);
  assert_null(asked.v[1].type);
  assert_int_equal(w.told.n, 0);
  assert_int_equal(next(), 2);
  assert_int_equal(w.bytes[SLOT_PROCESS], empty);
}

/* Whoever takes a hint out knows the list that it goes back to. */
static void a_hint_keeps_its_list(void **st) {
  struct hint h;
  (void)st;
  for (uint16_t i = 1; i <= 2; i++)
    assert_true(waiting_add(&w, SLOT_PROCESS, &(struct waits){i, 9, {"", "", 0, 0, NULL}, kit.env.wall_us, NULL, NULL, NULL, (uint16_t)(LIMIT_HINT_CLASSES * i / 2)}));
  assert_true(waiting_pick(&w, SLOT_PROCESS, &h));
  assert_true(h.ti == 1 && h.list == LIMIT_HINT_CLASSES / 2);
  assert_int_equal(waiting_give(&w, SLOT_PROCESS, &h, 1), 1);
  assert_true(h.ti == 2 && h.fi == 9 && h.list == LIMIT_HINT_CLASSES);
}

/* ---- limits of a type ---- */

static bool typed(const char *type, const char *user, int64_t ti, int64_t fi, int32_t cpu) {
  return waiting_add(&w, SLOT_PROCESS, &(struct waits){ti, fi, {user, "", 0, cpu, type}, kit.env.wall_us, NULL, NULL, NULL, 0});
}
/* As do_hint() goes on with one that is picked: of which type it is stands in its definition. */
static int64_t starts_as(const char *type) {
  int64_t ti = next();
  if (ti == 0) return 0;
  if (!queues_is_of(&q, ti, type) || !queues_claim(&q, ti)) {
    queues_release(&q, ti);
    return -ti;
  }
  queues_started(&q, ti);
  queues_batch_over(&q, true);
  return ti;
}
static struct queue_row type_row(int64_t id, const char *type, int64_t max) {
  struct queue_row r = row(id, QUEUE_OF_TYPE, type);
  r.max_running = max;
  return r;
}

/* Over all users and groups; and what stands behind one that is held goes on, in the same group and in the other class of slots. */
static void a_type_holds_back_its_own_only(void **st) {
  struct queue_row r[2] = {type_row(1, "X", 2), type_row(2, "Y", 0)};
  struct hint h;
  (void)st;
  load(r, 2);
  for (int64_t i = 1; i <= 4; i++) typed("X", i % 2 ? "u" : "v", i, 0, 0);
  typed("Y", "u", 5, 0, 0);
  many("u", "", 6, 2);
  many("v", "", 8, 1);
  assert_true(waiting_add(&w, SLOT_ASYNC, &(struct waits){20, 0, {"u", "", 0, 0, "Z"}, kit.env.wall_us, NULL, NULL, NULL, 0}));
  int of_x = 0, others = 0;
  for (int64_t ti; (ti = next()) != 0;) {
    assert_true(queues_claim(&q, ti));
    queues_started(&q, ti);
    queues_batch_over(&q, true);
    assert_int_not_equal(ti, 5);
    of_x += ti <= 4, others += ti > 5;
  }
  assert_int_equal(of_x, 2);
  assert_int_equal(others, 3);
  assert_true(waiting_pick(&w, SLOT_ASYNC, &h) && h.ti == 20);
  queues_release(&q, 20);
  queues_ended(&q, 6); /* of no type: nothing of these comes */
  assert_int_equal(next(), 0);
  queues_ended(&q, queues_held(&q, 1) ? 1 : 2);
  assert_in_range(starts(), 1, 4);
  assert_int_equal(starts(), 0);
  r[1].max_running = 1;
  load(r, 2);
  assert_int_equal(starts(), 5);
  load(NULL, 0);
  assert_in_range(starts(), 1, 4);
}

/* A queue and a type hold each by itself. */
static void a_task_is_under_its_queue_and_its_type(void **st) {
  struct queue_row r[2] = {row(1, "u", ""), type_row(2, "X", 1)};
  (void)st;
  r[0].max_running = 1;
  load(r, 2);
  typed("X", "u", 1, 0, 0);
  typed("X", "v", 2, 0, 0);
  many("u", "", 3, 1);
  assert_int_equal(starts(), 1);
  assert_int_equal(starts(), 0); /* 2: its type; 3: its queue */
  queues_ended(&q, 1);
  assert_true(starts() > 1 && starts() > 1);
}

static void a_type_has_a_rate(void **st) {
  struct queue_row r = type_row(1, "X", -1);
  struct queue_rate out;
  (void)st;
  r.rate_count = 2;
  r.rate_per_us = 10 * SEC;
  load(&r, 1);
  for (int64_t i = 1; i <= 4; i++) typed("X", "u", i, 7, 0);
  many("u", "", 5, 1);
  int got = 0;
  for (int64_t ti; (ti = next()) != 0; got++) {
    assert_true(queues_claim(&q, ti));
    assert_int_equal(queues_rates(&q, &out, 1), ti != 5);
    queues_started(&q, ti);
    queues_batch_over(&q, true);
  }
  assert_int_equal(got, 3);
  assert_int_not_equal(queues_next(&q), INT64_MAX);
  kit_pass(5 * SEC);
  assert_in_range(starts(), 1, 4);
  assert_int_equal(starts(), 0);
  kit_pass(5 * SEC);
  assert_in_range(starts(), 1, 4);
}

/* What waits already when its type gets a limit is found to be of it at its claim. */
static void a_type_gets_its_limit_later(void **st) {
  struct queue_row r = type_row(1, "X", 1);
  (void)st;
  typed("X", "", 1, 0, 0);
  typed("X", "", 2, 0, 0);
  assert_true(queues_home(&q, &(struct queue_view){"", "", 0, 0, "X"}, 9)); /* runs, and nothing limits it yet */
  queues_started(&q, 9);
  queues_batch_over(&q, true);
  load(&r, 1);
  assert_int_equal(q.row[0]->held, 1);
  for (int64_t i = 1; i <= 2; i++) {
    assert_int_equal(starts_as("X"), -i);
    typed("X", "", i, 0, 0);
  }
  assert_int_equal(starts_as("X"), 0);
  assert_false(queues_home(&q, &(struct queue_view){"", "", 0, 0, "X"}, 10));
  queues_ended(&q, 9);
  assert_int_equal(starts_as("X"), 1);
  assert_int_equal(starts_as("X"), 0);
}

/* A task of another node whose type nobody has said counts for each type; a plain one for none. */
static void what_others_run_counts_under_its_type(void **st) {
  struct queue_row r[2] = {type_row(1, "X", 2), type_row(2, "Y", 1)};
  struct running_row run[3] = {{.ti = 91, .user = "u", .group = "", .owner = ME + 1, .noted = true, .added = true, .type = "X"},
                               {.ti = 92, .fi = 7, .user = "", .group = "", .owner = ME + 1, .noted = true},
                               {.ti = 93, .fi = 7, .user = "", .group = "", .owner = ME + 1, .noted = true, .added = true}};
  struct count_note note[2];
  (void)st;
  kit.env.single = false;
  load(r, 2);
  queues_running(&q, run, 3);
  typed("X", "", 1, 0, 0);
  typed("X", "", 2, 0, 0);
  typed("Y", "", 3, 0, 0);
  assert_int_equal(starts(), 0); /* 91 and 93 run of X, 93 of Y */
  queues_running(&q, run, 2);
  assert_in_range(starts(), 1, 3);
  assert_in_range(starts(), 1, 3);
  assert_int_equal(starts(), 0);
  assert_int_equal(queues_notes(&q, NULL, 0), 4);
  queues_ended(&q, 3);
  assert_int_equal(queues_notes(&q, note, 2), 2);
  assert_true(note[0].ti == 1 && note[1].ti == -1 && strcmp(note[1].user, QUEUE_OF_TYPE) == 0 && strcmp(note[1].group, "X") == 0);
}

/* What a former process left on the one node of its store: its type is not known, so each type waits for it. */
static void what_was_left_counts_under_each_type(void **st) {
  struct queue_row r[2] = {type_row(1, "X", 1), type_row(2, "Y", 1)};
  struct running_row run = {.ti = 91, .fi = 7, .user = "", .group = "", .owner = ME + 1, .added = true};
  (void)st;
  load(r, 2);
  queues_running(&q, &run, 1);
  typed("X", "", 1, 0, 0);
  typed("Y", "", 2, 0, 0);
  many("", "", 3, 1);
  assert_int_equal(starts(), 3);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 91);
  assert_true(starts() != 0 && starts() != 0);
}

/* A lane that the budget and one that a type hold back, in one group. */
static void a_type_and_the_budget(void **st) {
  struct queue_row r = type_row(1, "X", 0);
  (void)st;
  load(&r, 1);
  typed("X", "", 1, 0, 0);
  add("", "", 2, 0, 0, 150);
  add("", "", 3, 0, 0, 150);
  assert_int_equal(starts(), 2);
  assert_int_equal(starts(), 0);
  r.max_running = 1;
  load(&r, 1);
  assert_int_equal(starts(), 1);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 2);
  assert_int_equal(starts(), 3);
}

static void a_policy_sees_no_type_that_is_held(void **st) {
  struct queue_row r = type_row(1, "X", 1);
  (void)st;
  load(&r, 1);
  policy(the_first);
  typed("X", "", 1, 0, 0);
  typed("X", "", 2, 0, 0);
  many("", "", 3, 1);
  assert_true(starts() != 0 && starts() != 0);
  assert_int_equal(starts(), 0);
  queues_ended(&q, queues_held(&q, 1) ? 1 : 2);
  assert_true(starts() != 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(first_come_first_served), OBJECT(urgent_ones_come_first), OBJECT(waiting_makes_urgent), OBJECT(flows_take_turns),
    OBJECT(fifo_knows_no_turns), OBJECT(a_small_user_waits_for_no_large_one), OBJECT(weights_are_kept), OBJECT(nobody_saves_up),
    OBJECT(dear_starts_count_more), OBJECT(a_limit_holds_back_its_own_only), OBJECT(all_rows_must_have_room),
    OBJECT(a_paused_queue_starts_nothing), OBJECT(limits_change), OBJECT(what_runs_already_counts), OBJECT(a_pick_that_is_lost_gives_back),
    OBJECT(what_nobody_knows_counts_everywhere), OBJECT(a_task_is_moved_by_another_node), OBJECT(notes_are_owed),
    OBJECT(a_task_that_runs_moves), OBJECT(a_rate_is_kept), OBJECT(a_rate_is_paid_with_the_commit), OBJECT(what_is_too_dear_is_passed_by),
    OBJECT(the_budget_drains_for_the_oldest), OBJECT(the_budget_drains_for_what_waits), OBJECT(one_group_leaves_room_for_others), OBJECT(a_task_is_here_once), OBJECT(anything_goes),
    OBJECT(a_policy_sees_the_first_of_each_group), OBJECT(a_policy_chooses), OBJECT(a_policy_sees_what_is_urgent_first),
    OBJECT(a_policy_sees_a_bounded_list), OBJECT(a_policy_sees_only_what_may_start), OBJECT(a_policy_knows_what_runs),
    OBJECT(a_hint_keeps_its_list),
    OBJECT(a_policy_may_want_none), OBJECT(a_policy_knows_names), OBJECT(a_type_holds_back_its_own_only),
    OBJECT(a_task_is_under_its_queue_and_its_type), OBJECT(a_type_has_a_rate), OBJECT(a_type_gets_its_limit_later),
    OBJECT(what_others_run_counts_under_its_type), OBJECT(what_was_left_counts_under_each_type), OBJECT(a_type_and_the_budget),
    OBJECT(a_policy_sees_no_type_that_is_held)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
