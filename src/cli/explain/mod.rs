//! `landbridge explain`: where a statement would go, and why, as the file has it. Nobody is contacted.

mod answer;
mod here;
mod moment;
mod scene;
mod show;
mod words;

use self::scene::Scene;
use super::paint::Paint;
use super::{complain, print};
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

/// Longest statement read from a pipe, in bytes: no server takes a longer one by default.
const LONGEST: u64 = 64 << 20;

/// What is to be explained, and as if what were so.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Wish {
    /// The statement; `-`, or nothing and a pipe: from standard input
    pub(super) sql: Option<String>,
    /// As if somebody whose writes it must see had written a moment ago
    #[arg(long)]
    pub(super) after_write: bool,
    /// As if inside a transaction; =read-only: one that says READ ONLY
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "plain")]
    pub(super) in_transaction: Option<Begun>,
    /// As if this were the session's schema
    #[arg(long, value_name = "NAME")]
    pub(super) schema: Option<String>,
    /// As this user; by default the one that the file lists, if it is one
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// As a MariaDB server would read it
    #[arg(long)]
    pub(super) mariadb: bool,
    /// For programs: one JSON object (docs/routing.md has its fields)
    #[arg(long)]
    pub(super) json: bool,
}

/// How a transaction has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Begun {
    /// Without saying what it will do
    #[value(hide = true)]
    Plain,
    /// With `START TRANSACTION READ ONLY`
    ReadOnly,
}

/// Explains it: 0, or 2 where there is no statement or the file cannot be used.
/// The usual `file` may be absent, another one may not.
pub(super) fn explain(wish: &Wish, file: &Path) -> ExitCode {
    let is_asked_for = file != Path::new(super::USUAL_FILE);
    let explained = statement(wish).and_then(|sql| Ok((Scene::of(wish, file, is_asked_for)?, sql)));
    let (scene, sql) = match explained {
        Ok(explained) => explained,
        Err(why) => {
            complain(&why);
            return ExitCode::from(2);
        }
    };
    let answer = answer::answer(&sql, wish, &scene);
    print(&if wish.json {
        show::json(&sql, &answer)
    } else {
        show::text(&sql, &answer, Paint::of(&std::io::stdout()))
    });
    ExitCode::SUCCESS
}

fn statement(wish: &Wish) -> Result<String, String> {
    let input = std::io::stdin();
    match wish.sql.as_deref() {
        Some(sql) if sql != "-" => return Ok(sql.to_owned()),
        None if input.is_terminal() => {
            return Err("landbridge: which statement? landbridge explain \"SELECT ..\", or - to read it".into());
        }
        _ => {}
    }
    let mut sql = String::new();
    let read = input.lock().take(LONGEST).read_to_string(&mut sql);
    read.map_err(|error| format!("landbridge: standard input cannot be read ({error})"))?;
    Ok(sql)
}
