/* What an answer says, and what follows from it. Pure: no socket, no clock; any thread. What a hostile server sends comes through
 * here: each size has its limit (wr_limits.h), and tests/fuzz knows this file. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_WHY = 256 };
/* BLOCKED: the URL may not be asked from here. NO_ANSWER: none came, or half of one. UNABLE: this node has no client. */
enum http_flaw { HTTP_ANSWERED, HTTP_BLOCKED, HTTP_TOO_LARGE, HTTP_BAD_HEADER, HTTP_NO_ANSWER, HTTP_UNABLE };

struct http_answer {
  enum http_flaw flaw;
  char why[HTTP_WHY];              /* a clause without a stop; "" with ANSWERED */
  int status;
  char *body; size_t len;          /* malloc'ed, NULL = none */
  char *location;                  /* malloc'ed, NULL = none */
  bool has_retry; int64_t retry_us;
  char *picked; size_t picked_len; /* what the pointer picks of the body; NULL: nothing, and pick_why says why */
  const char *pick_why;
  size_t head_bytes; unsigned head_lines;   /* of head_line() */
};
void answer_done(struct http_answer *a);

/* One header line as it came. False: there is too much of them, or one is none; flaw and why are set. */
bool answer_line(struct http_answer *a, const char *p, size_t n);
/* Sets picked or pick_why. pointer: as of RFC 6901, "" = all of it. One pass and no tree, whatever the answer is made of. */
void answer_pick(struct http_answer *a, const char *pointer);

/* The status counts: it came with a body that was read, or that is too large. */
bool answer_came(const struct http_answer *a);
/* A 4xx that a new try does not change. */
bool answer_final(int status);

enum http_next { NEXT_OK, NEXT_FAIL, NEXT_FATAL, NEXT_POLL, NEXT_AGAIN, NEXT_REDIRECT };
struct http_wanted {
  const int *status; size_t n_status;   /* n_status 0: 200 to 299 */
  bool polling, follows;                /* it was a poll of a Location; redirects are allowed */
};
enum http_next answer_next(const struct http_answer *a, const struct http_wanted *w);
#endif
