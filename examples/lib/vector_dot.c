/* S4's vector dot product: finish; pause and restart; fail and restart; a stop of the process in the middle; delete in the middle.
 *
 *     cc vector_dot.c -o vector_dot $(pkg-config --cflags --libs weir) && ./vector_dot sqlite:/tmp/dot.db */
#include "dot.h"

enum { N = 20, SUM = N * (N + 1) * (2 * N + 1) / 6 };

static struct dot settings = {.pause_ms = 2, .fail_at = -1};

static weir_t *open_one(const char *url) {
  const char *options[] = {"slots=1", NULL};
  const weir_type_t type = {.size = sizeof type, .name = "dot", .run = dot_run, .user = &settings};
  char err[300];
  weir_t *h;
  if (weir_open(&h, url, options, err, sizeof err)) must(0, err, NULL);
  must(weir_register(h, &type) == WEIR_OK, "register", h);
  must(weir_start(h) == WEIR_OK, "start", h);
  return h;
}

static int64_t create(weir_t *h) {
  char content[2 * N * 4 + 4] = "";
  for (int v = 0; v < 2; v++) {
    for (int i = 1; i <= N; i++) add(content, sizeof content, "%d ", i);
    if (v == 0) add(content, sizeof content, "* ");
  }
  const weir_spec_t spec = {.size = sizeof spec, .type = "dot", .content = content, .user = "ann", .group = "vectors"};
  int64_t id;
  must(weir_create(h, &spec, &id) == WEIR_OK, "create", h);
  return id;
}

/* The result of a task that must succeed. */
static double result_of(weir_t *h, int64_t id) {
  weir_task_t *t = NULL;
  must(weir_wait(h, id, 60000, &t) == WEIR_OK, "wait", h);
  must(t->state == WEIR_STATE_FINISHED && t->result, "the task did not succeed", NULL);
  double v = atof(t->result);
  weir_task_free(t);
  return v;
}

/* In the middle: it has done some components, and some are left. */
static int64_t create_and_wait_for_the_middle(weir_t *h) {
  settings.pause_ms = 20;
  int64_t id = create(h);
  for (size_t done = 0; done < 2;) {
    weir_task_t *t = NULL;
    must(weir_get(h, id, &t) == WEIR_OK, "get", h);
    done = t->context_len;
    weir_task_free(t);
  }
  return id;
}

int main(int argc, char **argv) {
  must(argc == 2, "usage: vector_dot URL", NULL);
  weir_t *h = open_one(argv[1]);
  must(result_of(h, create(h)) == SUM, "the sum is wrong", NULL);
  puts("finished");

  int64_t id = create_and_wait_for_the_middle(h);
  must(weir_pause(h, id) == WEIR_OK, "pause", h);
  await_state(h, id, WEIR_STATE_PAUSE);
  settings.pause_ms = 0;
  must(weir_run(h, id) == WEIR_OK, "run", h);
  must(result_of(h, id) == SUM, "the sum is wrong after a pause", NULL);
  puts("paused, went on, finished");

  settings.fail_at = N / 2;
  id = create(h);
  await_state(h, id, WEIR_STATE_FAILED);
  must(weir_run(h, id) == WEIR_OK, "run again", h);
  must(result_of(h, id) == SUM, "the sum is wrong after a failure", NULL);
  puts("failed, was run again, finished");

  id = create_and_wait_for_the_middle(h);
  must(weir_close(h) == WEIR_OK, "close", NULL); /* the process stops .. */
  settings.pause_ms = 0;
  h = open_one(argv[1]); /* .. and starts again */
  must(result_of(h, id) == SUM, "the sum is wrong after a restart", NULL);
  puts("the process stopped and started, finished");

  id = create_and_wait_for_the_middle(h);
  must(weir_delete(h, id) == WEIR_OK, "delete", h);
  int rc = weir_wait(h, id, 60000, NULL);
  must(rc == WEIR_ERR_NOT_FOUND, "the deleted task is still there", NULL);
  puts("deleted");
  return weir_close(h);
}
