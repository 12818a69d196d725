/* The settings of nodes and flows: the same reading for a request's body and for the text that the store kept.
 * Pure; any thread. The stored text holds only what was given, in one order of keys (def_write.c relies on it). */
#include "err.h"
#include "wr_limits.h"
#include "model.h"

const struct field node_setting_field[S__N] = {[S_COMPLETE] = FIELD("complete", F_ANY), [S_REST] = FIELD("rest", F_ANY),
    [S_ATTEMPTS] = FIELD("attempts", F_ANY), [S_BACKOFF] = FIELD("backoff", F_ANY), [S_TIMEOUT] = FIELD("timeout", F_ANY)};

const struct field flow_setting_field[FS__N] = {[FS_ON_FAILURE] = FIELD("onFailure", F_ANY),
                                                [FS_TIMEOUT] = FIELD("timeout", F_ANY)};

/* any = 1, all = 0, or a number of tasks. */
static enum wr_rc complete_read(const json_t *v, uint32_t n_task, const struct jpath *at, uint32_t *need, struct wr_err *err) {
  static const struct word_list words = {WR_BAD_RULE, {"all", "any"}};
  int word = 1;
  if (json_is_string(v)) {
    enum wr_rc rc = field_word(v, &words, at, &word, err);
    *need = (uint32_t)word;
    return rc;
  }
  if (!json_is_integer(v)) return fail_at(err, WR_WRONG_TYPE, at, "complete must be \"any\", \"all\" or an integer.");
  if (json_integer_value(v) < 1 || json_integer_value(v) > n_task)
    return fail_at(err, WR_BAD_RULE, at, "complete is %lld, but the node has %u task%s: 1 to %u.",
                   (long long)json_integer_value(v),
                   n_task, n_task == 1 ? "" : "s", n_task);
  *need = (uint32_t)json_integer_value(v);
  return WR_OK;
}

enum wr_rc node_settings_read(json_t *const *v, uint32_t n_task, const struct jpath *at, struct node_settings *out,
                              struct wr_err *err) {
  static const struct word_list rest_words = {WR_BAD_RULE, {[REST_RUN_ON] = "run_on", [REST_CANCEL] = "cancel"}};
  enum wr_rc rc = WR_OK;
  int rest = REST_RUN_ON;
  int64_t attempts = 0;
  struct node_override *o = &out->over;
  *out = (struct node_settings){.need = 1};
  if (v[S_COMPLETE]) rc = complete_read(v[S_COMPLETE], n_task, JKEY(at, "complete"), &out->need, err);
  if (!rc && v[S_REST]) rc = field_word(v[S_REST], &rest_words, JKEY(at, "rest"), &rest, err);
  if (!rc && v[S_ATTEMPTS]) rc = field_int(v[S_ATTEMPTS], 1, LIMIT_ATTEMPTS, JKEY(at, "attempts"), &attempts, err);
  if (!rc && v[S_BACKOFF]) rc = field_backoff(v[S_BACKOFF], JKEY(at, "backoff"), &o->backoff, err);
  if (!rc && v[S_TIMEOUT]) rc = field_timeout(v[S_TIMEOUT], JKEY(at, "timeout"), &o->timeout_us, err);
  out->rest = (uint8_t)rest;
  o->attempts = (uint32_t)attempts;
  o->has_attempts = v[S_ATTEMPTS] != NULL;
  o->has_backoff = v[S_BACKOFF] != NULL;
  o->has_timeout = v[S_TIMEOUT] != NULL;
  return rc;
}

enum wr_rc flow_settings_read(json_t *const *v, const struct jpath *at, struct flow_def *f, struct wr_err *err) {
  static const struct word_list words = {WR_OUT_OF_RANGE,
      {[FLOW_CONTINUE] = "continue", [FLOW_STOP_NEW] = "stop_new", [FLOW_CANCEL] = "cancel"}};
  enum wr_rc rc = WR_OK;
  int on_failure = FLOW_CONTINUE;
  f->timeout_us = 0;
  if (v[FS_ON_FAILURE]) rc = field_word(v[FS_ON_FAILURE], &words, JKEY(at, "onFailure"), &on_failure, err);
  if (!rc && v[FS_TIMEOUT]) rc = field_timeout(v[FS_TIMEOUT], JKEY(at, "timeout"), &f->timeout_us, err);
  f->on_failure = (uint8_t)on_failure;
  return rc;
}

static char *settings_text(json_t *const *v, const struct field *f, size_t n) {
  json_t *o = json_must(json_object());
  char *text = NULL;
  for (size_t i = 0; i < n; i++)
    if (v[i]) wr_assert(json_object_set(o, f[i].name, v[i]) == 0);
  if (json_object_size(o) > 0) text = json_text(o, 0);
  json_decref(o);
  return text;
}

char *node_settings_text(json_t *const *v) { return settings_text(v, node_setting_field, S__N); }
char *flow_settings_text(json_t *const *v) { return settings_text(v, flow_setting_field, FS__N); }
