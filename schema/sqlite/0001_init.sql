-- Weir, schema 1, SQLite. Runs in one transaction on an empty database; never edited once released: changes are 0002 and on.
-- Times are microseconds since 1970 UTC; 0 never stands for "unknown", NULL does. States are the numbers of engine/core;
-- status and exec_status show S2's words and cost nothing to write. No foreign keys: ids are checked where they come in.

CREATE TABLE schema_version (
  version  INTEGER PRIMARY KEY,
  time     INTEGER NOT NULL
) STRICT;

-- Next free id per kind. The runner writes fi ni ti with its batches, the definition writer task flow node.
CREATE TABLE id_block (
  kind  TEXT PRIMARY KEY,
  next  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO id_block VALUES ('task', 1), ('flow', 1), ('node', 1), ('fi', 1), ('ni', 1), ('ti', 1), ('incarnation', 1);

-- One row: raised by every change of a task or a flow.
CREATE TABLE definitions (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  version  INTEGER NOT NULL
) STRICT;
INSERT INTO definitions VALUES (1, 1);

CREATE TABLE task (
  task_id           INTEGER PRIMARY KEY,
  task_version      INTEGER NOT NULL,
  task_name         TEXT NOT NULL,
  task_description  TEXT,
  task_type         TEXT NOT NULL,
  task_config       TEXT,
  task_content      TEXT,
  deleted           INTEGER NOT NULL DEFAULT 0,
  create_time       INTEGER NOT NULL,
  create_user       TEXT,
  update_time       INTEGER NOT NULL,
  update_user       TEXT
) STRICT;
CREATE INDEX task_list ON task (task_id) WHERE deleted = 0;
CREATE INDEX task_list_type ON task (task_type, task_id) WHERE deleted = 0;

-- Every version, the current one too: a task instance says which one it runs.
CREATE TABLE task_history (
  task_id           INTEGER NOT NULL,
  task_version      INTEGER NOT NULL,
  task_name         TEXT NOT NULL,
  task_description  TEXT,
  task_type         TEXT NOT NULL,
  task_config       TEXT,
  task_content      TEXT,
  update_time       INTEGER NOT NULL,
  update_user       TEXT,
  PRIMARY KEY (task_id, task_version)
) STRICT;

CREATE TABLE task_flow (
  flow_id           INTEGER PRIMARY KEY,
  flow_version      INTEGER NOT NULL,       -- published last: nodes of a greater version are not there yet
  flow_name         TEXT NOT NULL,
  flow_description  TEXT,
  deleted           INTEGER NOT NULL DEFAULT 0,
  create_time       INTEGER NOT NULL,
  create_user       TEXT,
  update_time       INTEGER NOT NULL,
  update_user       TEXT
) STRICT;
CREATE INDEX task_flow_list ON task_flow (flow_id) WHERE deleted = 0;

-- Every version, the current one too. Its nodes are node_base .. node_base + n_node - 1, whatever else a save that was
-- cut off has left behind. n_node_ins, n_task_ins: how many TASK nodes and tasks a run has, so how many ids it takes.
CREATE TABLE task_flow_history (
  flow_id           INTEGER NOT NULL,
  flow_version      INTEGER NOT NULL,
  flow_name         TEXT NOT NULL,
  flow_description  TEXT,
  config            TEXT,
  node_base         INTEGER NOT NULL,
  n_node            INTEGER NOT NULL,
  n_node_ins        INTEGER NOT NULL,
  n_task_ins        INTEGER NOT NULL,
  update_time       INTEGER NOT NULL,
  update_user       TEXT,
  PRIMARY KEY (flow_id, flow_version)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_node (
  node_id       INTEGER PRIMARY KEY,
  flow_id       INTEGER NOT NULL,
  flow_version  INTEGER NOT NULL,
  node_key      TEXT NOT NULL,
  node_type     TEXT NOT NULL,
  task_ids      TEXT,                       -- '1,2' or NULL
  tasks         TEXT,                       -- inline tasks: a JSON array, or NULL
  config        TEXT,
  prev_node     INTEGER,                    -- the first parent; all of them: task_node_edge
  task_at       INTEGER NOT NULL,           -- index of its first task within the flow
  n_task        INTEGER NOT NULL,
  create_time   INTEGER NOT NULL,
  create_user   TEXT,
  update_time   INTEGER NOT NULL,
  update_user   TEXT
) STRICT;

CREATE TABLE task_node_edge (
  flow_id       INTEGER NOT NULL,
  flow_version  INTEGER NOT NULL,
  node_id       INTEGER NOT NULL,
  pos           INTEGER NOT NULL,           -- order of mention in prevNodes
  prev_node     INTEGER NOT NULL,
  PRIMARY KEY (flow_id, flow_version, node_id, pos)
) STRICT, WITHOUT ROWID;

-- Which flow versions use a task: one row for each, however many nodes do. A version is named by its node_base, which no
-- save that was cut off can share with a later one.
CREATE TABLE task_use (
  task_id    INTEGER NOT NULL,
  flow_id    INTEGER NOT NULL,
  node_base  INTEGER NOT NULL,
  PRIMARY KEY (task_id, flow_id, node_base)
) STRICT, WITHOUT ROWID;

-- Hot columns stand first: SQLite decodes a row from the left.
CREATE TABLE task_flow_ins (
  fi_id         INTEGER PRIMARY KEY,
  version       INTEGER NOT NULL,           -- id of the batch that wrote it last
  state         INTEGER NOT NULL,
  flow_id       INTEGER NOT NULL,
  flow_version  INTEGER NOT NULL,
  wish          INTEGER NOT NULL DEFAULT 0,
  run_no        INTEGER NOT NULL DEFAULT 1,
  live          INTEGER NOT NULL DEFAULT 0,
  failed        INTEGER NOT NULL DEFAULT 0,
  start_time    INTEGER,
  end_time      INTEGER,
  due_time      INTEGER,
  update_time   INTEGER,
  bases         TEXT NOT NULL,              -- 'ni:ti,ni:ti': first ids of each run
  more_from     TEXT,
  error_msg     TEXT,
  params        TEXT,
  create_time   INTEGER,
  create_user   TEXT,
  update_user   TEXT,
  status        TEXT AS (CASE WHEN state < 4 THEN 'RUNNING' WHEN state = 4 THEN 'SUCCESS' ELSE 'FAILED' END) VIRTUAL
) STRICT;
-- Every list and every filter of /monitor/flow is a merge of a few ranges of one of these; live flows too. A flow changes
-- its state once or twice, so they are written twice or thrice in its life.
CREATE INDEX task_flow_ins_state ON task_flow_ins (state, start_time);
CREATE INDEX task_flow_ins_flow ON task_flow_ins (flow_id, state, start_time);

CREATE TABLE task_node_ins (
  ni_id         INTEGER PRIMARY KEY,        -- base of the run + index of the node among the flow's TASK nodes
  state         INTEGER NOT NULL,
  ok            INTEGER NOT NULL DEFAULT 0, -- tokens that came in, by kind
  fail          INTEGER NOT NULL DEFAULT 0,
  skip          INTEGER NOT NULL DEFAULT 0,
  t_ok          INTEGER NOT NULL DEFAULT 0, -- its tasks: SUCCESS, ended otherwise, not ended
  t_bad         INTEGER NOT NULL DEFAULT 0,
  t_open        INTEGER NOT NULL DEFAULT 0,
  start_time    INTEGER,
  end_time      INTEGER,
  update_time   INTEGER,
  error_msg     TEXT,
  fi_id         INTEGER NOT NULL,
  node_id       INTEGER NOT NULL,
  run_no        INTEGER NOT NULL,
  create_time   INTEGER,
  create_user   TEXT,
  update_user   TEXT,
  status        TEXT AS (CASE WHEN state < 3 THEN 'RUNNING' WHEN state IN (3, 5) THEN 'SUCCESS' ELSE 'FAILED' END) VIRTUAL
) STRICT;

CREATE TABLE task_ins (
  ti_id         INTEGER PRIMARY KEY,        -- base of the run + index of the task within the flow
  ni_id         INTEGER,                    -- NULL: a stand-alone task
  state         INTEGER NOT NULL,
  end_as        INTEGER NOT NULL DEFAULT 0,
  losses        INTEGER NOT NULL DEFAULT 0,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  epoch         INTEGER NOT NULL DEFAULT 0,
  tries         INTEGER NOT NULL DEFAULT 0,
  owner         INTEGER NOT NULL DEFAULT 0, -- 0: nobody runs it
  start_time    INTEGER,
  due_time      INTEGER,
  update_time   INTEGER,
  end_time      INTEGER,
  error_msg     TEXT,
  result        BLOB,
  log           INTEGER NOT NULL DEFAULT 0, -- 0 none, 1 task_log, 2 equal to result
  exit_code     INTEGER,
  signal        INTEGER NOT NULL DEFAULT 0,
  utime_us      INTEGER NOT NULL DEFAULT 0,
  stime_us      INTEGER NOT NULL DEFAULT 0,
  maxrss_kib    INTEGER NOT NULL DEFAULT 0,
  log_bytes     INTEGER NOT NULL DEFAULT 0,
  fi_id         INTEGER,
  task_id       INTEGER,                    -- NULL: inline
  task_version  INTEGER NOT NULL,
  create_time   INTEGER,
  params        TEXT,                       -- of a stand-alone task
  create_user   TEXT,
  update_user   TEXT,
  exec_status   TEXT AS (CASE WHEN state < 9 THEN 'RUNNING' WHEN state = 9 THEN 'SUCCESS' ELSE 'FAILED' END) VIRTUAL
) STRICT;
-- Live stand-alone tasks. Those of flows are found through the id ranges of live flows, so they pay for no index at all.
CREATE TABLE task_alone (
  ti_id    INTEGER PRIMARY KEY,
  task_id  INTEGER NOT NULL
) STRICT;

-- Attempts that ended and were followed by another one.
CREATE TABLE task_attempt (
  ti_id       INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  owner       INTEGER NOT NULL,
  start_time  INTEGER,
  end_time    INTEGER,
  why         TEXT NOT NULL,
  error_msg   TEXT,
  PRIMARY KEY (ti_id, epoch)
) STRICT, WITHOUT ROWID;

-- What the first request with an Idempotency-Key made; later ones with the same hash are answered with it.
CREATE TABLE idempotency (
  idem_key     TEXT PRIMARY KEY,
  hash         BLOB NOT NULL,               -- SHA-256 of method, path and canonical body
  kind         INTEGER NOT NULL,
  first_id     INTEGER NOT NULL,            -- of its n rows
  n            INTEGER NOT NULL,
  create_time  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (create_time);

CREATE TABLE engine_node (
  incarnation  INTEGER PRIMARY KEY,
  state        TEXT NOT NULL,               -- LIVE DEAD GONE
  last_batch   INTEGER NOT NULL DEFAULT 0,  -- the receipt: id of its newest committed batch
  lease_until  INTEGER,                     -- NULL: the process lock is the lease
  host         TEXT NOT NULL,
  pid          INTEGER NOT NULL,
  slots        INTEGER NOT NULL,
  roles        TEXT NOT NULL,
  start_time   INTEGER NOT NULL,
  end_time     INTEGER
) STRICT;
