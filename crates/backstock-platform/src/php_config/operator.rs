//! Operators: casts, comparison, the little arithmetic that configurations use.

use mago_syntax::ast::{BinaryOperator, UnaryPrefix, UnaryPrefixOperator};

use super::interpreter::{Eval, Interpreter};
use super::value::{Data, Map, Value};

impl Interpreter<'_> {
    pub(super) fn eval_prefix(&mut self, unary: &UnaryPrefix<'_>) -> Eval<Value> {
        use UnaryPrefixOperator as Op;
        if let Op::PreIncrement(_) | Op::PreDecrement(_) = unary.operator {
            self.forget(unary.operand, "it is counted up or down");
            return Ok(Value::unknown("it is counted up or down"));
        }
        let value = self.eval(unary.operand)?;
        if !value.is_known() && !matches!(unary.operator, Op::Not(_) | Op::ErrorControl(_)) {
            return Ok(value.to_unknown());
        }
        let result = match unary.operator {
            Op::ErrorControl(_) => return Ok(value),
            Op::Not(_) => match value.truth() {
                Some(truth) => Value::bool(!truth),
                None => value.to_unknown(),
            },
            Op::IntCast(..) | Op::IntegerCast(..) | Op::Plus(_) => {
                value.to_int().map_or_else(|| Value::unknown("it is no number"), Value::int)
            }
            Op::Negation(_) => match value.to_int().and_then(i64::checked_neg) {
                Some(number) => Value::int(number),
                None => Value::unknown("it is no number"),
            },
            Op::StringCast(..) | Op::BinaryCast(..) => match value.to_text() {
                Some(bytes) => Value::text(bytes.as_ref()),
                None => self.no_text(&value),
            },
            Op::BoolCast(..) | Op::BooleanCast(..) => self.truth_value(&value),
            // An object made of an array is read like the array.
            Op::ArrayCast(..) | Op::ObjectCast(..) => match &value.data {
                Data::Array(_) => return Ok(value),
                Data::Null => Value::array(Map::default()),
                _ => {
                    let mut map = Map::default();
                    map.push(value.clone());
                    Value::array(map)
                }
            },
            _ => Value::unknown("it is computed"),
        };
        Ok(result.resting_on(&value))
    }

    /// A binary operator other than `.`, `&&`, `||` and `??`.
    pub(super) fn operate(&mut self, operator: &BinaryOperator<'_>, left: &Value, right: &Value) -> Value {
        let truth = |truth: Option<bool>| match truth {
            Some(truth) => Value::bool(truth),
            None if !left.is_known() => left.to_unknown(),
            None if !right.is_known() => right.to_unknown(),
            None => Value::unknown("it compares what is partly unknown"),
        };
        let not = |value: Option<bool>| value.map(|value| !value);
        match operator {
            // `getenv('X') !== false` asks whether the variable is set.
            BinaryOperator::NotIdentical(_) | BinaryOperator::NotEqual(_)
                if matches!(
                    (&left.data, &right.data),
                    (Data::Environment(_), Data::Bool(false) | Data::Null)
                ) =>
            {
                left.clone()
            }
            BinaryOperator::Identical(_) => truth(left.same(right)),
            BinaryOperator::NotIdentical(_) => truth(not(left.same(right))),
            BinaryOperator::Equal(_) => truth(self.loosely_equal(left, right)),
            BinaryOperator::NotEqual(_) | BinaryOperator::AngledNotEqual(_) => {
                truth(not(self.loosely_equal(left, right)))
            }
            BinaryOperator::LowXor(_) => truth(left.truth().zip(right.truth()).map(|(a, b)| a != b)),
            BinaryOperator::Addition(_) => number(left, right, i64::checked_add),
            BinaryOperator::Subtraction(_) => number(left, right, i64::checked_sub),
            BinaryOperator::Multiplication(_) => number(left, right, i64::checked_mul),
            BinaryOperator::BitwiseOr(_) => number(left, right, |a, b| Some(a | b)),
            _ => Value::unknown("it is computed"),
        }
    }

    /// `==`, as PHP 8 decides it; `None` when that cannot be known.
    pub(super) fn loosely_equal(&self, left: &Value, right: &Value) -> Option<bool> {
        match (&left.data, &right.data) {
            (Data::Bool(_) | Data::Null, _) | (_, Data::Bool(_) | Data::Null)
                if !matches!(
                    (&left.data, &right.data),
                    (Data::Text(_), Data::Null) | (Data::Null, Data::Text(_))
                ) =>
            {
                Some(left.truth()? == right.truth()?)
            }
            (Data::Text(bytes), Data::Null) | (Data::Null, Data::Text(bytes)) => Some(bytes.is_empty()),
            (Data::Text(a), Data::Text(b)) => match (numeric(a), numeric(b)) {
                (Some(a), Some(b)) => Some(a.total_cmp(&b).is_eq()),
                _ => Some(a == b),
            },
            (Data::Int(number), Data::Text(bytes)) | (Data::Text(bytes), Data::Int(number)) => {
                Some(match numeric(bytes) {
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "PHP compares as floating point here as well"
                    )]
                    Some(value) => value == *number as f64,
                    None => bytes.as_ref() == number.to_string().as_bytes(),
                })
            }
            _ => left.same(right),
        }
    }
}

fn numeric(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return None;
    }
    text.parse().ok()
}

fn number(left: &Value, right: &Value, operation: impl Fn(i64, i64) -> Option<i64>) -> Value {
    match (&left.data, &right.data) {
        (Data::Int(a), Data::Int(b)) => {
            operation(*a, *b).map_or_else(|| Value::unknown("a number is too large"), Value::int)
        }
        (Data::Array(_), Data::Array(_)) => Value::unknown("arrays are added"),
        _ if !left.is_known() => left.to_unknown(),
        _ if !right.is_known() => right.to_unknown(),
        _ => Value::unknown("it is computed"),
    }
}
