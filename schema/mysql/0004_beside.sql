-- Weir, schema 4, MySQL and MariaDB.
-- oldest: 3
-- From here on the row of each schema says which programs may run on it: those whose newest schema is `oldest` or later.
ALTER TABLE schema_version ADD COLUMN oldest INT;

-- The newest schema that the program of a node knows; programs before 4 do not say it. Some databases of schema 3 were made while the
-- texts were VARCHAR.
ALTER TABLE engine_node ADD COLUMN schema_no INT NOT NULL DEFAULT 3 AFTER roles, MODIFY COLUMN types TEXT NOT NULL, MODIFY COLUMN users TEXT NOT NULL,
  MODIFY COLUMN trouble TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL;

-- Out-edges that a node which succeeded left out: run_node.skip_edges.
ALTER TABLE task_node_ins ADD COLUMN skip_edges BIGINT NOT NULL DEFAULT 0 AFTER t_canceled;
