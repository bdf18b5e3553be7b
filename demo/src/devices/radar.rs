//! `radar-1`: an OTT SVR 100 that looks at the surface upstream of the turbine.
//!
//! Registers 0 to 15, as sent: OTT operating instructions, appendix D.

use super::image::Image;
use crate::site::Conditions;

pub(super) fn holding(now: &Conditions) -> Image {
    let mut image = Image::default();
    // Bus address 1, 9,600 bit/s, speeds in mm/s.
    image.words(0, &[1, 0, 0]);
    image.u16(3, now.water.surface_mps, 0.001);
    image.u16(4, now.water.surface_averaged_mps, 0.001);
    // Tilt 45°, IIR filter of length 64, water comes towards the sensor, both directions, sensitivity 80 %.
    image.words(5, &[45, 0, 64, 0, 0, 80]);
    // A rougher surface gives a stronger echo: 0 to 2048.
    image.u16(11, (600.0 + 250.0 * now.water.surface_averaged_mps).min(2048.0), 1.0);
    // Not rotated, firmware 4.5.1, gain setting and current gain.
    image.words(12, &[0, 451, 4, 4]);
    image
}
