-- Weir, schema 3, SQLite.
-- How many of a node's t_bad were canceled.
ALTER TABLE task_node_ins ADD COLUMN t_canceled INTEGER NOT NULL DEFAULT 0;
UPDATE task_node_ins SET t_canceled = k.n
  FROM (SELECT ni_id, count(*) AS n FROM task_ins WHERE state = 12 AND ni_id IS NOT NULL GROUP BY ni_id) AS k WHERE k.ni_id = task_node_ins.ni_id;

-- Bytes of a task's output that are not in its log, and why: enum log_lost.
ALTER TABLE task_ins ADD COLUMN log_lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task_ins ADD COLUMN log_lost_why INTEGER NOT NULL DEFAULT 0;

-- What a node can run ('ECHO,WAIT,SHELL'), the users of its SHELL tasks, and what goes wrong there: JSON, '' = nothing.
-- From now on lease_until of a node's row is the time of its last try to write; the process lock is the lease.
ALTER TABLE engine_node ADD COLUMN types TEXT NOT NULL DEFAULT '';
ALTER TABLE engine_node ADD COLUMN users TEXT NOT NULL DEFAULT '';
ALTER TABLE engine_node ADD COLUMN trouble TEXT NOT NULL DEFAULT '';
