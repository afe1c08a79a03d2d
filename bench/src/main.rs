//! `bench/run`: Backstock and its peers on the same work, alternated in one run, as one table of ratios.

mod measure;
mod terminal;
mod work;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

use measure::{Measured, median};
use work::{Bench, Pair};

/// Backstock and its peers on the same work.
#[derive(Debug, Parser)]
struct Arguments {
    /// Products of the demo shop; the tables and the tree grow with it
    #[arg(long, default_value_t = 3000)]
    products: u32,
    /// Measured rounds of each pair, after one that warms up
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Only rows whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Print the rows as JSON
    #[arg(long)]
    json: bool,
    /// The release binary
    #[arg(long)]
    backstock: PathBuf,
}

/// One row of the table: medians of ours divided by medians of the peer's.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) peer: String,
    pub(crate) wall_ratio: f64,
    pub(crate) cpu_ratio: f64,
    pub(crate) size_ratio: f64,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) goal: String,
    pub(crate) met: Option<bool>,
    pub(crate) wall_s: f64,
    pub(crate) peer_wall_s: f64,
    pub(crate) server_cpu_s: f64,
    pub(crate) peer_server_cpu_s: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    terminal::say(&format!("making a shop with {} products …", arguments.products));
    let bench = Bench::prepare(&arguments.backstock, arguments.products)?;
    terminal::say(&bench.description());
    let wanted = |pair: &Pair| arguments.only.as_ref().is_none_or(|only| pair.name().contains(only.as_str()));
    let mut rows = Vec::new();
    for pair in bench.pairs().into_iter().filter(wanted) {
        terminal::say(&format!("{} …", pair.name()));
        rows.push(measure_pair(&bench, &pair, arguments.rounds)?);
    }
    if arguments.json {
        terminal::data(&serde_json::to_string_pretty(&rows)?);
    } else {
        for line in terminal::table(&rows) {
            terminal::data(&line);
        }
    }
    Ok(())
}

/// Alternates both sides, so that whatever else the machine does falls on both.
fn measure_pair(bench: &Bench, pair: &Pair, rounds: u32) -> Result<Row, Box<dyn Error>> {
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    let (mut our_bytes, mut peer_bytes) = (0, 0);
    for round in 0..=rounds {
        bench.clear_output()?;
        let our = measure::run(&pair.ours, &bench.environment(), bench.server_process())?;
        our_bytes = bench.output_bytes()?;
        bench.clear_output()?;
        let peer = measure::run(&pair.theirs, &bench.environment(), bench.server_process())?;
        peer_bytes = bench.output_bytes()?;
        if round > 0 {
            ours.push(our);
            peers.push(peer);
        }
    }
    Ok(row_of(pair, &ours, &peers, (our_bytes, peer_bytes)))
}

fn row_of(pair: &Pair, ours: &[Measured], peers: &[Measured], bytes: (u64, u64)) -> Row {
    let middle = |of: &[Measured], value: fn(&Measured) -> f64| median(of.iter().map(value));
    let ratio = |value: fn(&Measured) -> f64| middle(ours, value) / middle(peers, value).max(0.001);
    let wall_ratio = ratio(|measured| measured.wall_s);
    #[expect(clippy::cast_precision_loss, reason = "a ratio of sizes is shown with two digits")]
    let size_ratio = bytes.0 as f64 / (bytes.1 as f64).max(1.0);
    Row {
        work: pair.work.to_owned(),
        peer: pair.peer.to_owned(),
        wall_ratio,
        cpu_ratio: ratio(|measured| measured.cpu_s),
        size_ratio,
        peak_memory_bytes: ours.iter().map(|measured| measured.peak_memory_bytes).max().unwrap_or(0),
        goal: pair.wall_goal.map_or_else(|| "report".to_owned(), |goal| format!("wall <= {goal:.2}")),
        met: pair.wall_goal.map(|goal| wall_ratio <= goal),
        wall_s: middle(ours, |measured| measured.wall_s),
        peer_wall_s: middle(peers, |measured| measured.wall_s),
        server_cpu_s: middle(ours, |measured| measured.server_cpu_s),
        peer_server_cpu_s: middle(peers, |measured| measured.server_cpu_s),
    }
}
