//! Tables of statements and what they must be taken for, one file per theme.

mod comments;
mod dangerous;
mod declared;
mod frameworks;
mod properties;
mod reads;
mod sets;
mod tables;
mod transactions;
mod writes;

use super::*;

/// Defaults, MySQL.
const MYSQL: Mode = Mode { ansi_quotes: false, no_backslash_escapes: false, ambiguous_charset: false, mariadb: false };
const MARIADB: Mode = Mode { mariadb: true, ..MYSQL };

/// `read`, `insert`, `begin`, ..: the kind in one word.
fn label(kind: &Kind<'_>) -> &'static str {
    match kind {
        Kind::Read => "read",
        Kind::Write(why) => why.as_str(),
        Kind::Begin(_) => "begin",
        Kind::Commit(_) => "commit",
        Kind::Rollback(_) => "rollback",
        Kind::Savepoint => "savepoint",
        Kind::Set(_) => "set",
        Kind::Use(_) => "use",
        Kind::Empty => "empty",
    }
}

/// Every line must have this label on both families.
fn all(expected: &str, lines: &str) {
    for sql in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for mode in [MYSQL, MARIADB] {
            let found = classify(sql.as_bytes(), mode);
            assert_eq!(label(&found.kind), expected, "{sql}\n{found:?}");
        }
    }
}

/// Lines of `label | traits | statement`; the traits listed must be exactly those found, save
/// `SELECTS`, `TABLE_FREE` and `NON_DETERMINISTIC`.
fn table(mode: Mode, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut columns = line.splitn(3, '|').map(str::trim);
        let (expected, traits, sql) = (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap());
        let found = classify(sql.as_bytes(), mode);
        assert_eq!(label(&found.kind), expected, "{sql}\n{found:?}");
        let mut names: Vec<&str> =
            found.traits.without(Traits::SELECTS | Traits::TABLE_FREE | Traits::NON_DETERMINISTIC).names().collect();
        names.sort_unstable();
        let mut wanted: Vec<&str> = traits.split_whitespace().collect();
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{sql}");
    }
}
