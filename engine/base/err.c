/* Error codes, their sentences, and how an error is filled in.
 * Owner: the caller owns every struct wr_err. Any thread; no state. Never allocates, never logs. */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

enum { QUOTE_BYTES = 64 };
_Static_assert(QUOTE_BYTES * 4 + sizeof "\"\"..." <= WR_QUOTE_MAX, "the longest quote fits");

const char *wr_err_symbol(enum wr_rc code) {
  switch (code) {
#define WR_ERROR(num, sym, text) case WR_##sym: return #sym;
#include "errors.def"
#undef WR_ERROR
  case WR_OK: break;
  }
  return "INTERNAL";
}

const char *wr_err_text(enum wr_rc code) {
  switch (code) {
#define WR_ERROR(num, sym, text) case WR_##sym: return text;
#include "errors.def"
#undef WR_ERROR
  case WR_OK: break;
  }
  return "Internal error.";
}

void wr_err_clear(struct wr_err *err) {
  if (!err) return;
  err->code = WR_OK;
  err->msg[0] = err->path[0] = '\0';
  err->limit = err->got = -1;
}

/* Copies a string, cut to the room without splitting a UTF-8 sequence. */
static void copy_cut(char *dst, size_t room, const char *src) {
  size_t n = strlen(src);
  if (n >= room) {
    n = room - 1;
    while (n > 0 && ((unsigned char)src[n] & 0xC0) == 0x80) n--;
  }
  memcpy(dst, src, n);
  dst[n] = '\0';
}

__attribute__((format(printf, 4, 0)))
static void fill(struct wr_err *err, enum wr_rc code, const char *path, const char *fmt, va_list ap) {
  if (!err) return;
  /* Writes into locals first, because the arguments may point into *err. */
  char msg[2 * sizeof err->msg], at[sizeof err->path];
  copy_cut(at, sizeof at, path ? path : "");
  if (!fmt || vsnprintf(msg, sizeof msg, fmt, ap) < 0) copy_cut(msg, sizeof msg, wr_err_text(code));
  wr_err_clear(err);
  err->code = code;
  copy_cut(err->msg, sizeof err->msg, msg);
  copy_cut(err->path, sizeof err->path, at);
}

enum wr_rc wr_err_set(struct wr_err *err, enum wr_rc code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fill(err, code, NULL, fmt, ap);
  va_end(ap);
  return code;
}

enum wr_rc wr_err_errno(struct wr_err *err, const char *what) {
  return wr_err_set(err, WR_INTERNAL, "%s: %s.", what, strerrordesc_np(errno));
}

enum wr_rc wr_err_at(struct wr_err *err, enum wr_rc code, const char *path, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fill(err, code, path, fmt, ap);
  va_end(ap);
  return code;
}

/* One sequence, as it is or escaped: at most four bytes out for each byte in. */
static char *quote_one(char *o, const char *s, size_t len, bool raw) {
  static const char hex[] = "0123456789abcdef";
  if (raw) {
    memcpy(o, s, len);
    return o + len;
  }
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    const char *shorts = "\"\"\\\\\nn\rr\tt"; /* pairs: byte, letter */
    *o++ = '\\';
    while (*shorts && *shorts != s[i]) shorts += 2;
    if (*shorts) {
      *o++ = shorts[1];
    } else {
      *o++ = 'x';
      *o++ = hex[c >> 4];
      *o++ = hex[c & 15];
    }
  }
  return o;
}

const char *wr_err_quote(char out[WR_QUOTE_MAX], const char *s, size_t n) {
  char *o = out;
  size_t i = 0;
  *o++ = '"';
  while (i < n) {
    uint32_t cp = 0;
    size_t len = utf8_next(s + i, n - i, &cp);
    bool raw = len > 0 && !utf8_is_control(cp) && cp != '"' && cp != '\\';
    if (len == 0) len = 1; /* a stray byte is shown by its number */
    if (i + len > QUOTE_BYTES) break;
    o = quote_one(o, s + i, len, raw);
    i += len;
  }
  *o++ = '"';
  if (i < n) {
    memcpy(o, "...", 3);
    o += 3;
  }
  *o = '\0';
  return out;
}

_Noreturn void wr_assert_fail(const char *what, const char *file, int line) {
  fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
  abort();
}
