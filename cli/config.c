/* Options: see config.h. Main thread, before all others. Never reads a value from anywhere but the three sources. */
#include "config.h"
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "mem.h"
#include "text.h"

#define FILE_MAX_BYTES 65536
#define FLAG_BASE 1000 /* getopt_long's number of option i is FLAG_BASE + i */

/* ---- secrets ---- */

/* For a secret that others can see (ps, /proc): keeps its length and nothing else. */
static void wipe(char *s) { memset(s, 'x', strlen(s)); }

static bool holds_secret(const struct opt *o, const char *text) { return o->traits & OPT_SECRET && text && strchr(text, '@'); }

/* ---- names ---- */

static void env_name(char out[64], const char *name) {
  size_t n = (size_t)snprintf(out, 64, "WEIR_%s", name);
  for (size_t i = 5; i < n && i < 63; i++) out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

static int by_name(const char *name) {
  for (int i = 0; i < OPT__N; i++) {
    if (opt_table[i].verbs & ~(unsigned)VERB_LIB && strcmp(opt_table[i].name, name) == 0) return i;
  }
  return -1;
}

/* The nearest name that a user may have meant, of an option without any of the traits `but`; or NULL. */
static const char *nearest(const char *name, unsigned verb, unsigned but) {
  const char *best = NULL;
  int dist = 3;
  for (int i = 0; i < OPT__N; i++) {
    int d = opt_table[i].verbs & verb && !(opt_table[i].traits & but) ? text_distance(name, opt_table[i].name) : 4;
    if (d < dist) {
      dist = d;
      best = opt_table[i].name;
    }
  }
  return best;
}

/* ---- file ---- */

struct line { int no; char *key, *value; };

static char *trim(char *s) {
  while (*s && strchr(" \t\r", *s)) s++;
  char *end = s + strlen(s);
  while (end > s && strchr(" \t\r", end[-1])) *--end = 0;
  return s;
}

static enum wr_rc apply_line(struct config *c, const struct line *l, unsigned verb, struct wr_err *err) {
  char q[WR_QUOTE_MAX], where[128];
  int id = by_name(l->key);
  if (id >= 0 && opt_table[id].traits & (OPT_FLAG_ONLY | OPT_NOT_IN_FILE))
    return wr_err_set(err, WR_BAD_REQUEST, "line %d: \"%s\" cannot be set in a file: give it as a flag, --%s.", l->no,
                      opt_table[id].name, opt_table[id].name);
  if (id < 0) {
    const char *near = nearest(l->key, verb | VERB_SERVER, OPT_FLAG_ONLY | OPT_NOT_IN_FILE);
    return wr_err_set(err, WR_BAD_REQUEST, "line %d: unknown key %s.%s%s%s", l->no,
                      wr_err_quote(q, l->key, strlen(l->key)),
                      near ? " Did you mean \"" : "", near ? near : "", near ? "\"?" : "");
  }
  if (c->v[id].from == FROM_FILE)
    return wr_err_set(err, WR_BAD_REQUEST, "line %d: \"%s\" appears twice.", l->no, opt_table[id].name);
  snprintf(where, sizeof where, "line %d: %s", l->no, opt_table[id].name);
  return opt_set(&c->v[id], id, where, l->value, FROM_FILE, err);
}

static enum wr_rc read_lines(struct config *c, char *text, unsigned verb, struct wr_err *err) {
  int no = 0;
  for (char *p = text, *next; p; p = next) {
    next = strchr(p, '\n');
    if (next) *next++ = 0;
    no++;
    char *s = trim(p);
    if (*s == 0 || *s == '#') continue;
    char *eq = strchr(s, '=');
    if (!eq) return wr_err_set(err, WR_BAD_REQUEST, "line %d: expected `name = value`.", no);
    *eq = 0;
    struct line l = {no, trim(s), trim(eq + 1)};
    enum wr_rc rc = apply_line(c, &l, verb, err);
    if (rc) return rc;
  }
  return WR_OK;
}

/* The file must not be readable by others when it holds a password, and never writable by everybody, since it names the users of
 * tasks. */
static enum wr_rc check_mode(const struct config *c, FILE *f, const char *file, struct wr_err *err) {
  struct stat st;
  bool secret = false;
  for (int i = 0; i < OPT__N; i++) secret |= c->v[i].from == FROM_FILE && holds_secret(&opt_table[i], c->v[i].text);
  if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) return WR_OK;
  if (secret && st.st_mode & 077)
    return wr_err_set(err, WR_FORBIDDEN, "The config file holds a password and others may read or write it: chmod 600 %.120s",
                      file);
  if (st.st_mode & S_IWOTH) return wr_err_set(err, WR_FORBIDDEN, "Anybody may write the config file: chmod o-w %.120s", file);
  return WR_OK;
}

/* Puts the file's name in front of what is wrong with one of its lines. */
static void name_file(const char *file, struct wr_err *err) {
  struct wr_err why = *err;
  (void)wr_err_set(err, why.code, "%.100s, %s", file, why.msg);
}

static enum wr_rc read_file(struct config *c, const char *file, unsigned verb, struct wr_err *err) {
  FILE *f = fopen(file, "re");
  if (!f) return wr_err_set(err, WR_BAD_REQUEST, "The config file %.120s cannot be read: %s.", file, strerror(errno));
  char *text = wr_malloc(FILE_MAX_BYTES + 1);
  size_t n = fread(text, 1, FILE_MAX_BYTES + 1, f);
  int failed = ferror(f);
  enum wr_rc rc = WR_OK;
  if (failed) {
    rc = wr_err_set(err, WR_BAD_REQUEST, "The config file %.120s cannot be read.", file);
  } else if (n > FILE_MAX_BYTES) {
    rc = wr_err_set(err, WR_BAD_REQUEST, "The config file %.120s is larger than %d bytes.", file, FILE_MAX_BYTES);
  } else if (memchr(text, 0, n)) {
    rc = wr_err_set(err, WR_BAD_REQUEST, "The config file %.120s holds a NUL byte.", file);
  } else {
    text[n] = 0;
    rc = read_lines(c, text, verb, err);
    if (rc) name_file(file, err);
    if (!rc) rc = check_mode(c, f, file, err);
  }
  fclose(f);
  memset(text, 0, FILE_MAX_BYTES + 1);
  free(text);
  return rc;
}

/* ---- flags ---- */

struct flags { struct option longs[OPT__N + 2]; char shorts[2 * OPT__N + 4]; };

static void flags_of(struct flags *f, unsigned verb) {
  memset(f, 0, sizeof *f);
  int n = 0;
  char *s = f->shorts;
  *s++ = ':';
  for (int i = 0; i < OPT__N; i++) {
    if (!(opt_table[i].verbs & verb)) continue;
    int has = opt_table[i].type == OPT_SWITCH ? optional_argument : required_argument;
    f->longs[n++] = (struct option){opt_table[i].name, has, NULL, FLAG_BASE + i};
    if (!opt_table[i].letter) continue;
    *s++ = opt_table[i].letter;
    *s++ = ':';
  }
  f->longs[n] = (struct option){"help", no_argument, NULL, 'h'};
  *s = 'h';
}

static int by_letter(int letter, unsigned verb) {
  for (int i = 0; i < OPT__N; i++) {
    if (opt_table[i].letter && opt_table[i].letter == letter && opt_table[i].verbs & verb) return i;
  }
  return -1;
}

/* getopt_long() takes the beginning of a long name for the name: `--token SECRET` would be --token-file. optarg in a word of its
 * own stands behind the option. */
static const char *long_word(char **argv, bool with_value) {
  return with_value && optarg && optarg == argv[optind - 1] ? argv[optind - 2] : argv[optind - 1];
}

static bool whole_name(const char *word, const char *name) {
  size_t n = strlen(name);
  return strncmp(word, "--", 2) != 0 || (strncmp(word + 2, name, n) == 0 && (word[2 + n] == '\0' || word[2 + n] == '='));
}

/* letter: 0 = a long option. The value may be a secret and is not shown. */
static enum wr_rc unknown_flag(const char *arg, int letter, const char *name_of_verb, unsigned verb, struct wr_err *err) {
  char q[WR_QUOTE_MAX], name[64], shown[3] = {'-', (char)letter, 0};
  const char *near = NULL;
  size_t n = letter ? 2 : strcspn(arg, "=");
  if (verb & VERB_CLIENT && !letter && strncmp(arg, "--token", n) == 0 && n > 2)
    return wr_err_set(err, WR_BAD_REQUEST, "Unknown option %s. A token is no flag, which others would see: set WEIR_TOKEN, or "
                      "name its file with --token-file FILE.", wr_err_quote(q, arg, n));
  if (!letter && n > 2) {
    snprintf(name, sizeof name, "%.*s", (int)(n < 65 ? n - 2 : 63), arg + 2);
    near = nearest(name, verb, 0);
    if (near && strcmp(near, name) == 0) near = NULL; /* --dev=x and the like */
  }
  return wr_err_set(err, WR_BAD_REQUEST, "Unknown option %s.%s%s%s See `weir %s --help`.",
                    wr_err_quote(q, letter ? shown : arg, n),
                    near ? " Did you mean \"--" : "", near ? near : "", near ? "\"?" : "", name_of_verb);
}

typedef enum wr_rc flag_fn(struct config *c, int id, const char *where, const char *value, struct wr_err *err);
static enum wr_rc set_flag(struct config *c, int id, const char *where, const char *value, struct wr_err *err) {
  return opt_set(&c->v[id], id, where, value, FROM_FLAG, err);
}
/* First pass: only the options that must be known before the others. */
static enum wr_rc set_early(struct config *c, int id, const char *where, const char *value, struct wr_err *err) {
  return id == OPT_CONFIG ? opt_set(&c->v[id], id, where, value, FROM_FLAG, err) : WR_OK;
}

static enum wr_rc read_flags(struct config *c, unsigned verb, int argc, char **argv, flag_fn *fn, struct wr_err *err) {
  struct flags f;
  flags_of(&f, verb);
  optind = 0; /* glibc: start over */
  opterr = 0;
  for (int o; (o = getopt_long(argc, argv, f.shorts, f.longs, NULL)) != -1;) {
    int of = o == ':' ? optopt : o; /* a value is missing: which option's */
    const char *name = of >= FLAG_BASE ? opt_table[of - FLAG_BASE].name : of == 'h' ? "help" : NULL;
    const char *word = name ? long_word(argv, o >= FLAG_BASE) : NULL;
    if (word && o != '?' && !whole_name(word, name)) {
      if (o >= FLAG_BASE && optarg) wipe(optarg); /* whatever it was meant for */
      return unknown_flag(word, 0, argv[0], verb, err);
    }
    if (o == 'h') {
      c->help = true;
      return WR_OK;
    }
    if (o == ':') return wr_err_set(err, WR_BAD_REQUEST, "Option %s needs a value.", argv[optind - 1]);
    int id = o >= FLAG_BASE ? o - FLAG_BASE : by_letter(o, verb);
    if (o == '?' || id < 0)
      return unknown_flag(argv[optind - 1], optopt > 0 && optopt < FLAG_BASE ? optopt : 0, argv[0], verb, err);
    char where[64];
    snprintf(where, sizeof where, "--%s", opt_table[id].name);
    enum wr_rc rc = fn(c, id, where, optarg ? optarg : "on", err);
    if (fn == set_flag && optarg && opt_table[id].traits & OPT_SECRET) wipe(optarg); /* the value stands in argv */
    if (rc) return rc;
  }
  c->args = argv + optind;
  c->n_args = argc - optind;
  return WR_OK;
}

/* ---- all of it ---- */

static enum wr_rc read_env(struct config *c, unsigned verb, struct wr_err *err) {
  for (int i = 0; i < OPT__N; i++) {
    bool refused = opt_table[i].traits & OPT_REFUSE_ENV;
    if (!(opt_table[i].verbs & verb) || (opt_table[i].traits & OPT_FLAG_ONLY && !refused)) continue;
    char name[64];
    env_name(name, opt_table[i].name);
    char *text = getenv(name);
    if (!text || !*text) continue;
    if (refused)
      return wr_err_set(err, WR_BAD_REQUEST, "%s is set, but only the flag counts: say --%s, or unset %s.", name,
                        opt_table[i].name, name);
    enum wr_rc rc = opt_set(&c->v[i], i, name, text, FROM_ENV, err);
    if (opt_table[i].traits & OPT_SECRET) wipe(text), unsetenv(name); /* read once; /proc/PID/environ shows it until we end */
    if (rc) return rc;
  }
  return WR_OK;
}

enum wr_rc config_load(struct config *c, unsigned verb, int argc, char **argv, struct wr_err *err) {
  memset(c, 0, sizeof *c);
  enum wr_rc rc = opt_defaults(c->v, err);
  if (!rc) rc = read_flags(c, verb, argc, argv, set_early, err);
  if (rc || c->help) return rc;
  const char *file = config_text(c, OPT_CONFIG);
  if (!file) file = getenv("WEIR_CONFIG");
  if (file && *file) rc = read_file(c, file, verb, err);
  if (!rc) rc = read_env(c, verb, err);
  if (!rc) rc = read_flags(c, verb, argc, argv, set_flag, err);
  return rc;
}

void config_done(struct config *c) {
  for (int i = 0; i < OPT__N; i++) opt_forget(&c->v[i]);
}

/* ---- help ---- */

#define HELP_COLS 79
#define HELP_INDENT 8

static const struct group { const char *title; enum opt_id id[8]; size_t n; } groups[] = {
  {"One migration", {OPT_DRY_RUN}, 1},
  {"One run", {OPT_PARAM, OPT_OUTPUT, OPT_LOGS, OPT_RESUME, OPT_FROM, OPT_TIME_SCALE}, 6},
  {"The server", {OPT_SERVER, OPT_TOKEN_FILE}, 2},
  {"What is wanted", {OPT_ALL, OPT_TIMEOUT, OPT_WAIT, OPT_SHAPE}, 4},
  {"State", {OPT_STORE, OPT_QUEUE, OPT_PREFIX, OPT_MAX_QUEUED, OPT_DATA, OPT_DURABILITY}, 6},
  {"Network", {OPT_LISTEN, OPT_TRUSTED_PROXY, OPT_HOST, OPT_REQUEST_TIMEOUT, OPT_WAIT_SHARE, OPT_FOLLOW_TIMEOUT}, 6},
  {"Tasks", {OPT_SLOTS, OPT_ASYNC_SLOTS, OPT_SHELL, OPT_RUN_AS, OPT_RUN_AS_ALSO}, 5},
  {"Process", {OPT_DEV, OPT_USER, OPT_ROLES, OPT_LEASE, OPT_STOP_TIMEOUT, OPT_CACHE_MEMORY}, 6},
  {"Form", {OPT_LOG_LEVEL, OPT_LOG_FORMAT, OPT_ZONE, OPT_CONFIG}, 4},
};
enum { N_GROUPS = sizeof groups / sizeof *groups };

/* What an option comes to that was not given, where that depends on the verb. */
static const struct usual { enum opt_id id; unsigned verbs; const char *text; } usual[] = {
  {OPT_STORE, VERB_SERVER | VERB_TOKEN | VERB_DB, "sqlite:DATA/weir.db"},
  {OPT_STORE, VERB_RUN, "a temporary file"},
  {OPT_DATA, VERB_SERVER, "./data with --dev, else /var/lib/weir"},
  {OPT_DATA, VERB_TOKEN | VERB_DB | VERB_CLIENT, "/var/lib/weir"},
  {OPT_LOG_LEVEL, VERB_SERVER, "info"},
  {OPT_LOG_LEVEL, VERB_RUN | VERB_TOKEN | VERB_DB, "warn"},
};

static const char *usual_of(const struct opt *o, unsigned verb) {
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
    if (&opt_table[usual[i].id] == o && usual[i].verbs & verb) return usual[i].text;
  }
  return NULL;
}

/* Words in lines of at most HELP_COLS; a longer word has a line of its own. */
static void wrapped(FILE *to, const char *text) {
  size_t at = 0;
  while (*text) {
    size_t n = strcspn(text, " ");
    if (at == 0 || at + 1 + n > HELP_COLS) {
      fprintf(to, "%s%*s", at ? "\n" : "", HELP_INDENT, "");
      at = HELP_INDENT;
    } else {
      fputc(' ', to);
      at++;
    }
    fwrite(text, 1, n, to);
    at += n;
    text += n + strspn(text + n, " ");
  }
  fputc('\n', to);
}

static void help_one(FILE *to, const struct opt *o, unsigned verb) {
  char text[512];
  if (o->letter) fprintf(to, "  -%c, --%s", o->letter, o->name);
  else fprintf(to, "      --%s", o->name);
  fprintf(to, o->arg ? " %s\n" : "\n", o->arg);
  bool shown = o->def && o->type != OPT_SWITCH;
  const char *without = usual_of(o, verb);
  if (without) snprintf(text, sizeof text, "%s (default: %s)", o->help, without);
  else snprintf(text, sizeof text, shown ? "%s [%s]" : "%s", o->help, shown ? o->def : "");
  wrapped(to, text);
}

static void help_group(FILE *to, const struct group *g, unsigned verb) {
  bool any = false;
  for (size_t i = 0; i < g->n; i++) {
    const struct opt *o = &opt_table[g->id[i]];
    if (!(o->verbs & verb)) continue;
    if (!any) fprintf(to, "%s:\n", g->title);
    any = true;
    help_one(to, o, verb);
  }
  if (any) fputc('\n', to);
}

static bool grouped(enum opt_id id) {
  for (size_t g = 0; g < N_GROUPS; g++)
    for (size_t i = 0; i < groups[g].n; i++)
      if (groups[g].id[i] == id) return true;
  return false;
}

void config_help(FILE *to, unsigned verb) {
  for (size_t g = 0; g < N_GROUPS; g++) help_group(to, &groups[g], verb);
  for (int i = 0; i < OPT__N; i++) {
    if (opt_table[i].verbs & verb && !grouped((enum opt_id)i)) help_one(to, &opt_table[i], verb);
  }
  fprintf(to, "%s can be set without a flag, too:\n\n"
              "  WEIR_LOG_LEVEL=warn     in the environment\n"
              "  log-level = warn        in the file that --config names\n\n"
              "A flag wins over the environment, the environment over the file.\n",
          verb == VERB_RUN ? "All but the options of one run" : verb & VERB_CLIENT ? "All but what is wanted"
          : verb == VERB_DB ? "All but --dry-run" : "Each of these");
}

/* ---- show ---- */

/* Prints a URL without its password, which is all between the first colon after :// and the last @. */
static void put_masked(FILE *to, int width, const char *url) {
  const char *host = strstr(url, "://"), *at = strrchr(url, '@'), *colon = host ? strchr(host + 3, ':') : NULL;
  char text[1024];
  if (!at) snprintf(text, sizeof text, "%s", url);
  else if (colon && colon < at) snprintf(text, sizeof text, "%.*s***%s", (int)(colon + 1 - url), url, at);
  else snprintf(text, sizeof text, "***");
  fprintf(to, "%-*s", width, text);
}

void config_show(FILE *to, const struct config *c, unsigned verb, config_effective_fn *effective) {
  static const char *const from[] = {"default", "default", "file", "environment", "flag"};
  for (int i = 0; i < OPT__N; i++) {
    if (!(opt_table[i].verbs & verb)) continue;
    const struct opt_value *v = &c->v[i];
    char comes_to[512] = "";
    bool open = !v->text || strcmp(v->text, "auto") == 0;
    if (open) effective(c, (enum opt_id)i, comes_to, sizeof comes_to);
    const char *text = v->text && opt_table[i].type == OPT_SWITCH ? v->num ? "on" : "off" : v->text;
    const char *value = comes_to[0] ? comes_to : text ? text : "-";
    fprintf(to, "%-16s ", opt_table[i].name);
    put_masked(to, 28, value);
    fprintf(to, open && v->text && v->from > FROM_DEFAULT ? " (%s: %s)\n" : " (%s)\n", from[v->from], v->text);
  }
}
