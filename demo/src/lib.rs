//! A virtual river site: real slow water, computed turbulence, a turbine and the instruments
//! around it, served over Modbus; and the one-command demo that puts a gateway and a cloud beside it.
//!
//! The modules stand in the order in which the water becomes an answer on a bus: chance
//! ([`noise`]), the water ([`river`]), what it drives ([`turbine`], [`rotor`], [`supply`], [`battery`]), what happens to it
//! ([`story`]), all of it at one time ([`site`]), as registers ([`devices`]), or as those of any
//! profile ([`profiled`]), on a wire ([`modbus`]) where things go wrong ([`faults`]), at their addresses
//! ([`serve`]), the story told ([`narrate`]), and the whole beside gateway and cloud ([`run`]).

pub mod battery;
pub mod devices;
pub mod faults;
pub mod modbus;
pub mod narrate;
pub mod noise;
pub mod profiled;
pub mod river;
pub mod rotor;
pub mod run;
pub mod serve;
pub mod site;
pub mod story;
pub mod supply;
pub mod turbine;
