//! Indexes: sorted JSON lines in compressed pages, with a page directory at the end.
