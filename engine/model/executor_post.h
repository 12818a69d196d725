/* POST /executor, POST /analyzer: what it asks for, checked as far as its form goes; the same as the store keeps
 * it, and as answers show it.
 *
 * Pure; any thread. What never happens: a text of a header that holds a secret in an answer; two bodies of one content that
 * differ as text. */
#ifndef MODEL_EXECUTOR_POST_H
#define MODEL_EXECUTOR_POST_H
#include <jansson.h>
#include <stdbool.h>
#include "added.h"
#include "added_kind.h"
#include "mem.h"

/* One of them. Texts are malloc'ed; executor_post_done() gives all back, after a failure too. */
struct analyzer;
struct executor_post {
  enum added_kind kind;
  char *type, *id;                /* id NULL = none */
  char *body;                     /* canonical JSON of all that counts as content */
  char *location;                 /* the first of them; NULL = none */
  json_t *config;                 /* a reference; NULL = none */
  struct analyzer *analyzer;      /* of an executor: the default of its tasks; NULL = none */
  enum added_mode mode;
  bool replace;
  int64_t max_running, rate_count, rate_per_us;   /* of the type; -1 = none */
};
enum wr_rc executor_post_parse(const json_t *body, enum added_kind kind, struct executor_post *out, struct wr_err *err) WR_MUST;
void executor_post_done(struct executor_post *p);

bool type_form(const char *s, size_t n);    /* a letter, then up to 63 of A-Z, a-z, 0-9, _, . and - */
/* The form alone: no "..", no control character, no part that is empty. */
bool program_path_form(const char *path, size_t n);
/* path: absolute, of that form. It lies below dir, an absolute path without a '/' at its end. */
bool program_path_below(const char *path, const char *dir);

/* What a node keeps of a body that the store kept; INTERNAL: it is broken. */
enum wr_rc executor_read(const char *body, enum added_kind kind, struct added **out, struct wr_err *err) WR_MUST;
/* The members of the object that an answer shows of it: values of secret headers are "***". */
void executor_fields(struct buf *b, enum added_kind kind, const char *body);
/* A JSON object or NULL, with "***" for values of secret headers. malloc'ed, NULL = none. */
char *config_masked(const char *config);
/* Both are JSON objects or NULL; what `own` says wins. malloc'ed, NULL = none. */
char *config_over(const char *own, const char *defaults);
#endif
