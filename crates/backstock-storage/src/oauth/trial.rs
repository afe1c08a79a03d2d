//! What tests of linked storages share: somebody who keeps renewed secrets, or fails to.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::oauth::REFRESH_TOKEN;
use crate::{KeepSecrets, LinkNews, Secret};

/// Keeps the refresh token of one storage.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    kept: Mutex<Option<String>>,
    fails: AtomicBool,
    news: Mutex<Vec<LinkNews>>,
}

impl Keeper {
    /// One that keeps this one already.
    pub(crate) fn of(refresh_token: &str) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::new(Some(refresh_token.to_owned())), ..Self::default() })
    }

    /// What it has heard of the link since it was asked last.
    pub(crate) fn news(&self) -> Vec<LinkNews> {
        std::mem::take(&mut *self.news.lock().unwrap())
    }

    /// From now on fails, or does not.
    pub(crate) fn set_failing(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// What it keeps.
    pub(crate) fn token(&self) -> String {
        self.kept.lock().unwrap().clone().unwrap_or_default()
    }
}

impl KeepSecrets for Keeper {
    fn keep(&self, name: &str, secret: &Secret) -> io::Result<()> {
        assert_eq!(name, REFRESH_TOKEN);
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"));
        }
        *self.kept.lock().unwrap() = Some(secret.expose().to_owned());
        Ok(())
    }

    fn kept(&self, name: &str) -> io::Result<Option<Secret>> {
        assert_eq!(name, REFRESH_TOKEN);
        Ok(self.kept.lock().unwrap().clone().map(Secret::new))
    }

    fn hear_of_link(&self, news: &LinkNews, _: Timestamp) {
        self.news.lock().unwrap().push(news.clone());
    }
}
