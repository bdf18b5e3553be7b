//! What the suites stand on: the real programs beside each other on loopback, in the order in which
//! a reading passes them: a Modbus server ([`modbus`]) on a socket or a [`serial_line`], a
//! [`gateway`], a [`link`] that can fail in every way, or a [`faulty_link`] that always does, and a
//! [`cloud`] with its people ([`api`]). [`reading`] compares what arrived with what was there, and so
//! does the independent [`count`].

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

pub mod api;
pub mod batches;
pub mod broken_disk;
pub mod chance;
pub mod cloud;
pub mod count;
pub mod deadline;
pub mod edge_toml;
pub mod faulty_link;
pub mod gateway;
pub mod last_write;
pub mod link;
pub mod modbus;
pub mod place;
mod preload;
pub mod program;
pub mod reading;
pub mod refusal;
pub mod river;
pub mod serial_line;
pub mod stage;
pub mod tls;
pub mod virtual_devices;
pub mod wall_clock;
pub mod watcher;
