//! The catalog against real SQLite files: what it remembers, what it survives, what it refuses.

mod checks;
mod crash;
mod damage;
mod destinations;
mod find;
mod history;
mod link_requests;
mod links;
mod locks;
mod rebuild;
mod records;
mod retention;
mod sample;
mod upgrade;

pub(crate) use sample::Scratch;
