//! Scripted events to look at: what happens when, over and over, and what it does to the site.
//! A pure function of seed and time.

use clap::ValueEnum;

use crate::noise::{Noise, Stream};

/// Quiet time before each event, s, and how much the seed moves it.
const REST_S: f64 = 20.0;
const REST_MOVED_S: f64 = 5.0;
/// Share of the water's torque that is left while debris hangs in the blades, and after.
const STRUCK_SHARE: f64 = 0.3;
const STRIKE_S: f64 = 2.0;
const SHED_S: f64 = 8.0;
/// How many times as strong the housing shakes at the strike beyond what it does anyway, and how fast that goes.
const STRIKE_SHAKES: f64 = 4.0;
const STRIKE_FADES_S: f64 = 6.0;
/// Ice grows for so long, stays, and falls off by the end.
const ICE_GROWS_S: f64 = 50.0;
const ICE_FALLS_S: f64 = 10.0;
/// What full ice takes of the torque; with more, the water would no longer carry the loaded rotor.
const ICE_TORQUE: f64 = 0.22;
const ICE_SHAKES: f64 = 1.2;

/// Something that happens at the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Event {
    /// Driftwood hits the rotor, hangs for moments and is shed.
    Debris,
    /// Frazil ice grows on the blades.
    Ice,
    /// The radar no longer answers.
    DeadSensor,
    /// The link between gateway and cloud is cut.
    Link,
}

impl Event {
    /// How long it lasts, s. With the rests before them, all are seen within five minutes.
    fn lasts_s(self) -> f64 {
        match self {
            Event::Debris => 20.0,
            Event::Ice => 75.0,
            Event::DeadSensor => 45.0,
            Event::Link => 60.0,
        }
    }

    /// What begins, and where to see it.
    pub fn begins(self) -> &'static str {
        match self {
            Event::Debris => {
                "debris strikes the rotor: turbine-1 loses speed and power and comes back, vibration-1 shows a spike"
            }
            Event::Ice => {
                "ice grows on the blades: over a minute turbine-1 and meter-1 lose a third of their power, vibration-1 \
                 rises and its temperature falls, while radar-1 sees the same water"
            }
            Event::DeadSensor => {
                "radar-1 falls silent: its values grow old, then stale; its bus shows time-outs, the others go on"
            }
            Event::Link => {
                "the link to the cloud is cut: the panel goes on and its backlog grows; the cloud's values grow old"
            }
        }
    }

    /// What is over.
    pub fn ends(self) -> &'static str {
        match self {
            Event::Debris => "the debris is gone",
            Event::Ice => "the ice has fallen off",
            Event::DeadSensor => "radar-1 answers again: the gateway tries it within half a minute",
            Event::Link => {
                "the link is back: within half a minute the cloud shows the newest values, then what it missed"
            }
        }
    }
}

/// What the story does to the site at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effects {
    /// Share of the water's torque that arrives at the rotor.
    pub torque_share: f64,
    /// How many times as strong the housing shakes.
    pub shaking: f64,
    /// From no ice, 0, to the most, 1.
    pub ice: f64,
    pub radar_is_silent: bool,
    pub link_is_cut: bool,
}

impl Effects {
    /// Nothing happens.
    pub const NONE: Effects =
        Effects { torque_share: 1.0, shaking: 1.0, ice: 0.0, radar_is_silent: false, link_is_cut: false };

    fn of(event: Event, since_s: f64) -> Effects {
        match event {
            Event::Debris => {
                let shed = ((since_s - STRIKE_S) / (SHED_S - STRIKE_S)).clamp(0.0, 1.0);
                Effects {
                    torque_share: STRUCK_SHARE + (1.0 - STRUCK_SHARE) * shed,
                    shaking: 1.0 + STRIKE_SHAKES * (-since_s / STRIKE_FADES_S).exp(),
                    ..Effects::NONE
                }
            }
            Event::Ice => {
                let falls = (event.lasts_s() - since_s) / ICE_FALLS_S;
                let ice = (since_s / ICE_GROWS_S).min(falls).clamp(0.0, 1.0);
                Effects { torque_share: 1.0 - ICE_TORQUE * ice, shaking: 1.0 + ICE_SHAKES * ice, ice, ..Effects::NONE }
            }
            Event::DeadSensor => Effects { radar_is_silent: true, ..Effects::NONE },
            Event::Link => Effects { link_is_cut: true, ..Effects::NONE },
        }
    }
}

/// An event begins or ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// Seconds since the site began.
    pub at_s: f64,
    pub event: Event,
    /// Whether it begins; else it ends.
    pub begins: bool,
}

/// Events one after another, again and again.
#[derive(Debug, Clone)]
pub struct Story {
    begins_s: f64,
    /// Each event with its beginning within the cycle.
    chapters: Vec<(f64, Event)>,
    cycle_s: f64,
}

impl Story {
    /// These events in this order, from `begins_s` seconds after the site's beginning on.
    pub fn new(seed: u64, begins_s: f64, events: &[Event]) -> Story {
        let noise = Noise::new(seed);
        let mut cycle_s = 0.0;
        let mut chapters = Vec::with_capacity(events.len());
        for (number, &event) in events.iter().enumerate() {
            cycle_s += REST_S + REST_MOVED_S * noise.wander(Stream::Story, 1.0, number as f64);
            chapters.push((cycle_s, event));
            cycle_s += event.lasts_s();
        }
        Story { begins_s, chapters, cycle_s }
    }

    /// What it does at `time_s`.
    pub fn effects(&self, time_s: f64) -> Effects {
        if time_s < self.begins_s || self.chapters.is_empty() {
            return Effects::NONE;
        }
        let position_s = (time_s - self.begins_s).rem_euclid(self.cycle_s);
        let lasting =
            self.chapters.iter().find(|(from_s, event)| (0.0..event.lasts_s()).contains(&(position_s - from_s)));
        lasting.map_or(Effects::NONE, |&(from_s, event)| Effects::of(event, position_s - from_s))
    }

    /// The first turn after `time_s`.
    pub fn next_turn(&self, time_s: f64) -> Option<Turn> {
        let cycle = ((time_s - self.begins_s) / self.cycle_s).floor().max(0.0);
        let turns = [cycle, cycle + 1.0].into_iter().flat_map(|cycle| {
            let start_s = self.begins_s + cycle * self.cycle_s;
            self.chapters.iter().flat_map(move |&(from_s, event)| {
                let at_s = start_s + from_s;
                [Turn { at_s, event, begins: true }, Turn { at_s: at_s + event.lasts_s(), event, begins: false }]
            })
        });
        turns.filter(|turn| turn.at_s > time_s).min_by(|a, b| a.at_s.total_cmp(&b.at_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Event; 4] = [Event::Debris, Event::DeadSensor, Event::Ice, Event::Link];

    #[test]
    fn within_five_minutes_every_event_begins_and_ends() {
        for seed in 0..50 {
            let story = Story::new(seed, 1_000.0, &ALL);
            assert_eq!(story.effects(999.0), Effects::NONE);
            let mut time_s = 0.0;
            let mut turns = Vec::new();
            while let Some(turn) = story.next_turn(time_s).filter(|turn| turn.at_s < 1_300.0) {
                time_s = turn.at_s;
                turns.push((turn.event, turn.begins));
            }
            let expected: Vec<_> = ALL.iter().flat_map(|&event| [(event, true), (event, false)]).collect();
            assert_eq!(turns[..expected.len()], expected, "seed {seed}");
        }
    }

    #[test]
    fn turns_lie_where_the_effects_change() {
        let story = Story::new(3, 50.0, &[Event::Link, Event::DeadSensor]);
        let mut time_s = 0.0;
        for _ in 0..20 {
            let turn = story.next_turn(time_s).unwrap();
            let on = |time_s| match turn.event {
                Event::Link => story.effects(time_s).link_is_cut,
                _ => story.effects(time_s).radar_is_silent,
            };
            assert_eq!((on(turn.at_s - 0.01), on(turn.at_s + 0.01)), (!turn.begins, turn.begins), "{turn:?}");
            time_s = turn.at_s;
        }
    }

    #[test]
    fn a_seed_repeats_the_story_and_another_one_moves_it() {
        let first = |seed| Story::new(seed, 0.0, &ALL).next_turn(0.0).unwrap().at_s;
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }

    #[test]
    fn a_story_without_events_does_nothing() {
        let story = Story::new(1, 0.0, &[]);
        assert_eq!((story.effects(10.0), story.next_turn(10.0)), (Effects::NONE, None));
    }
}
