//! `backstock key`: the keys that backups are sealed for.

mod kit;

use std::io::Write;
use std::path::Path;

use backstock_operations::{
    CreatedIdentity, Environment, KeptBy, LOST_IS_LOST, ListedIdentity, Suite, adopt_identity,
    change_passphrase, create_identity, export_identity, identities, recovery_kit, rehearse, rotate_identity,
};
use serde::Serialize;

use super::{Document, Result};
use crate::arguments::{
    ChangeKeyArguments, ExportKeyArguments, KeyCommand, KitArguments, NamedKeyArguments, NewKeyArguments,
    SuiteArgument,
};
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{count_text, printable, table_text};
use crate::unlock::{new_passphrase, refused};

type Make = fn(&Environment, Suite, &KeptBy) -> backstock_operations::Result<CreatedIdentity>;

pub(super) fn run(session: &Session, command: &KeyCommand) -> Result {
    match command {
        KeyCommand::Create(arguments) => make(session, arguments, create_identity),
        KeyCommand::Rotate(arguments) => make(session, arguments, rotate_identity),
        KeyCommand::Adopt(arguments) => adopt(session, arguments),
        KeyCommand::List => list(session),
        KeyCommand::Show(arguments) => show(session, arguments),
        KeyCommand::Passphrase(arguments) => passphrase(session, arguments),
        KeyCommand::Export(arguments) => export(session, arguments),
        KeyCommand::Kit(arguments) => print_kit(session, arguments),
        KeyCommand::Rehearse(arguments) => rehearsal(session, arguments),
    }
}

fn make(session: &Session, arguments: &NewKeyArguments, make: Make) -> Result {
    let environment = session.open()?;
    session.terminal.warn(LOST_IS_LOST);
    let kept_by = match &arguments.to_file {
        Some(file) => KeptBy::File(absolute(file)),
        None => {
            let file = arguments.new_passphrase_file.as_deref();
            KeptBy::Passphrase(new_passphrase(session.terminal, file)?)
        }
    };
    let suite = match arguments.suite {
        SuiteArgument::XWing => Suite::XWing,
        SuiteArgument::X25519 => Suite::X25519,
    };
    let made = make(&environment, suite, &kept_by)?;
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.key-create/1", &made));
        return Ok(Code::Done);
    }
    terminal.data(&format!("identity {} is made; new backups are sealed for it", made.identity));
    terminal.data(&format!("  {:<12} {}", "suite", made.suite));
    terminal.data(&format!("  {:<12} {}", "fingerprint", made.fingerprint));
    for before in &made.instead_of {
        terminal.data(&format!(
            "  {:<12} {} (keep its key: it opens what was sealed before)",
            "instead of",
            before.short()
        ));
    }
    match &made.file {
        Some(file) => terminal.data(&format!(
            "  {:<12} {}: take it away from this machine, in two copies at least",
            "private half",
            printable(&file.display().to_string())
        )),
        None => terminal
            .data(&format!("  {:<12} behind the passphrase, in keys/ beside the backups", "private half")),
    }
    terminal
        .say("write the fingerprint down; after the next backup, try the key with `backstock key rehearse`");
    Ok(Code::Done)
}

fn adopt(session: &Session, arguments: &NamedKeyArguments) -> Result {
    let identity = adopt_identity(&session.open()?, arguments.id.as_deref())?;
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.key-adopt/1", &identity));
        return Ok(Code::Done);
    }
    terminal.data(&format!("new backups are sealed for the identity {}", identity.identity));
    terminal.data(&format!("  {:<12} {}", "fingerprint", identity.fingerprint));
    Ok(Code::Done)
}

fn list(session: &Session) -> Result {
    #[derive(Serialize)]
    struct Listed {
        identities: Vec<ListedIdentity>,
    }
    let identities = identities(&session.open()?)?;
    if session.terminal.json() {
        session.terminal.document(&Document::new("backstock.key-list/1", Listed { identities }));
        return Ok(Code::Done);
    }
    if identities.is_empty() {
        session
            .terminal
            .say("there is no identity: backups are not sealed; `backstock key create` makes one");
        return Ok(Code::Done);
    }
    let rows: Vec<Vec<String>> = identities.iter().map(row).collect();
    for line in table_text(&["id", "made", "suite", "private half", "new backups", "fingerprint"], &rows) {
        session.terminal.data(&line);
    }
    Ok(Code::Done)
}

fn row(identity: &ListedIdentity) -> Vec<String> {
    vec![
        identity.short.clone(),
        identity.created.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        identity.suite.to_owned(),
        kept(identity),
        if identity.is_recipient { "sealed for it" } else { "-" }.to_owned(),
        identity.fingerprint[..16].to_owned(),
    ]
}

fn kept(identity: &ListedIdentity) -> String {
    match identity.slots {
        0 => "in a file".to_owned(),
        slots => count_text(slots as u64, "passphrase"),
    }
}

fn show(session: &Session, arguments: &NamedKeyArguments) -> Result {
    let environment = session.open()?;
    let identity = backstock_operations::identity(&environment, arguments.id.as_deref())?;
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.key-show/1", &identity));
        return Ok(Code::Done);
    }
    let row = |name: &str, value: &str| terminal.data(&format!("{name:<12} {value}"));
    row("identity", &identity.identity.to_string());
    row("made", &format!("{:.0}", identity.created));
    row("suite", identity.suite);
    row("private half", &kept(&identity));
    row("new backups", if identity.is_recipient { "are sealed for it" } else { "are not sealed for it" });
    row("fingerprint", &identity.fingerprint);
    Ok(Code::Done)
}

fn passphrase(session: &Session, arguments: &ChangeKeyArguments) -> Result {
    let environment = session.open()?;
    let ask = || {
        new_passphrase(session.terminal, arguments.new_passphrase_file.as_deref())
            .map_err(|error| refused(&error))
    };
    let identity = change_passphrase(&environment, arguments.id.as_deref(), &ask)?;
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.key-passphrase/1", &identity));
    } else {
        terminal.data(&format!("the identity {} has another passphrase", identity.short));
    }
    terminal.say(
        "the old passphrase still opens the older slot that lies beside the backups: if it has leaked, make another \
         identity with `backstock key rotate`",
    );
    Ok(Code::Done)
}

fn export(session: &Session, arguments: &ExportKeyArguments) -> Result {
    let environment = session.open()?;
    let identity = export_identity(&environment, arguments.id.as_deref(), &absolute(&arguments.to))?;
    let terminal = &session.terminal;
    let file = arguments.to.display().to_string();
    if terminal.json() {
        #[derive(Serialize)]
        struct Exported {
            identity: backstock_vocabulary::IdentityId,
            file: String,
        }
        terminal.document(&Document::new("backstock.key-export/1", Exported { identity, file }));
    } else {
        let id = identity.short();
        terminal.data(&format!("the private half of the identity {id} is in {}", printable(&file)));
    }
    terminal.warn(
        "whoever has that file opens every backup that is sealed for it: take it away from this machine",
    );
    Ok(Code::Done)
}

fn print_kit(session: &Session, arguments: &KitArguments) -> Result {
    let kit = recovery_kit(&session.open()?)?;
    let terminal = &session.terminal;
    match &arguments.html {
        _ if terminal.json() => terminal.document(&Document::new("backstock.key-kit/1", &kit)),
        None => terminal.data(kit::text(&kit).trim_end()),
        Some(file) => {
            let written = std::fs::File::create_new(file)
                .and_then(|mut page| page.write_all(kit::html(&kit).as_bytes()));
            if let Err(error) = written {
                let message = format!("writing the recovery kit to {}: {error}", file.display());
                return Err(CommandError::usage(message, "give a new file with --html"));
            }
            terminal.data(&format!("the recovery kit is in {}", printable(&file.display().to_string())));
        }
    }
    terminal.say("print it, and keep it away from the server and from the passphrase");
    Ok(Code::Done)
}

fn rehearsal(session: &Session, arguments: &NamedKeyArguments) -> Result {
    let environment = session.open()?;
    let opened = rehearse(&environment, arguments.id.as_deref())?;
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.key-rehearse/1", &opened));
    } else {
        terminal.data(&format!(
            "the key of the identity {} opens the backup {} of {:.0}: {} of its indexes read",
            opened.identity.short(),
            opened.backup.short(),
            opened.started,
            count_text(opened.entries, "line")
        ));
    }
    Ok(Code::Done)
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
