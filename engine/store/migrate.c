/* The order of the files and every sentence about a schema: see migrate.h. */
#include "migrate.h"
#include "log.h"

/* The oldest program that may run on a database to which all files were applied. */
static int64_t oldest_after(const struct migrate_db *db) {
  const struct schema_file *last = &db->set->file[db->set->n - 1];
  return last->oldest ? last->oldest : last->version;
}

static void tell(const struct migrate_db *db, enum migrate_event event, const struct schema_now *now, const struct schema_file *f,
                 size_t step) {
  int64_t oldest = oldest_after(db);
  if (!db->watch->tell) return;
  const struct migrate_told t = {event, db->name, now->version, schema_newest(db->set),
                                 oldest > SCHEMA_BESIDE ? oldest : SCHEMA_BESIDE, f, step};
  db->watch->tell(db->watch->ctx, &t);
}

enum wr_rc migrate_foreign(const struct migrate_db *db, struct wr_err *err) {
  return wr_err_set(err, WR_STORE_REFUSED, "%.120s is a database of another program. Use an empty one.", db->name);
}

enum wr_rc migrate_may_go_on(const struct migrate_db *db, struct wr_err *err) {
  const struct migrate_watch *w = db->watch;
  if (!w->stopping || !w->stopping(w->stopping_ctx)) return WR_OK;
  return wr_err_set(err, WR_DB_UNAVAILABLE,
                    "It was told to stop before the database had its schema. The next start goes on there.");
}

/* The database has our schema, or a newer one. */
static enum wr_rc may_run(const struct migrate_db *db, const struct schema_now *now, struct wr_err *err) {
  int64_t ours = schema_newest(db->set);
  if (now->version == ours) return WR_OK;
  if (now->oldest == 0 || ours < now->oldest)
    return wr_err_set(err, WR_STORE_REFUSED, "%.120s has schema %lld, which this weir (schema %lld) may not use: "
                      "start a newer weir, or restore the backup from before the upgrade.",
                      db->name, (long long)now->version, (long long)ours);
  if (db->watch->how == MIGRATE_APPLY)
    log_warn("store.schema_newer", L_STR("db", db->name), L_INT("schema", now->version), L_INT("ours", ours));
  return WR_OK;
}

/* find: old_node or shut_out of migrate_ops. */
static enum wr_rc refuse_beside_old_nodes(struct migrate_db *db, const struct schema_now *now, migrate_node_fn *find,
                                          struct wr_err *err) {
  char node[64] = "";
  if (!find || now->version == 0) return WR_OK;
  enum wr_rc rc = find(db, now->version, oldest_after(db), node, err);
  if (rc || !node[0]) return rc;
  return wr_err_set(err, WR_STORE_REFUSED, "A node of an older weir (%s) uses the database, and cannot work with schema %lld: "
                    "stop it first. A node that was killed counts as running until its lease ends.",
                    node, (long long)schema_newest(db->set));
}

/* A refusal names the statement: somebody has to look at what stands in its way. */
static enum wr_rc refused_at(const struct schema_file *f, size_t i, enum wr_rc rc, struct wr_err *err) {
  struct wr_err why;
  if (rc != WR_STORE_REFUSED || !err) return rc;
  why = *err;
  if (i == f->n) return wr_err_set(err, rc, "%s, its row of schema_version: %s", f->name, why.msg);
  return wr_err_set(err, rc, "%s, statement %zu of %zu: %s", f->name, i + 1, f->n, why.msg);
}

static enum wr_rc apply_file(struct migrate_db *db, const struct schema_now *now, const struct schema_file *f,
                             struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  tell(db, MIGRATE_FILE, now, f, 0);
  for (size_t i = 0; i < f->n && !rc; i++) {
    rc = migrate_may_go_on(db, err);
    if (rc) return rc;
    rc = refused_at(f, i, db->ops->step(db, &f->step[i], err), err);
    if (!rc) tell(db, MIGRATE_STEP, now, f, i);
  }
  if (!rc) rc = refused_at(f, f->n, db->ops->number(db, f, err), err);
  if (!rc) tell(db, MIGRATE_STEP, now, f, f->n);
  return rc;
}

static bool outdated(const struct migrate_db *db) { return db->found.version < schema_newest(db->set); }

/* Looks again, because another process may have applied the files while we waited for our turn. */
static enum wr_rc apply(struct migrate_db *db, struct wr_err *err) {
  enum wr_rc rc = db->ops->now(db, &db->found, err);
  if (rc) return rc;
  if (!outdated(db)) return may_run(db, &db->found, err);
  rc = refuse_beside_old_nodes(db, &db->found, db->ops->shut_out, err);
  for (size_t i = 0; i < db->set->n && !rc; i++)
    if (db->set->file[i].version > db->found.version) rc = apply_file(db, &db->found, &db->set->file[i], err);
  return rc;
}

static enum wr_rc look(struct migrate_db *db, struct wr_err *err) {
  enum wr_rc rc = db->ops->now(db, &db->found, err);
  if (rc) return rc;
  tell(db, MIGRATE_FOUND, &db->found, NULL, 0);
  if (!outdated(db)) return may_run(db, &db->found, err);
  if (db->watch->how == MIGRATE_APPLY) return WR_OK;
  for (size_t i = 0; i < db->set->n; i++)
    if (db->set->file[i].version > db->found.version) tell(db, MIGRATE_FILE, &db->found, &db->set->file[i], 0);
  return refuse_beside_old_nodes(db, &db->found, db->ops->old_node, err);
}

static enum wr_rc end(struct migrate_db *db, enum wr_rc rc, struct wr_err *err) {
  rc = db->ops->end(db, rc, err);
  if (rc) return rc;
  tell(db, MIGRATE_DONE, &db->found, NULL, 0);
  if (db->found.version > 0 && outdated(db))
    log_info("store.migrated", L_STR("db", db->name), L_INT("from", db->found.version), L_INT("to", schema_newest(db->set)));
  return WR_OK;
}

/* The last is committed first: see migrate.h. */
static enum wr_rc change(struct migrate_db *const *db, size_t n, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  size_t begun = 0;
  for (; begun < n && !rc; begun += !rc) rc = db[begun]->ops->begin(db[begun], err);
  for (size_t i = 0; i < n && !rc; i++) rc = apply(db[i], err);
  for (size_t i = 0; i < n && !rc && n > 1; i++) rc = db[i]->ops->ready(db[i], err);
  while (begun-- > 0) rc = end(db[begun], rc, err);
  return rc;
}

enum wr_rc migrate_up(struct migrate_db *const *db, size_t n, struct wr_err *err) {
  struct migrate_db *old[MIGRATE_TOGETHER];
  size_t n_old = 0;
  wr_assert(n > 0 && n <= MIGRATE_TOGETHER);
  for (size_t i = 0; i < n; i++) {
    enum wr_rc rc = look(db[i], err);
    if (rc) return rc;
    if (outdated(db[i])) old[n_old++] = db[i];
  }
  return n_old > 0 && db[0]->watch->how == MIGRATE_APPLY ? change(old, n_old, err) : WR_OK;
}
