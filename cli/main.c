/* The binary: one table of verbs. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "program.h"
#include "text.h"
#include "verbs.h"

static const struct verb { const char *name; int (*run)(int argc, char **argv); const char *help; } verbs[] = {
  {"server", verb_server, "serve the API and run flows"},
  {"run", verb_run, "run one flow file to its end, with no server"},
  {"db", verb_db, "bring a database to the schema of this program"},
  {"token", verb_token, "show the API's token, or make a new one"},
  {"member", verb_member, "list the processes of a cluster; show one, drain some"},
  {"executor", verb_executor, "list the registered task types; show, add, remove one"},
  {"analyzer", verb_analyzer, "list the registered result analyzers; show, add, remove one"},
  {"job", verb_job, "list jobs; show, cancel, retry or delete one"},
  {"report", verb_report, "tell the server how far a SHELL task is, from its script"},
  {"config", verb_config, "show the options and where they come from"},
  {"version", verb_version, "print the version and the schema"},
};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static void usage(FILE *to) {
  fputs("Usage: weir VERB [options]\n\n", to);
  for (size_t i = 0; i < N_VERBS; i++) fprintf(to, "  %-10s%s\n", verbs[i].name, verbs[i].help);
  fputs("\n  weir run examples/retries.json\n  weir server --dev\n\nSee `weir VERB --help`.\n", to);
}

static int unknown(const char *name) {
  char q[WR_QUOTE_MAX];
  const char *near = NULL;
  for (size_t i = 0; i < N_VERBS; i++) {
    if (text_distance(name, verbs[i].name) <= 2) near = verbs[i].name;
  }
  fprintf(stderr, "weir: unknown verb %s.", wr_err_quote(q, name, strlen(name)));
  if (near) fprintf(stderr, " Did you mean \"%s\"?", near);
  fputs(" See `weir --help`.\n", stderr);
  return EXIT_USAGE;
}

/* If we are started without descriptor 0, 1 or 2, our output must not end up in whatever file we open next. */
static void hold_places(void) {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR);
    if (fd != STDOUT_FILENO) continue;
    close(fd); /* not for writing: an answer that goes nowhere must not pass as a success */
    fd = open("/dev/null", O_RDONLY);
  } while (fd >= 0 && fd < 3);
  if (fd >= 3) close(fd);
}

/* An answer that could not be written is a failure. */
static int answered(int code) {
  bool lost = fflush(stdout) != 0 || ferror(stdout);
  if (lost) fputs("weir: standard output cannot be written; the answer is lost\n", stderr);
  return lost && code == EXIT_OK ? EXIT_REFUSED : code;
}

int main(int argc, char **argv) {
  hold_places();
  if (argc < 2) {
    usage(stderr);
    return EXIT_USAGE;
  }
  const char *name = argv[1];
  char help[] = "--help", *of[] = {argv[0], argc == 3 ? argv[2] : help, help, NULL};
  if (strcmp(name, "help") == 0 && argc == 3) { /* weir help VERB */
    argv = of;
    name = argv[1];
  }
  if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
    usage(stdout);
    return EXIT_OK;
  }
  if (strcmp(name, "spawner") == 0) spawner_program(argc, argv); /* for the engine only; to a person this verb is unknown */
  if (strcmp(name, "--version") == 0) name = "version";
  for (size_t i = 0; i < N_VERBS; i++) {
    if (strcmp(name, verbs[i].name) == 0) return answered(verbs[i].run(argc - 1, argv + 1));
  }
  return unknown(name);
}
