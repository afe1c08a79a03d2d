//! One literal constant of a class, such as a version.

use bumpalo::Bump;
use mago_syntax::ast::{ClassLikeMember, Expression, Literal, Statement};

use super::Unread;
use super::parse::parse;
use super::text::{double_quoted, single_quoted};

/// The literal text of the first constant of this name in any class of the file.
pub(crate) fn class_constant(source: &[u8], name: &str) -> Result<Option<Vec<u8>>, Unread> {
    super::on_deep_stack(|| {
        let arena = Bump::new();
        let program = parse(&arena, source)?;
        Ok(find(program.statements.as_slice(), name.as_bytes()))
    })
}

fn find(statements: &[Statement<'_>], name: &[u8]) -> Option<Vec<u8>> {
    statements.iter().find_map(|statement| match statement {
        Statement::Namespace(namespace) => find(namespace.statements().as_slice(), name),
        Statement::Class(class) => class.members.iter().find_map(|member| match member {
            ClassLikeMember::Constant(constant) => constant
                .items
                .iter()
                .find(|item| item.name.value == name)
                .and_then(|item| literal(item.value)),
            _ => None,
        }),
        _ => None,
    })
}

fn literal(expression: &Expression<'_>) -> Option<Vec<u8>> {
    let Expression::Literal(Literal::String(string)) = expression else { return None };
    let inner = string.raw.get(1..string.raw.len().checked_sub(1)?)?;
    Some(if string.raw.first() == Some(&b'\'') { single_quoted(inner) } else { double_quoted(inner, true) })
}
