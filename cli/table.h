/* A table on standard output: columns as wide as their widest cell, two blanks between. Main thread.
 * What never happens: a control character of a cell on a terminal. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 16 };
struct table { const char *const *title; size_t columns; char **cell; size_t n, cap; };
/* titles are borrowed. */
void table_begin(struct table *t, const char *const *titles, size_t columns);
void table_cell(struct table *t, const char *text);   /* the next one; copied. NULL or "" is shown as - */
/* At most so many characters of it, then "..". */
void table_cut(struct table *t, const char *text, size_t most);
void table_number(struct table *t, int64_t n);
void table_end(struct table *t, FILE *to);            /* prints and frees it */
#endif
