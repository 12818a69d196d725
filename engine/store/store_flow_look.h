/* Live tasks of live flows for readers, page by page: what is counted in queues beside stand-alone tasks. Part of store.h,
 * which alone includes it. Any thread; a look is one thread's, and each of its calls may have another reader.
 *
 * A look holds the flows that live when it begins. Its tasks may be those of other flows, too: ranges of ids that lie close
 * together are read as one, and flows end meanwhile. flow_look_find() tells them apart.
 * What never happens: more flows in memory than the look was made for; which of them these are is the store's choice. */
#ifndef STORE_FLOW_LOOK_H
#define STORE_FLOW_LOOK_H

struct flow_at { int64_t fi, flow_id, version; bool said; const char *bases; };   /* said: somebody said whose its tasks are */
enum flow_task_is { FLOW_TASK_QUEUED, FLOW_TASK_COUNTS, FLOW_TASK_BLOCKED };       /* as in struct queue_shown */
struct flow_task { int64_t ti, fi, task_id, version, update_us; enum flow_task_is is; };
struct flow_look;
struct flow_look *flow_look_new(size_t most);
void flow_look_free(struct flow_look *l);
/* First: the flows. *whole false: more of them live than the look may hold. */
enum wr_rc reader_flow_look(struct reader *r, struct flow_look *l, bool *whole, struct wr_err *err) WR_MUST;
/* The next tasks, by ti, at most cap; *n 0: there are no more. */
enum wr_rc reader_flow_tasks(struct reader *r, struct flow_look *l, struct flow_task *out, size_t cap, size_t *n,
                             struct wr_err *err) WR_MUST;
const struct flow_at *flow_look_find(const struct flow_look *l, int64_t fi);      /* NULL: it is none of them */
#endif
