/* The verbs of the command line and what they share. Main thread. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H
#include "config.h"
#include "identity.h"
#include "log.h"
#include "node.h"

enum exit_code {
  EXIT_OK = 0,
  EXIT_RUN_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_NOT_FOUND = 3,
  EXIT_REFUSED = 4,        /* invalid, or in conflict with what is there */
  EXIT_UNREACHABLE = 5,    /* the server, or its database */
  EXIT_STOPPED = 6,        /* the run was canceled */
  EXIT_WAIT_OVER = 124,    /* what was asked for goes on; the time to wait for it is up */
  EXIT_INTERRUPTED = 130   /* Ctrl-C */
};

int verb_server(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_db(int argc, char **argv);
int verb_token(int argc, char **argv);
int verb_member(int argc, char **argv);
int verb_executor(int argc, char **argv);
int verb_analyzer(int argc, char **argv);
int verb_job(int argc, char **argv);
int verb_report(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_version(int argc, char **argv);

/* ---- setup.c ---- */
/* "weir VERB: message (path)" on stderr; returns code. */
int complain(const char *verb, const struct wr_err *err, enum exit_code code);
/* The exit code of a failure while starting. */
enum exit_code exit_of(enum wr_rc rc);
/* Log, zone, slots, shell policy, run-as: what server and run have in common. `mode` as below. */
enum shell_mode { SHELL_PERSONAL, SHELL_SERVICE };  /* --dev and run: as whoever started this; else as users that are named */
/* o->roles and o->data (NULL = made later) are known. who: the user that the process will be. usual: the level of the log when
 * none is given. setup_done() frees what this made. */
enum wr_rc setup_common(const struct config *c, enum shell_mode mode, enum log_level usual, struct node_opts *o,
                        struct identity *who, struct wr_err *err) WR_MUST;
void setup_done(struct node_opts *o, struct identity *who);
/* Tells a person what to know when SHELL tasks run here, or when they do not. */
void setup_tell_shell(const struct node_opts *o, enum shell_mode mode);
/* Like setup_common(), but says nothing: for `weir config`. */
enum wr_rc setup_quietly(const struct config *c, enum shell_mode mode, struct node_opts *o, struct identity *who,
                         struct wr_err *err) WR_MUST;
/* ---- server.c ---- */
/* The value in force in `weir server` of an option that was not given; "" = none. */
void server_effective(const struct config *c, enum opt_id id, char *out, size_t n);
#endif
