//! What must be refused, with its line.

use super::*;

fn refused(text: &str) -> String {
    match of_owner(text) {
        Err(error) => error,
        Ok(_) => panic!("taken: {text}"),
    }
}

const TABLE: &str = "CREATE TABLE `a` (`b` int);\n";

#[test]
fn files_that_were_cut_are_refused_with_their_line() {
    for (rest, line) in [
        ("INSERT INTO `a` VALUES (1),(2", 2),
        ("INSERT INTO `a` VALUES (1),(2)", 2),
        ("INSERT INTO `a` VALUES\n('x", 3),
        ("/* \n", 2),
        ("DELIMITER ;;\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a=1;", 3),
        ("CREATE TABLE `c` (\n`d` int", 2),
    ] {
        let error = refused(&[TABLE, rest].concat());
        assert!(error.contains(&format!("line {line}:")), "{rest}: {error}");
        assert!(error.contains("cut off"), "{rest}: {error}");
    }
}

#[test]
fn what_is_no_dump_is_refused() {
    for (text, what) in [
        ("UPDATE a SET b=1;", "changes rows"),
        ("DELETE FROM a WHERE b=1;", "changes rows"),
        ("LOAD DATA INFILE '/etc/passwd' INTO TABLE a;", "reads a file"),
        ("INSERT INTO a SELECT * FROM mysql.user;", "SELECT stands where VALUES"),
        ("INSERT INTO a SET b=1;", "stands where VALUES"),
        ("INSERT INTO a VALUES ((SELECT 1));", "only plain values"),
        ("INSERT INTO a VALUES (LOAD_FILE('x'));", "only plain values"),
        ("INSERT INTO a VALUES (@@version);", "only plain values"),
        ("INSERT INTO a VALUES (1+1);", "only plain values"),
        ("INSERT INTO a VALUES (1) ON DUPLICATE KEY UPDATE b=2;", "ON stands behind"),
        ("INSERT INTO a VALUES (1,2);", "2 values for 1 columns"),
        ("INSERT INTO a (c) VALUES (1);", "which the table a does not have"),
        ("INSERT INTO a VALUES (/*!50003 1 */);", "versioned comment"),
        ("INSERT INTO other.a VALUES (1); INSERT INTO more.a VALUES (1);", "names the database more"),
        ("CREATE TABLE c LIKE a;", "made like another"),
        ("CREATE TABLE c (d int) SELECT 1;", "from a query"),
        ("CREATE TEMPORARY TABLE c (d int);", "temporary"),
        ("\\! rm -rf /", "outside of quotes"),
        ("system rm -rf /;", "command of a client"),
        ("source /etc/passwd;", "command of a client"),
        ("SET sql_mode=@x.y();", "not known here"),
        ("SET NAMES gbk;", "character set gbk"),
        ("/*!5000 SET @a=1 */;", "servers read in different ways"),
        ("/*!500031+*/;", "servers read in different ways"),
        (
            "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a=1; END;",
            "DELIMITER line is missing",
        ),
        ("FROBNICATE a;", "not known"),
        ("RENAME TABLE a TO c;", "changes an object"),
        ("SELECT 1 INTO OUTFILE '/tmp/x';", "writes a file"),
        ("INSERT INTO a VALUES (UNHEX('00')+1);", "only plain values"),
        ("INSERT INTO a VALUES (1+0);", "only plain values"),
        ("INSERT INTO a VALUES (ST_GeomFromText('x', SRID(SELECT b)));", "only plain values"),
        (
            "CREATE TABLE c (d int, FOREIGN KEY (d) REFERENCES x.a (b)) /* */; CREATE TABLE y.d (e int);",
            "names the database y",
        ),
        (
            "CREATE TABLE x.c (d int); ALTER TABLE c ADD CONSTRAINT f FOREIGN KEY (d) REFERENCES `y`.`e` (f);",
            "names the database y",
        ),
        ("CREATE TABLE x.c (d int) ENGINE=MERGE UNION=(`c`,`y`.`e`);", "names the database y"),
        ("CREATE TABLE x.c (d int DEFAULT nextval(`y`.`e`));", "names the database y"),
        ("CREATE TABLE c (d int, FOREIGN KEY (d) REFERENCES mysql.user (b));", "of another database"),
        // A server reads no quotes in a comment that it does not run.
        ("CREATE TABLE c (d int /*!999999 ' */) SELECT * FROM mysql.user /* ' */;", "from a query"),
        ("/*!999999 ' */ UPDATE a SET b=1; /* ' */", "changes rows"),
        ("/*!999999 /* ' */ no */ UPDATE a SET b=1;", "changes rows"),
        ("/*!999999 /* ' */ no", "cut off"),
        ("DELIMITER \n", "no usable delimiter"),
        ("SELECT 1\0;", "outside of quotes"),
    ] {
        let error = refused(&[TABLE, text].concat());
        assert!(error.contains(what), "{text:?}: {error}");
        assert!(error.contains("line 2:") || error.contains("line 3:"), "{text:?}: {error}");
    }
}

#[test]
fn strangers_may_less_than_owners() {
    for text in [
        "GRANT ALL ON *.* TO x;",
        "SET GLOBAL general_log=1;",
        "CREATE USER x;",
        "FLUSH PRIVILEGES;",
        "SELECT 1;",
        "INSERT INTO a VALUES (NOW());",
        "CREATE TABLE c (d int) ENGINE=FEDERATED CONNECTION='mysql://x';",
        "CREATE TABLE c (d int) DATA DIRECTORY='/tmp';",
        "CREATE TABLE c (d int) /*!50003 DATA DIRECTORY='/tmp' */;",
        "CREATE TABLE c (d int) PARTITION BY HASH (d) (PARTITION p DATA DIRECTORY='/tmp');",
        "CREATE TABLE c (d int) ENGINE=InnoDB ENCRYPTION='Y';",
        "SHOW TABLES;",
        "INSERT INTO mysql.user VALUES (1);",
        "PREPARE s FROM 'DROP TABLE a';",
        "DROP USER x;",
        "CHANGE MASTER TO MASTER_LOG_FILE='x';",
        "SET @@GLOBAL.GTID_PURGED='x';",
        "CALL p();",
    ] {
        let text = [TABLE, text].concat();
        assert!(of_owner(&text).is_ok(), "{text}: {:?}", of_owner(&text).err());
        let error = uploaded(&text).err().unwrap_or_else(|| panic!("taken: {text}"));
        assert!(error.contains("line 2"), "{error}");
    }
    let code = "CREATE TABLE `a` (`b` int);\nCREATE VIEW v AS SELECT 1;\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET @a=1;\n";
    assert_eq!(of_owner(code).unwrap().objects.len(), 3);
    let found = uploaded(code).unwrap();
    assert_eq!((found.objects.len(), found.skipped.len()), (1, 2));
}

#[test]
fn names_and_brackets_have_limits() {
    let name = "n".repeat(65);
    assert!(refused(&format!("CREATE TABLE `{name}` (a int);")).contains("longer than any server takes"));
    assert!(of_owner(format!("CREATE TABLE `{}` (a int);", &name[1..])).is_ok());
    let deep = ["CREATE TABLE a (b int DEFAULT ", &"(".repeat(1001), "1", &")".repeat(1001), ");"].concat();
    assert!(refused(&deep).contains("deeper than in any dump"));
}

/// Whatever is not run is counted, however many kinds of it there are.
#[test]
fn what_is_skipped_is_counted_to_the_last() {
    let text: String = (0..300).map(|number| format!("SET GLOBAL g{number}=1;\n")).collect();
    let found = of_owner(text).unwrap();
    assert_eq!(found.skipped.iter().map(|skipped| skipped.count).sum::<u64>(), 300);
    assert_eq!((found.skipped.len(), found.skipped[0].line), (201, 1));
    assert_eq!(found.skipped[0].statement, "SET GLOBAL g0");
}

#[test]
fn utf_16_is_named() {
    let text: Vec<u8> = "CREATE TABLE a (b int);".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(of_owner(&text).err().unwrap().contains("UTF-16"));
    let marked = [&[0xff, 0xfe][..], &text].concat();
    assert!(of_owner(marked).err().unwrap().contains("UTF-16"));
    let utf8 = ["\u{feff}", TABLE].concat();
    assert_eq!(of_owner(utf8).unwrap().objects.len(), 1);
}

#[test]
fn lines_of_windows_are_told_where_bytes_may_have_changed() {
    let text = "CREATE TABLE `a` (`b` blob);\r\nINSERT INTO `a` VALUES ('x\r\ny');\r\n";
    let found = of_owner(text).unwrap();
    assert_eq!(found.texts(), [r"\'x\r\ny\'"]);
    assert!(found.warnings[0].contains("as on Windows"), "{:?}", found.warnings);
    assert!(
        of_owner("CREATE TABLE `a` (`b` int);\r\nINSERT INTO `a` VALUES (1);\r\n")
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn an_end_that_is_missing_is_told() {
    let text = "-- MySQL dump 10.13  Distrib 8.0.36\nCREATE TABLE `a` (`b` int);\n";
    assert!(of_owner(text).unwrap().warnings[0].contains("may have been cut off"));
}
