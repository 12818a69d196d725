-- Weir, schema 10, SQLite.
-- oldest: 9
--
-- What the analyzer said of the attempt: enum task_said; only where it was not that it is done.
ALTER TABLE task_attempt ADD COLUMN verdict INTEGER NOT NULL DEFAULT 0;
--
-- Stand-alone tasks as S1 shows them. What is deleted, analysed or waits for what it has added runs (1).
DROP VIEW IF EXISTS async_task_record;
CREATE VIEW async_task_record AS
  SELECT a.ti_id AS id, a.user_name AS uid, a.task_name AS name, a.task_type AS task_type, i.params AS params,
    CASE WHEN i.state IN (4, 6, 8) THEN CASE e.state WHEN 'DEAD' THEN 5 ELSE 1 END
      WHEN i.state < 9 AND (i.phase IN (1, 3) OR (i.phase = 2 AND i.state <> 7)) THEN 1
      WHEN i.state = 3 AND (SELECT t.why FROM task_attempt t WHERE t.ti_id = i.ti_id AND t.epoch > a.run_epoch
                            ORDER BY t.epoch DESC LIMIT 1) = 'LOST' THEN 5
      WHEN i.state < 9 THEN 0 WHEN i.state = 9 THEN 2 WHEN i.state = 12 THEN 4 ELSE 3 END AS status,
    e.host AS executor, a.cpu_overhead AS cpu_overhead,
    strftime('%Y-%m-%d %H:%M:%S', a.create_time / 1000000, 'unixepoch') || printf('.%06d', a.create_time % 1000000) AS create_at,
    strftime('%Y-%m-%d %H:%M:%S', i.start_time / 1000000, 'unixepoch') || printf('.%06d', i.start_time % 1000000) AS execute_date,
    CASE WHEN i.state = 9
      THEN strftime('%Y-%m-%d %H:%M:%S', i.end_time / 1000000, 'unixepoch') || printf('.%06d', i.end_time % 1000000) END AS finish_date,
    CASE WHEN i.state IN (10, 11, 13)
      THEN strftime('%Y-%m-%d %H:%M:%S', i.end_time / 1000000, 'unixepoch') || printf('.%06d', i.end_time % 1000000) END AS failed_date
  FROM task_async a JOIN task_ins i ON i.ti_id = a.ti_id LEFT JOIN engine_node e ON e.incarnation = i.owner;
