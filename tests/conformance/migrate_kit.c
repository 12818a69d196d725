#include "migrate_kit.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

const struct release kit_release[] = {{"8ec770b", 1}, {"3f30a82", 3}, {NULL, 0}};

char *kit_dump(const char *release, const char *store) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s.%s.sql", DUMPS, release, store);
  FILE *f = fopen(path, "re");
  if (!f) fail_msg("%s is not there", path);
  size_t room = 1 << 20;
  char *text = calloc(1, room);
  assert_true(fread(text, 1, room - 1, f) > 0 && feof(f));
  fclose(f);
  return text;
}

enum wr_rc kit_migrate(const char *url, struct wr_err *err) {
  const struct store_opts o = {.url = url};
  return store_migrate(&o, &(struct migrate_watch){.how = MIGRATE_APPLY}, err);
}

struct point { const struct schema_file *file; size_t step; const char *db; };
static void die_at(void *ctx, const struct migrate_told *t) {
  const struct point *p = ctx;
  bool step = t->event == MIGRATE_STEP && t->file == p->file && t->step == p->step;
  bool done = t->event == MIGRATE_DONE && p->db && strcmp(t->db, p->db) == 0;
  if (step || done) kill(getpid(), SIGKILL);
}

static bool killed_at(const char *url, struct point p) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    struct wr_err err;
    const struct store_opts o = {.url = url};
    _exit(store_migrate(&o, &(struct migrate_watch){.how = MIGRATE_APPLY, .tell = die_at, .ctx = &p}, &err) ? 1 : 0);
  }
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (!WIFSIGNALED(status)) assert_int_equal(status, 0);
  return WIFSIGNALED(status);
}

bool kit_killed(const char *url, const struct schema_set *set, size_t file, size_t step) {
  return killed_at(url, (struct point){&set->file[file], step, NULL});
}

bool kit_killed_when_done(const char *url, const char *db) { return killed_at(url, (struct point){.db = db}); }
