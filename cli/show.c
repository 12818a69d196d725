/* One thing: see show.h. */
#include "show.h"
#include <stdlib.h>
#include "client.h"
#include "json_out.h"
#include "table.h"

enum { LABEL_BYTES = 160, DEPTH = 8, VALUE_CHARS = 200 };

static void value(struct table *t, const char *label, const json_t *v) {
  table_cell(t, label);
  if (json_is_integer(v)) table_number(t, json_integer_value(v));
  else if (json_is_boolean(v)) table_cell(t, json_is_true(v) ? "yes" : "no");
  else if (json_is_string(v) || json_is_null(v)) table_cut(t, json_string_value(v), VALUE_CHARS);
  else {
    char *s = json_text(v, 0); /* a real number, or what lies too deep */
    table_cut(t, s, VALUE_CHARS);
    free(s);
  }
}

/* "counts.failed  3", "members.0.host  db1". */
static void fields(struct table *t, const char *label, json_t *v, int depth) {
  char name[LABEL_BYTES];
  const char *key, *dot = *label ? "." : "";
  json_t *in;
  if (depth < DEPTH && json_is_object(v) && json_object_size(v) > 0) {
    json_object_foreach(v, key, in) {
      snprintf(name, sizeof name, "%s%s%s", label, dot, key);
      fields(t, name, in, depth + 1);
    }
  } else if (depth < DEPTH && json_is_array(v) && json_array_size(v) > 0) {
    for (size_t i = 0; i < json_array_size(v); i++) {
      snprintf(name, sizeof name, "%s%s%zu", label, dot, i);
      fields(t, name, json_array_get(v, i), depth + 1);
    }
  } else if (json_is_object(v) || (json_is_array(v) && depth < DEPTH)) {
    table_cell(t, label);
    table_cell(t, json_object_size(v) ? ".." : NULL);
  } else {
    value(t, label, v);
  }
}

void show_one(const struct config *c, json_t *one) {
  static const char *const titles[] = {"FIELD", "VALUE"};
  struct table t;
  if (config_num(c, OPT_SHAPE)) {
    client_print(one);
  } else {
    table_begin(&t, titles, sizeof titles / sizeof *titles);
    fields(&t, "", one, 0);
    table_end(&t, stdout);
  }
  json_decref(one);
}
