//! Storages of every kind as somebody would type them, with the servers behind them.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use backstock_testbed::clouds::authority;
use backstock_testbed::clouds::dropbox::{self, DropboxServer};
use backstock_testbed::clouds::google_drive::{self, GoogleDriveServer};
use backstock_testbed::clouds::oauth::OAuth;
use backstock_testbed::clouds::onedrive::{self, OneDriveServer};
use backstock_testbed::storages::ftp::{FtpManner, FtpServer, FtpServerKind};
use backstock_testbed::storages::moto::{LOCKS_BUCKET, MotoServer};
use backstock_testbed::storages::s3::{ACCESS_KEY_ID, BUCKET, S3Server, SECRET_ACCESS_KEY};
use backstock_testbed::storages::sftp::SftpServer;
use backstock_testbed::storages::webdav::{PASSWORD, USER, WebDavKind, WebDavServer};
use backstock_testbed::storages::wire::Wire;

use super::harness::{Place, Run};

/// A storage as somebody would type it, and what runs behind it.
pub(super) struct Away {
    pub(super) title: &'static str,
    kind: &'static str,
    settings: Vec<String>,
    secrets: Vec<(&'static str, String)>,
    /// The side of its server that links applications with the account.
    account: Option<Account>,
    /// Where its objects lie as files.
    pub(super) objects: PathBuf,
    server: Box<dyn Any>,
}

/// Hands that side of a server to somebody.
type Account = Box<dyn Fn(&mut dyn FnMut(&OAuth))>;

impl Away {
    pub(super) fn folder(folder: &Path) -> Self {
        let settings = vec![format!("folder={}", folder.display())];
        let objects = folder.to_owned();
        Self {
            title: "disk",
            kind: "local",
            settings,
            secrets: Vec::new(),
            account: None,
            objects,
            server: Box::new(()),
        }
    }

    /// The same under another title.
    pub(super) fn called(self, title: &'static str) -> Self {
        Self { title, ..self }
    }

    pub(super) fn s3() -> Option<Self> {
        let server = S3Server::for_test()?;
        let settings = [
            format!("endpoint=http://{}", server.address()),
            format!("bucket={BUCKET}"),
            "prefix=shops".to_owned(),
            format!("access_key_id={ACCESS_KEY_ID}"),
        ];
        let secrets = vec![("secret_access_key", SECRET_ACCESS_KEY.to_owned())];
        let (settings, objects) = (settings.to_vec(), server.objects().join("shops"));
        Some(Self {
            title: "bucket",
            kind: "s3",
            settings,
            secrets,
            account: None,
            objects,
            server: Box::new(server),
        })
    }

    /// The same bucket at another address, under another title.
    pub(super) fn behind(&self, address: SocketAddr, title: &'static str) -> Self {
        let settings = self.settings.iter().map(|setting| match setting.starts_with("endpoint=") {
            true => format!("endpoint=http://{address}"),
            false => setting.clone(),
        });
        let (settings, objects) = (settings.collect(), self.objects.clone());
        Self {
            title,
            kind: self.kind,
            settings,
            secrets: self.secrets.clone(),
            account: None,
            objects,
            server: Box::new(()),
        }
    }

    /// Where the server of a bucket listens.
    pub(super) fn bucket_address(&self) -> SocketAddr {
        self.server.downcast_ref::<S3Server>().unwrap().address()
    }

    /// A bucket with Object Lock, whose settings ask for locks.
    pub(super) fn vault() -> Option<Self> {
        let server = MotoServer::for_test()?;
        let settings = [
            format!("endpoint=http://{}", server.address()),
            format!("bucket={LOCKS_BUCKET}"),
            "prefix=shops".to_owned(),
            "access_key_id=anybody".to_owned(),
            "lock=governance".to_owned(),
        ];
        Some(Self {
            title: "vault",
            kind: "s3",
            settings: settings.to_vec(),
            secrets: vec![("secret_access_key", "anything".to_owned())],
            account: None,
            objects: PathBuf::new(),
            server: Box::new(server),
        })
    }

    /// Where the server of a vault listens.
    pub(super) fn vault_address(&self) -> SocketAddr {
        self.server.downcast_ref::<MotoServer>().unwrap().address()
    }

    pub(super) fn sftp() -> Option<Self> {
        let server = SftpServer::for_test()?;
        let settings = [
            "host=127.0.0.1".to_owned(),
            format!("port={}", server.port()),
            format!("user={}", server.user()),
            "folder=backups".to_owned(),
            format!("host_key={}", server.host_key()),
        ];
        let secrets = vec![("private_key", server.user_key())];
        let (settings, objects) = (settings.to_vec(), server.home().join("backups"));
        Some(Self {
            title: "ssh",
            kind: "sftp",
            settings,
            secrets,
            account: None,
            objects,
            server: Box::new(server),
        })
    }

    fn ftp() -> Option<Self> {
        let server = FtpServer::for_test(FtpServerKind::Pyftpdlib, FtpManner::Explicit)?;
        let authority = format!("{}/../../fixtures/tls/authority.pem", env!("CARGO_MANIFEST_DIR"));
        let settings = [
            "host=127.0.0.1".to_owned(),
            format!("port={}", server.port()),
            format!("user={}", server.user()),
            "encryption=explicit".to_owned(),
            format!("ca_file={authority}"),
            "folder=backups".to_owned(),
        ];
        let secrets = vec![("password", server.password().to_owned())];
        let (settings, objects) = (settings.to_vec(), server.home().join("backups"));
        Some(Self {
            title: "ftp server",
            kind: "ftp",
            settings,
            secrets,
            account: None,
            objects,
            server: Box::new(server),
        })
    }

    fn webdav() -> Option<Self> {
        let server = WebDavServer::for_test(WebDavKind::Apache)?;
        let settings = vec![format!("url=http://{}/dav/shops", server.address()), format!("user={USER}")];
        let secrets = vec![("password", PASSWORD.to_owned())];
        let objects = server.objects().join("shops");
        Some(Self {
            title: "cloud",
            kind: "webdav",
            settings,
            secrets,
            account: None,
            objects,
            server: Box::new(server),
        })
    }

    fn cloud<S: 'static>(
        (title, kind): (&'static str, &'static str),
        server: S,
        (url, client_id): (String, &str),
        oauth: fn(&S) -> &OAuth,
    ) -> Self {
        let server = Rc::new(server);
        let settings = [
            format!("endpoint={url}"),
            format!("client_id={client_id}"),
            format!("ca_file={}", authority().display()),
            "folder=shops".to_owned(),
        ];
        let linked = Rc::clone(&server);
        let account: Account = Box::new(move |act| act(oauth(&linked)));
        let (settings, secrets) = (settings.to_vec(), Vec::new());
        Self {
            title,
            kind,
            settings,
            secrets,
            account: Some(account),
            objects: PathBuf::new(),
            server: Box::new(server),
        }
    }

    pub(super) fn dropbox() -> Self {
        let server = DropboxServer::start();
        let place = (server.server().url(), dropbox::CLIENT_ID);
        Self::cloud(("dropbox", "dropbox"), server, place, DropboxServer::oauth)
    }

    pub(super) fn google_drive() -> Self {
        let server = GoogleDriveServer::start();
        let place = (server.server.url(), google_drive::CLIENT_ID);
        let mut away = Self::cloud(("drive", "google_drive"), server, place, |server| &server.account.oauth);
        away.secrets.push(("client_secret", google_drive::CLIENT_SECRET.to_owned()));
        away
    }

    pub(super) fn onedrive() -> Self {
        let server = OneDriveServer::start();
        let place = (server.server.url(), onedrive::CLIENT_ID);
        Self::cloud(("onedrive", "onedrive"), server, place, |server| &server.account.oauth)
    }

    /// The name of its kind.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its settings by their names.
    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        let halves = self.settings.iter().filter_map(|setting| setting.split_once('='));
        halves.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Its secrets by their names, each in a file of the place; what a link gives is not among them.
    pub(super) fn secret_files(&self, place: &Place) -> BTreeMap<String, String> {
        let one = |(name, secret): &(&str, String)| {
            let file = place.folder().join(format!("{} {name}", self.title));
            fs::write(&file, secret).unwrap();
            ((*name).to_owned(), file.display().to_string())
        };
        self.secrets.iter().map(one).collect()
    }

    /// Whether it is linked with an account.
    pub(super) fn is_cloud(&self) -> bool {
        self.account.is_some()
    }

    /// The same server, by a wire that counts what is sent and what comes.
    pub(super) fn by_wire(&self) -> (Self, Wire) {
        let port_in = |setting: &String| {
            let begin = ["port=", "endpoint=http://127.0.0.1:"].into_iter();
            begin.filter_map(|begin| setting.strip_prefix(begin)?.parse().ok()).next()
        };
        let port: u16 = self.settings.iter().find_map(port_in).unwrap();
        let wire = Wire::to(port);
        let by_wire = |setting: &String| match port_in(setting) {
            Some(_) => setting.replace(&port.to_string(), &wire.port().to_string()),
            None => setting.clone(),
        };
        let away = Self {
            title: self.title,
            kind: self.kind,
            settings: self.settings.iter().map(by_wire).collect(),
            secrets: self.secrets.clone(),
            account: None,
            objects: self.objects.clone(),
            server: Box::new(()),
        };
        (away, wire)
    }

    /// Does something with the side of its server that links applications with the account.
    pub(super) fn account(&self, mut act: impl FnMut(&OAuth)) {
        if let Some(account) = &self.account {
            account(&mut act);
        }
    }

    /// The server behind a cloud.
    pub(super) fn cloud_server<S: 'static>(&self) -> &S {
        self.server.downcast_ref::<Rc<S>>().unwrap()
    }

    /// `storage add` or `recover` with its settings, its secrets in files of the place; what a link gives is among them.
    pub(super) fn typed(&self, place: &Place, command: &[&str], more: &[&str]) -> Run {
        let mut arguments = self.unlinked(place, command);
        // Some refresh tokens are good for one use.
        self.account(|account| {
            let file = place.folder().join(format!("{} refresh_token", self.title));
            fs::write(&file, account.link()).unwrap();
            arguments.extend(["--secret-file".to_owned(), format!("refresh_token={}", file.display())]);
        });
        arguments.extend(more.iter().map(|&word| word.to_owned()));
        place.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The same words without what a link gives.
    pub(super) fn unlinked(&self, place: &Place, command: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        arguments.extend([self.title, "--kind", self.kind].map(str::to_owned));
        for setting in &self.settings {
            arguments.extend(["--set".to_owned(), setting.clone()]);
        }
        for (name, file) in self.secret_files(place) {
            arguments.extend(["--secret-file".to_owned(), format!("{name}={file}")]);
        }
        arguments
    }

    /// Makes it known, and a destination of the shop.
    pub(super) fn add(&self, place: &Place, root: &str, more: &[&str]) {
        self.typed(place, &["storage", "add"], &[]).expect(0);
        place.run(&[&["set", "destination", "add", root, self.title], more].concat()).expect(0);
    }
}

/// Every kind whose server can be had here; those that cannot are said loudly.
pub(super) fn every_kind(place: &Place) -> Vec<Away> {
    let disk = Away::folder(&place.folder().join("second disk"));
    let servers = [Away::s3(), Away::sftp(), Away::ftp(), Away::webdav()].into_iter().flatten();
    let clouds = [Away::dropbox(), Away::google_drive(), Away::onedrive()];
    std::iter::once(disk).chain(servers).chain(clouds).collect()
}
