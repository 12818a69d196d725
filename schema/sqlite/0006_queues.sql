-- Weir, schema 6, SQLite.
-- oldest: 6
-- Older programs do not keep the limits of queues.
-- version as of the newest change of a queue.
ALTER TABLE definitions ADD COLUMN queues_version INTEGER NOT NULL DEFAULT 1;

-- What somebody has set of a queue: exactly this user and group, '' = any. NULL = not set. Counts stand nowhere: they are read from
-- the tasks.
CREATE TABLE task_queue (
  queue_id     INTEGER PRIMARY KEY,
  user_name    TEXT NOT NULL,
  group_name   TEXT NOT NULL,
  max_running  INTEGER,
  weight       INTEGER,
  rate_count   INTEGER,                -- so many starts
  rate_per     INTEGER,                -- in so many microseconds
  task_order   INTEGER,                -- 0 fifo, 1 priority
  paused       INTEGER,
  rate_at      INTEGER NOT NULL DEFAULT 0,   -- the bucket of the rate; the runner's
  create_time  INTEGER NOT NULL,
  update_time  INTEGER NOT NULL,
  UNIQUE (user_name, group_name)
) STRICT;
