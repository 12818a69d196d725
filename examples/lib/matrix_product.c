/* S4's product of two matrices, built on the dot product: the task makes one dot task for each element and waits for all of them. While
 * it waits it gives its slot back, so one slot is enough. Pause, restart, failure and delete in the middle, as with the vectors.
 *
 *     cc matrix_product.c -o matrix_product $(pkg-config --cflags --libs weir) && ./matrix_product sqlite:/tmp/mm.db */
#include "dot.h"

enum { N = 4, ALL = N * N };

static struct dot settings = {.pause_ms = 2, .fail_at = -1};
static weir_t *handle;

static double a_of(int i, int j) { return i + 2 * j; }
static double b_of(int i, int j) { return i * j - 1; }
static double c_of(int i, int j) {
  double sum = 0;
  for (int k = 0; k < N; k++) sum += a_of(i, k) * b_of(k, j);
  return sum;
}

/* The key names an element of this very product: made again after a restart, it is the task that is there already. */
static void make_element(weir_attempt_t *a, int i, int j, int64_t *id) {
  char key[64], content[256] = "";
  snprintf(key, sizeof key, "mm-%lld-%d-%d", (long long)weir_attempt_id(a), i, j);
  for (int k = 0; k < N; k++) add(content, sizeof content, "%g ", a_of(i, k));
  add(content, sizeof content, "* ");
  for (int k = 0; k < N; k++) add(content, sizeof content, "%g ", b_of(k, j));
  const weir_spec_t spec = {.size = sizeof spec, .type = "dot", .content = content, .key = key, .user = "ann", .group = "elements"};
  must(weir_create(handle, &spec, id) == WEIR_OK, "create an element", handle);
  weir_run(handle, *id); /* one that failed or was paused goes on; of all others nothing changes */
}

static int keep_ids(weir_attempt_t *a, const int64_t *id) {
  char text[ALL * 24] = "";
  for (int e = 0; e < ALL; e++) add(text, sizeof text, "%lld ", (long long)id[e]);
  return weir_report_context(a, text, strlen(text));
}

/* "1 2 3 ..", row by row; 0: an element failed. */
static int gather(const int64_t *id, char *text, size_t size) {
  for (int e = 0; e < ALL; e++) {
    weir_task_t *t = NULL;
    if (weir_get(handle, id[e], &t)) return 0;
    int ok = t->state == WEIR_STATE_FINISHED;
    if (ok) add(text, size, "%s ", t->result);
    weir_task_free(t);
    if (!ok) return 0;
  }
  return 1;
}

static int product_run(weir_attempt_t *a, void *user) {
  int64_t id[ALL];
  char text[ALL * 32] = "";
  (void)user;
  for (int e = 0; e < ALL; e++) make_element(a, e / N, e % N, &id[e]);
  if (keep_ids(a, id)) return WEIR_PHASE_NORMAL;
  if (weir_attempt_wait(a, id, ALL, -1)) return WEIR_PHASE_NORMAL; /* asked to stop */
  if (!gather(id, text, sizeof text)) return weir_report_error(a, "An element failed.", 0), WEIR_PHASE_FAILED;
  weir_report_result(a, text, strlen(text));
  return WEIR_PHASE_FINISHED;
}

/* The elements go with the product. */
static int product_deleting(weir_attempt_t *a, void *user) {
  const char *at = weir_attempt_context(a, NULL);
  char *end;
  (void)user;
  for (long long id; at && (id = strtoll(at, &end, 10)) > 0; at = end) {
    int rc = weir_delete(handle, id);
    if (rc && rc != WEIR_ERR_NOT_FOUND) return WEIR_PHASE_FAILED;
  }
  return WEIR_PHASE_FINISHED;
}

static void open_all(const char *url) {
  const char *options[] = {"slots=1", NULL};
  const weir_type_t dot = {.size = sizeof dot, .name = "dot", .run = dot_run, .user = &settings};
  const weir_type_t product = {.size = sizeof product, .name = "product", .run = product_run, .deleting = product_deleting};
  char err[300];
  if (weir_open(&handle, url, options, err, sizeof err)) must(0, err, NULL);
  must(weir_register(handle, &dot) == WEIR_OK && weir_register(handle, &product) == WEIR_OK, "register", handle);
  must(weir_start(handle) == WEIR_OK, "start", handle);
}

/* pause_ms: of each component; with 20 there is time for something in the middle. */
static int64_t create(int pause_ms) {
  const weir_spec_t spec = {.size = sizeof spec, .type = "product", .user = "ann", .group = "products"};
  int64_t id;
  settings.pause_ms = pause_ms;
  must(weir_create(handle, &spec, &id) == WEIR_OK, "create", handle);
  for (size_t ids = 0; ids == 0;) { /* its elements are there */
    weir_task_t *t = NULL;
    must(weir_get(handle, id, &t) == WEIR_OK, "get", handle);
    ids = t->context_len;
    weir_task_free(t);
  }
  return id;
}

static void check(int64_t id, const char *what) {
  weir_task_t *t = NULL;
  must(weir_wait(handle, id, 60000, &t) == WEIR_OK, "wait", handle);
  must(t->state == WEIR_STATE_FINISHED, what, handle);
  const char *at = t->result;
  for (int e = 0; e < ALL; e++) must(next_number(&at) == c_of(e / N, e % N), what, NULL);
  weir_task_free(t);
  puts(what);
}

int main(int argc, char **argv) {
  must(argc == 2, "usage: matrix_product URL", NULL);
  open_all(argv[1]);
  check(create(0), "finished");

  int64_t id = create(20);
  must(weir_pause(handle, id) == WEIR_OK, "pause", handle);
  await_state(handle, id, WEIR_STATE_PAUSE);
  settings.pause_ms = 0;
  must(weir_run(handle, id) == WEIR_OK, "run", handle);
  check(id, "paused, went on, finished");

  settings.fail_at = 2;
  id = create(0);
  await_state(handle, id, WEIR_STATE_FAILED);
  must(weir_run(handle, id) == WEIR_OK, "run again", handle);
  check(id, "failed, was run again, finished");

  id = create(20);
  must(weir_close(handle) == WEIR_OK, "close", NULL);
  settings.pause_ms = 0;
  open_all(argv[1]);
  check(id, "the process stopped and started, finished");

  id = create(20);
  must(weir_delete(handle, id) == WEIR_OK, "delete", handle);
  must(weir_wait(handle, id, 60000, NULL) == WEIR_ERR_NOT_FOUND, "the deleted product is still there", handle);
  puts("deleted, with its elements");
  return weir_close(handle);
}
