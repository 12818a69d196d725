-- Weir, schema 5, SQLite.
-- oldest: 5
-- Older programs cannot run tasks that have no definition, and know no clean-up.
-- phase: 1 = what runs, or runs next, is the clean-up before the delete. resume: of PAUSING, a run was asked for. again: attempts of
-- this run that ended with "not now". From now on owner stays when an attempt has ended: who ran the task last.
ALTER TABLE task_ins ADD COLUMN phase INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task_ins ADD COLUMN resume INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task_ins ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
-- A final task may be run again: then its attempts go on, with the next number of the run.
ALTER TABLE task_attempt ADD COLUMN run_no INTEGER NOT NULL DEFAULT 1;

-- What only a stand-alone task has: one row for each, as long as the task exists. Long texts stand last.
CREATE TABLE task_async (
  ti_id          INTEGER PRIMARY KEY,
  create_time    INTEGER NOT NULL,
  task_name      TEXT NOT NULL,
  task_type      TEXT NOT NULL,
  user_name      TEXT NOT NULL DEFAULT '',
  group_name     TEXT NOT NULL DEFAULT '',
  priority       INTEGER NOT NULL DEFAULT 0,
  cpu_overhead   INTEGER NOT NULL DEFAULT 0,
  run_no         INTEGER NOT NULL DEFAULT 1,
  run_epoch      INTEGER NOT NULL DEFAULT 0,   -- task_ins.epoch when this run began
  start_after    INTEGER,                      -- startAt
  context_epoch  INTEGER NOT NULL DEFAULT 0,   -- task_ins.epoch when the context was given
  context_len    INTEGER NOT NULL DEFAULT 0,   -- bytes
  task_key       TEXT,
  key_hash       BLOB,                         -- SHA-256 of the submit, when there is a key
  task_config    TEXT,                         -- of an inline task, as the content
  task_content   TEXT,
  context        TEXT                          -- given by the submit or a run; what attempts report is in PATH-log
) STRICT;
-- A task of the default queue is in no index but that of its number, which rises with the time of creation.
CREATE INDEX task_async_queue ON task_async (user_name, group_name, ti_id) WHERE user_name <> '' OR group_name <> '';
CREATE UNIQUE INDEX task_async_key ON task_async (task_key) WHERE task_key IS NOT NULL;
INSERT OR IGNORE INTO task_async (ti_id, create_time, task_name, task_type)
  SELECT i.ti_id, coalesce(i.create_time, i.update_time, 1), coalesce(h.task_name, ''), coalesce(h.task_type, '')
  FROM task_ins i LEFT JOIN task_history h ON h.task_id = i.task_id AND h.task_version = i.task_version WHERE i.ni_id IS NULL;

-- Task types that a node has registered beside those that are built in. A row stays: tasks of the type may be made from then on,
-- and wait for a node that has it.
CREATE TABLE task_type (
  task_type      TEXT PRIMARY KEY,
  cleans_up      INTEGER NOT NULL DEFAULT 0   -- a deletion runs its clean-up
) STRICT, WITHOUT ROWID;

-- Tasks that were deleted, and whose log, context and progress are still to be deleted: a node that starts goes on with them.
CREATE TABLE task_gone (ti_id INTEGER PRIMARY KEY) STRICT;

-- Whose tasks of a flow instance are, where its start or a wish said so. ti_id 0: all of them; NULL: not said.
CREATE TABLE flow_queue (
  fi_id        INTEGER NOT NULL,
  ti_id        INTEGER NOT NULL,
  user_name    TEXT,
  group_name   TEXT,
  priority     INTEGER,
  PRIMARY KEY (fi_id, ti_id)
) STRICT, WITHOUT ROWID;

-- Stand-alone tasks as S1 shows them. status: 0 waits, 1 runs, 2 succeeded, 3 failed, 4 canceled, 5 its node is dead.
CREATE VIEW async_task_record AS
  SELECT a.ti_id AS id, a.user_name AS uid, a.task_name AS name, a.task_type AS task_type, i.params AS params,
    CASE WHEN i.state IN (4, 6, 8) THEN CASE e.state WHEN 'DEAD' THEN 5 ELSE 1 END
      WHEN i.state < 9 AND i.phase = 1 THEN 1
      WHEN i.state = 3 AND (SELECT t.why FROM task_attempt t WHERE t.ti_id = i.ti_id AND t.epoch > a.run_epoch
                            ORDER BY t.epoch DESC LIMIT 1) = 'LOST' THEN 5
      WHEN i.state < 9 THEN 0 WHEN i.state = 9 THEN 2 WHEN i.state = 12 THEN 4 ELSE 3 END AS status,
    e.host AS executor, a.cpu_overhead AS cpu_overhead,
    strftime('%Y-%m-%d %H:%M:%S', a.create_time / 1000000, 'unixepoch') || printf('.%06d', a.create_time % 1000000) AS create_at,
    strftime('%Y-%m-%d %H:%M:%S', i.start_time / 1000000, 'unixepoch') || printf('.%06d', i.start_time % 1000000) AS execute_date,
    CASE WHEN i.state = 9
      THEN strftime('%Y-%m-%d %H:%M:%S', i.end_time / 1000000, 'unixepoch') || printf('.%06d', i.end_time % 1000000) END AS finish_date,
    CASE WHEN i.state IN (10, 11, 13)
      THEN strftime('%Y-%m-%d %H:%M:%S', i.end_time / 1000000, 'unixepoch') || printf('.%06d', i.end_time % 1000000) END AS failed_date
  FROM task_async a JOIN task_ins i ON i.ti_id = a.ti_id LEFT JOIN engine_node e ON e.incarnation = i.owner;
