/* Who a SHELL task may be: one table of users against services and persons, root and not; then the spawner's own question. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "run_as.h"

enum { ROOT = 0, WEIR = 100, TASKS = 200, OTHER = 300, WHEEL = 400, ALIAS = 0, ODD = -1 };

static bool look(const char *name, struct run_as_user *out) {
  static const struct { const char *name; int uid; gid_t gid, more; } all[] = {
    {"root", ROOT, 0, 0}, {"weir", WEIR, 100, 100}, {"tasks", TASKS, 200, 201}, {"other", OTHER, 300, 300}, {"toor", ALIAS, 7, 7},
    {"wheel", WHEEL, 400, 0}, {"group0", WHEEL, 0, 0}, {"odd", ODD, 9, 9}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (strcmp(all[i].name, name) != 0) continue;
    gid_t *g = wr_calloc(2, sizeof *g);
    g[0] = all[i].gid;
    g[1] = all[i].more;
    *out = (struct run_as_user){wr_strdup(name), wr_strdup("/home"), (uid_t)all[i].uid, all[i].gid, g, 2};
    return true;
  }
  return false;
}

/* asked: what a task says (NULL = nothing). refused: the command line is; else what becomes of the task. */
struct row {
  const char *what;
  enum run_as_wish shell;
  bool personal, started_by_root;
  uid_t self;
  const char *run_as, *also, *asked;
  const char *refused;
  enum run_as_why why;
};
#define SERVICE false
#define PERSON true
#define BY_ROOT true
#define BY_USER false
static const struct row rows[] = {
  /* a service that root starts and that becomes weir */
  {"run-as, none asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", NULL, NULL, NULL, RUN_AS_ALLOWED},
  {"run-as, asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", NULL, "tasks", NULL, RUN_AS_ALLOWED},
  {"root asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", NULL, "root", NULL, RUN_AS_NOT_LISTED},
  {"0 asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", NULL, "0", NULL, RUN_AS_NOT_LISTED},
  {"empty asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", NULL, "", NULL, RUN_AS_NOT_LISTED},
  {"server's user asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", NULL, "weir", NULL, RUN_AS_NOT_LISTED},
  {"listed asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", "other", "other", NULL, RUN_AS_ALLOWED},
  {"unlisted asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", NULL, "other", NULL, RUN_AS_NOT_LISTED},
  {"missing asked", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", NULL, "nobody-here", NULL, RUN_AS_NOT_LISTED},
  {"--run-as root", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "root", NULL, NULL, "only with --dev", 0},
  {"--run-as root, on", RUN_AS_ON, SERVICE, BY_ROOT, ROOT, "root", NULL, NULL, "only with --dev", 0},
  {"--run-as another name of uid 0", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "toor", NULL, NULL, "only with --dev", 0},
  {"--run-as of group 0", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "group0", NULL, NULL, "root's group", 0},
  {"--run-as also in group 0", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "wheel", NULL, NULL, "root's group", 0},
  {"--run-as uid -1", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "odd", NULL, NULL, "no change", 0},
  {"--run-as missing", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "nobody-here", NULL, NULL, "there is no user", 0},
  {"--run-as-also root", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", "root", NULL, "only with --dev", 0},
  {"--run-as-also server's", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "tasks", "weir", NULL, "--shell on", 0},
  {"--run-as-also server's, on", RUN_AS_ON, SERVICE, BY_ROOT, WEIR, "tasks", "weir", "weir", NULL, RUN_AS_ALLOWED},
  {"--run-as-also alone", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, NULL, "other", NULL, "--run-as", 0},
  {"auto, server's", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, "weir", NULL, NULL, NULL, RUN_AS_SHELL_OFF},
  {"on, server's", RUN_AS_ON, SERVICE, BY_ROOT, WEIR, "weir", NULL, NULL, NULL, RUN_AS_ALLOWED},
  {"auto, none", RUN_AS_AUTO, SERVICE, BY_ROOT, WEIR, NULL, NULL, "root", NULL, RUN_AS_SHELL_OFF},
  {"on, none, the server stays root", RUN_AS_ON, SERVICE, BY_ROOT, ROOT, NULL, NULL, NULL, "give --run-as", 0},
  {"off", RUN_AS_OFF, SERVICE, BY_ROOT, WEIR, "tasks", "root", "tasks", NULL, RUN_AS_SHELL_OFF},
  /* a service that a user starts */
  {"user: auto, none", RUN_AS_AUTO, SERVICE, BY_USER, WEIR, NULL, NULL, NULL, NULL, RUN_AS_SHELL_OFF},
  {"user: auto, itself", RUN_AS_AUTO, SERVICE, BY_USER, WEIR, "weir", NULL, NULL, NULL, RUN_AS_SHELL_OFF},
  {"user: on, itself", RUN_AS_ON, SERVICE, BY_USER, WEIR, "weir", NULL, "weir", NULL, RUN_AS_ALLOWED},
  {"user: on, root asked", RUN_AS_ON, SERVICE, BY_USER, WEIR, "weir", NULL, "root", NULL, RUN_AS_NOT_LISTED},
  {"user: on, unlisted asked", RUN_AS_ON, SERVICE, BY_USER, WEIR, "weir", NULL, "other", NULL, RUN_AS_NOT_LISTED},
  {"user: on, missing asked", RUN_AS_ON, SERVICE, BY_USER, WEIR, "weir", NULL, "nobody-here", NULL, RUN_AS_NOT_LISTED},
  {"user: another", RUN_AS_AUTO, SERVICE, BY_USER, WEIR, "tasks", NULL, NULL, "only a server that root starts", 0},
  {"user: --run-as root", RUN_AS_AUTO, SERVICE, BY_USER, WEIR, "root", NULL, NULL, "only a server that root starts", 0},
  /* --dev and `weir run`: root is possible where it is named, and nobody who is not */
  {"dev, root: --run-as root", RUN_AS_AUTO, PERSON, BY_ROOT, ROOT, "root", NULL, "root", NULL, RUN_AS_ALLOWED},
  {"dev, root: run-as, root asked", RUN_AS_AUTO, PERSON, BY_ROOT, ROOT, "tasks", NULL, "root", NULL, RUN_AS_NOT_LISTED},
  {"dev, root: root listed", RUN_AS_AUTO, PERSON, BY_ROOT, ROOT, "tasks", "root", "root", NULL, RUN_AS_ALLOWED},
  {"dev, root: 0 asked", RUN_AS_AUTO, PERSON, BY_ROOT, ROOT, "root", NULL, "0", NULL, RUN_AS_NOT_LISTED},
  {"dev, root: unlisted asked", RUN_AS_AUTO, PERSON, BY_ROOT, ROOT, "root", NULL, "other", NULL, RUN_AS_NOT_LISTED},
  {"dev, root: listed asked", RUN_AS_AUTO, PERSON, BY_ROOT, ROOT, "root", "other", "other", NULL, RUN_AS_ALLOWED},
  {"dev, root: missing listed", RUN_AS_AUTO, PERSON, BY_ROOT, ROOT, "root", "nobody-here", NULL, "there is no user", 0},
  {"dev, root: uid -1", RUN_AS_AUTO, PERSON, BY_ROOT, ROOT, "odd", NULL, NULL, "no change", 0},
  {"dev, user: itself", RUN_AS_AUTO, PERSON, BY_USER, WEIR, "weir", NULL, "weir", NULL, RUN_AS_ALLOWED},
  {"dev, user: root asked", RUN_AS_AUTO, PERSON, BY_USER, WEIR, "weir", NULL, "root", NULL, RUN_AS_NOT_LISTED},
  {"dev, user: another", RUN_AS_AUTO, PERSON, BY_USER, WEIR, "tasks", NULL, NULL, "only a server that root starts", 0},
  {"dev, off", RUN_AS_OFF, PERSON, BY_ROOT, ROOT, NULL, NULL, NULL, NULL, RUN_AS_SHELL_OFF},
};

static enum wr_rc make(const struct row *r, struct run_as **p, struct wr_err *err) {
  const struct run_as_opts o = {.shell = r->shell, .user = r->run_as, .also = &r->also, .n_also = r->also != NULL, .personal = r->personal,
                                .self = r->self, .can_change = r->started_by_root, .look = look};
  return run_as_new(&o, p, err);
}

static void test_table(void **st) {
  (void)st;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct row *r = &rows[i];
    struct wr_err err = {0};
    struct run_as *p = NULL;
    enum wr_rc rc = make(r, &p, &err);
    if ((rc != WR_OK) != (r->refused != NULL)) fail_msg("%s: %s", r->what, rc ? err.msg : "not refused");
    if (rc) {
      assert_null(p);
      if (!strstr(err.msg, r->refused)) fail_msg("%s: %s", r->what, err.msg);
      continue;
    }
    enum run_as_why why = run_as_allows(p, r->asked);
    if (why != r->why) fail_msg("%s: %d", r->what, (int)why);
    if ((run_as_find(p, r->asked) != NULL) != (why == RUN_AS_ALLOWED)) fail_msg("%s: found and not allowed, or not found", r->what);
    run_as_free(p);
  }
}

static void test_notices(void **st) {
  (void)st;
  struct wr_err err = {0};
  struct run_as *p;
  const struct row itself = {.personal = SERVICE, .started_by_root = BY_ROOT, .self = WEIR, .run_as = "weir"};
  struct row on = itself;
  assert_int_equal(make(&itself, &p, &err), WR_OK);
  assert_non_null(strstr(p->why_off, "--shell on"));
  assert_false(p->own);
  run_as_free(p);
  on.shell = RUN_AS_ON;
  assert_int_equal(make(&on, &p, &err), WR_OK);
  assert_null(p->why_off);
  assert_true(p->own);
  run_as_free(p);
}

/* Whatever a node asks of it. */
static void test_spawner(void **st) {
  (void)st;
  struct wr_err err = {0};
  struct run_as *p;
  const struct row r = {.personal = SERVICE, .started_by_root = BY_ROOT, .self = WEIR, .run_as = "tasks", .also = "other"};
  const gid_t own[] = {200, 201}, fewer[] = {201}, root[] = {200, 0}, others[] = {300};
  assert_int_equal(make(&r, &p, &err), WR_OK);
  assert_true(run_as_enters(p, TASKS, 200, own, 2));
  assert_true(run_as_enters(p, TASKS, 200, fewer, 1));
  assert_true(run_as_enters(p, TASKS, 200, NULL, 0));
  assert_true(run_as_enters(p, OTHER, 300, others, 1));
  assert_false(run_as_enters(p, ROOT, 0, NULL, 0));
  assert_false(run_as_enters(p, ROOT, 200, NULL, 0));
  assert_false(run_as_enters(p, TASKS, 0, NULL, 0));
  assert_false(run_as_enters(p, TASKS, 300, NULL, 0));
  assert_false(run_as_enters(p, TASKS, 200, root, 2));
  assert_false(run_as_enters(p, TASKS, 200, others, 1));
  assert_false(run_as_enters(p, WEIR, 100, NULL, 0));
  assert_false(run_as_enters(p, (uid_t)-1, (gid_t)-1, NULL, 0));
  run_as_free(p);
}

static void test_text(void **st) {
  (void)st;
  char b[256];
  assert_string_equal(run_as_text(RUN_AS_NOT_LISTED, "ro\not", b, sizeof b), "This node does not run SHELL tasks as \"ro\\not\" (see --run-as-also).");
  for (int i = 0; i < 2; i++)
    assert_string_equal(run_as_text(RUN_AS_NOT_LISTED, i ? "0" : "root", b, sizeof b), "SHELL tasks do not run as root (uid 0) or in its group (0), "
                        "save where a node with --dev lists it: name another user in taskConfig.user.");
  assert_string_equal(run_as_text(RUN_AS_SHELL_OFF, NULL, b, sizeof b), "SHELL is off on this node (see --run-as and --shell).");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_notices), cmocka_unit_test(test_spawner),
                                     cmocka_unit_test(test_text)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
