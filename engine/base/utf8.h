/* Private to base: one UTF-8 sequence at a time. Pure, any thread; never reads past s + n. */
#ifndef WR_UTF8_H
#define WR_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed sequence at s (1-4) and its code point; 0 when there is none. */
static inline size_t utf8_next(const char *s, size_t n, uint32_t *cp) {
  const unsigned char *p = (const unsigned char *)s;
  if (n == 0) return 0;
  if (p[0] < 0x80) { *cp = p[0]; return 1; }
  size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
  if (p[0] < 0xC2 || p[0] > 0xF4 || n < len) return 0;
  uint32_t c = p[0] & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++) {
    if ((p[i] & 0xC0) != 0x80) return 0;
    c = c << 6 | (p[i] & 0x3Fu);
  }
  /* Two-byte overlongs end at C1, so only the longer forms need their minimum. */
  if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10FFFF))) return 0;
  if (c >= 0xD800 && c <= 0xDFFF) return 0;
  *cp = c;
  return len;
}

/* C0, DEL, C1 and the marks that turn the direction of text: what can deceive a reader of a terminal. */
static inline bool utf8_is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}
#endif
