//! Expressions: what they are worth, or why that cannot be known.

use mago_span::HasSpan;
use mago_syntax::ast::{
    Access, ArrayElement, Assignment, AssignmentOperator, Binary, BinaryOperator, ClassConstantAccess,
    ClassLikeConstantSelector, ClassLikeMemberSelector, CompositeString, Conditional, Construct,
    DocumentIndentation, DocumentKind, DocumentString, Expression, Identifier, Literal, LiteralStringKind,
    MagicConstant, Match, MatchArm, StringPart, Variable,
};

use super::DEPTH_LIMIT;
use super::interpreter::{Eval, Halt, Interpreter};
use super::text::{double_quoted, single_quoted, unindent, without_last_line_end};
use super::value::{Data, Key, Map, Value};
use crate::environment::Lookup;

impl Interpreter<'_> {
    /// The value of an expression.
    pub(super) fn eval(&mut self, expression: &Expression<'_>) -> Eval<Value> {
        self.charge(1)?;
        if self.depth >= DEPTH_LIMIT {
            return Err(Halt::Limit("an expression nests deeper than in any configuration"));
        }
        self.depth += 1;
        let value = self.eval_one(expression);
        self.depth -= 1;
        value
    }

    fn eval_one(&mut self, expression: &Expression<'_>) -> Eval<Value> {
        match expression {
            Expression::Parenthesized(inner) => self.eval(inner.expression),
            Expression::Literal(literal) => Ok(literal_value(literal)),
            Expression::CompositeString(string) => self.eval_string(string, expression),
            Expression::Binary(binary) => self.eval_binary(binary),
            Expression::UnaryPrefix(unary) => self.eval_prefix(unary),
            Expression::UnaryPostfix(unary) => {
                self.forget(unary.operand, "it is counted up or down");
                Ok(self.not_followed("a counter", expression))
            }
            Expression::Assignment(assignment) => self.eval_assignment(assignment),
            Expression::Conditional(conditional) => self.eval_conditional(conditional),
            Expression::Array(array) => self.eval_array(array.elements.as_slice()),
            Expression::LegacyArray(array) => self.eval_array(array.elements.as_slice()),
            Expression::ArrayAccess(access) => {
                if let Some(value) = self.eval_superglobal(access.array, access.index)? {
                    return Ok(value);
                }
                let array = self.eval(access.array)?;
                let index = self.eval(access.index)?;
                Ok(match (index.to_key(), &array.data) {
                    (Some(_), Data::Text(_)) => self.not_followed("a single character of a text", expression),
                    (Some(key), _) => array.get(&key).resting_on(&index),
                    (None, _) => index.to_unknown(),
                })
            }
            Expression::Variable(variable) => Ok(self.eval_variable(variable)),
            Expression::ConstantAccess(constant) => Ok(self.eval_constant(constant.name)),
            Expression::Identifier(name) => Ok(self.eval_constant(*name)),
            Expression::MagicConstant(constant) => Ok(self.eval_magic(constant)),
            Expression::Access(access) => self.eval_access(access, expression),
            Expression::Match(choice) => self.eval_match(choice),
            Expression::Construct(construct) => self.eval_construct(construct, expression),
            Expression::Call(call) => self.eval_call(call, expression),
            Expression::Throw(_) => Err(Halt::Exit),
            Expression::Instantiation(_) => Ok(self.not_followed("an object", expression)),
            _ => Ok(self.not_followed("an expression of this sort", expression)),
        }
    }

    /// Unknown, because the evaluator does not follow such a thing.
    pub(super) fn not_followed(&self, what: &str, expression: &Expression<'_>) -> Value {
        Value::unknown(format!("{what} in {} is not followed", self.place(expression.span().start.offset)))
    }

    fn eval_string(&mut self, string: &CompositeString<'_>, expression: &Expression<'_>) -> Eval<Value> {
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

    fn eval_document(&mut self, document: &DocumentString<'_>) -> Eval<Value> {
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
    fn eval_parts(
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

    fn eval_binary(&mut self, binary: &Binary<'_>) -> Eval<Value> {
        match binary.operator {
            BinaryOperator::StringConcat(_) => self.eval_concatenation(binary),
            BinaryOperator::And(_) | BinaryOperator::LowAnd(_) => self.eval_logic(binary, false),
            BinaryOperator::Or(_) | BinaryOperator::LowOr(_) => self.eval_logic(binary, true),
            BinaryOperator::NullCoalesce(_) => {
                let left = self.eval(binary.lhs)?;
                self.coalesce(left, |this| this.eval(binary.rhs))
            }
            _ => {
                let left = self.eval(binary.lhs)?;
                let right = self.eval(binary.rhs)?;
                Ok(self.operate(&binary.operator, &left, &right).resting_on(&left).resting_on(&right))
            }
        }
    }

    /// `a . b . c`: the chain leans to the left and may be long, so it is walked, not recursed into.
    fn eval_concatenation(&mut self, binary: &Binary<'_>) -> Eval<Value> {
        let mut operands = vec![binary.rhs];
        let mut left = binary.lhs;
        while let Expression::Binary(Binary { lhs, operator: BinaryOperator::StringConcat(_), rhs }) = left {
            operands.push(rhs);
            left = lhs;
        }
        operands.push(left);
        let mut text = Vec::new();
        let mut result = Value::null();
        for operand in operands.into_iter().rev() {
            let value = self.eval(operand)?;
            match value.to_text() {
                Some(bytes) => text.extend_from_slice(&bytes),
                None if result.is_known() => result = self.no_text(&value),
                None => {}
            }
            result = result.resting_on(&value);
        }
        if result.is_known() { Ok(self.make_text(text)?.resting_on(&result)) } else { Ok(result) }
    }

    /// `&&` and `||`: the right side runs only when the left side does not decide.
    fn eval_logic(&mut self, binary: &Binary<'_>, decides: bool) -> Eval<Value> {
        let left = self.eval(binary.lhs)?;
        let why = format!("it depends on the condition in {}", self.place(binary.lhs.span().start.offset));
        match left.truth() {
            Some(truth) if truth == decides => Ok(Value::bool(decides).resting_on(&left)),
            Some(_) => Ok(match self.possible(|this| this.eval(binary.rhs))? {
                Some((state, right)) => {
                    self.state = state;
                    self.truth_value(&right).resting_on(&left)
                }
                // `defined('X') or die`: a shop that works does not go there.
                None => Value::bool(decides),
            }),
            None => {
                let mut paths = Vec::new();
                paths.extend(self.possible(|this| {
                    let right = this.eval(binary.rhs)?;
                    Ok(this.truth_value(&right))
                })?);
                paths.extend(self.possible(|_| Ok(Value::bool(decides)))?);
                self.join_values(paths, &why)
            }
        }
    }

    /// The truth of a value, as a value.
    pub(super) fn truth_value(&self, value: &Value) -> Value {
        value.truth().map_or_else(|| value.to_unknown(), Value::bool).resting_on(value)
    }

    /// `left ?? right`.
    pub(super) fn coalesce(
        &mut self,
        left: Value,
        right: impl FnOnce(&mut Self) -> Eval<Value>,
    ) -> Eval<Value> {
        match &left.data {
            Data::Null | Data::Absent(_) => Ok(right(self)?.resting_on(&left)),
            Data::Environment(name) => {
                let sentence = not_set(name);
                Ok(right(self)?.assuming(&sentence))
            }
            _ => Ok(left),
        }
    }

    fn eval_conditional(&mut self, conditional: &Conditional<'_>) -> Eval<Value> {
        let condition = self.eval(conditional.condition)?;
        let why = format!(
            "it depends on the condition in {}",
            self.place(conditional.condition.span().start.offset)
        );
        match (condition.truth(), conditional.then) {
            (Some(true), Some(then)) => Ok(self.eval(then)?.resting_on(&condition)),
            (Some(true), None) => Ok(condition),
            (Some(false), _) => Ok(self.eval(conditional.r#else)?.resting_on(&condition)),
            (None, then) => {
                // `getenv('X') ?: 'y'`: the file's own fallback, said to be an assumption.
                if let (None, Data::Environment(name)) = (then, &condition.data) {
                    return Ok(self.eval(conditional.r#else)?.assuming(&not_set(name)));
                }
                let mut paths = Vec::new();
                paths.extend(self.possible(|this| match then {
                    Some(then) => this.eval(then),
                    None => Ok(condition.to_unknown()),
                })?);
                // `isset($_ENV['X']) ? $_ENV['X'] : 'y'` says the same as `$_ENV['X'] ?? 'y'`.
                if let (Data::Environment(asked), Some((_, Value { data: Data::Environment(taken), .. }))) =
                    (&condition.data, paths.first())
                    && asked == taken
                {
                    let sentence = not_set(asked);
                    return Ok(self.eval(conditional.r#else)?.assuming(&sentence));
                }
                paths.extend(self.possible(|this| this.eval(conditional.r#else))?);
                self.join_values(paths, &why)
            }
        }
    }

    fn eval_array(&mut self, elements: &[ArrayElement<'_>]) -> Eval<Value> {
        let mut map = Map::default();
        for element in elements {
            match element {
                ArrayElement::KeyValue(pair) => {
                    let key = self.eval(pair.key)?;
                    let value = self.eval(pair.value)?;
                    match key.to_key() {
                        Some(key) => map.set(key, value),
                        // An unknown key could be any key: what else the array holds is not certain either.
                        None => return Ok(key.to_unknown()),
                    }
                }
                ArrayElement::Value(element) => {
                    let value = self.eval(element.value)?;
                    map.push(value);
                }
                ArrayElement::Variadic(element) => {
                    let spread = self.eval(element.value)?;
                    let Data::Array(inner) = &spread.data else { return Ok(spread.to_unknown()) };
                    self.charge(inner.len() as u64)?;
                    for (key, value) in inner.in_order() {
                        match key {
                            Key::Int(_) => map.push(value.clone()),
                            Key::Text(_) => map.set(key.clone(), value.clone()),
                        }
                    }
                }
                ArrayElement::Missing(_) => {}
            }
        }
        Ok(Value::array(map))
    }

    fn eval_variable(&mut self, variable: &Variable<'_>) -> Value {
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
    fn eval_superglobal(&mut self, array: &Expression<'_>, index: &Expression<'_>) -> Eval<Option<Value>> {
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

    fn eval_constant(&mut self, name: Identifier<'_>) -> Value {
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

    fn eval_magic(&mut self, constant: &MagicConstant<'_>) -> Value {
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

    fn eval_access(&mut self, access: &Access<'_>, expression: &Expression<'_>) -> Eval<Value> {
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
    fn eval_class_constant(
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

    fn eval_match(&mut self, choice: &Match<'_>) -> Eval<Value> {
        let subject = self.eval(choice.expression)?;
        let why = format!("it depends on the match in {}", self.place(choice.r#match.span.start.offset));
        let mut candidates = Vec::new();
        let mut default = None;
        let mut certain = false;
        'arms: for arm in choice.arms.iter() {
            match arm {
                MatchArm::Default(arm) => default = Some(arm.expression),
                MatchArm::Expression(arm) => {
                    for condition in arm.conditions.iter() {
                        match self.eval(condition)?.same(&subject) {
                            Some(false) => {}
                            fits => {
                                candidates.push(arm.expression);
                                certain = fits == Some(true);
                                if certain {
                                    break 'arms;
                                }
                            }
                        }
                    }
                }
            }
        }
        if !certain {
            candidates.extend(default);
        }
        let mut paths = Vec::new();
        for candidate in candidates {
            paths.extend(self.possible(|this| this.eval(candidate))?);
        }
        Ok(self.join_values(paths, &why)?.resting_on(&subject))
    }

    fn eval_construct(&mut self, construct: &Construct<'_>, expression: &Expression<'_>) -> Eval<Value> {
        match construct {
            Construct::Isset(isset) => {
                let mut all = Value::bool(true);
                for value in isset.values.iter() {
                    let value = self.eval(value)?;
                    match &value.data {
                        Data::Null | Data::Absent(_) => return Ok(Value::bool(false).resting_on(&value)),
                        Data::Unknown(_) | Data::Environment(_) => all = value,
                        _ => all = all.resting_on(&value),
                    }
                }
                Ok(all)
            }
            Construct::Empty(empty) => {
                let value = self.eval(empty.value)?;
                Ok(match value.truth() {
                    Some(truth) => Value::bool(!truth).resting_on(&value),
                    None => value.to_unknown(),
                })
            }
            Construct::Eval(_) => {
                self.becomes_opaque(&format!("eval in {}", self.place(expression.span().start.offset)));
                Ok(self.not_followed("eval (never run)", expression))
            }
            Construct::Include(include) => self.eval_include(include.value, false, false),
            Construct::IncludeOnce(include) => self.eval_include(include.value, true, false),
            Construct::Require(require) => self.eval_include(require.value, false, true),
            Construct::RequireOnce(require) => self.eval_include(require.value, true, true),
            Construct::Print(print) => self.eval(print.value).map(|_| Value::int(1)),
            Construct::Exit(_) | Construct::Die(_) => Err(Halt::Exit),
        }
    }

    fn eval_assignment(&mut self, assignment: &Assignment<'_>) -> Eval<Value> {
        if let AssignmentOperator::Coalesce(_) = assignment.operator {
            let present = match self.eval(assignment.lhs)? {
                // A variable that no file sets is most likely not set at all; the file itself asks.
                Value { data: Data::Unknown(_), .. } if self.is_unset_variable(assignment.lhs) => {
                    Value::null()
                }
                present => present,
            };
            let value = self.coalesce(present, |this| this.eval(assignment.rhs))?;
            self.assign(assignment.lhs, value.clone())?;
            return Ok(value);
        }
        let right = self.eval(assignment.rhs)?;
        let value = match assignment.operator {
            AssignmentOperator::Assign(_) => right,
            AssignmentOperator::Concat(_) => {
                let left = self.eval(assignment.lhs)?;
                match (left.to_text(), right.to_text()) {
                    (Some(a), Some(b)) => self
                        .make_text([a.as_ref(), b.as_ref()].concat())?
                        .resting_on(&left)
                        .resting_on(&right),
                    (None, _) => self.no_text(&left),
                    (_, None) => self.no_text(&right),
                }
            }
            _ => Value::unknown("it is computed"),
        };
        self.assign(assignment.lhs, value.clone())?;
        Ok(value)
    }

    fn is_unset_variable(&self, target: &Expression<'_>) -> bool {
        matches!(target, Expression::Variable(Variable::Direct(variable)) if self.state.variable(variable.name).is_none())
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

fn literal_value(literal: &Literal<'_>) -> Value {
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
