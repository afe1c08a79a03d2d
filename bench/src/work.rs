//! The work that is measured: a demo shop on a private server, and each side's command for the same job.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use backstock_testbed::demo_shop::{DATABASE, DemoShop};
use backstock_testbed::{Server, ServerKind, ServerOptions};
use tempfile::TempDir;

/// A shop, its server, and a folder for what the commands write.
pub(crate) struct Bench {
    folder: TempDir,
    server: Server,
    shop: DemoShop,
    backstock: PathBuf,
}

/// One job, done by us and by a peer.
#[derive(Debug)]
pub(crate) struct Pair {
    /// What is made.
    pub(crate) work: &'static str,
    /// How the peer does it.
    pub(crate) peer: &'static str,
    /// Our command.
    pub(crate) ours: String,
    /// The peer's command.
    pub(crate) theirs: String,
    /// Our wall time divided by the peer's that is wanted, if a goal is set.
    pub(crate) wall_goal: Option<f64>,
}

impl Pair {
    /// How the row is called.
    pub(crate) fn name(&self) -> String {
        format!("{} against {}", self.work, self.peer)
    }
}

impl Bench {
    /// Starts a server and makes a shop.
    pub(crate) fn prepare(backstock: &Path, products: u32) -> Result<Self, Box<dyn Error>> {
        let folder = TempDir::new()?;
        // The shop's account makes triggers itself, as a shop's installer does.
        let flags = ["--innodb-buffer-pool-size=1G", "--log-bin-trust-function-creators=1"];
        let options = ServerOptions { tcp: true, ..ServerOptions::with(&flags) };
        let server = Server::start(ServerKind::MariaDb, &options)?;
        let shop = DemoShop {
            folder: folder.path().to_owned(),
            products,
            seed: 1,
            socket: server.socket(),
            port: server.port().ok_or("the server has no port")?,
        };
        shop.make()?;
        let backstock = fs::canonicalize(backstock)?;
        Ok(Self { folder, server, shop, backstock })
    }

    /// What was made, in words.
    pub(crate) fn description(&self) -> String {
        let files = tree_size(&self.shop.root()).unwrap_or((0, 0));
        format!("{} files with {} MiB in the shop's folder", files.0, files.1 / (1 << 20))
    }

    /// The database server's process.
    pub(crate) fn server_process(&self) -> Option<u32> {
        self.server.process_id()
    }

    /// Variables for every command.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let place = |name: &str| self.folder.path().join(name).display().to_string();
        vec![
            ("BACKSTOCK_STATE".to_owned(), place("state")),
            ("BACKSTOCK_BACKUPS".to_owned(), place("out")),
            ("BACKSTOCK_CONFIG".to_owned(), place("backstock.toml")),
            ("OUT".to_owned(), place("out")),
            ("SHOP".to_owned(), self.shop.root().display().to_string()),
            ("STORAGE".to_owned(), self.shop.storage().display().to_string()),
            ("DUMP".to_owned(), self.dump_command()),
        ]
    }

    fn dump_command(&self) -> String {
        let program = self.server.client_program().with_file_name("mariadb-dump");
        let socket = self.server.socket();
        format!(
            "{} --no-defaults --socket={} --user=root --single-transaction --quick --routines --events {DATABASE}",
            program.display(),
            socket.display()
        )
    }

    /// Empties the folder that commands write to, and the state that would make a second backup another one.
    pub(crate) fn clear_output(&self) -> io::Result<()> {
        for name in ["out", "state"] {
            match fs::remove_dir_all(self.folder.path().join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        fs::create_dir(self.folder.path().join("out"))?;
        fs::write(self.folder.path().join("backstock.toml"), "")
    }

    /// Bytes that a command wrote.
    pub(crate) fn output_bytes(&self) -> io::Result<u64> {
        Ok(tree_size(&self.folder.path().join("out"))?.1)
    }

    /// Every row of the table.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let ours =
            |flags: &str| format!("\"{}\" --quiet backup {flags} \"$SHOP\" >&2", self.backstock.display());
        let database =
            |codec: &str| ours(&format!("--only database --codec {codec} --no-default-exclusions"));
        let files = |codec: &str| ours(&format!("--only files --codec {codec} --no-default-exclusions"));
        vec![
            Pair {
                work: "db.sql.gz",
                peer: "mariadb-dump | gzip",
                ours: database("gzip"),
                theirs: "$DUMP | gzip > \"$OUT/db.sql.gz\"".to_owned(),
                wall_goal: None,
            },
            Pair {
                work: "db.sql.zst",
                peer: "mariadb-dump | zstd -3 -T0",
                ours: database("zstd"),
                theirs: "$DUMP | zstd -q -3 -T0 -o \"$OUT/db.sql.zst\"".to_owned(),
                wall_goal: None,
            },
            Pair {
                work: "files.tgz",
                peer: "tar | gzip",
                ours: files("gzip"),
                theirs: "tar -Pcf - \"$SHOP\" \"$STORAGE\" | gzip > \"$OUT/files.tgz\"".to_owned(),
                wall_goal: None,
            },
            Pair {
                work: "files.tar.zst",
                peer: "tar --zstd",
                ours: files("zstd"),
                theirs: "tar -P --zstd -cf \"$OUT/files.tar.zst\" \"$SHOP\" \"$STORAGE\"".to_owned(),
                wall_goal: None,
            },
        ]
    }
}

/// Files below a folder and the sum of their lengths in bytes.
fn tree_size(folder: &Path) -> io::Result<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            let below = tree_size(&entry.path())?;
            sum = (sum.0 + below.0, sum.1 + below.1);
        } else {
            sum = (sum.0 + 1, sum.1 + metadata.len());
        }
    }
    Ok(sum)
}
