/* The options of weir_open(): names, values and defaults of the command line (option.def). Pure but for the environment's
 * TMPDIR. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib_int.h"
#include "log.h"
#include "log_place.h"

/* The value may hold a password, and is not shown. */
static enum wr_rc one_option(struct opt_value v[OPT__N], const char *text, struct wr_err *err) {
  size_t n = strcspn(text, "=");
  char q[WR_QUOTE_MAX];
  for (int i = 0; i < OPT__N; i++) {
    const struct opt *o = &opt_table[i];
    if (!(o->verbs & (VERB_LIB | VERB_SERVER)) || strlen(o->name) != n || memcmp(text, o->name, n) != 0) continue;
    if (o->verbs & VERB_LIB) return opt_set(&v[i], i, o->name, text[n] ? text + n + 1 : "", FROM_FLAG, err);
    return wr_err_set(err, WR_UNKNOWN_FIELD, "The option %s is not supported by this library.", o->name);
  }
  return wr_err_set(err, WR_OUT_OF_RANGE, "There is no option %s.", wr_err_quote(q, text, n));
}

/* A folder for files without a name; nothing stays in it, but the token of an API. */
static char *data_of(const char *named, const char *url) {
  const char *path = strncmp(url, "sqlite:", 7) == 0 ? url + 7 : NULL, *slash = path ? strrchr(path, '/') : NULL;
  const char *tmp = getenv("TMPDIR");
  if (named) return wr_strdup(named);
  if (slash) return wr_memdup0(path, slash == path ? 1 : (size_t)(slash - path));
  return wr_strdup(path ? "." : tmp && *tmp ? tmp : "/tmp");
}

static void settle(weir_t *h, const char *url) {
  const struct opt_value *v = h->given;
  h->store = wr_strdup(url);
  h->data = data_of(v[OPT_DATA].text, url);
  h->own_data = v[OPT_DATA].text != NULL;
  h->log = log_place_new(v[OPT_LOG_LEVEL].text ? (int)v[OPT_LOG_LEVEL].num : LOG_WARN);
  (void)log_here(h->log);
  h->opts = (struct node_opts){
    .store = h->store, .queue = v[OPT_QUEUE].text, .prefix = v[OPT_PREFIX].text, .data = h->data, .lease_us = v[OPT_LEASE].num,
    .max_queued = (uint32_t)v[OPT_MAX_QUEUED].num, .max_depth = (uint32_t)v[OPT_MAX_DEPTH].num,
    .slots = opt_slots(v), .async_slots = (uint32_t)v[OPT_ASYNC_SLOTS].num, .cache_bytes = v[OPT_CACHE_MEMORY].num,
    .request_us = v[OPT_REQUEST_TIMEOUT].num, .stop_us = v[OPT_STOP_TIMEOUT].num,
    .durability = v[OPT_DURABILITY].num ? NODE_RELAXED : NODE_STRICT,
    .shell = v[OPT_SHELL].num == RUN_AS_ON ? NODE_SHELL_ON : NODE_SHELL_OFF, .routines = true, .version = WEIR_VERSION};
  h->opts.http_allow = (const char *const *)v[OPT_HTTP_ALLOW].many;
  h->opts.n_http_allow = v[OPT_HTTP_ALLOW].n_many;
}

enum wr_rc options_read(weir_t *h, const char *url, const char *const *options, struct wr_err *err) {
  enum wr_rc rc = opt_defaults(h->given, err);
  for (; options && *options && !rc; options++) rc = one_option(h->given, *options, err);
  if (rc) return rc;
  settle(h, url);
  rc = opt_queues(h->given, "", &h->names, &h->opts.queues, err);
  if (!rc) rc = opt_labels(h->given, "", &h->names, &h->opts.labels, err);
  h->opts.queues.policy = chooser_policy(h->chooser);
  return rc;
}

void options_done(weir_t *h) {
  for (int i = 0; i < OPT__N; i++) opt_forget(&h->given[i]);
  arena_done(&h->names);
  free(h->store);
  free(h->data);
}
