//! Tokens as text, so that an application can carry them to another host or region, in a cookie for example.
//!
//! A token is `1`, then `m` (MySQL), `d` (MariaDB) or `n` (no transactions), then the transactions in
//! base64 with the letters of URLs, without padding; behind a `~` stands for how many milliseconds reads
//! must stay at the primary, and then `s` where something was seen there that has no name yet. Only letters, digits, `-`, `_` and `~` appear, so that no cookie,
//! URL or SQL string needs quoting. It is not signed and needs not be: whoever makes one up can only
//! slow down reads of his own.

use super::gtid::{Family, GtidSet};
use super::token::Token;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::{Duration, Instant};

/// Longest text that is read.
const LONGEST: usize = 16 * 1024;
/// What was sent on a connection that broke has run after this time, or never will.
const ON_ITS_WAY: Duration = Duration::from_secs(10);
/// Something was seen at the primary that nobody has named.
const SEEN: &str = "s";
/// Longest time that a text can keep reads at the primary.
const LONGEST_STAY: Duration = Duration::from_secs(60);

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a consistency token")]
pub struct NotAToken;

/// A token as text; the empty text for the empty token.
pub fn print(token: &Token, now: Instant) -> String {
    if token.is_empty() {
        return String::new();
    }
    let mut text = match token.gtids.as_deref().filter(|gtids| !gtids.is_empty()) {
        // Of a server that has just begun anew: there is nothing to wait for.
        None if !token.keeps_to_primary() => return String::new(),
        None => "1n".to_owned(),
        Some(gtids) => {
            let family = if gtids.family() == Family::MySql { 'm' } else { 'd' };
            format!("1{family}{}", URL_SAFE_NO_PAD.encode(gtids.to_bytes()))
        }
    };
    if token.keeps_to_primary() {
        // What may still be on its way has run by then, or never will.
        let until = token.primary_until.max(token.uncertain_since.map(|since| since + ON_ITS_WAY));
        let left = until.map_or(0, |until| until.saturating_duration_since(now).as_millis());
        let seen = if token.unnamed_since.is_some() { SEEN } else { "" };
        text = format!("{text}~{left}{seen}");
    }
    text
}

/// The token of a text. A doubt that came with it counts from now on: clocks of hosts differ.
///
/// # Errors
/// The text was not made by [`print()`].
pub fn read(text: &str, now: Instant) -> Result<Token, NotAToken> {
    if text.is_empty() {
        return Ok(Token::default());
    }
    if text.len() > LONGEST {
        return Err(NotAToken);
    }
    let rest = text.strip_prefix('1').ok_or(NotAToken)?;
    let (body, stay) = match rest.split_once('~') {
        Some((body, stay)) => (body, Some(stay)),
        None => (rest, None),
    };
    let set = |family, body: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
        GtidSet::from_bytes(family, &bytes).filter(|set| !set.is_empty())
    };
    let gtids = match (body.get(..1), body.get(1..)) {
        (Some("m"), Some(body)) => Some(set(Family::MySql, body).ok_or(NotAToken)?),
        (Some("d"), Some(body)) => Some(set(Family::MariaDb, body).ok_or(NotAToken)?),
        (Some("n"), Some("")) if stay.is_some() => None,
        _ => return Err(NotAToken),
    };
    let mut token = Token::of(gtids);
    if let Some(stay) = stay {
        let (millis, seen) = stay.strip_suffix(SEEN).map_or((stay, false), |millis| (millis, true));
        let millis: u64 = millis.parse().map_err(|_| NotAToken)?;
        token.unnamed_since = seen.then_some(now);
        if millis > 0 {
            token.primary_until = Some(now + Duration::from_millis(millis).min(LONGEST_STAY));
        }
    }
    Ok(token.raised(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(family: Family, text: &str) -> Token {
        Token::of(GtidSet::parse(family, text).ok())
    }

    #[test]
    fn tokens_are_short_and_come_back_the_same() {
        let now = Instant::now();
        for (family, gtids, longest) in [
            (Family::MariaDb, "0-1-123456", 10),
            (Family::MariaDb, "0-4294967295-18446744073709551615,7-1-2", 34),
            (Family::MySql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77", 30),
            (Family::MySql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:23", 30),
            (Family::MySql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:9-9223372036854775806:tag_1:3", 78),
        ] {
            let text = print(&of(family, gtids), now);
            assert!(text.len() <= longest, "{text}: {}", text.len());
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~".contains(&b)), "{text}");
            let back = read(&text, now).expect("a token");
            assert_eq!(back.gtids.map(|gtids| gtids.to_string()).as_deref(), Some(gtids));
        }
    }

    #[test]
    fn of_a_server_that_began_anew_there_is_nothing_to_wait_for() {
        let now = Instant::now();
        for family in [Family::MySql, Family::MariaDb] {
            let mut empty = Token::of(Some(GtidSet::empty(family)));
            assert_eq!(read(&print(&empty, now), now).map(|token| token.is_empty()), Ok(true));
            empty.primary_until = Some(now + Duration::from_secs(1));
            let back = read(&print(&empty, now), now).expect("a token");
            assert!(back.keeps_to_primary());
        }
    }

    #[test]
    fn doubts_travel_with_it() {
        let now = Instant::now();
        let mut doubtful = of(Family::MariaDb, "0-1-5");
        doubtful.unnamed_since = Some(now);
        let back = read(&print(&doubtful, now), now).expect("a token");
        assert_eq!((back.gtids.is_some(), back.unnamed_since, back.primary_until), (true, Some(now), None));
        let mut lost = Token::default();
        lost.uncertain_since = Some(now);
        assert_eq!(print(&lost, now), "1n~10000");
        assert_eq!(print(&lost, now + Duration::from_secs(4)), "1n~6000");
        let mut recent = Token::default();
        recent.primary_until = Some(now + Duration::from_millis(1500));
        assert_eq!(print(&recent, now), "1n~1500");
        assert_eq!(read("1n~1500", now).expect("a token").primary_until, recent.primary_until);
        assert_eq!(print(&Token::default(), now), "");
        assert!(read("", now).is_ok_and(|token| token.is_empty()));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["x", "1", "1x", "1n", "1m", "1d", "2mAAAA", "1dAAAA~", "1dAAAA~x", "1d!", "1m0-1-5", "0-1-5"] {
            assert_eq!(read(text, Instant::now()), Err(NotAToken), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "1?[mdn]?[A-Za-z0-9_~-]{0,60}") {
            if let Ok(token) = read(&text, Instant::now()) {
                let again = print(&token, Instant::now());
                prop_assert!(read(&again, Instant::now()).is_ok());
            }
        }

        #[test]
        fn any_set_comes_back(domains in prop::collection::vec((any::<u32>(), any::<u32>(), 1..u64::MAX), 1..5)) {
            let text: Vec<String> = domains.iter().map(|(d, s, n)| format!("{d}-{s}-{n}")).collect();
            let token = of(Family::MariaDb, &text.join(","));
            let back = read(&print(&token, Instant::now()), Instant::now()).expect("a token");
            prop_assert_eq!(back.gtids, token.gtids);
        }
    }
}
