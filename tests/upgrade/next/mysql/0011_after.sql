-- One release later: what only programs before schema 10 used goes.
-- oldest: 10
ALTER TABLE task_ins DROP COLUMN update_user;
