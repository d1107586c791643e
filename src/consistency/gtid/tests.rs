//! Tables: what servers print and accept, and what they refuse.

use super::{Family, FamilyMismatch, GtidSet, Malformed};

const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const B: &str = "2c256447-3f0d-431b-9a12-575bb20c1507";

fn parse(family: Family, text: &str) -> GtidSet {
    GtidSet::parse(family, text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Puts a UUID in the place of `A:` and `B:`.
fn expand(text: &str) -> String {
    text.replace("A:", &format!("{A}:")).replace("B:", &format!("{B}:"))
}

fn mysql(text: &str) -> GtidSet {
    parse(Family::MySql, &expand(text))
}

fn mariadb(text: &str) -> GtidSet {
    parse(Family::MariaDb, text)
}

#[test]
fn mysql_forms_have_one_canonical_form() {
    let table = [
        ("", ""),
        (" \n", ""),
        // In the forms of the manual, "GTID Format and Storage".
        ("3E11FA47-71CA-11E1-9E33-C80AA9429562:23", "A:23"),
        ("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3:11:47-49", "A:1-3:11:47-49"),
        ("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3, B:1-19", "B:1-19,A:1-3"),
        // With the separator that @@gtid_executed puts between sources.
        ("B:1-27,\nA:1-5:7", "B:1-27,A:1-5:7"),
        // Out of order, overlapping, touching, repeated.
        ("A:9-11:1-5:7:6:4-6:20", "A:1-7:9-11:20"),
        ("A:5,B:1,A:4", "B:1,A:4-5"),
        // Nothing: bare UUIDs, reversed intervals, surplus commas.
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562", ""),
        ("A:7-3:5-0", ""),
        (",, A:8,\n,", "A:8"),
        // White space between any two tokens.
        (" 3e11fa47-71ca-11e1-9e33-c80aa9429562 : 1 - 3\t:\r\n7 \u{b}\u{c}", "A:1-3:7"),
        ("A:1-9223372036854775806", "A:1-9223372036854775806"),
    ];
    for (text, canonical) in table {
        let set = mysql(text);
        assert_eq!(set.to_string(), expand(canonical), "{text:?}");
        assert_eq!(set, mysql(canonical), "{text:?}");
        assert_eq!(set.is_empty(), canonical.is_empty(), "{text:?}");
    }
}

#[test]
fn mysql_tags_are_sources_of_their_own() {
    let table = [
        // Tagged GTIDs (8.3 and later).
        ("A:Domain_1:1-3:15-21", "A:domain_1:1-3:15-21"),
        ("A:Domain_1:1-3:15-21, B:8-52", "B:8-52,A:domain_1:1-3:15-21"),
        ("A:1-5:tag:1-3:other:7", "A:1-5:other:7:tag:1-3"),
        // The untagged part is printed first, the tags in order, each UUID once.
        ("A:z:1:_y:2,A:3", "A:3:_y:2:z:1"),
        ("A:Tag:1-3,A:TAG:4,A:tag:9", "A:tag:1-4:9"),
        // A tag without intervals is nothing, and the next one replaces it.
        ("A:tag", ""),
        ("A:one:two : three :4", "A:three:4"),
        ("A:1:tag,B:1", "B:1,A:1"),
        ("A:abcdefghijklmnopqrstuvwxyz_01234:1", "A:abcdefghijklmnopqrstuvwxyz_01234:1"),
    ];
    for (text, canonical) in table {
        let expected = canonical.replace("A:", &format!("{A}:")).replace("B:", &format!("{B}:"));
        assert_eq!(mysql(text).to_string(), expected, "{text:?}");
    }
    assert!(!mysql("A:1-9").contains(&mysql("A:tag:1")));
    assert!(!mysql("A:tag:1-9").contains(&mysql("A:1")));
    assert!(mysql("A:1-9:tag:1-9").contains(&mysql("A:tag:2-3")));
}

#[test]
fn mysql_malformed_text_names_the_place() {
    let table = [
        ("x", 0, Malformed::Uuid),
        ("3e11fa47", 0, Malformed::Uuid),
        ("3e11fa4771ca11e19e33c80aa9429562:1", 0, Malformed::Uuid),
        ("{3e11fa47-71ca-11e1-9e33-c80aa9429562}:1", 0, Malformed::Uuid),
        ("3g11fa47-71ca-11e1-9e33-c80aa9429562:1", 0, Malformed::Uuid),
        ("ANONYMOUS", 0, Malformed::Uuid),
        ("0-1-5", 0, Malformed::Uuid),
        ("+", 0, Malformed::Uuid),
        ("A:1,\u{e9}", 39, Malformed::Uuid),
        ("A:", 37, Malformed::Number),
        ("A:1:", 39, Malformed::Number),
        ("A::1", 37, Malformed::Number),
        ("A:-1", 37, Malformed::Number),
        ("A:1-", 39, Malformed::Number),
        ("A:1--2", 39, Malformed::Number),
        ("A:010", 37, Malformed::Number),
        ("A:00", 37, Malformed::Number),
        ("A:0", 37, Malformed::Range),
        ("A:0-5", 37, Malformed::Range),
        ("A:9223372036854775807", 37, Malformed::Range),
        ("A:1-9223372036854775807", 39, Malformed::Range),
        ("A:99999999999999999999999", 37, Malformed::Range),
        ("A:0x10", 37, Malformed::Range),
        ("A:1 2", 39, Malformed::Separator),
        ("A:1;", 38, Malformed::Separator),
        ("A:1\0", 38, Malformed::Separator),
        ("A:1-2-3", 40, Malformed::Separator),
        ("A:12tag", 39, Malformed::Separator),
        ("A:tag-x:1", 40, Malformed::Separator),
        ("A:abcdefghijklmnopqrstuvwxyz_012345:1", 37, Malformed::Tag),
    ];
    for (text, at, reason) in table {
        let text = expand(text);
        let error = GtidSet::parse(Family::MySql, &text).expect_err(&text);
        assert_eq!((error.at(), error.reason()), (at, reason), "{text:?}");
    }
}

#[test]
fn mysql_contains() {
    let table = [
        ("A:1-5:9-11", "A:1-5", true),
        ("A:1-5:9-11", "A:2-4:10", true),
        ("A:1-5:9-11", "A:5-6", false),
        ("A:1-5:9-11", "A:5-9", false),
        ("A:1-5:9-11", "A:8", false),
        ("A:1-5:9-11", "A:12", false),
        ("A:4-5", "A:3", false),
        ("A:1-5,B:1", "B:1", true),
        ("A:1-5", "B:1", false),
        ("A:1-5", "", true),
        ("", "", true),
        ("", "A:1", false),
    ];
    for (set, other, expected) in table {
        assert_eq!(mysql(set).contains(&mysql(other)), expected, "{set:?} contains {other:?}");
    }
}

#[test]
fn mysql_union() {
    let table = [
        ("", "A:1", "A:1"),
        ("A:1", "", "A:1"),
        ("A:1-5", "A:6", "A:1-6"),
        ("A:1-5", "A:7", "A:1-5:7"),
        ("A:5", "A:3", "A:3:5"),
        ("A:1:3:5:7", "A:2-6", "A:1-7"),
        ("A:1:3:5:9", "A:4", "A:1:3-5:9"),
        ("A:1-9", "A:4", "A:1-9"),
        ("A:1:5", "A:2:6,B:1", "A:1-2:5-6,B:1"),
        ("A:1,B:1", "A:t:1:u:1", "A:1:t:1:u:1,B:1"),
        ("A:9223372036854775806", "A:9223372036854775805", "A:9223372036854775805-9223372036854775806"),
    ];
    for (set, other, expected) in table {
        let mut union = mysql(set);
        assert_eq!(union.union(&mysql(other)), Ok(()));
        assert_eq!(union, mysql(expected), "{set:?} with {other:?}");
    }
}

#[test]
fn mariadb_forms_have_one_canonical_form() {
    let table = [
        ("", ""),
        (" ", ""),
        ("0-1-100", "0-1-100"),
        // @@gtid_binlog_state, @@gtid_current_pos and @@gtid_slave_pos of a MariaDB 10.11.
        ("0-7-18446744073709551614,5-7-1,5-9-2", "0-7-18446744073709551614,5-9-2"),
        ("0-7-18446744073709551614,5-3-4,6-3-99", "0-7-18446744073709551614,5-3-4,6-3-99"),
        ("0-8-0,5-3-4", "5-3-4"),
        // Any order; the highest sequence number of a domain, whoever wrote it.
        ("10-2-2,7-1-5, 3-1-5\n,0-1-1", "0-1-1,3-1-5,7-1-5,10-2-2"),
        ("1-1-7,1-2-5,1-3-6", "1-1-7"),
        ("1-1-7,1-2-7", "1-2-7"),
        ("4294967295-4294967295-18446744073709551615", "4294967295-4294967295-18446744073709551615"),
    ];
    for (text, canonical) in table {
        let set = mariadb(text);
        assert_eq!(set.to_string(), canonical, "{text:?}");
        assert_eq!(set, mariadb(canonical), "{text:?}");
        assert_eq!(set.is_empty(), canonical.is_empty(), "{text:?}");
    }
}

#[test]
fn mariadb_malformed_text_names_the_place() {
    let table = [
        ("x", 0, Malformed::Number),
        ("0", 1, Malformed::Separator),
        ("0-1", 3, Malformed::Separator),
        ("0-1-", 4, Malformed::Number),
        ("0--1", 2, Malformed::Number),
        ("-0-1-1", 0, Malformed::Number),
        ("0-1-1-1", 5, Malformed::Separator),
        ("0-1-1,", 6, Malformed::Number),
        (",0-1-1", 0, Malformed::Number),
        ("0-1-1,,0-1-2", 6, Malformed::Number),
        ("0-01-1", 2, Malformed::Number),
        ("4294967296-1-1", 0, Malformed::Range),
        ("0-4294967296-1", 2, Malformed::Range),
        ("0-1-18446744073709551616", 4, Malformed::Range),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1", 1, Malformed::Separator),
    ];
    for (text, at, reason) in table {
        let error = GtidSet::parse(Family::MariaDb, text).expect_err(text);
        assert_eq!((error.at(), error.reason()), (at, reason), "{text:?}");
    }
}

#[test]
fn mariadb_contains_compares_sequence_numbers_only() {
    let table = [
        ("0-1-5", "0-1-5", true),
        ("0-1-5", "0-1-6", false),
        ("0-2-6", "0-1-5", true),
        ("0-1-5", "0-2-5", true),
        ("0-1-5,1-1-1", "1-9-1", true),
        ("0-1-5", "1-1-1", false),
        ("0-1-5", "1-1-0", true),
        ("0-1-5", "", true),
        ("", "0-1-1", false),
    ];
    for (set, other, expected) in table {
        assert_eq!(mariadb(set).contains(&mariadb(other)), expected, "{set:?} contains {other:?}");
    }
}

#[test]
fn mariadb_union() {
    let table = [
        ("", "0-1-5", "0-1-5"),
        ("0-1-5", "0-2-6", "0-2-6"),
        ("0-2-6", "0-1-5", "0-2-6"),
        ("1-1-1,5-1-1", "0-1-1,3-1-1,5-2-9,7-1-1", "0-1-1,1-1-1,3-1-1,5-2-9,7-1-1"),
    ];
    for (set, other, expected) in table {
        let mut union = mariadb(set);
        assert_eq!(union.union(&mariadb(other)), Ok(()));
        assert_eq!(union, mariadb(expected), "{set:?} with {other:?}");
    }
}

#[test]
fn families_do_not_mix() {
    let empty = [GtidSet::empty(Family::MySql), GtidSet::empty(Family::MariaDb)];
    let full = [mysql("A:1"), mariadb("0-1-1")];
    let own = Family::MySql;
    let other = Family::MariaDb;
    assert_eq!(full[0].family(), own);
    assert_eq!(full[1].family(), other);
    assert!(!full[0].contains(&full[1]) && !full[1].contains(&full[0]));
    assert!(!empty[0].contains(&full[1]) && !empty[1].contains(&full[0]));
    assert!(full[0].contains(&empty[1]) && full[1].contains(&empty[0]));
    assert!(empty[0].contains(&empty[1]));

    let mut set = full[0].clone();
    assert_eq!(set.union(&full[1]), Err(FamilyMismatch { own, other }));
    assert_eq!(set.union(&empty[1]), Ok(()));
    assert_eq!(set, full[0]);
    let mut set = empty[0].clone();
    assert_eq!(set.union(&full[1]), Err(FamilyMismatch { own, other }));
    assert_eq!(set, empty[0]);
}

#[test]
fn errors_read_as_sentences_without_the_text() {
    let error = GtidSet::parse(Family::MySql, "secret").expect_err("not a UUID");
    assert_eq!(error.to_string(), "malformed GTID set at byte 0: expected a UUID");
    let mismatch = FamilyMismatch { own: Family::MySql, other: Family::MariaDb };
    assert_eq!(mismatch.to_string(), "cannot add a MariaDB GTID set to a MySQL one");
}

#[test]
fn a_set_is_small() {
    assert!(size_of::<GtidSet>() <= 32);
}
