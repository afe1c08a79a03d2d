//! The evaluator's own state: files being read, limits, and how undecided paths are joined.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bumpalo::Bump;

use super::parse::{Lines, parse};
use super::state::{State, merge_values};
use super::value::Value;
use super::{Evaluated, FILES_LIMIT, INCLUDE_DEPTH_LIMIT, Reading, STEPS_LIMIT, TEXT_LIMIT_BYTES, Unread};
use crate::folder::CONFIG_LIMIT_BYTES;
use crate::layout::Obstacle;

/// Why evaluation stops before the end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The program ends here: `exit`, `die`, `throw`. Never the path of a working shop.
    Exit,
    /// A limit is reached.
    Limit(&'static str),
}

/// A result of evaluation.
pub(super) type Eval<T> = Result<T, Halt>;

/// How a statement ends.
#[derive(Debug)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
    Return(Value),
}

/// One file being read.
pub(super) struct Frame {
    /// Its path, links resolved, as PHP's `__FILE__`.
    pub(super) path: PathBuf,
    pub(super) lines: Lines,
    /// The namespace in force, with a closing backslash; empty for none.
    pub(super) namespace: Vec<u8>,
    /// States and values of `return`s under conditions that cannot be decided.
    pub(super) ended: Vec<(State, Value)>,
}

/// The evaluator.
pub(super) struct Interpreter<'r> {
    pub(super) reading: &'r Reading<'r>,
    pub(super) state: State,
    pub(super) files: Vec<PathBuf>,
    pub(super) frames: Vec<Frame>,
    /// Functions that the files declare: calling one may do anything. Lower case.
    pub(super) declared: BTreeSet<Vec<u8>>,
    pub(super) depth: usize,
    steps_left: u64,
    text_left_bytes: usize,
}

/// Reads a file and what it includes.
pub(super) fn run(reading: &Reading<'_>, path: &Path) -> Result<Evaluated, Unread> {
    let bytes = reading.folder.read_path(path, CONFIG_LIMIT_BYTES)?;
    let Some(source) = bytes else {
        return Err(Unread::new(Obstacle::Missing, format!("{} is not there", path.display())));
    };
    run_source(reading, path.canonicalize().unwrap_or_else(|_| path.to_owned()), &source)
}

/// Reads the text of a file, and what it includes. Wants the stack that [`super::read`] gives it.
pub(super) fn run_source(reading: &Reading<'_>, path: PathBuf, source: &[u8]) -> Result<Evaluated, Unread> {
    let mut interpreter = Interpreter {
        reading,
        state: State::default(),
        files: Vec::new(),
        frames: Vec::new(),
        declared: BTreeSet::new(),
        depth: 0,
        steps_left: STEPS_LIMIT,
        text_left_bytes: TEXT_LIMIT_BYTES,
    };
    for (name, value) in &reading.predefined {
        interpreter.state.define(name.as_bytes(), Value::text(value.clone()));
    }
    match interpreter.run_file(path, source)? {
        Ok(returned) => Ok(Evaluated { state: interpreter.state, returned, files: interpreter.files }),
        Err(Halt::Limit(what)) => Err(Unread::new(Obstacle::BeyondLimits, what)),
        Err(Halt::Exit) => {
            Err(Unread::new(Obstacle::Undecidable, "every path through the file ends the program"))
        }
    }
}

impl Interpreter<'_> {
    /// Parses and runs one file; its value is what it returns, 1 when it returns nothing.
    pub(super) fn run_file(&mut self, path: PathBuf, source: &[u8]) -> Result<Eval<Value>, Unread> {
        if self.files.len() >= FILES_LIMIT || self.frames.len() >= INCLUDE_DEPTH_LIMIT {
            return Ok(Err(Halt::Limit("the configuration includes more files than any configuration")));
        }
        let arena = Bump::new();
        let program = parse(&arena, source)?;
        if !self.files.contains(&path) {
            self.files.push(path.clone());
        }
        let frame = Frame { path, lines: Lines::of(source), namespace: Vec::new(), ended: Vec::new() };
        self.frames.push(frame);
        let before = self.depth;
        let flow = self.run_statements(program.statements.as_slice());
        self.depth = before;
        let frame = self.frames.pop().expect("the frame that was pushed above");
        Ok(self.finish(flow, frame))
    }

    /// The end of a file: its last path and the earlier `return`s that may have been taken.
    fn finish(&mut self, flow: Eval<Flow>, frame: Frame) -> Eval<Value> {
        let why = format!("{} returns under a condition that cannot be decided here", self.show(&frame.path));
        let mut value = match flow {
            Ok(Flow::Return(value)) => Some(value),
            Ok(_) => Some(Value::int(1)),
            // `exit` at the end of the way: what was defined before it stands.
            Err(Halt::Exit) if frame.ended.is_empty() => Some(Value::int(1)),
            Err(Halt::Exit) => None,
            Err(limit) => return Err(limit),
        };
        for (state, returned) in frame.ended {
            if let Some(so_far) = value.take() {
                let so_far_state = std::mem::take(&mut self.state);
                self.charge(state.weight())?;
                self.state = so_far_state.merge(state, &why);
                value = Some(merge_values(&so_far, &returned, &why));
            } else {
                self.state = state;
                value = Some(returned);
            }
        }
        value.ok_or(Halt::Exit)
    }

    /// Runs one of several possible paths from the present state; `None` when it ends the program.
    pub(super) fn possible<T>(
        &mut self,
        path: impl FnOnce(&mut Self) -> Eval<T>,
    ) -> Eval<Option<(State, T)>> {
        self.charge(self.state.weight())?;
        let start = self.state.clone();
        let outcome = path(self);
        let end = std::mem::replace(&mut self.state, start);
        match outcome {
            Ok(outcome) => Ok(Some((end, outcome))),
            Err(Halt::Exit) => Ok(None),
            Err(limit) => Err(limit),
        }
    }

    /// Joins the paths of a statement.
    pub(super) fn join(&mut self, paths: Vec<(State, Flow)>, why: &str) -> Eval<Flow> {
        let mut going_on: Option<State> = None;
        let mut returned = Vec::new();
        for (state, flow) in paths {
            self.charge(state.weight())?;
            match flow {
                Flow::Return(value) => returned.push((state, value)),
                _ => {
                    going_on = Some(match going_on {
                        None => state,
                        Some(so_far) => so_far.merge(state, why),
                    });
                }
            }
        }
        if let Some(state) = going_on {
            self.state = state;
            if let Some(frame) = self.frames.last_mut() {
                frame.ended.extend(returned);
            }
            return Ok(Flow::Next);
        }
        let mut returned = returned.into_iter();
        let Some((mut state, mut value)) = returned.next() else { return Err(Halt::Exit) };
        for (other_state, other_value) in returned {
            state = state.merge(other_state, why);
            value = merge_values(&value, &other_value, why);
        }
        self.state = state;
        Ok(Flow::Return(value))
    }

    /// Joins the values of an expression's paths.
    pub(super) fn join_values(&mut self, paths: Vec<(State, Value)>, why: &str) -> Eval<Value> {
        let mut paths = paths.into_iter();
        let Some((mut state, mut value)) = paths.next() else { return Err(Halt::Exit) };
        for (other_state, other_value) in paths {
            self.charge(other_state.weight())?;
            state = state.merge(other_state, why);
            value = merge_values(&value, &other_value, why);
        }
        self.state = state;
        Ok(value)
    }

    /// Uses up steps.
    pub(super) fn charge(&mut self, steps: u64) -> Eval<()> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(Halt::Limit("reading the configuration takes more steps than any configuration")),
        }
    }

    /// A new text, counted against the limit.
    pub(super) fn make_text(&mut self, bytes: Vec<u8>) -> Eval<Value> {
        match self.text_left_bytes.checked_sub(bytes.len()) {
            Some(left) => {
                self.text_left_bytes = left;
                Ok(Value::text(bytes))
            }
            None => Err(Halt::Limit("the configuration builds longer texts than any configuration")),
        }
    }

    /// From here on, constants may be defined without our seeing it.
    pub(super) fn becomes_opaque(&mut self, what: &str) {
        self.state.opaque.get_or_insert_with(|| what.into());
    }

    /// The file and line of a position, for people.
    pub(super) fn place(&self, offset: u32) -> String {
        match self.frames.last() {
            Some(frame) => format!("{} line {}", self.show(&frame.path), frame.lines.line(offset)),
            None => "the configuration".to_owned(),
        }
    }

    /// A path for people: relative to the shop where it can be.
    pub(super) fn show(&self, path: &Path) -> String {
        path.strip_prefix(self.reading.folder.root()).unwrap_or(path).display().to_string()
    }

    /// The file being read.
    pub(super) fn current_file(&self) -> PathBuf {
        self.frames.last().map(|frame| frame.path.clone()).unwrap_or_default()
    }

    /// `__FILE__`, as bytes.
    pub(super) fn file_bytes(&self) -> Vec<u8> {
        self.current_file().as_os_str().as_bytes().to_vec()
    }

    /// `__DIR__`, as bytes.
    pub(super) fn folder_bytes(&self) -> Vec<u8> {
        let file = self.current_file();
        file.parent().map(|folder| folder.as_os_str().as_bytes().to_vec()).unwrap_or_default()
    }

    /// The namespace in force.
    pub(super) fn namespace(&self) -> &[u8] {
        self.frames.last().map_or(&[], |frame| &frame.namespace)
    }
}
