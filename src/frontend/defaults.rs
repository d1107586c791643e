//! What holds for a session that did not say otherwise: the defaults of the server it began with, and what
//! its login asked for.

use super::job::Job;
use super::session::Session;
use crate::protocol::capability::Capabilities;
use crate::state::{SessionState, literal};
use std::sync::Arc;
use std::time::Duration;

impl Session {
    /// The session begins, once more perhaps, with what sessions find now that set nothing.
    pub(super) fn begin_with_defaults(&mut self) {
        self.standing.facts = None;
        self.reference = self.shared.reference();
        let autocommit = self.shared.default_of("autocommit");
        self.autocommit_off_by_default = autocommit.is_some_and(|value| !is_on(value.as_bytes()));
    }

    /// What sessions begin with may be something else by now than when a job began to wait. One that changes the state
    /// has foreseen the whole of it.
    pub(super) fn keep_defaults_for(&mut self, job: &Job) {
        if job.becomes.is_none() {
            self.keep_defaults();
        }
    }

    /// Server-wide variables were set, or another server is the primary: the session keeps what it began
    /// with, by setting it.
    pub(super) fn keep_defaults(&mut self) {
        if self.holds_connection() {
            // That connection is not set up anew, and may have more set than the session remembers.
            return;
        }
        // Before they are read: what changes meanwhile is looked at next time.
        let facts = self.facts_now();
        if facts.is_some() && self.standing.facts == facts {
            return;
        }
        self.standing.facts = facts;
        let now = self.shared.reference();
        let (Some(then), Some(facts)) = (&self.reference, &now) else {
            self.reference = now;
            return;
        };
        if Arc::ptr_eq(then, facts) {
            return;
        }
        let mut state = (*self.state).clone();
        for (name, value) in then.defaults.differences(&facts.defaults) {
            if state.get(name.as_bytes()).is_none()
                && let Some(value) = literal(value.as_bytes())
            {
                state.set_variable(name.as_bytes(), &value);
            }
        }
        if state != *self.state {
            self.state = Arc::new(state);
        }
        self.reference = now;
    }

    /// The state a login asks for.
    pub(super) fn login_state(&self, schema: Option<&[u8]>, collation: Option<u16>) -> SessionState {
        let mut state = SessionState::default();
        state.set_schema(schema);
        self.add_login_charset(&mut state, collation);
        self.add_login_flags(&mut state);
        state
    }

    /// The character set that a login asks for by a collation's id.
    pub(super) fn add_login_charset(&self, state: &mut SessionState, collation: Option<u16>) {
        // The id may use the second byte; servers that know one byte only see the low one.
        let known = collation.and_then(|id| self.shared.collation(id).or_else(|| self.shared.collation(id & 0xFF)));
        if let Some(collation) = known {
            state.set_names(format!("NAMES {} COLLATE {}", collation.charset, collation.name).as_bytes());
        }
    }

    /// What a login sets for a client that allows spaces ahead of `(`, and for one with a person in front
    /// of it.
    pub(super) fn add_login_flags(&self, state: &mut SessionState) {
        if self.client.caps.contains(Capabilities::INTERACTIVE)
            && let Some(patience) = self.shared.default_of("interactive_timeout")
            && self.shared.default_of("wait_timeout").as_ref() != Some(&patience)
        {
            state.set_variable(b"wait_timeout", patience.as_bytes());
        }
        if self.client.caps.contains(Capabilities::IGNORE_SPACE)
            && let Some(default) = self.shared.sql_mode()
        {
            let modes = [&*default, "IGNORE_SPACE"].into_iter().filter(|mode| !mode.is_empty());
            state.set_variable(b"sql_mode", format!("'{}'", modes.collect::<Vec<_>>().join(",")).as_bytes());
        }
    }

    /// How long the client may be silent: `limits.idle_client_timeout`, and what it has chosen itself.
    pub(super) fn patience(&self) -> Option<Duration> {
        let chosen = self.state.get(b"wait_timeout").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        let chosen = chosen.map(Duration::from_secs);
        [self.settings().idle_timeout, chosen].into_iter().flatten().min()
    }

    /// Whether statements begin transactions by themselves.
    pub(super) fn autocommit_off(&self) -> bool {
        self.autocommit_off_in(&self.state)
    }

    /// The same, of a state that the session may come to.
    pub(super) fn autocommit_off_in(&self, state: &SessionState) -> bool {
        match state.get(b"autocommit") {
            Some(value) => !is_on(value),
            None => self.autocommit_off_by_default,
        }
    }

    /// Whether transactions are read-only if nothing is said.
    pub(super) fn reads_only(&self) -> bool {
        if let Some(value) = self.state.get(b"transaction_read_only") {
            // A statement of its own, or the value of a variable.
            return value.ends_with(b"READ ONLY") || !value.ends_with(b"READ WRITE") && is_on(value);
        }
        let of_all = |name| self.shared.default_of(name).is_some_and(|value| is_on(value.as_bytes()));
        of_all("transaction_read_only") || of_all("tx_read_only")
    }
}

/// Whether the text of a boolean variable's value means true, as servers read it.
fn is_on(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"'").and_then(|v| v.strip_suffix(b"'")).unwrap_or(value);
    !(value == b"0" || value.eq_ignore_ascii_case(b"off") || value.eq_ignore_ascii_case(b"false"))
}
