/* Plug-ins: plugins.h. Those of a server have a handle that no call of weir.h takes: its node is the server's. */
#include "plugins.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib_int.h"
#include "log.h"
#include "mem.h"
#include "weir_plugin.h"

#define STACK_BYTES (8u << 20)      /* of routines: what a thread has elsewhere; the server's own threads have less */

enum { PATH_SHOWN = 60 };

struct plugin { char *file; void *handle; weir_plugin_t t; };
struct plugin_files { const char *option; struct plugin *v; size_t n; };
struct plugins {
  weir_t h;
  bool opening;                     /* h.life is held: no call of a routine is made before the node is there */
  struct plugin_files *files;
};

/* ---- one file ---- */

/* why: the rest of the one sentence. A long path is not shown whole, for the sentence must be. */
static enum wr_rc refuse_file(const struct plugin_files *p, const char *file, const char *why, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  const char *slash = strrchr(file, '/');
  if (slash && strlen(file) > PATH_SHOWN) file = slash + 1;
  return wr_err_set(err, WR_FORBIDDEN, "%s: %s %s", p->option, wr_err_quote(q, file, strlen(file)), why);
}

/* Its whole path, so that no search path decides what is loaded. malloc'ed; NULL = refused. */
static char *checked(const struct plugin_files *p, const char *file, struct wr_err *err) {
  struct stat st;
  char why[200];
  char *path = realpath(file, NULL);
  if (!path || stat(path, &st) != 0) {
    snprintf(why, sizeof why, "cannot be read: %s; name a file that this process's user may read.", strerror(errno));
    (void)refuse_file(p, file, why, err);
  } else if (!S_ISREG(st.st_mode)) {
    (void)refuse_file(p, file, "is no regular file; name the shared object itself.", err);
  } else if (st.st_mode & S_IWOTH) {
    (void)refuse_file(p, file,
                      "may be written by everybody, and would run as this process; take that right away: chmod o-w FILE.", err);
  } else return path;
  free(path);
  return NULL;
}

/* False: it was cut off, and the loader would meet the end of the file in the middle of its memory (SIGBUS). */
static bool is_whole(const char *path) {
  ElfW(Ehdr) e;
  ElfW(Phdr) part;
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool elf = fd >= 0 && fstat(fd, &st) == 0 && pread(fd, &e, sizeof e, 0) == sizeof e && memcmp(e.e_ident, ELFMAG, SELFMAG) == 0;
  bool whole = true;
  for (int i = 0; elf && whole && i < e.e_phnum; i++) {
    whole = pread(fd, &part, sizeof part, (off_t)(e.e_phoff + (uint64_t)i * sizeof part)) == sizeof part;
    if (whole && part.p_type == PT_LOAD && part.p_filesz > 0)
      whole = part.p_offset <= (uint64_t)st.st_size && part.p_filesz <= (uint64_t)st.st_size - part.p_offset;
  }
  if (fd >= 0) close(fd);
  return whole;
}

static enum wr_rc understood(const struct plugin_files *p, const char *file, const weir_plugin_t *t, weir_plugin_t *out,
                            struct wr_err *err) {
  char why[160];
  struct wr_err e;
  if (!t) return refuse_file(p, file, "has no symbol weir_plugin, so it is no plug-in; build it as weir_plugin.h says.", err);
  if (t->size < offsetof(weir_plugin_t, name) || t->abi != WEIR_PLUGIN_ABI) {
    snprintf(why, sizeof why, "is of another abi than this Weir's, %d; build it anew with the weir_plugin.h of this version.",
             WEIR_PLUGIN_ABI);
    return refuse_file(p, file, why, err);
  }
  if (SIZED(*out, t, "plug-in", &e))
    return refuse_file(p, file, "asks for more than this Weir knows; build it anew with the weir_plugin.h of this version.", err);
  return WR_OK;
}

static enum wr_rc load(const struct plugin_files *p, struct plugin *out, const char *file, struct wr_err *err) {
  struct wr_err e = {0};
  char *path = checked(p, file, err);
  if (!path) return err->code;
  if (!is_whole(path)) return free(path), refuse_file(p, file, "is cut off; copy or build it again.", err);
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  const char *why = handle ? "" : dlerror();
  if (strncmp(why, path, strlen(path)) == 0) why += strlen(path) + strspn(why + strlen(path), ": ");
  if (!handle)
    (void)wr_err_set(&e, WR_FORBIDDEN, "cannot be loaded: %.90s; build it for this machine, against this version of Weir.", why);
  free(path);
  if (!handle) return refuse_file(p, file, e.msg, err);
  *out = (struct plugin){.file = wr_strdup(file), .handle = handle};
  return understood(p, file, dlsym(handle, "weir_plugin"), &out->t, err);
}

/* ---- their types ---- */

/* Elements are as far apart as the plug-in's header has it. */
static const weir_type_t *type_at(const weir_plugin_t *t, size_t i) {
  return (const weir_type_t *)(const void *)((const char *)t->types + i * t->types->size);
}

static enum wr_rc add_type(const struct plugin_files *p, weir_t *h, const struct plugin *of, const weir_type_t *given,
                           const struct registry *r, struct wr_err *err) {
  weir_type_t t = {0};
  struct wr_err e = {0};
  char why[sizeof e.msg + 80];
  if (given->size != of->t.types->size || SIZED(t, given, "type", &e))
    return refuse_file(p, of->file, "has a type whose size is wrong; build it anew with the weir.h of this version.", err);
  enum wr_rc rc = type_check(h, r, &t, &e);
  if (!rc) return type_keep(h, &t), WR_OK;
  snprintf(why, sizeof why, "cannot be used: %.*s; %s", (int)strlen(e.msg) - 1, e.msg,
           rc == WR_EXISTS ? "give its type another name, or leave one plug-in out." : "correct the type.");
  return refuse_file(p, of->file, why, err);
}

static enum wr_rc add_types(const struct plugin_files *p, weir_t *h, const struct plugin *of, const struct registry *r,
                            struct wr_err *err) {
  const weir_plugin_t *t = &of->t;
  enum wr_rc rc = WR_OK;
  if (t->n_types > 0 && !t->types)
    return refuse_file(p, of->file, "has a number of types, but no types; correct its table.", err);
  for (size_t i = 0; i < t->n_types && !rc; i++) rc = add_type(p, h, of, type_at(t, i), r, err);
  return rc;
}

/* There can be one. */
static enum wr_rc add_policy(const struct plugin_files *p, weir_t *h, struct wr_err *err) {
  const struct plugin *of = NULL;
  for (size_t i = 0; i < p->n; i++) {
    if (!p->v[i].t.pick) continue;
    if (of) return refuse_file(p, p->v[i].file, "has a policy, and so has another plug-in; leave one of them out.", err);
    of = &p->v[i];
  }
  if (of) chooser_set(h->chooser, of->t.pick, of->t.user);
  return WR_OK;
}

struct plugin_files *plugin_files_new(const char *option) {
  struct plugin_files *p = wr_new(struct plugin_files);
  p->option = option;
  return p;
}

enum wr_rc plugin_files_load(struct plugin_files *p, weir_t *h, const char *const *file, size_t n, const struct registry *r,
                             struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  p->v = wr_calloc(n, sizeof *p->v);
  for (; p->n < n && !rc; p->n++) {
    rc = load(p, &p->v[p->n], file[p->n], err);
    if (!rc) rc = add_types(p, h, &p->v[p->n], r, err);
  }
  return rc ? rc : add_policy(p, h, err);
}

/* They stay loaded. */
void plugin_files_free(struct plugin_files *p) {
  for (size_t i = 0; p && i < p->n; i++) free(p->v[i].file);
  if (p) free(p->v);
  free(p);
}

enum wr_rc plugins_load(struct plugins *p, const char *const *file, size_t n, struct registry *r, struct wr_err *err) {
  enum wr_rc rc = plugin_files_load(p->files, &p->h, file, n, r, err);
  if (rc) return rc;
  size_t stack = types_stack(&p->h);
  p->h.pool = pool_new(&p->h, p->h.opts.slots, stack > STACK_BYTES ? stack : STACK_BYTES);
  return routines_add(&p->h, r, err);
}

/* A row for each: other nodes accept tasks of these types from now on. */
enum wr_rc types_tell(weir_t *h, struct wr_err *err) {
  struct known_type *row = wr_calloc(h->n_type + 1, sizeof *row);
  for (size_t i = 0; i < h->n_type; i++) row[i] = (struct known_type){h->type[i]->name, h->type[i]->t.deleting != NULL};
  enum wr_rc rc = h->n_type ? store_know_types(h->view.store, row, h->n_type, err) : WR_OK;
  for (size_t i = 0; i < h->n_type && !rc; i++) defs_type_learn(h->view.defs, row[i].name, row[i].cleans_up);
  free(row);
  return rc;
}

/* ---- life ---- */

struct plugins *plugins_new(struct node_opts *o, int64_t stop_us) {
  struct plugins *p = wr_new(struct plugins);
  p->files = plugin_files_new("--plugin");
  use_init(&p->h);
  o->queues.policy = chooser_policy(p->h.chooser);
  pthread_rwlock_wrlock(&p->h.life);
  p->opening = true;
  p->h.opts = *o;
  p->h.opts.stop_us = stop_us;
  return p;
}

static void open_up(struct plugins *p, struct node *n) {
  p->h.node = n;
  if (n) p->h.view = (struct view){node_store(n), node_defs(n), node_runner(n), node_executors(n), NULL};
  p->opening = false;
  pthread_rwlock_unlock(&p->h.life);
}

enum wr_rc plugins_begin(struct plugins *p, struct node *n, struct wr_err *err) {
  if (!p) return WR_OK;
  open_up(p, n);
  for (const struct plugin *v = p->files->v, *end = v + p->files->n; v < end; v++)
    log_info("server.plugin", L_STR("file", v->file), L_STR("name", v->t.name ? v->t.name : ""),
             L_INT("types", (int64_t)v->t.n_types), L_STR("policy", v->t.pick ? "yes" : "no"));
  return types_tell(&p->h, err);
}

void plugins_stop(struct plugins *p) {
  if (!p) return;
  if (p->opening) {
    open_up(p, NULL);
    return;
  }
  until_end_all(&p->h.until);
  pthread_rwlock_wrlock(&p->h.life);
  p->h.node = NULL;
  pthread_rwlock_unlock(&p->h.life);
}

void plugins_end(struct plugins *p) {
  if (!p) return;
  p->h.stuck = true; /* the process ends: routines that were given up keep what they use */
  uint32_t left = p->h.pool ? pool_end(p->h.pool) : 0;
  if (left) {
    log_error("server.routines_given_up", L_INT("routines", left),
              L_STR("effect", "they did not stop in time; their tasks go on elsewhere"));
    return;
  }
  use_done(&p->h);
  plugin_files_free(p->files);
  free(p);
}

/* ---- what has ended ---- */

struct watcher plugins_watcher(struct plugins *p, const struct watcher *also) {
  p->h.also = also;
  return until_watcher(&p->h);
}
