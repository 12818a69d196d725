PRAGMA application_id=1466263922;
PRAGMA user_version=0;
CREATE TABLE schema_version (
  version  INTEGER PRIMARY KEY,
  time     INTEGER NOT NULL
) STRICT;
CREATE TABLE id_block (
  kind  TEXT PRIMARY KEY,
  next  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE definitions (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  version  INTEGER NOT NULL
) STRICT;
CREATE TABLE installation (
  one         INTEGER PRIMARY KEY CHECK (one = 1),
  store_id    TEXT NOT NULL,
  token_hash  TEXT,
  token_host  TEXT,
  token_time  INTEGER
) STRICT;
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
CREATE TABLE task_use (
  task_id    INTEGER NOT NULL,
  flow_id    INTEGER NOT NULL,
  node_base  INTEGER NOT NULL,
  PRIMARY KEY (task_id, flow_id, node_base)
) STRICT, WITHOUT ROWID;
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
  t_canceled    INTEGER NOT NULL DEFAULT 0,    -- of t_bad
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
  log_lost      INTEGER NOT NULL DEFAULT 0, -- bytes of its output that are not in its log, and why: enum log_lost
  log_lost_why  INTEGER NOT NULL DEFAULT 0,
  fi_id         INTEGER,
  task_id       INTEGER,                    -- NULL: inline
  task_version  INTEGER NOT NULL,
  create_time   INTEGER,
  params        TEXT,                       -- of a stand-alone task
  create_user   TEXT,
  update_user   TEXT,
  exec_status   TEXT AS (CASE WHEN state < 9 THEN 'RUNNING' WHEN state = 9 THEN 'SUCCESS' ELSE 'FAILED' END) VIRTUAL
) STRICT;
CREATE TABLE task_alone (
  ti_id    INTEGER PRIMARY KEY,
  task_id  INTEGER NOT NULL
) STRICT;
CREATE TABLE task_attempt (
  ti_id       INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  owner       INTEGER NOT NULL,
  start_time  INTEGER,
  end_time    INTEGER,
  why         TEXT NOT NULL,
  error_msg   TEXT,
  exit_code   INTEGER,
  signal      INTEGER,                      -- that ended its process
  PRIMARY KEY (ti_id, epoch)
) STRICT, WITHOUT ROWID;
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
  lease_until  INTEGER,                     -- the process lock is the lease: when it last tried whether it can write
  host         TEXT NOT NULL,
  pid          INTEGER NOT NULL,
  slots        INTEGER NOT NULL,
  roles        TEXT NOT NULL,
  types        TEXT NOT NULL DEFAULT '',    -- what it can run: 'ECHO,WAIT,SHELL'
  users        TEXT NOT NULL DEFAULT '',    -- as whom SHELL
  trouble      TEXT NOT NULL DEFAULT '',    -- what goes wrong there, JSON; '' = nothing
  start_time   INTEGER NOT NULL,
  end_time     INTEGER
) STRICT;
INSERT INTO schema_version (version,time) VALUES
(3,1795951974594344);
INSERT INTO id_block (kind,next) VALUES
('fi',10),
('flow',10),
('incarnation',2),
('ni',168),
('node',168),
('task',3),
('ti',173);
INSERT INTO definitions (one,version) VALUES
(1,12);
INSERT INTO installation (one,store_id,token_hash,token_host,token_time) VALUES
(1,'297bdb38','ae8047be5c951e2189b226d6ab7d3987f9670c4ef25d86ca176575b98552d75d','elder:/var/lib/weir',1795951974621192);
INSERT INTO task (task_id,task_version,task_name,task_description,task_type,task_config,task_content,deleted,create_time,create_user,update_time,update_user) VALUES
(1,1,'said',NULL,'ECHO',NULL,'alone',0,1795951974708443,NULL,1795951974708443,NULL),
(2,1,'slow',NULL,'SHELL',NULL,'[ "$WEIR_ATTEMPT" -gt 1 ] || exec sleep 600',0,1795951974746715,NULL,1795951974746715,NULL);
INSERT INTO task_history (task_id,task_version,task_name,task_description,task_type,task_config,task_content,update_time,update_user) VALUES
(1,1,'said',NULL,'ECHO',NULL,'alone',1795951974708443,NULL),
(2,1,'slow',NULL,'SHELL',NULL,'[ "$WEIR_ATTEMPT" -gt 1 ] || exec sleep 600',1795951974746715,NULL);
INSERT INTO task_flow (flow_id,flow_version,flow_name,flow_description,deleted,create_time,create_user,update_time,update_user) VALUES
(1,1,'ended',NULL,0,1795951974644014,NULL,1795951974644014,NULL),
(2,1,'failed',NULL,0,1795951974653669,NULL,1795951974653669,NULL),
(3,1,'any',NULL,0,1795951974681615,NULL,1795951974681615,NULL),
(4,1,'retry',NULL,0,1795951974714442,NULL,1795951974714442,NULL),
(5,1,'runs',NULL,0,1795951974741445,NULL,1795951974741445,NULL),
(6,1,'queued',NULL,0,1795951974759804,NULL,1795951974759804,NULL),
(7,1,'late',NULL,0,1795951974764673,NULL,1795951974764673,NULL),
(8,1,'join',NULL,0,1795951974770652,NULL,1795951974770652,NULL),
(9,1,'wide',NULL,0,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_flow_history (flow_id,flow_version,flow_name,flow_description,config,node_base,n_node,n_node_ins,n_task_ins,update_time,update_user) VALUES
(1,1,'ended',NULL,NULL,1,2,2,2,1795951974644014,NULL),
(2,1,'failed',NULL,NULL,3,2,2,2,1795951974653669,NULL),
(3,1,'any',NULL,NULL,5,2,2,3,1795951974681615,NULL),
(4,1,'retry',NULL,NULL,7,2,2,2,1795951974714442,NULL),
(5,1,'runs',NULL,NULL,9,3,3,3,1795951974741445,NULL),
(6,1,'queued',NULL,NULL,12,1,1,1,1795951974759804,NULL),
(7,1,'late',NULL,NULL,13,1,1,1,1795951974764673,NULL),
(8,1,'join',NULL,NULL,14,3,3,4,1795951974770652,NULL),
(9,1,'wide',NULL,NULL,17,151,151,151,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(1,1,1,'a','TASK',NULL,'[{"taskName":"a","taskType":"ECHO","taskContent":"one"}]',NULL,NULL,0,1,1795951974644014,NULL,1795951974644014,NULL),
(2,1,1,'b','TASK',NULL,'[{"taskName":"b","taskType":"ECHO","taskContent":"two"}]',NULL,1,1,1,1795951974644014,NULL,1795951974644014,NULL),
(3,2,1,'a','TASK',NULL,'[{"taskName":"a","taskType":"SHELL","taskContent":"echo out; exit 3"}]',NULL,NULL,0,1,1795951974653669,NULL,1795951974653669,NULL),
(4,2,1,'b','TASK',NULL,'[{"taskName":"b","taskType":"ECHO","taskContent":"never"}]',NULL,3,1,1,1795951974653669,NULL,1795951974653669,NULL),
(5,3,1,'a','TASK',NULL,'[{"taskName":"a0","taskType":"ECHO","taskContent":"first"},{"taskName":"a1","taskType":"WAIT","taskContent":"600"}]','{"complete":"any","rest":"cancel"}',NULL,0,2,1795951974681615,NULL,1795951974681615,NULL),
(6,3,1,'b','TASK',NULL,'[{"taskName":"b","taskType":"ECHO","taskContent":"on"}]',NULL,5,2,1,1795951974681615,NULL,1795951974681615,NULL),
(7,4,1,'a','TASK',NULL,'[{"taskName":"a","taskType":"SHELL","taskContent":"echo try; [ \"$WEIR_ATTEMPT\" -gt 1 ]"}]','{"attempts":3,"backoff":{"base":"60s","jitter":"none"}}',NULL,0,1,1795951974714442,NULL,1795951974714442,NULL),
(8,4,1,'b','TASK',NULL,'[{"taskName":"b","taskType":"ECHO","taskContent":"on"}]',NULL,7,1,1,1795951974714442,NULL,1795951974714442,NULL),
(9,5,1,'z','TASK',NULL,'[{"taskName":"z","taskType":"ECHO","taskContent":"before"}]',NULL,NULL,0,1,1795951974741445,NULL,1795951974741445,NULL),
(10,5,1,'a','TASK',NULL,'[{"taskName":"a","taskType":"SHELL","taskContent":"echo begun; [ \"$WEIR_ATTEMPT\" -gt 1 ] || exec sleep 600"}]',NULL,9,1,1,1795951974741445,NULL,1795951974741445,NULL),
(11,5,1,'b','TASK',NULL,'[{"taskName":"b","taskType":"ECHO","taskContent":"on"}]',NULL,10,2,1,1795951974741445,NULL,1795951974741445,NULL),
(12,6,1,'a','TASK',NULL,'[{"taskName":"a","taskType":"SHELL","taskContent":"exit 0"}]',NULL,NULL,0,1,1795951974759804,NULL,1795951974759804,NULL),
(13,7,1,'a','TASK',NULL,'[{"taskName":"a","taskType":"SHELL","taskContent":"exit 0","taskConfig":{"queueTimeout":"60s"}}]',NULL,NULL,0,1,1795951974764673,NULL,1795951974764673,NULL),
(14,8,1,'a','TASK',NULL,'[{"taskName":"a0","taskType":"ECHO","taskContent":"1"},{"taskName":"a1","taskType":"SHELL","taskContent":"exit 0"}]','{"complete":"all"}',NULL,0,2,1795951974770652,NULL,1795951974770652,NULL),
(15,8,1,'b','TASK',NULL,'[{"taskName":"b","taskType":"ECHO","taskContent":"2"}]',NULL,NULL,2,1,1795951974770652,NULL,1795951974770652,NULL),
(16,8,1,'c','TASK',NULL,'[{"taskName":"c","taskType":"ECHO","taskContent":"joined"}]',NULL,14,3,1,1795951974770652,NULL,1795951974770652,NULL),
(17,9,1,'root','TASK',NULL,'[{"taskName":"root","taskType":"ECHO","taskContent":"0"}]',NULL,NULL,0,1,1795951974880106,NULL,1795951974880106,NULL),
(18,9,1,'n0','TASK',NULL,'[{"taskName":"n0","taskType":"ECHO","taskContent":""}]',NULL,17,1,1,1795951974880106,NULL,1795951974880106,NULL),
(19,9,1,'n1','TASK',NULL,'[{"taskName":"n1","taskType":"ECHO","taskContent":""}]',NULL,17,2,1,1795951974880106,NULL,1795951974880106,NULL),
(20,9,1,'n2','TASK',NULL,'[{"taskName":"n2","taskType":"ECHO","taskContent":""}]',NULL,17,3,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(21,9,1,'n3','TASK',NULL,'[{"taskName":"n3","taskType":"ECHO","taskContent":""}]',NULL,17,4,1,1795951974880106,NULL,1795951974880106,NULL),
(22,9,1,'n4','TASK',NULL,'[{"taskName":"n4","taskType":"ECHO","taskContent":""}]',NULL,17,5,1,1795951974880106,NULL,1795951974880106,NULL),
(23,9,1,'n5','TASK',NULL,'[{"taskName":"n5","taskType":"ECHO","taskContent":""}]',NULL,17,6,1,1795951974880106,NULL,1795951974880106,NULL),
(24,9,1,'n6','TASK',NULL,'[{"taskName":"n6","taskType":"ECHO","taskContent":""}]',NULL,17,7,1,1795951974880106,NULL,1795951974880106,NULL),
(25,9,1,'n7','TASK',NULL,'[{"taskName":"n7","taskType":"ECHO","taskContent":""}]',NULL,17,8,1,1795951974880106,NULL,1795951974880106,NULL),
(26,9,1,'n8','TASK',NULL,'[{"taskName":"n8","taskType":"ECHO","taskContent":""}]',NULL,17,9,1,1795951974880106,NULL,1795951974880106,NULL),
(27,9,1,'n9','TASK',NULL,'[{"taskName":"n9","taskType":"ECHO","taskContent":""}]',NULL,17,10,1,1795951974880106,NULL,1795951974880106,NULL),
(28,9,1,'n10','TASK',NULL,'[{"taskName":"n10","taskType":"ECHO","taskContent":""}]',NULL,17,11,1,1795951974880106,NULL,1795951974880106,NULL),
(29,9,1,'n11','TASK',NULL,'[{"taskName":"n11","taskType":"ECHO","taskContent":""}]',NULL,17,12,1,1795951974880106,NULL,1795951974880106,NULL),
(30,9,1,'n12','TASK',NULL,'[{"taskName":"n12","taskType":"ECHO","taskContent":""}]',NULL,17,13,1,1795951974880106,NULL,1795951974880106,NULL),
(31,9,1,'n13','TASK',NULL,'[{"taskName":"n13","taskType":"ECHO","taskContent":""}]',NULL,17,14,1,1795951974880106,NULL,1795951974880106,NULL),
(32,9,1,'n14','TASK',NULL,'[{"taskName":"n14","taskType":"ECHO","taskContent":""}]',NULL,17,15,1,1795951974880106,NULL,1795951974880106,NULL),
(33,9,1,'n15','TASK',NULL,'[{"taskName":"n15","taskType":"ECHO","taskContent":""}]',NULL,17,16,1,1795951974880106,NULL,1795951974880106,NULL),
(34,9,1,'n16','TASK',NULL,'[{"taskName":"n16","taskType":"ECHO","taskContent":""}]',NULL,17,17,1,1795951974880106,NULL,1795951974880106,NULL),
(35,9,1,'n17','TASK',NULL,'[{"taskName":"n17","taskType":"ECHO","taskContent":""}]',NULL,17,18,1,1795951974880106,NULL,1795951974880106,NULL),
(36,9,1,'n18','TASK',NULL,'[{"taskName":"n18","taskType":"ECHO","taskContent":""}]',NULL,17,19,1,1795951974880106,NULL,1795951974880106,NULL),
(37,9,1,'n19','TASK',NULL,'[{"taskName":"n19","taskType":"ECHO","taskContent":""}]',NULL,17,20,1,1795951974880106,NULL,1795951974880106,NULL),
(38,9,1,'n20','TASK',NULL,'[{"taskName":"n20","taskType":"ECHO","taskContent":""}]',NULL,17,21,1,1795951974880106,NULL,1795951974880106,NULL),
(39,9,1,'n21','TASK',NULL,'[{"taskName":"n21","taskType":"ECHO","taskContent":""}]',NULL,17,22,1,1795951974880106,NULL,1795951974880106,NULL),
(40,9,1,'n22','TASK',NULL,'[{"taskName":"n22","taskType":"ECHO","taskContent":""}]',NULL,17,23,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(41,9,1,'n23','TASK',NULL,'[{"taskName":"n23","taskType":"ECHO","taskContent":""}]',NULL,17,24,1,1795951974880106,NULL,1795951974880106,NULL),
(42,9,1,'n24','TASK',NULL,'[{"taskName":"n24","taskType":"ECHO","taskContent":""}]',NULL,17,25,1,1795951974880106,NULL,1795951974880106,NULL),
(43,9,1,'n25','TASK',NULL,'[{"taskName":"n25","taskType":"ECHO","taskContent":""}]',NULL,17,26,1,1795951974880106,NULL,1795951974880106,NULL),
(44,9,1,'n26','TASK',NULL,'[{"taskName":"n26","taskType":"ECHO","taskContent":""}]',NULL,17,27,1,1795951974880106,NULL,1795951974880106,NULL),
(45,9,1,'n27','TASK',NULL,'[{"taskName":"n27","taskType":"ECHO","taskContent":""}]',NULL,17,28,1,1795951974880106,NULL,1795951974880106,NULL),
(46,9,1,'n28','TASK',NULL,'[{"taskName":"n28","taskType":"ECHO","taskContent":""}]',NULL,17,29,1,1795951974880106,NULL,1795951974880106,NULL),
(47,9,1,'n29','TASK',NULL,'[{"taskName":"n29","taskType":"ECHO","taskContent":""}]',NULL,17,30,1,1795951974880106,NULL,1795951974880106,NULL),
(48,9,1,'n30','TASK',NULL,'[{"taskName":"n30","taskType":"ECHO","taskContent":""}]',NULL,17,31,1,1795951974880106,NULL,1795951974880106,NULL),
(49,9,1,'n31','TASK',NULL,'[{"taskName":"n31","taskType":"ECHO","taskContent":""}]',NULL,17,32,1,1795951974880106,NULL,1795951974880106,NULL),
(50,9,1,'n32','TASK',NULL,'[{"taskName":"n32","taskType":"ECHO","taskContent":""}]',NULL,17,33,1,1795951974880106,NULL,1795951974880106,NULL),
(51,9,1,'n33','TASK',NULL,'[{"taskName":"n33","taskType":"ECHO","taskContent":""}]',NULL,17,34,1,1795951974880106,NULL,1795951974880106,NULL),
(52,9,1,'n34','TASK',NULL,'[{"taskName":"n34","taskType":"ECHO","taskContent":""}]',NULL,17,35,1,1795951974880106,NULL,1795951974880106,NULL),
(53,9,1,'n35','TASK',NULL,'[{"taskName":"n35","taskType":"ECHO","taskContent":""}]',NULL,17,36,1,1795951974880106,NULL,1795951974880106,NULL),
(54,9,1,'n36','TASK',NULL,'[{"taskName":"n36","taskType":"ECHO","taskContent":""}]',NULL,17,37,1,1795951974880106,NULL,1795951974880106,NULL),
(55,9,1,'n37','TASK',NULL,'[{"taskName":"n37","taskType":"ECHO","taskContent":""}]',NULL,17,38,1,1795951974880106,NULL,1795951974880106,NULL),
(56,9,1,'n38','TASK',NULL,'[{"taskName":"n38","taskType":"ECHO","taskContent":""}]',NULL,17,39,1,1795951974880106,NULL,1795951974880106,NULL),
(57,9,1,'n39','TASK',NULL,'[{"taskName":"n39","taskType":"ECHO","taskContent":""}]',NULL,17,40,1,1795951974880106,NULL,1795951974880106,NULL),
(58,9,1,'n40','TASK',NULL,'[{"taskName":"n40","taskType":"ECHO","taskContent":""}]',NULL,17,41,1,1795951974880106,NULL,1795951974880106,NULL),
(59,9,1,'n41','TASK',NULL,'[{"taskName":"n41","taskType":"ECHO","taskContent":""}]',NULL,17,42,1,1795951974880106,NULL,1795951974880106,NULL),
(60,9,1,'n42','TASK',NULL,'[{"taskName":"n42","taskType":"ECHO","taskContent":""}]',NULL,17,43,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(61,9,1,'n43','TASK',NULL,'[{"taskName":"n43","taskType":"ECHO","taskContent":""}]',NULL,17,44,1,1795951974880106,NULL,1795951974880106,NULL),
(62,9,1,'n44','TASK',NULL,'[{"taskName":"n44","taskType":"ECHO","taskContent":""}]',NULL,17,45,1,1795951974880106,NULL,1795951974880106,NULL),
(63,9,1,'n45','TASK',NULL,'[{"taskName":"n45","taskType":"ECHO","taskContent":""}]',NULL,17,46,1,1795951974880106,NULL,1795951974880106,NULL),
(64,9,1,'n46','TASK',NULL,'[{"taskName":"n46","taskType":"ECHO","taskContent":""}]',NULL,17,47,1,1795951974880106,NULL,1795951974880106,NULL),
(65,9,1,'n47','TASK',NULL,'[{"taskName":"n47","taskType":"ECHO","taskContent":""}]',NULL,17,48,1,1795951974880106,NULL,1795951974880106,NULL),
(66,9,1,'n48','TASK',NULL,'[{"taskName":"n48","taskType":"ECHO","taskContent":""}]',NULL,17,49,1,1795951974880106,NULL,1795951974880106,NULL),
(67,9,1,'n49','TASK',NULL,'[{"taskName":"n49","taskType":"ECHO","taskContent":""}]',NULL,17,50,1,1795951974880106,NULL,1795951974880106,NULL),
(68,9,1,'n50','TASK',NULL,'[{"taskName":"n50","taskType":"ECHO","taskContent":""}]',NULL,17,51,1,1795951974880106,NULL,1795951974880106,NULL),
(69,9,1,'n51','TASK',NULL,'[{"taskName":"n51","taskType":"ECHO","taskContent":""}]',NULL,17,52,1,1795951974880106,NULL,1795951974880106,NULL),
(70,9,1,'n52','TASK',NULL,'[{"taskName":"n52","taskType":"ECHO","taskContent":""}]',NULL,17,53,1,1795951974880106,NULL,1795951974880106,NULL),
(71,9,1,'n53','TASK',NULL,'[{"taskName":"n53","taskType":"ECHO","taskContent":""}]',NULL,17,54,1,1795951974880106,NULL,1795951974880106,NULL),
(72,9,1,'n54','TASK',NULL,'[{"taskName":"n54","taskType":"ECHO","taskContent":""}]',NULL,17,55,1,1795951974880106,NULL,1795951974880106,NULL),
(73,9,1,'n55','TASK',NULL,'[{"taskName":"n55","taskType":"ECHO","taskContent":""}]',NULL,17,56,1,1795951974880106,NULL,1795951974880106,NULL),
(74,9,1,'n56','TASK',NULL,'[{"taskName":"n56","taskType":"ECHO","taskContent":""}]',NULL,17,57,1,1795951974880106,NULL,1795951974880106,NULL),
(75,9,1,'n57','TASK',NULL,'[{"taskName":"n57","taskType":"ECHO","taskContent":""}]',NULL,17,58,1,1795951974880106,NULL,1795951974880106,NULL),
(76,9,1,'n58','TASK',NULL,'[{"taskName":"n58","taskType":"ECHO","taskContent":""}]',NULL,17,59,1,1795951974880106,NULL,1795951974880106,NULL),
(77,9,1,'n59','TASK',NULL,'[{"taskName":"n59","taskType":"ECHO","taskContent":""}]',NULL,17,60,1,1795951974880106,NULL,1795951974880106,NULL),
(78,9,1,'n60','TASK',NULL,'[{"taskName":"n60","taskType":"ECHO","taskContent":""}]',NULL,17,61,1,1795951974880106,NULL,1795951974880106,NULL),
(79,9,1,'n61','TASK',NULL,'[{"taskName":"n61","taskType":"ECHO","taskContent":""}]',NULL,17,62,1,1795951974880106,NULL,1795951974880106,NULL),
(80,9,1,'n62','TASK',NULL,'[{"taskName":"n62","taskType":"ECHO","taskContent":""}]',NULL,17,63,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(81,9,1,'n63','TASK',NULL,'[{"taskName":"n63","taskType":"ECHO","taskContent":""}]',NULL,17,64,1,1795951974880106,NULL,1795951974880106,NULL),
(82,9,1,'n64','TASK',NULL,'[{"taskName":"n64","taskType":"ECHO","taskContent":""}]',NULL,17,65,1,1795951974880106,NULL,1795951974880106,NULL),
(83,9,1,'n65','TASK',NULL,'[{"taskName":"n65","taskType":"ECHO","taskContent":""}]',NULL,17,66,1,1795951974880106,NULL,1795951974880106,NULL),
(84,9,1,'n66','TASK',NULL,'[{"taskName":"n66","taskType":"ECHO","taskContent":""}]',NULL,17,67,1,1795951974880106,NULL,1795951974880106,NULL),
(85,9,1,'n67','TASK',NULL,'[{"taskName":"n67","taskType":"ECHO","taskContent":""}]',NULL,17,68,1,1795951974880106,NULL,1795951974880106,NULL),
(86,9,1,'n68','TASK',NULL,'[{"taskName":"n68","taskType":"ECHO","taskContent":""}]',NULL,17,69,1,1795951974880106,NULL,1795951974880106,NULL),
(87,9,1,'n69','TASK',NULL,'[{"taskName":"n69","taskType":"ECHO","taskContent":""}]',NULL,17,70,1,1795951974880106,NULL,1795951974880106,NULL),
(88,9,1,'n70','TASK',NULL,'[{"taskName":"n70","taskType":"ECHO","taskContent":""}]',NULL,17,71,1,1795951974880106,NULL,1795951974880106,NULL),
(89,9,1,'n71','TASK',NULL,'[{"taskName":"n71","taskType":"ECHO","taskContent":""}]',NULL,17,72,1,1795951974880106,NULL,1795951974880106,NULL),
(90,9,1,'n72','TASK',NULL,'[{"taskName":"n72","taskType":"ECHO","taskContent":""}]',NULL,17,73,1,1795951974880106,NULL,1795951974880106,NULL),
(91,9,1,'n73','TASK',NULL,'[{"taskName":"n73","taskType":"ECHO","taskContent":""}]',NULL,17,74,1,1795951974880106,NULL,1795951974880106,NULL),
(92,9,1,'n74','TASK',NULL,'[{"taskName":"n74","taskType":"ECHO","taskContent":""}]',NULL,17,75,1,1795951974880106,NULL,1795951974880106,NULL),
(93,9,1,'n75','TASK',NULL,'[{"taskName":"n75","taskType":"ECHO","taskContent":""}]',NULL,17,76,1,1795951974880106,NULL,1795951974880106,NULL),
(94,9,1,'n76','TASK',NULL,'[{"taskName":"n76","taskType":"ECHO","taskContent":""}]',NULL,17,77,1,1795951974880106,NULL,1795951974880106,NULL),
(95,9,1,'n77','TASK',NULL,'[{"taskName":"n77","taskType":"ECHO","taskContent":""}]',NULL,17,78,1,1795951974880106,NULL,1795951974880106,NULL),
(96,9,1,'n78','TASK',NULL,'[{"taskName":"n78","taskType":"ECHO","taskContent":""}]',NULL,17,79,1,1795951974880106,NULL,1795951974880106,NULL),
(97,9,1,'n79','TASK',NULL,'[{"taskName":"n79","taskType":"ECHO","taskContent":""}]',NULL,17,80,1,1795951974880106,NULL,1795951974880106,NULL),
(98,9,1,'n80','TASK',NULL,'[{"taskName":"n80","taskType":"ECHO","taskContent":""}]',NULL,17,81,1,1795951974880106,NULL,1795951974880106,NULL),
(99,9,1,'n81','TASK',NULL,'[{"taskName":"n81","taskType":"ECHO","taskContent":""}]',NULL,17,82,1,1795951974880106,NULL,1795951974880106,NULL),
(100,9,1,'n82','TASK',NULL,'[{"taskName":"n82","taskType":"ECHO","taskContent":""}]',NULL,17,83,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(101,9,1,'n83','TASK',NULL,'[{"taskName":"n83","taskType":"ECHO","taskContent":""}]',NULL,17,84,1,1795951974880106,NULL,1795951974880106,NULL),
(102,9,1,'n84','TASK',NULL,'[{"taskName":"n84","taskType":"ECHO","taskContent":""}]',NULL,17,85,1,1795951974880106,NULL,1795951974880106,NULL),
(103,9,1,'n85','TASK',NULL,'[{"taskName":"n85","taskType":"ECHO","taskContent":""}]',NULL,17,86,1,1795951974880106,NULL,1795951974880106,NULL),
(104,9,1,'n86','TASK',NULL,'[{"taskName":"n86","taskType":"ECHO","taskContent":""}]',NULL,17,87,1,1795951974880106,NULL,1795951974880106,NULL),
(105,9,1,'n87','TASK',NULL,'[{"taskName":"n87","taskType":"ECHO","taskContent":""}]',NULL,17,88,1,1795951974880106,NULL,1795951974880106,NULL),
(106,9,1,'n88','TASK',NULL,'[{"taskName":"n88","taskType":"ECHO","taskContent":""}]',NULL,17,89,1,1795951974880106,NULL,1795951974880106,NULL),
(107,9,1,'n89','TASK',NULL,'[{"taskName":"n89","taskType":"ECHO","taskContent":""}]',NULL,17,90,1,1795951974880106,NULL,1795951974880106,NULL),
(108,9,1,'n90','TASK',NULL,'[{"taskName":"n90","taskType":"ECHO","taskContent":""}]',NULL,17,91,1,1795951974880106,NULL,1795951974880106,NULL),
(109,9,1,'n91','TASK',NULL,'[{"taskName":"n91","taskType":"ECHO","taskContent":""}]',NULL,17,92,1,1795951974880106,NULL,1795951974880106,NULL),
(110,9,1,'n92','TASK',NULL,'[{"taskName":"n92","taskType":"ECHO","taskContent":""}]',NULL,17,93,1,1795951974880106,NULL,1795951974880106,NULL),
(111,9,1,'n93','TASK',NULL,'[{"taskName":"n93","taskType":"ECHO","taskContent":""}]',NULL,17,94,1,1795951974880106,NULL,1795951974880106,NULL),
(112,9,1,'n94','TASK',NULL,'[{"taskName":"n94","taskType":"ECHO","taskContent":""}]',NULL,17,95,1,1795951974880106,NULL,1795951974880106,NULL),
(113,9,1,'n95','TASK',NULL,'[{"taskName":"n95","taskType":"ECHO","taskContent":""}]',NULL,17,96,1,1795951974880106,NULL,1795951974880106,NULL),
(114,9,1,'n96','TASK',NULL,'[{"taskName":"n96","taskType":"ECHO","taskContent":""}]',NULL,17,97,1,1795951974880106,NULL,1795951974880106,NULL),
(115,9,1,'n97','TASK',NULL,'[{"taskName":"n97","taskType":"ECHO","taskContent":""}]',NULL,17,98,1,1795951974880106,NULL,1795951974880106,NULL),
(116,9,1,'n98','TASK',NULL,'[{"taskName":"n98","taskType":"ECHO","taskContent":""}]',NULL,17,99,1,1795951974880106,NULL,1795951974880106,NULL),
(117,9,1,'n99','TASK',NULL,'[{"taskName":"n99","taskType":"ECHO","taskContent":""}]',NULL,17,100,1,1795951974880106,NULL,1795951974880106,NULL),
(118,9,1,'n100','TASK',NULL,'[{"taskName":"n100","taskType":"ECHO","taskContent":""}]',NULL,17,101,1,1795951974880106,NULL,1795951974880106,NULL),
(119,9,1,'n101','TASK',NULL,'[{"taskName":"n101","taskType":"ECHO","taskContent":""}]',NULL,17,102,1,1795951974880106,NULL,1795951974880106,NULL),
(120,9,1,'n102','TASK',NULL,'[{"taskName":"n102","taskType":"ECHO","taskContent":""}]',NULL,17,103,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(121,9,1,'n103','TASK',NULL,'[{"taskName":"n103","taskType":"ECHO","taskContent":""}]',NULL,17,104,1,1795951974880106,NULL,1795951974880106,NULL),
(122,9,1,'n104','TASK',NULL,'[{"taskName":"n104","taskType":"ECHO","taskContent":""}]',NULL,17,105,1,1795951974880106,NULL,1795951974880106,NULL),
(123,9,1,'n105','TASK',NULL,'[{"taskName":"n105","taskType":"ECHO","taskContent":""}]',NULL,17,106,1,1795951974880106,NULL,1795951974880106,NULL),
(124,9,1,'n106','TASK',NULL,'[{"taskName":"n106","taskType":"ECHO","taskContent":""}]',NULL,17,107,1,1795951974880106,NULL,1795951974880106,NULL),
(125,9,1,'n107','TASK',NULL,'[{"taskName":"n107","taskType":"ECHO","taskContent":""}]',NULL,17,108,1,1795951974880106,NULL,1795951974880106,NULL),
(126,9,1,'n108','TASK',NULL,'[{"taskName":"n108","taskType":"ECHO","taskContent":""}]',NULL,17,109,1,1795951974880106,NULL,1795951974880106,NULL),
(127,9,1,'n109','TASK',NULL,'[{"taskName":"n109","taskType":"ECHO","taskContent":""}]',NULL,17,110,1,1795951974880106,NULL,1795951974880106,NULL),
(128,9,1,'n110','TASK',NULL,'[{"taskName":"n110","taskType":"ECHO","taskContent":""}]',NULL,17,111,1,1795951974880106,NULL,1795951974880106,NULL),
(129,9,1,'n111','TASK',NULL,'[{"taskName":"n111","taskType":"ECHO","taskContent":""}]',NULL,17,112,1,1795951974880106,NULL,1795951974880106,NULL),
(130,9,1,'n112','TASK',NULL,'[{"taskName":"n112","taskType":"ECHO","taskContent":""}]',NULL,17,113,1,1795951974880106,NULL,1795951974880106,NULL),
(131,9,1,'n113','TASK',NULL,'[{"taskName":"n113","taskType":"ECHO","taskContent":""}]',NULL,17,114,1,1795951974880106,NULL,1795951974880106,NULL),
(132,9,1,'n114','TASK',NULL,'[{"taskName":"n114","taskType":"ECHO","taskContent":""}]',NULL,17,115,1,1795951974880106,NULL,1795951974880106,NULL),
(133,9,1,'n115','TASK',NULL,'[{"taskName":"n115","taskType":"ECHO","taskContent":""}]',NULL,17,116,1,1795951974880106,NULL,1795951974880106,NULL),
(134,9,1,'n116','TASK',NULL,'[{"taskName":"n116","taskType":"ECHO","taskContent":""}]',NULL,17,117,1,1795951974880106,NULL,1795951974880106,NULL),
(135,9,1,'n117','TASK',NULL,'[{"taskName":"n117","taskType":"ECHO","taskContent":""}]',NULL,17,118,1,1795951974880106,NULL,1795951974880106,NULL),
(136,9,1,'n118','TASK',NULL,'[{"taskName":"n118","taskType":"ECHO","taskContent":""}]',NULL,17,119,1,1795951974880106,NULL,1795951974880106,NULL),
(137,9,1,'n119','TASK',NULL,'[{"taskName":"n119","taskType":"ECHO","taskContent":""}]',NULL,17,120,1,1795951974880106,NULL,1795951974880106,NULL),
(138,9,1,'n120','TASK',NULL,'[{"taskName":"n120","taskType":"ECHO","taskContent":""}]',NULL,17,121,1,1795951974880106,NULL,1795951974880106,NULL),
(139,9,1,'n121','TASK',NULL,'[{"taskName":"n121","taskType":"ECHO","taskContent":""}]',NULL,17,122,1,1795951974880106,NULL,1795951974880106,NULL),
(140,9,1,'n122','TASK',NULL,'[{"taskName":"n122","taskType":"ECHO","taskContent":""}]',NULL,17,123,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(141,9,1,'n123','TASK',NULL,'[{"taskName":"n123","taskType":"ECHO","taskContent":""}]',NULL,17,124,1,1795951974880106,NULL,1795951974880106,NULL),
(142,9,1,'n124','TASK',NULL,'[{"taskName":"n124","taskType":"ECHO","taskContent":""}]',NULL,17,125,1,1795951974880106,NULL,1795951974880106,NULL),
(143,9,1,'n125','TASK',NULL,'[{"taskName":"n125","taskType":"ECHO","taskContent":""}]',NULL,17,126,1,1795951974880106,NULL,1795951974880106,NULL),
(144,9,1,'n126','TASK',NULL,'[{"taskName":"n126","taskType":"ECHO","taskContent":""}]',NULL,17,127,1,1795951974880106,NULL,1795951974880106,NULL),
(145,9,1,'n127','TASK',NULL,'[{"taskName":"n127","taskType":"ECHO","taskContent":""}]',NULL,17,128,1,1795951974880106,NULL,1795951974880106,NULL),
(146,9,1,'n128','TASK',NULL,'[{"taskName":"n128","taskType":"ECHO","taskContent":""}]',NULL,17,129,1,1795951974880106,NULL,1795951974880106,NULL),
(147,9,1,'n129','TASK',NULL,'[{"taskName":"n129","taskType":"ECHO","taskContent":""}]',NULL,17,130,1,1795951974880106,NULL,1795951974880106,NULL),
(148,9,1,'n130','TASK',NULL,'[{"taskName":"n130","taskType":"ECHO","taskContent":""}]',NULL,17,131,1,1795951974880106,NULL,1795951974880106,NULL),
(149,9,1,'n131','TASK',NULL,'[{"taskName":"n131","taskType":"ECHO","taskContent":""}]',NULL,17,132,1,1795951974880106,NULL,1795951974880106,NULL),
(150,9,1,'n132','TASK',NULL,'[{"taskName":"n132","taskType":"ECHO","taskContent":""}]',NULL,17,133,1,1795951974880106,NULL,1795951974880106,NULL),
(151,9,1,'n133','TASK',NULL,'[{"taskName":"n133","taskType":"ECHO","taskContent":""}]',NULL,17,134,1,1795951974880106,NULL,1795951974880106,NULL),
(152,9,1,'n134','TASK',NULL,'[{"taskName":"n134","taskType":"ECHO","taskContent":""}]',NULL,17,135,1,1795951974880106,NULL,1795951974880106,NULL),
(153,9,1,'n135','TASK',NULL,'[{"taskName":"n135","taskType":"ECHO","taskContent":""}]',NULL,17,136,1,1795951974880106,NULL,1795951974880106,NULL),
(154,9,1,'n136','TASK',NULL,'[{"taskName":"n136","taskType":"ECHO","taskContent":""}]',NULL,17,137,1,1795951974880106,NULL,1795951974880106,NULL),
(155,9,1,'n137','TASK',NULL,'[{"taskName":"n137","taskType":"ECHO","taskContent":""}]',NULL,17,138,1,1795951974880106,NULL,1795951974880106,NULL),
(156,9,1,'n138','TASK',NULL,'[{"taskName":"n138","taskType":"ECHO","taskContent":""}]',NULL,17,139,1,1795951974880106,NULL,1795951974880106,NULL),
(157,9,1,'n139','TASK',NULL,'[{"taskName":"n139","taskType":"ECHO","taskContent":""}]',NULL,17,140,1,1795951974880106,NULL,1795951974880106,NULL),
(158,9,1,'n140','TASK',NULL,'[{"taskName":"n140","taskType":"ECHO","taskContent":""}]',NULL,17,141,1,1795951974880106,NULL,1795951974880106,NULL),
(159,9,1,'n141','TASK',NULL,'[{"taskName":"n141","taskType":"ECHO","taskContent":""}]',NULL,17,142,1,1795951974880106,NULL,1795951974880106,NULL),
(160,9,1,'n142','TASK',NULL,'[{"taskName":"n142","taskType":"ECHO","taskContent":""}]',NULL,17,143,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node (node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,prev_node,task_at,n_task,create_time,create_user,update_time,update_user) VALUES
(161,9,1,'n143','TASK',NULL,'[{"taskName":"n143","taskType":"ECHO","taskContent":""}]',NULL,17,144,1,1795951974880106,NULL,1795951974880106,NULL),
(162,9,1,'n144','TASK',NULL,'[{"taskName":"n144","taskType":"ECHO","taskContent":""}]',NULL,17,145,1,1795951974880106,NULL,1795951974880106,NULL),
(163,9,1,'n145','TASK',NULL,'[{"taskName":"n145","taskType":"ECHO","taskContent":""}]',NULL,17,146,1,1795951974880106,NULL,1795951974880106,NULL),
(164,9,1,'n146','TASK',NULL,'[{"taskName":"n146","taskType":"ECHO","taskContent":""}]',NULL,17,147,1,1795951974880106,NULL,1795951974880106,NULL),
(165,9,1,'n147','TASK',NULL,'[{"taskName":"n147","taskType":"ECHO","taskContent":""}]',NULL,17,148,1,1795951974880106,NULL,1795951974880106,NULL),
(166,9,1,'n148','TASK',NULL,'[{"taskName":"n148","taskType":"ECHO","taskContent":""}]',NULL,17,149,1,1795951974880106,NULL,1795951974880106,NULL),
(167,9,1,'n149','TASK',NULL,'[{"taskName":"n149","taskType":"ECHO","taskContent":""}]',NULL,17,150,1,1795951974880106,NULL,1795951974880106,NULL);
INSERT INTO task_node_edge (flow_id,flow_version,node_id,pos,prev_node) VALUES
(1,1,2,0,1),
(2,1,4,0,3),
(3,1,6,0,5),
(4,1,8,0,7),
(5,1,10,0,9),
(5,1,11,0,10),
(8,1,16,0,14),
(8,1,16,1,15),
(9,1,18,0,17),
(9,1,19,0,17),
(9,1,20,0,17),
(9,1,21,0,17),
(9,1,22,0,17),
(9,1,23,0,17),
(9,1,24,0,17),
(9,1,25,0,17),
(9,1,26,0,17),
(9,1,27,0,17),
(9,1,28,0,17),
(9,1,29,0,17);
INSERT INTO task_node_edge (flow_id,flow_version,node_id,pos,prev_node) VALUES
(9,1,30,0,17),
(9,1,31,0,17),
(9,1,32,0,17),
(9,1,33,0,17),
(9,1,34,0,17),
(9,1,35,0,17),
(9,1,36,0,17),
(9,1,37,0,17),
(9,1,38,0,17),
(9,1,39,0,17),
(9,1,40,0,17),
(9,1,41,0,17),
(9,1,42,0,17),
(9,1,43,0,17),
(9,1,44,0,17),
(9,1,45,0,17),
(9,1,46,0,17),
(9,1,47,0,17),
(9,1,48,0,17),
(9,1,49,0,17);
INSERT INTO task_node_edge (flow_id,flow_version,node_id,pos,prev_node) VALUES
(9,1,50,0,17),
(9,1,51,0,17),
(9,1,52,0,17),
(9,1,53,0,17),
(9,1,54,0,17),
(9,1,55,0,17),
(9,1,56,0,17),
(9,1,57,0,17),
(9,1,58,0,17),
(9,1,59,0,17),
(9,1,60,0,17),
(9,1,61,0,17),
(9,1,62,0,17),
(9,1,63,0,17),
(9,1,64,0,17),
(9,1,65,0,17),
(9,1,66,0,17),
(9,1,67,0,17),
(9,1,68,0,17),
(9,1,69,0,17);
INSERT INTO task_node_edge (flow_id,flow_version,node_id,pos,prev_node) VALUES
(9,1,70,0,17),
(9,1,71,0,17),
(9,1,72,0,17),
(9,1,73,0,17),
(9,1,74,0,17),
(9,1,75,0,17),
(9,1,76,0,17),
(9,1,77,0,17),
(9,1,78,0,17),
(9,1,79,0,17),
(9,1,80,0,17),
(9,1,81,0,17),
(9,1,82,0,17),
(9,1,83,0,17),
(9,1,84,0,17),
(9,1,85,0,17),
(9,1,86,0,17),
(9,1,87,0,17),
(9,1,88,0,17),
(9,1,89,0,17);
INSERT INTO task_node_edge (flow_id,flow_version,node_id,pos,prev_node) VALUES
(9,1,90,0,17),
(9,1,91,0,17),
(9,1,92,0,17),
(9,1,93,0,17),
(9,1,94,0,17),
(9,1,95,0,17),
(9,1,96,0,17),
(9,1,97,0,17),
(9,1,98,0,17),
(9,1,99,0,17),
(9,1,100,0,17),
(9,1,101,0,17),
(9,1,102,0,17),
(9,1,103,0,17),
(9,1,104,0,17),
(9,1,105,0,17),
(9,1,106,0,17),
(9,1,107,0,17),
(9,1,108,0,17),
(9,1,109,0,17);
INSERT INTO task_node_edge (flow_id,flow_version,node_id,pos,prev_node) VALUES
(9,1,110,0,17),
(9,1,111,0,17),
(9,1,112,0,17),
(9,1,113,0,17),
(9,1,114,0,17),
(9,1,115,0,17),
(9,1,116,0,17),
(9,1,117,0,17),
(9,1,118,0,17),
(9,1,119,0,17),
(9,1,120,0,17),
(9,1,121,0,17),
(9,1,122,0,17),
(9,1,123,0,17),
(9,1,124,0,17),
(9,1,125,0,17),
(9,1,126,0,17),
(9,1,127,0,17),
(9,1,128,0,17),
(9,1,129,0,17);
INSERT INTO task_node_edge (flow_id,flow_version,node_id,pos,prev_node) VALUES
(9,1,130,0,17),
(9,1,131,0,17),
(9,1,132,0,17),
(9,1,133,0,17),
(9,1,134,0,17),
(9,1,135,0,17),
(9,1,136,0,17),
(9,1,137,0,17),
(9,1,138,0,17),
(9,1,139,0,17),
(9,1,140,0,17),
(9,1,141,0,17),
(9,1,142,0,17),
(9,1,143,0,17),
(9,1,144,0,17),
(9,1,145,0,17),
(9,1,146,0,17),
(9,1,147,0,17),
(9,1,148,0,17),
(9,1,149,0,17);
INSERT INTO task_node_edge (flow_id,flow_version,node_id,pos,prev_node) VALUES
(9,1,150,0,17),
(9,1,151,0,17),
(9,1,152,0,17),
(9,1,153,0,17),
(9,1,154,0,17),
(9,1,155,0,17),
(9,1,156,0,17),
(9,1,157,0,17),
(9,1,158,0,17),
(9,1,159,0,17),
(9,1,160,0,17),
(9,1,161,0,17),
(9,1,162,0,17),
(9,1,163,0,17),
(9,1,164,0,17),
(9,1,165,0,17),
(9,1,166,0,17),
(9,1,167,0,17);
INSERT INTO task_flow_ins (fi_id,version,state,flow_id,flow_version,wish,run_no,live,failed,start_time,end_time,due_time,update_time,bases,more_from,error_msg,params,create_time,create_user,update_user) VALUES
(1,4294967299,4,1,1,0,1,0,0,1795951974647072,1795951974649819,NULL,1795951974649819,'1:1',NULL,NULL,NULL,1795951974647072,NULL,NULL),
(2,4294967301,5,2,1,0,1,0,2,1795951974655393,1795951974664324,NULL,1795951974664324,'3:3',NULL,'node a: Exit code 3.',NULL,1795951974655393,NULL,NULL),
(3,4294967305,4,3,1,0,1,0,0,1795951974683552,1795951974686166,NULL,1795951974686166,'5:5',NULL,NULL,NULL,1795951974683552,NULL,NULL),
(4,4294967309,1,4,1,0,1,1,0,1795951974716347,NULL,NULL,1795951974722422,'7:9',NULL,NULL,NULL,1795951974716347,NULL,NULL),
(5,4294967311,1,5,1,0,1,1,0,1795951974743998,NULL,NULL,1795951974745260,'9:11',NULL,NULL,NULL,1795951974743998,NULL,NULL),
(6,4294967318,1,6,1,0,1,1,0,1795951974762095,NULL,NULL,1795951974868658,'12:15',NULL,NULL,NULL,1795951974762095,NULL,NULL),
(7,4294967318,1,7,1,0,1,1,0,1795951974766485,NULL,NULL,1795951974868658,'13:16',NULL,NULL,NULL,1795951974766485,NULL,NULL),
(8,4294967320,1,8,1,0,1,1,0,1795951974772165,NULL,NULL,1795951974874134,'14:18',NULL,NULL,NULL,1795951974772165,NULL,NULL),
(9,4294967323,1,9,1,0,1,40,0,1795951974884428,NULL,NULL,1795951974887063,'17:22','0:40',NULL,NULL,1795951974884428,NULL,NULL);
INSERT INTO task_node_ins (ni_id,state,ok,fail,skip,t_ok,t_bad,t_open,t_canceled,start_time,end_time,update_time,error_msg,fi_id,node_id,run_no,create_time,create_user,update_user) VALUES
(1,3,0,0,0,1,0,0,0,1795951974647072,1795951974648919,1795951974648919,NULL,1,1,1,1795951974647072,NULL,NULL),
(2,3,1,0,0,1,0,0,0,1795951974648919,1795951974649819,1795951974649819,NULL,1,2,1,1795951974648919,NULL,NULL),
(3,4,0,0,0,0,1,0,0,1795951974655393,1795951974664324,1795951974664324,'Exit code 3.',2,3,1,1795951974655393,NULL,NULL),
(4,6,0,1,0,0,0,0,0,NULL,1795951974664324,1795951974664324,'A node before it did not succeed.',2,4,1,1795951974664324,NULL,NULL),
(5,3,0,0,0,1,1,0,1,1795951974683552,1795951974684496,1795951974686166,NULL,3,5,1,1795951974683552,NULL,NULL),
(6,3,1,0,0,1,0,0,0,1795951974684496,1795951974685749,1795951974685749,NULL,3,6,1,1795951974684496,NULL,NULL),
(7,2,0,0,0,0,0,1,0,1795951974716347,NULL,1795951974716347,NULL,4,7,1,1795951974716347,NULL,NULL),
(9,3,0,0,0,1,0,0,0,1795951974743998,1795951974745260,1795951974745260,NULL,5,9,1,1795951974743998,NULL,NULL),
(10,2,1,0,0,0,0,1,0,1795951974745260,NULL,1795951974745260,NULL,5,10,1,1795951974745260,NULL,NULL),
(12,2,0,0,0,0,0,1,0,1795951974762095,NULL,1795951974762095,NULL,6,12,1,1795951974762095,NULL,NULL),
(13,2,0,0,0,0,0,1,0,1795951974766485,NULL,1795951974766485,NULL,7,13,1,1795951974766485,NULL,NULL),
(14,2,0,0,0,1,0,1,0,1795951974772165,NULL,1795951974773589,NULL,8,14,1,1795951974772165,NULL,NULL),
(15,3,0,0,0,1,0,0,0,1795951974772165,1795951974773589,1795951974773589,NULL,8,15,1,1795951974772165,NULL,NULL),
(16,1,1,0,0,0,0,0,0,NULL,NULL,1795951974773589,NULL,8,16,1,1795951974773589,NULL,NULL),
(17,3,0,0,0,1,0,0,0,1795951974884428,1795951974886219,1795951974886219,NULL,9,17,1,1795951974884428,NULL,NULL),
(18,2,1,0,0,0,0,1,0,1795951974886219,NULL,1795951974886219,NULL,9,18,1,1795951974886219,NULL,NULL),
(19,2,1,0,0,0,0,1,0,1795951974886219,NULL,1795951974886219,NULL,9,19,1,1795951974886219,NULL,NULL),
(20,2,1,0,0,0,0,1,0,1795951974886219,NULL,1795951974886219,NULL,9,20,1,1795951974886219,NULL,NULL),
(21,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,21,1,1795951974886219,NULL,NULL),
(22,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,22,1,1795951974886219,NULL,NULL);
INSERT INTO task_node_ins (ni_id,state,ok,fail,skip,t_ok,t_bad,t_open,t_canceled,start_time,end_time,update_time,error_msg,fi_id,node_id,run_no,create_time,create_user,update_user) VALUES
(23,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,23,1,1795951974886219,NULL,NULL),
(24,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,24,1,1795951974886219,NULL,NULL),
(25,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,25,1,1795951974886219,NULL,NULL),
(26,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,26,1,1795951974886219,NULL,NULL),
(27,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,27,1,1795951974886219,NULL,NULL),
(28,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,28,1,1795951974886219,NULL,NULL),
(29,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,29,1,1795951974886219,NULL,NULL),
(30,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,30,1,1795951974886219,NULL,NULL),
(31,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,31,1,1795951974886219,NULL,NULL),
(32,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,32,1,1795951974886219,NULL,NULL),
(33,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,33,1,1795951974886219,NULL,NULL),
(34,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,34,1,1795951974886219,NULL,NULL),
(35,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,35,1,1795951974886219,NULL,NULL),
(36,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,36,1,1795951974886219,NULL,NULL),
(37,2,1,0,0,0,0,1,0,NULL,NULL,1795951974886219,NULL,9,37,1,1795951974886219,NULL,NULL),
(38,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,38,1,1795951974887063,NULL,NULL),
(39,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,39,1,1795951974887063,NULL,NULL),
(40,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,40,1,1795951974887063,NULL,NULL),
(41,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,41,1,1795951974887063,NULL,NULL),
(42,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,42,1,1795951974887063,NULL,NULL);
INSERT INTO task_node_ins (ni_id,state,ok,fail,skip,t_ok,t_bad,t_open,t_canceled,start_time,end_time,update_time,error_msg,fi_id,node_id,run_no,create_time,create_user,update_user) VALUES
(43,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,43,1,1795951974887063,NULL,NULL),
(44,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,44,1,1795951974887063,NULL,NULL),
(45,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,45,1,1795951974887063,NULL,NULL),
(46,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,46,1,1795951974887063,NULL,NULL),
(47,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,47,1,1795951974887063,NULL,NULL),
(48,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,48,1,1795951974887063,NULL,NULL),
(49,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,49,1,1795951974887063,NULL,NULL),
(50,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,50,1,1795951974887063,NULL,NULL),
(51,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,51,1,1795951974887063,NULL,NULL),
(52,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,52,1,1795951974887063,NULL,NULL),
(53,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,53,1,1795951974887063,NULL,NULL),
(54,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,54,1,1795951974887063,NULL,NULL),
(55,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,55,1,1795951974887063,NULL,NULL),
(56,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,56,1,1795951974887063,NULL,NULL),
(57,2,1,0,0,0,0,1,0,NULL,NULL,1795951974887063,NULL,9,57,1,1795951974887063,NULL,NULL);
INSERT INTO task_ins (ti_id,ni_id,state,end_as,losses,cancel_requested,epoch,tries,owner,start_time,due_time,update_time,end_time,error_msg,result,log,exit_code,signal,utime_us,stime_us,maxrss_kib,log_bytes,log_lost,log_lost_why,fi_id,task_id,task_version,create_time,params,create_user,update_user) VALUES
(1,1,9,0,0,0,1,0,0,1795951974647072,NULL,1795951974648919,1795951974648919,NULL,X'6F6E65',2,NULL,0,0,0,0,3,0,0,1,NULL,0,1795951974647072,NULL,NULL,NULL),
(2,2,9,0,0,0,1,0,0,1795951974648919,NULL,1795951974649819,1795951974649819,NULL,X'74776F',2,NULL,0,0,0,0,3,0,0,1,NULL,0,1795951974648919,NULL,NULL,NULL),
(3,3,10,0,0,0,1,1,0,1795951974655393,NULL,1795951974664324,1795951974664324,'Exit code 3.',NULL,1,3,0,2144,2144,2116,4,0,0,2,NULL,0,1795951974655393,NULL,NULL,NULL),
(5,5,9,0,0,0,1,0,0,1795951974683552,NULL,1795951974684496,1795951974684496,NULL,X'6669727374',2,NULL,0,0,0,0,5,0,0,3,NULL,0,1795951974683552,NULL,NULL,NULL),
(6,5,12,0,0,1,1,0,0,1795951974683552,NULL,1795951974686166,1795951974686166,'Canceled.',NULL,0,NULL,0,0,0,0,0,0,0,3,NULL,0,1795951974683552,NULL,NULL,NULL),
(7,6,9,0,0,0,1,0,0,1795951974684496,NULL,1795951974685749,1795951974685749,NULL,X'6F6E',2,NULL,0,0,0,0,2,0,0,3,NULL,0,1795951974684496,NULL,NULL,NULL),
(8,NULL,9,0,0,0,1,0,0,1795951974710845,NULL,1795951974711928,1795951974711928,NULL,X'616C6F6E65',2,NULL,0,0,0,0,5,0,0,NULL,1,1,1795951974710845,NULL,NULL,NULL),
(9,7,5,0,0,0,1,1,0,1795951974716347,1795952034722422,1795951974722422,NULL,'Exit code 1.',NULL,1,1,0,0,4014,2116,4,0,0,4,NULL,0,1795951974716347,NULL,NULL,NULL),
(11,9,9,0,0,0,1,0,0,1795951974743998,NULL,1795951974745260,1795951974745260,NULL,X'6265666F7265',2,NULL,0,0,0,0,6,0,0,5,NULL,0,1795951974743998,NULL,NULL,NULL),
(12,10,4,0,0,0,1,0,1,1795951974745260,NULL,1795951974745260,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,5,NULL,0,1795951974745260,NULL,NULL,NULL),
(14,NULL,4,0,0,0,1,0,1,1795951974755876,NULL,1795951974755876,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,NULL,2,1,1795951974755876,'{"to":"you"}',NULL,NULL),
(15,12,4,0,0,0,2,0,1,1795951974868658,NULL,1795951974868658,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,6,NULL,0,1795951974762095,NULL,NULL,NULL),
(16,13,4,0,0,0,2,0,1,1795951974868658,NULL,1795951974868658,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,7,NULL,0,1795951974766485,NULL,NULL,NULL),
(17,NULL,3,0,0,0,1,0,0,1795951974768328,NULL,1795951974869911,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,NULL,2,1,1795951974768328,NULL,NULL,NULL),
(18,14,9,0,0,0,1,0,0,1795951974772165,NULL,1795951974773589,1795951974773589,NULL,X'31',2,NULL,0,0,0,0,1,0,0,8,NULL,0,1795951974772165,NULL,NULL,NULL),
(19,14,3,0,0,0,1,0,0,1795951974772165,NULL,1795951974874134,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,8,NULL,0,1795951974772165,NULL,NULL,NULL),
(20,15,9,0,0,0,1,0,0,1795951974772165,NULL,1795951974773589,1795951974773589,NULL,X'32',2,NULL,0,0,0,0,1,0,0,8,NULL,0,1795951974772165,NULL,NULL,NULL),
(22,17,9,0,0,0,1,0,0,1795951974884428,NULL,1795951974886219,1795951974886219,NULL,X'30',2,NULL,0,0,0,0,1,0,0,9,NULL,0,1795951974884428,NULL,NULL,NULL),
(23,18,4,0,0,0,1,0,1,1795951974886219,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(24,19,4,0,0,0,1,0,1,1795951974886219,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL);
INSERT INTO task_ins (ti_id,ni_id,state,end_as,losses,cancel_requested,epoch,tries,owner,start_time,due_time,update_time,end_time,error_msg,result,log,exit_code,signal,utime_us,stime_us,maxrss_kib,log_bytes,log_lost,log_lost_why,fi_id,task_id,task_version,create_time,params,create_user,update_user) VALUES
(25,20,4,0,0,0,1,0,1,1795951974886219,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(26,21,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(27,22,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(28,23,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(29,24,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(30,25,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(31,26,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(32,27,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(33,28,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(34,29,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(35,30,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(36,31,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(37,32,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(38,33,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(39,34,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(40,35,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(41,36,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(42,37,3,0,0,0,0,0,0,NULL,NULL,1795951974886219,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974886219,NULL,NULL,NULL),
(43,38,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(44,39,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL);
INSERT INTO task_ins (ti_id,ni_id,state,end_as,losses,cancel_requested,epoch,tries,owner,start_time,due_time,update_time,end_time,error_msg,result,log,exit_code,signal,utime_us,stime_us,maxrss_kib,log_bytes,log_lost,log_lost_why,fi_id,task_id,task_version,create_time,params,create_user,update_user) VALUES
(45,40,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(46,41,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(47,42,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(48,43,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(49,44,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(50,45,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(51,46,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(52,47,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(53,48,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(54,49,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(55,50,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(56,51,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(57,52,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(58,53,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(59,54,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(60,55,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(61,56,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL),
(62,57,3,0,0,0,0,0,0,NULL,NULL,1795951974887063,NULL,NULL,NULL,0,NULL,0,0,0,0,0,0,0,9,NULL,0,1795951974887063,NULL,NULL,NULL);
INSERT INTO task_alone (ti_id,task_id) VALUES
(14,2),
(17,2);
INSERT INTO task_attempt (ti_id,epoch,owner,start_time,end_time,why,error_msg,exit_code,signal) VALUES
(9,1,1,1795951974716347,1795951974722422,'FAIL','Exit code 1.',1,NULL),
(15,1,1,1795951974762095,1795951974868658,'HANDBACK',NULL,NULL,NULL),
(16,1,1,1795951974766485,1795951974868658,'HANDBACK',NULL,NULL,NULL),
(17,1,1,1795951974768328,1795951974869911,'HANDBACK',NULL,NULL,NULL),
(19,1,1,1795951974772165,1795951974874134,'HANDBACK',NULL,NULL,NULL);
INSERT INTO idempotency (idem_key,hash,kind,first_id,n,create_time) VALUES
('alone',X'D145135FC48B8DABF77B1EA349CF87EAEA40524BCA43BE1E957D0B2CE5806EFD',2,8,1,1795951974710845),
('save-ended',X'790F4ABD3F38A0C17B7215E71064021503E9B28E42CBABC3E690CD2F154119B9',4,1,1,1795951974643845),
('save-runs',X'5A6A38FCCA17A2EFA0D1E1EC8CE706F79C52982A85365D4FF84341775213F38F',4,5,1,1795951974741382),
('start-ended',X'408A46FB2F9CE6F36A6F80D7A5FD98E8975EB0E501C977F44D1F59D3E49298BD',1,1,1,1795951974647072),
('start-runs',X'AE475DF6A5E8FC47770C91F260CF9342C4C10EEAE005796B12FFD1185E22C581',1,5,1,1795951974743998);
INSERT INTO engine_node (incarnation,state,last_batch,lease_until,host,pid,slots,roles,types,users,trouble,start_time,end_time) VALUES
(1,'LIVE',4294967323,NULL,'elder',16663,2,'api,runner,worker','ECHO,WAIT,EXCEPTION,SHELL','nobody','',1795951974608650,NULL);
