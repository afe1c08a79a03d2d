//! Tests of definitions as both vendors print them.

use super::*;

const MARIADB: &[u8] = b"CREATE TABLE `a``b` (\n  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'KEY `x` (,)',\n  \
    `n` int(11) DEFAULT nextval(`shop`.`s`),\n  `c` varbinary(4) DEFAULT '\\0\xff',\n  `d` int(11) DEFAULT NULL CHECK \
    (`d` > 0),\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`n`),\n  KEY `k` (`c`(2)),\n  SPATIAL KEY `s` (`g`),\n  KEY \
    `l` (`d`),\n  FULLTEXT KEY `f` (`c`),\n  CONSTRAINT `fk` FOREIGN KEY (`n`) REFERENCES `p` (`id`) ON DELETE \
    CASCADE,\n  CONSTRAINT `ck` CHECK (`n` <> ')')\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 \
    COLLATE=utf8mb4_general_ci COMMENT='ENGINE=x' DATA DIRECTORY='/tmp/x' WITH SYSTEM VERSIONING\n PARTITION BY \
    HASH (`id`)\n(PARTITION `p0` DATA DIRECTORY = '/tmp/y' ENGINE = InnoDB)";

const MYSQL: &[u8] = b"CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `h` int /*!80023 INVISIBLE */,\n  `n` int NOT NULL \
    AUTO_INCREMENT,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`h`),\n  KEY `n` (`n`),\n  KEY `fn` \
    ((lower(`h`))) /*!80000 INVISIBLE */,\n  CONSTRAINT `t_chk_1` CHECK ((`h` > 0)),\n  CONSTRAINT `mine` CHECK \
    ((`h` in (1,2))) /*!80016 NOT ENFORCED */\n) /*!50100 TABLESPACE `ts` */ ENGINE=InnoDB DEFAULT \
    CHARSET=latin1\n/*!50100 PARTITION BY KEY () */";

fn shadow(definition: &[u8], table: &[u8], mysql: bool, off: bool) -> ShadowTable {
    let sequences = |_: Option<&[u8]>, name: &[u8]| (name == b"s").then(|| b"`db`.`_bn1_2`".to_vec());
    let request = ShadowRequest {
        definition,
        table,
        shadow: b"_bn1_1",
        checks_share_names: mysql,
        concessions: Concessions { checks_off: off, ..Concessions::default() },
        implied_collations: mysql,
        keys_first: false,
        sequences: &sequences,
    };
    shadow_table(&request).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_part_is_found() {
    let found = spans(MARIADB).unwrap();
    assert_eq!(found.name.text(MARIADB), b"`a``b`");
    assert_eq!(found.items.len(), 12);
    assert!(found.versioned);
    let kinds: Vec<OptionKind> = found.options.iter().map(|option| option.kind).collect();
    assert_eq!(kinds[..3], [OptionKind::Engine, OptionKind::AutoIncrement, OptionKind::Charset]);
    assert_eq!(kinds.iter().filter(|kind| **kind == OptionKind::DataDirectory).count(), 2);
    assert!(text(found.partition.unwrap().text(MARIADB)).starts_with("PARTITION BY"));
    let ItemKind::Column { auto_increment: true, checks, .. } = &found.items[0].kind else { panic!() };
    assert!(checks.is_empty());
    let ItemKind::Column { checks, .. } = &found.items[3].kind else { panic!() };
    assert_eq!(checks[0].text(MARIADB), b"CHECK (`d` > 0)");
    let found = spans(MYSQL).unwrap();
    assert!(text(found.partition.unwrap().text(MYSQL)).starts_with("/*!50100 PARTITION BY KEY () */"));
    let ItemKind::Check { enforced, .. } = found.items.last().unwrap().kind else { panic!() };
    assert!(!enforced);
}

#[test]
fn a_shadow_leaves_keys_for_later_and_places_out() {
    let made = shadow(MARIADB, b"a`b", false, false);
    let create = text(&made.create);
    assert!(
        create.starts_with("CREATE TABLE `_bn1_1` (\n  `id` int(11) NOT NULL AUTO_INCREMENT"),
        "{create}"
    );
    assert!(create.contains("nextval(`db`.`_bn1_2`)"));
    for gone in ["`fk`", "`f`", "`l`", "`s` (", "`k`", "'/tmp"] {
        assert!(!create.contains(gone), "{gone} in {create}");
    }
    // A unique key of a partitioned table stays.
    assert!(
        create.contains("UNIQUE KEY `u` (`n`),\n  CONSTRAINT `ck` CHECK (`n` <> ')')\n) ENGINE"),
        "{create}"
    );
    let keys: Vec<String> = made.keys.iter().map(|keys| text(keys)).collect();
    assert_eq!(
        keys,
        [
            "ADD KEY `k` (`c`(2))",
            "ADD SPATIAL KEY `s` (`g`)",
            "ADD KEY `l` (`d`)",
            "ADD FULLTEXT KEY `f` (`c`)"
        ]
    );
    assert_eq!(made.left_out.len(), 2);
    assert!(spans(&made.create).is_ok());
}

#[test]
fn a_shadow_on_mysql_has_checks_of_other_names() {
    let made = shadow(MYSQL, b"t", true, false);
    let create = text(&made.create);
    assert!(create.contains("CONSTRAINT `_bn1_1_chk_1` CHECK ((`h` > 0))"), "{create}");
    assert!(
        create.contains("CONSTRAINT `_bn1_1_n2_chk_` CHECK ((`h` in (1,2))) NOT ENFORCED\n)"),
        "{create}"
    );
    assert!(!create.contains("TABLESPACE"));
    // The key that numbers rows stays, and with it what stands before.
    assert!(create.contains("UNIQUE KEY `u` (`h`),\n  KEY `n` (`n`),\n  CONSTRAINT"), "{create}");
    assert_eq!(made.keys, [b"ADD KEY `fn` ((lower(`h`))) /*!80000 INVISIBLE */".to_vec()]);
    let made = shadow(MYSQL, b"t", true, true);
    assert!(text(&made.create).contains("CHECK ((`h` > 0)) NOT ENFORCED"));
}

#[test]
fn a_collation_that_the_table_has_is_left_unsaid_on_mysql() {
    let definition = b"CREATE TABLE `t` (\n  `a` text COLLATE utf8mb4_bin,\n  `b` text CHARACTER SET utf8mb4 COLLATE \
        utf8mb4_bin,\n  `c` text COLLATE utf8mb4_0900_ai_ci\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
    let create = text(&shadow(definition, b"t", true, false).create);
    assert!(create.contains("`a` text,\n"), "{create}");
    assert!(create.contains("`b` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,"), "{create}");
    assert!(create.contains("`c` text COLLATE utf8mb4_0900_ai_ci\n"), "{create}");
}

#[test]
fn what_is_no_definition_is_a_fault() {
    for sql in [
        "",
        "CREATE VIEW `a` AS SELECT 1",
        "CREATE TABLE a (b int)",
        "CREATE TABLE `a` (`b` int",
        "CREATE TABLE `a` (nonsense)",
    ] {
        assert!(spans(sql.as_bytes()).is_err(), "{sql}");
    }
    for end in 0..MARIADB.len() {
        let _ = spans(&MARIADB[..end]);
    }
}

#[test]
fn a_shadow_concedes_what_it_is_told_to() {
    let made = |definition: &[u8], concessions: Concessions| {
        let sequences = |_: Option<&[u8]>, _: &[u8]| None;
        let request = ShadowRequest {
            definition,
            table: b"t",
            shadow: b"s",
            checks_share_names: false,
            implied_collations: false,
            concessions,
            keys_first: false,
            sequences: &sequences,
        };
        text(&shadow_table(&request).unwrap().create)
    };
    let compact = b"CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB DEFAULT CHARSET=latin1 ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4";
    let dynamic = Concessions { dynamic_rows: true, ..Concessions::default() };
    let create = made(compact, dynamic);
    assert!(create.ends_with("CHARSET=latin1 ROW_FORMAT=DYNAMIC "), "{create}");
    let create = made(b"CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='x'", dynamic);
    assert!(create.ends_with("ENGINE=InnoDB ROW_FORMAT=DYNAMIC COMMENT='x'"), "{create}");
    let create = made(compact, Concessions { invisible_key: true, ..Concessions::default() });
    assert!(
        create.starts_with(
            "CREATE TABLE `s` (\n  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT INVISIBLE,\n  PRIMARY KEY \
             (`my_row_id`),\n  `a` int\n"
        ),
        "{create}"
    );
}
