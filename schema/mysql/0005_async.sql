-- Weir, schema 5, MySQL and MariaDB.
-- oldest: 5
-- Older programs cannot run tasks that have no definition, and know no clean-up. The first two statements keep out nodes of schema 3,
-- which do not look at `oldest` when they join.
ALTER TABLE engine_node MODIFY COLUMN schema_no INT NOT NULL;
UPDATE engine_node SET state='DEAD', end_time=UTC_TIMESTAMP(6) WHERE state='LIVE' AND schema_no=3;

-- phase: 1 = what runs, or runs next, is the clean-up before the delete. resume: of PAUSING, a run was asked for. again: attempts of
-- this run that ended with "not now". From now on owner stays when an attempt has ended: who ran the task last.
ALTER TABLE task_ins ADD COLUMN phase TINYINT UNSIGNED NOT NULL DEFAULT 0 AFTER cancel_requested,
  ADD COLUMN resume TINYINT UNSIGNED NOT NULL DEFAULT 0 AFTER phase, ADD COLUMN again TINYINT UNSIGNED NOT NULL DEFAULT 0 AFTER resume;
-- A final task may be run again: then its attempts go on, with the next number of the run.
ALTER TABLE task_attempt ADD COLUMN run_no INT UNSIGNED NOT NULL DEFAULT 1;

-- What only a stand-alone task has: one row for each, as long as the task exists. User and group are UTF-8, compared byte by byte,
-- blanks at the end too.
CREATE TABLE IF NOT EXISTS task_async (
  ti_id          BIGINT NOT NULL PRIMARY KEY,
  create_time    DATETIME(6) NOT NULL,
  task_name      VARCHAR(128) NOT NULL,
  task_type      VARCHAR(128) NOT NULL,
  user_name      VARBINARY(512) NOT NULL DEFAULT '',
  group_name     VARBINARY(512) NOT NULL DEFAULT '',
  priority       INT NOT NULL DEFAULT 0,
  cpu_overhead   INT NOT NULL DEFAULT 0,
  run_no         INT UNSIGNED NOT NULL DEFAULT 1,
  run_epoch      INT UNSIGNED NOT NULL DEFAULT 0,  -- task_ins.epoch when this run began
  start_after    DATETIME(6),                      -- startAt
  context_epoch  INT UNSIGNED NOT NULL DEFAULT 0,  -- task_ins.epoch when the context was given
  context_len    INT UNSIGNED NOT NULL DEFAULT 0,  -- bytes
  task_key       VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin,
  key_hash       BINARY(32),                       -- SHA-256 of the submit, when there is a key
  task_config    MEDIUMTEXT,                       -- of an inline task, as the content
  task_content   MEDIUMTEXT,
  context        MEDIUMBLOB,                       -- given by the submit or a run; what attempts report: task_context
  KEY task_async_time (create_time, ti_id),
  KEY task_async_queue (user_name, group_name, create_time, ti_id),
  UNIQUE KEY task_async_key (task_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT IGNORE INTO task_async (ti_id, create_time, task_name, task_type)
  SELECT i.ti_id, COALESCE(i.create_time, i.update_time, TIMESTAMP'1970-01-01 00:00:01'), COALESCE(h.task_name, ''), COALESCE(h.task_type, '')
  FROM task_ins i LEFT JOIN task_history h ON h.task_id = i.task_id AND h.task_version = i.task_version WHERE i.ni_id IS NULL;

-- What a running attempt reports: the last one is kept.
CREATE TABLE IF NOT EXISTS task_context (
  ti_id        BIGINT NOT NULL PRIMARY KEY,
  epoch        INT UNSIGNED NOT NULL,   -- of the attempt
  update_time  DATETIME(6) NOT NULL,
  n_bytes      INT UNSIGNED NOT NULL,
  context      MEDIUMBLOB NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_progress (
  ti_id        BIGINT NOT NULL PRIMARY KEY,
  epoch        INT UNSIGNED NOT NULL,   -- of the attempt
  update_time  DATETIME(6) NOT NULL,
  total        BIGINT,
  done         BIGINT,
  speed_micro  BIGINT,                 -- millionths of a unit a second
  unit         TEXT,
  message      TEXT
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Task types that a node has registered beside those that are built in. A row stays: tasks of the type may be made from then on,
-- and wait for a node that has it.
CREATE TABLE IF NOT EXISTS task_type (
  task_type    VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  cleans_up    TINYINT UNSIGNED NOT NULL DEFAULT 0   -- a deletion runs its clean-up
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Tasks that were deleted, and whose logs are still to be deleted: a node that starts goes on with them.
CREATE TABLE IF NOT EXISTS task_gone (ti_id BIGINT NOT NULL PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Whose tasks of a flow instance are, where its start or a wish said so. ti_id 0: all of them; NULL: not said.
CREATE TABLE IF NOT EXISTS flow_queue (
  fi_id        BIGINT NOT NULL,
  ti_id        BIGINT NOT NULL,
  user_name    VARBINARY(512),
  group_name   VARBINARY(512),
  priority     INT,
  PRIMARY KEY (fi_id, ti_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Stand-alone tasks as S1 shows them. status: 0 waits, 1 runs, 2 succeeded, 3 failed, 4 canceled, 5 its node is dead.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW async_task_record AS
  SELECT a.ti_id AS id, CONVERT(a.user_name USING utf8mb4) AS uid, a.task_name AS name, a.task_type AS task_type, i.params AS params,
    CASE WHEN i.state IN (4, 6, 8) THEN CASE e.state WHEN 'DEAD' THEN 5 ELSE 1 END
      WHEN i.state < 9 AND i.phase = 1 THEN 1
      WHEN i.state = 3 AND (SELECT t.why FROM task_attempt t WHERE t.ti_id = i.ti_id AND t.epoch > a.run_epoch
                            ORDER BY t.epoch DESC LIMIT 1) = 'LOST' THEN 5
      WHEN i.state < 9 THEN 0 WHEN i.state = 9 THEN 2 WHEN i.state = 12 THEN 4 ELSE 3 END AS status,
    e.host AS executor, a.cpu_overhead AS cpu_overhead, a.create_time AS create_at, i.start_time AS execute_date,
    CASE WHEN i.state = 9 THEN i.end_time END AS finish_date, CASE WHEN i.state IN (10, 11, 13) THEN i.end_time END AS failed_date
  FROM task_async a JOIN task_ins i ON i.ti_id = a.ti_id LEFT JOIN engine_node e ON e.incarnation = i.owner;

-- Chunks of logs as S1 shows them. Bytes that are no UTF-8 are U+FFFD, each of them, on MariaDB; on MySQL such a chunk is NULL.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW async_task_log_record AS
  SELECT CONCAT(LPAD(l.ti_id, 19, '0'), '-', LPAD(l.epoch, 10, '0'), '-', LPAD(l.byte_offset, 19, '0'), '-', LPAD(l.seq, 10, '0')) AS id,
    l.ti_id AS task_id, l.time AS create_at,
    CONVERT(/*M! REGEXP_REPLACE(*/ l.bytes /*M! , _binary'(?s)(?:[\\x00-\\x7f]|[\\xc2-\\xdf][\\x80-\\xbf]|\\xe0[\\xa0-\\xbf][\\x80-\\xbf]|[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}|\\xed[\\x80-\\x9f][\\x80-\\xbf]|\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}|[\\xf1-\\xf3][\\x80-\\xbf]{3}|\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2})++(*SKIP)(*FAIL)|[\\x80-\\xff]', x'efbfbd')*/ USING utf8mb4)
      AS log_info
  FROM task_log l;
