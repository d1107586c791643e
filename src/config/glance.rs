//! One key of the file without the rest: for who asks a running Landbridge, and need not have its secrets.

use super::address::parse_tcp_listen;
use super::expand::expand;
use super::resolve::default_http;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Where the HTTP listener of the file at `path` is, whatever else may be wrong in it; `None`: the file wants none.
/// Where there is no file it is where it would be by default.
///
/// # Errors
/// Why that cannot be said, in words for a person.
pub fn http_address(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<SocketAddr>, String> {
    let name = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(default_http())),
        Err(error) => return Err(format!("{name}: the file cannot be read ({error})")),
    };
    of(&text, env).map_err(|why| format!("{name}: {why}"))
}

fn of(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<SocketAddr>, String> {
    // What the parser says may quote the file, and so a password.
    let document: toml::Table = toml::from_str(text).map_err(|_| "it is not TOML; `landbridge check` says where")?;
    let Some(http) = document.get("listen").and_then(|listen| listen.get("http")) else {
        return Ok(Some(default_http()));
    };
    let not_good = || "[listen] http is no address; `landbridge check` says more".to_owned();
    let expanded = http.as_str().and_then(|raw| expand(raw, env).ok()).ok_or_else(not_good)?;
    match &*expanded.text {
        "" => Ok(None),
        address => parse_tcp_listen(address).map(Some).map_err(|_| not_good()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_key_is_looked_at() {
        let env = |name: &str| (name == "PORT").then(|| "9400".to_owned());
        let of = |text: &str| of(text, &env).map(|http| http.map(|http| http.to_string()));
        let default = Ok(Some("127.0.0.1:9306".to_owned()));
        assert_eq!(of(""), default);
        assert_eq!(of("[listen]\nmysql = 3\n[[user]]\npassword = \"${NOT_SET}\"\n"), default);
        assert_eq!(of("[listen]\nhttp = \"127.0.0.1:${PORT}\"\n"), Ok(Some("127.0.0.1:9400".to_owned())));
        assert_eq!(of("[listen]\nhttp = \"\"\n"), Ok(None));
        for wrong in ["[listen]\nhttp = 3\n", "[listen]\nhttp = \"${NOT_SET}\"\n", "[listen]\nhttp = \"nowhere\"\n"] {
            assert!(of(wrong).is_err_and(|why| why.contains("[listen] http")), "{wrong}");
        }
        let why = of("password = \"hidden\n").expect_err("not closed");
        assert!(!why.contains("hidden"), "{why}");
    }
}
