/* `weir job ls | show | cancel | retry | rm`: jobs of a server. Main thread; a client of the API alone.
 * What never happens: a count that is made here - the server's own are shown; a job taken for deleted that is still there. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "show.h"
#include "table.h"
#include "text.h"

enum { SHOWN = 50, KEY_CHARS = 60, NAMED = 3, WHY_BYTES = 60 };   /* jobs of `ls` without --all; what one sentence names */

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

/* ---- rm ---- */

/* They stay until somebody says what becomes of them. */
static enum wr_rc tell_failed(int64_t id, const json_t *tasks, struct wr_err *err) {
  size_t n = json_array_size(tasks);
  char names[96] = "", why[WHY_BYTES + 1];
  const char *said = text(json_array_get(tasks, 0), "errorMsg");
  for (size_t i = 0; i < n && i < NAMED; i++) {
    size_t at = strlen(names);
    snprintf(names + at, sizeof names - at, "%s%" JSON_INTEGER_FORMAT, i ? ", " : "",
             json_integer_value(json_object_get(json_array_get(tasks, i), "tiId")));
  }
  text_cut(why, said ? said : "", WHY_BYTES);
  return wr_err_set(err, WR_BUSY_STATE, "Not deleted: DELETE_FAILED is task %s%s (%s). `weir job rm %" PRId64 "` cleans up "
                    "again, `weir job rm %" PRId64 " --force` goes without.", names, n > NAMED ? ", .." : "", why, id, id);
}

/* The server has answered, and the job is still there. */
static enum wr_rc not_yet(struct client *k, int64_t id, const json_t *answer, int *code, struct wr_err *err) {
  char path[96];
  json_t *tasks;
  snprintf(path, sizeof path, "/job/%" PRId64 "/task?state=DELETE_FAILED&limit=%d", id, NAMED + 1);
  enum wr_rc rc = client_ask(k, "GET", path, NULL, &tasks, err);
  if (rc) return rc == WR_NOT_FOUND ? WR_OK : rc; /* it has gone meanwhile */
  if (json_array_size(tasks) > 0) {
    *code = EXIT_RUN_FAILED;
    rc = tell_failed(id, tasks, err);
  } else {
    *code = EXIT_WAIT_OVER;
    rc = wr_err_set(err, WR_BUSY_STATE, "It is still being deleted, %" JSON_INTEGER_FORMAT " of its tasks are left: "
                    "the same command waits on.", json_integer_value(json_object_get(json_object_get(answer, "left"), "tasks")));
  }
  json_decref(tasks);
  return rc;
}

/* *code: what the verb ends with, where the sentence in err does not say it. */
static enum wr_rc rm(const struct config *c, struct client *k, int64_t id, int *code, struct wr_err *err) {
  char path[96];
  json_t *answer;
  snprintf(path, sizeof path, "/job/%" PRId64 "?wait=%.3f%s", id, (double)config_num(c, OPT_JOB_TIMEOUT) / 1e6,
           config_num(c, OPT_JOB_FORCE) ? "&force=true" : "");
  enum wr_rc rc = client_ask(k, "DELETE", path, NULL, &answer, err);
  if (rc == WR_ACTIVE)
    return wr_err_set(err, rc, "Not all of its tasks have ended: `weir job cancel %" PRId64 "` stops them, and "
                      "`weir job rm %" PRId64 " --force` stops and deletes them.", id, id);
  if (rc) return rc;
  const char *state = text(answer, "state");
  json_incref(answer);
  show_one(c, answer);
  if (!state || strcmp(state, "DELETED") != 0) rc = not_yet(k, id, answer, code, err);
  json_decref(answer);
  return rc;
}

/* verb "" = it is only shown. */
static enum wr_rc one(const struct config *c, struct client *k, const char *verb, int *code, struct wr_err *err) {
  char path[64], q[WR_QUOTE_MAX];
  int64_t id;
  json_t *job;
  if (c->n_args != 2) return wr_err_set(err, WR_BAD_REQUEST, "Name one job by its number: see `weir job ls`.");
  if (!text_id(c->args[1], strlen(c->args[1]), &id))
    return wr_err_set(err, WR_BAD_REQUEST, "%s is no number of a job: see `weir job ls`.",
                      wr_err_quote(q, c->args[1], strlen(c->args[1])));
  if (strcmp(verb, "rm") == 0) return rm(c, k, id, code, err);
  snprintf(path, sizeof path, "/job/%" PRId64 "%s%s", id, *verb ? "/" : "", verb);
  enum wr_rc rc = client_ask(k, *verb ? "POST" : "GET", path, NULL, &job, err);
  if (!rc) show_one(c, job);
  return rc;
}

static enum wr_rc do_it(const struct config *c, int *code, struct wr_err *err) {
  const char *what = c->n_args ? c->args[0] : "";
  bool ls = strcmp(what, "ls") == 0, show = strcmp(what, "show") == 0;
  struct client *k = NULL;
  if (!ls && !show && strcmp(what, "rm") != 0 && strcmp(what, "cancel") != 0 && strcmp(what, "retry") != 0)
    return wr_err_set(err, WR_BAD_REQUEST, "Say what to do: `weir job ls`, `show`, `cancel`, `retry` or `rm`.");
  enum wr_rc rc = client_only(c, OPT_JOB_ALL, "job", "ls", err);
  if (!rc) rc = client_only(c, OPT_JOB_FORCE, "job", "rm", err);
  if (!rc) rc = client_only(c, OPT_JOB_TIMEOUT, "job", "rm", err);
  if (!rc) rc = client_open(c, &k, err);
  if (!rc) rc = ls ? list(c, k, err) : one(c, k, show ? "" : what, code, err);
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
         "       weir job rm JOB [--force] [--timeout TIME] [options]\n\n"
         "ls lists jobs by the number that the others take, the newest first. cancel stops\n"
         "all that is not over; retry queues again what failed, timed out, died or was\n"
         "canceled; rm deletes a job with all its tasks, and ends with 0 when it is gone,\n"
         "with 1 when a clean-up failed, and with 124 when it takes longer than --timeout:\n"
         "the deletion goes on, and the same command waits on.\n\n"
         "  weir job ls\n  weir job show 7 -o json\n");
    config_help(stdout, VERB_JOB);
  } else {
    if (!rc) rc = do_it(&c, &code, &err);
    if (rc) code = complain("job", &err, code ? (enum exit_code)code : client_exit(rc));
  }
  config_done(&c);
  return code;
}
