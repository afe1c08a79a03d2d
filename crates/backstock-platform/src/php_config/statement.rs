//! Statements: what they define, and which of them run.

use mago_span::HasSpan;
use mago_syntax::ast::{
    Constant, DeclareBody, Expression, Foreach, ForeachTarget, Identifier, If, Namespace, Statement, Switch,
    Try, Variable, WhileBody,
};

use super::DEPTH_LIMIT;
use super::interpreter::{Eval, Flow, Halt, Interpreter};
use super::value::{Data, Value};

impl Interpreter<'_> {
    /// Runs statements in order.
    pub(super) fn run_statements(&mut self, statements: &[Statement<'_>]) -> Eval<Flow> {
        // Functions exist before the first line of their file runs.
        for statement in statements {
            if let Statement::Function(function) = statement {
                self.declared.insert(function.name.value.to_ascii_lowercase());
            }
        }
        for statement in statements {
            match self.run_statement(statement)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn run_statement(&mut self, statement: &Statement<'_>) -> Eval<Flow> {
        self.charge(1)?;
        if self.depth >= DEPTH_LIMIT {
            return Err(Halt::Limit("the configuration nests deeper than any configuration"));
        }
        self.depth += 1;
        let flow = self.run_one(statement);
        self.depth -= 1;
        flow
    }

    fn run_one(&mut self, statement: &Statement<'_>) -> Eval<Flow> {
        match statement {
            Statement::Expression(statement) => self.eval(statement.expression).map(|_| Flow::Next),
            Statement::Return(statement) => match &statement.value {
                Some(value) => self.eval(value).map(Flow::Return),
                None => Ok(Flow::Return(Value::null())),
            },
            Statement::If(statement) => self.run_if(statement),
            Statement::Block(block) => self.run_statements(block.statements.as_slice()),
            Statement::Constant(constant) => self.run_constant(constant),
            Statement::Namespace(namespace) => self.run_namespace(namespace),
            Statement::Foreach(foreach) => self.run_foreach(foreach),
            Statement::Switch(switch) => self.run_switch(switch),
            Statement::Try(attempt) => self.run_try(attempt),
            Statement::While(repeat) => {
                let body = match &repeat.body {
                    WhileBody::Statement(statement) => std::slice::from_ref(*statement),
                    WhileBody::ColonDelimited(body) => body.statements.as_slice(),
                };
                self.perhaps(body, statement.span().start.offset)
            }
            Statement::DoWhile(repeat) => {
                self.perhaps(std::slice::from_ref(repeat.statement), statement.span().start.offset)
            }
            Statement::For(repeat) => self.perhaps(repeat.body.statements(), statement.span().start.offset),
            Statement::Declare(declare) => match &declare.body {
                DeclareBody::Statement(statement) => self.run_statement(statement),
                DeclareBody::ColonDelimited(body) => self.run_statements(body.statements.as_slice()),
            },
            Statement::Break(_) => Ok(Flow::Break),
            Statement::Continue(_) => Ok(Flow::Continue),
            Statement::Unset(unset) => {
                for value in unset.values.iter() {
                    self.forget(value, "it is unset");
                }
                Ok(Flow::Next)
            }
            Statement::Goto(_) | Statement::Label(_) => {
                self.becomes_opaque("the file jumps with goto");
                Ok(Flow::Next)
            }
            // Declarations of classes and functions, text, output, imports: nothing that a configuration is read for.
            _ => Ok(Flow::Next),
        }
    }

    fn run_if(&mut self, statement: &If<'_>) -> Eval<Flow> {
        let why = format!("it depends on the condition in {}", self.place(statement.r#if.span.start.offset));
        let clauses = std::iter::once((statement.condition, statement.body.statements()))
            .chain(statement.body.else_if_clauses());
        let mut paths = Vec::new();
        let mut decided = false;
        for (condition, body) in clauses {
            match self.eval(condition)?.truth() {
                Some(false) => {}
                Some(true) => {
                    paths.push(self.possible(|this| this.run_statements(body))?);
                    decided = true;
                    break;
                }
                None => paths.push(self.possible(|this| this.run_statements(body))?),
            }
        }
        if !decided {
            let rest = statement.body.else_statements().unwrap_or(&[]);
            paths.push(self.possible(|this| this.run_statements(rest))?);
        }
        if let [Some(_)] = paths.as_slice() {
            let (state, flow) = paths.remove(0).expect("matched above");
            self.state = state;
            return Ok(flow);
        }
        // A path that ends the program is not the path of a shop that works.
        let paths: Vec<_> = paths.into_iter().flatten().collect();
        if paths.is_empty() { Ok(Flow::Next) } else { self.join(paths, &why) }
    }

    fn run_constant(&mut self, constant: &Constant<'_>) -> Eval<Flow> {
        for item in constant.items.iter() {
            let value = self.eval(item.value)?;
            let name = [self.namespace(), item.name.value].concat();
            self.state.define(&name, value);
        }
        Ok(Flow::Next)
    }

    fn run_namespace(&mut self, namespace: &Namespace<'_>) -> Eval<Flow> {
        let name = match &namespace.name {
            Some(Identifier::Local(name)) => name.value,
            Some(Identifier::Qualified(name)) => name.value,
            _ => &[],
        };
        let inner = if name.is_empty() { Vec::new() } else { [name, b"\\"].concat() };
        if let Some(frame) = self.frames.last_mut() {
            frame.namespace = inner;
        }
        self.run_statements(namespace.statements().as_slice())
    }

    fn run_foreach(&mut self, foreach: &Foreach<'_>) -> Eval<Flow> {
        let offset = foreach.foreach.span.start.offset;
        let subject = self.eval(foreach.expression)?;
        let body = foreach.body.statements();
        let Data::Array(map) = &subject.data else {
            self.forget_target(&foreach.target);
            return self.perhaps(body, offset);
        };
        for (key, value) in map.in_order() {
            self.charge(1)?;
            let value = value.clone().resting_on(&subject);
            match &foreach.target {
                ForeachTarget::Value(target) => self.assign(target.value, value)?,
                ForeachTarget::KeyValue(target) => {
                    self.assign(target.key, key.to_value())?;
                    self.assign(target.value, value)?;
                }
            }
            match self.run_statements(body)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                flow @ Flow::Return(_) => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn forget_target(&mut self, target: &ForeachTarget<'_>) {
        let why = "it is set by a loop that cannot be followed";
        match target {
            ForeachTarget::Value(target) => self.forget(target.value, why),
            ForeachTarget::KeyValue(target) => {
                self.forget(target.key, why);
                self.forget(target.value, why);
            }
        }
    }

    /// A switch with known values runs the case that fits; otherwise each case may have run.
    fn run_switch(&mut self, switch: &Switch<'_>) -> Eval<Flow> {
        let why = format!("it depends on the switch in {}", self.place(switch.switch.span.start.offset));
        let subject = self.eval(switch.expression)?;
        let cases = switch.body.cases();
        let mut starts = Vec::new();
        let mut certain = false;
        for (at, case) in cases.iter().enumerate() {
            let Some(expression) = case.expression() else { continue };
            let value = self.eval(expression)?;
            match self.loosely_equal(&subject, &value) {
                Some(true) => {
                    starts.push(at);
                    certain = true;
                    break;
                }
                Some(false) => {}
                None => starts.push(at),
            }
        }
        let default = cases.iter().position(|case| case.expression().is_none());
        if !certain {
            starts.push(default.unwrap_or(cases.len()));
        }
        let mut paths = Vec::new();
        for start in starts {
            paths.extend(self.possible(|this| {
                for case in cases.iter().skip(start) {
                    match this.run_statements(case.statements())? {
                        Flow::Next => {}
                        Flow::Break | Flow::Continue => return Ok(Flow::Next),
                        flow @ Flow::Return(_) => return Ok(flow),
                    }
                }
                Ok(Flow::Next)
            })?);
        }
        if paths.is_empty() { Ok(Flow::Next) } else { self.join(paths, &why) }
    }

    /// The block runs; whether a handler runs as well cannot be known, and a shop that works rarely takes it.
    fn run_try(&mut self, attempt: &Try<'_>) -> Eval<Flow> {
        let offset = attempt.r#try.span.start.offset;
        let flow = match self.possible(|this| this.run_statements(attempt.block.statements.as_slice()))? {
            Some((state, flow)) => {
                self.state = state;
                flow
            }
            None => {
                let handlers: Vec<_> =
                    attempt.catch_clauses.iter().map(|clause| clause.block.statements.as_slice()).collect();
                for handler in handlers {
                    self.perhaps(handler, offset)?;
                }
                Flow::Next
            }
        };
        if let Some(finally) = &attempt.finally_clause {
            match self.run_statements(finally.block.statements.as_slice())? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(flow)
    }

    /// Statements that run some number of times, or never.
    fn perhaps(&mut self, body: &[Statement<'_>], offset: u32) -> Eval<Flow> {
        let why = format!("it depends on the loop or condition in {}", self.place(offset));
        let mut paths: Vec<_> = self.possible(|this| this.run_statements(body))?.into_iter().collect();
        paths.extend(self.possible(|_| Ok(Flow::Next))?);
        self.join(paths, &why)?;
        // A second round sees what the first one set, so whatever it changes again is unknown as well.
        let again: Vec<_> = self.possible(|this| this.run_statements(body))?.into_iter().collect();
        let mut paths = again;
        paths.extend(self.possible(|_| Ok(Flow::Next))?);
        self.join(paths, &why)
    }

    /// What a place held is no longer known.
    pub(super) fn forget(&mut self, target: &Expression<'_>, why: &str) {
        match target {
            Expression::Variable(Variable::Direct(variable)) => {
                self.state.set_variable(variable.name, Value::unknown(why));
            }
            Expression::ArrayAccess(access) => self.forget(access.array, why),
            Expression::ArrayAppend(append) => self.forget(append.array, why),
            Expression::UnaryPrefix(prefix) => self.forget(prefix.operand, why),
            Expression::Variable(_) => self.becomes_opaque("a variable is named by another one"),
            _ => {}
        }
    }
}
