/* The token of the installation: its hash and where it lies, as both databases read and write it. What never happens: the token
 * itself in a row. */
#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "sql.h"

enum wr_rc token_row_read(struct db *db, struct store_token *t, struct wr_err *err) {
  struct cursor c;
  *t = (struct store_token){0};
  db_select(db, &c, Q_TOKEN, NULL, 0);
  if (cursor_next(&c)) {
    const char *hash = cell_text(&c.cell[0], NULL), *host = cell_text(&c.cell[1], NULL);
    if (cell_bytes(&c.cell[0]) == STORE_TOKEN_CHARS) snprintf(t->hash, sizeof t->hash, "%s", hash);
    if (host) snprintf(t->host, sizeof t->host, "%s", host);
  }
  return cursor_end(&c, WR_OK, err);
}

int token_row_write(struct db *db, enum query q, const struct store_token *t) {
  return db->ops->run(db, q, ARGS(arg_text(t->hash), arg_text(t->host), arg_us(clock_wall_us())));
}

enum wr_rc reader_token(struct reader *r, struct store_token *out, struct wr_err *err) { return token_row_read(r->db, out, err); }
