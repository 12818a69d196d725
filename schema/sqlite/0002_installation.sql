-- Weir, schema 2, SQLite.
-- One row: store_id, 8 random hex digits, tells this database from every other (WEIR_RUN_KEY). The token of the installation
-- is known by its hash: which server made it, and when.
CREATE TABLE IF NOT EXISTS installation (
  one         INTEGER PRIMARY KEY CHECK (one = 1),
  store_id    TEXT NOT NULL,
  token_hash  TEXT,
  token_host  TEXT,
  token_time  INTEGER
) STRICT;
INSERT OR IGNORE INTO installation (one, store_id) VALUES (1, lower(hex(randomblob(4))));

-- How the process of a former attempt ended; signal: what ended it.
ALTER TABLE task_attempt ADD COLUMN exit_code INTEGER;
ALTER TABLE task_attempt ADD COLUMN signal INTEGER;
