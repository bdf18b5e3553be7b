//! How many requests the built-in profiles take.

use riverwatts_shared::profile::builtin_names;

use super::*;

/// The layout of a device that has every model that an area is for, one after another.
fn with_every_model(profile: &Profile) -> impl Iterator<Item = (u16, Layout)> {
    let models = profile.areas.iter().flat_map(|area| area.models.clone());
    models.map(|id| (id, Layout::discovered(profile, &[Model { id, start: 40_070, length: 400 }])))
}

#[test]
fn a_sunspec_model_takes_one_request() {
    let mut seen = 0;
    for name in builtin_names().filter(|name| name.starts_with("sunspec-")) {
        for (id, layout) in with_every_model(&profile(name)) {
            for cadence in layout.cadences() {
                let blocks = layout.blocks(cadence, &Cost::FEWEST);
                assert_eq!(blocks.len(), 1, "{name}, model {id}, {cadence:?}: {:?}", spans(&blocks));
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen} models");
}

#[test]
fn a_service_of_a_victron_gx_takes_two_requests() {
    for name in builtin_names().filter(|name| name.starts_with("victron-")) {
        let layout = Layout::fixed(&profile(name));
        for cadence in layout.cadences() {
            let blocks = layout.blocks(cadence, &Cost::FEWEST);
            for unit in blocks.iter().map(|block| block.unit) {
                let service: Vec<_> = blocks.iter().filter(|block| block.unit == unit).copied().collect();
                assert!(service.len() <= 2, "{name}, {cadence:?}: {:?}", spans(&service));
            }
        }
    }
}

#[test]
fn an_sdm630_takes_at_most_four_requests_on_any_line() {
    let layout = Layout::fixed(&profile("eastron-sdm630"));
    for baud in [1_200, 2_400, 9_600, 38_400, 115_200] {
        let line = Line { baud, parity: Parity::None, stop_bits: 1, quiet: std::time::Duration::ZERO };
        let blocks = layout.blocks(Cadence::Fast, &Cost::serial(&line));
        assert!(blocks.len() <= 4, "{baud}: {:?}", spans(&blocks));
    }
}
