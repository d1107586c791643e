//! How clients come in: passwords, plugins, TLS, sockets, limits.

use crate::support::{APP, Bed, PASSWORD, Plan, one, run};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{ChangeUserOpts, Conn, Error, Opts, SslOpts};

async fn refused(opts: impl Into<Opts>) -> (u16, String, String) {
    match Conn::new(opts).await {
        Err(Error::Server(error)) => (error.code, error.state, error.message),
        Err(other) => panic!("not a server's error: {other}"),
        Ok(_) => panic!("was let in"),
    }
}

/// A wrong password, an unknown user and an unknown schema are refused in a server's words.
async fn refusals_sound_like_a_server(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let denied = |user: &str, using: &str| {
        (1045, "28000".to_owned(), format!("Access denied for user '{user}'@'127.0.0.1' (using password: {using})"))
    };
    assert_eq!(refused(bed.opts().pass(Some("wrong"))).await, denied(APP, "YES"));
    assert_eq!(refused(bed.opts().pass(None::<String>)).await, denied(APP, "NO"));
    assert_eq!(refused(bed.opts().user(Some("nobody"))).await, denied("nobody", "YES"));
    // What a real server says of a schema it will not open, is what the client hears.
    let direct = bed.pair.primary.sql("USE nowhere").await.expect_err("unknown").to_string();
    let (code, _, text) = refused(bed.opts().db_name(Some("nowhere"))).await;
    assert!(direct.contains("1049") && [1044, 1049].contains(&code) && text.contains("nowhere"), "{code} {text}");
    bed.stop().await;
}

/// The greeting is the servers' own.
async fn the_greeting_is_the_servers(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let client = bed.client().await;
    let (major, minor, patch) = client.server_version();
    let version = bed.pair.primary.version();
    assert!(version.contains(&format!("{major}.{minor}.{patch}")), "{version} announced as {major}.{minor}.{patch}");
    bed.stop().await;
}

/// TLS for clients, when it is offered and when it is required.
async fn clients_with_tls(flavor: Flavor) {
    let extra = "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"\"\ntls = \"required\"";
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    assert_eq!(refused(bed.opts()).await.0, 3159, "plaintext is refused");
    let ssl = SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
    let mut client = Conn::new(bed.opts().ssl_opts(Some(ssl))).await.expect("TLS is welcome");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    bed.stop().await;
}

/// A unix socket beside TCP.
async fn a_unix_socket(flavor: Flavor) {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("mysql.sock");
    let extra: &'static str = Box::leak(
        format!("[listen]\nmysql = [\"127.0.0.1:0\", \"unix:{}\"]\nadmin = \"\"\nhttp = \"\"", path.display())
            .into_boxed_str(),
    );
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    let opts = mysql_async::OptsBuilder::default()
        .socket(Some(path.to_string_lossy()))
        .user(Some(APP))
        .pass(Some(PASSWORD))
        .db_name(Some("app"));
    let mut client = Conn::new(opts).await.expect("over the socket");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    bed.stop().await;
}

/// What all clients of an account say of themselves is said at the servers by connections that are opened then.
async fn what_clients_have_in_common(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 0, ..Plan::default() }).await;
    let attribute = |name: &str| {
        format!(
            "SELECT GROUP_CONCAT(attr_value ORDER BY attr_value) FROM performance_schema.session_connect_attrs \
             JOIN information_schema.innodb_trx ON processlist_id = trx_mysql_thread_id WHERE attr_name = '{name}'"
        )
    };
    let mut writers = Vec::new();
    for (program, names) in [("shop", "shop"), ("shop", "shop,shop"), ("worker", "landbridge,shop,shop")] {
        let opts = bed.opts().connect_attribute("program_name", program).connect_attribute("team", "sales");
        let mut client = Conn::new(opts).await.expect("a client can connect");
        run(&mut client, &["BEGIN", "INSERT INTO t (n) VALUES (1)"]).await;
        writers.push(client);
        // MariaDB shows attributes only where its performance schema is switched on at its start.
        if flavor == Flavor::MySql {
            bed.until_sql(&attribute("program_name"), names).await;
            bed.until_sql(&attribute("team"), &["sales"; 3][..writers.len()].join(",")).await;
        }
    }
    writers[2].change_user(ChangeUserOpts::default()).await.expect("attributes go with it");
    drop(writers);
    bed.stop().await;
}

/// `COM_CHANGE_USER` and `COM_RESET_CONNECTION` start the session anew.
async fn sessions_start_anew(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    for anew in ["reset", "change user"] {
        client.query_drop("SET @x = 1, SESSION time_zone = '+07:00'").await.expect("set");
        client.query_drop("CREATE TEMPORARY TABLE tt (n INT)").await.expect("temporary table");
        client.query_drop("BEGIN").await.expect("begin");
        client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
        match anew {
            "reset" => assert!(client.reset().await.expect("reset")),
            _ => client.change_user(ChangeUserOpts::default()).await.expect("change user"),
        }
        let (x, zone): (Option<u8>, String) =
            client.query_first("SELECT @x, @@time_zone").await.expect("state").expect("row");
        assert!(x.is_none() && zone != "+07:00", "{anew}: {x:?} {zone}");
        assert!(client.query_drop("SELECT * FROM app.tt").await.is_err(), "{anew}");
        assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM app.t").await, 0, "{anew}: rolled back");
    }
    bed.stop().await;
}

/// Whether an account is locked, gone, or in use too often, is said when it logs in: by a login or by
/// `COM_CHANGE_USER`, and not by the first statement.
async fn who_may_not_come_in(flavor: Flavor) {
    let extra = "[[user]]\nname = \"root\"\npassword = \"root-secret\"\n\
                 [[user]]\nname = \"second\"\npassword = \"second-secret\"\nmin_warm = 0\nmax_clients = 1\n";
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    let mut root = Conn::new(bed.opts().user(Some("root")).pass(Some("root-secret"))).await.expect("root can connect");
    let second = || bed.opts().user(Some("second")).pass(Some("second-secret")).db_name(None::<String>);
    let changed = || ChangeUserOpts::default().with_user(Some("second".into())).with_pass(Some("second-secret".into()));
    for (change, refusal) in [
        ("CREATE USER second IDENTIFIED BY 'second-secret'", None),
        ("ALTER USER second ACCOUNT LOCK", Some(if flavor == Flavor::MariaDb { 4151 } else { 3118 })),
        ("ALTER USER second ACCOUNT UNLOCK", None),
        ("DROP USER second", Some(1045)),
        ("CREATE USER second IDENTIFIED BY 'second-secret'", None),
    ] {
        root.query_drop(change).await.expect(change);
        bed.pair.wait_caught_up().await.expect("the replica follows");
        let mut other = bed.client().await;
        if let Some(code) = refusal {
            assert_eq!(refused(second()).await.0, code, "{change}");
            let Err(Error::Server(error)) = other.change_user(changed()).await else { panic!("{change}") };
            assert_eq!(error.code, code, "{change}");
            continue;
        }
        let mut client = Conn::new(second()).await.expect(change);
        assert_eq!(one::<u64>(&mut client, "SELECT 1").await, 1, "{change}");
        assert_eq!(refused(second()).await.0, 1203, "{change}");
        let Err(Error::Server(error)) = other.change_user(changed()).await else { panic!("more than one") };
        assert_eq!(error.code, 1203, "{change}");
        client.disconnect().await.expect("goodbye");
        bed.until(|| bed.app().shared.registry.of_user("second") == 0).await;
    }
    bed.stop().await;
}

crate::on_both!(
    who_may_not_come_in,
    refusals_sound_like_a_server,
    the_greeting_is_the_servers,
    clients_with_tls,
    a_unix_socket,
    sessions_start_anew,
    what_clients_have_in_common,
);
