use proptest::prelude::*;

use super::column::{common_divisor, divisor};
use super::*;
use crate::reading::Value;

fn metric() -> impl Strategy<Value = Metric> {
    prop_oneof![
        (1u64..40).prop_map(|number| Metric::numbered(number).unwrap()),
        (0u8..4).prop_map(|n| Metric::named(&format!("x_test_{n}")).unwrap()),
    ]
}

fn value(metric: Metric) -> impl Strategy<Value = Value> {
    let quality = (0u8..11).prop_map(|number| Quality::from_number(number).unwrap());
    (prop::option::weighted(0.9, -(1i64 << 53)..(1i64 << 53)), quality).prop_map(move |(value, quality)| {
        let quality = if value.is_none() && quality == Quality::Ok { Quality::Sentinel } else { quality };
        Value { metric, value, quality }
    })
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let values = prop::collection::btree_set(metric(), 0..6)
        .prop_flat_map(|metrics| metrics.into_iter().map(value).collect::<Vec<_>>());
    prop::collection::vec((1i64..5_000, values), 0..40).prop_map(|rows| {
        let mut time = 1_795_000_000_000;
        rows.into_iter()
            .map(|(step, values)| {
                time += step;
                Reading { time: UtcMs(time), values }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn readings_come_back_from_bytes(readings in readings()) {
        let segment = Segment::from_readings(&readings);
        let decoded = Segment::decode(&segment.encode()).unwrap();
        prop_assert_eq!(&decoded, &segment);
        let back: Vec<Reading> = (0..decoded.rows()).map(|row| decoded.reading(row)).collect();
        prop_assert_eq!(back, readings);
    }

    #[test]
    fn two_halves_make_the_whole(readings in readings(), at in 0usize..40) {
        let (before, after) = readings.split_at(at.min(readings.len()));
        let mut joined = Segment::from_readings(before);
        if !after.is_empty() {
            joined.append(&Segment::from_readings(after));
        }
        prop_assert_eq!(joined, Segment::from_readings(&readings));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Segment::decode(&bytes);
    }

    #[test]
    fn damaged_bytes_never_panic(readings in readings(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = Segment::from_readings(&readings).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = Segment::decode(&bytes);
    }
}

#[test]
fn the_divisor_gives_the_registers_integers_back() {
    assert_eq!(common_divisor(&[230_100_000, 230_300_000, -100_000]), 100_000);
    assert_eq!(common_divisor(&[0, 0]), 1);
    assert_eq!(common_divisor(&[7, 8]), 1);
}

#[test]
fn a_power_of_ten_is_the_divisor_where_another_one_does_not_pay() {
    assert_eq!(divisor(&[300_000, 600_000]), (100_000, Some(5)));
    let rows: Vec<i64> = (0..600).map(|row| row * 300_000).collect();
    assert_eq!(divisor(&rows), (300_000, None));
    assert_eq!(divisor(&[0, 0]), (1, Some(0)));
    assert_eq!(divisor(&[9_000_000_000_000_000_000]), (1_000_000_000_000_000_000, Some(18)));
}

/// As the program wrote them that had version 1.
#[test]
fn segments_of_version_1_are_read() {
    let small = Segment::decode(include_bytes!("../../../fuzz/seeds/segment/small")).unwrap();
    assert_eq!(small.times, [1_795_508_130_000, 1_795_508_131_001, 1_795_508_132_002]);
    let columns: Vec<&[i64]> = small.columns.iter().map(|column| &column.values[..]).collect();
    let power = &[12_300_000, 12_400_000, 12_700_000];
    assert_eq!(columns, [power, &[ABSENT, 20_000_001, 20_000_002], &[1_000_000, 1_000_001, 1_000_002]]);
    let qualities = Segment::decode(include_bytes!("../../../fuzz/seeds/segment/qualities")).unwrap();
    assert_eq!((qualities.rows(), qualities.columns.len()), (40, 4));
    for old in [small, qualities] {
        assert_eq!(Segment::decode(&old.encode()), Ok(old));
    }
}

#[test]
fn a_newer_version_is_named() {
    let error = Segment::decode(&[9, 0, 0, 0]).unwrap_err();
    assert_eq!(error.to_string(), "segment has version 9, this program reads up to 2");
}
