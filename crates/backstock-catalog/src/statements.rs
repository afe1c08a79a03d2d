//! One macro, so that every SQL statement is a constant and a test can prepare them all.

/// Declares SQL statements as constants, and `STATEMENTS`, the list of them.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*

        /// Every statement of this file.
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name),)*];
    };
}

pub(crate) use statements;

#[cfg(test)]
mod tests {
    use sqlx::{Executor, SqlSafeStr};

    use crate::tests::Scratch;

    const ALL: &[(&str, &[(&str, &str)])] = &[
        ("acceptances", crate::acceptances::STATEMENTS),
        ("backups", crate::backups::STATEMENTS),
        ("checks", crate::checks::STATEMENTS),
        ("confirmations", crate::confirmations::STATEMENTS),
        ("destinations", crate::destinations::STATEMENTS),
        ("drills", crate::drills::STATEMENTS),
        ("export", crate::export::STATEMENTS),
        ("history", crate::history::STATEMENTS),
        ("imports", crate::imports::STATEMENTS),
        ("leases", crate::leases::STATEMENTS),
        ("link_requests", crate::link_requests::STATEMENTS),
        ("links", crate::links::STATEMENTS),
        ("locks", crate::locks::STATEMENTS),
        ("marks", crate::marks::STATEMENTS),
        ("migrations", crate::migrations::STATEMENTS),
        ("notices", crate::notices::STATEMENTS),
        ("pins", crate::pins::STATEMENTS),
        ("problems", crate::problems::STATEMENTS),
        ("replicas", crate::replicas::STATEMENTS),
        ("runs", crate::runs::STATEMENTS),
        ("sets", crate::sets::STATEMENTS),
        ("shops", crate::shops::STATEMENTS),
        ("storages", crate::storages::STATEMENTS),
        ("strangers", crate::strangers::STATEMENTS),
    ];

    #[tokio::test]
    async fn sqlite_accepts_every_statement() {
        let scratch = Scratch::new();
        let catalog = scratch.open().await;
        for (file, statements) in ALL {
            for (name, sql) in *statements {
                let prepared = catalog.pool().prepare(sqlx::AssertSqlSafe(*sql).into_sql_str()).await;
                assert!(prepared.is_ok(), "{file}.rs: {name}: {}", prepared.unwrap_err());
            }
        }
    }

    #[test]
    fn no_statement_uses_what_only_one_vendor_knows() {
        let migrations = crate::migrations::MIGRATIONS.iter().map(|migration| migration.sql);
        for sql in ALL.iter().flat_map(|(_, list)| list.iter().map(|(_, sql)| *sql)).chain(migrations) {
            let text = sql.to_lowercase();
            for word in [
                "insert or ",
                "or ignore",
                "autoincrement",
                "rowid",
                "glob ",
                "ifnull",
                "datetime(",
                "json",
                "strftime",
                "?",
                "`",
                "pragma",
                "now()",
                "ilike",
                "::",
                "blob",
                "bytea",
                "serial",
                "collate",
            ] {
                let commentless: Vec<_> = text.lines().filter(|line| !line.starts_with("--")).collect();
                assert!(!commentless.join("\n").contains(word), "{word:?} in {sql}");
            }
        }
    }

    #[test]
    fn every_statement_of_the_source_is_among_them() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let file = path.file_stem().unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            if file == "statements" || file == "tests" {
                continue;
            }
            for needle in ["query(\"", "raw_sql(\"", "query_as(", "query_scalar(", "AssertSqlSafe(format"] {
                assert!(!code.contains(needle), "{file}.rs: SQL outside of statements!");
            }
            let listed = ALL.iter().any(|(name, _)| *name == file);
            assert_eq!(code.contains("statements! {"), listed, "{file}.rs");
        }
    }
}
