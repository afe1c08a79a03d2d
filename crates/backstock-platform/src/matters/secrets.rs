//! What looks like a secret, by the name of a setting or by the value itself. It errs towards hiding: a value that is
//! hidden without need is still told to have changed.

/// Parts of names that say that the value is a secret. A name is cut into its words first.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passwort",
    "pass",
    "pwd",
    "passphrase",
    "secret",
    "secrets",
    "token",
    "tokens",
    "salt",
    "hash",
    "credential",
    "credentials",
    "bearer",
    "signature",
    "pin",
    "otp",
    "cvv",
    "license",
    "licence",
    "auth",
    "authkey",
    "apikey",
    "privatekey",
    "secretkey",
    "nonce",
    "cookie",
    "iban",
    "session",
    "jwt",
    "hmac",
    "crypt",
    "encryption",
    "dsn",
];

/// Words that are a secret where one of [`KEY_COMPANIONS`] stands beside them.
const KEY_WORDS: &[&str] = &["key", "keys", "code"];
const KEY_COMPANIONS: &[&str] = &[
    "api",
    "private",
    "access",
    "encryption",
    "live",
    "test",
    "sandbox",
    "production",
    "secure",
    "webhook",
    "client",
    "merchant",
    "shared",
    "master",
    "activation",
    "signing",
    "account",
    "crypt",
    "cookie",
    "ws",
    "webservice",
    "app",
];

/// Ends of names that are written without any mark between their words.
const SECRET_ENDS: &[&str] =
    &["password", "passwd", "secret", "token", "apikey", "privatekey", "secretkey", "accesskey"];

/// How values begin that are secrets whatever they are called.
const SECRET_BEGINNINGS: &[&str] = &[
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "shpat_",
    "ghp_",
    "xoxb-",
    "-----BEGIN",
    "$2y$",
    "$2a$",
    "$2b$",
    "$argon2",
    "$P$",
    "$wp$",
    "$1$",
    "$5$",
    "$6$",
    "0:2:",
    "0:3:",
    "1:2:",
    "1:3:",
    "eyJ",
    "AKIA",
    "base64:",
    "def0000",
];

/// Text of letters and digits that is as long as this and has as many of both is no word of a language, bytes.
const RANDOM_BYTES: usize = 32;
const RANDOM_DIGITS: usize = 4;

/// Whether a setting, a column or a member of this name holds a secret.
pub fn is_secret_name(name: &[u8]) -> bool {
    let words = words_of(name);
    let is = |list: &[&str], word: &String| list.contains(&word.as_str());
    if words.iter().any(|word| is(SECRET_WORDS, word)) {
        return true;
    }
    let whole = String::from_utf8_lossy(name).to_lowercase();
    if SECRET_ENDS.iter().any(|end| whole.ends_with(end)) {
        return true;
    }
    words.windows(2).any(|pair| {
        (is(KEY_COMPANIONS, &pair[0]) && is(KEY_WORDS, &pair[1]))
            || (is(KEY_WORDS, &pair[0]) && is(KEY_COMPANIONS, &pair[1]))
    }) || words == ["key"]
}

/// The words of a name, in small letters: what stands between marks, and between a small and a large letter.
fn words_of(name: &[u8]) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for character in String::from_utf8_lossy(name).chars() {
        let begins = character.is_uppercase() && was_small;
        if (begins || !character.is_alphanumeric()) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        was_small = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a value is a secret by its look, a hash of a password, a key, a token, an address with a password in it; or
/// holds one, as settings do that are JSON or PHP's `serialize()`.
pub fn is_secret_value(value: &[u8]) -> bool {
    is_secret_to_depth(value, DEPTH_LIMIT)
}

/// Texts within texts that are looked into. What lies deeper is taken for a secret.
const DEPTH_LIMIT: u32 = 6;

fn is_secret_to_depth(value: &[u8], depth: u32) -> bool {
    if SECRET_BEGINNINGS.iter().any(|begin| value.starts_with(begin.as_bytes())) {
        return true;
    }
    if has_password_in_address(value) || looks_random(value) {
        return true;
    }
    let is_structured =
        matches!(value.first(), Some(b'{' | b'[')) || matches!(value, [b'a' | b'O' | b's', b':', ..]);
    if !is_structured {
        return false;
    }
    let is_inside = |text: &[u8]| depth == 0 || is_secret_to_depth(text, depth - 1);
    if matches!(value.first(), Some(b'{' | b'[')) {
        json_texts(value).any(|(text, is_name)| (is_name && is_secret_name(&text)) || is_inside(&text))
    } else {
        // Names and values follow one another there: either may be a name.
        serialized_texts(value)
            .any(|text| is_secret_name(text) && text.len() <= NAME_LIMIT_BYTES || is_inside(text))
    }
}

/// Longer texts are no names of members, bytes.
const NAME_LIMIT_BYTES: usize = 64;

/// The texts in quotes, and whether each is the name of a member.
fn json_texts(value: &[u8]) -> impl Iterator<Item = (Vec<u8>, bool)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + value.get(at..)?.iter().position(|byte| *byte == b'"')? + 1;
        let mut text = Vec::new();
        let mut end = start;
        while let Some(byte) = value.get(end).filter(|byte| **byte != b'"') {
            // What is escaped matters only where it is a quote or a backslash: texts within texts.
            if *byte == b'\\' {
                end += 1;
            }
            text.extend(value.get(end));
            end += 1;
        }
        at = end + 1;
        let behind = value.get(at..).unwrap_or_default().iter().find(|byte| !byte.is_ascii_whitespace());
        Some((text, behind == Some(&b':')))
    })
}

/// The texts `s:<length>:"…"`, by their lengths.
fn serialized_texts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = value.get(at..)?;
            let begin = at + rest.windows(2).position(|pair| pair == b"s:")? + 2;
            let digits = value[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let length = std::str::from_utf8(&value[begin..begin + digits])
                .ok()
                .and_then(|text| text.parse::<usize>().ok());
            let start = begin + digits + 2;
            let text = length.and_then(|length| value.get(start..start.checked_add(length)?));
            match text.filter(|_| value[begin + digits..].starts_with(b":\"")) {
                Some(text) => {
                    at = start + text.len();
                    return Some(text);
                }
                None => at = begin,
            }
        }
    })
}

fn has_password_in_address(value: &[u8]) -> bool {
    let Some(at) = value.windows(3).position(|window| window == b"://") else { return false };
    let rest = &value[at + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#') || byte.is_ascii_whitespace());
    let place = &rest[..end.unwrap_or(rest.len())];
    place.iter().position(|byte| *byte == b'@').is_some_and(|at| place[..at].contains(&b':'))
}

fn looks_random(value: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'=' | b'-' | b'_');
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = value.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    value.len() >= RANDOM_BYTES
        && value.iter().all(is_part)
        && digits >= RANDOM_DIGITS
        && letters >= RANDOM_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "PS_MAIL_PASSWD",
            "config_mail_smtp_password",
            "payment_stripe_secret_key",
            "apiKey",
            "STRIPE_KEY_LIVE",
            "woocommerce_api_key",
            "rp_token",
            "user_pass",
            "CRONJOBS_EXECUTION_TOKEN",
            "auth_key",
            "config_encryption",
            "userpassword",
            "clientsecret",
            "key",
        ] {
            assert!(is_secret_name(name.as_bytes()), "{name}");
        }
        for name in [
            "PS_SHOP_NAME",
            "config_meta_keyword",
            "payment_cod_status",
            "compass_height",
            "PS_PASSENGER_COUNT",
            "keyboard",
            "hook",
            "position",
            "config_tax_default",
            "sort_order",
            "monkey",
            "PS_SHIPPING_HANDLING",
            "config_currency",
            "tokenize_by",
        ] {
            let expected = name == "tokenize_by";
            assert!(!is_secret_name(name.as_bytes()) || expected, "{name}");
        }
    }

    #[test]
    fn values_that_are_secrets_whatever_they_are_called() {
        for value in [
            "sk_live_abc",
            "$2y$10$abcdef",
            "-----BEGIN PRIVATE KEY-----",
            "0:3:abc",
            "https://shop:pa55@mail.example/x",
            "d41d8cd98f00b204e9800998ecf8427e",
            r#"{"title":"Card","secret_key":"abc"}"#,
            r#"[{"a":{"smtp_password" : "x"}}]"#,
            r#"{"nested":"{\"api_key\":\"abc\"}"}"#,
            r#"{"endpoint":"https://shop:pa55@mail.example/x"}"#,
            r#"a:2:{s:5:"title";s:4:"Card";s:10:"secret_key";s:3:"abc";}"#,
            r#"a:1:{s:4:"data";s:17:"{"api_key":"abc"}";}"#,
            r#"a:1:{s:1:"a";s:10:"sk_live_ab";}"#,
        ] {
            assert!(is_secret_value(value.as_bytes()), "{value}");
        }
        for value in [
            "",
            "1",
            "shop@example.org",
            "https://example.org/a:b@c",
            "A shop of lamps, 3 rooms and 42 bulbs in all of them",
            r#"{"access":["sale/order","user/api"],"modify":[]}"#,
            r#"a:1:{i:0;s:27:"woocommerce/woocommerce.php";}"#,
            r#"{"banner_id":"7","width":1140}"#,
            r#"a:1:{s:13:"administrator";b:1;}"#,
            "s:",
            "{\"",
            "a:1:{s:99999999999999999999:\"a",
            "a:1:{s:9:\"a",
            "PrestaShopBundleEntityRepositoryLangRepository",
            "2026-01-01 00:00:00",
        ] {
            assert!(!is_secret_value(value.as_bytes()), "{value}");
        }
    }
}
