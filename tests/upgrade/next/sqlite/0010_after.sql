-- One release later: what only programs before schema 9 used goes.
-- oldest: 9
ALTER TABLE task_ins DROP COLUMN update_user;
