//! The gateway of the demo: its configuration, its enrollment, its start.

use riverwatts_shared::profile::builtin;
use toml_edit::{DocumentMut, Value, value};

use super::PASSWORD;
use super::child::{Child, ChildError, command, errand};
use super::folder::{Folder, FolderError};
use super::programs::Programs;
use crate::devices::{Kind, SITE_DEVICES};
use crate::serve::Place;
use crate::turbine::TURBINE;

const CONFIG: &str = "edge.toml";
/// Folder of the profiles that call their devices virtual.
const PROFILES: &str = "profiles";

/// Writes `edge.toml` and its profiles; a lively demo flushes and uploads more often than the defaults.
pub fn write_config(folder: &Folder, cloud: &str, panel_port: u16, places: &[Place]) -> Result<(), FolderError> {
    let mut config = format!(
        r#"# Written by riverwatts-demo at each start.
profiles = ["{PROFILES}"]

[site]
key = "demo-river"
name = "Demo River"
timezone = "America/Anchorage"

[cloud]
url = {cloud}

[store]
dir = "edge"
flush = "2s"

[upload]
every = "2s"

[panel]
listen = "127.0.0.1:{panel_port}"
"#,
        cloud = quoted(cloud),
    );
    for (kind, place) in SITE_DEVICES.into_iter().zip(places) {
        config += &bus_and_device(kind, place);
        let name = profile(kind);
        folder.write(&format!("{PROFILES}/{name}.toml"), &virtual_profile(name))?;
    }
    folder.write(CONFIG, &config)
}

/// Trades the code for the gateway's credential.
pub async fn enroll(programs: &Programs, folder: &Folder, cloud: &str, code: &str) -> Result<(), ChildError> {
    let mut command = command(&programs.edge);
    command.args(["enroll", "--cloud", cloud, "--code", code, "--config"]).arg(folder.path().join(CONFIG));
    errand("riverwatts-edge enroll", command, "", folder.log("enroll")).await
}

/// Sets the password of the panel.
pub async fn set_password(programs: &Programs, folder: &Folder) -> Result<(), ChildError> {
    let mut command = command(&programs.edge);
    command.args(["passwd", "--stdin", "--config"]).arg(folder.path().join(CONFIG));
    errand("riverwatts-edge passwd", command, &format!("{PASSWORD}\n"), folder.log("passwd")).await
}

/// Starts the gateway.
pub fn start(programs: &Programs, folder: &Folder) -> Result<Child, ChildError> {
    let mut command = command(&programs.edge);
    command.args(["run", "--config"]).arg(folder.path().join(CONFIG));
    Child::start("riverwatts-edge", command, folder.log("edge"))
}

fn bus_and_device(kind: Kind, place: &Place) -> String {
    let Place { id, address, unit } = place;
    let (bus, address) = (format!("{id}-bus"), quoted(address));
    let link = if kind == Kind::Meter {
        format!("kind = \"rtu\"\nport = {address}\nbaud = 9600\nparity = \"none\"\nstop_bits = 1")
    } else {
        format!("kind = \"tcp\"\naddress = {address}")
    };
    let rated = match kind {
        Kind::Turbine => format!(
            "rated = {{ power_w = {:.0}, rpm = {:.1}, voltage_v = 277, cut_in_mps = {} }}\n",
            TURBINE.rated_power_w,
            TURBINE.rated_rpm(),
            TURBINE.cut_in_mps
        ),
        _ => String::new(),
    };
    let profile = profile(kind);
    format!(
        r#"
[[bus]]
id = "{bus}"
{link}

[[device]]
id = "{id}"
bus = "{bus}"
unit = {unit}
profile = "{profile}"
interval = "1s"
{rated}"#
    )
}

fn profile(kind: Kind) -> &'static str {
    match kind {
        Kind::Turbine => "sunspec-inverter",
        Kind::Meter => "eastron-sdm630",
        Kind::Vibration => "banner-qm42vt2",
        Kind::Radar => "ott-svr100",
        Kind::Battery => "victron-gx",
        Kind::Plain(_) => "plain",
    }
}

/// A built-in profile whose maker is called virtual: not every device tells who made it.
fn virtual_profile(name: &str) -> String {
    let text = builtin(name).expect("the site's instruments have built-in profiles: a test reads them");
    let mut profile: DocumentMut = text.parse().expect("built-in profiles are TOML: a test reads them");
    let maker = profile["manufacturer"].as_str().unwrap_or_default().to_owned();
    profile["manufacturer"] = value(format!("virtual {maker}"));
    profile.to_string()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::profile::parse;

    use super::*;

    #[test]
    fn the_configuration_is_toml_with_the_five_devices() {
        let data = tempfile::tempdir().unwrap();
        let odd = data.path().join("a \"quoted\" folder");
        let folder = Folder::open(Some(&odd), None, None).unwrap();
        let places: Vec<Place> = SITE_DEVICES
            .iter()
            .map(|kind| Place {
                id: kind.id(),
                address: odd.join(kind.id()).display().to_string(),
                unit: kind.units()[0],
            })
            .collect();
        write_config(&folder, "http://127.0.0.1:8000", 8080, &places).unwrap();
        let text = std::fs::read_to_string(odd.join(CONFIG)).unwrap();
        let document: DocumentMut = text.parse().unwrap();
        assert_eq!(document["cloud"]["url"].as_str(), Some("http://127.0.0.1:8000"));
        let devices = document["device"].as_array_of_tables().unwrap();
        let ids: Vec<_> = devices.iter().map(|device| device["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["turbine-1", "meter-1", "vibration-1", "radar-1", "battery-1"]);
        let buses = document["bus"].as_array_of_tables().unwrap();
        assert_eq!(buses.get(1).unwrap()["port"].as_str(), Some(places[1].address.as_str()));
        assert_eq!(devices.get(4).unwrap()["unit"].as_integer(), Some(225));
        for device in devices {
            let path = odd.join(format!("profiles/{}.toml", device["profile"].as_str().unwrap()));
            let text = std::fs::read_to_string(&path).unwrap();
            let profile = parse(path.to_str().unwrap(), &text).unwrap();
            assert!(profile.manufacturer.starts_with("virtual "), "{}", profile.manufacturer);
        }
    }
}
