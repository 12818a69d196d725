/* Statements of readers and of the definition writer that SQLite alone has. In sq_sql they follow the statements of queries.h.
 * Private to engine/store/sqlite*.c and the test that looks at their plans. */
#ifndef SQLITE_OWN_H
#define SQLITE_OWN_H
#include "queries.h"

/* Flow instances are listed as a merge of streams, one per state, each read backwards from an index. */
#define INS_STREAM(where) \
  "SELECT start_time, fi_id FROM task_flow_ins WHERE " where " ORDER BY start_time DESC NULLS FIRST, fi_id DESC"
#define SIX(X, n, s) X(n, s) X(n##_2, s) X(n##_3, s) X(n##_4, s) X(n##_5, s) X(n##_6, s)
#define SQ_OWN_READ(X) \
  X(OWN_BEGIN, "BEGIN") \
  X(OWN_COMMIT, "COMMIT") \
  SIX(X, OWN_ALL, INS_STREAM(IN_ALL)) \
  SIX(X, OWN_ALL_TIME, INS_STREAM(IN_ALL IN_TIME(IN_SQ))) \
  SIX(X, OWN_FLOW, INS_STREAM(IN_FLOW)) \
  SIX(X, OWN_FLOW_TIME, INS_STREAM(IN_FLOW IN_TIME(IN_SQ)))

#define SQ_OWN_DEF(X) \
  X(OWN_BEGIN_WRITE, "BEGIN IMMEDIATE") \
  X(OWN_ROLLBACK, "ROLLBACK") \
  X(OWN_RAISE, "UPDATE definitions SET version=?1") \
  X(OWN_RAISE_QUEUES, "UPDATE definitions SET version=?1, queues_version=?1") \
  X(OWN_IDS, "UPDATE id_block SET next=?2 WHERE kind=?1") \
  X(OWN_NODE, "INSERT INTO task_node (node_id, flow_id, flow_version, node_key, node_type, task_ids, tasks, config, prev_node, " \
    "task_at, n_task, create_time, update_time) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?12)") \
  X(OWN_EDGE, "INSERT INTO task_node_edge (flow_id, flow_version, node_id, pos, prev_node) VALUES (?1,?2,?3,?4,?5)") \
  X(OWN_USE, "INSERT INTO task_use (task_id, flow_id, node_base) VALUES (?1,?2,?3)")

enum own_stmt {
  OWN_BEFORE = Q__N - 1,
#define X(n, s) n,
  SQ_OWN_READ(X) SQ_OWN_DEF(X)
#undef X
  OWN__END
};
#endif
