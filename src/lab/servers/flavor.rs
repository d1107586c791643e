//! The two kinds of server, and where their programs are.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::error::{Error, Result};
use crate::lab::servers::cache;
use crate::lab::servers::dialect::Dialect;
use crate::lab::servers::mariadb::MariaDb;
use crate::lab::servers::mysql::MySql;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// Oracle's MySQL, 8.4 or later.
    MySql,
    /// MariaDB, 10.6 or later.
    MariaDb,
}

impl Flavor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::MySql, Self::MariaDb];

    /// Whether this machine has such a server. Tests skip, loudly, what is not there.
    #[must_use]
    pub fn is_available(self) -> bool {
        Program::find(self).is_ok()
    }

    pub(super) fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::MySql => &MySql,
            Self::MariaDb => &MariaDb,
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::MySql => "LANDBRIDGE_TEST_MYSQLD",
            Self::MariaDb => "LANDBRIDGE_TEST_MARIADBD",
        }
    }

    fn program_name(self) -> &'static str {
        match self {
            Self::MySql => "mysqld",
            Self::MariaDb => "mariadbd",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::MySql => "run scripts/mysql-server.sh, or set LANDBRIDGE_TEST_MYSQLD to a mysqld",
            Self::MariaDb => "install mariadb-server, or set LANDBRIDGE_TEST_MARIADBD to a mariadbd",
        }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

/// A server program that answered when asked for its version.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) flavor: Flavor,
    pub(super) path: PathBuf,
    /// What comes after `Ver`.
    pub(super) version: String,
}

impl Program {
    /// Looks at the flavor's environment variable, in `PATH` and the usual places, and in the cache.
    pub(super) fn find(flavor: Flavor) -> Result<Self> {
        let candidates = match env::var_os(flavor.variable()).filter(|value| !value.is_empty()) {
            Some(path) => vec![PathBuf::from(path)],
            None => installed(flavor.program_name())
                .chain([cache::directory().join("mysql/bin").join(flavor.program_name())])
                .collect(),
        };
        candidates
            .into_iter()
            .find_map(|path| Self::recognise(flavor, path))
            .ok_or(Error::NoServerProgram { flavor, hint: flavor.hint() })
    }

    /// Asks the program itself: MariaDB installs a `mysqld` too.
    fn recognise(flavor: Flavor, path: PathBuf) -> Option<Self> {
        let output = Command::new(&path).args(["--no-defaults", "--version"]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_once("Ver ")?.1.trim().to_owned();
        let is_mariadb = version.contains("MariaDB");
        (is_mariadb == (flavor == Flavor::MariaDb)).then_some(Self { flavor, path, version })
    }
}

/// Where a program of this name may be: `PATH`, and where servers are that users do not start.
pub(super) fn installed(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> =
        env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/usr/libexec"].map(PathBuf::from)).collect();
    let name = Path::new(name).to_owned();
    directories.into_iter().map(move |directory| directory.join(&name)).filter(|path| path.is_file())
}
