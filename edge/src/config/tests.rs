//! Tables of files and what is wrong with them.

use std::path::Path;
use std::time::Duration;

use super::*;

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    parse(text, "edge.toml", Path::new("/etc/riverwatts"), &Overrides::default())
}

/// Every problem as `line key: message; remedy`.
fn problems(text: &str) -> Vec<String> {
    let problems = read(text).expect_err("has a mistake");
    problems.iter().map(|problem| problem.to_string().trim_start_matches("edge.toml").to_owned()).collect()
}

const SITE: &str = r#"
[[bus]]
id = "lan"
kind = "tcp"
address = "192.168.1.20"

[[bus]]
id = "wire"
kind = "rtu"
port = "/dev/ttyUSB0"
quiet = "5ms"
rs485_rts = "inverted"

[[device]]
id = "meter-1"
bus = "lan"
profile = "eastron-sdm630"
unit = 3
interval = "2s"
rated = { power_w = 5000, cut_in_mps = 0.7 }

[[device]]
id = "vibration-1"
bus = "wire"
profile = "banner-qm42vt2"
unit = 4
slow_interval = "1m"
priority = "high"
timeout = "2s"
retries = 1
"#;

#[test]
fn the_example_says_the_defaults_and_nothing_else() {
    assert_eq!(read(EXAMPLE).map(|config| Config { text: String::new(), ..config }), read(""));
    assert!(read("").is_ok());
    let settings = [
        "profiles",
        "key",
        "name",
        "timezone",
        "url",
        "dir",
        "flush",
        "max_bytes",
        "card_endurance_tb",
        "every",
        "metered",
    ];
    for key in settings.iter().chain(&["bandwidth", "backlog_hours", "plan_mb", "plan_day", "listen", "anonymous_read"])
    {
        assert!(EXAMPLE.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
    }
}

#[test]
fn the_commented_part_of_the_example_is_valid_too() {
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let config = read(&uncommented).unwrap();
    assert_eq!((config.buses.len(), config.devices.len()), (2, 3));
    assert_eq!(config.cloud.ca.as_deref(), Some(Path::new("/etc/riverwatts/ca.pem")));
}

#[test]
fn a_site_is_read() {
    let config = read(SITE).unwrap();
    assert_eq!(config.buses[0].link, Link::Tcp { address: "192.168.1.20:502".into() });
    let serial = config.buses[1].link.serial().unwrap();
    assert_eq!((serial.port.as_str(), serial.stop_bits), ("/dev/ttyUSB0", 1));
    assert_eq!(serial.baud, config.devices[1].profile.link.baud.unwrap_or(9_600));
    assert_eq!(serial.rs485_rts, Rts::Inverted);
    let vibration = &config.devices[1];
    assert_eq!((vibration.priority, vibration.slow_interval), (Priority::High, Duration::from_secs(60)));
    assert_eq!((config.timeout(vibration), config.retries(vibration)), (Duration::from_secs(2), 1));
    let meter = &config.devices[0];
    assert_eq!((meter.priority, meter.slow_interval), (Priority::Normal, Duration::from_secs(10)));
    assert_eq!((meter.bus, meter.unit, meter.interval), (0, 3, Duration::from_secs(2)));
    assert_eq!((meter.rated.power_w, meter.rated.cut_in_mps), (Some(5000), Some(0.7)));
    assert!(config.quiet(&config.devices[1]) >= Duration::from_millis(5));
}

#[test]
fn the_later_layer_wins() {
    let text = "[panel]\nlisten = \"127.0.0.1:1\"\n[store]\nflush = \"1s\"\n";
    let variables = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let listen = |variable: &str, argument: Option<&str>| {
        let arguments = argument.map(|value| ("panel.listen".to_owned(), value.to_owned()));
        let overrides = Overrides::new(variables("RIVERWATTS_PANEL_LISTEN", variable), arguments.into_iter().collect());
        parse(text, "edge.toml", Path::new(""), &overrides).unwrap().panel.listen.unwrap().port()
    };
    assert_eq!(listen("127.0.0.1:2", None), 2);
    assert_eq!(listen("127.0.0.1:2", Some("127.0.0.1:3")), 3);
    assert_eq!(read(text).unwrap().panel.listen.unwrap().port(), 1);

    let overrides = Overrides::new(variables("RIVERWATTS_STORE_MAX_BYTES", "99999999"), Vec::new());
    assert_eq!(parse(text, "edge.toml", Path::new(""), &overrides).unwrap().store.max_bytes, 99_999_999);
}

#[test]
fn mistakes_of_the_layers_above_are_named_by_their_layer() {
    let variables = [("RIVERWATTS_STORE_FLUSH", "soon"), ("RIVERWATTS_PANEL_LISTN", "x"), ("RIVERWATTS_DEMO", "1")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let overrides = Overrides::new(variables, vec![("panel.lisen".to_owned(), "x".to_owned())]);
    let problems = parse("", "edge.toml", Path::new(""), &overrides).unwrap_err();
    let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told.iter().any(|told| told.starts_with("environment: RIVERWATTS_STORE_FLUSH: `soon` is no duration")));
    assert!(told.iter().any(|told| told.starts_with("environment: RIVERWATTS_PANEL_LISTN: means nothing")
        && told.ends_with("did you mean `panel.listen`?")));
    assert!(told.iter().any(|told| told.starts_with("arguments: --set panel.lisen: means nothing")));
}

#[test]
fn each_mistake_has_its_line_and_key() {
    let bus = "[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"10.0.0.1\"\n";
    let device = "[[device]]\nid = \"a\"\nbus = \"lan\"\nprofile = \"eastron-sdm630\"\nunit = 1\n";
    for (text, expected) in [
        ("[site\n", ":1: "),
        ("site = 3\n", ":1: site: must be a table"),
        ("\n[stor]\n", ":2: stor: means nothing here; did you mean `store`?"),
        ("[site]\nkey = \"My Site\"\n", ":2: site.key: `My Site` is no id"),
        ("[site]\ntimezone = \"Alaska\"\n", ":2: site.timezone: `Alaska` is no time zone"),
        ("[store]\nflush = 10\n", ":2: store.flush: is integer, not a text; write a duration"),
        ("[store]\nflush = \"10\"\n", ":2: store.flush: `10` is no duration"),
        ("[store]\nflush = \"1ms\"\n", ":2: store.flush: 1ms is out of range"),
        ("[store]\nmax_bytes = 5\n", ":2: store.max_bytes: 5 is out of range"),
        ("[upload]\nmetered = \"yes\"\n", ":2: upload.metered: is neither true nor false"),
        ("[upload]\nplan_day = 29\n", ":2: upload.plan_day: 29 is out of range"),
        ("[upload]\nbacklog_hours = \"night\"\n", ":2: upload.backlog_hours: must be a list of texts"),
        ("[upload]\nbacklog_hours = [\"6-7\"]\n", ":2: upload.backlog_hours: `6-7` is no span of a day"),
        ("[cloud]\nurl = \"cloud.example\"\n", ":2: cloud.url: `cloud.example` is no address of a cloud"),
        ("[panel]\nlisten = \"8080\"\n", ":2: panel.listen: `8080` is no address to listen at"),
        ("[panel]\nhosts = [\"a.example:80\"]\n", ":2: panel.hosts: `a.example:80` is no name of a host"),
        ("[panel]\nlisen = \"\"\n", ":2: panel.lisen: means nothing here; did you mean `listen`?"),
        ("[[bus]]\nkind = \"tcp\"\naddress = \"x\"\n", ":1: bus[0].id: is missing"),
        ("[[bus]]\nid = \"a\"\n", ":1: bus.a.kind: is missing"),
        ("[[bus]]\nid = \"a\"\nkind = \"udp\"\n", ":3: bus.a.kind: `udp` is no kind of bus"),
        ("[[bus]]\nid = \"a\"\nkind = \"tcp\"\n", ":1: bus.a.address: is missing"),
        ("[[bus]]\nid = \"a\"\nkind = \"tcp\"\naddress = \"a:b\"\n", ":4: bus.a.address: `a:b` is no address"),
        ("[[bus]]\nid = \"a\"\nkind = \"tcp\"\naddress = \"x\"\nbaud = 9600\n", ":5: bus.a.baud: means nothing here"),
        ("[[bus]]\nid = \"a\"\nkind = \"rtu\"\nport = \"/dev/x\"\nparity = \"mark\"\n", ":5: bus.a.parity: `mark`"),
        ("[[bus]]\nid = \"a\"\nkind = \"rtu\"\n", ":1: bus.a.port: is missing"),
        (&format!("{bus}{bus}"), ":6: bus.lan.id: bus `lan` is there twice"),
        (&format!("{bus}{bus}"), ":8: bus.lan.address: `10.0.0.1:502` belongs to bus `lan` already"),
        (&device.replace("lan", "lam"), ":3: device.a.bus: there is no bus `lam`; remove it"),
        (
            &format!("{bus}{}", device.replace("lan", "lam")),
            ":7: device.a.bus: there is no bus `lam`; did you mean `lan`?",
        ),
        (
            &format!("{bus}{}", device.replace("sdm630", "sdm63")),
            ":8: device.a.profile: there is no profile `eastron-sdm63`; did you mean `eastron-sdm630`?",
        ),
        (&format!("{bus}{device}{device}"), ":11: device.a.id: device `a` is there twice"),
        (
            &format!("{bus}{device}{}", device.replace("\"a\"", "\"b\"")),
            ":14: device.b.unit: unit 1 of bus `lan` is there twice",
        ),
        (&format!("{bus}{}", device.replace("unit = 1", "unit = 256")), ":9: device.a.unit: 256 is out of range"),
        (&format!("{bus}{device}priority = \"top\"\n"), ":10: device.a.priority: `top` is no priority; write \"high\""),
        (&format!("{bus}{device}retries = 4\n"), ":10: device.a.retries: 4 is out of range"),
        (&format!("{bus}{device}timeout = \"5m\"\n"), ":10: device.a.timeout: 5m is out of range"),
        (&format!("{bus}{device}slow_interval = \"500ms\"\n"), ":10: device.a.slow_interval: 500ms is out of range"),
        (
            "[[bus]]\nid = \"a\"\nkind = \"rtu\"\nport = \"/dev/x\"\nrs485_rts = \"on\"\n",
            ":5: bus.a.rs485_rts: is no use of RTS",
        ),
        (&format!("{bus}{}", device.replace("\"a\"", "\"status\"")), ":6: device.status.id: `status` is no device id"),
        (
            &format!("{bus}{device}intervall = \"1s\"\n"),
            ":10: device.a.intervall: means nothing here; did you mean `interval`?",
        ),
        (
            &format!("{bus}{device}rated = {{ power = 3 }}\n"),
            ":10: device.a.rated.power: means nothing here; did you mean `power_w`?",
        ),
    ] {
        let found = problems(text);
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{text}\nexpected {expected}\nfound {found:#?}"
        );
    }
}

#[test]
fn a_serial_bus_has_247_units_and_a_socket_all() {
    let site = SITE.replace("unit = 4", "unit = 248").replace("unit = 3", "unit = 255");
    assert_eq!(problems(&site).len(), 1);
}

#[test]
fn all_mistakes_are_told_at_once_in_order_of_line() {
    let text = "[store]\nflush = \"never\"\n\n[panel]\nlisten = 1\nport = 2\n\n[[device]]\nid = \"a\"\n";
    let lines: Vec<Option<usize>> = read(text).unwrap_err().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(2), Some(5), Some(6), Some(8), Some(8), Some(8)]);
}

#[test]
fn a_profile_of_the_site_wins_and_its_mistakes_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let own = riverwatts_shared::profile::builtin("eastron-sdm630").unwrap().replacen("manufacturer", "maker", 1);
    std::fs::write(folder.path().join("eastron-sdm630.toml"), own).unwrap();
    let two = SITE.replace("banner-qm42vt2", "eastron-sdm630");
    let text = format!("profiles = [\".\"]\n{two}");
    let problems = parse(&text, "edge.toml", folder.path(), &Overrides::default()).unwrap_err();
    assert!(!problems.is_empty());
    assert!(problems.iter().all(|problem| problem.file.ends_with("/eastron-sdm630.toml")), "{problems:#?}");
    let mut unique = problems.clone();
    unique.dedup();
    assert_eq!(unique, problems);
}

#[test]
fn devices_that_disagree_about_the_line_need_a_word_of_the_bus() {
    let site = SITE.replace("bus = \"lan\"", "bus = \"wire\"");
    let config = read(&site.replace("quiet = \"5ms\"", "baud = 19200\nparity = \"even\"\nstop_bits = 1")).unwrap();
    let serial = config.buses[1].link.serial().unwrap();
    assert_eq!((serial.baud, serial.parity), (19_200, Parity::Even));
    assert!(problems(&site).iter().any(|problem| problem.contains("bus.wire.baud: its devices leave the factory")));
}

#[test]
fn a_file_that_is_not_there_is_a_problem_with_a_remedy() {
    let problems = load(Path::new("/nonexistent/edge.toml"), &Overrides::default()).unwrap_err();
    assert!(problems[0].remedy.contains("default-config"));
}

#[test]
fn a_mistake_in_what_is_opened_for_writing_is_told_where_it_stands() {
    let site = "[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"10.0.0.1\"\n\
        [[device]]\nid = \"relay-1\"\nbus = \"lan\"\nprofile = \"waveshare-relay-8ch\"\n\
        writes = [\"relay_1\"]\n[[device.interlock]]\nwrites = [\"relay_1\"]\n\
        device = \"meter-1\"\nmetric = \"power_output_kw\"\nat_most = 0.5\n\
        [[device]]\nid = \"meter-1\"\nbus = \"lan\"\nprofile = \"eastron-sdm630\"\n";
    let config = read(site).unwrap();
    let [opened] = &config.devices[0].writes[..] else { panic!("one") };
    assert_eq!((opened.write, opened.always), (0, false));
    assert_eq!((opened.interlocks[0].device, opened.interlocks[0].most), (1, Some(500_000)));
    for (from, to, expected) in [
        (
            "[\"relay_1\"]\n[[",
            "[\"rely_1\"]\n[[",
            ":9: device.relay-1.writes: profile waveshare-relay-8ch has no write `rely_1`; did you mean `relay_1`?",
        ),
        ("[\"relay_1\"]\n[[", "\"relay_1\"\n[[", ":9: device.relay-1.writes: must be a list of texts"),
        ("[\"relay_1\"]\n[[", "[\"relay_1\", \"relay_1\"]\n[[", ":9: device.relay-1.writes: `relay_1` is there twice"),
        (
            "[\"relay_1\"]\n[[",
            "[\"relay_1\", \"relay_2\"]\n[[",
            ":9: device.relay-1.writes: `relay_2` has no interlock; add [[device.interlock]] with writes = [\"relay_2\"]",
        ),
        (
            "writes = [\"relay_1\"]\ndevice",
            "writes = [\"relay_2\"]\ndevice",
            ":11: device.relay-1.interlock[0].writes: `relay_2` is not among the writes of this device",
        ),
        ("writes = [\"relay_1\"]\ndevice", "device", ":10: device.relay-1.interlock[0].writes: is missing"),
        (
            "\"meter-1\"\nmetric",
            "\"meter-2\"\nmetric",
            ":12: device.relay-1.interlock[0].device: there is no device `meter-2`; did you mean `meter-1`?",
        ),
        ("power_output_kw", "power_outputkw", ":13: device.relay-1.interlock[0].metric: "),
        (
            "power_output_kw",
            "rotor_rpm",
            ":13: device.relay-1.interlock[0].metric: `meter-1` brings no rotor_rpm with every poll",
        ),
        ("at_most = 0.5", "at_most = \"low\"", ":14: device.relay-1.interlock[0].at_most: is no number"),
        (
            "at_most = 0.5",
            "at_least = 1\nat_most = 0.5",
            ":15: device.relay-1.interlock[0].at_most: lies below at_least",
        ),
        ("at_most = 0.5\n", "", ":12: device.relay-1.interlock[0].device: needs a device, a metric and a limit"),
        (
            "at_most = 0.5",
            "always = true",
            ":12: device.relay-1.interlock[0].device: needs a device, a metric and a limit",
        ),
        ("at_most = 0.5", "below = 0.5", ":14: device.relay-1.interlock[0].below: means nothing here"),
        (
            "[[device]]\nid = \"meter-1\"",
            "[[device.interlock]]\nwrites = [\"relay_1\"]\nalways = true\n[[device]]\nid = \"meter-1\"",
            ":10: device.relay-1.interlock: `relay_1` has an interlock and one that says always",
        ),
        (
            "\"eastron-sdm630\"\n",
            "\"eastron-sdm630\"\ninterval = \"31s\"\n",
            ":12: device.relay-1.interlock[0].device: `meter-1` is polled every 31s, too seldom",
        ),
        (
            "\"eastron-sdm630\"\n",
            "\"eastron-sdm630\"\nwrites = [\"speed\"]\n",
            ":19: device.meter-1.writes: profile eastron-sdm630 writes nothing",
        ),
    ] {
        assert!(site.contains(from), "{from}");
        let found = problems(&site.replacen(from, to, 1));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "expected {expected}\nfound {found:#?}");
    }
    let always = site.replace("device = \"meter-1\"\nmetric = \"power_output_kw\"\nat_most = 0.5", "always = true");
    assert!(read(&always).unwrap().devices[0].writes[0].always);
}
