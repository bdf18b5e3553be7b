//! Answers of the database in memory, for questions that come with every request. They hold until
//! this process writes, and for writes of other instances at most 5 s.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long an answer may outlive a write of another instance; the contract allows 5 s.
const HOLDS: Duration = Duration::from_secs(4);
/// Most answers to one kind of question.
const ANSWERS_MAX: usize = 4_096;

/// Counts this process's commits, of all databases.
static COMMITS: AtomicU64 = AtomicU64::new(0);

/// Makes every answer a thing of the past.
pub(super) fn note_commit() {
    COMMITS.fetch_add(1, Ordering::SeqCst);
}

/// When a question was asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    commits: u64,
    at: Instant,
}

impl Asked {
    /// Before the question.
    pub fn now() -> Asked {
        Asked { commits: COMMITS.load(Ordering::SeqCst), at: Instant::now() }
    }

    fn holds(&self) -> bool {
        self.commits == COMMITS.load(Ordering::SeqCst) && self.at.elapsed() < HOLDS
    }
}

/// Answers to one kind of question.
pub struct Recent<K, V>(Mutex<HashMap<K, (Asked, V)>>);

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// The answer, when one holds.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let answers = self.0.lock().expect("never poisoned: nothing panics inside");
        answers.get(key).filter(|(asked, _)| asked.holds()).map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer to a question that was asked then.
    pub fn put(&self, asked: Asked, key: K, answer: V) {
        let mut answers = self.0.lock().expect("never poisoned: nothing panics inside");
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, (asked, _)| asked.holds());
        }
        if answers.len() < ANSWERS_MAX {
            answers.insert(key, (asked, answer));
        }
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent(Mutex::new(HashMap::new()))
    }
}

impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_until_something_is_written() {
        let recent = Recent::default();
        let asked = Asked::now();
        recent.put(asked, "a".to_owned(), 1);
        note_commit();
        assert_eq!(recent.get("a"), None);
        // Written while it was being asked.
        recent.put(asked, "a".to_owned(), 1);
        assert_eq!(recent.get("a"), None);
    }
}
