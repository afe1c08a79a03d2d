//! The one integration-test binary: what no single crate can test by itself.

#[cfg(test)]
#[cfg(feature = "failpoints")]
mod append_only;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod away;
#[cfg(test)]
mod backup_beginnings;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod backup_kills;
#[cfg(test)]
mod backup_layout;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod catalog;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod clocks;
#[cfg(test)]
mod copies;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod destinations;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod diff_rows;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod drill;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod drill_after_backup;
#[cfg(test)]
mod dry_runs;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod early_copies;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod far_recoveries;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod foreign_places;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod full_disk;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod hard_cases;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod instance_key;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod interrupts;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod io_faults;
#[cfg(test)]
mod kept_backups;
#[cfg(test)]
mod large_rows;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod leases;
#[cfg(test)]
mod levels;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod limits;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod links;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod locked;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod lost_lanes;
#[cfg(test)]
mod machine_id;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod many_files;
#[cfg(test)]
mod many_tables;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod notices;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod odd_root;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod one_far_file;
#[cfg(test)]
mod open_restores;
#[cfg(test)]
mod other_vendor;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod page_of_storages;
#[cfg(test)]
mod part_of_backup;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod plain_shop;
#[cfg(test)]
mod processes;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod random_kills;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod recovered_settings;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod repair;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod replicas;
#[cfg(test)]
mod restore_dump;
#[cfg(test)]
mod restore_from_diff;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod restore_kills;
#[cfg(test)]
mod restore_planted;
#[cfg(test)]
mod restore_rights;
#[cfg(test)]
mod restore_scopes;
#[cfg(test)]
mod restore_shop;
#[cfg(test)]
mod restore_whole;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod retention_after_backup;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod sealed_chain;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod sealed_kills;
#[cfg(test)]
mod sealed_range_read;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod sealed_read_back;
#[cfg(test)]
mod sealed_shop;
#[cfg(test)]
mod sealed_trust;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod serve_links;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod spool_room;
#[cfg(test)]
mod storages;
#[cfg(test)]
mod succession;
#[cfg(test)]
mod suspect;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod undo_window;
#[cfg(test)]
mod verify;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod verify_due;
#[cfg(test)]
#[cfg(feature = "failpoints")]
mod written_destinations;
#[cfg(test)]
mod wrong_parts;
