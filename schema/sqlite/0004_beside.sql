-- Weir, schema 4, SQLite.
-- oldest: 3
-- From here on the row of each schema says which programs may run on it: those whose newest schema is `oldest` or later.
ALTER TABLE schema_version ADD COLUMN oldest INTEGER;

-- The newest schema that the program of a node knows; programs before 4 do not say it.
ALTER TABLE engine_node ADD COLUMN schema_no INTEGER NOT NULL DEFAULT 3;

-- Out-edges that a node which succeeded left out: run_node.skip_edges.
ALTER TABLE task_node_ins ADD COLUMN skip_edges INTEGER NOT NULL DEFAULT 0;

-- 'Weir'; a copy made by `.dump` has lost it.
PRAGMA application_id=1466263922;
