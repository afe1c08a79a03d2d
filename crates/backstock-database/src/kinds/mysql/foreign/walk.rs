//! One reading of a dump from its first byte to its last: statement by statement, row by row. The first reading counts,
//! the second one writes; both are this code.

use std::collections::BTreeSet;

use super::allow::{Act, act};
use super::code::{self, CodeKind};
use super::drafts::{Drafts, TableDraft};
use super::fault::{Fault, Outcome};
use super::live::Live;
use super::rows;
use super::script::Script;
use super::session::{Followed, Session};
use super::statement::{QualifiedName, Statement};
use super::{Trust, table, tool};
use crate::RawText;
use crate::foreign::{ForeignRequest, ForeignSource, SkippedStatements};
use crate::record::DumpedObject;

/// Databases that belong to the server.
const SYSTEM_DATABASES: [&[u8]; 4] = [b"mysql", b"sys", b"information_schema", b"performance_schema"];
/// Kinds of skipped statements that are told apart.
const SKIPPED_LIMIT: usize = 200;
/// Letters of a name.
const NAME_LIMIT: usize = 64;
/// A file of more statements is taken for damage.
const STATEMENTS_LIMIT: u64 = 100_000_000;

/// Takes rows. Called in the order of the file.
pub(super) trait RowSink {
    /// One row of a table, given its text without brackets.
    fn row(&mut self, table: &TableDraft, columns: &[Vec<u8>], row: &[u8], ignore: bool) -> Outcome<()>;

    /// Whether to stop.
    fn check_stop(&self) -> Outcome<()>;
}

/// A reading.
pub(super) struct Walk<'a> {
    pub(super) live: &'a mut Live,
    pub(super) request: &'a ForeignRequest,
    pub(super) sink: &'a mut dyn RowSink,
    pub(super) session: Session,
    pub(super) drafts: Drafts,
    pub(super) skipped: Vec<SkippedStatements>,
    pub(super) warnings: Vec<String>,
    pub(super) origin: tool::Origin,
    pub(super) statements: u64,
    pub(super) rows: u64,
    /// The database that the dump is of.
    pub(super) database: Option<Vec<u8>>,
    /// Whether statements now concern it.
    pub(super) is_current: bool,
    pub(super) other_character_sets: BTreeSet<String>,
    /// Triggers, routines and events of which the dump does not tell the mode.
    pub(super) without_mode: u64,
}

/// Where statements of a name belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belongs {
    Here,
    Elsewhere,
}

impl<'a> Walk<'a> {
    pub(super) fn new(live: &'a mut Live, request: &'a ForeignRequest, sink: &'a mut dyn RowSink) -> Self {
        let session = Session::new(live.defaults.clone());
        Self {
            live,
            request,
            sink,
            session,
            drafts: Drafts::default(),
            skipped: Vec::new(),
            warnings: Vec::new(),
            origin: tool::Origin::default(),
            statements: 0,
            rows: 0,
            database: request.from_database.clone(),
            is_current: true,
            other_character_sets: BTreeSet::new(),
            without_mode: 0,
        }
    }

    /// Reads all files. Gives the bytes of their text.
    pub(super) fn read(&mut self, source: &dyn ForeignSource) -> Outcome<u64> {
        let mut bytes = 0;
        for (at, file) in source.files().iter().enumerate() {
            let read = |source| Fault::Read { file: file.clone(), source };
            let input = source.open(at).map_err(read)?;
            let modes = Session::new(self.live.defaults.clone()).modes();
            let mut script = Script::open(file, input, modes)?;
            tool::refuse_other_formats(file, script.head())?;
            if let Some(delimiter) = tool::delimiter_of_file(file) {
                script.end_statements_with(delimiter);
            }
            let origin = tool::origin(script.head());
            if self.origin.made_by.is_empty() {
                self.origin = origin;
            }
            // Each file of a folder is a session of its own.
            self.session = Session::new(self.live.defaults.clone());
            while script.find_statement()? {
                self.statement(&mut script, file)?;
            }
            self.check_end(&script, file);
            bytes += script.bytes();
        }
        Ok(bytes)
    }

    fn check_end(&mut self, script: &Script<'_>, file: &str) {
        let trailer = self.origin.trailer;
        let tail = String::from_utf8_lossy(script.tail(tool::HEAD_BYTES)).into_owned();
        if !trailer.is_empty() && !tail.contains(trailer) {
            self.warnings.push(format!(
                "{file}: the last line that {} writes is missing: the dump may have been cut off between two statements",
                self.origin.made_by
            ));
        }
        let endings = script.line_endings();
        let has_bytes = self
            .drafts
            .tables
            .iter()
            .any(|table| table.row_count > 0 && table.columns.iter().any(|column| column.is_binary));
        if endings.with_return > 0 && endings.plain == 0 && has_bytes {
            self.warnings.push(format!(
                "{file}: every line ends as on Windows: if the whole file was converted, bytes in BLOBs were changed too"
            ));
        }
    }

    fn statement(&mut self, script: &mut Script<'_>, file: &str) -> Outcome<()> {
        self.statements += 1;
        if self.statements > STATEMENTS_LIMIT {
            return Err(script.fault("it has more statements than any dump"));
        }
        self.sink.check_stop()?;
        let line = script.line();
        let first = script.peek_token()?;
        if first.is_some_and(|token| rows::is_insert(script, &token)) {
            script.next_token()?;
            let head = rows::head(script)?;
            return self.insert(script, &head);
        }
        let server = &self.live.server;
        let statement = Statement::read(script, server.vendor, server.version)?;
        if statement.tokens.is_empty() {
            return Ok(());
        }
        let fault = |what: String| script.fault_at(line, what);
        self.act(&statement, file, &fault)?;
        script.set_modes(self.session.modes());
        Ok(())
    }

    fn act(&mut self, statement: &Statement, file: &str, fault: &dyn Fn(String) -> Fault) -> Outcome<()> {
        let found = act(statement, self.request.trust);
        let is_about_databases = matches!(
            found,
            Act::Set | Act::Use(_) | Act::CreateDatabase | Act::AlterDatabase | Act::Silent | Act::Refuse(_)
        );
        if !self.is_current && !is_about_databases {
            self.skip(statement.summary(), "it concerns another database of the dump", file, statement.line);
            return Ok(());
        }
        let refused = |what: String| fault(format!("{} is not run: {what}", statement.summary()));
        match found {
            Act::Silent => {}
            Act::Skip(why) => self.skip(statement.summary(), why, file, statement.line),
            Act::Refuse(why) => return Err(refused(why.to_owned())),
            Act::Set => return self.set(statement, file, fault),
            Act::Use(at) => return self.enter(statement.name(at), fault),
            Act::CreateDatabase => {
                let at = if statement.are(1, &["or", "replace"]) { 3 } else { 1 };
                return self.enter(statement.name(statement.past_if(at + 1)), fault);
            }
            Act::AlterDatabase => self.alter_database(statement),
            Act::CreateTable => {
                let made = table::create(statement, &self.session.client).map_err(refused)?;
                return self.create_table(made, statement, file, fault);
            }
            Act::AlterTable => {
                let (name, changes) = table::alter(statement, &self.session.client).map_err(refused)?;
                return self.change(&name, &changes, fault);
            }
            Act::CreateIndex => {
                let (name, changes) = table::create_index(statement).map_err(refused)?;
                return self.change(&name, &changes, fault);
            }
            Act::CreateCode(kind, at) => return self.create_code(statement, kind, at, file, fault),
            Act::CreateSequence => {
                let (name, record) = code::sequence(statement).map_err(refused)?;
                if self.belongs(&name, fault)? == Belongs::Here {
                    self.drafts.sequences.retain(|other| other.name != record.name);
                    self.drafts.sequences.push(record);
                }
            }
            Act::SequenceValue => {
                let value = code::sequence_value(statement);
                let (name, value, round) =
                    value.ok_or_else(|| refused("its sequence is not understood".to_owned()))?;
                let found = self.drafts.sequences.iter_mut().find(|sequence| sequence.name.0 == name.name);
                if let Some(sequence) = found {
                    sequence.next_value = value.to_string();
                    sequence.cycle_count = round;
                }
            }
            Act::DropTable(at) => return self.drop_tables(statement, at, fault),
            Act::Empty(at) => return self.empty(statement, at, fault),
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, statement: String, why: &str, file: &str, line: u64) {
        let mut skipped =
            SkippedStatements { statement, why: why.to_owned(), file: file.to_owned(), line, count: 1 };
        let same = |one: &SkippedStatements, other: &SkippedStatements| {
            one.statement == other.statement && one.why == other.why
        };
        let is_known = self.skipped.iter().any(|other| same(other, &skipped));
        if !is_known && self.skipped.len() >= SKIPPED_LIMIT {
            skipped.statement = "statements of further kinds".to_owned();
            skipped.why = "they are too many to name each".to_owned();
        }
        match self.skipped.iter_mut().find(|other| same(other, &skipped)) {
            Some(known) => known.count += 1,
            None => self.skipped.push(skipped),
        }
    }

    fn set(&mut self, statement: &Statement, file: &str, fault: &dyn Fn(String) -> Fault) -> Outcome<()> {
        match self.session.follow(statement) {
            Followed::Harmless => Ok(()),
            Followed::Unreadable(what) => Err(fault(what)),
            Followed::Foreign(what) if self.request.trust == Trust::Uploaded => {
                Err(fault(format!("{what} is not run: it reaches beyond the session")))
            }
            Followed::Foreign(what) => {
                self.skip(what, "it reaches beyond the session", file, statement.line);
                Ok(())
            }
        }
    }

    /// Follows USE and CREATE DATABASE.
    fn enter(&mut self, name: Option<Vec<u8>>, fault: &dyn Fn(String) -> Fault) -> Outcome<()> {
        let name = name.ok_or_else(|| fault("a database has no name".to_owned()))?;
        if self.request.from_database.is_none() && self.is_second(&name) {
            let (first, second) = (self.database.clone().unwrap_or_default(), RawText(name));
            return Err(fault(format!(
                "the dump holds the databases {} and {second}: name the one to take with --dump-database",
                RawText(first)
            )));
        }
        let is_system = SYSTEM_DATABASES.contains(&&name[..]);
        if self.database.is_none() && !is_system {
            self.database = Some(name.clone());
        }
        self.is_current = self.database.as_ref() == Some(&name);
        Ok(())
    }

    fn is_second(&self, name: &[u8]) -> bool {
        !SYSTEM_DATABASES.contains(&name) && self.database.as_ref().is_some_and(|database| database != name)
    }

    /// Whether a name concerns the database of the dump. One that names another database stops the file.
    pub(super) fn belongs(
        &mut self,
        name: &QualifiedName,
        fault: &dyn Fn(String) -> Fault,
    ) -> Outcome<Belongs> {
        if String::from_utf8_lossy(&name.name).chars().count() > NAME_LIMIT {
            return Err(fault(format!(
                "a name is longer than any server takes: {}",
                RawText(name.name.clone())
            )));
        }
        let Some(database) = &name.database else {
            return Ok(if self.is_current { Belongs::Here } else { Belongs::Elsewhere });
        };
        if SYSTEM_DATABASES.contains(&&database[..]) {
            return match self.request.trust {
                Trust::ChosenByOwner => Ok(Belongs::Elsewhere),
                Trust::Uploaded => {
                    Err(fault(format!("it names {}, a database of the server", RawText(database.clone()))))
                }
            };
        }
        let known = self.database.clone().or_else(|| self.origin.database.clone());
        match known {
            Some(known) if known == *database => Ok(Belongs::Here),
            None => {
                self.database = Some(database.clone());
                Ok(Belongs::Here)
            }
            Some(known) => Err(fault(format!(
                "it names the database {}, and the dump is of {}",
                RawText(database.clone()),
                RawText(known)
            ))),
        }
    }

    fn alter_database(&mut self, statement: &Statement) {
        let collate = (1..statement.tokens.len()).find(|at| statement.is(*at, "collate"));
        if let Some(at) = collate {
            let at = if statement.is_symbol(at + 1, b'=') { at + 2 } else { at + 1 };
            let text = String::from_utf8_lossy(statement.text_at(at)).into_owned();
            self.session.database_collation = Some(text.trim_matches(['\'', '"', '`']).to_owned());
        }
    }

    fn create_table(
        &mut self,
        made: (QualifiedName, Vec<u8>),
        statement: &Statement,
        file: &str,
        fault: &dyn Fn(String) -> Fault,
    ) -> Outcome<()> {
        let (name, definition) = made;
        if self.belongs(&name, fault)? == Belongs::Elsewhere {
            self.skip(statement.summary(), "it concerns another database", file, statement.line);
            return Ok(());
        }
        if self.request.trust == Trust::Uploaded {
            super::allow::refuse_clauses(&definition).map_err(fault)?;
        }
        let is_known = self.drafts.table(&name.name).is_some();
        let if_not_exists = (1..6).any(|at| statement.are(at, &["if", "not", "exists"]));
        if is_known && if_not_exists {
            return Ok(());
        }
        let draft =
            TableDraft::new(RawText(name.name), definition, self.live.server.vendor).map_err(fault)?;
        let place = self.drafts.add_table(draft).map_err(fault)?;
        self.refuse_other_databases(place, fault)
    }

    /// Refuses a table that refers to tables or sequences of another database.
    fn refuse_other_databases(&mut self, place: usize, fault: &dyn Fn(String) -> Fault) -> Outcome<()> {
        let named = table::databases(&self.drafts.tables[place].definition).map_err(fault)?;
        for database in named {
            let name = QualifiedName { database: Some(database), name: Vec::new(), end: 0 };
            if self.belongs(&name, fault)? == Belongs::Elsewhere {
                return Err(fault("it refers to a table of another database".to_owned()));
            }
        }
        Ok(())
    }

    fn change(
        &mut self,
        name: &QualifiedName,
        changes: &[table::Change],
        fault: &dyn Fn(String) -> Fault,
    ) -> Outcome<()> {
        if self.belongs(name, fault)? == Belongs::Here {
            let vendor = self.live.server.vendor;
            self.drafts.change_table(&name.name, changes, vendor).map_err(fault)?;
            if let Some((place, _)) = self.drafts.table(&name.name) {
                return self.refuse_other_databases(place, fault);
            }
        }
        Ok(())
    }

    fn create_code(
        &mut self,
        statement: &Statement,
        kind: CodeKind,
        at: usize,
        file: &str,
        fault: &dyn Fn(String) -> Fault,
    ) -> Outcome<()> {
        if code::is_cut(statement) {
            return Err(fault(
                "a body ends at its first semicolon: a DELIMITER line is missing before it".to_owned(),
            ));
        }
        let head = code::head(statement, kind, at).map_err(fault)?;
        if self.belongs(&head.name, fault)? == Belongs::Elsewhere {
            self.skip(statement.summary(), "it concerns another database", file, statement.line);
            return Ok(());
        }
        if let Some(table) = &head.table {
            self.belongs(table, fault)?;
        }
        let mut order = 1;
        if let Some(table) = &head.table {
            let word = |offset| statement.word(head.name.end + offset).to_ascii_uppercase();
            order = self.drafts.trigger_order(&table.name, &word(0), &word(1));
        }
        let elsewhere = self.database.as_ref().filter(|name| **name != self.live.database.name.0);
        if let Some(database) = elsewhere.filter(|name| code::names_database(statement, &head, name)) {
            self.warnings.push(format!(
                "{}: its text names the database {}, and is made as it stands",
                RawText(head.name.name.clone()),
                RawText(database.clone())
            ));
        }
        self.without_mode += u64::from(kind != CodeKind::View && !self.session.has_sql_mode());
        let object = code::record(statement, &head, &self.session, order);
        self.drafts.add_code(object).map_err(fault)
    }

    fn drop_tables(
        &mut self,
        statement: &Statement,
        at: usize,
        fault: &dyn Fn(String) -> Fault,
    ) -> Outcome<()> {
        let mut at = at;
        while let Some(name) = statement.qualified(at) {
            if self.belongs(&name, fault)? == Belongs::Here {
                self.drafts.forget_table(&name.name).map_err(fault)?;
                self.drafts
                    .code
                    .retain(|object| !matches!(object, DumpedObject::View(view) if view.name.0 == name.name));
            }
            if !statement.is_symbol(name.end, b',') {
                break;
            }
            at = name.end + 1;
        }
        Ok(())
    }

    /// TRUNCATE, or DELETE of everything.
    fn empty(&mut self, statement: &Statement, at: usize, fault: &dyn Fn(String) -> Fault) -> Outcome<()> {
        let name = statement.qualified(at).ok_or_else(|| fault("a TRUNCATE names no table".to_owned()))?;
        if self.belongs(&name, fault)? == Belongs::Elsewhere {
            return Ok(());
        }
        let place = self.place(&name.name, fault)?;
        let draft = &mut self.drafts.tables[place];
        if draft.row_count > 0 {
            return Err(fault(format!("the table {} is emptied after it was filled", draft.name)));
        }
        draft.is_emptied = true;
        if statement.is(0, "truncate") {
            draft.number_from_start().map_err(fault)?;
        }
        Ok(())
    }

    /// The draft of a table, made from the database where the dump does not define it.
    pub(super) fn place(&mut self, name: &[u8], fault: &dyn Fn(String) -> Fault) -> Outcome<usize> {
        if let Some((at, _)) = self.drafts.table(name) {
            return Ok(at);
        }
        let readable = RawText(name.to_vec());
        let live = self.live.table(name).map_err(Fault::Other)?.ok_or_else(|| {
            fault(format!("the table {readable} is neither made by the dump nor in the database"))
        })?;
        if live.name.0 != name {
            return Err(fault(format!("the table {readable} is called {} in the database", live.name)));
        }
        self.drafts.add_live(live, self.live.server.vendor).map_err(fault)
    }

    /// The character sets in which rows are written.
    pub(super) fn character_sets(&self) -> impl Iterator<Item = &str> {
        self.other_character_sets.iter().map(String::as_str)
    }
}
