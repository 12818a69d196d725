/* Where the lines of a thread go: to stderr at the process's level, or to a place of their own, such as the sink of a library's
 * handle, at its level. A thread that log_thread() makes logs where its maker did. Any thread.
 * What never happens: a line of one place in another; a sink that is called once log_place_sink() or log_place_shut() is back. */
#ifndef WR_LOG_PLACE_H
#define WR_LOG_PLACE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
struct log_place;
/* level: an enum log_level. Freed with its last reference. A thread that is there, or a handle, must keep one. */
struct log_place *log_place_new(int level);
struct log_place *log_place_ref(struct log_place *p);
void log_place_unref(struct log_place *p);   /* NULL is fine */
/* NULL: to stderr. sink: one call at a time, with a line that ends with a NUL and no line feed; it may not log. */
void log_place_sink(struct log_place *p, void (*sink)(int level, const char *line, void *user), void *user);
void log_place_shut(struct log_place *p);    /* no line comes any more, whoever still runs */
/* From now on lines of this thread go there; NULL: to the process's place. Returns where they went. */
struct log_place *log_here(struct log_place *p);
struct log_place *log_where(void);
int log_thread(pthread_t *t, const pthread_attr_t *how, void *(*run)(void *), void *arg);   /* as pthread_create() */

/* ---- for log.c ---- */
extern atomic_int log_most;                  /* no place takes a greater level: what most lines are compared with */
void log_place_process(int level);
bool log_place_takes(int level);
void log_place_put(int level, char *line, size_t n);   /* n with its line feed, which is the last byte */
#endif
