//! One macro: an enumeration of words, each with the one text form that the catalog, JSON and manifest use.

/// Declares enumerations whose variants have one text form, in every direction.
macro_rules! words {
    ($($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every word of this kind, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word in text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| crate::UnknownWord {
                    text: text.to_owned(),
                    known: Self::ALL.iter().map(|word| word.as_str()).collect(),
                })
            }
        }
    )*};
}

pub(crate) use words;

/// The text is none of the words that belong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not known here; known are: {}", known.join(", "))]
pub struct UnknownWord {
    /// The text that was given.
    pub text: String,
    /// The words that belong there.
    pub known: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use crate::{Level, Outcome, ReplicaState};

    #[test]
    fn text_goes_both_ways() {
        for word in ReplicaState::ALL {
            assert_eq!(word.as_str().parse::<ReplicaState>().as_ref(), Ok(word));
        }
        assert_eq!("partial".parse(), Ok(Outcome::Partial));
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let error = "half".parse::<Level>().unwrap_err();
        assert!(error.to_string().contains("differential"), "{error}");
    }
}
