/* Patterns of PCRE2: regex.h. Its header is needed at build; nothing is linked. */
#include "regex.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "wr_limits.h"

/* A pattern is compiled on the thread of a request, too, whose stack is 256 KiB, and the library calls itself for each group
 * within a group: PARENS of them take less than 48 KiB.
 * The library counts steps anew from each place of the text, so a match as a whole is bounded by the time of its thread: it
 * calls out before each item of the pattern. */
enum { MATCH_STEPS = 10000000, MATCH_DEPTH = 20000, MATCH_HEAP_KIB = 32 * 1024, PARENS = 25, COMPILED_BYTES = 1 << 20,
       LOOK_EVERY = 64 };
#define MATCH_US 2000000

#define PCRE_CALLS(X) \
  X(pcre2_compile) X(pcre2_compile_context_create) X(pcre2_compile_context_free) X(pcre2_set_max_pattern_length) \
  X(pcre2_set_parens_nest_limit) X(pcre2_match_context_create) X(pcre2_match_context_free) X(pcre2_set_match_limit) \
  X(pcre2_set_depth_limit) X(pcre2_set_heap_limit) X(pcre2_match_data_create) X(pcre2_match_data_free) X(pcre2_match) \
  X(pcre2_code_free) X(pcre2_get_error_message) X(pcre2_pattern_info) X(pcre2_set_callout)
#define OPTIONS (PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_MATCH_INVALID_UTF | PCRE2_AUTO_CALLOUT)
#define TEXT_OF(x) #x
#define NAME_OF(x) TEXT_OF(x)        /* pcre2.h makes pcre2_compile a macro for pcre2_compile_8 */
#define MEMBER(name) __typeof__(&(name)) m_##name;
#define CALL(name) calls.m_##name

static struct { PCRE_CALLS(MEMBER) } calls;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *missing = "libpcre2-8.so.0 is not on this machine: install it (Debian: libpcre2-8-0).";

/* A pointer to a function is no pointer to data for C, but for POSIX. */
static bool find(void *lib, const char *name, void *out) {
  void *at = dlsym(lib, name);
  if (at) memcpy(out, &at, sizeof at);
  return at != NULL;
}

static void load(void) {
  void *lib = dlopen("libpcre2-8.so.0", RTLD_NOW | RTLD_LOCAL);
  bool all = lib != NULL;
  if (!lib) return;
#define X(name) all = find(lib, NAME_OF(name), &calls.m_##name) && all;
  PCRE_CALLS(X)
#undef X
  missing = all ? NULL : "libpcre2-8.so.0 of this machine lacks calls: 10.30 or newer is needed.";
}

static bool ready(char why[REGEX_WHY]) {
  pthread_once(&once, load);
  if (missing) snprintf(why, REGEX_WHY, "%s", missing);
  return !missing;
}

static enum regex_rc no_memory(char why[REGEX_WHY]) {
  snprintf(why, REGEX_WHY, "There is not enough memory for the pattern now.");
  return REGEX_UNABLE;
}

/* ---- compile ---- */

static enum regex_rc bad(int code, PCRE2_SIZE at, char why[REGEX_WHY]) {
  char text[128] = "";
  if (code == PCRE2_ERROR_NOMEMORY) return no_memory(why);
  (void)CALL(pcre2_get_error_message)(code, (PCRE2_UCHAR *)text, sizeof text);
  snprintf(why, REGEX_WHY, "The pattern cannot be read at character %zu: %s.", (size_t)at + 1, text);
  return REGEX_BAD;
}

static enum regex_rc compile(const char *pattern, size_t n, pcre2_code **out, char why[REGEX_WHY]) {
  int code = 0;
  PCRE2_SIZE at = 0;
  size_t bytes = 0;
  if (!ready(why)) return REGEX_UNABLE;
  pcre2_compile_context *c = CALL(pcre2_compile_context_create)(NULL);
  if (!c) return no_memory(why);
  (void)CALL(pcre2_set_max_pattern_length)(c, LIMIT_PATTERN_BYTES);
  (void)CALL(pcre2_set_parens_nest_limit)(c, PARENS);
  *out = CALL(pcre2_compile)((PCRE2_SPTR)pattern, n, OPTIONS, &code, &at, c);
  CALL(pcre2_compile_context_free)(c);
  if (!*out) return bad(code, at, why);
  (void)CALL(pcre2_pattern_info)(*out, PCRE2_INFO_SIZE, &bytes);
  if (bytes <= COMPILED_BYTES) return REGEX_MATCH;
  CALL(pcre2_code_free)(*out);
  snprintf(why, REGEX_WHY, "The pattern becomes larger than %d bytes: repeat less of it.", COMPILED_BYTES);
  return REGEX_BAD;
}

enum regex_rc regex_check(const char *pattern, size_t n, char why[REGEX_WHY]) {
  pcre2_code *code = NULL;
  enum regex_rc rc = compile(pattern, n, &code, why);
  if (rc == REGEX_MATCH) CALL(pcre2_code_free)(code);
  return rc;
}

/* ---- match ---- */

struct watch { uint32_t n; int64_t end_us; };

static int64_t thread_us(void) {
  struct timespec t;
  return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) ? 0 : (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int called_out(pcre2_callout_block *block, void *ctx) {
  struct watch *w = ctx;
  (void)block;
  return ++w->n % LOOK_EVERY == 0 && thread_us() > w->end_us ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static enum regex_rc result(int rc, char why[REGEX_WHY]) {
  char text[128] = "";
  if (rc >= 0) return REGEX_MATCH;
  if (rc == PCRE2_ERROR_NOMATCH) return REGEX_NO_MATCH;
  if (rc == PCRE2_ERROR_NOMEMORY) return no_memory(why);
  (void)CALL(pcre2_get_error_message)(rc, (PCRE2_UCHAR *)text, sizeof text);
  snprintf(why, REGEX_WHY, "The pattern was given up: %s.", text);
  return REGEX_LIMIT;
}

enum regex_rc regex_match(const char *pattern, size_t pattern_n, const char *text, size_t n, char why[REGEX_WHY]) {
  pcre2_code *code = NULL;
  struct watch watch = {.end_us = thread_us() + MATCH_US};
  enum regex_rc rc = compile(pattern, pattern_n, &code, why);
  if (rc != REGEX_MATCH) return rc;
  pcre2_match_context *c = CALL(pcre2_match_context_create)(NULL);
  pcre2_match_data *data = CALL(pcre2_match_data_create)(1, NULL);
  if (c && data) {
    (void)CALL(pcre2_set_match_limit)(c, MATCH_STEPS);
    (void)CALL(pcre2_set_depth_limit)(c, MATCH_DEPTH);
    (void)CALL(pcre2_set_heap_limit)(c, MATCH_HEAP_KIB);
    (void)CALL(pcre2_set_callout)(c, called_out, &watch);
    rc = result(CALL(pcre2_match)(code, (PCRE2_SPTR)text, n, 0, 0, data, c), why);
  } else {
    rc = no_memory(why);
  }
  if (data) CALL(pcre2_match_data_free)(data);
  if (c) CALL(pcre2_match_context_free)(c);
  CALL(pcre2_code_free)(code);
  return rc;
}
