//! Settings that were brought back, in lines: what came, what was left alone, and where each place of a set ends.

use backstock_operations::{HeadDifference, ImportedSettings, RebuildReport, RecoveredStorage, SetHeads};

use crate::terminal::{Terminal, count_text, printable};

pub(super) fn show(terminal: Terminal, report: &RebuildReport) {
    for passed in &report.passed_over {
        let (folder, path, why) = (printable(&passed.set_folder), &passed.path, printable(&passed.why));
        terminal.warn(&format!("{path} of {folder} was not used: {why}"));
    }
    for settings in &report.settings {
        show_settings(terminal, settings);
    }
    for heads in &report.heads {
        show_heads(terminal, heads);
    }
}

fn show_settings(terminal: Terminal, settings: &ImportedSettings) {
    let folder = printable(&settings.set_folder);
    let by = if settings.is_vouched { "" } else { ", for which nothing vouches" };
    terminal.data(&format!(
        "{folder}: its settings of {:.0}{by}: {}, {}, {}, {} of before",
        settings.made,
        count_text(settings.storages.len() as u64, "other storage"),
        count_text(settings.destinations, "destination"),
        count_text(settings.pins, "pin"),
        count_text(settings.runs, "run")
    ));
    for storage in &settings.storages {
        show_storage(terminal, storage);
    }
    if settings.pins_of_others > 0 {
        let pins = count_text(settings.pins_of_others, "pin");
        terminal.warn(&format!("{folder}: {pins} of backups that are at no place that could be read"));
    }
    if settings.destinations > 0 {
        terminal.say(
            "nothing is written to a destination before `backstock backup --take-over`: another machine may still write there",
        );
    }
    terminal.say("nothing is deleted before `backstock prune` has asked once; `backstock prune --dry-run` tells the policy");
}

fn show_storage(terminal: Terminal, storage: &RecoveredStorage) {
    let title = printable(&storage.title);
    if let Some(problem) = &storage.problem {
        terminal.warn(&format!("the storage {title} is not taken in: {}", printable(problem)));
        return;
    }
    let is_known = if storage.is_known { ", known already" } else { "" };
    terminal.data(&format!("  {title}: a storage of the kind {}{is_known}", storage.kind));
    if let Some(former) = &storage.former_title {
        let former = printable(former);
        terminal.warn(&format!("another storage is called {former} here: this one is {title} from now on"));
    }
    if !storage.missing_secrets.is_empty() {
        terminal.warn(&format!(
            "{title} comes without {}, since the settings are not sealed: `backstock storage secrets {title}` gives it",
            storage.missing_secrets.join(" and ")
        ));
    }
}

fn show_heads(terminal: Terminal, heads: &SetHeads) {
    let folder = printable(&heads.set_folder);
    for place in &heads.places {
        let storage = printable(&place.storage);
        if let Some(problem) = &place.problem {
            terminal.warn(&format!("{folder} at {storage} cannot be read: {}", printable(problem)));
        } else if let Some(sequence) = place.sequence {
            let count = count_text(place.backups, "backup");
            terminal.data(&format!("{folder} at {storage}: {count}, the last is number {sequence}"));
        }
    }
    for difference in &heads.differences {
        let text = printable(&difference.to_string());
        match difference {
            HeadDifference::Fork { .. } => terminal.warn(&format!("FORK: {folder}: {text}")),
            HeadDifference::Behind { .. } => terminal.warn(&format!("{folder}: {text}")),
        }
    }
}
