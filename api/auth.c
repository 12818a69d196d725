/* Who asks: see auth.h. */
#include "auth.h"
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "clock.h"
#include "cond.h"
#include "log.h"
#include "log_place.h"
#include "token.h"

#define LOOK_US 1000000

/* ---- the hash that counts ---- */

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/* True when the hash differs from the one before. */
static bool take_hash(struct auth *a, const char *hex) {
  unsigned char h[AUTH_HASH_BYTES];
  for (size_t i = 0; i < sizeof h; i++) h[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
  pthread_mutex_lock(&a->lock);
  bool news = memcmp(a->hash, h, sizeof h) != 0;
  memcpy(a->hash, h, sizeof h);
  pthread_mutex_unlock(&a->lock);
  return news;
}

static bool whole(const char *hex) { return strspn(hex, "0123456789abcdef") == STORE_TOKEN_CHARS; }

static enum wr_rc stored_token(struct auth *a, struct store_token *t, struct wr_err *err) {
  struct reader *r = reader_get(a->store, err);
  if (!r) return err->code;
  enum wr_rc rc = reader_token(r, t, err);
  reader_put(r);
  return rc;
}

/* ---- start ---- */

/* Makes the first token of the installation, or takes the one that already lies here. Another node may be quicker. */
static enum wr_rc first_token(struct auth *a, struct store_token *t, struct wr_err *err) {
  struct bearer mine;
  enum wr_rc rc = token_read(a->dir, &mine, err);
  if (rc == WR_NOT_FOUND) {
    token_new(&mine);
    rc = token_prepare(a->dir, &mine, err);
    if (!rc) rc = token_place(a->dir, false, err); /* before the token counts, so that it is never lost */
  }
  if (rc) return rc;
  memcpy(t->hash, mine.hash, sizeof t->hash);
  token_here(a->dir, t->host);
  return store_claim_token(a->store, t, err);
}

/* A file that is there must be safe, whether its token counts or not. */
static enum wr_rc check_file(const struct auth *a, struct wr_err *err) {
  struct bearer t;
  enum wr_rc rc = token_read(a->dir, &t, err);
  return rc == WR_NOT_FOUND ? WR_OK : rc;
}

/* Between our look at the database and our look at the file, a rotation may change both: only what the database says in our turn
 * counts for the file. False: not our turn now, or the store is away. */
static bool settle(struct auth *a) {
  struct store_token t;
  struct wr_err err;
  int turn = token_turn(a->dir, 0, &err);
  if (turn < 0) return false;
  bool ok = stored_token(a, &t, &err) == WR_OK && whole(t.hash);
  if (ok) (void)token_settle(a->dir, &t);
  close(turn);
  return ok;
}

static void *watch(void *arg) {
  struct auth *a = arg;
  bool settled = true;
  for (;;) {
    struct store_token t;
    struct wr_err err;
    int64_t until = clock_mono_us() + LOOK_US;
    pthread_mutex_lock(&a->lock);
    while (!a->stop && cond_until(&a->wake, &a->lock, until)) {}
    bool stop = a->stop;
    pthread_mutex_unlock(&a->lock);
    if (stop) return NULL;
    if (!door_in(a->door, 0)) continue;
    if (stored_token(a, &t, &err) == WR_OK && whole(t.hash) && take_hash(a, t.hash)) {
      log_info("token.changed", L_STR("at", t.host));
      settled = false;
    }
    if (!settled) settled = settle(a);
    door_out(a->door);
  }
}

static enum wr_rc start_watch(struct auth *a, struct wr_err *err) {
  cond_mono(&a->wake);
  a->running = log_thread(&a->thread, NULL, watch, a) == 0;
  return a->running ? WR_OK : wr_err_set(err, WR_INTERNAL, "No thread can be made.");
}

/* Under our turn, because a rotation during the first start would make a file beside ours. */
static enum wr_rc auth_begin(struct auth *a, struct wr_err *err) {
  struct store_token t;
  enum wr_rc rc = check_file(a, err);
  if (!rc) rc = stored_token(a, &t, err);
  if (!rc && !t.hash[0]) rc = first_token(a, &t, err);
  if (!rc && !whole(t.hash))
    rc = wr_err_set(err, WR_STORE_REFUSED, "The token's hash in the database is damaged: weir token rotate.");
  if (rc) return rc;
  (void)take_hash(a, t.hash);
  if (token_settle(a->dir, &t)) snprintf(a->path, sizeof a->path, "%s/" TOKEN_FILE, a->dir);
  snprintf(a->at, sizeof a->at, "%s", t.host);
  return WR_OK;
}

enum wr_rc auth_start(struct auth *a, struct store *store, struct door *door, const char *dir, struct wr_err *err) {
  a->store = store;
  a->door = door;
  a->len = AUTH_TOKEN_LEN;
  a->dir = dir;
  pthread_mutex_init(&a->lock, NULL);
  int turn = token_turn(dir, TOKEN_TURN_US, err);
  if (turn < 0) return err->code;
  enum wr_rc rc = auth_begin(a, err);
  close(turn);
  if (rc) return rc;
  return start_watch(a, err);
}

enum wr_rc auth_start_with(struct auth *a, const char *token, struct wr_err *err) {
  a->len = strlen(token);
  for (const char *p = token; *p; p++)
    if (*p < '!' || *p > '~') a->len = 0;
  if (a->len < AUTH_OWN_LEAST || a->len > AUTH_OWN_MOST)
    return wr_err_set(err, WR_BAD_REQUEST, "token: %d to %d visible characters of ASCII, so that nobody guesses it.",
                      AUTH_OWN_LEAST, AUTH_OWN_MOST);
  pthread_mutex_init(&a->lock, NULL);
  SHA256((const unsigned char *)token, a->len, a->hash);
  return WR_OK;
}

void auth_stop(struct auth *a) {
  if (!a->running) return;
  pthread_mutex_lock(&a->lock);
  a->stop = true;
  pthread_cond_signal(&a->wake);
  pthread_mutex_unlock(&a->lock);
  pthread_join(a->thread, NULL);
  pthread_cond_destroy(&a->wake);
  pthread_mutex_destroy(&a->lock);
  a->running = false;
}

/* ---- a request ---- */

enum wr_rc auth_check(struct auth *a, const struct gate_in *in, enum role need, struct wr_err *err) {
  if (need == ROLE_NONE || a->open) return WR_OK;
  char given[AUTH_OWN_MOST] = {0};
  unsigned char h[AUTH_HASH_BYTES], want[AUTH_HASH_BYTES], diff = 0;
  size_t n = 0;
  const char *v = gate_header(in, "Authorization", &n);
  bool form = v && n == strlen("Bearer ") + a->len && strncasecmp(v, "Bearer ", 7) == 0 &&
              gate_count(in, "Authorization") == 1;
  if (form) memcpy(given, v + 7, a->len);
  SHA256((const unsigned char *)given, a->len, h);
  pthread_mutex_lock(&a->lock);
  memcpy(want, a->hash, sizeof want);
  pthread_mutex_unlock(&a->lock);
  for (size_t i = 0; i < sizeof h; i++) diff |= (unsigned char)(h[i] ^ want[i]);
  if (!form || diff != 0) return wr_err_set(err, WR_UNAUTHENTICATED, NULL);
  return WR_OK;
}
