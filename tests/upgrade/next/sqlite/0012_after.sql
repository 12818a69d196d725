-- One release later: what only programs before schema 11 used goes.
-- oldest: 11
ALTER TABLE task_ins DROP COLUMN update_user;
