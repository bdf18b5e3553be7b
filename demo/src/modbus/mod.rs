//! Modbus as the virtual devices speak it: requests ([`pdu`]) to the devices of a [`station`],
//! framed ([`frame`]), over [`tcp`] and on a serial line ([`line`]) behind a pseudo-terminal ([`pty`]).

pub mod frame;
pub mod line;
pub mod pdu;
pub mod pty;
pub mod station;
pub mod tcp;
