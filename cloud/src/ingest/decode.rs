//! From the bytes of a batch to rows that only lack their device: all the work that needs no database.

use riverwatts_shared::batch::{Announcement, Batch, Item};
use riverwatts_shared::bytes::Malformed;
use riverwatts_shared::reading::Gap;
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::UtcMs;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::check::{Refused, check};
use crate::readings::Rows;

/// A batch, unfolded and checked.
#[derive(Debug)]
pub struct Decoded {
    pub id: BatchId,
    /// SHA-256 of the site and its bytes: at another site the same bytes are another batch.
    pub hash: [u8; 32],
    pub announcements: Vec<Announcement>,
    pub gaps: Vec<Gap>,
    /// The last one, when there are several.
    pub configuration: Option<String>,
    pub segments: Vec<KeyedRows>,
}

/// The readings of one segment.
#[derive(Debug)]
pub struct KeyedRows {
    /// Key of the device in `edge.toml`.
    pub key: String,
    /// Those that may be stored; their device is not known yet.
    pub rows: Rows,
    /// The others.
    pub refused: Vec<Refused>,
}

/// Unfolds and checks a batch that was received from a site at `now`.
pub fn decode(bytes: &[u8], site_id: Uuid, now: UtcMs) -> Result<Decoded, Malformed> {
    let batch = Batch::decode(bytes)?;
    let mut decoded = Decoded {
        id: batch.id,
        hash: Sha256::new().chain_update(site_id).chain_update(bytes).finalize().into(),
        announcements: Vec::new(),
        gaps: Vec::new(),
        configuration: None,
        segments: Vec::new(),
    };
    for item in batch.items {
        match item {
            Item::Announcement(announcement) => decoded.announcements.push(announcement),
            Item::Gap(gap) => decoded.gaps.push(gap),
            Item::Configuration(text) => decoded.configuration = Some(text),
            Item::Segment { device: key, segment } => {
                let (segment, refused) = check(segment, now);
                let rows = Rows::new(segment, now, batch.revision);
                decoded.segments.push(KeyedRows { key, rows, refused });
            }
        }
    }
    Ok(decoded)
}

impl Decoded {
    /// Whether it carries nothing.
    pub fn is_empty(&self) -> bool {
        self.announcements.is_empty()
            && self.gaps.is_empty()
            && self.segments.is_empty()
            && self.configuration.is_none()
    }

    /// How many values it unfolded to.
    pub fn values(&self) -> usize {
        self.segments.iter().map(|segment| segment.rows.segment.columns.len() * segment.rows.count()).sum()
    }
}
