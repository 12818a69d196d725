-- Weir, schema 7, MySQL and MariaDB.
-- oldest: 7
-- Older programs do not note what they run, so others would start more than a limit lets them.
-- While there is a row of task_queue: one row for each task that counts under limits, with its queue. That the task counts is said
-- by task_ins; a row of a task that does not counts for nothing. Names are UTF-8, compared byte by byte, blanks at the end too.
-- SQLite has no such table: its one process knows what runs.
CREATE TABLE IF NOT EXISTS task_counted (
  ti_id       BIGINT NOT NULL PRIMARY KEY,
  user_name   VARBINARY(512) NOT NULL,
  group_name  VARBINARY(512) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
