/* The private directory of an attempt: what it is, that others get nothing of it, that nothing stays behind; and the object
 * by itself: what is kept, what is removed, by whom. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"

enum { NOBODY = 65534, OTHER = 65533 };

static size_t entries(const char *path) {
  size_t n = 0;
  DIR *d = opendir(path);
  assert_non_null(d);
  while (readdir(d)) n++;
  closedir(d);
  return n - 2;
}

/* Until the broom is through, and what is kept for a moment is gone. */
static void await_empty(void) {
  char run[96];
  snprintf(run, sizeof run, "%s/run", H.dir);
  for (int64_t end = clock_mono_us() + 60000000; entries(run);) {
    if (clock_mono_us() > end) fail_msg("still in %s: %zu", run, entries(run));
    sched_yield();
  }
}

static void test_private(void **st) {
  (void)st;
  struct attempt *a = h_sh("test \"$WEIR_OUTPUT\" = \"$WEIR_WORKDIR/output\" && stat -c '%a %U %F' \"$WEIR_WORKDIR\" && ls -A \"$WEIR_WORKDIR\"");
  assert_string_equal(h_log(a->ti)->data, geteuid() ? h_log(a->ti)->data : "700 root directory\n");
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
  a = h_run("SHELL", "pwd > $WEIR_OUTPUT", "{\"cwd\":\"/\"}");
  assert_string_equal(a->result, "/\n");
  attempt_free(a);
  await_empty();
}

/* Whatever it is, and whoever ended it. */
static void test_nothing_stays(void **st) {
  (void)st;
  static const char *const leave[] = {
    "echo x > $WEIR_WORKDIR/a; mkdir $WEIR_WORKDIR/b; echo y > $WEIR_WORKDIR/b/c", "mkdir $WEIR_WORKDIR/d; chmod 0 $WEIR_WORKDIR/d",
    "mkdir $WEIR_OUTPUT; echo x > $WEIR_OUTPUT/y; exit 3", "chmod 0 $WEIR_WORKDIR; kill -9 $$", "ln -s / $WEIR_WORKDIR/root; mkfifo $WEIR_OUTPUT",
    "cd $WEIR_WORKDIR; i=0; while [ $i -lt 300 ]; do : > f$i; mkdir -p d$i/e; i=$((i+1)); done",
    "cd $WEIR_WORKDIR; i=0; while [ $i -lt 150 ]; do mkdir deep && cd deep; i=$((i+1)); done; : > bottom; chmod 0 .",
    "truncate -s 200M $WEIR_WORKDIR/large; rmdir $WEIR_WORKDIR/none"};
  for (size_t i = 0; i < sizeof leave / sizeof *leave; i++) {
    for (int other = 0; other < (geteuid() ? 1 : 2); other++) attempt_free(h_run("SHELL", leave[i], other ? "{\"user\":\"nobody\"}" : NULL));
  }
  await_empty();
  assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void move_run(const char *to) {
  char run[96], other[96];
  snprintf(run, sizeof run, "%s/run", H.dir);
  snprintf(other, sizeof other, "%s/%s", H.dir, to);
  assert_int_equal(rename(run, other), 0);
}

static void remove_here(const char *name) {
  char path[160];
  snprintf(path, sizeof path, "%s/%s", H.dir, name);
  h_remove_tree(path);
}

/* What is kept in there, and not the folder. */
static void empty_run(void) {
  char path[160];
  snprintf(path, sizeof path, "%s/run", H.dir);
  DIR *d = opendir(path);
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
  closedir(d);
}

/* By whom and how ever: the folder is there again for the next attempt, with its owner and mode, and so is what it kept. */
static void test_run_taken_away(void **st) {
  (void)st;
  static const char sees[] = "test -d $WEIR_WORKDIR && echo x > $WEIR_OUTPUT";
  for (int how = 0; how < 4; how++) {
    h_expect("true", NULL, ATTEMPT_OK, NULL); /* its directory is kept for a moment */
    if (how == 0) remove_here("run");
    if (how == 1) empty_run();
    if (how == 2) move_run("elsewhere");
    if (how == 3) {
      move_run("elsewhere2");
      char run[96];
      snprintf(run, sizeof run, "%s/run", H.dir);
      assert_int_equal(mkdir(run, 0700), 0);
    }
    h_expect(sees, NULL, ATTEMPT_OK, NULL);
    if (geteuid() == 0) h_expect(sees, "{\"user\":\"nobody\"}", ATTEMPT_OK, NULL);
    struct stat run;
    char path[96];
    snprintf(path, sizeof path, "%s/run", H.dir);
    assert_int_equal(stat(path, &run), 0);
    assert_true(run.st_uid == geteuid() && (run.st_mode & 07777) == 0711);
    await_empty();
  }
  remove_here("elsewhere");
  remove_here("elsewhere2");
}

/* It cannot be: nothing began, and the folder is named. */
static void test_run_cannot_be_made(void **st) {
  (void)st;
  char path[96];
  move_run("elsewhere");
  snprintf(path, sizeof path, "%s/run", H.dir);
  close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  struct attempt *a = h_sh("true");
  assert_int_equal(a->end, ATTEMPT_HANDBACK);
  if (!strstr(a->error, path)) fail_msg("\"%s\" does not name %s", a->error, path);
  attempt_free(a);
  struct health_part p;
  worker_health(H.w, &p);
  assert_true(!p.ok && strstr(p.why, path));
  assert_int_equal(unlink(path), 0);
  h_expect("test -d $WEIR_WORKDIR", NULL, ATTEMPT_OK, NULL);
  remove_here("elsewhere");
}

/* A file that was made and is gone again: the directory is not taken for a fresh one with something in it. */
static void test_result_moved_in(void **st) {
  (void)st;
  struct attempt *a = h_sh("cd $WEIR_WORKDIR && echo new > t && mv t $WEIR_OUTPUT && chmod 0 $WEIR_OUTPUT . && echo there");
  assert_string_equal(a->result, "new\n");
  attempt_free(a);
  for (int i = 0; i < 20; i++) {
    a = h_sh(i % 2 ? "echo z > $WEIR_OUTPUT" : "test -z \"$(ls -A $WEIR_WORKDIR)\"");
    assert_int_equal(a->end, ATTEMPT_OK);
    attempt_free(a);
  }
}

/* One attempt's user can neither list the folder, nor plant anything in it, nor see into another's directory. */
static void test_of_others(void **st) {
  (void)st;
  if (geteuid()) skip();
  char line[160];
  int fifo = h_fifo("where");
  struct buf b = BUF_INIT;
  buf_printf(&b, "echo secret > $WEIR_OUTPUT; echo $WEIR_WORKDIR > %s/where; read x < %s/go", H.dir, H.dir);
  close(h_fifo("go"));
  struct attempt *a = h_attempt("SHELL", b.data, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_line(fifo, line, sizeof line);
  buf_clear(&b);
  buf_printf(&b, "! ls %s/run && ! touch %s/run/planted && ! ls %s && ! cat %s/output && ! touch %s/output && ! ln -s /etc %s/x", H.dir, H.dir, line, line, line, line);
  h_expect(b.data, "{\"user\":\"nobody\"}", ATTEMPT_OK, NULL);
  buf_clear(&b);
  buf_printf(&b, "%s/go", H.dir);
  int go = open(b.data, O_WRONLY | O_CLOEXEC);
  assert_true(write(go, "\n", 1) == 1);
  a = h_await(ti);
  assert_string_equal(a->result, "secret\n");
  attempt_free(a);
  close(go);
  close(fifo);
  buf_done(&b);
  await_empty();
}

/* ---- the object by itself ---- */

static struct workdirs open_dirs(const char *path) {
  struct workdirs d;
  int fd = workdirs_make(path);
  assert_true(fd >= 0);
  workdirs_init(&d, fd, path);
  return d;
}

static void put(const struct workdirs *d, const struct workdir *w, const char *name, const char *text) {
  char path[160];
  snprintf(path, sizeof path, "%s/%s/%s", d->path, w->name, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  if (geteuid() == 0) assert_int_equal(fchown(fd, w->uid, w->gid), 0);
  close(fd);
}

/* To remove it takes a while, be it of what only looks small: it is not done at once, and nobody waits for it. */
static void test_slow_to_remove(void **st) {
  (void)st;
  char path[96], name[400];
  struct stat large;
  snprintf(path, sizeof path, "%s/slow", H.dir);
  struct workdirs d = open_dirs(path);
  enum workdir_output what;
  for (int how = 0; how < 3; how++) {
    struct workdir *w = workdir_take(&d, geteuid(), getegid());
    assert_non_null(w);
    snprintf(name, sizeof name, "%s/%s", path, w->name);
    int dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; how == 0 && i < 2; i++) { /* each is small, both are not */
      int fd = openat(dir, i ? "a" : "b", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      assert_int_equal(ftruncate(fd, 40 << 20), 0);
      close(fd);
    }
    if (how == 1) { /* blocks behind the end */
      int fd = openat(dir, "c", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65 << 20)) how = 2;
      close(fd);
    }
    for (int i = 0; how == 2 && i < 12000; i++) { /* empty, and as large as it ever was */
      snprintf(name, sizeof name, "%0250d", i);
      close(openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      unlinkat(dir, name, 0);
      if (i % 2) continue;
      snprintf(name, sizeof name, "%0250dx", i);
      close(openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    bool is_large = fstat(dir, &large) == 0 && (how < 2 || large.st_size > 1 << 20);
    for (int i = 0; how == 2 && i < 12000; i += 2) {
      snprintf(name, sizeof name, "%0250dx", i);
      unlinkat(dir, name, 0);
    }
    close(dir);
    assert_int_equal(workdir_end(&d, w, &what), -1);
    assert_true(!is_large || workdirs_busy(&d));
    workdirs_sweep(&d, clock_mono_us());
    if (d.broom > 0) assert_true(waitpid(d.broom, NULL, 0) == d.broom && workdirs_reaped(&d, d.broom));
    assert_int_equal(entries(path), 0);
  }
  close(d.fd);
  rmdir(path);
}

/* Kept for the same user alone, and only when nothing was ever in it. */
static void test_kept(void **st) {
  (void)st;
  char path[96], name[WORKDIR_NAME];
  snprintf(path, sizeof path, "%s/kept", H.dir);
  struct workdirs d = open_dirs(path);
  enum workdir_output what;
  uint32_t me = geteuid(), other = me ? me : NOBODY;
  struct workdir *w = workdir_take(&d, other, other == me ? getegid() : NOBODY);
  assert_non_null(w);
  snprintf(name, sizeof name, "%s", w->name);
  assert_int_equal(workdir_end(&d, w, &what), -1);
  w = workdir_take(&d, other, other == me ? getegid() : NOBODY);
  assert_string_equal(w->name, name);
  if (me == 0) {
    struct workdir *x = workdir_take(&d, OTHER, OTHER);
    assert_string_not_equal(x->name, name);
    workdir_end(&d, x, &what);
  }
  put(&d, w, "output", "text");
  int fd = workdir_end(&d, w, &what);
  assert_true(fd >= 0 && what == OUTPUT_FILE);
  close(fd);
  w = workdir_take(&d, other, other == me ? getegid() : NOBODY);
  assert_string_not_equal(w->name, name);
  put(&d, w, "x", "");
  char file[160];
  snprintf(file, sizeof file, "%s/%s/x", d.path, w->name);
  assert_int_equal(unlink(file), 0); /* empty, but touched */
  snprintf(name, sizeof name, "%s", w->name);
  workdir_end(&d, w, &what);
  workdirs_trim(&d);
  assert_int_equal(entries(path), 0);
  close(d.fd);
}

/* What a former process left is met by the next one. */
static void test_swept_at_start(void **st) {
  (void)st;
  char path[96];
  snprintf(path, sizeof path, "%s/left", H.dir);
  struct workdirs d = open_dirs(path);
  for (int i = 0; i < 3; i++) {
    struct workdir *w = workdir_take(&d, geteuid(), getegid());
    if (i) put(&d, w, "a", "b");
    free(w); /* killed */
  }
  close(d.fd);
  d = open_dirs(path);
  workdirs_sweep(&d, 0);
  assert_true(d.broom > 0 && workdirs_busy(&d));
  pid_t broom = d.broom;
  int status = -1;
  assert_int_equal(waitpid(broom, &status, 0), broom);
  assert_int_equal(status, 0);
  assert_true(workdirs_reaped(&d, broom) && !workdirs_busy(&d));
  assert_int_equal(entries(path), 0);
  close(d.fd);
}

static void await_broom(struct workdirs *d) {
  pid_t broom = d->broom;
  assert_true(broom > 0);
  assert_int_equal(waitpid(broom, NULL, 0), broom);
  assert_true(workdirs_reaped(d, broom));
}

/* One whose time is over is ended, and what it was given is the next one's. */
static void test_broom_too_slow(void **st) {
  (void)st;
  char path[96];
  snprintf(path, sizeof path, "%s/slow", H.dir);
  struct workdirs d = open_dirs(path);
  struct workdir *w = workdir_take(&d, geteuid(), getegid());
  put(&d, w, "a", "b");
  free(w);
  close(d.fd);
  d = open_dirs(path);
  workdirs_sweep(&d, 0);
  kill(d.broom, SIGSTOP);
  workdirs_sweep(&d, INT64_MAX);
  await_broom(&d);
  assert_true(workdirs_busy(&d));
  workdirs_sweep(&d, 0);
  await_broom(&d);
  assert_false(workdirs_busy(&d));
  assert_int_equal(entries(path), 0);
  close(d.fd);
}

/* Moved in from a folder that all may write: a task could not remove what stands in it, so no removal does it for the task. */
static void test_of_others_moved_in(void **st) {
  (void)st;
  if (geteuid()) skip();
  char path[96], shared[200], kept[240], file[280];
  enum workdir_output what;
  snprintf(path, sizeof path, "%s/moved", H.dir);
  struct workdirs d = open_dirs(path);
  struct workdir *w = workdir_take(&d, NOBODY, NOBODY);
  snprintf(shared, sizeof shared, "%s/%s/shared", path, w->name);
  snprintf(kept, sizeof kept, "%s/kept", shared);
  snprintf(file, sizeof file, "%s/file", kept);
  assert_true(mkdir(shared, 0700) == 0 && chmod(shared, 0777) == 0 && mkdir(kept, 0755) == 0);
  close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  put(&d, w, "own", "x");
  workdir_end(&d, w, &what);
  workdirs_sweep(&d, 0);
  await_broom(&d);
  assert_int_equal(access(file, F_OK), 0);
  assert_true(unlink(file) == 0 && rmdir(kept) == 0 && rmdir(shared) == 0);
  close(d.fd);
}

int main(void) {
  h_open(geteuid() == 0 ? "nobody" : NULL);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_private), cmocka_unit_test(test_nothing_stays), cmocka_unit_test(test_run_taken_away),
    cmocka_unit_test(test_run_cannot_be_made), cmocka_unit_test(test_result_moved_in),
    cmocka_unit_test(test_of_others), cmocka_unit_test(test_slow_to_remove), cmocka_unit_test(test_kept), cmocka_unit_test(test_swept_at_start),
    cmocka_unit_test(test_broom_too_slow), cmocka_unit_test(test_of_others_moved_in)};
  int rc = cmocka_run_group_tests_name("workdir", tests, NULL, NULL);
  h_close();
  return rc;
}
