//! Durations as people write them: `"250ms"`, `"5s"`, `"2m"`, `"1h30m"`, `"7d"`.

use std::time::Duration;

use super::fault::Problem;

/// Longest duration taken: beyond it a deadline is a mistake, and adding it to a clock may overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The fix named by every fault about a duration.
pub(super) const EXAMPLE: &str = "write a duration such as \"250ms\", \"5s\", \"2m\" or \"1h\"";

/// Parses one or more `<whole number><unit>` in a row; `"0"` needs no unit.
pub(crate) fn parse(text: &str) -> Result<Duration, Problem> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(Problem::new("a duration is missing", EXAMPLE));
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(Problem::new("not a duration in whole numbers", EXAMPLE));
        }
        let (unit, after) = split_while(after, |c| c.is_ascii_alphabetic());
        let micros = match unit {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "" => return Err(Problem::new("the duration has no unit", EXAMPLE)),
            _ => {
                return Err(Problem::new("unknown unit; the units are us, ms, s, m, h, d", EXAMPLE));
            }
        };
        total = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(micros))
            .and_then(|micros| total.checked_add(Duration::from_micros(micros)))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| Problem::new("longer than a year", EXAMPLE))?;
        rest = after;
    }
    Ok(total)
}

/// Splits before the first character that does not fit.
pub(super) fn split_while(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_people_write() {
        for (text, millis) in [
            ("250ms", 250),
            ("5s", 5_000),
            (" 2m ", 120_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("0", 0),
            ("0s", 0),
            ("365d", 31_536_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("7us"), Ok(Duration::from_micros(7)));
    }

    #[test]
    fn durations_that_are_none() {
        for (text, message) in [
            ("", "a duration is missing"),
            ("5", "the duration has no unit"),
            ("s", "not a duration in whole numbers"),
            ("-1s", "not a duration in whole numbers"),
            ("1.5s", "the duration has no unit"),
            ("5 s", "the duration has no unit"),
            ("5sec", "unknown unit; the units are us, ms, s, m, h, d"),
            ("366d", "longer than a year"),
            ("99999999999999999999s", "longer than a year"),
            ("\u{663}s", "not a duration in whole numbers"),
        ] {
            assert_eq!(parse(text).expect_err(text).message, message, "{text}");
        }
    }
}
