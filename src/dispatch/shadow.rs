//! Publishes nowhere, for a scheduler that runs beside the real one.
//!
//! Everything above it goes on as if the broker had confirmed: leases, records, misfires and
//! requests are those of a real run. No broker is dialled, not even where it is the store's Redis.

use super::publisher::{Parcel, Publisher, Receipt};

/// Takes every message and drops it.
#[derive(Debug, Clone, Copy)]
pub struct Shadow;

impl Publisher for Shadow {
    async fn ready(&mut self) -> Result<(), String> {
        Ok(())
    }

    async fn publish(&mut self, parcels: &[Parcel<'_>]) -> Vec<Receipt> {
        vec![Receipt::Confirmed; parcels.len()]
    }
}
