//! A server as a part of a replication topology: what a [`Pair`](super::Pair) does with its replica, for
//! any number of them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::lab::error::{Error, Result};
use crate::lab::servers::Server;
use crate::lab::servers::dialect::Dialect;

/// How long a replica gets to catch up.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(30);
/// The wait is cut into slices of this length, to see in between whether replication has failed.
const CATCH_UP_SLICE: Duration = Duration::from_secs(1);

impl Server {
    /// Lets it fetch from the primary at this address, verified against `ca`.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`] with what it said.
    pub async fn follow(&self, primary: SocketAddr, ca: &Path) -> Result<()> {
        let dialect = self.dialect();
        self.sql(dialect.stop()).await?;
        self.sql(&dialect.follow(primary, ca)).await?;
        self.sql(dialect.start()).await.map(drop)
    }

    /// Stops applying: it goes on fetching, and its data stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`] with what it said.
    pub async fn stop_applier(&self) -> Result<()> {
        self.sql(self.dialect().stop_applier()).await.map(drop)
    }

    /// Ends [`Server::stop_applier`].
    ///
    /// # Errors
    ///
    /// [`Error::Sql`] with what it said.
    pub async fn start_applier(&self) -> Result<()> {
        self.sql(self.dialect().start_applier()).await.map(drop)
    }

    /// Makes it apply each transaction so long after the primary did, in whole seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`] with what it said.
    pub async fn set_delay(&self, delay: Duration) -> Result<()> {
        let dialect = self.dialect();
        self.sql(dialect.stop()).await?;
        self.sql(&dialect.delay(delay)).await?;
        self.sql(dialect.start()).await.map(drop)
    }

    /// Waits until it has applied everything `primary` has executed so far.
    ///
    /// # Errors
    ///
    /// [`Error::Replication`] if it has stopped with an error or does not catch up in half a minute.
    pub async fn catch_up_with(&self, primary: &Self) -> Result<()> {
        let dialect = self.dialect();
        let executed = primary.query(dialect.executed()).await?;
        let executed = executed.scalar().unwrap_or_default().replace('\n', "");
        let mut left = CATCH_UP_LIMIT;
        loop {
            let arrived = self.query(&dialect.wait_for(&executed, CATCH_UP_SLICE)).await?;
            if arrived.scalar() == Some("0") {
                return Ok(());
            }
            let status = self.query(dialect.status()).await?;
            for column in ["Last_SQL_Error", "Last_IO_Error"] {
                // A lost connection to the primary is tried again; a statement that failed is not.
                let is_final = column == "Last_SQL_Error" || left <= CATCH_UP_SLICE;
                if let Some(message) = status.first(column).filter(|text| !text.is_empty())
                    && is_final
                {
                    return Err(Error::Replication(message.to_owned()));
                }
            }
            left = left.saturating_sub(CATCH_UP_SLICE);
            if left.is_zero() {
                return Err(Error::Replication(format!("{executed} did not arrive")));
            }
        }
    }

    /// Makes it a primary: it stops following and accepts writes. The old primary is left as it is; stop
    /// it or make it read-only first.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`] with what it said.
    pub async fn promote(&self) -> Result<()> {
        self.sql(self.dialect().stop()).await?;
        for statement in self.dialect().become_primary() {
            self.sql(statement).await?;
        }
        Ok(())
    }

    fn dialect(&self) -> &'static dyn Dialect {
        self.flavor().dialect()
    }
}
