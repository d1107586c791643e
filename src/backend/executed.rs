//! Asking a server for all that a client can have seen there.

use super::query::{Reply, Row};
use crate::consistency::gtid::{Family, GtidSet};

/// The statement whose answer [`executed`] understands.
///
/// MySQL makes a transaction visible a moment before it counts as executed; until then its GTID is owned.
/// Asked in this order, one of the two has it. MariaDB writes it to the binary log first, and where a replica
/// has none, the position of the applier is what there is.
pub fn executed_sql(family: Family) -> &'static str {
    match family {
        Family::MySql => "SELECT @@global.gtid_owned, @@global.gtid_executed",
        Family::MariaDb => "SELECT @@global.gtid_slave_pos, @@global.gtid_current_pos, @@global.gtid_binlog_pos",
    }
}

/// What the server has executed; `None` if it did not say, or names no transactions.
pub fn executed(family: Family, reply: &Reply) -> Option<GtidSet> {
    let Reply::Rows { rows, .. } = reply else { return None };
    let [row] = &rows[..] else { return None };
    union(family, row)
}

fn union(family: Family, row: &Row) -> Option<GtidSet> {
    let mut all = GtidSet::empty(family);
    for value in row {
        all.union(&GtidSet::parse(family, &without_owners(value.as_deref()?)).ok()?).ok()?;
    }
    Some(all).filter(|set| !set.is_empty())
}

/// `gtid_owned` names the connection behind each number: `uuid:5#12:6#13`.
fn without_owners(text: &str) -> String {
    let mut in_owner = false;
    let is_kept = |c: &char| {
        in_owner = *c == '#' || (in_owner && c.is_ascii_digit());
        !in_owner
    };
    text.chars().filter(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(values: &[&str]) -> Reply {
        Reply::Rows { columns: Vec::new(), rows: vec![values.iter().map(|v| Some((*v).to_owned())).collect()] }
    }

    #[test]
    fn what_is_being_committed_counts() {
        const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        for (owned, done, all) in
            [("", "A:1-5", "A:1-5"), ("A:6#17", "A:1-5", "A:1-6"), ("A:6#17#18:8#9,\nA:t:1#3", "A:1-5", "A:1-6:8:t:1")]
        {
            let expand = |text: &str| text.replace('A', A);
            let all = GtidSet::parse(Family::MySql, &expand(all)).ok();
            assert_eq!(executed(Family::MySql, &reply(&[&expand(owned), &expand(done)])), all, "{owned}");
        }
    }

    #[test]
    fn mariadb_positions_are_united() {
        let set = executed(Family::MariaDb, &reply(&["0-1-5,1-1-2", "0-1-5", "0-1-6"]));
        assert_eq!(set, GtidSet::parse(Family::MariaDb, "0-1-6,1-1-2").ok());
        assert_eq!(executed(Family::MariaDb, &reply(&["", "", ""])), None);
        assert_eq!(executed(Family::MariaDb, &Reply::Rows { columns: Vec::new(), rows: Vec::new() }), None);
    }
}
