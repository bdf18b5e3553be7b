//! How many requests a poll takes, from the profiles alone.

use std::collections::BTreeMap;
use std::path::Path;

use riverwatts_edge::config::{Overrides, parse};
use riverwatts_edge::plan::{Block, Cadence, Cost, Layout};
use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Profile, builtin, builtin_names};

use crate::report::{Better, Report};

/// Where a SunSpec model begins, and how long it is.
const MODEL: Model = Model { id: 0, start: 40_070, length: 400 };

/// The figures of three families of devices.
pub fn measure(report: &mut Report) {
    let sdm = Layout::fixed(&profile("eastron-sdm630"));
    let on_line =
        |baud| sdm.blocks(Cadence::Fast, &cost(&format!("kind = \"rtu\"\nport = \"/dev/x\"\nbaud = {baud}"))).len();
    let tcp = cost("kind = \"tcp\"\naddress = \"127.0.0.1\"");

    let sunspec = names("sunspec-").flat_map(|profile| {
        let models: Vec<u16> = profile.areas.iter().flat_map(|area| area.models.clone()).collect();
        let layout = |id| Layout::discovered(&profile, &[Model { id, ..MODEL }]);
        models.into_iter().map(|id| most(&layout(id), &tcp)).collect::<Vec<_>>()
    });
    let victron = names("victron-").map(|profile| most(&Layout::fixed(&profile), &tcp));

    for (name, value, target, beside) in [
        ("bus.requests_sdm630", on_line(9_600), 4.0, Some(("115200 baud", on_line(115_200)))),
        ("bus.requests_sunspec_model", sunspec.max().unwrap_or(0), 1.0, None),
        ("bus.requests_victron_service", victron.max().unwrap_or(0), 2.0, None),
    ] {
        let figure = report.add(name, value as f64, "requests", Better::Lower);
        figure.target = Some(target);
        figure.beside.extend(beside.map(|(name, value)| (name, value as f64)));
    }
}

/// The most requests that one unit takes for one cadence.
fn most(layout: &Layout, cost: &Cost) -> usize {
    let by_unit = |blocks: Vec<Block>| {
        let mut units = BTreeMap::new();
        blocks.iter().for_each(|block| *units.entry(block.unit).or_insert(0) += 1);
        units.into_values().max().unwrap_or(0)
    };
    layout.cadences().into_iter().map(|cadence| by_unit(layout.blocks(cadence, cost))).max().unwrap_or(0)
}

fn names(beginning: &str) -> impl Iterator<Item = Profile> {
    builtin_names().filter(move |name| name.starts_with(beginning)).map(profile)
}

fn profile(name: &str) -> Profile {
    let text = builtin(name).expect("it is built in");
    riverwatts_shared::profile::parse(&format!("{name}.toml"), text).expect("built-in profiles are right")
}

/// What asking a device costs on such a bus.
fn cost(bus: &str) -> Cost {
    let device = "id = \"meter-1\"\nbus = \"bus\"\nunit = 1\nprofile = \"eastron-sdm630\"";
    let text = format!("[[bus]]\nid = \"bus\"\n{bus}\n[[device]]\n{device}\n");
    let config = parse(&text, "edge.toml", Path::new(""), &Overrides::default()).expect("the configuration is right");
    Cost::of(&config, &config.devices[0])
}
