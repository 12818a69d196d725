/* Where the state of an installation lies: see place.h. */
#include "place.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "datadir.h"
#include "identity.h"

enum wr_rc place_of(const struct config *c, struct place *p, struct wr_err *err) {
  struct stat st;
  p->data = config_text(c, OPT_DATA) ? config_text(c, OPT_DATA) : "/var/lib/weir";
  p->store = config_text(c, OPT_STORE);
  p->known = p->store != NULL;
  int n = snprintf(p->url, sizeof p->url, "sqlite:%s/weir.db", p->data);
  if (n >= (int)sizeof p->url) return wr_err_set(err, WR_BAD_REQUEST, "--data: the path is too long.");
  if (!p->store) p->known = stat(strchr(p->url, ':') + 1, &st) == 0, p->store = p->url;
  return WR_OK;
}

enum wr_rc place_take(const struct place *p, struct wr_err *err) {
  struct identity id;
  struct stat st;
  if (stat(p->data, &st) != 0 || !S_ISDIR(st.st_mode))
    return wr_err_set(err, WR_NOT_FOUND,
                      "There is no data directory %.100s: name it with --data. A server makes it at its first start.", p->data);
  enum wr_rc rc = identity_find(NULL, p->data, false, &id, err);
  if (!rc) rc = datadir_open(p->data, &id, err);
  if (!rc) rc = identity_take(&id, err);
  identity_done(&id);
  return rc;
}
