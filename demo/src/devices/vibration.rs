//! `vibration-1`: a Banner QM42VT2 on the generator's housing.
//!
//! The alias block of 22 registers from 5200 on (document 45201), imperial and metric copies
//! side by side: golioth/reference-design-modbus-vibration-monitor `src/qm30vt2.c`.

use super::image::Image;
use crate::site::Conditions;

const MM_PER_INCH: f64 = 25.4;
/// Peak over RMS of a sine.
const CREST: f64 = std::f64::consts::SQRT_2;
/// Kurtosis of a sine.
const KURTOSIS: f64 = 1.5;

pub(super) fn holding(now: &Conditions) -> Image {
    let mut image = Image::default();
    let (x, z) = (&now.vibration_x, &now.vibration_z);
    image.u16(5200, z.velocity_mmps / MM_PER_INCH, 0.0001);
    image.u16(5201, z.velocity_mmps, 0.001);
    image.i16(5202, now.generator_c * 1.8 + 32.0, 0.01);
    image.i16(5203, now.generator_c, 0.01);
    image.u16(5204, x.velocity_mmps / MM_PER_INCH, 0.0001);
    image.u16(5205, x.velocity_mmps, 0.001);
    image.u16(5206, z.acceleration_g * CREST, 0.001);
    image.u16(5207, x.acceleration_g * CREST, 0.001);
    image.u16(5208, z.frequency_hz, 0.1);
    image.u16(5209, x.frequency_hz, 0.1);
    image.u16(5210, z.acceleration_g, 0.001);
    image.u16(5211, x.acceleration_g, 0.001);
    for address in [5212, 5213] {
        image.u16(address, KURTOSIS, 0.001);
    }
    for address in [5214, 5215] {
        image.u16(address, CREST, 0.001);
    }
    image.u16(5216, z.velocity_mmps * CREST / MM_PER_INCH, 0.0001);
    image.u16(5217, z.velocity_mmps * CREST, 0.001);
    image.u16(5218, x.velocity_mmps * CREST / MM_PER_INCH, 0.0001);
    image.u16(5219, x.velocity_mmps * CREST, 0.001);
    image.u16(5220, z.acceleration_g * 0.2, 0.001);
    image.u16(5221, x.acceleration_g * 0.2, 0.001);
    image
}
