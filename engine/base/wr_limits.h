/* Every size a user or the network decides, by name. What is refused beyond each: docs/reference/api.md. */
#ifndef WR_LIMITS_H
#define WR_LIMITS_H
#define LIMIT_BODY_BYTES (1 << 20)             /* all routes but those that follow */
#define LIMIT_TASK_BODY_BYTES (4 << 20)        /* POST /exec/task, POST /exec/task/{id} */
#define LIMIT_FLOW_BODY_BYTES (64 << 20)       /* POST /flow, POST /exec/tasks */
#define LIMIT_JSON_VALUES 100000
#define LIMIT_FLOW_JSON_VALUES 2000000
#define LIMIT_JSON_DEPTH 32
#define LIMIT_NODES 200000
#define LIMIT_EDGES 1000000
#define LIMIT_TASKS_PER_NODE 1000
#define LIMIT_FLOW_TASKS 1000000
#define LIMIT_NAME_CHARS 128
#define LIMIT_DESCRIPTION_BYTES 4096
#define LIMIT_CONTENT_BYTES 65536              /* taskContent, SHELL script text */
#define LIMIT_ASYNC_CONTENT_BYTES (1 << 20)    /* taskContent of POST /exec/task and /exec/tasks */
#define LIMIT_CONTEXT_BYTES (1 << 20)          /* context of a task */
#define LIMIT_CONFIG_BYTES 65536
#define LIMIT_CONFIG_DEPTH 16                  /* so that an answer that holds it can be posted back (LIMIT_JSON_DEPTH) */
#define LIMIT_WARNINGS 20                      /* of one saved flow */
#define LIMIT_PARAMS 256
#define LIMIT_PARAMS_BYTES 65536
#define LIMIT_RESULT_BYTES (1 << 20)
#define LIMIT_ERROR_BYTES 1024                 /* errorMsg, cut with a mark */
#define LIMIT_LOG_BYTES (16 << 20)             /* per attempt, default */
#define LIMIT_MOVED 100000                     /* tasks of one flow instance that wishes moved to another queue */
#define LIMIT_FORGETS 1000000                  /* deleted tasks whose logs are still to be deleted; 8 bytes each */
#define LIMIT_PARTINGS 20000                   /* ended tasks whose work behind a URL is still to be told, of a member; */
#define LIMIT_PARTING_BYTES (64 << 20)         /* their definitions; */
#define LIMIT_PARTINGS_AT_ONCE 64              /* and so many are told at once */
#define LIMIT_LOG_WAITING_BYTES (64 << 20)     /* output of attempts that waits for the store; dropped beyond twice that */
#define LIMIT_CONTEXT_BYTES (1 << 20)          /* context of a task */
#define LIMIT_REPORT_LINE_BYTES ((1 << 20) + (64 << 10)) /* one line that a task reports on descriptor 3 */
#define LIMIT_REPORT_LARGE 64                  /* tasks in the middle of a line above 64 KiB; others wait for their turn */
#define LIMIT_REPORT_RATE_BYTES (4 << 20)      /* of reports, a second and task: beyond it the task waits */
#define LIMIT_REPORT_WARNINGS 20               /* lines in a task's log that say what is wrong with its reports */
#define LIMIT_REPORT_DEPTH 64                  /* nesting of a reported value */
#define LIMIT_STACK_BYTES (1024u * 1024 * 1024)   /* of a thread that runs routines of a host */
#define LIMIT_UNIT_BYTES 64                    /* unit of a progress; cut, with a mark */
#define LIMIT_MESSAGE_BYTES 1024               /* message of a progress; the same */
#define LIMIT_ALONE_LOOK 100000                /* rows that one list of stand-alone tasks looks at */
#define LIMIT_DROP_CHUNKS 200                  /* chunks of a deleted task's log that one transaction deletes */
#define LIMIT_LOG_READ_BYTES (1 << 20)         /* per answer */
#define LIMIT_WAIT_US 60000000                 /* wait= */
#define LIMIT_WAITING_BYTES (64LL << 20)       /* answers of those who waited that their clients have not taken yet */
#define LIMIT_FOLLOW_BYTES 65536               /* piece of a log that is followed: what one follower has in memory */
#define LIMIT_PAGE 500
#define LIMIT_PAGE_DEFAULT 50
#define LIMIT_STARTS 1000                      /* POST /exec/flows */
#define LIMIT_SUBMITS 1000                     /* POST /exec/tasks */
#define LIMIT_KEY_CHARS 128                    /* Idempotency-Key, taskKey */
#define LIMIT_QUEUE_NAME_CHARS 128             /* user, group */
#define LIMIT_JOB_LOOK 100000                  /* tasks of a job that is deleted whose rows are looked for one by one */
#define LIMIT_QUEUES 100000                    /* rows of queues */
#define LIMIT_FLOW_LOOK 100000                 /* live flows whose tasks are counted for an answer about queues */
#define LIMIT_QUEUE_RUNNING 1000000            /* maxRunning */
#define LIMIT_QUEUE_WEIGHT 1000
#define LIMIT_RATE_COUNT 1000000               /* rate: starts in one `per` */
#define LIMIT_SERVES_BYTES 2000                /* --queues, as text */
#define LIMIT_CPU_BUDGET 100000000             /* --cpu-budget: a million cores */
#define LIMIT_PRIORITY 100
#define LIMIT_CPU_OVERHEAD 1000000             /* a core is 100 */
#define LIMIT_CLEANUP_US 600000000LL           /* the clean-up of a task that is deleted */
#define LIMIT_KNOWN_TYPES 10000                /* task types that nodes have registered */
#define LIMIT_DELAY_US (365LL * 86400 * 1000000)
#define LIMIT_ASKS 10000                       /* tasks that one request pauses, runs, cancels, deletes or moves */
#define LIMIT_ASKS_DEFAULT 1000
#define LIMIT_KEY_AGE_US (30LL * 86400 * 1000000) /* a key is remembered at least this long */
#define LIMIT_ATTEMPTS 101
#define LIMIT_JOB_ATTEMPTS 3                   /* of a task in a job that does not say */
#define LIMIT_TIME_US (604800LL * 1000000)     /* timeouts, delays, WAIT: seven days */
#define LIMIT_LOSSES 3                         /* the third makes the task DEAD */
#define LIMIT_AGAIN 100                        /* answers "not now" of one run of a task: the next one is a failure */
#define LIMIT_AGAIN_US (365LL * 86400 * 1000000) /* the longest wait that such an answer may ask for */
#define LIMIT_BATCH_ROWS 2000                  /* about so many task rows are written by one batch */
#define LIMIT_MAILBOX 20000                    /* requests that wait for the runner */
#define LIMIT_REQUEST_US 10000000              /* how long one of these requests waits: --request-timeout */
#define LIMIT_CACHE_BYTES (64LL << 20)         /* runs, tasks and definitions kept in memory: --cache-memory */
#define LIMIT_TIMERS 100000                    /* of tasks, and of flows, in memory; later ones are read from the rows in time */
#define LIMIT_WAITING_TASKS_BYTES (32 << 20)   /* tasks that wait for a slot, in memory; the others stay in the rows */
#define LIMIT_RUNS 1000                        /* of one flow instance: the first one and its re-runs */
#define LIMIT_WIDTH 10000                      /* tasks of a node that grows when it starts */
#define LIMIT_WIDE_NODES 1000                  /* such nodes of one flow instance, over all its runs */
#define LIMIT_CONNECTIONS 1024                 /* connections that wait for the rest of a request, or for a thread */
#define LIMIT_CONNECTIONS_ADDRESS 32           /* of one address that is not loopback: connections without a whole request */
#define LIMIT_BODIES_BYTES (128LL << 20)       /* of all bodies that are being read or handled */
#define LIMIT_LARGE_WAITING 4                  /* threads that wait while another large body is parsed */
#define LIMIT_LOOKUPS 8                        /* names of hosts that are being looked up at once */
#define LIMIT_URL_BYTES 8192                   /* of an HTTP task, a Location too */
#define LIMIT_HTTP_HEADERS 64                  /* that a task sends */
#define LIMIT_HTTP_HEADER_BYTES 8192           /* one of them */
#define LIMIT_HTTP_HEAD_BYTES 65536            /* of an answer: all its header lines */
#define LIMIT_HTTP_HEAD_LINES 256
#define LIMIT_HTTP_ANSWER_BYTES LIMIT_RESULT_BYTES
#define LIMIT_HTTP_SMALL_BYTES 16384           /* of an answer; what is larger needs a place */
#define LIMIT_HTTP_LARGE 64                    /* of these places */
#define LIMIT_RESULT_BACKLOG_BYTES (64 << 20)  /* results that wait to be stored; beyond it no large answer is read on */
#define LIMIT_PICK_DEPTH 512                   /* of an answer in which a pointer is followed */
#define LIMIT_HTTP_NAMES 1024                  /* names of hosts that are remembered */
#define LIMIT_HTTP_RULES 256                   /* --http-allow */
#define LIMIT_HTTP_STATUSES 64                 /* status of an HTTP task */
#define LIMIT_HTTP_REDIRECTS 3
#define LIMIT_HTTP_CONNECTIONS 16384           /* requests on the wire at once; the others wait */
#define LIMIT_HEADER_BYTES 16384
#define LIMIT_HEADERS 64
#define LIMIT_LABELS_BYTES 1000                /* labels of a member, or of a task, as text */
#define LIMIT_LABEL_CHARS 128                  /* one of them, NAME or NAME=VALUE */
#define LIMIT_HINT_CLASS_CHARS 200             /* name of a list of hints; what is longer goes to the shared list */
#define LIMIT_HINT_CLASSES 1024                /* such names in one process */
#define LIMIT_HINT_LISTS 128                   /* lists in Redis, of one --prefix; beyond them: the shared list */
#define LIMIT_MAX_QUEUED 10000                 /* hints in all these lists, unless --max-queued says otherwise */
#define LIMIT_MEMBERS 100000                   /* rows of members that ended; the oldest go, and those older than what follows */
#define LIMIT_MEMBER_AGE_US (30LL * 86400 * 1000000)
#define LIMIT_MEMBERS_SHOWN 10000              /* in one answer, the newest */
#define LIMIT_NODE_TROUBLE_BYTES 16000         /* what a node's row says about its troubles */
#define LIMIT_EXECUTORS 256                    /* task types of a node, each version counted */
#define LIMIT_EXECUTOR_TYPE_CHARS 64           /* executorType */
#define LIMIT_EXECUTOR_VERSION 0xffffffu       /* executorVersion: LIMIT_ADDED_ROWS stops it long before */
#define LIMIT_ADDED_TYPES 1000                 /* executors that were registered at run time */
#define LIMIT_ADDED_ROWS 100000                /* the same with all former versions */
#define LIMIT_ADDED_BYTES (64LL << 20)         /* what a node keeps of them, versions that are not current any more too */
#define LIMIT_DOCUMENT_BYTES 65536             /* document of an executor */
#define LIMIT_ANALYZERS 1000                   /* result analyzers that were registered */
#define LIMIT_ANALYSES 101                     /* analyzerAttempts */
#define LIMIT_ANALYSES_DEFAULT 4
#define LIMIT_DEPTH 100                        /* of a task that another one has added: so many stand above it .. */
#define LIMIT_DEPTH_MOST 10000                 /* .. unless --max-depth says otherwise: wishes go a level at a time */
#define LIMIT_TREE_TASKS 10000000              /* of a job, or below the first task of a tree, as far as answers add to them */
#define LIMIT_ANALYSES_AT_ONCE 64              /* analyses that a member with the role api or runner makes at once */
#define LIMIT_ANALYSIS_US 60000000LL           /* analyzerTimeout where none is given */
#define LIMIT_ANALYSIS_BYTES (16 << 20)        /* answer of an analyzer */
#define LIMIT_ANALYSIS_VALUES 200000           /* its JSON values */
#define LIMIT_ANALYSIS_TASKS 10000             /* tasks that it adds */
#define LIMIT_ANALYSIS_LARGE 4                 /* answers above 1 MiB that are read, or parsed, at once */
#define LIMIT_ANALYSIS_FLIGHT_BYTES (64 << 20) /* requests of analyses under way; the next one waits */
#define LIMIT_LOG_TAIL_BYTES 65536             /* of a task's log, for its analyzer */
#define LIMIT_ANALYZER_TYPES 64                /* taskTypes of an analyzer */
#define LIMIT_PATTERN_BYTES 4096               /* of the analyzer regex */
#define LIMIT_LOCATIONS 16                     /* texts of location */
#define LIMIT_EXECUTOR_DIRS 16                 /* --executor-dir */
#define LIMIT_RUN_AS 64                        /* users that a node's SHELL tasks may run as */
#define LIMIT_USER_GROUPS 65536
#define LIMIT_TASK_PROCESSES 4096              /* of a task user that is not the server's, unless rlimits says otherwise: nproc */
#define LIMIT_TASK_FILE_BYTES (64LL << 30)     /* the same for fsize */
#endif
