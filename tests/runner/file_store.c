/* The store of one program of tests (file_store.h). */
#include "file_store.h"
#include "facts.h"
#include <unistd.h>

static char folder[40];

struct store *file_store_open(void) {
  char url[80];
  struct wr_err err;
  struct store *s = NULL;
  snprintf(folder, sizeof folder, "/tmp/weir-runner-XXXXXX");
  if (!mkdtemp(folder)) fail_msg("no folder");
  snprintf(url, sizeof url, "sqlite:%s/db", folder);
  if (store_open(&(struct store_opts){.url = url}, &s, &err)) fail_msg("%s", err.msg);
  return s;
}

void file_store_close(struct store *s) {
  static const char *const names[] = {"db", "db-wal", "db-shm", "db.lock", "db-log", "db-log-wal", "db-log-shm", "weir.lock"};
  char path[80];
  store_close(s);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    (void)unlink(path);
  }
  assert_int_equal(rmdir(folder), 0); /* no other file was left */
}
