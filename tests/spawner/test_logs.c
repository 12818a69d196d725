/* Output of tasks: kept byte for byte, streamed while they run, bounded in store and in memory, and honest about what is
 * left out. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"
#include "wr_limits.h"

enum { POUR = 1 << 20 };
static char self[256];

static struct attempt *run(const char *script, const char *config) {
  struct attempt *a = h_run("SHELL", script, config);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->log_bytes, h_log(a->ti)->len);
  return a;
}

static void test_bytes(void **st) {
  (void)st;
  struct attempt *a = run("printf 'a\\0b\\377\\376\\303(\\n\\033[1m'; printf 'err' >&2", NULL);
  struct buf *b = h_log(a->ti);
  assert_int_equal(a->log, LOG_ROWS);
  assert_int_equal(b->len, 15);
  assert_non_null(memmem(b->data, b->len, "a\0b\xFF\xFE\xC3(\n\033[1m", 12));
  assert_non_null(memmem(b->data, b->len, "err", 3));
  attempt_free(a);
}

/* Seen while it runs: the task waits until its first line was stored. */
static void test_streamed(void **st) {
  (void)st;
  int fd = h_fifo("seen");
  char script[400];
  snprintf(script, sizeof script, "echo first; mkfifo %s/go; echo ready > %s/seen; read x < %s/go; echo $x", H.dir, H.dir, H.dir);
  struct attempt *a = h_attempt("SHELL", script, NULL);
  int64_t ti = a->ti;
  char line[32], go[128];
  worker_start(H.w, a);
  h_line(fd, line, sizeof line);
  h_log_reaches(ti, 6);
  assert_string_equal(h_log(ti)->data, "first\n");
  snprintf(go, sizeof go, "%s/go", H.dir);
  FILE *f = fopen(go, "w");
  assert_non_null(f);
  fputs("second\n", f);
  fclose(f);
  attempt_free(h_await(ti));
  assert_string_equal(h_log(ti)->data, "first\nsecond\n");
  close(fd);
}

static void test_below_cap(void **st) {
  (void)st;
  struct attempt *a = run("seq 1 100000", "{\"log\":588895}"); /* exactly its size */
  struct buf *b = h_log(a->ti);
  assert_int_equal(b->len, 588895);
  char want[16];
  size_t at = 0;
  for (int i = 1; i <= 100000; i++) {
    int n = snprintf(want, sizeof want, "%d\n", i);
    assert_memory_equal(b->data + at, want, (size_t)n);
    at += (size_t)n;
  }
  attempt_free(a);
}

/* The first quarter, a line that says how much is missing, the last three quarters. */
static void assert_capped(const struct attempt *a, int64_t total, int64_t cap, const char *all) {
  char mark[80];
  int64_t head = cap / 4, tail = cap - head;
  int n = snprintf(mark, sizeof mark, "\n[weir: %lld bytes left out here: LIMIT]\n", (long long)(total - cap));
  struct buf *b = h_log(a->ti);
  assert_int_equal(b->len, cap + n);
  assert_memory_equal(b->data + head, mark, (size_t)n);
  for (int64_t i = 0; i < head; i++)
    if (b->data[i] != (all ? all[i] : 0)) fail_msg("byte %lld of the head", (long long)i);
  for (int64_t i = 0; i < tail; i++)
    if (b->data[head + n + i] != (all ? all[total - tail + i] : 0)) fail_msg("byte %lld of the tail", (long long)i);
}

static void test_cap(void **st) {
  (void)st;
  struct buf all = BUF_INIT;
  for (int i = 1; i <= 100000; i++) buf_printf(&all, "%d\n", i);
  static const int caps[] = {588894, 400000, 65536, 10007, 100, 5, 4};
  for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
    char config[32];
    snprintf(config, sizeof config, "{\"log\":%d}", caps[i]);
    struct attempt *a = run("seq 1 100000", config);
    assert_capped(a, (int64_t)all.len, caps[i], all.data);
    attempt_free(a);
  }
  struct attempt *a = run("seq 1 3", "{\"log\":0}");
  assert_string_equal(h_log(a->ti)->data, "\n[weir: 6 bytes left out here: LIMIT]\n");
  attempt_free(a);
  buf_done(&all);
}

/* Two streams by turns: more changes than the ring remembers. */
static void test_two_streams(void **st) {
  (void)st;
  struct attempt *a = run("i=0; while [ $i -lt 3000 ]; do echo o; echo e >&2; i=$((i+1)); done", "{\"log\":8000,\"stderr\":\"apart\"}");
  char mark[] = "\n[weir: 4000 bytes left out here: LIMIT]\n";
  struct buf *b = h_log(a->ti);
  assert_int_equal(b->len, 8000 + sizeof mark - 1);
  assert_memory_equal(b->data + 2000, mark, sizeof mark - 1);
  attempt_free(a);
}

/* Asked for, each stream is told from the other. */
/* Two streams that take turns byte by byte are not a piece a byte. */
static void test_turns(void **st) {
  (void)st;
  struct attempt *a = run("i=0; while [ $i -lt 100 ]; do printf o; /bin/true; printf e >&2; /bin/true; i=$((i+1)); done", "{\"stderr\":\"apart\"}");
  assert_int_equal(strlen(h_log_of(a->ti, 1)), 100);
  assert_int_equal(strlen(h_log_of(a->ti, 2)), 100);
  assert_true(h_log_pieces(a->ti) < 150);
  attempt_free(a);
}

static void test_apart(void **st) {
  (void)st;
  struct attempt *a = run("echo out; echo err >&2; echo more", "{\"stderr\":\"apart\"}");
  assert_string_equal(h_log_of(a->ti, 1), "out\nmore\n");
  assert_string_equal(h_log_of(a->ti, 2), "err\n");
  attempt_free(a);
  a = run("echo out; echo err >&2", NULL);
  assert_string_equal(h_log_of(a->ti, 1), "out\nerr\n");
  attempt_free(a);
}

static void test_gigabyte(void **st) {
  (void)st;
  struct attempt *a = run("head -c 1073741824 /dev/zero", NULL);
  assert_capped(a, 1 << 30, LIMIT_LOG_BYTES, NULL);
  attempt_free(a);
  struct rusage ru;
  getrusage(RUSAGE_SELF, &ru);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  assert_in_range(ru.ru_maxrss, 1, 160 * 1024); /* KiB: the test keeps some logs of 16 MiB itself */
#endif
}

/* The end of a long log takes a slow store many seconds: other logs, and the ends of their attempts, come in between, and its own
 * attempt waits, so that both rows say what is stored. */
static void test_long_end(void **st) {
  (void)st;
  enum { ALL = 80000000, SLOW_MS = 300 };
  int fd = h_fifo("long");
  char script[300], config[32], line[32], go[128];
  snprintf(script, sizeof script, "head -c %d /dev/zero; mkfifo %s/on; echo ready > %s/long; read x < %s/on", ALL, H.dir, H.dir, H.dir);
  snprintf(config, sizeof config, "{\"log\":%d}", ALL);
  struct attempt *a = h_attempt("SHELL", script, config);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_line(fd, line, sizeof line);
  h_log_reaches(ti, ALL / 4);
  h_slow_logs(SLOW_MS);
  snprintf(go, sizeof go, "%s/on", H.dir);
  FILE *f = fopen(go, "w");
  assert_non_null(f);
  fputs("on\n", f);
  fclose(f);
  h_log_reaches(ti, ALL / 4 + 1); /* its end is under way */
  int64_t from_us = clock_mono_us();
  attempt_free(run("echo beside", NULL));
  assert_in_range(clock_mono_us() - from_us, 0, 2500000);
  assert_true(h_log(ti)->len < ALL);
  a = h_await(ti);
  h_slow_logs(0);
  assert_int_equal(a->log_lost, 0);
  assert_int_equal(a->log_bytes, ALL);
  assert_int_equal(h_log(ti)->len, ALL);
  attempt_free(a);
  close(fd);
}

static void test_one_long_line(void **st) {
  (void)st;
  struct attempt *a = run("head -c 104857600 /dev/zero", "{\"log\":4194304}");
  assert_capped(a, 104857600, 4194304, NULL);
  attempt_free(a);
}

/* What could not be written is named; the rest is kept, without a gap in the offsets. */
static void test_store_fails(void **st) {
  (void)st;
  h_fail_logs(1);
  struct attempt *a = h_sh("echo one; echo two");
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_string_equal(h_log(a->ti)->data, "\n[weir: 8 bytes left out here: STORE_FAILED]\n");
  assert_int_equal(a->log_bytes, h_log(a->ti)->len);
  assert_int_equal(a->log_lost, 8);
  assert_int_equal(a->log_lost_why, LOG_LOST_STORE_FAILED);
  attempt_free(a);
  h_fail_logs(1000);
  a = h_sh("echo one");
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->log_bytes, 0);
  assert_int_equal(a->log, LOG_NONE);
  assert_int_equal(a->log_lost, 4);
  h_fail_logs(0);
  attempt_free(a);
}

/* An outcome that is not known, and a store that cannot just now: written again until it is, nothing twice, nothing left out. */
static void test_store_away(void **st) {
  (void)st;
  h_again_logs(7);
  struct attempt *a = run("seq 1 60000; echo more >&2", "{\"log\":1000000,\"stderr\":\"apart\"}");
  struct buf *b = h_log(a->ti);
  assert_int_equal(b->len, 348894 + 5);
  assert_memory_equal(b->data + 348888, "60000\n", 6);
  assert_int_equal(a->log_lost, 0);
  attempt_free(a);
}

/* A full disk is said of the row and of the node, and no longer when there is room again. */
static void test_disk_full(void **st) {
  (void)st;
  struct health_part p, store;
  h_full_logs(1000);
  struct attempt *a = h_sh("echo one");
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->log_lost, 4);
  assert_int_equal(a->log_lost_why, LOG_LOST_DISK_FULL);
  attempt_free(a);
  worker_log_health(H.w, &p, &store);
  assert_false(p.ok);
  assert_true(store.ok);
  worker_health(H.w, &p);
  assert_true(p.ok);
  h_full_logs(0);
  a = run("echo two", NULL);
  worker_log_health(H.w, &p, &store);
  assert_true(p.ok);
  attempt_free(a);
}

/* While a store takes no logs, /readyz says so. Nothing is lost. */
static void test_long_away(void **st) {
  (void)st;
  struct health_part room, store;
  h_again_logs(1000000);
  struct attempt *a = h_attempt("SHELL", "echo late", NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  for (store.ok = true; store.ok; poll(NULL, 0, 5)) worker_log_health(H.w, &room, &store);
  assert_true(room.ok);
  assert_non_null(strstr(store.why, "The logs of tasks wait"));
  a = h_await(ti); /* an end does not wait for it, and its row knows of it */
  assert_int_equal(a->log_lost, 0);
  assert_int_equal(a->log_bytes, 5);
  h_again_logs(0);
  while (!store.ok) {
    poll(NULL, 0, 5);
    worker_log_health(H.w, &room, &store);
  }
  struct buf *b = h_log(ti);
  assert_int_equal(b->len, 5);
  attempt_free(a);
}

/* More than the node may hold in memory for all of them, while nothing is written: it waits, and all of it comes. */
static void test_crowd(void **st) {
  (void)st;
  enum { N = 160, BYTES = 600000 };
  struct attempt *list = NULL;
  for (int i = 0; i < N; i++) {
    struct attempt *a = h_attempt("SHELL", "head -c 600000 /dev/zero", NULL);
    a->next = list;
    list = a;
  }
  int64_t last = list->ti;
  h_block_logs(1);
  worker_start(H.w, list);
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  h_block_logs(0);
  for (int i = 0; i < N; i++) {
    struct attempt *a = h_await(last - i);
    assert_int_equal(a->end, ATTEMPT_OK);
    assert_int_equal(a->log_lost, 0);
    h_log_reaches(a->ti, BYTES); /* its row may have come first: an ended attempt waits three seconds for its log */
    attempt_free(a);
  }
}

/* Fills a pipe that was made larger first, and ends. */
static int be_pourer(void) {
  static char b[POUR];
  size_t n = fcntl(STDOUT_FILENO, F_SETPIPE_SZ, POUR) >= POUR ? POUR : 65536;
  return write(STDOUT_FILENO, b, n) == (ssize_t)n ? 0 : 1;
}

/* The ends of many attempts have brought more than the node may hold: one that speaks for the first time then loses what was read
 * of it, and goes on when the store is back. */
static void test_flood(void **st) {
  (void)st;
  enum { N = 140, ALL = 366000 };
  char script[300], line[8];
  int fd = h_fifo("flood");
  uint32_t slots = atomic_exchange(&H.page->slots, 16);
  int64_t patience = atomic_exchange(&H.page->gate_wait_us, 600000000), last = 0;
  h_block_logs(1);
  snprintf(script, sizeof script, "exec %s pour", self);
  for (int i = 0; i < N; i++) {
    struct attempt *a = h_attempt("SHELL", script, NULL);
    last = a->ti;
    worker_start(H.w, a);
  }
  for (int i = 0; i < N; i++) attempt_free(h_await(last - i));
  snprintf(script, sizeof script, "head -c 66000 /dev/zero; echo on > %s/flood; head -c 300000 /dev/zero", H.dir);
  struct attempt *a = h_attempt("SHELL", script, NULL);
  last = a->ti;
  worker_start(H.w, a);
  h_line(fd, line, sizeof line); /* more than a pipe holds was said: some of it was read */
  h_block_logs(0);
  a = h_await(last);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_true(a->log_lost > 0);
  assert_true(a->log_bytes + a->log_lost >= ALL);
  attempt_free(a);
  atomic_store(&H.page->slots, slots);
  atomic_store(&H.page->gate_wait_us, patience);
  close(fd);
}

/* A store that hangs: the task is held up, not the loop; a cancel works; three seconds after its end it comes back. */
static void test_store_hangs(void **st) {
  (void)st;
  h_block_logs(1);
  int fd = h_fifo("stuck");
  char script[200], line[32];
  snprintf(script, sizeof script, "head -c 300000 /dev/zero; echo ready > %s/stuck; exec head -c 100000000 /dev/zero", H.dir);
  struct attempt *a = h_attempt("SHELL", script, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_line(fd, line, sizeof line);
  struct attempt *echo = h_run("ECHO", "x", NULL);
  assert_int_equal(echo->end, ATTEMPT_OK);
  attempt_free(echo);
  worker_cancel(H.w, ti, 1);
  a = h_await(ti);
  assert_int_equal(a->signal, SIGTERM);
  size_t n = (size_t)a->log_bytes;
  assert_true(n >= 300000); /* what the store has not answered for yet */
  attempt_free(a);
  close(fd);
  h_block_logs(0);
  h_log_reaches(ti, n);
  a = h_sh("echo next");
  assert_string_equal(h_log(a->ti)->data, "next\n");
  attempt_free(a);
}

/* The last chunk is stored, and the wait for it is over: both are seen in one turn. */
static void test_store_just_in_time(void **st) {
  char script[200];
  int fd = h_fifo("dead");
  (void)st;
  h_block_logs(1);
  snprintf(script, sizeof script, "exec 9> %s/dead; echo up >&9; echo late", H.dir);
  struct attempt *a = h_attempt("SHELL", script, NULL);
  int64_t ti = a->ti;
  char line[8];
  worker_start(H.w, a);
  h_line(fd, line, sizeof line);
  while (!h_all_dead(fd)) sched_yield();
  h_expect("true", NULL, ATTEMPT_OK, NULL); /* the other's end was seen before this one's */
  struct attempt *hold = h_attempt("SHELL", "true", NULL);
  int64_t hold_ti = hold->ti, due_us = clock_mono_us() + 3000000;
  h_hold_loop(hold);
  h_block_logs(0);
  h_log_reaches(ti, 5);
  while (clock_mono_us() < due_us) poll(NULL, 0, 10); /* time itself is what is tested */
  h_let_loop();
  a = h_await(ti);
  assert_int_equal(a->log_bytes, 5);
  attempt_free(a);
  attempt_free(h_await(hold_ti));
  close(fd);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "pour") == 0) return be_pourer();
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) return 1;
  h_open(NULL);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_bytes), cmocka_unit_test(test_streamed), cmocka_unit_test(test_below_cap), cmocka_unit_test(test_cap),
    cmocka_unit_test(test_two_streams), cmocka_unit_test(test_apart), cmocka_unit_test(test_turns), cmocka_unit_test(test_gigabyte), cmocka_unit_test(test_one_long_line),
    cmocka_unit_test(test_long_end), cmocka_unit_test(test_store_fails), cmocka_unit_test(test_store_away), cmocka_unit_test(test_long_away), cmocka_unit_test(test_disk_full), cmocka_unit_test(test_crowd),
    cmocka_unit_test(test_flood), cmocka_unit_test(test_store_hangs), cmocka_unit_test(test_store_just_in_time)};
  int rc = cmocka_run_group_tests_name("logs", tests, NULL, NULL);
  h_close();
  return rc;
}
