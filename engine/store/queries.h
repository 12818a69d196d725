/* The SQL that both dialects have in common: each statement stands here once, by name. A piece D(PIECE) is what a dialect says in
 * its own way: IN_SQ gives SQ_PIECE, IN_MY gives MY_PIECE. Values are ?1, ?2 ..: a statement may use one twice, and need not use
 * all that it is given. Private to engine/store.
 *
 * What never happens: a statement here that scans history or sorts it (tests/conformance/test_sqlite.c looks at the plans). */
#ifndef STORE_QUERIES_H
#define STORE_QUERIES_H

/* ---- pieces ---- */
#define IN_SQ(piece) SQ_##piece
#define IN_MY(piece) MY_##piece
#define SQ_START "start_time"
#define MY_START "start_at"
#define SQ_END "end_time"
#define MY_END "end_at"
#define SQ_DUE "due_time"
#define MY_DUE "due_at"
#define SQ_SPENT "t.end_time-t.start_time"       /* of an attempt that is history, microseconds */
#define MY_SPENT "TIMESTAMPDIFF(MICROSECOND,t.start_time,t.end_time)"
#define SQ_PRIMARY ""                          /* a range or a list of primary keys: MariaDB must not prefer a scan */
#define MY_PRIMARY " FORCE INDEX(PRIMARY)"
#define SQ_BY(index) " INDEXED BY " index
#define MY_BY(index) " FORCE INDEX(" index ")"
/* Where the newest log of a task ends: a number that changes when the log grows, and is not 0 when there is one. SQLite's log
 * stands in another file, and only its one process writes it. */
#define SQ_LOG_TOP "0"
#define MY_LOG_TOP "(SELECT l.byte_offset + l.n_bytes FROM task_log l WHERE l.ti_id=task_ins.ti_id " \
  "ORDER BY l.epoch DESC, l.byte_offset DESC LIMIT 1)"
#define SQ_STRAIGHT ""
#define MY_STRAIGHT "STRAIGHT_JOIN "
#define SQ_FOR_UPDATE ""                       /* its one writer holds `turn` */
#define MY_FOR_UPDATE " FOR UPDATE"
#define SQ_ID "=?1"                            /* of db_select_ids(), at the end of the statement: one id after the other */
#define MY_ID ""                               /* a list is added */
/* Names match in either case of A to Z and of no other letter. tis620 is the character set of MariaDB in which only these letters
 * have two cases, so the bytes are compared as if they were tis620 text. */
#define SQ_LIKE(name) name " LIKE ?1 ESCAPE '\\'"
#define MY_FOLDED(x) "LOWER(CONVERT(CAST(" x " AS BINARY) USING tis620)) COLLATE tis620_bin"
#define MY_LIKE(name) MY_FOLDED(name) " LIKE " MY_FOLDED("?1")
/* Types are compared byte by byte: in MariaDB = alone ignores a blank at the end. */
#define SQ_SAME_TYPE "t.task_type=?2"
#define MY_SAME_TYPE "t.task_type=?2 AND LENGTH(t.task_type)=LENGTH(?2)"
/* A short result has its room in MariaDB's row from the start, so that the end of a task makes it no longer: BINARY(40). */
#define MY_RESULT_ROOM 40
#define MY_DIGITS_(n) #n
#define MY_DIGITS(n) MY_DIGITS_(n)
#define SQ_RESULT "result"
#define MY_RESULT "CASE WHEN result_len<0 THEN NULL WHEN result_len<=" MY_DIGITS(MY_RESULT_ROOM) \
  " THEN LEFT(result_room, result_len) ELSE result_long END"
#define SQ_OLD_KEYS "idem_key IN (SELECT idem_key FROM idempotency WHERE create_time < ?1 ORDER BY create_time LIMIT ?2)"
#define MY_OLD_KEYS "create_time < ?1 ORDER BY create_time LIMIT ?2"

/* ---- columns, in the order of ins_row_flow(), .._node(), .._task(), .._async(), def_row_task_show(),
 * .._flow_show(), key_row_of() ---- */
#define FLOW_COLS(D) "i.fi_id, i.flow_id, i.flow_version, i.version, i.state, i.wish, i.run_no, i.live, i.failed, " \
  "i.create_time, i." D(START) ", i." D(END) ", i.update_time, i." D(DUE) ", i.error_msg, i.params, i.bases, i.more_from"
#define NODE_COLS(D) "ni_id, fi_id, node_id, run_no, state, ok, fail, skip, t_ok, t_bad, t_open, create_time, " \
  D(START) ", " D(END) ", update_time, error_msg, t_canceled, skip_edges"
#define TASK_COLS(D) "ti_id, ni_id, fi_id, task_id, create_time, update_time, " D(END) ", state, end_as, losses, " \
  "cancel_requested, epoch, tries, owner, " D(START) ", " D(DUE) ", task_version, error_msg, " D(RESULT) ", log, exit_code, " \
  "`signal`, utime_us, stime_us, maxrss_kib, log_bytes, params, log_lost, log_lost_why, phase, resume, again, executor_version"
#define TASK_DEF_COLS "t.task_id, t.task_version, t.task_name, t.task_description, t.task_type, t.task_content, t.task_config, " \
  "t.update_user, t.update_time"
#define TASK_DEF_NOW TASK_DEF_COLS ", t.create_user, t.create_time, t.deleted FROM task t"
#define FLOW_DEF_COLS "f.flow_id, h.flow_version, h.flow_name, h.flow_description, h.config, f.create_user, h.update_user, " \
  "f.create_time, h.update_time, f.deleted, h.node_base, h.n_node"
/* Of task_async a, but for the context; _SHOWN: without config and content. */
#define ASYNC_SHORT "a.ti_id, a.create_time, a.task_name, a.task_type, a.user_name, a.group_name, a.priority, a.cpu_overhead, " \
  "a.start_after, a.run_no, a.run_epoch, a.context_len, a.context_epoch, a.task_key, a.key_hash"
#define ASYNC_COLS ASYNC_SHORT ", a.task_config, a.task_content, a.job_id, a.parent_ti, a.root_ti, a.depth"
#define ASYNC_SHOWN ASYNC_SHORT ", NULL, NULL, a.job_id, a.parent_ti, a.root_ti, a.depth"
/* As TASK_COLS, with the length of the result in place of it. */
#define SQ_RESULT_LEN "IFNULL(LENGTH(result), -1)"
#define MY_RESULT_LEN "result_len"
#define TASK_SHOWN(D) "ti_id, ni_id, fi_id, task_id, create_time, update_time, " D(END) ", state, end_as, losses, " \
  "cancel_requested, epoch, tries, owner, " D(START) ", " D(DUE) ", task_version, error_msg, NULL, log, exit_code, " \
  "`signal`, utime_us, stime_us, maxrss_kib, log_bytes, params, log_lost, log_lost_why, phase, resume, again, " \
  "executor_version, " D(RESULT_LEN)
#define KEY_COLS "hash,kind,first_id,n,create_time"

/* Of job, in the order of ins_row_job(). */
#define JOB_COLS "job_id, version, state, wish, how, closed, child_failure, pass_at, not_started, retrying, running, " \
  "analyzing, waiting, success, failed, canceled, executions, timeouts, losses, create_time, end_time, update_time, " \
  "key_hash, job_key, job_name, removed_tasks, removed_attempts"

/* Of task_tree, in the order of ins_row_tree(). */
#define TREE_COLS "ti_id, verdict, child_failure, wish, pass_at, n_total, n_live, n_failed, n_known"

/* What nobody need wait for any longer is CANCELED here: job_stuck(). */
#define JOB_STUCK_STATE "CASE WHEN state=4 AND not_started+retrying+running+analyzing+waiting=0 " \
  "AND (pass_at IS NULL OR success+failed+canceled=0) THEN 12 ELSE state END"

/* ---- statements that more than one list has ---- */
#define TEXT_KEY "SELECT " KEY_COLS " FROM idempotency WHERE idem_key=?1"
#define TEXT_KEY_INSERT "INSERT INTO idempotency (idem_key," KEY_COLS ") VALUES (?1,?2,?3,?4,?5,?6)"
#define TEXT_KEYS_OLD(D) "DELETE FROM idempotency WHERE " D(OLD_KEYS)
/* cleans_up is that of the node that registered the type last. */
#define SQ_TYPE_AGAIN " ON CONFLICT (task_type) DO UPDATE SET cleans_up=excluded.cleans_up"
#define MY_TYPE_AGAIN " ON DUPLICATE KEY UPDATE cleans_up=VALUES(cleans_up)"
#define WHOSE "SELECT fi_id, ti_id, user_name, group_name, priority FROM flow_queue WHERE fi_id=?1"
#define TEXT_TOKEN "SELECT token_hash, token_host FROM installation WHERE one=1"
#define TEXT_TOKEN_SET "UPDATE installation SET token_hash=?1, token_host=?2, token_time=?3 WHERE one=1"
#define TASK_LIKED(D) " t.deleted=0 AND (?1 IS NULL OR " D(LIKE)("t.task_name") ")"
#define FLOW_LIKED(D) " f.deleted=0 AND (?1 IS NULL OR " D(LIKE)("f.flow_name") ") AND (?2=0 OR f.flow_id=?2)"
#define IN_FLOW "flow_id=?1 AND state=?2"
#define IN_ALL "state=?2"
#define IN_TIME(D) " AND " D(START) " BETWEEN ?3 AND ?4"
#define INS_COUNT(D, index, where) "SELECT COUNT(*) FROM task_flow_ins" D(BY)(index) " WHERE " where

/* What readers ask. */
#define QUERIES_READ(X, D) \
  X(Q_KEY, TEXT_KEY) \
  X(Q_TOKEN, TEXT_TOKEN) \
  X(Q_TYPES, "SELECT task_type, cleans_up FROM task_type ORDER BY task_type LIMIT ?1") \
  X(Q_TASK, "SELECT " TASK_DEF_NOW " WHERE t.task_id=?1") \
  X(Q_TASKS_BY, "SELECT " TASK_DEF_NOW " WHERE t.task_id" D(ID)) \
  X(Q_TASK_AT, "SELECT " TASK_DEF_COLS ", n.create_user, n.create_time, n.deleted FROM task_history t " \
    "JOIN task n ON n.task_id=t.task_id WHERE t.task_id=?1 AND t.task_version=?2") \
  X(Q_TASK_HEADS, "SELECT task_id, task_version, deleted FROM task WHERE task_id" D(ID)) \
  X(Q_FLOW_HEADS, "SELECT flow_id, flow_version, deleted FROM task_flow WHERE flow_id" D(ID)) \
  X(Q_FLOW, "SELECT " FLOW_DEF_COLS " FROM task_flow f JOIN task_flow_history h ON h.flow_id=f.flow_id " \
    "AND h.flow_version=CASE ?2 WHEN 0 THEN f.flow_version ELSE ?2 END WHERE f.flow_id=?1") \
  X(Q_NODES, "SELECT node_id, node_key, node_type, task_ids, tasks, config FROM task_node" D(PRIMARY) \
    " WHERE node_id BETWEEN ?1 AND ?2 ORDER BY node_id") \
  X(Q_EDGES, "SELECT node_id, prev_node FROM task_node_edge" D(PRIMARY) " WHERE flow_id=?1 AND flow_version=?2 " \
    "AND node_id BETWEEN ?3 AND ?4 ORDER BY node_id, pos") \
  X(Q_TASKS, "SELECT " TASK_DEF_NOW D(BY)("task_list") " WHERE" TASK_LIKED(D) " ORDER BY t.task_id DESC LIMIT ?3 OFFSET ?4") \
  X(Q_TASKS_TYPE, "SELECT " TASK_DEF_NOW D(BY)("task_list_type") " WHERE " D(SAME_TYPE) " AND" TASK_LIKED(D) \
    " ORDER BY t.task_id DESC LIMIT ?3 OFFSET ?4") \
  X(Q_TASKS_N, "SELECT COUNT(*) FROM task t WHERE (?2 IS NULL OR (" D(SAME_TYPE) ")) AND" TASK_LIKED(D)) \
  X(Q_FLOWS, "SELECT " D(STRAIGHT) FLOW_DEF_COLS " FROM task_flow f" D(BY)("task_flow_list") " JOIN task_flow_history h " \
    "ON h.flow_id=f.flow_id AND h.flow_version=f.flow_version WHERE" FLOW_LIKED(D) \
    " ORDER BY f.flow_id DESC LIMIT ?3 OFFSET ?4") \
  X(Q_FLOWS_N, "SELECT COUNT(*) FROM task_flow f WHERE" FLOW_LIKED(D)) \
  X(Q_FLOW_INS, "SELECT " FLOW_COLS(D) ", h.flow_name FROM task_flow_ins i LEFT JOIN task_flow_history h " \
    "ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version WHERE i.fi_id=?1") \
  X(Q_N_ALL, INS_COUNT(D, "task_flow_ins_state", IN_ALL)) \
  X(Q_N_ALL_TIME, INS_COUNT(D, "task_flow_ins_state", IN_ALL IN_TIME(D))) \
  X(Q_N_FLOW, INS_COUNT(D, "task_flow_ins_flow", IN_FLOW)) \
  X(Q_N_FLOW_TIME, INS_COUNT(D, "task_flow_ins_flow", IN_FLOW IN_TIME(D))) \
  X(Q_INS_SPAN, "SELECT i.bases, h.n_node_ins FROM task_flow_ins i JOIN task_flow_history h ON h.flow_id=i.flow_id " \
    "AND h.flow_version=i.flow_version WHERE i.fi_id=?1") \
  X(Q_INS_NODES, "SELECT " NODE_COLS(D) " FROM task_node_ins" D(PRIMARY) " WHERE ni_id BETWEEN ?1 AND ?2 " \
    "ORDER BY ni_id LIMIT ?3 OFFSET ?4") \
  X(Q_INS_NODES_BY, "SELECT " NODE_COLS(D) " FROM task_node_ins" D(PRIMARY) " WHERE ni_id" D(ID)) \
  X(Q_INS_NODE_IDS, "SELECT ni_id FROM task_node_ins" D(PRIMARY) " WHERE ni_id BETWEEN ?1 AND ?2 ORDER BY ni_id") \
  X(Q_INS_NODES_N, "SELECT COUNT(*) FROM task_node_ins" D(PRIMARY) " WHERE ni_id BETWEEN ?1 AND ?2") \
  X(Q_INS_NODES_OVER, "SELECT COUNT(*) FROM task_node_ins" D(PRIMARY) " WHERE ni_id BETWEEN ?1 AND ?2 AND state>=?3") \
  X(Q_INS_NODE_STATES, "SELECT ni_id, state FROM task_node_ins" D(PRIMARY) " WHERE ni_id BETWEEN ?1 AND ?2") \
  X(Q_FLOW_STATES, "SELECT fi_id, state, 0, 0 FROM task_flow_ins" D(PRIMARY) " WHERE fi_id" D(ID)) \
  X(Q_TASK_STATES, "SELECT ti_id, state, epoch, 0 FROM task_ins" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_TASK_TOPS, "SELECT ti_id, state, epoch, " D(LOG_TOP) " FROM task_ins" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_NODE_SPAN, "SELECT d.task_at, d.n_task, i.bases, h.n_node_ins FROM task_node_ins n " \
    "JOIN task_node d ON d.node_id=n.node_id JOIN task_flow_ins i ON i.fi_id=n.fi_id " \
    "JOIN task_flow_history h ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version WHERE n.ni_id=?1") \
  X(Q_INS_TASKS, "SELECT " TASK_COLS(D) " FROM task_ins" D(PRIMARY) " WHERE ti_id BETWEEN ?1 AND ?2 ORDER BY ti_id") \
  X(Q_OFFERS, "SELECT incarnation, types, users, host, slots, trouble, labels, drain_at IS NOT NULL, executors, roles " \
    "FROM engine_node WHERE state='LIVE'") \
  X(Q_ATTEMPTS, "SELECT ti_id, epoch, owner, start_time, end_time, why, error_msg, exit_code, `signal`, run_no, verdict " \
    "FROM task_attempt WHERE ti_id=?1 ORDER BY epoch") \
  X(Q_RUN_TIMES, "SELECT i.ti_id, i.state, i." D(START) ", i." D(END) ", (SELECT SUM(" D(SPENT) ") FROM task_attempt t " \
    "WHERE t.ti_id=i.ti_id AND t.epoch>COALESCE(a.run_epoch,0)), EXISTS (SELECT 1 FROM task_attempt t WHERE t.ti_id=i.ti_id " \
    "AND t.epoch=i.epoch) FROM task_ins i" D(PRIMARY) " LEFT JOIN task_async a ON a.ti_id=i.ti_id WHERE i.ti_id" D(ID)) \
  X(Q_ASYNC, "SELECT " ASYNC_COLS " FROM task_async a WHERE a.ti_id=?1") \
  X(Q_ASYNC_CONTEXT, "SELECT context_epoch, context FROM task_async WHERE ti_id=?1") \
  X(Q_WHOSE, WHOSE " AND (ti_id=0 OR ti_id BETWEEN ?2 AND ?3)") \
  X(Q_GONE, "SELECT ti_id FROM task_gone WHERE ti_id>?1 ORDER BY ti_id LIMIT ?2") \
  X(Q_MEMBER, "SELECT host, state='DEAD' FROM engine_node WHERE incarnation=?1") \
  X(Q_MEMBER_ROW, "SELECT " MEMBER_COLS " FROM engine_node WHERE incarnation=?1") \
  X(Q_MEMBERS, "SELECT " MEMBER_COLS " FROM engine_node WHERE end_time IS NULL OR end_time>=?1 ORDER BY incarnation DESC " \
    "LIMIT ?2") \
  X(Q_RESULT_LOG, "SELECT " D(RESULT) " FROM task_ins WHERE ti_id=?1 AND log=?2 AND epoch=?3") \
  X(Q_TREE, "SELECT " TREE_COLS " FROM task_tree WHERE ti_id=?1") \
  X(Q_JOB, "SELECT " JOB_COLS " FROM job WHERE job_id=?1") \
  X(Q_JOBS, "SELECT " JOB_COLS " FROM job" D(PRIMARY) " WHERE job_id>0 ORDER BY job_id DESC LIMIT ?1 OFFSET ?2") \
  X(Q_JOBS_N, "SELECT COUNT(*) FROM job WHERE job_id>0") \
  X(Q_JOB_STATES, "SELECT job_id, " JOB_STUCK_STATE ", 0, 0 FROM job" D(PRIMARY) " WHERE job_id" D(ID)) \
  QUERIES_LOOK(X, D)

/* What attempts reported, and the log of attempt (?1, ?2); in SQLite a file of its own. */
#define QUERIES_LOG(X, D) \
  X(Q_TREES, "SELECT " TREE_COLS " FROM task_tree" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_IDS_TREE, "SELECT ti_id FROM task_tree" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_IDS_CHILD, "SELECT ti_id FROM task_child" D(PRIMARY) " WHERE parent_ti" D(ID)) \
  X(Q_IDS_LOG, "SELECT DISTINCT ti_id FROM task_log" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_CONTEXT, "SELECT epoch, context FROM task_context WHERE ti_id=?1") \
  X(Q_CONTEXT_SIZES, "SELECT ti_id, epoch, n_bytes FROM task_context" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_PROGRESS, "SELECT ti_id, epoch, update_time, total, done, speed_micro, unit, message FROM task_progress" D(PRIMARY) \
    " WHERE ti_id" D(ID)) \
  X(Q_LOG_SIZES, "SELECT epoch, MAX(byte_offset + n_bytes) FROM task_log WHERE ti_id=?1 GROUP BY epoch ORDER BY epoch") \
  X(Q_LOG_STREAM_SIZES, "SELECT epoch, SUM(n_bytes) FROM task_log WHERE ti_id=?1 AND stream=?2 GROUP BY epoch ORDER BY epoch") \
  X(Q_LOG_SIZE, "SELECT byte_offset + n_bytes FROM task_log WHERE ti_id=?1 AND epoch=?2 " \
    "ORDER BY byte_offset DESC, seq DESC LIMIT 1") \
  X(Q_LOG_FIRST, "SELECT byte_offset FROM task_log WHERE ti_id=?1 AND epoch=?2 AND byte_offset<=?3 " \
    "ORDER BY byte_offset DESC LIMIT 1") \
  X(Q_LOG_PIECES, "SELECT byte_offset, bytes FROM task_log WHERE ti_id=?1 AND epoch=?2 AND byte_offset BETWEEN ?3 AND ?4 " \
    "ORDER BY byte_offset, seq") \
  X(Q_LOG_LENGTHS, "SELECT byte_offset, n_bytes FROM task_log WHERE ti_id=?1 AND epoch=?2 AND stream=?3 " \
    "ORDER BY byte_offset, seq") \
  X(Q_LOG_STREAM, "SELECT bytes FROM task_log WHERE ti_id=?1 AND epoch=?2 AND stream=?3 AND byte_offset BETWEEN ?4 AND ?5 " \
    "ORDER BY byte_offset, seq")

/* What the definition writer does. All statements of a task take the same list of values, and so do all those of a flow. */
#define QUERIES_DEF(X, D) \
  X(Q_TASK_KNOWN, "SELECT task_version, create_time FROM task WHERE task_id=?1 AND deleted=0" D(FOR_UPDATE)) \
  X(Q_TASK_INSERT, "INSERT INTO task (task_id, task_version, task_name, task_description, task_type, task_config, " \
    "task_content, update_time, update_user, create_time, create_user) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)") \
  X(Q_TASK_UPDATE, "UPDATE task SET task_version=?2, task_name=?3, task_description=?4, task_type=?5, task_config=?6, " \
    "task_content=?7, update_time=?8, update_user=?9 WHERE task_id=?1") \
  X(Q_TASK_HISTORY, "INSERT INTO task_history (task_id, task_version, task_name, task_description, task_type, task_config, " \
    "task_content, update_time, update_user) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)") \
  X(Q_TASK_DELETE, "UPDATE task SET deleted=1, update_time=?2 WHERE task_id=?1") \
  X(Q_TASK_USERS, "SELECT DISTINCT u.flow_id FROM task_use u JOIN task_flow f ON f.flow_id=u.flow_id AND f.deleted=0 " \
    "JOIN task_flow_history h ON h.flow_id=f.flow_id AND h.flow_version=f.flow_version AND h.node_base=u.node_base " \
    "WHERE u.task_id=?1 ORDER BY u.flow_id LIMIT 6") \
  X(Q_TASK_LIVE, "SELECT COUNT(*) FROM task_alone WHERE task_id=?1") \
  X(Q_FLOW_KNOWN, "SELECT flow_version, create_time FROM task_flow WHERE flow_id=?1 AND deleted=0" D(FOR_UPDATE)) \
  X(Q_FLOW_INSERT, "INSERT INTO task_flow (flow_id, flow_version, flow_name, flow_description, update_time, update_user, " \
    "create_time, create_user) VALUES (?1,?2,?3,?4,?5,?6,?5,?7)") \
  X(Q_FLOW_UPDATE, "UPDATE task_flow SET flow_version=?2, flow_name=?3, flow_description=?4, update_time=?5, update_user=?6 " \
    "WHERE flow_id=?1") \
  X(Q_FLOW_HISTORY, "INSERT INTO task_flow_history (flow_id, flow_version, flow_name, flow_description, update_time, " \
    "update_user, config, node_base, n_node, n_node_ins, n_task_ins) VALUES (?1,?2,?3,?4,?5,?6,?8,?9,?10,?11,?12)") \
  X(Q_FLOW_DELETE, "UPDATE task_flow SET deleted=1, update_time=?2 WHERE flow_id=?1") \
  X(Q_FLOW_LIVE, "SELECT COUNT(*) FROM task_flow_ins" D(BY)("task_flow_ins_flow") " WHERE flow_id=?1 AND state IN (1,2,3)") \
  X(Q_KEY_INSERT, TEXT_KEY_INSERT) \
  X(Q_KEYS_OLD, TEXT_KEYS_OLD(D)) \
  X(Q_MEMBER_WISH, "SELECT state='LIVE', drain_at FROM engine_node WHERE incarnation=?1" D(FOR_UPDATE)) \
  X(Q_MEMBER_DRAIN, "UPDATE engine_node SET drain_at=?2, drain_stop=?3 WHERE incarnation=?1 AND state='LIVE'") \
  X(Q_TOKEN_SET, TEXT_TOKEN_SET) \
  X(Q_TYPE_KNOW, "INSERT INTO task_type (task_type, cleans_up) VALUES (?1,?2)" D(TYPE_AGAIN)) \
  X(Q_TOKEN_CLAIM, TEXT_TOKEN_SET " AND token_hash IS NULL")

/* engine_node, as members.c reads it. */
#define MEMBER_COLS "incarnation, state, pid, slots, start_time, end_time, lease_until, lease_us, drain_at, drain_stop, " \
  "drain_seen, running, slots_used, cpu_budget, cpu_used, load_percent, host, roles, types, users, labels, version, executors"

#include "queries_look.h"
#include "queries_queue.h"
#include "queries_executor.h"
#define QUERIES(X, D) QUERIES_READ(X, D) QUERIES_QUEUE(X, D) QUERIES_LOG(X, D) QUERIES_DEF(X, D) QUERIES_DEF_QUEUE(X, D) \
  QUERIES_EXECUTOR(X, D)
enum query {
#define X(name, text) name,
  QUERIES(X, IN_SQ)
#undef X
  Q__N
};
#define QUERY_TEXT(name, text) [name] = text,
#endif
