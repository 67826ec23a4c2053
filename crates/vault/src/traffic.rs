//! What destinations were asked for, month by month.

use crate::{Vault, VaultResult, db::Arg};

/// Requests and bytes of a destination in a month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficRow {
    /// The destination's name.
    pub destination: String,
    /// The month, `YYYY-MM` (UTC).
    pub month: String,
    /// Requests that write.
    pub writes: i64,
    /// Requests that read an object or ask about one.
    pub reads: i64,
    /// Requests that list.
    pub lists: i64,
    /// Requests that delete.
    pub deletes: i64,
    /// Bytes sent.
    pub sent: i64,
    /// Bytes received.
    pub received: i64,
    /// Calls that were made once more after they failed.
    pub retried: i64,
}

impl Vault {
    /// Adds to what a destination was asked for this month; the month of `row` does not matter.
    ///
    /// # Errors
    /// The database fails.
    pub async fn add_traffic(&self, row: &TrafficRow) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        let now = self.ambient.now().to_jiff().to_string();
        let sql = "INSERT INTO traffic (destination, month, writes, reads, lists, deletes, sent, received, retried) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (destination, month) DO UPDATE SET writes = traffic.writes + excluded.writes, reads = traffic.reads + excluded.reads, lists = traffic.lists + excluded.lists, deletes = traffic.deletes + excluded.deletes, sent = traffic.sent + excluded.sent, received = traffic.received + excluded.received, retried = traffic.retried + excluded.retried";
        let args = [
            Arg::Text(&row.destination),
            Arg::Text(&now[..7]),
            Arg::Int(row.writes),
            Arg::Int(row.reads),
            Arg::Int(row.lists),
            Arg::Int(row.deletes),
            Arg::Int(row.sent),
            Arg::Int(row.received),
            Arg::Int(row.retried),
        ];
        tx.execute(sql, &args).await?;
        tx.commit().await
    }

    /// What all destinations were asked for, the newest month first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn traffic(&self) -> VaultResult<Vec<TrafficRow>> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT destination, month, writes, reads, lists, deletes, sent, received, retried FROM traffic ORDER BY month DESC, destination";
        let rows = tx.fetch(sql, &[]).await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(TrafficRow {
                    destination: row.text(0)?,
                    month: row.text(1)?,
                    writes: row.int(2)?,
                    reads: row.int(3)?,
                    lists: row.int(4)?,
                    deletes: row.int(5)?,
                    sent: row.int(6)?,
                    received: row.int(7)?,
                    retried: row.int(8)?,
                })
            })
            .collect()
    }
}
