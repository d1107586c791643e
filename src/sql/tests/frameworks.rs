//! What real clients open a connection with.

use super::*;

#[test]
fn opening_statements_keep_their_kinds() {
    all(
        "set",
        r"
SET NAMES utf8mb4
SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'
SET SESSION sql_mode='ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'
SET names 'utf8mb4' collate 'utf8mb4_unicode_ci', SESSION sql_mode='STRICT_TRANS_TABLES'
SET  @@SESSION.sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'),  @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
SET SQL_AUTO_IS_NULL = 0
SET autocommit=1
SET character_set_results = NULL
SET SESSION time_zone = '+00:00'
SET sql_mode='STRICT_TRANS_TABLES'
SET SQL_SAFE_UPDATES=1, SQL_SELECT_LIMIT=1000, MAX_JOIN_SIZE=1000000
SET session group_concat_max_len = 18446744073709551615
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */
/*!50503 SET NAMES utf8mb4 */
/*!40103 SET TIME_ZONE='+00:00' */
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */
/*!40101 SET character_set_client = @saved_cs_client */
",
    );
    all(
        "read",
        r"
SELECT @@SESSION.sql_mode
SELECT @@max_allowed_packet
SELECT @@version_comment LIMIT 1
SELECT VERSION()
SELECT DATABASE()
SELECT @@version, @@lower_case_table_names
SELECT CAST('test plain returns' AS CHAR(60)) AS anon_1
SELECT 'x' AS some_label
SELECT @@transaction_isolation
SELECT VERSION(), @@sql_mode, @@default_storage_engine, @@sql_auto_is_null, @@lower_case_table_names, CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC') IS NOT NULL
SHOW FULL TABLES
SHOW FULL FIELDS FROM `posts`
SHOW VARIABLES LIKE 'sql_mode'
SHOW VARIABLES LIKE 'aurora\_version'
/* mysql-connector-j-8.3.0 (Revision: abc) */SELECT  @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, @@performance_schema AS performance_schema, @@time_zone AS time_zone, @@transaction_isolation AS transaction_isolation, @@wait_timeout AS wait_timeout
/* ping */ SELECT 1
select @@session.transaction_read_only
SELECT option_name, option_value FROM wp_options WHERE autoload IN ( 'yes', 'on', 'auto-on', 'auto' )
SELECT t0.id AS id_1, t0.email AS email_2 FROM user t0 WHERE t0.email = ? LIMIT 1
select table_name as `name`, (data_length + index_length) as `size`, table_comment as `comment`, engine as `engine`, table_collation as `collation` from information_schema.tables where table_schema = 'x' and table_type in ('BASE TABLE', 'SYSTEM VERSIONED') order by table_name
SELECT /*!40001 SQL_NO_CACHE */ * FROM `t`
SELECT COUNT(*) AS `__count` FROM `django_session` WHERE `django_session`.`expire_date` < '2024-01-01'
SELECT GROUP_CONCAT(DISTINCT `a` ORDER BY `b` SEPARATOR ',') FROM t
",
    );
    all("ddl", "/*!40000 ALTER TABLE `t` DISABLE KEYS */;\nDROP TABLE IF EXISTS `t`;");
    all("lock", "LOCK TABLES `t` WRITE;\nUNLOCK TABLES;");
    all(
        "read",
        "SELECT SQL_CALC_FOUND_ROWS wp_posts.ID FROM wp_posts WHERE 1=1 ORDER BY post_date DESC LIMIT 0, 10\nSELECT FOUND_ROWS()",
    );
    all(
        "locking_read",
        "select * from `jobs` where `queue` = 'default' and ((`reserved_at` is null and `available_at` <= 1)) order by `id` asc limit 1 for update skip locked",
    );
    all("side_effect_function", "SELECT GET_LOCK('rails_migration', 0)\nselect get_lock('x', 10) as acquired");
}
