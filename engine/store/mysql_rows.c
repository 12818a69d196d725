/* Rows of the instance tables, from text or prepared results alike. Pure. */
#include "mysql_priv.h"
#include <stdlib.h>

void my_get_flow(const struct my_cell *c, struct flow_row *r, struct arena *a) {
  *r = (struct flow_row){
    .fi = my_int(&c[0]), .flow_id = my_int(&c[1]), .flow_version = my_int(&c[2]), .version = my_int(&c[3]),
    .state = (uint8_t)my_int(&c[4]), .wish = (uint8_t)my_int(&c[5]), .run_no = (uint32_t)my_int(&c[6]),
    .live = (uint32_t)my_int(&c[7]), .failed = (uint32_t)my_int(&c[8]), .create_us = my_us(&c[9]), .start_us = my_us(&c[10]),
    .end_us = my_us(&c[11]), .update_us = my_us(&c[12]), .due_us = my_us(&c[13]), .error = my_str(&c[14], a),
    .params = my_str(&c[15], a), .bases = my_str(&c[16], a), .more = my_str(&c[17], a)};
}

void my_get_node(const struct my_cell *c, struct node_row *r, struct arena *a) {
  *r = (struct node_row){
    .ni = my_int(&c[0]), .fi = my_int(&c[1]), .node_id = my_int(&c[2]), .run_no = (uint32_t)my_int(&c[3]),
    .state = (uint8_t)my_int(&c[4]), .ok = (uint32_t)my_int(&c[5]), .fail = (uint32_t)my_int(&c[6]),
    .skip = (uint32_t)my_int(&c[7]), .t_ok = (uint32_t)my_int(&c[8]), .t_bad = (uint32_t)my_int(&c[9]),
    .t_open = (uint32_t)my_int(&c[10]), .create_us = my_us(&c[11]), .start_us = my_us(&c[12]), .end_us = my_us(&c[13]),
    .update_us = my_us(&c[14]), .error = my_str(&c[15], a), .t_canceled = (uint32_t)my_int(&c[16])};
}

void my_get_task(const struct my_cell *c, struct task_row *r, struct arena *a) {
  *r = (struct task_row){
    .ti = my_int(&c[0]), .ni = my_int(&c[1]), .fi = my_int(&c[2]), .task_id = my_int(&c[3]), .create_us = my_us(&c[4]),
    .update_us = my_us(&c[5]), .end_us = my_us(&c[6]),
    .t = {.state = (enum task_state)my_int(&c[7]), .end_as = (enum task_state)my_int(&c[8]), .losses = (uint8_t)my_int(&c[9]),
          .cancel_requested = (uint8_t)my_int(&c[10]), .epoch = (uint32_t)my_int(&c[11]), .tries = (uint32_t)my_int(&c[12]),
          .owner = my_int(&c[13]), .start_us = my_us(&c[14]), .due_us = my_us(&c[15]), .version = my_int(&c[16])},
    .error = my_str(&c[17], a), .result = my_str(&c[18], a), .result_len = c[18].kind == MY_NULL ? 0 : c[18].n,
    .log = (uint8_t)my_int(&c[19]), .exit_code = (int32_t)my_int(&c[20]),
    .signal = (int32_t)my_int(&c[21]), .utime_us = my_int(&c[22]), .stime_us = my_int(&c[23]), .maxrss_kib = my_int(&c[24]),
    .log_bytes = my_int(&c[25]), .params = my_str(&c[26], a), .log_lost = my_int(&c[27]), .log_lost_why = (uint8_t)my_int(&c[28])};
}
