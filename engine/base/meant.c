/* Which name was meant: see meant.h. Two words count as the same whatever their case, and with or without _ and -. */
#include "meant.h"
#include <stdio.h>
#include <string.h>
#include "err.h"
#include "text.h"

/* What other engines call a thing, and its names here: the first name that is known where the word stands counts. */
static const struct { const char *said; const char *name[3]; } other[] = {
  {"dagid", {"flowName", "flowId"}}, {"dagname", {"flowName"}}, {"workflow", {"flowName"}}, {"workflowname", {"flowName"}},
  {"workflowid", {"flowName", "flowId"}}, {"processname", {"flowName"}}, {"processdefinitionname", {"flowName"}},
  {"pipeline", {"flowName"}}, {"name", {"flowName", "nodeKey", "taskName"}}, {"id", {"nodeKey", "flowId", "taskId"}},
  {"key", {"nodeKey"}}, {"taskid", {"nodeKey", "taskId"}}, {"taskname", {"nodeKey", "taskName"}}, {"stepid", {"nodeKey"}},
  {"jobname", {"nodeKey", "taskName"}}, {"description", {"flowDescription", "taskDescription"}},
  {"desc", {"flowDescription", "taskDescription"}}, {"docmd", {"flowDescription"}}, {"steps", {"flowNodes", "tasks"}},
  {"nodes", {"flowNodes"}}, {"tasks", {"flowNodes"}}, {"jobs", {"flowNodes", "tasks"}}, {"task", {"tasks", "flowNodes"}},
  {"activities", {"flowNodes", "tasks"}}, {"templates", {"flowNodes"}}, {"taskdefinitionjson", {"flowNodes"}},
  {"dependson", {"prevNodes"}}, {"depends", {"prevNodes"}}, {"dependencies", {"prevNodes"}}, {"needs", {"prevNodes"}},
  {"requires", {"prevNodes"}}, {"upstream", {"prevNodes"}}, {"upstreamtaskids", {"prevNodes"}}, {"runafter", {"prevNodes"}},
  {"after", {"prevNodes"}}, {"pretasks", {"prevNodes"}}, {"pretaskcode", {"prevNodes"}}, {"parents", {"prevNodes"}},
  {"predecessors", {"prevNodes"}}, {"previous", {"prevNodes"}}, {"bashcommand", {"taskContent", "tasks"}},
  {"command", {"taskContent", "tasks", "argv"}}, {"cmd", {"taskContent", "tasks", "argv"}},
  {"script", {"taskContent", "tasks"}}, {"rawscript", {"taskContent", "tasks"}}, {"run", {"taskContent", "tasks"}},
  {"content", {"taskContent", "tasks"}}, {"args", {"argv", "taskConfig"}}, {"type", {"taskType", "nodeType"}},
  {"operator", {"taskType", "tasks"}}, {"executor", {"taskType", "tasks"}}, {"activitytype", {"taskType", "tasks"}},
  {"config", {"taskConfig"}}, {"taskparams", {"taskConfig", "tasks"}}, {"env", {"env", "taskConfig"}},
  {"environment", {"env", "taskConfig"}}, {"retries", {"attempts", "taskConfig"}}, {"retry", {"attempts", "taskConfig"}},
  {"retrypolicy", {"attempts", "taskConfig"}}, {"maxattempts", {"attempts", "taskConfig"}},
  {"maximumattempts", {"attempts", "taskConfig"}}, {"maxretries", {"attempts", "taskConfig"}},
  {"failretrytimes", {"attempts", "taskConfig"}}, {"retrydelay", {"backoff", "base", "taskConfig"}},
  {"retryinterval", {"backoff", "base", "taskConfig"}}, {"failretryinterval", {"backoff", "taskConfig"}},
  {"initialinterval", {"base", "backoff"}}, {"backoffcoefficient", {"factor", "backoff"}},
  {"multiplier", {"factor", "backoff"}}, {"maximuminterval", {"max", "backoff"}}, {"maxretrydelay", {"max", "backoff"}},
  {"timeoutsec", {"timeout", "taskConfig"}}, {"timeoutseconds", {"timeout", "taskConfig"}},
  {"executiontimeout", {"timeout", "taskConfig"}}, {"dagruntimeout", {"timeout"}},
  {"starttoclosetimeout", {"timeout", "taskConfig"}}, {"workflowruntimeout", {"timeout"}}, {"triggerrule", {"complete"}},
  {"workingdir", {"cwd"}}, {"workdir", {"cwd"}}, {"dir", {"cwd"}}, {"runas", {"user"}}, {"runasuser", {"user"}},
  {"onerror", {"onFailure"}}, {"failurestrategy", {"onFailure"}}, {"parameters", {"params"}}, {"conf", {"params"}},
  {"input", {"params", "stdin"}}};

static char folded(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

/* said is folded already. */
static bool same_word(const char *key, const char *said) {
  for (;; key++) {
    if (*key == '_' || *key == '-') continue;
    if (folded(*key) != *said) return false;
    if (!*said++) return true;
  }
}

static const char *known_name(const char *want, const char *const *name, size_t n) {
  for (size_t i = 0; want && i < n; i++)
    if (strcmp(name[i], want) == 0) return want;
  return NULL;
}

static const char *of_others(const char *key, const char *const *name, size_t n) {
  const char *found = NULL;
  for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
    if (!same_word(key, other[i].said)) continue;
    for (size_t k = 0; k < 3 && !found; k++) found = known_name(other[i].name[k], name, n);
  }
  return found;
}

const char *meant(const char *key, const char *const *name, size_t n) {
  const char *best = NULL;
  size_t len = strlen(key);
  int least = 4;
  wr_assert(n <= MEANT_MAX);
  for (size_t i = 0; i < n; i++) { /* the same word, written in another way */
    int d = text_distance(key, name[i]);
    if (d < least && (size_t)d < len) least = d, best = name[i];
  }
  if (least <= 1) return best;
  const char *theirs = of_others(key, name, n);
  return theirs ? theirs : best;
}

const char *meant_list(char out[MEANT_LIST], const char *key, const char *const *name, size_t n) {
  static const char more[] = ", ...";
  size_t len = 0;
  out[0] = '\0';
  if (n == 0 || strlen(key) > MEANT_WORD) return out;
  for (size_t i = 0; i < n; i++) {
    const char *before = i ? ", " : " Known here: ";
    if (len + strlen(before) + strlen(name[i]) + sizeof more > MEANT_LIST) {
      snprintf(out + len, MEANT_LIST - len, "%s", more);
      return out;
    }
    len += (size_t)snprintf(out + len, MEANT_LIST - len, "%s%s", before, name[i]);
  }
  snprintf(out + len, MEANT_LIST - len, ".");
  return out;
}
