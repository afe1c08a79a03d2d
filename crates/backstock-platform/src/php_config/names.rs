//! What a name stands for: variables, constants, entries of the environment, constants of classes.

use mago_span::HasSpan;
use mago_syntax::ast::{
    Access, ClassConstantAccess, ClassLikeConstantSelector, ClassLikeMemberSelector, Expression, Identifier,
    MagicConstant, Variable,
};

use super::interpreter::{Eval, Interpreter};
use super::value::{Data, Key, Value};
use crate::environment::Lookup;

impl Interpreter<'_> {
    pub(super) fn eval_variable(&mut self, variable: &Variable<'_>) -> Value {
        let Variable::Direct(direct) = variable else {
            return Value::unknown(format!(
                "{} names a variable by another one",
                self.place(variable.span().start.offset)
            ));
        };
        self.state.variable(direct.name).unwrap_or_else(|| {
            let name = String::from_utf8_lossy(direct.name);
            Value::unknown(format!(
                "{} uses {name}, which no file sets",
                self.place(direct.span.start.offset)
            ))
        })
    }

    /// `$_ENV['X']`, `$_SERVER['X']`, `$GLOBALS['x']`: `None` for other arrays.
    pub(super) fn eval_superglobal(
        &mut self,
        array: &Expression<'_>,
        index: &Expression<'_>,
    ) -> Eval<Option<Value>> {
        let Expression::Variable(Variable::Direct(variable)) = array else { return Ok(None) };
        if !matches!(variable.name, b"$_ENV" | b"$_SERVER" | b"$GLOBALS") {
            return Ok(None);
        }
        let index = self.eval(index)?;
        let Some(name) = index.to_text() else { return Ok(Some(index.to_unknown())) };
        if variable.name == b"$GLOBALS" {
            let name = [b"$", name.as_ref()].concat();
            return Ok(Some(self.state.variable(&name).unwrap_or_else(|| {
                Value::unknown(format!("no file sets {}", String::from_utf8_lossy(&name)))
            })));
        }
        if variable.name == b"$_SERVER" && is_of_the_request(&name) {
            let name = String::from_utf8_lossy(&name);
            return Ok(Some(Value::unknown(format!(
                "$_SERVER['{name}'] is known only while a page is served"
            ))));
        }
        Ok(Some(match self.environment_value(&name) {
            // As an element of an array, a variable that is not set is not there; `getenv` gives false.
            Value { data: Data::Bool(false), .. } => {
                Value::new(Data::Absent(not_set(&String::from_utf8_lossy(&name)).into()))
            }
            value => value,
        }))
    }

    /// An environment variable as `getenv` gives it.
    pub(super) fn environment_value(&self, name: &[u8]) -> Value {
        match self.reading.environment.lookup(name) {
            Lookup::Set(value) => Value::text(value),
            Lookup::NotSet => Value::bool(false),
            Lookup::Unknown => Value::new(Data::Environment(String::from_utf8_lossy(name).into())),
        }
    }

    pub(super) fn eval_constant(&mut self, name: Identifier<'_>) -> Value {
        let (bytes, offset) = match name {
            Identifier::Local(name) => (name.value, name.span.start.offset),
            Identifier::Qualified(name) => (name.value, name.span.start.offset),
            Identifier::FullyQualified(name) => {
                (name.value.strip_prefix(b"\\").unwrap_or(name.value), name.span.start.offset)
            }
        };
        if !self.namespace().is_empty() && !matches!(name, Identifier::FullyQualified(_)) {
            let inner = [self.namespace(), bytes].concat();
            if let Some(value) = self.state.constant(&inner) {
                return value;
            }
        }
        if let Some(value) = self.state.constant(bytes) {
            return value;
        }
        match bytes.to_ascii_uppercase().as_slice() {
            b"PHP_EOL" => Value::text(*b"\n"),
            b"DIRECTORY_SEPARATOR" => Value::text(*b"/"),
            b"PATH_SEPARATOR" => Value::text(*b":"),
            b"PHP_OS_FAMILY" => Value::text(*b"Linux"),
            b"PHP_INT_MAX" => Value::int(i64::MAX),
            _ => Value::unknown(format!(
                "{} uses the constant {}, which no file defines",
                self.place(offset),
                String::from_utf8_lossy(bytes)
            )),
        }
    }

    pub(super) fn eval_magic(&mut self, constant: &MagicConstant<'_>) -> Value {
        match constant {
            MagicConstant::File(_) => Value::text(self.file_bytes()),
            MagicConstant::Directory(_) => Value::text(self.folder_bytes()),
            MagicConstant::Namespace(_) => {
                let name = self.namespace();
                Value::text(name.strip_suffix(b"\\").unwrap_or(name))
            }
            other => Value::unknown(format!(
                "{} uses {}",
                self.place(other.value().span.start.offset),
                String::from_utf8_lossy(other.value().value)
            )),
        }
    }

    pub(super) fn eval_access(&mut self, access: &Access<'_>, expression: &Expression<'_>) -> Eval<Value> {
        match access {
            Access::ClassConstant(access) => Ok(self.eval_class_constant(access, expression)),
            // An array that was cast to an object.
            Access::Property(access) => {
                let object = self.eval(access.object)?;
                Ok(match (&object.data, &access.property) {
                    (Data::Array(_), ClassLikeMemberSelector::Identifier(name)) => {
                        object.get(&Key::text(name.value))
                    }
                    _ => self.not_followed("a property of an object", expression),
                })
            }
            _ => Ok(self.not_followed("a property of an object", expression)),
        }
    }

    /// `X::class` is the name; other constants of classes are known by name only, which is enough for keys of arrays.
    pub(super) fn eval_class_constant(
        &mut self,
        access: &ClassConstantAccess<'_>,
        expression: &Expression<'_>,
    ) -> Value {
        let (Expression::Identifier(class), ClassLikeConstantSelector::Identifier(constant)) =
            (access.class, &access.constant)
        else {
            return self.not_followed("a constant of a class", expression);
        };
        let class = class.value();
        let class = class.strip_prefix(b"\\").unwrap_or(class);
        if constant.value.eq_ignore_ascii_case(b"class") {
            return Value::text(class);
        }
        Value::text([class, b"::", constant.value].concat())
    }
}

/// The sentence that a fallback rests on.
pub(super) fn not_set(name: &str) -> String {
    format!("the environment variable {name} is not set")
}

/// Entries of `$_SERVER` that come from a request or from how PHP runs, never from the environment.
fn is_of_the_request(name: &[u8]) -> bool {
    let prefixes: [&[u8]; 6] = [b"HTTP", b"REQUEST_", b"SERVER_", b"REMOTE_", b"SCRIPT_", b"PHP_"];
    let names: [&[u8]; 6] =
        [b"DOCUMENT_ROOT", b"QUERY_STRING", b"PATH_INFO", b"PATH_TRANSLATED", b"argv", b"argc"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || names.contains(&name)
}
