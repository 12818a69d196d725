-- Weir, schema 5 of the log file, SQLite.
-- oldest: 5
-- What a running attempt reports: the last one is kept.
CREATE TABLE task_context (
  ti_id        INTEGER PRIMARY KEY,
  epoch        INTEGER NOT NULL,   -- of the attempt
  update_time  INTEGER NOT NULL,
  n_bytes      INTEGER NOT NULL,
  context      TEXT NOT NULL
) STRICT;

CREATE TABLE task_progress (
  ti_id        INTEGER PRIMARY KEY,
  epoch        INTEGER NOT NULL,   -- of the attempt
  update_time  INTEGER NOT NULL,
  total        INTEGER,
  done         INTEGER,
  speed_micro  INTEGER,            -- millionths of a unit a second
  unit         TEXT,
  message      TEXT
) STRICT;

-- Chunks of logs as S1 shows them. Bytes that are no UTF-8 are U+FFFD, each of them. A chunk that is not plain ASCII is taken apart by
-- its bytes, in windows w of 256: a step measures what stands at the beginning of w (n: 64 bytes where all are ASCII, else one character;
-- -1: a wrong byte), the next one goes on behind it.
CREATE VIEW async_task_log_record AS
  SELECT printf('%019d-%010d-%019d-%010d', l.ti_id, l.epoch, l.byte_offset, l.seq) AS id, l.ti_id AS task_id,
    strftime('%Y-%m-%d %H:%M:%S', l.time / 1000000, 'unixepoch') || printf('.%06d', l.time % 1000000) AS create_at,
    CASE WHEN instr(l.bytes, x'00') = 0 AND CAST(l.bytes AS TEXT) NOT GLOB '*[^' || char(1) || '-' || char(127) || ']*' THEN CAST(l.bytes AS TEXT)
    ELSE (WITH RECURSIVE u(at, n, w) AS (SELECT 1, NULL, substr(l.bytes, 1, 256) UNION ALL
      SELECT CASE WHEN n IS NULL THEN at ELSE at + abs(n) END,
        CASE WHEN n IS NOT NULL THEN NULL
          WHEN instr(substr(w, 1, 64), x'00') = 0 AND CAST(substr(w, 1, 64) AS TEXT) NOT GLOB '*[^' || char(1) || '-' || char(127) || ']*' THEN 64
          WHEN w < x'80' THEN 1
          WHEN substr(w, 1, 2) BETWEEN x'c280' AND x'dfbf' AND substr(w, 2, 1) BETWEEN x'80' AND x'bf' THEN 2
          WHEN substr(w, 1, 2) BETWEEN x'e0a0' AND x'efbf' AND substr(w, 2, 1) BETWEEN x'80' AND x'bf' AND
               substr(w, 1, 2) NOT BETWEEN x'eda0' AND x'edbf' AND substr(w, 3, 1) BETWEEN x'80' AND x'bf' THEN 3
          WHEN substr(w, 1, 2) BETWEEN x'f090' AND x'f48f' AND substr(w, 2, 1) BETWEEN x'80' AND x'bf' AND
               substr(w, 3, 1) BETWEEN x'80' AND x'bf' AND substr(w, 4, 1) BETWEEN x'80' AND x'bf' THEN 4
          ELSE -1 END,
        CASE WHEN n IS NULL THEN w WHEN length(w) > abs(n) + 67 THEN substr(w, abs(n) + 1) ELSE substr(l.bytes, at + abs(n), 256) END
      FROM u WHERE at + coalesce(abs(n), 0) <= l.n_bytes)
      SELECT group_concat(CASE WHEN n < 0 THEN char(65533) ELSE CAST(substr(w, 1, n) AS TEXT) END, '') FROM u WHERE n IS NOT NULL) END AS log_info
  FROM task_log l;
