/* The library on the URL of a server: what it can do there, and what not. Usage: http_client URL [TOKEN]; run by a test that has started
 * the server (tests/e2e/test_library.py). Prints nothing when all is well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "weir.h"

#define MUST(x) do { if (!(x)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #x, weir_error(h)); exit(1); } } while (0)
enum { SOON_MS = 30000 };

static int run(weir_attempt_t *a, void *user) {
  (void)a, (void)user;
  return WEIR_PHASE_FINISHED;
}

static void tasks(weir_t *h) {
  weir_task_t *t;
  int64_t id, again, ids[2];
  weir_spec_t s = {.size = sizeof s, .type = "ECHO", .content = "hi \xc3\xa9", .user = "ann b", .group = "g&h", .priority = 3,
                   .params = "{\"a\": 1}", .context = "ctx", .key = "http-key"};
  MUST(weir_create(h, &s, &id) == WEIR_OK);
  MUST(weir_create(h, &s, &again) == WEIR_OK && again == id);
  s.content = "other";
  MUST(weir_create(h, &s, &again) == WEIR_ERR_CONFLICT && weir_error_code(h) == 40911);
  MUST(weir_wait(h, id, SOON_MS, &t) == WEIR_OK);
  MUST(strcmp(t->state_name, "SUCCESS") == 0 && t->state == WEIR_STATE_FINISHED && strcmp(t->result, "hi \xc3\xa9") == 0);
  MUST(strcmp(t->user, "ann b") == 0 && strcmp(t->group, "g&h") == 0 && t->priority == 3 && strcmp(t->context, "ctx") == 0);
  MUST(strcmp(t->params, "{\"a\":1}") == 0 && t->created_us > 0 && t->ended_us >= t->created_us && t->attempt == 1 && t->run_no == 1);
  weir_task_free(t);
  MUST(weir_run(h, id) == WEIR_ERR_CONFLICT && weir_error_code(h) == 40912);
  MUST(weir_get(h, 999999, &t) == WEIR_ERR_NOT_FOUND && !t);
  s.key = NULL, s.type = "nobody";
  MUST(weir_create(h, &s, &id) == WEIR_ERR_UNKNOWN_TYPE);
  s.type = "ECHO";
  const weir_spec_t *const two[] = {&s, &s};
  MUST(weir_create_many(h, two, 2, ids) == WEIR_OK && ids[1] > ids[0]);
}

static void control(weir_t *h) {
  const weir_spec_t s = {.size = sizeof s, .type = "WAIT", .content = "600", .user = "ctl"}, held = {.size = sizeof s, .type = "ECHO", .hold = 1, .user = "ctl"};
  weir_filter_t f = {.size = sizeof f, .user = "ctl", .limit = -1};
  weir_task_t *t, **v;
  int64_t id, other, total;
  size_t n;
  MUST(weir_create(h, &s, &id) == WEIR_OK && weir_create(h, &held, &other) == WEIR_OK);
  MUST(weir_wait(h, id, 50, &t) == WEIR_ERR_TIMEOUT && t);
  weir_task_free(t);
  MUST(weir_pause(h, id) == WEIR_OK && weir_change_group(h, id, "blue") == WEIR_OK);
  MUST(weir_list(h, &f, &v, &n, &total) == WEIR_OK && n == 2 && total == 2 && v[0]->id == other && strcmp(v[1]->group, "blue") == 0);
  weir_list_free(v, n);
  f.states = (const int32_t[]){WEIR_STATE_INIT}, f.n_states = 1;
  MUST(weir_list(h, &f, &v, &n, NULL) == WEIR_OK && n == 1);
  weir_list_free(v, n);
  f.user = "ann b", f.n_states = 0; /* what they have as a result is not told, but how much it is */
  MUST(weir_list(h, &f, &v, &n, NULL) == WEIR_OK && n >= 1 && !v[n - 1]->result && v[n - 1]->result_len == 5);
  weir_list_free(v, n);
  MUST(weir_run(h, other) == WEIR_OK && weir_wait(h, other, SOON_MS, NULL) == WEIR_OK);
  MUST(weir_cancel(h, id) == WEIR_OK && weir_wait(h, id, SOON_MS, &t) == WEIR_OK && strcmp(t->state_name, "CANCELED") == 0);
  weir_task_free(t);
  MUST(weir_delete(h, id) == WEIR_OK && weir_wait(h, id, SOON_MS, NULL) == WEIR_ERR_NOT_FOUND);
}

static void rest(weir_t *h) {
  const weir_type_t type = {.size = sizeof type, .name = "mine", .run = run};
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO", .content = "0123456789"};
  weir_queue_t q = {.size = sizeof q, .user = "q", .max_running = 1, .weight = -1, .paused = -1, .rate_count = -1, .order = -1, .rate_per_ms = -1};
  char log[8];
  size_t n;
  int64_t id;
  MUST(weir_register(h, &type) == WEIR_ERR_UNSUPPORTED && weir_start(h) == WEIR_ERR_UNSUPPORTED);
  MUST(weir_create(h, &s, &id) == WEIR_OK && weir_wait(h, id, SOON_MS, NULL) == WEIR_OK);
  MUST(weir_log_read(h, id, 0, 7, log, sizeof log, &n) == WEIR_OK && n == 3 && memcmp(log, "789", 3) == 0);
  MUST(weir_log_read(h, id, -1, 0, log, sizeof log, &n) == WEIR_OK && n == 8);
  MUST(weir_log_read(h, id, 0, 10, log, sizeof log, &n) == WEIR_OK && n == 0);
  MUST(weir_queue_set(h, &q) == WEIR_OK && weir_queue_delete(h, "q", NULL) == WEIR_OK);
  MUST(weir_queue_delete(h, "q", NULL) == WEIR_ERR_NOT_FOUND);
}

int main(int argc, char **argv) {
  char err[300], token[300] = "slots=1";
  const char *options[] = {token, NULL};
  weir_t *h = NULL;
  if (argc > 2) snprintf(token, sizeof token, "token=%s", argv[2]);
  int rc = weir_open(&h, argv[1], options, err, sizeof err);
  if (rc) return printf("%d %s\n", rc, err), 1;
  tasks(h);
  control(h);
  rest(h);
  return weir_close(h);
}
