//! The gateway daemon of a river site, in the order in which a reading passes:
//! a bus is polled, words are decoded and validated, readings are recorded, stored and uploaded.

pub mod config;
pub mod check;
pub mod bus;
pub mod write;
pub mod plan;
pub mod decode;
pub mod validate;
pub mod record;
pub mod clock;
pub mod store;
pub mod upload;
pub mod export;
pub mod enroll;
pub mod legacy;
pub mod passwd;
mod private_file;
pub mod panel;
pub mod health;
pub mod run;
pub mod samples;
pub mod status;
pub mod probe;
pub mod terminal;
pub mod log;
