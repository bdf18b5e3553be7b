//! Waiting for a condition, with a deadline; the only place where a test lets time pass.

use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Time for what takes a moment: a program's start or end, an answer, one upload.
pub const SOON: Duration = Duration::from_secs(20);

/// Looks until `look` finds what it waits for, and gives that. Otherwise it says what it sees
/// instead, which is told when the time is over.
///
/// # Panics
/// When it is not found within `within`.
#[track_caller]
pub fn until<T>(within: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let late = Instant::now() + within;
        loop {
            match look().await {
                Ok(found) => return found,
                Err(seen) if Instant::now() >= late => panic!("{caller}: not within {within:?}: {seen}"),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// Lets `span` pass, for what is counted over it.
pub async fn over(span: Duration) {
    tokio::time::sleep(span).await;
}
