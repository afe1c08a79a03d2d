//! Text of made-up languages in the scripts that shops meet.

use super::Choices;

/// Words of a language come in this many bands; a band holds twice the words of the one before and is met as often as
/// it, which is about how real languages use their words.
const BANDS: u32 = 13;
/// Sentences that every shop repeats: shipping, returns, care.
const STOCK_SENTENCES: usize = 48;

/// A made-up language: its words by how often they are met, and the sentences that its shops repeat.
pub(super) struct Language {
    words: Vec<String>,
    stock_sentences: Vec<String>,
    between_words: &'static str,
    end: &'static str,
}

struct Syllables {
    first: &'static [&'static str],
    last: &'static [&'static str],
    between_words: &'static str,
    end: &'static str,
}

const SCRIPTS: [Syllables; 3] = [
    Syllables {
        first: &[
            "th", "w", "st", "r", "c", "pl", "m", "b", "sh", "f", "gr", "l", "tr", "n", "s", "d", "h", "p",
        ],
        last: &[
            "e", "ing", "er", "and", "ion", "al", "y", "our", "ed", "ate", "o", "ight", "en", "is", "ure",
        ],
        between_words: " ",
        end: ". ",
    },
    Syllables {
        first: &[
            "sch", "w", "st", "r", "k", "pf", "m", "b", "gl", "f", "gr", "l", "tr", "n", "z", "d", "h", "v",
        ],
        last: &[
            "en", "ung", "er", "und", "ig", "ä", "lich", "ü", "keit", "el", "ö", "ei", "auf", "ist", "aß",
        ],
        between_words: " ",
        end: ". ",
    },
    Syllables {
        first: &[
            "木", "手", "石", "小", "美", "布", "光", "新", "水", "花", "使", "作", "家", "色", "品", "重",
        ],
        last: &["の", "を", "に", "です", "かた", "した", "さ", "り", "工", "ます", "ない", "こと", "用"],
        between_words: "",
        end: "。",
    },
];

impl Language {
    /// The three languages of the shop: one like English, one like German, one in the script of Japanese.
    pub(super) fn all(seed: u64) -> Vec<Self> {
        let make = |(number, script)| Self::new(script, &mut Choices(seed ^ number));
        (0x6c61_6e67..).zip(&SCRIPTS).map(make).collect()
    }

    fn new(script: &Syllables, choices: &mut Choices) -> Self {
        let mut words = Vec::new();
        for band in 0..BANDS {
            for _ in 0..1_u32 << band {
                let mut word = String::new();
                for _ in 0..=band / 4 {
                    word += choices.pick(script.first);
                    word += choices.pick(script.last);
                }
                words.push(word);
            }
        }
        let (between_words, end) = (script.between_words, script.end);
        let mut language = Self { words, stock_sentences: Vec::new(), between_words, end };
        for _ in 0..STOCK_SENTENCES {
            let mut sentence = String::new();
            language.new_sentence(choices, &mut sentence);
            language.stock_sentences.push(sentence);
        }
        language
    }

    /// A word, frequent ones more often.
    pub(super) fn word(&self, choices: &mut Choices) -> &str {
        let band = choices.below(BANDS);
        let start = (1_u32 << band) - 1;
        &self.words[(start + choices.below(1 << band)) as usize]
    }

    /// Some words, as in a name.
    pub(super) fn name(&self, choices: &mut Choices, words: u32, text: &mut String) {
        for number in 0..words {
            if number > 0 {
                text.push_str(self.between_words);
            }
            text.push_str(self.word(choices));
        }
    }

    fn new_sentence(&self, choices: &mut Choices, text: &mut String) {
        let start = text.len();
        let words = 5 + choices.below(14);
        self.name(choices, words, text);
        if let Some(first) = text.get_mut(start..start + 1) {
            first.make_ascii_uppercase();
        }
        text.push_str(self.end);
    }

    /// One sentence; one in five is a sentence that the shop repeats.
    pub(super) fn sentence(&self, choices: &mut Choices, text: &mut String) {
        if choices.below(5) == 0 {
            let number = choices.below(u32::try_from(STOCK_SENTENCES).unwrap_or(1));
            text.push_str(&self.stock_sentences[number as usize]);
        } else {
            self.new_sentence(choices, text);
        }
    }

    /// A description as shops store it: HTML that was escaped when it came in.
    pub(super) fn description(&self, choices: &mut Choices, text: &mut String) {
        for _ in 0..1 + choices.below(4) {
            text.push_str("&lt;p class=&quot;text&quot;&gt;");
            for _ in 0..1 + choices.below(5) {
                self.sentence(choices, text);
            }
            text.push_str(r"&lt;/p&gt;\r\n");
        }
        if choices.below(3) == 0 {
            text.push_str(r"&lt;ul&gt;\r\n");
            for _ in 0..2 + choices.below(5) {
                text.push_str("  &lt;li&gt;&lt;b&gt;");
                self.name(choices, 2, text);
                text.push_str("&lt;/b&gt; ");
                text.push_str(&choices.below(300).to_string());
                text.push_str(r" cm&lt;/li&gt;\r\n");
            }
            text.push_str(r"&lt;/ul&gt;\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_twice_and_frequent_words_are_frequent() {
        let draw = || {
            let (mut choices, mut text) = (Choices(4), String::new());
            for language in Language::all(9) {
                language.description(&mut choices, &mut text);
            }
            text
        };
        assert_eq!(draw(), draw());
        let languages = Language::all(9);
        let mut choices = Choices(1);
        let most_frequent = &languages[0].words[0];
        let met = (0..10_000).filter(|_| languages[0].word(&mut choices) == most_frequent).count();
        assert!((500..1500).contains(&met), "{met} of 10,000");
    }
}
