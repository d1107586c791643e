//! `password` or `password_file`, never both.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::config::document::Secrets;
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::secret::Secret;

/// Largest password file read, in bytes: what is larger is some other file.
const LARGEST_FILE: u64 = 4096;

/// What the two keys say.
pub(super) enum Password {
    /// Neither is in the file.
    Missing,
    /// Something about them has been reported.
    Faulty,
    /// The password, perhaps empty.
    Given(Secret),
}

impl Password {
    /// The secret, if there is one.
    pub(super) fn given(self) -> Option<Secret> {
        match self {
            Self::Given(secret) => Some(secret),
            Self::Missing | Self::Faulty => None,
        }
    }
}

/// Reads whichever is there; the file is read now.
pub(super) fn read(section: &mut Section<'_, '_>) -> Password {
    if section.document().secrets() == Secrets::Ignored {
        let (text, file) = (section.secret("password"), section.secret("password_file"));
        return text.or(file).map_or(Password::Missing, |unread| Password::Given(unread.value));
    }
    let (has_text, has_file) = (section.has("password"), section.has("password_file"));
    let text = section.secret("password");
    let file = section.path("password_file");
    if has_text && has_file {
        let spot = text.as_ref().map_or(section.header(), |found| &found.spot);
        let problem = Problem::new("password and password_file are both given", "remove one");
        section.document().fault(spot, problem);
        return Password::Faulty;
    }
    if !has_text && !has_file {
        return Password::Missing;
    }
    if let Some(file) = file {
        return match from_file(&file.value) {
            Ok(secret) => Password::Given(secret),
            Err(problem) => {
                section.document().fault(&file.spot, problem);
                Password::Faulty
            }
        };
    }
    text.map_or(Password::Faulty, |found| Password::Given(found.value))
}

/// The content of a file without its last line end.
fn from_file(path: &Path) -> Result<Secret, Problem> {
    let mut bytes = Zeroizing::new(Vec::new());
    // Sized ahead: growing would leave copies behind.
    bytes.reserve_exact(usize::try_from(LARGEST_FILE + 1).unwrap_or_default());
    File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)).map_err(|error| {
        Problem::new(
            format!("the file cannot be read ({error})"),
            "check the path (relative to this file) and who may read it",
        )
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        let message = format!("the file is larger than {LARGEST_FILE} bytes");
        return Err(Problem::new(message, "name a file with the password and nothing else"));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err(Problem::new("the file is not UTF-8", "save the password as UTF-8"));
    };
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}
