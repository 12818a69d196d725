-- An additive schema, as the next release might bring one: nodes of the present release run beside it.
-- oldest: 10
ALTER TABLE task_flow ADD COLUMN next_note VARCHAR(64);
CREATE TABLE IF NOT EXISTS next_thing (
  thing_id  BIGINT NOT NULL PRIMARY KEY,
  what      VARCHAR(64) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
