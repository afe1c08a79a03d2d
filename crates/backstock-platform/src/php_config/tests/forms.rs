//! Each file of `fixtures/shops/php-forms` and what PHP makes of it.

use super::*;

/// File, then constants with their values; `None` where the file alone does not decide.
type Form = (&'static str, &'static [(&'static str, Option<&'static str>)]);

const FORMS: &[Form] = &[
    (
        "define-quotes-and-spacing.php",
        &[
            ("A", Some("single")),
            ("B", Some("double")),
            ("C", Some("upper")),
            ("D", Some("split over lines")),
        ],
    ),
    ("const-at-top-level.php", &[("A", Some("one")), ("B", Some("one-two"))]),
    ("const-in-namespace.php", &[("A", Some("inside")), ("B", Some("outside")), ("INNER", None)]),
    ("commented-out-lines.php", &[("A", Some("new"))]),
    ("first-define-wins.php", &[("A", Some("first"))]),
    (
        "guarded-constants.php",
        &[("A", Some("a")), ("B", Some("b")), ("C", Some("c")), ("D", Some("after the guards"))],
    ),
    (
        "variables-first.php",
        &[
            ("A", Some("db.example")),
            ("B", Some("shop_live")),
            ("C", Some("uw")),
            ("D", Some("nestedn1")),
            ("E", None),
        ],
    ),
    ("concatenation.php", &[("A", Some("127.0.0.1:3307")), ("B", Some("a11z")), ("C", Some("40"))]),
    (
        "environment-with-fallback.php",
        &[
            ("A", Some("a")),
            ("B", Some("b")),
            ("C", Some("c")),
            ("D", Some("d")),
            ("E", Some("e")),
            ("F", Some("f")),
            ("G", None),
        ],
    ),
    ("getenv-docker.php", &[("A", Some("a")), ("B", Some(""))]),
    (
        "escapes.php",
        &[
            ("A", Some("it's a \\ and \\n stays")),
            ("B", Some("\n\t\"$\\A\u{e9}A\0")),
            ("C", None),
            ("D", Some("no $interpolation \\{here}")),
            ("E", Some("binarytoo")),
        ],
    ),
    ("dollar-in-double-quotes.php", &[("A", None), ("B", Some("p4$word"))]),
    (
        "heredoc-and-nowdoc.php",
        &[
            ("A", Some("-----BEGIN KEY-----\na \"quoted\" shop \t|\n-----END KEY-----")),
            ("B", Some("raw $name \\t\nsecond")),
            ("C", Some("indented\n  more!")),
            ("D", Some("lines\nin quotes")),
            ("E", Some("")),
        ],
    ),
    (
        "includes-another-file.php",
        &[
            ("A", Some("before")),
            ("B", Some("from the included file, included-settings.php of php-forms")),
            ("C", Some("included")),
        ],
    ),
    (
        "conditional-on-the-host.php",
        &[("SAME", Some("always")), ("A", None), ("B", Some("both")), ("C", None), ("D", None), ("E", None)],
    ),
    ("byte-order-mark.php", &[("A", Some("after the mark"))]),
    ("carriage-returns.php", &[("A", Some("one")), ("B", Some("two"))]),
    ("old-mac-line-ends.php", &[("A", Some("one")), ("B", Some("two"))]),
    ("text-before-the-tag.php", &[("A", Some("one")), ("B", Some("two"))]),
    ("closing-tag.php", &[("A", Some("one"))]),
    (
        "loops-and-functions.php",
        &[("A", Some("a")), ("B", Some("b")), ("C", None), ("D", None), ("E", Some("stated"))],
    ),
    (
        "parsed-url.php",
        &[("A", Some("db.example:3307")), ("B", Some("shop")), ("C", Some("p#")), ("D", Some("bbnbnb"))],
    ),
    ("try-and-while.php", &[("A", Some("tried")), ("B", Some("finally")), ("C", None), ("D", None)]),
];

#[test]
fn every_form_means_what_php_makes_of_it() {
    let mut wrong = Vec::new();
    for (file, constants) in FORMS {
        let config = form(file, &NoEnvironment);
        for (name, expected) in *constants {
            let found = text(&config, name);
            if found.as_deref() != *expected {
                wrong.push(format!(
                    "{file} {name}: {found:?} instead of {expected:?} ({:?})",
                    config.constant(name)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_form_on_disk_is_tested() {
    let apart = [
        "built-from-others.php",
        "return-of-a-variable.php",
        "returned-arrays.php",
        "conditional-return.php",
        "included-settings.php",
        "bytes-of-any-kind.php",
    ];
    for entry in std::fs::read_dir(fixtures().join("php-forms")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            FORMS.iter().any(|(file, _)| *file == name) || apart.contains(&name.as_str()),
            "{name} is not tested"
        );
    }
}

#[test]
fn constants_built_from_others_and_from_the_files_place() {
    let config = form("built-from-others.php", &NoEnvironment);
    let here = fixtures().join("php-forms");
    let expect = |name: &str, path: String| assert_eq!(text(&config, name), Some(path), "{name}");
    expect("A", format!("{}/system/storage/", here.display()));
    expect("B", format!("{}/x", here.display()));
    let two_up = here.parent().and_then(Path::parent).unwrap().display().to_string();
    expect("C", two_up.clone());
    expect("D", two_up);
    expect("E", format!("{}/system", here.display()));
}

#[test]
fn returned_arrays_keep_types_and_keys() {
    let config = form("returned-arrays.php", &NoEnvironment);
    assert!(matches!(config.at(&["db", "port"]).data, Data::Int(3306)));
    assert!(matches!(config.at(&["db", "active"]).data, Data::Bool(true)));
    assert!(matches!(config.at(&["db", "socket"]).data, Data::Null));
    assert!(matches!(config.at(&["db", "none", "deeper"]).data, Data::Absent(_)));
    let ca = config.at(&["db", "options", "PDO::MYSQL_ATTR_SSL_CA"]);
    assert_eq!(ca.to_text().as_deref(), Some(&b"/ca.pem"[..]));
    assert!(matches!(config.at(&["db", "options"]).get(&Key::Int(1014)).data, Data::Bool(false)));
    assert_eq!(config.at(&["list", "1"]).to_text().as_deref(), Some(&b"one"[..]));
    assert_eq!(config.at(&["spread"]).to_text().as_deref(), Some(&b"yes"[..]));
    let config = form("return-of-a-variable.php", &NoEnvironment);
    assert_eq!(config.at(&["db", "name"]).to_text().as_deref(), Some(&b"n"[..]));
}

#[test]
fn a_return_under_an_undecided_condition_leaves_what_both_agree_on() {
    let config = form("conditional-return.php", &NoEnvironment);
    assert!(!config.at(&["db", "name"]).is_known());
    assert_eq!(config.at(&["db", "user"]).to_text().as_deref(), Some(&b"same"[..]));
}

#[test]
fn a_fallback_is_an_assumption_and_a_known_environment_wins() {
    let config = form("environment-with-fallback.php", &NoEnvironment);
    for name in ["A", "B", "C", "D", "E", "F"] {
        let assumed = config.constant(name).assumptions();
        assert_eq!(assumed, [format!("the environment variable SHOP_{name} is not set")], "{name}");
    }
    assert!(config.constant("G").why_unknown().unwrap().contains("SHOP_G"));
    let set = |names: &[&str]| {
        let pairs = names.iter().map(|name| (format!("SHOP_{name}").into_bytes(), b"set".to_vec()));
        KnownEnvironment(pairs.collect::<BTreeMap<_, _>>())
    };
    let config = form("environment-with-fallback.php", &set(&["A", "B", "C", "D", "E", "F", "G"]));
    for name in ["A", "B", "C", "D", "E", "F", "G"] {
        assert_eq!(text(&config, name).as_deref(), Some("set"), "{name}");
        assert!(config.constant(name).assumptions().is_empty(), "{name}");
    }
    let config = form("environment-with-fallback.php", &set(&[]));
    for (name, value) in [("A", "a"), ("B", "b"), ("C", "c"), ("D", "d"), ("E", "e"), ("F", "f")] {
        assert_eq!(text(&config, name).as_deref(), Some(value), "{name}");
        assert!(config.constant(name).assumptions().is_empty(), "{name}");
    }
}

#[test]
fn the_docker_images_helper_reads_a_secret_from_a_file_of_the_account() {
    let shop = Shop::empty();
    shop.write("secret", "word\n").write("config.php", "<?php define('A', getenv_docker('SHOP_A', 'a'));");
    let folder = Folder::open(&shop.root).unwrap();
    let path = shop.root.join("secret").display().to_string().into_bytes();
    let environment = KnownEnvironment(BTreeMap::from([(b"SHOP_A_FILE".to_vec(), path)]));
    let config = read(&Reading::new(&folder, &environment), &folder.at("config.php")).unwrap();
    assert_eq!(text(&config, "A").as_deref(), Some("word"));
}

#[test]
fn texts_are_bytes() {
    let config = form("bytes-of-any-kind.php", &NoEnvironment);
    assert_eq!(config.constant("A").to_text().as_deref(), Some(&b"caf\xe9 \xff"[..]));
}

#[test]
fn what_is_unknown_says_where() {
    let config = form("conditional-on-the-host.php", &NoEnvironment);
    let why = config.constant("A").why_unknown().unwrap();
    assert!(why.contains("conditional-on-the-host.php line 3"), "{why}");
}
