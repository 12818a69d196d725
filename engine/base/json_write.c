/* JSON into a buffer: see json_write.h. */
#include "json_write.h"
#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "text.h"

static void json_escape(struct buf *b, unsigned char c) {
  static const char hex[] = "0123456789abcdef";
  char e[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
  switch (c) {
  case '"': case '\\': e[1] = (char)c; break;
  case '\b': e[1] = 'b'; break;
  case '\f': e[1] = 'f'; break;
  case '\n': e[1] = 'n'; break;
  case '\r': e[1] = 'r'; break;
  case '\t': e[1] = 't'; break;
  default: break;
  }
  buf_add(b, e, e[1] == 'u' ? 6 : 2);
}

void buf_json(struct buf *b, const char *s, size_t n) {
  buf_reserve(b, n + 2);
  buf_ch(b, '"');
  size_t from = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    if (i > from) buf_add(b, s + from, i - from);
    json_escape(b, c);
    from = i + 1;
  }
  if (n > from) buf_add(b, s + from, n - from);
  buf_ch(b, '"');
}

/* No comma follows an opening bracket or the colon of a key; no value ends with one of these characters. */
static void comma(struct buf *b) {
  char last = b->len > 0 ? b->data[b->len - 1] : ':';
  if (last != '{' && last != '[' && last != ':') buf_ch(b, ',');
}

void j_open(struct buf *b, char bracket) {
  comma(b);
  buf_ch(b, bracket);
}

void j_close(struct buf *b, char bracket) { buf_ch(b, bracket); }

void j_key(struct buf *b, const char *k) {
  comma(b);
  buf_ch(b, '"');
  buf_str(b, k);
  buf_add(b, "\":", 2);
}

void j_text(struct buf *b, const char *k, const char *v) {
  if (!v) return;
  j_key(b, k);
  buf_json(b, v, strlen(v));
}

static void base64(struct buf *b, const unsigned char *p, size_t n) {
  static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  buf_ch(b, '"');
  for (size_t i = 0; i < n; i += 3) {
    size_t left = n - i;
    uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
    buf_ch(b, digit[v >> 18]);
    buf_ch(b, digit[v >> 12 & 63]);
    buf_ch(b, left > 1 ? digit[v >> 6 & 63] : '=');
    buf_ch(b, left > 2 ? digit[v & 63] : '=');
  }
  buf_ch(b, '"');
}

void j_bytes(struct buf *b, const char *k, const char *v, size_t n) {
  if (!v) return;
  if (text_utf8(v, n)) {
    j_key(b, k);
    buf_json(b, v, n);
    return;
  }
  char name[64];
  snprintf(name, sizeof name, "%sBase64", k);
  j_key(b, name);
  base64(b, (const unsigned char *)v, n);
}

void j_i64(struct buf *b, const char *k, int64_t v) {
  j_key(b, k);
  buf_i64(b, v);
}

void j_bool(struct buf *b, const char *k, bool v) {
  j_key(b, k);
  buf_str(b, v ? "true" : "false");
}

void j_raw(struct buf *b, const char *k, const char *json) {
  if (!json) return;
  j_key(b, k);
  buf_str(b, json);
}

void j_string(struct buf *b, const char *v) {
  comma(b);
  buf_json(b, v, strlen(v));
}

void j_members(struct buf *b, const char *json) {
  size_t n = json ? strlen(json) : 0;
  if (n <= 2) return; /* {} */
  comma(b);
  buf_add(b, json + 1, n - 2);
}

void j_time(struct buf *b, const char *s2, const char *rfc, int64_t us) {
  char s[CLOCK_S2_LEN], r[CLOCK_RFC_LEN];
  if (us == 0) return;
  clock_s2(s, us);
  j_text(b, s2, s);
  if (!rfc) return;
  clock_rfc3339(r, us);
  j_text(b, rfc, r);
}
