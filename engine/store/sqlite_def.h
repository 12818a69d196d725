/* The statements of the definition writer, and what its files share. Private to sqlite_defs.c, sqlite_flow.c and sqlite_keys.c.
 * Everything here is called with def_lock held. */
#ifndef SQLITE_DEF_H
#define SQLITE_DEF_H
#include "sqlite_priv.h"

#define DEF_STMTS(X) \
  X(DEF_BEGIN, "BEGIN IMMEDIATE") \
  X(DEF_COMMIT, "COMMIT") \
  X(DEF_ROLLBACK, "ROLLBACK") \
  X(DEF_RAISE, "UPDATE definitions SET version=?1") \
  X(DEF_IDS, "UPDATE id_block SET next=?2 WHERE kind=?1") \
  X(DEF_TASK, "SELECT task_version, create_time FROM task WHERE task_id=?1 AND deleted=0") \
  X(DEF_TASK_INSERT, "INSERT INTO task (task_id, task_version, task_name, task_description, task_type, task_config, task_content, " \
    "update_time, update_user, create_time, create_user) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?8,?10)") \
  X(DEF_TASK_UPDATE, "UPDATE task SET task_version=?2, task_name=?3, task_description=?4, task_type=?5, task_config=?6, " \
    "task_content=?7, update_time=?8, update_user=?9 WHERE task_id=?1") \
  X(DEF_TASK_HISTORY, "INSERT INTO task_history (task_id, task_version, task_name, task_description, task_type, task_config, " \
    "task_content, update_time, update_user) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)") \
  X(DEF_TASK_DELETE, "UPDATE task SET deleted=1, update_time=?2 WHERE task_id=?1") \
  X(DEF_TASK_USERS, "SELECT DISTINCT u.flow_id FROM task_use u JOIN task_flow f ON f.flow_id=u.flow_id AND f.deleted=0 " \
    "JOIN task_flow_history h ON h.flow_id=f.flow_id AND h.flow_version=f.flow_version AND h.node_base=u.node_base " \
    "WHERE u.task_id=?1 ORDER BY u.flow_id LIMIT 6") \
  X(DEF_TASK_LIVE, "SELECT count(*) FROM task_alone WHERE task_id=?1") \
  X(DEF_FLOW, "SELECT flow_version, create_time FROM task_flow WHERE flow_id=?1 AND deleted=0") \
  X(DEF_FLOW_INSERT, "INSERT INTO task_flow (flow_id, flow_version, flow_name, flow_description, update_time, update_user, " \
    "create_time, create_user) VALUES (?1,?2,?3,?4,?5,?6,?5,?7)") \
  X(DEF_FLOW_UPDATE, "UPDATE task_flow SET flow_version=?2, flow_name=?3, flow_description=?4, update_time=?5, update_user=?6 " \
    "WHERE flow_id=?1") \
  X(DEF_FLOW_HISTORY, "INSERT INTO task_flow_history (flow_id, flow_version, flow_name, flow_description, update_time, update_user, " \
    "config, node_base, n_node, n_node_ins, n_task_ins) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)") \
  X(DEF_FLOW_DELETE, "UPDATE task_flow SET deleted=1, update_time=?2 WHERE flow_id=?1") \
  X(DEF_FLOW_LIVE, "SELECT count(*) FROM task_flow_ins WHERE flow_id=?1 AND state IN (1,2,3)") \
  X(DEF_NODE, "INSERT INTO task_node (node_id, flow_id, flow_version, node_key, node_type, task_ids, tasks, config, prev_node, " \
    "task_at, n_task, create_time, update_time) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?12)") \
  X(DEF_EDGE, "INSERT INTO task_node_edge (flow_id, flow_version, node_id, pos, prev_node) VALUES (?1,?2,?3,?4,?5)") \
  X(DEF_USE, "INSERT INTO task_use (task_id, flow_id, node_base) VALUES (?1,?2,?3)") \
  X(DEF_TOKEN, SQ_TOKEN) \
  X(DEF_TOKEN_CLAIM, SQ_TOKEN_SET " WHERE token_hash IS NULL") \
  X(DEF_KEY, "SELECT 1 FROM idempotency WHERE idem_key=?1") \
  X(DEF_KEY_INSERT, SQ_KEY_INSERT) \
  X(DEF_KEYS_OLD, SQ_KEYS_OLD)

enum def_stmt {
#define X(n, s) n,
  DEF_STMTS(X)
#undef X
  DEF__N
};

/* A transaction of the definition writer; `turn` is held between begin and its end. */
enum wr_rc sq_def_begin(struct sq *s, struct wr_err *err);
enum wr_rc sq_def_commit(struct sq *s, struct wr_err *err);
enum wr_rc sq_def_publish(struct sq *s, struct wr_err *err);  /* raises definitions.version, then commits */
/* Rolls back. Returns the error of an SQLite code, or rc when that says OK. */
enum wr_rc sq_def_fail(struct sq *s, enum wr_rc rc, int sql, struct wr_err *err);
/* The first n ids of a kind, written in the transaction under way; taken by sq_def_take() after its commit. */
int sq_def_ids(struct sq *s, enum id_kind kind, uint32_t n, int64_t *first);
void sq_def_take(struct sq *s, enum id_kind kind, uint32_t n);
/* Version and creation of a task or flow: NOT_FOUND, or STALE when expect is not -1 and another. */
/* sqlite_keys.c: KEY_REUSED when key (NULL = none) is there; the row that says what it made. Inside the transaction. */
enum wr_rc sq_def_key_free(struct sq *s, const struct key_write *key, struct wr_err *err);
int sq_def_key_put(struct sq *s, struct key_write *key, int64_t id, int64_t version);
struct sq_known { int64_t version, create_us; };
enum wr_rc sq_def_known(struct sq *s, enum def_stmt which, int64_t id, int64_t expect, struct sq_known *out, struct wr_err *err);
#endif
