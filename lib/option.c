/* Options: see option.h. Pure but for the number of cores. */
#include "option.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "labels.h"
#include "queue_name.h"
#include "text.h"
#include "wr_limits.h"

#define SLOTS_PER_CORE 2

const struct opt opt_table[OPT__N] = {
#define OPT(id, letter, name, type, min, max, def, verbs, traits, arg, help) \
  [OPT_##id] = {letter, name, type, min, max, def, verbs, traits, arg, help},
#include "option.def"
#undef OPT
};

/* ---- one value ---- */

static enum wr_rc bad(struct wr_err *err, const struct opt *o, const char *where, const char *text, const char *want) {
  char q[WR_QUOTE_MAX];
  if (o->traits & OPT_SECRET) return wr_err_set(err, WR_BAD_REQUEST, "%s: the value is wrong: expected %s.", where, want);
  return wr_err_set(err, WR_BAD_REQUEST, "%s: %s is not %s.", where, wr_err_quote(q, text, strlen(text)), want);
}

/* Place of text in "a|b|c", or -1. */
static int choice(const char *list, const char *text) {
  size_t n = strlen(text);
  for (int i = 0; *list; i++) {
    size_t len = strcspn(list, "|");
    if (len == n && memcmp(list, text, n) == 0) return i;
    list += len + (list[len] == '|');
  }
  return -1;
}

static int switch_value(const char *text) {
  static const char *const on[] = {"on", "true", "yes", "1"}, *const off[] = {"off", "false", "no", "0"};
  for (int i = 0; i < 4; i++) {
    if (strcmp(text, on[i]) == 0) return 1;
    if (strcmp(text, off[i]) == 0) return 0;
  }
  return -1;
}

static enum wr_rc read_num(const struct opt *o, const char *where, const char *text, int64_t *num, struct wr_err *err) {
  char want[96];
  switch (o->type) {
  case OPT_INT:
    if (text_i64(text, strlen(text), num) && *num >= o->min && *num <= o->max) return WR_OK;
    snprintf(want, sizeof want, "a whole number from %lld to %lld", (long long)o->min, (long long)o->max);
    return bad(err, o, where, text, want);
  case OPT_TIME:
    if (text_duration(text, strlen(text), o->max, num) && *num >= o->min) return WR_OK;
    snprintf(want, sizeof want, "a time from %llds to %llds", (long long)o->min / 1000000, (long long)o->max / 1000000);
    return bad(err, o, where, text, want);
  case OPT_SIZE:
    if (text_size(text, strlen(text), o->max, num) && *num >= o->min) return WR_OK;
    snprintf(want, sizeof want, "a size from %lldMiB to %lldGiB", (long long)o->min >> 20, (long long)o->max >> 30);
    return bad(err, o, where, text, want);
  case OPT_CHOICE:
    *num = choice(o->arg, text);
    if (*num >= 0) return WR_OK;
    snprintf(want, sizeof want, "one of %s", o->arg);
    return bad(err, o, where, text, want);
  case OPT_SWITCH:
    *num = switch_value(text);
    return *num >= 0 ? WR_OK : bad(err, o, where, text, "on or off");
  case OPT_TEXT:
  case OPT_MANY: break;
  }
  if (*text == 0) return bad(err, o, where, text, "a text of at least one character");
  return WR_OK;
}

void opt_forget(struct opt_value *v) {
  free(v->text);
  for (size_t i = 0; i < v->n_many; i++) free(v->many[i]);
  free(v->many);
  *v = (struct opt_value){0};
}

static void add_many(struct opt_value *v, const char *s, size_t n) {
  if (n) *WR_PUSH(v->many, v->n_many, v->cap_many) = wr_memdup0(s, n);
}

/* A list from a flag grows by one; from file or environment it comes whole, by commas. */
static void set_many(struct opt_value *v, const char *text, enum opt_from from) {
  if (v->from != from) opt_forget(v);
  if (from == FROM_FLAG) {
    add_many(v, text, strlen(text));
  } else {
    for (const char *p = text;;) {
      size_t n = strcspn(p, ",");
      const char *end = p + n;
      while (p < end && *p == ' ') p++;
      while (end > p && end[-1] == ' ') end--;
      add_many(v, p, (size_t)(end - p));
      end += strcspn(end, ",");
      if (!*end) break;
      p = end + 1;
    }
  }
  free(v->text);
  v->text = wr_strdup(text);
}

enum wr_rc opt_set(struct opt_value *v, int id, const char *where, const char *text, enum opt_from from, struct wr_err *err) {
  const struct opt *o = &opt_table[id];
  int64_t num = 0;
  enum wr_rc rc = read_num(o, where, text, &num, err);
  if (rc) return rc;
  if (o->type == OPT_MANY) {
    set_many(v, text, from);
  } else {
    free(v->text);
    v->text = wr_strdup(text);
    v->num = num;
  }
  v->from = from;
  return WR_OK;
}

enum wr_rc opt_defaults(struct opt_value v[OPT__N], struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  for (int i = 0; i < OPT__N && !rc; i++)
    if (opt_table[i].def) rc = opt_set(&v[i], i, opt_table[i].name, opt_table[i].def, FROM_DEFAULT, err);
  return rc;
}

/* ---- what they come to ---- */

static uint32_t cores(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (uint32_t)n : 1;
}

uint32_t opt_slots(const struct opt_value v[OPT__N]) {
  return v[OPT_SLOTS].text ? (uint32_t)v[OPT_SLOTS].num : SLOTS_PER_CORE * cores();
}

/* Figures, with or without a point: no sign, no exponent. */
static bool read_factor(const char *s, double *out) {
  size_t dots = 0, n = strlen(s);
  for (size_t i = 0; i < n; i++) dots += s[i] == '.';
  int64_t us;
  if (dots > 1 || strspn(s, "0123456789.") != n || n == dots || !text_duration(s, n, 1000 * 1000000LL, &us)) return false;
  *out = (double)us / 1000000;
  return us > 0;
}

enum wr_rc opt_queues(const struct opt_value v[OPT__N], const char *dash, struct arena *names, struct queue_opts *q,
                      struct wr_err *err) {
  const char *load = v[OPT_MAX_LOAD].text, *serves = v[OPT_QUEUES].text;
  char quoted[WR_QUOTE_MAX], name[16];
  *q = (struct queue_opts){.cpu_budget = v[OPT_CPU_BUDGET].text ? v[OPT_CPU_BUDGET].num : 100LL * cores(),
                           .cost_wait_us = v[OPT_COST_WAIT].num, .ageing_us = v[OPT_PRIORITY_AGEING].num,
                           .min_free_bytes = v[OPT_MIN_FREE_MEMORY].text ? v[OPT_MIN_FREE_MEMORY].num : 0,
                           .serves_text = serves};
  if (load && !read_factor(load, &q->max_load))
    return wr_err_set(err, WR_BAD_REQUEST, "%smax-load: %s is not a number above 0 and up to 1000, as 1.5 is.", dash,
                      wr_err_quote(quoted, load, strlen(load)));
  if (!serves) return WR_OK;
  struct queue_name *list = NULL;
  snprintf(name, sizeof name, "%squeues", dash);
  enum wr_rc rc = queue_names_parse(name, serves, names, &list, &q->n_serves, err);
  q->serves = list;
  return rc;
}

enum wr_rc opt_labels(const struct opt_value v[OPT__N], const char *dash, struct arena *names, const char **out,
                      struct wr_err *err) {
  char name[16], *list = NULL;
  *out = NULL;
  if (!v[OPT_LABELS].text) return WR_OK;
  snprintf(name, sizeof name, "%slabels", dash);
  enum wr_rc rc = labels_parse(name, v[OPT_LABELS].text, &list, err);
  if (!rc) *out = arena_strdup(names, list);
  free(list);
  return rc;
}

static bool loopback(const char *listen) {
  char host[64];
  struct in_addr a;
  snprintf(host, sizeof host, "%.*s", (int)strcspn(listen, ":"), listen);
  return inet_pton(AF_INET, host, &a) == 1 && ntohl(a.s_addr) >> 24 == 127;
}

enum wr_rc opt_listen(const struct opt_value v[OPT__N], const char *dash, char out[OPT_LISTEN_ROOM], struct wr_err *err) {
  const char *text = v[OPT_LISTEN].text, *port = strrchr(text, ':');
  bool by_name = port && port - text == 9 && memcmp(text, "localhost", 9) == 0;
  int n = snprintf(out, OPT_LISTEN_ROOM, "%s%s", by_name ? "127.0.0.1" : "", by_name ? port : text);
  if (n >= OPT_LISTEN_ROOM || *text == '[' || !port)
    return wr_err_set(err, WR_BAD_REQUEST, "%slisten must be IPV4-ADDRESS:PORT.", dash);
  if (loopback(out)) return WR_OK;
  if (v[OPT_DEV].num) return wr_err_set(err, WR_FORBIDDEN, "%sdev listens on loopback only.", dash);
  if (v[OPT_TRUSTED_PROXY].num) return WR_OK;
  return wr_err_set(err, WR_FORBIDDEN,
                    "%slisten: an address that is not loopback needs a TLS proxy in front; say so with %strusted-proxy.",
                    dash, dash);
}
