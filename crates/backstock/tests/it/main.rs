//! The one integration-test binary: what no single crate can test by itself.

#[cfg(test)]
mod harness;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod tidy;
