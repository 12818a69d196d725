-- Weir, schema 6, MySQL and MariaDB.
-- oldest: 6
-- Older programs do not keep the limits of queues.
-- version as of the newest change of a queue.
ALTER TABLE definitions ADD COLUMN queues_version BIGINT NOT NULL DEFAULT 1;

-- What somebody has set of a queue: exactly this user and group, '' = any. NULL = not set. Counts stand nowhere: they are read from
-- the tasks. Names are UTF-8, compared byte by byte, blanks at the end too.
CREATE TABLE IF NOT EXISTS task_queue (
  queue_id     BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_name    VARBINARY(512) NOT NULL,
  group_name   VARBINARY(512) NOT NULL,
  max_running  BIGINT,
  weight       INT,
  rate_count   BIGINT,                 -- so many starts
  rate_per     BIGINT,                 -- in so many microseconds
  task_order   TINYINT,                -- 0 fifo, 1 priority
  paused       TINYINT,
  rate_at      BIGINT NOT NULL DEFAULT 0,   -- the bucket of the rate; the runner's
  create_time  DATETIME(6) NOT NULL,
  update_time  DATETIME(6) NOT NULL,
  UNIQUE KEY task_queue_name (user_name, group_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
