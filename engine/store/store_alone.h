/* Stand-alone tasks for the API: lists, async rows, and what attempts reported. Part of store.h, which alone includes it. Any
 * thread with a reader of its own. */
#ifndef STORE_ALONE_H
#define STORE_ALONE_H

/* A place in a list: behind this row. {0, 0} = before the newest. */
struct alone_pos { int64_t create_us, ti; };

/* States that are shown but are no numbers of enum task_state (struct task, phase), as bits behind those of the numbers. */
#define ALONE_DELETING (1u << TASK__N)            /* phase DELETE, not final */
#define ALONE_DELETE_FAILED (1u << (TASK__N + 1)) /* phase DELETE, FAILED */
#define ALONE_ANALYZING (1u << (TASK__N + 2))     /* phase ANALYSE, not PAUSED */
#define ALONE_WAITING (1u << (TASK__N + 3))       /* phase CHILDREN, not canceled */
#define ALONE_STATE(s) (1u << (s))                /* of enum task_state; a task in another phase than RUN is in none of these */
#define ALONE_LIVE ((ALONE_STATE(TASK_FINAL_MIN) - 1) | ALONE_DELETING | ALONE_ANALYZING | ALONE_WAITING)

/* The task of a node, for whoever knows definitions: its saved one, or its place in that of its flow. */
struct node_task {
  int64_t ti, fi;
  int64_t task_id, version;       /* 0 = defined in its node */
  int64_t flow_id, flow_version;  /* 0 = the flow instance is gone */
  const char *bases;              /* of the flow instance; NULL = too long to be read for each of its tasks */
};
/* *out: a reference, NULL = nothing is known of it. Not OK: the store could not be asked. r: the list's own, free for use. */
typedef enum wr_rc node_def_fn(void *ctx, struct reader *r, const struct node_task *t, struct task_def **out,
                               struct wr_err *err);

/* All that are given must fit. */
struct alone_filter {
  const char *user, *group;       /* exact, "" too; NULL = any */
  const char *type;               /* exact; NULL = any */
  const char *key;                /* taskKey, exact; NULL = any */
  bool key_prefix;                /* key is the beginning of taskKeys; none of its characters means another one */
  int64_t task_id;                /* 0 = any */
  int64_t job;                    /* of this job only; 0 = any. Then alone_only holds, and the order is that of ti */
  int64_t parent;                 /* added by the verdict about this task only; 0 = any. The same holds */
  uint32_t states;                /* set of ALONE_..; 0 = any */
  int status;                     /* 0 any, 1 RUNNING, 2 SUCCESS, 3 FAILED: S2's words */
  int64_t from_us, to_us;         /* on create_time, inclusive; 0 = open */
  bool alone_only;                /* false: tasks of nodes too, which have no key. The order is then that of ti */
  node_def_fn *def_of; void *def_ctx;   /* what definitions of tasks of nodes say of user, group, type; NULL = nothing */
  struct alone_pos *pos;          /* NULL, or where the look begins (page.offset counts from there), and then how far it came */
};

/* Newest first: (create_time, ti). a: without content, config and context, which are NULL (context_len is told); NULL: a task
 * of a node. t: without result (result_len is told). Return 0 to go on. */
typedef int alone_row_fn(void *ctx, const struct task_row *t, const struct async_row *a);
/* At most LIMIT_ALONE_LOOK rows are looked at; these are the newest that an index yields: for a key, else for live tasks when
 * only those are asked for, they are not more than that, and it is no user's list that goes on from pos; else for user and
 * group, for the user, for all. *more: rows that fit exist beyond the page, or the look ended at its bound before the page was
 * full; the next call goes on from pos. *total: how many fit, when asked; -1 when not asked, or not all were looked at. */
enum wr_rc reader_list_alone(struct reader *r, const struct alone_filter *f, const struct page *p, alone_row_fn *fn, void *ctx,
                             bool *more, int64_t *total, struct wr_err *err) WR_MUST;

/* The whole async row, without its context; texts are valid during the call. NOT_FOUND: no such task, or a task of a node. */
typedef int async_row_fn(void *ctx, const struct async_row *row);
enum wr_rc reader_async(struct reader *r, int64_t ti, async_row_fn *fn, void *ctx, struct wr_err *err) WR_MUST;

/* ---- what attempts reported (logs_put_context(), logs_put_progress()); of tasks of nodes too ---- */
struct progress_row {
  int64_t ti;
  uint32_t epoch;                 /* of the attempt that reported it newest */
  int64_t owner;                  /* write only: the node of that attempt */
  int64_t at_us;                  /* of the newest report */
  int64_t total, done;            /* -1 = not said */
  double speed;                   /* units a second; < 0 = none yet. Read while none runs: done in the time of all attempts */
  const char *unit, *message;     /* NULL = not said */
};
struct report_row {
  uint32_t context_epoch;         /* of the newest context that an attempt reported, 0 = none did */
  size_t context_len;
  bool has_progress;
  struct progress_row progress;
};
/* Of n tasks at once, each once: out[i] is that of ti[i]; texts are kept in a. */
enum wr_rc reader_reports(struct reader *r, const int64_t *ti, size_t n, struct report_row *out, struct arena *a,
                          struct wr_err *err) WR_MUST;
/* The last good context: what the newest attempt that reported one said, or what was given when that is newer (async_row).
 * Appended to out. *epoch: of the attempt that reported it, or async_row.context_epoch of one that was given. NOT_FOUND:
 * there is none. */
enum wr_rc reader_context(struct reader *r, int64_t ti, struct buf *out, uint32_t *epoch, struct wr_err *err) WR_MUST;
/* A member of the cluster, dead or alive, by its incarnation. host: 256 bytes. NOT_FOUND: it is forgotten, long after its
 * end. */
enum wr_rc reader_member(struct reader *r, int64_t incarnation, char host[256], bool *dead, struct wr_err *err) WR_MUST;
#endif
