/* `weir job ls | show | cancel | retry | rm`: jobs of a server. Main thread; a client of the API alone.
 * What never happens: a count that is made here - the server's own are shown. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "table.h"
#include "text.h"

enum { SHOWN = 50, KEY_CHARS = 60 };   /* jobs of `ls` without --all */

static const json_t *count(const json_t *job, const char *name) { return json_object_get(json_object_get(job, "counts"), name); }
static const char *text(const json_t *job, const char *name) { return json_string_value(json_object_get(job, name)); }

/* ---- output ---- */

static void row(struct table *t, const json_t *job) {
  static const char *const counts[] = {"total", "success", "failed", "canceled", "running", "notStarted", "retrying"};
  table_number(t, json_integer_value(json_object_get(job, "jobId")));
  table_cut(t, text(job, "jobKey"), KEY_CHARS);
  table_cell(t, text(job, "state"));
  table_cell(t, json_is_true(json_object_get(job, "closed")) ? "yes" : "no");
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) table_number(t, json_integer_value(count(job, counts[i])));
  table_cell(t, text(job, "createdAt"));
}

static void print_list(const struct config *c, const json_t *jobs) {
  static const char *const titles[] = {"JOB", "KEY", "STATE", "CLOSED", "TASKS", "SUCCESS", "FAILED", "CANCELED", "RUNNING",
                                       "WAITING", "RETRYING", "CREATED"};
  struct table t;
  if (config_num(c, OPT_SHAPE)) {
    client_print(jobs);
    return;
  }
  table_begin(&t, titles, sizeof titles / sizeof *titles);
  for (size_t i = 0; i < json_array_size(jobs); i++) row(&t, json_array_get(jobs, i));
  table_end(&t, stdout);
}

/* "counts.failed  3": every field of the answer on a line of its own. */
static void fields(struct table *t, const char *before, json_t *o) {
  const char *name;
  json_t *v;
  json_object_foreach(o, name, v) {
    char label[128];
    snprintf(label, sizeof label, "%s%s", before, name);
    if (json_is_object(v)) {
      snprintf(label, sizeof label, "%s.", name);
      fields(t, label, v);
      continue;
    }
    table_cell(t, label);
    if (json_is_integer(v)) table_number(t, json_integer_value(v));
    else table_cell(t, json_is_boolean(v) ? json_is_true(v) ? "yes" : "no" : json_string_value(v));
  }
}

/* job: a reference that this frees. */
static void print_one(const struct config *c, json_t *job) {
  static const char *const titles[] = {"FIELD", "VALUE"};
  struct table t;
  if (config_num(c, OPT_SHAPE)) {
    client_print(job);
  } else {
    table_begin(&t, titles, sizeof titles / sizeof *titles);
    fields(&t, "", job);
    table_end(&t, stdout);
  }
  json_decref(job);
}

/* ---- what is asked ---- */

static enum wr_rc list(const struct config *c, struct client *k, struct wr_err *err) {
  char path[64];
  json_t *jobs;
  bool all = config_num(c, OPT_JOB_ALL);
  if (c->n_args != 1) return wr_err_set(err, WR_BAD_REQUEST, "`weir job ls` takes no number.");
  snprintf(path, sizeof path, "/job?limit=%d", SHOWN + 1); /* one more tells that there are more */
  enum wr_rc rc = all ? client_list(k, "/job", &jobs, err) : client_ask(k, "GET", path, NULL, &jobs, err);
  if (rc) return rc;
  bool more = !all && json_array_size(jobs) > SHOWN;
  if (more) (void)json_array_remove(jobs, SHOWN);
  print_list(c, jobs);
  if (more) fprintf(stderr, "weir job: these are the newest %d; --all lists the others, too.\n", SHOWN);
  json_decref(jobs);
  return WR_OK;
}

/* verb "" = it is only shown. */
static enum wr_rc one(const struct config *c, struct client *k, const char *verb, struct wr_err *err) {
  char path[64], q[WR_QUOTE_MAX];
  int64_t id;
  json_t *job;
  if (c->n_args != 2) return wr_err_set(err, WR_BAD_REQUEST, "Name one job by its number: see `weir job ls`.");
  if (!text_id(c->args[1], strlen(c->args[1]), &id))
    return wr_err_set(err, WR_BAD_REQUEST, "%s is no number of a job: see `weir job ls`.",
                      wr_err_quote(q, c->args[1], strlen(c->args[1])));
  bool rm = strcmp(verb, "rm") == 0;
  if (rm) snprintf(path, sizeof path, "/job/%" PRId64 "?wait=60%s", id, config_num(c, OPT_JOB_FORCE) ? "&force=true" : "");
  else snprintf(path, sizeof path, "/job/%" PRId64 "%s%s", id, *verb ? "/" : "", verb);
  enum wr_rc rc = client_ask(k, rm ? "DELETE" : *verb ? "POST" : "GET", path, NULL, &job, err);
  if (!rc) print_one(c, job);
  return rc;
}

static enum wr_rc do_it(const struct config *c, struct wr_err *err) {
  const char *what = c->n_args ? c->args[0] : "";
  bool ls = strcmp(what, "ls") == 0, show = strcmp(what, "show") == 0;
  struct client *k = NULL;
  bool rm = strcmp(what, "rm") == 0;
  if (!ls && !show && !rm && strcmp(what, "cancel") != 0 && strcmp(what, "retry") != 0)
    return wr_err_set(err, WR_BAD_REQUEST, "Say what to do: `weir job ls`, `show`, `cancel`, `retry` or `rm`.");
  if (!ls && config_num(c, OPT_JOB_ALL)) return wr_err_set(err, WR_BAD_REQUEST, "--all is for `weir job ls`.");
  if (!rm && config_num(c, OPT_JOB_FORCE)) return wr_err_set(err, WR_BAD_REQUEST, "--force is for `weir job rm`.");
  enum wr_rc rc = client_open(c, &k, err);
  if (!rc) rc = ls ? list(c, k, err) : one(c, k, show ? "" : what, err);
  client_close(k);
  return rc;
}

int verb_job(int argc, char **argv) {
  struct config c;
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&c, VERB_JOB, argc, argv, &err);
  int code = EXIT_OK;
  if (!rc && c.help) {
    puts("Usage: weir job ls [--all] [options]\n       weir job show|cancel|retry JOB [options]\n"
         "       weir job rm JOB [--force] [options]\n\n"
         "ls lists jobs by the number that the others take, the newest first. cancel stops\n"
         "all that is not over; retry queues again what failed, timed out, died or was\n"
         "canceled; rm deletes a job with all its tasks, and waits for a minute: the same\n"
         "call goes on.\n\n"
         "  weir job ls\n  weir job show 7 -o json\n");
    config_help(stdout, VERB_JOB);
  } else {
    if (!rc) rc = do_it(&c, &err);
    if (rc) code = complain("job", &err, client_exit(rc));
  }
  config_done(&c);
  return code;
}
