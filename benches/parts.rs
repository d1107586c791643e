//! What the parts of an exchange cost by themselves: `cargo bench --bench parts`, or one of them with
//! `cargo bench --bench parts -- route`. Ratios between lines of one run say more than the times.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up must stop")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use landbridge::app::App;
use landbridge::config;
use landbridge::consistency::gtid::{Family, GtidSet};
use landbridge::consistency::scopes::Scopes;
use landbridge::consistency::token::{Changed, Noted, Token};
use landbridge::lab::{Flavor, Pair, accounts, proxy_toml};
use landbridge::pool::Disposition;
use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::exchange::{Exchange, Expect};
use landbridge::protocol::packet::{HEADER_LEN, Header, frame_parts};
use landbridge::route::{Need, Reader, decide};
use landbridge::sql::{Mode, classify};
use landbridge::state::SessionState;
use landbridge::topology::{Role, ServerId, ServerView, Snapshot};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn lexer(c: &mut Criterion) {
    let long = format!("INSERT INTO t (a, b) VALUES {}", vec!["(1, 'some text')"; 500].join(","));
    let statements = [
        ("point select", "SELECT c FROM sbtest1 WHERE id=5012"),
        (
            "of a framework",
            "SELECT t0.id AS id_1, t0.title AS title_2 FROM entry t0 WHERE t0.owner_id = 7 ORDER BY t0.id DESC LIMIT 20",
        ),
        ("write", "UPDATE sbtest1 SET k=k+1 WHERE id=5012"),
        ("insert of 500 rows", &long),
    ];
    let mut group = c.benchmark_group("lexer");
    for (name, sql) in statements {
        group.throughput(Throughput::Bytes(u64::try_from(sql.len()).expect("small")));
        group.bench_function(name, |b| b.iter(|| black_box(classify(black_box(sql.as_bytes()), Mode::default()).kind)));
    }
}

/// One column, so many rows of 100 bytes: headers are looked at, rows are not.
fn answer(rows: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seq = frame_parts(&mut out, 1, &[&[1]]);
    let column: [&[u8]; 2] = [b"\x03def\x00\x00\x00\x01c\x00\x0c\xff\x00\x90\x01\x00\x00", b"\xfe\x00\x00\x00\x00\x00"];
    seq = frame_parts(&mut out, seq, &column);
    for _ in 0..rows {
        seq = frame_parts(&mut out, seq, &[&[100], &[b'x'; 100]]);
    }
    frame_parts(&mut out, seq, &[&[0xfe, 0, 0, 2, 0, 0, 0]]);
    out
}

fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("framing");
    let (mut out, text) = (Vec::with_capacity(256), b"SELECT c FROM sbtest1 WHERE id=5012");
    group.bench_function("a query", |b| {
        b.iter(|| {
            out.clear();
            frame_parts(&mut out, 0, &[&[3], black_box(text)])
        });
    });
    let caps = Capabilities::PROTOCOL_41 | Capabilities::DEPRECATE_EOF;
    for rows in [1, 1000] {
        let bytes = answer(rows);
        group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).expect("small")));
        group.bench_function(BenchmarkId::new("rows of an answer", rows), |b| {
            b.iter(|| {
                let (mut exchange, mut rest, mut ends) = (Exchange::new(Expect::Results, caps), &bytes[..], 0);
                while let Some(header) = Header::peek(rest) {
                    let tail = &rest[HEADER_LEN..];
                    let step = exchange.packet(header.len, &tail[..header.len.min(32)]).expect("well formed");
                    ends += usize::from(black_box(step).end);
                    rest = &tail[header.len..];
                }
                assert_eq!(ends, 1);
            });
        });
    }
}

fn server(id: u16, role: Role) -> ServerView {
    let executed = GtidSet::parse(Family::MariaDb, "0-1-500").expect("well formed");
    ServerView {
        rtt: Some(Duration::from_millis(if role == Role::Primary { 100 } else { 1 })),
        family: Some(Family::MariaDb),
        executed: Some(Arc::new(executed)),
        ..ServerView::of(ServerId(id), &format!("s{id}"), role)
    }
}

fn servers(count: u16) -> Snapshot {
    Snapshot::of((0..count).map(|id| server(id, if id == 0 { Role::Primary } else { Role::Replica })).collect())
}

/// With the token of a write that every replica has.
fn route(c: &mut Criterion) {
    let mut group = c.benchmark_group("route");
    for count in [2, 10, 50] {
        let snapshot = servers(count);
        let token = Token::of(Some(GtidSet::parse(Family::MariaDb, "0-1-400").expect("well formed")));
        let reader =
            Reader { token, is_consistent: true, patience: Some(Duration::from_millis(100)), ..Reader::default() };
        group.bench_function(BenchmarkId::new("a read, servers", count), |b| {
            b.iter(|| black_box(decide(Need::Read, black_box(&reader), &snapshot)).is_ok());
        });
    }
}

/// What a read of a key must see, where so many keys have written.
fn tokens(c: &mut Criterion) {
    let mut group = c.benchmark_group("tokens");
    for count in [1_u32, 1_000, 1_000_000] {
        let (scopes, snapshot, now) = (Scopes::default(), servers(2), Instant::now());
        let noted = Noted::Gtids(GtidSet::parse(Family::MariaDb, "0-1-600").expect("well formed"));
        for key in 0..count {
            let key = scopes.key(&key.to_le_bytes());
            scopes.scope_for_more(key, now, &snapshot).note(&noted, Changed::Data, now, Duration::ZERO);
        }
        group.bench_function(BenchmarkId::new("of a key, keys", count), |b| {
            let mut next = 0_u32;
            b.iter(|| {
                next = next.wrapping_add(7919) % count;
                let key = scopes.key(&next.to_le_bytes());
                let (scope, rest) = scopes.of_key(key);
                black_box((scope.map(|scope| scope.token(now, &snapshot)), rest.token(now, &snapshot)))
            });
        });
    }
}

fn prelude(c: &mut Criterion) {
    let mut group = c.benchmark_group("prelude");
    let mut one = SessionState::default();
    one.set_schema(Some(b"app"));
    one.set_names(b"utf8mb4");
    one.set_variable(b"sql_mode", b"'STRICT_TRANS_TABLES'");
    let mut other = one.clone();
    other.set_variable(b"time_zone", b"'+00:00'");
    let same = one.clone();
    group.bench_function("nothing to do", |b| b.iter(|| black_box(one.plan_to(black_box(&same)))));
    group.bench_function("one variable", |b| b.iter(|| black_box(one.plan_to(black_box(&other)))));
}

/// From a pool of a real server, and back.
fn checkout(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (pair, app) = runtime.block_on(async {
        let pair = Pair::start(Flavor::MySql).await.expect("servers start");
        let text = proxy_toml(&pair.certs.ca, [pair.primary.addr(), pair.replica.addr()])
            + "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"\"\n[pool]\nmin_warm = 16\n";
        let settings = config::parse(&text, "bench.toml", Path::new("/"), &|_| None).expect("a good file");
        let app = App::start(&settings).await.expect("Landbridge starts");
        while !app.is_ready() {
            tokio::task::yield_now().await;
        }
        (pair, app)
    });
    let account = app.shared.door.load().users.find(accounts::APP.user).expect("listed").clone();
    let pool = app.shared.pools.of(&account, Capabilities::empty())[1].clone();
    let state = Arc::new(SessionState::default());
    c.bench_function("checkout and return", |b| {
        b.iter_batched(
            || (),
            |()| {
                let lease = runtime.block_on(pool.checkout(&state)).expect("a connection");
                lease.give_back(Disposition::Clean);
            },
            BatchSize::SmallInput,
        );
    });
    runtime.block_on(app.shut_down());
    drop(pair);
}

criterion_group!(parts, lexer, framing, route, tokens, prelude, checkout);
criterion_main!(parts);
