//! What Landbridge is held to. Whoever builds a promise turns it on here.

/// `scope = "key"`: who names the same key shares what was written and seen.
pub const KEYS: bool = true;

/// `SET @@landbridge_token`: the guarantee goes from one process to another.
pub const COOKIES: bool = true;

/// What a scope has written and seen holds for the next life of a process that was killed.
pub const SCOPES_OUTLIVE_PROCESSES: bool = true;

/// What a scope has seen at one server is not unseen at another.
pub const MONOTONIC_READS: bool = true;
