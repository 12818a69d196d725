/* See curl_link.h. Loaded once, never unloaded: threads of it may live on. */
#include "curl_link.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

/* curl.h wraps some of them in macros. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct curl_calls calls;
static const char *missing = "libcurl.so.4 is not on this machine: install it (Debian: libcurl4).";

/* A pointer to a function is no pointer to data for C, but for POSIX. */
static bool find(void *lib, const char *name, void *out) {
  void *at = dlsym(lib, name);
  if (at) memcpy(out, &at, sizeof at);
  return at != NULL;
}

static void load(void) {
  void *lib = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!lib) lib = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!lib) return;
  bool all = true;
#define X(name) all = find(lib, #name, &calls.name) && all;
  CURL_CALLS(X)
#undef X
  missing = "libcurl.so.4 of this machine lacks calls: 7.85 or newer is needed.";
  if (all && calls.curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) missing = NULL;
}

const struct curl_calls *curl_calls(const char **why) {
  pthread_once(&once, load);
  *why = missing;
  return missing ? NULL : &calls;
}
