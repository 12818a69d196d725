/* Idempotency-Key: the header, and the hash of what was asked. Any API thread.
 *
 * The hash is SHA-256 over method, path and the body with its keys in order and without blanks; no body counts as {}. It
 * only tells two requests of one key apart. Without the header nothing is hashed. */
#include <openssl/sha.h>
#include <string.h>
#include "call.h"
#include "clock.h"

static int text_add(const char *text, size_t n, void *b) {
  buf_add(b, text, n);
  return 0;
}

static bool hash(struct call *c) {
  char path[GATE_PATH_MAX];
  struct buf b = BUF_INIT;
  const char *method = c->http->in.method;
  bool ok = gate_path(c->http->in.target, path, NULL) == WR_OK;
  if (ok) {
    buf_add(&b, method, strlen(method) + 1);
    buf_add(&b, path, strlen(path) + 1);
    if (c->body) ok = json_dump_callback(c->body, text_add, &b, JSON_COMPACT | JSON_SORT_KEYS) == 0;
    else buf_str(&b, "{}");
  }
  ok = ok && SHA256((const unsigned char *)b.data, b.len, c->key_hash) != NULL;
  buf_done(&b);
  return ok;
}

enum wr_rc key_read(struct call *c) {
  size_t n = 0;
  const char *v = gate_header(&c->http->in, "Idempotency-Key", &n);
  if (!v) return WR_OK;
  bool ok = n >= 1 && n <= LIMIT_KEY_CHARS && gate_count(&c->http->in, "Idempotency-Key") == 1;
  for (size_t i = 0; ok && i < n; i++) ok = v[i] > ' ' && v[i] <= '~';
  if (!ok) return call_fail(c, WR_BAD_KEY, NULL);
  if (!hash(c)) return call_fail(c, WR_INTERNAL, NULL);
  memcpy(c->key, v, n);
  return WR_OK;
}

/* Looks for what the key made before. WR_OK: found, and the answer says that it is replayed; NOT_FOUND: the key is free so far;
 * KEY_REUSED. */
static enum wr_rc key_find(struct call *c, enum key_kind kind, struct key_row *out) {
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_key(r, c->key, out, &c->err);
  reader_put(r);
  if (rc != WR_OK) return rc;
  if (out->kind != kind || memcmp(out->hash, c->key_hash, sizeof out->hash) != 0) return call_fail(c, WR_KEY_REUSED, NULL);
  c->page.replayed = true;
  return WR_OK;
}

enum wr_rc key_once(struct call *c, enum key_kind kind, key_save_fn *save, key_show_fn *show) {
  struct key_row made;
  if (!c->key[0]) return save(c, NULL);
  enum wr_rc rc = key_find(c, kind, &made);
  if (rc == WR_NOT_FOUND) {
    struct key_write key = {.key = c->key, .row = {.kind = (uint8_t)kind, .create_us = store_now(c->api->o.store)}};
    memcpy(key.row.hash, c->key_hash, sizeof key.row.hash);
    enum wr_rc said = save(c, &key);
    if (said == WR_OK) return said;
    struct wr_err err = c->err;
    rc = key_find(c, kind, &made); /* the same request on another connection was faster: that is why this one was refused */
    if (rc == WR_NOT_FOUND) c->err = err, rc = said;
  }
  return rc == WR_OK ? show(c, &made) : rc;
}
