/* What runs the tasks of executors that were registered at run time, by their mode. A mode that nobody here can run yet has a
 * table too, so that its tasks can be made, and wait.
 *
 * Constant; any thread. This is the one place where a mode gets its calls. */
#ifndef WORKER_ADDED_OPS_H
#define WORKER_ADDED_OPS_H
#include "added.h"
#include "mem.h"

const wx_ops *added_ops(enum added_mode mode);
/* Why no member runs tasks of this mode; NULL: those do that have the program, or may ask the URL. */
const char *added_nobody(enum added_mode mode);
/* Checks the file of a program, its sha256 too, and notes that it was right; of a URL whether it may be asked from here. False
 * with a sentence. It may take long; one thread at a time, not the loop's. */
bool added_check(struct added *a, char *why, size_t why_n);
/* The task as JSON, as a program gets it on its stdin and a URL as the body of its POST; config NULL = none. The loop's. */
void added_request(struct buf *b, const struct wx_exec *x, const char *config);
/* The file of a program, checked: a descriptor; -1 with a sentence. */
int program_file(const struct added *a, char *err, size_t err_n);
/* Runs the program of an analyzer from that descriptor, which it takes: the request on its stdin, by the analyzer's own config.
 * -1 with a sentence; else child_done() of the attempt's table comes. */
int program_analyze(const wx_host *h, wx_exec *x, const struct added *a, int fd, const struct buf *request, char *err,
                    size_t err_n);
/* ---- analysis.c ---- */
extern const wx_ops analysis_ops;   /* of attempts that are analyses */
void analysis_heard(struct wx_exec *x, const void *p, size_t n);   /* what its program writes */
/* ---- url.c ---- */
char *url_of(const struct added *a);   /* malloc'ed; NULL: it has none, which the registry does not let through */
extern const wx_ops added_url_ops;
bool url_offer(const struct added *a, char *why, size_t why_n);
#endif
