//! How far a replica is behind by a table into which somebody writes the time, over and over.
//!
//! The newest time in it on the primary and on a replica are compared with each other, and the time since the
//! primary was asked is added: whoever writes it and whatever its clock shows, ours is not compared with it.
//! Pure: time is a parameter.

use super::report::Unreadable;
use crate::backend::query::Row;
use std::fmt;
use std::time::{Duration, Instant};

/// A heart that has not beaten for this long says nothing of replicas that have seen its last beat.
const STOPPED: Duration = Duration::from_secs(60);

/// The table with the column `ts`, as pt-heartbeat makes it, or with a `DATETIME(6)` or `TIMESTAMP(6)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl HeartbeatTable {
    /// The statement whose row tells the newest time.
    #[must_use]
    pub fn sql(&self) -> String {
        format!("SELECT MAX(ts) FROM {self}")
    }

    /// The statement that lets the monitor's account read it.
    #[must_use]
    pub fn grant(&self, user: &str) -> String {
        format!("GRANT SELECT ON {self} TO '{}'@'%';", user.replace('\'', "''"))
    }
}

impl fmt::Display for HeartbeatTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`.`{}`", self.schema.replace('`', "``"), self.name.replace('`', "``"))
    }
}

/// With it servers in different zones show a `TIMESTAMP` alike.
pub(super) const ZONE_SQL: &str = "SET time_zone = '+00:00'";

/// A time in the table, in microseconds since some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Beat(i64);

/// What a server says of its heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Heartbeat {
    /// Nobody asked, or there is none yet.
    #[default]
    None,
    /// It may not be read, for this reason.
    Hidden(String),
    /// The newest one.
    Newest(Beat),
}

impl Heartbeat {
    pub(super) fn newest(&self) -> Option<Beat> {
        if let Self::Newest(beat) = self { Some(*beat) } else { None }
    }
}

impl Beat {
    /// Reads the row of [`HeartbeatTable::sql`].
    pub(super) fn read(rows: &[Row]) -> Result<Option<Self>, Unreadable> {
        match rows {
            [row] => match &row[..] {
                [None] => Ok(None),
                [Some(text)] => Self::parse(text).map(Some).ok_or(Unreadable("a heartbeat that is no time")),
                _ => Err(Unreadable("not one heartbeat")),
            },
            _ => Err(Unreadable("not one heartbeat")),
        }
    }

    /// `2026-01-31 23:59:59.123456`, with a `T` in between where pt-heartbeat wrote it.
    fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once([' ', 'T'])?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
        let [year, month, day] = numbers(date, '-')?;
        let [hours, minutes, seconds] = numbers(time, ':')?;
        let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && year < 10_000;
        if !in_range || hours > 23 || minutes > 59 || seconds > 60 || fraction.len() > 9 {
            return None;
        }
        let micros = if fraction.is_empty() { 0 } else { number(format!("{fraction:0<6}").get(..6)?)? };
        let seconds = ((days(year, month, day) * 24 + hours) * 60 + minutes) * 60 + seconds;
        Some(Self(seconds * 1_000_000 + micros))
    }
}

fn number(text: &str) -> Option<i64> {
    let is_short = (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_short)
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between).map(number);
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Days since the first of March of the year 0. Years begin in March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1
}

/// The heartbeat of the primary.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    newest: Option<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    beat: Beat,
    /// When the primary was last asked.
    at: Instant,
    /// When this beat was first seen.
    first_at: Instant,
}

impl Pulse {
    /// The primary, asked at that moment, says this.
    pub(super) fn told(&mut self, at: Instant, beat: Option<Beat>) {
        let known = self.newest;
        self.newest = beat.map(|beat| {
            let first_at = known.filter(|sample| sample.beat == beat).map_or(at, |sample| sample.first_at);
            Sample { beat, at, first_at }
        });
    }

    /// How far behind a replica is that says this now; `None` if nobody can tell.
    pub(super) fn behind(&self, beat: Beat, now: Instant) -> Option<Duration> {
        let newest = self.newest?;
        let is_alive = now.saturating_duration_since(newest.first_at) <= STOPPED;
        if beat >= newest.beat {
            // Of what came after the last beat, it tells nothing.
            return is_alive.then_some(Duration::ZERO);
        }
        let older = u64::try_from(newest.beat.0 - beat.0).unwrap_or_default();
        Some(Duration::from_micros(older) + now.saturating_duration_since(newest.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(text: &str) -> Beat {
        Beat::parse(text).expect(text)
    }

    #[test]
    fn times_are_read_in_every_form() {
        let at = |text: &str| beat(text).0;
        for (a, b, micros) in [
            ("2026-01-31 23:59:59", "2026-01-31T23:59:59.000001", 1),
            ("2026-01-31 23:59:59.5", "2026-02-01 00:00:00.25", 750_000),
            ("2024-02-28 00:00:00", "2024-02-29 00:00:00", 86_400_000_000),
            ("2024-02-29 00:00:00", "2024-03-01 00:00:00", 86_400_000_000),
            ("2023-02-28 00:00:00", "2023-03-01 00:00:00", 86_400_000_000),
            ("1970-01-01 00:00:00", "2026-11-21 18:46:40", 1_795_286_800_000_000),
            ("1999-12-31 23:59:59.999999999", "2000-01-01 00:00:00", 1),
        ] {
            assert_eq!(at(b) - at(a), micros, "{a} {b}");
        }
        for text in [
            "",
            "x",
            "2026-01-31",
            "2026-13-01 00:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01 00:00:00.1x",
            "2026-01-01 00:00:00.12345é",
        ] {
            assert_eq!(Beat::parse(text), None, "{text}");
        }
        for text in ["2026-01-01-01 00:00:00", "-2026-01-01 00:00:00", "99999999-01-01 00:00:00", "+026-01-01 0:0:0"] {
            assert_eq!(Beat::parse(text), None, "{text}");
        }
        let row = |text: &str| vec![vec![Some(text.to_owned())]];
        assert_eq!(Beat::read(&row("2026-01-01 00:00:00")), Ok(Some(beat("2026-01-01 00:00:00"))));
        assert_eq!(Beat::read(&[vec![None]]), Ok(None));
        assert!(Beat::read(&row("yesterday")).is_err());
        assert!(Beat::read(&[]).is_err());
    }

    #[test]
    fn a_replica_is_behind_by_what_its_newest_lacks() {
        let (start, mut pulse) = (Instant::now(), Pulse::default());
        let (ms, second) = (Duration::from_millis, |n: u64| Beat(i64::try_from(n * 1_000_000).expect("small")));
        assert_eq!(pulse.behind(second(1), start), None);
        pulse.told(start, Some(second(10)));
        for (newest, after, behind) in [
            (10, 0, Some(0)),
            // It was asked later and has seen more.
            (11, 900, Some(0)),
            (9, 0, Some(1_000)),
            (9, 250, Some(1_250)),
            (4, 60_000, Some(66_000)),
        ] {
            assert_eq!(pulse.behind(second(newest), start + ms(after)), behind.map(ms), "{newest} {after}");
        }
        // The heart stopped: whoever has seen its last beat may be late all the same.
        let late = start + STOPPED + ms(1);
        pulse.told(late, Some(second(10)));
        assert_eq!(pulse.behind(second(10), late), None);
        assert_eq!(pulse.behind(second(9), late), Some(ms(1_000)));
        pulse.told(late, Some(second(11)));
        assert_eq!(pulse.behind(second(11), late), Some(Duration::ZERO));
        pulse.told(late, None);
        assert_eq!(pulse.behind(second(9), late), None);
    }

    #[test]
    fn statements_quote_names() {
        let table = HeartbeatTable { schema: "per`cona".into(), name: "heartbeat".into() };
        assert_eq!(table.sql(), "SELECT MAX(ts) FROM `per``cona`.`heartbeat`");
        assert_eq!(table.grant("mon"), "GRANT SELECT ON `per``cona`.`heartbeat` TO 'mon'@'%';");
    }
}
