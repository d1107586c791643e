//! What a client is told.

use mysql_async::Error;
use std::fmt;

/// How a client's statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Fine,
    /// With this error; the session goes on.
    Error(u16),
    /// The connection was closed.
    Closed,
}

impl Outcome {
    pub fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Fine,
            Err(Error::Server(error)) => Self::Error(error.code),
            Err(Error::Io(_)) => Self::Closed,
            Err(Error::Driver(mysql_async::DriverError::ConnectionClosed)) => Self::Closed,
            Err(other) => panic!("neither an answer nor the end of a connection: {other:?}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("ok"),
            Self::Error(code) => write!(f, "{code}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}
