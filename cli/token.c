/* `weir token show` and `weir token rotate`. Main thread. Both become the owner of the data directory first, so that nothing they
 * make there stands in the way of the server. What never happens: the token on anything but standard output. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "log.h"
#include "place.h"
#include "token.h"
#include "verbs.h"

/* Says where the token lies, as far as that is known. */
static enum wr_rc elsewhere(const char *at, struct wr_err *err) {
  size_t host = strcspn(at, ":");
  if (!*at)
    return wr_err_set(err, WR_NOT_FOUND,
                      "There is no token here: the first start of a server makes it (one with --dev has none).");
  return wr_err_set(err, WR_NOT_FOUND, "The token was made on host %.*s and lies there only, in %.160s.", (int)host, at,
                    at[host] ? at + host + 1 : "?");
}

static enum wr_rc show(const struct place *p, struct wr_err *err) {
  struct store_token now = {0};
  struct bearer here = {0};
  char note[256];
  struct wr_err away;
  enum wr_rc rc = token_read(p->data, &here, err);
  if (rc && rc != WR_NOT_FOUND) return rc;
  bool asked = p->known && store_token_at(p->store, NULL, &now, &away) == WR_OK;
  if (!rc && (!asked || strcmp(here.hash, now.hash) == 0 || !now.hash[0])) {
    if (!asked) fputs("weir token: the database could not be asked whether this token still counts\n", stderr);
    puts(here.text);
    return WR_OK;
  }
  token_noted(p->data, note);
  return elsewhere(asked ? now.host : note, err);
}

/* Every node takes the new token from now on, but only the new file holds it. */
static enum wr_rc not_in_place(const char *data, const char *why, struct wr_err *err) {
  return wr_err_set(err, WR_OUTCOME_UNKNOWN,
                    "The new token counts already, but lies in %.110s/" TOKEN_NEXT_FILE
                    " only (%.40s): move it to " TOKEN_FILE " beside it.", data, why);
}

/* A rotation in another directory, on another host even, may have come between the database and our file. *now is what holds. */
static bool still_ours(const struct place *p, struct store_token *now) {
  struct store_token t;
  struct wr_err err;
  if (store_token_at(p->store, NULL, &t, &err) != WR_OK) return true; /* the next start here looks again */
  bool ours = token_settle(p->data, &t);
  if (!ours) *now = t;
  return ours;
}

static enum wr_rc rotate(const struct place *p, struct wr_err *err) {
  struct bearer t;
  struct store_token now = {0}, was;
  token_new(&t);
  memcpy(now.hash, t.hash, sizeof now.hash);
  token_here(p->data, now.host);
  int turn = token_turn(p->data, TOKEN_TURN_US, err);
  if (turn < 0) return err->code;
  enum wr_rc rc = token_prepare(p->data, &t, err);
  if (!rc) rc = store_token_at(p->store, &now, &was, err);
  bool counts = rc == WR_OK;
  if (counts) rc = token_place(p->data, true, err);
  else token_drop(p->data);
  const char *why = strerrordesc_np(errno); /* as token_place() left it */
  bool ours = !counts || rc || still_ours(p, &now);
  close(turn);
  if (!ours) return elsewhere(now.host, err);
  if (counts && rc) return not_in_place(p->data, why, err);
  if (rc == WR_OUTCOME_UNKNOWN)
    return wr_err_set(err, rc, "The database did not say whether the new token counts: nobody knows it. Rotate again.");
  if (rc) return rc;
  printf("a new token is in %s/" TOKEN_FILE "; every node takes it within 2 s\n", p->data);
  return WR_OK;
}

static enum wr_rc say_what(struct wr_err *err) {
  return wr_err_set(err, WR_BAD_REQUEST, "Say what to do: `weir token show` or `weir token rotate`.");
}

static enum wr_rc do_it(const struct config *c, const char *what, struct wr_err *err) {
  struct place p;
  bool turn = strcmp(what, "rotate") == 0;
  if (!turn && strcmp(what, "show") != 0) return say_what(err);
  log_setup(config_text(c, OPT_LOG_LEVEL) ? (enum log_level)config_num(c, OPT_LOG_LEVEL) : LOG_WARN,
            config_num(c, OPT_LOG_FORMAT) ? LOG_JSON : LOG_LOGFMT);
  enum wr_rc rc = place_of(c, &p, err);
  if (!rc) rc = place_take(&p, err);
  if (rc) return rc;
  return turn ? rotate(&p, err) : show(&p, err);
}

int verb_token(int argc, char **argv) {
  struct config c;
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&c, VERB_TOKEN, argc, argv, &err);
  int code = EXIT_OK;
  if (!rc && c.help) {
    puts("Usage: weir token show|rotate [options]\n\n"
         "show prints the token, where it lies in --data; elsewhere it ends with 3 and\n"
         "says on which host it was made. rotate makes a new one, puts it in --data, and\n"
         "every node takes it within 2 s.\n");
    config_help(stdout, VERB_TOKEN);
  } else {
    if (!rc && c.n_args != 1) rc = say_what(&err);
    if (!rc) rc = do_it(&c, c.args[0], &err);
    if (rc)
      code = complain("token", &err,
                      rc == WR_NOT_FOUND ? EXIT_NOT_FOUND : rc == WR_OUTCOME_UNKNOWN ? EXIT_RUN_FAILED : exit_of(rc));
  }
  config_done(&c);
  return code;
}
