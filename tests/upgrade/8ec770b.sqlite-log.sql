PRAGMA application_id=1466263922;
PRAGMA user_version=0;
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
INSERT INTO schema_version (version,time) VALUES
(1,1795951963915238);
INSERT INTO task_log (ti_id,epoch,byte_offset,seq,n_bytes,stream,time,bytes) VALUES
(3,1,0,1,4,1,1795951964755921,X'6F75740A'),
(9,1,0,1,4,1,1795951965064050,X'7472790A');
