//! C87: dumps in the form of MySQL 5.7, on newer servers of both vendors.

use super::*;

/// As `mysqldump` of MySQL 5.7 writes tables: widths of numbers, `utf8`, a character set without its collation, zero dates
/// as default values, partitions in the shared tablespace, a foreign key whose name is longer than names may be now.
const TABLES: &str = r#"-- MySQL dump 10.13  Distrib 5.7.44, for Linux (x86_64)
--
-- Host: localhost    Database: older
-- ------------------------------------------------------
-- Server version	5.7.44-log

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Table structure for table `old_product`
--

DROP TABLE IF EXISTS `old_product`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8 */;
CREATE TABLE `old_product` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `on_sale` tinyint(1) unsigned NOT NULL DEFAULT '0',
  `made` year(4) DEFAULT NULL,
  `counter` bigint(20) unsigned zerofill DEFAULT NULL,
  `kind` enum('both','','none') NOT NULL DEFAULT 'both',
  `name` varchar(64) NOT NULL DEFAULT '',
  `note` varchar(64) CHARACTER SET latin1 DEFAULT NULL,
  `date_add` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `date_upd` timestamp NOT NULL DEFAULT '0000-00-00 00:00:00' ON UPDATE CURRENT_TIMESTAMP,
  `doc` json DEFAULT NULL,
  `title` varchar(20) GENERATED ALWAYS AS (json_unquote(json_extract(`doc`,'$.title'))) VIRTUAL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `name` (`name`),
  KEY `made` (`made`)
) ENGINE=InnoDB AUTO_INCREMENT=40 DEFAULT CHARSET=utf8;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `old_product`
--

LOCK TABLES `old_product` WRITE;
/*!40000 ALTER TABLE `old_product` DISABLE KEYS */;
INSERT INTO `old_product` (`id`, `on_sale`, `made`, `counter`, `kind`, `name`, `note`, `date_add`, `date_upd`, `doc`) VALUES (0,1,1999,00000000000000000012,'','ä','ß','0000-00-00 00:00:00','2019-10-27 01:30:00','{\"title\": \"x\"}'),(7,0,NULL,NULL,'both','b',NULL,'2019-00-00 00:00:00','0000-00-00 00:00:00',NULL);
/*!40000 ALTER TABLE `old_product` ENABLE KEYS */;
UNLOCK TABLES;

CREATE TABLE `old_text` (
  `id` int(10) unsigned NOT NULL,
  `text` varchar(20) DEFAULT NULL,
  `rank` int(11) DEFAULT NULL,
  UNIQUE KEY `text` (`text`),
  KEY `id` (`id`),
  CONSTRAINT `a_name_that_no_server_of_today_would_give_to_any_foreign_key_ibfk_1` FOREIGN KEY (`id`) REFERENCES `old_product` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `old_text` VALUES (7,'ss',1),(7,'ß',2);
"#;

const PARTITIONS: &str = r"CREATE TABLE `old_index` (
  `id` int(11) NOT NULL,
  `price` float(7,4) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1
/*!50100 PARTITION BY RANGE (id)
(PARTITION p0 VALUES LESS THAN (10) TABLESPACE = innodb_system ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */;
INSERT INTO `old_index` VALUES (1,0.1000),(11,999.9999);
";

/// Code whose words are reserved now, and the modes of then.
const CODE: &str = r"/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET character_set_client  = utf8 */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER old_trim BEFORE INSERT ON old_text FOR EACH ROW BEGIN
  SET NEW.text = TRIM(NEW.text);
END */;;
DELIMITER ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `old_ranks`()
BEGIN
  SELECT rank FROM old_text;
END ;;
DELIMITER ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `old_groups`()
BEGIN
  SELECT text FROM old_text GROUP BY text DESC;
END ;;
DELIMITER ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` FUNCTION `old_double`(a int(11)) RETURNS int(11)
    DETERMINISTIC
RETURN a * 2 ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `old_view` AS select `old_product`.`id` AS `id`,`old_product`.`name` AS `name` from `old_product` where (`old_product`.`on_sale` = 1) */;

-- Dump completed on 2019-11-20  3:00:00
";

fn file(scene: &Scene, text: &str) -> PathBuf {
    let path = scene.place.folder().join("older.sql");
    fs::write(&path, text).unwrap();
    path
}

fn column(scene: &Scene, table: &str, column: &str, what: &str) -> String {
    let found = format!(
        "SELECT {what} FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='{DATABASE}' AND TABLE_NAME='{table}' \
         AND COLUMN_NAME='{column}'"
    );
    value(scene, &found)
}

#[test]
fn dumps_of_mysql_5_7_come_back_on_both_vendors() {
    for kind in KINDS {
        let Some(scene) = scene(kind) else { continue };
        let path = file(&scene, &[TABLES, PARTITIONS, CODE].concat());
        let planned = restore(&scene, &path, &["--dry-run"]).expect(0).stdout;
        assert!(planned.contains("mysqldump, of 5.7.44-log"), "{planned}");
        assert!(planned.contains("a partition lay in the tablespace innodb_system"), "{planned}");
        let long = "a_name_that_no_server_of_today_would_give_to_any_foreign_key_ibfk_1 is too long";
        assert!(planned.contains(long), "{planned}");
        assert_eq!(planned.contains("JSON becomes a text"), !kind.is_mysql(), "{planned}");
        assert!(!planned.contains("NO_AUTO_CREATE_USER"), "{planned}");

        // MySQL 8 and later read neither RANK as a name nor GROUP BY with a direction.
        let run = restore(&scene, &path, &[]).expect(if kind.is_mysql() { 3 } else { 0 });
        for name in ["old_ranks", "old_groups"] {
            let dropped = format!("procedure {name} is dropped: ");
            assert_eq!(run.stdout.contains(&dropped), kind.is_mysql(), "{}", run.stdout);
        }
        scene.place.run(&["restore", "--accept"]).expect(0);

        let rows = value(
            &scene,
            "SELECT GROUP_CONCAT(CONCAT_WS('|', id, on_sale, made, counter, kind+0, HEX(CONVERT(name USING utf8mb4)), \
             HEX(note), CAST(date_add AS CHAR), CAST(date_upd AS CHAR), title) ORDER BY id SEPARATOR ' ; ') FROM old_product",
        );
        assert_eq!(
            rows,
            "0|1|1999|00000000000000000012|2|C3A4|DF|0000-00-00 00:00:00|2019-10-27 01:30:00|x ; \
             7|0|1|62|2019-00-00 00:00:00|0000-00-00 00:00:00"
        );
        // The defaults of then: with those of today, the two rows would be one.
        assert_eq!(column(&scene, "old_text", "text", "COLLATION_NAME"), "utf8mb4_general_ci");
        let collation = column(&scene, "old_product", "name", "COLLATION_NAME");
        assert!(["utf8mb3_general_ci", "utf8_general_ci"].contains(&collation.as_str()), "{collation}");
        assert_eq!(value(&scene, "SELECT COUNT(*) FROM old_text"), "2");
        assert!(column(&scene, "old_product", "date_add", "COLUMN_DEFAULT").contains("0000-00-00 00:00:00"));
        assert_eq!(value(&scene, "SELECT GROUP_CONCAT(price*1e0 ORDER BY id) FROM old_index"), {
            value(&scene, "SELECT CONCAT(CAST(0.1 AS FLOAT)*1e0, ',', CAST(999.9999 AS FLOAT)*1e0)")
        });
        let parts = "SELECT COUNT(*) FROM information_schema.PARTITIONS WHERE TABLE_NAME='old_index'";
        assert_eq!(value(&scene, parts), "2");
        assert_eq!(value(&scene, "SELECT old_double(4)"), "8");
        assert_eq!(value(&scene, "SELECT name FROM old_view"), "ä");
        sql(&scene, &["INSERT INTO old_text VALUES (7, ' c ', 3)"]);
        assert_eq!(value(&scene, "SELECT text FROM old_text WHERE `rank`=3"), "c");
        let mut connection = scene.server.connect(DATABASE).unwrap();
        let child = mysql::prelude::Queryable::query_drop(
            &mut connection,
            "INSERT INTO old_text VALUES (99, 'd', 4)",
        );
        assert!(child.unwrap_err().to_string().contains("foreign key"));
        expect_clean(&scene);
    }
}

#[test]
fn what_a_newer_server_cannot_hold_is_refused_by_name() {
    let Some(scene) = scene(ServerKind::MySql) else { return };
    let before = picture(&scene);
    let head = TABLES.split("--\n-- Table structure").next().unwrap();
    let member = "x".repeat(256);
    let text = format!(
        "{head}CREATE TABLE `old_kinds` (\n  `kind` enum('{member}','y') DEFAULT NULL\n) ENGINE=InnoDB;\n"
    );
    let path = file(&scene, &format!("{text}-- Dump completed\n"));
    let run = restore(&scene, &path, &[]);
    let words = ["table old_kinds", "a member is longer than 255 characters", "5.7.44-log"];
    run.expect_error(1, &words);
    expect_same("refused", &before, &picture(&scene));
}
