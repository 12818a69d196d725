/* What the program of a SHELL task reports on descriptor 3, what becomes of it, and what its next attempt gets: a real worker and
 * a real spawner, with a store that the harness plays. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wr_limits.h"

/* Runs it; its log must be that. The caller frees it. */
static struct attempt *says(const char *script, const char *log) {
  struct attempt *a = h_sh(script);
  const char *got = h_log(a->ti)->data;
  if (strcmp(got, log) != 0) fail_msg("%s: %s", script, got);
  return a;
}

static void result_is(const struct attempt *a, const char *want) {
  if (!want) assert_null(a->result);
  else assert_string_equal(a->result, want);
}

static bool is_done_3(const struct h_kept *k) { return k->done == 3; }

/* ---- the kinds ---- */

static void test_environment(void **st) {
  (void)st;
  struct attempt *a = says("echo $WEIR_REPORT_FD; echo ${PATH##*:}; test -f \"$WEIR_CONTEXT\" && ! test -s \"$WEIR_CONTEXT\" && "
                           "stat -c %a $WEIR_CONTEXT", "3\n/opt/weir tools\n400\n");
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
  a = h_run("SHELL", "echo $PATH", "{\"env\":{\"PATH\":\"/bin\"}}");
  assert_string_equal(h_log(a->ti)->data, "/bin\n"); /* who sets it, has it */
  attempt_free(a);
}

static void test_progress(void **st) {
  (void)st;
  struct attempt *a = says("echo '{\"progress\":{\"total\":10,\"done\":2,\"unit\":\"files\"}}' >&3; echo '{\"progress\":{\"done\":3}}' >&3", "");
  struct h_kept k = h_kept(a->ti);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(k.done, 3);
  assert_int_equal(k.total, 10);
  assert_string_equal(k.unit, "files");
  assert_true(k.speed > 0); /* of its whole time */
  attempt_free(a);
}

/* It is there while the task runs. */
static void test_progress_early(void **st) {
  (void)st;
  int go = h_fifo("go");
  char line[8];
  struct buf b = BUF_INIT;
  buf_printf(&b, "echo '{\"progress\":{\"done\":3}}' >&3; echo here > %s/go; read x < %s/stop", H.dir, H.dir);
  char path[128];
  snprintf(path, sizeof path, "%s/stop", H.dir);
  assert_int_equal(mkfifo(path, 0666), 0);
  struct attempt *a = h_attempt("SHELL", b.data, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_line(go, line, sizeof line);
  assert_int_equal(h_kept_when(ti, is_done_3).total, -1);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  close(fd);
  attempt_free(h_await(ti));
  close(go);
  buf_done(&b);
}

static void test_context(void **st) {
  (void)st;
  struct attempt *a = says("echo '{\"context\":\"one\"}' >&3; echo '{\"context\": {\"i\": 2} }' >&3; exit 3", "");
  assert_string_equal(h_kept(a->ti).context, "{\"i\": 2}"); /* before the end came back, although it failed */
  assert_int_equal(a->end, ATTEMPT_FAIL);
  attempt_free(a);
}

static void test_result(void **st) {
  (void)st;
  struct attempt *a = says("echo file > $WEIR_OUTPUT; echo '{\"result\":\"said\"}' >&3", "");
  result_is(a, "said"); /* it wins */
  attempt_free(a);
  a = says("echo '{\"result\":[1, 2]}' >&3", "");
  result_is(a, "[1, 2]");
  attempt_free(a);
  a = says("mkdir $WEIR_OUTPUT; echo '{\"result\":1}' >&3", "");
  result_is(a, "1");
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
  a = says("(printf '{\"result\":\"'; head -c 1048577 /dev/zero | tr '\\0' x; echo '\"}') >&3", "");
  assert_int_equal(a->end, ATTEMPT_FAIL);
  assert_string_equal(a->error, "RESULT_TOO_LARGE: the result is larger than 1048576 bytes.");
  attempt_free(a);
}

struct ending { const char *script; enum attempt_end end; const char *error; int64_t after_us; };

static void test_ends(void **st) {
  static const char later[] = "It asked to be tried again later.";
  static const struct ending v[] = {
    {"exit 75", ATTEMPT_NOT_NOW, later, 0},
    {"echo '{\"again\":{}}' >&3", ATTEMPT_NOT_NOW, later, 0},
    {"echo '{\"again\":{\"after\":\"30s\"}}' >&3; exit 1", ATTEMPT_NOT_NOW, later, 30000000},
    {"echo '{\"again\":{\"after\":0}}' >&3; exit 75", ATTEMPT_NOT_NOW, later, 1},
    {"echo '{\"again\":{\"after\":1}}' >&3; exit 125", ATTEMPT_FATAL, "Exit code 125.", 1000000},
    {"echo '{\"fail\":{\"message\":\"no disk\"}}' >&3", ATTEMPT_FAIL, "no disk", 0},
    {"echo '{\"fail\":{\"retry\":false}}' >&3; exit 4", ATTEMPT_FATAL, "It reported a failure.", 0},
    {"echo '{\"fail\":{\"message\":\"gone\",\"retry\":false}}' >&3; kill -9 $$", ATTEMPT_FATAL, "gone", 0},
    {"echo '{\"fail\":{\"message\":\"m\"}}' >&3; exit 125", ATTEMPT_FATAL, "m", 0},
    {"echo '{\"fail\":{}}' >&3; echo '{\"again\":{}}' >&3; exit 1", ATTEMPT_NOT_NOW, later, 0},   /* the last one counts */
    {"echo '{\"again\":{}}' >&3; echo '{\"fail\":{\"message\":\"b\"}}' >&3; exit 75", ATTEMPT_FAIL, "b", 0}};
  (void)st;
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct attempt *a = h_sh(v[i].script);
    if (a->end != v[i].end || !a->error || strcmp(a->error, v[i].error) != 0 || a->after_us != v[i].after_us)
      fail_msg("%s: %d %s %lld", v[i].script, (int)a->end, a->error, (long long)a->after_us);
    result_is(a, NULL);
    attempt_free(a);
  }
}

static void test_log(void **st) {
  (void)st;
  attempt_free(says("echo a; echo '{\"log\":\"b \\u00e9\"}' >&3", "a\nb \303\251\n"));
}

/* ---- lines ---- */

static void test_last_line(void **st) {
  (void)st;
  struct attempt *a = says("printf '{\"context\":\"whole\"}' >&3", "");
  assert_string_equal(h_kept(a->ti).context, "whole"); /* the last one, without its newline */
  attempt_free(a);
  a = says("printf '{\"context\":\"ha' >&3", "[weir: descriptor 3, line 1: it is not JSON: \"{\\\"context\\\":\\\"ha\"]\n");
  assert_null(h_kept(a->ti).context);
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
}

static void test_unknown(void **st) {
  (void)st;
  struct attempt *a = says("echo hello >&3; echo '{\"context\":\"a\"}' >&3; echo '{\"contex\":1}' >&3",
    "[weir: descriptor 3, line 1: it is not a JSON object: \"hello\"]\n"
    "[weir: descriptor 3, line 3: it has a member that is none of progress, context, result, fail, again and log: \"{\\\"contex\\\":1}\"]\n");
  assert_string_equal(h_kept(a->ti).context, "a");
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
}

/* NUL, no UTF-8, a million brackets, a line above the limit; each is one warning, and what follows counts. */
static void test_garbage(void **st) {
  static const char *const script[] = {"printf 'a\\000b\\n\\377\\376\\n' >&3", "head -c 1000000 /dev/zero | tr '\\0' '[' >&3; echo >&3",
    "(printf '{\"context\":\"'; head -c 1200000 /dev/zero | tr '\\0' x; echo '\"}') >&3", "head -c 30000000 /dev/zero >&3; echo >&3"};
  static const size_t warnings[] = {2, 1, 1, 1};
  (void)st;
  for (size_t i = 0; i < sizeof script / sizeof *script; i++) {
    struct buf b = BUF_INIT;
    buf_printf(&b, "%s; echo '{\"context\":\"good\"}' >&3", script[i]);
    struct attempt *a = h_sh(b.data);
    const char *at = h_log(a->ti)->data;
    size_t n = 0;
    for (; (at = strstr(at, "[weir: ")); at++) n++;
    if (n != warnings[i] || a->end != ATTEMPT_OK) fail_msg("%s: %zu %s", script[i], n, h_log(a->ti)->data);
    assert_string_equal(h_kept(a->ti).context, "good");
    attempt_free(a);
    buf_done(&b);
  }
}

static void test_many_warnings(void **st) {
  (void)st;
  struct attempt *a = h_sh("i=0; while [ $i -lt 1000 ]; do echo no; i=$((i+1)); done >&3");
  const char *at = h_log(a->ti)->data;
  size_t n = 0;
  for (const char *p = at; (p = strchr(p, '\n')); p++) n++;
  assert_int_equal(n, LIMIT_REPORT_WARNINGS + 1);
  assert_non_null(strstr(at, "[weir: descriptor 3: no more lines like that are shown]\n"));
  attempt_free(a);
}

/* The largest context that there may be, and one byte more. */
static void test_sizes(void **st) {
  (void)st;
  struct attempt *a = says("(printf '{\"context\":\"'; head -c 1048576 /dev/zero | tr '\\0' x; echo '\"}') >&3", "");
  assert_int_equal(h_kept(a->ti).context_len, LIMIT_CONTEXT_BYTES);
  attempt_free(a);
  a = h_sh("echo '{\"context\":\"small\"}' >&3; (printf '{\"context\":\"'; head -c 1048577 /dev/zero | tr '\\0' x; echo '\"}') >&3");
  assert_string_equal(h_kept(a->ti).context, "small");
  assert_non_null(strstr(h_log(a->ti)->data, "the context is larger than 1 MiB; the last one stays"));
  attempt_free(a);
}

/* A flood waits; another task does not. */
static void test_flood(void **st) {
  (void)st;
  struct attempt *a = h_attempt("SHELL", "yes '{\"progress\":{\"done\":3}}' >&3", NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_kept_when(ti, is_done_3);
  for (int i = 0; i < 20; i++) attempt_free(says("echo quick", "quick\n"));
  worker_cancel(H.w, ti, 1);
  a = h_await(ti);
  assert_true(a->asked);
  assert_true(h_kept(ti).progresses < 100); /* once a second, whatever it says */
  attempt_free(a);
}

/* More tasks than there are places are in the middle of a long line, and stay there; another one's long line comes through. */
static void test_places(void **st) {
  enum { N = LIMIT_REPORT_LARGE };
  int64_t ti[N];
  (void)st;
  int up = h_fifo("up");
  struct buf b = BUF_INIT;
  buf_printf(&b, "(printf '{\"log\":\"'; head -c 200000 /dev/zero | tr '\\0' x) >&3; echo up > %s/up; exec sleep 1000", H.dir);
  for (int i = 0; i < N; i++) {
    struct attempt *a = h_attempt("SHELL", b.data, NULL);
    ti[i] = a->ti;
    worker_start(H.w, a);
  }
  char line[8];
  for (int i = 0; i < N; i++) h_line(up, line, sizeof line);
  struct attempt *a = h_sh("(printf '{\"context\":\"'; head -c 500000 /dev/zero | tr '\\0' x; echo '\"}') >&3");
  assert_int_equal(h_kept(a->ti).context_len, 500000);
  attempt_free(a);
  size_t slow = 0;
  for (int i = 0; i < N; i++) {
    worker_cancel(H.w, ti[i], 1);
    attempt_free(h_await(ti[i]));
    slow += strstr(h_log(ti[i])->data, "it stood unfinished for 10 s") != NULL;
  }
  assert_int_equal(slow, 1); /* the one that had to go */
  buf_done(&b);
  close(up);
}

static void test_closed(void **st) {
  (void)st;
  struct attempt *a = says("echo '{\"context\":\"early\"}' >&3; exec 3>&-; echo late", "late\n");
  assert_string_equal(h_kept(a->ti).context, "early");
  attempt_free(a);
}

/* Who lives on dies with the attempt; what it said before that counts. */
static void test_children(void **st) {
  (void)st;
  int done = h_fifo("child");
  struct buf b = BUF_INIT;
  buf_printf(&b, "(setsid sh -c 'echo \"{\\\"context\\\":\\\"child\\\"}\" >&3; echo up > %s/child; exec sleep 1000' >/dev/null &); read x < %s/child; echo $x", H.dir, H.dir);
  close(done);
  struct attempt *a = says(b.data, "up\n");
  assert_string_equal(h_kept(a->ti).context, "child");
  attempt_free(a);
  buf_done(&b);
}

/* ---- the store ---- */

static void test_store_away(void **st) {
  (void)st;
  h_keep_again(3);
  struct attempt *a = says("echo '{\"context\":\"kept\"}' >&3", "");
  assert_string_equal(h_kept(a->ti).context, "kept");
  attempt_free(a);
}

static bool refused_one(const struct h_kept *k) { return strcmp(k->refused, "one") == 0; }
static bool refused_two(const struct h_kept *k) { return strcmp(k->refused, "two") == 0 && k->no_room > 2; }

/* What a program says while the disk is full is stored when there is room, before its end; of several the newest. */
static void test_no_room(void **st) {
  struct buf b = BUF_INIT;
  char path[128];
  (void)st;
  snprintf(path, sizeof path, "%s/two", H.dir);
  assert_int_equal(mkfifo(path, 0666), 0);
  buf_printf(&b, "echo '{\"context\":\"one\"}' >&3; read x < %s; echo '{\"context\":\"two\"}' >&3; exit 3", path);
  h_full_keeps(1);
  struct attempt *a = h_attempt("SHELL", b.data, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  (void)h_kept_when(ti, refused_one);
  close(open(path, O_WRONLY | O_CLOEXEC)); /* while that waits for room */
  (void)h_kept_when(ti, refused_two);
  assert_false(h_came_back(ti));
  h_full_keeps(0);
  a = h_await(ti);
  assert_string_equal(h_kept(ti).context, "two");
  assert_int_equal(h_kept(ti).contexts, 1); /* the former one was never stored */
  assert_int_equal(a->end, ATTEMPT_FAIL);
  attempt_free(a);
  buf_done(&b);
}

static void test_fenced(void **st) {
  (void)st;
  h_fence(1);
  struct attempt *a = says("echo '{\"context\":\"no\"}' >&3", "");
  h_fence(0);
  assert_null(h_kept(a->ti).context);
  attempt_free(a);
}

/* The store is slow: of many contexts it gets few, the newest at the end. */
static void test_newest_wins(void **st) {
  (void)st;
  h_block_keeps(1);
  int up = h_fifo("many");
  char line[8];
  struct buf b = BUF_INIT;
  buf_printf(&b, "i=0; while [ $i -lt 500 ]; do echo \"{\\\"context\\\":\\\"$i\\\"}\"; i=$((i+1)); done >&3; echo up > %s/many", H.dir);
  struct attempt *a = h_attempt("SHELL", b.data, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_line(up, line, sizeof line);
  h_block_keeps(0);
  a = h_await(ti);
  assert_string_equal(h_kept(ti).context, "499");
  assert_true(h_kept(ti).contexts < 500);
  attempt_free(a);
  buf_done(&b);
  close(up);
}

/* ---- the next attempt ---- */

static struct attempt *second(const char *type, const char *content, const char *left) {
  struct attempt *a = h_attempt(type, content, NULL);
  if (left) h_leave(a->ti, left);
  a->epoch = 2;
  return a;
}

static struct attempt *run(struct attempt *a) {
  int64_t ti = a->ti;
  worker_start(H.w, a);
  return h_await(ti);
}

static void test_left(void **st) {
  (void)st;
  struct attempt *a = run(second("SHELL", "cat $WEIR_CONTEXT; stat -c %a:%h:%s $WEIR_CONTEXT; test ! -e $WEIR_WORKDIR/context; echo $WEIR_CONTEXT", "saved"));
  const char *log = h_log(a->ti)->data, *path = strchr(log, '/');
  struct stat file;
  assert_memory_equal(log, "saved400:1:5\n", 13);
  char *end = strchr(path, '\n');
  *end = '\0';
  assert_int_equal(stat(path, &file), -1); /* removed */
  attempt_free(a);
  a = run(second("SHELL", "cat $WEIR_CONTEXT; echo .", NULL));
  assert_string_equal(h_log(a->ti)->data, ".\n");
  attempt_free(a);
  a = h_attempt("SHELL", "cat $WEIR_CONTEXT; echo .", NULL);
  h_leave(a->ti, "given");
  a->given = true; /* with its submit: its first attempt has it */
  a = run(a);
  assert_string_equal(h_log(a->ti)->data, "given.\n");
  attempt_free(a);
}

static void test_left_large(void **st) {
  (void)st;
  char *text = wr_malloc(LIMIT_CONTEXT_BYTES + 1);
  memset(text, 'y', LIMIT_CONTEXT_BYTES);
  text[LIMIT_CONTEXT_BYTES] = '\0';
  struct attempt *a = run(second("SHELL", "wc -c < $WEIR_CONTEXT; tr -d y < $WEIR_CONTEXT", text));
  assert_string_equal(h_log(a->ti)->data, "1048576\n");
  attempt_free(a);
  free(text);
}

/* What one attempt does to its file, the next one does not see. */
static void test_left_changed(void **st) {
  static const char *const harm[] = {"chmod 600 $WEIR_CONTEXT; echo harm > $WEIR_CONTEXT", "rm -f $WEIR_CONTEXT", "chmod 777 $WEIR_CONTEXT",
    "ln $WEIR_CONTEXT $WEIR_CONTEXT.2; chmod 600 $WEIR_CONTEXT.2; echo harm > $WEIR_CONTEXT.2; rm -f $WEIR_CONTEXT.2"};
  (void)st;
  for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
    attempt_free(h_sh(harm[i]));
    attempt_free(says("cat $WEIR_CONTEXT; stat -c %a:%h:%s $WEIR_CONTEXT", "400:1:0\n"));
  }
}

static void test_left_user(void **st) {
  (void)st;
  if (geteuid() != 0) skip();
  struct attempt *a = h_attempt("SHELL", "cat $WEIR_CONTEXT; stat -c %U:%a $WEIR_CONTEXT; ! echo x > $WEIR_CONTEXT && ! rm -f $WEIR_CONTEXT", "{\"user\":\"nobody\"}");
  h_leave(a->ti, "his ");
  a->epoch = 2;
  a = run(a);
  assert_memory_equal(h_log(a->ti)->data, "his nobody:400\n", 15);
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
}

/* It is not started without what was left for it. */
static void test_left_unread(void **st) {
  (void)st;
  h_keep_again(3);
  struct attempt *a = run(second("SHELL", "cat $WEIR_CONTEXT", "patience"));
  assert_string_equal(h_log(a->ti)->data, "patience");
  attempt_free(a);
  h_keep_again(100000);
  a = run(second("SHELL", "cat $WEIR_CONTEXT", "never"));
  h_keep_again(0);
  assert_int_equal(a->end, ATTEMPT_HANDBACK);
  assert_string_equal(a->error, "What an earlier attempt left for it cannot be read now.");
  attempt_free(a);
}

static void test_left_canceled(void **st) {
  (void)st;
  h_keep_again(100000);
  struct attempt *a = second("SHELL", "true", "x");
  int64_t ti = a->ti;
  worker_start(H.w, a);
  worker_cancel(H.w, ti, 2);
  a = h_await(ti);
  h_keep_again(0);
  assert_int_equal(a->end, ATTEMPT_HANDBACK);
  attempt_free(a);
}

/* ---- stops ---- */

static struct attempt *stopped(const char *type, const char *content, enum task_stop why) {
  char line[8];
  int up = h_fifo("stop_up");
  struct buf b = BUF_INIT;
  if (strcmp(type, "SHELL") == 0) buf_printf(&b, "%s\necho up > %s/stop_up; while :; do sleep 0.01; done", content, H.dir);
  else buf_str(&b, content);
  struct attempt *a = h_attempt(type, b.data, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  if (strcmp(type, "SHELL") == 0) h_line(up, line, sizeof line);
  worker_stop(H.w, ti, 1, why);
  a = h_await(ti);
  buf_done(&b);
  close(up);
  char path[128];
  snprintf(path, sizeof path, "%s/stop_up", H.dir);
  unlink(path);
  return a;
}

static void test_stop(void **st) {
  (void)st;
  struct attempt *a = stopped("SHELL", "trap 'echo \"{\\\"context\\\":\\\"saved\\\"}\" >&3; exit 75' TERM", STOP_PAUSE);
  assert_true(a->asked);
  assert_int_equal(a->end, ATTEMPT_NOT_NOW);
  assert_string_equal(h_kept(a->ti).context, "saved");
  attempt_free(a);
  a = stopped("SHELL", "trap 'echo \"{\\\"fail\\\":{\\\"message\\\":\\\"broken\\\",\\\"retry\\\":false}}\" >&3; exit 75' TERM", STOP_PAUSE);
  assert_true(a->asked);
  assert_int_equal(a->end, ATTEMPT_FATAL);
  assert_string_equal(a->error, "broken");
  attempt_free(a);
}

static bool about(const char *left, double from, double to) {
  char *end;
  double s = strtod(left, &end);
  return s > from && s <= to && strcmp(end, "s") == 0;
}

/* A pause and a planned stop leave the rest of a WAIT to its next attempt; a cancel leaves nothing. */
static void test_wait(void **st) {
  (void)st;
  struct attempt *a = stopped("WAIT", "1000", STOP_PAUSE);
  assert_true(a->asked);
  assert_int_equal(a->end, ATTEMPT_FAIL);
  if (!about(h_kept(a->ti).context, 900, 1000)) fail_msg("%s", h_kept(a->ti).context);
  attempt_free(a);
  a = stopped("WAIT", "1000", STOP_CANCEL);
  assert_null(h_kept(a->ti).context);
  assert_string_equal(a->error, "Canceled.");
  attempt_free(a);
  a = run(second("WAIT", "1000", "0.001s"));
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
  a = run(second("WAIT", "0.001", "no time"));
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
}

/* A planned stop: they come back as HANDBACK with what they left, but for one that says that it failed for good. Last of all. */
static void test_drain(void **st) {
  static const char *const script[] = {"trap 'echo \"{\\\"context\\\":\\\"c\\\"}\" >&3; exit 75' TERM", "trap 'exit 125' TERM", "trap 'exit 0' TERM"};
  static const enum attempt_end end[] = {ATTEMPT_HANDBACK, ATTEMPT_FATAL, ATTEMPT_HANDBACK};
  int64_t ti[4];
  char line[8];
  (void)st;
  int up = h_fifo("drain");
  for (size_t i = 0; i < 3; i++) {
    struct buf b = BUF_INIT;
    buf_printf(&b, "%s\necho up > %s/drain; while :; do sleep 0.01; done", script[i], H.dir);
    struct attempt *a = h_attempt("SHELL", b.data, NULL);
    ti[i] = a->ti;
    worker_start(H.w, a);
    h_line(up, line, sizeof line);
    buf_done(&b);
  }
  struct attempt *w = h_attempt("WAIT", "1000", NULL);
  ti[3] = w->ti;
  worker_start(H.w, w);
  worker_drain(H.w, 20000000);
  for (size_t i = 0; i < 3; i++) {
    struct attempt *a = h_await(ti[i]);
    assert_int_equal(a->end, end[i]);
    attempt_free(a);
  }
  assert_string_equal(h_kept(ti[0]).context, "c");
  w = h_await(ti[3]);
  assert_int_equal(w->end, ATTEMPT_HANDBACK);
  assert_true(!h_kept(ti[3]).context || about(h_kept(ti[3]).context, 900, 1000)); /* NULL: it had not begun */
  attempt_free(w);
  close(up);
}

int main(void) {
  h_open("nobody");
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_environment), cmocka_unit_test(test_progress), cmocka_unit_test(test_progress_early), cmocka_unit_test(test_context),
    cmocka_unit_test(test_result), cmocka_unit_test(test_ends), cmocka_unit_test(test_log), cmocka_unit_test(test_last_line),
    cmocka_unit_test(test_unknown), cmocka_unit_test(test_garbage), cmocka_unit_test(test_many_warnings), cmocka_unit_test(test_sizes),
    cmocka_unit_test(test_flood), cmocka_unit_test(test_places), cmocka_unit_test(test_closed), cmocka_unit_test(test_children),
    cmocka_unit_test(test_store_away), cmocka_unit_test(test_no_room), cmocka_unit_test(test_fenced), cmocka_unit_test(test_newest_wins), cmocka_unit_test(test_left),
    cmocka_unit_test(test_left_large), cmocka_unit_test(test_left_changed), cmocka_unit_test(test_left_user),
    cmocka_unit_test(test_left_unread), cmocka_unit_test(test_left_canceled), cmocka_unit_test(test_stop), cmocka_unit_test(test_wait),
    cmocka_unit_test(test_drain)};
  int rc = cmocka_run_group_tests_name("report", tests, NULL, NULL);
  h_close();
  return rc;
}
