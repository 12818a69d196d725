/* Every call while the store is away: WEIR_ERR_UNAVAILABLE, 50301 and a sentence; and once it is back, all is as before. */
#include "kit.h"
#include "mysql_proxy.h"
#include <poll.h>

static weir_t *h;
static int64_t id;                   /* a task that is held */

static const weir_spec_t held = {.size = sizeof(weir_spec_t), .type = "ECHO", .hold = 1};

static int create(void) { return weir_create(h, &held, NULL); }
static int create_many(void) { return weir_create_many(h, (const weir_spec_t *const[]){&held, &held}, 2, NULL); }
static int run(void) { return weir_run(h, id); }
static int pause_it(void) { return weir_pause(h, id); }
static int cancel(void) { return weir_cancel(h, id); }
static int delete(void) { return weir_delete(h, id); }
static int change_group(void) { return weir_change_group(h, id, "g"); }
static int change_queue(void) { return weir_change_queue(h, id, "u", NULL, NULL); }
static int queue_set(void) {
  const weir_queue_t q = {.size = sizeof q, .user = "u", .max_running = 1, .weight = -1, .paused = -1, .rate_count = -1, .order = -1, .rate_per_ms = -1};
  return weir_queue_set(h, &q);
}
static int queue_delete(void) { return weir_queue_delete(h, "u", NULL); }
static int get(void) {
  weir_task_t *t;
  int rc = weir_get(h, id, &t);
  if (!rc) weir_task_free(t);
  return rc;
}
static int wait_no_time(void) { return weir_wait(h, id, 0, NULL); }
static int wait_and_show(void) {
  weir_task_t *t = NULL;
  int rc = weir_wait(h, id, 0, &t);
  weir_task_free(t);
  return rc;
}
static int list(void) {
  weir_task_t **v;
  size_t n;
  int rc = weir_list(h, NULL, &v, &n, NULL);
  weir_list_free(v, n);
  return rc;
}
static int log_read(void) {
  char buf[10];
  size_t got;
  return weir_log_read(h, id, 0, 0, buf, sizeof buf, &got);
}
static int create_of_unknown(void) {
  const weir_spec_t s = {.size = sizeof s, .type = "nobody has it"};
  return weir_create(h, &s, NULL);
}
static int quick(weir_attempt_t *a, void *user) { return (void)a, (void)user, WEIR_PHASE_FINISHED; }
static int register_one(void) {
  const weir_type_t t = {.size = sizeof t, .name = "later", .run = quick};
  return weir_register(h, &t);
}

#define CALL(f) {#f, f}
static const struct call { const char *name; int (*f)(void); } all[] = {
  CALL(create), CALL(create_many), CALL(create_of_unknown), CALL(run), CALL(pause_it), CALL(cancel), CALL(delete), CALL(change_group),
  CALL(change_queue), CALL(queue_set), CALL(queue_delete), CALL(get), CALL(wait_no_time), CALL(wait_and_show), CALL(list), CALL(log_read),
  CALL(register_one)};

/* Upper case to its end, for whoever wrote the program: it has no command line. */
static void is_sentence(const char *name, const char *s) {
  size_t n = strlen(s);
  if (n < 10 || s[0] < 'A' || s[0] > 'Z' || !strchr(".?", s[n - 1]) || s[n - 2] == '.' || strstr(s, "--")) fail_msg("%s says: %s", name, s);
}

static void away(const char *name, int rc) {
  if (rc != WEIR_ERR_UNAVAILABLE || weir_error_code(h) != 50301) fail_msg("%s: %d, %d, %s", name, rc, weir_error_code(h), weir_error(h));
  is_sentence(name, weir_error(h));
}

static void all_away(void) {
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) away(all[i].name, all[i].f());
}

/* What was sent and has no answer is in doubt, and says so; from then on the store is known to be away. */
static void in_doubt(void) {
  int rc = create();
  if (rc != WEIR_ERR_OUTCOME_UNKNOWN) {
    away("create", rc);
    return;
  }
  IS(weir_error_code(h), 50303);
  is_sentence("create", weir_error(h));
}

static struct proxy *store_behind(char socket[100]) {
  snprintf(socket, 100, "%s/away.sock", kit_dir());
  kit_through(socket);
  return proxy_new(socket, kit_socket());
}

static void open_held(const char *more) {
  h = kit_open("slots=1", more);
  OK(weir_create(h, &held, &id));
}

static void test_server_is_gone(void **st) {
  char socket[100], err[300];
  weir_t *other;
  (void)st;
  if (kit_one_process()) return;
  struct proxy *p = store_behind(socket);
  open_held(NULL);
  proxy_free(p);
  in_doubt();
  all_away();
  IS(kit_try(&other, (const char *[]){"slots=1", NULL}, err), WEIR_ERR_UNAVAILABLE);
  is_sentence("weir_open", err);
  p = proxy_new(socket, kit_socket());
  for (int ms = 0, rc; (rc = create()) != WEIR_OK; ms += 50) { /* it is looked at again from time to time */
    if (ms > SOON_MS) fail_msg("%d: %s", rc, weir_error(h));
    (void)poll(NULL, 0, 50);
  }
  IS(cancel(), WEIR_OK);
  OK(weir_wait(h, id, SOON_MS, NULL));
  IS(queue_set(), WEIR_OK);
  IS(queue_delete(), WEIR_OK);
  IS(create_of_unknown(), WEIR_ERR_UNKNOWN_TYPE);
  OK(weir_close(h));
  proxy_free(p);
}

/* It takes what it is sent, and says nothing. One call of each kind: each takes its whole time. */
static void test_server_is_silent(void **st) {
  char socket[100];
  (void)st;
  if (kit_one_process()) return;
  struct proxy *p = store_behind(socket);
  open_held("request-timeout=1s");
  proxy_silent(p, true);
  in_doubt();
  away("get", get());
  away("create", create());
  away("queue_set", queue_set());
  IS(weir_close(h), WEIR_ERR_UNAVAILABLE);
  proxy_free(p);
}

struct waiting { int answer, code; char why[200]; };
static void *wait_for_ever(void *arg) {
  struct waiting *w = arg;
  w->answer = weir_wait(h, id, -1, NULL);
  w->code = weir_error_code(h);
  snprintf(w->why, sizeof w->why, "%s", weir_error(h));
  return NULL;
}

/* A start makes the node anew, which takes a store. Nobody waits for one that does not come. */
static void test_start_while_it_is_gone(void **st) {
  char socket[100];
  struct waiting w = {0};
  pthread_t t;
  (void)st;
  if (kit_one_process()) return;
  struct proxy *p = store_behind(socket);
  open_held("request-timeout=1s");
  IS(pthread_create(&t, NULL, wait_for_ever, &w), 0);
  proxy_free(p);
  away("weir_start", weir_start(h));
  pthread_join(t, NULL);
  IS(w.answer, WEIR_ERR_UNAVAILABLE);
  IS(w.code, 50301);
  all_away();
  assert_non_null(strstr(weir_error(h), "can only be closed"));
  away("weir_start again", weir_start(h));
  (void)weir_close(h);
}

static void test_file_is_removed(void **st) {
  (void)st;
  if (!kit_one_process()) return;
  open_held(NULL);
  IS(remove(strchr(kit_url(), ':') + 1), 0);
  (void)create(); /* whoever stores something sees it; else it is looked for each ten seconds */
  away("wait", weir_wait(h, id, -1, NULL));
  all_away();
  (void)weir_close(h);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {KIT_TEST(test_server_is_gone), KIT_TEST(test_server_is_silent), KIT_TEST(test_start_while_it_is_gone),
                                     KIT_TEST(test_file_is_removed)};
  return kit_main(argc, argv, "away", tests, sizeof tests / sizeof *tests);
}
