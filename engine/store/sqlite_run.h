/* The statements of the runner's connection: one list for numbers and texts. Private to sqlite_async.c,
 * sqlite_batch.c, sqlite_rows.c, sqlite_load.c and sqlite_keys.c. */
#ifndef SQLITE_RUN_H
#define SQLITE_RUN_H
#include "queries.h"

/* An error text of NULL keeps what is there, "" clears it. The short form of a flow update leaves the error, `state` and
 * `start_time` alone, so it touches no index. It changes no row when `state` or `start_time` differs. */
#define RUN_ERROR(n) "error_msg=CASE WHEN ?" n " IS NULL THEN error_msg WHEN ?" n "='' THEN NULL ELSE ?" n " END"
#define RUN_FLOW_SET "version=?2, wish=?3, run_no=?4, live=?5, failed=?6, end_time=?7, update_time=?8, due_time=?9, " \
  "bases=coalesce(?10, bases), more_from=?11"
#define RUN_FLOW_WHERE "WHERE fi_id=?1 AND (?12=0 OR version=?12)"
/* Who claims a task (and so raises the epoch) is its owner, and stays in the row when the attempt has ended. */
#define RUN_TASK_OWNER "owner=CASE WHEN epoch=?6 THEN owner ELSE ?8 END"
#define RUN_TASK_SET "state=?2, end_as=?3, losses=?4, cancel_requested=?5, epoch=?6, tries=?7, " RUN_TASK_OWNER ", " \
  "start_time=?9, due_time=?10, update_time=?11, end_time=?12, phase=?26, resume=?27, again=?28"
#define RUN_TASK_WHERE "WHERE ti_id=?1 AND (?13<0 OR (state=?13 AND epoch=?14))"
/* The end of most tasks. The row of a flow's task is under the lock of its flow, so nothing is compared. A column that is 0 is
 * written as 0: to keep it would cost SQLite a reading of it, and of the heads of all columns before it. */
#define RUN_TASK_ENDS "UPDATE task_ins SET state=?2, end_as=0, losses=0, cancel_requested=0, epoch=?6, tries=?7, " \
  "owner=?8, start_time=?9, due_time=NULL, update_time=?11, end_time=?12, result=coalesce(?16, result), log=?17, " \
  "exit_code=NULL, signal=0, utime_us=0, stime_us=0, maxrss_kib=0, log_bytes=?23, log_lost=0, log_lost_why=0, " \
  "error_msg=NULL, phase=0, resume=0, again=0 WHERE ti_id=?1"
/* NEW: what a row has when it starts; REST: what it may have besides. Most rows start and end without the rest. Statements with
 * constants in its place save some 25 bindings a step, 5 % of all instructions of a step. */
#define RUN_NODE_NEW "ni_id, state, ok, t_open, start_time, update_time, fi_id, node_id, run_no, create_time"
#define RUN_NODE_REST "fail, skip, t_ok, t_bad, t_canceled, end_time, error_msg, skip_edges"
#define RUN_TASK_NEW "ti_id, ni_id, fi_id, task_id, create_time, update_time, state, epoch, tries, owner, start_time, " \
  "task_version"
#define RUN_TASK_REST "end_time, end_as, losses, cancel_requested, due_time, " \
  "error_msg, result, log, exit_code, signal, utime_us, stime_us, maxrss_kib, log_bytes, log_lost, log_lost_why, params, " \
  "phase, resume, again, executor_version"

#define RUN_STMTS(X) \
  X(RUN_BEGIN, "BEGIN IMMEDIATE") \
  X(RUN_COMMIT, "COMMIT") \
  X(RUN_ROLLBACK, "ROLLBACK") \
  X(RUN_IDS, "UPDATE id_block SET next=?2 WHERE kind=?1") \
  X(RUN_NEWEST, "SELECT MAX(t) FROM (SELECT MAX(MAX(start_time), MAX(IFNULL(end_time,0))) t FROM engine_node UNION ALL " \
    "SELECT MAX(create_time) FROM idempotency UNION ALL SELECT MAX(update_time) FROM task_flow_ins WHERE state<4 UNION ALL " \
    "SELECT * FROM (SELECT update_time FROM task_flow_ins ORDER BY fi_id DESC LIMIT 1) UNION ALL " \
    "SELECT * FROM (SELECT update_time FROM task_ins ORDER BY ti_id DESC LIMIT 1))") \
  X(RUN_NODES_DEAD, "UPDATE engine_node SET state='DEAD', end_time=?1 WHERE state='LIVE'") \
  X(RUN_NODES_OLD, "DELETE FROM engine_node WHERE state<>'LIVE' AND (end_time < ?1 OR incarnation < ?2)") \
  X(RUN_JOIN, "INSERT INTO engine_node (incarnation, state, host, pid, slots, roles, start_time, types, users, schema_no, " \
    "labels, version, drain_at, drain_stop) VALUES (?1,'LIVE',?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,nullif(?12,0),nullif(?13,0))") \
  X(RUN_LEAVE, "UPDATE engine_node SET state='GONE', end_time=?2 WHERE incarnation=?1 AND state='LIVE'") \
  X(RUN_RENEW, "UPDATE engine_node SET lease_until=?2 WHERE incarnation=?1 AND state='LIVE'") \
  X(RUN_TELL, "UPDATE engine_node SET lease_until=?2, trouble=?3, running=?4, slots_used=?5, cpu_budget=?6, " \
    "cpu_used=?7, load_percent=?8, drain_seen=nullif(?9,0) WHERE incarnation=?1 AND state='LIVE'") \
  X(RUN_WISH, "SELECT drain_at, drain_stop FROM engine_node WHERE incarnation=?1") \
  X(RUN_FENCE, "UPDATE engine_node SET last_batch=?2 WHERE incarnation=?1 AND state='LIVE'") \
  X(RUN_RECEIPT, "SELECT last_batch FROM engine_node WHERE incarnation=?1") \
  X(RUN_SETTLE, "UPDATE engine_node SET last_batch=last_batch WHERE incarnation=?1") \
  X(RUN_GUARD, "SELECT 1 FROM task_flow WHERE flow_id=?1 AND flow_version=?2 AND deleted=0") \
  X(RUN_FLOW_INSERT, "INSERT INTO task_flow_ins (fi_id, version, state, flow_id, flow_version, wish, run_no, live, failed, " \
    "start_time, end_time, due_time, update_time, bases, more_from, error_msg, params, create_time) " \
    "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)") \
  X(RUN_FLOW_SHORT, "UPDATE task_flow_ins SET " RUN_FLOW_SET " " RUN_FLOW_WHERE " AND state=?13 AND start_time IS ?14") \
  X(RUN_FLOW_FULL, "UPDATE task_flow_ins SET " RUN_FLOW_SET ", state=?13, start_time=?14, " RUN_ERROR("15") " " RUN_FLOW_WHERE) \
  X(RUN_NODE_START, "INSERT INTO task_node_ins (" RUN_NODE_NEW ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)") \
  X(RUN_NODE_INSERT, "INSERT INTO task_node_ins (" RUN_NODE_NEW ", " RUN_NODE_REST ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9," \
    "?10,?11,?12,?13,?14,?15,?16,nullif(?17,''),?18)") \
  X(RUN_NODE_UPDATE, "UPDATE task_node_ins SET state=?2, ok=?3, fail=?4, skip=?5, t_ok=?6, t_bad=?7, t_open=?8, start_time=?9, " \
    "end_time=?10, update_time=?11, " RUN_ERROR("12") ", t_canceled=?13, skip_edges=?14 WHERE ni_id=?1") \
  X(RUN_NODE_END_PLAIN, "UPDATE task_node_ins SET state=?2, ok=?3, fail=0, skip=0, t_ok=?6, t_bad=0, t_open=0, start_time=?9, " \
    "end_time=?10, update_time=?11, error_msg=NULL, t_canceled=0, skip_edges=0 WHERE ni_id=?1") \
  X(RUN_TASK_START, "INSERT INTO task_ins (" RUN_TASK_NEW ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)") \
  X(RUN_TASK_INSERT, "INSERT INTO task_ins (" RUN_TASK_NEW ", " RUN_TASK_REST ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10," \
    "?11,?12,?13,?14,?15,?16,?17,nullif(?18,''),?19,?20,?21,?22,?23,?24,?25,?26,?27,?28,?29," \
    "?30,?31,?32,?33)") \
  X(RUN_TASK_UPDATE, "UPDATE task_ins SET " RUN_TASK_SET " " RUN_TASK_WHERE) \
  X(RUN_TASK_ERROR, "UPDATE task_ins SET " RUN_TASK_SET ", " RUN_ERROR("15") " " RUN_TASK_WHERE) \
  X(RUN_TASK_END_PLAIN, RUN_TASK_ENDS) \
  X(RUN_TASK_END_ALONE, RUN_TASK_ENDS " AND state=?13 AND epoch=?14") \
  X(RUN_TASK_FINISH, "UPDATE task_ins SET " RUN_TASK_SET ", " RUN_ERROR("15") ", result=coalesce(?16, result), log=?17, " \
    "exit_code=?18, signal=?19, utime_us=?20, stime_us=?21, maxrss_kib=?22, log_bytes=?23, log_lost=?24, log_lost_why=?25 " \
    RUN_TASK_WHERE) \
  X(RUN_TASK_CLEAR, "UPDATE task_ins SET result=NULL WHERE ti_id=?1") \
  X(RUN_TASK_RESULT, "UPDATE task_ins SET result=?2 WHERE ti_id=?1") \
  X(RUN_ALONE_INSERT, "INSERT INTO task_alone (ti_id, task_id) VALUES (?1,?2)") \
  X(RUN_ALONE_DELETE, "DELETE FROM task_alone WHERE ti_id=?1") \
  X(RUN_ATTEMPT, "INSERT INTO task_attempt (ti_id, epoch, owner, start_time, end_time, why, error_msg, exit_code, signal, " \
    "run_no) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) ON CONFLICT (ti_id, epoch) DO NOTHING") \
  X(RUN_ATTEMPT_SAID, "UPDATE task_attempt SET verdict=?3, error_msg=COALESCE(?4, error_msg) WHERE ti_id=?1 AND epoch=?2") \
  X(RUN_ASYNC_PLAIN, "INSERT INTO task_async (ti_id, create_time, task_name, task_type) VALUES (?1,?2,?3,?4)") \
  X(RUN_ASYNC_INSERT, "INSERT INTO task_async (ti_id, create_time, task_name, task_type, user_name, group_name, priority, " \
    "cpu_overhead, start_after, run_no, run_epoch, context, context_len, context_epoch, task_key, key_hash, task_config, " \
    "task_content, job_id, key_scope, parent_ti, root_ti, depth) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15," \
    "?16,?17,?18,?19,?20,?21,?22,?23)") \
  X(RUN_ASYNC_UPDATE, "UPDATE task_async SET user_name=?5, group_name=?6, priority=?7, cpu_overhead=?8, start_after=?9, " \
    "run_no=?10, run_epoch=?11 WHERE ti_id=?1") \
  X(RUN_ASYNC_CONTEXT, "UPDATE task_async SET user_name=?5, group_name=?6, priority=?7, cpu_overhead=?8, start_after=?9, " \
    "run_no=?10, run_epoch=?11, context=?12, context_len=?13, context_epoch=?14 WHERE ti_id=?1") \
  X(RUN_ASYNC, "SELECT " ASYNC_COLS " FROM task_async a WHERE a.ti_id=?1") \
  X(RUN_ASYNC_KEY, "SELECT ti_id, key_hash FROM task_async WHERE task_key=?1 AND key_scope=?2") \
  X(RUN_JOB, "SELECT " JOB_COLS " FROM job WHERE job_id=?1") \
  X(RUN_JOB_KEY, "SELECT job_id, key_hash FROM job WHERE job_key=?1") \
  X(RUN_JOB_TASKS, "SELECT ti_id FROM job_task WHERE job_id=?1 AND ti_id>?2 ORDER BY ti_id LIMIT ?3") \
  X(RUN_JOB_KEYS, "SELECT job_id FROM job WHERE job_key>?1 AND job_key<?2 ORDER BY job_key LIMIT ?3") \
  X(RUN_JOB_PASSES, "SELECT job_id FROM job WHERE pass_at IS NOT NULL AND job_id>?1 ORDER BY job_id LIMIT ?2") \
  X(RUN_JOB_INSERT, "INSERT INTO job (job_id, version, state, wish, how, closed, child_failure, pass_at, not_started, " \
    "retrying, running, analyzing, waiting, success, failed, canceled, executions, timeouts, losses, end_time, update_time, " \
    "removed_tasks, removed_attempts, create_time, key_hash, job_key, job_name) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12," \
    "?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27)") \
  X(RUN_JOB_UPDATE, "UPDATE job SET version=?2, state=?3, wish=?4, how=?5, closed=?6, child_failure=?7, pass_at=?8, " \
    "not_started=?9, retrying=?10, running=?11, analyzing=?12, waiting=?13, success=?14, failed=?15, canceled=?16, " \
    "executions=?17, timeouts=?18, losses=?19, end_time=?20, update_time=?21, removed_tasks=?22, removed_attempts=?23 " \
    "WHERE job_id=?1") \
  X(RUN_JOB_DELETE, "DELETE FROM job WHERE job_id=?1") \
  X(RUN_JOB_TASK, "INSERT INTO job_task (job_id, ti_id) VALUES (?1,?2)") \
  X(RUN_GONE_OF_JOB, "DELETE FROM job_task WHERE ti_id=?1 AND job_id=(SELECT job_id FROM task_async WHERE ti_id=?1)") \
  X(RUN_TREE, "SELECT " TREE_COLS " FROM task_tree WHERE ti_id=?1") \
  X(RUN_TREE_PUT, "INSERT OR REPLACE INTO task_tree (" TREE_COLS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)") \
  X(RUN_CHILDREN, "SELECT ti_id FROM task_child WHERE parent_ti=?1 AND ti_id>?2 ORDER BY ti_id LIMIT ?3") \
  X(RUN_CHILD, "INSERT INTO task_child (parent_ti, ti_id) VALUES (?1,?2)") \
  X(RUN_GONE_TREE, "DELETE FROM task_tree WHERE ti_id=?1") \
  X(RUN_GONE_CHILD, "DELETE FROM task_child WHERE ti_id=?1 AND parent_ti=(SELECT parent_ti FROM task_async WHERE ti_id=?1)") \
  X(RUN_GONE_TASK, "DELETE FROM task_ins WHERE ti_id=?1") \
  X(RUN_WHOSE, WHOSE " ORDER BY ti_id") \
  X(RUN_WHOSE_PUT, "INSERT OR REPLACE INTO flow_queue (fi_id, ti_id, user_name, group_name, priority) VALUES (?1,?2,?3,?4,?5)") \
  X(RUN_GONE_LEFT, "INSERT OR IGNORE INTO task_gone (ti_id) VALUES (?1)") \
  X(RUN_GONE_OVER, "DELETE FROM task_gone WHERE ti_id=?1") \
  X(RUN_GONE_ASYNC, "DELETE FROM task_async WHERE ti_id=?1") \
  X(RUN_GONE_ATTEMPT, "DELETE FROM task_attempt WHERE ti_id=?1") \
  X(RUN_KEY, TEXT_KEY) \
  X(RUN_KEY_INSERT, TEXT_KEY_INSERT) \
  X(RUN_KEYS_OLD, TEXT_KEYS_OLD(IN_SQ)) \
  X(RUN_FLOW, "SELECT " FLOW_COLS(IN_SQ) " FROM task_flow_ins i WHERE i.fi_id=?1") \
  X(RUN_NODES, "SELECT " NODE_COLS(IN_SQ) " FROM task_node_ins WHERE ni_id BETWEEN ?1 AND ?2 ORDER BY ni_id") \
  X(RUN_TASKS, "SELECT " TASK_COLS(IN_SQ) " FROM task_ins WHERE ti_id BETWEEN ?1 AND ?2 ORDER BY ti_id") \
  X(RUN_QUEUES, "SELECT " QUEUE_COLS " FROM task_queue ORDER BY queue_id") \
  X(RUN_RATE_AT, "SELECT rate_at FROM task_queue WHERE queue_id=?1") \
  X(RUN_RATE_SET, "UPDATE task_queue SET rate_at=?2 WHERE queue_id=?1") \
  X(RUN_RUNNING_ALONE, RUNNING_ALONE(IN_SQ)) \
  X(RUN_RUNNING_FLOW, "SELECT ti_id, fi_id, owner, NULL, NULL, 0, NULL, executor_version, NULL FROM task_ins " \
    "WHERE ti_id BETWEEN ?1 AND ?2 AND " QUEUE_COUNTS("")) \
  X(RUN_LIVE_BASES, "SELECT i.bases, h.n_task_ins FROM task_flow_ins i JOIN task_flow_history h ON h.flow_id=i.flow_id " \
    "AND h.flow_version=i.flow_version WHERE i.state IN (1,2,3)") \
  X(RUN_LIVE_ALONE, "SELECT ti_id FROM task_alone") \
  X(RUN_LIVE_TASKS, "SELECT ti_id, fi_id, state, epoch, owner, due_time, update_time, phase, end_as FROM task_ins " \
    "WHERE ti_id BETWEEN ?1 AND ?2 AND state<9 ORDER BY ti_id") \
  X(RUN_LIVE_FLOWS, "SELECT fi_id FROM task_flow_ins WHERE state IN (1,2,3)") \
  X(RUN_LIVE_FLOW, "SELECT fi_id, state, due_time, update_time, more_from IS NOT NULL FROM task_flow_ins " \
    "WHERE fi_id=?1 AND state<4")

enum run_stmt {
#define X(n, s) n,
  RUN_STMTS(X)
#undef X
  RUN__N
};
#endif
