//! What may be written, and what it takes.

use std::time::Duration;

use riverwatts_shared::profile::{Access, Key, Write, builtin_names};

use super::{profile, with};

const AREA: &str = "[[area]]\nname = \"m\"\nfunction = \"holding\"\nregisters = [
    { name = \"mode\", at = 0, type = \"u16\", metric = \"x_mode\" },
    { name = \"serial\", at = 28672, type = \"u32\", identity = \"serial_number\" }]\n";

fn writes(text: &str) -> Vec<Write> {
    with(&format!("{AREA}{text}")).writes
}

#[test]
fn req_27_what_may_be_written_is_named_and_without_a_name_nothing_is() {
    assert!(writes("").is_empty());
    let open: Vec<_> = builtin_names().filter(|name| !profile(name).writes.is_empty()).collect();
    assert_eq!(open, ["deepsea-73xx", "deepsea-gencomm", "waveshare-relay-8ch"]);
    let both = writes(
        "[[write]]\nname = \"a\"\nfunction = \"register\"\nat = 0\nrange = [0, 9]\n
         [[write]]\nname = \"b\"\nfunction = \"register\"\nat = 1\naccess = \"wo\"\nrange = [0, 9]\nread_back = { register = \"m.mode\" }",
    );
    assert_eq!(both.iter().map(|write| write.access).collect::<Vec<_>>(), [Access::ReadWrite, Access::WriteOnly]);
    assert_eq!(
        both.iter().map(|write| (write.shows.at, write.within)).collect::<Vec<_>>(),
        [(0, Duration::from_secs(1)); 2]
    );
}

#[test]
fn req_28_a_write_may_need_a_key_a_pair_a_refresh_or_a_number_of_its_own() {
    // MidNite: the serial number unlocks, for as long as the connection lives.
    let unlocked = writes(
        "[[write]]\nname = \"mode\"\nfunction = \"register\"\nat = 4163\nvalues = [{ name = \"hydro\", raw = 13 }]
         unlock = [{ function = \"registers\", at = 20491, register = \"m.serial\" }]",
    );
    let unlock = &unlocked[0].unlock[0];
    assert!(matches!(&unlock.with, Key::Copy(serial) if serial.at == 28_672 && serial.count == 2));
    assert_eq!((unlock.target.function.code(), unlock.target.at), (16, 20_491));
    // EM24: a number in one register enables others.
    let enabled = writes(
        "[[write]]\nname = \"wiring\"\nfunction = \"register\"\nat = 4098\nrange = [0, 4]
         unlock = [{ function = \"register\", at = 40960, raw = 7 }]",
    );
    assert_eq!(enabled[0].unlock[0].with, Key::Raw(7));
    // GenComm: a key and its complement; the mode shows what it did.
    let gencomm = profile("deepsea-gencomm");
    let mode = &gencomm.writes[0];
    let auto = mode.accept("auto").unwrap();
    assert_eq!((mode.target.function.code(), mode.target.at), (16, 4_104));
    assert_eq!((&auto.words[..], auto.reads, mode.shows.at), (&[35_701, 29_834][..], 1, 772));
    // SMA: falls back unless it is written again.
    let held = writes(
        "[[write]]\nname = \"control\"\nfunction = \"registers\"\nat = 40151\ntype = \"u32\"\naccess = \"wo\"\nrefresh = \"60s\"
         values = [{ name = \"inactive\", raw = 803, reads = 0 }]\nread_back = { register = \"m.mode\" }",
    );
    assert_eq!(
        (held[0].refresh, held[0].accept("inactive").unwrap().words),
        (Some(Duration::from_secs(60)), vec![0, 803])
    );
    // Waveshare: function code 5 with a time for a number.
    let waveshare = profile("waveshare-relay-8ch");
    let pulse = waveshare.writes.iter().find(|write| write.name == "pulse_8").unwrap();
    let half = pulse.accept("0.5").unwrap();
    assert_eq!((pulse.target.function.code(), pulse.target.at, &half.words[..]), (5, 519, &[5][..]));
    assert_eq!((half.reads, pulse.shows.at), (1, 7));
    // Only while the device itself is in the right state.
    let guarded = writes(
        "[[write]]\nname = \"a\"\nfunction = \"register\"\nat = 0\nrange = [0, 9]\nallowed_when = [{ register = \"m.mode\", is = [2] }]",
    );
    assert!(guarded[0].allowed_when[0].test.passes(2) && !guarded[0].allowed_when[0].test.passes(1));
}

#[test]
fn req_29_a_side_effect_is_told_to_who_opens_a_write() {
    let told = writes(
        "[[write]]\nname = \"limit\"\nfunction = \"register\"\nat = 89\nrange = [0, 9]\nwarns = \"raises the fault `custom settings` until a reset\"",
    );
    assert_eq!(told[0].warns.as_deref(), Some("raises the fault `custom settings` until a reset"));
    let waveshare = profile("waveshare-relay-8ch");
    assert!(waveshare.writes.iter().all(|write| write.warns.is_some()));
}
