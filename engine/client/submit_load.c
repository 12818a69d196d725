/* A submit with all that it points to: see submit_load.h. */
#include "submit_load.h"
#include <openssl/sha.h>
#include <stdlib.h>

_Static_assert(ASYNC_HASH_BYTES == SHA256_DIGEST_LENGTH, "one hash for all");

static void submit_free(struct load *l) {
  struct submit *s = (struct submit *)(void *)l;
  for (uint32_t i = 0; i < s->n; i++) {
    params_unref(s->task[i].params);
    async_post_done(&s->post[i]);
  }
  free(s->post);
  free(s);
}

struct submit *submit_new(uint32_t n) {
  struct submit *s = wr_calloc(1, sizeof *s + n * sizeof *s->task);
  atomic_init(&s->load.refs, 1);
  s->load.free = submit_free;
  s->post = wr_calloc((size_t)n + 1, sizeof *s->post);
  s->n = n;
  return s;
}

static void content_hash(const json_t *body, int64_t task_id, uint8_t out[ASYNC_HASH_BYTES]) {
  struct buf b = BUF_INIT;
  async_text(body, task_id, &b);
  (void)SHA256((const unsigned char *)b.data, b.len, out);
  buf_done(&b);
}

void submit_take(struct submit *s, uint32_t i, int64_t task_id) {
  const struct async_post *p = &s->post[i];
  s->task[i] = (struct req_task){.task_id = task_id, .def = p->def, .params = p->params ? params_new(p->params) : NULL,
                                 .spec = p->spec};
}

enum wr_rc submit_read(struct submit *s, uint32_t i, const json_t *body, int64_t element, int64_t task_id,
                       const struct def_env *env, struct wr_err *err) {
  struct async_post *p = &s->post[i];
  enum wr_rc rc = async_parse(body, task_id ? ASYNC_BY_ID : ASYNC_INLINE, env, element, p, err);
  if (rc != WR_OK) return rc;
  if (p->spec->key) content_hash(body, task_id, p->spec->hash);
  submit_take(s, i, task_id);
  return WR_OK;
}
