/* Warnings about a flow that was accepted: see def.h. Pure; any thread. */
#include <stdio.h>
#include <string.h>
#include "wr_limits.h"
#include "model.h"

/* The stored text holds only settings that were given, and no value in it is this word. */
static bool has_complete(const struct node_def *n) { return n->config && strstr(n->config, "\"complete\"") != NULL; }

size_t def_flow_warn(const struct flow_def *f, void (*say)(void *ctx, const char *text), void *ctx) {
  char text[LIMIT_NAME_CHARS + 192];
  size_t found = 0;
  if (f->dag->n_task == 0) {
    found++;
    if (say) say(ctx, "The flow has no task: each of its runs is SUCCESS at once.");
  }
  for (uint32_t i = 0; i < f->n && found < LIMIT_WARNINGS; i++) {
    const struct node_def *n = &f->node[i];
    uint32_t tasks = n->n_task_id + n->n_task;
    if (tasks < 2 || has_complete(n)) continue;
    found++;
    snprintf(text, sizeof text, "Node \"%s\" has %u tasks and no \"complete\": it succeeds as soon as one of them does. "
             "Say \"all\" if each must, or \"any\".", n->key, tasks);
    if (say) say(ctx, text);
  }
  return found;
}
