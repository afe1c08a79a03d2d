//! `backstock storage`: the places where backups are kept.

mod due;
mod link;
mod page;
mod redirect;

use std::collections::BTreeMap;
use std::path::Path;

use backstock_operations::{
    Environment, ListedStorage, NewStorage, STORAGE_KINDS, SeenIdentity, StorageField, StorageKind,
    StorageSecret, StorageTest, add_storage, give_secrets, identity_to_pin, link_new_storage,
    missing_secrets, remove_storage, storage_kind, storages, test_new_storage, test_storage,
};
use serde::Serialize;

pub(super) use self::link::warn_of_link;
use super::{Document, Result, confirm};
use crate::arguments::{
    AddStorageArguments, GivenSecretsArguments, KindsArguments, RemoveStorageArguments, StorageCommand,
    TestStorageArguments, halves, secret_file,
};
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{Terminal, bytes_text, link_text, printable, table_text};

/// A secret of more bytes is none: keys of four kilobytes are long ones.
const SECRET_LIMIT_BYTES: u64 = 64 * 1024;

pub(super) fn run(session: &Session, command: &StorageCommand) -> Result {
    match command {
        StorageCommand::Add(arguments) => add(session, arguments),
        StorageCommand::List => list(session),
        StorageCommand::Test(TestStorageArguments { title: Some(title), .. }) => test(session, title),
        StorageCommand::Test(_) => due::run(session),
        StorageCommand::Link(arguments) => link::run(session, arguments),
        StorageCommand::Secrets(arguments) => secrets(session, arguments),
        StorageCommand::Remove(arguments) => remove(session, arguments),
        StorageCommand::Kinds(arguments) => kinds(session.terminal, arguments),
    }
}

fn add(session: &Session, arguments: &AddStorageArguments) -> Result {
    #[derive(Serialize)]
    struct Added {
        #[serde(flatten)]
        storage: ListedStorage,
        test: Option<StorageTest>,
    }
    let terminal = session.terminal;
    let (storage, test) = define(session, &session.open()?, arguments)?;
    if terminal.json() {
        terminal.document(&Document::new("backstock.storage-add/1", Added { storage, test }));
        return Ok(Code::Done);
    }
    match &test {
        Some(test) => say_test(terminal, test),
        None => terminal.warn(&format!("{} has not been tried", printable(&storage.title))),
    }
    terminal.data(&format!("the storage {} is defined", printable(&storage.title)));
    Ok(Code::Done)
}

/// Defines a storage as it was typed, once its server is vouched for, it is linked with its account and, where that is wanted, it
/// was tried.
pub(super) fn define(
    session: &Session,
    environment: &Environment,
    arguments: &AddStorageArguments,
) -> std::result::Result<(ListedStorage, Option<StorageTest>), CommandError> {
    let mut new = asked(session.terminal, arguments)?;
    if new.lacks_link()? {
        let account = link_new_storage(environment, &new)?;
        new.take_link(link::linked(session, environment, &account, &arguments.link)?);
    }
    if let Some(seen) = identity_to_pin(environment, &new)? {
        new.settings.insert(seen.setting.to_owned(), vouched_for(session.terminal, &seen)?);
    }
    let test = if arguments.no_test { None } else { Some(test_new_storage(environment, &mut new)?) };
    Ok((add_storage(environment, new)?, test))
}

/// The storage as it was typed, with its secrets from files or from the person.
fn asked(
    terminal: Terminal,
    arguments: &AddStorageArguments,
) -> std::result::Result<NewStorage, CommandError> {
    let settings = given_settings(&arguments.settings)?;
    let secrets = given_secrets(&arguments.secret_files)?;
    let (title, kind) = (arguments.title.clone(), arguments.kind.clone());
    let mut new = NewStorage { title, kind, settings, secrets, link: None };
    for field in new.missing_secrets()? {
        let question = format!("{} of the storage {}: ", field.name, printable(&new.title));
        let secret = terminal.secret(&question, StorageSecret::new).ok_or_else(|| {
            let hint = format!("give it with --secret-file {}=FILE", field.name);
            CommandError::usage(format!("{} is needed, and there is nobody to ask", field.name), hint)
        })?;
        new.secrets.insert(field.name, secret);
    }
    Ok(new)
}

fn unlike(what: &str, text: &str) -> CommandError {
    let name = text.split('=').next().unwrap_or_default();
    CommandError::usage(format!("{} is not {what}", printable(name)), format!("write {what}"))
}

/// Settings that were given by name.
pub(super) fn given_settings(
    texts: &[String],
) -> std::result::Result<BTreeMap<String, String>, CommandError> {
    let halved = texts.iter().map(|text| halves(text).ok_or_else(|| unlike("--set NAME=VALUE", text)));
    halved.collect()
}

/// Secrets that were given as files.
pub(super) fn given_secrets(
    files: &[String],
) -> std::result::Result<BTreeMap<String, StorageSecret>, CommandError> {
    let mut secrets = BTreeMap::new();
    for text in files {
        let (name, file) = secret_file(text).ok_or_else(|| unlike("--secret-file NAME=FILE", text))?;
        secrets.insert(name, read_secret(&file)?);
    }
    Ok(secrets)
}

/// `backstock storage secrets`.
fn secrets(session: &Session, arguments: &GivenSecretsArguments) -> Result {
    #[derive(Serialize)]
    struct Given<'a> {
        title: &'a str,
        test: Option<StorageTest>,
    }
    let environment = session.open()?;
    let (terminal, title) = (session.terminal, &arguments.title);
    let mut secrets = given_secrets(&arguments.secret_files)?;
    let lacking = missing_secrets(&environment, title)?;
    for name in lacking.into_iter().filter(|name| !secrets.contains_key(name)).collect::<Vec<_>>() {
        let question = format!("{name} of the storage {}: ", printable(title));
        let secret = terminal.secret(&question, StorageSecret::new).ok_or_else(|| {
            let hint = format!("give it with --secret-file {name}=FILE");
            CommandError::usage(format!("{name} is needed, and there is nobody to ask"), hint)
        })?;
        secrets.insert(name, secret);
    }
    if secrets.is_empty() {
        let hint = "name the file of each with --secret-file NAME=FILE";
        return Err(CommandError::usage("no secret was given, and none is missing", hint));
    }
    give_secrets(&environment, title, secrets)?;
    let test = if arguments.no_test { None } else { Some(test_storage(&environment, title)?) };
    if terminal.json() {
        terminal.document(&Document::new("backstock.storage-secrets/1", Given { title, test }));
        return Ok(Code::Done);
    }
    if let Some(test) = &test {
        say_test(terminal, test);
    }
    terminal.data(&format!("the storage {} has its secrets", printable(title)));
    Ok(Code::Done)
}

/// The fingerprint that a server shows, once a person says that it is the right one.
fn vouched_for(terminal: Terminal, seen: &SeenIdentity) -> std::result::Result<String, CommandError> {
    let fingerprint = printable(&seen.fingerprint);
    terminal.say(&format!("the server shows {fingerprint}; compare it with what its owner tells"));
    match terminal.ask("Is that the right one?") {
        Some(true) => Ok(seen.fingerprint.clone()),
        Some(false) => Err(CommandError::declined("nothing was changed")),
        None => {
            let hint = format!("if that is the right one, add --set {}={fingerprint}", seen.setting);
            Err(CommandError::usage(
                format!("the server shows {fingerprint}, which nobody has vouched for"),
                hint,
            ))
        }
    }
}

/// A file that holds a secret and nothing else; a line end behind it is none of it.
fn read_secret(file: &Path) -> std::result::Result<StorageSecret, CommandError> {
    let refused = |problem: String| {
        let hint = "give a file that holds the secret and nothing else";
        CommandError::usage(
            format!("reading the secret in {}: {problem}", printable(&file.display().to_string())),
            hint,
        )
    };
    let size_bytes = std::fs::metadata(file).map_err(|error| refused(error.to_string()))?.len();
    if size_bytes > SECRET_LIMIT_BYTES {
        return Err(refused(format!("it has {size_bytes} bytes; at most {SECRET_LIMIT_BYTES} are expected")));
    }
    let mut text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    // A key in PEM keeps its lines.
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.is_empty() { Err(refused("it is empty".to_owned())) } else { Ok(StorageSecret::new(text)) }
}

fn list(session: &Session) -> Result {
    #[derive(Serialize)]
    struct Listed {
        storages: Vec<ListedStorage>,
    }
    let storages = storages(&session.open()?)?;
    let terminal = session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.storage-list/1", Listed { storages }));
        return Ok(Code::Done);
    }
    if storages.is_empty() {
        terminal.say("there is no storage yet; the first backup makes one of its folder, `backstock storage add` defines others");
        return Ok(Code::Done);
    }
    let row = |storage: &ListedStorage| {
        let replicas = storage.replicas.to_string();
        let link = storage.link.as_ref().map_or_else(|| "-".to_owned(), link_text);
        vec![printable(&storage.title), storage.kind.clone(), replicas, link, place(storage)]
    };
    let rows: Vec<Vec<String>> = storages.iter().map(row).collect();
    for line in table_text(&["title", "kind", "backups", "link", "place"], &rows) {
        terminal.data(&line);
    }
    Ok(Code::Done)
}

/// What tells one place of a kind from another, in a line.
fn place(storage: &ListedStorage) -> String {
    let settings = storage.settings.as_object().into_iter().flatten();
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let parts: Vec<String> =
        settings.map(|(name, value)| format!("{name}={}", printable(&text(value)))).collect();
    parts.join(" ")
}

fn test(session: &Session, title: &str) -> Result {
    let test = test_storage(&session.open()?, title)?;
    if session.terminal.json() {
        session.terminal.document(&Document::new("backstock.storage-test/1", &test));
    } else {
        say_test(session.terminal, &test);
    }
    Ok(if test.sees_nothing.is_some() { Code::Partial } else { Code::Done })
}

fn say_test(terminal: Terminal, test: &StorageTest) {
    let title = printable(&test.title);
    terminal.data(&format!("{title}: {}", test.told()));
    terminal.data(&format!(
        "  {:<20} {}",
        "goes on after a cut",
        if test.resumes { "yes" } else { "no: parts are sent anew" }
    ));
    if test.locks {
        terminal.data(&format!("  {:<20} yes: nobody deletes what is locked before its time", "locks"));
    }
    if let Some(bytes) = test.largest_object_bytes {
        terminal.data(&format!("  {:<20} {}", "largest object", bytes_text(bytes)));
    }
    let free = test.free_bytes.map_or_else(|| "not told by the place".to_owned(), bytes_text);
    terminal.data(&format!("  {:<20} {free}", "free"));
    if let Some(link) = &test.link {
        terminal.data(&format!("  {:<20} {}", "link", link_text(link)));
    }
    if let Some(client) = &test.sees_nothing {
        let what = client.sees_nothing(&format!("of the backups that are known to be at {title}"));
        terminal.warn(&printable(&what));
        terminal.warn(&format!("hint: {}", client.why_nothing()));
    }
}

fn remove(session: &Session, arguments: &RemoveStorageArguments) -> Result {
    #[derive(Serialize)]
    struct Removed<'a> {
        title: &'a str,
    }
    let environment = session.open()?;
    if !arguments.yes {
        confirm(
            session,
            &format!("Forget the storage {} and its credentials?", printable(&arguments.title)),
        )?;
    }
    remove_storage(&environment, &arguments.title)?;
    let terminal = session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.storage-remove/1", Removed { title: &arguments.title }));
        return Ok(Code::Done);
    }
    terminal
        .data(&format!("the storage {} is forgotten; what lies there stays", printable(&arguments.title)));
    Ok(Code::Done)
}

fn kinds(terminal: Terminal, arguments: &KindsArguments) -> Result {
    #[derive(Serialize)]
    struct Explained {
        name: &'static str,
        title: &'static str,
        settings: serde_json::Value,
    }
    let is_asked = |kind: &&StorageKind| arguments.kind.as_ref().is_none_or(|asked| asked == kind.name);
    let kinds: Vec<&StorageKind> = STORAGE_KINDS.iter().filter(is_asked).collect();
    if let (Some(asked), true) = (&arguments.kind, kinds.is_empty()) {
        storage_kind(asked)?;
    }
    if terminal.json() {
        let explained: Vec<_> = kinds
            .iter()
            .map(|kind| Explained { name: kind.name, title: kind.title, settings: (kind.schema)().into() })
            .collect();
        terminal
            .document(&Document::new("backstock.storage-kinds/1", serde_json::json!({ "kinds": explained })));
        return Ok(Code::Done);
    }
    for kind in kinds {
        terminal.data(&format!("{}  {}", kind.name, kind.title));
        for field in kind.fields() {
            terminal.data(&explained(&field));
        }
    }
    Ok(Code::Done)
}

fn explained(field: &StorageField) -> String {
    let mut notes = Vec::new();
    if field.is_required {
        notes.push("needed".to_owned());
    }
    if field.is_secret {
        notes.push("secret".to_owned());
    }
    if !field.words.is_empty() {
        notes.push(field.words.join(" | "));
    }
    if let Some(default) = &field.default {
        notes.push(format!(
            "default: {}",
            default.as_str().map_or_else(|| default.to_string(), str::to_owned)
        ));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(", ")) };
    format!("  {:<20} {}{notes}", field.name, field.help.replace('\n', " "))
}
