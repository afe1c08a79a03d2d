//! The work that is measured: each side's command for the same job, and the goal.

mod sealing;
pub(crate) mod uploads;

use crate::row::Goal;
use crate::scene::{LOAD_DATABASE, ONE_TABLE, Scene};
use backstock_testbed::demo_shop::PREFIX;

/// An output may be this much larger than the peer's and still be called the same work.
const EQUAL_SIZE: Goal = Goal::Size(1.1);
/// Threads of peers that take a number: one for each connection that a load of ours opens.
pub(crate) const LOAD_THREADS: u32 = 4;

/// The peer's dump as plain SQL, for what reads it.
const DUMP_ONCE: &str = "[ -e \"$WORK/dump.sql\" ] || $DUMP > \"$WORK/dump.sql\"";

/// What is done before a side is measured.
#[derive(Debug)]
pub(crate) enum Preparation {
    /// A script.
    Shell(String),
    /// The shop's files leave the page cache.
    DropCache,
    /// They are read into it: a peer may have dropped what it had read, as borg does.
    FillCache,
}

/// Which bytes a row compares.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bytes {
    /// What lies in the output folder afterwards.
    Written,
    /// What was read.
    Read,
    /// None.
    NotCompared,
}

/// One side of a pair.
#[derive(Debug)]
pub(crate) struct Side {
    /// Done before, not measured.
    pub(crate) before: Vec<Preparation>,
    /// What is measured.
    pub(crate) script: String,
    /// What is compared.
    pub(crate) bytes: Bytes,
}

impl Side {
    pub(crate) fn new(script: impl Into<String>) -> Self {
        Self { before: Vec::new(), script: script.into(), bytes: Bytes::Written }
    }

    fn after(mut self, preparation: Preparation) -> Self {
        self.before.push(preparation);
        self
    }

    fn comparing(self, bytes: Bytes) -> Self {
        Self { bytes, ..self }
    }
}

/// What ours is measured against.
#[derive(Debug)]
pub(crate) enum Peer {
    /// Another program.
    Side(Side),
    /// Our own processor time and the server's, on all cores, with nothing to wait for.
    Floor,
    /// The bytes of the backup that the set-up made.
    WholeBackup,
    /// It cannot be had here, and why.
    Missing(String),
}

/// One job, done by us and by a peer.
#[derive(Debug)]
pub(crate) struct Pair {
    /// What is made.
    pub(crate) work: String,
    /// How the peer does it.
    pub(crate) peer: String,
    /// Done once before all rounds; what it leaves in the output folder then stays.
    pub(crate) setup: Option<String>,
    /// Our side.
    pub(crate) ours: Side,
    /// The peer's side.
    pub(crate) peer_side: Peer,
    /// The ratios that are wanted.
    pub(crate) goals: Vec<Goal>,
}

impl Pair {
    pub(crate) fn new(work: &str, peer: &str, ours: Side, peer_side: Peer) -> Self {
        let (work, peer) = (work.to_owned(), peer.to_owned());
        Self { work, peer, setup: None, ours, peer_side, goals: Vec::new() }
    }

    fn goals(mut self, goals: &[Goal]) -> Self {
        self.goals = goals.to_vec();
        self
    }

    /// How the row is called.
    pub(crate) fn name(&self) -> String {
        format!("{} against {}", self.work, self.peer)
    }
}

/// Every row of the table.
pub(crate) fn pairs(scene: &Scene) -> Vec<Pair> {
    let mut pairs = dumps(scene);
    pairs.extend(archives(scene));
    pairs.extend(first_backups(scene));
    pairs.extend(second_backups(scene));
    pairs.push(side_by_side());
    pairs.extend(sealing::pairs());
    pairs.extend(uploads::pairs(scene));
    pairs.extend(loads(scene));
    pairs.extend(load_floors());
    pairs
}

fn database(flags: &str) -> Side {
    Side::new(format!(
        "\"$BACKSTOCK\" --quiet backup --only database --no-default-exclusions --database-socket \"$SOCKET\" {flags} \"$SHOP\""
    ))
}

fn files(flags: &str) -> Side {
    Side::new(format!("\"$BACKSTOCK\" --quiet backup --only files --no-default-exclusions {flags} \"$SHOP\""))
}

/// The side of a program that was unpacked, or that it is missing.
fn unpacked(scene: &Scene, folder: &str, program: &str, side: impl FnOnce(&str) -> Side) -> Peer {
    scene.peer(folder, program).map_or_else(
        || Peer::Missing(format!("{program} could not be fetched (ci/peers {folder})")),
        |path| Peer::Side(side(&format!("\"{}\"", path.display()))),
    )
}

fn dumps(scene: &Scene) -> Vec<Pair> {
    let zstd = |level: u32| Side::new(format!("$DUMP | zstd -q -{level} -T0 -o \"$OUT/db.sql.zst\""));
    let mydumper = |program: &str, threads: u32| {
        Side::new(format!(
            "{program} --socket=\"$SOCKET\" --user=root --database=$DATABASE --outputdir=\"$OUT/dump\" --threads={threads} --rows=50000 --compress --triggers --events --routines --trx-consistency-only --verbose=1"
        ))
    };
    let mut pairs = vec![
        Pair::new(
            "db.sql.gz",
            "mariadb-dump | gzip",
            database("--codec gzip"),
            Peer::Side(Side::new("$DUMP | gzip > \"$OUT/db.sql.gz\"")),
        )
        .goals(&[Goal::Wall(0.2), Goal::Cpu(0.25), EQUAL_SIZE]),
        Pair::new("db.sql.zst", "mariadb-dump | zstd -3 -T0", database("--codec zstd"), Peer::Side(zstd(3)))
            .goals(&[Goal::Wall(0.6), Goal::Cpu(0.6), EQUAL_SIZE]),
        Pair::new("db.sql.zst", "mariadb-dump | zstd -1 -T0", database("--codec zstd"), Peer::Side(zstd(1))),
        Pair::new(
            "db.sql.zst",
            "mariadb-dump | zstd -3 -T0, synced",
            database("--codec zstd"),
            Peer::Side(Side::new(
                "$DUMP | zstd -q -3 -T0 -o \"$OUT/db.sql.zst\" && sync \"$OUT/db.sql.zst\"",
            )),
        ),
    ];
    for threads in [2, 4] {
        let peer = unpacked(scene, "mydumper", "mydumper", |program| mydumper(program, threads));
        let name = format!("mydumper --compress, {threads} threads");
        pairs.push(Pair::new("db.sql.gz", &name, database("--codec gzip"), peer).goals(&[
            Goal::Wall(1.0),
            Goal::Cpu(0.5),
            EQUAL_SIZE,
        ]));
    }
    pairs.push(
        Pair::new(
            "db.sql.zst",
            "floor: all processor time on all cores",
            database("--codec zstd"),
            Peer::Floor,
        )
        .goals(&[Goal::Wall(1.3)]),
    );
    let probe = Side::new("\"$PROBE\" probe \"$WORK/dump.sql\"")
        .after(Preparation::Shell(DUMP_ONCE.to_owned()))
        .comparing(Bytes::NotCompared);
    pairs.push(
        Pair::new(
            "db.sql.zst",
            "floor: read, compress, hash alone",
            database("--codec zstd"),
            Peer::Side(probe),
        )
        .goals(&[Goal::Cpu(1.25)]),
    );
    pairs
}

fn archives(scene: &Scene) -> Vec<Pair> {
    let tar = |through: &str, name: &str| {
        Side::new(format!("tar -Pcf - \"$SHOP\" \"$STORAGE\" | {through} > \"$OUT/{name}\""))
    };
    let zstd = || tar("zstd -q -3 -T0", "files.tar.zst");
    let cold = |side: Side| side.after(Preparation::DropCache);
    let goal = [Goal::Wall(0.8), EQUAL_SIZE];
    let ours = || files("--codec zstd");
    vec![
        Pair::new("files.tar.zst", "tar | zstd -3 -T0", ours(), Peer::Side(zstd())).goals(&goal),
        Pair::new("files.tar.zst, cold", "tar | zstd -3 -T0, cold", cold(ours()), Peer::Side(cold(zstd())))
            .goals(&goal),
        Pair::new(
            "files.tar.zst",
            "tar | zstd -3 -T0, synced",
            ours(),
            Peer::Side(tar("zstd -q -3 -T0", "files.tar.zst\" && sync \"$OUT/files.tar.zst")),
        ),
        Pair::new("files.tgz", "tar | gzip", files("--codec gzip"), Peer::Side(tar("gzip", "files.tgz")))
            .goals(&[Goal::Wall(0.2), EQUAL_SIZE]),
        Pair::new(
            "files.tgz",
            "tar | pigz",
            files("--codec gzip"),
            unpacked(scene, "pigz", "pigz", |program| tar(program, "files.tgz")),
        )
        .goals(&[Goal::Wall(1.0 / 3.0), EQUAL_SIZE]),
        Pair::new("files.tar.zst", "floor: all processor time on all cores", ours(), Peer::Floor)
            .goals(&[Goal::Wall(1.3)]),
        Pair::new(
            "files.tar.zst",
            "floor: read, compress, hash alone",
            ours(),
            Peer::Side(Side::new("\"$PROBE\" probe \"$SHOP\" \"$STORAGE\"").comparing(Bytes::NotCompared)),
        )
        .goals(&[Goal::Cpu(1.25)]),
        Pair::new(
            "files.tar.zst",
            "floor: the same, and written",
            ours(),
            Peer::Side(Side::new("\"$PROBE\" probe --write \"$OUT\" \"$SHOP\" \"$STORAGE\"")),
        ),
    ]
}

fn first_backups(scene: &Scene) -> Vec<Pair> {
    let goals = [Goal::Wall(1.0), Goal::Cpu(0.5), EQUAL_SIZE];
    let restic = unpacked(scene, "restic", "restic", |program| {
        let backup =
            format!("{program} --quiet --no-cache --repo \"$OUT/restic\" backup \"$SHOP\" \"$STORAGE\"");
        let init = format!("{program} --quiet --no-cache --repo \"$OUT/restic\" init");
        Side::new(backup).after(Preparation::Shell(init))
    });
    // Ours is not sealed here, so borg does without its encryption too; restic cannot.
    let borg = unpacked(scene, "borg", "borg", |program| {
        // Exit code 1 is a warning.
        let create = format!(
            "{program} create --compression zstd,3 \"$OUT/borg::first\" \"$SHOP\" \"$STORAGE\" || [ $? = 1 ]"
        );
        Side::new(create).after(Preparation::Shell(format!("{program} init --encryption none \"$OUT/borg\"")))
    });
    [("restic backup, first", restic), ("borg create, first", borg)]
        .map(|(name, peer)| {
            let ours = files("--codec zstd").after(Preparation::FillCache);
            Pair::new("files.tar.zst", name, ours, peer).goals(&goals)
        })
        .into()
}

/// Backups of files that nobody has touched since the first one. The sample of untouched files that each incremental backup
/// reads all the same is a budget of its own, and left out.
fn second_backups(scene: &Scene) -> Vec<Pair> {
    let first = files("--codec zstd").script;
    let setup =
        format!("printf '[levels]\\nrehash_mib = 0\\n' > \"$BACKSTOCK_CONFIG\"; {first} --level full");
    let ours = || {
        files("--codec zstd --level incremental").after(Preparation::FillCache).comparing(Bytes::NotCompared)
    };
    let warm = |side: Side| side.after(Preparation::FillCache).comparing(Bytes::NotCompared);
    let walk = Side::new(
        "rm -rf \"$WORK/walk\"; mkdir \"$WORK/walk\"; \"$PROBE\" walk --write \"$WORK/walk\" \"$SHOP\" \"$STORAGE\"",
    );
    let mut pairs = vec![
        Pair::new(
            "unchanged files, incremental",
            "floor: walk, stat, write the index",
            ours(),
            Peer::Side(warm(walk)),
        )
        .goals(&[Goal::Wall(1.5)]),
    ];
    pairs[0].setup = Some(setup.clone());
    let repository = |program: &str| format!("{program} --quiet --no-cache --repo \"$WORK/second-restic\"");
    let restic = unpacked(scene, "restic", "restic", |program| {
        warm(Side::new(format!("{} backup \"$SHOP\" \"$STORAGE\"", repository(program))))
    });
    let borg_create = |program: &str, name: &str| {
        // Exit code 1 is a warning.
        format!(
            "{program} create --compression zstd,3 \"$WORK/second-borg::{name}\" \"$SHOP\" \"$STORAGE\" || [ $? = 1 ]"
        )
    };
    let borg = unpacked(scene, "borg", "borg", |program| {
        warm(Side::new(borg_create(program, "second-{now}-{pid}")))
    });
    let of = |folder: &str, program: &str| {
        scene.peer(folder, program).map(|path| format!("\"{}\"", path.display()))
    };
    let restic_setup = of("restic", "restic").map_or_else(String::new, |program| {
        let repository = repository(&program);
        format!(
            "; rm -rf \"$WORK/second-restic\"; {repository} init; {repository} backup \"$SHOP\" \"$STORAGE\""
        )
    });
    let borg_setup = of("borg", "borg").map_or_else(String::new, |program| {
        let init = format!("{program} init --encryption none \"$WORK/second-borg\"");
        format!("; rm -rf \"$WORK/second-borg\"; {init}; {}", borg_create(&program, "first"))
    });
    for (name, peer, more) in
        [("restic backup, second", restic, restic_setup), ("borg create, second", borg, borg_setup)]
    {
        let pair = Pair::new("unchanged files, incremental", name, ours(), peer)
            .goals(&[Goal::Wall(0.5), Goal::Cpu(0.5)]);
        pairs.push(Pair { setup: Some(format!("{setup}{more}")), ..pair });
    }
    pairs
}

/// Database and files in one backup, and in one after the other.
fn side_by_side() -> Pair {
    let (database, files) = (database("--codec zstd").script, files("--codec zstd").script);
    let both = database.replace("--only database ", "");
    let one_after_the_other = Side::new(format!("{database}; {files}"));
    Pair::new("whole shop", "database, then files", Side::new(both), Peer::Side(one_after_the_other))
        .goals(&[Goal::Wall(1.0)])
}

/// An empty database to load into. A restore waits for its acceptance before there may be another.
fn empty(more: &str) -> Preparation {
    Preparation::Shell(format!(
        "\"$BACKSTOCK\" --quiet restore --accept --yes 2>/dev/null || true; $CLIENT -e 'DROP DATABASE IF EXISTS {LOAD_DATABASE}; CREATE DATABASE {LOAD_DATABASE}{more}'"
    ))
}

fn restore(flags: &str) -> String {
    format!(
        "\"$BACKSTOCK\" --quiet restore latest {flags} --database {LOAD_DATABASE} --yes --database-socket \"$SOCKET\""
    )
}

/// Our load, with bulk statements or without.
fn load(local_infile: u32) -> Side {
    Side::new(restore("--only database"))
        .after(empty(&format!("; SET GLOBAL local_infile={local_infile}")))
        .comparing(Bytes::NotCompared)
}

/// Loads against the least that the server needs for one.
fn load_floors() -> impl Iterator<Item = Pair> {
    let backup = database("--codec zstd").script;
    let setup = format!("{backup}; [ -e \"$WORK/load-floor/tables\" ] || bench/load-floor prepare");
    [("bulk", 1), ("inserts", 0)].into_iter().map(move |(way, local_infile)| {
        let floor =
            Side::new(format!("bench/load-floor {way}")).after(empty("")).comparing(Bytes::NotCompared);
        let work = format!("load, verified, {way}");
        let pair = Pair::new(&work, "floor: the server alone", load(local_infile), Peer::Side(floor));
        Pair { setup: Some(setup.clone()), ..pair }
    })
}

/// Loads and single tables, out of one backup that stays.
fn loads(scene: &Scene) -> Vec<Pair> {
    let backup = database("--codec zstd").script;
    let setup = format!("{backup}; {DUMP_ONCE}");
    let myloader_setup = scene.peer("mydumper", "mydumper").map_or_else(String::new, |program| {
        format!(
            "; rm -rf \"$WORK/mydumper\"; \"{}\" --socket=\"$SOCKET\" --user=root --database=$DATABASE --outputdir=\"$WORK/mydumper\" --threads={LOAD_THREADS} --rows=50000 --triggers --events --routines --trx-consistency-only --verbose=1",
            program.display()
        )
    });
    let client = || {
        let script = format!("$CLIENT {LOAD_DATABASE} < \"$WORK/dump.sql\"");
        Peer::Side(Side::new(script).after(empty("")).comparing(Bytes::NotCompared))
    };
    let myloader = unpacked(scene, "mydumper", "myloader", |program| {
        let script = format!(
            "{program} --socket=\"$SOCKET\" --user=root --directory=\"$WORK/mydumper\" --database={LOAD_DATABASE} --threads={LOAD_THREADS} --enable-binlog --verbose=1"
        );
        Side::new(script).after(empty("")).comparing(Bytes::NotCompared)
    });
    let with = |setup: String, pair: Pair| Pair { setup: Some(setup), ..pair };
    let one_table =
        Side::new(restore(&format!("--table {PREFIX}{ONE_TABLE}"))).after(empty("")).comparing(Bytes::Read);
    let myloader_name = format!("myloader, {LOAD_THREADS} threads");
    vec![
        with(
            setup.clone(),
            Pair::new("load, verified, bulk", "mariadb < dump.sql", load(1), client())
                .goals(&[Goal::Wall(1.0 / 3.0)]),
        ),
        with(
            setup.clone(),
            Pair::new("load, verified, inserts", "mariadb < dump.sql", load(0), client())
                .goals(&[Goal::Wall(0.4)]),
        ),
        with(
            setup + &myloader_setup,
            Pair::new("load, verified, bulk", &myloader_name, load(1), myloader).goals(&[Goal::Wall(1.0)]),
        ),
        with(
            backup,
            Pair::new("one 1 MiB table, bytes read", "the whole backup", one_table, Peer::WholeBackup)
                .goals(&[Goal::Size(0.01)]),
        ),
    ]
}
