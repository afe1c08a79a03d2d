//! What we do, in which order, and what may be deleted: backing up, listing, comparing, verifying,
//! restoring, undoing.
//!
//! Planning returns a value and changes nothing; acting takes that value. Every operation has the same shape: the
//! [`Environment`], what is asked, and last the [`Monitor`] that watches. Platforms describe, the catalog remembers;
//! only this crate acts. Nothing here prints.

mod accepted;
mod backup;
mod connection;
mod daemon;
mod destination;
mod diff;
mod drill;
mod dump_files;
mod environment;
mod error;
mod export;
mod folders;
mod history;
mod keys;
mod lease;
mod levels;
mod monitor;
mod notices;
mod open;
mod read_count;
mod rebuild;
mod recovery;
mod repair;
mod replicate;
mod restore;
mod retention;
mod run;
mod sets;
mod show;
mod size;
mod spool_folder;
mod storages;
mod stored;
mod subject;
mod succession;
mod suspicion;
mod verify;

pub use backstock_archive::seal::{Identity, Passphrase, PrivateIdentity, Suite};
pub use backstock_archive::tree::{FileKind, printable as printable_path};
pub use backstock_notify::{KINDS as NOTIFIER_KINDS, NotifierSettings};
pub use backstock_platform::RowGroup;
pub use backstock_storage::{
    Field as StorageField, KINDS as STORAGE_KINDS, Kind as StorageKind, LinkManner, Linked, Returned,
    Secret as StorageSecret, SeenIdentity,
};
pub use backup::{
    BackupPlan, BackupReport, BackupRequest, DatabasePlan, Definition, FilesPlan, PartSize, ReportedProblem,
    Sealing, UnreadDestination, backup, plan_backup, refuse_bad_places, refuse_published_state,
};
pub use daemon::{Daemon, daemon_address};
pub use destination::Refusal;
pub use diff::{
    DatabaseCounts, DiffSide, DiffSummary, Difference, FileChange, FileCounts, LineChange, NamedValue,
    ObjectName, OneFile, RowName, ShownValue, Side, ToldDifference, ValueChange, diff, diff_with_live,
};
pub use drill::{
    DrillReport, DrillRequest, DrillServer, DrillSettings, DrillStep, DrillVerdict, DrilledDatabase,
    DrilledFiles, DrilledTable, SanityResult, SanityState, drill, drill_page, is_drill_due,
    keep_drill_report, refuse_kept_report, sweep_dead_drills,
};
pub use dump_files::{DumpFiles, ImportedDump};
pub use environment::Environment;
pub use error::{ErrorKind, OperationError, Result, causes, chain};
pub use export::{SetRules, SettingsExport, export_settings};
pub use folders::{StateFolder, UsualPlaces};
pub use history::forget_old_history;
pub use keys::{
    CreatedIdentity, Fingerprint, KeptBy, KitPlace, LOST_IS_LOST, ListedIdentity, NobodyToAsk, RecoveryKit,
    RehearsedBackup, Unlocker, adopt_identity, change_passphrase, create_identity, export_identity,
    identities, identity, read_passphrase_file, read_private_identity, recovery_kit, rehearse,
    rotate_identity,
};
pub use levels::{ForeseenLevel, FullDay, FullDays, LevelChoice, LevelRules, LevelSettings, foresee_level};
pub use monitor::{Expected, Monitor, Phase, Unwatched};
pub use notices::{
    FailedNotice, ListedNotifier, NamedNotifier, ToldNotice, ToldNotices, list_notifiers, tell_due,
    test_notifier,
};
pub use open::{OpenReport, open_backup};
pub use rebuild::{RebuildReport, SealedSet, SetIrregularity, rebuild_catalog, recover_from};
pub use recovery::{
    FoundSettings, HeadDifference, ImportedSettings, PassedOver, PlaceHead, RecoveredRules, SetHeads,
    SettingsWish, recovered_rules, recovered_rules_of,
};
pub use repair::{
    BrokenBlock, BrokenPart, MendedPart, RefusedSource, RepairPlan, RepairReport, ReplicaPlan, TakenBlock,
    chain_to_repair, plan_repair, repair,
};
pub use replicate::{ByteRate, CopiedBackup, DestinationReport, Hours, Limits, ReplicationReport, replicate};
pub use restore::{
    AcceptReport, Ask, ChangedSince, DumpRequest, DumpSummary, DumpTable, ElsewherePlan, ElsewhereReport,
    Journal, PickedItems, PlannedDump, RestorePlan, RestoreReport, RestoreRequest, RestoreSummary, Stage,
    StepResult, UndoPlan, UndoReport, accept, accept_expired, import_dump, open_restores, plan_dump,
    plan_files_elsewhere, plan_from_diff, plan_restore, plan_undo, restore, restore_files_elsewhere, resume,
    transfer_rows, undo,
};
pub use retention::{
    AfterBackup, Brake, Buried, BuriedInSet, Decision, DestinationPlan, FinishPlan, FinishReport, GoReason,
    GraceCut, KeepReason, KnownBackup, LockReport, PrunePlan, PruneReport, Pruned, Remembered,
    RetentionFacts, RetentionPlan, RetentionPolicy, RetentionSettings, Shortage, SlotRule, Verdict, Wish,
    finish, lock_kept, pin, plan_delete, plan_finish, plan_prune, plan_retention, prune, prune_after_backup,
    unpin,
};
pub use sets::{
    ChangedDestination, ListedDestination, ListedSet, NewDestination, add_destination, change_destination,
    find_set, follow_written, keep_local, known_set, listed_set, remove_destination, written_elsewhere,
};
pub use show::{
    ListedBackup, ListedCheck, ListedDrill, ListedReplica, ShownArtifact, ShownBackup, ShownFile, ShownTable,
    find_shop, list, runs, shop_of, shops, show,
};
pub use storages::{
    AskedLink, AskedLinkOutcome, BegunLink, DueLink, LentAccess, LinkEnd, ListedLink, ListedStorage,
    MadeLink, NewStorage, RecoveredStorage, ShownLink, StorageClient, StorageLink, StorageTest, TakenLink,
    add_storage, ask_for_link, asked_link, give_secrets, identity_to_pin, link_new_storage, link_of,
    link_storage, missing_secrets, remove_storage, storage_client, storage_kind, storages, take_asked_link,
    test_new_storage, test_storage, troubled_links, try_due_links,
};
pub use stored::find_backup;
pub use subject::{SetSettings, ShopDatabase, ShopOverrides, Subject, detect, server_by_hand};
pub use succession::Irregularity;
pub use suspicion::{
    ConfirmPlan, ConfirmWish, ListedException, Suspicion, SuspicionKind, confirm, plan_confirm,
};
pub use verify::{
    Damage, DueCheck, DueFailure, DuePlan, DueReport, Every, KnownReplica, ReadBack, VerifyPlan,
    VerifyReport, VerifySchedule, VerifySettings, plan_due, plan_verify, verify, verify_drilled, verify_due,
};
