/* The token of the installation on MariaDB and MySQL: claimed over the definition writer's connection (under def_mu), changed by
 * `weir token` over one of its own. One statement each, so the row's lock decides between two that claim at once. */
#include "mysql_priv.h"

enum wr_rc my_claim_token(struct store *st, struct store_token *t, struct wr_err *err) {
  struct my *s = my_of(st);
  if (!turn_take(&s->def_mu, my_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  unsigned e = my_conn_ready(&s->def);
  if (!e) e = (unsigned)token_row_write(st->def, Q_TOKEN_CLAIM, t);
  enum wr_rc rc = e ? my_err(e, err) : token_row_read(st->def, t, err);
  turn_give(&s->def_mu);
  return rc;
}

/* Also on a server that may forget commits (relaxed): the next start of a node will say so. */
enum wr_rc mysql_token_at(const char *url, const struct store_token *set, struct store_token *was, struct wr_err *err) {
  const struct store_opts o = {.url = url, .relaxed = true};
  struct store *st;
  enum wr_rc rc = mysql_store_open(&o, url, &st, err);
  if (rc) return rc;
  struct db *db = &my_of(st)->run.base;
  rc = token_row_read(db, was, err);
  unsigned e = !rc && set ? (unsigned)token_row_write(db, Q_TOKEN_SET, set) : 0;
  if (e) rc = my_lost(e) ? wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL) : my_err(e, err);
  store_close(st);
  return rc;
}
