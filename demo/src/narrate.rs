//! Tells each turn of a site's story when it comes.

use std::time::Duration;

use tokio::time::sleep;

use crate::site::Site;
use crate::story::Turn;

/// Shortest sleep: a tick of the site.
const TICK: Duration = Duration::from_millis(100);

/// Calls `turned` at every turn, for ever; a site without a story has none.
pub async fn narrate(site: &Site, mut turned: impl FnMut(&Turn)) {
    let mut told_s = site.time_s();
    while let Some(turn) = site.next_turn(told_s) {
        loop {
            let left_s = turn.at_s - site.time_s();
            if left_s <= 0.0 {
                break;
            }
            sleep(Duration::from_secs_f64(left_s).max(TICK)).await;
        }
        turned(&turn);
        told_s = turn.at_s;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use riverwatts_shared::time::{Clock, UtcMs};
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::site::Laws;
    use crate::story::{Event, Story};

    /// The runtime's clock, which passes at once while everybody sleeps.
    #[derive(Debug)]
    struct Dreamt(Instant);

    impl Clock for Dreamt {
        fn wall(&self) -> UtcMs {
            UtcMs(0)
        }

        fn monotonic(&self) -> Duration {
            self.0.elapsed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_turn_is_told_when_the_site_has_come_to_it() {
        let age = Duration::from_secs(1_000);
        let laws = Laws::new(1, 1.0).with_story(Story::new(1, 1_000.0, &[Event::Link]));
        let site = Site::new(laws, Arc::new(Dreamt(Instant::now())), age);
        let mut told = Vec::new();
        let telling = narrate(&site, |turn| told.push((site.effects().link_is_cut, turn.begins)));
        assert!(timeout(Duration::from_secs(240), telling).await.is_err());
        assert!(told.len() >= 5, "{told:?}");
        for (number, (is_cut, begins)) in told.into_iter().enumerate() {
            assert_eq!((is_cut, begins), (number % 2 == 0, number % 2 == 0), "turn {number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_without_a_story_has_nothing_to_tell() {
        let site = Site::new(Laws::new(1, 1.0), Arc::new(Dreamt(Instant::now())), Duration::ZERO);
        let telling = narrate(&site, |turn| panic!("{turn:?}"));
        assert!(timeout(Duration::from_secs(3_600), telling).await.is_err());
    }
}
