-- Weir, schema 1 of the log file, SQLite: PATH-log beside the database, with a writer of its own.
CREATE TABLE schema_version (
  version  INTEGER PRIMARY KEY,
  time     INTEGER NOT NULL
) STRICT;

CREATE TABLE task_log (
  ti_id        INTEGER NOT NULL,
  epoch        INTEGER NOT NULL,
  byte_offset  INTEGER NOT NULL,            -- place of the first byte in the log of the attempt
  seq          INTEGER NOT NULL,
  n_bytes      INTEGER NOT NULL,
  stream       INTEGER NOT NULL,
  time         INTEGER NOT NULL,
  bytes        BLOB NOT NULL,
  PRIMARY KEY (ti_id, epoch, byte_offset, seq)
) STRICT, WITHOUT ROWID;
