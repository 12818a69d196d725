/* SHELL: a child process, `/bin/sh -c content` or taskConfig.argv with no shell at all.
 *
 * Data never becomes program text: parameters reach the program as W_<name> in its environment only. The environment is made here
 * from nothing; the node's own environment never leaks into it. No state of its own: the host watches the child. check() is pure
 * and may run on any thread; the rest runs on the worker's loop thread. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir_executor.h"

enum { EXIT_NOT_NOW = 75, EXIT_FATAL = 125, ERROR_BYTES = 1100 };
enum { ARGUMENT_BYTES = 65536 };   /* a longer script stands in a file */
enum { ARGV_MAX = 1024, USER_BYTES = 64, PATH_BYTES = 4096, ENV_MAX = 1024, NAME_BYTES = 128 };
enum { RLIMITS = sizeof((wx_spawn *)0)->rlimit / sizeof((wx_spawn *)0)->rlimit[0] };
#define GRACE_MAX_US 3600000000LL
#define LOG_MAX (1LL << 30)

static const char env_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static const char env_lang[] = "C.UTF-8";

struct shell {                  /* content and config, understood */
  const wx_lib *lib;
  wx_json *root;                /* owns every text below but script */
  const char *script;
  wx_json *argv, *env;
  struct { const char *script; wx_json *argv; } clean_up;   /* onDelete; both NULL: it has none */
  const char *cwd, *user, *input;
  size_t input_len;
  int64_t grace_us, log_cap;
  bool apart;
  int umask;                    /* -1 = not said */
  struct { int resource; uint64_t soft, hard; } limit[RLIMITS];
  uint32_t n_limit;
};

/* ---- what a config says ---- */

static bool is_text(const struct shell *s, const wx_json *v) { return s->lib->json_type(v) == WX_JSON_TEXT; }
static bool is_object(const struct shell *s, const wx_json *v) { return s->lib->json_type(v) == WX_JSON_OBJECT; }
static bool is_integer(const struct shell *s, const wx_json *v) { return s->lib->json_type(v) == WX_JSON_INTEGER; }
static const char *text_of(const struct shell *s, const wx_json *v) { return s->lib->json_text(v, NULL); }

static const char *quoted(const struct shell *s, char q[WX_QUOTE_BYTES], const char *name) {
  return s->lib->quote(q, name, strlen(name));
}

typedef int parse_fn(struct shell *s, wx_json *v, const struct wx_refusal *r);

static int check_argv(const struct shell *s, const wx_json *v, const struct wx_refusal *r) {
  if (s->lib->json_type(v) != WX_JSON_ARRAY) return wx_refuse(r, WX_BAD_TYPE, "argv must be an array of texts.");
  size_t n = s->lib->json_count(v), len;
  if (n < 1 || n > ARGV_MAX) return wx_refuse(r, WX_BAD_COMMAND, "argv must have 1 to %d texts.", ARGV_MAX);
  for (size_t i = 0; i < n; i++)
    if (!is_text(s, s->lib->json_at(v, i))) return wx_refuse(r, WX_BAD_TYPE, "argv must be an array of texts.");
  s->lib->json_text(s->lib->json_at(v, 0), &len);
  return len ? 0 : wx_refuse(r, WX_BAD_COMMAND, "argv names no program.");
}

static int parse_argv(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  s->argv = v;
  return check_argv(s, v, r);
}

static int parse_clean_up(struct shell *s, const char *key, wx_json *v, const struct wx_refusal *r) {
  static const char *const known[] = {"content", "argv", "timeout"};
  char q[WX_QUOTE_BYTES], all[WX_KNOWN_BYTES];
  if (strcmp(key, "timeout") == 0) return 0; /* the model's */
  if (strcmp(key, "argv") == 0) return check_argv(s, s->clean_up.argv = v, r);
  if (strcmp(key, "content") != 0)
    return wx_refuse(r, WX_UNKNOWN_FIELD, "onDelete has no field %s.%s", quoted(s, q, key), s->lib->known(all, key, known, 3));
  if (!is_text(s, v)) return wx_refuse(r, WX_BAD_TYPE, "onDelete: content must be a text.");
  s->clean_up.script = text_of(s, v);
  return *s->clean_up.script ? 0 : wx_refuse(r, WX_BAD_COMMAND, "onDelete: content is empty.");
}

static int parse_on_delete(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  const char *key;
  wx_json *value;
  if (!is_object(s, v)) return wx_refuse(r, WX_BAD_TYPE, "onDelete must be an object.");
  for (void *at = NULL; (at = s->lib->json_next(v, at, &key, &value));)
    if (parse_clean_up(s, key, value, r)) return -1;
  if (!s->clean_up.script == !s->clean_up.argv)
    return wx_refuse(r, WX_BAD_COMMAND, "onDelete needs a script in content or argv, one of them.");
  return 0;
}

static int parse_variable(const struct shell *s, const char *name, const wx_json *value, const struct wx_refusal *r) {
  char q[WX_QUOTE_BYTES];
  quoted(s, q, name);
  if (!s->lib->is_env_name(name, strlen(name))) return wx_refuse(r, WX_BAD_COMMAND, "env: %s is not a name.", q);
  if (strncmp(name, "LD_", 3) == 0 || strncmp(name, "WEIR_", 5) == 0)
    return wx_refuse(r, WX_BAD_COMMAND, "env: %s may not be set.", q);
  return is_text(s, value) ? 0 : wx_refuse(r, WX_BAD_TYPE, "env: %s must be a text.", q);
}

static int parse_env(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  if (!is_object(s, v)) return wx_refuse(r, WX_BAD_TYPE, "env must be an object of texts.");
  if (s->lib->json_count(v) > ENV_MAX) return wx_refuse(r, WX_BAD_COMMAND, "env has more than %d names.", ENV_MAX);
  const char *name;
  wx_json *value;
  for (void *at = NULL; (at = s->lib->json_next(v, at, &name, &value));)
    if (parse_variable(s, name, value, r)) return -1;
  s->env = v;
  return 0;
}

static int parse_cwd(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  size_t n;
  if (!is_text(s, v)) return wx_refuse(r, WX_BAD_TYPE, "cwd must be a text.");
  s->cwd = s->lib->json_text(v, &n);
  return s->cwd[0] == '/' && n < PATH_BYTES ? 0 : wx_refuse(r, WX_BAD_COMMAND, "cwd must be an absolute path.");
}

static int parse_stdin(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  if (!is_text(s, v)) return wx_refuse(r, WX_BAD_TYPE, "stdin must be a text.");
  s->input = s->lib->json_text(v, &s->input_len);
  return 0;
}

static int parse_user(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  size_t n;
  if (!is_text(s, v)) return wx_refuse(r, WX_BAD_TYPE, "user must be a text.");
  s->user = s->lib->json_text(v, &n);
  if (n >= 1 && n <= USER_BYTES && !s->lib->has_control(s->user, n)) return 0;
  return wx_refuse(r, WX_BAD_COMMAND, "user is not a user name.");
}

static bool grace_text(struct shell *s, const wx_json *v) {
  size_t n;
  const char *text = s->lib->json_text(v, &n);
  return s->lib->duration(text, n, GRACE_MAX_US, &s->grace_us);
}

static bool grace_number(struct shell *s, const wx_json *v) {
  double us = s->lib->json_number(v) * 1e6;
  if (!(us >= 0 && us <= (double)GRACE_MAX_US)) return false;
  s->grace_us = (int64_t)(us + 0.5);
  return true;
}

static int parse_grace(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  bool number = is_integer(s, v) || s->lib->json_type(v) == WX_JSON_REAL;
  if (!is_text(s, v) && !number) return wx_refuse(r, WX_BAD_TYPE, "grace must be a time.");
  return (number ? grace_number : grace_text)(s, v) ? 0 : wx_refuse(r, WX_OUT_OF_RANGE, "grace must be a time from 0 to 1h.");
}

static int parse_log(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  if (!is_integer(s, v)) return wx_refuse(r, WX_BAD_TYPE, "log must be a number of bytes.");
  s->log_cap = s->lib->json_integer(v);
  if (s->log_cap < 0 || s->log_cap > LOG_MAX) return wx_refuse(r, WX_OUT_OF_RANGE, "log must be 0 to %lld bytes.", LOG_MAX);
  return 0;
}

static int parse_stderr(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  if (!is_text(s, v)) return wx_refuse(r, WX_BAD_TYPE, "stderr must be a text.");
  s->apart = strcmp(text_of(s, v), "apart") == 0;
  return s->apart || strcmp(text_of(s, v), "with") == 0 ? 0 : wx_refuse(r, WX_OUT_OF_RANGE, "stderr must be with or apart.");
}

/* As a shell takes a umask: octal, "0" to "0777". */
static int parse_umask(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  size_t n;
  if (!is_text(s, v)) return wx_refuse(r, WX_BAD_TYPE, "umask must be a text such as \"022\".");
  const char *text = s->lib->json_text(v, &n);
  if (n < 1 || n > 4 || strspn(text, "01234567") != n || strtol(text, NULL, 8) > 0777)
    return wx_refuse(r, WX_OUT_OF_RANGE, "umask must be octal, \"0\" to \"0777\".");
  s->umask = (int)strtol(text, NULL, 8);
  return 0;
}

static bool limit_value(const struct shell *s, const wx_json *v, uint64_t *out) {
  if (!v || !is_integer(s, v) || s->lib->json_integer(v) < 0) return false;
  *out = (uint64_t)s->lib->json_integer(v);
  return true;
}

static bool limit_pair(const struct shell *s, const wx_json *v, uint64_t *soft, uint64_t *hard) {
  if (!is_object(s, v)) {
    if (!limit_value(s, v, soft)) return false;
    *hard = *soft;
    return true;
  }
  return s->lib->json_count(v) == 2 && limit_value(s, s->lib->json_get(v, "soft"), soft) &&
         limit_value(s, s->lib->json_get(v, "hard"), hard) && *soft <= *hard;
}

static int parse_limit(struct shell *s, const char *name, const wx_json *value, const struct wx_refusal *r) {
  char q[WX_QUOTE_BYTES];
  int resource = s->lib->resource(name);
  quoted(s, q, name);
  if (resource < 0) return wx_refuse(r, WX_UNKNOWN_FIELD, "rlimits has no field %s.", q);
  if (s->n_limit == RLIMITS) return wx_refuse(r, WX_OUT_OF_RANGE, "rlimits has more than %d fields.", RLIMITS);
  if (!limit_pair(s, value, &s->limit[s->n_limit].soft, &s->limit[s->n_limit].hard))
    return wx_refuse(r, WX_OUT_OF_RANGE, "rlimits: %s must be a number or {soft, hard} with soft <= hard.", q);
  s->limit[s->n_limit++].resource = resource;
  return 0;
}

static int parse_rlimits(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  if (!is_object(s, v)) return wx_refuse(r, WX_BAD_TYPE, "rlimits must be an object.");
  const char *name;
  wx_json *value;
  for (void *at = NULL; (at = s->lib->json_next(v, at, &name, &value));)
    if (parse_limit(s, name, value, r)) return -1;
  return 0;
}

/* The model's own keys, which the model checks. Most of them check() never sees, start() does. */
static int parse_model(struct shell *s, wx_json *v, const struct wx_refusal *r) {
  (void)s;
  (void)v;
  (void)r;
  return 0;
}

static const struct { const char *key; parse_fn *parse; } fields[] = {
  {"argv", parse_argv}, {"env", parse_env}, {"cwd", parse_cwd}, {"stdin", parse_stdin}, {"user", parse_user},
  {"grace", parse_grace}, {"log", parse_log}, {"rlimits", parse_rlimits},
  {"stderr", parse_stderr}, {"umask", parse_umask}, {"attempts", parse_model},
  {"backoff", parse_model}, {"timeout", parse_model}, {"queueTimeout", parse_model},
  {"onLost", parse_model}, {"queue", parse_model}, {"labels", parse_model}, {"heartbeatTimeout", parse_model},
  {"onDelete", parse_on_delete}, {"analyzer", parse_model}, {"analyzerAttempts", parse_model}, {"analyzerTimeout", parse_model},
  {"childFailure", parse_model}, {"runTimeout", parse_model}};
enum { N_FIELDS = sizeof fields / sizeof fields[0], N_SHOWN = N_FIELDS - 5 };   /* a list of all would be too long to be read */

static int parse_field(struct shell *s, const char *key, wx_json *v, const struct wx_refusal *r) {
  const char *name[N_FIELDS];
  for (int i = 0; i < N_FIELDS; i++) {
    if (strcmp(fields[i].key, key) == 0) return fields[i].parse(s, v, r);
    name[i] = fields[i].key;
  }
  char q[WX_QUOTE_BYTES], all[WX_KNOWN_BYTES];
  quoted(s, q, key);
  const char *near = s->lib->meant(key, name, N_FIELDS);
  if (near) return wx_refuse(r, WX_UNKNOWN_FIELD, "taskConfig has no field %s; did you mean %s?", q, near);
  return wx_refuse(r, WX_UNKNOWN_FIELD, "taskConfig has no field %s.%s", q, s->lib->known(all, key, name, N_SHOWN));
}

static int parse_config(struct shell *s, const char *config, const struct wx_refusal *r) {
  int why;
  if (!config) return 0;
  s->root = s->lib->json_read(config, &why);
  if (!s->root && why == WX_JSON_NUL) return wx_refuse(r, WX_BAD_COMMAND, "NUL is not allowed in taskConfig.");
  if (!s->root || !is_object(s, s->root)) return wx_refuse(r, WX_BAD_TYPE, "taskConfig must be an object.");
  const char *key;
  wx_json *v;
  for (void *at = NULL; (at = s->lib->json_next(s->root, at, &key, &v));)
    if (parse_field(s, key, v, r)) return -1;
  return 0;
}

/* s->root is the caller's to free, on failure too. */
static int parse_shell(struct shell *s, const wx_lib *lib, const char *content, const char *config, const struct wx_refusal *r) {
  *s = (struct shell){.lib = lib, .grace_us = -1, .log_cap = -1, .umask = -1};
  if (parse_config(s, config, r)) return -1;
  bool script = content && *content;
  if (script && s->argv) return wx_refuse(r, WX_BAD_COMMAND, "Give a script in taskContent or taskConfig.argv, not both.");
  if (!script && !s->argv) return wx_refuse(r, WX_BAD_COMMAND, "There is no script in taskContent and no taskConfig.argv.");
  if (script && strlen(content) > lib->content_bytes)
    return wx_refuse(r, WX_BAD_COMMAND, "The script is larger than %d bytes.", (int)lib->content_bytes);
  s->script = script ? content : NULL;
  return 0;
}

static int shell_check(const wx_lib *lib, const char *content, const char *config, int *code, char *err, size_t err_n) {
  struct shell s;
  int rc = parse_shell(&s, lib, content, config, &(struct wx_refusal){code, err, err_n});
  lib->json_free(s.root);
  return rc;
}

/* ---- start ---- */

/* Owned texts; short: there was no memory for one of them, and it is left out. */
struct strings { char **v; size_t n, cap; bool is_short; };

static void strings_done(struct strings *l) {
  for (size_t i = 0; i < l->n; i++) free(l->v[i]);
  free(l->v);
}

/* Takes the text, which may be NULL. */
static void strings_push(struct strings *l, char *text) {
  if (l->n == l->cap) {
    size_t cap = l->cap ? l->cap * 2 : 16;
    char **v = realloc(l->v, cap * sizeof *v);
    if (v) l->v = v, l->cap = cap;
  }
  if (text && l->n < l->cap) {
    l->v[l->n++] = text;
  } else {
    l->is_short = true;
    free(text);
  }
}

static void strings_add(struct strings *l, const char *prefix, const char *name, const char *value) {
  size_t n = strlen(prefix) + strlen(name) + strlen(value) + 2;
  char *text = malloc(n);
  if (text) snprintf(text, n, "%s%s=%s", prefix, name, value);
  strings_push(l, text);
}

/* ---- the environment: a declared variable wins over a parameter, and both win over the two defaults ---- */

static bool declared(const struct shell *s, const char *name) { return s->env && s->lib->json_get(s->env, name); }

static void add_default(struct strings *l, const struct shell *s, const char *name, const char *value) {
  if (!declared(s, name)) strings_add(l, "", name, value);
}

struct param_list { struct strings *l; const struct shell *s; };

static void add_param(void *ctx, const char *name, const char *text) {
  const struct param_list *p = ctx;
  char whole[sizeof "W_" + NAME_BYTES];
  snprintf(whole, sizeof whole, "W_%s", name);
  if (strlen(name) > NAME_BYTES || !declared(p->s, whole)) strings_add(p->l, "W_", name, text);
}

static void add_declared(struct strings *l, const struct shell *s) {
  const char *name;
  wx_json *v;
  for (void *at = NULL; s->env && (at = s->lib->json_next(s->env, at, &name, &v));) strings_add(l, "", name, text_of(s, v));
}

/* The last folder is that of `weir`, so that a script finds `weir report`. A colon in its name would make two of it. */
static void add_path(struct strings *l, const struct shell *s, const char *tools) {
  char path[sizeof env_path + PATH_BYTES];
  bool known = tools && *tools && !strchr(tools, ':') && strlen(tools) < PATH_BYTES - 1;
  snprintf(path, sizeof path, "%s%s%s", env_path, known ? ":" : "", known ? tools : "");
  add_default(l, s, "PATH", path);
}

static void make_env(struct strings *l, const struct shell *s, const wx_host *h, wx_exec *x) {
  add_path(l, s, h->tools(x));
  add_default(l, s, "LANG", env_lang);
  h->params(x, add_param, &(struct param_list){l, s});
  add_declared(l, s);
}

static bool is_long(const struct shell *s) { return s->script && strlen(s->script) > ARGUMENT_BYTES; }

/* NULL: there is no memory. The texts are borrowed. */
static const char **make_argv(const struct shell *s) {
  size_t n = s->argv ? s->lib->json_count(s->argv) : 4;
  const char **argv = calloc(n + 1, sizeof *argv);
  for (size_t i = 0; argv && s->argv && i < n; i++) argv[i] = text_of(s, s->lib->json_at(s->argv, i));
  if (!argv || s->argv) return argv;
  argv[0] = "/bin/sh";
  if (is_long(s)) return argv; /* the path of its file follows */
  argv[1] = "-c";
  argv[2] = "--"; /* a script may begin with a hyphen */
  argv[3] = s->script;
  return argv;
}

static wx_spawn spawn_of(const struct shell *s, const char *const *argv, const char *const *env) {
  wx_spawn sp = {.size = sizeof sp, .argv = argv, .env = env, .cwd = s->cwd, .user = s->user, .stdin_data = s->input,
                 .stdin_len = s->input_len, .grace_us = s->grace_us, .log_cap = s->log_cap, .apart = s->apart, .umask = s->umask};
  for (uint32_t i = 0; i < s->n_limit; i++) {
    sp.rlimit[i].resource = s->limit[i].resource;
    sp.rlimit[i].soft = s->limit[i].soft;
    sp.rlimit[i].hard = s->limit[i].hard;
  }
  sp.n_rlimit = s->n_limit;
  if (is_long(s)) sp.script = s->script, sp.script_len = strlen(s->script);
  return sp;
}

static int shell_spawn(const wx_host *h, wx_exec *x, const struct shell *s, const struct wx_refusal *r) {
  struct strings env = {0};
  make_env(&env, s, h, x);
  const char **v = calloc(env.n + 1, sizeof *v), **argv = make_argv(s);
  for (size_t i = 0; v && i < env.n; i++) v[i] = env.v[i];
  int rc = -1;
  if (!v || !argv || env.is_short) {
    wx_refuse(r, WX_BAD_COMMAND, "There is no memory to start it.");
  } else {
    const wx_spawn sp = spawn_of(s, argv, v);
    rc = h->spawn(x, &sp, r->err, r->err_n);
  }
  free(argv);
  free(v);
  strings_done(&env);
  return rc;
}

/* The program of onDelete in place of the task's own; all else is as for the task, but that it has no stdin. */
static int turn_to_clean_up(struct shell *s, const struct wx_refusal *r) {
  s->script = s->clean_up.script;
  s->argv = s->clean_up.argv;
  s->input = NULL;
  s->input_len = 0;
  return s->script || s->argv ? 0 : wx_refuse(r, WX_BAD_COMMAND, "There is no onDelete in taskConfig.");
}

static int shell_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  const wx_task *t = h->task(x);
  const struct wx_refusal r = {NULL, err, err_n};
  struct shell s;
  int rc = parse_shell(&s, h->lib, t->content, t->config, &r);
  if (rc == 0 && t->cleanup) rc = turn_to_clean_up(&s, &r);
  if (rc == 0) rc = shell_spawn(h, x, &s, &r);
  h->lib->json_free(s.root);
  return rc;
}

/* ---- end ---- */

/* It said itself that it failed. */
static int failed(const wx_exit *e, char *text, size_t n) {
  snprintf(text, n, "%s", e->said_text && *e->said_text ? e->said_text : "It reported a failure.");
  return e->said == WX_SAID_FATAL || e->exit_code == EXIT_FATAL ? WX_FATAL : WX_FAIL;
}

/* What the program reported about its end decides, then its exit. A fault of its result counts only when it ends with 0. */
static int judge(const wx_lib *lib, const wx_exit *e, char *text, size_t n) {
  if (e->failed_step) return WX_FATAL;
  if (e->said == WX_SAID_FAIL || e->said == WX_SAID_FATAL) return failed(e, text, n);
  if (e->exit_code == EXIT_NOT_NOW || (e->said == WX_SAID_AGAIN && e->exit_code != EXIT_FATAL)) {
    snprintf(text, n, "It asked to be tried again later.");
    return WX_NOT_NOW;
  }
  if (e->signal) {
    const char *name = lib->signal_name(e->signal);
    if (name) snprintf(text, n, "Killed by signal %d (SIG%s).", e->signal, name);
    else snprintf(text, n, "Killed by signal %d.", e->signal);
    return WX_FAIL;
  }
  if (e->exit_code) {
    snprintf(text, n, "Exit code %d.", e->exit_code);
    return e->exit_code == EXIT_FATAL ? WX_FATAL : WX_FAIL;
  }
  if (e->output_error == 1) {
    snprintf(text, n, "RESULT_TOO_LARGE: the result is larger than %d bytes.", (int)lib->result_bytes);
    return WX_FAIL;
  }
  if (e->output_error) return snprintf(text, n, "What stands at WEIR_OUTPUT is not a plain file of the task."), WX_FAIL;
  return WX_OK;
}

/* At once is not the same as not said. */
static int64_t after(const wx_exit *e) { return e->said != WX_SAID_AGAIN || e->after_us < 0 ? 0 : e->after_us ? e->after_us : 1; }

static void shell_child_done(const wx_host *h, wx_exec *x, const wx_exit *e) {
  char text[ERROR_BYTES] = "";
  int end = judge(h->lib, e, text, sizeof text);
  const char *error = *text ? text : NULL;
  if (e->failed_step) error = e->error ? e->error : "Cannot start.";
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = end, .error = error, .result = e->output,
                          .result_len = e->output_len, .exit_code = e->failed_step || e->signal ? -1 : e->exit_code,
                          .signal = e->signal, .utime_us = e->utime_us, .stime_us = e->stime_us,
                          .maxrss_kib = e->maxrss_kib, .after_us = after(e)});
}

static void shell_cancel(const wx_host *h, wx_exec *x, int how) { h->kill(x, how); }

static const wx_ops shell = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "SHELL", .slot = WX_SLOT_PROCESS,
                             .check_with = shell_check, .start = shell_start, .child_done = shell_child_done,
                             .cancel = shell_cancel, .flags = WX_PROGRAMS | WX_CONTEXT | WX_ON_DELETE};

WX_EXECUTOR(shell) { return &shell; }
