/* The troubles of a node as text and back: see node_trouble.h. */
#include "node_trouble.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "json_out.h"
#include "wr_limits.h"

/* ---- to text ---- */

/* A process may call itself anything. */
static void plain_name(char out[PROCESS_NAME_BYTES], const char *name) {
  size_t i = 0;
  for (; i < PROCESS_NAME_BYTES - 1 && name[i]; i++) out[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
  out[i] = '\0';
}

static json_t *stuck_out(const struct node_trouble *t) {
  json_t *list = json_array();
  char name[PROCESS_NAME_BYTES];
  for (uint32_t i = 0; i < t->n_stuck && i < NODE_STUCK_MAX; i++) {
    const struct stuck_attempt *s = &t->stuck[i];
    plain_name(name, s->name);
    json_array_append_new(list, json_pack("[I,I,I,I,s]", (json_int_t)s->ti, (json_int_t)s->epoch, (json_int_t)s->n,
                                          (json_int_t)s->pid, name));
  }
  return list;
}

static json_t *aside_out(const struct node_trouble *t) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < t->n_aside && i < NODE_ASIDE_MAX; i++) json_array_append_new(list, json_integer(t->aside[i]));
  return list;
}

static void put_text(json_t *o, const char *name, const char *text) {
  json_t *v = *text ? json_string(text) : NULL;
  if (v) json_object_set_new(o, name, v);
}

void node_trouble_write(const struct node_trouble *t, struct buf *out) {
  json_t *o = json_object();
  buf_clear(out);
  if (t->starts[0]) {
    json_t *why = json_string(t->starts);
    json_object_set_new(o, "starts", why ? why : json_string("Its cause is no text."));
    json_object_set_new(o, "until", json_integer(t->starts_until_us));
  }
  if (t->n_stuck > 0) json_object_set_new(o, "stuck", stuck_out(t));
  if (t->n_aside > 0) json_object_set_new(o, "aside", aside_out(t));
  if (t->cpu_budget > 0)
    json_object_set_new(o, "cpu", json_pack("[I,I,I]", (json_int_t)t->cpu_budget, (json_int_t)t->cpu_used,
                                            (json_int_t)t->cpu_kept_for));
  put_text(o, "load", t->load);
  put_text(o, "serves", t->serves);
  char *text = json_object_size(o) > 0 ? json_text(o, JSON_ENSURE_ASCII) : NULL;
  if (text && strlen(text) <= LIMIT_NODE_TROUBLE_BYTES) buf_str(out, text);
  free(text);
  json_decref(o);
}

/* ---- and back ---- */

static void stuck_in(const json_t *list, struct node_trouble *t) {
  size_t n = json_array_size(list);
  for (size_t i = 0; i < n && t->n_stuck < NODE_STUCK_MAX; i++) {
    const json_t *v = json_array_get(list, i);
    const char *name = json_string_value(json_array_get(v, 4));
    struct stuck_attempt *s = &t->stuck[t->n_stuck];
    *s = (struct stuck_attempt){.ti = json_integer_value(json_array_get(v, 0)),
                                .epoch = (uint32_t)json_integer_value(json_array_get(v, 1)),
                                .n = (uint32_t)json_integer_value(json_array_get(v, 2)),
                                .pid = json_integer_value(json_array_get(v, 3))};
    plain_name(s->name, name ? name : "");
    if (s->ti > 0) t->n_stuck++;
  }
}

static void aside_in(const json_t *list, struct node_trouble *t) {
  size_t n = json_array_size(list);
  for (size_t i = 0; i < n && t->n_aside < NODE_ASIDE_MAX; i++)
    t->aside[t->n_aside++] = json_integer_value(json_array_get(list, i));
}

static void text_in(const json_t *o, const char *name, char *out, size_t n) {
  const char *text = json_string_value(json_object_get(o, name));
  (void)snprintf(out, n, "%s", text ? text : "");
}

static void holds_in(const json_t *o, struct node_trouble *t) {
  const json_t *cpu = json_object_get(o, "cpu");
  t->cpu_budget = json_integer_value(json_array_get(cpu, 0));
  t->cpu_used = json_integer_value(json_array_get(cpu, 1));
  t->cpu_kept_for = json_integer_value(json_array_get(cpu, 2));
  text_in(o, "load", t->load, sizeof t->load);
  text_in(o, "serves", t->serves, sizeof t->serves);
}

bool node_trouble_read(const char *text, struct node_trouble *out) {
  memset(out, 0, sizeof *out);
  if (!text || !*text) return false;
  json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_object(o)) {
    json_decref(o);
    return false;
  }
  const char *starts = json_string_value(json_object_get(o, "starts"));
  (void)snprintf(out->starts, sizeof out->starts, "%s", starts ? starts : "");
  out->starts_until_us = json_integer_value(json_object_get(o, "until"));
  stuck_in(json_object_get(o, "stuck"), out);
  aside_in(json_object_get(o, "aside"), out);
  holds_in(o, out);
  json_decref(o);
  return true;
}

/* ---- questions ---- */

const struct stuck_attempt *node_trouble_stuck(const struct node_trouble *t, int64_t ti, uint32_t epoch) {
  for (uint32_t i = 0; i < t->n_stuck; i++)
    if (t->stuck[i].ti == ti && t->stuck[i].epoch == epoch) return &t->stuck[i];
  return NULL;
}

bool node_trouble_aside(const struct node_trouble *t, int64_t fi) {
  for (uint32_t i = 0; i < t->n_aside; i++)
    if (t->aside[i] == fi) return true;
  return false;
}
