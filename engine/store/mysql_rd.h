/* What the reader's files share. Private to mysql_read.c, mysql_list.c, mysql_ins.c, mysql_logs.c. A reader is used by one
 * thread at a time; texts given to callbacks are valid during the call. */
#ifndef MYSQL_RD_H
#define MYSQL_RD_H
#include "mysql_priv.h"

#define MY_RD_TASK_COLS "t.task_id, t.task_version, t.task_name, t.task_description, t.task_type, t.task_content, t.task_config, " \
  "t.update_user, t.update_time"
#define MY_RD_FLOW_COLS "f.flow_id, h.flow_version, h.flow_name, h.flow_description, h.config, f.create_user, h.update_user, " \
  "f.create_time, h.update_time, f.deleted, h.node_base, h.n_node"
#define MY_RD_FLOW_N_NODE 11

/* Plain fields of a row; texts borrowed. */
void my_rd_task(const struct my_cell *c, struct task_def *t);
void my_rd_flow(const struct my_cell *c, struct flow_def *f);
/* The first column of the first row; *v stays when there is none. */
enum wr_rc my_rd_int(struct my_reader *r, const char *sql, const struct my_arg *arg, size_t n, int64_t *v, struct wr_err *err) WR_MUST;
/* Ends a result: rc, or else what its rows met. */
enum wr_rc my_rd_end(struct my_rows *q, enum wr_rc rc, struct wr_err *err) WR_MUST;
#endif
