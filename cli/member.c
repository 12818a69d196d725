/* `weir member ls | show | drain | undrain`: the processes of a cluster, and the wish that some of them drain. Main thread; a
 * client of the API alone. What never happens: a drain that is taken back because this program ends. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client.h"
#include "show.h"
#include "table.h"
#include "text.h"

#define LOOK_US 300000   /* --wait: how often it looks */

static int64_t number(const json_t *m, const char *name) { return json_integer_value(json_object_get(m, name)); }
static const char *text(const json_t *m, const char *name) { return json_string_value(json_object_get(m, name)); }

/* ---- output ---- */

static void words(const json_t *m, const char *name, char *out, size_t n) {
  const json_t *list = json_object_get(m, name);
  *out = '\0';
  for (size_t i = 0; i < json_array_size(list); i++) {
    size_t at = strlen(out);
    snprintf(out + at, n - at, "%s%s", at ? "," : "", json_string_value(json_array_get(list, i)));
  }
}

static void cell_number(struct table *t, const json_t *m, const char *name) { table_number(t, number(m, name)); }

/* How much of how much. */
static void cell_of(struct table *t, const json_t *m, const char *used, const char *all) {
  char s[64];
  snprintf(s, sizeof s, "%" PRId64 "/%" PRId64, number(m, used), number(m, all));
  table_cell(t, s);
}

/* In all lists that it pops. */
static void cell_hints(struct table *t, const json_t *m) {
  const char *name;
  json_t *n;
  int64_t all = 0;
  json_object_foreach(json_object_get(m, "hints"), name, n) all += json_integer_value(n);
  table_number(t, all);
}

static void row(struct table *t, const json_t *m) {
  char list[1200];
  cell_number(t, m, "memberId");
  table_cell(t, text(m, "host"));
  cell_number(t, m, "pid");
  table_cell(t, text(m, "state"));
  words(m, "roles", list, sizeof list);
  table_cell(t, list);
  cell_number(t, m, "running");
  cell_of(t, m, "slotsUsed", "slots");
  cell_of(t, m, "cpuUsed", "cpuBudget");
  cell_hints(t, m);
  words(m, "labels", list, sizeof list);
  table_cell(t, list);
  table_cell(t, text(m, "version"));
  snprintf(list, sizeof list, "%" PRId64 ".%" PRId64 "s", number(m, "ageMs") / 1000, number(m, "ageMs") % 1000 / 100);
  table_cell(t, list);
}

/* members: a list, a reference that this frees. */
static void print(const struct config *c, json_t *members) {
  static const char *const titles[] = {"MEMBER", "HOST", "PID", "STATE", "ROLES", "RUNNING", "SLOTS", "CPU", "HINTS", "LABELS",
                                       "VERSION", "AGE"};
  struct table t;
  if (config_num(c, OPT_SHAPE)) {
    client_print(members);
  } else {
    table_begin(&t, titles, sizeof titles / sizeof *titles);
    for (size_t i = 0; i < json_array_size(members); i++) row(&t, json_array_get(members, i));
    table_end(&t, stdout);
  }
  json_decref(members);
}

/* ---- what is asked ---- */

static enum wr_rc list(const struct config *c, struct client *k, struct wr_err *err) {
  json_t *members;
  if (c->n_args != 1) return wr_err_set(err, WR_BAD_REQUEST, "`weir member ls` takes no name.");
  enum wr_rc rc = client_ask(k, "GET", config_num(c, OPT_ALL) ? "/members?all=true" : "/members", NULL, &members, err);
  if (!rc) print(c, members);
  return rc;
}

static enum wr_rc member_id(const char *arg, int64_t *id, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  if (text_id(arg, strlen(arg), id)) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "%s is no number of a member: see `weir member ls`.", wr_err_quote(q, arg, strlen(arg)));
}

static enum wr_rc show(const struct config *c, struct client *k, struct wr_err *err) {
  char path[64];
  int64_t id;
  json_t *m;
  if (c->n_args != 2) return wr_err_set(err, WR_BAD_REQUEST, "Name one member by its number: see `weir member ls`.");
  enum wr_rc rc = member_id(c->args[1], &id, err);
  if (rc) return rc;
  snprintf(path, sizeof path, "/members/%" PRId64, id);
  rc = client_ask(k, "GET", path, NULL, &m, err);
  if (!rc) show_one(c, m);
  return rc;
}

struct chosen { int64_t *v; size_t n, cap; };

/* All that live, or those that are named. */
static enum wr_rc choose(const struct config *c, struct client *k, struct chosen *out, struct wr_err *err) {
  json_t *members = NULL;
  bool all = config_num(c, OPT_ALL);
  if (all == (c->n_args > 1)) return wr_err_set(err, WR_BAD_REQUEST, "Name members by their number, or say --all.");
  for (int i = 1; i < c->n_args; i++) {
    enum wr_rc rc = member_id(c->args[i], WR_PUSH(out->v, out->n, out->cap), err);
    if (rc) return rc;
  }
  enum wr_rc rc = all ? client_ask(k, "GET", "/members", NULL, &members, err) : WR_OK;
  for (size_t i = 0; i < json_array_size(members); i++) {
    const json_t *m = json_array_get(members, i);
    const char *state = text(m, "state");
    if (state && strcmp(state, "DEAD") != 0 && strcmp(state, "GONE") != 0)
      *WR_PUSH(out->v, out->n, out->cap) = number(m, "memberId");
  }
  json_decref(members);
  return rc;
}

static enum wr_rc ask_one(struct client *k, int64_t id, const char *verb, const json_t *body, json_t *to, struct wr_err *err) {
  char path[64];
  json_t *m;
  snprintf(path, sizeof path, "/members/%" PRId64 "%s%s", id, *verb ? "/" : "", verb);
  enum wr_rc rc = client_ask(k, *verb ? "POST" : "GET", path, body, &m, err);
  if (!rc) json_array_append_new(to, m);
  return rc;
}

/* A member that ends meanwhile runs nothing any more, either. */
static bool is_over(const json_t *m) {
  const char *state = text(m, "state");
  return state && strcmp(state, "LIVE") != 0 && strcmp(state, "DRAINING") != 0;
}

/* LIVE: somebody has taken the wish back. */
static enum wr_rc wait_drained(struct client *k, const struct chosen *of, json_t **members, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  for (bool over = false; !rc && !over;) {
    json_decref(*members);
    *members = json_array();
    over = true;
    for (size_t i = 0; !rc && i < of->n; i++) {
      rc = ask_one(k, of->v[i], "", NULL, *members, err);
      const json_t *m = json_array_get(*members, i);
      const char *state = text(m, "state");
      if (!rc && state && strcmp(state, "LIVE") == 0)
        rc = wr_err_set(err, WR_BUSY_STATE, "Member %" PRId64 " drains no more: somebody has taken that back.", of->v[i]);
      over &= is_over(m);
    }
    if (!rc && !over) usleep(LOOK_US);
  }
  return rc;
}

/* Of one member that is named the JSON is the object that the API answers. */
static void print_all(const struct config *c, json_t *members) {
  bool alone = config_num(c, OPT_SHAPE) && !config_num(c, OPT_ALL) && json_array_size(members) == 1;
  if (!alone) {
    print(c, members);
    return;
  }
  client_print(json_array_get(members, 0));
  json_decref(members);
}

static enum wr_rc wish(const struct config *c, struct client *k, bool on, struct wr_err *err) {
  struct chosen of = {0};
  const char *timeout = config_text(c, OPT_TIMEOUT);
  json_t *members = json_array(), *body = json_object();
  if (on && timeout) json_object_set_new(body, "timeout", json_string(timeout));
  enum wr_rc rc = choose(c, k, &of, err);
  for (size_t i = 0; !rc && i < of.n; i++) rc = ask_one(k, of.v[i], on ? "drain" : "undrain", body, members, err);
  if (!rc && on && config_num(c, OPT_WAIT)) rc = wait_drained(k, &of, &members, err);
  if (rc) json_decref(members);
  else print_all(c, members);
  json_decref(body);
  free(of.v);
  return rc;
}

static enum wr_rc do_it(const struct config *c, struct wr_err *err) {
  const char *what = c->n_args ? c->args[0] : "";
  bool ls = strcmp(what, "ls") == 0, shows = strcmp(what, "show") == 0, drain = strcmp(what, "drain") == 0;
  struct client *k = NULL;
  if (!ls && !shows && !drain && strcmp(what, "undrain") != 0)
    return wr_err_set(err, WR_BAD_REQUEST, "Say what to do: `weir member ls`, `show`, `drain` or `undrain`.");
  enum wr_rc rc = client_only(c, OPT_WAIT, "member", "drain", err);
  if (!rc) rc = client_only(c, OPT_TIMEOUT, "member", "drain", err);
  if (!rc && shows && config_num(c, OPT_ALL)) rc = wr_err_set(err, WR_BAD_REQUEST, "--all is not for `weir member show`.");
  if (!rc) rc = client_open(c, &k, err);
  if (!rc) rc = ls ? list(c, k, err) : shows ? show(c, k, err) : wish(c, k, drain, err);
  client_close(k);
  return rc;
}

int verb_member(int argc, char **argv) {
  struct config c;
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&c, VERB_MEMBER, argc, argv, &err);
  int code = EXIT_OK;
  if (!rc && c.help) {
    puts("Usage: weir member ls [options]\n       weir member show MEMBER [options]\n"
         "       weir member drain|undrain MEMBER.. [options]\n\n"
         "ls lists the processes of a cluster, by the number that the others take. A member\n"
         "that drains takes no more tasks; what runs goes on to its end, or is told to\n"
         "stop after --timeout and goes on elsewhere.\n\n"
         "  weir member ls\n  weir member drain 7 --timeout 5m --wait\n");
    config_help(stdout, VERB_MEMBER);
  } else {
    if (!rc) rc = do_it(&c, &err);
    if (rc) code = complain("member", &err, client_exit(rc));
  }
  config_done(&c);
  return code;
}
