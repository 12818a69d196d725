/* The statements of a reader, and what its files share. Private to sqlite_read.c, sqlite_list.c, sqlite_ins.c, sqlite_logs.c.
 * A reader is used by one thread at a time; texts given to callbacks are SQLite's own, valid during the call. */
#ifndef SQLITE_RD_H
#define SQLITE_RD_H
#include "sqlite_priv.h"

#define RD_TASK_COLS "t.task_id, t.task_version, t.task_name, t.task_description, t.task_type, t.task_content, t.task_config, " \
  "t.update_user, t.update_time"
#define RD_FLOW_COLS "f.flow_id, h.flow_version, h.flow_name, h.flow_description, h.config, f.create_user, h.update_user, " \
  "f.create_time, h.update_time, f.deleted, h.node_base, h.n_node"
#define RD_TASK_LIKE "(?1 IS NULL OR t.task_name LIKE ?1 ESCAPE '\\')"
#define RD_FLOW_LIKE "f.deleted=0 AND (?1 IS NULL OR f.flow_name LIKE ?1 ESCAPE '\\') AND (?2=0 OR f.flow_id=?2)"
/* Flow instances are listed as a merge of streams, one per state, each read backwards from an index. */
#define RD_IN_FLOW "flow_id=?1 AND state=?2"
#define RD_IN_ALL "state=?2"
#define RD_IN_TIME " AND start_time BETWEEN ?3 AND ?4"
#define RD_STREAM(where) "SELECT start_time, fi_id FROM task_flow_ins WHERE " where " ORDER BY start_time DESC NULLS FIRST, fi_id DESC"
#define RD_COUNT(where) "SELECT count(*) FROM task_flow_ins WHERE " where
#define RD_SIX(X, n, s) X(n, s) X(n##_2, s) X(n##_3, s) X(n##_4, s) X(n##_5, s) X(n##_6, s)

#define RD_STMTS(X) \
  X(RD_BEGIN, "BEGIN") \
  X(RD_END, "COMMIT") \
  X(RD_DEFS, "SELECT version FROM definitions") \
  X(RD_KEY, SQ_KEY) \
  X(RD_TOKEN, SQ_TOKEN) \
  X(RD_TASK, "SELECT " RD_TASK_COLS ", t.create_user, t.create_time, t.deleted FROM task t WHERE t.task_id=?1") \
  X(RD_TASK_AT, "SELECT " RD_TASK_COLS ", n.create_user, n.create_time, n.deleted FROM task_history t JOIN task n ON n.task_id=t.task_id " \
    "WHERE t.task_id=?1 AND t.task_version=?2") \
  X(RD_TASK_HEAD, "SELECT task_version, deleted FROM task WHERE task_id=?1") \
  X(RD_FLOW_HEAD, "SELECT flow_version, deleted FROM task_flow WHERE flow_id=?1") \
  X(RD_FLOW, "SELECT " RD_FLOW_COLS " FROM task_flow f JOIN task_flow_history h ON h.flow_id=f.flow_id " \
    "AND h.flow_version=CASE ?2 WHEN 0 THEN f.flow_version ELSE ?2 END WHERE f.flow_id=?1") \
  X(RD_NODES, "SELECT node_id, node_key, node_type, task_ids, tasks, config FROM task_node WHERE node_id BETWEEN ?1 AND ?2 " \
    "ORDER BY node_id") \
  X(RD_EDGES, "SELECT node_id, prev_node FROM task_node_edge WHERE flow_id=?1 AND flow_version=?2 AND node_id BETWEEN ?3 AND ?4 " \
    "ORDER BY node_id, pos") \
  X(RD_TASKS, "SELECT " RD_TASK_COLS ", t.create_user, t.create_time, t.deleted FROM task t INDEXED BY task_list " \
    "WHERE t.deleted=0 AND " RD_TASK_LIKE " ORDER BY t.task_id DESC LIMIT ?3 OFFSET ?4") \
  X(RD_TASKS_TYPE, "SELECT " RD_TASK_COLS ", t.create_user, t.create_time, t.deleted FROM task t INDEXED BY task_list_type " \
    "WHERE t.deleted=0 AND t.task_type=?2 AND " RD_TASK_LIKE " ORDER BY t.task_id DESC LIMIT ?3 OFFSET ?4") \
  X(RD_TASKS_N, "SELECT count(*) FROM task t WHERE t.deleted=0 AND (?2 IS NULL OR t.task_type=?2) AND " RD_TASK_LIKE) \
  X(RD_FLOWS, "SELECT " RD_FLOW_COLS " FROM task_flow f INDEXED BY task_flow_list JOIN task_flow_history h ON h.flow_id=f.flow_id " \
    "AND h.flow_version=f.flow_version WHERE " RD_FLOW_LIKE " ORDER BY f.flow_id DESC LIMIT ?3 OFFSET ?4") \
  X(RD_FLOWS_N, "SELECT count(*) FROM task_flow f WHERE " RD_FLOW_LIKE) \
  X(RD_FLOW_INS, "SELECT " SQ_FLOW_COLS ", h.flow_name FROM task_flow_ins i LEFT JOIN task_flow_history h ON h.flow_id=i.flow_id " \
    "AND h.flow_version=i.flow_version WHERE i.fi_id=?1") \
  RD_SIX(X, RD_S_ALL, RD_STREAM(RD_IN_ALL)) \
  RD_SIX(X, RD_S_ALL_TIME, RD_STREAM(RD_IN_ALL RD_IN_TIME)) \
  RD_SIX(X, RD_S_FLOW, RD_STREAM(RD_IN_FLOW)) \
  RD_SIX(X, RD_S_FLOW_TIME, RD_STREAM(RD_IN_FLOW RD_IN_TIME)) \
  X(RD_N_ALL, RD_COUNT(RD_IN_ALL)) \
  X(RD_N_ALL_TIME, RD_COUNT(RD_IN_ALL RD_IN_TIME)) \
  X(RD_N_FLOW, RD_COUNT(RD_IN_FLOW)) \
  X(RD_N_FLOW_TIME, RD_COUNT(RD_IN_FLOW RD_IN_TIME)) \
  X(RD_INS_SPAN, "SELECT i.bases, h.n_node_ins FROM task_flow_ins i JOIN task_flow_history h ON h.flow_id=i.flow_id " \
    "AND h.flow_version=i.flow_version WHERE i.fi_id=?1") \
  X(RD_INS_NODES, "SELECT " SQ_NODE_COLS " FROM task_node_ins WHERE ni_id BETWEEN ?1 AND ?2 ORDER BY ni_id LIMIT ?3 OFFSET ?4") \
  X(RD_INS_NODE_IDS, "SELECT ni_id FROM task_node_ins WHERE ni_id BETWEEN ?1 AND ?2 ORDER BY ni_id") \
  X(RD_INS_NODES_N, "SELECT count(*) FROM task_node_ins WHERE ni_id BETWEEN ?1 AND ?2") \
  X(RD_NODE_SPAN, "SELECT d.task_at, d.n_task, i.bases, h.n_node_ins FROM task_node_ins n JOIN task_node d ON d.node_id=n.node_id " \
    "JOIN task_flow_ins i ON i.fi_id=n.fi_id JOIN task_flow_history h ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version " \
    "WHERE n.ni_id=?1") \
  X(RD_INS_TASKS, "SELECT " SQ_TASK_COLS " FROM task_ins WHERE ti_id BETWEEN ?1 AND ?2 ORDER BY ti_id") \
  X(RD_OFFERS, "SELECT incarnation, types, users, host, slots, trouble FROM engine_node WHERE state='LIVE'") \
  X(RD_ATTEMPTS, "SELECT ti_id, epoch, owner, start_time, end_time, why, error_msg, exit_code, signal " \
    "FROM task_attempt WHERE ti_id=?1 ORDER BY epoch") \
  X(RD_RESULT_LOG, "SELECT epoch, log, result FROM task_ins WHERE ti_id=?1")

enum rd_stmt {
#define X(n, s) n,
  RD_STMTS(X)
#undef X
  RD__N
};

/* A statement, or NULL: err is set, r->why is its code. */
sqlite3_stmt *sq_rd(struct sq_reader *r, enum rd_stmt i, struct wr_err *err);
/* Ends a statement: WR_OK, or what its steps met. */
enum wr_rc sq_rd_end(struct sq_reader *r, sqlite3_stmt *st, struct wr_err *err);
/* One view of the database for several statements; rc: of what was done in it. */
enum wr_rc sq_rd_snapshot(struct sq_reader *r, struct wr_err *err);
enum wr_rc sq_rd_release(struct sq_reader *r, enum wr_rc rc, struct wr_err *err);
/* Plain fields of the row under the cursor; texts borrowed. */
void sq_rd_task(sqlite3_stmt *st, struct task_def *t);
void sq_rd_flow(sqlite3_stmt *st, struct flow_def *f);
#define RD_FLOW_N_NODE 11
#endif
