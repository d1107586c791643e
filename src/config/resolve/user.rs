//! `[[user]]`: accounts and their pools.

use super::password::{self, Password};
use super::server::report_repeated;
use super::traffic::{LARGEST_POOL, PoolDefaults, report_min_warm};
use super::{Value, name};
use crate::config::document::{Found, Spot};
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::settings::{PoolMode, User};

const NAME_FIX: &str = "write the name of the account, such as name = \"app\"";
const PASSWORD_FIX: &str = "write password = \"${APP_DB_PASSWORD}\" or password_file = \"app.password\"";
/// Longest name of an account in bytes: 80 characters on MariaDB, 32 on MySQL.
const LONGEST_NAME: usize = 320;

/// Reads every user; `None` if one of them is incomplete.
pub(super) fn read(root: &mut Section<'_, '_>, defaults: &PoolDefaults) -> Option<Vec<User>> {
    let document = root.document();
    let is_written = root.has("user");
    let sections = root.sections("user");
    if sections.is_empty() && !is_written {
        let spot = Spot { place: "[[user]]".to_owned(), ..root.absent("user") };
        let problem = Problem::new("no user is listed", "add one with name and password");
        document.fault(&spot, problem);
    }
    let (names, users): (Vec<_>, Vec<_>) = sections.into_iter().map(|section| user(section, defaults)).unzip();
    report_repeated(document, names.iter().flatten(), "name", "list each user once");
    users.into_iter().collect()
}

/// The name by itself, for checks among the users, and the user if it is complete.
fn user(mut section: Section<'_, '_>, defaults: &PoolDefaults) -> (Option<Found<String>>, Option<User>) {
    section.require("name", NAME_FIX);
    let name = section.parsed("name", "write it in quotes", |text| name(text, LONGEST_NAME));
    let password = password::read(&mut section);
    if matches!(password, Password::Missing) {
        section.fault(Problem::new("password is missing", PASSWORD_FIX));
    }
    let max_clients = section.count("max_clients", 1..=super::traffic::MOST_CLIENTS).value();
    let pool_mode = section.word("pool_mode", PoolMode::WORDS).or_default_of(defaults.mode);
    let max = section.count("max", 1..=LARGEST_POOL).or_default_of(defaults.max);
    let min_warm = section.count("min_warm", 0..=LARGEST_POOL);
    report_min_warm(&section, min_warm.as_ref(), max);
    section.finish();

    let user = password.given().zip(name.as_ref()).map(|(password, name)| User {
        name: name.value.clone(),
        password,
        max_clients,
        pool_mode,
        min_warm: min_warm.or_default_of(defaults.min_warm.min(max)),
        max,
    });
    (name, user)
}
