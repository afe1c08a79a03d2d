//! What each program's form becomes.

use super::*;

/// In the form of `mysqldump`, with everything wrapped that older servers do not know.
const MYSQLDUMP: &str = r"-- MySQL dump 10.13  Distrib 9.7.0, for Linux (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version	9.7.0

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;
SET @@SESSION.SQL_LOG_BIN= 0;
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '';

DROP TABLE IF EXISTS `a`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `a` (
  `id` int NOT NULL AUTO_INCREMENT,
  `t` varchar(20) DEFAULT NULL,
  `b` blob,
  PRIMARY KEY (`id`),
  KEY `t` (`t`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;
LOCK TABLES `a` WRITE;
/*!40000 ALTER TABLE `a` DISABLE KEYS */;
INSERT INTO `a` VALUES (1,'it''s; \'q\'',_binary 'x'),(2,NULL,0xFF00),
(3,'-- no comment /* */',NULL);
/*!40000 ALTER TABLE `a` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `g` BEFORE INSERT ON `a` FOR EACH ROW BEGIN SET @x = 1; SET @y = 2; END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50001 CREATE VIEW `v` AS SELECT 
 1 AS `id`*/;
/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION NOT PRESERVE DISABLE DO SELECT 1 */ ;
/*!50001 DROP VIEW IF EXISTS `v`*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select `a`.`id` AS `id` from `a` */;
-- Dump completed on 2026-11-21  3:00:00
";

#[test]
fn the_form_of_mysqldump() {
    let found = of_owner(MYSQLDUMP).unwrap();
    assert_eq!(
        found.texts(),
        [r"1,\'it\'\'s; \\\'q\\\'\',_binary \'x\'", "2,NULL,0xFF00", r"3,\'-- no comment /* */\',NULL"]
    );
    assert_eq!(found.rows[0].1, "id,t,b");
    assert!(found.definition("a").starts_with("CREATE TABLE `a` ("));
    let trigger = found.definition("g");
    assert!(trigger.starts_with("CREATE") && trigger.ends_with("SET @y = 2; END"), "{trigger}");
    assert!(trigger.contains("DEFINER=`root`@`localhost`") && !trigger.contains("/*!"), "{trigger}");
    let view = found.definition("v");
    assert!(view.ends_with("VIEW `v` AS select `a`.`id` AS `id` from `a`"), "{view}");
    let names: Vec<String> = found.objects.iter().map(|object| object.name().to_string()).collect();
    assert_eq!(names, ["a", "g", "v", "e"]);
    let skipped: Vec<&str> = found.skipped.iter().map(|skipped| skipped.statement.as_str()).collect();
    assert_eq!(skipped, ["SET session.sql_log_bin", "SET global.gtid_purged"]);
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let DumpedObject::Trigger(trigger) = &found.objects[1] else { panic!("no trigger") };
    assert_eq!((trigger.timing.as_str(), trigger.event.as_str()), ("BEFORE", "INSERT"));
    assert_eq!(trigger.context.sql_mode.as_deref(), Some("ANSI_QUOTES"));
    let DumpedObject::Table(table) = &found.objects[0] else { panic!("no table") };
    assert_eq!((table.auto_increment, table.row_count), (Some(4), 3));
    let DumpedObject::Event(event) = &found.objects[3] else { panic!("no event") };
    assert_eq!(event.status, "DISABLED");
}

#[test]
fn pieces_of_any_size_read_the_same() {
    let whole = of_owner(MYSQLDUMP).unwrap();
    for piece_bytes in [1, 2, 3, 7, 64, 1000] {
        let memory = Memory { piece_bytes, ..Memory::of(MYSQLDUMP) };
        let found = read(&memory, Vendor::MySql, ForeignTrust::ChosenByOwner).unwrap();
        assert_eq!((found.rows, found.statements), (whole.rows.clone(), whole.statements));
    }
}

#[test]
fn the_sandbox_line_of_mariadb_is_no_statement() {
    let text = "/*M!999999\\- enable the sandbox mode */ \nCREATE TABLE `a` (`b` int);\nINSERT INTO `a` VALUES (\\N);\n";
    let found = of_owner(text).unwrap();
    assert_eq!((found.texts(), found.statements), (vec!["NULL"], 2));
}

#[test]
fn keys_that_come_later_belong_to_the_definition() {
    let text = r#"-- phpMyAdmin SQL Dump
SET SQL_MODE = "NO_AUTO_VALUE_ON_ZERO";
START TRANSACTION;
SET time_zone = "+00:00";
/*!40101 SET NAMES utf8mb4 */;
CREATE TABLE `a` (
  `id` int(11) NOT NULL,
  `p` int(11) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `a` (`id`, `p`) VALUES
(1, NULL),
(2, 1);
--
ALTER TABLE `a`
  ADD PRIMARY KEY (`id`),
  ADD KEY `p` (`p`);
ALTER TABLE `a`
  MODIFY `id` int(11) NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=3;
ALTER TABLE `a`
  ADD CONSTRAINT `f` FOREIGN KEY (`p`) REFERENCES `a` (`id`) ON DELETE CASCADE;
DELIMITER $$
CREATE DEFINER=`u`@`%` PROCEDURE `r` ()   BEGIN SELECT ';'; END$$
DELIMITER ;
COMMIT;
"#;
    let found = of_owner(text).unwrap();
    let definition = found.definition("a");
    assert!(definition.contains("`id` int(11) NOT NULL AUTO_INCREMENT,"), "{definition}");
    assert!(
        definition.contains("PRIMARY KEY (`id`)") && definition.contains("KEY `p` (`p`)"),
        "{definition}"
    );
    assert!(definition.contains("ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT"), "{definition}");
    let DumpedObject::Table(table) = &found.objects[0] else { panic!("no table") };
    assert_eq!((table.spans.foreign_keys.len(), table.spans.secondary_keys.len()), (1, 1));
    let zone = table.foreign.as_ref().unwrap().time_zone.as_deref();
    assert_eq!(zone, Some("+00:00"));
    assert_eq!(found.texts(), ["1,NULL", "2,1"]);
    assert!(found.definition("r").ends_with("BEGIN SELECT ';'; END"));
}

#[test]
fn handwritten_definitions_get_their_quotes() {
    let text = "CREATE TABLE IF NOT EXISTS a (id INT NOT NULL auto_increment, price DECIMAL(8,2) DEFAULT 0, name \
        varchar(9), PRIMARY KEY(id), UNIQUE KEY n (name(4)), FOREIGN KEY (id) REFERENCES b (x), CONSTRAINT f FOREIGN KEY (id) REFERENCES c (y), \
        CONSTRAINT CHECK (price > 0), CONSTRAINT p CHECK (length(name) < 9)) ENGINE=MyISAM;\n\
        insert into a (id, name) values (1, \"it's\"), (-2, 'x' 'y');";
    let found = of_owner(text).unwrap();
    let definition = found.definition("a");
    assert!(definition.contains("`id` INT NOT NULL auto_increment, `price` DECIMAL(8,2)"), "{definition}");
    assert!(definition.contains("PRIMARY KEY(`id`), UNIQUE KEY `n` (`name`(4))"), "{definition}");
    assert!(
        definition.contains("CONSTRAINT `a_ibfk_1` FOREIGN KEY (`id`) REFERENCES `b` (`x`)"),
        "{definition}"
    );
    assert!(
        definition.contains("CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `c` (`y`)")
            && definition.contains("CONSTRAINT CHECK (price > 0), CONSTRAINT `p` CHECK (length(name) < 9)"),
        "{definition}"
    );
    assert_eq!(found.texts(), [r"1,\'it\\\'s\'", r"-2,\'x\' \'y\'"]);
}

#[test]
fn modes_and_character_sets_are_followed() {
    let text = b"CREATE TABLE `a` (`t` text, `b` blob);\nSET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES';\n\
        INSERT INTO \"a\" VALUES ('\\',x'00');\nSET sql_mode='';\nSET NAMES latin1;\n\
        INSERT INTO a VALUES ('\xe9','\xe9'),(N'n',0b1),(CONVERT('\xe9' USING utf8mb4),FROM_BASE64('AA=='));\n";
    let found = of_owner(text).unwrap();
    assert_eq!(
        found.texts(),
        [
            r"\'\\\\\',x\'00\'",
            r"_latin1\'\xe9\',_binary\'\xe9\'",
            r"N\'n\',0b1",
            r"convert(_latin1\'\xe9\' using  utf8mb4 ),from_base64(\'AA==\')",
        ]
    );
}

#[test]
fn a_dump_of_several_databases_must_say_which() {
    let text = "CREATE DATABASE `x`; USE `x`; CREATE TABLE `a` (`b` int); INSERT INTO `x`.`a` VALUES (1);\n\
        CREATE DATABASE IF NOT EXISTS `mysql`; USE `mysql`; INSERT INTO `user` VALUES (1);\n";
    let found = of_owner(text).unwrap();
    assert_eq!(found.rows.len(), 1);
    assert_eq!(found.skipped[0].statement, "INSERT INTO");
    let two = [text, "USE `y`; CREATE TABLE `b` (`c` int);"].concat();
    assert!(of_owner(&two).err().unwrap().contains("--dump-database"));
    let mut live = Live::empty(Vendor::MySql, Version(9, 7, 0));
    let request = ForeignRequest { from_database: Some(b"y".to_vec()), ..ForeignRequest::default() };
    let mut rows = Rows::default();
    let mut walk = Walk::new(&mut live, &request, &mut rows);
    walk.read(&Memory::of(&two)).map_err(Error::from).unwrap();
    let names: Vec<String> = walk.drafts.tables.iter().map(|table| table.name.to_string()).collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn sequences_go_on_where_they_stood() {
    let text = "CREATE SEQUENCE `s` start with 5 minvalue 1 increment by 1 cache 10 nocycle ENGINE=InnoDB;\n\
        DO SETVAL(`s`, 42, 0);\n";
    let found = of_owner(text).unwrap();
    let DumpedObject::Sequence(record) = &found.objects[0] else { panic!("no sequence") };
    assert_eq!(record.next_value, "42");
    assert!(found.definition("s").starts_with("CREATE SEQUENCE `s` start with 5"));
}

#[test]
fn values_of_computed_columns_are_left_out() {
    let text = "CREATE TABLE `a` (`g` int GENERATED ALWAYS AS (`b` * 2) VIRTUAL, `b` int, `h` int AS (`b`) STORED, `c` int);\n\
        INSERT INTO `a` VALUES (2,1,1,NULL),(4,2,DEFAULT,-3);\nINSERT INTO `a` (`c`,`g`,`b`) VALUES (7,0,0);\n";
    let found = of_owner(text).unwrap();
    assert_eq!(found.texts(), ["1,NULL", "2,-3", "7,0"]);
    assert_eq!((found.rows[0].1.as_str(), found.rows[2].1.as_str()), ("b,c", "c,b"));
}

/// Adminer writes bits, bytes and geometries as calls.
#[test]
fn calls_of_adminer_are_values() {
    let text = "CREATE TABLE `a` (`b` bit(9), `c` varbinary(9), `place` point);\n\
        INSERT INTO `a` VALUES (CONV('101', 2, 10) + 0, UNHEX('00FF'), ST_GeomFromText('POINT(1 2)', ST_SRID(place))),\n\
        (CONVERT(b'101', UNSIGNED),\tNULL,\tGeomFromText('POINT(1 2)', SRID(`place`)));\n";
    let found = of_owner(text).unwrap();
    assert_eq!(
        found.texts(),
        [
            r"conv(\'101\',2,10)+0,unhex(\'00FF\'),st_geomfromtext(\'POINT(1 2)\')",
            r"convert(b\'101\', unsigned ),NULL,geomfromtext(\'POINT(1 2)\')",
        ]
    );
}

/// The database of the dump is seldom called like the one that it is for.
#[test]
fn the_name_of_the_dumps_database_is_left_out() {
    let text = "CREATE TABLE `x`.`b` (`c` int, KEY (`c`));\n\
        CREATE TABLE `x`.`a` (`b` int, CONSTRAINT `f` FOREIGN KEY (`b`) REFERENCES `x`.`b` (`c`));\n\
        CREATE DEFINER=`u`@`h` VIEW `x`.`v` AS SELECT 1;\n\
        /*!50003 CREATE TRIGGER x.t BEFORE INSERT ON `x`.`a` FOR EACH ROW SET @a = 1 */;\n\
        CREATE VIEW `w` AS SELECT `x`.`a`.`b` FROM `x`.`a`;\n";
    let found = of_owner(text).unwrap();
    assert!(found.definition("a").starts_with("CREATE TABLE `a` ("));
    assert_eq!(found.definition("v"), "CREATE DEFINER=`u`@`h` VIEW `v` AS SELECT 1");
    assert_eq!(found.definition("t"), "CREATE TRIGGER t BEFORE INSERT ON `a` FOR EACH ROW SET @a = 1");
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(found.warnings[0].starts_with("w: its text names the database x"), "{:?}", found.warnings);
}

/// A definition is that of the server which it is for.
#[test]
fn versioned_comments_of_a_definition_are_settled() {
    let text = "CREATE TABLE `a` (\n  `b` int /*!50003 DEFAULT 3 */ /*!80023 INVISIBLE */,\n  `c` int /*M!100301 COMPRESSED */\n\
        ) ENGINE=InnoDB /*!99999 it's ; */ COMMENT='/*!50003 x */';\n\
        ALTER TABLE `a` ADD KEY `k` (`b`) /*!80000 INVISIBLE */;\n\
        /*!50001 CREATE TABLE `w` (`b` int) ENGINE=MyISAM */;\n";
    let on = |vendor| {
        let found = read(&Memory::of(text), vendor, ForeignTrust::ChosenByOwner).unwrap();
        assert_eq!(found.definition("w"), "CREATE TABLE `w` (`b` int) ENGINE=MyISAM");
        // A line break is shown as a sign.
        let shown = found.definition("a").replace('\u{fffd}', " ");
        shown.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ,", ",")
    };
    let head = "CREATE TABLE `a` ( `b` int DEFAULT 3";
    let tail = "ENGINE=InnoDB COMMENT='/*!50003 x */'";
    assert_eq!(on(Vendor::MariaDb), format!("{head}, `c` int COMPRESSED, KEY `k` (`b`) ) {tail}"));
    assert_eq!(on(Vendor::MySql), format!("{head} INVISIBLE, `c` int, KEY `k` (`b`) INVISIBLE ) {tail}"));
}

/// mydumper ends statements at the ends of lines, and keeps bodies from it by a blank.
#[test]
fn bodies_of_mydumper_end_at_the_end_of_a_line() {
    let name = "CREATE TABLE `a` (`t` text);\nINSERT INTO `a` VALUES (\"x\");\n";
    let body = "SET character_set_client = utf8mb3;\nCREATE trigger g before insert on a for each row begin set new.t='a;'; \n \
        if new.t = 'x' then set @a=1; end if; \nend;\nSET character_set_client = utf8mb4;\n";
    let files = [
        ("shop.a-schema.sql", ["/*!40101 SET NAMES binary*/;\n", name].concat()),
        ("shop.a-schema-triggers.sql.gz", body.to_owned()),
        ("shop-schema-post.sql", "CREATE PROCEDURE `p`()\nbegin select ';'; end;\n".to_owned()),
    ];
    let files = files.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect();
    let memory = Memory { files, piece_bytes: 5 };
    let found = read(&memory, Vendor::MariaDb, ForeignTrust::ChosenByOwner).unwrap();
    assert!(found.definition("g").ends_with("end if; \u{fffd}end"), "{}", found.definition("g"));
    assert!(found.definition("p").ends_with("begin select ';'; end"), "{}", found.definition("p"));
    assert_eq!((found.objects.len(), found.statements), (3, 7));
}
