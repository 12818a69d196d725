/* SHELL: a child process, `/bin/sh -c content` or taskConfig.argv with no shell at all.
 *
 * Data never becomes program text: parameters reach the program as W_<name> in its environment only. The environment
 * is made here from nothing; what the node itself was started with never leaks. No state of its own: the host watches
 * the child. check() is pure and may run on any thread; the rest runs on the worker's loop thread. */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "conf.h"
#include "limits.h"
#include "mem.h"
#include "meant.h"
#include "text.h"
#include "weir_executor.h"

enum { EXIT_FATAL = 125, ARGV_MAX = 1024, USER_BYTES = 64, PATH_BYTES = 4096, ENV_MAX = 1024 };
#define GRACE_MAX_US 3600000000LL
#define LOG_MAX (1LL << 30)

static const char env_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static const char env_lang[] = "LANG=C.UTF-8";

struct shell {                  /* content and config, understood */
  json_t *root;                 /* owns every text below but script */
  const char *script;
  json_t *argv, *env;
  const char *cwd, *user, *input;
  size_t input_len;
  int64_t grace_us, log_cap;
  bool apart;
  int umask;                    /* -1 = not said */
  struct { int resource; uint64_t soft, hard; } limit[8];
  uint32_t n_limit;
};

typedef int parse_fn(struct shell *s, json_t *v, const struct refusal *r);

static int parse_argv(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_array(v)) return refuse(r, WR_WRONG_TYPE, "argv must be an array of texts.");
  size_t n = json_array_size(v);
  if (n < 1 || n > ARGV_MAX) return refuse(r, WR_BAD_COMMAND, "argv must have 1 to %d texts.", ARGV_MAX);
  for (size_t i = 0; i < n; i++)
    if (!json_is_string(json_array_get(v, i))) return refuse(r, WR_WRONG_TYPE, "argv must be an array of texts.");
  if (json_string_length(json_array_get(v, 0)) == 0) return refuse(r, WR_BAD_COMMAND, "argv names no program.");
  s->argv = v;
  return 0;
}

static int parse_env(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_object(v)) return refuse(r, WR_WRONG_TYPE, "env must be an object of texts.");
  if (json_object_size(v) > ENV_MAX) return refuse(r, WR_BAD_COMMAND, "env has more than %d names.", ENV_MAX);
  const char *name;
  json_t *value;
  json_object_foreach(v, name, value) {
    char q[WR_QUOTE_MAX];
    wr_err_quote(q, name, strlen(name));
    if (!text_env_name(name, strlen(name))) return refuse(r, WR_BAD_COMMAND, "env: %s is not a name.", q);
    if (strncmp(name, "LD_", 3) == 0 || strncmp(name, "WEIR_", 5) == 0)
      return refuse(r, WR_BAD_COMMAND, "env: %s may not be set.", q);
    if (!json_is_string(value)) return refuse(r, WR_WRONG_TYPE, "env: %s must be a text.", q);
  }
  s->env = v;
  return 0;
}

static int parse_cwd(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_string(v)) return refuse(r, WR_WRONG_TYPE, "cwd must be a text.");
  s->cwd = json_string_value(v);
  if (s->cwd[0] == '/' && json_string_length(v) < PATH_BYTES) return 0;
  return refuse(r, WR_BAD_COMMAND, "cwd must be an absolute path.");
}

static int parse_stdin(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_string(v)) return refuse(r, WR_WRONG_TYPE, "stdin must be a text.");
  s->input = json_string_value(v);
  s->input_len = json_string_length(v);
  return 0;
}

static int parse_user(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_string(v)) return refuse(r, WR_WRONG_TYPE, "user must be a text.");
  size_t n = json_string_length(v);
  s->user = json_string_value(v);
  if (n >= 1 && n <= USER_BYTES && !text_has_control(s->user, n)) return 0;
  return refuse(r, WR_BAD_COMMAND, "user is not a user name.");
}

static int parse_grace(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_string(v) && !json_is_number(v)) return refuse(r, WR_WRONG_TYPE, "grace must be a time.");
  double us = json_is_string(v) ? 0 : json_number_value(v) * 1e6;
  bool ok = us >= 0 && us <= (double)GRACE_MAX_US;
  if (json_is_string(v)) ok = text_duration(json_string_value(v), json_string_length(v), GRACE_MAX_US, &s->grace_us);
  else if (ok) s->grace_us = (int64_t)(us + 0.5);
  return ok ? 0 : refuse(r, WR_OUT_OF_RANGE, "grace must be a time from 0 to 1h.");
}

static int parse_log(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_integer(v)) return refuse(r, WR_WRONG_TYPE, "log must be a number of bytes.");
  s->log_cap = json_integer_value(v);
  if (s->log_cap < 0 || s->log_cap > LOG_MAX) return refuse(r, WR_OUT_OF_RANGE, "log must be 0 to %lld bytes.", LOG_MAX);
  return 0;
}

static int parse_stderr(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_string(v)) return refuse(r, WR_WRONG_TYPE, "stderr must be a text.");
  s->apart = strcmp(json_string_value(v), "apart") == 0;
  return s->apart || strcmp(json_string_value(v), "with") == 0 ? 0 : refuse(r, WR_OUT_OF_RANGE, "stderr must be with or apart.");
}

/* As a shell takes it: octal, "0" to "0777". */
static int parse_umask(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_string(v)) return refuse(r, WR_WRONG_TYPE, "umask must be a text such as \"022\".");
  const char *text = json_string_value(v);
  size_t n = json_string_length(v);
  if (n < 1 || n > 4 || strspn(text, "01234567") != n || strtol(text, NULL, 8) > 0777)
    return refuse(r, WR_OUT_OF_RANGE, "umask must be octal, \"0\" to \"0777\".");
  s->umask = (int)strtol(text, NULL, 8);
  return 0;
}

static const struct { const char *name; int resource; } limit_names[] = {
  {"cpu", RLIMIT_CPU}, {"as", RLIMIT_AS}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
  {"fsize", RLIMIT_FSIZE}, {"core", RLIMIT_CORE}, {"stack", RLIMIT_STACK}, {"data", RLIMIT_DATA}};
enum { N_LIMITS = sizeof limit_names / sizeof limit_names[0] };

static int limit_resource(const char *name) {
  for (int i = 0; i < N_LIMITS; i++)
    if (strcmp(limit_names[i].name, name) == 0) return limit_names[i].resource;
  return -1;
}

static bool limit_value(const json_t *v, uint64_t *out) {
  if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
  *out = (uint64_t)json_integer_value(v);
  return true;
}

static bool limit_pair(const json_t *v, uint64_t *soft, uint64_t *hard) {
  if (!json_is_object(v)) {
    if (!limit_value(v, soft)) return false;
    *hard = *soft;
    return true;
  }
  return json_object_size(v) == 2 && limit_value(json_object_get(v, "soft"), soft) &&
         limit_value(json_object_get(v, "hard"), hard) && *soft <= *hard;
}

static int parse_rlimits(struct shell *s, json_t *v, const struct refusal *r) {
  if (!json_is_object(v)) return refuse(r, WR_WRONG_TYPE, "rlimits must be an object.");
  const char *name;
  json_t *value;
  json_object_foreach(v, name, value) {
    char q[WR_QUOTE_MAX];
    wr_err_quote(q, name, strlen(name));
    int resource = limit_resource(name);
    if (resource < 0) return refuse(r, WR_UNKNOWN_FIELD, "rlimits has no field %s.", q);
    if (!limit_pair(value, &s->limit[s->n_limit].soft, &s->limit[s->n_limit].hard))
      return refuse(r, WR_OUT_OF_RANGE, "rlimits: %s must be a number or {soft, hard} with soft <= hard.", q);
    s->limit[s->n_limit++].resource = resource;
  }
  return 0;
}

/* The model's own keys; it checks them. check() never sees them, start() does. */
static int parse_model(struct shell *s, json_t *v, const struct refusal *r) {
  (void)s;
  (void)v;
  (void)r;
  return 0;
}

static const struct { const char *key; parse_fn *parse; } fields[] = {
  {"argv", parse_argv}, {"env", parse_env}, {"cwd", parse_cwd}, {"stdin", parse_stdin}, {"user", parse_user},
  {"grace", parse_grace}, {"log", parse_log}, {"rlimits", parse_rlimits},
  {"stderr", parse_stderr}, {"umask", parse_umask}, {"attempts", parse_model},
  {"backoff", parse_model}, {"timeout", parse_model}, {"runTimeout", parse_model}, {"queueTimeout", parse_model},
  {"onLost", parse_model}};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static int parse_field(struct shell *s, const char *key, json_t *v, const struct refusal *r) {
  const char *name[N_FIELDS];
  for (int i = 0; i < N_FIELDS; i++) {
    if (strcmp(fields[i].key, key) == 0) return fields[i].parse(s, v, r);
    name[i] = fields[i].key;
  }
  char q[WR_QUOTE_MAX], all[MEANT_LIST];
  wr_err_quote(q, key, strlen(key));
  const char *near = meant(key, name, N_FIELDS);
  if (near) return refuse(r, WR_UNKNOWN_FIELD, "taskConfig has no field %s; did you mean %s?", q, near);
  return refuse(r, WR_UNKNOWN_FIELD, "taskConfig has no field %s.%s", q, meant_list(all, key, name, N_FIELDS));
}

static int parse_config(struct shell *s, const char *config, const struct refusal *r) {
  if (!config) return 0;
  json_error_t je;
  s->root = json_loads(config, JSON_REJECT_DUPLICATES, &je);
  if (!s->root && json_error_code(&je) == json_error_null_character)
    return refuse(r, WR_BAD_COMMAND, "NUL is not allowed in taskConfig.");
  if (!json_is_object(s->root)) return refuse(r, WR_WRONG_TYPE, "taskConfig must be an object.");
  const char *key;
  json_t *v;
  json_object_foreach(s->root, key, v)
    if (parse_field(s, key, v, r)) return -1;
  return 0;
}

/* s->root is the caller's to release, on failure too. */
static int parse_shell(struct shell *s, const char *content, const char *config, const struct refusal *r) {
  *s = (struct shell){.grace_us = -1, .log_cap = -1, .umask = -1};
  if (parse_config(s, config, r)) return -1;
  bool script = content && *content;
  if (script && s->argv) return refuse(r, WR_BAD_COMMAND, "Give a script in taskContent or taskConfig.argv, not both.");
  if (!script && !s->argv) return refuse(r, WR_BAD_COMMAND, "There is no script in taskContent and no taskConfig.argv.");
  if (script && strlen(content) > LIMIT_CONTENT_BYTES)
    return refuse(r, WR_BAD_COMMAND, "The script is larger than %d bytes.", LIMIT_CONTENT_BYTES);
  s->script = script ? content : NULL;
  return 0;
}

static int shell_check(const char *content, const char *config, int *code, char *err, size_t err_n) {
  struct shell s;
  int rc = parse_shell(&s, content, config, &(struct refusal){code, err, err_n});
  json_decref(s.root);
  return rc;
}

/* ---- start ---- */

struct strings { char **v; size_t n, cap; };  /* owned texts */

static void strings_done(struct strings *l) {
  for (size_t i = 0; i < l->n; i++) free(l->v[i]);
  free(l->v);
}

static void strings_add(struct strings *l, const char *prefix, const char *name, const char *value) {
  struct buf b = BUF_INIT;
  buf_str(&b, prefix);
  buf_str(&b, name);
  buf_ch(&b, '=');
  buf_str(&b, value);
  *WR_PUSH(l->v, l->n, l->cap) = b.data;
}

static bool declared(const struct shell *s, const char *entry) {
  char name[136]; /* text_env_name: at most 128 */
  const char *eq = strchr(entry, '=');
  size_t n = (size_t)(eq - entry);
  if (!s->env || n >= sizeof name) return false;
  memcpy(name, entry, n);
  name[n] = '\0';
  return json_object_get(s->env, name) != NULL;
}

/* What the task declares wins over a parameter, and that over the two defaults. */
static void add_default(struct strings *l, const struct shell *s, const char *entry) {
  if (!declared(s, entry)) *WR_PUSH(l->v, l->n, l->cap) = wr_strdup(entry);
}

struct param_list { struct strings *l; const struct shell *s; };

static void add_param(void *ctx, const char *name, const char *text) {
  struct param_list *p = ctx;
  strings_add(p->l, "W_", name, text);
  if (declared(p->s, p->l->v[p->l->n - 1])) free(p->l->v[--p->l->n]);
}

static void add_declared(struct strings *l, const struct shell *s) {
  const char *name;
  json_t *v;
  json_object_foreach(s->env, name, v) strings_add(l, "", name, json_string_value(v));
}

static const char **make_argv(const struct shell *s) {
  size_t n = s->argv ? json_array_size(s->argv) : 4;
  const char **argv = wr_calloc(n + 1, sizeof *argv);
  for (size_t i = 0; i < n && s->argv; i++) argv[i] = json_string_value(json_array_get(s->argv, i));
  if (s->argv) return argv;
  argv[0] = "/bin/sh";
  argv[1] = "-c";
  argv[2] = "--"; /* a script may begin with a hyphen */
  argv[3] = s->script;
  return argv;
}

static int shell_spawn(const wx_host *h, wx_exec *x, const struct shell *s, char *err, size_t err_n) {
  struct strings env = {0};
  add_default(&env, s, env_path);
  add_default(&env, s, env_lang);
  h->params(x, add_param, &(struct param_list){&env, s});
  add_declared(&env, s);
  *WR_PUSH(env.v, env.n, env.cap) = NULL;
  const char **argv = make_argv(s);
  wx_spawn sp = {.size = sizeof sp, .argv = argv, .env = (const char *const *)env.v, .cwd = s->cwd, .user = s->user,
                 .stdin_data = s->input, .stdin_len = s->input_len, .grace_us = s->grace_us, .log_cap = s->log_cap, .apart = s->apart,
                 .umask = s->umask};
  for (uint32_t i = 0; i < s->n_limit; i++) {
    sp.rlimit[i].resource = s->limit[i].resource;
    sp.rlimit[i].soft = s->limit[i].soft;
    sp.rlimit[i].hard = s->limit[i].hard;
  }
  sp.n_rlimit = s->n_limit;
  int rc = h->spawn(x, &sp, err, err_n);
  free(argv);
  strings_done(&env);
  return rc;
}

static int shell_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  const wx_task *t = h->task(x);
  struct shell s;
  int rc = parse_shell(&s, t->content, t->config, &(struct refusal){NULL, err, err_n});
  if (rc == 0) rc = shell_spawn(h, x, &s, err, err_n);
  json_decref(s.root);
  return rc;
}

/* ---- end ---- */

/* How the program ended decides; what is wrong with its result counts only when the program says all is well. */
static int judge(const wx_exit *e, char *text, size_t n) {
  if (e->failed_step) return snprintf(text, n, "%s", e->error ? e->error : "Cannot start."), WX_FATAL;
  if (e->signal) {
    const char *name = sigabbrev_np(e->signal);
    snprintf(text, n, name ? "Killed by signal %d (SIG%s)." : "Killed by signal %d.", e->signal, name);
    return WX_FAIL;
  }
  if (e->exit_code) {
    snprintf(text, n, "Exit code %d.", e->exit_code);
    return e->exit_code == EXIT_FATAL ? WX_FATAL : WX_FAIL;
  }
  if (e->output_error == 1) {
    snprintf(text, n, "RESULT_TOO_LARGE: the result is larger than %d bytes.", LIMIT_RESULT_BYTES);
    return WX_FAIL;
  }
  if (e->output_error) return snprintf(text, n, "What stands at WEIR_OUTPUT is not a plain file of the task."), WX_FAIL;
  return WX_OK;
}

static void shell_child_done(const wx_host *h, wx_exec *x, const wx_exit *e) {
  char text[LIMIT_ERROR_BYTES] = "";
  int end = judge(e, text, sizeof text);
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = end, .error = *text ? text : NULL, .result = e->output,
                          .result_len = e->output_len, .exit_code = e->failed_step || e->signal ? -1 : e->exit_code,
                          .signal = e->signal, .utime_us = e->utime_us, .stime_us = e->stime_us,
                          .maxrss_kib = e->maxrss_kib});
}

static void shell_cancel(const wx_host *h, wx_exec *x, int how) { h->kill(x, how); }

extern const wx_ops executor_shell;
const wx_ops executor_shell = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "SHELL", .slot = WX_SLOT_PROCESS,
                               .check = shell_check, .start = shell_start, .child_done = shell_child_done,
                               .cancel = shell_cancel, .flags = WX_PROGRAMS};
