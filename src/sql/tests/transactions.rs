//! Transaction control and `USE`.

use super::*;

#[test]
fn begin() {
    let plain = Begin::default();
    for (sql, expected) in [
        ("BEGIN", plain),
        ("begin work;", plain),
        ("START TRANSACTION", plain),
        ("START TRANSACTION READ ONLY", Begin { access: Some(Access::ReadOnly), ..plain }),
        ("start transaction read write", Begin { access: Some(Access::ReadWrite), ..plain }),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT", Begin { consistent_snapshot: true, ..plain }),
        (
            "/* x */ START /* y */ TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY -- z",
            Begin { access: Some(Access::ReadOnly), consistent_snapshot: true },
        ),
    ] {
        assert_eq!(classify(sql.as_bytes(), MYSQL).kind, Kind::Begin(expected), "{sql}");
    }
}

#[test]
fn completion() {
    for (tail, chain, release) in [
        ("", None, None),
        (" WORK", None, None),
        (" AND CHAIN", Some(true), None),
        (" WORK AND NO CHAIN", Some(false), None),
        (" RELEASE", None, Some(true)),
        (" NO RELEASE", None, Some(false)),
        (" AND NO CHAIN RELEASE;", Some(false), Some(true)),
    ] {
        let options = Completion { chain, release };
        let (commit, rollback) = (format!("COMMIT{tail}"), format!("rollback{tail}"));
        assert_eq!(classify(commit.as_bytes(), MYSQL).kind, Kind::Commit(options), "{commit}");
        assert_eq!(classify(rollback.as_bytes(), MYSQL).kind, Kind::Rollback(options), "{rollback}");
    }
    all("savepoint", "SAVEPOINT a\nSAVEPOINT `a b`\nROLLBACK TO a\nROLLBACK WORK TO SAVEPOINT a\nRELEASE SAVEPOINT a");
}

#[test]
fn use_schema() {
    for (sql, name) in
        [("USE shop", &b"shop"[..]), ("use `sh``op` ;", b"sh`op"), ("USE /* x */ `a b`", b"a b"), ("USE 1st", b"1st")]
    {
        let Kind::Use(found) = classify(sql.as_bytes(), MYSQL).kind else { panic!("{sql}") };
        assert_eq!(&*found, name, "{sql}");
    }
    let ansi = Mode { ansi_quotes: true, ..MYSQL };
    assert_eq!(classify(b"USE \"x\"", ansi).kind, Kind::Use(b"x"[..].into()));
    all("unknown", "USE 'x'\nUSE a.b\nCOMMIT AND CHAIN RELEASE\nROLLBACK AND CHAIN RELEASE");
}
