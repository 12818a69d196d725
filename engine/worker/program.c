/* Mode `program`: a program that was registered, run as SHELL runs one. It is SHELL with another argv: the environment, the
 * limits, the user and the end are SHELL's own. In place of a script it gets the task as JSON on its stdin, and what is executed
 * is the descriptor of the file that was checked.
 *
 * The loop's thread, but for the check of a config (any) and added_check() (the clerk's).
 * What never happens: a file that runs unchecked; a sha256 that is worked out on the loop for a version that is current; bytes
 * of a task in its program's arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "added_ops.h"
#include "executor_post.h"
#include "json_out.h"
#include "json_write.h"
#include "program_file.h"
#include "text.h"
#include "worker_int.h"

#define HASH_MAX (1LL << 30)         /* of a program with a sha256, at an offer */
#define HASH_START_MAX (16LL << 20)  /* the same at the start of a former version */
enum { WHY_BYTES = 700, ENV_TEXT_BYTES = 65536, TASK_ENV = 16 };

/* ---- taskConfig ---- */

/* Those that mean what they mean for SHELL; all others are the program's own. */
static const char *const of_shell[] = {"env", "cwd", "user", "grace", "log", "rlimits", "stderr", "umask"};

/* argv NULL: a name that stands for any program. malloc'ed. */
static char *shell_config(const char *config, json_t *argv) {
  json_t *all = config ? json_loads(config, 0, NULL) : NULL, *o = json_object();
  for (size_t i = 0; i < sizeof of_shell / sizeof *of_shell; i++) {
    json_t *v = json_object_get(all, of_shell[i]);
    if (v) (void)json_object_set(o, of_shell[i], v);
  }
  if (argv) (void)json_object_set(o, "argv", argv);
  else (void)json_object_set_new(o, "argv", json_pack("[s]", "/program"));
  char *text = json_text(o, 0);
  json_decref(o);
  json_decref(all);
  return text;
}

/* Variables by which a shell, an interpreter, a loader, or a program that is called further on, is told what else to run, to read
 * or to trust. Whoever registered the program chose what it runs; its tasks do not. `*`: whatever begins so. */
static const char *const steering[] = {
  "PATH", "IFS", "ENV", "BASH*", "SHELLOPTS", "PS4", "PROMPT_COMMAND", "CDPATH", "GLOBIGNORE", "ZDOTDIR", "PERL*", "PYTHON*",
  "RUBY*", "GEM_*", "BUNDLE_*", "NODE_*", "NPM_*", "npm_*", "LUA_*", "TCL*", "PHP*", "JAVA_*", "_JAVA_*", "JDK_*",
  "CLASSPATH", "DOTNET_*", "CORECLR_*", "COR_*", "R_*", "JULIA_*", "GIT_*", "SSH_*", "GCONV_PATH", "GLIBC_*", "LOCPATH",
  "NLSPATH", "MALLOC_*", "HOSTALIASES", "RES_OPTIONS", "LOCALDOMAIN", "OPENSSL_*", "SSL_*", "CURL_*", "HOME", "XDG_*",
  "EDITOR", "VISUAL", "PAGER", "LESS*", "BROWSER", "TERMINFO*", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY",
  "ALL_PROXY", "all_proxy"};

static bool steers(const char *name) {
  for (size_t i = 0; i < sizeof steering / sizeof *steering; i++) {
    size_t n = strlen(steering[i]);
    bool any = steering[i][n - 1] == '*';
    if (any ? strncmp(name, steering[i], n - 1) == 0 : strcmp(name, steering[i]) == 0) return true;
  }
  return false;
}

/* NULL: there is none in env. */
static const char *steering_in(json_t *env) {
  const char *name;
  json_t *v;
  json_object_foreach(env, name, v)
    if (steers(name)) return name;
  return NULL;
}

/* added NULL: of the config of an executor that is registered just now. */
static int program_check(const wx_lib *lib, void *added, const char *content, const char *config, int *code, char *err,
                         size_t err_n) {
  (void)content;
  json_t *all = config ? json_loads(config, 0, NULL) : NULL;
  bool cleans = json_object_get(all, "onDelete") != NULL;
  const char *name = added ? steering_in(json_object_get(all, "env")) : NULL;
  if (cleans) {
    *code = WX_UNKNOWN_FIELD;
    snprintf(err, err_n, "onDelete is for SHELL tasks: a registered program has none.");
  } else if (name) {
    *code = WX_BAD_COMMAND;
    snprintf(err, err_n, "env: %.64s may not be set by a task, because it decides what a program runs. config of the executor "
             "may set it.", name);
  }
  json_decref(all);
  if (cleans || name) return -1;
  char *text = shell_config(config, NULL);
  int rc = registry_shell()->check_with(lib, NULL, text, code, err, err_n);
  free(text);
  return rc;
}

/* ---- the request ---- */

/* The node's key is the part of the run key between the flow instance and the index: a key may hold colons itself. */
static char *node_key(const struct attempt *a) {
  const char *from = a->fi && a->key ? strchr(a->key, ':') : NULL, *to = from ? strrchr(a->key, ':') : NULL;
  from = from ? strchr(from + 1, ':') : NULL;
  return from && to > from ? wr_memdup0(from + 1, (size_t)(to - from - 1)) : NULL;
}

void added_request(struct buf *b, const struct wx_exec *x, const char *config) {
  const struct attempt *a = x->a;
  char *node = node_key(a);
  j_open(b, '{');
  j_i64(b, "tiId", a->ti);
  j_text(b, "taskKey", a->task_key);
  j_text(b, "taskName", a->def->name);
  j_text(b, "taskType", a->def->type);
  j_text(b, "content", a->def->content);
  j_raw(b, "config", config);
  j_raw(b, "params", x->task.params);
  if (x->task.context_len) {
    j_key(b, "context");
    buf_json(b, x->task.context, x->task.context_len);
  }
  j_i64(b, "attempt", x->task.attempt);
  j_text(b, "runKey", x->task.run_key);
  j_text(b, "fence", x->task.fence);
  if (a->job) j_i64(b, "jobId", a->job);
  if (a->fi) j_i64(b, "fiId", a->fi);
  j_text(b, "nodeKey", node);
  j_close(b, '}');
  free(node);
}

/* ---- a start ---- */

struct start {
  const wx_host *h;
  wx_task task;             /* as SHELL sees it */
  struct buf request;
  int fd;                   /* of the program; -1 = given away */
  char *env[TASK_ENV]; size_t n_env;
};

static const wx_task *start_task(wx_exec *x) { return &((struct start *)x->data)->task; }

static void add_env(struct start *s, const char *name, const char *value) {
  if (!value || strlen(value) > ENV_TEXT_BYTES || s->n_env == TASK_ENV) return;
  size_t n = strlen(name) + strlen(value) + 2;
  snprintf(s->env[s->n_env++] = wr_malloc(n), n, "%s=%s", name, value);
}

static void task_env(struct start *s, const struct wx_exec *x, const char *config) {
  const struct attempt *a = x->a;
  char ti[24], fi[24], job[24], *node = node_key(a);
  snprintf(ti, sizeof ti, "%lld", (long long)a->ti);
  snprintf(fi, sizeof fi, "%lld", (long long)a->fi);
  snprintf(job, sizeof job, "%lld", (long long)a->job);
  add_env(s, "WEIR_TI_ID", ti);
  add_env(s, "WEIR_TASK_KEY", a->task_key);
  add_env(s, "WEIR_TASK_NAME", a->def->name);
  add_env(s, "WEIR_TASK_TYPE", a->def->type);
  add_env(s, "WEIR_CONTENT", a->def->content);
  add_env(s, "WEIR_CONFIG", config);
  add_env(s, "WEIR_PARAMS", x->task.params);
  add_env(s, "WEIR_JOB_ID", a->job ? job : NULL);
  add_env(s, "WEIR_FI_ID", a->fi ? fi : NULL);
  add_env(s, "WEIR_NODE_KEY", node);
  free(node);
}

/* What SHELL has made of it, with the task on stdin and in the environment, and with the file. */
static int start_spawn(wx_exec *x, const wx_spawn *shell, char *err, size_t err_n) {
  struct start *s = x->data;
  wx_spawn sp = *shell;
  size_t n = 0;
  while (shell->env && shell->env[n]) n++;
  const char **env = wr_calloc(n + s->n_env + 1, sizeof *env);
  for (size_t i = 0; i < n; i++) env[i] = shell->env[i];
  for (size_t i = 0; i < s->n_env; i++) env[n + i] = s->env[i];
  sp.env = env;
  sp.stdin_data = s->request.data;
  sp.stdin_len = s->request.len;
  sp.program = s->fd + 1;
  s->fd = -1;
  int rc = s->h->spawn(x, &sp, err, err_n);
  free(env);
  return rc;
}

/* argv: the texts of location; the program is named by its whole path where that is known. config: how it is run. */
static int run(struct start *s, wx_exec *x, json_t *location, const char *config, char *err, size_t err_n) {
  char *for_shell = shell_config(config, location);
  wx_host wrapped = *s->h;
  void *was = x->data;
  s->task = x->task;
  s->task.content = NULL;
  s->task.config = for_shell;
  wrapped.task = start_task;
  wrapped.spawn = start_spawn;
  x->data = s;
  int rc = registry_shell()->start(&wrapped, x, err, err_n);
  x->data = was;
  if (s->fd >= 0) close(s->fd);
  for (size_t i = 0; i < s->n_env; i++) free(s->env[i]);
  free(for_shell);
  return rc;
}

static int run_task(const wx_host *h, wx_exec *x, int fd, json_t *location, char *err, size_t err_n) {
  const struct added *a = h->user(x);
  char *config = config_over(x->task.config, a->config);
  struct start s = {.h = h, .fd = fd};
  added_request(&s.request, x, config);
  task_env(&s, x, config);
  int rc = run(&s, x, location, config, err, err_n);
  buf_done(&s.request);
  free(config);
  return rc;
}

int program_file(const struct added *a, char *err, size_t err_n) {
  struct file_mark mark;
  json_t *location = a->location ? json_loads(a->location, 0, NULL) : NULL;
  const char *path = json_string_value(json_array_get(location, 0));
  int fd = program_open(a->dirs, path ? path : "", &mark, err, err_n);
  json_decref(location);
  return fd;
}

int program_analyze(const wx_host *h, wx_exec *x, const struct added *a, int fd, const struct buf *request, char *err,
                    size_t err_n) {
  json_t *location = a->location ? json_loads(a->location, 0, NULL) : NULL;
  struct start s = {.h = h, .request = *request, .fd = fd};
  task_env(&s, x, NULL);
  int rc = run(&s, x, location, a->config, err, err_n);
  json_decref(location);
  return rc;
}

static bool is_marked(struct added *a, const struct file_mark *mark) {
  pthread_mutex_lock(&a->mu);
  bool same = a->marked && same_mark(&a->mark, mark);
  pthread_mutex_unlock(&a->mu);
  return same;
}

/* Its version is not the current one any more. The calls of an attempt are those of its entry of the registry. */
static bool is_former(const wx_exec *x) { return atomic_load(&((const struct executor *)(const void *)x->ops)->retired); }
_Static_assert(offsetof(struct executor, ops) == 0, "the calls of an entry are the entry");

/* The task goes to another node, without a count, and this node offers the type no more until the file was checked again. Of a
 * former version no node says whether it has the file: the attempt has failed. */
static int not_now(const wx_host *h, wx_exec *x, struct added *a, const char *why) {
  bool former = is_former(x);
  if (!former) {
    atomic_store(&a->offered, false);
    atomic_store(&a->doubted, true);
    x->a->policy.elsewhere = 1; /* the claim that follows is decided by this attempt's policy */
    if (a->doubt) a->doubt(a->ctx);
  }
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = former ? WX_FAIL : WX_NEVER, .error = why, .exit_code = -1});
  return 0;
}

static int program_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  struct added *a = h->user(x);
  char why[WHY_BYTES] = "";
  struct file_mark mark;
  json_t *location = a->location ? json_loads(a->location, 0, NULL) : NULL;
  const char *path = json_string_value(json_array_get(location, 0));
  int fd = program_open(a->dirs, path ? path : "", &mark, why, sizeof why);
  bool known = fd >= 0 && (!a->sha256 || is_marked(a, &mark));
  if (fd >= 0 && !known && is_former(x)) known = program_is(fd, a->sha256, HASH_START_MAX, why, sizeof why);
  else if (fd >= 0 && !known) snprintf(why, sizeof why, "The program is not the one whose sha256 was checked.");
  int rc = 0;
  if (known) rc = run_task(h, x, fd, location, err, err_n);
  else rc = not_now(h, x, a, why);
  if (!known && fd >= 0) close(fd);
  json_decref(location);
  return rc;
}

static void program_child_done(const wx_host *h, wx_exec *x, const wx_exit *e) { registry_shell()->child_done(h, x, e); }
static void program_cancel(const wx_host *h, wx_exec *x, int how) { h->kill(x, how); }

/* ---- the check before an offer ---- */

static void set_mark(struct added *a, const struct file_mark *mark) {
  pthread_mutex_lock(&a->mu);
  a->marked = mark != NULL;
  if (mark) a->mark = *mark;
  pthread_mutex_unlock(&a->mu);
}

/* A file that was found right is read again only when it is another one. */
static bool is_right(struct added *a, int fd, const struct file_mark *mark, char *why, size_t why_n) {
  struct file_mark after = *mark;
  if (!a->sha256 || is_marked(a, mark)) return true;
  set_mark(a, NULL);
  if (!program_is(fd, a->sha256, HASH_MAX, why, why_n)) return false;
  set_mark(a, &after);
  return true;
}

bool added_check(struct added *a, char *why, size_t why_n) {
  struct file_mark mark;
  const char *nobody = added_nobody(a->mode);
  if (nobody) return snprintf(why, why_n, "%s", nobody), false;
  if (a->mode == ADDED_URL) return url_offer(a, why, why_n);
  json_t *location = a->location ? json_loads(a->location, 0, NULL) : NULL;
  const char *path = json_string_value(json_array_get(location, 0));
  int fd = program_open(a->dirs, path ? path : "", &mark, why, why_n);
  json_decref(location);
  if (fd < 0) return false;
  bool right = is_right(a, fd, &mark, why, why_n);
  close(fd);
  return right;
}

/* ---- the modes ---- */

static int nobody_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  const struct added *a = h->user(x);
  return snprintf(err, err_n, "%s", added_nobody(a->mode)), -1;
}

static int nobody_check(const wx_lib *lib, const char *content, const char *config, int *code, char *err, size_t err_n) {
  (void)lib, (void)content, (void)config, (void)code, (void)err, (void)err_n;
  return 0; /* whoever runs it will say what it takes */
}

static const wx_ops program_ops = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "program", .slot = WX_SLOT_PROCESS,
                                   .check_own = program_check, .start = program_start, .child_done = program_child_done,
                                   .cancel = program_cancel, .flags = WX_PROGRAMS | WX_CONTEXT};
static const wx_ops nobody_ops = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "nobody", .slot = WX_SLOT_ASYNC,
                                  .check_with = nobody_check, .start = nobody_start};

const wx_ops *added_ops(enum added_mode mode) {
  switch (mode) {
  case ADDED_PROGRAM: return &program_ops;
  case ADDED_URL: return &added_url_ops;
  case ADDED_REMOTE: break;
  }
  return &nobody_ops;
}

const char *added_nobody(enum added_mode mode) {
  switch (mode) {
  case ADDED_PROGRAM:
  case ADDED_URL: return NULL;
  case ADDED_REMOTE: break;
  }
  return "No worker asks for work yet: this version has no remote workers.";
}
