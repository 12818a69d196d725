/* See kit.h. */
#include "mysql_lib.h"
#include "kit.h"
#include <ftw.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static MYSQL *db;
static char dir[64], name[100], path[200], url[400], queue[300];
static int number;

static void make_dir(void) {
  snprintf(dir, sizeof dir, "%s", "/tmp/weir-lib-XXXXXX");
  assert_non_null(mkdtemp(dir));
}

static bool missing(const char *what) {
  printf("1..0 # SKIP %s is not set\n", what);
  return false;
}

void kit_through(const char *socket) { snprintf(url, sizeof url, "mysql://root@localhost/%s?socket=%s", name, socket); }
const char *kit_socket(void) { return path; }

static const char *kind_of(int argc, char **argv) { return argc > 1 ? argv[1] : "sqlite"; }

static bool is_there(const char *kind) {
  const char *u = getenv("WEIR_TEST_MYSQL"), *r = getenv("WEIR_TEST_REDIS");
  if (strcmp(kind, "sqlite") == 0) return true;
  if (!u || !*u) return missing("WEIR_TEST_MYSQL");
  return strcmp(kind, "redis") != 0 || (r && *r) || missing("WEIR_TEST_REDIS");
}

static void begin(const char *kind, const char *what) {
  const char *u = getenv("WEIR_TEST_MYSQL"), *r = getenv("WEIR_TEST_REDIS");
  if (strcmp(kind, "sqlite") == 0) {
    make_dir();
    return;
  }
  const char *at = strchr(u, '@'), *slash = at ? strchr(at, '/') : NULL, *sock = strstr(u, "?socket=");
  if (!slash || !sock) abort();
  make_dir();
  snprintf(name, sizeof name, "%.*s_lib_%s_%s", (int)(sock - slash - 1), slash + 1, what, kind);
  snprintf(path, sizeof path, "%s", sock + 8);
  kit_through(path);
  if (strcmp(kind, "redis") == 0) snprintf(queue, sizeof queue, "queue=%s", r);
  db = mysql_init(NULL);
  if (!db || !mysql_real_connect(db, NULL, "root", NULL, NULL, 0, path, 0)) abort();
}

static void sql(const char *what) {
  char text[200];
  snprintf(text, sizeof text, "%s `%s`", what, name);
  if (mysql_query(db, text)) fail_msg("%s: %s", text, mysql_error(db));
}

int kit_fresh(void **state) {
  (void)state;
  number++;
  if (db) sql("DROP DATABASE IF EXISTS"), sql("CREATE DATABASE"), kit_through(path);
  else snprintf(url, sizeof url, "sqlite:%s/%d.db", dir, number);
  return 0;
}

static int remove_one(const char *file, const struct stat *st, int flag, struct FTW *f) {
  (void)st, (void)flag, (void)f;
  return remove(file);
}

static void end(void) {
  if (db) sql("DROP DATABASE"), mysql_close(db);
  nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int kit_main(int argc, char **argv, const char *what, const struct CMUnitTest *all, size_t n) {
  if (!is_there(kind_of(argc, argv))) return 0;
  begin(kind_of(argc, argv), what);
  int rc = _cmocka_run_group_tests(what, all, n, NULL, NULL);
  end();
  return rc;
}

/* ---- all at once ---- */

struct child { pid_t pid; FILE *said; };

static _Noreturn void be_child(const struct child *c, const char *kind, const char *what, const struct CMUnitTest *test) {
  if (dup2(fileno(c->said), 1) < 0 || dup2(fileno(c->said), 2) < 0) abort();
  begin(kind, what);
  int rc = _cmocka_run_group_tests(what, test, 1, NULL, NULL);
  end();
  exit(rc != 0);
}

static void child_ends(void **state) {
  struct child *c = *state;
  char line[1000];
  int status;
  if (waitpid(c->pid, &status, 0) != c->pid) abort();
  rewind(c->said);
  while (status && fgets(line, sizeof line, c->said)) fprintf(stderr, "%s", line);
  fclose(c->said);
  IS(status, 0);
}

int kit_main_at_once(int argc, char **argv, const char *what, const struct CMUnitTest *all, size_t n) {
  struct CMUnitTest test[16];
  struct child child[16];
  char names[40];
  if (!is_there(kind_of(argc, argv))) return 0;
  if (n > sizeof test / sizeof *test) abort();
  for (size_t i = 0; i < n; i++) {
    snprintf(names, sizeof names, "%s%zu", what, i);
    child[i].said = tmpfile();
    if (!child[i].said || (child[i].pid = fork()) < 0) abort();
    if (child[i].pid == 0) be_child(&child[i], kind_of(argc, argv), names, &all[i]);
    test[i] = (struct CMUnitTest){.name = all[i].name, .test_func = child_ends, .initial_state = &child[i]};
  }
  return _cmocka_run_group_tests(what, test, n, NULL, NULL);
}

bool kit_one_process(void) { return db == NULL; }
const char *kit_url(void) { return url; }
const char *kit_dir(void) { return dir; }

int kit_try(weir_t **h, const char *const *more, char err[300]) {
  char prefix[160];
  const char *options[16] = {NULL}, **o = options;
  snprintf(prefix, sizeof prefix, "prefix=%s-%d", name, number);
  if (*queue) *o++ = queue, *o++ = prefix;
  if (db) *o++ = "durability=relaxed";
  while (*more) *o++ = *more++;
  *err = '\0';
  return weir_open(h, url, options, err, 300);
}

weir_t *kit_open(const char *slots, const char *more) {
  char err[300];
  weir_t *h = NULL;
  int rc = kit_try(&h, (const char *[]){slots, more, NULL}, err);
  if (rc) fail_msg("weir_open: %s: %s", weir_strerror(rc), err);
  return h;
}

/* ---- logs ---- */

static sqlite3 *held;                /* of SQLite they are a file of their own, which has one writer at a time */

void kit_hold_logs(void) {
  char file[120];
  if (db) {
    sql("USE");
    if (mysql_query(db, "LOCK TABLES task_log WRITE")) fail_msg("lock: %s", mysql_error(db));
    return;
  }
  snprintf(file, sizeof file, "%s/%d.db-log", dir, number);
  IS(sqlite3_open_v2(file, &held, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  sqlite3_busy_timeout(held, SOON_MS);
  IS(sqlite3_exec(held, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

void kit_release_logs(void) {
  if (db && mysql_query(db, "UNLOCK TABLES")) fail_msg("unlock: %s", mysql_error(db));
  if (held) IS(sqlite3_close(held), SQLITE_OK);
  held = NULL;
}

/* ---- gates ---- */

void gate_init(struct gate *g) {
  *g = (struct gate){0};
  pthread_mutex_init(&g->mu, NULL);
  pthread_cond_init(&g->moved, NULL);
}

void gate_open(struct gate *g) {
  pthread_mutex_lock(&g->mu);
  g->open = true;
  pthread_cond_broadcast(&g->moved);
  pthread_mutex_unlock(&g->mu);
}

void gate_await(struct gate *g, int came) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_sec += SOON_MS / 1000;
  pthread_mutex_lock(&g->mu);
  while (g->came < came)
    if (pthread_cond_timedwait(&g->moved, &g->mu, &at)) fail_msg("only %d routines came, not %d", g->came, came);
  pthread_mutex_unlock(&g->mu);
}

int gate_came(struct gate *g) {
  pthread_mutex_lock(&g->mu);
  int n = g->came;
  pthread_mutex_unlock(&g->mu);
  return n;
}

void gate_come(struct gate *g) {
  pthread_mutex_lock(&g->mu);
  g->came++;
  pthread_cond_broadcast(&g->moved);
  pthread_mutex_unlock(&g->mu);
}

/* Looks at the stop by its descriptor: nothing tells the gate of it. */
bool gate_pass(struct gate *g, weir_attempt_t *a) {
  struct pollfd p = {.fd = weir_attempt_stop_fd(a), .events = POLLIN};
  gate_come(g);
  pthread_mutex_lock(&g->mu);
  while (!g->open && !weir_attempt_stopping(a)) {
    pthread_mutex_unlock(&g->mu);
    (void)poll(&p, 1, 5);
    pthread_mutex_lock(&g->mu);
  }
  g->left++;
  pthread_mutex_unlock(&g->mu);
  return !weir_attempt_stopping(a);
}

/* ---- tasks ---- */

static bool is_in(weir_t *h, int64_t id, const char *state, char seen[40]) {
  weir_task_t *t;
  int rc = weir_get(h, id, &t);
  if (rc == WEIR_ERR_NOT_FOUND) return snprintf(seen, 40, "gone"), *state == '\0';
  OK(rc);
  snprintf(seen, 40, "%s", t->state_name);
  bool is = strcmp(t->state_name, state) == 0;
  weir_task_free(t);
  return is;
}

void kit_state(weir_t *h, int64_t id, const char *state) {
  char seen[40];
  for (int ms = 0; !is_in(h, id, state, seen); ms += 5) {
    if (ms > SOON_MS) fail_msg("task %lld is %s, not %s", (long long)id, seen, state);
    (void)poll(NULL, 0, 5);
  }
}

int64_t kit_create(weir_t *h, const char *type) {
  const weir_spec_t s = {.size = sizeof s, .type = type};
  int64_t id = 0;
  if (weir_create(h, &s, &id)) fail_msg("create %s: %s", type, weir_error(h));
  return id;
}

void kit_bad_texts(weir_t *h) {
  static const char bad[] = "b\xff" "d", *const types[] = {"ECHO", bad};
  const weir_queue_t none = {.size = sizeof none, .max_running = 0, .weight = -1, .paused = 1, .rate_count = -1, .order = -1, .rate_per_ms = -1};
  weir_queue_t q[] = {none, none};
  q[0].user = q[1].group = bad;
  const weir_filter_t f[] = {{.size = sizeof *f, .user = bad}, {.size = sizeof *f, .group = bad}, {.size = sizeof *f, .types = types, .n_types = 2}};
  const weir_spec_t s[] = {
    {.size = sizeof *s, .type = bad}, {.size = sizeof *s, .type = "ECHO", .name = bad}, {.size = sizeof *s, .type = "ECHO", .content = bad},
    {.size = sizeof *s, .type = "ECHO", .config = bad}, {.size = sizeof *s, .type = "ECHO", .params = bad},
    {.size = sizeof *s, .type = "ECHO", .context = bad}, {.size = sizeof *s, .type = "ECHO", .key = bad},
    {.size = sizeof *s, .type = "ECHO", .user = bad}, {.size = sizeof *s, .type = "ECHO", .group = bad}};
  weir_task_t **v;
  size_t n;
#define BAD(call) do { IS(call, WEIR_ERR_INVALID); if (!strstr(weir_error(h), "UTF-8")) fail_msg("%s: %s", #call, weir_error(h)); } while (0)
  for (size_t i = 0; i < sizeof q / sizeof *q; i++) BAD(weir_queue_set(h, &q[i]));
  for (size_t i = 0; i < sizeof f / sizeof *f; i++) BAD(weir_list(h, &f[i], &v, &n, NULL));
  for (size_t i = 0; i < sizeof s / sizeof *s; i++) BAD(weir_create(h, &s[i], NULL));
  BAD(weir_queue_delete(h, bad, NULL));
  BAD(weir_queue_delete(h, NULL, bad));
  BAD(weir_change_group(h, 7, bad));
  BAD(weir_change_queue(h, 7, bad, NULL, NULL));
#undef BAD
}

static void bad_queues(weir_t *h) {
  const weir_queue_t none = {.size = sizeof none, .user = "odd", .max_running = -1, .weight = -1, .paused = -1, .rate_count = -1, .order = -1, .rate_per_ms = -1};
  weir_queue_t q[7];
  for (size_t i = 0; i < sizeof q / sizeof *q; i++) q[i] = none;
  q[0].max_running = q[1].weight = q[2].paused = q[3].rate_count = q[4].order = -2;
  q[5].rate_per_ms = -2;
  q[6].paused = 7;
  for (size_t i = 0; i < sizeof q / sizeof *q; i++) IS(weir_queue_set(h, &q[i]), WEIR_ERR_INVALID);
}

void kit_refused(weir_t *h) {
  const weir_spec_t odd = {.size = sizeof odd, .type = "ECHO", .hold = 2}, no_type = {.size = sizeof odd};
  const weir_filter_t no_types = {.size = sizeof no_types, .n_types = 1}, no_states = {.size = sizeof no_types, .n_states = 1};
  int64_t id;
  weir_task_t *t, **v;
  size_t n;
  char b[8];
  bad_queues(h);
  IS(weir_queue_set(h, NULL), WEIR_ERR_INVALID);
  IS(weir_create(h, &odd, &id), WEIR_ERR_INVALID);
  IS(weir_create(h, &no_type, &id), WEIR_ERR_INVALID);
  IS(weir_create(h, NULL, &id), WEIR_ERR_INVALID);
  assert_string_equal(weir_error(h), "There is no spec.");
  IS(weir_create_many(h, NULL, 1, &id), WEIR_ERR_INVALID);
  IS(weir_list(h, &no_types, &v, &n, NULL), WEIR_ERR_INVALID);
  IS(weir_list(h, &no_states, &v, &n, NULL), WEIR_ERR_INVALID);
  IS(weir_list(h, NULL, NULL, &n, NULL), WEIR_ERR_INVALID);
  IS(weir_list(h, NULL, &v, NULL, NULL), WEIR_ERR_INVALID);
  IS(weir_get(h, 1, NULL), WEIR_ERR_INVALID);
  IS(weir_log_read(h, 1, 0, 0, b, sizeof b, NULL), WEIR_ERR_INVALID);
  IS(weir_log_read(h, 1, 0, 0, NULL, 1, &n), WEIR_ERR_INVALID);
  for (id = 0; id > -3; id--) {
    IS(weir_get(h, id, &t), WEIR_ERR_NOT_FOUND);
    IS(weir_wait(h, id, -1, NULL), WEIR_ERR_NOT_FOUND);
    IS(weir_log_read(h, id, 0, 0, b, sizeof b, &n), WEIR_ERR_NOT_FOUND);
    IS(weir_run(h, id), WEIR_ERR_NOT_FOUND);
    IS(weir_change_group(h, id, "g"), WEIR_ERR_NOT_FOUND);
  }
}
