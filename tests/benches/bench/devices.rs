//! Ten devices of ten registers on the virtual river, as the gateway reads them: what the
//! registers hold goes through the gateway's own profile and decoder.

use std::sync::Arc;
use std::time::Duration;

use riverwatts_demo::devices::{Device, Kind, PLAIN_REGISTERS};
use riverwatts_demo::modbus::pdu::READ_HOLDING;
use riverwatts_demo::site::{Laws, Site};
use riverwatts_edge::decode::{Image, decode};
use riverwatts_edge::plan::{Block, Layout};
use riverwatts_shared::profile::{Function, parse};
use riverwatts_shared::reading::Reading;
use riverwatts_shared::time::{ManualClock, UtcMs};

/// How many devices the site has.
pub const DEVICES: u32 = 10;
/// The profile of each.
pub const PROFILE: &str = include_str!("../../profiles/plain.toml");

/// A poll is late on its grid by up to this much.
const LATE_MAX_MS: u64 = 4;
/// What an instrument adds to each register, in steps of the register and either direction: the
/// virtual ones are free of noise, and would be easier to compress than any real one.
const NOISE_MAX: [u64; PLAIN_REGISTERS as usize] = [40, 4, 6, 2, 4, 1, 60, 4, 30, 0];

/// Readings of every device at one a second, `seconds` of each, oldest first. Each device has a
/// river of its own; the same call gives the same readings.
pub fn readings(start: UtcMs, seconds: u64) -> Vec<Vec<Reading>> {
    (1..=DEVICES).map(|number| device(number, start, seconds, 1)).collect()
}

/// `count` readings of one device, one each `interval_s` seconds.
pub fn device(number: u32, start: UtcMs, count: u64, interval_s: u64) -> Vec<Reading> {
    let profile = parse("plain.toml", PROFILE).expect("the profile is right");
    let layout = Layout::fixed(&profile);
    let block = Block { unit: None, function: Function::Holding, start: 0, count: PLAIN_REGISTERS };
    let clock = Arc::new(ManualClock::at(start));
    let site = Arc::new(Site::new(Laws::new(number.into(), 1.0), clock.clone(), Duration::ZERO));
    let device = Device::new(Kind::Plain(number), site);
    let mut chance = Chance { state: number.into() };
    let mut image = Image::new();
    (0..count)
        .map(|poll| {
            let registers = device.registers(1, READ_HOLDING).expect("plain devices have holding registers");
            let mut words = registers.read(0, PLAIN_REGISTERS).expect("ten of them");
            for (word, noise_max) in words.iter_mut().zip(NOISE_MAX) {
                // Two throws: small deviations are more frequent.
                let noise = chance.below(noise_max + 1) as i32 - chance.below(noise_max + 1) as i32;
                *word = word.saturating_add_signed(noise as i16);
            }
            image.put(&block, &words);
            clock.advance(Duration::from_secs(interval_s));
            let time = start.plus_ms((poll * interval_s * 1_000 + chance.below(LATE_MAX_MS)) as i64);
            Reading { time, values: decode(&layout, &image).values }
        })
        .collect()
}

/// Chance that repeats: SplitMix64 (Steele, Lea, Flood 2014).
struct Chance {
    state: u64,
}

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}
