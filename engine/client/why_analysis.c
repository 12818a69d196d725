/* Why a task is not analysed just now: see why_analysis.h. */
#include "why_analysis.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "added.h"
#include "analysis.h"
#include "clock.h"
#include "defs.h"
#include "exec_offers.h"
#include "executor_post.h"

enum { NAME_BYTES = 160, REASON_BYTES = 400 };

void why_call_later(const struct task_row *row, char *text, size_t n) {
  char at[CLOCK_RFC_LEN];
  clock_rfc3339(at, row->t.due_us);
  snprintf(text, n, "%u call%s of its analyzer failed; the next one is due at %s. The last one: %.600s", row->t.again,
           row->t.again == 1 ? "" : "s", at, row->error && *row->error ? row->error : "its text is not known.");
}

/* Its name, where it is one that was registered; else "", *known false: it cannot be read. */
static void name_of(const struct view *v, const struct task_row *row, const char *type, const char *config, char out[NAME_BYTES],
                    bool *known) {
  const struct executor *x = registry_find(v->executors, type, row->executor);
  char *over = x && x->added ? config_over(config, x->added->config) : NULL;
  const char *text = over ? over : config;
  json_t *o = text ? json_loads(text, 0, NULL) : NULL, *of = json_object_get(o, "analyzer");
  const struct analyzer *own = !of && x && x->added ? x->added->analyzer : NULL;
  *known = of || own;
  const char *name = of ? json_string_value(of) : own && own->kind == ANALYZER_NAMED ? own->name : NULL;
  snprintf(out, NAME_BYTES, "%s", name ? name : "");
  json_decref(o);
  free(over);
}

struct callers { size_t live, can, awake; const char *host; int64_t member; char reason[REASON_BYTES]; };

/* an: NULL = one that is built in, which each of them has. */
static void look_at(const struct why_members *m, const struct offer *o, const struct executor *an, struct callers *c) {
  char why[REASON_BYTES], line[EXEC_NAME];
  if (!o->analyses) return;
  c->live++;
  if (an && exec_offers_say(o->executors, exec_offers_analyzer(line, an->ops.name), an->version, why, sizeof why) == EXEC_NOT) {
    if (c->host) return;
    c->host = o->host;
    c->member = o->incarnation;
    memcpy(c->reason, why, sizeof why);
    return;
  }
  c->can++;
  c->awake += !(o->incarnation == m->me ? m->drains : o->drains);
}

const char *why_no_call(const struct view *v, const struct why_members *m, const struct task_row *row, const char *type,
                        const char *config, char *text, size_t n) {
  struct callers c = {0};
  char name[NAME_BYTES];
  bool known;
  name_of(v, row, type, config, name, &known);
  const struct executor *an = *name ? defs_analyzer_known(v->defs, name) : NULL;
  if (!m->set || !known || (*name && !an)) return NULL;
  for (size_t i = 0; i < m->set->n; i++) look_at(m, &m->set->v[i], an, &c);
  if (c.live == 0)
    snprintf(text, n, "No member that calls analyzers is alive: one whose --roles name api or runner.");
  else if (c.can == 0)
    snprintf(text, n, "None of the members that call analyzers (%zu) can call %s: of member %" PRId64 " on host %s: %s", c.live,
             name, c.member, c.host, c.reason);
  else if (c.awake == 0)
    snprintf(text, n, "Of the members that can call its analyzer (%zu), each drains and takes no task: end a drain (`weir member "
             "undrain`), or start another one.", c.can);
  else if (row->fi != 0) return NULL; /* its flow may be paused */
  else
    return snprintf(text, n, "It is analysed when a member that can call its analyzer (there %s %zu) has room for it: each makes "
                    "%d calls at once.", c.can == 1 ? "is" : "are", c.can, LIMIT_ANALYSES_AT_ONCE), "NO_SLOT";
  return "NO_EXECUTOR";
}
