//! The vocabulary and the pure rules that gateway and cloud share: no tokio, no SQL, no HTTP.
//!
//! The modules stand in the order in which a reading meets them: what is measured
//! ([`metric`], [`reading`], [`words`]) and when ([`time`]), what a device's registers mean
//! ([`profile`]), how readings rest and travel ([`segment`], [`batch`], [`carry`], [`receipt`]), and
//! how they are summed ([`rollup`]).

pub mod batch;
pub mod bytes;
pub mod carry;
pub mod coder;
pub mod configuration;
pub mod metric;
pub mod problem;
pub mod profile;
pub mod reading;
pub mod receipt;
pub mod rollup;
#[cfg(any(test, feature = "schema"))]
pub mod schema;
pub mod segment;
pub mod time;
pub mod words;
