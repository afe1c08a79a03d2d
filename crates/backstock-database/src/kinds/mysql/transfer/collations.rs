//! Collations of one vendor by those of another. They sort and compare alike as far as that can be had; whether blanks at
//! the end of a text count (NO PAD) is kept first, since unique keys depend on it.

use crate::transfer::Target;

/// Languages of MySQL's collations by the names that MariaDB gives them.
const LANGUAGES: &[(&str, &str)] = &[
    ("cs", "czech"),
    ("da", "danish"),
    ("de_pb", "german2"),
    ("eo", "esperanto"),
    ("es", "spanish"),
    ("es_trad", "spanish2"),
    ("et", "estonian"),
    ("hr", "croatian"),
    ("hu", "hungarian"),
    ("is", "icelandic"),
    ("la", "roman"),
    ("lt", "lithuanian"),
    ("lv", "latvian"),
    ("pl", "polish"),
    ("ro", "romanian"),
    ("sk", "slovak"),
    ("sl", "slovenian"),
    ("sv", "swedish"),
    ("tr", "turkish"),
    ("vi", "vietnamese"),
];

/// What stands for a collation that the target does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapped {
    /// The target's; `None` where it has nothing for that character set.
    pub(super) name: Option<String>,
    /// What is another with it.
    pub(super) reason: String,
}

/// Finds a collation of the target for one that it does not have; `None` where it has it.
pub(super) fn map(target: &Target, name: &str) -> Option<Mapped> {
    let name = name.to_lowercase();
    if name.is_empty() || target.collations.contains(&name) {
        return None;
    }
    // MariaDB also takes these names without their character set.
    let full = if name.starts_with("uca1400_") { format!("utf8mb4_{name}") } else { name.clone() };
    let found = candidates(&full).into_iter().find(|candidate| target.collations.contains(candidate));
    // The two names of one character set, and so one collation.
    if let Some(same) = &found
        && same.replacen("utf8mb3_", "utf8_", 1) == name.replacen("utf8mb3_", "utf8_", 1)
    {
        return Some(Mapped { name: found, reason: String::new() });
    }
    let reason = match &found {
        None => format!("this server has no collation like {name}"),
        Some(found) => {
            let padding = match (is_no_pad(&name), is_no_pad(found)) {
                (true, false) => "; blanks at the end of a text do not count any more",
                (false, true) => "; blanks at the end of a text count now",
                _ => "",
            };
            format!("the collation {name} becomes {found}{padding}")
        }
    };
    Some(Mapped { name: found, reason })
}

fn is_no_pad(name: &str) -> bool {
    name.contains("_0900_") || name.contains("nopad") || name == "binary"
}

/// Names that stand for another, best first.
fn candidates(name: &str) -> Vec<String> {
    let (set, rest) = name.split_once('_').unwrap_or((name, ""));
    let sets: &[&str] = match set {
        "utf8" | "utf8mb3" => &["utf8mb3", "utf8"],
        other => &[other],
    };
    let mut found = Vec::new();
    if rest.contains("uca1400") {
        found.extend(of_uca1400(set, rest));
    } else if rest.contains("0900") {
        found.extend(of_0900(set, rest));
    }
    for set in sets {
        found.push(format!("{set}_{rest}"));
        if rest.contains("nopad") {
            found.push(format!("{set}_{}", if rest == "nopad_bin" { "0900_bin" } else { "0900_ai_ci" }));
            found.push(format!("{set}_{}", rest.replace("nopad_", "")));
        }
        if rest.ends_with("bin") || rest.ends_with("_cs") {
            found.push(format!("{set}_bin"));
        }
        for rest in ["unicode_520_ci", "unicode_ci", "general_ci", "bin"] {
            found.push(format!("{set}_{rest}"));
        }
    }
    found
}

fn ending(rest: &str) -> &'static str {
    ["as_cs", "as_ci", "ai_cs", "ai_ci", "bin"]
        .into_iter()
        .find(|ending| rest.trim_end_matches("_ks").ends_with(ending))
        .unwrap_or("ai_ci")
}

/// MySQL's own: all of them NO PAD.
fn of_0900(set: &str, rest: &str) -> Vec<String> {
    let ending = ending(rest);
    if ending == "bin" {
        return vec![format!("{set}_nopad_bin"), format!("{set}_bin")];
    }
    let language = rest.split("0900").next().unwrap_or_default().trim_end_matches('_');
    let own = LANGUAGES.iter().find(|(code, _)| *code == language);
    let mut found = Vec::new();
    if let Some((_, name)) = own {
        found.push(format!("{set}_uca1400_{name}_nopad_{ending}"));
        found.push(format!("{set}_{name}_ci"));
    }
    found.push(format!("{set}_uca1400_nopad_{ending}"));
    // Older servers have none that tells accents but not case apart.
    let older = if ending == "as_cs" { "nopad_bin" } else { "unicode_520_nopad_ci" };
    found.push(format!("{set}_{older}"));
    found
}

/// MariaDB's own.
fn of_uca1400(set: &str, rest: &str) -> Vec<String> {
    let ending = if ending(rest) == "ai_cs" { "as_cs" } else { ending(rest) };
    let language = rest.trim_start_matches("uca1400_");
    let own = LANGUAGES.iter().find(|(_, name)| language.split('_').next() == Some(*name));
    let mut found = Vec::new();
    if let Some((code, _)) = own {
        found.push(format!("{set}_{code}_0900_{ending}"));
    }
    found.push(format!("{set}_0900_{ending}"));
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Vendor, Version};

    fn to(collations: &[&str], name: &str) -> Option<String> {
        let target = Target {
            vendor: Vendor::MySql,
            version: Version(9, 7, 0),
            collations: collations.iter().map(|name| (*name).to_owned()).collect(),
            character_sets: BTreeSet::new(),
            engines: BTreeSet::new(),
        };
        map(&target, name)?.name
    }

    #[test]
    fn the_padding_is_kept_where_it_can_be() {
        let mariadb = [
            "utf8mb4_uca1400_nopad_ai_ci",
            "utf8mb4_uca1400_german2_nopad_ai_ci",
            "utf8mb4_nopad_bin",
            "utf8mb4_bin",
        ];
        assert_eq!(to(&mariadb, "utf8mb4_0900_ai_ci").unwrap(), "utf8mb4_uca1400_nopad_ai_ci");
        assert_eq!(to(&mariadb, "utf8mb4_de_pb_0900_ai_ci").unwrap(), "utf8mb4_uca1400_german2_nopad_ai_ci");
        assert_eq!(to(&mariadb, "utf8mb4_0900_bin").unwrap(), "utf8mb4_nopad_bin");
        let old = ["utf8mb4_unicode_520_nopad_ci", "utf8mb4_nopad_bin", "utf8mb4_unicode_520_ci"];
        assert_eq!(to(&old, "utf8mb4_0900_ai_ci").unwrap(), "utf8mb4_unicode_520_nopad_ci");
        assert_eq!(to(&old, "utf8mb4_0900_as_cs").unwrap(), "utf8mb4_nopad_bin");
    }

    #[test]
    fn mysql_gets_its_own() {
        let mysql = [
            "utf8mb4_0900_ai_ci",
            "utf8mb4_sv_0900_ai_ci",
            "utf8mb4_0900_bin",
            "utf8mb3_general_ci",
            "latin1_swedish_ci",
        ];
        assert_eq!(to(&mysql, "utf8mb4_uca1400_ai_ci").unwrap(), "utf8mb4_0900_ai_ci");
        assert_eq!(to(&mysql, "utf8mb4_uca1400_swedish_ai_ci").unwrap(), "utf8mb4_sv_0900_ai_ci");
        assert_eq!(to(&mysql, "utf8mb4_general_nopad_ci").unwrap(), "utf8mb4_0900_ai_ci");
        assert_eq!(to(&mysql, "utf8mb4_nopad_bin").unwrap(), "utf8mb4_0900_bin");
        assert_eq!(to(&mysql, "latin1_swedish_nopad_ci").unwrap(), "latin1_swedish_ci");
        assert_eq!(to(&mysql, "utf8_general_ci").unwrap(), "utf8mb3_general_ci");
        assert_eq!(to(&mysql, "uca1400_ai_ci").unwrap(), "utf8mb4_0900_ai_ci");
        assert_eq!(to(&mysql, "latin1_swedish_ci"), None);
        assert_eq!(to(&mysql, "gb18030_chinese_ci"), None);
    }
}
