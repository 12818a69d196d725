-- Weir, schema 1, MySQL and MariaDB. The same tables and columns as schema/sqlite/0001_init.sql. DDL commits as it goes, so
-- every statement may be run again after a crash in the middle; the row of schema_version is written last, by the program.
-- Times are UTC; states are the numbers of engine/core; status and exec_status show S2's words and are computed on reading.
-- What is filled in later has its room from the start: start_at, end_at and due_at are never NULL but at the beginning of
-- 1970, and start_time .. show them as NULL; a short result has its place. A row that grows is moved and splits its page,
-- which made an update cost 12 us, not 4.
-- No foreign keys: ids are checked where they come in. Never edited once released: changes are 0002 and on.

CREATE TABLE IF NOT EXISTS schema_version (
  version  INT NOT NULL PRIMARY KEY,
  time     DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Next free id per kind; taken in blocks, each in a transaction of its own.
CREATE TABLE IF NOT EXISTS id_block (
  kind    VARCHAR(16) NOT NULL PRIMARY KEY,
  `next`  BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT IGNORE INTO id_block VALUES ('task', 1), ('flow', 1), ('node', 1), ('fi', 1), ('ni', 1), ('ti', 1), ('incarnation', 1);

-- One row: raised by every change of a task or a flow.
CREATE TABLE IF NOT EXISTS definitions (
  one      TINYINT NOT NULL PRIMARY KEY,
  version  BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT IGNORE INTO definitions VALUES (1, 1);

CREATE TABLE IF NOT EXISTS task (
  task_id           BIGINT NOT NULL PRIMARY KEY,
  task_version      BIGINT NOT NULL,
  task_name         VARCHAR(128) NOT NULL,
  task_description  VARCHAR(4096),
  task_type         VARCHAR(128) NOT NULL,
  task_config       MEDIUMTEXT,
  task_content      MEDIUMTEXT,
  deleted           TINYINT UNSIGNED NOT NULL DEFAULT 0,
  create_time       DATETIME(6) NOT NULL,
  create_user       VARCHAR(128),
  update_time       DATETIME(6) NOT NULL,
  update_user       VARCHAR(128),
  KEY task_list (deleted),
  KEY task_list_type (task_type, deleted)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Every version, the current one too: a task instance says which one it runs.
CREATE TABLE IF NOT EXISTS task_history (
  task_id           BIGINT NOT NULL,
  task_version      BIGINT NOT NULL,
  task_name         VARCHAR(128) NOT NULL,
  task_description  VARCHAR(4096),
  task_type         VARCHAR(128) NOT NULL,
  task_config       MEDIUMTEXT,
  task_content      MEDIUMTEXT,
  update_time       DATETIME(6) NOT NULL,
  update_user       VARCHAR(128),
  PRIMARY KEY (task_id, task_version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_flow (
  flow_id           BIGINT NOT NULL PRIMARY KEY,
  flow_version      BIGINT NOT NULL,          -- published last: nodes of a greater version are not there yet
  flow_name         VARCHAR(128) NOT NULL,
  flow_description  VARCHAR(4096),
  deleted           TINYINT UNSIGNED NOT NULL DEFAULT 0,
  create_time       DATETIME(6) NOT NULL,
  create_user       VARCHAR(128),
  update_time       DATETIME(6) NOT NULL,
  update_user       VARCHAR(128),
  KEY task_flow_list (deleted)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Every version, the current one too. Its nodes are node_base .. node_base + n_node - 1, whatever else a save that was
-- cut off has left behind. n_node_ins, n_task_ins: how many TASK nodes and tasks a run has, so how many ids it takes.
CREATE TABLE IF NOT EXISTS task_flow_history (
  flow_id           BIGINT NOT NULL,
  flow_version      BIGINT NOT NULL,
  flow_name         VARCHAR(128) NOT NULL,
  flow_description  VARCHAR(4096),
  config            MEDIUMTEXT,
  node_base         BIGINT NOT NULL,
  n_node            INT UNSIGNED NOT NULL,
  n_node_ins        INT UNSIGNED NOT NULL,
  n_task_ins        INT UNSIGNED NOT NULL,
  update_time       DATETIME(6) NOT NULL,
  update_user       VARCHAR(128),
  PRIMARY KEY (flow_id, flow_version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_node (
  node_id       BIGINT NOT NULL PRIMARY KEY,
  flow_id       BIGINT NOT NULL,
  flow_version  BIGINT NOT NULL,
  node_key      VARCHAR(128) NOT NULL,
  node_type     VARCHAR(16) NOT NULL,
  task_ids      MEDIUMTEXT,                   -- '1,2' or NULL
  tasks         LONGTEXT,                     -- inline tasks: a JSON array, or NULL
  config        MEDIUMTEXT,
  prev_node     BIGINT,                       -- the first parent; all of them: task_node_edge
  task_at       INT UNSIGNED NOT NULL,        -- index of its first task within the flow
  n_task        INT UNSIGNED NOT NULL,
  create_time   DATETIME(6) NOT NULL,
  create_user   VARCHAR(128),
  update_time   DATETIME(6) NOT NULL,
  update_user   VARCHAR(128)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_node_edge (
  flow_id       BIGINT NOT NULL,
  flow_version  BIGINT NOT NULL,
  node_id       BIGINT NOT NULL,
  pos           INT UNSIGNED NOT NULL,        -- order of mention in prevNodes
  prev_node     BIGINT NOT NULL,
  PRIMARY KEY (flow_id, flow_version, node_id, pos)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Which flow versions use a task: one row for each, however many nodes do.
CREATE TABLE IF NOT EXISTS task_use (
  task_id       BIGINT NOT NULL,
  flow_id       BIGINT NOT NULL,
  node_base     BIGINT NOT NULL,
  PRIMARY KEY (task_id, flow_id, node_base)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_flow_ins (
  fi_id         BIGINT NOT NULL PRIMARY KEY,
  version       BIGINT NOT NULL,              -- id of the batch that wrote it last
  state         TINYINT UNSIGNED NOT NULL,
  flow_id       BIGINT NOT NULL,
  flow_version  BIGINT NOT NULL,
  wish          TINYINT UNSIGNED NOT NULL DEFAULT 0,
  run_no        INT UNSIGNED NOT NULL DEFAULT 1,
  live          INT UNSIGNED NOT NULL DEFAULT 0,
  failed        INT UNSIGNED NOT NULL DEFAULT 0,
  start_at      DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  end_at        DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  due_at        DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  update_time   DATETIME(6),
  bases         MEDIUMTEXT NOT NULL,          -- 'ni:ti,ni:ti': first ids of each run
  more_from     MEDIUMTEXT,
  error_msg     VARCHAR(2048),
  params        MEDIUMTEXT,
  create_time   DATETIME(6),
  create_user   VARCHAR(128),
  update_user   VARCHAR(128),
  status        VARCHAR(8) AS (CASE WHEN state < 4 THEN 'RUNNING' WHEN state = 4 THEN 'SUCCESS' ELSE 'FAILED' END) VIRTUAL,
  start_time    DATETIME(6) AS (CASE WHEN start_at > TIMESTAMP'1970-01-01 00:00:00' THEN start_at END) VIRTUAL,
  end_time      DATETIME(6) AS (CASE WHEN end_at > TIMESTAMP'1970-01-01 00:00:00' THEN end_at END) VIRTUAL,
  due_time      DATETIME(6) AS (CASE WHEN due_at > TIMESTAMP'1970-01-01 00:00:00' THEN due_at END) VIRTUAL,
  opened        TINYINT UNSIGNED AS (CASE WHEN state < 4 THEN 1 END) STORED,
  -- Every list and every filter of /monitor/flow is a merge of a few ranges of one of the first two. The third holds the
  -- live flows by id, for the reconciler. A flow changes its state once or twice, so all are written twice or thrice in its life.
  KEY task_flow_ins_state (state, start_at),
  KEY task_flow_ins_flow (flow_id, state, start_at),
  KEY task_flow_ins_open (opened)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_node_ins (
  ni_id         BIGINT NOT NULL PRIMARY KEY,  -- base of the run + index of the node among the flow's TASK nodes
  state         TINYINT UNSIGNED NOT NULL,
  ok            INT UNSIGNED NOT NULL DEFAULT 0, -- tokens that came in, by kind
  fail          INT UNSIGNED NOT NULL DEFAULT 0,
  skip          INT UNSIGNED NOT NULL DEFAULT 0,
  t_ok          INT UNSIGNED NOT NULL DEFAULT 0, -- its tasks: SUCCESS, ended otherwise, not ended
  t_bad         INT UNSIGNED NOT NULL DEFAULT 0,
  t_open        INT UNSIGNED NOT NULL DEFAULT 0,
  start_at      DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  end_at        DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  update_time   DATETIME(6),
  error_msg     VARCHAR(2048),
  fi_id         BIGINT NOT NULL,
  node_id       BIGINT NOT NULL,
  run_no        INT UNSIGNED NOT NULL,
  create_time   DATETIME(6),
  create_user   VARCHAR(128),
  update_user   VARCHAR(128),
  status        VARCHAR(8) AS (CASE WHEN state < 3 THEN 'RUNNING' WHEN state IN (3, 5) THEN 'SUCCESS' ELSE 'FAILED' END) VIRTUAL,
  start_time    DATETIME(6) AS (CASE WHEN start_at > TIMESTAMP'1970-01-01 00:00:00' THEN start_at END) VIRTUAL,
  end_time      DATETIME(6) AS (CASE WHEN end_at > TIMESTAMP'1970-01-01 00:00:00' THEN end_at END) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_ins (
  ti_id         BIGINT NOT NULL PRIMARY KEY,  -- base of the run + index of the task within the flow
  ni_id         BIGINT,                       -- NULL: a stand-alone task
  state         TINYINT UNSIGNED NOT NULL,
  end_as        TINYINT UNSIGNED NOT NULL DEFAULT 0,
  losses        TINYINT UNSIGNED NOT NULL DEFAULT 0,
  cancel_requested TINYINT UNSIGNED NOT NULL DEFAULT 0,
  epoch         INT UNSIGNED NOT NULL DEFAULT 0,
  tries         INT UNSIGNED NOT NULL DEFAULT 0,
  owner         BIGINT NOT NULL DEFAULT 0,    -- 0: nobody runs it
  start_at      DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  due_at        DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  update_time   DATETIME(6),
  end_at        DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  error_msg     VARCHAR(2048),
  result_len    INT NOT NULL DEFAULT -1,      -- bytes; -1: none
  result_room   BINARY(40) NOT NULL DEFAULT '', -- the result when it fits,
  result_long   MEDIUMBLOB,                   -- else here
  log           TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 0 none, 1 task_log, 2 equal to result
  exit_code     INT NOT NULL DEFAULT -1,      -- -1: none
  `signal`      INT NOT NULL DEFAULT 0,
  utime_us      BIGINT NOT NULL DEFAULT 0,
  stime_us      BIGINT NOT NULL DEFAULT 0,
  maxrss_kib    BIGINT NOT NULL DEFAULT 0,
  log_bytes     BIGINT NOT NULL DEFAULT 0,
  fi_id         BIGINT,
  task_id       BIGINT,                       -- NULL: inline
  task_version  BIGINT NOT NULL DEFAULT 0,
  create_time   DATETIME(6),
  params        MEDIUMTEXT,                   -- of a stand-alone task
  create_user   VARCHAR(128),
  update_user   VARCHAR(128),
  exec_status   VARCHAR(8) AS (CASE WHEN state < 9 THEN 'RUNNING' WHEN state = 9 THEN 'SUCCESS' ELSE 'FAILED' END) VIRTUAL,
  start_time    DATETIME(6) AS (CASE WHEN start_at > TIMESTAMP'1970-01-01 00:00:00' THEN start_at END) VIRTUAL,
  end_time      DATETIME(6) AS (CASE WHEN end_at > TIMESTAMP'1970-01-01 00:00:00' THEN end_at END) VIRTUAL,
  due_time      DATETIME(6) AS (CASE WHEN due_at > TIMESTAMP'1970-01-01 00:00:00' THEN due_at END) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Live stand-alone tasks. Those of flows are found through the id ranges of live flows, so they pay for no index at all: one
-- on a generated column that is NULL when final cost 8 us of the 32 that the server takes for a task and its node.
CREATE TABLE IF NOT EXISTS task_alone (
  ti_id    BIGINT NOT NULL PRIMARY KEY,
  task_id  BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Attempts that ended and were followed by another one.
CREATE TABLE IF NOT EXISTS task_attempt (
  ti_id       BIGINT NOT NULL,
  epoch       INT UNSIGNED NOT NULL,
  owner       BIGINT NOT NULL,
  start_time  DATETIME(6),
  end_time    DATETIME(6),
  why         VARCHAR(16) NOT NULL,
  error_msg   VARCHAR(2048),
  PRIMARY KEY (ti_id, epoch)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What the first request with an Idempotency-Key made; later ones with the same hash are answered with it.
CREATE TABLE IF NOT EXISTS idempotency (
  idem_key     VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  hash         BINARY(32) NOT NULL,           -- SHA-256 of method, path and canonical body
  kind         TINYINT UNSIGNED NOT NULL,
  first_id     BIGINT NOT NULL,               -- of its n rows
  n            INT UNSIGNED NOT NULL,
  create_time  DATETIME(6) NOT NULL,
  KEY idempotency_age (create_time)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS engine_node (
  incarnation  BIGINT NOT NULL PRIMARY KEY,
  state        VARCHAR(8) NOT NULL,           -- LIVE DEAD GONE
  last_batch   BIGINT NOT NULL DEFAULT 0,     -- the receipt: id of its newest committed batch
  lease_until  DATETIME(6) NOT NULL,
  host         VARCHAR(255) NOT NULL,
  home         VARCHAR(80) NOT NULL DEFAULT '', -- the data directory that it has locked
  pid          BIGINT NOT NULL,
  slots        INT UNSIGNED NOT NULL,
  roles        VARCHAR(255) NOT NULL,
  start_time   DATETIME(6) NOT NULL,
  end_time     DATETIME(6),
  KEY engine_node_state (state)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_log (
  ti_id        BIGINT NOT NULL,
  epoch        INT UNSIGNED NOT NULL,
  byte_offset  BIGINT NOT NULL,               -- place of the first byte in the log of the attempt
  seq          INT UNSIGNED NOT NULL,
  n_bytes      INT UNSIGNED NOT NULL,
  stream       TINYINT UNSIGNED NOT NULL,
  time         DATETIME(6) NOT NULL,
  bytes        MEDIUMBLOB NOT NULL,
  PRIMARY KEY (ti_id, epoch, byte_offset, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
