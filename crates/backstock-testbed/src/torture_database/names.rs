//! Cases of names: of tables, columns, keys, triggers and of the database.

use super::{Case, Survives, Torture};
use crate::database::quoted;
use crate::error::TestbedError;

type Outcome = Result<(), TestbedError>;

pub(super) const CASES: &[Case] = &[
    Case::new("C88", Survives::StockClient, c88_odd_names),
    Case::new("C89", Survives::StockClient, c89_names_that_end_comments),
    Case::new("C90", Survives::StockClient, c90_names_that_differ_in_case),
    Case::new("C91", Survives::StockClient, c91_names_that_are_paths),
    Case::new("C92", Survives::StockClient, c92_defaults_of_the_database),
    Case::new("C93", Survives::StockClient, c93_bodies_that_name_the_database),
];

fn table_with_name(t: &mut Torture<'_>, name: &str) -> Outcome {
    let name = quoted(name);
    t.run(&format!("CREATE TABLE {name} ({name} INT PRIMARY KEY, v INT, KEY {name} (v))"))?;
    t.run(&format!("INSERT INTO {name} VALUES (1, 1), (2, NULL)"))
}

fn c88_odd_names(t: &mut Torture<'_>) -> Outcome {
    let longest = format!("c88{}", "n".repeat(61));
    for name in [
        "c88 `tick",
        "c88'quote\"s",
        "c88.dot",
        "c88\nline;-- DROP",
        " c88 leading",
        "c88\\n",
        "c88äöü漢字",
        "select",
        "1234",
        "c88$",
        "c88@x",
        "c88 -- x",
        "c88;",
        "c88#x",
        "c88%s",
        &longest,
    ] {
        table_with_name(t, name)?;
    }
    let view = quoted("c88 view `\n'");
    t.run(&format!("CREATE VIEW {view} AS SELECT * FROM `c88.dot`"))?;
    t.run("CREATE PROCEDURE `c88 ``pro;c` () SELECT 1")
}

fn c89_names_that_end_comments(t: &mut Torture<'_>) -> Outcome {
    table_with_name(t, "c89 a*/b")?;
    table_with_name(t, "c89 /*!x")?;
    t.run("CREATE TRIGGER `c89 t*/r` BEFORE INSERT ON `c89 a*/b` FOR EACH ROW SET NEW.v = 1")
}

fn c90_names_that_differ_in_case(t: &mut Torture<'_>) -> Outcome {
    for (name, value) in [("c90_Case", 1), ("c90_case", 2), ("c90_CASE", 3)] {
        t.run(&format!("CREATE TABLE {name} (id INT PRIMARY KEY)"))?;
        t.run(&format!("INSERT INTO {name} VALUES ({value})"))?;
    }
    Ok(())
}

fn c91_names_that_are_paths(t: &mut Torture<'_>) -> Outcome {
    ["..", "CON", "c91/../../x", "c91%00", "~", "c91\\x", "-rf"]
        .iter()
        .try_for_each(|name| table_with_name(t, name))
}

/// The database was created with defaults that are none of the server's; here a table takes them over.
fn c92_defaults_of_the_database(t: &mut Torture<'_>) -> Outcome {
    if !t.is_mysql() {
        let database = quoted(t.database);
        t.run(&format!("ALTER DATABASE {database} COMMENT 'it''s a shop; -- really'"))?;
    }
    t.run("CREATE TABLE c92_inherits (v VARCHAR(9))")?;
    t.run("INSERT INTO c92_inherits VALUES ('ß')")
}

fn c93_bodies_that_name_the_database(t: &mut Torture<'_>) -> Outcome {
    let database = quoted(t.database);
    t.run("CREATE TABLE c93_rows (id INT PRIMARY KEY)")?;
    t.run(&format!("CREATE PROCEDURE c93_names() SELECT * FROM {database}.c93_rows"))?;
    t.run(&format!(
        "CREATE TRIGGER c93_trigger AFTER DELETE ON c93_rows FOR EACH ROW INSERT INTO {database}.c93_rows VALUES (0)"
    ))
}
