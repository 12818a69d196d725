/* The token's file against rotations that come between: whatever the order, weir.token holds in the end the token that the database
 * knows, or is not there. reader_token() is wrapped: a rotation can be put right behind a look at the database. */
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store.h"
#include "token.h"

struct world {
  char dir[64], url[96];
  struct store *store;
  struct auth auth;
  struct door door;
};
static struct world *_Atomic rotates;   /* whose next look at the database is followed by a rotation here */

static void change_row(struct world *w, const char *hash, const char *host) {
  struct store_token t = {0}, was;
  struct wr_err err;
  memcpy(t.hash, hash, sizeof t.hash);
  snprintf(t.host, sizeof t.host, "%s", host);
  assert_int_equal(store_token_at(w->url, &t, &was, &err), WR_OK);
}

/* As `weir token rotate` does it. False: another has the turn, and it would wait. */
static bool rotate_here(struct world *w, struct bearer *t) {
  struct wr_err err;
  char here[256];
  int turn = token_turn(w->dir, 0, &err);
  if (turn < 0) return false;
  token_new(t);
  token_here(w->dir, here);
  assert_int_equal(token_prepare(w->dir, t, &err), WR_OK);
  change_row(w, t->hash, here);
  assert_int_equal(token_place(w->dir, true, &err), WR_OK);
  close(turn);
  return true;
}

static struct bearer rotated;
static bool has_rotated;
enum wr_rc __real_reader_token(struct reader *r, struct store_token *out, struct wr_err *err);
enum wr_rc __wrap_reader_token(struct reader *r, struct store_token *out, struct wr_err *err);
enum wr_rc __wrap_reader_token(struct reader *r, struct store_token *out, struct wr_err *err) {
  enum wr_rc rc = __real_reader_token(r, out, err);
  struct world *w = rotates;
  if (!w || rc != WR_OK || strcmp(out->host, "elsewhere:/x") != 0) return rc;
  if (rotate_here(w, &rotated)) {
    rotates = NULL;
    __atomic_store_n(&has_rotated, true, __ATOMIC_RELEASE);
  }
  return rc;
}

static void begin(struct world *w) {
  struct wr_err err;
  *w = (struct world){.dir = "/tmp/weir-token-XXXXXX"};
  assert_non_null(mkdtemp(w->dir));
  snprintf(w->url, sizeof w->url, "sqlite:%s/db", w->dir);
  if (store_open(&(struct store_opts){.url = w->url}, &w->store, &err)) fail_msg("%s", err.msg);
}

static void end(struct world *w) {
  static const char *const names[] = {"db", "db-wal", "db-shm", "db.lock", "db-log", "db-log-wal", "db-log-shm", "weir.lock",
      "weir.token", "weir.token.old", "weir.token.new", "weir.token.host"};
  char path[128];
  auth_stop(&w->auth);
  store_close(w->store);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", w->dir, names[i]);
    (void)unlink(path);
  }
  assert_int_equal(rmdir(w->dir), 0);
}

static void start(struct world *w) {
  struct wr_err err;
  door_init(&w->door);
  if (auth_start(&w->auth, w->store, &w->door, w->dir, &err)) fail_msg("%s", err.msg);
}

static bool counts_at_node(struct world *w, const char *hash) {
  char now[STORE_TOKEN_CHARS + 1];
  pthread_mutex_lock(&w->auth.lock);
  for (size_t i = 0; i < AUTH_HASH_BYTES; i++) snprintf(now + 2 * i, 3, "%02x", w->auth.hash[i]);
  pthread_mutex_unlock(&w->auth.lock);
  return strcmp(now, hash) == 0;
}

static void until_node_knows(struct world *w, const char *hash) {
  for (int i = 0; !counts_at_node(w, hash); i++) {
    if (i == 3000) fail_msg("the node did not see the token");
    usleep(10000);
  }
}

static void file_is(struct world *w, const char *hash) {
  struct bearer t;
  struct wr_err err;
  if (token_read(w->dir, &t, &err)) fail_msg("%s", err.msg);
  assert_string_equal(t.hash, hash);
}

static void no_file(struct world *w) {
  struct bearer t;
  struct wr_err err;
  assert_int_equal(token_read(w->dir, &t, &err), WR_NOT_FOUND);
}

/* The node reads of a rotation elsewhere; before it looks at its file there is one here. */
static void test_rotated_behind_the_look(void **st) {
  struct world w;
  struct bearer t;
  (void)st;
  begin(&w);
  start(&w);
  token_new(&t);
  has_rotated = false;
  rotates = &w;
  change_row(&w, t.hash, "elsewhere:/x");
  for (int i = 0; !__atomic_load_n(&has_rotated, __ATOMIC_ACQUIRE); i++) {
    if (i == 3000) fail_msg("the node did not look");
    usleep(10000);
  }
  until_node_knows(&w, rotated.hash); /* that look comes after the other's end */
  auth_stop(&w.auth);
  file_is(&w, rotated.hash);
  end(&w);
}

/* The same at the start of the node. */
static void test_rotated_at_the_start(void **st) {
  struct world w;
  struct bearer t;
  (void)st;
  begin(&w);
  assert_true(rotate_here(&w, &t));
  token_new(&t);
  change_row(&w, t.hash, "elsewhere:/x");
  has_rotated = false;
  rotates = &w;
  start(&w);
  rotates = NULL;
  if (!has_rotated) assert_true(rotate_here(&w, &rotated)); /* it waited until the start was over */
  file_is(&w, rotated.hash);
  end(&w);
}

/* What does not count goes; what was cut off between the database and its file is put in its place. */
static void test_settle(void **st) {
  struct world w;
  struct bearer a, b;
  struct store_token t = {.host = "elsewhere:/x"};
  struct wr_err err;
  char note[256];
  (void)st;
  begin(&w);
  assert_true(rotate_here(&w, &a));
  token_new(&b);
  memcpy(t.hash, b.hash, sizeof t.hash);
  assert_false(token_settle(w.dir, &t));
  no_file(&w);
  token_noted(w.dir, note);
  assert_string_equal(note, t.host);
  assert_int_equal(token_prepare(w.dir, &b, &err), WR_OK);
  assert_true(token_settle(w.dir, &t));
  file_is(&w, b.hash);
  token_noted(w.dir, note);
  assert_string_equal(note, "");
  token_here(w.dir, t.host);      /* of this folder, but nobody has it */
  memset(t.hash, 'a', STORE_TOKEN_CHARS);
  assert_false(token_settle(w.dir, &t));
  no_file(&w);
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rotated_behind_the_look), cmocka_unit_test(test_rotated_at_the_start),
                                     cmocka_unit_test(test_settle)};
  return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
