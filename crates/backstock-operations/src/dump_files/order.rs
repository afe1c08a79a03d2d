//! In which order the files of a folder are read: that of mydumper's names (mydumper's documentation, "Output files").

/// Endings of names, with compression left out, in the order in which their files are read.
const ENDINGS: &[&str] = &[
    "-schema-create.sql",
    "-schema-sequence.sql",
    "-schema.sql",
    ".sql",
    "-schema-triggers.sql",
    "-schema-post.sql",
    "-schema-view.sql",
];
/// Endings of compressed files.
const PACKED: &[&str] = &[".gz", ".zst"];

fn unpacked(name: &str) -> &str {
    PACKED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// The place of a file; `None` for one that is no SQL. The longest ending counts.
fn rank(name: &str) -> Option<usize> {
    let name = unpacked(name);
    let fits = |at: &usize| name.ends_with(ENDINGS[*at]);
    (0..ENDINGS.len()).filter(fits).max_by_key(|at| ENDINGS[*at].len())
}

/// The names of a dump's files in the order in which they are read. Others are left out.
pub(super) fn in_order(names: Vec<String>, database: Option<&str>) -> Result<Vec<String>, String> {
    let creates: Vec<&str> =
        names.iter().filter_map(|name| unpacked(name).strip_suffix(ENDINGS[0])).collect();
    if creates.len() > 1 && database.is_none() {
        return Err(format!(
            "the dump holds the databases {}: name the one to take with --dump-database",
            creates.join(", ")
        ));
    }
    let several = creates.len() > 1;
    let belongs = |name: &str| match database {
        Some(database) if several => {
            name.strip_prefix(database).is_some_and(|rest| rest.starts_with(['.', '-']))
        }
        _ => true,
    };
    let mut ranked: Vec<(usize, String)> = names
        .into_iter()
        .filter(|name| belongs(name))
        .filter_map(|name| rank(&name).map(|rank| (rank, name)))
        .collect();
    ranked.sort();
    Ok(ranked.into_iter().map(|(_, name)| name).collect())
}

/// Refuses folders that are not whole or not SQL.
pub(super) fn check_folder(names: &[String], metadata: Option<&str>) -> Result<(), String> {
    if names.iter().any(|name| name == "@.json") {
        return Err(
            "it is a dump of MySQL Shell, whose rows are no SQL: load it with util.loadDump()".to_owned()
        );
    }
    let is_begun = metadata.is_some_and(|text| text.contains("Started dump at"));
    let is_finished = metadata.is_some_and(|text| text.contains("Finished dump at"));
    if names.iter().any(|name| name.starts_with("metadata.partial")) || (is_begun && !is_finished) {
        return Err("mydumper did not finish this dump".to_owned());
    }
    if names.iter().any(|name| unpacked(name).ends_with(".dat")) {
        return Err("its rows lie in files for LOAD DATA (*.dat), which are not read".to_owned());
    }
    Ok(())
}
