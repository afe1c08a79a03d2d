//! Cases of what runs inside the server: triggers, routines, packages, events, and the settings they were made under.

use super::{Case, Survives, Torture};
use crate::error::TestbedError;

type Outcome = Result<(), TestbedError>;

pub(super) const CASES: &[Case] = &[
    Case::new("C74", Survives::StockClient, c74_made_under_other_modes),
    Case::new("C75", Survives::StockClient, c75_context_of_routines),
    Case::new("C76", Survives::StockClient, c76_mode_names),
    Case::new("C77", Survives::StockClient, c77_trigger_order),
    Case::new("C78", Survives::StockClient, c78_triggers_with_effects),
    Case::new("C79", Survives::StockClient, c79_comments_in_bodies),
    Case::new("C80", Survives::StockClient, c80_packages),
    Case::new("C81", Survives::ReportOnly, c81_events_of_the_past),
    Case::new("C81", Survives::StockClient, c81_events_to_come),
];

fn c74_made_under_other_modes(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
        r#"CREATE TABLE "c74_ansi" ("a b" VARCHAR(20) DEFAULT 'back\slash' COMMENT 'x\y')"#,
        r#"INSERT INTO "c74_ansi" VALUES ('\n'), ('it''s'), (DEFAULT)"#,
        r"CREATE FUNCTION c74_function() RETURNS VARCHAR(40) DETERMINISTIC RETURN 'a\' || 'b'",
        "CREATE VIEW \"c74_view\" AS SELECT \"a b\" || '\\' AS x FROM \"c74_ansi\"",
        "SET sql_mode=''",
    ])
}

/// Made while the database had other defaults: the parameter's character set is decided by them for good.
fn c75_context_of_routines(t: &mut Torture<'_>) -> Outcome {
    let database = crate::database::quoted(t.database);
    t.run(&format!("ALTER DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"))?;
    t.run_all(&[
        "SET NAMES latin1 COLLATE latin1_swedish_ci",
        "SET sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,ALLOW_INVALID_DATES,HIGH_NOT_PRECEDENCE'",
        "CREATE FUNCTION c75_context(p VARCHAR(20)) RETURNS VARCHAR(20) DETERMINISTIC SQL SECURITY INVOKER COMMENT 'it''s' RETURN p",
        "SET NAMES utf8mb4",
        "SET sql_mode=''",
    ])?;
    t.run(&format!("ALTER DATABASE {database} CHARACTER SET latin1 COLLATE latin1_german2_ci"))?;
    t.run("CREATE PROCEDURE c75_plain(IN a INT, OUT b VARCHAR(9), INOUT c TEXT) MODIFIES SQL DATA SET b = a, c = 'ä😀'")
}

fn c76_mode_names(t: &mut Torture<'_>) -> Outcome {
    let mode =
        if t.is_mysql() { "TIME_TRUNCATE_FRACTIONAL" } else { "NO_AUTO_CREATE_USER,SIMULTANEOUS_ASSIGNMENT" };
    t.run(&format!("SET sql_mode='{mode}'"))?;
    t.run("CREATE PROCEDURE c76_mode() SELECT 1")?;
    t.run("SET sql_mode=''")
}

fn c77_trigger_order(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c77_order (id INT PRIMARY KEY, v VARCHAR(99))",
        "INSERT INTO c77_order VALUES (1, 'x')",
        "CREATE TRIGGER c77_middle BEFORE UPDATE ON c77_order FOR EACH ROW SET NEW.v = CONCAT(NEW.v, 'm')",
        "CREATE TRIGGER c77_z_first BEFORE UPDATE ON c77_order FOR EACH ROW PRECEDES c77_middle SET NEW.v = CONCAT(NEW.v, 'z')",
        "CREATE TRIGGER c77_a_last BEFORE UPDATE ON c77_order FOR EACH ROW FOLLOWS c77_middle SET NEW.v = CONCAT(NEW.v, 'a')",
    ])
}

fn c78_triggers_with_effects(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c78_rows (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE c78_log (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20))",
        "CREATE TRIGGER c78_insert AFTER INSERT ON c78_rows FOR EACH ROW INSERT INTO c78_log (what) VALUES (CONCAT('i', NEW.id))",
        "CREATE TRIGGER c78_delete AFTER DELETE ON c78_rows FOR EACH ROW INSERT INTO c78_log (what) VALUES (CONCAT('d', OLD.id))",
        "INSERT INTO c78_rows VALUES (1, 1), (2, 2)",
        "DELETE FROM c78_rows WHERE id = 1",
    ])
}

fn c79_comments_in_bodies(t: &mut Torture<'_>) -> Outcome {
    t.run(
        "CREATE PROCEDURE c79_comments()\nBEGIN\n  -- a comment; with 'a quote and DELIMITER //\n  /* block; */ /*! SELECT 1 */;\n  \
         # hash ;;\n  SELECT ';' AS `a;b`, \"it's\";\r\n\n\n  IF 1 THEN BEGIN END; END IF; /*!50003 SELECT 2 */;\nEND",
    )?;
    t.run("CREATE TABLE c79_table (id INT PRIMARY KEY)")?;
    t.run("CREATE TRIGGER c79_trigger BEFORE INSERT ON c79_table FOR EACH ROW /* why; */ BEGIN -- x\nSET NEW.id = NEW.id; END")
}

fn c80_packages(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        t.cannot_hold("MySQL has no packages");
        return Ok(());
    }
    t.run_all(&[
        "SET sql_mode=ORACLE",
        "CREATE PACKAGE c80_package AS FUNCTION twice(x INT) RETURN INT; PROCEDURE nothing; END",
        "CREATE PACKAGE BODY c80_package AS calls INT := 0; FUNCTION twice(x INT) RETURN INT AS BEGIN RETURN x * 2; END; \
         PROCEDURE nothing AS BEGIN NULL; END; END",
        "CREATE PACKAGE c80_head_only AS PROCEDURE later; END",
        "CREATE PROCEDURE c80_oracle (a OUT INT) AS BEGIN a := 5; END",
        "SET sql_mode=''",
    ])
}

fn c81_events_to_come(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET time_zone='+05:30'",
        "CREATE EVENT c81_daily ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 03:00:00' ON COMPLETION PRESERVE COMMENT 'it''s' \
         DO BEGIN SELECT ';'; END",
        "CREATE EVENT c81_once ON SCHEDULE AT '2037-06-01 12:00:00' DISABLE DO SELECT 1",
        "SET time_zone='+00:00'",
        "CREATE EVENT c81_span ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2036-01-01 00:00:00' ENDS '2037-02-01 00:00:00' DO SELECT 2",
    ])
}

/// An event whose time is over is dropped or disabled the moment it is created again.
fn c81_events_of_the_past(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET timestamp=1600000000",
        "CREATE EVENT c81_past_kept ON SCHEDULE AT '2020-09-13 13:00:00' ON COMPLETION PRESERVE DISABLE DO SELECT 3",
        "CREATE EVENT c81_past_ended ON SCHEDULE EVERY 1 DAY STARTS '2020-09-13 13:00:00' ENDS '2020-09-20 13:00:00' DISABLE DO SELECT 4",
        "SET timestamp=DEFAULT",
    ])
}
