//! Access tokens: kept in memory, renewed in time, one renewal at a time. The link to the account can be lost here.
//!
//! Some providers replace the refresh token at every renewal. The new one is durable before anything is done with what came
//! with it, and a renewal that has begun ends even when whoever wanted it is gone.

use std::io;
use std::sync::Arc;

use backstock_vocabulary::ErrorClass;
use jiff::Timestamp;
use reqwest::StatusCode;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::link::after;
use super::{Client, REFRESH_TOKEN, Tokens, check_refresh_token};
use crate::http::{Act, Answer, Http};
use crate::{Cause, Error, KeepSecrets, LinkNews, Result, Secret};

/// How long before its end a token is renewed, in seconds: longer than any one request takes to begin.
const RENEW_BEFORE_SECONDS: u64 = 5 * 60;

/// Access to one account, for as many tasks as there are.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    http: Http,
    keep: Arc<dyn KeepSecrets>,
}

#[derive(Debug)]
struct State {
    refresh_token: Secret,
    /// Whether that is the one that is kept.
    is_kept: bool,
    current: Option<Current>,
}

/// The token that requests carry now.
#[derive(Debug)]
struct Current {
    token: Secret,
    renew_from: Option<Timestamp>,
    ends: Option<Timestamp>,
}

impl Access {
    /// Access by a refresh token, which is kept already. Nothing is asked before the first token is wanted.
    ///
    /// # Errors
    ///
    /// Why it cannot be a refresh token, as a sentence for [`Error::Settings`].
    pub(crate) fn new(
        client: Client,
        http: Http,
        refresh_token: Secret,
        keep: Arc<dyn KeepSecrets>,
    ) -> std::result::Result<Self, String> {
        check_refresh_token(client.provider(), &refresh_token)?;
        let state = State { refresh_token, is_kept: true, current: None };
        Ok(Self { shared: Arc::new(Shared { client, http, keep }), state: Arc::new(Mutex::new(state)) })
    }

    /// A token that is good for some time.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with [`Cause::Unlinked`] where the account is no longer linked, with other causes as the provider
    /// says; [`Error::Io`] where the way to it is broken, or where a renewed refresh token cannot be kept.
    pub(crate) async fn token(&self) -> Result<Secret> {
        let state = Arc::clone(&self.state).lock_owned().await;
        let now = self.shared.http.now();
        let usable = state.current.as_ref().filter(|current| current.ends.is_none_or(|ends| now < ends));
        let usable = usable.map(|current| (current.token.clone(), current.renew_from));
        match usable {
            Some((token, renew_from)) if renew_from.is_none_or(|from| now < from) => Ok(token),
            // It is early still: where renewing fails for now, the old one is good.
            Some((token, _)) => match self.renew(state).await {
                Err(error) if error.class() == ErrorClass::Retry => Ok(token),
                other => other,
            },
            None => self.renew(state).await,
        }
    }

    /// Another token in the place of one that the service does not accept.
    ///
    /// # Errors
    ///
    /// As those of [`Self::token`].
    pub(crate) async fn renewed(&self, refused: &Secret) -> Result<Secret> {
        let state = Arc::clone(&self.state).lock_owned().await;
        match &state.current {
            // Somebody else was faster.
            Some(current) if current.token != *refused => Ok(current.token.clone()),
            _ => self.renew(state).await,
        }
    }

    /// Sends what `send` makes of a token; once more, with a new one, where the service says that it does not accept the
    /// first. Any status may come back.
    ///
    /// # Errors
    ///
    /// Those of `send` and of [`Self::token`].
    pub(crate) async fn authorized<F, Sent>(&self, send: F) -> Result<Answer>
    where
        F: Fn(Secret) -> Sent,
        Sent: Future<Output = Result<Answer>>,
    {
        let token = self.token().await?;
        let answer = send(token.clone()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        send(self.renewed(&token).await?).await
    }

    /// Renews on a task of its own: whoever waits may go away, the token that comes back may not.
    async fn renew(&self, mut state: OwnedMutexGuard<State>) -> Result<Secret> {
        let shared = Arc::clone(&self.shared);
        let renewing = tokio::spawn(async move { shared.renew(&mut state).await });
        renewing.await.unwrap_or_else(|error| Err(self.shared.io(io::Error::other(error))))
    }
}

impl Shared {
    /// Renews, and tells whoever keeps the secrets how the link is.
    async fn renew(&self, state: &mut State) -> Result<Secret> {
        let renewed = self.renew_link(state).await;
        let news = match &renewed {
            Ok((_, ends)) => LinkNews::Good { ends: *ends },
            Err(error) if error.is_unlinked() => LinkNews::Ended { sentence: error.to_string() },
            Err(_) => return renewed.map(|(token, _)| token),
        };
        let (keep, now) = (Arc::clone(&self.keep), self.http.now());
        // It is told, and nothing depends on it: what was asked for goes on.
        let _ = tokio::task::spawn_blocking(move || keep.hear_of_link(&news, now)).await;
        renewed.map(|(token, _)| token)
    }

    /// The new access token, and when the refresh token ends, where that is told.
    async fn renew_link(&self, state: &mut State) -> Result<(Secret, Option<Timestamp>)> {
        if !state.is_kept {
            self.keep(state).await?;
        }
        let tokens = match self.client.refresh(&self.http, &state.refresh_token).await {
            Err(Error::Refused { cause: Cause::Unlinked, .. }) if self.takes_over(state).await? => {
                self.client.refresh(&self.http, &state.refresh_token).await?
            }
            other => other?,
        };
        let Tokens { access_token, lifetime_seconds, refresh_token, refresh_lifetime_seconds } = tokens;
        if let Some(refresh_token) = refresh_token.filter(|token| *token != state.refresh_token) {
            (state.refresh_token, state.is_kept) = (refresh_token, false);
            self.keep(state).await?;
        }
        let now = self.http.now();
        state.current = Some(Current {
            token: access_token.clone(),
            renew_from: lifetime_seconds
                .map(|lifetime| after(now, lifetime - RENEW_BEFORE_SECONDS.min(lifetime / 4))),
            ends: lifetime_seconds.map(|lifetime| after(now, lifetime)),
        });
        Ok((access_token, refresh_lifetime_seconds.map(|lifetime| after(now, lifetime))))
    }

    async fn keep(&self, state: &mut State) -> Result<()> {
        let (keep, token) = (Arc::clone(&self.keep), state.refresh_token.clone());
        let kept = tokio::task::spawn_blocking(move || keep.keep(REFRESH_TOKEN, &token)).await;
        let kept = kept.unwrap_or_else(|error| Err(io::Error::other(error)));
        let act = Act { verb: "keep the renewed link with", name: self.client.provider.name };
        kept.map_err(|error| self.http.io(act, error))?;
        state.is_kept = true;
        Ok(())
    }

    /// Whether another process has renewed the link meanwhile, and ours goes on from there.
    async fn takes_over(&self, state: &mut State) -> Result<bool> {
        let keep = Arc::clone(&self.keep);
        let kept = tokio::task::spawn_blocking(move || keep.kept(REFRESH_TOKEN)).await;
        let kept = kept.unwrap_or_else(|error| Err(io::Error::other(error)));
        let kept = kept.map_err(|error| self.io(error))?;
        match kept.filter(|kept| *kept != state.refresh_token) {
            Some(kept) => {
                state.refresh_token = kept;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn io(&self, error: io::Error) -> Error {
        self.http.io(self.client.act(), error)
    }
}
