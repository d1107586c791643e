//! Which server is the primary, where the configuration leaves it open. Pure.

use super::Planned;
use crate::topology::{Health, Role, ServerId};

/// What counts for the choice.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// The server.
    pub(super) id: ServerId,
    /// What the configuration says of it.
    pub(super) planned: Planned,
    /// Whether it answers.
    pub(super) health: Health,
    /// Whether its last probe succeeded as well.
    pub(super) answers_now: bool,
    /// Whether it took writes when it last answered.
    pub(super) is_writable: bool,
    /// Whether it followed another server then; `None` if that is hidden from us.
    pub(super) follows: Option<bool>,
}

impl Claim {
    fn is_for_auto(&self) -> bool {
        self.planned == Planned::Auto
    }

    fn is_down(&self) -> bool {
        matches!(self.health, Health::Down(_))
    }

    /// Whether it looks like a primary.
    fn stands(&self) -> bool {
        self.health == Health::Up && self.is_writable && self.follows != Some(true)
    }
}

impl Claim {
    /// Whether it may be about to be the primary: it takes writes and is known to follow nobody.
    pub(super) fn claims_writes(&self) -> bool {
        self.is_for_auto() && self.stands() && self.follows == Some(false)
    }
}

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// The primary, if there is one.
    pub(super) primary: Option<ServerId>,
    /// Other servers that take writes and are not known to follow anybody: an alarm.
    pub(super) rivals: Vec<ServerId>,
}

impl Choice {
    /// The role of a server.
    pub(super) fn role(&self, id: ServerId) -> Role {
        if self.primary == Some(id) { Role::Primary } else { Role::Replica }
    }
}

/// Chooses the primary among servers in configuration order; `before` was it until now.
///
/// A configured primary is the primary whatever it says. Otherwise it is a server with `role =
/// "auto"` that takes writes and follows nobody:
///
/// * At the start the first one, once all have been asked: who answers first differs from region to
///   region, and must not decide who takes writes.
/// * The one that was it stays so while it looks like it. When it is down it stays so until another
///   one looks like it; a server whose replication is hidden does not take over, because it may be
///   a replica that somebody forgot to make read-only.
/// * One that answers and refuses writes, or follows another, has given up.
pub(super) fn choose(claims: &[Claim], before: Option<ServerId>) -> Choice {
    let configured = claims.iter().find(|c| c.planned == Planned::Primary);
    let standing = || claims.iter().filter(|c| c.is_for_auto() && c.stands());
    let before = claims.iter().find(|c| Some(c.id) == before && c.is_for_auto() && (c.is_down() || c.stands()));
    let discovered = || match before {
        Some(before) if before.is_down() => standing().find(|c| c.follows.is_some()).or(Some(before)),
        Some(before) => Some(before),
        None if claims.iter().any(|c| c.is_for_auto() && c.health == Health::Unknown) => None,
        None => standing().next(),
    };
    let primary = configured.or_else(discovered);
    // Without the primary's own claim it is a take-over under way, not two primaries.
    let rivals = match primary {
        Some(primary) if primary.answers_now && primary.is_writable => {
            standing().filter(|c| c.answers_now && c.id != primary.id).map(|c| c.id).collect()
        }
        _ => Vec::new(),
    };
    Choice { primary: primary.map(|c| c.id), rivals }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server from a word: `p`rimary, `r`eplica or `a`uto; `?` unknown, `d`own, `u`p or up but
    /// `s`ilent now; `w`ritable or read-`o`nly; `f`ollowing, `n`ot following or `h`idden.
    fn claim(id: usize, word: &str) -> Claim {
        let letters: Vec<char> = word.chars().collect();
        Claim {
            id: ServerId(u16::try_from(id).expect("few")),
            planned: match letters[0] {
                'p' => Planned::Primary,
                'r' => Planned::Replica,
                _ => Planned::Auto,
            },
            health: match letters[1] {
                '?' => Health::Unknown,
                'd' => Health::Down("gone".into()),
                _ => Health::Up,
            },
            answers_now: letters[1] == 'u',
            is_writable: letters[2] == 'w',
            follows: match letters[3] {
                'f' => Some(true),
                'n' => Some(false),
                _ => None,
            },
        }
    }

    #[test]
    fn roles() {
        for (servers, before, primary, rivals) in [
            // Configured roles win.
            ("puwn ruof", None, Some(0), vec![]),
            ("puon ruwn", None, Some(0), vec![]),
            ("pdon auwn", None, Some(0), vec![]),
            ("puwn auwn", None, Some(0), vec![1]),
            ("ruwn ruwn", None, None, vec![]),
            // Discovered.
            ("auwn", None, Some(0), vec![]),
            ("auwh", None, Some(0), vec![]),
            ("auof auwn", None, Some(1), vec![]),
            ("auwf auwn", None, Some(1), vec![]),
            ("auof auof", None, None, vec![]),
            ("auof ruwn", None, None, vec![]),
            // Everybody is asked first, but not those whose role is known.
            ("auwn a?on", None, None, vec![]),
            ("auwn r?on", None, Some(0), vec![]),
            ("auwn adon", None, Some(0), vec![]),
            // Two of them: the one that was it, else the first.
            ("auwn auwn", None, Some(0), vec![1]),
            ("auwn auwn", Some(1), Some(1), vec![0]),
            ("auwh auwh auof", None, Some(0), vec![1]),
            // Not for one lost probe.
            ("aswn auwn", Some(0), Some(0), vec![]),
            ("auwn aswn", Some(0), Some(0), vec![]),
            // It is down: another takes over, or nobody.
            ("adwn auwn", Some(0), Some(1), vec![]),
            ("adwn auof", Some(0), Some(0), vec![]),
            ("adwn auwf", Some(0), Some(0), vec![]),
            ("adwn auwh", Some(0), Some(0), vec![]),
            // It comes back after that.
            ("auwn auwn", Some(1), Some(1), vec![0]),
            ("auof auwn", Some(1), Some(1), vec![]),
            // It gave up.
            ("auon auof", Some(0), None, vec![]),
            ("auof auwh", Some(0), Some(1), vec![]),
        ] {
            let claims: Vec<_> = servers.split(' ').enumerate().map(|(id, word)| claim(id, word)).collect();
            let expected =
                Choice { primary: primary.map(ServerId), rivals: rivals.into_iter().map(ServerId).collect() };
            assert_eq!(choose(&claims, before.map(ServerId)), expected, "{servers}, before: {before:?}");
        }
    }
}
