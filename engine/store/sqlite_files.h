/* The part of sqlite_priv.h about the files: which there are, what is known of them, whether they are still there. sqlite_priv.h
 * alone includes it. */
#ifndef SQLITE_FILES_H
#define SQLITE_FILES_H
enum { SQ_LOG_WAL = 5, SQ_FILES = 7 };  /* see tail[]; from SQ_LOG_WAL on: looked at while a writer of logs is open */
struct sq_file { dev_t dev; ino_t ino; };

/* What sqlite_whole.c has seen; the checkpoint thread's. */
struct sq_whole {
  int index_fd;             /* -1 = none */
  uint8_t salt[8]; uint32_t frames;   /* of the WAL that was looked at last; so many of its frames were whole */
  bool doubt;               /* the database looked short: it is looked at again soon */
  bool linked;              /* its second name was logged */
};

struct sq;
/* ---- sqlite_files.c ---- */
char *sq_true_path(const char *path);
enum wr_rc sq_check_kind(const char *path, struct wr_err *err);  /* refuses what is no file; WR_NOT_FOUND: nothing is there */
bool sq_in_use(const char *path);                                /* somebody holds the lock of that database */
enum wr_rc sq_take_lock(struct sq *s, struct wr_err *err);
enum wr_rc sq_files_know(struct sq *s, struct wr_err *err);
/* True: no file was removed or replaced so far. Else the loss is logged once, and the answer is never true again. Any thread. */
bool sq_files_there(struct sq *s);
void sq_files_logs(struct sq *s, bool open);  /* open: a writer of logs has come; else one goes, whose connection is still open */
/* The checkpoint thread's, from time to time and before it moves pages: a look at the files finds what the kernel does not
 * report. */
bool sq_files_look(struct sq *s);
/* ---- sqlite_whole.c ---- */
void sq_whole_begin(struct sq *s);                /* the runner's connection is open */
void sq_whole_end(struct sq *s);                  /* no connection is */
/* The end of the name ("-wal") of a file that is shorter than what was written; NULL = none is. Logs a second name. */
const char *sq_whole_look(struct sq *s);
#endif
