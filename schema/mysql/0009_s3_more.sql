-- Weir, schema 9, MySQL/MariaDB.
-- oldest: 9
--
-- Analyses and sub-tasks.
-- The task whose verdict added this one, the first one above it, and how many stand above it. They never change.
ALTER TABLE task_async ADD COLUMN parent_ti BIGINT, ADD COLUMN root_ti BIGINT, ADD COLUMN depth INT UNSIGNED NOT NULL DEFAULT 0;
-- Which tasks a task has added.
CREATE TABLE IF NOT EXISTS task_child (
  parent_ti      BIGINT NOT NULL,
  ti_id          BIGINT NOT NULL,
  PRIMARY KEY (parent_ti, ti_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- What only a task has that was analysed. n_: of the tasks that it added; n_known: those of its verdicts that were there before.
CREATE TABLE IF NOT EXISTS task_tree (
  ti_id          BIGINT NOT NULL PRIMARY KEY,
  verdict        TINYINT UNSIGNED NOT NULL DEFAULT 0,
  child_failure  TINYINT UNSIGNED NOT NULL DEFAULT 0,    -- 1 = it does not matter when one of them fails
  wish           TINYINT UNSIGNED NOT NULL DEFAULT 0,    -- what is wanted of all that it added, as of a job
  pass_at        BIGINT,                                 -- the wish has come to this task; NULL = it is carried out
  n_total        BIGINT NOT NULL DEFAULT 0,
  n_live         BIGINT NOT NULL DEFAULT 0,
  n_failed       BIGINT NOT NULL DEFAULT 0,
  n_known        BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
--
-- Result analyzers.
-- version as of the newest change of an analyzer.
ALTER TABLE definitions ADD COLUMN analyzers_version BIGINT NOT NULL DEFAULT 1;
-- Analyzers that were registered, as task_executor.
CREATE TABLE IF NOT EXISTS analyzer (
  analyzer_type    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  analyzer_version INT UNSIGNED NOT NULL,
  current          TINYINT UNSIGNED NOT NULL,   -- 1: it is this version now; no version of a deleted one is
  create_time      DATETIME(6) NOT NULL,
  update_time      DATETIME(6) NOT NULL,
  body             MEDIUMTEXT NOT NULL,         -- canonical JSON of all that was asked for
  PRIMARY KEY (analyzer_type, analyzer_version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
