//! The direct twin: the same script over a direct connection and through Landbridge, and every
//! packet of every answer compared, for clients of all kinds.

mod script;
mod wire;

use self::script::{Names, Tolerance, sessions};
use self::wire::{Packet, Who, Wire};
use crate::support::{APP, Bed, PASSWORD, Plan};
use landbridge::lab::{Flavor, PairOptions};
use landbridge::protocol::capability::{Capabilities as C, Status};
use landbridge::protocol::exchange::Role;
use landbridge::protocol::response::OkPacket;
use landbridge::protocol::track::{Change, Changes};
use std::path::Path;

/// The schema of the scripts, made anew for each run.
pub(crate) const SCHEMA: &str = "app_twin";

/// What every client of this century has.
const BASE: C = C::LONG_PASSWORD
    .union(C::LONG_FLAG)
    .union(C::PROTOCOL_41)
    .union(C::TRANSACTIONS)
    .union(C::SECURE_CONNECTION)
    .union(C::CONNECT_WITH_DB)
    .union(C::MULTI_RESULTS)
    .union(C::PS_MULTI_RESULTS)
    .union(C::PLUGIN_AUTH)
    .union(C::LOCAL_FILES);

/// What only clients of MariaDB have.
const MARIADB: C =
    BASE.difference(C::LONG_PASSWORD).union(C::MULTI_STATEMENTS).union(C::BULK).union(C::EXTENDED_METADATA);

/// Clients by what they can do.
const CLIENTS: [(&str, C); 14] = [
    ("modern", BASE.union(C::MULTI_STATEMENTS).union(C::DEPRECATE_EOF).union(C::SESSION_TRACK)),
    ("old", BASE.union(C::MULTI_STATEMENTS)),
    ("single statements", BASE.union(C::DEPRECATE_EOF)),
    ("tracking with EOF", BASE.union(C::SESSION_TRACK)),
    ("found rows", BASE.union(C::MULTI_STATEMENTS).union(C::DEPRECATE_EOF).union(C::FOUND_ROWS)),
    ("ignore space", BASE.union(C::MULTI_STATEMENTS).union(C::IGNORE_SPACE)),
    ("mariadb", MARIADB.union(C::DEPRECATE_EOF).union(C::SESSION_TRACK)),
    ("mariadb with EOF", MARIADB),
    ("optional metadata", BASE.union(C::DEPRECATE_EOF).union(C::OPTIONAL_RESULTSET_METADATA)),
    ("mariadb with cached metadata", MARIADB.union(C::DEPRECATE_EOF).union(C::CACHE_METADATA)),
    ("attributes", BASE.union(C::MULTI_STATEMENTS).union(C::DEPRECATE_EOF).union(C::QUERY_ATTRIBUTES)),
    ("zlib", BASE.union(C::MULTI_STATEMENTS).union(C::COMPRESS)),
    ("zstd", BASE.union(C::MULTI_STATEMENTS).union(C::DEPRECATE_EOF).union(C::ZSTD_COMPRESSION)),
    ("without files", BASE.union(C::MULTI_STATEMENTS).union(C::DEPRECATE_EOF).difference(C::LOCAL_FILES)),
];

/// Most speak utf8mb4; the oldest have never heard of it.
fn collation(caps: C) -> u16 {
    if caps.contains(C::DEPRECATE_EOF) { 45 } else { 33 }
}

/// What a script was answered, line by line.
type Answers = Vec<(usize, String, Vec<Packet>)>;

async fn run(port: u16, caps: C, script: &str, family: &str) -> Answers {
    let mut answers = Vec::new();
    for session in sessions(script, family) {
        let who = Who { user: APP, password: PASSWORD, schema: Some(SCHEMA), collation: collation(caps) };
        let mut wire = Wire::log_in(port, caps, who).await;
        let mut names = Names::default();
        for line in session {
            let Some(command) = names.command(&line.text, wire.caps) else { continue };
            let Some(expect) = command.expect else {
                wire.send(&command.bytes).await;
                continue;
            };
            let mut packets = wire.ask(&command.bytes, expect, &names.file).await;
            if let Some(name) = line.text.strip_prefix("@prepare ").and_then(|rest| rest.split_once(": ")) {
                let first = &packets[0];
                if first.role == Some(Role::PrepareOk) {
                    let id = u32::from_le_bytes(first.payload[1..5].try_into().expect("four bytes"));
                    names.statements.insert(name.0.to_owned(), id);
                }
            }
            for packet in &mut packets {
                normalise(packet, wire.caps);
            }
            if wire.caps.contains(C::CACHE_METADATA) {
                packets.retain(|packet| packet.role != Some(Role::Definition));
            }
            if line.tolerance == Tolerance::All {
                packets.clear();
            }
            if line.tolerance == Tolerance::Rows {
                for packet in packets.iter_mut().filter(|p| matches!(p.role, Some(Role::Row | Role::Text))) {
                    packet.payload.clear();
                }
            }
            answers.push((line.number, line.text, packets));
        }
    }
    answers
}

/// Takes out what may differ: statement ids (each connection numbers its own), the order of session
/// variables in a report (that of a hash table), an empty report, and in the EOF ahead of rows the
/// warnings so far and how the query is executed (nobody but the server can know that there).
///
/// Inside compressed envelopes nobody looks at numbers, and servers take them from the envelopes.
fn normalise(packet: &mut Packet, caps: C) {
    if caps.intersects(C::COMPRESS | C::ZSTD_COMPRESSION) {
        packet.seq = 0;
    }
    if caps.contains(C::CACHE_METADATA) {
        packet.seq = 0;
    }
    match packet.role {
        Some(Role::ColumnCount) if caps.contains(C::CACHE_METADATA) => {
            // Landbridge always sends what may be left out.
            packet.payload.pop();
        }
        Some(Role::PrepareOk) => packet.payload[1..5].fill(0),
        Some(Role::DefinitionsEnd) => {
            packet.payload[1..3].fill(0);
            packet.payload[3] &= !(Status::NO_INDEX | Status::NO_GOOD_INDEX).bits().to_le_bytes()[0];
        }
        Some(Role::Ok | Role::RowsEnd) if caps.contains(C::SESSION_TRACK) && packet.payload.len() > 5 => {
            let Ok(ok) = OkPacket::decode(&packet.payload, caps) else { return };
            let mut changes = Vec::new();
            ok.changes.for_each(|change| {
                // Of transactions servers tell now and then, though nobody has asked them to.
                if !matches!(change, Change::Other(_)) {
                    changes.push(format!("{change:?}"));
                }
            });
            changes.sort();
            let mut shown = Vec::new();
            OkPacket { changes: Changes::default(), ..ok.clone() }.encode(&mut shown, packet.payload[0], caps);
            shown.extend(changes.join(" ").into_bytes());
            packet.payload = shown;
        }
        Some(Role::Err) => {
            // "(7)": the number of a statement.
            let text = String::from_utf8_lossy(&packet.payload).into_owned();
            if (text.contains("Unknown prepared statement handler") || text.contains("has no open cursor"))
                && let (Some(from), Some(to)) = (text.find('('), text.find(')'))
            {
                packet.payload = [&text.as_bytes()[..from], &text.as_bytes()[to..]].concat();
            }
        }
        _ => {}
    }
}

async fn anew(bed: &Bed, tables: &[&str]) {
    for sql in [format!("DROP DATABASE IF EXISTS {SCHEMA}"), format!("CREATE DATABASE {SCHEMA}")] {
        bed.pair.primary.sql(&sql).await.expect("administrator");
    }
    for sql in tables {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
    bed.pair.wait_caught_up().await.expect("the replica follows");
}

/// Runs a script of the corpus both ways for every kind of client; the differences.
async fn compare(bed: &Bed, file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(file);
    let script = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    compare_with(bed, file, &script, &[]).await
}

/// The same with any script, and with these tables in its schema.
pub(crate) async fn compare_with(bed: &Bed, name: &str, script: &str, tables: &[&str]) -> Vec<String> {
    let family = if bed.flavor == Flavor::MariaDb { "mariadb" } else { "mysql" };
    let mut differences = Vec::new();
    for (client, caps) in clients(bed.flavor) {
        anew(bed, tables).await;
        let want = run(bed.pair.primary.port(), caps, script, family).await;

        anew(bed, tables).await;
        let got = run(bed.port(), caps, script, family).await;
        assert!(want.len() > 10, "{name} says something");
        differences.extend(different(name, client, &want, &got));
    }
    differences
}

/// The kinds of clients that servers of this flavor have.
fn clients(flavor: Flavor) -> impl Iterator<Item = (&'static str, C)> {
    let of_others = if flavor == Flavor::MariaDb {
        C::ZSTD_COMPRESSION | C::QUERY_ATTRIBUTES | C::OPTIONAL_RESULTSET_METADATA
    } else {
        C::MARIADB | C::CACHE_METADATA
    };
    CLIENTS.into_iter().filter(move |(_, caps)| !caps.intersects(of_others))
}

/// Where the answers of a script differ.
fn different(file: &str, client: &str, want: &Answers, got: &Answers) -> Vec<String> {
    let mut differences = Vec::new();
    for ((number, text, want), (_, _, got)) in want.iter().zip(got) {
        if want != got {
            let at = want.iter().zip(got).position(|(a, b)| a != b).unwrap_or(want.len().min(got.len()));
            differences.push(format!(
                "{file}:{number} ({client}) {text}\n  packet {at} of {} and {}\n  direct  {:?}\n  through {:?}",
                want.len(),
                got.len(),
                want.get(at),
                got.get(at),
            ));
        }
    }
    assert_eq!(want.len(), got.len());
    differences
}

/// With the name of a script in `TWIN_ONLY`, of no other.
async fn every_packet(flavor: Flavor) {
    // Statistics made anew in the background, at any moment, would change how a statement is executed, and
    // that shows in its status.
    let extra_args = vec!["--local-infile=1".into(), "--innodb-stats-auto-recalc=OFF".into()];
    let servers = PairOptions { extra_args, ..Default::default() };
    let bed = Bed::with(flavor, Plan { servers, max: 8, ..Default::default() }).await;
    let mut files = vec!["types", "results", "errors", "prepared", "sessions", "routines", "leftovers"];
    if flavor == Flavor::MySql {
        // With it statements can look at the attributes they came with. It is not replicated.
        let install = "INSTALL COMPONENT 'file://component_query_attributes'";
        bed.pair.primary.sql(install).await.expect("a component");
        for sql in ["SET GLOBAL super_read_only = OFF", install, "SET GLOBAL super_read_only = ON"] {
            bed.pair.replica.sql(sql).await.expect("a component");
        }
        files.push("attributes");
    }
    if let Ok(only) = std::env::var("TWIN_ONLY") {
        files.retain(|file| *file == only);
    }
    let mut differences = Vec::new();
    for file in files {
        differences.extend(compare(&bed, &format!("{file}.txt")).await);
    }
    bed.stop().await;
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

/// Statements about a row that the replica has and others that it has not.
const SPARSE: &str = "SELECT s FROM files WHERE id = 1
SELECT s FROM files WHERE id = 2
SELECT s FROM files WHERE id = 3
SELECT s, CAST('x' AS SIGNED) FROM files WHERE id = 2
SHOW WARNINGS
SELECT SQL_CALC_FOUND_ROWS s FROM files WHERE id > 1 LIMIT 1
SELECT FOUND_ROWS()
SELECT s FROM files WHERE id = 2 AND nothing
SELECT LAST_INSERT_ID()
@prepare s: SELECT id, s FROM files WHERE id > ? ORDER BY id
@execute s: 1
@execute s: 7
@execute s: 1
@prepare e: SELECT id FROM files WHERE id = 1 AND CAST(? AS SIGNED) = 2
@execute e: 'x'
SHOW WARNINGS
@cursor s: 0
@fetch s 1
@close s
SET NAMES latin1
SELECT s FROM files WHERE id = 2
";

/// Where a replica has no row and the primary is asked, nobody can tell from any packet.
async fn empty_answers_are_those_of_the_primary(flavor: Flavor) {
    let extra = "[[rule]]\ntable = \"files\"\non_empty = \"primary\"\n[consistency]\nscope = \"off\"\n";
    let bed = Bed::with(flavor, Plan { extra, max: 8, ..Default::default() }).await;
    let family = if flavor == Flavor::MariaDb { "mariadb" } else { "mysql" };
    anew(&bed, &[]).await;
    let as_administrator = async |sql: &str| drop(bed.pair.primary.sql(sql).await.expect("administrator"));
    as_administrator("CREATE TABLE app_twin.files (id INT PRIMARY KEY, s VARCHAR(20))").await;
    as_administrator("INSERT INTO app_twin.files VALUES (1, 'old')").await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    bed.pair.stop_applier().await.expect("stops");
    as_administrator("INSERT INTO app_twin.files VALUES (2, 'new')").await;
    let mut differences = Vec::new();
    for (client, caps) in clients(flavor) {
        let want = run(bed.pair.primary.port(), caps, SPARSE, family).await;
        let got = run(bed.port(), caps, SPARSE, family).await;
        differences.extend(different("sparse", client, &want, &got));
    }
    assert!(bed.metric_of("landbridge_statements_total", "on_empty") > 0.0);
    bed.stop().await;
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

crate::on_both!(every_packet, empty_answers_are_those_of_the_primary);
