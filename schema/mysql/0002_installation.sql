-- Weir, schema 2, MySQL and MariaDB.
-- One row: store_id, 8 random hex digits, tells this database from every other (WEIR_RUN_KEY). The token of the installation
-- is known by its hash: which server made it, and when.
CREATE TABLE IF NOT EXISTS installation (
  one         TINYINT NOT NULL PRIMARY KEY,
  store_id    CHAR(8) NOT NULL,
  token_hash  CHAR(64),
  token_host  VARCHAR(255),
  token_time  DATETIME(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT IGNORE INTO installation (one, store_id) VALUES (1, LEFT(MD5(CONCAT(UUID(), RAND())), 8));

-- How the process of a former attempt ended; signal: what ended it.
ALTER TABLE task_attempt ADD COLUMN exit_code INT AFTER error_msg, ADD COLUMN `signal` INT AFTER exit_code;
