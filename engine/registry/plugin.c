/* Loading of plugins: see plugin.h. */
#include "plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef const wx_ops *entry_fn(void);

/* dlsym() gives an object pointer where a function is meant; POSIX says that the two are of one kind. */
static entry_fn *entry_of(void *handle) {
  void *p = dlsym(handle, "weir_executor");
  entry_fn *f = NULL;
  if (p) memcpy(&f, &p, sizeof f);
  return f;
}

static enum wr_rc plugin_add(struct registry *r, void *handle, struct wr_err *err) {
  entry_fn *entry = entry_of(handle);
  if (!entry) return wr_err_set(err, WR_INTERNAL, "It has no symbol weir_executor, so it is no executor.");
  return registry_add(r, entry(), err);
}

static void plugin_close(void *handle) { (void)dlclose(handle); }

enum wr_rc plugin_load(struct registry *r, const char *path, struct wr_err *err) {
  struct wr_err why = {0};
  char q[WR_QUOTE_MAX];
  const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  wr_err_quote(q, name, strlen(name));
  if (path[0] != '/') return wr_err_set(err, WR_INTERNAL, "The plugin %s needs its whole path, from / on.", q);
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return wr_err_set(err, WR_INTERNAL, "The plugin %s cannot be loaded: %s.", q, dlerror());
  if (plugin_add(r, handle, &why)) {
    plugin_close(handle);
    return wr_err_set(err, WR_INTERNAL, "The plugin %s cannot be used. %s", q, why.msg);
  }
  registry_own(r, handle, plugin_close);
  return WR_OK;
}
