-- One release later: what only programs before schema 6 used goes.
-- oldest: 6
ALTER TABLE task_ins DROP COLUMN update_user;
