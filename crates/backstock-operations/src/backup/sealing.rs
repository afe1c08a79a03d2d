//! Whether a backup is sealed, and for whom.

use backstock_archive::seal::{Identity, Recipient};
use backstock_catalog::{Backup, Shop};
use backstock_vocabulary::{Reason, SetId};

use super::plan::BackupRequest;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::keys::IdentityStore;
use crate::rebuild::UNKNOWN_PLATFORM;
use crate::show::sealed_for;

/// Whether a backup is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sealing {
    /// Where there is an identity to seal for.
    #[default]
    WithAnIdentity,
    /// Always: without an identity no backup is made.
    Always,
    /// Never.
    Never,
}

/// Whom the backup is to be sealed for. A set whose newest backup is sealed does not fall back to plain files by itself: on a new
/// machine nobody would notice.
pub(super) fn recipients_of(
    environment: &Environment,
    request: &BackupRequest,
    set: SetId,
) -> Result<Vec<Recipient>> {
    let sealing = request.sealing;
    if sealing == Sealing::Never {
        return Ok(Vec::new());
    }
    let store = IdentityStore::of(environment);
    let recipients = store.recipients()?;
    if request.reason == Reason::PreRestore && recipients.is_empty() {
        // What is about to be replaced is no more readable afterwards than the backups that lie here.
        let known: Vec<Recipient> = store.identities()?.iter().map(Identity::recipient).collect();
        if !known.is_empty() || sealing != Sealing::Always {
            return Ok(known);
        }
    }
    if recipients.is_empty() && sealing == Sealing::Always {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            "the backup is to be sealed, and there is no identity to seal it for",
            "`backstock key create` makes one",
        ));
    }
    let last = environment.wait(environment.catalog.last_backup_of_set(set));
    let last = last.doing("looking for the last backup of the set")?;
    match last {
        Some(last) if recipients.is_empty() && !sealed_for(&last).is_empty() => {
            Err(not_sealed_any_more(&store, &last)?)
        }
        None => {
            if let Some(folder) = sealed_shop_of_unknown_place(environment)? {
                require_another_shop(&folder, recipients.is_empty())?;
            }
            Ok(recipients)
        }
        Some(_) => Ok(recipients),
    }
}

fn not_sealed_any_more(store: &IdentityStore<'_>, last: &Backup) -> Result<OperationError> {
    let known = store.identities()?.iter().any(|identity| sealed_for(last).contains(&identity.identity));
    let hint = if known {
        "`backstock key adopt` goes on sealing for the identity that its backups are sealed for; --unsealed leaves new \
         backups readable for everybody who has them"
    } else {
        "`backstock catalog rebuild` with its key brings the identity that its backups are sealed for, `backstock key \
         create` makes another; --unsealed leaves new backups readable for everybody who has them"
    };
    Ok(OperationError::hinted(
        ErrorKind::Refused,
        format!(
            "the last backup of this set, {}, is sealed, and there is no identity here to seal another one for",
            last.id.short()
        ),
        hint,
    ))
}

/// A shop whose sealed backups lie here and of which nobody has told where it is: the first set that a new machine begins may be
/// meant to go on with it.
pub(crate) fn sealed_shop_of_unknown_place(environment: &Environment) -> Result<Option<String>> {
    let act = "looking for shops of unknown place";
    let shops = environment.wait(environment.catalog.list_shops()).doing(act)?;
    let unknown: Vec<&Shop> =
        shops.iter().filter(|shop| shop.root.is_none() && shop.platform == UNKNOWN_PLATFORM).collect();
    if unknown.is_empty() {
        return Ok(None);
    }
    let backups = environment.wait(environment.catalog.list_backups(None)).doing(act)?;
    let is_sealed =
        |shop: &&&Shop| backups.iter().any(|backup| backup.shop == shop.id && !sealed_for(backup).is_empty());
    Ok(unknown.iter().find(is_sealed).map(|shop| shop.title.clone()))
}

fn require_another_shop(title: &str, is_plain: bool) -> Result<()> {
    let what = format!(
        "of the shop {title}, whose sealed backups are on record, only the name of its folder is known"
    );
    if !is_plain {
        tracing::warn!("{what}; a new set begins, and does not go on with that one");
        return Ok(());
    }
    Err(OperationError::hinted(
        ErrorKind::Refused,
        format!("{what}: this may be that shop, and the backup would not be sealed"),
        "run `backstock catalog rebuild` again with its key; --unsealed begins a new set that everybody can read",
    ))
}
