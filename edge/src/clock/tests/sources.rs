//! Who is believed when clocks disagree.

use super::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A word of a source: when, and how far it is from the right time, in ms.
type Word = (Source, i64, i64);

fn say(keeper: &mut Timekeeper, (source, ms, off): Word) {
    let wall = UtcMs(T + ms + off);
    match source {
        Source::TimeServer => keeper.observe_synchronised(wall, at(ms)),
        // The machine's own clock is in 1970, and the answer took no time.
        Source::Cloud => keeper.observe_date(UtcMs(wall.0 - 500), UtcMs(0), at(ms), at(ms)),
        Source::Person => drop(keeper.observe_confirmed(wall, at(ms))),
        Source::Device => keeper.observe_device(wall, Duration::from_secs(60), at(ms)),
    }
}

/// How far off the time is after these words, and who is not believed.
fn check(words: &[Word], off: i64, distrusted: Option<Source>) {
    let mut keeper = keeper(None);
    for word in words {
        say(&mut keeper, *word);
    }
    let now = words.iter().map(|(_, ms, _)| *ms).max().unwrap();
    let found = (time(&keeper, now).map(|time| time - T - now), keeper.distrust().map(|(source, _)| source));
    assert_eq!(found, (Some(off), distrusted), "{words:?}");
}

#[test]
fn every_source_dates_a_boot_alone() {
    for (source, uncertainty_s) in
        [(Source::TimeServer, 0), (Source::Cloud, 0), (Source::Person, 2), (Source::Device, 60)]
    {
        let mut keeper = keeper(None);
        say(&mut keeper, (source, 1_000, 0));
        assert_eq!((time(&keeper, 1_000), keeper.source()), (Some(T + 1_000), Some(source)));
        assert_eq!(doubt(&keeper, 1_000), (uncertainty_s, Quality::Ok));
    }
}

#[test]
fn a_better_source_corrects_a_worse_one_and_not_the_other_way_round() {
    use Source::{Cloud, Device, Person, TimeServer};
    // About seconds the time server knows best, then the cloud, a person, a device.
    check(&[(Device, 0, 0), (Person, 10, 90_000), (Cloud, 20, 180_000), (TimeServer, 30, 300_000)], 300_000, None);
    check(&[(TimeServer, 0, 0), (Cloud, 10, 30_000)], 0, Some(Cloud));
    check(&[(Cloud, 0, 0), (Person, 10, 30_000)], 0, Some(Person));
    check(&[(Person, 0, 0), (Device, 10, 300_000)], 0, Some(Device));
    // About hours the cloud does: it would refuse what is ahead of it.
    check(&[(TimeServer, 0, 0), (Cloud, 10, HOUR)], HOUR, None);
    check(&[(Cloud, 0, 0), (TimeServer, 10, HOUR)], 0, Some(TimeServer));
}

#[test]
fn a_worse_word_that_agrees_moves_nothing_and_a_better_one_narrows() {
    use Source::{Cloud, Device, Person};
    check(&[(Cloud, 0, 0), (Person, 10, 1_900), (Device, 20, -50_000)], 0, None);
    let mut keeper = keeper(None);
    say(&mut keeper, (Device, 0, -40_000));
    assert_eq!(doubt(&keeper, 0).0, 60);
    // The device allows up to 20 s, the person from 16.5 s on.
    say(&mut keeper, (Person, 10, 18_500));
    assert_eq!((time(&keeper, 10), doubt(&keeper, 10).0), (Some(T + 10 + 18_250), 2), "what is left of both");
    assert_eq!(keeper.source(), Some(Person));
}

#[test]
fn what_a_better_source_said_long_ago_holds_as_well_as_the_oscillator_does() {
    use Source::{Cloud, Person};
    // 30 s are more than an hour's drift, and less than a month's.
    check(&[(Cloud, 0, 0), (Person, HOUR, 30_000)], 0, Some(Person));
    let mut keeper = keeper(None);
    say(&mut keeper, (Cloud, 0, 0));
    assert_eq!(doubt(&keeper, 30 * DAY).0, 260, "100 ppm of 30 days");
    say(&mut keeper, (Person, 30 * DAY, 30_000));
    assert_eq!(time(&keeper, 30 * DAY), Some(T + 30 * DAY + 30_000));
    assert_eq!((doubt(&keeper, 30 * DAY).0, keeper.distrust()), (2, None));
}

#[test]
fn a_clock_gone_wild_is_not_followed_into_the_future() {
    use Source::{Cloud, Device, Person, TimeServer};
    const YEARS: i64 = 3_650 * DAY;
    for wild in [TimeServer, Device] {
        check(&[(wild, 0, 0), (wild, 10, YEARS)], 0, Some(wild));
        check(&[(Cloud, 0, 0), (wild, 10, YEARS)], 0, Some(wild));
    }
    // Not even the cloud, while a time server or a person speaks against it.
    for other in [TimeServer, Person] {
        check(&[(other, 0, 0), (Cloud, 10, YEARS)], 0, Some(Cloud));
    }
    // Two that say the same are believed: the first was the wrong one.
    check(&[(TimeServer, 0, 0), (Cloud, 10, YEARS), (TimeServer, 20, YEARS)], YEARS, Some(Cloud));
    check(&[(Device, 0, 0), (TimeServer, 10, YEARS), (Person, 20, YEARS)], YEARS, Some(TimeServer));
}

#[test]
fn a_start_waits_an_hour_for_somebody_to_confirm_that_years_have_passed() {
    let start = || {
        let mut keeper = keeper(Some(T));
        say(&mut keeper, (Source::TimeServer, 0, 400 * DAY));
        assert_eq!(time(&keeper, 0), None);
        assert!(matches!(keeper.distrust(), Some((Source::TimeServer, Distrust::FarAhead { .. }))));
        keeper
    };
    let mut confirmed = start();
    say(&mut confirmed, (Source::Person, 60_000, 400 * DAY));
    assert_eq!(time(&confirmed, 60_000), Some(T + 60_000 + 400 * DAY));
    let mut refuted = start();
    say(&mut refuted, (Source::Cloud, 60_000, 0));
    assert_eq!(time(&refuted, 60_000), Some(T + 60_000));
    let mut alone = start();
    say(&mut alone, (Source::TimeServer, HOUR - 1, 400 * DAY));
    assert_eq!(time(&alone, 0), None);
    say(&mut alone, (Source::TimeServer, HOUR, 400 * DAY));
    assert_eq!((time(&alone, HOUR), alone.distrust()), (Some(T + HOUR + 400 * DAY), None));
}

#[test]
fn a_technician_is_told_why_not() {
    let mut keeper = keeper(Some(T));
    let said =
        |keeper: &mut Timekeeper, off| keeper.observe_confirmed(UtcMs(T + off), at(0)).map_err(|why| why.to_string());
    assert_eq!(
        said(&mut keeper, -HOUR).unwrap_err(),
        "the clock is 3598 s behind the newest stored reading, or the making of this program"
    );
    say(&mut keeper, (Source::Cloud, 0, 0));
    assert_eq!(said(&mut keeper, 30_000).unwrap_err(), "the cloud says a time that is 30 s earlier");
    assert_eq!(said(&mut keeper, -30_000).unwrap_err(), "the cloud says a time that is 30 s later");
    assert_eq!(said(&mut keeper, 1_000), Ok(()));
}

#[test]
fn what_the_store_knows_follows_small_corrections_too() {
    let mut keeper = keeper(None);
    say(&mut keeper, (Source::TimeServer, 0, 0));
    assert!(keeper.take_news().is_some());
    for n in 1..=4 {
        say(&mut keeper, (Source::TimeServer, n * HOUR, n * 125));
    }
    let news = keeper.take_news().unwrap();
    assert_eq!((news.anchor.offset_ms, news.anchor.at_ms, news.jumps.len()), (T + 500, 4 * HOUR, 0));
    let mut again = Timekeeper::new(Some(news.anchor), None, at(5 * DAY));
    assert_eq!(doubt(&again, 5 * DAY).0, 43, "and knows how old it is");
    say(&mut again, (Source::Device, 5 * DAY, 3 * HOUR));
    assert!(matches!(again.distrust(), Some((Source::Device, Distrust::Contradicted { by: Source::TimeServer, .. }))));
}
