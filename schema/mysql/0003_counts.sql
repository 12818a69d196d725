-- Weir, schema 3, MySQL and MariaDB.
-- How many of a node's t_bad were canceled.
ALTER TABLE task_node_ins ADD COLUMN t_canceled INT UNSIGNED NOT NULL DEFAULT 0 AFTER t_open;
UPDATE task_node_ins i JOIN (SELECT ni_id, COUNT(*) AS n FROM task_ins WHERE state = 12 AND ni_id IS NOT NULL GROUP BY ni_id) k
  ON k.ni_id = i.ni_id SET i.t_canceled = k.n;

-- Bytes of a task's output that are not in its log, and why: enum log_lost.
ALTER TABLE task_ins ADD COLUMN log_lost BIGINT NOT NULL DEFAULT 0 AFTER log_bytes,
  ADD COLUMN log_lost_why TINYINT UNSIGNED NOT NULL DEFAULT 0 AFTER log_lost;

-- What a node can run ('ECHO,WAIT,SHELL'), the users of its SHELL tasks, and what goes wrong there: JSON, '' = nothing. Each
-- batch updates the row of its node, and the server copies and compares the whole record for that. So long texts are TEXT, which
-- stands outside of the record (as VARCHAR they made the record 24 KB, which made each step slower).
ALTER TABLE engine_node ADD COLUMN types TEXT NOT NULL AFTER roles, ADD COLUMN users TEXT NOT NULL AFTER types;
ALTER TABLE engine_node ADD COLUMN trouble TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL AFTER users;
