/* Tables: see table.h. */
#include "table.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "err.h"
#include "mem.h"
#include "text.h"

void table_begin(struct table *t, const char *const *titles, size_t columns) {
  wr_assert(columns <= TABLE_COLUMNS);
  *t = (struct table){.title = titles, .columns = columns};
}

void table_cell(struct table *t, const char *text) {
  char *copy = wr_strdup(text && *text ? text : "-");
  copy[text_plain(copy, strlen(copy), '?')] = '\0';
  *WR_PUSH(t->cell, t->n, t->cap) = copy;
}

void table_number(struct table *t, int64_t n) {
  char s[32];
  snprintf(s, sizeof s, "%" PRId64, n);
  table_cell(t, s);
}

/* A character begins with any byte but those that go on with one. */
void table_cut(struct table *t, const char *text, size_t most) {
  size_t at = 0, n = 0;
  if (!text) text = "";
  while (text[at] && (n += ((unsigned char)text[at] & 0xC0) != 0x80) <= most) at++;
  char *cut = wr_malloc(at + 3);
  snprintf(cut, at + 3, "%.*s%s", (int)at, text, text[at] ? ".." : "");
  table_cell(t, cut);
  free(cut);
}

/* Characters, not bytes; each counts as one column. */
static size_t width(const char *s) {
  size_t n = 0;
  for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
  return n;
}

static void line(FILE *to, const char *const *cell, const size_t *wide, size_t columns) {
  for (size_t i = 0; i < columns; i++) {
    fputs(cell[i], to);
    if (i + 1 < columns) fprintf(to, "%*s", (int)(wide[i] - width(cell[i]) + 2), "");
  }
  fputc('\n', to);
}

void table_end(struct table *t, FILE *to) {
  size_t wide[TABLE_COLUMNS] = {0};
  wr_assert(t->n % t->columns == 0);
  for (size_t i = 0; i < t->columns; i++) wide[i] = width(t->title[i]);
  for (size_t i = 0; i < t->n; i++)
    if (width(t->cell[i]) > wide[i % t->columns]) wide[i % t->columns] = width(t->cell[i]);
  line(to, t->title, wide, t->columns);
  for (size_t i = 0; i < t->n; i += t->columns) line(to, (const char *const *)(t->cell + i), wide, t->columns);
  for (size_t i = 0; i < t->n; i++) free(t->cell[i]);
  free(t->cell);
}
