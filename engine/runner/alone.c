/* What only a stand-alone task has: alone.h. */
#include "alone.h"
#include <stdlib.h>
#include <string.h>
#include "mem.h"

struct alone *alone_new(const struct queue_view *q, const char *key) {
  struct alone *a = wr_new(struct alone);
  a->user = wr_strdup(q->user);
  a->group = wr_strdup(q->group);
  a->key = key ? wr_strdup(key) : NULL;
  a->priority = q->priority;
  a->cpu = q->cpu;
  a->run_no = 1;
  return a;
}

struct alone *alone_read(const struct async_row *row) {
  struct queue_view q = {row->user ? row->user : "", row->group ? row->group : "", row->priority, row->cpu, NULL};
  struct alone *a = alone_new(&q, row->key);
  a->job = row->job;
  a->parent = row->parent;
  a->root = row->root;
  a->depth = row->depth;
  a->start_at_us = row->start_at_us;
  a->run_no = row->run_no ? row->run_no : 1;
  a->run_epoch = row->run_epoch;
  a->given = row->context_len > 0;
  return a;
}

void alone_free(struct alone *a) {
  if (a == NULL) return;
  free(a->user);
  free(a->group);
  free(a->key);
  free(a);
}

size_t alone_bytes(const struct alone *a) {
  size_t key = a->key ? strlen(a->key) + 1 + 2 * sizeof(size_t) : 0;
  return sizeof *a + strlen(a->user) + strlen(a->group) + 2 + 4 * sizeof(size_t) + key;
}

static void changed(struct alone *a) {
  if (a->write == ALONE_SAME) a->write = ALONE_UPDATE;
}

static void put_text(char **at, const char *text) {
  if (text == NULL) return;
  free(*at);
  *at = wr_strdup(text);
}

void alone_move(struct alone *a, const struct queue_spec *q) {
  if (q == NULL) return;
  put_text(&a->user, q->user);
  put_text(&a->group, q->group);
  if (q->has_priority) a->priority = q->priority;
  a->moved = true;
  changed(a);
}

void alone_run_again(struct alone *a, uint32_t epoch) {
  a->run_no++;
  a->run_epoch = epoch;
  a->anew = true;
  changed(a);
}

void alone_context(struct alone *a, const struct req_ask *ask, uint32_t epoch) {
  a->context_of = ask;
  a->context_epoch = epoch;
  a->given = true;
  changed(a);
}

void alone_stored(struct alone *a) {
  a->write = ALONE_SAME;
  a->anew = a->moved = false;
  a->made_by = NULL;
  a->context_of = NULL;
}

struct async_row alone_row(const struct alone *a, const struct task_def *def) {
  struct async_row row = {.name = def->name, .type = def->type, .user = a->user, .group = a->group, .priority = a->priority,
                          .cpu = a->cpu, .start_at_us = a->start_at_us, .run_no = a->run_no, .run_epoch = a->run_epoch,
                          .job = a->job, .scope = a->job, .parent = a->parent, .root = a->root, .depth = a->depth};
  const struct async_spec *spec = a->made_by ? a->made_by->spec : NULL;
  if (def->task_id == 0) {
    row.content = def->content;
    row.config = def->config;
  }
  if (spec) {
    row.key = spec->key;
    if (spec->key) memcpy(row.hash, spec->hash, sizeof row.hash);
    row.context = spec->context;
    row.context_len = spec->context_len;
  }
  if (a->context_of) { /* a run of the same batch as the submit: its context is the newer one */
    row.context = a->context_of->context;
    row.context_len = a->context_of->context_len;
    row.context_epoch = a->context_epoch;
  }
  return row;
}
