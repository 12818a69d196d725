/* Private to model: places in a JSON body, tables of fields, and the shapes between parsing and a definition.
 *
 * Everything here is one caller's, on its stack, for one call; nothing is kept. A place is a chain of stack frames that
 * is turned into a JSON pointer only when something is wrong, so that a right body of 200,000 nodes never formats one. */
#ifndef MODEL_PRIVATE_H
#define MODEL_PRIVATE_H
#include <stdbool.h>
#include "async.h"
#include "json_out.h"
#include "mem.h"

/* ---- places ---- */
struct jpath { const struct jpath *up; const char *key; size_t i; }; /* key NULL: element i of an array */
#define JKEY(up, k) (&(const struct jpath){(up), (k), 0})
#define JELEM(up, n) (&(const struct jpath){(up), NULL, (n)})
#define JPATH_MAX 160
const char *jpath_text(char out[JPATH_MAX], const struct jpath *at);
enum wr_rc fail_at(struct wr_err *err, enum wr_rc code, const struct jpath *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* "<what>: <got>, at most <limit>." with both numbers in err. */
enum wr_rc fail_large(struct wr_err *err, const struct jpath *at, const char *what, size_t got, size_t limit);
/* The same for what makes a whole flow too large: 413. */
enum wr_rc fail_flow_large(struct wr_err *err, const struct jpath *at, const char *what, size_t got, size_t limit);

/* ---- fields ---- */
enum field_type { F_ANY, F_INT, F_TEXT, F_ARRAY, F_OURS }; /* F_OURS: made by the server, taken and ignored */
struct field { const char *name; size_t len; enum field_type type; };
#define FIELD(n, t) {(n), sizeof(n) - 1, (t)}
/* One pass over obj: v[i] = the value of field f[i], borrowed, NULL when absent. UNKNOWN_FIELD, WRONG_TYPE. */
enum wr_rc field_read(const json_t *obj, const struct field *f, size_t n, json_t **v, const struct jpath *at,
                      struct wr_err *err) WR_MUST;
/* Iterating does not change it; jansson only forgot to say so. */
static inline json_t *json_mutable(const json_t *v) { return (json_t *)(uintptr_t)v; }

/* Values. WRONG_TYPE for the wrong JSON type, OUT_OF_RANGE else. */
enum wr_rc field_id(const json_t *v, const struct jpath *at, int64_t *out, struct wr_err *err) WR_MUST;
enum wr_rc field_int(const json_t *v, int64_t lo, int64_t hi, const struct jpath *at, int64_t *out, struct wr_err *err) WR_MUST;
/* Whole seconds 1..604800, or a text like "500ms". */
enum wr_rc field_timeout(const json_t *v, const struct jpath *at, int64_t *out_us, struct wr_err *err) WR_MUST;
/* {"base", "factor", "max", "jitter"}: what is absent becomes the default. */
enum wr_rc field_backoff(const json_t *v, const struct jpath *at, struct task_policy *pol, struct wr_err *err) WR_MUST;
struct word_list { enum wr_rc code; const char *word[5]; }; /* code: when it is none of them */
enum wr_rc field_word(const json_t *v, const struct word_list *w, const struct jpath *at, int *out, struct wr_err *err) WR_MUST;
/* 1-128 characters, nothing that deceives a reader. */
enum wr_rc field_name(const json_t *v, const struct jpath *at, struct wr_err *err) WR_MUST;
enum wr_rc field_description(const json_t *v, const struct jpath *at, struct wr_err *err) WR_MUST;

/* A name of taskConfig: of every type, or of SHELL. */
bool task_setting(const char *key);

/* ---- JSON text ---- */
/* json_load_strict() for any value. */
enum wr_rc json_load_any(const char *text, size_t n, size_t max_values, json_t **out, struct wr_err *err) WR_MUST;
size_t json_text_depth(const char *text, size_t n);     /* of valid JSON */
json_t *json_must(json_t *v);                           /* aborts on NULL: out of memory */
json_t *json_reparse(const char *text, size_t n);       /* text of our own making; NULL when it is broken */

/* ---- tasks ---- */
struct task_key { const char *name, *description, *type, *content, *config; }; /* all that makes two inline tasks equal */
struct task_in {
  struct task_key key;
  json_t *cfg;          /* a reference, NULL = none */
  char *config;         /* its text, malloc'ed */
  unsigned has;
  bool alone;           /* of a stand-alone task, whose content may be larger */
};
enum { T_ID, T_NAME, T_TYPE, T_DESCRIPTION, T_CONTENT, T_CONFIG, T_VERSION, T__USED, T__N = T__USED + 6 };
extern const struct field task_field[T__N];
/* Reads each field on its own; texts are borrowed from v. Call task_in_done() also after a failure. */
enum wr_rc task_in_read(json_t *const *v, const struct jpath *at, struct task_in *in, struct wr_err *err) WR_MUST;
void task_in_done(struct task_in *in);
/* Checks type, content and config together (env NULL: what the store kept is not asked again) and makes the definition. */
enum wr_rc task_in_make(const struct task_in *in, const struct def_env *env, const struct jpath *at, struct task_def **out,
                        struct wr_err *err) WR_MUST;

/* The settings of a taskConfig that mean the same for every type. */
enum wr_rc config_check(const json_t *cfg, const struct jpath *at, struct wr_err *err) WR_MUST;

/* A user or a group, of a text. */
enum wr_rc queue_name_check(const json_t *v, const struct jpath *at, struct wr_err *err) WR_MUST;
/* queue_parse() with a place. */
enum wr_rc queue_read(const json_t *v, enum queue_form form, const struct jpath *at, struct queue_spec **out,
                      struct wr_err *err) WR_MUST;

struct analysis_rule;
struct verdict;
/* The part of analysis_answer_parse() about an array of tasks. */
enum wr_rc analysis_tasks(const json_t *list, const struct analysis_rule *rule, const struct def_env *env, struct verdict *out,
                          struct wr_err *err) WR_MUST;
/* An array of task types, as "A\nB\n"; malloc'ed. */
enum wr_rc task_types_read(const json_t *v, const struct jpath *at, char **out, struct wr_err *err) WR_MUST;

/* ---- nodes ---- */
enum { S_COMPLETE, S_REST, S_ATTEMPTS, S_BACKOFF, S_TIMEOUT, S__N };
extern const struct field node_setting_field[S__N];
struct node_settings { uint32_t need; uint8_t rest; struct node_override over; };
enum wr_rc node_settings_read(json_t *const *v, uint32_t n_task, const struct jpath *at, struct node_settings *out,
                              struct wr_err *err) WR_MUST;
char *node_settings_text(json_t *const *v); /* canonical, NULL when v has none; malloc'ed */

enum { FS_ON_FAILURE, FS_TIMEOUT, FS__N };
extern const struct field flow_setting_field[FS__N];
enum wr_rc flow_settings_read(json_t *const *v, const struct jpath *at, struct flow_def *f, struct wr_err *err) WR_MUST;
char *flow_settings_text(json_t *const *v);

struct flow_def *flow_new(void);
uint32_t node_n_task(const struct node_def *n);
/* def_flow_compile() without looking for equal inline tasks. CYCLE when there is one. */
enum wr_rc flow_compile(struct flow_def *f, struct wr_err *err) WR_MUST;

/* ---- edges: def_graph.c ---- */
/* prev[i]: the prevNodes of node i, NULL = absent; explicit keys are set, others NULL. Sets keys and parents, checks
 * shape and edges, and after flow_compile() reach. */
enum wr_rc graph_link(struct flow_def *f, json_t *const *prev, struct wr_err *err) WR_MUST;
enum wr_rc graph_reach(const struct flow_def *f, struct wr_err *err) WR_MUST;

/* ---- hashing: keyed, so that no user can choose names that collide ---- */
struct hash_seed { uint64_t a, b; };

/* Node keys -> index. Sized once for n keys; keys stay in flow_def.node. */
struct keymap { struct keymap_slot *slot; size_t mask; const struct node_def *node; struct hash_seed seed; };
#define KEYMAP_NONE UINT32_MAX
void keymap_init(struct keymap *m, const struct node_def *node, size_t n);
void keymap_done(struct keymap *m);
uint32_t keymap_find(const struct keymap *m, const char *key, size_t len);
uint32_t keymap_add(struct keymap *m, uint32_t i); /* KEYMAP_NONE, or the node that has that key already */

/* Equal inline tasks share one definition. Owns a reference of each. */
struct intern { struct task_def **slot; size_t cap, n; struct hash_seed seed; };
void intern_init(struct intern *t);
void intern_done(struct intern *t);
struct task_def *intern_find(const struct intern *t, const struct task_key *key); /* a new reference, or NULL */
void intern_add(struct intern *t, struct task_def *def);
struct task_key task_key_of(const struct task_def *t);
#endif
