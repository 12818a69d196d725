-- Weir, schema 8, MySQL and MariaDB.
-- oldest: 8
-- Older programs take tasks whose labels they do not have, and go on taking tasks when they are to drain.
-- What a member says of itself, and what is wished of it. seen: lease_until - lease_us. drain_seen: the wish that the member has
-- read; it has taken no task since. running and what follows: as the member told last. Rows stay for 30 days after their end.
ALTER TABLE engine_node ADD COLUMN version VARCHAR(32) NOT NULL DEFAULT '',
  ADD COLUMN labels VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN lease_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN drain_at DATETIME(6),
  ADD COLUMN drain_stop DATETIME(6),
  ADD COLUMN drain_seen DATETIME(6),
  ADD COLUMN running BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN slots_used BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN cpu_budget BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN cpu_used BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN load_percent BIGINT NOT NULL DEFAULT 0,
  ADD KEY engine_node_end (end_time);
