//! What a server said, as far as an error may repeat it.

/// The longest text of a server that an error repeats, in characters.
pub const LIMIT_CHARACTERS: usize = 300;

/// One line, not too long, without control characters and without what nobody shall read.
pub fn printable<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = text.to_owned();
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "…");
    }
    let plain = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    plain.collect::<String>().trim().chars().take(LIMIT_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_server_steers_no_terminal_and_shows_no_secret() {
        assert_eq!(printable(" no\r\nsuch \u{1b}[31muser\n", []), "no  such  [31muser");
        assert_eq!(printable("PASS hunter2 is wrong: hunter2", ["", "hunter2"]), "PASS … is wrong: …");
        let long = "ä".repeat(LIMIT_CHARACTERS + 1);
        assert_eq!(printable(&long, []).chars().count(), LIMIT_CHARACTERS);
        // What is cut off is looked through before.
        let cut = format!("{}secret", "a".repeat(LIMIT_CHARACTERS - 3));
        assert!(!printable(&cut, ["secret"]).contains("sec"));
    }
}
