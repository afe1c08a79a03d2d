//! What a working shop has in its database, as data: the caller writes the SQL, asks a restored database, and judges.

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SanitySubject {
    /// The newest order: its number and date.
    NewestOrder,
    /// How many products a visitor can see.
    ActiveProducts,
    /// Accounts that may administer the shop: how many, never who.
    AdminAccounts,
}

/// One thing to look for, in one table or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanityCheck {
    /// What is looked for.
    pub subject: SanitySubject,
    /// Where it may be. What is found in all of them together counts.
    pub sources: Vec<SanitySource>,
}

/// A table, and which of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanitySource {
    /// Table, prefix applied.
    pub table: String,
    /// Conditions, all of which hold.
    pub conditions: Vec<SanityCondition>,
    /// Of the newest row: the column that orders, and the columns that are shown. None where rows are only counted.
    pub newest: Option<(String, Vec<String>)>,
    /// Whether other things are kept in the table too, so that its rows say nothing about what is looked for.
    pub is_shared: bool,
}

/// One condition of a [`SanitySource`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SanityCondition {
    /// The column equals one of the texts.
    Is {
        /// Column.
        column: String,
        /// Texts.
        any_of: Vec<String>,
    },
    /// The column holds a text somewhere.
    Holds {
        /// Column.
        column: String,
        /// The text, without `%`, `_` and `\`.
        text: String,
    },
    /// The column equals that of a row of another table.
    Among {
        /// Column.
        column: String,
        /// The other table, prefix applied.
        table: String,
        /// Its column.
        of: String,
        /// Which of its rows.
        conditions: Vec<SanityCondition>,
    },
}

impl SanityCheck {
    /// Looks in one table.
    pub(crate) fn one(subject: SanitySubject, source: SanitySource) -> Self {
        Self { subject, sources: vec![source] }
    }
}

impl SanitySource {
    /// All rows of a table, counted.
    pub(crate) fn of(table: String) -> Self {
        Self { table, conditions: Vec::new(), newest: None, is_shared: false }
    }

    /// Only rows with this value.
    pub(crate) fn with(mut self, column: &str, value: &str) -> Self {
        self.conditions.push(is(column, value));
        self
    }

    /// The newest row by a column, of which some are shown.
    pub(crate) fn newest(mut self, by: &str, shown: &[&str]) -> Self {
        self.newest = Some((by.to_owned(), shown.iter().map(|&column| column.to_owned()).collect()));
        self
    }

    /// Other things are in the table too.
    pub(crate) fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }
}

/// A column equals a text.
pub(crate) fn is(column: &str, value: &str) -> SanityCondition {
    SanityCondition::Is { column: column.to_owned(), any_of: vec![value.to_owned()] }
}
