//! Round trips that clients did not wait for, by what they would have been for.

/// What a client would have waited for, had it spoken with the primary itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Opening a connection.
    Login,
    /// `BEGIN`: sent with the first statement, or never.
    Begin,
    /// `COMMIT` or `ROLLBACK` of a transaction that never began at the primary.
    Commit,
    /// `SET` and `USE`, checked nearby or known to be right.
    State,
    /// `PREPARE`, nearby or with the execution.
    Prepare,
    /// A read, answered by a replica.
    Read,
    /// Pings, resets and questions about the session, answered here.
    Chatter,
}

impl Saved {
    /// All of them, with their labels, in order of declaration.
    pub(super) const ALL: [(Self, &'static str); 7] = [
        (Self::Login, "login"),
        (Self::Begin, "begin"),
        (Self::Commit, "commit"),
        (Self::State, "state"),
        (Self::Prepare, "prepare"),
        (Self::Read, "read"),
        (Self::Chatter, "chatter"),
    ];

    /// Round trips: a TCP handshake, a TLS handshake, a login and its proof are four.
    pub(super) fn round_trips(self) -> u64 {
        if self == Self::Login { 4 } else { 1 }
    }
}
