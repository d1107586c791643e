use crate::{TYPES, Target, WRONG, short, show};
use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};
use mysql_async::prelude::{BatchQuery, Protocol, Queryable, WithParams};
use mysql_async::{
    ChangeUserOpts, Compression, Conn, Error, IsolationLevel, Opts, OptsBuilder, Params, Pool, PoolConstraints,
    PoolOpts, QueryResult, Result, Row, SslOpts, TxOpts, Value, params,
};

fn failed(error: &Error) {
    match error {
        Error::Server(e) => show("error", (e.code, &e.state, &e.message)),
        _ => show("error", error.to_string()),
    }
}

fn cells(row: Row) -> Vec<String> {
    let cell = |value: Value| match value {
        Value::Bytes(bytes) => short(&bytes),
        other => format!("{other:?}"),
    };
    row.unwrap().into_iter().map(cell).collect()
}

fn done<P: Protocol>(result: &QueryResult<'_, '_, P>) {
    show("done", (result.affected_rows(), result.last_insert_id(), result.warnings(), result.info()));
}

/// Every result of a statement, or its error.
async fn results<P: Protocol>(result: Result<QueryResult<'_, '_, P>>) {
    let read = async |mut result: QueryResult<'_, '_, P>| {
        while !result.is_empty() {
            // What comes ahead of rows says nothing of them: the driver takes it from the answer before.
            match result.columns() {
                Some(columns) if !columns.is_empty() => show("columns", &columns),
                _ => done(&result),
            }
            for row in result.collect::<Row>().await? {
                show("row", cells(row));
            }
        }
        done(&result);
        Ok(())
    };
    let read = match result {
        Ok(result) => read(result).await,
        Err(error) => Err(error),
    };
    if let Err(error) = read {
        failed(&error);
    }
}

async fn text(conn: &mut impl Queryable, sql: &str) {
    show("text", short(sql.as_bytes()));
    results(conn.query_iter(sql).await).await;
}

async fn prepared(conn: &mut impl Queryable, sql: &str, values: impl Into<Params> + Send) {
    show("prepared", sql);
    results(conn.exec_iter(sql, values.into()).await).await;
}

async fn crud(conn: &mut Conn, big: usize) -> Result<()> {
    for statement in TYPES.lines() {
        text(conn, statement).await;
    }
    text(conn, "SELECT * FROM types_t ORDER BY id").await;
    for n in [1, 2, 3, 99] {
        prepared(conn, "SELECT * FROM types_t WHERE n = ? OR s = ?", (n, "nobody")).await;
    }
    let insert = "INSERT INTO types_t (n, s, b, d, price, g) VALUES (:n, :s, :b, :d, :price, :g)";
    let row = |n: i32| params! { "n" => n, "s" => "h\u{e9} \u{1f600}", "b" => b"\0\xff'", "d" => "2026-02-28", "price" => "1.50", "g" => 0.1 };
    for n in [10, 11, 11] {
        prepared(conn, insert, row(n)).await;
    }
    insert.with((20..30).map(row)).batch(&mut *conn).await?;
    show("batch", (conn.affected_rows(), conn.last_insert_id()));
    // Named parameters, and values sent ahead because they are long.
    prepared(conn, "UPDATE types_t SET b = ? WHERE n = ?", (b"\0\xff".repeat(big / 2), 10)).await;
    prepared(conn, "SELECT b, REPEAT('x', ?) AS x FROM types_t WHERE n = 10", (big,)).await;
    text(conn, &format!("UPDATE types_t SET body = '{}' WHERE n = 10", "y".repeat(big))).await;
    text(conn, "SELECT b, body FROM types_t WHERE n = 10").await;
    for sql in WRONG {
        text(conn, sql).await;
        prepared(conn, sql, ()).await;
    }
    text(conn, "INSERT IGNORE INTO types_t (n) VALUES (10), (101)").await;
    text(conn, "SHOW WARNINGS").await;
    text(conn, "SELECT 1 AS a; UPDATE types_t SET s = 'multi' WHERE n < 3; SELECT 2 AS b, NULL AS c").await;
    text(conn, "SELECT 1; SELECT * FROM nowhere; SELECT 2").await;
    text(conn, "CALL types_p(2, @total)").await;
    prepared(conn, "CALL types_p(?, @total)", (1,)).await;
    prepared(conn, "SELECT @total", ()).await;
    let statement = conn.prep("SELECT n, s FROM types_t WHERE n = ?").await?;
    show("statement", (statement.num_params(), statement.columns().len()));
    results(conn.exec_iter(&statement, (1,)).await).await;
    conn.close(statement).await?;
    // Rows that nobody reads.
    drop(conn.query_iter("SELECT a.n, REPEAT('r', 100) FROM types_t a, types_t b, types_t c, types_t d").await?);
    text(conn, "SELECT COUNT(*) FROM types_t").await;
    Ok(())
}

async fn transactions(conn: &mut Conn) -> Result<()> {
    let mut snapshot = TxOpts::default();
    snapshot.with_consistent_snapshot(true);
    let mut serializable = TxOpts::default();
    serializable.with_isolation_level(IsolationLevel::Serializable);
    let mut read_only = TxOpts::default();
    read_only.with_readonly(true);
    for (n, options) in [TxOpts::default(), snapshot, serializable, read_only].into_iter().enumerate() {
        for end in ["rollback", "commit", "drop"] {
            let mut tx = conn.start_transaction(options.clone()).await?;
            prepared(&mut tx, "UPDATE types_t SET s = ? WHERE n = 1", (format!("{n} {end}"),)).await;
            text(&mut tx, "SELECT s FROM types_t WHERE n = 1").await;
            match end {
                "rollback" => tx.rollback().await?,
                "commit" => tx.commit().await?,
                _ => drop(tx),
            }
            text(conn, "SELECT s FROM types_t WHERE n = 1").await;
        }
    }
    Ok(())
}

/// The same connection for somebody else, and a file of the client.
async fn sessions(conn: &mut Conn, target: &Target) -> Result<()> {
    let state = "SELECT @mine, @@sql_mode, @@time_zone, @@autocommit, DATABASE(), LAST_INSERT_ID()";
    let user = || ChangeUserOpts::new().with_user(Some(target.user.clone())).with_pass(Some(target.password.clone()));
    for how in ["reset", "change_user", "another database"] {
        prepared(conn, "SET @mine = ?", (how,)).await;
        text(conn, "SET SESSION sql_mode = 'ANSI', time_zone = '+05:00'; CREATE TEMPORARY TABLE mine (n INT); BEGIN")
            .await;
        text(conn, "INSERT INTO types_t (n) VALUES (77)").await;
        text(conn, state).await;
        match how {
            "reset" => show("reset", conn.reset().await?),
            "change_user" => conn.change_user(user()).await?,
            _ => conn.change_user(user().with_db_name(Some("information_schema".into()))).await?,
        }
        text(conn, state).await;
        text(conn, "SELECT * FROM mine").await;
        prepared(conn, "SELECT COUNT(*) FROM app.types_t WHERE n = ?", (77,)).await;
    }
    conn.change_user(user().with_db_name(Some("app".into()))).await?;
    let lines = (2000..2500).map(|n| Ok(Bytes::from(format!("{n}\tline {n}\n"))));
    conn.set_infile_handler(async move { Ok(stream::iter(lines).boxed()) });
    text(conn, "LOAD DATA LOCAL INFILE 'lines' INTO TABLE types_t (n, s)").await;
    text(conn, "SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000").await;
    Ok(())
}

pub async fn run(target: &Target) -> anyhow::Result<()> {
    let tls = target.tls.then(|| SslOpts::default().with_danger_accept_invalid_certs(true));
    let options = OptsBuilder::default()
        .ip_or_hostname(target.host.clone())
        .tcp_port(target.port)
        .user(Some(target.user.clone()))
        .pass(Some(target.password.clone()))
        .db_name(Some("app"))
        .ssl_opts(tls)
        .prefer_socket(false);
    let mut conn = Conn::new(options.clone()).await?;
    crud(&mut conn, target.big()).await?;
    transactions(&mut conn).await?;
    conn.ping().await?;
    sessions(&mut conn, target).await?;
    if let Err(error) = conn.change_user(ChangeUserOpts::new().with_pass(Some("wrong".into()))).await {
        show("turned away", error.to_string());
    }
    drop(conn);
    // With envelopes, and other capabilities.
    let more = options.clone().compression(Compression::fast()).client_found_rows(true).stmt_cache_size(0);
    let mut conn = Conn::new(more.setup(vec!["SET @set_up = 1"])).await?;
    crud(&mut conn, 200_000).await?;
    sessions(&mut conn, target).await?;
    text(&mut conn, "UPDATE types_t SET s = 'same' WHERE n < 3").await;
    text(&mut conn, "UPDATE types_t SET s = 'same' WHERE n < 3").await;
    text(&mut conn, "SELECT @set_up").await;
    // An answer that comes in pieces, each in envelopes of its own.
    text(&mut conn, "SELECT 1; DO SLEEP(0.05); SELECT 2; SELECT n, SLEEP(0.02) FROM types_t LIMIT 3; SELECT 4").await;
    text(&mut conn, "SELECT REPEAT('r', 1000) FROM types_t a, types_t b, types_t c LIMIT 1000; SELECT 5").await;
    conn.disconnect().await?;

    let constraints = PoolConstraints::new(1, 4).expect("one is less than four");
    let pool = Pool::new(Opts::from(options.pool_opts(PoolOpts::default().with_constraints(constraints))));
    let request = async |n: i32| {
        let mut conn = pool.get_conn().await?;
        conn.exec_drop("INSERT INTO types_t (n) VALUES (?)", (n,)).await?;
        let id = conn.last_insert_id();
        conn.query_drop("SET @left = 1").await?;
        drop(conn);
        let mut conn = pool.get_conn().await?;
        conn.exec_first::<(i32, Option<i64>), _, _>("SELECT n, @left FROM types_t WHERE id = ?", (id,)).await
    };
    show("requests", try_join_all((1000..1040).map(request)).await?);
    pool.disconnect().await?;
    Ok(())
}
