//! Assignment: variables, elements of arrays, and lists.

use mago_syntax::ast::{ArrayElement, Expression, Variable};

use super::interpreter::{Eval, Interpreter};
use super::value::{Data, Key, Map, Value};

impl Interpreter<'_> {
    /// Assigns to a place.
    pub(super) fn assign(&mut self, target: &Expression<'_>, value: Value) -> Eval<()> {
        match target {
            Expression::Parenthesized(inner) => self.assign(inner.expression, value),
            Expression::UnaryPrefix(prefix) => {
                // `&$x`: whoever holds the reference can change it later.
                self.forget(prefix.operand, "it is assigned by reference");
                Ok(())
            }
            Expression::Variable(Variable::Direct(variable)) => {
                self.state.set_variable(variable.name, value);
                Ok(())
            }
            Expression::ArrayAccess(_) | Expression::ArrayAppend(_) => self.assign_element(target, value),
            Expression::List(list) => self.assign_list(list.elements.as_slice(), &value),
            Expression::Array(list) => self.assign_list(list.elements.as_slice(), &value),
            Expression::Variable(_) => {
                self.becomes_opaque("a variable is named by another one");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `$a['x']['y'] = value` and `$a[] = value`.
    fn assign_element(&mut self, target: &Expression<'_>, value: Value) -> Eval<()> {
        let mut keys: Vec<Option<Key>> = Vec::new();
        let mut place = target;
        let variable = loop {
            match place {
                Expression::ArrayAccess(access) => {
                    let index = self.eval(access.index)?;
                    let Some(key) = index.to_key() else {
                        self.forget(access.array, "an element with an unknown key is set in it");
                        return Ok(());
                    };
                    keys.push(Some(key));
                    place = access.array;
                }
                Expression::ArrayAppend(append) => {
                    keys.push(None);
                    place = append.array;
                }
                Expression::Variable(Variable::Direct(variable)) => break variable,
                _ => return Ok(()),
            }
        };
        if variable.name == b"$GLOBALS" {
            if let (Some(Some(Key::Text(name))), 1) = (keys.last(), keys.len()) {
                self.state.set_variable(&[b"$", name.as_slice()].concat(), value);
            }
            return Ok(());
        }
        // A request's and the process's own variables are looked up, never set here.
        if variable.name.starts_with(b"$_") {
            return Ok(());
        }
        keys.reverse();
        let before = self.state.take_variable(variable.name);
        let size =
            before.as_ref().map_or(0, |value| if let Data::Array(map) = &value.data { map.len() } else { 0 });
        // A shared array is copied before it is changed.
        self.charge(if before.as_ref().is_some_and(is_shared) { size as u64 } else { 1 })?;
        let after = with_element(before, &keys, value);
        self.state.set_variable(variable.name, after);
        Ok(())
    }

    /// `[$a, 'k' => $b] = value`.
    fn assign_list(&mut self, elements: &[ArrayElement<'_>], value: &Value) -> Eval<()> {
        let mut index = 0;
        for element in elements {
            match element {
                ArrayElement::KeyValue(pair) => {
                    let key = self.eval(pair.key)?;
                    let part = match key.to_key() {
                        Some(key) => value.get(&key),
                        None => key.to_unknown(),
                    };
                    self.assign(pair.value, part)?;
                }
                ArrayElement::Value(element) => {
                    self.assign(element.value, value.get(&Key::Int(index)))?;
                    index += 1;
                }
                ArrayElement::Missing(_) => index += 1,
                ArrayElement::Variadic(element) => self.forget(element.value, "it takes the rest of a list"),
            }
        }
        Ok(())
    }
}

fn is_shared(value: &Value) -> bool {
    matches!(&value.data, Data::Array(map) if std::sync::Arc::strong_count(map) > 1)
}

/// A value in which the element at the path of keys is set (`None` adds at the end).
fn with_element(before: Option<Value>, keys: &[Option<Key>], value: Value) -> Value {
    let Some((key, rest)) = keys.split_first() else { return value };
    let (map, assumed) = match before {
        None => (Map::default(), None),
        Some(Value { data: Data::Array(map), assumed }) => {
            (std::sync::Arc::try_unwrap(map).unwrap_or_else(|shared| (*shared).clone()), assumed)
        }
        Some(Value { data: Data::Null | Data::Absent(_), assumed }) => (Map::default(), assumed),
        // An element of something unknown: it stays unknown as a whole.
        Some(other) => {
            return if other.is_known() {
                Value::unknown("an element is set in what is no array")
            } else {
                other
            };
        }
    };
    let mut map = map;
    match key {
        Some(key) => {
            let inner = map.take(key);
            map.set(key.clone(), with_element(inner, rest, value));
        }
        None => map.push(with_element(None, rest, value)),
    }
    let mut result = Value::array(map);
    result.assumed = assumed;
    result
}
