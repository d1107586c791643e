//! What a text becomes: defaults, inheritance, expansion, secrets, the fingerprint.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{LEAST, env, faults, settings, warnings};
use crate::config::{
    Auth, Certificate, ClientTls, ListenAddress, PoolMode, ReadWait, Scope, Secret, StatusPage, TlsIdentity, load,
    load_without_secrets,
};

/// The file of the project's introduction.
const SMALLEST_USEFUL: &str = r#"
region = "eu-west"

[listen]
mysql = "127.0.0.1:3306"
admin = "127.0.0.1:6032"
http  = "127.0.0.1:9306"

[[server]]
name = "primary"
address = "db.us-west.example.com:3306"
role = "primary"
region = "us-west"
tls = { mode = "verify-full", ca = "ca.pem" }

[[server]]
name = "replica-eu"
address = "10.1.0.7:3306"
role = "replica"
region = "eu-west"

[[user]]
name = "app"
password = "${APP_DB_PASSWORD}"

[monitor]
user = "landbridge"
password = "${MONITOR_DB_PASSWORD}"

[pool]
mode = "transaction"
min_warm = 4
max = 64
checkout_timeout = "5s"

[consistency]
scope = "user"
wait = "auto"
pin_for = "2s"
"#;

#[test]
fn the_smallest_useful_file() {
    let settings = settings(SMALLEST_USEFUL);
    assert_eq!(settings.region.as_deref(), Some("eu-west"));
    assert_eq!(settings.users[0].password.expose(), "app-from-env");
    assert_eq!(settings.monitor.user, "landbridge");
    assert_eq!(settings.monitor.password.expose(), "monitor-from-env");
    assert_eq!(settings.warnings, []);
}

#[test]
fn how_long_the_end_may_take() {
    let (drain, takeover) = (Duration::from_secs(30), Duration::from_secs(3600));
    let shutdown = settings(LEAST).shutdown;
    assert_eq!((shutdown.drain_timeout, shutdown.takeover_timeout), (drain, takeover));
    let shutdown = settings(&format!("{LEAST}[shutdown]\ntakeover_timeout = \"5m\"\n")).shutdown;
    assert_eq!((shutdown.drain_timeout, shutdown.takeover_timeout), (drain, Duration::from_secs(300)));
    let told = faults(&format!("{LEAST}[shutdown]\ntakeover_timeout = \"soon\"\n"));
    assert!(told.contains("proxy.toml:11:") && told.contains("takeover_timeout"), "{told}");
}

#[test]
fn defaults() {
    let settings = settings(LEAST);
    assert_eq!(settings.region, None);
    assert_eq!(settings.listen.mysql[0].to_string(), "127.0.0.1:3306");
    assert_eq!(settings.listen.admin.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:6032"));
    assert_eq!(settings.listen.http.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:9306"));
    assert_eq!(settings.listen.tls, ClientTls::Optional(Certificate::SelfSigned));
    assert_eq!(settings.listen.unix_mode, 0o660);
    assert_eq!(settings.servers[0].weight, 1);
    assert_eq!(settings.servers[0].max_lag, Duration::from_secs(10));
    let user = &settings.users[0];
    assert_eq!((user.pool.mode, user.pool.min_warm, user.pool.max), (PoolMode::Transaction, 4, 64));
    assert_eq!(settings.monitor.user, "app");
    assert_eq!(settings.monitor.password.expose(), "app-secret");
    assert_eq!(settings.consistency.scope, Scope::User);
    assert_eq!(settings.consistency.wait, ReadWait::Auto);
    assert_eq!(settings.limits.idle_client_timeout, None);
    assert_eq!(settings.pool.max_lifetime, Some(Duration::from_secs(1800)));
}

#[test]
fn what_is_not_said_is_inherited() {
    let text = format!("[pool]\nmax = 2\nmode = 'session'\n[route]\nmax_lag = '3s'\n{LEAST}");
    let small = settings(&text);
    let user = &small.users[0];
    assert_eq!((user.pool.mode, user.pool.min_warm, user.pool.max), (PoolMode::Session, 2, 2));
    assert_eq!(small.servers[0].max_lag, Duration::from_secs(3));

    let user = &settings(&format!("{LEAST}max = 3\n")).users[0];
    assert_eq!((user.pool.min_warm, user.pool.max), (3, 3));
    let user = &settings(&format!("{LEAST}max = 128\nmin_warm = 100\n")).users[0];
    assert_eq!((user.pool.min_warm, user.pool.max), (100, 128));
}

/// Without a list of users every client logs in as on a server, and shows its password for that.
#[test]
fn users_that_servers_know() {
    let monitor =
        "[monitor]\nuser = 'm'\npassword = 'p'\n[[server]]\nname = 'p'\naddress = 'db.example.com'\nrole = 'primary'\n";
    let open = settings(&format!("auth = 'passthrough'\n{monitor}"));
    assert_eq!(open.auth, Auth::Passthrough { recheck: Duration::from_secs(60) });
    assert!(open.users.is_empty() && open.is_passthrough());
    assert_eq!(open.listen.tls, ClientTls::Optional(Certificate::SelfSigned));
    assert_eq!((open.pool.others.mode, open.pool.others.min_warm), (PoolMode::Transaction, 4));

    let text =
        format!("auth = 'passthrough'\nauth_recheck = '0s'\n[pool]\nmax = 2\n[listen]\ntls = 'off'\n{LEAST}max = 7\n");
    let both = settings(&text);
    assert_eq!(both.auth, Auth::Passthrough { recheck: Duration::ZERO });
    assert_eq!((both.users[0].pool.max, both.pool.others.max), (7, 2));
    assert_eq!((both.listen.tls, both.monitor.user.as_str()), (ClientTls::Off, "app"));

    let listed = settings(LEAST);
    assert_eq!((listed.auth, listed.is_passthrough()), (Auth::File, false));
}

#[test]
fn zero_is_off() {
    let text = "[pool]\nidle_timeout = '0s'\nmax_lifetime = '0'\nping_after = '0s'\n\
                [consistency]\nwait = '0s'\n[listen]\nadmin = ''\nhttp = ''\n";
    let settings = settings(&format!("{text}{LEAST}"));
    let pool = &settings.pool;
    assert_eq!((pool.idle_timeout, pool.max_lifetime, pool.ping_after), (None, None, None));
    assert_eq!(settings.consistency.wait, ReadWait::AtMost(Duration::ZERO));
    assert_eq!((settings.listen.admin, settings.listen.http), (None, None));
}

#[test]
fn numbers_and_flags_from_the_environment() {
    let text = "region = '${REGION:-eu}-${NONE:-west}'\n[pool]\nmax = '${POOL_MAX}'\n\
                [limits]\nmemory = '${NONE:-8}MiB'\n\
                [listen]\nmysql = '0.0.0.0:3306'\nallow_plaintext = '${NONE:-true}'\n";
    let settings = settings(&format!("{text}{LEAST}"));
    assert_eq!(settings.region.as_deref(), Some("eu-west"));
    assert_eq!(settings.users[0].pool.max, 8);
    assert_eq!(settings.limits.memory, 8 * 1024 * 1024);
    assert_eq!(settings.listen.tls, ClientTls::Optional(Certificate::SelfSigned));
}

#[test]
fn tls_towards_clients() {
    let tls = |listen: &str| settings(&format!("[listen]\n{listen}\n{LEAST}")).listen.tls;
    let files = "tls_cert = 'c'\ntls_key = '/k'";
    let from_files = || {
        let cert = "/etc/landbridge/c".into();
        Certificate::Files(TlsIdentity { cert, key: "/k".into() })
    };
    let open = "mysql = ['127.0.0.1:3306', '10.0.0.1:3306']";
    assert_eq!(tls(""), ClientTls::Optional(Certificate::SelfSigned));
    assert_eq!(tls("mysql = 'unix:/run/l.sock'"), ClientTls::Optional(Certificate::SelfSigned));
    assert_eq!(tls("tls = 'off'"), ClientTls::Off);
    assert_eq!(tls(files), ClientTls::Optional(from_files()));
    assert_eq!(tls(&format!("{open}\n{files}")), ClientTls::Required(from_files()));
    assert_eq!(tls(&format!("{open}\ntls = 'required'")), ClientTls::Required(Certificate::SelfSigned));
    assert_eq!(tls(&format!("{open}\nallow_plaintext = true")), ClientTls::Optional(Certificate::SelfSigned));
    assert_eq!(tls(&format!("{open}\n{files}\nallow_plaintext = true")), ClientTls::Optional(from_files()));
}

#[test]
fn what_deserves_a_look() {
    let listen = |listen: &str| warnings(&format!("[listen]\n{listen}\n{LEAST}"));
    assert_eq!(
        listen("allow_plaintext = true\nhttp = '0.0.0.0:9306'"),
        [
            "proxy.toml:2: [listen] allow_plaintext = true: it has no effect here; remove it",
            "proxy.toml:3: [listen] http = '0.0.0.0:9306': other machines can read metrics and \
             health; keep it inside a network of your own",
        ]
    );
    assert_eq!(listen("status = 'full'"), Vec::<String>::new());
    let open = listen("http = '0.0.0.0:9306'\nstatus = 'full'");
    assert!(open[1].starts_with("proxy.toml:3: [listen] status = 'full': they can read digests"), "{open:?}");
    assert_eq!(
        listen("mysql = '0.0.0.0:3306'\nallow_plaintext = true"),
        ["proxy.toml:3: [listen] allow_plaintext = true: what clients on other machines send can \
          be read on the way; prefer tls = \"required\""]
    );
    let empty = LEAST.replace("app-secret", "${EMPTY}");
    assert_eq!(
        warnings(&empty),
        ["proxy.toml:9: [[user]] \"app\" password = [redacted]: the environment makes it empty; \
          set the variable, or write \"\""]
    );
}

#[test]
fn who_is_shown_how_much_of_the_status_page() {
    assert_eq!(settings(LEAST).listen.status, StatusPage::Auto);
    for (word, status) in StatusPage::WORDS {
        assert_eq!(settings(&format!("[listen]\nstatus = '{word}'\n{LEAST}")).listen.status, *status);
    }
    let told = faults(&format!("[listen]\nstatus = 'ful'\n{LEAST}"));
    assert!(told.contains("proxy.toml:2:") && told.contains("did you mean \"full\"?"), "{told}");
}

#[test]
fn free_ports_do_not_collide() {
    let settings =
        settings(&format!("[listen]\nmysql = ['127.0.0.1:0', 'localhost:0']\nadmin = '127.0.0.1:0'\n{LEAST}"));
    assert_eq!(settings.listen.mysql.len(), 2);
    assert!(settings.listen.mysql.iter().all(ListenAddress::is_local));
}

#[test]
fn secrets_are_not_printed() {
    let settings = settings(SMALLEST_USEFUL);
    let printed = format!("{settings:?} {:#?} {}", settings.users, settings.monitor.password);
    assert!(!printed.contains("from-env"), "{printed}");
    assert!(printed.contains("[redacted]"));
    assert_eq!(Secret::new("x".to_owned()), Secret::new("x".to_owned()));
}

#[test]
fn the_fingerprint_tells_settings_apart_but_not_secrets_or_regions() {
    let fingerprint = |text: &str| settings(text).fingerprint();
    let least = fingerprint(LEAST);
    assert_eq!(least.len(), 16);
    assert_eq!(least, fingerprint(&LEAST.replace("app-secret", "another")));
    assert_eq!(least, fingerprint(&format!("region = 'eu'\n# a comment\n{LEAST}")));
    assert_eq!(least, fingerprint(&format!("[pool]\nmax = 64\nidle_timeout = '300s'\n{LEAST}")));
    assert_ne!(least, fingerprint(&format!("[pool]\nmax = 65\n{LEAST}")));
    assert_ne!(least, fingerprint(&LEAST.replace("db.example.com", "db.example.org")));
}

#[test]
fn files_beside_the_file() {
    let dir = std::env::temp_dir().join(format!("landbridge-config-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory for the test");
    let read = |content: &[u8]| {
        fs::write(dir.join("app.password"), content).expect("a file for the test");
        let text = LEAST.replace("password = \"app-secret\"", "password_file = 'app.password'");
        fs::write(dir.join("proxy.toml"), text).expect("a file for the test");
        load(&dir.join("proxy.toml"), &env)
            .map(|settings| settings.users[0].password.expose().to_owned())
            .map_err(|faults| faults.iter().map(|fault| fault.message.clone()).collect::<Vec<_>>())
    };
    assert_eq!(read(b"s3cret\n"), Ok("s3cret".to_owned()));
    assert_eq!(read(b"s3cret\r\n"), Ok("s3cret".to_owned()));
    assert_eq!(read(b"s3cret\n\n"), Ok("s3cret\n".to_owned()));
    assert_eq!(read(b" ${EMPTY}$"), Ok(" ${EMPTY}$".to_owned()));
    assert_eq!(read(b""), Ok(String::new()));
    assert_eq!(read(b"\xff"), Err(vec!["the file is not UTF-8".to_owned()]));
    assert_eq!(read(&[b'x'; 5000]), Err(vec!["the file is larger than 4096 bytes".to_owned()]));

    fs::write(dir.join("proxy.toml"), b"region = 'x'\n# \xff").expect("a file for the test");
    let faults = load(&dir.join("proxy.toml"), &env).expect_err("not UTF-8").to_string();
    assert!(faults.ends_with("proxy.toml:2: this line is not valid UTF-8; save the file as UTF-8"));
    fs::remove_dir_all(&dir).expect("the test's own directory");

    let faults = load(Path::new("/nowhere/proxy.toml"), &env).expect_err("no file").to_string();
    assert!(faults.starts_with("/nowhere/proxy.toml: the file cannot be read (No such file"));
}

#[test]
fn what_waits_for_the_primary() {
    use crate::config::PrimaryDown;
    let read = |value: &str| settings(&format!("[route]\nprimary_down = '{value}'\n{LEAST}")).route.primary_down;
    assert_eq!(settings(LEAST).route.primary_down, PrimaryDown::Fail);
    assert_eq!(settings(LEAST).limits.max_waiting, 1_000);
    assert_eq!(read("fail"), PrimaryDown::Fail);
    assert_eq!(read("wait 1500ms"), PrimaryDown::Wait(Duration::from_millis(1500)));
    let of_user = |value: &str| settings(&format!("{LEAST}primary_down = '{value}'\n")).users[0].primary_down;
    assert_eq!(settings(LEAST).users[0].primary_down, None);
    assert_eq!(of_user("fail"), Some(PrimaryDown::Fail));
    assert_eq!(of_user("wait 5s"), Some(PrimaryDown::Wait(Duration::from_secs(5))));
    let told = faults(&format!("{LEAST}primary_down = 'wait'\n"));
    assert!(told.contains("[[user]]") && told.contains("write \"fail\", or \"wait 30s\""), "{told}");
}

#[test]
fn where_transactions_read() {
    use crate::config::Transactions::{Optimistic, Primary};
    let found = settings(LEAST);
    assert_eq!((found.route.transactions, found.users[0].transactions), (Primary, None));
    assert!(found.verify_transactions);
    let found = settings(&format!("[route]\ntransactions = 'optimistic'\n{LEAST}transactions = 'primary'\n"));
    assert_eq!((found.route.transactions, found.users[0].transactions), (Optimistic, Some(Primary)));
    let told = faults(&format!("[route]\ntransactions = 'optimistc'\n{LEAST}transactions = 'replica'\n"));
    assert!(told.contains("proxy.toml:2:") && told.contains("did you mean \"optimistic\"?"), "{told}");
    assert!(told.contains("proxy.toml:12:") && told.contains("\"primary\""), "{told}");
}

#[test]
fn whether_transactions_are_run_again() {
    assert!(!settings(LEAST).route.transaction_replay);
    assert!(settings(&format!("[route]\ntransaction_replay = true\n{LEAST}")).route.transaction_replay);
    let told = faults(&format!("[route]\ntransaction_replay = 'yes'\n{LEAST}"));
    assert!(told.contains("proxy.toml:2:") && told.contains("true"), "{told}");
}

#[test]
fn functions_keep_the_case_of_their_schemas() {
    let text = format!("[route]\nread_functions = ['Shop.Total', 'TAX', 'tax']\n{LEAST}");
    assert_eq!(settings(&text).route.read_functions, ["Shop.total", "tax"]);
}

#[test]
fn who_logs_in_nowhere_needs_no_passwords() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let file = dir.path().join("proxy.toml");
    let text = "[[server]]\nname = 'p'\naddress = 'db'\nrole = 'primary'\n[[user]]\nname = 'a'\npassword = '${UNSET}'\n\
                [[user]]\nname = 'b'\npassword_file = '${UNSET}/absent'\n[pool]\nmode = 'session'\n\
                [monitor]\nuser = 'm'\npassword = '${UNSET}'\n[admin]\nuser = 'o'\npassword_file = 'absent'\n";
    fs::write(&file, text).expect("written");
    assert!(load(&file, &env).expect_err("with passwords").to_string().contains("UNSET"));
    let settings = load_without_secrets(&file, &env).unwrap_or_else(|faults| panic!("{faults}"));
    let names: Vec<_> = settings.users.iter().map(|user| (user.name.as_str(), user.pool.mode)).collect();
    assert_eq!(names, [("a", PoolMode::Session), ("b", PoolMode::Session)]);
    for (from, to, fault) in
        [("password = '${UNSET}'\n[[", "[[", "password is missing"), ("'db'", "'${UNSET}'", "UNSET")]
    {
        fs::write(&file, text.replacen(from, to, 1)).expect("written");
        let faults = load_without_secrets(&file, &env).expect_err(fault).to_string();
        assert!(faults.contains(fault), "{faults}");
    }
}
