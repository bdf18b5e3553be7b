//! Modbus as the virtual devices speak it: requests ([`pdu`]) to the devices of a [`station`],
//! framed ([`frame`]), over [`tcp`] and on a serial line ([`line`]) behind a pseudo-terminal ([`pty`]);
//! written down, if so wished ([`log`]).

pub mod frame;
pub mod line;
pub mod log;
pub mod pdu;
pub mod pty;
pub mod station;
pub mod tcp;
