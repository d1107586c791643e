//! What clients of the simulation do with several statements at once, and what no client should do.

use super::client::{Client, Over};
use landbridge::protocol::command::Command;
use landbridge::protocol::exchange::Expect;
use std::time::Duration;

impl Client {
    /// Two statements in one text.
    pub(super) async fn several(&mut self) -> Result<(), Over> {
        if !self.multi_statements || self.transaction != 0 || !self.state.autocommit {
            return Ok(());
        }
        let (first, second) = (self.tag(), self.tag());
        self.insert_id = None;
        if self.random.per_mille(500) {
            let got = self.query(&format!("SELECT n /*{first}*/ FROM t; SELECT n /*{second}*/ FROM t")).await?;
            self.check_rows(&got, &[first.number, second.number], false);
        } else {
            let got =
                self.query(&format!("INSERT INTO t /*{first}*/ VALUES (1); SELECT n /*{second}*/ FROM t")).await?;
            if got.error.is_none() {
                self.check_rows(&got, &[second.number], false);
                self.must_be_committed(&[first.number]);
            }
        }
        Ok(())
    }

    /// Several commands in one write.
    pub(super) async fn pipeline(&mut self) -> Result<(), Over> {
        if self.transaction != 0 || !self.state.autocommit {
            return Ok(());
        }
        let tags: Vec<_> = (0..2 + self.random.below(3)).map(|_| self.tag()).collect();
        for tag in &tags {
            self.push(Command::Query, format!("SELECT n /*{tag}*/ FROM t").as_bytes());
            self.push(Command::Ping, b"");
        }
        self.flush().await?;
        if self.random.per_mille(100) {
            return Err(Over);
        }
        for tag in tags {
            let got = self.answer(Expect::Results, 1).await?;
            self.check_rows(&got, &[tag.number], true);
            self.answer(Expect::Ok, 1).await?;
        }
        Ok(())
    }

    /// `LAST_INSERT_ID()` is its own.
    pub(super) async fn ask_insert_id(&mut self) -> Result<(), Over> {
        let Some(known) = self.insert_id.filter(|_| self.transaction == 0 && self.state.autocommit) else {
            return Ok(());
        };
        let got = self.query("SELECT LAST_INSERT_ID()").await?;
        let is_right = got.values == [known.to_string()];
        if self.world.is_honest() && got.error.is_none() && !is_right {
            self.violated(&format!("LAST_INSERT_ID() is {:?} and must be {known}", got.values));
        }
        Ok(())
    }

    /// Ends somebody's statement or connection, perhaps its own.
    pub(super) async fn kill(&mut self) -> Result<(), Over> {
        let threads = self.world.facts().threads.clone();
        let victim = self.random.pick(&threads);
        let what = self.random.pick(&["QUERY ", "CONNECTION ", ""]);
        let got = self.query(&format!("KILL {what}{victim}")).await?;
        self.after_aside(&got).await
    }

    /// Something that is no command, or only part of one; then it leaves.
    pub(super) async fn babble(&mut self) -> Result<(), Over> {
        let length = self.random.below(40);
        let mut bytes: Vec<u8> = (0..length).map(|_| self.random.next() as u8).collect();
        match self.random.below(3) {
            // A whole packet of anything, but nothing that a server would do something for.
            0 => {
                let byte =
                    self.random.pick(&[0x00, 0x05, 0x06, 0x07, 0x0B, 0x13, 0x16, 0x17, 0x18, 0x19, 0x1B, 0x1C, 0x99]);
                bytes.insert(0, byte);
                let header = [bytes.len() as u8, 0, 0, 0];
                self.send_raw(&[&header, &bytes[..]].concat()).await?;
            }
            // Less than it announces.
            1 => self.send_raw(&[&[200, 0, 0, 0, 3], &bytes[..]].concat()).await?,
            _ => self.send_raw(&bytes).await?,
        }
        tokio::time::sleep(Duration::from_millis(self.random.below(500))).await;
        Err(Over)
    }
}
