//! The daily export of settings, after a backup and after `replicate`.

use backstock_catalog::Shop;
use backstock_operations::{Environment, SetRules, SettingsExport, chain, export_settings};

use super::prune::policy_of;
use super::verify::schedule_of;
use crate::exit::CommandError;
use crate::session::Session;
use crate::terminal::printable;

/// Exports the settings of a shop where that is due. Nobody's work fails for it: the next run tries again.
pub(super) fn export_after(session: &Session, environment: &Environment, shop: &Shop) -> Vec<SettingsExport> {
    let terminal = session.terminal;
    let rules = rules_of(session, environment, shop);
    let exports =
        rules.and_then(|rules| Ok(export_settings(environment, shop, rules)?)).unwrap_or_else(|error| {
            terminal.warn(&format!("the settings were not exported: {}", printable(&chain(error.as_ref()))));
            Vec::new()
        });
    for export in &exports {
        let place = printable(&format!("{}/{}", export.storage, export.folder));
        if let Some(problem) = &export.problem {
            terminal.warn(&format!(
                "the settings are NOT exported to {place}: {}; the next backup tries again",
                printable(problem)
            ));
            if let Some(hint) = &export.hint {
                terminal.warn(&format!("hint: {}", printable(hint)));
            }
        } else if export.path.is_some() {
            terminal.say(&format!("the settings are exported to {place}"));
        }
    }
    exports
}

fn rules_of(session: &Session, environment: &Environment, shop: &Shop) -> Result<SetRules, CommandError> {
    Ok(SetRules {
        policy: policy_of(session, environment, shop)?,
        schedule: schedule_of(session, environment, shop)?,
    })
}
