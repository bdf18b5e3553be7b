//! The profiles that are part of the program, so that a site needs no files.

/// Name and text of every built-in profile, in order of name.
const PROFILES: &[(&str, &str)] = &[
    ("banner-qm42vt2", include_str!("../../../firmware-configs/banner-qm42vt2.toml")),
    ("carlo-gavazzi-em24", include_str!("../../../firmware-configs/carlo-gavazzi-em24.toml")),
    ("carlo-gavazzi-em24-e1", include_str!("../../../firmware-configs/carlo-gavazzi-em24-e1.toml")),
    ("comap-intelilite4", include_str!("../../../firmware-configs/comap-intelilite4.toml")),
    ("deepsea-73xx", include_str!("../../../firmware-configs/deepsea-73xx.toml")),
    ("deepsea-gencomm", include_str!("../../../firmware-configs/deepsea-gencomm.toml")),
    ("deif-agc150", include_str!("../../../firmware-configs/deif-agc150.toml")),
    ("deif-agc150-us", include_str!("../../../firmware-configs/deif-agc150-us.toml")),
    ("dfrobot-sen0676", include_str!("../../../firmware-configs/dfrobot-sen0676.toml")),
    ("eastron-sdm630", include_str!("../../../firmware-configs/eastron-sdm630.toml")),
    ("eletechsup-r4dcb08", include_str!("../../../firmware-configs/eletechsup-r4dcb08.toml")),
    ("geolux-lx80", include_str!("../../../firmware-configs/geolux-lx80.toml")),
    ("geolux-lx80-15", include_str!("../../../firmware-configs/geolux-lx80-15.toml")),
    ("janitza-b23", include_str!("../../../firmware-configs/janitza-b23.toml")),
    ("janitza-umg604", include_str!("../../../firmware-configs/janitza-umg604.toml")),
    ("jk-bms", include_str!("../../../firmware-configs/jk-bms.toml")),
    ("keller-nanolevel", include_str!("../../../firmware-configs/keller-nanolevel.toml")),
    ("keller-series30", include_str!("../../../firmware-configs/keller-series30.toml")),
    ("keller-series30-paired", include_str!("../../../firmware-configs/keller-series30-paired.toml")),
    ("midnite-classic", include_str!("../../../firmware-configs/midnite-classic.toml")),
    ("morningstar-tristar-mppt", include_str!("../../../firmware-configs/morningstar-tristar-mppt.toml")),
    ("moxa-iologik-e1240", include_str!("../../../firmware-configs/moxa-iologik-e1240.toml")),
    ("moxa-iologik-e1242", include_str!("../../../firmware-configs/moxa-iologik-e1242.toml")),
    ("moxa-iologik-e1260", include_str!("../../../firmware-configs/moxa-iologik-e1260.toml")),
    ("ott-svr100", include_str!("../../../firmware-configs/ott-svr100.toml")),
    ("peacefair-pzem-017", include_str!("../../../firmware-configs/peacefair-pzem-017.toml")),
    ("pylontech-powercube-m2", include_str!("../../../firmware-configs/pylontech-powercube-m2.toml")),
    ("siemens-sinamics-g120", include_str!("../../../firmware-configs/siemens-sinamics-g120.toml")),
    ("siemens-sinamics-v20", include_str!("../../../firmware-configs/siemens-sinamics-v20.toml")),
    ("sma-sunny-boy", include_str!("../../../firmware-configs/sma-sunny-boy.toml")),
    ("sma-sunny-island", include_str!("../../../firmware-configs/sma-sunny-island.toml")),
    ("sunspec-inverter", include_str!("../../../firmware-configs/sunspec-inverter.toml")),
    ("sunspec-meter", include_str!("../../../firmware-configs/sunspec-meter.toml")),
    ("sunspec-storage", include_str!("../../../firmware-configs/sunspec-storage.toml")),
    ("tuf-2000", include_str!("../../../firmware-configs/tuf-2000.toml")),
    ("victron-genset", include_str!("../../../firmware-configs/victron-genset.toml")),
    ("victron-gx", include_str!("../../../firmware-configs/victron-gx.toml")),
    ("victron-solarcharger", include_str!("../../../firmware-configs/victron-solarcharger.toml")),
    ("victron-system", include_str!("../../../firmware-configs/victron-system.toml")),
    ("victron-vebus", include_str!("../../../firmware-configs/victron-vebus.toml")),
    ("waveshare-relay-8ch", include_str!("../../../firmware-configs/waveshare-relay-8ch.toml")),
    ("xy-md02", include_str!("../../../firmware-configs/xy-md02.toml")),
];

/// The text of the built-in profile with this name.
pub fn builtin(name: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Names of all built-in profiles, in alphabetical order.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|(name, _)| *name)
}
