//! The one integration-test binary: what no single crate can test by itself.

#[cfg(test)]
mod tidy;
