//! The one integration-test binary: what no single crate can test by itself.

#[cfg(all(test, feature = "failpoints"))]
mod backup_kills;
#[cfg(test)]
mod backup_layout;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod plain_shop;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod verify;
