/* Stands in until the analyzers are there. */
#include <stdlib.h>
#include "analysis.h"
#include "mem.h"

const struct analyzer *analyzer_of(const struct task_def *def, const struct executor *executor) {
  (void)executor;
  return def->analyzer;
}

struct analysis *analysis_new(const struct analyzer *analyzer, uint32_t attempt, bool failed) {
  struct analysis *a = wr_new(struct analysis);
  *a = (struct analysis){.analyzer = analyzer, .attempt = attempt, .failed = failed};
  return a;
}

void verdict_done(struct verdict *v) {
  for (uint32_t i = 0; i < v->n_task; i++) async_post_done(&v->task[i]);
  free(v->task);
  free(v->message);
  free(v->result);
  *v = (struct verdict){0};
}

void analysis_free(struct analysis *a) {
  if (!a) return;
  free(a->evidence.result);
  free(a->evidence.log_tail);
  verdict_done(&a->verdict);
  free(a);
}
