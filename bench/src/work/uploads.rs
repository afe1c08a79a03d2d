//! Bringing one file of 1 GiB to a storage: a copy by `replicate`, against the usual programs, to the same server.

use std::path::Path;

use backstock_testbed::storages::ftp::{FtpManner, FtpServer, FtpServerKind};
use backstock_testbed::storages::s3::{ACCESS_KEY_ID, BUCKET, S3Server, SECRET_ACCESS_KEY};
use backstock_testbed::storages::sftp::SftpServer;
use backstock_testbed::storages::webdav::{PASSWORD, USER, WebDavKind, WebDavServer};

use super::{Bytes, Pair, Peer, Preparation, Side};
use crate::row::Goal;
use crate::scene::Scene;

/// How long the file is, in bytes.
const FILE_BYTES: u64 = 1 << 30;

/// What every row of this file has in its name.
pub(crate) const UPLOAD: &str = "upload";

/// Servers that are uploaded to, as far as they can be had.
pub(crate) struct Servers {
    s3: Option<S3Server>,
    sftp: Option<SftpServer>,
    ftp: Option<FtpServer>,
    webdav: Option<WebDavServer>,
}

impl Servers {
    pub(crate) fn start() -> Self {
        Self {
            s3: S3Server::for_test(),
            sftp: SftpServer::for_test(),
            ftp: FtpServer::for_test(FtpServerKind::Vsftpd, FtpManner::Plain),
            webdav: WebDavServer::for_test(WebDavKind::Apache),
        }
    }
}

/// One storage: how we are told of it, where its objects lie, and how others are.
struct Away {
    kind: &'static str,
    settings: String,
    /// The name of its secret, and the secret.
    secret: (&'static str, String),
    objects: String,
}

impl Away {
    fn s3(server: &S3Server) -> Self {
        let settings = format!(
            "--set endpoint=http://{} --set bucket={BUCKET} --set access_key_id={ACCESS_KEY_ID}",
            server.address()
        );
        let secret = ("secret_access_key", SECRET_ACCESS_KEY.to_owned());
        Self { kind: "s3", settings, secret, objects: shown(&server.objects()) }
    }

    fn sftp(server: &SftpServer) -> Self {
        let settings = format!(
            "--set host=127.0.0.1 --set port={} --set user={} --set folder=bench --set host_key={}",
            server.port(),
            server.user(),
            server.host_key()
        );
        let secret = ("private_key", server.user_key());
        Self { kind: "sftp", settings, secret, objects: shown(&server.home().join("bench")) }
    }

    fn ftp(server: &FtpServer) -> Self {
        let settings = format!(
            "--set host=127.0.0.1 --set port={} --set user={} --set encryption=none --set folder=bench",
            server.port(),
            server.user()
        );
        let secret = ("password", server.password().to_owned());
        Self { kind: "ftp", settings, secret, objects: shown(&server.home().join("bench")) }
    }

    fn webdav(server: &WebDavServer) -> Self {
        let settings = format!("--set url=http://{}/dav/bench --set user={USER}", server.address());
        let secret = ("password", PASSWORD.to_owned());
        Self { kind: "webdav", settings, secret, objects: shown(&server.objects().join("bench")) }
    }

    fn state(&self) -> String {
        format!("\"$WORK/upload-{}\"", self.kind)
    }

    fn run(&self, arguments: &str) -> String {
        let state = self.state();
        format!(
            "BACKSTOCK_STATE={state} BACKSTOCK_BACKUPS={state}.backups \"$BACKSTOCK\" --quiet {arguments}"
        )
    }

    /// A backup that is made, and owed to the storage: the template of every round's state.
    fn setup(&self) -> String {
        let (name, secret) = &self.secret;
        let (state, kind) = (self.state(), self.kind);
        let file = format!("\"$WORK/upload-{kind}.secret\"");
        let noise = "\"$WORK/noise/noise.jpg\"";
        [
            format!("[ -e {noise} ] || {{ mkdir -p \"$WORK/noise\"; head -c {FILE_BYTES} /dev/urandom >{noise}; }}"),
            format!("cat >{file} <<'SECRET'\n{secret}\nSECRET"),
            self.run(&format!(
                "storage add bench --kind {kind} {} --secret-file {name}={file} >/dev/null",
                self.settings
            )),
            // Outside its hours nothing is sent, and all of it is owed.
            "later() { date -d \"+$1 hours\" +%H:%M; }".to_owned(),
            self.run("set destination add \"$WORK/noise\" bench --hours \"$(later 3)-$(later 6)\" >/dev/null"),
            format!("{} >/dev/null 2>&1 || [ $? = 3 ]", self.run("backup --no-prune \"$WORK/noise\"")),
            self.run("set destination change \"$WORK/noise\" bench --hours none >/dev/null"),
            format!("cp -a {state} {state}.template"),
        ]
        .join("\n")
    }

    fn ours(&self) -> Side {
        let (state, objects) = (self.state(), &self.objects);
        let anew = format!("rm -rf {state} \"{objects}\"/*; cp -a {state}.template {state}");
        Side::new(format!("{} >/dev/null", self.run("replicate")))
            .after(Preparation::Shell(anew))
            .comparing(Bytes::NotCompared)
    }

    fn theirs(&self, script: String) -> Side {
        let clean = format!("mkdir -p \"{0}\"; rm -rf \"{0}\"/*", self.objects);
        Side::new(script).after(Preparation::Shell(clean)).comparing(Bytes::NotCompared)
    }

    fn pair(&self, peer: &str, peer_side: Peer, goals: &[Goal]) -> Pair {
        let work = format!("{UPLOAD} of 1 GiB by {}", self.kind);
        let mut pair = Pair::new(&work, peer, self.ours(), peer_side).goals(goals);
        pair.setup = Some(format!("[ -e {}.template ] || {{\n{}\n}}", self.state(), self.setup()));
        pair
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// At least as fast as rclone at half of its processor time (S3) or 0.7 of it (SFTP), and as curl (FTP, WebDAV).
pub(super) fn pairs(scene: &Scene) -> Vec<Pair> {
    let Some(servers) = scene.upload_servers() else { return Vec::new() };
    let rclone = scene.peer("rclone", "rclone").map(|path| shown(&path));
    let four = "--multi-thread-streams 4 --multi-thread-cutoff 16M";
    let mut pairs = Vec::new();
    let mut against_rclone = |away: &Away, remote: &str, settings: &str, cpu: f64| {
        for (name, flags) in [("rclone copyto", ""), ("rclone copyto, 4 streams", four)] {
            let side = rclone.as_ref().map_or_else(
                || Peer::Missing("rclone could not be fetched (ci/peers rclone)".to_owned()),
                |rclone| {
                    let copy = format!("{settings} \"{rclone}\" --config /dev/null {flags} copyto \"$WORK/noise/noise.jpg\" {remote}");
                    Peer::Side(away.theirs(copy))
                },
            );
            pairs.push(away.pair(name, side, &[Goal::Wall(1.0), Goal::Cpu(cpu)]));
        }
    };
    if let Some(server) = &servers.s3 {
        let settings = format!(
            "RCLONE_S3_PROVIDER=Other RCLONE_S3_ENDPOINT=http://{} RCLONE_S3_ACCESS_KEY_ID={ACCESS_KEY_ID} RCLONE_S3_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}",
            server.address()
        );
        against_rclone(&Away::s3(server), &format!(":s3:{BUCKET}/theirs/noise"), &settings, 0.5);
    }
    if let Some(server) = &servers.sftp {
        let settings = format!(
            "RCLONE_SFTP_HOST=127.0.0.1 RCLONE_SFTP_PORT={} RCLONE_SFTP_USER={} RCLONE_SFTP_KEY_FILE=\"$WORK/upload-sftp.secret\"",
            server.port(),
            server.user()
        );
        against_rclone(&Away::sftp(server), ":sftp:bench/theirs/noise", &settings, 0.7);
    }
    if let Some(server) = &servers.ftp {
        let away = Away::ftp(server);
        let (user, password, port) = (server.user(), server.password(), server.port());
        let curl = format!(
            "curl -sS --ftp-create-dirs --user '{user}:{password}' -T \"$WORK/noise/noise.jpg\" ftp://127.0.0.1:{port}/bench/theirs/noise"
        );
        pairs.push(away.pair("curl -T", Peer::Side(away.theirs(curl)), &[Goal::Wall(1.0)]));
    }
    if let Some(server) = &servers.webdav {
        let away = Away::webdav(server);
        let curl = format!(
            "curl -sS --fail --user '{USER}:{PASSWORD}' -T \"$WORK/noise/noise.jpg\" http://{}/dav/bench/noise >/dev/null",
            server.address()
        );
        pairs.push(away.pair("curl -T", Peer::Side(away.theirs(curl)), &[Goal::Wall(1.0)]));
    }
    pairs
}
