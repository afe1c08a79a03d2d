//! `bench/run`: Backstock and its peers on the same work, alternated in one run, as one table of ratios.

mod cache;
mod measure;
mod probe;
mod row;
mod scene;
mod terminal;
mod walk;
mod work;

use std::error::Error;
use std::path::PathBuf;

use backstock_testbed::demo_shop::Growth;
use clap::{Args, Parser, Subcommand};

use measure::Measured;
use row::{Row, peak_memory_row};
use scene::Scene;
use work::{Bytes, Pair, Peer, Preparation, Side};

/// Backstock and its peers on the same work.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read, compress and hash files, and do nothing else: the least that a backup of them costs
    Probe {
        /// Files and folders
        paths: Vec<PathBuf>,
        /// Write the frames into this folder too
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// Walk files and folders with stat and write an index of them: the least that an unchanged incremental backup costs
    Walk {
        /// Files and folders
        paths: Vec<PathBuf>,
        /// Where to write the index
        #[arg(long)]
        write: PathBuf,
    },
}

#[derive(Debug, Args)]
struct RunArguments {
    /// Products of the demo shop; its tables and tree grow with it
    #[arg(long, default_value_t = 3000)]
    products: u32,
    /// MiB of SQL that are added to the shop's tables
    #[arg(long, default_value_t = 0)]
    sql_mib: u64,
    /// Files that the shop's tree grows to
    #[arg(long, default_value_t = 0)]
    files: u64,
    /// MiB that the shop's tree grows to
    #[arg(long, default_value_t = 0)]
    files_mib: u64,
    /// Measured rounds of each pair, after one that warms up
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Only rows whose name contains this (may be repeated)
    #[arg(long)]
    only: Vec<String>,
    /// Print the rows as JSON
    #[arg(long)]
    json: bool,
    /// Start the server without a binary log
    #[arg(long)]
    without_binary_log: bool,
    /// The release binary
    #[arg(long, default_value = "target/release/backstock")]
    backstock: PathBuf,
    /// The folder that holds the unpacked peers, as ci/peers leaves them
    #[arg(long)]
    peers: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Probe { paths, write }) => {
            let work = match write {
                None => probe::read_compress_hash(&paths)?,
                Some(folder) => probe::read_compress_hash_write(&paths, &folder)?,
            };
            terminal::say(&format!("{} bytes read, {} bytes written", work.read_bytes, work.stored_bytes));
            Ok(())
        }
        Some(Command::Walk { paths, write }) => {
            let lines = walk::walk_and_index(&paths, &write)?;
            terminal::say(&format!("{lines} lines written"));
            Ok(())
        }
        None => run(&arguments.run),
    }
}

fn run(arguments: &RunArguments) -> Result<(), Box<dyn Error>> {
    terminal::say("making the shop …");
    let growth = Growth {
        sql_bytes: arguments.sql_mib << 20,
        files: arguments.files,
        file_bytes: arguments.files_mib << 20,
    };
    let scene = Scene::prepare(arguments, &growth)?;
    terminal::say(&scene.description()?);
    let is_wanted = |pair: &Pair| {
        arguments.only.is_empty() || arguments.only.iter().any(|only| pair.name().contains(only.as_str()))
    };
    let mut rows = Vec::new();
    for pair in work::pairs(&scene).into_iter().filter(is_wanted) {
        terminal::say(&format!("{} …", pair.name()));
        let row = measure_pair(&scene, &pair, arguments.rounds)?;
        // Said at once: a run of large sizes takes long, and may be stopped.
        terminal::say(&terminal::line(&row));
        rows.push(row);
    }
    rows.extend(peak_memory_row(&rows));
    if arguments.json {
        terminal::data(&serde_json::to_string_pretty(&rows)?);
    } else {
        for line in terminal::table(&rows) {
            terminal::data(&line);
        }
    }
    Ok(())
}

/// Alternates both sides, so that whatever else the machine does falls on both. The first round is thrown away: it
/// warms caches and the server up.
fn measure_pair(scene: &Scene, pair: &Pair, rounds: u32) -> Result<Row, Box<dyn Error>> {
    if let Peer::Missing(reason) = &pair.peer_side {
        return Ok(Row::missing(pair, reason));
    }
    if let Some(setup) = &pair.setup {
        scene.clear_output()?;
        scene.shell(setup)?;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let our = measure_side(scene, pair, &pair.ours)?;
        let peer = match &pair.peer_side {
            Peer::Side(side) => measure_side(scene, pair, side)?,
            Peer::Floor => our.floor(),
            Peer::WholeBackup => Measured { bytes: scene.output_bytes()?, ..Measured::default() },
            Peer::Missing(_) => Measured::default(),
        };
        if round > 0 {
            ours.push(our);
            theirs.push(peer);
        }
    }
    Ok(Row::of(pair, &ours, &theirs))
}

fn measure_side(scene: &Scene, pair: &Pair, side: &Side) -> Result<Measured, Box<dyn Error>> {
    if pair.setup.is_none() {
        scene.clear_output()?;
    }
    for preparation in &side.before {
        match preparation {
            Preparation::Shell(script) => scene.shell(script)?,
            Preparation::DropCache => scene.drop_cache()?,
            Preparation::FillCache => scene.fill_cache()?,
        }
    }
    let mut measured = measure::run(&side.script, &scene.environment(), scene.server_process())?;
    measured.bytes = match side.bytes {
        Bytes::Written => scene.output_bytes()?,
        Bytes::Read => measured.read_bytes,
        Bytes::NotCompared => 0,
    };
    Ok(measured)
}
