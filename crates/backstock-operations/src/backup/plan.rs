//! The plan of a backup: what will be taken, what will be left out and why, where it goes. A value; nothing is done.

use std::path::{Path, PathBuf};

use backstock_archive::seal::Recipient;
use backstock_archive::tree::{Exclusions, Renewable, TreeRoot};
use backstock_catalog::{Destination, RunDestination, Set, Shop};
use backstock_database::TableSelection;
use backstock_platform::{ExcludedPath, ShopLayout};
use backstock_storage::placement;
use backstock_vocabulary::{Codec, Outcome, Reason, RunKind, Scope, SetId, ShopId};

use super::definition::{Definition, definition_of};
use super::home::{Home, answering_home, home_of};
use super::part_size::{PartSize, part_size_for};
use super::sealing::{Sealing, recipients_of};
use super::tables::{database_plan, further_databases};
use crate::destination::Place;
use crate::dump_files::ImportedDump;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::levels::{LevelChoice, LevelRules};
use crate::restore::open_journals;
use crate::run::RunSubject;
use crate::subject::{ShopDatabase, Subject, has_database};
use crate::verify::ReadBack;

/// The set that a folder without a set of its own uses.
pub(crate) const DEFAULT_SET: &str = "default";

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct BackupRequest {
    /// What to take.
    pub scope: Scope,
    /// Paths and globs to leave out.
    pub exclude: Vec<String>,
    /// Tables to take, if not all.
    pub only_tables: Vec<String>,
    /// Tables whose contents are left out.
    pub exclude_table: Vec<String>,
    /// Tables that are left out entirely.
    pub exclude_table_entirely: Vec<String>,
    /// Whether to leave out what the platform says can be made anew.
    pub default_exclusions: bool,
    /// How to compress.
    pub codec: Codec,
    /// How long a part may become.
    pub part_size: PartSize,
    /// The folder in which backups are kept.
    pub backups: PathBuf,
    /// Why.
    pub reason: Reason,
    /// Whether to become the writer of a folder that another instance wrote to.
    pub take_over: bool,
    /// Folders that a web server shows, besides the shop's own.
    pub web_roots: Vec<PathBuf>,
    /// How much of the files; what the plan of the set says where nothing is given.
    pub level: Option<LevelChoice>,
    /// The plan of the set, and how long chains may become.
    pub levels: LevelRules,
    /// Whether to seal it.
    pub sealing: Sealing,
    /// Whether to decode it once it is made.
    pub read_back: ReadBack,
    /// Whether backups that lack named things count like whole ones, as the policy of the set says.
    pub count_exceptions: bool,
    /// How many whole replicas there must be, or the run is failed.
    pub required_copies: u32,
}

impl BackupRequest {
    /// Everything of a shop, by hand, with zstd.
    pub fn everything(backups: impl Into<PathBuf>) -> Self {
        Self {
            scope: Scope::Everything,
            exclude: Vec::new(),
            only_tables: Vec::new(),
            exclude_table: Vec::new(),
            exclude_table_entirely: Vec::new(),
            default_exclusions: true,
            codec: Codec::Zstd,
            part_size: PartSize::default(),
            backups: backups.into(),
            reason: Reason::Manual,
            take_over: false,
            web_roots: Vec::new(),
            level: None,
            levels: LevelRules::default(),
            sealing: Sealing::default(),
            read_back: ReadBack::default(),
            count_exceptions: false,
            required_copies: 1,
        }
    }
}

/// What a backup will do.
#[derive(Debug, Clone)]
pub struct BackupPlan {
    /// The shop as the catalog knows it.
    pub shop: Shop,
    /// The set as the catalog knows it.
    pub set: Set,
    /// What to take.
    pub scope: Scope,
    /// How much of the files; what the plan of the set says where nothing is given.
    pub level: Option<LevelChoice>,
    /// The plan of the set, and how long chains may become.
    pub levels: LevelRules,
    /// Why.
    pub reason: Reason,
    /// How to compress.
    pub codec: Codec,
    /// How long a part may become.
    pub part_size: PartSize,
    /// The database, if it is taken.
    pub database: Option<DatabasePlan>,
    /// The files, if they are taken.
    pub files: Option<FilesPlan>,
    /// The folder in which backups are kept.
    pub backups: PathBuf,
    /// The set's folder in it.
    pub set_folder: String,
    /// Whether to become the writer there.
    pub take_over: bool,
    /// What is asked for.
    pub definition: Definition,
    /// Whether backups that lack named things count like whole ones.
    pub count_exceptions: bool,
    /// How many whole replicas there must be.
    pub required_copies: u32,
    /// Whom it is sealed for; nobody: it is not sealed.
    pub recipients: Vec<Recipient>,
    /// Whether it is decoded once it is made. Whoever takes a safety snapshot verifies it himself.
    pub read_back: bool,
    /// Why the backup must not be restored, if so: a restore of this shop is unfinished.
    pub unusable: Option<String>,
    /// Databases of the shop that are not taken, as a person knows them.
    pub further_databases: Vec<String>,
    /// What was noticed.
    pub notes: Vec<String>,
    /// What the platform says of the shop, for the index.
    pub(crate) layout: Option<serde_json::Value>,
    pub(crate) place: Place,
    /// The destination that the place is, of a set that keeps nothing on this machine.
    pub(crate) home: Option<Destination>,
}

/// The database part of a plan.
#[derive(Debug, Clone)]
pub struct DatabasePlan {
    /// The database.
    pub database: ShopDatabase,
    /// Which tables.
    pub selection: TableSelection,
    /// Tables that belong to a restore and not to the shop.
    pub not_ours: Vec<Vec<u8>>,
    /// A dump made by others that is taken instead of what the database holds.
    pub imported: Option<ImportedDump>,
}

/// The files part of a plan.
#[derive(Debug, Clone)]
pub struct FilesPlan {
    /// The folders.
    pub roots: Vec<TreeRoot>,
    /// What is left out.
    pub exclusions: Exclusions,
    /// Folders that are never entered.
    pub never: Vec<PathBuf>,
}

/// Plans a backup of a shop. Writes nothing, not even to the catalog.
pub fn plan_backup(
    environment: &Environment,
    subject: &Subject,
    request: &BackupRequest,
) -> Result<BackupPlan> {
    refuse_bad_places(environment.state.root(), subject, request)?;
    let shop = known_shop(environment, subject)?;
    let scope = scope_of(environment, &shop, subject, request)?;
    let set = default_set(environment, shop.id)?;
    let set_folder = set_folder_of(&shop, &set);
    let Home { place, destination: home } = home_of(environment, &set, request)?;
    let part_size = part_size_for(environment, &set, request.part_size)?;
    let request = &BackupRequest { part_size, ..request.clone() };
    let journals = open_journals(&environment.host, &environment.state)?;
    let journals: Vec<_> = journals.into_iter().filter(|journal| journal.shop == shop.id).collect();
    let unusable = journals.iter().find(|journal| journal.stage.is_between()).map(|journal| {
        format!(
            "the restore {} of this shop is unfinished, so this state is neither the old nor the new one",
            journal.run
        )
    });
    let database =
        scope.has_database().then(|| database_plan(environment, subject, request, &journals)).transpose()?;
    let files = scope.has_files().then(|| files_plan(environment, subject, request)).transpose()?;
    let recipients = recipients_of(environment, request, set.id)?;
    let definition = definition_of(scope, request, database.as_ref(), files.as_ref(), subject, &recipients)?;
    Ok(BackupPlan {
        shop,
        set,
        scope,
        level: request.level,
        levels: request.levels.clone(),
        reason: request.reason,
        codec: request.codec,
        part_size: request.part_size,
        database,
        files,
        backups: request.backups.clone(),
        set_folder,
        take_over: request.take_over,
        count_exceptions: request.count_exceptions,
        required_copies: request.required_copies,
        definition,
        read_back: request.reason != Reason::PreRestore
            && request.read_back.of(!recipients.is_empty(), home.is_none()),
        recipients,
        unusable,
        further_databases: further_databases(subject, scope),
        notes: subject.notes.clone(),
        layout: subject.layout.as_ref().and_then(|layout| serde_json::to_value(layout).ok()),
        place,
        home,
    })
}

/// Everything of a plain folder is its files, unless a database of it was backed up before: a shop that lost its
/// settings looks like a plain folder, and a backup without its database would not be whole.
fn scope_of(
    environment: &Environment,
    shop: &Shop,
    subject: &Subject,
    request: &BackupRequest,
) -> Result<Scope> {
    let files_are_all = is_plain(subject) && !has_database(environment, shop)?;
    match (request.scope, &subject.layout, &subject.database) {
        (Scope::Everything, Some(_), None) if files_are_all => Ok(Scope::Files),
        (Scope::Everything | Scope::Database, _, None) => subject.require_database().map(|_| request.scope),
        (Scope::Everything, None, Some(_)) => Ok(Scope::Database),
        (Scope::Files, None, _) => Err(OperationError::plain(
            ErrorKind::Declined,
            "a database alone has no files: leave --only files out",
        )),
        (scope, ..) => Ok(scope),
    }
}

/// A plain folder need not have a database.
fn is_plain(subject: &Subject) -> bool {
    subject.layout.as_ref().is_some_and(|layout| layout.platform == "plain")
}

/// Neither backups nor the state folder, in whose spool they grow, may lie where a web server hands them out. Asked
/// before the state folder is opened too, since opening it makes it.
pub fn refuse_bad_places(state: &Path, subject: &Subject, request: &BackupRequest) -> Result<()> {
    let mut shop_roots = Vec::new();
    if let Some(layout) = &subject.layout {
        shop_roots.push(layout.root.clone());
        shop_roots.extend(layout.outside_folders.iter().map(|folder| folder.path.clone()));
    }
    let web_roots = &request.web_roots;
    refuse_place("backups", "--to", &request.backups, &shop_roots, web_roots)?;
    refuse_place("state", "--state", state, &shop_roots, web_roots)
}

/// The state folder may not lie where a web server hands it out, whatever the shop.
pub fn refuse_published_state(state: &Path) -> Result<()> {
    refuse_place("state", "--state", state, &[], &[])
}

pub(crate) fn refuse_place(
    what: &str,
    flag: &str,
    folder: &Path,
    shop_roots: &[PathBuf],
    web_roots: &[PathBuf],
) -> Result<()> {
    let act = format!("looking where {} leads", folder.display());
    let resolved = placement::resolve(folder).doing(act)?;
    // Also as it was named: a web server follows links too.
    let refusal = placement::refusal(&resolved, shop_roots, web_roots)
        .or_else(|| placement::refusal(folder, shop_roots, web_roots));
    refusal.map_or(Ok(()), |refusal| {
        Err(OperationError::hinted(
            ErrorKind::Refused,
            format!("{what} may not be kept there: {refusal}"),
            format!("give a folder that no web server shows, with {flag}"),
        ))
    })
}

/// The shop as the catalog knows it by its folder, with what is new about it; a new one is not recorded yet.
pub(crate) fn known_shop(environment: &Environment, subject: &Subject) -> Result<Shop> {
    let key = subject.key();
    let known =
        environment.wait(environment.catalog.find_shop_by_root(&key)).doing("looking for the shop")?;
    let known = known.map(|shop| (shop.id, shop.created));
    let (id, created) =
        known.unwrap_or_else(|| (environment.host.new_id(ShopId::from_parts), environment.host.clock.now()));
    let platform = subject.layout.as_ref().map_or("database", |layout| layout.platform).to_owned();
    Ok(Shop { id, root: Some(key), platform, title: subject.title.clone(), created })
}

/// The shop's set as the catalog knows it; a new one is not recorded yet.
pub(crate) fn default_set(environment: &Environment, shop: ShopId) -> Result<Set> {
    let known = environment
        .wait(environment.catalog.find_set_by_title(shop, DEFAULT_SET))
        .doing("looking for the set")?;
    Ok(known.unwrap_or_else(|| Set {
        id: environment.host.new_id(SetId::from_parts),
        shop,
        title: DEFAULT_SET.to_owned(),
        definition: serde_json::json!({}),
        created: environment.host.clock.now(),
    }))
}

/// The set's folder at every place.
pub(crate) fn set_folder_of(shop: &Shop, set: &Set) -> String {
    format!("{}-{}", slug(&shop.title), set.id.short())
}

fn files_plan(environment: &Environment, subject: &Subject, request: &BackupRequest) -> Result<FilesPlan> {
    let layout = subject.layout.as_ref().ok_or_else(|| {
        OperationError::plain(ErrorKind::Declined, format!("{} has no folder", subject.title))
    })?;
    let roots = roots_of(layout);
    let globs = request.exclude.iter().map(|pattern| in_archive(pattern, &roots)).collect();
    let mut exclusions = Exclusions { globs, ..Exclusions::default() };
    if request.default_exclusions {
        exclusions.renewable = renewable_places(layout, &roots);
    }
    let never = vec![request.backups.clone(), environment.state.root().to_owned()];
    Ok(FilesPlan { roots, exclusions, never })
}

/// A pattern as paths in the archive are spelled: people also write `./tmp`, or the whole path of a folder.
fn in_archive(pattern: &str, roots: &[TreeRoot]) -> String {
    let pattern = pattern.strip_prefix('.').filter(|rest| rest.starts_with('/')).unwrap_or(pattern);
    // The longest root first: an outside folder may lie in another.
    let within = |root: &&TreeRoot| Path::new(pattern).starts_with(&root.path);
    let Some(root) = roots.iter().filter(within).max_by_key(|root| root.path.as_os_str().len()) else {
        return pattern.to_owned();
    };
    let rest = pattern.get(root.path.as_os_str().len()..).unwrap_or_default();
    let prefix = String::from_utf8_lossy(&root.prefix);
    if prefix.is_empty() { rest.to_owned() } else { format!("/{prefix}{rest}") }
}

/// The shop's root at the top of the archive, folders outside it below `@outside`.
pub(crate) fn roots_of(layout: &ShopLayout) -> Vec<TreeRoot> {
    let mut roots = vec![TreeRoot { prefix: Vec::new(), path: layout.root.clone() }];
    let top = outside_prefix(&layout.root);
    for folder in &layout.outside_folders {
        roots.push(TreeRoot {
            prefix: format!("{top}/{}", folder.label).into_bytes(),
            path: folder.path.clone(),
        });
    }
    for file in &layout.outside_files {
        roots
            .push(TreeRoot { prefix: format!("{top}/{}", file.label).into_bytes(), path: file.path.clone() });
    }
    roots
}

/// `@outside`, or with a number behind it where the shop itself has that name at its top.
fn outside_prefix(root: &Path) -> String {
    let mut name = "@outside".to_owned();
    let mut number = 2;
    while root.join(&name).symlink_metadata().is_ok() {
        name = format!("@outside-{number}");
        number += 1;
    }
    name
}

/// What the platform says can be made anew: caches, sessions, generated code.
pub(crate) fn renewable_places(layout: &ShopLayout, roots: &[TreeRoot]) -> Vec<Renewable> {
    layout.excluded_paths.iter().filter_map(|excluded| renewable(roots, layout, excluded)).collect()
}

fn renewable(roots: &[TreeRoot], layout: &ShopLayout, excluded: &ExcludedPath) -> Option<Renewable> {
    let prefix = match &excluded.within {
        None => String::new(),
        Some(label) => {
            let folder = layout.outside_folders.iter().find(|folder| &folder.label == label);
            let root = folder.and_then(|folder| roots.iter().find(|root| root.path == folder.path));
            format!("{}/", String::from_utf8_lossy(&root?.prefix))
        }
    };
    Some(Renewable {
        pattern: format!("{prefix}{}", excluded.pattern),
        keep_folder: excluded.keep_folder,
        keep_names: excluded.keep_names.clone(),
    })
}

/// A title as a folder's name: lower-case letters, digits and single hyphens, at most 40 of them.
pub(crate) fn slug(title: &str) -> String {
    let mut slug = String::new();
    for character in title.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.len() >= 40 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "shop".to_owned() } else { slug.to_owned() }
}

impl BackupPlan {
    /// Makes shop, set and place known to the catalog. Where another run was faster, theirs are the ones.
    pub(super) fn record(&mut self, environment: &Environment) -> Result<()> {
        let catalog = &environment.catalog;
        self.shop = environment.wait(catalog.upsert_shop_by_root(&self.shop)).doing("recording the shop")?;
        self.set.shop = self.shop.id;
        self.set = environment.wait(catalog.find_or_add_set(&self.set)).doing("recording the set")?;
        self.set_folder = set_folder_of(&self.shop, &self.set);
        if self.home.is_some() {
            let home = answering_home(environment, self.set.id, &self.set_folder)?;
            (self.place, self.home) = (home.place, home.destination);
        }
        self.place = self.place.clone().recorded(environment)?;
        Ok(())
    }

    pub(crate) fn run_subject(&self, kind: RunKind) -> RunSubject {
        RunSubject {
            kind,
            shop: self.shop.id,
            shop_title: self.shop.title.clone(),
            set: Some(self.set.id),
            set_title: self.set.title.clone(),
        }
    }

    pub(crate) fn run_destination(&self) -> RunDestination {
        RunDestination {
            storage: Some(self.place.record.id),
            title: self.place.record.title.clone(),
            kind: self.place.record.kind.clone(),
            status: Outcome::Pending,
            message: String::new(),
        }
    }

    pub(crate) fn detail(&self) -> serde_json::Value {
        serde_json::json!({ "scope": self.scope, "asked_level": self.level, "reason": self.reason, "codec": self.codec })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusions_may_be_spelled_from_here_and_from_the_root() {
        let root = |prefix: &str, path: &str| TreeRoot { prefix: prefix.into(), path: path.into() };
        let roots = [root("", "/srv/shop"), root("@outside/storage", "/srv/shop-storage")];
        for (pattern, expected) in [
            ("tmp", "tmp"),
            ("./tmp/*", "/tmp/*"),
            (".*", ".*"),
            ("/tmp", "/tmp"),
            ("/srv/shop/tmp/", "/tmp/"),
            ("/srv/shop-storage/cache", "/@outside/storage/cache"),
            ("/srv/shopping", "/srv/shopping"),
        ] {
            assert_eq!(in_archive(pattern, &roots), expected);
        }
    }

    #[test]
    fn a_title_becomes_a_folder_name() {
        assert_eq!(slug("Acme Shop (DE)"), "acme-shop-de");
        assert_eq!(slug("../../etc"), "etc");
        assert_eq!(slug("ß"), "shop");
        assert!(slug(&"x".repeat(300)).len() <= 40);
    }
}
