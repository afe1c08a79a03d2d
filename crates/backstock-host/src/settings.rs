//! What a kind (of storage, of notifier) needs to know, as it describes itself: the doc comments of its settings become help and forms.

use schemars::Schema;
use serde_json::Value;

/// One setting of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name in settings.
    pub name: String,
    /// What it is, for people.
    pub help: String,
    /// Whether it is kept sealed and never shown.
    pub is_secret: bool,
    /// Whether the kind cannot be without it.
    pub is_required: bool,
    /// What holds where nothing is said.
    pub default: Option<Value>,
    /// The JSON types that it takes, as JSON Schema names them.
    pub takes: Vec<String>,
    /// The words that it takes, where it takes no others.
    pub words: Vec<String>,
}

impl Field {
    /// Reads a value from a text that a person wrote.
    ///
    /// # Errors
    ///
    /// What is wrong with it, where the setting takes no texts and it is none of what it takes.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let takes = |kind: &str| self.takes.iter().any(|taken| taken == kind);
        if takes("boolean") {
            return match text {
                "yes" | "true" | "on" => Ok(true.into()),
                "no" | "false" | "off" => Ok(false.into()),
                _ => Err(format!("{} is yes or no", self.name)),
            };
        }
        if takes("integer") || takes("number") {
            return text
                .parse::<u64>()
                .map(Value::from)
                .map_err(|_| format!("{} is a whole number", self.name));
        }
        if !self.words.is_empty() && !self.words.iter().any(|word| word == text) {
            return Err(format!("{} is one of {}", self.name, self.words.join(", ")));
        }
        Ok(text.into())
    }
}

/// The settings that a schema describes, those first that the kind cannot be without, then by name.
pub fn fields(schema: &Schema) -> Vec<Field> {
    let root = schema.as_value();
    let required: Vec<&str> =
        root["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = root["properties"].as_object().into_iter().flatten();
    let mut fields: Vec<Field> = properties
        .map(|(name, described)| {
            let resolved = resolve(root, described);
            let either = |key: &str| described.get(key).or_else(|| resolved.get(key)).cloned();
            Field {
                name: name.clone(),
                help: either("description")
                    .and_then(|help| help.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                is_secret: either("writeOnly") == Some(true.into()),
                is_required: required.contains(&name.as_str()),
                default: either("default").filter(|default| !default.is_null()),
                takes: taken(resolved),
                words: words(resolved),
            }
        })
        .collect();
    // By name too: in which order the schema has them depends on how the JSON library was built.
    fields.sort_by(|one, other| (!one.is_required, &one.name).cmp(&(!other.is_required, &other.name)));
    fields
}

/// What a reference, or an optional one, stands for.
fn resolve<'a>(root: &'a Value, described: &'a Value) -> &'a Value {
    let options = described["anyOf"].as_array();
    let described = options
        .and_then(|options| options.iter().find(|option| option["type"] != "null"))
        .unwrap_or(described);
    let pointer = described["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(described)
}

fn taken(described: &Value) -> Vec<String> {
    let names: Vec<&str> = match &described["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter(|name| *name != "null").map(str::to_owned).collect()
}

fn words(described: &Value) -> Vec<String> {
    let listed = described["enum"].as_array().into_iter().flatten();
    let single = described["oneOf"].as_array().into_iter().flatten().map(|option| &option["const"]);
    listed.chain(single).filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};
    use serde::Deserialize;

    use super::*;
    use crate::Secret;

    /// How to encrypt.
    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Encryption {
        /// Not at all.
        Off,
        /// From the first byte on.
        Implicit,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Settings {
        /// The name of the server.
        host: String,
        /// The port.
        #[serde(default = "port")]
        port: u16,
        /// The password.
        password: Option<Secret>,
        /// Whether to encrypt.
        encryption: Option<Encryption>,
        /// Whether to wait.
        #[serde(default)]
        waits: bool,
    }

    fn port() -> u16 {
        21
    }

    #[test]
    fn settings_are_described_by_their_own_words() {
        let fields = fields(&schema_for!(Settings));
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["host", "encryption", "password", "port", "waits"]);
        let [host, encryption, password, port, waits] = &fields[..] else { panic!("{fields:?}") };
        assert_eq!(
            (host.help.as_str(), host.is_required, host.is_secret),
            ("The name of the server.", true, false)
        );
        assert_eq!((port.default.clone(), port.is_required), (Some(21.into()), false));
        assert!(password.is_secret && !password.is_required);
        assert_eq!(encryption.words, ["off", "implicit"]);
        assert_eq!(port.parse("2121"), Ok(2121.into()));
        assert!(port.parse("many").is_err());
        assert_eq!(encryption.parse("implicit"), Ok("implicit".into()));
        assert!(encryption.parse("maybe").is_err());
        assert_eq!(waits.parse("yes"), Ok(true.into()));
        assert_eq!(password.parse("12"), Ok("12".into()));
    }
}
