/* The part of queries.h about lists of tasks (alone.c), which alone includes it. Private to engine/store. What never happens: a
 * list that is sorted by the database. */
#ifndef STORE_QUERIES_LOOK_H
#define STORE_QUERIES_LOOK_H

/* Stand-alone tasks, newest first: SQLite's numbers rise with the time of creation, those of several nodes do not. ?1, ?2:
 * behind this row; ?3: how many. */
#define SQ_BEFORE "a.ti_id<?2"
#define MY_BEFORE "a.create_time<=?1 AND (a.create_time<?1 OR a.ti_id<?2)"
#define SQ_NEWEST " ORDER BY a.ti_id DESC LIMIT ?3"
#define MY_NEWEST " ORDER BY a.create_time DESC, a.ti_id DESC LIMIT ?3"
#define SQ_IN_TIME_ORDER ""
#define MY_IN_TIME_ORDER " FORCE INDEX(task_async_time)"
#define SQ_NAMED " AND (user_name<>'' OR group_name<>'')"   /* what the index of queues holds */
#define MY_NAMED ""

/* What a filter of stand-alone tasks looks at: of task_async a, task_ins i (alone.c). */
#define LOOK_COLS "a.ti_id, a.create_time, i.state, i.phase, i.end_as, i.task_id, a.task_type, a.user_name, a.group_name, " \
  "a.task_key"
#define LOOK_FROM(D, index) "SELECT " D(STRAIGHT) LOOK_COLS " FROM task_async a" index " CROSS JOIN task_ins i " \
  "ON i.ti_id=a.ti_id WHERE "
/* Tasks of nodes too. What somebody said beside their definitions: o of this one, w of all of its flow. A longer text of bases
 * is not brought for each task of its flow. */
#define LOOK_INS_COLS "i.ti_id, i.create_time, i.state, i.phase, i.end_as, i.task_id, a.task_type, a.user_name, a.group_name, " \
  "a.task_key"
#define LOOK_INS_FROM(D) " FROM task_ins i" D(PRIMARY) " LEFT JOIN task_async a ON a.ti_id=i.ti_id"
#define LOOK_INS_ORDER " WHERE i.ti_id<?2 ORDER BY i.ti_id DESC LIMIT ?3"
#define LOOK_BASES "200"

#define QUERIES_LOOK(X, D) \
  X(Q_LOOK_ALL, LOOK_FROM(D, D(IN_TIME_ORDER)) D(BEFORE) D(NEWEST)) \
  X(Q_LOOK_QUEUE, LOOK_FROM(D, D(BY)("task_async_queue")) "a.user_name=?4 AND a.group_name=?5" D(NAMED) " AND " D(BEFORE) \
    D(NEWEST)) \
  X(Q_LOOK_KEY, LOOK_FROM(D, D(BY)("task_async_scope")) "a.task_key=?4 LIMIT ?3") \
  X(Q_LOOK_KEYS, LOOK_FROM(D, D(BY)("task_async_scope")) "a.task_key>=?4 AND a.task_key<?5 LIMIT ?3") \
  X(Q_LOOK_JOB, "SELECT " D(STRAIGHT) LOOK_COLS " FROM job_task j" D(PRIMARY) " CROSS JOIN task_async a ON a.ti_id=j.ti_id " \
    "CROSS JOIN task_ins i ON i.ti_id=j.ti_id WHERE j.job_id=?4 AND j.ti_id<?2 ORDER BY j.ti_id DESC LIMIT ?3") \
  X(Q_LOOK_CHILDREN, "SELECT " D(STRAIGHT) LOOK_COLS " FROM task_child c" D(PRIMARY) " CROSS JOIN task_async a " \
    "ON a.ti_id=c.ti_id CROSS JOIN task_ins i ON i.ti_id=c.ti_id WHERE c.parent_ti=?4 AND c.ti_id<?2 AND (?5=0 OR a.job_id=?5) " \
    "ORDER BY c.ti_id DESC LIMIT ?3") \
  X(Q_JOB_LEFT, "SELECT COALESCE(a.task_type, d.task_type), CASE WHEN i.phase=2 THEN 0 " \
    "WHEN i.state IN (4,6,8) THEN 1 WHEN i.state=3 THEN 2 ELSE 0 END, 1, i.epoch FROM job_task j " \
    "CROSS JOIN task_ins i ON i.ti_id=j.ti_id " \
    "LEFT JOIN task_async a ON a.ti_id=j.ti_id LEFT JOIN task d ON d.task_id=i.task_id WHERE j.job_id=?1") \
  X(Q_JOB_IDS, "SELECT j.ti_id, CASE WHEN a.context_len>0 THEN 1 ELSE 0 END FROM job_task j LEFT JOIN task_async a " \
    "ON a.ti_id=j.ti_id WHERE j.job_id=?1 AND j.ti_id>?2 ORDER BY j.ti_id LIMIT ?3") \
  X(Q_IDS_STRAY, "SELECT k.ti_id FROM task_child k" D(PRIMARY) " JOIN task_async p ON p.ti_id=k.parent_ti " \
    "JOIN task_async c ON c.ti_id=k.ti_id AND COALESCE(c.job_id,0)<>COALESCE(p.job_id,0) WHERE k.parent_ti" D(ID)) \
  X(Q_IDS_TASK, "SELECT ti_id FROM task_ins" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_IDS_ALONE, "SELECT ti_id FROM task_alone" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_IDS_ASYNC, "SELECT ti_id FROM task_async" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_IDS_ATTEMPT, "SELECT ti_id FROM task_attempt" D(PRIMARY) " WHERE ti_id" D(ID)) \
  X(Q_LOOK_LIVE, "SELECT " D(STRAIGHT) LOOK_COLS " FROM task_alone l" D(PRIMARY) " CROSS JOIN task_async a ON a.ti_id=l.ti_id " \
    "CROSS JOIN task_ins i ON i.ti_id=l.ti_id WHERE l.ti_id<?2 ORDER BY l.ti_id DESC LIMIT ?3") \
  X(Q_LOOK_INS, "SELECT " D(STRAIGHT) LOOK_INS_COLS LOOK_INS_FROM(D) LOOK_INS_ORDER) \
  X(Q_LOOK_NODES, "SELECT " D(STRAIGHT) LOOK_INS_COLS ", i.fi_id, i.task_version, f.flow_id, f.flow_version, " \
    "CASE WHEN i.task_id IS NULL AND LENGTH(f.bases)<=" LOOK_BASES " THEN f.bases END, o.user_name, o.group_name, " \
    "w.user_name, w.group_name" LOOK_INS_FROM(D) " LEFT JOIN task_flow_ins f ON f.fi_id=i.fi_id LEFT JOIN flow_queue o " \
    "ON o.fi_id=i.fi_id AND o.ti_id=i.ti_id LEFT JOIN flow_queue w ON w.fi_id=i.fi_id AND w.ti_id=0" LOOK_INS_ORDER) \
  X(Q_LOOK_GROUPS, "SELECT group_name FROM task_async" D(BY)("task_async_queue") " WHERE user_name=?1 AND group_name>?2" \
    D(NAMED) " ORDER BY group_name LIMIT 1") \
  X(Q_LOOK_AT, "SELECT create_time FROM task_async" D(PRIMARY) " WHERE ti_id>=?1 ORDER BY ti_id LIMIT 1") \
  X(Q_LOOK_ASYNC, "SELECT " ASYNC_SHOWN " FROM task_async a" D(PRIMARY) " WHERE a.ti_id" D(ID)) \
  X(Q_LOOK_TASKS, "SELECT " TASK_SHOWN(D) " FROM task_ins" D(PRIMARY) " WHERE ti_id" D(ID))
#endif
