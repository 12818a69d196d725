/* The token of the installation: its hash and where it lies. Read by readers, claimed by the definition writer (under def_mu),
 * changed by `weir token` over a connection of its own. One statement each, so the row's lock decides between two that claim at
 * once. What never happens: the token itself in a row. */
#include "mysql_rd.h"
#include <stdio.h>
#include <string.h>
#include "clock.h"

#define LOOK "SELECT token_hash, token_host FROM installation WHERE one=1"
#define SET "UPDATE installation SET token_hash=?, token_host=?, token_time=? WHERE one=1"

static unsigned look(struct my_conn *c, struct store_token *t) {
  struct my_rows q;
  *t = (struct store_token){0};
  unsigned e = my_select(c, &q, LOOK, NULL, 0);
  if (e) return e;
  if (my_next(&q)) {
    if (q.cell[0].n == STORE_TOKEN_CHARS) snprintf(t->hash, sizeof t->hash, "%.*s", (int)q.cell[0].n, q.cell[0].s);
    if (q.cell[1].s) snprintf(t->host, sizeof t->host, "%.*s", (int)q.cell[1].n, q.cell[1].s);
  }
  return my_done(&q);
}

enum wr_rc my_reader_token(struct reader *rd, struct store_token *out, struct wr_err *err) {
  unsigned e = look(&my_reader_of(rd)->c, out);
  return e ? my_err(e, err) : WR_OK;
}

enum wr_rc my_claim_token(struct store *st, struct store_token *t, struct wr_err *err) {
  struct my *s = my_of(st);
  if (!turn_take(&s->def_mu, my_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  unsigned e = my_conn_ready(&s->def);
  if (!e) e = my_run(&s->def, NULL, SET " AND token_hash IS NULL", MY_ARGS(my_at(t->hash), my_at(t->host), my_ad(clock_wall_us())));
  if (!e) e = look(&s->def, t);
  turn_give(&s->def_mu);
  return e ? my_err(e, err) : WR_OK;
}

/* Whatever may be forgotten by the server: the next start of a node will say so. */
enum wr_rc mysql_token_at(const char *url, const struct store_token *set, struct store_token *was, struct wr_err *err) {
  const struct store_opts o = {.url = url, .relaxed = true};
  struct store *st;
  enum wr_rc rc = mysql_store_open(&o, url, &st, err);
  if (rc) return rc;
  struct my *s = my_of(st);
  unsigned e = look(&s->run, was);
  bool sent = !e && set;
  if (sent) e = my_run(&s->run, NULL, SET, MY_ARGS(my_at(set->hash), my_at(set->host), my_ad(clock_wall_us())));
  if (e) rc = sent && my_lost(e) ? wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL) : my_err(e, err);
  store_close(st);
  return rc;
}
