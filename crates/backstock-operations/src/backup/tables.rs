//! Which tables a backup takes, and how much of them: the platform's list, what a person asks for, and what must not be
//! left out.

use backstock_database::{Pattern, TableSelection, list_tables};
use backstock_platform::ShopLayout;
use backstock_vocabulary::Scope;

use super::plan::{BackupRequest, DatabasePlan};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::restore::Journal;
use crate::subject::{ShopDatabase, Subject};

/// The database part of a plan.
pub(super) fn database_plan(
    environment: &Environment,
    subject: &Subject,
    request: &BackupRequest,
    journals: &[Journal],
) -> Result<DatabasePlan> {
    let database = subject.require_database()?.clone();
    let by_hand = patterns(&request.exclude_table)?;
    let excluded_entirely = patterns(&request.exclude_table_entirely)?;
    if let Some(layout) = &subject.layout {
        refuse_protected(&database, layout, by_hand.iter().chain(&excluded_entirely))?;
    }
    let mut contents_excluded = by_hand;
    if let Some(layout) = subject.layout.as_ref().filter(|_| request.default_exclusions) {
        for excluded in &layout.excluded_contents {
            contents_excluded.push(exact_or_star(&excluded.pattern)?);
        }
    }
    let selection =
        TableSelection { only: patterns(&request.only_tables)?, contents_excluded, excluded_entirely };
    let mut not_ours = Vec::new();
    for journal in journals {
        not_ours.extend(crate::restore::aside_names(environment, journal)?);
    }
    Ok(DatabasePlan { database, selection, not_ours, imported: None })
}

/// A pattern that leaves out orders or customers is a slip of the hand (F49).
fn refuse_protected<'a>(
    database: &ShopDatabase,
    layout: &ShopLayout,
    patterns: impl Iterator<Item = &'a Pattern>,
) -> Result<()> {
    let patterns: Vec<&Pattern> = patterns.collect();
    if patterns.is_empty() {
        return Ok(());
    }
    let act = format!("listing the tables of {}", String::from_utf8_lossy(&database.name));
    for table in list_tables(&database.server, &database.name).doing(act)? {
        let hit = patterns.iter().find(|pattern| pattern.matches(table.name.as_bytes()));
        if let (Some(pattern), Some(rule)) = (hit, layout.protection(table.name.as_bytes())) {
            return Err(OperationError::hinted(
                ErrorKind::Refused,
                format!("\"{}\" would leave out the table {}: {}", pattern.as_str(), table.name, rule.why),
                "a shop without it is not this shop; take --only, or exclude other tables",
            ));
        }
    }
    Ok(())
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>> {
    texts.iter().map(|text| Pattern::new(text).doing(format!("reading the table pattern {text}"))).collect()
}

/// A platform's pattern knows `*` alone; everything else in it means itself.
fn exact_or_star(text: &str) -> Result<Pattern> {
    let mut glob = String::new();
    for character in text.chars() {
        if matches!(character, '?' | '[' | ']' | '{' | '}' | '!' | '\\') {
            glob.push('\\');
        }
        glob.push(character);
    }
    Ok(Pattern::new(&glob).doing(format!("reading the table pattern {text}"))?.for_some_shops())
}

/// Databases besides the one that is dumped: named, so that nobody takes the backup for the whole shop.
pub(super) fn further_databases(subject: &Subject, scope: Scope) -> Vec<String> {
    let layout = subject.layout.as_ref().filter(|_| scope.has_database());
    let further = layout.map(|layout| layout.further_databases.as_slice()).unwrap_or_default();
    further.iter().map(|database| String::from_utf8_lossy(&database.name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platforms_pattern_knows_the_star_alone() {
        let pattern = exact_or_star("oc_[a]*").unwrap();
        assert!(pattern.matches(b"oc_[a]bc") && !pattern.matches(b"oc_abc"));
    }
}
