//! The torture database through dump, load aside and swap.
