//! How many rows each table had when a backup was made: kept in the state folder, sealed with the instance's key, since the
//! server cannot open its own sealed backups and the names of tables are nobody's business.

use backstock_catalog::Backup;
use backstock_database::{Contents, DumpReport, DumpedObject, RawText};
use backstock_host::seal;
use backstock_platform::ShopLayout;
use backstock_vocabulary::{BackupId, SetId};
use serde::{Deserialize, Serialize};

use crate::backup::{AskedTables, ReportedProblem};
use crate::environment::Environment;
use crate::error::{Doing, Result};

/// A file of more bytes is none: 100,000 tables with long names have fewer.
const SIZE_LIMIT_BYTES: u64 = 32 << 20;

/// The rows of each table of one backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableCounts {
    /// Which tables the backup was asked for.
    pub(super) asked: AskedTables,
    pub(super) tables: Vec<TableCount>,
    /// What could not be dumped, as its problems name it.
    pub(super) not_dumped: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableCount {
    pub(super) name: RawText,
    /// None where the rows are not in the backup.
    pub(super) rows: Option<u64>,
    /// Without it, it is not this kind of shop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_core: bool,
    /// Its rows come and go by themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_noise: bool,
}

impl TableCounts {
    pub(crate) fn of(
        report: &DumpReport,
        asked: AskedTables,
        problems: &[ReportedProblem],
        layout: Option<&ShopLayout>,
    ) -> Self {
        let tables = report.objects.iter().filter_map(|object| match object {
            DumpedObject::Table(table) => Some(TableCount {
                name: table.name.clone(),
                rows: (table.contents == Contents::Included).then_some(table.row_count),
                is_core: layout.is_some_and(|layout| {
                    layout.important_tables.iter().any(|name| name.as_bytes() == table.name.as_bytes())
                }),
                is_noise: layout.is_some_and(|layout| layout.is_noise_table(table.name.as_bytes())),
            }),
            _ => None,
        });
        let not_dumped = problems.iter().filter(|problem| problem.is_exception);
        Self {
            asked,
            tables: tables.collect(),
            not_dumped: not_dumped.map(|problem| problem.subject.clone()).collect(),
        }
    }
}

fn purpose(backup: BackupId) -> String {
    format!("the numbers of rows in the backup {backup}")
}

/// Keeps the counts of a backup, durably.
pub(crate) fn keep(
    environment: &Environment,
    set: SetId,
    backup: BackupId,
    counts: &TableCounts,
) -> Result<()> {
    let files = &environment.host.files;
    let purpose = purpose(backup);
    let act = || format!("keeping {purpose}");
    files.create_folder(&environment.state.files_indexes(set)).doing(act())?;
    let bytes = serde_json::to_vec(counts).doing(act())?;
    let random = environment.host.random.as_ref();
    let sealed = seal::seal(&environment.key, random, &purpose, &bytes).doing(act())?;
    files.write_durably(&environment.state.table_counts(set, backup), &sealed).doing(act())
}

/// Opens the counts of a backup. The error is why they cannot be used.
pub(super) fn open(environment: &Environment, backup: &Backup) -> std::result::Result<TableCounts, String> {
    let path = environment.state.table_counts(backup.set, backup.id);
    let what = purpose(backup.id);
    let sealed = environment.host.files.read(&path, SIZE_LIMIT_BYTES);
    let sealed = sealed.map_err(|_| format!("{what} are not in the state folder"))?;
    let damaged = |error: &dyn std::fmt::Display| format!("{what} cannot be used: {error}");
    let bytes = seal::open(&environment.key, &what, &sealed).map_err(|error| damaged(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| damaged(&error))
}
