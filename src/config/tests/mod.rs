//! The file as a whole: what it must refuse and in which words, and what it becomes.

mod admin;
mod faults;
mod fuzz;
mod rules;
mod servers;
mod settings;
mod shipped;

use std::path::Path;

use super::{Faults, Settings};

/// The least that is a whole file, without a region.
const LEAST: &str = r#"
[[server]]
name = "primary"
address = "db.example.com"
role = "primary"

[[user]]
name = "app"
password = "app-secret"
"#;

/// The environment of every test.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "APP_DB_PASSWORD" => "app-from-env",
        "MONITOR_DB_PASSWORD" => "monitor-from-env",
        "ADMIN_PASSWORD" => "admin-from-env",
        "DATABASE_URL" => "mysql://root:leaked@db",
        "POOL_MAX" => "8",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn parse(text: &str) -> Result<Settings, Faults> {
    super::parse(text, "proxy.toml", Path::new("/etc/landbridge"), &env)
}

/// The settings of a text that has no fault.
fn settings(text: &str) -> Settings {
    match parse(text) {
        Ok(settings) => settings,
        Err(faults) => panic!("{faults}\n--- in\n{text}"),
    }
}

/// The faults of a text as they are printed.
fn faults(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

/// The warnings of a text without faults, as they are printed.
fn warnings(text: &str) -> Vec<String> {
    settings(text).warnings.iter().map(ToString::to_string).collect()
}
