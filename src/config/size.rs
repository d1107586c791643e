//! Sizes as people write them: `"64KiB"`, `"16MiB"`, `"1GiB"`, `"512B"`.

use super::duration::split_while;
use super::fault::Problem;

/// The fix named by every fault about a size.
pub(super) const EXAMPLE: &str = "write a size such as \"64KiB\" or \"16MiB\"";

/// Parses `<whole number><unit>` to bytes; a number without a unit counts bytes.
pub(super) fn parse(text: &str) -> Result<u64, Problem> {
    let (digits, unit) = split_while(text.trim(), |c| c.is_ascii_digit());
    if digits.is_empty() {
        return Err(Problem::new("not a size in whole numbers", EXAMPLE));
    }
    let bytes: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            return Err(Problem::new("unknown unit; the units are B, KiB, MiB, GiB", EXAMPLE));
        }
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(bytes))
        .ok_or_else(|| Problem::new("too large", EXAMPLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse("64KiB"), Ok(65_536));
        assert_eq!(parse("16 MiB"), Ok(16 << 20));
        assert_eq!(parse("1GiB"), Ok(1 << 30));
        assert_eq!(parse("512B"), Ok(512));
        assert_eq!(parse("512"), Ok(512));
        for (text, message) in [
            ("", "not a size in whole numbers"),
            ("MiB", "not a size in whole numbers"),
            ("1MB", "unknown unit; the units are B, KiB, MiB, GiB"),
            ("99999999999999999999", "too large"),
            ("99999999999GiB", "too large"),
        ] {
            assert_eq!(parse(text).expect_err(text).message, message, "{text}");
        }
    }
}
