//! Rows as MySQL 9.7, MySQL 8.0 and MariaDB 10.11 send them; columns without interest left out.

use super::*;

const UUID: &str = "8407acf6-e54d-11f1-8e3a-02fc00000001";

fn row(values: &[&str]) -> Row {
    values.iter().map(|v| (*v != "NULL").then(|| (*v).to_owned())).collect()
}

fn set(family: Family, text: &str) -> Arc<GtidSet> {
    Arc::new(GtidSet::parse(family, text).expect("well formed"))
}

#[test]
fn mysql_variables() {
    let executed = format!("{UUID}:1-2,\n9407acf6-e54d-11f1-8e3a-02fc00000001:1-7");
    let all = Some(set(Family::MySql, &executed));
    let with = Gtids { applied: all.clone(), committed: all.clone(), logged: all };
    let empty = Some(set(Family::MySql, ""));
    let fresh = Gtids { applied: empty.clone(), committed: empty.clone(), logged: empty };
    for (values, read_only, gtids) in [
        (["0", "9.7.4-2", "ON", &executed], false, with.clone()),
        (["1", "9.7.4-2", "ON", &executed], true, with.clone()),
        (["0", "8.0.36", "ON_PERMISSIVE", &executed], false, with),
        // GTIDs are on, and nothing was written yet.
        (["0", "9.7.4-2", "ON", ""], false, fresh),
        (["0", "8.0.36", "OFF_PERMISSIVE", &executed], false, Gtids::default()),
        (["0", "8.0.36", "OFF", ""], false, Gtids::default()),
    ] {
        let read = Variables::read(Family::MySql, &[row(&values)]).expect("readable");
        assert_eq!(read, Variables { version: values[1].into(), read_only, gtids }, "{values:?}");
    }
}

#[test]
fn a_server_that_cannot_write_its_tables_is_read_only() {
    // As readers of an Aurora cluster are, whose `read_only` is off.
    assert!(variables_sql(Family::MySql).starts_with("SELECT @@global.read_only OR @@global.innodb_read_only, "));
}

#[test]
fn mariadb_variables() {
    let read = |values: &[&str]| Variables::read(Family::MariaDb, &[row(values)]).expect("readable");
    let version = "10.11.19-MariaDB-0+deb12u1-log";
    let set = |text| Some(set(Family::MariaDb, text));
    for (values, read_only, gtids) in [
        // A primary that never followed anybody.
        (
            ["0", version, "1", "", "0-1-2", "0-1-2"],
            false,
            Gtids { applied: set(""), committed: set("0-1-2"), logged: set("0-1-2") },
        ),
        // A replica whose binary log is ahead of what can be read.
        (
            ["1", version, "1", "0-1-2", "0-1-2", "0-1-3"],
            true,
            Gtids { applied: set("0-1-2"), committed: set("0-1-3"), logged: set("0-1-3") },
        ),
        // A replica that somebody wrote on: the primary gives the same numbers to others.
        (
            ["1", version, "1", "0-1-2", "0-2-7", "0-2-7"],
            true,
            Gtids { applied: set("0-1-2"), committed: set("0-2-7"), logged: set("0-2-7") },
        ),
        // A primary that was a replica and did not log what it applied then.
        (
            ["OFF", version, "1", "0-1-9,5-1-1", "0-2-12,5-1-1", "0-2-12"],
            false,
            Gtids { applied: set("0-1-9,5-1-1"), committed: set("0-2-12,5-1-1"), logged: set("0-2-12") },
        ),
        // Nothing written yet.
        (["0", version, "1", "", "", ""], false, Gtids { applied: set(""), committed: set(""), logged: set("") }),
        // A replica without a binary log.
        (["1", version, "0", "0-1-2", "0-1-2", ""], true, Gtids { applied: set("0-1-2"), ..Gtids::default() }),
        // No GTIDs at all.
        (["ON", version, "OFF", "", "", ""], true, Gtids::default()),
        (["NO_LOCK_NO_ADMIN", version, "OFF", "", "", ""], true, Gtids::default()),
    ] {
        assert_eq!(read(&values), Variables { version: version.into(), read_only, gtids }, "{values:?}");
    }
}

#[test]
fn plain_variables_and_nonsense() {
    let plain = Variables::read(Family::MySql, &[row(&["1", "5.5.62"])]).expect("readable");
    assert_eq!(plain, Variables { version: "5.5.62".into(), read_only: true, gtids: Gtids::default() });
    for rows in [
        vec![],
        vec![row(&["0", "9"]), row(&["0", "9"])],
        vec![row(&["0"])],
        vec![row(&["NULL", "9"])],
        vec![row(&["0", "9", "ON"])],
        vec![row(&["0", "9", "ON", "NULL"])],
        vec![row(&["0", "9", "ON", "not a set"])],
    ] {
        assert!(Variables::read(Family::MySql, &rows).is_err(), "{rows:?}");
    }
    assert!(Variables::read(Family::MariaDb, &[row(&["0", "10.11", "1", "0-1", "", ""])]).is_err());
}

#[test]
fn applied_gtids() {
    let mysql = format!("{UUID}:1-2");
    assert_eq!(applied(Family::MySql, &[row(&[&mysql])]).ok().map(Arc::new), Some(set(Family::MySql, &mysql)));
    let mariadb = applied(Family::MariaDb, &[row(&["0-1-2,1-1-4"])]);
    assert_eq!(mariadb.ok().map(Arc::new), Some(set(Family::MariaDb, "0-1-2,1-1-4")));
    for rows in [vec![], vec![row(&["NULL"])], vec![row(&["0-1-2"]), row(&["0-1-2"])]] {
        assert!(applied(Family::MySql, &rows).is_err(), "{rows:?}");
    }
}

const MYSQL: &str = "Replica_IO_State Source_Host Source_User Source_Port Replica_IO_Running Replica_SQL_Running \
    Seconds_Behind_Source Last_IO_Errno Last_IO_Error Last_SQL_Error Source_UUID Replica_SQL_Running_State";
const OLD_MYSQL: &str = "Slave_IO_State Master_Host Master_User Master_Port Slave_IO_Running Slave_SQL_Running \
    Seconds_Behind_Master Last_IO_Errno Last_IO_Error Last_SQL_Error Master_UUID Slave_SQL_Running_State";
const MARIADB: &str = "Connection_name Slave_SQL_State Slave_IO_State Master_Host Master_Port Slave_IO_Running \
    Slave_SQL_Running Seconds_Behind_Master Last_IO_Error Last_SQL_Error Slave_SQL_Running_State";

const READ_ALL: &str = "Replica has read all relay log; waiting for more updates";
const REFUSED: &str = "Can't connect to MySQL server on '10.0.0.1:3306' (111)";
const DUPLICATE: &str = "Could not execute Write_rows event on table app.t; Duplicate entry '1' for key 't.PRIMARY'";

fn read(columns: &str, rows: &[Row]) -> Replication {
    let columns: Vec<String> = columns.split_whitespace().map(str::to_owned).collect();
    Replication::read(&columns, rows).expect("readable")
}

fn mysql(receiver: &str, applier: &str, behind: &str, io_error: &str, sql_error: &str) -> Row {
    row(&["state", "10.0.0.1", "repl", "3306", receiver, applier, behind, "0", io_error, sql_error, UUID, READ_ALL])
}

fn running(seconds: u64) -> Threads {
    Threads::Running { behind: Some(Duration::from_secs(seconds)) }
}

#[test]
fn replication_of_both_families() {
    for (receiver, applier, behind, io_error, sql_error, threads, is_alive) in [
        ("Yes", "Yes", "0", "", "", running(0), true),
        ("Yes", "Yes", "17", "", "", running(17), true),
        ("Yes", "Yes", "NULL", "", "", Threads::Running { behind: None }, true),
        ("Connecting", "Yes", "NULL", REFUSED, "", Threads::Connecting, true),
        ("Preparing", "Yes", "NULL", "", "", Threads::Connecting, true),
        ("Yes", "No", "NULL", "", DUPLICATE, Threads::Stopped, true),
        ("No", "Yes", "NULL", REFUSED, "", Threads::Stopped, true),
        ("Connecting", "No", "NULL", REFUSED, DUPLICATE, Threads::Stopped, true),
        ("No", "No", "NULL", "", "", Threads::Stopped, false),
    ] {
        let error = [sql_error, io_error].into_iter().find(|e| !e.is_empty()).map(str::to_owned);
        let source = "10.0.0.1:3306".to_owned();
        let expected = Replication::Configured(Channels { threads, is_alive, source, error, lacks_space: false });
        let mysql = mysql(receiver, applier, behind, io_error, sql_error);
        assert_eq!(read(MYSQL, std::slice::from_ref(&mysql)), expected);
        assert_eq!(read(OLD_MYSQL, &[mysql]), expected);
        let mariadb =
            row(&["", "s", "s", "10.0.0.1", "3306", receiver, applier, behind, io_error, sql_error, READ_ALL]);
        assert_eq!(read(MARIADB, &[mariadb]), expected);
    }
    assert_eq!(read(MYSQL, &[]), Replication::Absent);
    assert!(Replication::read(&["Source_Host".to_owned()], &[row(&["10.0.0.1"])]).is_err());
}

#[test]
fn full_disks_show() {
    const NO_SPACE: &str = "Error writing file './relay.000002' (Errcode: 28 \"No space left on device\")";
    let mut waits = mysql("Yes", "Yes", "0", "", "");
    waits[0] = Some("Waiting for disk space".into());
    for (row, threads) in [
        (waits, Threads::Connecting),
        (mysql("No", "Yes", "NULL", NO_SPACE, ""), Threads::Stopped),
        (mysql("Yes", "No", "NULL", "", "Error 'Got error 28 from storage engine' on query"), Threads::Stopped),
    ] {
        let read = read(MYSQL, std::slice::from_ref(&row));
        assert_eq!(read.lack(), Some(Lack::Replication), "{row:?}");
        assert!(matches!(&read, Replication::Configured(all) if all.threads == threads), "{read:?}");
    }
    assert_eq!(read(MYSQL, &[mysql("Yes", "No", "NULL", "", DUPLICATE)]).lack(), None);
    assert_eq!(Replication::Silent.lack(), Some(Lack::Status));
}

#[test]
fn the_worst_channel_counts() {
    let fine = || mysql("Yes", "Yes", "3", "", "");
    let slow = || mysql("Yes", "Yes", "40", "", "");
    let broken = || mysql("Yes", "No", "NULL", "", DUPLICATE);
    let off = || mysql("No", "No", "NULL", "", "");
    let connecting = || mysql("Connecting", "Yes", "NULL", REFUSED, "");
    for (rows, threads, error) in [
        (vec![fine(), slow()], running(40), None),
        (vec![fine(), connecting(), slow()], Threads::Connecting, Some(REFUSED)),
        (vec![connecting(), broken(), fine()], Threads::Stopped, Some(DUPLICATE)),
        (vec![off(), fine()], Threads::Stopped, None),
    ] {
        let Replication::Configured(all) = read(MYSQL, &rows) else { panic!("configured") };
        assert_eq!((all.threads, all.error.as_deref(), all.is_alive), (threads, error, true), "{rows:?}");
    }
}
