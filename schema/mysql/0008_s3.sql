-- Weir, schema 8, MySQL and MariaDB.
-- oldest: 8
-- What S3 adds. Older programs know no labels, go on taking tasks when they are to drain, and note no version of an executor.
--
-- Members.
-- What a member says of itself, and what is wished of it. seen: lease_until - lease_us. drain_seen: the wish that the member has
-- read; it has taken no task since. running and what follows: as the member told last. Rows stay for 30 days after their end.
ALTER TABLE engine_node ADD COLUMN version VARCHAR(32) NOT NULL DEFAULT '',
  ADD COLUMN labels VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN lease_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN drain_at DATETIME(6),
  ADD COLUMN drain_stop DATETIME(6),
  ADD COLUMN drain_seen DATETIME(6),
  ADD COLUMN running BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN slots_used BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN cpu_budget BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN cpu_used BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN load_percent BIGINT NOT NULL DEFAULT 0,
  ADD KEY engine_node_end (end_time);

-- Executors.
-- version as of the newest change of an executor.
ALTER TABLE definitions ADD COLUMN executors_version BIGINT NOT NULL DEFAULT 1;
-- Of an executor that was registered at run time: the version that was current when the row was made; 0: its type is no such one.
ALTER TABLE task_ins ADD COLUMN executor_version INT UNSIGNED NOT NULL DEFAULT 0;
-- What a member says of the executors that were registered: a line for each folder of programs, a line for each type.
ALTER TABLE engine_node ADD COLUMN executors MEDIUMTEXT;

-- Executors that were registered at run time, each in every version that there was. A row stays, so that the numbers count on. Names
-- are compared byte by byte.
CREATE TABLE IF NOT EXISTS task_executor (
  executor_type    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  executor_version INT UNSIGNED NOT NULL,
  current          TINYINT UNSIGNED NOT NULL,   -- 1: it is this version now; no version of a deleted one is
  executor_id      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin,   -- of a current version
  create_time      DATETIME(6) NOT NULL,
  update_time      DATETIME(6) NOT NULL,
  body             MEDIUMTEXT NOT NULL,         -- canonical JSON of all that was asked for
  PRIMARY KEY (executor_type, executor_version),
  UNIQUE KEY task_executor_id (executor_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
