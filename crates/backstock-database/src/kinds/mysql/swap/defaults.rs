//! The database's own defaults, and default values of columns that name a sequence.

use super::super::ddl::{ItemKind, Text, sequence_references, spans};
use super::Worker;
use crate::Vendor;
use crate::error::{Error, Result};
use crate::load::NewSide;
use crate::record::DatabaseFacts;

/// Gives the database these defaults, if the plan changes them at all.
pub(super) fn database(worker: &mut Worker<'_>, facts: &DatabaseFacts) -> Result<()> {
    if !worker.plan.changes_defaults {
        return Ok(());
    }
    let present = worker.query(b"SELECT @@collation_database")?;
    if present.single() != Some(facts.collation.as_bytes()) {
        let statement = Text::new("ALTER DATABASE ").name(worker.database()).sql(" CHARACTER SET = ");
        let statement = statement.text(facts.character_set.as_bytes()).sql(" COLLATE = ");
        worker.run(&statement.text(facts.collation.as_bytes()).bytes())?;
    }
    if worker.connection.vendor() == Vendor::MariaDb
        && worker.plan.source.comment != worker.plan.target.comment
    {
        let statement = Text::new("ALTER DATABASE ").name(worker.database()).sql(" COMMENT = ");
        worker.run(&statement.text(&facts.comment).bytes())?;
    }
    Ok(())
}

/// Forward, after the rename: default values that name a sequence by the name it had aside get its real name.
pub(super) fn name_sequences(worker: &mut Worker<'_>) -> Result<()> {
    let plan = worker.plan;
    let sequences: Vec<_> =
        plan.tables.iter().filter(|table| matches!(table.new, Some(NewSide::Sequence(_)))).collect();
    if sequences.is_empty() {
        return Ok(());
    }
    for (table, _) in plan.new_tables() {
        let definition = worker.definition(worker.database(), &table.name)?;
        let fault = |source| Error::Sql { object: format!("the definition of table {}", table.name), source };
        for reference in sequence_references(&definition).map_err(fault)? {
            let sequence = sequences.iter().find(|plan_of| plan.new_name(plan_of).0 == reference.name);
            let items = spans(&definition).map_err(fault)?.items;
            let item = items
                .iter()
                .find(|item| item.span.start <= reference.span.start && reference.span.end <= item.span.end);
            if let (Some(sequence), Some(item)) = (sequence, item)
                && let ItemKind::Column { name, .. } = &item.kind
            {
                let head = Text::new("ALTER TABLE ").name(&table.name).sql(" ALTER COLUMN ");
                let head = head.sql(name.text(&definition)).sql(" SET DEFAULT nextval(");
                worker.run(&head.name(worker.database()).sql(".").name(&sequence.name).sql(")").bytes())?;
            }
        }
    }
    Ok(())
}
