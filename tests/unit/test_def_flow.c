/* Unit tests of flows: POST /flow's body, each wrong shape with its code and place, the way out and back, update, stored form.
 * One thread; deterministic. */
#include "flow_env.h"

#include "clock.h"

/* ---- S2 ---- */
#define S2(last)                                                                                                      \
  "{'flowId':1,'flowName':'first flow','flowDescription':'first flow for test1','flowNodes':[{'nodeType':'START'},"   \
  "{'nodeType':'TASK','taskIds':'1'},{'nodeType':'TASK','taskIds':'2'},{'nodeType':'TASK','taskIds':'3'},"            \
  "{'nodeType':'TASK','taskIds':'" last "'},{'nodeType':'END'}]}"

static void test_s2_sample(void **st) {
  (void)st;
  struct flow_post p = good(S2("1"));
  struct flow_def *f = p.def;
  assert_int_equal(p.flow_id, 1);
  assert_int_equal(p.has, DEF_HAS_NAME | DEF_HAS_DESCRIPTION | DEF_HAS_NODES);
  assert_int_equal(world.exist_calls, 1);
  assert_int_equal(world.n_ids, 3);
  assert_int_equal(f->n, 6);
  assert_int_equal(f->dag->n, 4);
  assert_int_equal(f->dag->n_task, 4);
  assert_int_equal(f->dag->n_edge, 3);
  assert_int_equal(f->dag->node[0].n_parent, 0);
  assert_int_equal(f->dag->node[3].need, 1);
  for (uint32_t i = 0; i < 4; i++) assert_int_equal(f->dag_node[i], i + 1);
  for (uint32_t i = 1; i < 6; i++) assert_int_equal(f->node[i].parent[0], i - 1);
  for (uint32_t i = 0; i < 6; i++) {
    char key[4] = {'n', (char)('1' + i), 0, 0};
    assert_string_equal(f->node[i].key, key);
  }
  for (uint32_t i = 0; i < 4; i++) assert_int_equal(f->ref[i].task_id, i == 3 ? 1 : i + 1);
  def_flow_unref(f);
}

static void test_s2_answer(void **st) {
  (void)st;
  struct flow_post p = good(S2("1,2,3")); /* what S2's answer shows */
  struct flow_def *f = p.def;
  char a[CLOCK_S2_LEN], b[CLOCK_S2_LEN];
  f->create_us = (int64_t)1e15;
  f->update_us = f->node_us = (int64_t)1650880212e6;
  f->node_base = 41;
  f->version = 2;
  clock_s2(a, f->create_us);
  clock_s2(b, f->node_us);
  char *text = written(f), head[400], tail[100];
  snprintf(head, sizeof head, "{\"flowId\":1,\"flowName\":\"first flow\",\"flowDescription\":\"first flow for test1\",\"flowVersion\":2,"
           "\"onFailure\":\"continue\",\"flowNodes\":[{\"nodeId\":41,\"nodeKey\":\"n1\",\"nodeType\":\"START\",\"createTime\":\"%s\","
           "\"updateTime\":\"%s\"},{\"nodeId\":42,\"nodeKey\":\"n2\",\"taskIds\":\"1\",\"tasks\":[{\"createTime\":\"%s\",", b, b, a);
  snprintf(tail, sizeof tail, "],\"createTime\":\"%s\",\"updateTime\":\"%s\"}", a, b);
  assert_memory_equal(text, head, strlen(head));
  assert_string_equal(text + strlen(text) - strlen(tail), tail);
  json_t *v = json_of(text), *nodes = json_object_get(v, "flowNodes");
  for (size_t i = 0; i < 6; i++) {
    json_t *n = json_array_get(nodes, i), *prev = json_object_get(n, "prevNode");
    assert_int_equal(json_integer_value(json_object_get(n, "nodeId")), 41 + i);
    assert_true(i == 0 ? !prev : json_integer_value(prev) == (json_int_t)(40 + i));
    assert_int_equal(json_object_get(n, "prevNodes") != NULL, i > 0);
    assert_int_equal(json_object_get(n, "tasks") != NULL, i > 0 && i < 5);
    assert_int_equal(json_object_get(n, "complete") != NULL, i > 0 && i < 5);
  }
  assert_string_equal(json_string_value(json_object_get(json_array_get(nodes, 4), "taskIds")), "1,2,3");
  assert_int_equal(json_array_size(json_object_get(json_array_get(nodes, 4), "tasks")), 3);
  json_decref(v);
  free(text);
  round_trip(f);
  struct buf h = BUF_INIT;
  def_flow_write_head(&h, f);
  assert_null(strstr(h.data, "flowNodes"));
  assert_non_null(strstr(h.data, "\"flowVersion\":2"));
  buf_done(&h);
  def_flow_unref(f);
}

static void test_round_trips(void **st) {
  (void)st;
  static const char *const nodes[] = {
      "", START, START ",{'nodeType':'END'}", N("a", ""), N("a", P("")) "," N("b", P("")), N("a", "") "," N("b", ""),
      START "," N("a", P("'S'")) "," N("b", P("'S','a'")) ",{'nodeType':'END','prevNodes':['b','a']}",
      "{'tasks':[{'taskName':'x','taskType':'SHELL','taskContent':'\\n\\t\\'','taskConfig':{'argv':['a'],'attempts':2},"
      "'taskDescription':'d'},{'taskType':'ECHO'}],'complete':'all','rest':'cancel','attempts':3,'timeout':'5m',"
      "'backoff':{'base':0.1,'jitter':'equal'}}",
      "{'taskIds':'1,2,77','complete':2},{'taskIds':'3','rest':'cancel'},{'taskIds':'2','complete':'any','timeout':7}",
      "{'tasks':[{'taskId':2},{'taskId':1}]}"};
  static const char *const head[] = {"", "'onFailure':'stop_new',", "'timeout':60,", "'flowTimeout':'5m','onFailure':'cancel',"};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    for (size_t k = 0; k < 4; k++) {
      struct buf b = BUF_INIT;
      buf_printf(&b, "{%s'flowName':'f','flowNodes':[%s]}", head[k], nodes[i]);
      struct flow_post p = good(b.data);
      round_trip(p.def);
      def_flow_unref(p.def);
      buf_done(&b);
    }
}

/* ---- the table ---- */
static void test_c10_c11_fields(void **st) {
  (void)st;
  static const char *const val[] = {"1.0", "1e3", "'1'", "true", "null"};
  char body[400];
  for (size_t i = 0; i < sizeof val / sizeof *val; i++) {
    snprintf(body, sizeof body, "{'flowName':'f','flowNodes':[],'flowId':%s}", val[i]);
    bad(body, WR_WRONG_TYPE, "/flowId", "flowId must be an integer.");
    snprintf(body, sizeof body, "{'flowName':'f','flowNodes':[],'flowVersion':%s}", val[i]);
    bad(body, WR_WRONG_TYPE, "/flowVersion", "flowVersion must be an integer.");
  }
  bad("{'flowName':1,'flowNodes':[]}", WR_WRONG_TYPE, "/flowName", NULL);
  bad("{'flowName':'f','flowDescription':null,'flowNodes':[]}", WR_WRONG_TYPE, "/flowDescription", NULL);
  bad("{'flowName':'f','flowNodes':{}}", WR_WRONG_TYPE, "/flowNodes", "flowNodes must be an array.");
  bad("{'flowName':'f','flowNodes':null}", WR_WRONG_TYPE, "/flowNodes", NULL);
  bad("{'flowName':'f','flowNodes':[],'onFailure':1}", WR_WRONG_TYPE, "/onFailure", NULL);
  bad("{'flowName':'f','flowNodes':[],'timeout':null}", WR_WRONG_TYPE, "/timeout", NULL);
  bad("{'flwName':'f','flowNodes':[]}", WR_UNKNOWN_FIELD, "/flwName", "Unknown field \"flwName\". Did you mean \"flowName\"?");
  bad_nodes("1", WR_WRONG_TYPE, "/flowNodes/0", NULL);
  bad_nodes(START ",[]", WR_WRONG_TYPE, "/flowNodes/1", NULL);
  bad("{'dag_id':'f','tasks':[]}", WR_UNKNOWN_FIELD, "/dag_id", "Did you mean \"flowName\"?"); /* as other engines say it */
  bad("{'flowName':'f','tasks':[]}", WR_UNKNOWN_FIELD, "/tasks", "Did you mean \"flowNodes\"?");
  bad("{'name':'f','steps':[]}", WR_UNKNOWN_FIELD, "/name", "Did you mean \"flowName\"?");
  bad_nodes("{'task_id':'a'}", WR_UNKNOWN_FIELD, "/flowNodes/0/task_id", "Did you mean \"nodeKey\"?");
  bad_nodes("{'depends_on':['a']}", WR_UNKNOWN_FIELD, "/flowNodes/0/depends_on", "Did you mean \"prevNodes\"?");
  bad_nodes("{'preTasks':['a']}", WR_UNKNOWN_FIELD, "/flowNodes/0/preTasks", "Did you mean \"prevNodes\"?");
  bad_nodes("{'name':'a'}", WR_UNKNOWN_FIELD, "/flowNodes/0/name", "Did you mean \"nodeKey\"?");
  bad_nodes("{'retries':2}", WR_UNKNOWN_FIELD, "/flowNodes/0/retries", "Did you mean \"attempts\"?");
  bad_nodes("{'tasks':[{'taskType':'SHELL','bash_command':'id'}]}", WR_UNKNOWN_FIELD, "/flowNodes/0/tasks/0/bash_command", "Did you mean \"taskContent\"?");
  bad_nodes("{'tasks':[{'taskType':'SHELL','command':'id'}]}", WR_UNKNOWN_FIELD, "/flowNodes/0/tasks/0/command", "Did you mean \"taskContent\"?");
  bad_nodes("{'tasks':[{'name':'t'}]}", WR_UNKNOWN_FIELD, "/flowNodes/0/tasks/0/name", "Did you mean \"taskName\"?");
  bad_nodes("{'nodeTyp':'START'}", WR_UNKNOWN_FIELD, "/flowNodes/0/nodeTyp", "nodeType");
  bad_nodes("{'nodeType':1}", WR_WRONG_TYPE, "/flowNodes/0/nodeType", NULL);
  bad_nodes("{'nodeKey':1,'taskIds':'1'}", WR_WRONG_TYPE, "/flowNodes/0/nodeKey", NULL);
  bad_nodes("{'taskIds':1}", WR_WRONG_TYPE, "/flowNodes/0/taskIds", NULL);
  bad_nodes("{'taskIds':[1]}", WR_WRONG_TYPE, "/flowNodes/0/taskIds", NULL);
  bad_nodes("{'tasks':{}}", WR_WRONG_TYPE, "/flowNodes/0/tasks", NULL);
  bad_nodes("{'tasks':['x']}", WR_WRONG_TYPE, "/flowNodes/0/tasks/0", NULL);
  bad_nodes("{'tasks':[{'taskId':'1'}]}", WR_WRONG_TYPE, "/flowNodes/0/tasks/0/taskId", NULL);
  bad_nodes("{'tasks':[{'taskName':1,'taskType':'ECHO'}]}", WR_WRONG_TYPE, "/flowNodes/0/tasks/0/taskName", NULL);
  bad_nodes("{'taskIds':'1','prevNodes':'a'}", WR_WRONG_TYPE, "/flowNodes/0/prevNodes", NULL);
  bad_nodes("{'taskIds':'1','prevNodes':[1]}", WR_WRONG_TYPE, "/flowNodes/0/prevNodes/0", NULL);
  bad_nodes("{'taskIds':'1','complete':1.0}", WR_WRONG_TYPE, "/flowNodes/0/complete", NULL);
  bad_nodes("{'taskIds':'1','complete':null}", WR_WRONG_TYPE, "/flowNodes/0/complete", NULL);
  bad_nodes("{'taskIds':'1','rest':true}", WR_WRONG_TYPE, "/flowNodes/0/rest", NULL);
  bad_nodes("{'taskIds':'1','attempts':'2'}", WR_WRONG_TYPE, "/flowNodes/0/attempts", NULL);
  bad_nodes("{'taskIds':'1','backoff':2}", WR_WRONG_TYPE, "/flowNodes/0/backoff", NULL);
  bad_nodes("{'tasks':[{'tskName':'t'}]}", WR_UNKNOWN_FIELD, "/flowNodes/0/tasks/0/tskName", "taskName");
  bad_nodes("{'tasks':[{'taskType':'ECHO','taskConfig':{'timeout':0}}]}", WR_OUT_OF_RANGE, "/flowNodes/0/tasks/0/taskConfig/timeout", NULL);
  bad_nodes("{'tasks':[{'taskType':'NOPE'}]}", WR_UNKNOWN_TYPE, "/flowNodes/0/tasks/0", NULL);
  bad_nodes("{'tasks':[{'taskName':'x'}]}", WR_UNKNOWN_TYPE, "/flowNodes/0/tasks/0/taskType", "required");
  struct flow_post p = good("{'flowName':'f','createTime':1,'updateTime':{},'createUser':[],'updateUser':'x','createdAt':null,'updatedAt':true,"
      "'flowNodes':[{'taskIds':'1','nodeId':'x','prevNode':null,'createTime':1,'updateTime':1,'createUser':1,'updateUser':1,"
      "'createdAt':1,'updatedAt':1}]}");
  def_flow_unref(p.def);
}

static void test_c31_names(void **st) {
  (void)st;
  bad("{'flowName':'','flowNodes':[]}", WR_BAD_NAME, "/flowName", NULL);
  bad("{'flowName':' f','flowNodes':[]}", WR_BAD_NAME, "/flowName", NULL);
  bad("{'flowName':'a\\u202Eb','flowNodes':[]}", WR_BAD_NAME, "/flowName", NULL);
  bad("{'flowNodes':[]}", WR_BAD_NAME, "/flowName", "required");
  bad("{'flowName':'f'}", WR_BAD_SHAPE, "/flowNodes", "required");
  bad("{}", WR_BAD_NAME, NULL, NULL);
  bad_nodes("{'nodeKey':'','taskIds':'1'}", WR_BAD_NAME, "/flowNodes/0/nodeKey", NULL);
  bad_nodes("{'nodeKey':'a b','taskIds':'1'}", WR_BAD_NAME, "/flowNodes/0/nodeKey", NULL);
  bad_nodes("{'nodeKey':'\xC3\xA9','taskIds':'1'}", WR_BAD_NAME, NULL, NULL);
  bad_nodes("{'tasks':[{'taskName':'','taskType':'ECHO'}]}", WR_BAD_NAME, "/flowNodes/0/tasks/0/taskName", NULL);
  struct flow_def *f = flow(N("-", "") "," N(".a:B_9-", ""));
  assert_string_equal(f->node[1].key, ".a:B_9-");
  def_flow_unref(f);
}

static void test_c34_shape(void **st) {
  (void)st;
  bad_nodes(START "," START, WR_BAD_SHAPE, "/flowNodes/1/nodeType", "only one START");
  bad_nodes("{'nodeType':'END'},{'nodeType':'END'}", WR_BAD_SHAPE, NULL, "only one END");
  bad_nodes(N("a", "") "," START, WR_BAD_SHAPE, NULL, "START cannot have parents");
  bad_nodes("{'nodeType':'END'}," N("a", ""), WR_BAD_SHAPE, NULL, "follow END");
  bad_nodes("{'nodeType':'START','prevNodes':['a']}," N("a", ""), WR_BAD_SHAPE, NULL, "START cannot have parents");
  bad_nodes("{'nodeType':'END','nodeKey':'E'}," N("a", P("'E'")), WR_BAD_SHAPE, NULL, "END has a child");
  bad_nodes("{'nodeType':'start'}", WR_BAD_SHAPE, "/flowNodes/0/nodeType", "START, TASK or END");
  bad_nodes("{'nodeType':''}", WR_BAD_SHAPE, NULL, NULL);
  bad_nodes("{'nodeType':'START','taskIds':'1'}", WR_BAD_SHAPE, "/flowNodes/0/taskIds", NULL);
  bad_nodes("{'nodeType':'END','tasks':[]}", WR_BAD_SHAPE, "/flowNodes/0/tasks", NULL);
  bad_nodes("{'nodeType':'END','complete':'all'}", WR_BAD_SHAPE, "/flowNodes/0/complete", NULL);
  bad_nodes("{'nodeType':'START','timeout':5}", WR_BAD_SHAPE, "/flowNodes/0/timeout", NULL);
  static const char *const fine[] = {START "," N("a", ""), N("a", "") ",{'nodeType':'END'}", N("a", ""),
      ("{'nodeType':'END','prevNodes':['a']}," N("a", P("'S'")) "," START)}; /* any order when edges are given */
  for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
    struct flow_def *f = flow(fine[i]);
    assert_int_equal(f->dag->n, 1);
    assert_int_equal(f->dag->n_edge, 0);
    def_flow_unref(f);
  }
}

static void test_c35_cycles(void **st) {
  (void)st;
  bad_nodes(N("a", P("'a'")), WR_CYCLE, "/flowNodes/0/prevNodes/0", "Cycle: a -> a.");
  bad_nodes(N("a", P("'b'")) "," N("b", P("'a'")), WR_CYCLE, "/flowNodes", "Cycle: a -> b -> a.");
  bad_nodes(N("r", "") "," N("a", P("'r','c'")) "," N("b", P("'a'")) "," N("c", P("'b'")), WR_CYCLE, NULL, " -> ");
  struct buf b = BUF_INIT; /* a long way round, with long names */
  for (int i = 0; i < 5000; i++) {
    char key[101];
    memset(key, 'k', 100);
    snprintf(key + 95, 6, "%05d", i);
    buf_printf(&b, "%s{'nodeKey':'%s',%s,'prevNodes':['%.95s%05d']}", i ? "," : "", key, ECHO, key, (i + 4999) % 5000);
  }
  bad_nodes(b.data, WR_CYCLE, NULL, "... -> ");
  buf_done(&b);
}

static void test_c36_edges(void **st) {
  (void)st;
  bad_nodes(N("a", P("'zz'")), WR_BAD_EDGE, "/flowNodes/0/prevNodes/0", "Node \"a\" names \"zz\" as parent");
  bad_nodes(N("a", "") "," N("a", ""), WR_BAD_EDGE, "/flowNodes/1/nodeKey", "\"a\" appears twice, at 1 and 2");
  bad_nodes(N("a", "") "," N("b", P("'a','a'")), WR_BAD_EDGE, "/flowNodes/1/prevNodes/1", "twice");
  struct flow_def *f = flow(N("a", P("'n2'")) ",{" ECHO "}"); /* a key that the program gave */
  assert_int_equal(f->node[0].parent[0], 1);
  def_flow_unref(f);
}

static void test_c37_reach(void **st) {
  (void)st;
  bad_nodes(START "," N("a", P("'S'")) "," N("b", ""), WR_UNREACHABLE, "/flowNodes/2", "START does not reach node \"b\".");
  bad_nodes(START "," N("a", "") "," N("b", P("'a'")), WR_UNREACHABLE, "/flowNodes/1", "\"a\"");
  bad_nodes(N("a", "") "," N("b", P("'a'")) ",{'nodeType':'END','prevNodes':['a']}", WR_UNREACHABLE, "/flowNodes/1", "does not reach END");
  bad_nodes(N("a", P("")) ",{'nodeType':'END'}", WR_UNREACHABLE, NULL, NULL);
  struct flow_def *f = flow(N("a", P("")) "," N("b", "") "," N("c", P("'b'"))); /* no START, no END: no such rule */
  assert_int_equal(f->dag->n_edge, 1);
  def_flow_unref(f);
}

static void test_c38_c39_tasks(void **st) {
  (void)st;
  static const char *const ids[] = {"1,,2", "1, x", "1, 2", "1,1", "", ",", "1,", ",1", "0", "-1", "01", "1.0", "9007199254740992", "x", "1;2",
                                    "3,1,2,3"};
  char node[100];
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    snprintf(node, sizeof node, "{'taskIds':'%s'}", ids[i]);
    bad_nodes(node, WR_BAD_TASK_IDS, "/flowNodes/0/taskIds", NULL);
  }
  struct buf b = BUF_INIT;
  buf_str(&b, "{'taskIds':'1");
  for (int i = 2; i <= 10000; i++) buf_printf(&b, ",%d", i);
  buf_str(&b, "'}");
  bad_nodes(b.data, WR_BAD_TASK_IDS, NULL, "at most 1000 tasks, not 10000");
  buf_clear(&b);
  buf_str(&b, "{'tasks':[{'taskType':'ECHO'}");
  for (int i = 1; i <= LIMIT_TASKS_PER_NODE; i++) buf_str(&b, ",{'taskType':'ECHO'}");
  buf_str(&b, "]}");
  bad_nodes(b.data, WR_BAD_TASK_IDS, NULL, "not 1001");
  buf_done(&b);
  bad_nodes("{}", WR_BAD_TASK_IDS, "/flowNodes/0", NULL);
  bad_nodes("{'nodeType':'TASK'}", WR_BAD_TASK_IDS, NULL, NULL);
  bad_nodes("{'tasks':[]}", WR_BAD_TASK_IDS, "/flowNodes/0/tasks", NULL);
  bad_nodes("{'tasks':[{'taskId':1},{'taskType':'ECHO'}]}", WR_BAD_TASK_IDS, NULL, "all have a taskId or all be inline");
  bad_nodes("{'taskIds':'1','tasks':[{'taskType':'ECHO'}]}", WR_BAD_TASK_IDS, NULL, "not both");
  bad_nodes("{'taskIds':'1,2','tasks':[{'taskId':2},{'taskId':1}]}", WR_BAD_TASK_IDS, NULL, "different tasks");
  bad_nodes("{'taskIds':'1','tasks':[{'taskId':1},{'taskId':2}]}", WR_BAD_TASK_IDS, NULL, NULL);
  bad_nodes("{'tasks':[{'taskId':1},{'taskId':1}]}", WR_BAD_TASK_IDS, NULL, "Task 1 appears twice");
  bad_nodes("{'taskIds':'1'},{'taskIds':'9'}", WR_NO_SUCH_TASK, "/flowNodes/1", "Task 9 does not exist.");
  bad_nodes("{'tasks':[{'taskId':5000}]}", WR_NO_SUCH_TASK, NULL, "5000");
  /* The other fields of a reference are ignored, right or wrong. */
  struct flow_def *f = flow("{'taskIds':'2,1','tasks':[{'taskId':2,'taskName':7,'taskConfig':null},{'taskId':1,'taskType':'NOPE'}]}");
  assert_int_equal(f->node[0].n_task_id, 2);
  assert_int_equal(f->ref[0].task_id, 2);
  assert_int_equal(world.type_calls, 0);
  def_flow_unref(f);
}

static void test_c40_limits(void **st) {
  (void)st;
  struct wr_err err;
  struct flow_post p;
  json_t *v = json_of("{'flowName':'f','flowNodes':[]}"), *nodes = json_object_get(v, "flowNodes"), *n = json_of("{'taskIds':'1'}");
  for (int i = 0; i < LIMIT_NODES; i++) json_array_append(nodes, n);
  assert_int_equal(parse_json(v, &p, &err), WR_OK);
  assert_int_equal(p.def->dag->n_edge, LIMIT_NODES - 1);
  def_flow_unref(p.def);
  json_array_append(nodes, n);
  assert_int_equal(parse_json(v, &p, &err), WR_FLOW_TOO_LARGE);
  assert_int_equal(err.limit, LIMIT_NODES);
  assert_int_equal(err.got, LIMIT_NODES + 1);
  json_decref(v);
  json_decref(n);
  struct buf b = BUF_INIT; /* 1,002 nodes that each have the same 1,000 parents */
  for (int i = 0; i < 1000; i++) buf_printf(&b, "%s{'nodeKey':'p%d','taskIds':'1'}", i ? "," : "", i);
  for (int i = 0; i < 1001; i++) {
    buf_str(&b, ",{'taskIds':'1','prevNodes':[");
    for (int k = 0; k < 1000; k++) buf_printf(&b, "%s'p%d'", k ? "," : "", k);
    buf_str(&b, "]}");
  }
  bad_nodes(b.data, WR_FLOW_TOO_LARGE, "/flowNodes", "Edges: 1001000, at most 1000000");
  buf_done(&b);
}

static void test_c40_tasks(void **st) {
  (void)st;
  struct wr_err err;
  struct flow_post p;
  struct buf b = BUF_INIT;
  buf_str(&b, "{'taskIds':'100");
  for (int i = 101; i < 1100; i++) buf_printf(&b, ",%d", i);
  buf_str(&b, "'}");
  json_t *v = json_of("{'flowName':'f','flowNodes':[]}"), *nodes = json_object_get(v, "flowNodes"), *n = json_of(b.data);
  for (int i = 0; i <= LIMIT_FLOW_TASKS / LIMIT_TASKS_PER_NODE; i++) json_array_append(nodes, n);
  assert_int_equal(parse_json(v, &p, &err), WR_FLOW_TOO_LARGE);
  assert_int_equal(err.limit, LIMIT_FLOW_TASKS);
  json_decref(v);
  json_decref(n);
  buf_done(&b);
}

static void test_c41_empty(void **st) {
  (void)st;
  static const char *const nodes[] = {"", START, "{'nodeType':'END'}", START ",{'nodeType':'END'}",
                                      ("{'nodeType':'END','prevNodes':['S']}," START)};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
    struct flow_def *f = flow(nodes[i]);
    assert_int_equal(f->dag->n, 0);
    assert_int_equal(world.exist_calls, 0);
    def_flow_unref(f);
  }
}

static void test_c42_rules(void **st) {
  (void)st;
  static const char *const wrong[] = {"0", "-1", "4", "99999999999", "'some'", "''"};
  char node[100];
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    snprintf(node, sizeof node, "{'taskIds':'1,2,3','complete':%s}", wrong[i]);
    bad_nodes(node, WR_BAD_RULE, "/flowNodes/0/complete", NULL);
  }
  bad_nodes("{'taskIds':'1','rest':'x'}", WR_BAD_RULE, "/flowNodes/0/rest", "run_on or cancel");
  struct flow_def *f = flow("{'taskIds':'1,2,3'},{'taskIds':'1,2,3','complete':'any'},{'taskIds':'1,2,3','complete':'all','rest':'cancel'},"
                            "{'taskIds':'1,2,3','complete':2,'rest':'run_on'},{'taskIds':'4','complete':'all'}");
  static const uint32_t need[] = {1, 1, 3, 2, 1};
  for (int i = 0; i < 5; i++) assert_int_equal(f->dag->node[i].need, need[i]);
  assert_int_equal(f->dag->node[2].rest, REST_CANCEL);
  assert_int_equal(f->dag->node[3].rest, REST_RUN_ON);
  assert_null(f->node[0].config);
  assert_string_equal(f->node[2].config, "{\"complete\":\"all\",\"rest\":\"cancel\"}");
  def_flow_unref(f);
}

static void test_c45_ranges(void **st) {
  (void)st;
  static const char *const time[] = {"0", "-1", "1.5", "604801", "1e30", "'0'", "'8d'", "'x'"};
  char body[300];
  for (size_t i = 0; i < sizeof time / sizeof *time; i++) {
    snprintf(body, sizeof body, "{'flowName':'f','flowNodes':[],'timeout':%s}", time[i]);
    bad(body, WR_OUT_OF_RANGE, "/timeout", NULL);
    snprintf(body, sizeof body, "{'taskIds':'1','timeout':%s}", time[i]);
    bad_nodes(body, WR_OUT_OF_RANGE, "/flowNodes/0/timeout", NULL);
  }
  bad("{'flowName':'f','flowNodes':[],'timeout':5,'flowTimeout':5}", WR_OUT_OF_RANGE, "/flowTimeout", NULL);
  bad("{'flowName':'f','flowNodes':[],'onFailure':'explode'}", WR_OUT_OF_RANGE, "/onFailure", "continue, stop_new or cancel");
  bad_nodes("{'taskIds':'1','attempts':0}", WR_OUT_OF_RANGE, "/flowNodes/0/attempts", NULL);
  bad_nodes("{'taskIds':'1','attempts':102}", WR_OUT_OF_RANGE, NULL, NULL);
  bad_nodes("{'taskIds':'1','backoff':{'base':-1}}", WR_OUT_OF_RANGE, "/flowNodes/0/backoff/base", NULL);
  struct flow_post p = good("{'flowName':'f','flowNodes':[],'flowTimeout':'2m','onFailure':'cancel'}");
  assert_int_equal(p.has, DEF_HAS_NAME | DEF_HAS_NODES | DEF_HAS_TIMEOUT | DEF_HAS_ON_FAILURE);
  assert_int_equal(p.def->dag->timeout_us, 120 * 1000000);
  assert_int_equal(p.def->dag->on_failure, FLOW_CANCEL);
  assert_string_equal(p.def->config, "{\"onFailure\":\"cancel\",\"timeout\":\"2m\"}");
  def_flow_unref(p.def);
}

/* ---- overrides ---- */
static void test_overrides(void **st) {
  (void)st;
  struct flow_def *f = flow("{'taskIds':'1,2','attempts':5},{'taskIds':'1','timeout':3},{'taskIds':'1','backoff':{'base':2,'max':4}},"
                            "{'taskIds':'1'},{'taskIds':'1','rest':'cancel'}");
  struct task_def t = {.policy = task_policy_default, .timeout_us = 77};
  t.policy.on_lost = ON_LOST_FAIL;
  t.policy.attempts = 2;
  assert_int_equal(def_policy(&f->ref[0], &t).attempts, 5);
  assert_int_equal(def_policy(&f->ref[1], &t).attempts, 5);
  assert_int_equal(def_policy(&f->ref[0], &t).on_lost, ON_LOST_FAIL);
  assert_int_equal(def_timeout_us(&f->ref[0], &t), 77);
  assert_int_equal(def_policy(&f->ref[2], &t).attempts, 2);
  assert_int_equal(def_timeout_us(&f->ref[2], &t), 3000000);
  assert_int_equal(def_policy(&f->ref[3], &t).backoff_base_us, 2000000);
  assert_int_equal(def_policy(&f->ref[3], &t).backoff_cap_us, 4000000);
  assert_int_equal(def_policy(&f->ref[3], &t).attempts, 2);
  assert_null(f->ref[4].over);
  assert_null(f->ref[5].over);
  assert_int_equal(def_policy(&f->ref[4], &t).backoff_base_us, task_policy_default.backoff_base_us);
  def_flow_unref(f);
}

/* ---- equal inline tasks ---- */
static void test_intern(void **st) {
  (void)st;
  struct flow_def *f = flow("{'tasks':[{'taskName':'a','taskType':'ECHO'},{'taskName':'a','taskType':'ECHO'}]},"
      "{'tasks':[{'taskName':'a','taskType':'ECHO','taskConfig':{}}]},{'tasks':[{'taskName':'a','taskType':'ECHO','taskContent':''}]},"
      "{'tasks':[{'taskName':'a','taskType':'ECHO','taskConfig':{'attempts':2}}]},{'tasks':[{'taskType':'ECHO'}]}");
  assert_int_equal(world.type_calls, 4);
  assert_ptr_equal(f->ref[0].inl, f->ref[1].inl);
  assert_ptr_equal(f->ref[0].inl, f->ref[2].inl);
  assert_ptr_not_equal(f->ref[0].inl, f->ref[3].inl);
  assert_ptr_not_equal(f->ref[0].inl, f->ref[4].inl);
  assert_int_equal(f->ref[4].inl->policy.attempts, 2);
  assert_string_equal(f->ref[5].inl->name, "ECHO");
  assert_int_equal(atomic_load(&f->ref[0].inl->refs), 3);
  def_flow_unref(f);
}

/* Many that differ in one field only: none may be taken for another, whatever their place in the table. */
static void test_intern_many(void **st) {
  (void)st;
  static const char *const field[] = {"'taskName':'", "'taskContent':'", "'taskDescription':'", "'taskConfig':{'x':'"};
  for (size_t k = 0; k < sizeof field / sizeof *field; k++) {
    struct buf b = BUF_INIT;
    for (int i = 0; i < 1000; i++)
      buf_printf(&b, "%s{'tasks':[{'taskType':'ECHO',%s%d'%s}]}", i ? "," : "", field[k], i % 500, k == 3 ? "}" : "");
    struct flow_def *f = flow(b.data);
    assert_int_equal(world.type_calls, 500);
    for (int i = 0; i < 500; i++) assert_ptr_equal(f->ref[i].inl, f->ref[i + 500].inl);
    round_trip(f);
    def_flow_unref(f);
    buf_done(&b);
  }
}

/* ---- the stored form ---- */
static struct flow_def *stored(const struct flow_def *f) {
  struct flow_def *s = wr_new(struct flow_def);
  struct wr_err err;
  atomic_init(&s->refs, 1);
  s->name = wr_strdup(f->name);
  s->config = wr_strdup(f->config);
  s->n = f->n;
  s->node = wr_calloc(f->n, sizeof *s->node);
  for (uint32_t i = 0; i < f->n; i++) {
    struct node_def *to = &s->node[i];
    const struct node_def *from = &f->node[i];
    char *text = def_inline_text(from);
    to->type = from->type;
    to->key = wr_strdup(from->key);
    to->config = wr_strdup(from->config);
    to->n_parent = from->n_parent;
    to->parent = wr_calloc(from->n_parent, sizeof *to->parent);
    if (from->n_parent) memcpy(to->parent, from->parent, from->n_parent * sizeof *to->parent);
    to->n_task_id = from->n_task_id;
    to->task_id = wr_calloc(from->n_task_id, sizeof *to->task_id);
    if (from->n_task_id) memcpy(to->task_id, from->task_id, from->n_task_id * sizeof *to->task_id);
    assert_int_equal(text != NULL, from->n_task > 0);
    if (text) assert_int_equal(def_inline_parse(to, text, strlen(text), &err), WR_OK);
    free(text);
  }
  return s;
}

static void test_stored(void **st) {
  (void)st;
  struct flow_post p = good("{'flowName':'f','onFailure':'stop_new','timeout':'3s','flowNodes':[" START ",{'taskIds':'1,2','complete':'all'},"
      "{'tasks':[{'taskName':'x','taskType':'SHELL','taskContent':'a\\'b','taskConfig':{'attempts':4}},{'taskType':'ECHO'}],'complete':2},"
      "{'tasks':[{'taskType':'ECHO'}],'attempts':9,'rest':'cancel'},{'nodeType':'END'}]}");
  struct flow_def *f = p.def, *s = stored(f);
  struct wr_err err;
  assert_int_equal(def_flow_compile(s, &err), WR_OK);
  char *a = written(f), *b = written(s);
  assert_string_equal(a, b);
  free(a);
  free(b);
  assert_int_equal(s->dag->on_failure, FLOW_STOP_NEW);
  assert_int_equal(s->dag->timeout_us, 3000000);
  assert_int_equal(s->dag->node[0].need, 2);
  assert_int_equal(s->dag->node[2].rest, REST_CANCEL);
  assert_int_equal(s->ref[2].inl->policy.attempts, 4);
  assert_ptr_equal(s->ref[3].inl, s->ref[4].inl); /* equal ones found each other */
  assert_int_equal(def_policy(&s->ref[4], s->ref[4].inl).attempts, 9);
  assert_int_equal(def_flow_compile(s, &err), WR_OK); /* again is fine */
  assert_int_equal(s->dag->n, 3);
  def_flow_unref(s);
  def_flow_unref(f);
}

static void test_stored_broken(void **st) {
  (void)st;
  static const char *const node_text[] = {"{", "[]", "{\"complete\":9}", "{\"x\":1}", ""};
  static const char *const flow_text[] = {"{", "{\"onFailure\":\"x\"}", "{\"timeout\":0}"};
  static const char *const tasks_text[] = {"", "{}", "[]", "[1]", "[{}]", "[{\"taskName\":\"a\",\"taskType\":\"ECHO\"},{\"taskName\":\"a\"}]"};
  struct wr_err err;
  struct flow_def *f = flow("{'taskIds':'1'},{'taskIds':'2'}");
  for (size_t i = 0; i < sizeof node_text / sizeof *node_text; i++) {
    struct flow_def *s = stored(f);
    s->node[1].config = wr_strdup(node_text[i]);
    assert_int_equal(def_flow_compile(s, &err), WR_INTERNAL);
    def_flow_unref(s);
  }
  for (size_t i = 0; i < sizeof flow_text / sizeof *flow_text; i++) {
    struct flow_def *s = stored(f);
    s->config = wr_strdup(flow_text[i]);
    assert_int_equal(def_flow_compile(s, &err), WR_INTERNAL);
    assert_null(s->dag);
    def_flow_unref(s);
  }
  for (size_t i = 0; i < sizeof tasks_text / sizeof *tasks_text; i++) {
    struct flow_def *s = stored(f);
    assert_int_equal(def_inline_parse(&s->node[0], tasks_text[i], strlen(tasks_text[i]), &err), WR_INTERNAL);
    def_flow_unref(s);
  }
  struct flow_def *s = stored(f);
  s->node[1].parent[0] = 7;
  assert_int_equal(def_flow_compile(s, &err), WR_INTERNAL);
  def_flow_unref(s);
  def_flow_unref(f);
}

/* ---- update ---- */
static struct flow_def *merged(const struct flow_def *old, const char *body, enum wr_rc code) {
  struct flow_post p = good(body);
  struct flow_def *f = NULL;
  struct wr_err err = {0};
  expect_err(body, def_flow_merge(&p, old, &f, &err), &err, code, NULL, NULL);
  def_flow_unref(p.def);
  return f;
}

static void test_merge(void **st) {
  (void)st;
  struct flow_post p = good("{'flowName':'a','flowDescription':'d','onFailure':'stop_new','timeout':5,'flowNodes':["
                            N("x", "") "," N("y", P("'x'") ",'attempts':3") "]}");
  struct flow_def *old = p.def, *f;
  old->flow_id = 4;
  old->version = 2;
  old->create_us = 33;
  f = merged(old, "{'flowId':4}", WR_OK);
  assert_string_equal(f->name, "a");
  assert_string_equal(f->description, "d");
  assert_string_equal(f->config, "{\"onFailure\":\"stop_new\",\"timeout\":5}");
  assert_int_equal(f->flow_id, 4);
  assert_int_equal(f->create_us, 33);
  assert_int_equal(f->n, 2);
  assert_int_equal(f->dag->n_edge, 1);
  assert_int_equal(f->ref[1].over->attempts, 3);
  assert_ptr_equal(f->ref[0].inl, old->ref[0].inl);
  assert_ptr_not_equal(f->node, old->node);
  def_flow_unref(f);
  f = merged(old, "{'flowId':4,'flowName':'b','timeout':'7s','flowVersion':2,'flowNodes':[{'taskIds':'1'}]}", WR_OK);
  assert_string_equal(f->name, "b");
  assert_string_equal(f->description, "d");
  assert_string_equal(f->config, "{\"onFailure\":\"stop_new\",\"timeout\":\"7s\"}");
  assert_int_equal(f->dag->timeout_us, 7000000);
  assert_int_equal(f->dag->on_failure, FLOW_STOP_NEW);
  assert_int_equal(f->dag->n, 1);
  def_flow_unref(f);
  f = merged(old, "{'flowId':4,'onFailure':'continue','flowNodes':[],'flowDescription':''}", WR_OK);
  assert_int_equal(f->dag->n, 0);
  assert_int_equal(f->dag->on_failure, FLOW_CONTINUE);
  assert_string_equal(f->description, "");
  def_flow_unref(f);
  merged(old, "{'flowId':4,'flowVersion':1}", WR_STALE); /* C 64 */
  p = good("{'flowId':4,'flowName':'b'}");
  assert_null(p.def->dag);
  assert_int_equal(p.def->n, 0);
  def_flow_unref(p.def);
  def_flow_unref(old);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_s2_sample), cmocka_unit_test(test_s2_answer), cmocka_unit_test(test_round_trips),
      cmocka_unit_test(test_c10_c11_fields), cmocka_unit_test(test_c31_names), cmocka_unit_test(test_c34_shape),
      cmocka_unit_test(test_c35_cycles), cmocka_unit_test(test_c36_edges), cmocka_unit_test(test_c37_reach),
      cmocka_unit_test(test_c38_c39_tasks), cmocka_unit_test(test_c40_limits), cmocka_unit_test(test_c40_tasks),
      cmocka_unit_test(test_c41_empty), cmocka_unit_test(test_c42_rules), cmocka_unit_test(test_c45_ranges),
      cmocka_unit_test(test_overrides), cmocka_unit_test(test_intern), cmocka_unit_test(test_intern_many), cmocka_unit_test(test_stored),
      cmocka_unit_test(test_stored_broken), cmocka_unit_test(test_merge)};
  return cmocka_run_group_tests_name("def_flow", tests, NULL, NULL);
}
