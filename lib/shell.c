/* SHELL tasks in the process of a host: only with shell=on. Then weir_start() starts the spawner, a program beside the library,
 * which does every fork and exec; its tasks run as the user of this process.
 *
 * What is the process's, and changes with it: it takes in orphans (PR_SET_CHILD_SUBREAPER), because those that a dead spawner
 * leaves must be ended by somebody. What never happens: a process that is started without shell=on. */
#include <dlfcn.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib_int.h"
#include "log.h"
#include "mem.h"

#define HELPER "libexec/weir/weir-spawner"

static const char no_helper[] = "SHELL tasks need the program weir-spawner, which is neither where WEIR_HELPER says nor in "
                                "libexec/weir beside libweir.so.";

static bool is_program(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* malloc'ed; NULL = it is not there. */
static char *at(const char *folder, size_t n, const char *below) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "%.*s/%s", (int)n, folder, below);
  if (is_program(b.data)) return b.data;
  buf_done(&b);
  return NULL;
}

/* From the folder of the library on upwards: lib/x86_64-linux-gnu, lib, the prefix. */
static char *beside_library(const char *below) {
  Dl_info me;
  char *found = NULL;
  if (!dladdr(HELPER, &me) || !me.dli_fname) return NULL;
  const char *file = me.dli_fname, *slash = strrchr(file, '/');
  for (int up = 0; slash && slash > file && !found && up < 3; up++) {
    size_t n = (size_t)(slash - file);
    found = at(file, n, below);
    for (slash--; slash > file && *slash != '/';) slash--;
  }
  return found;
}

static char *find_helper(void) {
  const char *named = getenv("WEIR_HELPER");
  if (named && *named) return is_program(named) ? wr_strdup(named) : NULL;
  char *found = beside_library(HELPER);
  return found ? found : at(WEIR_PREFIX, strlen(WEIR_PREFIX), HELPER);
}

/* Where attempts have their directories; another node may not use it. */
static enum wr_rc make_room(weir_t *h, struct wr_err *err) {
  struct buf b = BUF_INIT;
  if (h->own_data || h->room) return WR_OK;
  const char *tmp = getenv("TMPDIR");
  buf_printf(&b, "%s/weir-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  h->room = b.data;
  if (mkdtemp(h->room)) return h->opts.data = h->room, WR_OK;
  enum wr_rc rc = wr_err_errno(err, "Cannot make a directory for tasks");
  free(h->room);
  h->room = NULL;
  return rc;
}

/* Of one person, at the own risk of who says shell=on: tasks have this user's rights. */
static enum wr_rc choose_user(weir_t *h, struct wr_err *err) {
  const struct run_as_opts o = {.shell = RUN_AS_ON, .personal = true, .self = geteuid()};
  return h->opts.run_as ? WR_OK : run_as_new(&o, &h->opts.run_as, err);
}

static void shell_forget(weir_t *h) {
  free(h->helper);
  free(h->tools);
  free(h->no_shell);
  h->helper = h->tools = h->no_shell = NULL;
}

static enum wr_rc start_helper(weir_t *h, struct spawner **out, struct wr_err *err) {
  enum wr_rc rc = make_room(h, err);
  if (rc) return rc;
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  return node_spawner(&h->opts, NULL, out, err);
}

enum wr_rc shell_begin(weir_t *h, struct spawner **out, struct wr_err *err) {
  struct wr_err why = {0};
  *out = NULL;
  if (h->opts.shell != NODE_SHELL_ON) return WR_OK;
  shell_forget(h);
  h->opts.helper = h->helper = find_helper();
  h->opts.why_no_spawner = no_helper;
  enum wr_rc rc = choose_user(h, err);
  if (rc || !h->helper) return rc;
  char *weir = beside_library("bin/weir");
  if (weir) *strrchr(weir, '/') = '\0';
  h->opts.tools = h->tools = weir;
  if (start_helper(h, out, &why) == WR_OK) return WR_OK;
  struct buf b = BUF_INIT;
  buf_printf(&b, "SHELL tasks do not run in this process, because the program %.200s cannot be used: %s", h->helper, why.msg);
  h->opts.why_no_spawner = h->no_shell = b.data;
  log_warn("library.no_shell", L_STR("why", b.data));
  return WR_OK;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f) {
  (void)st;
  (void)flag;
  (void)f;
  (void)remove(path);
  return 0;
}

void shell_end(weir_t *h) {
  if (h->room) (void)nftw(h->room, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  run_as_free(h->opts.run_as);
  free(h->room);
  shell_forget(h);
}
