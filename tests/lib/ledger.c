/* A process of a system that is killed and stopped again and again: tests/e2e/test_library_kill.py. Its tasks write what they do into a
 * ledger, one line at a time:
 *
 *   B id attempt place    an attempt begins with the context of this place      S id attempt place    that place is stored
 *
 *   ledger URL LEDGER work         runs tasks until SIGTERM, then closes: a planned stop
 *   ledger URL LEDGER make N       makes N tasks
 *   ledger URL LEDGER wait         prints how many have ended, and ends when none is left; "bad" and the state for one that failed */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "weir.h"

enum { STEPS = 12, STEP_MS = 25 };
static int ledger;

/* One write to a file that is only appended to: lines of all processes stand in the order in which they were written. */
static void note(char what, weir_attempt_t *a, int place) {
  char line[80];
  int n = snprintf(line, sizeof line, "%c %lld %d %d\n", what, (long long)weir_attempt_id(a), weir_attempt_number(a), place);
  if (write(ledger, line, (size_t)n) != n) abort();
}

static int step(weir_attempt_t *a, void *user) {
  struct pollfd stop = {.fd = weir_attempt_stop_fd(a), .events = POLLIN};
  const char *context = weir_attempt_context(a, NULL);
  char text[16];
  int place = context ? (int)strtol(context, NULL, 10) : 0;
  (void)user;
  note('B', a, place);
  while (place < STEPS) {
    if (poll(&stop, 1, STEP_MS) > 0) return WEIR_PHASE_NORMAL;
    snprintf(text, sizeof text, "%d", ++place);
    int rc = weir_report_context(a, text, strlen(text));
    if (rc == WEIR_ERR_FENCED) return WEIR_PHASE_NORMAL;
    if (rc == WEIR_OK) note('S', a, place);
  }
  return WEIR_PHASE_FINISHED;
}

static int work(weir_t *h) {
  const weir_type_t type = {.size = sizeof type, .name = "step", .run = step};
  sigset_t term;
  int sig;
  if (weir_register(h, &type) || weir_start(h)) return puts(weir_error(h)), 1;
  puts("ready");
  fflush(stdout);
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigwait(&term, &sig);
  return weir_close(h);
}

static int make(weir_t *h, int n) {
  const weir_type_t type = {.size = sizeof type, .name = "step", .run = step};
  const weir_spec_t s = {.size = sizeof s, .type = "step"};
  if (weir_register(h, &type)) return puts(weir_error(h)), 1;
  for (int i = 0; i < n; i++)
    if (weir_create(h, &s, NULL)) return puts(weir_error(h)), 1;
  return weir_close(h);
}

static int wait_all(weir_t *h) {
  weir_task_t **v;
  size_t n;
  for (int round = 0; round < 1200; round++) {
    size_t over = 0;
    if (weir_list(h, NULL, &v, &n, NULL)) return puts(weir_error(h)), 1;
    for (size_t i = 0; i < n; i++) {
      over += v[i]->state == WEIR_STATE_FINISHED;
      if (v[i]->state == WEIR_STATE_FAILED) return printf("bad %s: %s\n", v[i]->state_name, v[i]->error ? v[i]->error : ""), 1;
    }
    weir_list_free(v, n);
    if (over == n) return printf("%zu\n", n), weir_close(h);
    poll(NULL, 0, 100);
  }
  return puts("bad: they do not end"), 1;
}

int main(int argc, char **argv) {
  const char *options[] = {"slots=4", "lease=2s", "durability=relaxed", "log-level=error", NULL};
  char err[300];
  weir_t *h;
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, NULL); /* before the library makes threads */
  if (argc < 4 || weir_open(&h, argv[1], options, err, sizeof err)) return puts(argc < 4 ? "usage" : err), 1;
  ledger = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (strcmp(argv[3], "work") == 0) return work(h);
  return strcmp(argv[3], "make") == 0 ? make(h, argc > 4 ? (int)strtol(argv[4], NULL, 10) : 1) : wait_all(h);
}
