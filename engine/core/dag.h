/* A compiled flow: immutable after dag_new(), shared by reference count, dense indices, no names.
 *
 * Nodes are the TASK nodes in the order of flowNodes; START and END are left out, because they have no instances. Index n is a
 * virtual root whose children are the nodes without parents. Children are one array with offsets, sorted by index. */
#ifndef CORE_DAG_H
#define CORE_DAG_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "task.h"

enum on_failure { FLOW_CONTINUE, FLOW_STOP_NEW, FLOW_CANCEL };
enum rest { REST_RUN_ON, REST_CANCEL };

struct dag_node {
  uint32_t task_at;   /* its tasks: task index task_at .. task_at + n_task - 1, over the whole flow */
  uint32_t n_task;    /* >= 1 */
  uint32_t need;      /* the node is OK when this many tasks are SUCCESS (any = 1, all = n_task, k) */
  uint32_t n_parent;
  uint8_t rest;       /* enum rest */
  uint8_t expands;    /* its only task is a pattern: run_widen() says how many tasks it has when it starts */
};

struct dag {
  atomic_uint refs;
  uint32_t n, n_task, n_edge;
  struct dag_node *node;
  uint32_t *child_at;           /* n + 2 offsets: children of i are child[child_at[i] .. child_at[i+1]); n = root */
  uint32_t *child;
  uint32_t *node_of;            /* node of each task index; NULL = one task a node, the same number */
  uint8_t on_failure;           /* enum on_failure */
  int64_t timeout_us;           /* of the flow, 0 = none */
};

struct dag_spec_node { uint32_t n_task, need; uint8_t rest; const uint32_t *parent; uint32_t n_parent; uint8_t expands; };

/* Parents must be indices < n, not repeated, and not the node itself. A breach aborts, because the model must have checked this
 * before. Returns NULL when there is a cycle: *cycle (memory of the caller, at most n entries) gets its nodes in order. */
struct dag *dag_new(const struct dag_spec_node *v, uint32_t n, uint8_t on_failure, int64_t timeout_us,
                    uint32_t *cycle, uint32_t *n_cycle);
/* One node with one task: the graph of a stand-alone task. */
struct dag *dag_one(void);
struct dag *dag_ref(struct dag *d);
void dag_unref(struct dag *d); /* NULL is fine */
static inline uint32_t dag_node_of_task(const struct dag *d, uint32_t task) { return d->node_of ? d->node_of[task] : task; }
/* The longest path, in the unit of weight[] (one for each node). A report shows it as the critical path. */
int64_t dag_critical_path(const struct dag *d, const int64_t *weight);
/* Marks (1) every node reachable from the nodes marked in set[], set included. set: n bytes. */
void dag_close_down(const struct dag *d, uint8_t *set);
#endif
