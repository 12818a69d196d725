/* /members: who belongs to this cluster, and the wish that one of them drains. Any API thread. What this process says of itself
 * is asked of it directly; of the others their rows tell it, at most some seconds old.
 * What never happens: a member is changed beside its wish; a wish is shown as done before the member has said so. */
#include <stdlib.h>
#include <string.h>
#include "call.h"
#include "clock.h"
#include "exec_offers.h"
#include "hint_lists.h"
#include "labels.h"
#include "text.h"
#include "wr_limits.h"

#define RECENT_US 3600000000LL   /* members that ended are shown so long */

struct list_len { const char *name; int64_t n; };
/* The lists of hints in the queue, as they were a moment ago. */
struct hints { enum hints_told told; struct list_len *v; size_t n, cap; struct arena text; };
struct shown { struct buf *out; int64_t me, now_us; struct member_figures own; struct hints hints; bool single, found; };

static void at(struct buf *b, const char *name, int64_t us) {
  char text[CLOCK_RFC_LEN];
  if (us == 0) return;
  clock_rfc3339(text, us);
  j_text(b, name, text);
}

/* "A,B" as "A","B". */
static void words_of(struct buf *b, const char *words) {
  char word[LIMIT_LABELS_BYTES + 1];
  for (const char *p = words ? words : ""; *p; p += *p == ',') {
    size_t n = strcspn(p, ",");
    snprintf(word, sizeof word, "%.*s", (int)n, p);
    j_string(b, word);
    p += n;
  }
}

static void list(struct buf *b, const char *name, const char *words) {
  j_key(b, name);
  j_open(b, '[');
  words_of(b, words);
  j_close(b, ']');
}

static void add_type(void *ctx, const char *name, size_t n) {
  char word[LIMIT_EXECUTOR_TYPE_CHARS + 1];
  snprintf(word, sizeof word, "%.*s", (int)n, name);
  j_string(ctx, word);
}

/* Those that were registered at run time, too; one that has ended offers none. */
static void types(struct buf *b, const struct member_row *m, bool lives) {
  j_key(b, "types");
  j_open(b, '[');
  words_of(b, m->types);
  if (lives) exec_offers_each(m->executors, add_type, b);
  j_close(b, ']');
}

static void figures(struct buf *b, const struct member_row *m) {
  j_i64(b, "slots", m->slots);
  j_i64(b, "slotsUsed", m->told.slots_used);
  j_i64(b, "cpuBudget", m->told.cpu_budget);
  j_i64(b, "cpuUsed", m->told.cpu_used);
  j_key(b, "load");
  buf_printf(b, "%lld.%02lld", (long long)(m->told.load_percent / 100), (long long)(m->told.load_percent % 100));
}

/* ---- hints ---- */

/* One class may have a list of each kind of slots. */
static void add_length(void *to, const char *name, int64_t n) {
  struct hints *h = to;
  for (size_t i = 0; i < h->n; i++) {
    if (strcmp(h->v[i].name, name) != 0) continue;
    h->v[i].n += n;
    return;
  }
  *WR_PUSH(h->v, h->n, h->cap) = (struct list_len){arena_strdup(&h->text, name), n};
}

static void read_hints(const struct call *c, struct hints *h) {
  const struct api_opts *o = &c->api->o;
  *h = (struct hints){.told = HINTS_NONE};
  arena_init(&h->text, 0);
  if (o->hints) h->told = o->hints(o->ctx, add_length, h);
}

static void forget_hints(struct hints *h) {
  arena_done(&h->text);
  free(h->v);
}

static bool in_words(const char *words, const char *word) {
  size_t n = strlen(word);
  for (const char *p = words ? words : ""; *p; p += strcspn(p, ","), p += *p == ',')
    if (strcspn(p, ",") == n && memcmp(p, word, n) == 0) return true;
  return false;
}

/* Does that member pop a list of that name? */
static bool pops(const struct member_row *m, const char *name) {
  char type[HINT_CLASS_BYTES], labels[HINT_CLASS_BYTES];
  if (strcmp(name, HINT_LIST_SHARED_NAME) == 0) return true;
  if (!hint_class_read(name, strlen(name), type, labels) || !labels_have(m->labels, labels)) return false;
  return in_words(m->types, type) || exec_offers_any(m->executors, type);
}

struct plain { struct buf *b; const struct hints *h; };

/* The list of a type without labels, which its members pop although nobody has used it yet. */
static void unused_list(void *ctx, const char *type, size_t n) {
  const struct plain *p = ctx;
  char text[LIMIT_LABELS_BYTES + 1], name[HINT_CLASS_BYTES];
  snprintf(text, sizeof text, "%.*s", (int)n, type);
  if (!hint_class_name(text, NULL, name)) return;
  for (size_t i = 0; i < p->h->n; i++)
    if (strcmp(p->h->v[i].name, name) == 0) return;
  j_i64(p->b, name, 0);
}

/* Left out while Redis does not say. A member that takes nothing pops nothing. */
static void write_hints(struct buf *b, const struct member_row *m, const struct hints *h) {
  struct plain p = {b, h};
  bool takes = m->state == MEMBER_LIVE && in_words(m->roles, "worker") && h->told == HINTS_KNOWN;
  if (h->told == HINTS_AWAY) return;
  j_key(b, "hints");
  j_open(b, '{');
  for (size_t i = 0; takes && i < h->n; i++)
    if (pops(m, h->v[i].name)) j_i64(b, h->v[i].name, h->v[i].n);
  for (const char *t = takes && m->types ? m->types : ""; *t; t += strcspn(t, ","), t += *t == ',')
    unused_list(&p, t, strcspn(t, ","));
  if (takes) exec_offers_each(m->executors, unused_list, &p);
  j_close(b, '}');
}

/* ---- a member ---- */

/* What runs has ended with its member. */
static void write_member(struct buf *b, const struct member_row *m, const struct hints *hints, int64_t now_us) {
  int64_t age = m->seen_us > 0 && now_us > m->seen_us ? now_us - m->seen_us : 0;
  bool lives = m->state < MEMBER_DEAD;
  j_open(b, '{');
  j_i64(b, "memberId", m->incarnation);
  j_text(b, "host", m->host);
  j_i64(b, "pid", m->pid);
  list(b, "roles", m->roles);
  types(b, m, lives);
  list(b, "labels", m->labels);
  figures(b, m);
  j_text(b, "state", member_state_name(m->state));
  j_text(b, "version", m->version);
  at(b, "startedAt", m->start_us);
  at(b, "seenAt", m->seen_us);
  j_i64(b, "ageMs", age / 1000);
  at(b, "endedAt", m->end_us);
  if (lives) at(b, "drainAt", m->wish.at_us);
  if (lives) at(b, "drainStopAt", m->wish.stop_us);
  j_i64(b, "running", lives ? m->told.running : 0);
  write_hints(b, m, hints);
  j_close(b, '}');
}

static int show(void *ctx, const struct member_row *row) {
  struct shown *s = ctx;
  struct member_row m = *row;
  bool lives = m.state < MEMBER_DEAD;
  s->found = true;
  if (lives && m.incarnation == s->me) {
    m.told = s->own;
    m.state = member_living(&m);
    if (s->single) m.seen_us = s->now_us; /* nobody has to renew anything */
  }
  if (!lives) m.told = (struct member_figures){.cpu_budget = m.told.cpu_budget};
  if (m.seen_us == 0) m.seen_us = m.end_us ? m.end_us : m.start_us;
  write_member(s->out, &m, &s->hints, s->now_us);
  return 0;
}

static enum wr_rc show_members(struct call *c, int64_t only, int64_t ended_us, struct shown *s) {
  *s = (struct shown){.out = c->out, .now_us = store_now(c->api->o.store), .single = store_single(c->api->o.store)};
  s->me = runner_figures(c->api->o.runner, &s->own);
  read_hints(c, &s->hints); /* before a reader is held */
  struct reader *r = call_reader(c);
  enum wr_rc rc = r ? reader_members(r, only, ended_us, LIMIT_MEMBERS_SHOWN, show, s, &c->err) : c->err.code;
  if (r) reader_put(r);
  forget_hints(&s->hints);
  return rc;
}

enum wr_rc h_member_list(struct call *c) {
  struct shown s;
  int64_t since = c->q.all ? 0 : store_now(c->api->o.store) - RECENT_US;
  j_open(c->out, '[');
  enum wr_rc rc = show_members(c, 0, since, &s);
  j_close(c->out, ']');
  return rc;
}

enum wr_rc h_member_get(struct call *c) {
  struct shown s;
  enum wr_rc rc = show_members(c, c->id, 0, &s);
  return rc == WR_OK && !s.found ? call_missing(c, "Member") : rc;
}

/* ---- the wish ---- */

static enum wr_rc bad_timeout(struct call *c) {
  return wr_err_at(&c->err, WR_OUT_OF_RANGE, "/timeout", "timeout must be 0 to 604800 whole seconds, or a text like \"90s\".");
}

/* < 0: none is given. */
static enum wr_rc timeout_of(struct call *c, int64_t *us) {
  const json_t *given = json_object_get(c->body, "timeout");
  /* of any type: it is looked at below */
  const struct body_field field = {"timeout", given ? json_typeof(given) : JSON_NULL, false};
  json_t *v[1] = {NULL};
  *us = -1;
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", &field, 1, v) : WR_OK;
  if (rc || !v[0]) return rc;
  if (json_is_integer(v[0])) {
    int64_t n = json_integer_value(v[0]);
    if (n < 0 || n > LIMIT_TIME_US / 1000000) return bad_timeout(c);
    *us = n * 1000000;
    return WR_OK;
  }
  if (!json_is_string(v[0])) return wr_err_at(&c->err, WR_WRONG_TYPE, "/timeout", "timeout must be a number or a text.");
  const char *text = json_string_value(v[0]);
  return text_duration(text, json_string_length(v[0]), LIMIT_TIME_US, us) ? WR_OK : bad_timeout(c);
}

static enum wr_rc wish(struct call *c, bool on, int64_t timeout_us) {
  struct member_figures own;
  struct runner *r = c->api->o.runner;
  enum wr_rc rc = store_drain(c->api->o.store, c->id, on, timeout_us, &c->err);
  if (rc != WR_OK) return rc;
  if (runner_figures(r, &own) == c->id) runner_wished(r);
  else runner_nudge_other(r, c->id);
  return h_member_get(c);
}

enum wr_rc h_member_drain(struct call *c) {
  int64_t us;
  enum wr_rc rc = timeout_of(c, &us);
  return rc ? rc : wish(c, true, us);
}

enum wr_rc h_member_undrain(struct call *c) {
  static const struct body_field none[1];
  json_t *v[1];
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", none, 0, v) : WR_OK;
  return rc ? rc : wish(c, false, -1);
}
