-- One release later: what only programs before schema 5 used goes.
-- oldest: 5
ALTER TABLE task_ins DROP COLUMN update_user;
