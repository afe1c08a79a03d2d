//! What is defined at one point of a file, and how two possible states become one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::{Data, Map, Value};

/// Constants and variables. A copy is cheap until it is changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    constants: Arc<BTreeMap<Vec<u8>, Constant>>,
    variables: Arc<BTreeMap<Vec<u8>, Value>>,
    /// Set once something ran that could have defined constants without our seeing it, and what it was.
    pub(crate) opaque: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
struct Constant {
    value: Value,
    /// Defined in some of the possible pasts only.
    perhaps: bool,
}

impl State {
    /// The value of a constant, if it is defined or may be.
    pub(crate) fn constant(&self, name: &[u8]) -> Option<Value> {
        self.constants.get(name).map(|constant| constant.value.clone())
    }

    /// Whether a constant is defined; `None` when it depends.
    pub(crate) fn is_defined(&self, name: &[u8]) -> Option<bool> {
        match self.constants.get(name) {
            Some(constant) if constant.perhaps => None,
            Some(_) => Some(true),
            None if self.opaque.is_some() => None,
            None => Some(false),
        }
    }

    /// Defines a constant; the first definition stays, as in PHP. False when it was there.
    pub(crate) fn define(&mut self, name: &[u8], value: Value) -> bool {
        if self.constants.contains_key(name) {
            return false;
        }
        let value = match &self.opaque {
            Some(why) => {
                value.assuming(&format!("no earlier definition of {} ({why})", String::from_utf8_lossy(name)))
            }
            None => value,
        };
        Arc::make_mut(&mut self.constants).insert(name.to_vec(), Constant { value, perhaps: false });
        true
    }

    /// Sets a constant that may still be changed (Bedrock collects its constants before it defines them).
    pub(crate) fn redefine(&mut self, name: &[u8], value: Value) {
        Arc::make_mut(&mut self.constants).insert(name.to_vec(), Constant { value, perhaps: false });
    }

    /// The value of a variable; the name begins with `$`.
    pub(crate) fn variable(&self, name: &[u8]) -> Option<Value> {
        self.variables.get(name).cloned()
    }

    pub(crate) fn set_variable(&mut self, name: &[u8], value: Value) {
        Arc::make_mut(&mut self.variables).insert(name.to_vec(), value);
    }

    /// Takes a variable out, so that it can be changed in place.
    pub(crate) fn take_variable(&mut self, name: &[u8]) -> Option<Value> {
        self.variables.contains_key(name).then(|| Arc::make_mut(&mut self.variables).remove(name)).flatten()
    }

    /// What a copy costs, in steps.
    pub(crate) fn weight(&self) -> u64 {
        (self.constants.len() + self.variables.len()) as u64
    }

    /// The state after a condition that cannot be decided: what both agree on stays known.
    pub(crate) fn merge(self, other: Self, why: &str) -> Self {
        let constants = merge_constants(&self.constants, &other.constants, why);
        let variables = merge_variables(&self.variables, &other.variables, why);
        Self { constants, variables, opaque: self.opaque.or(other.opaque) }
    }
}

fn merge_constants(
    a: &Arc<BTreeMap<Vec<u8>, Constant>>,
    b: &Arc<BTreeMap<Vec<u8>, Constant>>,
    why: &str,
) -> Arc<BTreeMap<Vec<u8>, Constant>> {
    if Arc::ptr_eq(a, b) {
        return Arc::clone(a);
    }
    let mut merged = BTreeMap::new();
    for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
        let constant = match (a.get(name), b.get(name)) {
            (Some(one), Some(two)) => Constant {
                value: merge_values(&one.value, &two.value, why),
                perhaps: one.perhaps || two.perhaps,
            },
            _ => Constant { value: Value::unknown(why), perhaps: true },
        };
        merged.insert(name.clone(), constant);
    }
    Arc::new(merged)
}

fn merge_variables(
    a: &Arc<BTreeMap<Vec<u8>, Value>>,
    b: &Arc<BTreeMap<Vec<u8>, Value>>,
    why: &str,
) -> Arc<BTreeMap<Vec<u8>, Value>> {
    if Arc::ptr_eq(a, b) {
        return Arc::clone(a);
    }
    let mut merged = BTreeMap::new();
    for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
        let value = match (a.get(name), b.get(name)) {
            (Some(one), Some(two)) => merge_values(one, two, why),
            _ => Value::unknown(why),
        };
        merged.insert(name.clone(), value);
    }
    Arc::new(merged)
}

/// One value of two possible ones. Arrays are merged key by key.
pub(crate) fn merge_values(a: &Value, b: &Value, why: &str) -> Value {
    if a.same(b) == Some(true) {
        return a.clone().resting_on(b);
    }
    if let (Data::Array(one), Data::Array(two)) = (&a.data, &b.data) {
        let mut merged = Map::default();
        let keys = one.in_order().into_iter().chain(two.in_order());
        for (key, _) in keys {
            if merged.get(key).is_some() {
                continue;
            }
            let value = match (one.get(key), two.get(key)) {
                (Some(x), Some(y)) => merge_values(x, y, why),
                _ => Value::unknown(why),
            };
            merged.set(key.clone(), value);
        }
        return Value::array(merged);
    }
    match (&a.data, &b.data) {
        // An unknown keeps its own reason: it is nearer to the cause.
        (Data::Unknown(_), _) => a.clone(),
        (_, Data::Unknown(_)) => b.clone(),
        _ => Value::unknown(why),
    }
}
