/* `weir executor ls | show | add | rm`, `weir analyzer ls | show | add | rm`: task types and result analyzers that are registered
 * at run time. Main thread; a client of the API alone.
 * What never happens: a secret of `config` on a terminal - answers do not have it. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "input.h"
#include "show.h"
#include "table.h"

enum { LOCATION_CHARS = 60 };

/* What differs between the two verbs. */
static const struct what { const char *verb, *type, *version; enum verb { EXECUTOR, ANALYZER } n; } whats[] = {
  [EXECUTOR] = {"executor", "executorType", "executorVersion", EXECUTOR},
  [ANALYZER] = {"analyzer", "analyzerType", "analyzerVersion", ANALYZER}};

/* ---- output ---- */

/* The texts of location with blanks between; what is long is cut. */
static void location(const json_t *x, struct table *t) {
  const json_t *list = json_object_get(x, "location");
  struct buf b = BUF_INIT;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *s = json_string_value(json_array_get(list, i));
    buf_printf(&b, "%s%s", i ? " " : "", s ? s : "");
  }
  table_cut(t, b.data ? b.data : "", LOCATION_CHARS);
  buf_done(&b);
}

/* That a member without the role worker runs nothing is no reason that anybody can mend. all: GET /members. */
static bool runs_tasks(const json_t *all, json_int_t member) {
  bool known = false;
  for (size_t i = 0; i < json_array_size(all); i++) {
    const json_t *m = json_array_get(all, i), *roles = json_object_get(m, "roles");
    if (json_integer_value(json_object_get(m, "memberId")) != member) continue;
    known = true;
    for (size_t k = 0; k < json_array_size(roles); k++) {
      const char *role = json_string_value(json_array_get(roles, k));
      if (role && strcmp(role, "worker") == 0) return true;
    }
  }
  return !known;
}

/* "2/3": that many members offer it; and the first reason of one that runs tasks and does not. Where none runs tasks, any. */
static void members(const json_t *x, const json_t *all, struct table *t) {
  const json_t *list = json_object_get(x, "members");
  const char *why = NULL, *any = NULL;
  size_t n = json_array_size(list), offer = 0, worker = 0;
  char s[64];
  for (size_t i = 0; i < n; i++) {
    const json_t *m = json_array_get(list, i);
    const char *says = json_string_value(json_object_get(m, "why"));
    bool runs = runs_tasks(all, json_integer_value(json_object_get(m, "memberId")));
    offer += json_is_true(json_object_get(m, "offers"));
    worker += runs;
    if (!any) any = says;
    if (!why && runs) why = says;
  }
  snprintf(s, sizeof s, "%zu/%zu", offer, n);
  table_cell(t, s);
  table_cell(t, worker ? why : any);
}

static void types(const json_t *x, struct table *t) {
  const json_t *list = json_object_get(x, "taskTypes");
  struct buf b = BUF_INIT;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *s = json_string_value(json_array_get(list, i));
    buf_printf(&b, "%s%s", i ? "," : "", s ? s : "");
  }
  table_cell(t, b.data);
  buf_done(&b);
}

/* list: a reference that this frees. all: GET /members, where executors are shown in a table. */
static void print(const struct config *c, const struct what *w, json_t *list, const json_t *all) {
  static const char *const titles[][6] = {{"TYPE", "VERSION", "MODE", "LOCATION", "OFFERED", "WHY NOT"},
                                          {"TYPE", "VERSION", "MODE", "LOCATION", "MAY ADD"}};
  struct table t;
  if (config_num(c, OPT_SHAPE)) {
    client_print(list);
  } else {
    table_begin(&t, titles[w->n], w->n == EXECUTOR ? 6 : 5);
    for (size_t i = 0; i < json_array_size(list); i++) {
      const json_t *x = json_array_get(list, i);
      table_cell(&t, json_string_value(json_object_get(x, w->type)));
      table_number(&t, json_integer_value(json_object_get(x, w->version)));
      table_cell(&t, json_string_value(json_object_get(x, "mode")));
      location(x, &t);
      if (w->n == EXECUTOR) members(x, all, &t);
      else types(x, &t);
    }
    table_end(&t, stdout);
  }
  json_decref(list);
}

/* *all: a reference; NULL where nothing of it is shown. */
static enum wr_rc ask_members(const struct config *c, const struct what *w, struct client *k, json_t **all, struct wr_err *err) {
  *all = NULL;
  return w->n == EXECUTOR && !config_num(c, OPT_SHAPE) ? client_ask(k, "GET", "/members", NULL, all, err) : WR_OK;
}

/* one: a reference that this takes. Its JSON is what the API answers: no list. */
static void print_one(const struct config *c, const struct what *w, json_t *one, const json_t *all) {
  if (config_num(c, OPT_SHAPE)) {
    show_one(c, one);
    return;
  }
  json_t *list = json_array();
  json_array_append_new(list, one);
  print(c, w, list, all);
}

/* ---- what is asked ---- */

static enum wr_rc list(const struct config *c, const struct what *w, struct client *k, struct wr_err *err) {
  json_t *all, *who = NULL;
  char path[16];
  if (c->n_args != 1) return wr_err_set(err, WR_BAD_REQUEST, "`weir %s ls` takes no name.", w->verb);
  snprintf(path, sizeof path, "/%s", w->verb);
  enum wr_rc rc = ask_members(c, w, k, &who, err);
  if (!rc) rc = client_list(k, path, &all, err);
  if (!rc) print(c, w, all, who);
  json_decref(who);
  return rc;
}

static enum wr_rc add(const struct config *c, const struct what *w, struct client *k, const json_t *body, struct wr_err *err) {
  json_t *made, *who = NULL;
  char path[16];
  snprintf(path, sizeof path, "/%s", w->verb);
  enum wr_rc rc = ask_members(c, w, k, &who, err); /* first: once it is made, nothing may fail */
  if (!rc) rc = client_ask(k, "POST", path, body, &made, err);
  if (!rc) print_one(c, w, made, who);
  json_decref(who);
  return rc;
}

/* It becomes a part of a path, so no other character than those of a type gets into it. */
static bool is_type(const char *s) {
  if (!isalpha((unsigned char)*s)) return false;
  for (; *s; s++)
    if ((unsigned char)*s > 127 || !(isalnum((unsigned char)*s) || strchr("_.-", *s))) return false;
  return true;
}

/* "/executor/TYPE" of the type that is named. */
static enum wr_rc path_of(const struct config *c, const struct what *w, char path[128], struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  if (c->n_args != 2) return wr_err_set(err, WR_BAD_REQUEST, "Name one type: `weir %s %s TYPE`.", w->verb, c->args[0]);
  const char *type = c->args[1];
  if (!is_type(type) || strlen(type) > LIMIT_EXECUTOR_TYPE_CHARS)
    return wr_err_set(err, WR_BAD_REQUEST, "%s is no name of a type: see `weir %s ls`.", wr_err_quote(q, type, strlen(type)),
                      w->verb);
  snprintf(path, 128, "/%s/%s", w->verb, type);
  return WR_OK;
}

static enum wr_rc show(const struct config *c, const struct what *w, struct client *k, struct wr_err *err) {
  char path[128];
  json_t *x;
  enum wr_rc rc = path_of(c, w, path, err);
  if (!rc) rc = client_ask(k, "GET", path, NULL, &x, err);
  if (!rc) show_one(c, x);
  return rc;
}

static enum wr_rc rm(const struct config *c, const struct what *w, struct client *k, struct wr_err *err) {
  char path[128];
  json_t *gone;
  enum wr_rc rc = path_of(c, w, path, err);
  if (!rc) rc = client_ask(k, "DELETE", path, NULL, &gone, err);
  if (rc) return rc;
  if (config_num(c, OPT_SHAPE)) client_print(gone);
  else printf("%s is removed.\n", c->args[1]);
  json_decref(gone);
  return WR_OK;
}

/* The file is read before the server is asked for anything. *code: set when it cannot be read. */
static enum wr_rc read_file(const struct config *c, const struct what *w, json_t **body, int *code, struct wr_err *err) {
  const char *file = config_text(c, OPT_FILE);
  if (c->n_args != 1 || !file) return wr_err_set(err, WR_BAD_REQUEST, "Say what is added: `weir %s add -f FILE`.", w->verb);
  int how = EXIT_OK;
  enum wr_rc rc = input_json(file, body, &how, err);
  if (rc) *code = how;
  return rc;
}

static enum wr_rc do_it(const struct config *c, const struct what *w, int *code, struct wr_err *err) {
  const char *what = c->n_args ? c->args[0] : "";
  bool ls = strcmp(what, "ls") == 0, adds = strcmp(what, "add") == 0, shows = strcmp(what, "show") == 0;
  struct client *k = NULL;
  json_t *body = NULL;
  enum wr_rc rc = WR_OK;
  if (!ls && !adds && !shows && strcmp(what, "rm") != 0)
    return wr_err_set(err, WR_BAD_REQUEST, "Say what to do: `weir %s ls`, `show`, `add` or `rm`.", w->verb);
  rc = client_only(c, OPT_FILE, w->verb, "add", err);
  if (!rc && adds) rc = read_file(c, w, &body, code, err);
  if (!rc) rc = client_open(c, &k, err);
  if (!rc) rc = ls ? list(c, w, k, err) : shows ? show(c, w, k, err) : adds ? add(c, w, k, body, err) : rm(c, w, k, err);
  json_decref(body);
  client_close(k);
  return rc;
}

static const char *const usage[] = {
  [EXECUTOR] =
    "Usage: weir executor ls [options]\n       weir executor show TYPE [options]\n"
    "       weir executor add -f FILE [options]\n       weir executor rm TYPE [options]\n\n"
    "Task types that are programs or URLs, registered while the cluster runs. FILE\n"
    "is the body of POST /executor; with \"replace\": true in it other content is\n"
    "a new version.\n\n"
    "  weir executor add -f upper.json\n  weir executor rm upper\n",
  [ANALYZER] =
    "Usage: weir analyzer ls [options]\n       weir analyzer show TYPE [options]\n"
    "       weir analyzer add -f FILE [options]\n       weir analyzer rm TYPE [options]\n\n"
    "Programs or URLs that look at the results of tasks, registered while the\n"
    "cluster runs. FILE is the body of POST /analyzer; with \"replace\": true in it\n"
    "other content is a new version.\n\n"
    "  weir analyzer add -f crawl.json\n  weir analyzer rm crawl\n"};

static int verb(const struct what *w, unsigned bit, int argc, char **argv) {
  struct config c;
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&c, bit, argc, argv, &err);
  int code = EXIT_OK;
  if (!rc && c.help) {
    puts(usage[w->n]);
    config_help(stdout, bit);
  } else {
    if (!rc) rc = do_it(&c, w, &code, &err);
    if (rc) code = complain(w->verb, &err, code ? (enum exit_code)code : client_exit(rc));
  }
  config_done(&c);
  return code;
}

int verb_executor(int argc, char **argv) { return verb(&whats[EXECUTOR], VERB_EXECUTOR, argc, argv); }
int verb_analyzer(int argc, char **argv) { return verb(&whats[ANALYZER], VERB_ANALYZER, argc, argv); }
