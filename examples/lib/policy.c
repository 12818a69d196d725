/* A policy of one's own: the task with the earliest deadline starts first, whatever its user, group or priority. Each task has its
 * deadline at the end of its name. It begins when all are there: until then pick() wants none.
 *
 *     cc policy.c -o policy $(pkg-config --cflags --libs weir) && ./policy sqlite:policy.db */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

enum { TASKS = 6 };

static void must(int ok, const char *what, weir_t *h) {
  if (ok) return;
  fprintf(stderr, "%s: %s\n", what, h ? weir_error(h) : "");
  exit(1);
}

/* "report 0730" -> 730; without a name: as late as can be. */
static long deadline(const weir_candidate_t *c) {
  const char *at = c->name ? strrchr(c->name, ' ') : NULL;
  return at ? strtol(at + 1, NULL, 10) : 9999;
}

/* On the thread that stores everything: it looks, and does nothing else. */
static long earliest(const weir_candidate_t *const *c, size_t n, void *user) {
  int *begun = user;
  size_t best = 0;
  *begun |= n == TASKS;
  if (!*begun) return -1;
  for (size_t i = 1; i < n; i++)
    if (deadline(c[i]) < deadline(c[best])) best = i;
  return (long)best;
}

static int report(weir_attempt_t *a, void *user) {
  (void)user;
  printf("%s\n", weir_attempt_content(a));
  return WEIR_PHASE_FINISHED;
}

static int64_t create(weir_t *h, const char *name, const char *user, int32_t priority) {
  const weir_spec_t spec = {.size = sizeof spec, .type = "report", .name = name, .content = name, .user = user,
                            .priority = priority};
  int64_t id;
  must(weir_create(h, &spec, &id) == WEIR_OK, "create", h);
  return id;
}

int main(int argc, char **argv) {
  const char *options[] = {"slots=1", NULL};
  const weir_type_t type = {.size = sizeof type, .name = "report", .run = report};
  char err[300];
  int begun = 0;
  int64_t id[TASKS];
  weir_t *h;
  must(argc == 2, "usage: policy URL", NULL);
  if (weir_open(&h, argv[1], options, err, sizeof err)) must(0, err, NULL);
  must(weir_register(h, &type) == WEIR_OK && weir_set_policy(h, earliest, &begun) == WEIR_OK, "register", h);
  must(weir_start(h) == WEIR_OK, "start", h);
  id[0] = create(h, "lunch 1200", "ann", 100);
  id[1] = create(h, "tea 1600", "ann", 100);
  id[2] = create(h, "breakfast 0730", "ann", -100);
  id[3] = create(h, "supper 1900", "bob", 50);
  id[4] = create(h, "coffee 1000", "bob", 0);
  id[5] = create(h, "milk 0600", "cat", 0);
  for (int i = 0; i < TASKS; i++) {
    weir_task_t *t;
    must(weir_wait(h, id[i], 60000, &t) == WEIR_OK && t->state == WEIR_STATE_FINISHED, "wait", h);
    weir_task_free(t);
  }
  return weir_close(h);
}
