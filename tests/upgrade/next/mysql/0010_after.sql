-- One release later: what only programs before schema 8 used goes.
-- oldest: 8
ALTER TABLE task_ins DROP COLUMN update_user;
