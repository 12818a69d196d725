/* Start and stop of the API: see api.h. One owner, the main thread; what the other threads read is set before they start. */
#include <stdlib.h>
#include <string.h>
#include "call.h"
#include "def.h"

/* Lower case is not needed: names are compared without case. */
static void make_hosts(struct api *a) {
  static const char *const always[] = {"localhost", "127.0.0.1", "[::1]"};
  size_t n = 0;
  a->host_name = wr_calloc(a->o.n_host + 4, sizeof *a->host_name);
  for (size_t i = 0; i < 3; i++) a->host_name[n++] = always[i];
  snprintf(a->listen_host, sizeof a->listen_host, "%.*s", (int)strcspn(a->o.listen, ":"), a->o.listen);
  a->host_name[n++] = a->listen_host;
  for (size_t i = 0; i < a->o.n_host; i++) a->host_name[n++] = a->o.host[i];
  a->hosts = (struct gate_hosts){a->host_name, n, strcmp(a->listen_host, "0.0.0.0") == 0};
}

static void api_free(struct api *a) {
  pthread_mutex_destroy(&a->merge);
  pthread_mutex_destroy(&a->large);
  free(a->host_name);
  free(a);
}

enum wr_rc api_start(const struct api_opts *o, struct api **out, struct wr_err *err) {
  struct api *a = wr_new(struct api);
  a->o = *o;
  pthread_mutex_init(&a->merge, NULL);
  pthread_mutex_init(&a->large, NULL);
  make_hosts(a);
  json_watch_memory();
  a->auth.open = o->dev;
  enum wr_rc rc = o->dev ? WR_OK : auth_load(&a->auth, o->data_dir, err);
  struct http_opts h = {.listen = o->listen, .threads = o->threads, .ctx = a, .handle = call_handle, .refuse = call_refuse};
  if (rc == WR_OK) rc = http_start(&h, &a->http, err);
  if (rc != WR_OK) {
    api_free(a);
    return rc;
  }
  *out = a;
  return WR_OK;
}

uint16_t api_port(const struct api *a) { return http_port(a->http); }
const char *api_token_path(const struct api *a) { return a->auth.open ? NULL : a->auth.path; }
void api_drain(struct api *a) { atomic_store(&a->draining, true); }

void api_stop(struct api *a) {
  if (!a) return;
  http_stop(a->http);
  api_free(a);
}
