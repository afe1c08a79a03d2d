//! Versions, from files that would lead too far if they were evaluated whole.

use serde::Deserialize;

use crate::folder::{Folder, LOCK_LIMIT_BYTES};

/// The text of `define('NAME', 'text')` on one line, wherever it stands in a file.
pub(crate) fn defined(source: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(source);
    text.lines().map(str::trim_start).filter(|line| !is_comment(line)).find_map(|line| {
        let at = line.to_ascii_lowercase().find("define")?;
        let mut quoted = line[at + "define".len()..].trim_start().strip_prefix('(')?.trim_start();
        let found = quoted_text(&mut quoted)?;
        let mut rest = quoted.trim_start().strip_prefix(',')?.trim_start();
        (found == name).then(|| quoted_text(&mut rest)).flatten()
    })
}

/// The text of `$name = 'text';` on one line, wherever it stands in a file.
pub(crate) fn assigned(source: &[u8], variable: &str) -> Option<String> {
    let text = String::from_utf8_lossy(source);
    text.lines().map(str::trim_start).find_map(|line| {
        let rest = line.strip_prefix(variable)?.trim_start().strip_prefix('=')?;
        quoted_text(&mut rest.trim_start())
    })
}

/// The value of a header line such as ` * Version: 9.5.1`.
pub(crate) fn header(source: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&source[..source.len().min(8192)]).into_owned();
    text.lines().find_map(|line| {
        let line = line.trim_start_matches([' ', '*', '/', '#', '\t']);
        let value = line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    })
}

fn is_comment(line: &str) -> bool {
    line.starts_with("//") || line.starts_with('#') || line.starts_with('*') || line.starts_with("/*")
}

fn quoted_text(rest: &mut &str) -> Option<String> {
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = &rest[1..];
    let end = inner.find(quote)?;
    *rest = &inner[end + 1..];
    Some(inner[..end].to_owned())
}

#[derive(Deserialize)]
struct ComposerLock {
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
}

/// The version of the first of these packages in `composer.lock`, without a leading `v`, and its name.
pub(crate) fn locked(root: &Folder, names: &[&str]) -> Option<(String, String)> {
    let bytes = root.read("composer.lock", LOCK_LIMIT_BYTES).ok().flatten()?;
    let lock: ComposerLock = serde_json::from_slice(&bytes).ok()?;
    names.iter().find_map(|name| {
        let package = lock.packages.iter().find(|package| package.name == *name)?;
        let version = package.version.strip_prefix('v').unwrap_or(&package.version);
        Some((package.name.clone(), version.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_their_usual_lines() {
        assert_eq!(
            defined(b"<?php\n// define('VERSION', '1');\ndefine('VERSION', '4.1.0.3');", "VERSION")
                .as_deref(),
            Some("4.1.0.3")
        );
        assert_eq!(defined(b"DEFINE( \"VERSION\" , \"3.0\" );", "VERSION").as_deref(), Some("3.0"));
        assert_eq!(defined(b"define('VERSIONS', '3.0');", "VERSION"), None);
        assert_eq!(assigned(b"<?php\n$wp_version = '6.7.1';\n", "$wp_version").as_deref(), Some("6.7.1"));
        assert_eq!(
            header(b"<?php\n/**\n * Plugin Name: X\n * Version: 9.5.1\n */", "Version").as_deref(),
            Some("9.5.1")
        );
    }
}
