//! Values of PHP, and two states of not knowing: unknown, and absent.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Deepest array; a deeper one becomes unknown, since dropping it would recurse as deep.
const ARRAY_DEPTH_LIMIT: usize = 100;

/// A value together with the assumptions that it rests on.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    /// The value.
    pub(crate) data: Data,
    /// Sentences that must hold for it.
    pub(crate) assumed: Option<Arc<[Arc<str>]>>,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<[u8]>),
    Array(Arc<Map>),
    /// An environment variable of which we do not know whether it is set.
    Environment(Arc<str>),
    /// Not there at all, and we know that: an undefined constant, a missing key.
    Absent(Arc<str>),
    /// Cannot be known from the files, and why.
    Unknown(Arc<str>),
}

/// A key of an array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Int(i64),
    Text(Vec<u8>),
}

/// An array: ordered as written, looked up by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    entries: BTreeMap<Key, (usize, Value)>,
    next_index: i64,
    next_order: usize,
    depth: usize,
}

impl Map {
    /// Sets a key; its place stays when it is there already.
    pub(crate) fn set(&mut self, key: Key, value: Value) {
        if let Data::Array(inner) = &value.data {
            self.depth = self.depth.max(inner.depth + 1);
        }
        if let Key::Int(index) = key {
            self.next_index = self.next_index.max(index.saturating_add(1));
        }
        let order = self.entries.get(&key).map_or(self.next_order, |(order, _)| *order);
        self.next_order += 1;
        self.entries.insert(key, (order, value));
    }

    /// Adds at the end.
    pub(crate) fn push(&mut self, value: Value) {
        self.set(Key::Int(self.next_index), value);
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Takes a value out for a change; the place of its key is kept.
    pub(crate) fn take(&mut self, key: &Key) -> Option<Value> {
        self.entries.get_mut(key).map(|(_, value)| std::mem::replace(value, Value::null()))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keys and values in the order of the array.
    pub(crate) fn in_order(&self) -> Vec<(&Key, &Value)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|(_, (order, _))| *order);
        all.into_iter().map(|(key, (_, value))| (key, value)).collect()
    }
}

impl Key {
    /// A text key; decimal integers are integers, as in PHP.
    pub(crate) fn text(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse::<i64>().ok().filter(|number| number.to_string() == text))
            .map_or_else(|| Self::Text(bytes.to_vec()), Self::Int)
    }

    /// The key as a value.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Int(number) => Value::int(*number),
            Self::Text(bytes) => Value::text(bytes.clone()),
        }
    }
}

impl Value {
    pub(crate) fn new(data: Data) -> Self {
        Self { data, assumed: None }
    }

    pub(crate) fn null() -> Self {
        Self::new(Data::Null)
    }

    pub(crate) fn bool(value: bool) -> Self {
        Self::new(Data::Bool(value))
    }

    pub(crate) fn int(value: i64) -> Self {
        Self::new(Data::Int(value))
    }

    pub(crate) fn text(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Data::Text(bytes.into().into()))
    }

    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self::new(Data::Unknown(why.into().into()))
    }

    /// An array, or unknown when it nests too deeply.
    pub(crate) fn array(map: Map) -> Self {
        if map.depth > ARRAY_DEPTH_LIMIT {
            return Self::unknown("an array nests deeper than any configuration");
        }
        Self::new(Data::Array(Arc::new(map)))
    }

    /// The same value, resting on one more assumption.
    pub(crate) fn assuming(mut self, sentence: &str) -> Self {
        self.assume([Arc::from(sentence)].into_iter());
        self
    }

    /// The same value, resting on what another value rests on as well.
    pub(crate) fn resting_on(mut self, other: &Self) -> Self {
        if let Some(sentences) = &other.assumed {
            self.assume(sentences.iter().cloned());
        }
        self
    }

    fn assume(&mut self, sentences: impl Iterator<Item = Arc<str>>) {
        let mut all: Vec<Arc<str>> = self.assumed.iter().flat_map(|known| known.iter().cloned()).collect();
        for sentence in sentences {
            if !all.contains(&sentence) {
                all.push(sentence);
            }
        }
        self.assumed = (!all.is_empty()).then(|| all.into());
    }

    /// The sentences that the value rests on.
    pub(crate) fn assumptions(&self) -> Vec<String> {
        self.assumed.iter().flat_map(|known| known.iter()).map(ToString::to_string).collect()
    }

    /// Whether the value itself is known.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.data, Data::Unknown(_) | Data::Environment(_) | Data::Absent(_))
    }

    /// Why it is not known.
    pub(crate) fn why_unknown(&self) -> Option<String> {
        match &self.data {
            Data::Unknown(why) | Data::Absent(why) => Some(why.to_string()),
            Data::Environment(name) => Some(format!("the environment variable {name} is not known here")),
            _ => None,
        }
    }

    /// The same, as the unknown that an operation on it gives.
    pub(crate) fn to_unknown(&self) -> Self {
        match self.why_unknown() {
            Some(why) => Self::unknown(why),
            None => self.clone(),
        }
    }

    /// The value at a path of text keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Self {
        let mut value = self.clone();
        for key in keys {
            value = value.get(&Key::text(key.as_bytes()));
        }
        value
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: &Key) -> Self {
        match &self.data {
            Data::Array(map) => match map.get(key) {
                Some(value) => value.clone().resting_on(self),
                None => {
                    Self::new(Data::Absent(format!("there is no key {}", show(key)).into())).resting_on(self)
                }
            },
            Data::Absent(_) => self.clone(),
            Data::Unknown(_) | Data::Environment(_) => self.to_unknown(),
            _ => Self::new(Data::Absent("the value is no array".into())),
        }
    }

    /// Whether PHP takes it for true; `None` when that cannot be known.
    pub(crate) fn truth(&self) -> Option<bool> {
        Some(match &self.data {
            Data::Null | Data::Absent(_) => false,
            Data::Bool(value) => *value,
            Data::Int(value) => *value != 0,
            Data::Float(value) => *value != 0.0,
            Data::Text(bytes) => !(bytes.is_empty() || bytes.as_ref() == b"0"),
            Data::Array(map) => map.len() > 0,
            Data::Environment(_) | Data::Unknown(_) => return None,
        })
    }

    /// The text that PHP makes of it; `None` for arrays and for what is not known.
    pub(crate) fn to_text(&self) -> Option<Arc<[u8]>> {
        Some(match &self.data {
            Data::Null => Arc::from(*b""),
            Data::Bool(value) => Arc::from(if *value { &b"1"[..] } else { b"" }),
            Data::Int(value) => Arc::from(value.to_string().into_bytes()),
            Data::Float(value) if value.is_finite() && value.abs() < 1e15 => {
                Arc::from(value.to_string().into_bytes())
            }
            Data::Text(bytes) => Arc::clone(bytes),
            _ => return None,
        })
    }

    /// The integer that PHP makes of it (leading digits of a text).
    pub(crate) fn to_int(&self) -> Option<i64> {
        match &self.data {
            Data::Null => Some(0),
            Data::Bool(value) => Some(i64::from(*value)),
            Data::Int(value) => Some(*value),
            Data::Text(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                let text = text.trim_start();
                let end = text
                    .char_indices()
                    .take_while(|(at, c)| c.is_ascii_digit() || (*at == 0 && matches!(c, '-' | '+')))
                    .count();
                let digits = &text[..end];
                if digits.trim_start_matches(['-', '+']).is_empty() { Some(0) } else { digits.parse().ok() }
            }
            _ => None,
        }
    }

    /// The key that PHP makes of it.
    pub(crate) fn to_key(&self) -> Option<Key> {
        Some(match &self.data {
            Data::Null => Key::Text(Vec::new()),
            Data::Bool(value) => Key::Int(i64::from(*value)),
            Data::Int(value) => Key::Int(*value),
            Data::Text(bytes) => Key::text(bytes),
            _ => return None,
        })
    }

    /// Whether two values are the same in type and content (`===`); `None` when that cannot be known.
    pub(crate) fn same(&self, other: &Self) -> Option<bool> {
        Some(match (&self.data, &other.data) {
            (Data::Unknown(_) | Data::Environment(_) | Data::Absent(_), _)
            | (_, Data::Unknown(_) | Data::Environment(_) | Data::Absent(_)) => return None,
            (Data::Null, Data::Null) => true,
            (Data::Bool(a), Data::Bool(b)) => a == b,
            (Data::Int(a), Data::Int(b)) => a == b,
            (Data::Float(a), Data::Float(b)) => a.to_bits() == b.to_bits(),
            (Data::Text(a), Data::Text(b)) => a == b,
            (Data::Array(a), Data::Array(b)) => return same_maps(a, b),
            _ => false,
        })
    }
}

fn same_maps(a: &Arc<Map>, b: &Arc<Map>) -> Option<bool> {
    if Arc::ptr_eq(a, b) {
        return Some(true);
    }
    if a.len() != b.len() {
        return Some(false);
    }
    for (key, (_, value)) in &a.entries {
        match b.get(key) {
            None => return Some(false),
            Some(other) if !value.same(other)? => return Some(false),
            Some(_) => {}
        }
    }
    Some(true)
}

/// A key for people.
pub(crate) fn show(key: &Key) -> String {
    match key {
        Key::Int(number) => number.to_string(),
        Key::Text(bytes) => format!("'{}'", String::from_utf8_lossy(bytes)),
    }
}
