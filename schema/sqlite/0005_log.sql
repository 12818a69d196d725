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
-- its bytes: 64 at once where all are ASCII, else one character (n bytes) or one wrong byte (n = -1) in a step.
CREATE VIEW async_task_log_record AS
  SELECT printf('%019d-%010d-%019d-%010d', l.ti_id, l.epoch, l.byte_offset, l.seq) AS id, l.ti_id AS task_id,
    strftime('%Y-%m-%d %H:%M:%S', l.time / 1000000, 'unixepoch') || printf('.%06d', l.time % 1000000) AS create_at,
    CASE WHEN instr(l.bytes, x'00') = 0 AND CAST(l.bytes AS TEXT) NOT GLOB '*[^' || char(1) || '-' || char(127) || ']*' THEN CAST(l.bytes AS TEXT)
    ELSE (WITH RECURSIVE u(at, n) AS (SELECT 1, 0 UNION ALL
      SELECT at + abs(n), CASE
        WHEN instr(substr(l.bytes, at + abs(n), 64), x'00') = 0 AND
             CAST(substr(l.bytes, at + abs(n), 64) AS TEXT) NOT GLOB '*[^' || char(1) || '-' || char(127) || ']*' THEN 64
        WHEN substr(l.bytes, at + abs(n), 1) < x'80' THEN 1
        WHEN substr(l.bytes, at + abs(n), 1) BETWEEN x'c2' AND x'df' AND
             substr(l.bytes, at + abs(n) + 1, 1) BETWEEN x'80' AND x'bf' THEN 2
        WHEN substr(l.bytes, at + abs(n), 1) BETWEEN x'e0' AND x'ef' AND
             substr(l.bytes, at + abs(n) + 1, 1) BETWEEN CASE substr(l.bytes, at + abs(n), 1) WHEN x'e0' THEN x'a0' ELSE x'80' END
                                             AND CASE substr(l.bytes, at + abs(n), 1) WHEN x'ed' THEN x'9f' ELSE x'bf' END AND
             substr(l.bytes, at + abs(n) + 2, 1) BETWEEN x'80' AND x'bf' THEN 3
        WHEN substr(l.bytes, at + abs(n), 1) BETWEEN x'f0' AND x'f4' AND
             substr(l.bytes, at + abs(n) + 1, 1) BETWEEN CASE substr(l.bytes, at + abs(n), 1) WHEN x'f0' THEN x'90' ELSE x'80' END
                                             AND CASE substr(l.bytes, at + abs(n), 1) WHEN x'f4' THEN x'8f' ELSE x'bf' END AND
             substr(l.bytes, at + abs(n) + 2, 1) BETWEEN x'80' AND x'bf' AND
             substr(l.bytes, at + abs(n) + 3, 1) BETWEEN x'80' AND x'bf' THEN 4
        ELSE -1 END
      FROM u WHERE at + abs(n) <= l.n_bytes)
      SELECT group_concat(CASE WHEN n < 0 THEN char(65533) ELSE CAST(substr(l.bytes, at, n) AS TEXT) END, '') FROM u) END AS log_info
  FROM task_log l;
