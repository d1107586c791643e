//! What a process says that cannot start, or cannot reach its servers: what is wrong, and what to do next.

use crate::cli::{config, landbridge, write};
use landbridge::lab::{CertFiles, Flavor, Pair};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

const FILE: &str = r#"
[listen]
mysql = "127.0.0.1:0"
admin = ""
http = ""
[[server]]
name = "primary"
address = "127.0.0.1:1"
role = "primary"
[[user]]
name = "app"
password = "secret"
"#;

/// The exit code of `run`, and what it says.
fn fails(text: &str, directory: &Path) -> (Option<i32>, String) {
    let output = landbridge(&["run"], &write(directory, text)).output().expect("runs");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part} missing: {said}");
    }
    assert!(!said.contains("panicked") && !said.contains("secret"), "{said}");
}

#[test]
fn an_address_that_is_taken() {
    let directory = tempfile::tempdir().expect("directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let (code, said) = fails(&FILE.replace("127.0.0.1:0", &address), directory.path());
    assert_eq!(code, Some(1), "{said}");
    says(&said, &["cannot listen on", &address, "listens there", "change [listen] mysql"]);
    let elsewhere = FILE.replace("127.0.0.1:0", "192.0.2.1:3306").replace("admin", "allow_plaintext = true\nadmin");
    let (code, said) = fails(&elsewhere, directory.path());
    assert_eq!(code, Some(1), "{said}");
    says(&said, &["192.0.2.1:3306", "this machine has no such address", "[listen] mysql"]);
    let nowhere = directory.path().join("no/such/lb.sock");
    let (code, said) = fails(&FILE.replace("127.0.0.1:0", &format!("unix:{}", nowhere.display())), directory.path());
    assert_eq!(code, Some(1), "{said}");
    says(&said, &["lb.sock", "make the directory first"]);
}

#[test]
fn no_file() {
    let directory = tempfile::tempdir().expect("directory");
    let output = landbridge(&["run"], &directory.path().join("absent.toml")).output().expect("runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["absent.toml", "[[server]]", "[[user]]", "landbridge check"] {
        assert!(said.contains(part), "{part} missing: {said}");
    }
}

#[test]
fn certificates_that_cannot_be_used() {
    let directory = tempfile::tempdir().expect("directory");
    let dir = |name: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).expect("made");
        CertFiles::generate(&path, &[]).expect("certificates")
    };
    let (one, other) = (dir("one"), dir("other"));
    let with = |cert: &Path, key: &Path| {
        let tls =
            format!("tls = \"optional\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\nadmin", cert.display(), key.display());
        fails(&FILE.replacen("admin", &tls, 1), directory.path())
    };
    let (code, said) = with(&one.server.cert, &other.server.key);
    assert_eq!(code, Some(1), "{said}");
    says(&said, &["it is not the key of", &one.server.cert.display().to_string()]);
    let (code, said) = with(&one.server.cert, &directory.path().join("absent.pem"));
    assert_eq!(code, Some(1), "{said}");
    says(&said, &["absent.pem", "No such file"]);
    // Whoever is root may read everything.
    std::fs::set_permissions(&one.server.key, std::fs::Permissions::from_mode(0o0)).expect("set");
    if std::fs::read(&one.server.key).is_err() {
        let (code, said) = with(&one.server.cert, &one.server.key);
        assert_eq!(code, Some(1), "{said}");
        says(&said, &["Permission denied"]);
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// What is logged until all of these parts were seen, each in a line that also names the server.
fn until_told(text: &str, directory: &Path, server: &str, parts: &[&str]) -> String {
    let child = landbridge(&["run"], &write(directory, text)).stderr(Stdio::piped()).spawn().expect("starts");
    let mut running = Running(child);
    let mut log = BufReader::new(running.0.stderr.take().expect("piped"));
    let mut all = String::new();
    let is_told = |all: &str| parts.iter().all(|part| all.lines().any(|l| l.contains(part) && l.contains(server)));
    while !is_told(&all) {
        assert_ne!(log.read_line(&mut all).expect("log"), 0, "ended: {all}");
    }
    all
}

/// It starts all the same: the server may come, or the password be put right.
async fn servers_that_refuse_or_are_unknown(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let directory = tempfile::tempdir().expect("directory");
    let text = config(&pair, &pair.certs.ca, "wrong-secret");
    let parts = ["the monitor is refused", "Access denied"];
    let said = until_told(&text, directory.path(), "server=\"primary\"", &parts);
    assert!(!said.contains("wrong-secret"), "{said}");
    let text = FILE.replace("127.0.0.1:1", "no-such-host.invalid:3306");
    let said = until_told(&text, directory.path(), "server=\"primary\"", &["cannot open a connection"]);
    assert!(said.contains("no-such-host.invalid"), "{said}");
    let output = landbridge(&["check"], &write(directory.path(), &text)).output().expect("runs");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.code() == Some(1) && said.contains("the name is not known here"), "{said}");
}

crate::on_both!(servers_that_refuse_or_are_unknown);
