//! A file that was carried here from a site without a link: its batches are taken one after the
//! other, as if they had come by the link. What came by the link already counts as duplicate.

use riverwatts_shared::bytes::Malformed;
use riverwatts_shared::carry::{Part, Reader};
use riverwatts_shared::receipt::{Receipt, Rejected};
use riverwatts_shared::time::UtcMs;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{Ingest, IngestError};
use crate::store::gateways::Gateway;

/// Refusals that are named one by one; further ones are counted.
const NAMED_MAX: usize = 1_000;

/// What became of a carried file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Imported {
    /// Readings stored now.
    pub accepted: u64,
    /// Readings that were there before, with the same values.
    pub duplicates: u64,
    /// Readings refused, the first thousand of them.
    pub rejected: Vec<Rejected>,
    /// How many were refused beyond those.
    pub rejected_more: u64,
    /// Keys of devices that another active gateway of the site holds: import the file again once an
    /// admin has confirmed their move.
    pub waiting: Vec<String>,
}

/// Why a carried file was not taken, or not taken whole. What was taken before stays, and taking the
/// file again doubles nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is another gateway's.
    #[error("the file is of gateway {0}")]
    OtherGateway(Uuid),
    /// The file was cut short, or changed, or is none.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] Malformed),
    /// A batch was not taken.
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

/// A file that comes in pieces.
#[derive(Debug)]
pub struct Import<'i> {
    ingest: &'i Ingest,
    gateway: &'i Gateway,
    reader: Reader,
    imported: Imported,
}

impl Ingest {
    /// Begins to take a file of this gateway.
    pub fn import<'i>(&'i self, gateway: &'i Gateway) -> Import<'i> {
        Import { ingest: self, gateway, reader: Reader::default(), imported: Imported::default() }
    }
}

impl Import<'_> {
    /// Takes the next piece, and every batch that is whole with it.
    ///
    /// # Errors
    /// See [`ImportError`]; nothing further is to be fed.
    pub async fn feed(&mut self, bytes: &[u8], now: UtcMs) -> Result<(), ImportError> {
        self.reader.feed(bytes);
        while let Some(part) = self.reader.read()? {
            match part {
                Part::Head(Some(id)) if id != self.gateway.id => return Err(ImportError::OtherGateway(id)),
                Part::Head(_) | Part::End => {}
                Part::Batch(batch) => {
                    let receipt = self.ingest.take_batch(self.gateway, batch, now).await?;
                    self.add(receipt);
                }
            }
        }
        Ok(())
    }

    /// What became of it so far.
    pub fn so_far(&self) -> &Imported {
        &self.imported
    }

    /// The end of the file.
    ///
    /// # Errors
    /// [`ImportError::Unreadable`] when it was cut short.
    pub fn finish(self) -> Result<Imported, ImportError> {
        self.reader.finish()?;
        Ok(self.imported)
    }

    fn add(&mut self, receipt: Receipt) {
        let imported = &mut self.imported;
        imported.accepted += receipt.accepted;
        imported.duplicates += receipt.duplicates;
        for rejected in receipt.rejected {
            if imported.rejected.len() < NAMED_MAX {
                imported.rejected.push(rejected);
            } else {
                imported.rejected_more += 1;
            }
        }
        for key in receipt.waiting {
            if !imported.waiting.contains(&key) {
                imported.waiting.push(key);
            }
        }
    }
}
