/* The queue facts on a real Redis, and what can happen to one: flushed, keys of a wrong type, bad hints, passwords, a
 * read-only replica, killed connections, a server that hangs, that comes late, that lies.
 *
 * WEIR_TEST_REDIS=redis+unix://PATH names a server of the test's own: it is flushed, stopped and reconfigured. */
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "queue_facts.h"

static const char *url, *path;
static redisContext *admin;

static struct queue *open_redis(size_t max) {
  static int count;
  char prefix[32];
  snprintf(prefix, sizeof prefix, "t%d", ++count);
  return open_url(url, prefix, max);
}

/* The queue with a prefix that the test can name. */
static struct queue *open_named(const char *prefix) { return open_url(url, prefix, 0); }

/* An administrator's command, split at spaces; its integer, or 0. An error fails the test. */
static long long command(const char *text) {
  redisReply *r = redisCommand(admin, text);
  assert_non_null(r);
  if (r->type == REDIS_REPLY_ERROR) fail_msg("%s: %s", text, r->str);
  long long n = r->integer;
  freeReplyObject(r);
  return n;
}

static void push_until_taken(struct queue *q, int64_t ti) {
  const struct hint h = {ti, 2 * ti, 0};
  while (!push_all(q, &h, 1)) usleep(1000); /* away: the dialer is at it */
}

/* Pops until something comes, through any outage. */
static size_t pop_until(struct queue *q, struct hint *out, size_t n) {
  bool away;
  size_t got;
  while ((got = queue_pop(q, out, n, FOREVER_US, &away)) == 0) usleep(1000);
  return got;
}

static bool push_one(struct queue *q, int64_t ti) { return push_all(q, &(struct hint){ti, 2 * ti, 0}, 1); }

/* Until the pop says away; it brings nothing meanwhile. */
static void pop_until_away(struct queue *q) {
  struct hint h;
  bool away = false;
  while (!away) assert_int_equal(queue_pop(q, &h, 1, 1000, &away), 0);
}

static void test_keys(void **st) {
  (void)st;
  struct queue *q = open_named("keys");
  push_range(q, 1, 3);
  assert_int_equal(command("LLEN weir:keys:q:default:0"), 3);
  assert_true(queue_nudge(q, 77));
  assert_true(queue_nudge(q, 77));
  assert_int_equal(command("LLEN weir:keys:n:77"), 2);
  assert_true(command("TTL weir:keys:n:77") > 0); /* a dead node leaves nothing behind */
  pop_range(q, 1, 3);
  assert_int_equal(command("EXISTS weir:keys:q:default:0"), 0);
  queue_close(q);
}

static void test_two_nodes(void **st) {
  (void)st;
  struct queue *a = open_named("two"), *b = open_named("two");
  struct hint h[4];
  queue_set_node(a, 10);
  queue_set_node(b, 11);
  push_range(a, 1, 6);
  pop_range(b, 1, 3);
  pop_range(a, 4, 6);
  assert_true(queue_nudge(a, 11));
  pop_nothing(a);
  assert_int_equal(pop_some(b, h, 4), 1);
  assert_int_equal(h[0].ti, 0);
  queue_close(a);
  queue_close(b);
}

/* One at a time, and who does not give it back, because it died, holds up nobody for long. */
static void test_turns(void **st) {
  (void)st;
  struct queue *a = open_named("turns"), *b = open_named("turns"), *c = open_named("others");
  push_range(a, 1, 1);
  push_range(b, 2, 2);
  push_range(c, 3, 3);
  assert_true(queue_turn(a, 7, 60 * 1000000));
  assert_false(queue_turn(b, 7, 60 * 1000000));
  assert_false(queue_turn(a, 7, 60 * 1000000));
  assert_true(queue_turn(c, 7, 60 * 1000000));
  assert_true(queue_turn(b, 8, 60 * 1000000)); /* it can run what the others cannot */
  assert_true(command("PTTL weir:turns:turn:00000007") > 0);
  command("DEL weir:turns:turn:00000007");
  assert_true(queue_turn(b, 7, 1000));
  while (!queue_turn(a, 7, 1000)) usleep(1000);
  command("DEL weir:turns:q:default:0");
  queue_close(a);
  queue_close(b);
  queue_close(c);
}

static void test_many_hints(void **st) {
  (void)st;
  struct queue *q = open_redis(100000);
  push_range(q, 1, 60000); /* many commands in one push */
  assert_true(queue_depth(q) == 60000);
  pop_range(q, 1, 60000);
  assert_true(queue_depth(q) == 0);
  queue_close(q);
}

static void test_blocked_is_empty(void **st) {
  (void)st;
  struct queue *q = open_named("blocked");
  struct popper p;
  push_range(q, 1, 5);
  assert_int_equal(queue_depth(q), 5);
  command("DEL weir:blocked:q:default:0"); /* now the depth is out of date */
  popper_start(&p, q, 4);
  while (queue_depth(q) != 0) usleep(1000);
  push_range(q, 8, 8);
  popper_join(&p);
  assert_int_equal(p.got, 1);
  queue_close(q);
}

static void test_bound_is_shared(void **st) {
  (void)st;
  struct queue *a = open_url(url, "bound", 100), *b = open_url(url, "bound", 100);
  push_range(a, 1, 90);
  push_range(b, 91, 94);
  assert_false(push_one(b, 101));
  assert_false(push_one(a, 101));
  command("DEL weir:bound:q:default:0");
  push_range(a, 1, 50);
  push_range(b, 51, 94);
  pop_range(a, 1, 94);
  queue_close(a);
  queue_close(b);
}

static void test_flushall(void **st) {
  (void)st;
  struct queue *q = open_redis(0);
  struct popper p;
  push_range(q, 1, 100);
  command("FLUSHALL");
  pop_nothing(q);
  popper_start(&p, q, 16);
  popper_blocked(&p);
  command("FLUSHALL");
  push_range(q, 7, 7);
  popper_join(&p);
  assert_int_equal(p.got, 1);
  assert_int_equal(p.out[0].ti, 7);
  queue_close(q);
}

static void test_wrong_type(void **st) {
  (void)st;
  struct queue *q = open_named("wrong");
  struct hint h;
  command("SET weir:wrong:q:default:0 x");
  assert_false(push_one(q, 1));
  assert_false(push_one(q, 1));
  pop_until_away(q);
  command("DEL weir:wrong:q:default:0");
  push_until_taken(q, 9);
  assert_int_equal(pop_until(q, &h, 1), 1);
  assert_int_equal(h.ti, 9);
  queue_close(q);
}

static void test_bad_hints(void **st) {
  (void)st;
  struct queue *q = open_named("bad");
  static const char *const bad[] = {"",       "x",    ":",    "1",     "1:",     ":1",  "0:1", "-1:2", "+1:2", "01:2",
                                    "1:02",   "1:-2", "1:2 ", " 1:2",  "1:2:3",  "1.0:2", "0x1:2", "1e3:1",
                                    "9007199254740992:1", "1:9007199254740992", "99999999999999999999:1", "1:\n"};
  push_range(q, 1, 1);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    redisReply *r = redisCommand(admin, "LPUSH %s %b", "weir:bad:q:default:0", bad[i], strlen(bad[i]));
    assert_non_null(r);
    freeReplyObject(r);
    if (i == 10) push_range(q, 2, 2);
  }
  redisReply *r = redisCommand(admin, "LPUSH %s %b", "weir:bad:q:default:0", "1:2\0003", (size_t)5);
  assert_non_null(r);
  freeReplyObject(r);
  push_range(q, 3, 3);
  pop_range(q, 1, 3);
  pop_nothing(q);
  queue_close(q);
}

static pid_t server_pid(void) {
  redisReply *r = redisCommand(admin, "INFO server");
  assert_non_null(r);
  const char *s = strstr(r->str, "process_id:");
  assert_non_null(s);
  pid_t pid = (pid_t)strtol(s + 11, NULL, 10);
  freeReplyObject(r);
  return pid;
}

static long long connections(void) {
  redisReply *r = redisCommand(admin, "INFO stats");
  assert_non_null(r);
  const char *s = strstr(r->str, "total_connections_received:");
  assert_non_null(s);
  long long n = strtoll(s + 27, NULL, 10);
  freeReplyObject(r);
  return n;
}

static bool healthy(struct queue *q) {
  struct health_part h = {0};
  queue_health(q, &h);
  return h.ok;
}

/* Nobody pushes again: the dialer finds out by itself, and not before a push would be taken. */
static void test_back_without_a_push(void **st) {
  (void)st;
  struct queue *q = open_named("quiet");
  pid_t pid = server_pid();
  push_range(q, 1, 1);
  assert_int_equal(kill(pid, SIGSTOP), 0);
  assert_false(push_one(q, 2));
  assert_false(healthy(q));
  assert_int_equal(kill(pid, SIGCONT), 0);
  while (!healthy(q)) usleep(1000);
  command("DEL weir:quiet:q:default:0");
  command("SET weir:quiet:q:default:0 x");
  assert_false(push_one(q, 3));
  assert_false(healthy(q));
  for (long long dials = connections(), n = dials; n < dials + 3; n = connections()) {
    assert_false(healthy(q));
    usleep(1000);
  }
  command("DEL weir:quiet:q:default:0");
  while (!healthy(q)) usleep(1000);
  command("REPLICAOF 127.0.0.1 1");
  assert_false(push_one(q, 4));
  assert_false(healthy(q));
  command("REPLICAOF NO ONE");
  while (!healthy(q)) usleep(1000);
  queue_close(q);
}

static void test_password(void **st) {
  (void)st;
  char good[256], wrong[256];
  struct hint h;
  snprintf(good, sizeof good, "redis+unix://:s%%40same@%s", path);
  snprintf(wrong, sizeof wrong, "redis+unix://:other@%s", path);
  command("CONFIG SET requirepass s@same");
  struct queue *none = open_named("auth"), *bad = open_url(wrong, "auth", 0), *ok = open_url(good, "auth", 0);
  assert_false(push_one(none, 1));
  assert_false(push_one(bad, 1));
  pop_until_away(none);
  pop_until_away(bad);
  push_range(ok, 1, 10);
  pop_range(ok, 1, 10);
  redisReply *r = redisCommand(admin, "CONFIG SET requirepass %s", "");
  assert_non_null(r);
  assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
  freeReplyObject(r);
  push_until_taken(none, 5); /* no restart is needed once it is let in */
  assert_int_equal(pop_until(none, &h, 1), 1);
  queue_close(none);
  queue_close(bad);
  queue_close(ok);
}

static void test_database(void **st) {
  (void)st;
  char db3[256], db99[256];
  snprintf(db3, sizeof db3, "%s?db=3", url);
  snprintf(db99, sizeof db99, "%s?db=99", url);
  struct queue *zero = open_named("db"), *three = open_url(db3, "db", 0), *none = open_url(db99, "db", 0);
  push_range(three, 1, 2);
  pop_nothing(zero);
  pop_range(three, 1, 2);
  assert_false(push_one(none, 1));
  pop_until_away(none);
  queue_close(zero);
  queue_close(three);
  queue_close(none);
}

static void test_readonly(void **st) {
  (void)st;
  struct queue *q = open_redis(0);
  struct hint h;
  push_range(q, 1, 1);
  pop_range(q, 1, 1);
  command("REPLICAOF 127.0.0.1 1");
  assert_false(push_one(q, 2));
  assert_false(push_one(q, 2));
  pop_until_away(q);
  command("REPLICAOF NO ONE");
  push_until_taken(q, 3);
  assert_int_equal(pop_until(q, &h, 1), 1);
  assert_int_equal(h.ti, 3);
  queue_close(q);
}

static void test_killed_connections(void **st) {
  (void)st;
  struct queue *q = open_redis(0);
  struct hint h;
  for (int64_t i = 1; i <= 5; i++) {
    push_range(q, i, i);
    pop_range(q, i, i);
    command("CLIENT KILL TYPE normal SKIPME yes");
    push_range(q, i + 100, i + 100); /* a broken connection is made again within the push */
    assert_int_equal(pop_until(q, &h, 1), 1);
    assert_int_equal(h.ti, i + 100);
  }
  queue_close(q);
}

static void test_killed_while_blocked(void **st) {
  (void)st;
  struct queue *q = open_redis(0);
  struct popper p;
  pop_nothing(q); /* connected */
  popper_start(&p, q, 1);
  popper_blocked(&p);
  command("CLIENT KILL TYPE normal SKIPME yes");
  popper_join(&p);
  assert_int_equal(p.got, 0);
  assert_true(p.away);
  queue_close(q);
}

static void test_hanging_server(void **st) {
  (void)st;
  struct queue *q = open_redis(0), *late = NULL;
  struct popper p;
  struct hint h;
  pid_t pid = server_pid();
  push_range(q, 1, 1);
  pop_range(q, 1, 1);
  popper_start(&p, q, 1);
  popper_blocked(&p);
  assert_int_equal(kill(pid, SIGSTOP), 0);
  assert_false(push_one(q, 2));
  assert_false(push_one(q, 2));
  queue_wake(q); /* ends the pop although Redis does not answer */
  popper_join(&p);
  assert_int_equal(p.got, 0);
  late = open_redis(0);
  popper_start(&p, late, 1);
  queue_close(q);
  queue_wake(late);
  popper_join(&p);
  assert_int_equal(kill(pid, SIGCONT), 0);
  push_until_taken(late, 3);
  assert_int_equal(pop_until(late, &h, 1), 1);
  assert_int_equal(h.ti, 3);
  queue_close(late);
}

static void test_close_while_it_hangs(void **st) {
  (void)st;
  struct queue *q = open_redis(0);
  struct popper p;
  pid_t pid = server_pid();
  pop_nothing(q);
  popper_start(&p, q, 1);
  popper_blocked(&p);
  assert_int_equal(kill(pid, SIGSTOP), 0);
  queue_close(q);
  popper_join(&p);
  assert_int_equal(kill(pid, SIGCONT), 0);
  assert_int_equal(p.got, 0);
}

static void test_comes_late(void **st) {
  (void)st;
  char folder[] = "/tmp/weir-queue-XXXXXX", link_path[64], link_url[96];
  struct hint h;
  assert_non_null(mkdtemp(folder));
  snprintf(link_path, sizeof link_path, "%s/late", folder);
  snprintf(link_url, sizeof link_url, "redis+unix://%s", link_path);
  struct queue *q = open_url(link_url, "late", 0);
  assert_false(push_one(q, 1));
  assert_false(queue_nudge(q, 1));
  pop_until_away(q);
  assert_int_equal(symlink(path, link_path), 0);
  push_until_taken(q, 2);
  assert_int_equal(pop_until(q, &h, 1), 1);
  assert_int_equal(h.ti, 2);
  queue_close(q);
  assert_int_equal(unlink(link_path), 0);
  assert_int_equal(rmdir(folder), 0);
}

/* What one node popped and could not use is another's, in order. */
static void test_gives_back(void **st) {
  (void)st;
  struct queue *a = open_named("back"), *b = open_named("back");
  struct popper p;
  struct hint h;
  popper_start(&p, a, 16);
  popper_blocked(&p);
  queue_wake(a); /* its pop of 16 may still be under way */
  popper_join(&p);
  assert_int_equal(p.got, 0);
  push_range(a, 1, 5);
  assert_int_equal(pop_some(a, &h, 1), 1);
  assert_int_equal(h.ti, 1);
  queue_close(a);
  pop_range(b, 2, 5);
  queue_close(b);
}

/* A poller that has ended leaves no pop open at the server, which would be given what others push. */
static void test_ends_open_pop(void **st) {
  (void)st;
  struct queue *a = open_named("ended"), *b = open_named("ended");
  struct popper p;
  push_range(b, 1, 1); /* both connections are there */
  pop_range(a, 1, 1);
  popper_start(&p, a, 16);
  popper_blocked(&p);
  queue_wake(a);
  popper_join(&p);
  assert_int_equal(p.got, 0);
  queue_pop_end(a);
  push_range(a, 2, 5);
  push_range(b, 6, 9);
  pop_range(b, 2, 9); /* all, while a is still there */
  queue_close(a);
  queue_close(b);
}

/* ---- lists by class ---- */

/* A node that can run one type, and has labels of the form "a,b". */
struct runs { const char *type, *labels; struct hint_lists *lists; };

static bool runs(void *ctx, const char *type, const char *labels) {
  const struct runs *r = ctx;
  return strcmp(type, r->type) == 0 && (!*labels || strcmp(labels, r->labels) == 0);
}

static size_t own(void *ctx, uint16_t *out, size_t most) {
  const struct runs *r = ctx;
  assert_true(most > 0);
  *out = hint_list(r->lists, r->type, NULL);
  return 1;
}

static struct queue *open_lists(const char *prefix, const char *install, size_t max, struct runs *r) {
  struct queue *q = open_url(url, prefix, max);
  r->lists = hint_lists_new();
  queue_lists(q, &(struct queue_of){.install = install, .lists = r->lists, .ctx = r, .runs = runs, .own = own});
  return q;
}

static void close_lists(struct queue *q, struct runs *r) {
  queue_close(q);
  hint_lists_free(r->lists);
}

static size_t push_class(struct queue *q, const struct runs *r, const char *type, const char *labels, int64_t lo, int64_t hi) {
  struct hint *h = calloc((size_t)(hi - lo + 1), sizeof *h);
  size_t sent;
  assert_non_null(h);
  for (int64_t i = lo; i <= hi; i++) h[i - lo] = (struct hint){i, 2 * i, hint_list(r->lists, type, labels)};
  assert_int_not_equal(queue_push(q, h, (size_t)(hi - lo + 1), &sent), QUEUE_AWAY);
  free(h);
  return sent;
}

static void test_own_lists(void **st) {
  (void)st;
  struct runs ra = {.type = "A", .labels = "gpu"}, rb = {.type = "B", .labels = ""};
  struct queue *a = open_lists("own.p", "own", 0, &ra), *b = open_lists("own.p", "own", 0, &rb);
  struct hint h[64];
  push_class(a, &ra, "A", NULL, 1, 3);
  push_class(a, &ra, "B", NULL, 11, 13);
  push_class(a, &ra, "A", "gpu", 21, 23);
  push_class(a, &ra, "B", "gpu", 31, 33);
  assert_int_equal(command("LLEN weir:own.p:q:A;gpu"), 3);
  pop_range(b, 11, 13);
  pop_nothing(b);
  for (size_t got = 0, n; got < 6; got += n) {
    n = pop_some(a, h, 64);
    for (size_t i = 0; i < n; i++) {
      assert_true(h[i].ti < 4 || (h[i].ti > 20 && h[i].ti < 24));
      assert_int_equal(h[i].list, hint_list(ra.lists, "A", h[i].ti > 20 ? "gpu" : NULL));
    }
  }
  pop_nothing(a);
  assert_true(queue_pops(a, hint_list(ra.lists, "A", "gpu")) && queue_pops(a, HINT_LIST_SHARED));
  assert_false(queue_pops(a, hint_list(ra.lists, "B", NULL)));
  close_lists(a, &ra); /* its last pop may still be open */
  command("LPUSH weir:own.p:q:default:0 7:0"); /* a node of a former version */
  assert_int_equal(pop_some(b, h, 4), 1);
  assert_true(h[0].ti == 7 && h[0].list == HINT_LIST_SHARED);
  close_lists(b, &rb);
}

/* Two lists that are never empty: neither waits for the other one. */
static void test_lists_take_turns(void **st) {
  (void)st;
  struct runs r = {.type = "A", .labels = "gpu"};
  struct queue *q = open_lists("fair.p", "fair", 0, &r);
  struct hint h;
  int low = 0, high = 0;
  push_class(q, &r, "A", NULL, 1, 60);
  push_class(q, &r, "A", "gpu", 101, 160);
  for (int i = 0; i < 30; i++) {
    assert_int_equal(pop_some(q, &h, 1), 1);
    if (h.ti > 100) high++;
    else low++;
  }
  assert_true(low >= 8 && high >= 8);
  close_lists(q, &r);
}

/* Everybody who is blocked learns of a class that nobody has used before, at once. */
static void test_new_class_wakes_all(void **st) {
  enum { N = 5 };
  (void)st;
  struct runs r[N], pusher = {.type = "P", .labels = ""};
  struct queue *q[N], *p = open_lists("wake.p", "wake", 0, &pusher);
  struct popper pop[N];
  for (int i = 0; i < N; i++) {
    r[i] = (struct runs){.type = "A", .labels = "gpu"};
    q[i] = open_lists("wake.p", "wake", 0, &r[i]);
    queue_set_node(q[i], 100 + i);
    popper_start(&pop[i], q[i], 1);
    popper_blocked(&pop[i]);
  }
  push_class(p, &pusher, "A", "gpu", 1, N);
  int64_t sum = 0;
  for (int i = 0; i < N; i++) {
    popper_join(&pop[i]);
    assert_int_equal(pop[i].got, 1);
    sum += pop[i].out[0].ti;
    close_lists(q[i], &r[i]);
  }
  assert_int_equal(sum, N * (N + 1) / 2);
  close_lists(p, &pusher);
}

/* All lists of an installation together; those of another one do not count. */
static void test_bound_of_all_lists(void **st) {
  (void)st;
  struct runs ra = {.type = "A", .labels = ""}, rb = {.type = "B", .labels = ""}, rc = {.type = "A", .labels = ""};
  struct queue *a = open_lists("all.p", "all", 160, &ra), *b = open_lists("all.q", "all", 160, &rb);
  struct queue *c = open_lists("other.p", "other", 160, &rc);
  assert_int_equal(push_class(a, &ra, "A", NULL, 1, 100), 100);
  assert_int_equal(push_class(b, &rb, "B", NULL, 101, 200), 50); /* a sixteenth is kept for lists with few hints */
  assert_int_equal(push_class(a, &ra, "A", NULL, 1, 1), 0);
  assert_int_equal(push_class(c, &rc, "A", NULL, 1, 100), 100);
  for (char type[] = "C"; *type < 'C' + 10; ++*type) assert_int_equal(push_class(a, &ra, type, NULL, 1, 5), 1); /* 1 of 160/128 */
  assert_int_equal(push_class(a, &ra, "Z", NULL, 1, 5), 0); /* and that room has an end, too */
  pop_range(a, 1, 100);
  assert_int_equal(push_class(b, &rb, "B", NULL, 201, 400), 90);
  close_lists(a, &ra);
  close_lists(b, &rb);
  close_lists(c, &rc);
}

static void count_list(void *to, const char *name, int64_t n) {
  int64_t *of = to;
  if (strcmp(name, "A") == 0) of[0] += n;
  else if (strcmp(name, "A;gpu") == 0) of[1] += n;
  else if (strcmp(name, "*") == 0) of[2] += n;
  of[3]++;
}

static void test_lengths(void **st) {
  (void)st;
  struct runs r = {.type = "A", .labels = ""};
  struct queue *q = open_lists("len.p", "len", 0, &r);
  int64_t n[4] = {0};
  assert_true(queue_lengths(q, count_list, n));
  assert_int_equal(n[3], 0);
  push_class(q, &r, "A", NULL, 1, 7);
  push_class(q, &r, "A", "gpu", 1, 9);
  push_range(q, 1, 3);
  assert_true(queue_lengths(q, count_list, n));
  assert_true(n[0] == 7 && n[1] == 9 && n[2] == 3 && n[3] == 3);
  command("FLUSHALL");
  memset(n, 0, sizeof n);
  assert_true(queue_lengths(q, count_list, n));
  assert_int_equal(n[3], 0);
  push_class(q, &r, "A", NULL, 1, 2); /* all that was lost is made again */
  assert_true(queue_lengths(q, count_list, n));
  assert_int_equal(n[0], 2);
  pop_range(q, 1, 2);
  close_lists(q, &r);
}

static void push_alone(struct queue *q, const struct runs *r, const char *type, const char *labels, int64_t lo, int64_t hi) {
  for (int64_t i = lo; i <= hi; i++) {
    const struct hint h = {i, i % 3 ? 0 : HINT_QUEUED, hint_list(r->lists, type, labels)};
    size_t sent;
    assert_int_equal(queue_push(q, &h, 1, &sent), QUEUE_SENT);
  }
}

/* Of tasks that are gone, in lists that somebody pops or nobody, of both halves of an installation; the others stay in order. */
static void test_forgets(void **st) {
  (void)st;
  struct runs ra = {.type = "A", .labels = ""}, rb = {.type = "B", .labels = ""};
  struct queue *a = open_lists("gone.p", "gone", 0, &ra), *b = open_lists("gone.q", "gone", 0, &rb);
  int64_t ti[2000], three[3] = {2, 4001, 4002};
  struct hint h;
  for (int i = 0; i < 2000; i++) ti[i] = 2 * i + 1;
  push_alone(a, &ra, "A", NULL, 1, 4000);
  push_alone(b, &rb, "B", "nobody", 4001, 4003);
  push_class(a, &ra, "A", NULL, 1, 1);               /* of a flow: another number */
  assert_true(queue_forget(a, ti, 2000));
  assert_int_equal(command("LLEN weir:gone.p:q:A"), 2001);
  assert_true(queue_forget(a, three, 3));
  assert_int_equal(command("LLEN weir:gone.p:q:A"), 2000);
  assert_int_equal(command("LLEN weir:gone.q:q:B;nobody"), 1);
  for (int64_t i = 4; i <= 4000; i += 2) {
    assert_int_equal(pop_some(a, &h, 1), 1);
    assert_int_equal(h.ti, i);
  }
  pop_range(a, 1, 1);
  assert_true(queue_forget(a, (int64_t[]){4003}, 1));
  assert_int_equal(command("EXISTS weir:gone.q:q:B;nobody"), 0);
  close_lists(a, &ra);
  close_lists(b, &rb);
}

/* There is an end to lists: then those that are empty go, else hints are shared. */
static void test_many_lists(void **st) {
  (void)st;
  struct runs r = {.type = "T", .labels = ""};
  struct queue *q = open_lists("many.p", "many", 0, &r);
  char type[16];
  for (int i = 0; i < LIMIT_HINT_LISTS + 20; i++) {
    snprintf(type, sizeof type, "t%d", i);
    assert_int_equal(push_class(q, &r, type, NULL, i + 1, i + 1), 1);
  }
  assert_int_equal(command("SCARD weir:many:lists"), LIMIT_HINT_LISTS);
  assert_int_equal(command("LLEN weir:many.p:q:default:0"), 21);
  command("DEL weir:many.p:q:t3");
  assert_int_equal(push_class(q, &r, "late", NULL, 1, 1), 1);
  assert_int_equal(command("LLEN weir:many.p:q:late"), 1);
  assert_int_equal(command("SISMEMBER weir:many:lists weir:many.p:q:t3"), 0);
  pop_range(q, LIMIT_HINT_LISTS, LIMIT_HINT_LISTS + 20);
  close_lists(q, &r);
}

static void test_script_forgotten(void **st) {
  (void)st;
  struct runs r = {.type = "A", .labels = ""};
  struct queue *q = open_lists("sha.p", "sha", 0, &r);
  push_class(q, &r, "A", NULL, 1, 1);
  command("SCRIPT FLUSH");
  assert_int_equal(push_class(q, &r, "A", NULL, 2, 5), 4);
  pop_range(q, 1, 5);
  close_lists(q, &r);
}

/* Somebody else writes into the set: what is no list of ours is not popped. */
static void test_strange_set(void **st) {
  (void)st;
  struct runs r = {.type = "A", .labels = ""};
  struct queue *q = open_lists("odd.p", "odd", 0, &r);
  push_class(q, &r, "A", NULL, 1, 1);
  command("SADD weir:odd:lists x weir:odd.p:q: weir:odd.p:q:A%%41 weir:odd.p:q:A;b,a weir:odd.q:q:A weir:odd.p:n:1");
  command("LPUSH weir:odd.q:q:A 9:0");
  queue_lists_changed(q);
  pop_range(q, 1, 1);
  pop_nothing(q);
  assert_int_equal(command("LLEN weir:odd.q:q:A"), 1);
  close_lists(q, &r);
}

/* What is given back at the end does not go beyond the bound, either. */
static void test_gives_back_what_fits(void **st) {
  (void)st;
  struct queue *a = open_url(url, "fits", 160), *b = open_url(url, "fits", 160);
  struct popper p;
  struct hint h;
  popper_start(&p, a, 16);
  popper_blocked(&p);
  queue_wake(a); /* its pop of 16 may still be under way */
  popper_join(&p);
  push_range(b, 1, 150);
  assert_int_equal(pop_some(a, &h, 1), 1);
  for (int64_t ti = 151; push_one(b, ti); ti++) {} /* the room that a has made */
  queue_close(a);
  assert_int_equal(command("LLEN weir:fits:q:default:0"), 150);
  queue_close(b);
}

/* ---- a server that lies ---- */

struct liar { char folder[32], path[64]; int fd; pthread_t thread; const char *answer; atomic_int served; };

/* PING is answered well, everything else with `answer`; one connection after the other, both of a queue at once. */
static void *liar_connection(void *arg) {
  struct liar *l = ((void **)arg)[0];
  int fd = (int)(intptr_t)((void **)arg)[1];
  char b[4096];
  ssize_t n;
  free(arg);
  while ((n = read(fd, b, sizeof b)) > 0) {
    const char *a = memmem(b, (size_t)n, "PING", 4) ? "+PONG\r\n" : l->answer;
    if (a == l->answer) l->served++; /* before the other side can see it */
    if (send(fd, a, strlen(a), MSG_NOSIGNAL) < 0) break;
  }
  close(fd);
  return NULL;
}

static void *liar_main(void *arg) {
  struct liar *l = arg;
  pthread_t made[256];
  size_t n = 0;
  int fd;
  while (n < 256 && (fd = accept(l->fd, NULL, NULL)) >= 0) {
    void **both = malloc(2 * sizeof *both);
    if (!both) abort();
    both[0] = l;
    both[1] = (void *)(intptr_t)fd;
    if (pthread_create(&made[n], NULL, liar_connection, both) == 0) n++;
  }
  while (n > 0) pthread_join(made[--n], NULL);
  return NULL;
}

static void liar_start(struct liar *l, const char *answer) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  snprintf(l->folder, sizeof l->folder, "/tmp/weir-liar-XXXXXX");
  assert_non_null(mkdtemp(l->folder));
  snprintf(l->path, sizeof l->path, "%s/s", l->folder);
  snprintf(a.sun_path, sizeof a.sun_path, "%s", l->path);
  l->answer = answer;
  atomic_init(&l->served, 0);
  l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(l->fd >= 0);
  assert_int_equal(bind(l->fd, (const struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(listen(l->fd, 16), 0);
  assert_int_equal(pthread_create(&l->thread, NULL, liar_main, l), 0);
}

static void liar_stop(struct liar *l) {
  assert_int_equal(shutdown(l->fd, SHUT_RDWR), 0);
  assert_int_equal(pthread_join(l->thread, NULL), 0);
  close(l->fd);
  unlink(l->path);
  rmdir(l->folder);
}

static void test_liar(void **st) {
  (void)st;
  static const char *const lies[] = {
      ":1\r\n:1\r\n", "+OK\r\n+OK\r\n", "*0\r\n*0\r\n", "*1\r\n$1\r\nx\r\n", "*2\r\n:1\r\n:2\r\n", ":-5\r\n:-5\r\n",
      "*2\r\n$21\r\nweir:liar:q:default:0\r\n*3\r\n$3\r\n1:1\r\n$3\r\n2:2\r\n$3\r\n3:3\r\n:0\r\n", /* more than asked */
      "*2\r\n$21\r\nweir:liar:q:default:0\r\n*1\r\n*1\r\n$3\r\n1:1\r\n:0\r\n",                     /* nested */
      "*-1\r\n:-1\r\n", "*-1\r\n$1\r\nx\r\n", "$-1\r\n+x\r\n", "!garbage\r\n", "-ERR no\r\n-ERR no\r\n", "*99999999999\r\n",
      "-LOADING Redis is loading the dataset in memory\r\n", "-OOM command not allowed\r\n", "-MOVED 1 h:1\r\n",
  };
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    struct liar l;
    char lie_url[96];
    liar_start(&l, lies[i]);
    snprintf(lie_url, sizeof lie_url, "redis+unix://%s", l.path);
    struct queue *q = open_url(lie_url, "liar", 0);
    pop_until_away(q);
    assert_true(l.served > 0);
    if (i > 1) (void)push_one(q, 1); /* an integer is a good answer to LPUSH */
    else if (i == 1) assert_false(push_one(q, 1));
    queue_close(q);
    liar_stop(&l);
  }
}

int main(void) {
  static const struct CMUnitTest more[] = {
      cmocka_unit_test(test_keys),          cmocka_unit_test(test_two_nodes),    cmocka_unit_test(test_turns), cmocka_unit_test(test_many_hints),
      cmocka_unit_test(test_blocked_is_empty), cmocka_unit_test(test_bound_is_shared), cmocka_unit_test(test_flushall),
      cmocka_unit_test(test_wrong_type),    cmocka_unit_test(test_bad_hints),    cmocka_unit_test(test_password),
      cmocka_unit_test(test_back_without_a_push),
      cmocka_unit_test(test_database),      cmocka_unit_test(test_readonly),     cmocka_unit_test(test_killed_connections),
      cmocka_unit_test(test_killed_while_blocked), cmocka_unit_test(test_hanging_server),
      cmocka_unit_test(test_close_while_it_hangs), cmocka_unit_test(test_comes_late), cmocka_unit_test(test_gives_back), cmocka_unit_test(test_ends_open_pop),
      cmocka_unit_test(test_own_lists),     cmocka_unit_test(test_lists_take_turns), cmocka_unit_test(test_new_class_wakes_all),
      cmocka_unit_test(test_bound_of_all_lists), cmocka_unit_test(test_lengths), cmocka_unit_test(test_forgets), cmocka_unit_test(test_many_lists),
      cmocka_unit_test(test_script_forgotten), cmocka_unit_test(test_strange_set), cmocka_unit_test(test_gives_back_what_fits),
      cmocka_unit_test(test_liar),
  };
  url = getenv("WEIR_TEST_REDIS");
  if (!url || strncmp(url, "redis+unix://", 13) != 0) return 77;
  path = url + 13;
  signal(SIGPIPE, SIG_IGN);
  admin = redisConnectUnix(path);
  if (!admin || admin->err) return 1;
  facts_open = open_redis;
  int failed = facts_run("queue_redis", more, sizeof more / sizeof *more);
  redisFree(admin);
  return failed;
}
