-- One release later: what only programs before schema 7 used goes.
-- oldest: 7
ALTER TABLE task_ins DROP COLUMN update_user;
