/* Strict parsing and checks of text. Pure; no locale, no leading or trailing space is forgiven. */
#ifndef WR_TEXT_H
#define WR_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_ID_MAX 9007199254740991LL /* 2^53 - 1: exact in every JSON reader */

/* Decimal digits only (a leading '-' too for i64); whole string; false when out of range or empty. */
bool text_i64(const char *s, size_t n, int64_t *out);
bool text_id(const char *s, size_t n, int64_t *out); /* 1 .. WR_ID_MAX, ASCII digits, no leading zero */
/* "2", "0.5", "500ms", "2s", "5m", "1h", "1d": a plain number is seconds, exponents are allowed ("1e-3").
 * To the microsecond; false when negative, not finite or above max_us. "0" is right. */
bool text_duration(const char *s, size_t n, int64_t max_us, int64_t *out_us);
/* "65536", "512KiB", "64MiB", "1GiB": whole numbers of bytes; false when above max or of another form. */
bool text_size(const char *s, size_t n, int64_t max, int64_t *out);
bool text_utf8(const char *s, size_t n);         /* well-formed, no surrogates */
size_t text_utf8_len(const char *s, size_t n);   /* code points of well-formed text */
bool text_has_control(const char *s, size_t n);  /* C0, DEL, C1, bidi controls */
/* Where the first of these begins, or a byte that is no UTF-8; n = nowhere. *len: its bytes; *cp: U+FFFD for such a byte. */
size_t text_control_at(const char *s, size_t n, size_t *len, uint32_t *cp);
/* In place: each of these becomes one character `by`, so that a terminal shows s and does nothing else. Returns the length. */
size_t text_plain(char *s, size_t n, char by);
bool text_node_key(const char *s, size_t n);     /* 1-128 of A-Z a-z 0-9 _ . : - */
bool text_env_name(const char *s, size_t n);     /* [A-Za-z_][A-Za-z0-9_]*, 1-128 */
#define TEXT_FNV 2166136261u
uint32_t text_fnv(uint32_t h, const char *s, size_t n);   /* FNV-1a of these bytes behind h; TEXT_FNV: of these alone */
int64_t text_pair_hash(uint64_t salt, const char *a, const char *b);   /* never 0 */
bool text_visible(const char *s, size_t n);      /* visible ASCII; none is */
int text_hex(char c);                            /* 0 to 15; -1 = no hex digit */
/* The byte that the "%XX" at the start of s stands for; -1 when it is broken. */
int text_percent(const char *s, size_t n);
/* Copies s into out with each "%XX" decoded; out has n + 1 bytes and ends with a NUL. False when a "%XX" is broken or stands for
 * NUL. */
bool text_unpercent(char *out, const char *s, size_t n);
/* Copies s in at most max bytes (3 or more): a longer text is cut at a character and ends with "...". out has max + 1 bytes.
 * Returns the length. */
size_t text_cut(char *out, const char *s, size_t max);
/* What a sentence that ends with s still lacks: "." or, when s has its own end, "". */
const char *text_stop(const char *s);
/* Edit distance up to 3 (else 4): for "did you mean". */
int text_distance(const char *a, const char *b);
/* A JSON pointer: that of the object `up`, and the name of one of its members. Cut at a character where out is full.
 * Returns out. */
const char *text_pointer(char *out, size_t size, const char *up, const char *name);
#endif
