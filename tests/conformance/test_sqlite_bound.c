/* Bindings that are not repeated: after any sequence of them each parameter is what was bound last, also after a statement of
 * the connection was closed and prepared again. */
#include "facts.h"

#include <sqlite3.h>

#include "sqlite_bound.h"

enum { N = 6, ROUNDS = 20000 };
static const char *const sql[] = {"SELECT ?1, ?2, ?3, ?4, ?5, ?6", "SELECT ?6, ?5, ?4, ?3, ?2, ?1"};
static const char *const word[] = {NULL, "", "a", "something longer"};

/* What a parameter is to be: an integer, or a text, or NULL. */
struct want { bool is_int; int64_t v; const char *text; };
static uint32_t seed = 1;
static uint32_t pick(uint32_t n) { return (seed = seed * 1664525 + 1013904223) / 65536 % n; }

static void bind_one(struct sq_bound *b, int i, struct want *w) {
  static const int64_t value[] = {0, 1, -1, INT64_MAX, INT64_MIN};
  *w = (struct want){.v = value[pick(5)], .text = word[pick(4)]};
  switch (pick(5)) {
    case 0: bound_null(b, i); w->text = NULL; break;
    case 1: bound_int(b, i, w->v); w->is_int = true; break;
    case 2: bound_int0(b, i, w->v); w->is_int = w->v != 0; w->text = NULL; break;
    case 3: bound_text(b, i, w->text); break;
    default: bound_blob(b, i, w->text, w->text ? strlen(w->text) : 0); break;
  }
}

static void look(sqlite3_stmt *st, int column, const struct want *w) {
  if (w->is_int) {
    assert_int_equal(sqlite3_column_type(st, column), SQLITE_INTEGER);
    assert_true(sqlite3_column_int64(st, column) == w->v);
  } else if (w->text) {
    assert_int_equal(sqlite3_column_bytes(st, column), strlen(w->text));
    assert_memory_equal(sqlite3_column_text(st, column), w->text, strlen(w->text));
  } else {
    assert_int_equal(sqlite3_column_type(st, column), SQLITE_NULL);
  }
}

static void what_was_bound_last_counts(void **state) {
  (void)state;
  struct sq_conn c = {0};
  struct want w[2][N] = {{{0}}};
  assert_int_equal(sq_conn_open(&c, ":memory:", SQ_CREATE, sql, 2), SQLITE_OK);
  for (int round = 0; round < ROUNDS; round++) {
    size_t which = pick(2);
    if (pick(500) == 0) { /* prepared anew: nothing is bound */
      sq_conn_close(&c);
      assert_int_equal(sq_conn_open(&c, ":memory:", SQ_CREATE, sql, 2), SQLITE_OK);
      memset(w, 0, sizeof w);
    }
    struct sq_bound *b = sq_bound(&c, which);
    assert_non_null(b);
    for (uint32_t k = pick(N + 1); k > 0; k--) {
      int i = (int)pick(N);
      bind_one(b, i + 1, &w[which][i]);
    }
    assert_int_equal(sqlite3_step(b->st), SQLITE_ROW);
    for (int i = 0; i < N; i++) look(b->st, which == 0 ? i : N - 1 - i, &w[which][i]);
    sqlite3_reset(b->st);
  }
  sq_conn_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_bound_last_counts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
