//! The way of rows from the socket to the stored frame, by itself: dumps a database with as little around it as can be,
//! or does only what no dump can do without. `bench/rowpath/run` counts its instructions.

mod floor;
mod sink;
mod terminal;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use backstock_archive::artifact::ArtifactOptions;
use backstock_database::{Address, DumpRequest, Secret, ServerSettings, Tls, Unwatched};
use backstock_host::Host;
use backstock_vocabulary::Codec;
use clap::{Parser, Subcommand, ValueEnum};

use sink::{Target, Totals};

/// The way of rows from the socket to the stored frame, by itself.
#[derive(Debug, Parser)]
struct Arguments {
    /// The server's socket; root without a password must be able to log in
    #[arg(long)]
    socket: PathBuf,
    /// The database
    #[arg(long, default_value = "demo_shop")]
    database: String,
    /// How frames are compressed
    #[arg(long, value_enum, default_value_t = Compression::None)]
    codec: Compression,
    /// The codec's level instead of the usual one
    #[arg(long)]
    level: Option<i32>,
    /// Threads that compress
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Connections that read
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// The server's process, whose processor time is told too
    #[arg(long)]
    server: Option<u32>,
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Work {
    /// Dump the database.
    Dump,
    /// Read the rows, compress and hash the text of an earlier dump: what no dump can do without.
    Floor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compression {
    None,
    Zstd,
    Gzip,
}

impl Arguments {
    fn settings(&self) -> ServerSettings {
        ServerSettings {
            address: Address::Socket(self.socket.clone()),
            user: "root".to_owned(),
            password: Secret::default(),
            tls: Tls::Off,
        }
    }

    fn options(&self) -> Option<ArtifactOptions> {
        let codec = match self.codec {
            Compression::None => return None,
            Compression::Zstd => Codec::Zstd,
            Compression::Gzip => Codec::Gzip,
        };
        let usual = ArtifactOptions::for_rows(codec, self.workers);
        Some(match self.level {
            None => usual,
            Some(level) => ArtifactOptions { level, table_log: None, ..usual },
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let server_before_s = arguments.server.map_or(0.0, cpu_s);
    let started = Instant::now();
    let totals = match arguments.work {
        Work::Dump => dump(&arguments)?,
        Work::Floor => return floor::measure(&arguments),
    };
    tell("dump", &arguments, &totals, (started, 0.0, server_before_s));
    Ok(())
}

fn dump(arguments: &Arguments) -> Result<Totals, Box<dyn Error>> {
    let target = Target::new(arguments.options())?;
    let request =
        DumpRequest { connections: arguments.connections, ..DumpRequest::whole(arguments.database.clone()) };
    let report =
        backstock_database::dump(&Host::real(), &arguments.settings(), &request, &target, &Unwatched)?;
    target.finish(report.rows)
}

/// Tells what a piece of work took since `(started, our processor time then, the server's then)`.
fn tell(what: &str, arguments: &Arguments, totals: &Totals, since: (Instant, f64, f64)) {
    let server_s = arguments.server.map_or(0.0, cpu_s) - since.2;
    terminal::data(&format!(
        "{what}: rows={} text_bytes={} stored_bytes={} wall_s={:.3} cpu_s={:.2} server_cpu_s={server_s:.2} peak_kib={}",
        totals.rows,
        totals.text_bytes,
        totals.stored_bytes,
        since.0.elapsed().as_secs_f64(),
        cpu_s(std::process::id()) - since.1,
        peak_kib(),
    ));
}

/// utime + stime of a process (fields 14 and 15 of `proc(5)`, 100 ticks a second), in seconds.
fn cpu_s(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u32 =
        rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    f64::from(ticks) / 100.0
}

/// The high-water mark of our memory, KiB.
fn peak_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
