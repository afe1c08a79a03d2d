//! Retention: a table of cases for each rule, a second model that says the same the slow way, and laws over random cases.

mod laws;
mod locks;
mod naive;
mod policy;
mod rules;
mod sample;
