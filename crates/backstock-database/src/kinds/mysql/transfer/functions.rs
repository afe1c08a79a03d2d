//! Functions that one vendor has and the other does not, by their names in definitions.

use super::super::sql::TokenKind;
use super::Crossing;
use super::words::Words;
use crate::Version;

/// Functions of MySQL that no MariaDB has, or only one since the version that stands with it.
const OF_MYSQL: &[(&str, Option<Version>)] = &[
    ("any_value", None),
    ("bin_to_uuid", None),
    ("format_bytes", None),
    ("format_pico_time", None),
    ("grouping", None),
    ("gtid_subset", None),
    ("gtid_subtract", None),
    ("is_uuid", None),
    ("json_overlaps", Some(Version(10, 9, 0))),
    ("json_schema_valid", Some(Version(11, 1, 0))),
    ("json_schema_validation_report", None),
    ("json_storage_free", None),
    ("json_storage_size", None),
    ("json_table", Some(Version(10, 6, 0))),
    ("random_bytes", Some(Version(10, 10, 0))),
    ("regexp_like", None),
    ("st_geohash", None),
    ("st_hausdorffdistance", None),
    ("st_latitude", None),
    ("st_longitude", None),
    ("st_swapxy", None),
    ("st_transform", None),
    ("statement_digest", None),
    ("string_to_vector", None),
    ("uuid_to_bin", None),
    ("vector_to_string", None),
];

/// Functions of MariaDB that no MySQL has.
const OF_MARIADB: &[&str] = &[
    "add_months",
    "chr",
    "column_add",
    "column_create",
    "column_delete",
    "column_exists",
    "column_get",
    "column_json",
    "column_list",
    "crc32c",
    "decode_oracle",
    "encrypt",
    "json_array_intersect",
    "json_compact",
    "json_detailed",
    "json_equals",
    "json_exists",
    "json_loose",
    "json_normalize",
    "json_object_filter_keys",
    "json_query",
    "kdf",
    "lastval",
    "median",
    "natural_sort_key",
    "nextval",
    "nvl",
    "nvl2",
    "percentile_cont",
    "percentile_disc",
    "rownum",
    "setval",
    "sformat",
    "sys_guid",
    "to_char",
    "to_number",
    "trim_oracle",
    "uuid_v4",
    "uuid_v7",
    "vec_distance_cosine",
    "vec_distance_euclidean",
    "vec_fromtext",
    "vec_totext",
];

/// The first thing in a text that the target has not got, in words; definitions with it cannot be made there.
pub(super) fn missing(crossing: &Crossing<'_>, words: &Words<'_>) -> Option<String> {
    if !crossing.to_mariadb() && !crossing.to_mysql() {
        return None;
    }
    (0..words.len()).find_map(|at| {
        if crossing.to_mariadb() {
            let arrow = words.symbol(at) == Some(b'-')
                && words.symbol(at + 1) == Some(b'>')
                && words.tokens[at].end == words.tokens[at + 1].start;
            if arrow {
                return Some("the operator ->".to_owned());
            }
            if words.are(at, &["member", "of"]) || words.is(at, "lateral") {
                return Some(words.word(at).to_uppercase());
            }
            if words.is(at, "returning") {
                return Some("RETURNING".to_owned());
            }
        }
        let is_call = words.kind(at) == Some(TokenKind::Word) && words.symbol(at + 1) == Some(b'(');
        let name = words.word(at);
        let is_missing = if crossing.to_mysql() {
            OF_MARIADB.contains(&name.as_str())
        } else {
            let found = OF_MYSQL.iter().find(|(known, _)| *known == name);
            found.is_some_and(|(_, since)| since.is_none_or(|since| crossing.target.version < since))
        };
        // `next value for` is how MariaDB itself prints no sequence; the names above are.
        (is_call && is_missing).then(|| format!("the function {name}"))
    })
}
