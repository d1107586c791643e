//! Servers and users: each by itself, then what they must be together.

use super::{faults, settings, warnings};
use crate::config::{Role, ServerAddress, ServerTls, TlsIdentity, Trust};

const USER: &str = "[[user]]\nname = 'app'\npassword = ''\n";

/// A file with one primary whose table goes on with `more`.
fn with_server(more: &str) -> String {
    format!("[[server]]\nname = 'p'\nrole = 'primary'\n{more}\n{USER}")
}

fn tls(more: &str) -> ServerTls {
    let text = with_server(&format!("address = 'db'\n{more}"));
    settings(&text).servers.remove(0).tls
}

#[track_caller]
fn refuses(text: &str, expected: &[&str]) {
    let found = faults(text);
    let found: Vec<&str> = found.lines().collect();
    assert_eq!(found, expected, "in\n{text}");
}

#[test]
fn every_fault_at_once() {
    let text = r#"regoin = "eu"

[[server]]
address = "mysql://root:leaked@db"
role = "master"
tls = { mode = "pin", ca = "x", key = "y", colour = 3 }

[[server]]
name = "b"
addres = "x"
role = "replica"
weight = -1

[[user]]
name = "u"
password = "topsecret"
password_file = "x"
min_warm = 65

[[user]]
name = "u"
pasword = "topsecret"

[monitor]
password = 12345
interval = "1 s"

[pool]
max = 64
min_wram = 1

[log]
level = "loud"
"#;
    let expected = r#"proxy.toml:1: regoin: unknown key; did you mean region?
proxy.toml:3: [[server]] #1: name is missing; give it a name for logs and metrics, such as name = "primary"
proxy.toml:4: [[server]] #1 address = [redacted]: a URL is not an address; write host:port, such as "db.example.com:3306"
proxy.toml:5: [[server]] #1 role = "master": unknown word; write "primary", "replica" or "auto"
proxy.toml:6: [[server]] #1 tls.key = "y": cert is missing; add it, or remove key: one is useless without the other
proxy.toml:6: [[server]] #1 tls.ca = "x": with mode "pin" only the pin counts; remove ca, or write mode = "verify-full" and remove pin
proxy.toml:6: [[server]] #1 tls.mode = "pin": pin is missing; write "sha256:" and 64 hexadecimal digits
proxy.toml:6: [[server]] #1 tls.colour: unknown key; known here: mode, ca, pin, server_name, cert, key
proxy.toml:8: [[server]] "b": address is missing; write where it is, such as address = "db.example.com:3306"
proxy.toml:10: [[server]] "b" addres: unknown key; did you mean address?
proxy.toml:12: [[server]] "b" weight = -1: out of range; write a number from 0 to 10000
proxy.toml:16: [[user]] "u" password = [redacted]: password and password_file are both given; remove one
proxy.toml:18: [[user]] "u" min_warm = 65: min_warm is larger than max (64); lower min_warm or raise max
proxy.toml:20: [[user]] "u": password is missing; write password = "${APP_DB_PASSWORD}" or password_file = "app.password"
proxy.toml:21: [[user]] "u" name = "u": the same name as on line 15; list each user once
proxy.toml:22: [[user]] "u" pasword: unknown key; did you mean password?
proxy.toml:24: [monitor]: user is missing; add the name of the account, or remove the password
proxy.toml:25: [monitor] password = [redacted]: expected a text, found a number; write it in quotes
proxy.toml:26: [monitor] interval = "1 s": the duration has no unit; write a duration such as "250ms", "5s", "2m" or "1h"
proxy.toml:30: [pool] min_wram: unknown key; did you mean min_warm?
proxy.toml:33: [log] level = "loud": unknown word; write "error", "warn", "info", "debug" or "trace""#;
    refuses(text, &expected.lines().collect::<Vec<_>>());
}

#[test]
fn nothing_listed() {
    refuses(
        "",
        &[
            "proxy.toml: [[server]]: no server is listed; add one with name, address and role",
            "proxy.toml: [[user]]: no user is listed; add one with name and password, or write auth = \"passthrough\" at the top",
        ],
    );
    refuses(
        "server = 3\n[user]\nname = 'u'\npassword = ''",
        &[
            "proxy.toml:1: [[server]]: expected tables, found a number; \
             write [[server]] once for each server",
            "proxy.toml:2: [[user]]: [user] is a single table; write [[user]] once for each user",
        ],
    );
}

#[test]
fn addresses() {
    for (written, host, port, shown) in [
        ("db", "db", 3306, "db:3306"),
        ("DB.Example.com:3307", "db.example.com", 3307, "db.example.com:3307"),
        ("10.1.0.7:1", "10.1.0.7", 1, "10.1.0.7:1"),
        ("[::1]:3307", "::1", 3307, "[::1]:3307"),
        ("[2001:db8::7]", "2001:db8::7", 3306, "[2001:db8::7]:3306"),
    ] {
        let server = settings(&with_server(&format!("address = '{written}'"))).servers.remove(0);
        assert_eq!(server.address, ServerAddress::Tcp { host: host.to_owned(), port });
        assert_eq!(server.address.to_string(), shown);
    }
    for (written, message) in [
        ("db:0", "the port is not a number from 1 to 65535"),
        ("db:65536", "the port is not a number from 1 to 65535"),
        ("db:", "the port is not a number from 1 to 65535"),
        (":3306", "not the name or IP address of a host"),
        ("", "not the name or IP address of a host"),
        ("a b", "not the name or IP address of a host"),
        ("db..com", "not the name or IP address of a host"),
        ("::1", "an IPv6 address needs brackets"),
        ("[::1", "an IPv6 address needs brackets"),
        ("[db]:1", "not an IPv6 address in brackets"),
        ("[::1]1", "not an IPv6 address in brackets"),
        ("mysql://db", "a URL is not an address"),
        ("unix:run/x", "the path of a unix socket must be absolute"),
    ] {
        let text = with_server(&format!("address = '{written}'"));
        assert!(faults(&text).contains(&format!(": {message}; ")), "{written}: {}", faults(&text));
    }
}

#[test]
fn trust() {
    let on = |trust| ServerTls::On { trust, server_name: None, identity: None };
    let ca = || Some("/etc/landbridge/ca.pem".into());
    assert_eq!(tls(""), on(Trust::VerifyFull { ca: None }));
    assert_eq!(tls("tls = 'off'"), ServerTls::Off);
    assert_eq!(tls("tls = { ca = 'ca.pem' }"), on(Trust::VerifyFull { ca: ca() }));
    assert_eq!(tls("tls = { mode = 'verify-ca', ca = 'ca.pem' }"), on(Trust::VerifyCa { ca: ca() }));
    let pin = format!("tls = {{ mode = 'pin', pin = 'sha256:{}' }}", "aB:".repeat(32));
    assert_eq!(tls(&pin), on(Trust::Pin([0xab; 32])));
    assert_eq!(
        tls("[server.tls]\ncert = '/c'\nkey = 'k'\nserver_name = 'DB.internal'"),
        ServerTls::On {
            trust: Trust::VerifyFull { ca: None },
            server_name: Some("db.internal".to_owned()),
            identity: Some(TlsIdentity { cert: "/c".into(), key: "/etc/landbridge/k".into() }),
        }
    );
    let unix = settings(&with_server("address = 'unix:/run/mysqld.sock'")).servers.remove(0);
    assert_eq!(unix.tls, ServerTls::Off);
}

#[test]
fn trust_that_is_none() {
    for (written, expected) in [
        ("tls = 'pin'", "tls = 'pin': the key is missing; write tls = { mode = \"pin\", pin = \"sha256:..\" }"),
        (
            "tls = 3",
            "tls = 3: expected a text, found a number; \
             write tls = \"off\", or tls = { mode = \"verify-full\", ca = \"ca.pem\" }",
        ),
        ("tls = { mode = 'pin' }", "tls.mode = 'pin': pin is missing; write \"sha256:\" and 64 hexadecimal digits"),
        (
            "tls = { mode = 'pin', pin = 'sha256:00' }",
            "tls.pin = 'sha256:00': not a SHA-256 pin; \
             write \"sha256:\" and 64 hexadecimal digits",
        ),
        (
            "tls = { mode = 'off', ca = 'x', key = 'y', cert = 'z' }",
            "tls.mode = 'off': without TLS there is no use for ca, cert, key; \
             write mode = \"verify-full\", or remove what is not used",
        ),
        (
            "tls = { server_name = 'db:3306' }",
            "tls.server_name = 'db:3306': not a host name or IP address; \
             write the name in the server's certificate, without a port",
        ),
    ] {
        let text = with_server(&format!("address = 'db'\n{written}"));
        refuses(&text, &[&format!("proxy.toml:5: [[server]] \"p\" {expected}")]);
    }
    let pin = format!("address = 'db'\ntls.pin = 'sha256:{}'", "0".repeat(64));
    let found = faults(&with_server(&pin));
    assert!(found.ends_with(": the mode does not use it; write mode = \"pin\""), "{found}");
    refuses(
        &with_server("address = 'unix:/x'\ntls = 'verify-full'"),
        &["proxy.toml:5: [[server]] \"p\" tls = 'verify-full': a unix socket never leaves the \
           machine; remove tls from this server"],
    );
}

#[test]
fn servers_together() {
    let server = |name: &str, address: &str, role: &str| {
        format!("[[server]]\nname = '{name}'\naddress = '{address}'\nrole = '{role}'\n")
    };
    refuses(
        &[&server("a", "x", "primary"), &server("a", "x:3306", "primary"), USER].concat(),
        &[
            "proxy.toml:6: [[server]] \"a\" name = 'a': the same name as on line 2; \
             choose another name",
            "proxy.toml:7: [[server]] \"a\" address = 'x:3306': the same address as on line 3; \
             list each server once",
            "proxy.toml:8: [[server]] \"a\" role = 'primary': there is a primary already on line 4; \
             write role = \"auto\" at both: then it is discovered which one takes writes",
        ],
    );
    refuses(
        &[&server("a", "x", "replica"), &server("b", "y", "replica"), USER].concat(),
        &["proxy.toml:1: [[server]] \"a\": no server takes writes: every role is \"replica\"; \
           add the primary, or write role = \"auto\" where one may become it"],
    );
    refuses(
        &["[listen]\nmysql = '0.0.0.0:3307'\ntls = 'required'\n", &server("a", "localhost:3307", "auto"), USER]
            .concat(),
        &["proxy.toml:6: [[server]] \"a\" address = 'localhost:3307': Landbridge itself listens \
           there ([listen] mysql, on line 2); \
           write the address of the server, or listen on another port"],
    );
    let both = [&server("a", "x", "auto"), &server("b", "y", "primary"), USER].concat();
    let roles: Vec<Role> = settings(&both).servers.iter().map(|server| server.role).collect();
    assert_eq!(roles, [Role::Auto, Role::Primary]);
}

#[test]
fn what_deserves_a_look() {
    assert_eq!(
        warnings(&format!("region = 'eu-wets'\n{}", with_server("address = 'db'\nregion = 'eu-west'"))),
        ["proxy.toml:1: region = 'eu-wets': no server is in this region; did you mean \"eu-west\"?"]
    );
    assert_eq!(
        warnings(&with_server("address = 'db'\ntls = 'off'")),
        ["proxy.toml:5: [[server]] \"p\" tls = 'off': everything sent to this server can be read \
          on the way; prefer \"verify-full\", or \"pin\" where there is no authority"]
    );
    assert_eq!(warnings(&with_server("address = '[::1]:3307'\ntls = 'off'")), [""; 0]);
    assert_eq!(
        warnings(&with_server("address = 'db'\ntls = { mode = 'verify-ca' }")),
        ["proxy.toml:5: [[server]] \"p\" tls.mode = 'verify-ca': any certificate of any public \
          authority would do; name your own authority: ca = \"ca.pem\""]
    );
}

/// Whoever Landbridge itself is at a server, strangers must not be.
#[test]
fn passthrough_lends_no_identity() {
    let rest = "[monitor]\nuser = 'm'\npassword = ''\n";
    let server = |name: &str, role: &str, more: &str| format!("[[server]]\nname = '{name}'\nrole = '{role}'\n{more}\n");
    let fine = server("tcp", "replica", "address = 'db'\ntls = { mode = 'verify-full' }");
    let socket = server("socket", "primary", "address = 'unix:/run/db.sock'");
    let shown = server("shown", "replica", "address = 'other'\ntls = { cert = '/c', key = '/k' }");
    let fix = "servers may take it for the client's identity; reach the server by TCP without one, or list the users";
    refuses(
        &format!("auth = 'passthrough'\n{fine}{socket}{shown}{rest}"),
        &[
            &format!("proxy.toml: auth: passthrough with a unix socket towards server \"socket\"; {fix}"),
            &format!("proxy.toml: auth: passthrough with a client certificate towards server \"shown\"; {fix}"),
        ],
    );
    // Listed users prove here that they know their passwords.
    assert_eq!(settings(&format!("{fine}{socket}{shown}{rest}{USER}")).servers.len(), 3);
}
