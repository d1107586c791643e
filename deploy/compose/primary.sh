# shellcheck shell=bash
# Run once by the image's entry point, on a primary's empty data directory. The replica gets all of
# this through replication, so the accounts are the same on both.
mysql --protocol=socket --user=root --password="$MYSQL_ROOT_PASSWORD" <<END
CREATE DATABASE app;
CREATE TABLE app.entries (
  id INT AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(80) NOT NULL,
  message VARCHAR(500) NOT NULL,
  posted TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  written_at VARCHAR(80) NOT NULL
);
CREATE USER app@'%' IDENTIFIED BY '$APP_DB_PASSWORD';
GRANT ALL ON app.* TO app@'%';
CREATE USER landbridge@'%' IDENTIFIED BY '$MONITOR_DB_PASSWORD';
GRANT REPLICATION CLIENT ON *.* TO landbridge@'%';
CREATE USER replication@'%' IDENTIFIED BY '$REPLICATION_DB_PASSWORD' REQUIRE SSL;
GRANT REPLICATION SLAVE ON *.* TO replication@'%';
END
