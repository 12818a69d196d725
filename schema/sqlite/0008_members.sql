-- Weir, schema 8, SQLite.
-- oldest: 8
-- Older programs take tasks whose labels they do not have, and go on taking tasks when they are to drain.
-- What a member says of itself, and what is wished of it. drain_seen: the wish that the member has read; it has taken no task
-- since. running and what follows: as the member told last. Rows stay for 30 days after their end.
ALTER TABLE engine_node ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE engine_node ADD COLUMN labels TEXT NOT NULL DEFAULT '';
ALTER TABLE engine_node ADD COLUMN lease_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN drain_at INTEGER;
ALTER TABLE engine_node ADD COLUMN drain_stop INTEGER;
ALTER TABLE engine_node ADD COLUMN drain_seen INTEGER;
ALTER TABLE engine_node ADD COLUMN running INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN slots_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN cpu_budget INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN cpu_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN load_percent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS engine_node_end ON engine_node (end_time);
