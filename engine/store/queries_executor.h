/* The part of queries.h about executors and analyzers that were registered, which alone includes it. Private to engine/store.
 *
 * A delete of an executor looks for a user of it in all definitions: that scans, and it is no accident. ?1: the type; ?2: how the
 * type stands in the inline tasks of a node. Tasks of a flow that lives are pinned to the version that was current when their
 * node started: a definition that had the type at any time since the flow was made counts, however it is saved now. Of an
 * analyzer ?2 is how its name stands in a taskConfig; ?1 is not looked at. */
#ifndef STORE_QUERIES_EXECUTOR_H
#define STORE_QUERIES_EXECUTOR_H

#define EXECUTOR_COLS "executor_type, executor_version, executor_id, create_time, update_time, body, current"
#define ANALYZER_COLS "analyzer_type, analyzer_version, NULL, create_time, update_time, body, current"
#define NODES_OF_H "JOIN task_node n ON n.node_id BETWEEN h.node_base AND h.node_base+h.n_node-1 "
/* e: a version of an executor that is none any more, and names the analyzer. A flow that began before the next version was there
 * may have tasks of it. */
#define FORMER_NAMES "e.current=0 AND INSTR(e.body, ?2)>0"
#define SQ_IN_NODE "INSTR(n.tasks, '\"taskType\":\"' || e.executor_type || '\"')>0"
#define MY_IN_NODE "INSTR(n.tasks, CONCAT('\"taskType\":\"', e.executor_type, '\"'))>0"
#define QUERIES_EXECUTOR(X, D) \
  X(Q_EXECUTORS_VERSION, "SELECT executors_version FROM definitions") \
  X(Q_EXECUTORS, "SELECT " EXECUTOR_COLS " FROM task_executor WHERE current=1 ORDER BY executor_type") \
  X(Q_EXECUTOR, "SELECT " EXECUTOR_COLS " FROM task_executor WHERE executor_type=?1 AND executor_version=?2") \
  X(Q_EXECUTOR_NOW, "SELECT " EXECUTOR_COLS " FROM task_executor WHERE executor_type=?1 AND current=1") \
  X(Q_EXECUTOR_LAST, "SELECT MAX(executor_version), MIN(create_time) FROM task_executor WHERE executor_type=?1") \
  X(Q_EXECUTOR_OF_ID, "SELECT executor_type FROM task_executor WHERE executor_id=?1") \
  X(Q_EXECUTORS_N, "SELECT SUM(current), COUNT(*) FROM task_executor") \
  X(Q_EXECUTOR_TYPE, "SELECT COUNT(*) FROM task_type WHERE task_type=?1") \
  X(Q_EXECUTOR_FORMER, "UPDATE task_executor SET current=0, executor_id=NULL WHERE executor_type=?1 AND current=1") \
  X(Q_EXECUTOR_INSERT, "INSERT INTO task_executor (" EXECUTOR_COLS ") VALUES (?1,?2,?3,?4,?5,?6,1)") \
  X(Q_EXECUTORS_RAISE, "UPDATE definitions SET executors_version=executors_version+1") \
  X(Q_EXECUTORS_TELL, "UPDATE engine_node SET executors=?2 WHERE incarnation=?1 AND state='LIVE'") \
  X(Q_EXECUTOR_TASK, "SELECT task_id FROM task WHERE task_type=?1 AND deleted=0 LIMIT 1") \
  X(Q_EXECUTOR_FLOW, "SELECT f.flow_id FROM task_flow f JOIN task_flow_history h ON h.flow_id=f.flow_id AND " \
    "h.flow_version=f.flow_version " NODES_OF_H "WHERE f.deleted=0 AND INSTR(n.tasks, ?2)>0 LIMIT 1") \
  X(Q_EXECUTOR_ALONE, "SELECT a.ti_id FROM task_alone l CROSS JOIN task_async a ON a.ti_id=l.ti_id " \
    "WHERE a.task_type=?1 LIMIT 1") \
  X(Q_EXECUTOR_FLOW_INS, "SELECT i.fi_id FROM task_flow_ins i" D(LIVE_FLOWS) " JOIN task_flow_history h ON " \
    "h.flow_id=i.flow_id AND h.flow_version=i.flow_version " NODES_OF_H "WHERE " D(IS_LIVE) " AND INSTR(n.tasks, ?2)>0 LIMIT 1") \
  X(Q_EXECUTOR_FLOW_TASK, "SELECT " D(STRAIGHT) "i.fi_id FROM (SELECT task_id, MAX(task_version) last FROM task_history " \
    "WHERE task_type=?1 GROUP BY task_id) k CROSS JOIN task_use u ON u.task_id=k.task_id CROSS JOIN task_flow_ins i" \
    D(BY)("task_flow_ins_flow") " ON i.flow_id=u.flow_id CROSS JOIN task_flow_history h ON h.flow_id=i.flow_id AND " \
    "h.flow_version=i.flow_version AND h.node_base=u.node_base WHERE i.state IN (1,2,3) AND NOT EXISTS (SELECT 1 FROM " \
    "task_history t WHERE t.task_id=k.task_id AND t.task_version>k.last AND t.update_time<i.create_time) LIMIT 1") \
  X(Q_ANALYZERS_VERSION, "SELECT analyzers_version FROM definitions") \
  X(Q_ANALYZERS, "SELECT " ANALYZER_COLS " FROM analyzer WHERE current=1 ORDER BY analyzer_type") \
  X(Q_ANALYZER, "SELECT " ANALYZER_COLS " FROM analyzer WHERE analyzer_type=?1 AND analyzer_version=?2") \
  X(Q_ANALYZER_NOW, "SELECT " ANALYZER_COLS " FROM analyzer WHERE analyzer_type=?1 AND current=1") \
  X(Q_ANALYZER_LAST, "SELECT MAX(analyzer_version), MIN(create_time) FROM analyzer WHERE analyzer_type=?1") \
  X(Q_ANALYZERS_N, "SELECT SUM(current), COUNT(*) FROM analyzer") \
  X(Q_ANALYZER_FORMER, "UPDATE analyzer SET current=0 WHERE analyzer_type=?1 AND current=1") \
  X(Q_ANALYZER_INSERT, "INSERT INTO analyzer (analyzer_type, analyzer_version, create_time, update_time, body, current) " \
    "VALUES (?1,?2,?4,?5,?6,1)") \
  X(Q_ANALYZERS_RAISE, "UPDATE definitions SET analyzers_version=analyzers_version+1") \
  X(Q_ANALYZER_EXECUTOR, "SELECT executor_type FROM task_executor WHERE current=1 AND INSTR(body, ?2)>0 LIMIT 1") \
  X(Q_ANALYZER_TASK, "SELECT task_id FROM task WHERE deleted=0 AND INSTR(task_config, ?2)>0 LIMIT 1") \
  X(Q_ANALYZER_ALONE, "SELECT l.ti_id FROM task_alone l CROSS JOIN task_async a ON a.ti_id=l.ti_id JOIN task_ins i " \
    "ON i.ti_id=l.ti_id LEFT JOIN task_history h ON h.task_id=i.task_id AND h.task_version=i.task_version " \
    "WHERE INSTR(a.task_config, ?2)>0 OR INSTR(h.task_config, ?2)>0 LIMIT 1") \
  X(Q_ANALYZER_FLOW_INS, "SELECT i.fi_id FROM task_flow_ins i" D(LIVE_FLOWS) " JOIN task_flow_history h ON " \
    "h.flow_id=i.flow_id AND h.flow_version=i.flow_version " NODES_OF_H "WHERE " D(IS_LIVE) " AND (INSTR(n.tasks, ?2)>0 OR " \
    "EXISTS (SELECT 1 FROM task_use u JOIN task_history t ON t.task_id=u.task_id WHERE u.flow_id=i.flow_id AND " \
    "u.node_base=h.node_base AND INSTR(t.task_config, ?2)>0)) LIMIT 1") \
  X(Q_FORMER_ALONE, "SELECT l.ti_id FROM task_alone l CROSS JOIN task_ins i ON i.ti_id=l.ti_id JOIN task_async a " \
    "ON a.ti_id=l.ti_id JOIN task_executor e ON e.executor_type=a.task_type AND e.executor_version=i.executor_version " \
    "WHERE " FORMER_NAMES " LIMIT 1") \
  X(Q_FORMER_FLOW_INS, "SELECT i.fi_id FROM task_executor e CROSS JOIN task_flow_ins i" D(LIVE_FLOWS) " JOIN " \
    "task_flow_history h ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version " NODES_OF_H "WHERE " FORMER_NAMES " AND " \
    D(IS_LIVE) " AND i.create_time<=(SELECT MIN(x.update_time) FROM task_executor x WHERE x.executor_type=e.executor_type " \
    "AND x.executor_version>e.executor_version) AND (" D(IN_NODE) " OR EXISTS (SELECT 1 FROM task_use u JOIN task t ON " \
    "t.task_id=u.task_id WHERE u.flow_id=i.flow_id AND u.node_base=h.node_base AND t.task_type=e.executor_type)) LIMIT 1")
#endif
