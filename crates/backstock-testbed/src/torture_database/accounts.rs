//! The accounts that a shop's backup may run under, from root down to grants on single columns.

use crate::database::quoted;
use crate::error::TestbedError;
use crate::server::Server;
use mysql::prelude::Queryable;

/// An account and what it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name to log in with.
    pub user: &'static str,
    /// Its password.
    pub password: &'static str,
    /// What it may do, in words.
    pub rights: &'static str,
    /// Whether it sees enough for a complete backup.
    pub is_enough: bool,
}

const PASSWORD: &str = "correct horse battery";

/// Makes one account per kind of rights on the database, each `@'%'` and `@'localhost'`.
///
/// # Errors
/// [`TestbedError::Database`].
pub fn create_accounts(server: &Server, database: &str) -> Result<Vec<Account>, TestbedError> {
    let pattern = quoted(&database.replace('_', "\\_"));
    let exact = quoted(database);
    let mut connection = server.connect("")?;
    let account = |user, rights, is_enough| Account { user, password: PASSWORD, rights, is_enough };
    let accounts = vec![
        account("bk_schema", "all rights on the schema", true),
        account("bk_select", "SELECT only", false),
        account("bk_reader", "SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES", true),
        account("bk_columns", "SELECT on one column of one table", false),
        account("bk_some_tables", "SELECT on one table", false),
    ];
    for account in &accounts {
        for host in ["%", "localhost"] {
            let name = format!("'{}'@'{host}'", account.user);
            let grant = match account.user {
                "bk_schema" => format!("GRANT ALL ON {pattern}.* TO {name}"),
                "bk_select" => format!("GRANT SELECT ON {pattern}.* TO {name}"),
                "bk_reader" => {
                    format!("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON {pattern}.* TO {name}")
                }
                "bk_columns" => format!("GRANT SELECT (a) ON {exact}.c68_columns TO {name}"),
                _ => format!("GRANT SELECT ON {exact}.c70_five TO {name}"),
            };
            for statement in [format!("CREATE USER IF NOT EXISTS {name} IDENTIFIED BY '{PASSWORD}'"), grant] {
                connection
                    .query_drop(&statement)
                    .map_err(|error| TestbedError::database(format!("run {statement}"), error))?;
            }
        }
    }
    Ok(accounts)
}
