/* Facts of the installation's token: the first claim wins, and every claim gets the token that holds. */
#include "facts.h"
#include <pthread.h>
#include "store_token.h"

static struct store_token token_of(char c) {
  struct store_token t = {0};
  memset(t.hash, c, STORE_TOKEN_CHARS);
  snprintf(t.host, sizeof t.host, "host-%c:/data", c);
  return t;
}

static struct store_token read_token(struct world *w) {
  struct wr_err err;
  struct store_token t;
  struct reader *r = reader_get(w->s, &err);
  assert_non_null(r);
  assert_int_equal(reader_token(r, &t, &err), WR_OK);
  reader_put(r);
  return t;
}

static void token_is_claimed_once(struct world *w) {
  struct wr_err err;
  struct store_token first = token_of('a'), second = token_of('b');
  assert_string_equal(read_token(w).hash, "");
  assert_int_equal(store_claim_token(w->s, &first, &err), WR_OK);
  assert_string_equal(first.hash, token_of('a').hash);
  assert_int_equal(store_claim_token(w->s, &second, &err), WR_OK);
  assert_string_equal(second.hash, first.hash);
  assert_string_equal(second.host, first.host);
  assert_string_equal(read_token(w).hash, first.hash);
}

struct claimer { struct world *w; pthread_barrier_t *start; struct store_token t; enum wr_rc rc; };

static void *claim(void *arg) {
  struct claimer *c = arg;
  struct wr_err err;
  pthread_barrier_wait(c->start);
  c->rc = store_claim_token(c->w->s, &c->t, &err);
  return NULL;
}

/* Two first starts at once: one hash wins, with its host, and both know it. */
static void two_first_claims_make_one(struct world *w) {
  pthread_barrier_t start;
  pthread_t th;
  struct world o = world_second(w);
  struct claimer c[2] = {{w, &start, token_of('a'), WR_INTERNAL}, {&o, &start, token_of('b'), WR_INTERNAL}};
  pthread_barrier_init(&start, NULL, 2);
  assert_int_equal(pthread_create(&th, NULL, claim, &c[1]), 0);
  claim(&c[0]);
  pthread_join(th, NULL);
  pthread_barrier_destroy(&start);
  assert_int_equal(c[0].rc, WR_OK);
  assert_int_equal(c[1].rc, WR_OK);
  assert_string_equal(c[0].t.hash, c[1].t.hash);
  assert_string_equal(c[0].t.host, c[1].t.host);
  assert_string_equal(c[0].t.host, token_of(c[0].t.hash[0]).host);
  assert_string_equal(read_token(&o).hash, c[0].t.hash);
  world_end(&o);
}

const struct fact facts_token[] = {FACT_FRESH(token_is_claimed_once), {"two_first_claims_make_one", two_first_claims_make_one, true, true}};
const size_t n_facts_token = sizeof facts_token / sizeof *facts_token;
