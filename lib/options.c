/* The options of weir_open(): names and values of the command line. Pure but for the number of cores and the environment's
 * TMPDIR. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib_int.h"
#include "log.h"
#include "text.h"
#include "wr_limits.h"

#define SLOTS_PER_CORE 2
#define SECOND_US 1000000LL

enum form { NUMBER, TIME, SIZE, WORD, TEXT };
enum name { O_SLOTS, O_ASYNC_SLOTS, O_LEASE, O_REQUEST_TIMEOUT, O_STOP_TIMEOUT, O_CACHE_MEMORY, O_DURABILITY, O_LOG_LEVEL,
           O_SHELL, O_TOKEN, O_DEV, O_QUEUE, O_PREFIX, O_DATA, O__N };
static const struct option { const char *name; enum form form; int64_t min, max; const char *words; } table[O__N] = {
  [O_SLOTS] = {"slots", NUMBER, 1, 100000, NULL}, [O_ASYNC_SLOTS] = {"async-slots", NUMBER, 1, 1000000, NULL},
  [O_LEASE] = {"lease", TIME, SECOND_US, 3600 * SECOND_US, NULL},
  [O_REQUEST_TIMEOUT] = {"request-timeout", TIME, SECOND_US, 600 * SECOND_US, NULL},
  [O_STOP_TIMEOUT] = {"stop-timeout", TIME, SECOND_US, 3600 * SECOND_US, NULL},
  [O_CACHE_MEMORY] = {"cache-memory", SIZE, 1 << 20, 1LL << 40, NULL},
  [O_DURABILITY] = {"durability", WORD, 0, 0, "strict|relaxed"},
  [O_LOG_LEVEL] = {"log-level", WORD, 0, 0, "error|warn|info|debug"}, [O_SHELL] = {"shell", WORD, 0, 0, "auto|on|off"},
      [O_TOKEN] = {"token", TEXT, 0, 0, NULL}, [O_DEV] = {"dev", WORD, 0, 0, "off|on"}, [O_QUEUE] = {"queue", TEXT, 0, 0, NULL},
  [O_PREFIX] = {"prefix", TEXT, 0, 0, NULL}, [O_DATA] = {"data", TEXT, 0, 0, NULL}};

/* Names of the command line that this library cannot do. */
static const char *const unsupported[] = {"listen", "run-as", "plugin"};

struct given { int64_t num[O__N]; const char *text[O__N]; };

/* Place of text in "a|b|c", or -1. */
static int64_t word(const char *list, const char *text) {
  size_t n = strlen(text);
  for (int64_t i = 0; *list; i++) {
    size_t len = strcspn(list, "|");
    if (len == n && memcmp(list, text, n) == 0) return i;
    list += len + (list[len] == '|');
  }
  return -1;
}

static bool read_value(const struct option *o, const char *s, int64_t *num) {
  size_t n = strlen(s);
  switch (o->form) {
  case NUMBER: return text_i64(s, n, num) && *num >= o->min && *num <= o->max;
  case TIME: return text_duration(s, n, o->max, num) && *num >= o->min;
  case SIZE: return text_size(s, n, o->max, num) && *num >= o->min;
  case WORD: *num = word(o->words, s); return *num >= 0;
  case TEXT: break;
  }
  return n > 0;
}

/* The value may hold a password, and is not shown. */
static enum wr_rc one_option(struct given *g, const char *text, struct wr_err *err) {
  size_t n = strcspn(text, "=");
  char q[WR_QUOTE_MAX];
  for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
    if (strlen(unsupported[i]) == n && memcmp(text, unsupported[i], n) == 0)
      return wr_err_set(err, WR_UNKNOWN_FIELD, "The option %s is not supported by this library.", unsupported[i]);
  for (int i = 0; i < O__N; i++) {
    const struct option *o = &table[i];
    if (strlen(o->name) != n || memcmp(text, o->name, n) != 0) continue;
    if (text[n] == '=' && read_value(o, text + n + 1, &g->num[i])) return g->text[i] = text + n + 1, WR_OK;
    return wr_err_set(err, WR_OUT_OF_RANGE, "The value of the option %s is wrong%s%s.", o->name, o->words ? ": one of " : "",
                      o->words ? o->words : "");
  }
  return wr_err_set(err, WR_OUT_OF_RANGE, "There is no option %s.", wr_err_quote(q, text, n));
}

static const char *text_or(const struct given *g, enum name n, const char *usual) { return g->text[n] ? g->text[n] : usual; }
static int64_t num_or(const struct given *g, enum name n, int64_t usual) { return g->text[n] ? g->num[n] : usual; }

/* A folder for files without a name; nothing stays in it. */
static char *data_of(const struct given *g, const char *url) {
  const char *path = strncmp(url, "sqlite:", 7) == 0 ? url + 7 : NULL, *slash = path ? strrchr(path, '/') : NULL;
  const char *tmp = getenv("TMPDIR");
  if (g->text[O_DATA]) return wr_strdup(g->text[O_DATA]);
  if (slash) return wr_memdup0(path, slash == path ? 1 : (size_t)(slash - path));
  return wr_strdup(path ? "." : tmp && *tmp ? tmp : "/tmp");
}

static uint32_t cores(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (uint32_t)n : 1;
}

enum wr_rc options_read(weir_t *h, const char *url, const char *const *options, struct wr_err *err) {
  struct given g = {0};
  enum wr_rc rc = WR_OK;
  for (; options && *options && !rc; options++) rc = one_option(&g, *options, err);
  if (rc) return rc;
  h->token = wr_strdup(g.text[O_TOKEN]);
  h->store = wr_strdup(url);
  h->queue = wr_strdup(text_or(&g, O_QUEUE, "memory:"));
  h->prefix = wr_strdup(text_or(&g, O_PREFIX, "weir"));
  h->data = data_of(&g, url);
  h->own_data = g.text[O_DATA] != NULL;
  log_setup((enum log_level)num_or(&g, O_LOG_LEVEL, LOG_WARN), LOG_LOGFMT);
  h->opts = (struct node_opts){
    .store = h->store, .queue = h->queue, .prefix = h->prefix, .data = h->data, .lease_us = num_or(&g, O_LEASE, 60 * SECOND_US),
    .queues = {.policy = chooser_policy(h->chooser)},
    .slots = (uint32_t)num_or(&g, O_SLOTS, (int64_t)SLOTS_PER_CORE * cores()),
    .async_slots = (uint32_t)num_or(&g, O_ASYNC_SLOTS, 10000),
    .cache_bytes = num_or(&g, O_CACHE_MEMORY, LIMIT_CACHE_BYTES), .request_us = num_or(&g, O_REQUEST_TIMEOUT, LIMIT_REQUEST_US),
    .stop_us = num_or(&g, O_STOP_TIMEOUT, 10 * SECOND_US), .durability = num_or(&g, O_DURABILITY, 0) ? NODE_RELAXED : NODE_STRICT,
    .shell = num_or(&g, O_SHELL, 0) == 1 ? NODE_SHELL_ON : NODE_SHELL_OFF, .routines = true};
  return WR_OK;
}
