//! Where the work is done: a private server with the demo shop on it, the peers, and a folder for what commands write.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstock_testbed::demo_shop::{DATABASE, DemoShop, Growth, PREFIX, size_of};
use backstock_testbed::{Server, ServerKind, ServerOptions};
use tempfile::TempDir;

use crate::work::LOAD_THREADS;
use crate::work::uploads::{Servers, UPLOAD};
use crate::{RunArguments, cache};

/// The database that loads go into.
pub(crate) const LOAD_DATABASE: &str = "bench_load";
/// The table that is brought back alone, without the prefix.
pub(crate) const ONE_TABLE: &str = "one_mebibyte";
const ONE_TABLE_BYTES: u64 = 1 << 20;

/// A shop, its server, and the folders around them.
pub(crate) struct Scene {
    folder: TempDir,
    server: Server,
    shop: DemoShop,
    backstock: PathBuf,
    peers: Option<PathBuf>,
    upload_servers: Option<Servers>,
}

impl Scene {
    /// Starts a server and makes a shop.
    pub(crate) fn prepare(arguments: &RunArguments, growth: &Growth) -> Result<Self, Box<dyn Error>> {
        let folder = TempDir::new()?;
        // The shop's account makes triggers itself, as a shop's installer does.
        let flags = ["--innodb-buffer-pool-size=1G", "--log-bin-trust-function-creators=1"];
        let options = ServerOptions {
            tcp: true,
            binary_log: !arguments.without_binary_log,
            ..ServerOptions::with(&flags)
        };
        let server = Server::start(ServerKind::MariaDb, &options)?;
        let shop = DemoShop {
            folder: folder.path().to_owned(),
            products: arguments.products,
            seed: 1,
            socket: server.socket(),
            port: server.port().ok_or("the server has no port")?,
        };
        shop.make()?;
        shop.grow_database(growth)?;
        shop.grow_files(growth)?;
        make_one_table(&server)?;
        // What was just made is not to be written out while others are measured, and can leave the cache only then.
        rustix::fs::syncfs(fs::File::open(folder.path())?)?;
        let backstock = fs::canonicalize(&arguments.backstock)?;
        let peers = arguments.peers.as_ref().map(std::path::absolute).transpose()?;
        let wants_uploads =
            arguments.only.is_empty() || arguments.only.iter().any(|only| only.contains(UPLOAD));
        let upload_servers = wants_uploads.then(Servers::start);
        Ok(Self { folder, server, shop, backstock, peers, upload_servers })
    }

    /// The servers that are uploaded to, where a row wants them.
    pub(crate) fn upload_servers(&self) -> Option<&Servers> {
        self.upload_servers.as_ref()
    }

    /// What was made, in words.
    pub(crate) fn description(&self) -> Result<String, Box<dyn Error>> {
        let (root, storage) = (size_of(&self.shop.root())?, size_of(&self.shop.storage())?);
        let sql = "SELECT SUM(data_length) DIV 1048576 FROM information_schema.tables WHERE table_schema = DATABASE()";
        let answer = self.server.client(DATABASE, sql)?;
        let tables_mib = String::from_utf8_lossy(&answer);
        Ok(format!(
            "{} files with {} MiB, tables with {} MiB",
            root.0 + storage.0,
            (root.1 + storage.1) >> 20,
            tables_mib.lines().last().unwrap_or_default()
        ))
    }

    /// The database server's process.
    pub(crate) fn server_process(&self) -> Option<u32> {
        self.server.process_id()
    }

    /// A peer's program, if it was unpacked.
    pub(crate) fn peer(&self, folder: &str, program: &str) -> Option<PathBuf> {
        Some(self.peers.as_ref()?.join(folder).join("bin").join(program)).filter(|path| path.exists())
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Variables for every command.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let own = std::env::current_exe().unwrap_or_default();
        let client = self.server.client_program();
        let log_in = format!("--no-defaults --socket={} --user=root", self.server.socket().display());
        let dump_program = format!("{} {log_in}", client.with_file_name("mariadb-dump").display());
        let dump = format!("{dump_program} --single-transaction --quick --routines --events {DATABASE}");
        let paths: [(&str, &Path); 11] = [
            ("BACKSTOCK_STATE", &self.place("state")),
            ("BACKSTOCK_BACKUPS", &self.place("out")),
            ("BACKSTOCK_CONFIG", &self.place("backstock.toml")),
            ("BACKSTOCK", &self.backstock),
            ("PROBE", &own),
            ("OUT", &self.place("out")),
            ("WORK", self.folder.path()),
            ("SHOP", &self.shop.root()),
            ("STORAGE", &self.shop.storage()),
            ("SOCKET", &self.server.socket()),
            ("BORG_BASE_DIR", &self.place("borg")),
        ];
        let paths = paths.map(|(name, path)| (name.to_owned(), path.display().to_string()));
        let texts = [
            ("DUMP", dump),
            ("DUMP_PROGRAM", dump_program),
            ("LOAD_DATABASE", LOAD_DATABASE.to_owned()),
            ("LOAD_THREADS", LOAD_THREADS.to_string()),
            ("CLIENT", format!("{} {log_in}", client.display())),
            ("DATABASE", DATABASE.to_owned()),
            ("RESTIC_PASSWORD", "bench".to_owned()),
            ("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes".to_owned()),
        ];
        paths.into_iter().chain(texts.map(|(name, text)| (name.to_owned(), text))).collect()
    }

    /// Runs a script that is not measured.
    pub(crate) fn shell(&self, script: &str) -> io::Result<()> {
        let mut command = Command::new("sh");
        command.args(["-e", "-c", script]).stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.envs(self.environment()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("{script}: {status}"))) }
    }

    /// Takes the shop's files out of the page cache.
    pub(crate) fn drop_cache(&self) -> io::Result<()> {
        cache::drop_tree(&self.shop.root())?;
        cache::drop_tree(&self.shop.storage())
    }

    /// Reads the shop's files into the page cache.
    pub(crate) fn fill_cache(&self) -> io::Result<()> {
        cache::fill_tree(&self.shop.root())?;
        cache::fill_tree(&self.shop.storage())
    }

    /// Empties the folder that commands write to, and the state that would make a second backup another one. What the
    /// kernel had still to write of that is forgotten with it, so that the next command does not pay for the last.
    pub(crate) fn clear_output(&self) -> io::Result<()> {
        for name in ["out", "state"] {
            match fs::remove_dir_all(self.place(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        fs::create_dir(self.place("out"))?;
        fs::write(self.place("backstock.toml"), "")?;
        // That gigabytes were removed is not to be waited for by the first who syncs something.
        Ok(rustix::fs::syncfs(fs::File::open(self.folder.path())?)?)
    }

    /// Bytes that a command wrote.
    pub(crate) fn output_bytes(&self) -> Result<u64, Box<dyn Error>> {
        Ok(size_of(&self.place("out"))?.1)
    }
}

/// A small table among large ones, and rights for the shop's account on the database that loads go into.
fn make_one_table(server: &Server) -> Result<(), Box<dyn Error>> {
    let rows = ONE_TABLE_BYTES / 128;
    let sql = format!(
        "CREATE TABLE {PREFIX}{ONE_TABLE} (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, text varchar(120) NOT NULL);
         INSERT INTO {PREFIX}{ONE_TABLE} (text) SELECT CONCAT(SHA2(seq, 256), LEFT(SHA2(seq + 0.5, 256), 46)) FROM seq_1_to_{rows};
         CREATE DATABASE {LOAD_DATABASE};
         GRANT ALL ON {LOAD_DATABASE}.* TO 'demo_shop_user'@'%';"
    );
    server.client(DATABASE, sql)?;
    Ok(())
}
