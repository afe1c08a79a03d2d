//! Secrets that a provider renews are kept before the storage goes on with them: sealed, in the catalog, with what is heard of
//! the link. The link to an account can be lost here.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backstock_catalog::Catalog;
use backstock_host::{InstanceKey, Random};
use backstock_storage::{KeepSecrets, LinkNews, Secret};
use backstock_vocabulary::StorageId;
use jiff::Timestamp;
use tokio::runtime::Handle;

use super::MadeLink;
use super::secrets::{self, Secrets};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};

/// How often others may be faster before it is a failure.
const TRIES: u32 = 10;

/// Keeps the secrets of one storage of the catalog.
#[derive(Debug)]
pub(super) struct CatalogKeeper {
    catalog: Catalog,
    key: Arc<InstanceKey>,
    random: Arc<dyn Random>,
    handle: Handle,
    storage: StorageId,
    may_write: bool,
}

impl CatalogKeeper {
    pub(super) fn of(environment: &Environment, storage: StorageId) -> Self {
        Self {
            catalog: environment.catalog.clone(),
            key: Arc::clone(&environment.key),
            random: Arc::clone(&environment.host.random),
            handle: environment.handle(),
            storage,
            may_write: environment.may_write,
        }
    }

    /// What is sealed now, and what it opens to.
    fn present(&self) -> Result<(Option<String>, Secrets)> {
        let act = || format!("looking for the storage {}", self.storage);
        let record = self.handle.block_on(self.catalog.find_storage(self.storage)).doing(act())?;
        let gone =
            || OperationError::plain(ErrorKind::NotFound, format!("there is no storage {}", self.storage));
        let record = record.ok_or_else(gone)?;
        let opened = secrets::opened(&self.key, &record)?;
        Ok((record.sealed_secrets, opened))
    }

    /// Seals secrets into the record, in the place of what it has under their names. Whoever is faster is not overwritten.
    pub(super) fn renew(&self, renewed: &Secrets) -> Result<()> {
        for _ in 0..TRIES {
            let (before, mut secrets) = self.present()?;
            secrets.extend(renewed.clone());
            let sealed = secrets::sealed(&self.key, &*self.random, self.storage, &secrets)?;
            let renewing = self.catalog.renew_secrets(self.storage, before.as_deref(), sealed.as_deref());
            let act = format!("renewing the secrets of the storage {}", self.storage);
            if self.handle.block_on(renewing).doing(act)? {
                return Ok(());
            }
        }
        let text = format!("the secrets of the storage {} are being renewed by others", self.storage);
        Err(OperationError::plain(ErrorKind::Busy, text))
    }
}

impl KeepSecrets for CatalogKeeper {
    fn keep(&self, name: &str, secret: &Secret) -> io::Result<()> {
        self.renew(&Secrets::from([(name.to_owned(), secret.clone())])).map_err(io::Error::other)
    }

    fn kept(&self, name: &str) -> io::Result<Option<Secret>> {
        let (_, mut secrets) = self.present().map_err(io::Error::other)?;
        Ok(secrets.remove(name))
    }

    fn hear_of_link(&self, news: &LinkNews, at: Timestamp) {
        // Whoever only looks leaves the catalog as it is.
        if !self.may_write {
            return;
        }
        let heard = match news {
            LinkNews::Good { ends } => {
                self.handle.block_on(self.catalog.link_is_good(self.storage, at, *ends))
            }
            LinkNews::Ended { sentence } => {
                self.handle.block_on(self.catalog.link_has_ended(self.storage, at, sentence))
            }
        };
        if let Err(error) = heard {
            tracing::warn!("how a link with an account is could not be recorded: {}", chain(&error));
        }
    }
}

/// Keeps the secrets of a storage that is being defined until its record is made, which then holds them.
#[derive(Debug, Default)]
pub(super) struct MemoryKeeper(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    renewed: Secrets,
    link: Option<MadeLink>,
}

impl MemoryKeeper {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was renewed.
    pub(super) fn renewed(&self) -> Secrets {
        self.heard().renewed.clone()
    }

    /// What was heard of the link last, where that was good.
    pub(super) fn link(&self) -> Option<MadeLink> {
        self.heard().link
    }
}

impl KeepSecrets for MemoryKeeper {
    fn keep(&self, name: &str, secret: &Secret) -> io::Result<()> {
        self.heard().renewed.insert(name.to_owned(), secret.clone());
        Ok(())
    }

    fn hear_of_link(&self, news: &LinkNews, at: Timestamp) {
        let mut heard = self.heard();
        heard.link = match news {
            LinkNews::Good { ends } => {
                let before = heard.link.and_then(|link| link.ends);
                Some(MadeLink { at, ends: ends.or(before) })
            }
            LinkNews::Ended { .. } => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use backstock_host::Host;
    use serde_json::json;

    use super::*;
    use crate::storages::{NewStorage, add_storage, remove_storage};

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn environment(folder: &std::path::Path) -> Environment {
        Environment::open(&Host::real(), &folder.join("state")).unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    /// As the storages do it: on a thread where that may block.
    fn keep(
        environment: &Environment,
        keeper: &Arc<CatalogKeeper>,
        name: &'static str,
        text: &str,
    ) -> io::Result<()> {
        let (keeper, secret) = (Arc::clone(keeper), secret(text));
        let keeping =
            async { tokio::task::spawn_blocking(move || keeper.keep(name, &secret)).await.unwrap() };
        environment.wait(keeping)
    }

    #[test]
    fn a_renewed_secret_is_sealed_into_the_record_and_leaves_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path());
        let settings = [("url", "https://cloud.example/dav"), ("user", "me")];
        let new = NewStorage {
            title: "offsite".into(),
            kind: "webdav".into(),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            secrets: BTreeMap::from([("password".to_owned(), secret("old one"))]),
            link: None,
        };
        let listed = add_storage(&environment, new).unwrap();
        let keeper = Arc::new(CatalogKeeper::of(&environment, listed.id));
        keep(&environment, &keeper, "refresh_token", "first").unwrap();
        keep(&environment, &keeper, "refresh_token", "second").unwrap();
        // Another process sees it, and nobody sees it in the catalog.
        let other = self::environment(folder.path());
        let record = other.wait(other.catalog.find_storage(listed.id)).unwrap().unwrap();
        let all = secrets::with_secrets(&other, &record).unwrap();
        let wanted = json!({
            "url": "https://cloud.example/dav", "user": "me", "password": "old one", "refresh_token": "second",
        });
        assert_eq!(all, wanted);
        assert!(!format!("{record:?}").contains("second") && !record.settings.to_string().contains("second"));
        let other = CatalogKeeper::of(&other, listed.id);
        assert_eq!(other.kept("refresh_token").unwrap(), Some(secret("second")));
        assert_eq!(other.kept("client_secret").unwrap(), None);
        // A storage that is gone cannot keep anything, and says so.
        remove_storage(&environment, "offsite").unwrap();
        let error = keep(&environment, &keeper, "refresh_token", "third").unwrap_err();
        assert!(error.to_string().contains("there is no storage"), "{error}");
    }

    #[test]
    fn what_is_renewed_side_by_side_is_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path());
        let new = NewStorage {
            title: "offsite".into(),
            kind: "webdav".into(),
            settings: BTreeMap::from([("url".to_owned(), "https://cloud.example/dav".to_owned())]),
            secrets: BTreeMap::new(),
            link: None,
        };
        let listed = add_storage(&environment, new).unwrap();
        std::thread::scope(|scope| {
            for name in NAMES {
                let keeper = CatalogKeeper::of(&environment, listed.id);
                scope.spawn(move || keeper.keep(name, &secret(name)).unwrap());
            }
        });
        let keeper = CatalogKeeper::of(&environment, listed.id);
        for name in NAMES {
            assert_eq!(keeper.kept(name).unwrap(), Some(secret(name)));
        }
    }
}
