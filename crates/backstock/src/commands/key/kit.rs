//! The recovery kit as one page to print: as text and as HTML, with the same words.

use backstock_operations::{KitPlace, LOST_IS_LOST, ListedIdentity, RecoveryKit, StorageClient};

use crate::terminal::printable;

/// One block of the page.
enum Block {
    Heading(String),
    Line(String),
    Step(String),
    /// Words to be typed or compared as they stand.
    Exact(String),
}

/// The page as text.
pub(super) fn text(kit: &RecoveryKit) -> String {
    let mut page = String::from("RECOVERY KIT OF BACKSTOCK\n");
    for block in blocks(kit) {
        match block {
            Block::Heading(words) => page.push_str(&format!("\n{words}\n")),
            Block::Line(words) => page.push_str(&format!("  {words}\n")),
            Block::Step(words) => page.push_str(&format!("  [ ] {words}\n")),
            Block::Exact(words) => page.push_str(&format!("      {words}\n")),
        }
    }
    page
}

/// The page as a document that any browser prints, without anything from elsewhere.
pub(super) fn html(kit: &RecoveryKit) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Recovery kit of Backstock</title>\n<style>\
         body{font:11pt/1.35 serif;max-width:48em;margin:2em auto;padding:0 1em}h2{font-size:12pt;margin:1.1em 0 .2em}\
         p{margin:.15em 0}code{font:10pt monospace;overflow-wrap:anywhere}@page{margin:15mm}</style>\n\
         <h1>Recovery kit of Backstock</h1>\n",
    );
    for block in blocks(kit) {
        page.push_str(&match block {
            Block::Heading(words) => format!("<h2>{}</h2>\n", escaped(&words)),
            Block::Line(words) => format!("<p>{}</p>\n", escaped(&words)),
            Block::Step(words) => format!("<p>&#9744; {}</p>\n", escaped(&words)),
            Block::Exact(words) => format!("<p><code>{}</code></p>\n", escaped(&words)),
        });
    }
    page.push_str("</html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn blocks(kit: &RecoveryKit) -> Vec<Block> {
    let mut blocks = vec![
        Block::Line(format!("Written {:.0} on the machine {}.", kit.written, printable(&kit.machine))),
        Block::Line("Print it, and keep it away from the server and from the passphrase.".to_owned()),
        Block::Line(format!("Nothing secret stands here. But {LOST_IS_LOST}.")),
        Block::Heading("What opens the backups".to_owned()),
    ];
    for identity in &kit.identities {
        blocks.extend(of_identity(identity));
    }
    blocks.push(Block::Line(
        "The passphrase, or the file, is kept at (write down the place, never the passphrase): ____________________"
            .to_owned(),
    ));
    blocks.push(Block::Heading("Where the backups are".to_owned()));
    for place in &kit.places {
        blocks.push(of_place(place));
        blocks.extend(place.client.as_ref().into_iter().flat_map(of_client));
    }
    if kit.places.is_empty() {
        blocks.push(Block::Line("There is none yet: write this page again after the first.".to_owned()));
    }
    blocks.push(Block::Line("Accounts and addresses of these places: ____________________".to_owned()));
    blocks.push(Block::Heading("Who wrote them".to_owned()));
    blocks.push(Block::Line(format!("Instance {}, whose manifests are signed by the key", kit.instance)));
    blocks.push(Block::Exact(kit.instance_key.clone()));
    blocks.extend(steps());
    blocks
}

fn of_identity(identity: &ListedIdentity) -> [Block; 3] {
    let half = match identity.slots {
        0 => "its private half is in a file that was taken away from the server",
        _ => "its passphrase opens it; the slots lie in keys/ beside the backups",
    };
    let now = if identity.is_recipient { "new backups are sealed for it" } else { "older backups only" };
    [
        Block::Line(format!("Identity {} ({}, {now}): {half}.", identity.identity, identity.suite)),
        Block::Line("Its fingerprint, to be compared before a passphrase is typed:".to_owned()),
        Block::Exact(identity.fingerprint.clone()),
    ]
}

fn of_place(place: &KitPlace) -> Block {
    let sealed: Vec<String> = place.sealed_for.iter().map(backstock_vocabulary::IdentityId::short).collect();
    let sealed =
        if sealed.is_empty() { "not sealed".to_owned() } else { format!("for {}", sealed.join(", ")) };
    Block::Line(format!(
        "{}: {} backups in {}/{}, the newest of {:.0}, {sealed}.",
        printable(&place.shop),
        place.backups,
        printable(&place.storage),
        place.set_folder,
        place.newest
    ))
}

/// What must be typed to see a place that shows each application its own.
fn of_client(client: &StorageClient) -> [Block; 2] {
    let mut typed =
        format!("--kind {} --set client_id={} --set folder={}", client.kind, client.client_id, client.folder);
    client.settings.iter().for_each(|setting| typed.push_str(&format!(" --set {setting}")));
    [
        Block::Line(
            "Only this client id sees them, and asks the owner of the account to link it again:".to_owned(),
        ),
        Block::Exact(printable(&format!("backstock recover <title> {typed}"))),
    ]
}

fn steps() -> Vec<Block> {
    let step = |words: &str| Block::Step(words.to_owned());
    let exact = |words: &str| Block::Exact(words.to_owned());
    vec![
        Block::Heading("With Backstock, on an empty machine".to_owned()),
        step("Bring the folder of backups to the machine. Install Backstock, then:"),
        exact("backstock catalog rebuild <folder of backups> --fingerprint <that of above>"),
        exact("backstock list"),
        exact("backstock restore latest --to <new folder>"),
        step(
            "That asks for the passphrase; a file is given with --identity-file. To go on with the same key:",
        ),
        exact("backstock key adopt"),
        Block::Heading("Without Backstock".to_owned()),
        step("Python 3.11 and its package cryptography (48 or newer) are enough. In the set's folder:"),
        exact("python3 keys/open-backup.py <folder of one backup> <new folder>"),
        step("The new folder then holds plain files. Of a database, and of files:"),
        exact("cat db/db.sql.zst* | zstd -dc | mariadb --comments --binary-mode <database>"),
        exact("cat files/files.tar.zst* | zstd -dc | tar --xattrs --acls -xpf - -C <shop>"),
        step("keys/format.md explains every byte of it."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_named_is_no_html_and_steers_nothing() {
        let kit = RecoveryKit {
            written: "2026-11-22T00:00:00Z".parse().unwrap(),
            machine: "<script>alert(1)</script>\u{1b}[2J".to_owned(),
            instance: backstock_vocabulary::InstanceId::from_parts(1, [1; 10]),
            instance_key: "00".repeat(32),
            identities: Vec::new(),
            places: Vec::new(),
        };
        let (html, text) = (html(&kit), text(&kit));
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"), "{html}");
        assert!(!text.contains('\u{1b}') && text.contains("keys/open-backup.py"), "{text}");
    }
}
