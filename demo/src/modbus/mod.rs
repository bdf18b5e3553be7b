//! Modbus as the virtual devices speak it: requests to answers, over TCP and over a serial line.

pub mod pdu;
pub mod pty;
pub mod rtu;
pub mod station;
pub mod tcp;
