//! Placeholder.
mod measure; fn main() {}
