/* Names of the lists of hints, and a number for each in this process. A list is that of a class: the type of its tasks, and the
 * labels that they ask of a member. A member pops only the lists of what it can run.
 *
 *   ECHO                  plain
 *   SHELL;gpu,zone=a      with labels, in their order by bytes
 *   a%20type              what is not plain is escaped, so no name can be taken for another one, nor for another key
 *   *                     shared: what has no list of its own, because its name is too long or there are too many lists
 *
 * One for each node; any thread; a leaf lock. Names stay until the node ends, LIMIT_HINT_CLASSES at most. What never happens: two
 * classes have one name; a name that is longer than LIMIT_HINT_CLASS_CHARS. */
#ifndef QUEUE_HINT_LISTS_H
#define QUEUE_HINT_LISTS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wr_limits.h"

#define HINT_CLASS_BYTES (LIMIT_HINT_CLASS_CHARS + 1)
#define HINT_LIST_SHARED 0
#define HINT_LIST_SHARED_NAME "*"

/* Lengths of lists, told one by one: NONE: there are no lists; AWAY: they are not known now. */
enum hints_told { HINTS_NONE, HINTS_KNOWN, HINTS_AWAY };
typedef void hints_each(void *to, const char *name, int64_t hints);

struct hint_lists;
struct hint_lists *hint_lists_new(void);
void hint_lists_free(struct hint_lists *l);

/* labels: "A,B", NULL = none. HINT_LIST_SHARED when there is no list for it. */
uint16_t hint_list(struct hint_lists *l, const char *type, const char *labels);
/* The name of a class as it was read: HINT_LIST_SHARED when it is none. */
uint16_t hint_list_named(struct hint_lists *l, const char *name, size_t n);
void hint_list_name(struct hint_lists *l, uint16_t list, char out[HINT_CLASS_BYTES]);

/* The name of a class; false: it would be too long. Pure. */
bool hint_class_name(const char *type, const char *labels, char out[HINT_CLASS_BYTES]);
/* And back. type, labels: HINT_CLASS_BYTES each; labels "" = none. False: no name that hint_class_name() makes. Pure. */
bool hint_class_read(const char *name, size_t n, char *type, char *labels);
#endif
