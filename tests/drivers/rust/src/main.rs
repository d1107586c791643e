//! What an application on a Rust driver does, printed. Run against a server and against Landbridge, the
//! output must be the same: `landbridge-drivers sqlx|mysql_async HOST PORT USER PASSWORD on|off`

mod via_mysql_async;
mod via_sqlx;

use anyhow::{Context, bail};
use std::fmt::Debug;
use std::hash::Hasher;

const TYPES: &str = include_str!("../../types.sql");

/// Statements that fail.
const WRONG: [&str; 4] =
    ["INSERT INTO types_t (n) VALUES (1)", "SELECT * FROM nowhere", "SELEC", "INSERT INTO types_t (n) VALUES ('x')"];

/// Where to connect, and as whom.
struct Target {
    host: String,
    port: u16,
    user: String,
    password: String,
    tls: bool,
}

impl Target {
    /// The size of a big value.
    fn big(&self) -> usize {
        if self.tls { 200_000 } else { 20_000_000 }
    }
}

fn show(what: &str, value: impl Debug) {
    println!("{what}: {value:?}");
}

/// A long value by its length and digest.
fn short(value: &[u8]) -> String {
    if value.len() <= 200 {
        return String::from_utf8_lossy(value).escape_debug().to_string();
    }
    let mut digest = std::hash::DefaultHasher::new();
    digest.write(value);
    format!("{} bytes {:x}", value.len(), digest.finish())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [driver, host, port, user, password, tls] = <[String; 6]>::try_from(words).ok().context("six words")?;
    let target = Target { host, port: port.parse()?, user, password, tls: tls == "on" };
    match driver.as_str() {
        "sqlx" => via_sqlx::run(&target).await,
        "mysql_async" => via_mysql_async::run(&target).await,
        _ => bail!("no driver {driver}"),
    }
}
