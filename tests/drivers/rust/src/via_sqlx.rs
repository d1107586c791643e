use crate::{TYPES, Target, WRONG, short, show};
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use sqlx::mysql::types::MySqlTime;
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlPoolOptions, MySqlRow, MySqlSslMode};
use sqlx::types::chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use sqlx::types::{Decimal, JsonValue};
use sqlx::{Column, ConnectOptions, Connection, Either, Execute, Executor, MySql, MySqlConnection, Row, TypeInfo};
use std::time::Duration;

fn failed(error: &sqlx::Error) {
    match error.as_database_error() {
        Some(e) => show("error", (e.downcast_ref::<MySqlDatabaseError>().number(), e.code(), e.message(), e.kind())),
        None => show("error", error.to_string()),
    }
}

fn cells(row: &MySqlRow) -> Vec<Option<String>> {
    let cell = |n| row.try_get_unchecked::<Option<Vec<u8>>, _>(n).expect("bytes").map(|bytes| short(&bytes));
    (0..row.len()).map(cell).collect()
}

/// Every result of a statement, or its error.
async fn results<'q>(conn: &mut MySqlConnection, query: impl Execute<'q, MySql> + 'q) {
    show("statement", short(query.sql().as_bytes()));
    let mut stream = conn.fetch_many(query);
    let mut first = true;
    loop {
        match stream.try_next().await {
            Ok(Some(Either::Left(done))) => {
                show("done", (done.rows_affected(), done.last_insert_id()));
                first = true;
            }
            Ok(Some(Either::Right(row))) => {
                let column = |c: &sqlx::mysql::MySqlColumn| format!("{} {}", c.name(), c.type_info().name());
                if std::mem::take(&mut first) {
                    show("columns", row.columns().iter().map(column).collect::<Vec<_>>());
                }
                show("row", cells(&row));
            }
            Ok(None) => return,
            Err(error) => return failed(&error),
        }
    }
}

/// A row as an application reads it.
fn typed(row: &MySqlRow) {
    macro_rules! get {
        ($($type:ty: $name:literal)*) => {
            $(show($name, row.try_get::<Option<$type>, _>($name).map_err(|e| e.to_string()));)*
        };
    }
    get!(i32: "n" i8: "tiny" i64: "big" u64: "ubig" Decimal: "price" f32: "f" f64: "g" String: "c" String: "s"
        String: "body" Vec<u8>: "b" Vec<u8>: "v" NaiveDate: "d" NaiveDateTime: "dt" DateTime<Utc>: "ts" MySqlTime: "tm"
        u16: "y" u64: "bits" String: "e" String: "flags" JsonValue: "j" i8: "s");
}

async fn crud(conn: &mut MySqlConnection, big: usize) -> sqlx::Result<()> {
    for statement in TYPES.lines() {
        show("types", conn.execute(statement).await?);
    }
    results(conn, sqlx::raw_sql("SELECT * FROM types_t ORDER BY id")).await;
    for n in [1, 2, 3, 99] {
        results(conn, sqlx::query("SELECT * FROM types_t WHERE n = ? OR s = ?").bind(n).bind("nobody")).await;
        if let Some(row) = sqlx::query("SELECT * FROM types_t WHERE n = ?").bind(n).fetch_optional(&mut *conn).await? {
            typed(&row);
        }
    }
    // What the macros ask when they are compiled.
    let described = conn.describe("SELECT n, s, price FROM types_t WHERE n > ? AND s <> ?").await?;
    show("described", (described.columns(), described.parameters(), described.nullable(2)));

    // A statement that is kept, and one that is closed behind its execution.
    let insert = "INSERT INTO types_t (n, s, b, d, dt, price, g, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    for (n, persistent) in [(10, true), (11, true), (12, false), (12, false)] {
        let day = NaiveDate::from_ymd_opt(2026, 2, 28).expect("a day");
        let query = sqlx::query(insert).persistent(persistent).bind(n).bind("h\u{e9} \u{1f600}").bind(&b"\0\xff'"[..]);
        let query = query.bind(day).bind(day.and_hms_micro_opt(23, 59, 59, 125_000)).bind(Decimal::new(150, 2));
        results(conn, query.bind(0.1f64).bind(sqlx::types::Json([1, 2]))).await;
    }
    results(conn, sqlx::query("UPDATE types_t SET s = ? WHERE n < ?").bind("same").bind(10)).await;
    results(conn, sqlx::query("UPDATE types_t SET s = ? WHERE n < ?").bind("same").bind(10)).await;
    let update = sqlx::query("UPDATE types_t SET b = ? WHERE n = 10").bind(b"\0\xff".repeat(big / 2));
    results(conn, update).await;
    results(conn, sqlx::query("SELECT b, REPEAT('x', ?) AS x FROM types_t WHERE n = 10").bind(big as u64)).await;
    results(conn, format!("UPDATE types_t SET body = '{}' WHERE n = 10", "y".repeat(big)).as_str()).await;
    results(conn, "SELECT b, body FROM types_t WHERE n = 10").await;
    for sql in WRONG {
        results(conn, sql).await;
        results(conn, sqlx::query(sql)).await;
    }
    results(conn, "INSERT IGNORE INTO types_t (n) VALUES (10), (101)").await;
    results(conn, "SHOW WARNINGS").await;
    results(conn, "SELECT @@sql_mode, @@time_zone, @@collation_connection, DATABASE()").await;
    results(conn, "SELECT 1 AS a; UPDATE types_t SET s = 'multi' WHERE n < 3; SELECT 2 AS b, NULL AS c").await;
    results(conn, "SELECT 1; SELECT * FROM nowhere; SELECT 2").await;
    results(conn, "CALL types_p(2, @total)").await;
    results(conn, "SELECT @total").await;
    results(conn, sqlx::query("CALL types_p(?, @total)").bind(1)).await;
    results(conn, sqlx::query("SELECT @total + ?").bind(1)).await;
    // The lock of its migrations.
    results(conn, sqlx::query("SELECT GET_LOCK(?, -1)").bind("migrations")).await;
    results(conn, sqlx::query("SELECT RELEASE_LOCK(?)").bind("migrations")).await;
    Ok(())
}

async fn transactions(conn: &mut MySqlConnection) -> sqlx::Result<()> {
    for end in ["rollback", "commit", "drop"] {
        let mut tx = conn.begin().await?;
        results(&mut tx, sqlx::query("UPDATE types_t SET s = ? WHERE n = 1").bind(end)).await;
        let mut savepoint = tx.begin().await?;
        results(&mut savepoint, "DELETE FROM types_t").await;
        savepoint.rollback().await?;
        let savepoint = tx.begin().await?;
        savepoint.commit().await?;
        results(&mut tx, "SELECT n, s FROM types_t ORDER BY n").await;
        match end {
            "rollback" => tx.rollback().await?,
            "commit" => tx.commit().await?,
            _ => drop(tx),
        }
        results(conn, "SELECT s FROM types_t WHERE n = 1").await;
    }
    let mut tx = conn.begin_with("START TRANSACTION READ ONLY").await?;
    results(&mut tx, "SELECT s FROM types_t WHERE n = 1").await;
    results(&mut tx, "DELETE FROM types_t").await;
    tx.commit().await
}

async fn streams(conn: &mut MySqlConnection) -> sqlx::Result<()> {
    let many = "SELECT a.n, REPEAT('r', 100) AS r FROM types_t a, types_t b, types_t c, types_t d";
    let count = conn.fetch(many).try_fold(0, async |sum, row| Ok(sum + row.get::<String, _>("r").len())).await?;
    show("streamed", count);
    for _ in 0..2 {
        let mut rows = conn.fetch(sqlx::query(many));
        show("and left", rows.try_next().await?.is_some());
        drop(rows);
        results(conn, sqlx::query("SELECT COUNT(*) FROM types_t")).await;
    }
    // Statements are closed as the cache of two is full.
    for n in (0..4).chain(0..4) {
        results(conn, sqlx::query(&format!("SELECT {n}, ?")).bind(n)).await;
    }
    show("cached", conn.cached_statements_size());
    conn.clear_cached_statements().await?;
    results(conn, sqlx::query("SELECT 0, ?").bind(1)).await;
    Ok(())
}

pub async fn run(target: &Target) -> anyhow::Result<()> {
    let options = MySqlConnectOptions::new()
        .host(&target.host)
        .port(target.port)
        .username(&target.user)
        .password(&target.password)
        .database("app")
        .ssl_mode(if target.tls { MySqlSslMode::Required } else { MySqlSslMode::Disabled });
    let mut conn = options.connect().await?;
    crud(&mut conn, target.big()).await?;
    transactions(&mut conn).await?;
    conn.ping().await?;
    conn.close().await?;
    // Without what it sets at first, and with few statements.
    let plain =
        options.clone().pipes_as_concat(false).no_engine_substitution(false).timezone(None).statement_cache_capacity(2);
    let mut conn = plain.connect().await?;
    results(&mut conn, "SELECT @@sql_mode, @@time_zone, @@autocommit").await;
    streams(&mut conn).await?;
    // A statement given up, and its connection with it.
    let given_up = tokio::time::timeout(Duration::from_millis(100), conn.execute("DO SLEEP(5)")).await;
    show("given up", given_up.is_err());
    drop(conn);

    let pool = MySqlPoolOptions::new().max_connections(4).connect_with(options).await?;
    let request = async |n: i32| {
        let done = sqlx::query("INSERT INTO types_t (n) VALUES (?)").bind(n).execute(&pool).await?;
        let mut tx = pool.begin().await?;
        sqlx::query("UPDATE types_t SET s = ? WHERE n = ?").bind(n.to_string()).bind(n).execute(&mut *tx).await?;
        if n % 2 == 0 {
            tx.commit().await?;
        } else {
            drop(tx);
        }
        let read = sqlx::query_as::<_, (i32, Option<String>)>("SELECT n, s FROM types_t WHERE id = ?");
        read.bind(done.last_insert_id()).fetch_one(&pool).await
    };
    show("requests", try_join_all((1000..1040).map(request)).await?);
    pool.close().await;
    Ok(())
}
