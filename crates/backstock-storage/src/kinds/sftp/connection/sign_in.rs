//! Signing in to an SSH server: by the agent's keys, a private key, a password, or the same password where the server asks for it
//! in its own words (keyboard-interactive, RFC 4256).

use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Asked};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, decode_secret_key};

use super::{Checker, Connection};
use crate::{Cause, Error, Result};

/// Keys of the agent that are tried: servers end the connection after a handful of wrong ones.
const AGENT_KEYS: usize = 4;
/// Rounds of questions that are answered with the password.
const QUESTION_ROUNDS: usize = 4;

impl Connection {
    pub(super) async fn sign_in(&self, ssh: &mut Handle<Checker>) -> Result<()> {
        let tried = self.patience.answer(self.try_all(ssh)).await;
        if tried.map_err(|late| self.failed(late))?? {
            return Ok(());
        }
        if ssh.is_closed() {
            return Err(self.lost(russh::Error::Disconnect));
        }
        let answer = format!("it does not let the user \"{}\" in with them", self.settings.user);
        Err(self.refused("sign in to", Cause::SignIn, &answer))
    }

    /// Tries whatever the settings hold; tells whether one was enough.
    async fn try_all(&self, ssh: &mut Handle<Checker>) -> Result<bool> {
        Ok((self.settings.agent && self.try_agent(ssh).await?)
            || self.try_key(ssh).await?
            || self.try_password(ssh).await?)
    }

    async fn try_agent(&self, ssh: &mut Handle<Checker>) -> Result<bool> {
        let no_agent = |problem: String| self.refused("ask the ssh-agent for", Cause::SignIn, &problem);
        let Some(socket) = &self.agent_socket else {
            return Err(no_agent("SSH_AUTH_SOCK is not set".to_owned()));
        };
        let agent = AgentClient::connect_uds(socket).await;
        let mut agent = agent.map_err(|error| no_agent(error.to_string()))?;
        let identities = agent.request_identities().await.map_err(|error| no_agent(error.to_string()))?;
        for identity in identities.into_iter().take(AGENT_KEYS) {
            let AgentIdentity::PublicKey { key, .. } = identity else { continue };
            let hash = if key.algorithm().is_rsa() { self.rsa_hash(ssh).await? } else { None };
            let user = self.settings.user.as_str();
            let tried = ssh.authenticate_publickey_with(user, key, hash, &mut agent).await;
            if tried.map_err(|error| no_agent(error.to_string()))?.success() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn try_key(&self, ssh: &mut Handle<Checker>) -> Result<bool> {
        let Some(text) = self.settings.private_key.clone() else { return Ok(false) };
        let passphrase = self.settings.passphrase.clone();
        // The passphrase is made slow to try on purpose.
        let decoded = tokio::task::spawn_blocking(move || {
            decode_secret_key(text.expose(), passphrase.as_ref().map(crate::Secret::expose))
        });
        let problem = |text: &dyn std::fmt::Display| Error::Settings {
            kind: super::super::KIND.name,
            problem: format!("private_key cannot be read with this passphrase, or is no private key: {text}"),
        };
        let key = decoded.await.map_err(|error| problem(&error))?.map_err(|error| problem(&error))?;
        let hash = if key.algorithm().is_rsa() { self.rsa_hash(ssh).await? } else { None };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let tried = ssh.authenticate_publickey(self.settings.user.as_str(), key).await;
        Ok(tried.map_err(|error| self.lost(error))?.success())
    }

    async fn rsa_hash(&self, ssh: &Handle<Checker>) -> Result<Option<HashAlg>> {
        let best = ssh.best_supported_rsa_hash().await.map_err(|error| self.lost(error))?;
        // A server that does not say takes SHA-512 if it is younger than ten years.
        Ok(best.unwrap_or(Some(HashAlg::Sha512)))
    }

    async fn try_password(&self, ssh: &mut Handle<Checker>) -> Result<bool> {
        let Some(password) = &self.settings.password else { return Ok(false) };
        let user = self.settings.user.as_str();
        let tried = ssh.authenticate_password(user, password.expose()).await;
        match tried.map_err(|error| self.lost(error))? {
            AuthResult::Success => return Ok(true),
            AuthResult::Failure { remaining_methods, .. }
                if !remaining_methods.contains(&MethodKind::KeyboardInteractive) =>
            {
                return Ok(false);
            }
            AuthResult::Failure { .. } => {}
        }
        let mut asked = ssh.authenticate_keyboard_interactive_start(user, None).await;
        for _ in 0..QUESTION_ROUNDS {
            match asked.map_err(|error| self.lost(error))? {
                Asked::Success => return Ok(true),
                Asked::Failure { .. } => return Ok(false),
                Asked::InfoRequest { prompts, .. } => {
                    let answers = prompts.iter().map(|_| password.expose().to_owned()).collect();
                    asked = ssh.authenticate_keyboard_interactive_respond(answers).await;
                }
            }
        }
        Ok(false)
    }
}
