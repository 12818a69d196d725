/* The one table of routes. Nothing outside it is answered; matching is exact, on the decoded path. Immutable; any thread. */
#include <string.h>
#include "call.h"
#include "wr_limits.h"

#define Q_LIST (Q_FLOW_ID | Q_FI_ID | Q_STATUS | Q_STATE | Q_FROM | Q_TO | Q_PAGE)
#define Q_TASKS (Q_USER | Q_GROUP | Q_TYPE | Q_TASK_STATES | Q_TASK_STATUS | Q_TASK_KEY | Q_TASK_ID | Q_ALONE | Q_FROM | Q_TO | \
                 Q_PAGE | Q_AFTER | Q_JOB_ID | Q_PARENT)
#define Q_JOB_TASKS (Q_USER | Q_GROUP | Q_TYPE | Q_TASK_STATES | Q_TASK_STATUS | Q_TASK_KEY | Q_TASK_ID | Q_FROM | Q_TO | \
                     Q_PAGE | Q_AFTER)

static const struct route routes[] = {
  {"POST", "/flow", ROLE_AUTHOR, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_LARGE | ROUTE_KEYED, 0, 0, h_flow_save},
  {"GET", "/flow", ROLE_VIEWER, BODY_NONE, 0, Q_FLOW_ID | Q_NAME | Q_PAGE, LIMIT_PAGE, h_flow_list},
  {"GET", "/flow/{id}", ROLE_VIEWER, BODY_NONE, 0, 0, 0, h_flow_get},
  {"DELETE", "/flow/{id}", ROLE_AUTHOR, BODY_NONE, ROUTE_CHANGES, 0, 0, h_flow_delete},
  {"POST", "/task", ROLE_AUTHOR, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_KEYED, 0, 0, h_task_save},
  {"GET", "/task", ROLE_VIEWER, BODY_NONE, 0, Q_NAME | Q_TYPE | Q_PAGE, LIMIT_PAGE, h_task_list},
  {"GET", "/task/{id}", ROLE_VIEWER, BODY_NONE, 0, 0, 0, h_task_get},
  {"DELETE", "/task/{id}", ROLE_AUTHOR, BODY_NONE, ROUTE_CHANGES, 0, 0, h_task_delete},

  {"POST", "/exec/flow/{id}", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES | ROUTE_KEYED, Q_WAIT, 0, h_exec_flow},
  {"POST", "/exec/flows", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_KEYED, 0, 0, h_exec_flows},
  {"POST", "/exec/task", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_TASK | ROUTE_KEYED, Q_WAIT, 0, h_exec_inline},
  {"POST", "/exec/tasks", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_LARGE | ROUTE_KEYED, 0, 0, h_exec_tasks},
  {"POST", "/exec/task/{id}", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES | ROUTE_TASK | ROUTE_KEYED, Q_WAIT, 0, h_exec_task},
  {"POST", "/exec/flow-ins/{id}/cancel", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_cancel_flow},
  {"POST", "/exec/flow-ins/{id}/pause", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_pause_flow},
  {"POST", "/exec/flow-ins/{id}/resume", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_resume_flow},
  {"POST", "/exec/task-ins/{id}/run", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES | ROUTE_TASK, 0, 0, h_task_run},
  {"POST", "/exec/task-ins/{id}/pause", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_task_pause},
  {"POST", "/exec/task-ins/{id}/cancel", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_task_cancel},
  {"POST", "/exec/task-ins/{id}/queue", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES, 0, 0, h_task_queue},
  {"DELETE", "/exec/task-ins/{id}", ROLE_OPERATOR, BODY_NONE, ROUTE_CHANGES, Q_FORCE, 0, h_task_remove},
  {"POST", "/exec/task-ins/run", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_TASK, 0, 0, h_tasks_run},
  {"POST", "/exec/task-ins/pause", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES, 0, 0, h_tasks_pause},
  {"POST", "/exec/task-ins/cancel", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES, 0, 0, h_tasks_cancel},
  {"POST", "/exec/task-ins/delete", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES, 0, 0, h_tasks_remove},
  {"POST", "/exec/task-ins/queue", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES, 0, 0, h_tasks_queue},

  {"POST", "/job", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_LARGE | ROUTE_KEYED, 0, 0, h_job_make},
  {"GET", "/job", ROLE_VIEWER, BODY_NONE, 0, Q_PAGE, LIMIT_PAGE, h_job_list},
  {"GET", "/job/{id}", ROLE_VIEWER, BODY_NONE, 0, Q_WAIT, 0, h_job_get},
  {"DELETE", "/job/{id}", ROLE_OPERATOR, BODY_NONE, ROUTE_CHANGES, Q_FORCE | Q_CLEAN_UP | Q_WAIT, 0, h_job_remove},
  {"POST", "/job/{id}/task", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_LARGE | ROUTE_KEYED, 0, 0, h_job_add},
  {"GET", "/job/{id}/task", ROLE_VIEWER, BODY_NONE, 0, Q_JOB_TASKS, LIMIT_PAGE, h_job_tasks},
  {"POST", "/job/{id}/close", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_job_close},
  {"POST", "/job/{id}/cancel", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_job_cancel},
  {"POST", "/job/{id}/pause", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_job_pause},
  {"POST", "/job/{id}/resume", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_job_resume},
  {"POST", "/job/{id}/retry", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_job_retry},

  {"POST", "/queue", ROLE_OPERATOR, BODY_REQUIRED, ROUTE_CHANGES, 0, 0, h_queue_set},
  {"GET", "/queue", ROLE_VIEWER, BODY_NONE, 0, Q_PAGE, LIMIT_PAGE, h_queue_list},
  {"DELETE", "/queue", ROLE_OPERATOR, BODY_NONE, ROUTE_CHANGES, Q_USER | Q_GROUP, 0, h_queue_delete},

  {"GET", "/members", ROLE_VIEWER, BODY_NONE, 0, Q_ALL, 0, h_member_list},
  {"GET", "/members/{id}", ROLE_VIEWER, BODY_NONE, 0, 0, 0, h_member_get},
  {"POST", "/members/{id}/drain", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_member_drain},
  {"POST", "/members/{id}/undrain", ROLE_OPERATOR, BODY_OPTIONAL, ROUTE_CHANGES, 0, 0, h_member_undrain},
  {"POST", "/executor", ROLE_ADMIN, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_KEYED, 0, 0, h_executor_save},
  {"GET", "/executor", ROLE_VIEWER, BODY_NONE, 0, Q_PAGE, LIMIT_PAGE, h_executor_list},
  {"GET", "/executor/{type}", ROLE_VIEWER, BODY_NONE, ROUTE_NAME, 0, 0, h_executor_get},
  {"DELETE", "/executor/{type}", ROLE_ADMIN, BODY_NONE, ROUTE_CHANGES | ROUTE_NAME, 0, 0, h_executor_delete},

  {"POST", "/analyzer", ROLE_ADMIN, BODY_REQUIRED, ROUTE_CHANGES | ROUTE_KEYED, 0, 0, h_analyzer_save},
  {"GET", "/analyzer", ROLE_VIEWER, BODY_NONE, 0, Q_PAGE, LIMIT_PAGE, h_analyzer_list},
  {"GET", "/analyzer/{type}", ROLE_VIEWER, BODY_NONE, ROUTE_NAME, 0, 0, h_analyzer_get},
  {"DELETE", "/analyzer/{type}", ROLE_ADMIN, BODY_NONE, ROUTE_CHANGES | ROUTE_NAME, 0, 0, h_analyzer_delete},

  {"POST", "/redis/task/start", ROLE_OPERATOR, BODY_NONE, ROUTE_CHANGES, Q_ALIVE, 0, h_s0_start},
  {"POST", "/redis/task/fetch", ROLE_VIEWER, BODY_NONE, 0, Q_S0_TASK, 0, h_s0_fetch},
  {"POST", "/redis/task/list", ROLE_VIEWER, BODY_NONE, 0, 0, 0, h_s0_list},
  {"POST", "/redis/task/cancel", ROLE_OPERATOR, BODY_NONE, ROUTE_CHANGES, Q_S0_TASK, 0, h_s0_cancel},

  {"POST", "/monitor/flow", ROLE_VIEWER, BODY_OPTIONAL, 0, Q_LIST, LIMIT_PAGE, h_mon_flows},
  {"GET", "/monitor/flow", ROLE_VIEWER, BODY_NONE, 0, Q_LIST, LIMIT_PAGE, h_mon_flows},
  {"GET", "/monitor/flow/{id}", ROLE_VIEWER, BODY_NONE, 0, Q_PAGE | Q_NODES | Q_RUNS | Q_WAIT, LIMIT_NODES, h_mon_flow},
  {"POST", "/monitor/flow/detail/{id}", ROLE_VIEWER, BODY_OPTIONAL, 0, Q_PAGE | Q_RUNS, LIMIT_NODES, h_mon_detail},
  {"GET", "/monitor/node/{id}", ROLE_VIEWER, BODY_NONE, 0, Q_TASK_STATE, 0, h_mon_node},
  {"GET", "/monitor/task", ROLE_VIEWER, BODY_NONE, 0, Q_TASKS, LIMIT_PAGE, h_mon_tasks},
  {"GET", "/monitor/task/{id}", ROLE_VIEWER, BODY_NONE, 0, Q_WAIT, 0, h_mon_task},
  {"GET", "/monitor/task/{id}/log", ROLE_VIEWER, BODY_NONE, 0, Q_OFFSET | Q_LIMIT | Q_ATTEMPT | Q_STREAM | Q_FOLLOW,
   LIMIT_LOG_READ_BYTES, h_mon_log},
  {"GET", "/monitor/task/{id}/progress", ROLE_VIEWER, BODY_NONE, 0, 0, 0, h_mon_progress},
  {"GET", "/monitor/task/{id}/context", ROLE_VIEWER, BODY_NONE, 0, 0, 0, h_mon_context},

  {"GET", "/livez", ROLE_NONE, BODY_NONE, ROUTE_ALWAYS, 0, 0, h_livez},
  {"GET", "/readyz", ROLE_NONE, BODY_NONE, ROUTE_ALWAYS, 0, 0, h_readyz},
  {"GET", "/version", ROLE_NONE, BODY_NONE, ROUTE_ALWAYS, 0, 0, h_version},
  {"GET", "/openapi.json", ROLE_NONE, BODY_NONE, ROUTE_FILE, 0, 0, h_page},
  {"GET", "/swagger-ui.html", ROLE_NONE, BODY_NONE, ROUTE_FILE, 0, 0, h_page},
  {"GET", "/swagger-ui/{file}", ROLE_NONE, BODY_NONE, ROUTE_FILE, 0, 0, h_page},
};
enum { N_ROUTE = sizeof routes / sizeof *routes };

/* {id} and {file} stand for one segment, which is not empty: gate_path() saw to that. */
static bool matches(const char *pattern, const char *path, const char **id) {
  *id = NULL;
  while (*pattern) {
    if (*pattern == '{') {
      *id = path;
      pattern += strcspn(pattern, "}") + 1;
      path += strcspn(path, "/");
    } else if (*pattern++ != *path++) {
      return false;
    }
  }
  return *path == '\0';
}

static void allow_method(const char *method, char *allow, size_t n) {
  size_t at = strlen(allow);
  snprintf(allow + at, n - at, "%s%s", at ? ", " : "", strcmp(method, "GET") == 0 ? "GET, HEAD" : method);
}

enum wr_rc routes_find(const char *method, const char *path, const struct route **out, const char **id, char *allow,
                       size_t n_allow) {
  const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method, *at;
  allow[0] = '\0';
  *out = NULL;
  for (size_t i = 0; i < N_ROUTE; i++) {
    if (!matches(routes[i].pattern, path, &at)) continue;
    allow_method(routes[i].method, allow, n_allow);
    if (strcmp(routes[i].method, wanted) != 0) continue;
    *out = &routes[i];
    *id = at;
    return WR_OK;
  }
  return allow[0] ? WR_METHOD : WR_NO_ROUTE;
}
