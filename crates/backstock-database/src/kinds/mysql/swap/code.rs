//! Routines, triggers, views and events: made and removed, on either side of a swap.

use backstock_vocabulary::ErrorClass;

use super::super::ddl::{Edits, Span, Text};
use super::super::sql::{Lexer, Modes, Token, TokenKind, name_bytes};
use super::Worker;
use super::rename::{self, Names};
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::LoadPlan;
use crate::record::DumpedObject;

/// The account may not name another definer; on MySQL also: may not drop what a more powerful account defined.
const ERROR_NO_DEFINER_RIGHT: u16 = 1227;
/// A definer is no account of this server. Servers mind where they ask for its rights at once: for a view upon a stored
/// function of that account.
const ERROR_NO_SUCH_DEFINER: u16 = 1449;
/// An event whose time has passed was not created.
const NOTE_EVENT_IN_THE_PAST: &str = "(warning 1588)";

/// Which side's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

pub(super) fn is_routine(object: &DumpedObject) -> bool {
    matches!(object, DumpedObject::Routine(_))
}

pub(super) fn is_trigger(object: &DumpedObject) -> bool {
    matches!(object, DumpedObject::Trigger(_))
}

pub(super) fn is_view(object: &DumpedObject) -> bool {
    matches!(object, DumpedObject::View(_))
}

pub(super) fn is_event(object: &DumpedObject) -> bool {
    matches!(object, DumpedObject::Event(_))
}

/// Chooses a kind of objects.
pub(super) type Takes = fn(&DumpedObject) -> bool;

/// The words of a DROP for an object.
fn kind_of(object: &DumpedObject) -> &'static str {
    match object {
        DumpedObject::Table(_) => "TABLE",
        DumpedObject::Sequence(_) => "SEQUENCE",
        DumpedObject::Routine(record) => record.routine_kind.sql(),
        DumpedObject::Trigger(_) => "TRIGGER",
        DumpedObject::View(_) => "VIEW",
        DumpedObject::Event(_) => "EVENT",
    }
}

fn label(object: &DumpedObject) -> String {
    format!("{} {}", kind_of(object).to_ascii_lowercase(), object.name())
}

/// Drops an object if it is there. `false` when it stays, since an account with more rights defined it.
fn drop_object(worker: &mut Worker<'_>, object: &DumpedObject, names: &Names) -> Result<bool> {
    // A view's name may stand for a table on the other side.
    if is_view(object) && names.get(&object.name().0).is_none_or(|kind| *kind != TableKind::View) {
        return Ok(true);
    }
    let statement = Text::new("DROP ").sql(kind_of(object)).sql(" IF EXISTS ").name(object.name());
    match worker.run(&statement.bytes()) {
        Err(error) if error.code() == Some(ERROR_NO_DEFINER_RIGHT) => Ok(false),
        other => other.map(|_| true),
    }
}

/// Whether two objects cannot be there together.
fn shares_name(one: &DumpedObject, other: &DumpedObject) -> bool {
    kind_of(one) == kind_of(other) && one.name().eq_ignore_ascii_case(other.name())
}

/// Forward, before the rename: the old events go.
pub(super) fn remove_old_events(worker: &mut Worker<'_>) -> Result<()> {
    let names = worker.names()?;
    if rename::is_swapped(worker, &names) && !worker.plan.tables.is_empty() {
        return Ok(());
    }
    remove_old(worker, is_event)
}

/// Removes objects of the old side.
pub(super) fn remove_old(worker: &mut Worker<'_>, takes: Takes) -> Result<()> {
    let names = worker.names()?;
    for object in worker.plan.old_code.iter().filter(|object| takes(object)) {
        drop_object(worker, object, &names)?;
    }
    Ok(())
}

/// Backward, before the rename: new objects go whose names the old ones need.
pub(super) fn remove_new(worker: &mut Worker<'_>, takes: Takes) -> Result<()> {
    let plan = worker.plan;
    let names = worker.names()?;
    let triggers = worker.query(b"SHOW TRIGGERS")?;
    for object in plan.new_code.iter().filter(|object| takes(object)) {
        if let DumpedObject::Trigger(record) = object {
            // One of the same name may still sit on an old table.
            let side = plan.tables.iter().find(|table| table.name == record.table);
            let side = side.and_then(|table| rename::new_side_name(plan, &names, table));
            let sits = (0..triggers.rows.len()).any(|row| {
                triggers.get(row, "Trigger") == Some(&record.name[..])
                    && triggers.get(row, "Table") == side.as_deref()
            });
            if !sits {
                continue;
            }
        }
        drop_object(worker, object, &names)?;
    }
    Ok(())
}

/// Whether an object is a view that did not work where it was read.
fn is_broken(object: &DumpedObject) -> bool {
    matches!(object, DumpedObject::View(record) if record.broken)
}

/// Backward, before the rename: the new views go, and the old ones that were broken come back already. No server makes
/// a view over a table that is not there, and most such views lost a table that the new side still has in place.
pub(super) fn exchange_views_back(worker: &mut Worker<'_>) -> Result<()> {
    let names = worker.names()?;
    if !rename::is_swapped(worker, &names) {
        // The new views come after the rename and go before it: whatever is there belongs to the old side.
        return Ok(());
    }
    remove_new(worker, is_view)?;
    let names = worker.names()?;
    let plan = worker.plan;
    let broken: Vec<&DumpedObject> = plan.old_code.iter().filter(|object| is_broken(object)).collect();
    for object in broken.iter().rev() {
        drop_object(worker, object, &names)?;
    }
    // What fails here is tried again over the old tables, and told then. A table in place may have the name of one.
    let taken =
        |object: &&DumpedObject| names.get(&object.name().0).is_some_and(|kind| *kind != TableKind::View);
    create_all(worker, Side::Old, broken.into_iter().filter(|object| !taken(object)).collect())?;
    Ok(())
}

/// Makes all objects of one side and kind anew, after removing those of both sides.
pub(super) fn replace(worker: &mut Worker<'_>, side: Side, takes: Takes) -> Result<()> {
    let plan = worker.plan;
    let (mine, others) = match side {
        Side::New => (&plan.new_code, &plan.old_code),
        Side::Old => (&plan.old_code, &plan.new_code),
    };
    let names = worker.names()?;
    // Broken views of the old side that are there again, or still, could not be made a second time.
    let is_kept = |object: &&DumpedObject| {
        side == Side::Old && is_broken(object) && names.get(&object.name().0) == Some(&TableKind::View)
    };
    let mine: Vec<&DumpedObject> = mine.iter().filter(|object| takes(object) && !is_kept(object)).collect();
    let kept: Vec<&DumpedObject> = plan.old_code.iter().filter(is_kept).collect();
    let stays =
        |object: &&DumpedObject| is_view(object) && kept.iter().any(|kept| kept.name() == object.name());
    // Bodies of packages go before their heads: backwards through the order of creation.
    let others = others.iter().filter(|object| takes(object) && !stays(object)).rev();
    let mut refused: Vec<&DumpedObject> = Vec::new();
    for object in others.chain(mine.iter().rev().copied()) {
        if !drop_object(worker, object, &names)? && !refused.iter().any(|other| shares_name(other, object)) {
            refused.push(object);
        }
    }
    // Such an object was never removed on the way here: on the way back it is what it was.
    for object in refused.iter().filter(|_| side == Side::New) {
        let label = label(object);
        worker.notes.push(format!("{label} belongs to an account with more rights, and stays as it is"));
    }
    let can_be_made = |object: &&DumpedObject| !refused.iter().any(|other| shares_name(other, object));
    let mine = mine.into_iter().filter(can_be_made).collect();
    let (failed, last_error) = create_all(worker, side, mine)?;
    if let Some(error) = last_error {
        report_views(worker, &failed, error)?;
    }
    Ok(())
}

/// Makes objects in their order; gives the views that could not be made, and why the last of them could not.
fn create_all<'p>(
    worker: &mut Worker<'p>,
    side: Side,
    objects: Vec<&'p DumpedObject>,
) -> Result<(Vec<&'p DumpedObject>, Option<Error>)> {
    let plan = worker.plan;
    let mut lent = false;
    let mut left = objects;
    let mut last_error = None;
    // Views build on views: rounds, until one makes no progress.
    while !left.is_empty() {
        let mut failed = Vec::new();
        let before = left.len();
        for object in left {
            match create(worker, side, object, &mut lent) {
                Ok(()) => {}
                Err(error @ Error::Statement { .. }) if is_view(object) => {
                    failed.push(object);
                    // The views upon that one fail by its name.
                    if !last_error.as_ref().is_some_and(is_without_definer) {
                        last_error = Some(error);
                    }
                }
                Err(error) if side == Side::New && is_foreign(plan, &error) => {
                    worker.leave()?;
                    drop_aloud(worker, object, &error);
                }
                Err(error) => return Err(error),
            }
        }
        left = failed;
        if left.len() == before {
            break;
        }
        last_error = None;
    }
    if lent {
        let back = if side == Side::New && plan.changes_defaults { &plan.source } else { &plan.target };
        worker.set_collation(&back.collation)?;
    }
    Ok((left, last_error))
}

fn is_without_definer(error: &Error) -> bool {
    error.code() == Some(ERROR_NO_SUCH_DEFINER)
}

/// Whether an error is about a dialect that the target does not read, rather than about what happens to be there now.
fn is_foreign(plan: &LoadPlan, error: &Error) -> bool {
    !plan.is_same_version() && matches!(error, Error::Statement { .. }) && error.class() == ErrorClass::Stop
}

fn drop_aloud(worker: &mut Worker<'_>, object: &DumpedObject, error: &Error) {
    let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    worker.notes.push(format!("{} is dropped: {why}", label(object)));
    worker.dropped.push(label(object));
}

/// A view that did not work where it came from need not work here, nor one upon a function of an account that this server
/// does not have; any other must.
fn report_views(worker: &mut Worker<'_>, failed: &[&DumpedObject], error: Error) -> Result<()> {
    let is_excused = is_without_definer(&error) || failed.iter().all(|object| is_broken(object));
    if worker.plan.is_same_version() && !is_excused {
        return Err(error);
    }
    for object in failed {
        if !is_broken(object) {
            drop_aloud(worker, object, &error);
            continue;
        }
        worker.notes.push(format!("{} could not be made: {error}", label(object)));
    }
    Ok(())
}

fn create(worker: &mut Worker<'_>, side: Side, object: &DumpedObject, lent: &mut bool) -> Result<()> {
    let Some((definition, context)) = object.code() else { return Ok(()) };
    let plan = worker.plan;
    let mut text = definition.0.clone();
    let modes = Modes::from_list(context.sql_mode.as_deref().unwrap_or_default().as_bytes());
    if side == Side::New {
        if plan.source.name != plan.target.name {
            text = text_without_schema(&text, modes, &plan.source.name, is_view(object));
        }
        if is_event(object) {
            text = disabled(&text, modes);
        }
    }
    let name = label(object);
    *lent |= worker.lend_collation(&name, context)?;
    worker.enter(&name, context)?;
    let outcome = create_as(worker, &name, &text, modes, is_event(object));
    worker.leave()?;
    outcome
}

/// Runs the definition: with its own definer, else as the current user; an event of the past under a clock of then.
fn create_as(worker: &mut Worker<'_>, name: &str, text: &[u8], modes: Modes, event: bool) -> Result<()> {
    let noted = worker.notes.len();
    let outcome = match worker.run(text) {
        Err(error) if error.code() == Some(ERROR_NO_DEFINER_RIGHT) => {
            let without = without_definer(text, modes);
            worker.run(&without)?;
            worker.notes.push(format!("{name}: this account may not name its definer, and became it"));
            Ok(())
        }
        other => other.map(drop),
    };
    let past = event && worker.notes[noted..].iter().any(|note| note.ends_with(NOTE_EVENT_IN_THE_PAST));
    if outcome.is_ok() && past {
        // A one-time event is not created when its time has passed, not even a disabled one.
        worker.notes.truncate(noted);
        worker.connection.execute(b"SET timestamp=1")?;
        let text = disabled(text, modes);
        let again = worker.run(&text).map(drop);
        worker.connection.execute(b"SET timestamp=DEFAULT")?;
        worker.notes.push(format!("{name}: its time has passed; it is disabled"));
        return again;
    }
    outcome
}

fn tokens_of(text: &[u8], modes: Modes, stop: &[&str]) -> Vec<Token> {
    let mut lexer = Lexer::new(text, modes);
    let mut tokens = Vec::new();
    // A body that cannot be read to its end does not matter: only its head is looked at.
    while let Ok(Some(token)) = lexer.next_token() {
        if stop.iter().any(|word| token.is_word(text, word)) {
            break;
        }
        tokens.push(token);
    }
    tokens
}

/// The definition without its DEFINER clause.
fn without_definer(text: &[u8], modes: Modes) -> Vec<u8> {
    let tokens =
        tokens_of(text, modes, &["TRIGGER", "PROCEDURE", "FUNCTION", "PACKAGE", "EVENT", "VIEW", "SQL"]);
    let mut edits = Edits::default();
    if let Some(at) = tokens.iter().position(|token| token.is_word(text, "DEFINER"))
        && let Some(last) = tokens.last()
    {
        edits.replace(Span { start: tokens[at].start, end: last.end }, "");
    }
    edits.apply(text)
}

/// An event's definition with the status DISABLE.
pub(super) fn disabled(text: &[u8], modes: Modes) -> Vec<u8> {
    let mut edits = Edits::default();
    for token in tokens_of(text, modes, &["DO", "COMMENT"]) {
        if token.is_word(text, "ENABLE") {
            edits.replace(Span { start: token.start, end: token.end }, "DISABLE");
        }
    }
    edits.apply(text)
}

/// A definition without the name of the schema that it came from: in the whole text of a view, which the server
/// wrote, and in the head of anything else; bodies stay as their author wrote them.
pub(crate) fn text_without_schema(text: &[u8], modes: Modes, schema: &[u8], whole: bool) -> Vec<u8> {
    let stop: &[&str] = if whole { &[] } else { &["FOR", "BEGIN", "DO"] };
    let tokens = tokens_of(text, modes, stop);
    let mut edits = Edits::default();
    for pair in tokens.windows(2) {
        let is_name = matches!(pair[0].kind, TokenKind::Name | TokenKind::Word);
        if is_name && pair[1].kind == TokenKind::Symbol(b'.') && name_bytes(pair[0].text(text)) == schema {
            edits.replace(Span { start: pair[0].start, end: pair[1].end }, "");
        }
    }
    edits.apply(text)
}

/// Makes the new events as they were in the backup, status included. Repeatable.
pub(super) fn enable_events(worker: &mut Worker<'_>) -> Result<()> {
    let plan = worker.plan;
    let names = worker.names()?;
    for object in &plan.new_code {
        let DumpedObject::Event(record) = object else { continue };
        if record.status != "ENABLED" {
            continue;
        }
        if !drop_object(worker, object, &names)? {
            continue;
        }
        let modes = Modes::from_list(record.context.sql_mode.as_deref().unwrap_or_default().as_bytes());
        let mut text = record.definition.0.clone();
        if plan.source.name != plan.target.name {
            text = text_without_schema(&text, modes, &plan.source.name, false);
        }
        let name = label(object);
        let lent = worker.lend_collation(&name, &record.context)?;
        worker.enter(&name, &record.context)?;
        let outcome = create_as(worker, &name, &text, modes, true);
        worker.leave()?;
        if lent {
            let back = if plan.changes_defaults { &plan.source } else { &plan.target };
            worker.set_collation(&back.collation)?;
        }
        match outcome {
            Err(error) if is_foreign(plan, &error) => drop_aloud(worker, object, &error),
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_rewritten_and_bodies_are_not() {
        let event = b"CREATE DEFINER=`a`@`b` EVENT `ENABLE` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE DO \
            BEGIN ENABLE; END";
        let text = String::from_utf8(disabled(event, Modes::default())).unwrap();
        assert!(
            text.contains("EVENT `ENABLE` ON") && text.contains("PRESERVE DISABLE DO BEGIN ENABLE"),
            "{text}"
        );
        let text = String::from_utf8(without_definer(event, Modes::default())).unwrap();
        assert!(text.starts_with("CREATE  EVENT `ENABLE`"), "{text}");
        let view = b"CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`b` SQL SECURITY DEFINER VIEW `v` AS select `x`.`t`.`a` \
            AS `a` from `x`.`t` where `y`.`x` = 'x.'";
        let text = String::from_utf8(without_definer(view, Modes::default())).unwrap();
        assert!(text.starts_with("CREATE ALGORITHM=UNDEFINED  SQL SECURITY DEFINER VIEW"), "{text}");
        let text = String::from_utf8(text_without_schema(view, Modes::default(), b"x", true)).unwrap();
        assert!(text.contains("select `t`.`a` AS `a` from `t` where `y`.`x` = 'x.'"), "{text}");
        let trigger = b"CREATE TRIGGER x.g BEFORE INSERT ON `x`.`t` FOR EACH ROW SET @a=x.f()";
        let text = String::from_utf8(text_without_schema(trigger, Modes::default(), b"x", false)).unwrap();
        assert_eq!(text, "CREATE TRIGGER g BEFORE INSERT ON `t` FOR EACH ROW SET @a=x.f()");
    }
}
