//! The session in which a trigger, routine, view or event must be created, set up and taken back.

use super::super::ddl::Text;
use super::super::load::session;
use super::Worker;
use crate::error::Result;
use crate::record::SessionContext;

/// The server knows no such value for the variable.
const ERROR_WRONG_VALUE: u16 = 1231;
/// The server does not know the collation.
const ERROR_UNKNOWN_COLLATION: u16 = 1273;
/// The account may not change the database.
const ERROR_NO_DATABASE_RIGHT: u16 = 1044;

impl Worker<'_> {
    /// Sets the session up as an object's definition needs it.
    pub(super) fn enter(&mut self, name: &str, context: &SessionContext) -> Result<()> {
        if let Some(modes) = &context.sql_mode {
            self.set_modes(name, modes)?;
        }
        if let Some(zone) = &context.time_zone {
            let statement = Text::new("SET time_zone=").text(zone.as_bytes()).bytes();
            self.connection.execute(&statement)?;
        }
        for (variable, value) in [
            ("character_set_client", &context.character_set_client),
            ("collation_connection", &context.collation_connection),
        ] {
            if value.is_empty() {
                continue;
            }
            let statement = Text::new("SET ").sql(variable).sql("=").text(value.as_bytes()).bytes();
            match self.connection.execute(&statement) {
                Err(error) if error.code() == Some(ERROR_UNKNOWN_COLLATION) => {
                    self.notes
                        .push(format!("{name}: this server does not know {value}; its own default holds"));
                }
                other => {
                    other?;
                }
            }
        }
        Ok(())
    }

    /// Sets `sql_mode` to the modes that this server knows, and tells of the others.
    fn set_modes(&mut self, name: &str, modes: &str) -> Result<()> {
        let set = |modes: &str| Text::new("SET sql_mode=").text(modes.as_bytes()).bytes();
        match self.connection.execute(&set(modes)) {
            Err(error) if error.code() == Some(ERROR_WRONG_VALUE) => {}
            other => return other.map(drop),
        }
        let mut known = Vec::new();
        for mode in modes.split(',') {
            match self.connection.execute(&set(mode)) {
                Ok(_) => known.push(mode),
                Err(error) if error.code() == Some(ERROR_WRONG_VALUE) => {
                    self.notes.push(format!("{name}: this server has no sql_mode {mode}; it is left out"));
                }
                Err(error) => return Err(error),
            }
        }
        self.connection.execute(&set(&known.join(","))).map(drop)
    }

    /// Makes the session ours again.
    pub(super) fn leave(&mut self) -> Result<()> {
        session::reset_context(self.connection)
    }

    /// Gives the database the default collation under which an object was made: it decides the character set of
    /// undeclared parameters. Tells whether it was changed.
    pub(super) fn lend_collation(&mut self, name: &str, context: &SessionContext) -> Result<bool> {
        let Some(wanted) = context.database_collation.as_deref().filter(|wanted| !wanted.is_empty()) else {
            return Ok(false);
        };
        let present = self.query(b"SELECT @@collation_database")?;
        if present.single() == Some(wanted.as_bytes()) {
            return Ok(false);
        }
        match self.set_collation(wanted) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.code(), Some(ERROR_UNKNOWN_COLLATION | ERROR_NO_DATABASE_RIGHT)) => {
                self.notes.push(format!(
                    "{name}: it was made while the database's collation was {wanted}, which cannot be set here"
                ));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the default collation of the plan's database.
    pub(super) fn set_collation(&mut self, collation: &str) -> Result<()> {
        let head = Text::new("ALTER DATABASE ").name(self.database());
        self.run(&head.sql(" COLLATE = ").text(collation.as_bytes()).bytes()).map(drop)
    }
}
