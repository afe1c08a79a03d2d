//! Expressions: what they are worth, or why that cannot be known.

use mago_span::HasSpan;
use mago_syntax::ast::{
    ArrayElement, Assignment, AssignmentOperator, Binary, BinaryOperator, Conditional, Construct, Expression,
    Match, MatchArm, Variable,
};

use super::DEPTH_LIMIT;
use super::interpreter::{Eval, Halt, Interpreter};
use super::names::not_set;
use super::quoted::literal_value;
use super::value::{Data, Key, Map, Value};

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
