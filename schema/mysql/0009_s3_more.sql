-- Weir, schema 9, MySQL and MariaDB.
-- oldest: 9
-- What S3 adds on top: result analyzers, and tasks that add tasks.
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
