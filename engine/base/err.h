/* Errors: one number for every failure a caller can see, with its details.
 *
 * A fallible function returns enum wr_rc: WR_OK (0) or a five-digit code from errors.def, and fills *err when
 * it is not NULL. The caller owns the struct; nothing in it is allocated. Library code never logs an error it
 * returns. Messages are constants with arguments; user input is cut to 64 bytes and escaped by wr_err_quote(). */
#ifndef WR_ERR_H
#define WR_ERR_H
#include <stddef.h>
#include <stdint.h>

enum wr_rc {
  WR_OK = 0,
#define WR_ERROR(num, sym, text) WR_##sym = num,
#include "errors.def"
#undef WR_ERROR
};

#define WR_MUST __attribute__((warn_unused_result))

struct wr_err {
  enum wr_rc code;
  char msg[256];   /* one plain sentence */
  char path[160];  /* JSON pointer of the field, "" when none */
  int64_t limit, got; /* -1 = none */
};

const char *wr_err_symbol(enum wr_rc code); /* "BAD_JSON"; "INTERNAL" for a code that is not in the list */
const char *wr_err_text(enum wr_rc code);
static inline int wr_err_status(enum wr_rc code) { return code == WR_OK ? 200 : (int)code / 100; }

void wr_err_clear(struct wr_err *err);
/* Sets code and message (fmt NULL = the list's sentence), keeps nothing of what was there. Returns code. */
enum wr_rc wr_err_set(struct wr_err *err, enum wr_rc code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* INTERNAL, "<what>: <what errno says>." */
enum wr_rc wr_err_errno(struct wr_err *err, const char *what);
/* The same as wr_err_set() with the JSON pointer of the field at fault. */
enum wr_rc wr_err_at(struct wr_err *err, enum wr_rc code, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Up to 64 bytes of s, control characters and quotes escaped, in quotes. Returns out. */
#define WR_QUOTE_MAX 272
const char *wr_err_quote(char out[WR_QUOTE_MAX], const char *s, size_t n);

/* A bug: prints file, line and text, then aborts; stays on in release. */
_Noreturn void wr_assert_fail(const char *what, const char *file, int line);
#define wr_assert(x) ((x) ? (void)0 : wr_assert_fail(#x, __FILE__, __LINE__))
#endif
