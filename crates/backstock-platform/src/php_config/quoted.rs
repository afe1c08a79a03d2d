//! Literals and texts with expressions inside: quoted strings, here documents.

use mago_syntax::ast::{
    CompositeString, DocumentIndentation, DocumentKind, DocumentString, Expression, Literal,
    LiteralStringKind, StringPart,
};

use super::interpreter::{Eval, Interpreter};
use super::text::{double_quoted, single_quoted, unindent, without_last_line_end};
use super::value::{Data, Value};

impl Interpreter<'_> {
    pub(super) fn eval_string(
        &mut self,
        string: &CompositeString<'_>,
        expression: &Expression<'_>,
    ) -> Eval<Value> {
        match string {
            CompositeString::ShellExecute(_) => {
                Ok(self.not_followed("a shell command (never run)", expression))
            }
            CompositeString::Interpolated(string) => {
                self.eval_parts(string.parts.as_slice(), |raw, _, _| double_quoted(raw, true))
            }
            CompositeString::Document(document) => self.eval_document(document),
        }
    }

    pub(super) fn eval_document(&mut self, document: &DocumentString<'_>) -> Eval<Value> {
        let indentation = match document.indentation {
            DocumentIndentation::None => 0,
            DocumentIndentation::Whitespace(count) | DocumentIndentation::Tab(count) => count,
            DocumentIndentation::Mixed(spaces, tabs) => spaces + tabs,
        };
        let last = document.parts.len().saturating_sub(1);
        let nowdoc = document.kind == DocumentKind::Nowdoc;
        self.eval_parts(document.parts.as_slice(), |raw, at, begins_line| {
            // The parser hands over the text as it stands, from after the opening line to the closing label.
            let text = unindent(raw, indentation, begins_line);
            let text = if at == last { without_last_line_end(text) } else { text };
            if nowdoc { text } else { double_quoted(&text, false) }
        })
    }

    /// Joins the parts of a text; `unescape` gets a part, its number, and whether it begins a line.
    pub(super) fn eval_parts(
        &mut self,
        parts: &[StringPart<'_>],
        unescape: impl Fn(&[u8], usize, bool) -> Vec<u8>,
    ) -> Eval<Value> {
        let mut begins_line = true;
        let mut text = Vec::new();
        let mut result = Value::null();
        for (at, part) in parts.iter().enumerate() {
            let value = match part {
                StringPart::Literal(literal) => {
                    text.extend(unescape(literal.value, at, begins_line));
                    begins_line = literal.value.ends_with(b"\n");
                    continue;
                }
                StringPart::Expression(expression) => self.eval(expression)?,
                StringPart::BracedExpression(braced) => self.eval(braced.expression)?,
            };
            begins_line = false;
            let Some(bytes) = value.to_text() else { return Ok(self.no_text(&value)) };
            self.charge(1 + bytes.len() as u64 / 64)?;
            text.extend_from_slice(&bytes);
            result = result.resting_on(&value);
        }
        Ok(self.make_text(text)?.resting_on(&result))
    }

    /// Unknown, because a value has no text.
    pub(super) fn no_text(&self, value: &Value) -> Value {
        if value.is_known() { Value::unknown("an array is used as a text") } else { value.to_unknown() }
    }
}

pub(super) fn literal_value(literal: &Literal<'_>) -> Value {
    match literal {
        Literal::String(string) => {
            let raw = string.raw.strip_prefix(b"b").or(string.raw.strip_prefix(b"B")).unwrap_or(string.raw);
            let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
            Value::text(match string.kind {
                LiteralStringKind::SingleQuoted => single_quoted(inner),
                LiteralStringKind::DoubleQuoted => double_quoted(inner, true),
            })
        }
        Literal::Integer(number) => match number.value.and_then(|value| i64::try_from(value).ok()) {
            Some(value) => Value::int(value),
            None => Value::unknown("a number is too large"),
        },
        Literal::Float(number) => Value::new(Data::Float(number.value.0)),
        Literal::True(_) => Value::bool(true),
        Literal::False(_) => Value::bool(false),
        Literal::Null(_) => Value::null(),
    }
}
