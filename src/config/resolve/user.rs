//! `[[user]]`: accounts and their pools.

use std::time::Duration;

use super::password::{self, Password};
use super::server::report_repeated;
use super::traffic::{LARGEST_POOL, report_min_warm, without_primary};
use super::{Value, name};
use crate::config::document::{Found, Spot};
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::settings::{Auth, PoolMode, Transactions, User, UserPool};

const NAME_FIX: &str = "write the name of the account, such as name = \"app\"";
const PASSWORD_FIX: &str = "write password = \"${APP_DB_PASSWORD}\" or password_file = \"app.password\"";
/// Longest name of an account in bytes: 80 characters on MariaDB, 32 on MySQL.
pub(super) const LONGEST_NAME: usize = 320;

/// Reads `auth` and `auth_recheck`: who may log in.
pub(super) fn auth(root: &mut Section<'_, '_>) -> Auth {
    const WORDS: &[(&str, bool)] = &[("file", false), ("passthrough", true)];
    let is_passthrough = root.word("auth", WORDS).or_default_of(false);
    let recheck = root.duration("auth_recheck").or_default_of(Duration::from_secs(60));
    if is_passthrough { Auth::Passthrough { recheck } } else { Auth::File }
}

/// Reads every user; `None` if one of them is incomplete.
pub(super) fn read(root: &mut Section<'_, '_>, auth: Auth, defaults: UserPool) -> Option<Vec<User>> {
    let document = root.document();
    let is_written = root.has("user");
    let sections = root.sections("user");
    if sections.is_empty() && !is_written && auth == Auth::File {
        let spot = Spot { place: "[[user]]".to_owned(), ..root.absent("user") };
        let problem = Problem::new(
            "no user is listed",
            "add one with name and password, or write auth = \"passthrough\" at the top",
        );
        document.fault(&spot, problem);
        return None;
    }
    let (names, users): (Vec<_>, Vec<_>) = sections.into_iter().map(|section| user(section, defaults)).unzip();
    report_repeated(document, names.iter().flatten(), "name", "list each user once");
    users.into_iter().collect()
}

/// The name by itself, for checks among the users, and the user if it is complete.
fn user(mut section: Section<'_, '_>, defaults: UserPool) -> (Option<Found<String>>, Option<User>) {
    section.require("name", NAME_FIX);
    let name = section.parsed("name", "write it in quotes", |text| name(text, LONGEST_NAME));
    let password = password::read(&mut section);
    if matches!(password, Password::Missing) {
        section.fault(Problem::new("password is missing", PASSWORD_FIX));
    }
    let max_clients = section.count("max_clients", 1..=super::traffic::MOST_CLIENTS).value();
    let max_lag = section.positive("max_lag").value();
    let transactions = section.word("transactions", Transactions::WORDS).value();
    let primary_down = without_primary(&mut section);
    let mode = section.word("pool_mode", PoolMode::WORDS).or_default_of(defaults.mode);
    let max = section.count("max", 1..=LARGEST_POOL).or_default_of(defaults.max);
    let min_warm = section.count("min_warm", 0..=LARGEST_POOL);
    report_min_warm(&section, min_warm.as_ref(), max);
    section.finish();

    let user = password.given().zip(name.as_ref()).map(|(password, name)| User {
        name: name.value.clone(),
        password,
        max_clients,
        max_lag,
        transactions,
        primary_down,
        pool: UserPool { mode, min_warm: min_warm.or_default_of(defaults.min_warm.min(max)), max },
    });
    (name, user)
}
