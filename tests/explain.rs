//! `landbridge explain` as a program: where the statement comes from, the file, exit codes. No servers.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const FILE: &str = "[[server]]\nname = 'west'\naddress = 'west'\nrole = 'primary'\n\
    [[server]]\nname = 'near'\naddress = 'near'\nrole = 'replica'\n\
    [[user]]\nname = 'app'\npassword = '${NOT_SET_ANYWHERE}'\n\
    [monitor]\nuser = 'm'\npassword_file = 'absent'\n\
    [[rule]]\ntable = 'stock'\nread = 'primary'\n";

/// Exit code, standard output, standard error.
fn explain(dir: &Path, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_landbridge"))
        .arg("explain")
        .args(args)
        .current_dir(dir)
        .env_remove("LANDBRIDGE_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    // Who has its statement from elsewhere does not read it.
    let _unread = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_statement_is_an_argument_or_comes_through_a_pipe() {
    let dir = tempfile::tempdir().expect("directory");
    for (args, input) in [(&["DELETE FROM t"][..], ""), (&["-"], "DELETE FROM t\n"), (&[], "DELETE FROM t")] {
        let (code, text, error) = explain(dir.path(), args, input);
        assert_eq!(code, Some(0), "{error}");
        assert!(text.contains("primary") && text.contains("delete: DELETE.") && !text.contains('\x1b'), "{text}");
        assert!(text.contains("there is no file"), "{text}");
    }
}

#[test]
fn the_file_counts_and_its_passwords_are_not_needed() {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("proxy.toml");
    std::fs::write(&file, FILE).expect("written");
    let (code, text, error) = explain(dir.path(), &["SELECT * FROM stock", "--json"], "");
    assert_eq!(code, Some(0), "{error}");
    let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&told["server"], &told["reason"]), (&"west".into(), &"rule".into()), "{text}");
    assert_eq!((&told["rule"]["number"], &told["round_trips"]), (&1.into(), &1.into()), "{text}");
    // Every field is in the document.
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/routing.md");
    let document = std::fs::read_to_string(document).expect("docs/routing.md");
    let (_, explained) = document.split_once("\n## Explain\n").expect("a section");
    for field in told.as_object().expect("an object").keys() {
        assert!(explained.contains(&format!("`{field}`")), "{field}");
    }

    let (code, _, error) = explain(dir.path(), &["SELECT 1", "--user", "nobody"], "");
    assert!(code == Some(2) && error.contains("nobody"), "{error}");
    let (code, _, error) = explain(dir.path(), &["SELECT 1", "--config", "absent.toml"], "");
    assert!(code == Some(2) && error.contains("absent.toml"), "{error}");
    std::fs::write(&file, FILE.replace("'replica'", "'boss'")).expect("written");
    let (code, _, error) = explain(dir.path(), &["SELECT 1"], "");
    assert!(code == Some(2) && error.contains("proxy.toml:8:") && error.contains("boss"), "{error}");
}

/// `--in-transaction` takes what it is told with `=` only: what follows it is the statement.
#[test]
fn a_transaction_may_say_that_it_only_reads() {
    let dir = tempfile::tempdir().expect("directory");
    for (option, reason) in [("--in-transaction", "in_transaction"), ("--in-transaction=read-only", "optimistic")] {
        let (code, text, error) = explain(dir.path(), &[option, "SELECT * FROM t"], "");
        assert!(code == Some(0) && text.contains(&format!("{reason}: ")), "{option}: {text}{error}");
    }
    let (code, _, error) = explain(dir.path(), &["--in-transaction=sometimes", "SELECT 1"], "");
    assert!(code == Some(2) && error.contains("read-only") && !error.contains("plain"), "{error}");
}
