//! The JSON document of a comparison: each difference is written as it is found, so that none of them stays in memory.
//!
//! A failure in between ends the list; the document is then still one, without a summary and with the error.

use std::cell::RefCell;

use backstock_operations::{DiffSummary, ToldDifference, chain};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::exit::CommandError;

type Compared = Result<DiffSummary, CommandError>;
type Compare<'a> = &'a dyn Fn(&mut dyn FnMut(ToldDifference)) -> Compared;

/// A document that does its work while it is written.
pub(super) struct StreamedDocument<'a> {
    schema: &'static str,
    compare: Compare<'a>,
    result: RefCell<Option<Compared>>,
}

impl<'a> StreamedDocument<'a> {
    pub(super) fn new(schema: &'static str, compare: Compare<'a>) -> Self {
        Self { schema, compare, result: RefCell::new(None) }
    }

    /// What the work came to; done now where the document could not be written.
    pub(super) fn result(self) -> Compared {
        self.result.into_inner().unwrap_or_else(|| (self.compare)(&mut |_| {}))
    }
}

impl Serialize for StreamedDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", self.schema)?;
        map.serialize_entry("differences", &Differences(self))?;
        match &*self.result.borrow() {
            Some(Ok(summary)) => map.serialize_entry("summary", summary)?,
            Some(Err(error)) => map.serialize_entry("error", &chain(error.as_ref()))?,
            None => {}
        }
        map.end()
    }
}

struct Differences<'a>(&'a StreamedDocument<'a>);

impl Serialize for Differences<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut fault = None;
        let result = (self.0.compare)(&mut |difference| {
            if fault.is_none() {
                fault = list.serialize_element(&difference).err();
            }
        });
        *self.0.result.borrow_mut() = Some(result);
        match fault {
            Some(fault) => Err(fault),
            None => list.end(),
        }
    }
}
