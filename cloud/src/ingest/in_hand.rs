//! One batch at a time is stored under one identity: the same batch sent twice at once must not come
//! to two different answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use riverwatts_shared::receipt::BatchId;
use tokio::sync::OwnedMutexGuard;

/// The batches that are being stored.
#[derive(Debug, Default)]
pub struct InHand {
    batches: Mutex<HashMap<BatchId, Arc<tokio::sync::Mutex<()>>>>,
}

/// Holds a batch until dropped.
#[derive(Debug)]
pub struct Held<'h> {
    in_hand: &'h InHand,
    id: BatchId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl InHand {
    /// Waits until nobody else holds this batch.
    pub async fn hold(&self, id: BatchId) -> Held<'_> {
        let turn = {
            let mut batches = self.batches.lock().expect("never poisoned: nothing panics inside");
            Arc::clone(batches.entry(id).or_default())
        };
        Held { in_hand: self, id, guard: Some(turn.lock_owned().await) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut batches = self.in_hand.batches.lock().expect("never poisoned: nothing panics inside");
        self.guard = None;
        // Those who wait keep it alive; new ones come only through this map.
        if batches.get(&self.id).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            batches.remove(&self.id);
        }
    }
}
