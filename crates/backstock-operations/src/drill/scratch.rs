//! The scratch place of a drill: a folder, a private server or a schema on a given one; and its removal, by the drill itself or,
//! when that has died, by the next start.
//!
//! Data can be lost here: what is removed is gone. A journal in the state folder names everything before it is made, and only
//! what a journal names is removed: a folder with the run's identifier in its name, processes whose own arguments name that
//! folder, a schema that was made under the run's name after a look that there was none. Whether a drill lives is told by a
//! kernel lock in its journal's folder, which ends with the process however that ends.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use backstock_catalog::Backup;
use backstock_database::{PrivateServer, ServerSettings, end_servers_of};
use backstock_host::lock::{self, Lock};
use backstock_vocabulary::{RawText, RunId};
use serde::{Deserialize, Serialize};

use super::DrillRequest;
use super::database::drop_schema;
use crate::backup::{RESERVE_BYTES, refuse_place};
use crate::connection;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::show::shop_of;
use crate::stored::StoredBackup;
use crate::subject::ShopDatabase;

/// The file in a journal's folder that a living drill has locked.
const LOCK_FILE: &str = "lock";
const JOURNAL_FILE: &str = "drill.json";
const CONNECTION_FILE: &str = "connection.sealed";
/// A journal of more bytes is none.
const JOURNAL_LIMIT_BYTES: u64 = 64 * 1024;

/// What a drill has made, or is about to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Journal {
    run: RunId,
    /// The scratch folder.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    folder: PathBuf,
    /// The folder for a socket whose path would be too long in the scratch folder.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    socket_folder: PathBuf,
    /// The schema on a given server, whose sealed connection lies beside the journal.
    schema: Option<RawText>,
}

/// A scratch place that is in use. What it holds goes with it.
pub(super) struct Scratch {
    journal: Journal,
    home: PathBuf,
    server: Option<PrivateServer>,
    schema: Option<(ServerSettings, Vec<u8>)>,
    is_removed: bool,
    _lock: Lock,
}

impl Scratch {
    /// Makes the folder, once it is named in the journal and there is room for so many bytes beside the reserve.
    pub(super) fn create(
        environment: &Environment,
        run: RunId,
        stored: &StoredBackup,
        request: &DrillRequest,
        needed_bytes: u64,
    ) -> Result<Self> {
        let home = environment.state.drill(run);
        let folder = match &request.scratch {
            Some(parent) => parent.join(format!("backstock-drill-{run}")),
            None => home.join("scratch"),
        };
        refuse_published(environment, &stored.record, stored, request)?;
        let act = format!("making the scratch folder {}", folder.display());
        let lock = {
            // Nobody may look at a journal's folder that is made and not locked yet.
            let _gate = gate(environment)?;
            environment.host.files.create_folder(&home).doing(act.clone())?;
            lock::try_lock(&home.join(LOCK_FILE)).doing(act.clone())?
        };
        let lock = lock.ok_or_else(|| OperationError::plain(ErrorKind::Busy, "the drill's lock is taken"))?;
        let socket_folder = std::env::temp_dir().join(format!("backstock-drill-{run}"));
        let journal = Journal { run, folder: folder.clone(), socket_folder, schema: None };
        let scratch = Self { journal, home, server: None, schema: None, is_removed: false, _lock: lock };
        scratch.write(environment)?;
        environment.host.files.create_folder(&folder).doing(act.clone())?;
        if !PrivateServer::has_room_for_its_socket(&scratch.server()) {
            let made = fs::DirBuilder::new().mode(0o700).create(&scratch.journal.socket_folder);
            made.doing(act)?;
        }
        let room = environment.host.files.require_space(&folder, needed_bytes, RESERVE_BYTES);
        if let Err(error) = room {
            scratch.remove()?;
            let hint = "give a folder on another disk with --scratch, or make room";
            return Err(OperationError::hinted(
                ErrorKind::Failed,
                format!("no room for the drill: {error}"),
                hint,
            ));
        }
        Ok(scratch)
    }

    fn write(&self, environment: &Environment) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(&self.journal).doing("writing the drill's journal")?;
        let files = &environment.host.files;
        files.write_durably(&self.home.join(JOURNAL_FILE), &bytes).doing("writing the drill's journal")
    }

    /// Where the files are extracted.
    pub(super) fn files(&self) -> PathBuf {
        self.journal.folder.join("files")
    }

    /// Where the private server has its data.
    pub(super) fn server(&self) -> PathBuf {
        server_of(&self.journal.folder)
    }

    /// Where its socket goes if the path there is too long.
    pub(super) fn socket_folder(&self) -> PathBuf {
        self.journal.socket_folder.clone()
    }

    /// Keeps the private server until the end.
    pub(super) fn keep_server(&mut self, server: PrivateServer) {
        self.server = Some(server);
    }

    /// Names the schema that is about to be made on a given server, with the sealed way to it.
    pub(super) fn note_schema(
        &mut self,
        environment: &Environment,
        settings: &ServerSettings,
        name: &[u8],
    ) -> Result<()> {
        let database = ShopDatabase { server: settings.clone(), name: name.to_vec() };
        connection::keep(
            environment,
            &self.home.join(CONNECTION_FILE),
            &purpose(self.journal.run),
            &database,
        )?;
        self.journal.schema = Some(RawText(name.to_vec()));
        self.write(environment)?;
        self.schema = Some((settings.clone(), name.to_vec()));
        Ok(())
    }

    /// Removes everything.
    pub(super) fn remove(mut self) -> Result<()> {
        self.clear()
    }

    fn clear(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_removed, true) {
            return Ok(());
        }
        drop(self.server.take());
        if let Some((settings, name)) = self.schema.take() {
            drop_schema(&settings, &name).doing("dropping the scratch schema")?;
        }
        remove_folders(&self.journal)?;
        remove_home(&self.home)
    }
}

impl Drop for Scratch {
    /// However the drill ends. What cannot be removed now is named in the journal, and the next start tries again.
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(error = chain(&error), "something of a drill is left; the next start removes it");
        }
    }
}

fn server_of(folder: &Path) -> PathBuf {
    folder.join("server")
}

fn purpose(run: RunId) -> String {
    format!("the connection to the scratch server of drill {run}")
}

fn gate(environment: &Environment) -> Result<Lock> {
    let path = environment.state.drills_lock();
    lock::wait_for_lock(&path).doing(format!("taking the lock {}", path.display()))
}

/// A restored shop may not lie where a web server hands it out.
fn refuse_published(
    environment: &Environment,
    backup: &Backup,
    stored: &StoredBackup,
    request: &DrillRequest,
) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let Some(folder) = &request.scratch else { return Ok(()) };
    let mut roots = Vec::new();
    if let Some(root) = shop_of(environment, backup.shop)?.root.filter(|root| root.first() == Some(&b'/')) {
        roots.push(PathBuf::from(std::ffi::OsStr::from_bytes(&root)));
    }
    if let Some(layout) = stored.layout(environment)? {
        roots.push(layout.root);
        roots.extend(layout.outside_folders.into_iter().map(|folder| folder.path));
    }
    refuse_place("a scratch folder", "--scratch", folder, &roots, &request.web_roots)
}

fn remove_folders(journal: &Journal) -> Result<()> {
    let act = || format!("removing the scratch folder {}", journal.folder.display());
    end_servers_of(&server_of(&journal.folder)).doing(act())?;
    for folder in [&journal.folder, &journal.socket_folder] {
        remove_restored(folder).doing(act())?;
    }
    Ok(())
}

/// Removes a folder whose own folders may have modes that keep their owner out.
fn remove_restored(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            open_up(folder)?;
            fs::remove_dir_all(folder)
        }
        other => other,
    }
}

fn open_up(folder: &Path) -> std::io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// The journal goes last; the lock in its folder is held until then.
fn remove_home(home: &Path) -> Result<()> {
    match fs::remove_dir_all(home) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(format!("removing the drill's journal {}", home.display()))
        }
        _ => Ok(()),
    }
}

/// Removes what drills have left that died. Tells what could not be removed.
pub fn sweep_dead_drills(environment: &Environment) -> Result<Vec<String>> {
    let mut left = Vec::new();
    if !environment.may_write {
        return Ok(left);
    }
    let drills = environment.state.drills();
    let listed = environment.host.files.list(&drills).doing(format!("listing {}", drills.display()))?;
    if listed.is_empty() {
        return Ok(left);
    }
    let _gate = gate(environment)?;
    for (home, stat) in listed {
        let name = home.file_name().and_then(|name| name.to_str());
        let run = name.and_then(|name| name.parse::<RunId>().ok());
        let Some(run) = run.filter(|_| stat.is_folder && home.exists()) else { continue };
        let Some(_dead) = lock::try_lock(&home.join(LOCK_FILE)).doing("trying a drill's lock")? else {
            continue;
        };
        if let Err(error) = sweep(environment, run, &home) {
            left.push(format!("something of the dead drill {run} is left: {}", chain(&error)));
        }
    }
    Ok(left)
}

fn sweep(environment: &Environment, run: RunId, home: &Path) -> Result<()> {
    let act = || format!("reading the journal {}", home.join(JOURNAL_FILE).display());
    let file = home.join(JOURNAL_FILE);
    if environment.host.files.stat(&file).doing(act())?.is_none() {
        // Nothing is made before the journal is there.
        return remove_home(home);
    }
    let bytes = environment.host.files.read(&file, JOURNAL_LIMIT_BYTES).doing(act())?;
    let journal: Journal = serde_json::from_slice(&bytes).doing(act())?;
    remove_folders(&journal)?;
    if journal.schema.is_some()
        && let Some(database) = connection::recall(environment, &home.join(CONNECTION_FILE), &purpose(run))?
    {
        drop_schema(&database.server, &database.name).doing("dropping the scratch schema of a dead drill")?;
    }
    remove_home(home)
}
