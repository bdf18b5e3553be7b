//! The suites on the real programs: a foreign Modbus server, a gateway, a link that fails, a cloud.
//! One program, so that they are linked once and run beside each other.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod bad_configuration;
mod bad_input;
mod broken_disk;
mod bus_to_answer;
mod carried;
mod cloned;
mod clockless;
mod dead_device;
mod demo;
mod documented;
mod encrypted;
mod faults;
mod faulty_link;
mod foreign_master;
mod fleet;
mod guide;
mod kills;
mod live;
mod metered;
mod once_only;
mod outage;
mod pages;
mod probe;
mod refused;
mod sight;
mod taken_away;
mod taken_over;
mod writing;
