-- An additive schema, as the next release might bring one: nodes of the present release run beside it.
-- oldest: 10
ALTER TABLE task_flow ADD COLUMN next_note TEXT;
CREATE TABLE next_thing (
  thing_id  INTEGER PRIMARY KEY,
  what      TEXT NOT NULL
) STRICT;
