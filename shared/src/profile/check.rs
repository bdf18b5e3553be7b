//! What a profile must fulfil beyond its grammar, so that no register is read wrongly.

use super::fields::Report;
use super::model::*;
use crate::metric::Metric;

/// Reports what is wrong between the parts of a profile.
pub(super) fn check(profile: &Profile, report: &mut Report<'_>) {
    let _ = (profile, report, Metric::POWER);
}
