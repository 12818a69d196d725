/* S1's first task: it sleeps for so long as its parameters say, logs that, and can be interrupted.
 *
 *     cc sleep_task.c -o sleep_task $(pkg-config --cflags --libs weir) && ./sleep_task sqlite:/tmp/sleep.db */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

static void must(int ok, const char *what, weir_t *h) {
  if (ok) return;
  fprintf(stderr, "%s: %s\n", what, h ? weir_error(h) : "");
  exit(1);
}

static void say(weir_attempt_t *a, const char *text) { weir_log(a, text, strlen(text)); }

static int sleep_run(weir_attempt_t *a, void *user) {
  struct pollfd stop = {.fd = weir_attempt_stop_fd(a), .events = POLLIN};
  const char *params = weir_attempt_params(a), *ms = params ? strstr(params, "\"ms\":") : NULL;
  char line[64], *end = NULL;
  long n = ms ? strtol(ms + 5, &end, 10) : 0;
  (void)user;
  if (!ms || end == ms + 5 || n < 0 || n > INT_MAX) return weir_report_error(a, "params must be {\"ms\": N}.", 0), WEIR_PHASE_FAILED;
  weir_report_progress(a, 0, 1, "nap", NULL);
  snprintf(line, sizeof line, "sleeping for %ld ms\n", n);
  say(a, line);
  if (poll(&stop, 1, (int)n) > 0) {
    say(a, "interrupted\n");
    return WEIR_PHASE_NORMAL;
  }
  say(a, "awake\n");
  weir_report_progress(a, 1, -1, NULL, NULL);
  return WEIR_PHASE_FINISHED;
}

static void print_log(weir_t *h, int64_t id) {
  char buf[256];
  size_t n;
  must(weir_log_read(h, id, -1, 0, buf, sizeof buf, &n) == WEIR_OK, "log", h);
  printf("%.*s", (int)n, buf);
}

int main(int argc, char **argv) {
  const char *options[] = {"slots=2", NULL};
  const weir_type_t type = {.size = sizeof type, .name = "sleep", .run = sleep_run};
  weir_spec_t spec = {.size = sizeof spec, .type = "sleep", .params = "{\"ms\": 50}", .user = "ann"};
  char err[300];
  weir_t *h;
  weir_task_t *t;
  int64_t id;
  must(argc == 2, "usage: sleep_task URL", NULL);
  if (weir_open(&h, argv[1], options, err, sizeof err)) must(0, err, NULL);
  must(weir_register(h, &type) == WEIR_OK && weir_start(h) == WEIR_OK, "start", h);

  must(weir_create(h, &spec, &id) == WEIR_OK, "create", h);
  must(weir_wait(h, id, 60000, &t) == WEIR_OK, "wait", h);
  printf("%s, %lld of %lld %s\n", t->state_name, (long long)t->done, (long long)t->total, t->unit);
  weir_task_free(t);
  print_log(h, id);

  spec.params = "{\"ms\": 600000}";
  must(weir_create(h, &spec, &id) == WEIR_OK, "create", h);
  for (size_t n = 0; n == 0;) { /* it has said that it sleeps */
    char buf[64];
    must(weir_log_read(h, id, 0, 0, buf, sizeof buf, &n) == WEIR_OK, "log", h);
  }
  must(weir_cancel(h, id) == WEIR_OK, "cancel", h);
  must(weir_wait(h, id, 60000, &t) == WEIR_OK, "wait", h);
  printf("%s\n", t->state_name);
  weir_task_free(t);
  print_log(h, id);
  return weir_close(h);
}
