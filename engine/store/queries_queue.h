/* The part of queries.h about queues, which alone includes it: rows of task_queue, and what is counted in them. Private to
 * engine/store. What never happens: a look at a task that is final; a count that is stored. */
#ifndef STORE_QUERIES_QUEUE_H
#define STORE_QUERIES_QUEUE_H

#define QUEUE_COLS "queue_id, user_name, group_name, max_running, weight, rate_count, rate_per, task_order, paused, rate_at"
/* task_counts() in SQL, of columns with prefix p (ins_rows.h asserts the numbers). */
#define QUEUE_COUNTS(p) p "state IN (4,6,8) AND (" p "phase=0 OR (" p "phase=1 AND " p "end_as IN (3,10)))"
/* Stand-alone tasks that count in queues. Those of flows stand in the id ranges of live flows. */
#define SQ_IS_NOTED "NULL"
#define SQ_NOTED_TYPE "NULL"
#define SQ_NOTES ""
#define MY_IS_NOTED "c.ti_id"
#define MY_NOTED_TYPE "k.group_name"
#define MY_NOTE_OF_TYPE " LEFT JOIN task_counted k ON k.ti_id=-i.ti_id"
#define MY_NOTES " LEFT JOIN task_counted c ON c.ti_id=i.ti_id" MY_NOTE_OF_TYPE
#define RUNNING_ALONE(D) "SELECT " D(STRAIGHT) "i.ti_id, 0, i.owner, a.user_name, a.group_name, a.cpu_overhead, " D(IS_NOTED) \
  ", i.executor_version, " D(NOTED_TYPE) \
  " FROM task_alone l CROSS JOIN task_ins i ON i.ti_id=l.ti_id LEFT JOIN task_async a ON a.ti_id=l.ti_id" D(NOTES) \
  " WHERE " QUEUE_COUNTS("i.")

#define NOT_A_TYPE "user_name<>'" QUEUE_OF_TYPE "'"
/* Queues as they are shown: rows, and what is counted of live stand-alone tasks. Whoever asks pays for all that live, and for no
 * others: that they are sorted is no accident here. */
#define QUEUE_USE(D) "(SELECT user_name u, group_name g, 0 n_queued, 0 n_running, 0 n_blocked, NULL since " \
  "FROM task_queue WHERE " NOT_A_TYPE " " \
  "UNION ALL SELECT " D(STRAIGHT) "a.user_name, a.group_name, CASE WHEN i.state=3 AND i.phase=0 THEN 1 ELSE 0 END, " \
  "CASE WHEN " QUEUE_COUNTS("i.") " THEN 1 ELSE 0 END, CASE WHEN i.state IN (1,2,5,7) AND i.phase=0 THEN 1 ELSE 0 END, " \
  "CASE WHEN i.state=3 AND i.phase=0 THEN i.update_time END FROM task_alone l CROSS JOIN task_ins i ON i.ti_id=l.ti_id " \
  "CROSS JOIN task_async a ON a.ti_id=l.ti_id) x"
#define SQ_LIVE_FLOWS " INDEXED BY task_flow_ins_state"
#define SQ_IS_LIVE "i.state IN (1,2,3)"
#define MY_LIVE_FLOWS " FORCE INDEX(task_flow_ins_open)"
#define MY_IS_LIVE "i.opened=1"
#define QUERIES_QUEUE(X, D) \
  X(Q_FLOWS_LIVE, "SELECT i.fi_id, i.flow_id, i.flow_version, i.wish, i.bases, h.n_task_ins FROM task_flow_ins i" \
    D(LIVE_FLOWS) " JOIN task_flow_history h ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version WHERE " D(IS_LIVE) \
    " LIMIT ?1") \
  X(Q_FLOW_TASKS, "SELECT ti_id, fi_id, state, " QUEUE_COUNTS("") ", task_id, task_version, update_time FROM task_ins" \
    D(PRIMARY) " WHERE ti_id BETWEEN ?1 AND ?2 AND state<9 AND fi_id IS NOT NULL ORDER BY ti_id LIMIT ?3") \
  X(Q_QUEUES, "SELECT p.u, p.g, p.queued, p.running, p.blocked, p.oldest, " QUEUE_COLS " FROM (SELECT u, g, " \
    "SUM(n_queued) queued, SUM(n_running) running, SUM(n_blocked) blocked, MIN(since) oldest FROM " QUEUE_USE(D) \
    " GROUP BY u, g) p LEFT JOIN task_queue ON user_name=p.u AND group_name=p.g " \
    "ORDER BY p.u, p.g") \
  X(Q_QUEUE_ROWS, "SELECT " QUEUE_COLS " FROM task_queue WHERE user_name IN (?1,'') AND group_name IN (?2,'')") \
  X(Q_QUEUE_RUNNING, "SELECT " D(STRAIGHT) "a.user_name, a.group_name, COUNT(*) FROM task_alone l " \
    "CROSS JOIN task_ins i ON i.ti_id=l.ti_id CROSS JOIN task_async a ON a.ti_id=l.ti_id WHERE " QUEUE_COUNTS("i.") \
    " GROUP BY a.user_name, a.group_name UNION ALL SELECT " D(STRAIGHT) "'" QUEUE_OF_TYPE "', " \
    "COALESCE(a.task_type, d.task_type), COUNT(*) FROM task_alone l CROSS JOIN task_ins i ON i.ti_id=l.ti_id " \
    "CROSS JOIN task_async a ON a.ti_id=l.ti_id LEFT JOIN task d ON d.task_id=i.task_id WHERE i.executor_version<>0 AND " \
    QUEUE_COUNTS("i.") " GROUP BY COALESCE(a.task_type, d.task_type)")

/* The definition writer's. */
#define QUERIES_DEF_QUEUE(X, D) \
  X(Q_QUEUE_KNOWN, "SELECT " QUEUE_COLS " FROM task_queue WHERE user_name=?1 AND group_name=?2" D(FOR_UPDATE)) \
  X(Q_QUEUES_N, "SELECT COUNT(*), COUNT(CASE WHEN " NOT_A_TYPE " THEN 1 END) FROM task_queue") \
  X(Q_QUEUE_INSERT, "INSERT INTO task_queue (user_name, group_name, max_running, weight, rate_count, rate_per, task_order, " \
    "paused, rate_at, create_time, update_time) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?10)") \
  X(Q_QUEUE_UPDATE, "UPDATE task_queue SET max_running=?3, weight=?4, rate_count=?5, rate_per=?6, task_order=?7, paused=?8, " \
    "rate_at=?9, update_time=?10 WHERE user_name=?1 AND group_name=?2") \
  X(Q_QUEUE_DELETE, "DELETE FROM task_queue WHERE user_name=?1 AND group_name=?2")
#endif
