//! The profiles that are part of the program, so that a site needs no files.

/// Name and text of every built-in profile, in order of name.
const PROFILES: &[(&str, &str)] = &[
    ("banner-qm42vt2", include_str!("../../../firmware-configs/banner-qm42vt2.toml")),
    ("eastron-sdm630", include_str!("../../../firmware-configs/eastron-sdm630.toml")),
    ("ott-svr100", include_str!("../../../firmware-configs/ott-svr100.toml")),
    ("sunspec-inverter", include_str!("../../../firmware-configs/sunspec-inverter.toml")),
    ("victron-gx", include_str!("../../../firmware-configs/victron-gx.toml")),
];

/// The text of the built-in profile with this name.
pub fn builtin(name: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Names of all built-in profiles, in alphabetical order.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|(name, _)| *name)
}
