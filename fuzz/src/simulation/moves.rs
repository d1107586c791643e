//! What clients of the simulation do, and what they must get for it.

use super::client::{Client, Got, Over};
use super::tag::State;
use landbridge::protocol::capability::Status;
use landbridge::protocol::command::Command;
use landbridge::protocol::exchange::Expect;

/// Errors that servers of the simulation make up: the statement failed and nothing else happened.
const MADE_UP: [u16; 3] = [1049, 1146, 1298];
/// A deadlock: the transaction is over.
const DEADLOCK: u16 = 1213;

impl Client {
    /// Does something; an error is the end of the connection.
    pub async fn act(&mut self) -> Result<(), Over> {
        let idle = self.transaction == 0 && self.state.autocommit;
        match self.random.below(100) {
            0..24 => self.read_something().await,
            24..38 => self.write_something().await,
            38..43 => self.begin().await,
            43..51 => self.end().await,
            51..59 => self.set().await,
            59..63 => self.choose().await,
            63..66 if self.transaction == 0 => self.set_autocommit().await,
            66..70 => self.prepare().await,
            70..79 => self.execute().await,
            79..81 => self.close_or_reset().await,
            81..84 if idle => self.bind().await,
            84..87 if idle => self.unbind().await,
            87..89 => self.start_anew().await,
            89..91 => self.chatter().await,
            91..94 => self.several().await,
            94..96 => self.pipeline().await,
            96..98 => self.ask_insert_id().await,
            98 if self.random.per_mille(500) => self.kill().await,
            98 => self.babble().await,
            _ => {
                let pause = std::time::Duration::from_millis(self.random.below(300));
                tokio::time::sleep(pause).await;
                Ok(())
            }
        }
    }

    /// A statement outside of autocommit begins a transaction.
    fn joins(&mut self) {
        if !self.state.autocommit && self.transaction == 0 {
            self.transaction = self.world.facts().next_statement();
        }
    }

    /// After a statement that is no more than one: checks its status, and its error.
    async fn after(&mut self, got: &Got) -> Result<(), Over> {
        let Some(error) = &got.error else {
            if self.transaction != 0 && (got.insert_id != 0 || !got.values.is_empty()) {
                self.world.facts().seen_of.insert(self.transaction);
            }
            let in_transaction = got.status.contains(Status::IN_TRANS);
            if self.world.is_honest() && in_transaction != (self.transaction != 0) {
                self.violated(&format!("is told {:?} in transaction {}", got.status, self.transaction));
            }
            return Ok(());
        };
        match error.code {
            code if MADE_UP.contains(&code) && (self.state.autocommit || self.transaction == 0) => Ok(()),
            DEADLOCK => {
                self.pending.clear();
                self.transaction = 0;
                // Whether Landbridge has noticed, only a server can tell.
                self.give_up().await
            }
            _ if self.transaction != 0 => self.give_up().await,
            _ => Ok(()),
        }
    }

    /// Ends a transaction that something went wrong in.
    async fn give_up(&mut self) -> Result<(), Over> {
        self.pending.clear();
        // It may have gone with the transaction's connection.
        self.insert_id = None;
        self.transaction = 0;
        match self.query("ROLLBACK").await?.error {
            None => Ok(()),
            Some(_) => Err(Over),
        }
    }

    /// What it got must be its own; it has seen what the server had.
    pub(super) fn check_rows(&self, got: &Got, numbers: &[u64], simple: bool) {
        if !self.world.is_honest() || got.error.is_some() {
            return;
        }
        for (value, number) in got.values.iter().zip(numbers) {
            let parts: Vec<u64> = value.split(' ').filter_map(|part| part.parse().ok()).collect();
            if parts.len() != 3 || parts[..2] != [self.id, *number] {
                self.violated(&format!("asked {number} and is answered {value}"));
            } else if simple && self.transaction == 0 && !self.state.is_bound() {
                self.world.facts().has_seen(self.user, parts[2]);
            }
        }
        if got.values.len() != numbers.len() {
            self.violated(&format!("gets {} rows for {numbers:?}", got.values.len()));
        }
    }

    async fn read_something(&mut self) -> Result<(), Over> {
        self.joins();
        let tag = self.tag();
        let end = if self.random.per_mille(150) { " FOR UPDATE" } else { "" };
        let got = self.query(&format!("SELECT n /*{tag}*/ FROM t{end}")).await?;
        self.check_rows(&got, &[tag.number], true);
        self.after(&got).await
    }

    async fn write_something(&mut self) -> Result<(), Over> {
        self.joins();
        let tag = self.tag();
        self.insert_id = None;
        let got = self.query(&format!("INSERT INTO t /*{tag}*/ VALUES (1)")).await?;
        self.wrote(tag.number, &got);
        self.after(&got).await
    }

    fn wrote(&mut self, number: u64, got: &Got) {
        if got.error.is_some() {
            return;
        }
        self.insert_id = Some(got.insert_id);
        if self.transaction != 0 {
            self.pending.push(number);
        } else {
            self.must_be_committed(&[number]);
        }
    }

    pub(super) fn must_be_committed(&self, writes: &[u64]) {
        if !self.world.is_honest() {
            return;
        }
        let mut facts = self.world.facts();
        for number in writes {
            let write = facts.writes.get(number).copied().unwrap_or_default();
            match write.committed {
                Some(transaction) if write.ran == 1 => facts.has_seen(self.user, transaction),
                _ => facts.violated(format!("client {}: write {number} was acknowledged: {write:?}", self.id)),
            }
        }
    }

    async fn begin(&mut self) -> Result<(), Over> {
        let text = self.random.pick(&["BEGIN", "START TRANSACTION"]);
        let got = self.query(text).await?;
        if got.error.is_some() {
            return if self.transaction != 0 { self.give_up().await } else { Ok(()) };
        }
        // It ends the one before.
        let pending = std::mem::take(&mut self.pending);
        self.must_be_committed(&pending);
        self.transaction = self.world.facts().next_statement();
        self.after(&got).await
    }

    async fn end(&mut self) -> Result<(), Over> {
        let commits = self.random.per_mille(700);
        let got = self.query(if commits { "COMMIT" } else { "ROLLBACK" }).await?;
        let pending = std::mem::take(&mut self.pending);
        if got.error.is_some() {
            return if self.transaction != 0 { self.give_up().await } else { Ok(()) };
        }
        self.transaction = 0;
        if commits {
            self.must_be_committed(&pending);
        } else if self.world.is_honest() {
            let mut facts = self.world.facts();
            for number in pending {
                if facts.writes.get(&number).is_some_and(|write| write.committed.is_some()) {
                    facts.violated(format!("write {number} was committed, and rolled back"));
                }
            }
        }
        self.after(&got).await
    }

    async fn set(&mut self) -> Result<(), Over> {
        let mut next = self.state.clone();
        let zone = self.random.pick(&["+01:00", "+02:00", "SYSTEM", "nowhere"]);
        let length = self.random.pick(&["1024", "2048", "4096"]);
        let a = self.random.pick(&["1", "2", "3"]);
        let text = match self.random.below(4) {
            0 => {
                next.zone = zone.into();
                format!("SET time_zone = '{zone}'")
            }
            1 => {
                next.length = length.into();
                format!("SET SESSION group_concat_max_len = {length}")
            }
            2 => {
                next.a = a.into();
                format!("SET @a = {a}")
            }
            _ => {
                (next.zone, next.a) = (zone.into(), a.into());
                format!("SET @a={a}, time_zone='{zone}'")
            }
        };
        let got = self.query(&text).await?;
        self.becomes(&got, next).await
    }

    async fn becomes(&mut self, got: &Got, next: State) -> Result<(), Over> {
        if got.error.is_none() {
            self.state = next;
        }
        self.after(got).await
    }

    async fn choose(&mut self) -> Result<(), Over> {
        let schema = self.random.pick(&["s1", "s2", "s3", "nowhere"]);
        let got = if self.random.per_mille(500) {
            self.query(&format!("USE {schema}")).await?
        } else {
            // Rows in answer to it are a server's nonsense, and passed on.
            self.ask(Command::InitDb, schema.as_bytes(), Expect::Results).await?
        };
        let next = State { schema: schema.into(), ..self.state.clone() };
        self.becomes(&got, next).await
    }

    async fn set_autocommit(&mut self) -> Result<(), Over> {
        let on = self.random.per_mille(600);
        let got = self.query(&format!("SET autocommit = {}", u8::from(on))).await?;
        let next = State { autocommit: on, ..self.state.clone() };
        self.becomes(&got, next).await
    }

    async fn prepare(&mut self) -> Result<(), Over> {
        let writes = self.random.per_mille(300);
        let schema = &self.state.schema;
        let text = match writes {
            false => format!("SELECT n /* in {schema} */ FROM t WHERE n = ?"),
            true => format!("INSERT INTO t /* in {schema} */ VALUES (?)"),
        };
        let got = self.ask(Command::StmtPrepare, text.as_bytes(), Expect::Prepare).await?;
        match (&got.error, got.prepared) {
            (None, Some(id)) => self.prepared.push((id, writes)),
            (Some(_), _) if self.transaction != 0 => return self.give_up().await,
            _ => {}
        }
        Ok(())
    }

    async fn execute(&mut self) -> Result<(), Over> {
        if self.prepared.is_empty() {
            return self.prepare().await;
        }
        let at = self.random.below(self.prepared.len() as u64) as usize;
        let (id, writes) = self.prepared[at];
        self.joins();
        let tag = self.tag();
        let parameter = tag.to_string();
        let length = u8::try_from(parameter.len()).unwrap_or(0);
        let mut body = id.to_le_bytes().to_vec();
        body.extend([0, 1, 0, 0, 0, 0, 1, 0xFD, 0, length]);
        body.extend(parameter.as_bytes());
        if writes {
            self.insert_id = None;
        }
        let got = self.ask(Command::StmtExecute, &body, Expect::Results).await?;
        if writes {
            self.wrote(tag.number, &got);
        } else {
            self.check_rows(&got, &[tag.number], true);
        }
        self.after(&got).await
    }

    async fn close_or_reset(&mut self) -> Result<(), Over> {
        let Some((id, _)) = self.prepared.pop() else { return Ok(()) };
        if self.random.per_mille(500) {
            self.push(Command::StmtClose, &id.to_le_bytes());
            return self.flush().await;
        }
        let got = self.ask(Command::StmtReset, &id.to_le_bytes(), Expect::Ok).await?;
        if got.error.is_some() { Err(Over) } else { Ok(()) }
    }

    /// Makes itself something that only one connection has.
    async fn bind(&mut self) -> Result<(), Over> {
        let mut next = self.state.clone();
        let text = match self.random.below(3) {
            0 if !next.temporary => {
                next.temporary = true;
                "CREATE TEMPORARY TABLE own (n INT)"
            }
            1 => {
                next.locked = true;
                "LOCK TABLES t WRITE"
            }
            _ => {
                next.named = true;
                "SELECT GET_LOCK('a', 0)"
            }
        };
        self.insert_id = None;
        let got = self.query(text).await?;
        self.becomes(&got, next).await
    }

    async fn unbind(&mut self) -> Result<(), Over> {
        let mut next = self.state.clone();
        let text = match () {
            () if next.temporary => {
                next.temporary = false;
                "DROP TEMPORARY TABLE own"
            }
            () if next.locked => {
                next.locked = false;
                "UNLOCK TABLES"
            }
            () if next.named => {
                next.named = false;
                "SELECT RELEASE_ALL_LOCKS()"
            }
            () => return Ok(()),
        };
        self.insert_id = None;
        let got = self.query(text).await?;
        self.becomes(&got, next).await
    }

    /// `COM_RESET_CONNECTION`, or `COM_CHANGE_USER`.
    async fn start_anew(&mut self) -> Result<(), Over> {
        let schema = if self.random.per_mille(500) {
            let got = self.ask(Command::ResetConnection, b"", Expect::Ok).await?;
            if got.error.is_some() {
                return Err(Over);
            }
            self.state.schema.clone()
        } else {
            let user = self.random.pick(&super::proxy::USERS);
            let schema = self.random.pick(&["", "s1", "s3"]);
            let body = [user.as_bytes(), b"\0\0", schema.as_bytes(), b"\0\x2d\0caching_sha2_password\0"].concat();
            let got = self.ask(Command::ChangeUser, &body, Expect::Ok).await?;
            if got.error.is_some() {
                return Err(Over);
            }
            self.user = user;
            schema.into()
        };
        self.state = State::fresh(&schema);
        self.pending.clear();
        self.prepared.clear();
        (self.transaction, self.insert_id) = (0, Some(0));
        Ok(())
    }

    async fn chatter(&mut self) -> Result<(), Over> {
        match self.random.below(3) {
            0 => {
                let got = self.ask(Command::Ping, b"", Expect::Ok).await?;
                if got.error.is_some() { Err(Over) } else { Ok(()) }
            }
            1 => {
                let on = self.random.per_mille(500);
                let got = self.ask(Command::SetOption, &[u8::from(!on), 0], Expect::Ok).await?;
                self.multi_statements = on;
                if got.error.is_some() { Err(Over) } else { Ok(()) }
            }
            _ => {
                let got = self.ask(Command::Statistics, b"", Expect::Text).await?;
                self.after_aside(&got).await
            }
        }
    }

    /// After a command that says nothing of transactions.
    pub(super) async fn after_aside(&mut self, got: &Got) -> Result<(), Over> {
        if got.error.is_some() && self.transaction != 0 { self.give_up().await } else { Ok(()) }
    }
}
