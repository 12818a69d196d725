/* Task types for a server, without a program around them: `weir server` loads this file and runs their routines on threads of its
 * own. The calls of weir.h for an attempt are the server's.
 *
 *     cc -shared -fPIC plugin.c -o plugin.so $(pkg-config --cflags --libs weir) && weir server --dev --plugin ./plugin.so
 *     curl -H 'Content-Type: application/json' -d '{"taskType": "count.words", "taskContent": "to be or not"}' \
 *         'localhost:8088/exec/task?wait=5' */
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <weir_plugin.h>

static int count_words(weir_attempt_t *a, void *user) {
  const char *text = weir_attempt_content(a);
  int n = 0, inside = 0;
  char result[32];
  (void)user;
  if (!text) return weir_report_error(a, "taskContent has the words to count.", 0), WEIR_PHASE_FAILED;
  for (; *text; text++) {
    int blank = isspace((unsigned char)*text) != 0;
    n += !blank && !inside;
    inside = !blank;
  }
  weir_report_progress(a, n, n, "word", NULL);
  weir_report_result(a, result, (size_t)snprintf(result, sizeof result, "%d", n));
  return WEIR_PHASE_FINISHED;
}

/* Counts to the number in its content, one step in 10 ms, from where a former attempt was. */
static int count_slowly(weir_attempt_t *a, void *user) {
  const char *content = weir_attempt_content(a), *before = weir_attempt_context(a, NULL);
  int i = 0, n = 0;
  char text[32];
  (void)user;
  if (!content || sscanf(content, "%d", &n) != 1) return weir_report_error(a, "taskContent is a number.", 0), WEIR_PHASE_FAILED;
  if (before) sscanf(before, "%d", &i);
  snprintf(text, sizeof text, "from %d\n", i);
  weir_log(a, text, strlen(text));
  for (; i < n && !weir_attempt_stopping(a); i++) {
    struct pollfd stop = {.fd = weir_attempt_stop_fd(a), .events = POLLIN};
    weir_report_progress(a, i + 1, n, "step", NULL);
    if (poll(&stop, 1, 10) > 0) break;
  }
  if (i == n) return WEIR_PHASE_FINISHED;
  weir_report_context(a, text, (size_t)snprintf(text, sizeof text, "%d", i));
  return WEIR_PHASE_NORMAL;
}

static const weir_type_t types[] = {
  {.size = sizeof(weir_type_t), .name = "count.words", .run = count_words},
  {.size = sizeof(weir_type_t), .name = "count.slowly", .run = count_slowly, .concurrency = 2},
};
const weir_plugin_t weir_plugin = {
  .size = sizeof weir_plugin, .abi = WEIR_PLUGIN_ABI, .name = "count", .types = types, .n_types = sizeof types / sizeof *types};
