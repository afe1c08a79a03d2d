//! Files in the exact form of programs that no server brings along.

use super::*;

const NAMES: [&str; 2] = ["oc_made", "oc_made_child"];

/// As phpMyAdmin 5 exports: keys, numbers and foreign keys come at the end.
const PHPMYADMIN: &str = r#"-- phpMyAdmin SQL Dump
-- version 5.2.1
-- https://www.phpmyadmin.net/
--
-- Host: localhost
-- Generation Time: Nov 21, 2026 at 03:00 AM
-- Server version: 10.11.6-MariaDB
-- PHP Version: 8.2.7

SET SQL_MODE = "NO_AUTO_VALUE_ON_ZERO";
START TRANSACTION;
SET time_zone = "+00:00";


/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;

-- --------------------------------------------------------

--
-- Table structure for table `oc_made`
--

CREATE TABLE `oc_made` (
  `id` int(11) NOT NULL,
  `name` varchar(64) NOT NULL DEFAULT '',
  `price` decimal(15,4) DEFAULT NULL,
  `data` blob DEFAULT NULL,
  `made` timestamp NULL DEFAULT NULL,
  `narrow` varchar(9) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  `grade` enum('1','3','2') DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

--
-- Dumping data for table `oc_made`
--

INSERT INTO `oc_made` (`id`, `name`, `price`, `data`, `made`, `narrow`, `grade`) VALUES
(0, 'it''s; a \"test\" \\ -- no comment', '12.5000', 0x00ff27, '2024-03-31 02:30:00', 'Käse', '2'),
(1, 'Käse 🧀', NULL, NULL, NULL, NULL, NULL),
(7, '', '-0.0001', '', '2026-01-01 00:00:00', 'é', '3');

-- --------------------------------------------------------

CREATE TABLE `oc_made_child` (
  `made_id` int(11) NOT NULL,
  `text` longtext DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

INSERT INTO `oc_made_child` (`made_id`, `text`) VALUES
(1, 'line\r\nline'),
(1, NULL);

--
-- Indexes for dumped tables
--

ALTER TABLE `oc_made`
  ADD PRIMARY KEY (`id`),
  ADD UNIQUE KEY `name` (`name`),
  ADD KEY `made` (`made`,`price`);

ALTER TABLE `oc_made_child`
  ADD KEY `made_id` (`made_id`);

--
-- AUTO_INCREMENT for dumped tables
--

ALTER TABLE `oc_made`
  MODIFY `id` int(11) NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=12;

--
-- Constraints for dumped tables
--

ALTER TABLE `oc_made_child`
  ADD CONSTRAINT `made_child` FOREIGN KEY (`made_id`) REFERENCES `oc_made` (`id`) ON DELETE CASCADE ON UPDATE CASCADE;
COMMIT;

/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
"#;

/// As Adminer exports: bits and bytes as calls; those of bits are others since version 5.
const ADMINER: &str = r"-- Adminer 4.8.1 MySQL 10.11.6-MariaDB dump

SET NAMES utf8;
SET time_zone = '+00:00';
SET foreign_key_checks = 0;
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';

SET NAMES utf8mb4;

DROP TABLE IF EXISTS `oc_made`;
CREATE TABLE `oc_made` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(64) NOT NULL DEFAULT '',
  `data` varbinary(9) DEFAULT NULL,
  `bits` bit(9) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `name` (`name`(10))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

INSERT INTO `oc_made` (`id`, `name`, `data`, `bits`) VALUES
(1,	'a\'b\\c',	UNHEX('00FF'),	CONV('101', 2, 10) + 0),
(2,	'',	NULL,	CONVERT(b'110', UNSIGNED));
";

/// As HeidiSQL 12 exports, with the database named.
const HEIDISQL: &str = r"-- --------------------------------------------------------
-- Host:                         127.0.0.1
-- Server version:               10.11.6-MariaDB - Debian
-- Server OS:                    debian-linux-gnu
-- HeidiSQL Version:             12.6.0.6765
-- --------------------------------------------------------

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8 */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

-- Dumping data for table oracle.oc_made: ~2 rows (approximately)
CREATE TABLE IF NOT EXISTS `oc_made` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `kind` enum('a','b;') NOT NULL DEFAULT 'a',
  `when` datetime DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

DELETE FROM `oc_made`;
INSERT INTO `oc_made` (`id`, `kind`, `when`) VALUES
	(1, 'b;', '2026-11-21 03:00:00'),
	(2, 'a', NULL);

-- Dumping structure for trigger oracle.oc_made_before
SET @OLDTMP_SQL_MODE=@@SQL_MODE, SQL_MODE='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';
DELIMITER //
CREATE TRIGGER `oc_made_before` BEFORE INSERT ON `oc_made` FOR EACH ROW BEGIN
	SET NEW.kind = 'a'; -- not ;
END//
DELIMITER ;
SET SQL_MODE=@OLDTMP_SQL_MODE;

/*!40103 SET TIME_ZONE=IFNULL(@OLD_TIME_ZONE, 'system') */;
/*!40101 SET SQL_MODE=IFNULL(@OLD_SQL_MODE, '') */;
/*!40014 SET FOREIGN_KEY_CHECKS=IFNULL(@OLD_FOREIGN_KEY_CHECKS, 1) */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40111 SET SQL_NOTES=IFNULL(@OLD_SQL_NOTES, 1) */;
";

/// Restores a file and compares with what the server's own client makes of it.
fn comes_back_as_the_client_loads_it(text: &str, names: &[&str]) {
    for kind in KINDS {
        let Some(scene) = scene(kind) else { continue };
        let old = picture(&scene);
        scene.server.client(ORACLE, text).unwrap();
        let path = scene.place.folder().join("export.sql");
        fs::write(&path, text).unwrap();
        restore(&scene, &path, &[]).expect(0);
        let (found, wanted) = (picture(&scene), oracle(&scene));
        expect_same(&format!("{kind:?}"), &tables(&wanted, names), &tables(&found, names));
        let triggers = |picture: &Snapshot| {
            let all = picture.things.keys().filter(|thing| thing.contains("oc_made_before"));
            all.cloned().collect::<Vec<_>>()
        };
        assert_eq!(triggers(&found), triggers(&wanted));
        scene.place.run(&["undo", "--yes"]).expect(0);
        expect_same("undone", &old, &picture(&scene));
    }
}

#[test]
fn exports_of_phpmyadmin_come_back() {
    comes_back_as_the_client_loads_it(PHPMYADMIN, &NAMES);
}

#[test]
fn exports_of_adminer_come_back() {
    comes_back_as_the_client_loads_it(ADMINER, &NAMES[..1]);
}

#[test]
fn exports_of_heidisql_come_back() {
    comes_back_as_the_client_loads_it(HEIDISQL, &NAMES[..1]);
}

/// Values that a strict session refuses behind others that it took: no row is there twice, with and without transactions.
#[test]
fn rows_that_a_strict_session_refuses_go_in_once() {
    for engine in ["MyISAM", "InnoDB"] {
        let text = format!(
            "SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO';\n\
             CREATE TABLE `oc_made` (`id` int(11) NOT NULL, `n` tinyint(4) NOT NULL, `name` varchar(3) NOT NULL) ENGINE={engine};\n\
             INSERT INTO `oc_made` VALUES (1,1,'a'),(2,300,'b'),(3,3,'long');\n"
        );
        comes_back_as_the_client_loads_it(&text, &NAMES[..1]);
    }
}

/// As OpenCart 4 writes: rows alone.
#[test]
fn rows_of_opencart_replace_those_of_the_shop() {
    for kind in KINDS {
        let Some(scene) = scene(kind) else { continue };
        let text = "TRUNCATE TABLE `oc_tax_class`;\n\n\
            INSERT INTO `oc_tax_class` (`tax_class_id`, `title`, `description`, `date_added`, `date_modified`) VALUES \
            ('9', 'Taxable Goods', 'Taxed goods; it\\'s\\nso', '2009-01-06 23:21:53', '2011-09-23 14:07:50');\n\
            INSERT INTO `oc_tax_class` (`tax_class_id`, `title`, `description`, `date_added`, `date_modified`) VALUES \
            ('10', 'Downloadable \\\"Products\\\"', 'x', '2011-09-21 22:19:39', '2011-09-22 10:27:36');\n\n";
        sql(
            &scene,
            &[
                "CREATE TABLE IF NOT EXISTS `oc_tax_class` (`tax_class_id` int NOT NULL AUTO_INCREMENT, `title` varchar(32) \
                 NOT NULL, `description` varchar(255) NOT NULL, `date_added` datetime NOT NULL, `date_modified` datetime \
                 NOT NULL, PRIMARY KEY (`tax_class_id`)) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4",
                "REPLACE INTO `oc_tax_class` (tax_class_id, title, description, date_added, date_modified) VALUES (33, 'old', '', NOW(), NOW())",
                "CREATE TRIGGER `oc_tax_watch` BEFORE INSERT ON `oc_tax_class` FOR EACH ROW SET @seen = 1",
            ],
        );
        let grant = format!("GRANT ALL ON {ORACLE}.* TO '{}'@'%'", super::super::restore_shop::USER);
        sql_as_root(&scene, &[&grant]);
        let own = dump(&scene, &[]);
        scene.server.client(ORACLE, fs::read(own).unwrap()).unwrap();
        scene.server.client(ORACLE, text).unwrap();
        let path = scene.place.folder().join("backup.sql");
        fs::write(&path, text).unwrap();
        let planned = restore(&scene, &path, &["--dry-run", "--json"]).expect(0).json();
        assert_eq!(planned["made_by"], "OpenCart");
        assert_eq!(planned["from_live"], serde_json::json!(["oc_tax_class"]));
        assert_eq!(planned["code_removed"], serde_json::json!([]));
        restore(&scene, &path, &[]).expect(0);
        let (found, wanted) = (picture(&scene), without_events(&oracle(&scene)));
        let no_definer = |picture: &Snapshot| {
            picture.without(|thing, aspect| !thing.starts_with("table ") || aspect.contains("definer"))
        };
        expect_same(&format!("{kind:?}"), &no_definer(&wanted), &no_definer(&found));
        assert!(found.things.keys().any(|thing| thing.contains("oc_tax_watch")));
    }
}

/// As mydumper writes a folder: one file for each definition and table, bytes as they are.
#[test]
fn folders_of_mydumper_come_back() {
    for kind in KINDS {
        let Some(scene) = scene(kind) else { continue };
        let folder = scene.place.folder().join("export");
        fs::create_dir(&folder).unwrap();
        let table = "/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n\n/*!40103 SET TIME_ZONE='+00:00' */;\n\
            CREATE TABLE `oc_made` (\n  `id` int(11) NOT NULL,\n  `name` varchar(9) CHARACTER SET latin1 DEFAULT 'Kase',\n  `data` blob,\n  \
            `json` json DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;\n";
        let rows = b"/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40103 SET TIME_ZONE='+00:00' */;\n\
            INSERT INTO `oc_made` VALUES(1,\"K\xe4\\\"se\",\"\\0\xff'x\",CONVERT(\"{\\\"a\\\": \\\"\xc3\xa4\\\"}\" USING UTF8MB4)),\n(2,NULL,NULL,NULL);\n";
        let view = "/*!40101 SET NAMES binary*/;\nDROP TABLE IF EXISTS `oc_made_v`;\nDROP VIEW IF EXISTS `oc_made_v`;\n\
            SET @PREV_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT;\nSET character_set_client = utf8mb4;\n\
            CREATE ALGORITHM=UNDEFINED VIEW `oc_made_v` AS select `oc_made`.`id` AS `id` from `oc_made`;\n\
            SET character_set_client = @PREV_CHARACTER_SET_CLIENT;\n";
        let stand_in = "/*!40101 SET NAMES binary*/;\nCREATE TABLE IF NOT EXISTS `oc_made_v`(\n`id` int\n)ENGINE=MyISAM;\n";
        let files: [(&str, &[u8]); 6] = [
            ("metadata", b"Started dump at: 2026-11-21 03:00:00\nFinished dump at: 2026-11-21 03:00:01\n"),
            ("demo-schema-create.sql", b"CREATE DATABASE `demo`;\n"),
            ("demo.oc_made-schema.sql", table.as_bytes()),
            ("demo.oc_made.sql", rows),
            ("demo.oc_made_v-schema.sql", stand_in.as_bytes()),
            ("demo.oc_made_v-schema-view.sql", view.as_bytes()),
        ];
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        // The client reads the same files in the same order.
        for at in [2, 4, 3, 5] {
            scene.server.client(ORACLE, files[at].1).unwrap();
        }
        fs::write(folder.join("demo.oc_made.sql.gz"), gzip(&folder.join("demo.oc_made.sql"))).unwrap();
        fs::remove_file(folder.join("demo.oc_made.sql")).unwrap();
        restore(&scene, &folder, &[]).expect(0);
        let (found, wanted) = (picture(&scene), oracle(&scene));
        expect_same(&format!("{kind:?}"), &tables(&wanted, &NAMES[..1]), &tables(&found, &NAMES[..1]));
        assert_eq!(value(&scene, "SELECT COUNT(*) FROM oc_made_v"), "2");
    }
}

/// A dump of the other vendor: each object is told as what it becomes.
#[test]
fn a_dump_of_the_other_vendor_is_told_object_by_object() {
    let of_mysql = r#"-- MySQL dump 10.13  Distrib 9.7.0, for Linux (x86_64)
-- Server version	9.7.0
/*!50503 SET NAMES utf8mb4 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
CREATE TABLE `oc_made` (
  `id` int NOT NULL,
  `name` varchar(9) COLLATE utf8mb4_0900_ai_ci DEFAULT NULL,
  `doc` json DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
INSERT INTO `oc_made` VALUES (1,'a;','{\"a\": [1, 2]}'),(2,NULL,NULL);
-- Dump completed on 2026-11-21  3:00:00
"#;
    let of_mariadb = r"/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.11-MariaDB, for debian-linux-gnu (x86_64)
-- Server version	10.11.11-MariaDB-0+deb12u1
/*!40101 SET NAMES utf8mb4 */;
/*M!100616 SET @OLD_NOTE_VERBOSITY=@@NOTE_VERBOSITY, NOTE_VERBOSITY=0 */;
CREATE TABLE `oc_made` (
  `id` int(11) NOT NULL,
  `name` varchar(9) DEFAULT NULL,
  `doc` uuid DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=Aria DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci PAGE_CHECKSUM=1;
INSERT INTO `oc_made` VALUES (1,'a;','123e4567-e89b-12d3-a456-426655440000'),(2,NULL,NULL);
-- Dump completed on 2026-11-21  3:00:00
";
    for (kind, text, words) in [
        (ServerKind::MariaDb, of_mysql, ["table oc_made", "JSON becomes a text that is checked"]),
        (ServerKind::MySql, of_mariadb, ["table oc_made", "uuid becomes char(36)"]),
    ] {
        let Some(scene) = scene(kind) else { continue };
        let path = scene.place.folder().join("export.sql");
        fs::write(&path, text).unwrap();
        let planned = restore(&scene, &path, &["--dry-run"]).expect(0).stdout;
        let report = restore(&scene, &path, &[]).expect(0).stdout;
        for words in words {
            assert!(planned.contains(words) && report.contains(words), "{words}: {planned}{report}");
        }
        assert_eq!(value(&scene, "SELECT COUNT(*) FROM oc_made WHERE name = 'A;' AND doc IS NOT NULL"), "1");
        scene.place.run(&["restore", "--accept"]).expect(0);
        expect_clean(&scene);
    }
}

/// Runs mydumper. Its version 0.10 waits for itself for ever at times, and is run again then.
fn export(scene: &Scene, mydumper: &Path, number: usize, more: &[&str]) -> PathBuf {
    for attempt in 0..5 {
        let folder = scene.place.folder().join(format!("export-{number}-{attempt}"));
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "60"]).arg(mydumper);
        command.args(["--user=root", "--triggers", "--events", "--routines", "--threads=2", "--database"]);
        command.arg(DATABASE).arg(format!("--socket={}", scene.server.socket().display())).args(more);
        let output = command.arg("--outputdir").arg(&folder).output().unwrap();
        if output.status.success() {
            return folder;
        }
        let killed = output.status.code().is_none_or(|code| code == 137);
        assert!(killed, "{}", String::from_utf8_lossy(&output.stderr));
    }
    panic!("mydumper never came to its end");
}

/// Folders that mydumper itself wrote, where `ci/peers` could fetch it.
#[test]
fn folders_that_mydumper_wrote_come_back() {
    let Some(mydumper) = backstock_testbed::programs::peer("mydumper") else { return };
    let Some(scene) = scene(ServerKind::MariaDb) else { return };
    let before = picture(&scene);
    let options: [&[&str]; 2] =
        [&["--compress"], &["--complete-insert", "--statement-size=3000", "--rows=20"]];
    for (number, more) in options.iter().enumerate() {
        let folder = export(&scene, &mydumper, number, more);
        damage(&scene);
        let planned = restore(&scene, &folder, &["--dry-run", "--json"]).expect(0).json();
        assert_eq!(planned["made_by"], "mydumper");
        restore(&scene, &folder, &[]).expect(0);
        // All but the modes of code, which mydumper does not write: this is told.
        let warnings = planned["warnings"].to_string();
        assert!(warnings.contains("does not tell the sql_mode of"), "{warnings}");
        let without_modes = |picture: &Snapshot| picture.without(|_, aspect| aspect == "mode");
        expect_same(&format!("{more:?}"), &without_modes(&before), &without_modes(&picture(&scene)));
        scene.place.run(&["restore", "--accept"]).expect(0);
    }
    expect_clean(&scene);
}
