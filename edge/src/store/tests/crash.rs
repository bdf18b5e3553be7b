//! Whatever happens in whatever order, and wherever it is cut: nothing lost, nothing twice.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;

/// What happens to a store.
#[derive(Debug, Clone)]
enum Step {
    Flush { a: u8, b: u8 },
    Send { lane: Lane, units: usize, outcome: Outcome },
    Seal,
    Kill,
    Stop,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Settled,
    AWaits,
    Lost,
    /// No answer before something else happens.
    Open,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Settled),
        1 => Just(Outcome::AWaits),
        1 => Just(Outcome::Lost),
        1 => Just(Outcome::Open),
    ];
    let lane = prop_oneof![2 => Just(Lane::Live), 1 => Just(Lane::Newest), 3 => Just(Lane::Backlog)];
    prop_oneof![
        4 => (0u8..4, 0u8..3).prop_map(|(a, b)| Step::Flush { a, b }),
        3 => (lane, 1usize..6, outcome).prop_map(|(lane, units, outcome)| Step::Send { lane, units, outcome }),
        1 => Just(Step::Seal),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
    ]
}

/// What the store must know.
#[derive(Debug, Default)]
struct Model {
    now: i64,
    stored: BTreeSet<(String, i64)>,
    settled: BTreeSet<(String, i64)>,
    kills: usize,
}

impl Model {
    fn flush(&mut self, a: u8, b: u8) -> Flush {
        let mut take = |key: &str, count: u8| {
            let times: Vec<i64> = (0..count)
                .map(|_| {
                    self.now += 1;
                    T + self.now
                })
                .collect();
            self.stored.extend(times.iter().map(|&ms| (key.to_owned(), ms)));
            times
        };
        let (a, b) = (take("a", a), take("b", b));
        let parts = [(0, a), (1, b)].into_iter().filter(|(_, times)| !times.is_empty());
        let segments = parts.map(|(place, times)| (place, segment(&times)));
        Flush { dated: true, segments: segments.collect(), ..Flush::default() }
    }

    fn check(&self, file: &StoreFile) -> Result<(), TestCaseError> {
        let name = |device: i64| file.devices[&device].key.clone();
        let found = contents(file);
        let there: Vec<(String, i64)> = found.iter().map(|&(device, ms, _)| (name(device), ms)).collect();
        let mut expected: Vec<_> = self.stored.iter().cloned().collect();
        let mut sorted = there.clone();
        sorted.sort();
        expected.sort();
        prop_assert_eq!(sorted, expected, "nothing lost, nothing twice");
        for &(device, ms, settled) in &found {
            let told = self.settled.contains(&(name(device), ms));
            prop_assert!(told || !settled, "settled without a receipt: {} {}", name(device), ms - T);
        }
        let open = found.iter().filter(|(.., settled)| !settled).count() as u64;
        // Segments of receipts that are not written yet still look unsettled here.
        if file.receipts.is_empty() {
            prop_assert_eq!(file.backlog, open);
            prop_assert_eq!(file.backlog, file.count_backlog().unwrap());
        }
        Ok(())
    }
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Model::default();
    let mut file = open(folder.path());
    let mut on_its_way: BTreeSet<(String, i64)> = BTreeSet::new();
    for step in steps {
        match step {
            Step::Flush { a, b } => {
                let flush = model.flush(*a, *b);
                file.commit(Some(&flush)).unwrap();
            }
            Step::Send { lane, units, outcome } => {
                let limits = Limits { units: *units, ..ALL };
                let Some(outgoing) = file.take(*lane, limits).unwrap() else { continue };
                let sent: BTreeSet<(String, i64)> = times(&items(&outgoing))
                    .into_iter()
                    .flat_map(|(key, times)| times.into_iter().map(move |ms| (key.clone(), ms)))
                    .collect();
                prop_assert!(sent.is_disjoint(&on_its_way), "in two lanes");
                prop_assert!(sent.is_disjoint(&model.settled), "sent again after its receipt");
                let kept: BTreeSet<String> = match outcome {
                    Outcome::AWaits => ["a".to_owned()].into(),
                    _ => BTreeSet::new(),
                };
                match outcome {
                    Outcome::Lost => file.release(&outgoing.cargo),
                    Outcome::Open => on_its_way.extend(sent),
                    Outcome::Settled | Outcome::AWaits => {
                        model.settled.extend(sent.into_iter().filter(|(key, _)| !kept.contains(key)));
                        file.settle(outgoing.cargo, Settlement { kept, ..Settlement::default() }, Duration::ZERO)
                            .unwrap();
                    }
                }
            }
            Step::Seal => file.seal(Duration::ZERO).unwrap(),
            Step::Kill | Step::Stop => {
                match step {
                    Step::Stop => file.close().unwrap(),
                    _ => {
                        model.kills += 1;
                        drop(file);
                    }
                }
                file = open(folder.path());
                on_its_way.clear();
                // Receipts since the last commit are lost with a kill, which the cloud sees.
                let known = contents(&file).into_iter().filter(|(.., settled)| *settled);
                let known: BTreeSet<_> = known.map(|(device, ms, _)| (file.devices[&device].key.clone(), ms)).collect();
                prop_assert!(known.is_subset(&model.settled));
                if matches!(step, Step::Stop) {
                    prop_assert_eq!(&known, &model.settled, "a clean stop forgets nothing");
                }
                model.settled = known;
            }
        }
        model.check(&file)?;
    }
    let gaps: i64 = file.connection.query_row("select count(*) from gaps", [], |row| row.get(0)).unwrap();
    prop_assert!(gaps as usize <= 2 * model.kills, "{gaps} gaps after {} kills", model.kills);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_is_twice(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps)?;
    }

    /// A power cut leaves the log of commits cut anywhere.
    #[test]
    fn a_log_that_was_cut_loses_only_its_end(flushes in prop::collection::vec((0u8..4, 1u8..3), 1..20), cut: prop::sample::Index) {
        let folder = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut file = open(folder.path());
        let mut sizes = Vec::new();
        for (a, b) in flushes {
            let flush = model.flush(a, b);
            sizes.push(flush.rows() as usize);
            file.commit(Some(&flush)).unwrap();
        }
        let copy = tempfile::tempdir().unwrap();
        for name in [open::FILE.to_owned(), format!("{}-wal", open::FILE)] {
            fs::copy(folder.path().join(&name), copy.path().join(&name)).unwrap();
        }
        let log = copy.path().join(format!("{}-wal", open::FILE));
        let length = fs::metadata(&log).unwrap().len();
        fs::File::options().write(true).open(&log).unwrap().set_len(cut.index(length as usize) as u64).unwrap();
        let file = open(copy.path());
        let there = contents(&file).len();
        let mut whole = vec![0];
        sizes.iter().for_each(|size| whole.push(whole[whole.len() - 1] + size));
        prop_assert!(whole.contains(&there), "{there} readings of flushes {sizes:?}");
    }
}
