//! `[admin]`: the console's own account, and what is remembered for it.

use super::password::{self, Password};
use super::user::LONGEST_NAME;
use super::{Value, name};
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::settings::{Admin, User};

/// Statements told apart unless the file says otherwise.
const DIGESTS: u32 = 512;
/// Most that may be asked for: some hundred bytes each.
const MOST_DIGESTS: u32 = 65_536;

/// Reads the section. The account is not one of the users, who may only look.
pub(super) fn read(mut section: Section<'_, '_>, users: Option<&[User]>) -> Admin {
    let has_user = section.has("user");
    let user = section.parsed("user", "write it in quotes", |text| name(text, LONGEST_NAME));
    let password = password::read(&mut section);
    let is_missing = matches!(password, Password::Missing);
    if has_user == is_missing {
        let (message, fix) = if has_user {
            ("password is missing", "add password or password_file, or remove user")
        } else {
            ("user is missing", "add the name of the account, or remove the password")
        };
        section.fault(Problem::new(message, fix));
    }
    if let Password::Given(secret) = &password
        && secret.expose().is_empty()
    {
        section.fault(Problem::new("the password is empty", "whoever reaches the console could do all: choose one"));
    }
    if let Some(found) = &user
        && users.is_some_and(|users| users.iter().any(|user| user.name == found.value))
    {
        let fix = "choose a name of its own: users may look at the console, this account may use it";
        section.document().fault(&found.spot, Problem::new("a [[user]] has this name", fix));
    }
    let digests = section.count("digests", 0..=MOST_DIGESTS).or_default_of(DIGESTS);
    section.finish();
    Admin { account: user.value().zip(password.given()), digests }
}
