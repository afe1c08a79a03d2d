//! Functions of PHP that configurations use, and what a call of any other one means.

use mago_span::HasSpan;
use mago_syntax::ast::{Argument, ArgumentList, Call, ClassLikeMemberSelector, Expression, Variable};

use super::interpreter::{Eval, Interpreter};
use super::names::not_set;
use super::value::{Data, Map, Value};

/// Most arguments that are looked at.
const ARGUMENTS_LIMIT: usize = 64;

impl Interpreter<'_> {
    pub(super) fn eval_call(&mut self, call: &Call<'_>, expression: &Expression<'_>) -> Eval<Value> {
        match call {
            Call::Function(call) => match call.function {
                Expression::Identifier(name) => {
                    let name = name.value();
                    let name = name.rsplit(|byte| *byte == b'\\').next().unwrap_or(name).to_ascii_lowercase();
                    self.eval_function(&name, &call.argument_list, expression)
                }
                _ => {
                    self.becomes_opaque(&format!(
                        "a closure called in {}",
                        self.place(expression.span().start.offset)
                    ));
                    self.forget_arguments(&call.argument_list);
                    Ok(self.not_followed("a call of a closure", expression))
                }
            },
            Call::StaticMethod(call) => {
                let method = match &call.method {
                    ClassLikeMemberSelector::Identifier(name) => name.value,
                    _ => b"",
                };
                let class = match call.class {
                    Expression::Identifier(name) => name.value(),
                    _ => b"",
                };
                let class = class.rsplit(|byte| *byte == b'\\').next().unwrap_or(class);
                // Bedrock's `Config::define('DB_NAME', env('DB_NAME'))` and `Config::get('DB_NAME')`; the last one wins.
                if class.eq_ignore_ascii_case(b"config")
                    && let Some(values) = self.eval_arguments(&call.argument_list)?
                    && let Some(name) = values.first().and_then(Value::to_text)
                {
                    match (method, values.get(1)) {
                        (b"define", Some(value)) => {
                            self.state.redefine(&name, value.clone());
                            return Ok(Value::null());
                        }
                        (b"get", None) => {
                            let value = self.state.constant(&name);
                            return Ok(
                                value.unwrap_or_else(|| self.not_followed("a call of a method", expression))
                            );
                        }
                        _ => {}
                    }
                }
                self.forget_arguments(&call.argument_list);
                Ok(self.not_followed("a call of a method", expression))
            }
            Call::Method(call) => {
                self.forget_arguments(&call.argument_list);
                Ok(self.not_followed("a call of a method", expression))
            }
            Call::NullSafeMethod(call) => {
                self.forget_arguments(&call.argument_list);
                Ok(self.not_followed("a call of a method", expression))
            }
        }
    }

    fn eval_function(
        &mut self,
        name: &[u8],
        arguments: &ArgumentList<'_>,
        expression: &Expression<'_>,
    ) -> Eval<Value> {
        let Some(values) = self.eval_arguments(arguments)? else {
            return Ok(self.not_followed("a call with named or spread arguments", expression));
        };
        // A shop's own `env` or `getenv_docker` does what the well-known one does.
        if let Some(value) = self.environment_function(name, &values)? {
            return Ok(value);
        }
        if self.declared.contains(name) {
            let what = format!("the shop's function {}() is not run", String::from_utf8_lossy(name));
            self.becomes_opaque(&what);
            self.forget_arguments(arguments);
            return Ok(Value::unknown(what));
        }
        let value = match self.constant_function(name, &values) {
            Some(value) => Some(value),
            None => match self.text_function(name, &values)? {
                Some(value) => Some(value),
                None => match self.array_function(name, &values)? {
                    Some(value) => Some(value),
                    None => self.path_function(name, &values)?,
                },
            },
        };
        Ok(match value {
            Some(value) => values.iter().fold(value, Value::resting_on),
            None => {
                self.forget_arguments(arguments);
                let name = String::from_utf8_lossy(name);
                Value::unknown(format!("{} calls {name}()", self.place(expression.span().start.offset)))
            }
        })
    }

    fn eval_arguments(&mut self, arguments: &ArgumentList<'_>) -> Eval<Option<Vec<Value>>> {
        let mut values = Vec::new();
        for argument in arguments.arguments.iter().take(ARGUMENTS_LIMIT) {
            match argument {
                Argument::Positional(positional) if positional.ellipsis.is_none() => {
                    values.push(self.eval(positional.value)?);
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(values))
    }

    /// What is handed to code that is not followed may come back changed, by reference.
    fn forget_arguments(&mut self, arguments: &ArgumentList<'_>) {
        for argument in arguments.arguments.iter() {
            if let Argument::Positional(positional) = argument
                && let Expression::Variable(Variable::Direct(variable)) = positional.value
                && self.state.variable(variable.name).is_some()
            {
                self.forget(positional.value, "it was handed to a function that is not followed");
            }
        }
    }

    fn constant_function(&mut self, name: &[u8], values: &[Value]) -> Option<Value> {
        let first = values.first()?;
        let text = first.to_text();
        let constant = |text: &[u8]| text.strip_prefix(b"\\").unwrap_or(text).to_vec();
        Some(match (name, text) {
            (b"define", Some(text)) => {
                let value = values.get(1).cloned().unwrap_or_else(Value::null);
                Value::bool(self.state.define(&constant(&text), value))
            }
            (b"define", None) => {
                self.becomes_opaque("a constant with an unknown name is defined");
                Value::unknown("a constant with an unknown name is defined")
            }
            (b"defined", Some(text)) => match self.state.is_defined(&constant(&text)) {
                Some(defined) => Value::bool(defined),
                None => Value::unknown(format!(
                    "whether {} is defined is not certain",
                    String::from_utf8_lossy(&text)
                )),
            },
            (b"constant", Some(text)) => self.state.constant(&constant(&text)).unwrap_or_else(|| {
                Value::unknown(format!("no file defines {}", String::from_utf8_lossy(&text)))
            }),
            (b"function_exists", Some(text)) if self.declared.contains(&text.to_ascii_lowercase()) => {
                Value::bool(true)
            }
            _ => return None,
        })
    }

    fn environment_function(&mut self, name: &[u8], values: &[Value]) -> Eval<Option<Value>> {
        if !matches!(name, b"getenv" | b"env" | b"getenv_docker") {
            return Ok(None);
        }
        let Some(variable) = values.first().and_then(Value::to_text) else {
            return Ok(Some(Value::unknown("an environment variable with an unknown name is asked for")));
        };
        let value = self.environment_value(&variable);
        if name == b"getenv" {
            return Ok(Some(value));
        }
        if name == b"getenv_docker"
            && let Some(file) = self.environment_value(&[variable.as_ref(), b"_FILE"].concat()).to_text()
            && !file.is_empty()
        {
            return Ok(Some(self.file_contents(&file).map_or_else(
                || Value::unknown("a secret's file cannot be read"),
                |bytes| Value::text(bytes.trim_ascii_end()),
            )));
        }
        let fallback = values.get(1).cloned();
        Ok(Some(match &value.data {
            Data::Environment(unset) => match fallback {
                Some(fallback) => fallback.assuming(&not_set(unset)),
                None => value,
            },
            Data::Bool(false) => fallback.unwrap_or_else(Value::null),
            Data::Text(bytes) if name == b"env" => converted(bytes),
            _ => value,
        }))
    }

    fn text_function(&mut self, name: &[u8], values: &[Value]) -> Eval<Option<Value>> {
        let Some(first) = values.first() else { return Ok(None) };
        if !matches!(
            name,
            b"trim"
                | b"rtrim"
                | b"ltrim"
                | b"chop"
                | b"strtolower"
                | b"strtoupper"
                | b"intval"
                | b"strval"
                | b"boolval"
                | b"str_replace"
                | b"substr"
                | b"base64_decode"
                | b"strpos"
                | b"str_contains"
                | b"rawurldecode"
                | b"urldecode"
        ) {
            return Ok(None);
        }
        if let Some(unknown) = values.iter().find(|value| !value.is_known()) {
            return Ok(Some(unknown.to_unknown()));
        }
        if name == b"boolval" {
            return Ok(Some(self.truth_value(first)));
        }
        if name == b"intval" {
            return Ok(Some(first.to_int().map_or_else(|| Value::unknown("it is no number"), Value::int)));
        }
        let texts: Option<Vec<_>> = values.iter().map(Value::to_text).collect();
        let Some(texts) = texts else { return Ok(None) };
        let cut = texts.get(1).map_or(&b" \t\n\r\0\x0b"[..], AsRef::as_ref);
        let bytes = texts[0].as_ref();
        let result = match (name, texts.as_slice()) {
            (b"trim", _) => trim_end(trim_start(bytes, cut), cut).to_vec(),
            (b"ltrim", _) => trim_start(bytes, cut).to_vec(),
            (b"rtrim" | b"chop", _) => trim_end(bytes, cut).to_vec(),
            (b"strtolower", _) => bytes.to_ascii_lowercase(),
            (b"strtoupper", _) => bytes.to_ascii_uppercase(),
            (b"strval", _) => bytes.to_vec(),
            (b"rawurldecode", _) => crate::url::percent_decoded(bytes),
            (b"substr", _) => {
                return Ok(values
                    .get(1)
                    .and_then(Value::to_int)
                    .map(|start| substring(bytes, start, values.get(2).and_then(Value::to_int))));
            }
            (b"str_replace", [search, replace, subject]) if !search.is_empty() => {
                replaced(subject, search, replace)
            }
            (b"str_contains", [haystack, needle]) => {
                return Ok(Some(Value::bool(find(haystack, needle).is_some())));
            }
            (b"strpos", [haystack, needle]) => {
                return Ok(Some(match find(haystack, needle) {
                    Some(at) => Value::int(i64::try_from(at).unwrap_or(i64::MAX)),
                    None => Value::bool(false),
                }));
            }
            _ => return Ok(None),
        };
        self.charge(result.len() as u64 / 64)?;
        self.make_text(result).map(Some)
    }

    fn array_function(&mut self, name: &[u8], values: &[Value]) -> Eval<Option<Value>> {
        match name {
            b"array_merge" | b"array_replace" | b"array_replace_recursive" | b"array_filter" => {}
            b"parse_url" => return Ok(values.first().map(parsed_url)),
            _ => return Ok(None),
        }
        let mut result = Map::default();
        for value in values.iter().take(if name == b"array_filter" { 1 } else { values.len() }) {
            let Data::Array(map) = &value.data else { return Ok(Some(value.to_unknown())) };
            self.charge(map.len() as u64)?;
            for (key, element) in map.in_order() {
                match (name, key) {
                    (b"array_filter", _) if element.truth() == Some(false) => {}
                    (b"array_merge", super::value::Key::Int(_)) => result.push(element.clone()),
                    (b"array_replace_recursive", _) => {
                        let before = result.take(key);
                        result.set(key.clone(), replaced_recursively(before.as_ref(), element));
                    }
                    _ => result.set(key.clone(), element.clone()),
                }
            }
        }
        Ok(Some(Value::array(result)))
    }
}

fn replaced_recursively(before: Option<&Value>, after: &Value) -> Value {
    let (Some(Value { data: Data::Array(old), .. }), Data::Array(new)) = (before, &after.data) else {
        return after.clone();
    };
    let mut result = old.as_ref().clone();
    for (key, value) in new.in_order() {
        let inner = result.take(key);
        result.set(key.clone(), replaced_recursively(inner.as_ref(), value));
    }
    Value::array(result)
}

/// Laravel's and Bedrock's `env()` gives words a type and takes a further pair of quotes away.
fn converted(bytes: &[u8]) -> Value {
    match bytes.to_ascii_lowercase().as_slice() {
        b"true" | b"(true)" => Value::bool(true),
        b"false" | b"(false)" => Value::bool(false),
        b"null" | b"(null)" => Value::null(),
        b"empty" | b"(empty)" => Value::text(*b""),
        _ => match bytes {
            [open @ (b'"' | b'\''), inner @ .., close] if open == close => Value::text(inner),
            _ => Value::text(bytes),
        },
    }
}

/// `parse_url`: the parts that are there.
fn parsed_url(value: &Value) -> Value {
    let Some(bytes) = value.to_text() else { return value.to_unknown() };
    let Some(url) = crate::url::Url::parse(&bytes) else { return Value::bool(false) };
    let mut map = Map::default();
    let mut set = |key: &[u8], value: Option<Value>| {
        if let Some(value) = value {
            map.set(super::value::Key::Text(key.to_vec()), value);
        }
    };
    set(b"scheme", Some(Value::text(url.scheme)));
    set(b"host", url.host.map(Value::text));
    set(b"port", url.port.map(|port| Value::int(i64::from(port))));
    set(b"user", url.user.map(Value::text));
    set(b"pass", url.password.map(Value::text));
    set(b"path", url.path.map(Value::text));
    set(b"query", url.query.map(Value::text));
    Value::array(map)
}

fn trim_start<'a>(bytes: &'a [u8], cut: &[u8]) -> &'a [u8] {
    let start = bytes.iter().position(|byte| !cut.contains(byte)).unwrap_or(bytes.len());
    &bytes[start..]
}

fn trim_end<'a>(bytes: &'a [u8], cut: &[u8]) -> &'a [u8] {
    let end = bytes.iter().rposition(|byte| !cut.contains(byte)).map_or(0, |at| at + 1);
    &bytes[..end]
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn replaced(subject: &[u8], search: &[u8], replace: &[u8]) -> Vec<u8> {
    let mut result = Vec::new();
    let mut rest = subject;
    while let Some(at) = find(rest, search) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(replace);
        rest = &rest[at + search.len()..];
    }
    result.extend_from_slice(rest);
    result
}

fn substring(bytes: &[u8], start: i64, length: Option<i64>) -> Value {
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let from = if start < 0 { (size + start).max(0) } else { start.min(size) };
    let to = match length {
        None => size,
        Some(length) if length < 0 => (size + length).max(from),
        Some(length) => from.saturating_add(length).min(size),
    };
    let at = |position: i64| usize::try_from(position).unwrap_or(0);
    Value::text(&bytes[at(from)..at(to)])
}
