use proptest::prelude::*;

use super::*;

fn bytes_of(values: &[i64]) -> Vec<u8> {
    let mut writer = Writer::default();
    encode(values, &mut writer);
    writer.into_bytes()
}

/// Encodes and decodes; gives the coder that was taken, and the size.
fn check(values: &[i64]) -> (u8, usize) {
    let bytes = bytes_of(values);
    let mut reader = Reader::new(&bytes);
    assert_eq!(decode(&mut reader, values.len()).as_deref(), Ok(values));
    assert!(reader.is_empty(), "{values:?}");
    (bytes[0] >> 4, bytes.len())
}

/// The values in one coder, whether it is the best or not.
fn check_with(model: Model, values: &[i64]) {
    let mut writer = Writer::default();
    Candidate::new(model, values).write(values[0], &mut writer);
    let bytes = writer.into_bytes();
    let mut reader = Reader::new(&bytes);
    assert_eq!(decode(&mut reader, values.len()).as_deref(), Ok(values), "{model:?}");
    assert!(reader.is_empty(), "{model:?} {values:?}");
}

/// Chance that repeats, below `limit`.
fn noise(state: &mut u64, limit: i64) -> i64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as i64 % limit
}

#[test]
fn values_come_back() {
    for values in [
        &[0][..],
        &[i64::MIN],
        &[7, 7, 7, 7],
        &[i64::MIN, i64::MAX, 0, -1, i64::MIN],
        &[1, 2, 3, 4, 5, 6, 1_000_000, 7],
        &[0, 1 << 62, -(1 << 62), 3],
        &[5, 4],
        &[0, 23, 0, 24, 0, 25],
        &[i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX],
        &[0, 9_000_000_000_000_000_000, 9_100_000_000_000_000_000, 9_200_000_000_000_000_000],
    ] {
        check(values);
    }
}

#[test]
fn each_kind_of_column_has_its_coder() {
    let state = &mut 1;
    let still: Vec<i64> = (0..600).map(|_| 500 + noise(state, 5) + noise(state, 5)).collect();
    let (coder, bytes) = check(&still);
    assert!((4..=6).contains(&coder) && bytes < 260, "noise on a level: {coder}, {bytes}");

    let counter: Vec<i64> = (0..600).map(|i| 7 * i).collect();
    assert_eq!(check(&counter), (2, 78), "a steady counter");

    let mut place = 0;
    let walk: Vec<i64> = (0..600)
        .map(|_| {
            place += noise(state, 41) - 20;
            place
        })
        .collect();
    assert_eq!(check(&walk).0, 1, "a walk");

    let (mut value, mut step) = (0, 0);
    let swing: Vec<i64> = (0..600)
        .map(|_| {
            step = step * 3 / 5 - value / 50 + noise(state, 61) - 30;
            value += step;
            value
        })
        .collect();
    assert_eq!(check(&swing).0, 8, "a swing");

    let mut times: Vec<i64> = (0..600).map(|i| 1_795_508_130_250 + i * 1_000 + noise(state, 4)).collect();
    let (coder, bytes) = check(&times);
    assert!(coder == 7 && bytes < 220, "polls: {coder}, {bytes}");
    // One late by far, two missed, the first one late: still on the grid.
    times[100] += 400;
    times.drain(300..302);
    times[0] += 300;
    let (coder, bytes) = check(&times);
    assert!(coder == 7 && bytes < 260, "polls that were disturbed: {coder}, {bytes}");
}

#[test]
fn regular_times_cost_almost_nothing() {
    let times: Vec<i64> = (0..600).map(|i| 1_795_508_130_250 + i * 1_000).collect();
    assert!(check(&times).1 < 90, "{:?}", check(&times));
}

#[test]
fn what_is_not_there_takes_no_memory() {
    let bytes = bytes_of(&[1, 2, 4, 8]);
    assert_eq!(decode(&mut Reader::new(&bytes), 65_536), Err(Malformed::Truncated("coded integers")));
}

#[test]
fn what_means_nothing_is_refused() {
    for (bytes, what) in
        [(&[0x90, 0, 0][..], "coder"), (&[0x70, 0, 0, 0, 0], "grid"), (&[0x20, 0, 2], "coder of a column with one row")]
    {
        assert_eq!(decode(&mut Reader::new(bytes), 1), Err(Malformed::Invalid(what)));
    }
    let k = Malformed::TooLarge { what: "Rice parameter", found: 57, max: 56 };
    assert_eq!(decode(&mut Reader::new(&[0x1f, 57, 0, 0]), 2), Err(k));
    assert_eq!(decode_v1(&mut Reader::new(&[3, 0, 0, 0]), 2), Err(Malformed::Invalid("coder")));
}

/// What the program wrote that had coders 0 to 2 only.
#[test]
fn blocks_of_version_1_are_read() {
    for (bytes, values) in [
        (&[0, 14][..], &[7, 7, 7][..]),
        (&[1, 0xf6, 0x01, 1, 0x59], &[123, 124, 121]),
        (&[2, 0xf6, 0x01, 2, 0, 0b0100], &[123, 124, 125, 126, 126]),
    ] {
        let mut reader = Reader::new(bytes);
        assert_eq!(decode_v1(&mut reader, values.len()).as_deref(), Ok(values));
    }
}

/// Values that tell the models apart, in the order of the coders from 1 on.
const TOLD_APART: [i64; 20] = [
    1_000, 2_003, 3_001, 4_002, 7_000, 8_400, 9_001, 9_999, 11_002, 12_000, 13_001, 14_444, 14_999, 16_003, 17_001,
    18_002, 19_001, 19_999, 21_006, 22_000,
];

fn every_model() -> impl Iterator<Item = Model> {
    let levels = (1..=4).map(|shift| Model::Level { shift });
    let grid = Model::Grid { step: 1_000, off: -1 };
    [Model::Last, Model::Step(1_003)].into_iter().chain(levels).chain([grid, Model::Steps(19, -7)])
}

/// Bytes that were written once are read for ever: the arithmetic of a coder never changes.
#[test]
fn blocks_of_every_coder_stay_readable() {
    for (model, hex) in every_model().zip([
        "1bd00fac8ff9a43fb6072fb2c47cd6c77cd2cf68ac08fb984ffa9c8ff9bc8ff8",
        "29d00fd60f1230f0a7f9b7e77aa49102091888eebd4bb0050c182000093200",
        "3cd00fac8fed72ed843c094d3752855480f813fe50867a6376328fed113ec747fa2c1f",
        "4cd00fac8fed12fd99cc986aaa3026180484fdd1fe1826500fda43f7003e87cfe273f9501e",
        "5dd00fac0fdb45f465327238f994704f962a8816d0cb930626639fe9d4cc6c6637231c478e3703",
        "6dd00fac0fdb45f465327238f994704f962ad4163a8cf7e67613d859faf188999751a579b2613e",
        "78d00fe80701080010f8fff33c0f000608080070760610002000c0000501",
        "8ad00f13f9598fe4d0f9f81014aa333b1ed22674668552e23d0b42276f0227796206",
    ]) {
        let mut writer = Writer::default();
        Candidate::new(model, &TOLD_APART).write(TOLD_APART[0], &mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), hex, "{model:?}");
        assert_eq!(decode(&mut Reader::new(&bytes), TOLD_APART.len()).as_deref(), Ok(&TOLD_APART[..]));
    }
}

fn model() -> impl Strategy<Value = Model> {
    prop_oneof![
        Just(Model::Last),
        (1u32..=4).prop_map(|shift| Model::Level { shift }),
        (prop_oneof![1..5_000i64, 1..=i64::MAX], any::<i64>()).prop_map(|(step, off)| Model::Grid { step, off }),
        any::<(i8, i8)>().prop_map(|(a, b)| Model::Steps(a, b)),
    ]
}

proptest! {
    #[test]
    fn any_values_come_back(values in prop::collection::vec(any::<i64>(), 1..200)) {
        check(&values);
    }

    #[test]
    fn any_values_come_back_from_any_coder(model in model(), values in prop::collection::vec(any::<i64>(), 1..60)) {
        check_with(model, &values);
        if let [first, second, ..] = values[..] {
            check_with(Model::Step(second.wrapping_sub(first)), &values);
        }
    }

    #[test]
    fn small_steps_come_back(start: i32, steps in prop::collection::vec(-300i64..300, 1..200)) {
        let values: Vec<i64> = steps.iter().scan(i64::from(start), |sum, step| { *sum += step; Some(*sum) }).collect();
        check(&values);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), count in 1usize..1000) {
        for decode in [decode, decode_v1] {
            if let Ok(values) = decode(&mut Reader::new(&bytes), count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }
}
