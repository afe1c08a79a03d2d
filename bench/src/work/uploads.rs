//! Bringing one file of 1 GiB to a storage: a copy by `replicate`, against the usual programs, to the same server.

use std::path::Path;

use backstock_testbed::storages::ftp::{FtpManner, FtpServer, FtpServerKind};
use backstock_testbed::storages::s3::{ACCESS_KEY_ID, BUCKET, S3Server, SECRET_ACCESS_KEY};
use backstock_testbed::storages::sftp::SftpServer;
use backstock_testbed::storages::webdav::{PASSWORD, USER, WebDavKind, WebDavServer};
use backstock_testbed::storages::wire::Wire;

use super::{Bytes, Pair, Peer, Preparation, Side};
use crate::row::Goal;
use crate::scene::Scene;

/// How long the file is, in bytes.
const FILE_BYTES: u64 = 1 << 30;

/// How long the backup is that goes to several storages at once, in bytes.
const SEVERAL_BYTES: u64 = 256 << 20;
/// What each of several storages takes in a second, in bytes.
const HELD_TO: u64 = 30_000_000;

/// What every row of this file has in its name.
pub(crate) const UPLOAD: &str = "upload";

/// Servers that are uploaded to, as far as they can be had.
pub(crate) struct Servers {
    s3: Option<S3Server>,
    sftp: Option<SftpServer>,
    ftp: Option<FtpServer>,
    webdav: Option<WebDavServer>,
    other_webdav: Option<WebDavServer>,
    /// Wires that take [`HELD_TO`] each, to the servers of S3, SFTP and WebDAV, as far as these are there.
    wires: Vec<Wire>,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let (s3, sftp) = (S3Server::for_test(), SftpServer::for_test());
        let webdav = WebDavServer::for_test(WebDavKind::Apache);
        let other_webdav = WebDavServer::for_test(WebDavKind::Nginx);
        let ports = [
            s3.as_ref().map(|server| server.address().port()),
            sftp.as_ref().map(SftpServer::port),
            webdav.as_ref().map(|server| server.address().port()),
            other_webdav.as_ref().map(|server| server.address().port()),
        ];
        let wires = ports.into_iter().flatten().map(|port| Wire::held_to(port, HELD_TO)).collect();
        let ftp = FtpServer::for_test(FtpServerKind::Vsftpd, FtpManner::Plain);
        Self { s3, sftp, ftp, webdav, other_webdav, wires }
    }
}

/// One storage: how we are told of it, and where its objects lie.
struct Away {
    title: &'static str,
    kind: &'static str,
    settings: String,
    /// The name of its secret, and the secret.
    secret: (&'static str, String),
    objects: String,
}

impl Away {
    fn s3(server: &S3Server, port: u16) -> Self {
        let settings = format!(
            "--set endpoint=http://127.0.0.1:{port} --set bucket={BUCKET} --set access_key_id={ACCESS_KEY_ID}"
        );
        let secret = ("secret_access_key", SECRET_ACCESS_KEY.to_owned());
        Self { title: "S3", kind: "s3", settings, secret, objects: shown(&server.objects()) }
    }

    fn sftp(server: &SftpServer, port: u16) -> Self {
        let settings = format!(
            "--set host=127.0.0.1 --set port={port} --set user={} --set folder=bench --set host_key={}",
            server.user(),
            server.host_key()
        );
        let secret = ("private_key", server.user_key());
        Self { title: "SFTP", kind: "sftp", settings, secret, objects: shown(&server.home().join("bench")) }
    }

    fn ftp(server: &FtpServer) -> Self {
        let settings = format!(
            "--set host=127.0.0.1 --set port={} --set user={} --set encryption=none --set folder=bench",
            server.port(),
            server.user()
        );
        let secret = ("password", server.password().to_owned());
        Self { title: "FTP", kind: "ftp", settings, secret, objects: shown(&server.home().join("bench")) }
    }

    fn webdav(server: &WebDavServer, port: u16, title: &'static str) -> Self {
        let settings = format!("--set url=http://127.0.0.1:{port}/dav/bench --set user={USER}");
        let secret = ("password", PASSWORD.to_owned());
        Self { title, kind: "webdav", settings, secret, objects: shown(&server.objects().join("bench")) }
    }

    /// Defines it, and makes it a destination outside of whose hours we are: nothing is sent, and all of it is owed.
    fn define(&self, job: &Job<'_>) -> String {
        let (name, secret) = &self.secret;
        let (title, kind) = (self.title, self.kind);
        let file = format!("\"$WORK/upload-{title}.secret\"");
        let add = format!(
            "storage add '{title}' --kind {kind} {} --secret-file {name}={file} >/dev/null",
            self.settings
        );
        let hours = "--hours \"$(later 3)-$(later 6)\"";
        let destination =
            format!("set destination add \"$WORK/{}\" '{title}' {hours} >/dev/null", job.shop());
        format!("cat >{file} <<'SECRET'\n{secret}\nSECRET\n{}\n{}", job.run(&add), job.run(&destination))
    }

    fn clean(&self) -> String {
        format!("mkdir -p \"{0}\"; rm -rf \"{0}\"/*", self.objects)
    }
}

/// A backup of so many bytes that is brought to some storages.
struct Job<'a> {
    name: &'a str,
    size_bytes: u64,
    away: &'a [&'a Away],
}

impl Job<'_> {
    fn shop(&self) -> String {
        format!("noise-{}", self.size_bytes)
    }

    fn state(&self) -> String {
        format!("\"$WORK/upload-{}\"", self.name)
    }

    fn run(&self, arguments: &str) -> String {
        let state = self.state();
        format!(
            "BACKSTOCK_STATE={state} BACKSTOCK_BACKUPS={state}.backups \"$BACKSTOCK\" --quiet {arguments}"
        )
    }

    /// Makes the backup, and the template of every round's state.
    fn setup(&self) -> String {
        let (state, shop) = (self.state(), self.shop());
        let noise = format!("\"$WORK/{shop}/noise.jpg\"");
        let mut lines = vec![
            format!(
                "[ -e {noise} ] || {{ mkdir -p \"$WORK/{shop}\"; head -c {} /dev/urandom >{noise}; }}",
                self.size_bytes
            ),
            "later() { date -d \"+$1 hours\" +%H:%M; }".to_owned(),
        ];
        lines.extend(self.away.iter().map(|away| away.define(self)));
        lines.push(format!(
            "{} >/dev/null 2>&1 || [ $? = 3 ]",
            self.run(&format!("backup --no-prune \"$WORK/{shop}\""))
        ));
        for away in self.away {
            let change =
                format!("set destination change \"$WORK/{shop}\" '{}' --hours none >/dev/null", away.title);
            lines.push(self.run(&change));
        }
        lines.push(format!("cp -a {state} {state}.template"));
        format!("[ -e {state}.template ] || {{\n{}\n}}", lines.join("\n"))
    }

    fn side(&self) -> Side {
        let state = self.state();
        let clean: Vec<String> = self.away.iter().map(|away| away.clean()).collect();
        let anew = format!("rm -rf {state}; cp -a {state}.template {state}; {}", clean.join("; "));
        let side = Side::new(format!("{} >/dev/null", self.run("replicate")));
        side.after(Preparation::Shell(anew)).comparing(Bytes::NotCompared)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// One storage against another program that brings the same file to the same server.
fn alone(away: &Away, peer: &str, theirs: Result<String, String>, goals: &[Goal]) -> Pair {
    let job = Job { name: away.kind, size_bytes: FILE_BYTES, away: &[away] };
    let peer_side = match theirs {
        Ok(script) => {
            let side = Side::new(script).after(Preparation::Shell(away.clean()));
            Peer::Side(side.comparing(Bytes::NotCompared))
        }
        Err(missing) => Peer::Missing(missing),
    };
    let mut pair =
        Pair::new(&format!("{UPLOAD} of 1 GiB by {}", away.title), peer, job.side(), peer_side).goals(goals);
    pair.setup = Some(job.setup());
    pair
}

/// At least as fast as rclone at half of its processor time (S3) or 0.7 of it (SFTP), and as curl (FTP, WebDAV); several storages at
/// once take hardly longer than one.
pub(super) fn pairs(scene: &Scene) -> Vec<Pair> {
    let Some(servers) = scene.upload_servers() else { return Vec::new() };
    let mut pairs = against_rclone(scene, servers);
    let noise = format!("\"$WORK/noise-{FILE_BYTES}/noise.jpg\"");
    if let Some(server) = &servers.ftp {
        let (user, password, port) = (server.user(), server.password(), server.port());
        let curl = format!(
            "curl -sS --ftp-create-dirs --user '{user}:{password}' -T {noise} ftp://127.0.0.1:{port}/bench/theirs/noise"
        );
        pairs.push(alone(&Away::ftp(server), "curl -T", Ok(curl), &[Goal::Wall(1.0)]));
    }
    if let Some(server) = &servers.webdav {
        let port = server.address().port();
        let curl = format!(
            "curl -sS --fail --user '{USER}:{PASSWORD}' -T {noise} http://127.0.0.1:{port}/dav/bench/noise >/dev/null"
        );
        let away = Away::webdav(server, port, "WebDAV");
        pairs.push(alone(&away, "curl -T", Ok(curl), &[Goal::Wall(1.0)]));
        pairs.push(alone(&away, "curl, the same parts", Ok(curl_in_parts(port)), &[Goal::Wall(1.0)]));
    }
    pairs.extend(several(servers));
    pairs
}

/// What a place that cannot go on with an upload asks of anybody: parts that are short, each under a name that nobody sees,
/// looked at, and given its name; at the end a block is read back. One process, one connection.
fn curl_in_parts(port: u16) -> String {
    let dav = format!("http://127.0.0.1:{port}/dav/bench");
    format!(
        r#"folder=$(dirname "$(ls "$WORK"/upload-webdav.backups/*/*/files/*.001)"); number=0
request() {{ printf 'user = "{USER}:{PASSWORD}"\nfail\nsilent\nshow-error\noutput = /dev/null\n'; printf "$@"; printf 'next\n'; }}
for part in "$folder"/*.[0-9][0-9][0-9]; do
    number=$((number + 1)); name="{dav}/theirs-$number"
    request 'url = "%s.part"\nupload-file = "%s"\n' "$name" "$part"
    request 'url = "%s.part"\nrequest = PROPFIND\nheader = "Depth: 0"\n' "$name"
    request 'url = "%s.part"\nrequest = MOVE\nheader = "Destination: %s"\n' "$name" "$name"
done >"$WORK/parts.curl"
request 'url = "{dav}/theirs-1"\nrange = 0-67108863\n' >>"$WORK/parts.curl"
sed -i '$d' "$WORK/parts.curl"
[ "$number" -gt 15 ] && curl -K "$WORK/parts.curl""#
    )
}

fn against_rclone(scene: &Scene, servers: &Servers) -> Vec<Pair> {
    let rclone = scene.peer("rclone", "rclone").map(|path| shown(&path));
    let four = "--multi-thread-streams 4 --multi-thread-cutoff 16M";
    let noise = format!("\"$WORK/noise-{FILE_BYTES}/noise.jpg\"");
    let mut pairs = Vec::new();
    let mut add = |away: &Away, remote: &str, settings: &str, cpu: f64| {
        for (name, flags) in [("rclone copyto", ""), ("rclone copyto, 4 streams", four)] {
            let missing = || "rclone could not be fetched (ci/peers rclone)".to_owned();
            let copy = |rclone: &String| {
                format!(
                    "{settings} \"{rclone}\" --config /dev/null {flags} copyto {noise} {remote} 2>/dev/null"
                )
            };
            let theirs = rclone.as_ref().map(copy).ok_or_else(missing);
            pairs.push(alone(away, name, theirs, &[Goal::Wall(1.0), Goal::Cpu(cpu)]));
        }
    };
    if let Some(server) = &servers.s3 {
        let settings = format!(
            "RCLONE_S3_PROVIDER=Other RCLONE_S3_ENDPOINT=http://{} RCLONE_S3_ACCESS_KEY_ID={ACCESS_KEY_ID} RCLONE_S3_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}",
            server.address()
        );
        let away = Away::s3(server, server.address().port());
        add(&away, &format!(":s3:{BUCKET}/theirs/noise"), &settings, 0.5);
    }
    if let Some(server) = &servers.sftp {
        let settings = format!(
            "RCLONE_SFTP_HOST=127.0.0.1 RCLONE_SFTP_PORT={} RCLONE_SFTP_USER={} RCLONE_SFTP_KEY_FILE=\"$WORK/upload-SFTP.secret\"",
            server.port(),
            server.user()
        );
        add(&Away::sftp(server, server.port()), ":sftp:bench/theirs/noise", &settings, 0.7);
    }
    pairs
}

/// Four storages at once, each held to the same speed, against each of them alone.
fn several(servers: &Servers) -> Vec<Pair> {
    let (Some(s3), Some(sftp), Some(webdav), Some(other), [one, two, three, four]) =
        (&servers.s3, &servers.sftp, &servers.webdav, &servers.other_webdav, servers.wires.as_slice())
    else {
        return Vec::new();
    };
    let away = [
        Away::s3(s3, one.port()),
        Away::sftp(sftp, two.port()),
        Away::webdav(webdav, three.port(), "Apache"),
        Away::webdav(other, four.port(), "nginx"),
    ];
    let all: Vec<&Away> = away.iter().collect();
    let together = Job { name: "several", size_bytes: SEVERAL_BYTES, away: &all };
    let against = |single: &Away| {
        let one = [single];
        let job = Job { name: single.title, size_bytes: SEVERAL_BYTES, away: &one };
        let work = format!("{UPLOAD} of 256 MiB to four storages at 30 MB/s each");
        let peer = format!("{} alone", single.title);
        let mut pair =
            Pair::new(&work, &peer, together.side(), Peer::Side(job.side())).goals(&[Goal::Wall(1.2)]);
        pair.setup = Some(format!("{}\n{}", together.setup(), job.setup()));
        pair
    };
    away.iter().map(against).collect()
}
