-- Weir, schema 9, SQLite.
-- oldest: 9
--
-- Analyses and sub-tasks.
-- The task whose verdict added this one, the first one above it, and how many stand above it. They never change.
ALTER TABLE task_async ADD COLUMN parent_ti INTEGER;
ALTER TABLE task_async ADD COLUMN root_ti INTEGER;
ALTER TABLE task_async ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
-- Which tasks a task has added.
CREATE TABLE task_child (
  parent_ti      INTEGER NOT NULL,
  ti_id          INTEGER NOT NULL,
  PRIMARY KEY (parent_ti, ti_id)
) STRICT, WITHOUT ROWID;
-- What only a task has that was analysed. n_: of the tasks that it added; n_known: those of its verdicts that were there before.
CREATE TABLE task_tree (
  ti_id          INTEGER PRIMARY KEY,
  verdict        INTEGER NOT NULL DEFAULT 0,
  child_failure  INTEGER NOT NULL DEFAULT 0,   -- 1 = it does not matter when one of them fails
  wish           INTEGER NOT NULL DEFAULT 0,   -- what is wanted of all that it added, as of a job
  pass_at        INTEGER,                      -- the wish has come to this task; NULL = it is carried out
  n_total        INTEGER NOT NULL DEFAULT 0,
  n_live         INTEGER NOT NULL DEFAULT 0,
  n_failed       INTEGER NOT NULL DEFAULT 0,
  n_known        INTEGER NOT NULL DEFAULT 0
) STRICT;
--
-- Result analyzers.
-- version as of the newest change of an analyzer.
ALTER TABLE definitions ADD COLUMN analyzers_version INTEGER NOT NULL DEFAULT 1;
-- Analyzers that were registered, as task_executor.
CREATE TABLE analyzer (
  analyzer_type    TEXT NOT NULL,
  analyzer_version INTEGER NOT NULL,
  current          INTEGER NOT NULL,   -- 1: it is this version now; no version of a deleted one is
  create_time      INTEGER NOT NULL,
  update_time      INTEGER NOT NULL,
  body             TEXT NOT NULL,      -- canonical JSON of all that was asked for
  PRIMARY KEY (analyzer_type, analyzer_version)
) STRICT, WITHOUT ROWID;
