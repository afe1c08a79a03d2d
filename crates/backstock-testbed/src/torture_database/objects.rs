//! Cases of views, sequences, definers and of what accounts can see.

use super::{Case, Survives, Torture};
use crate::error::TestbedError;

type Outcome = Result<(), TestbedError>;

pub(super) const CASES: &[Case] = &[
    Case::new("C66", Survives::StockClient, c66_objects_that_readers_do_not_see),
    Case::new("C67", Survives::StockClient, c67_routine_of_another),
    Case::new("C68", Survives::StockClient, c68_column_grants),
    Case::new("C69", Survives::StockClient, c69_table_without_grants),
    Case::new("C70", Survives::StockClient, c70_more_rows_than_the_select_limit),
    Case::new("C71", Survives::ReportOnly, c71_broken_views),
    Case::new("C72", Survives::StockClient, c72_view_order),
    Case::new("C73", Survives::StockClient, c73_view_text),
    Case::new("C82", Survives::StockClient, c82_sequences),
    Case::new("C83", Survives::StockClient, c83_definers),
];

/// Seen by root, hidden from an account that may only read: see [`super::create_accounts`].
fn c66_objects_that_readers_do_not_see(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c66_table (id INT PRIMARY KEY, v INT)",
        "INSERT INTO c66_table VALUES (1, 1)",
        "CREATE TRIGGER c66_trigger BEFORE UPDATE ON c66_table FOR EACH ROW SET NEW.v = NEW.v + 1",
        "CREATE PROCEDURE c66_procedure() SELECT 66",
    ])
}

fn c67_routine_of_another(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE USER IF NOT EXISTS 'c67_owner'@'localhost'",
        "CREATE DEFINER='c67_owner'@'localhost' PROCEDURE c67_owned() SELECT 67",
        "CREATE DEFINER='c67_owner'@'localhost' FUNCTION c67_function() RETURNS INT DETERMINISTIC RETURN 67",
    ])
}

fn c68_column_grants(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c68_columns (a INT PRIMARY KEY, secret INT)",
        "INSERT INTO c68_columns VALUES (1, 68), (2, 69)",
    ])
}

fn c69_table_without_grants(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c69_unseen (id INT PRIMARY KEY)",
        "INSERT INTO c69_unseen VALUES (1)",
        "CREATE VIEW c69_sees_it AS SELECT id FROM c69_unseen",
    ])
}

/// For servers started with `--sql-select-limit=2`.
fn c70_more_rows_than_the_select_limit(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c70_five (id INT PRIMARY KEY)",
        "INSERT INTO c70_five VALUES (1), (2), (3), (4), (5)",
    ])
}

/// No server creates a view over what is not there.
fn c71_broken_views(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c71_gone (a INT, b INT)",
        "CREATE VIEW c71_no_table AS SELECT a FROM c71_gone",
        "CREATE TABLE c71_less (a INT, b INT)",
        "CREATE VIEW c71_no_column AS SELECT b FROM c71_less",
        "CREATE VIEW c71_above AS SELECT * FROM c71_no_table",
        "DROP TABLE c71_gone",
        "ALTER TABLE c71_less DROP COLUMN b",
    ])
}

fn c72_view_order(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c72_rows (id INT PRIMARY KEY, v INT)",
        "INSERT INTO c72_rows VALUES (1, 5), (2, 6)",
        "CREATE FUNCTION c72_function(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
        "CREATE VIEW c72_z AS SELECT id, v FROM c72_rows",
        "CREATE VIEW c72_m AS SELECT id, c72_function(v) AS w FROM c72_z",
        "CREATE VIEW c72_a AS SELECT m.id, m.w, z.v FROM c72_m m JOIN c72_z z ON m.id = z.id",
    ])
}

fn c73_view_text(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c73_rows (id INT PRIMARY KEY, `a``b` VARCHAR(20) CHARACTER SET utf8mb4)",
        "INSERT INTO c73_rows VALUES (1, 'ä')",
        "CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW c73_check AS SELECT id FROM c73_rows WHERE id > 0 WITH LOCAL CHECK OPTION",
        "CREATE ALGORITHM=TEMPTABLE VIEW c73_temporary AS SELECT COUNT(*) AS `number; of` FROM c73_rows",
        "CREATE VIEW c73_text (x, `y z`) AS SELECT 'it''s ü 😀 /* no comment */', `a``b` FROM c73_rows",
        "SET NAMES latin1",
        "CREATE VIEW c73_latin1 AS SELECT id FROM c73_rows WHERE `a``b` = 'x'",
        "SET NAMES utf8mb4",
    ])
}

fn c82_sequences(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        t.cannot_hold("MySQL has no sequences");
        return Ok(());
    }
    t.run_all(&[
        "CREATE SEQUENCE c82_used START WITH 10 INCREMENT BY 3 MINVALUE -5 MAXVALUE 1000 CACHE 7",
        "DO NEXTVAL(c82_used), NEXTVAL(c82_used)",
        "CREATE SEQUENCE c82_cycled START WITH 1 MAXVALUE 2 NOCACHE CYCLE",
        "DO NEXTVAL(c82_cycled), NEXTVAL(c82_cycled), NEXTVAL(c82_cycled)",
        "CREATE SEQUENCE c82_spent START WITH 1 MAXVALUE 2 NOCACHE",
        "DO NEXTVAL(c82_spent), NEXTVAL(c82_spent)",
        "CREATE SEQUENCE c82_down START WITH -1 INCREMENT BY -2 MINVALUE -99 MAXVALUE -1",
        "CREATE SEQUENCE c82_new",
    ])
}

/// Definers that are another account, and one that no longer exists.
fn c83_definers(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE USER IF NOT EXISTS 'c83_user'@'%'",
        "CREATE USER 'c83_gone'@'%'",
        "CREATE TABLE c83_rows (id INT PRIMARY KEY)",
        "CREATE DEFINER='c83_user'@'%' VIEW c83_view AS SELECT id FROM c83_rows",
        "CREATE DEFINER='c83_gone'@'%' SQL SECURITY INVOKER VIEW c83_gone_view AS SELECT id FROM c83_rows",
        "CREATE DEFINER='c83_user'@'%' TRIGGER c83_trigger BEFORE INSERT ON c83_rows FOR EACH ROW SET @x = 1",
        "CREATE DEFINER='c83_gone'@'%' PROCEDURE c83_procedure() SQL SECURITY INVOKER SELECT 1",
    ])?;
    // MySQL protects accounts that own something unless the right to leave them dangling is held; root holds it.
    t.run("DROP USER 'c83_gone'@'%'")
}
