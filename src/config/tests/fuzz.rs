//! Whatever the file holds, it is settings or faults, never a panic.

use std::path::Path;

use proptest::prelude::*;

use super::{LEAST, env};
use crate::config::parse;

const SHIPPED: &str = include_str!("../../../proxy.toml");

/// Must come back, and what is printed must be lines with a text each.
fn survives(text: &str) -> Result<(), TestCaseError> {
    if let Err(faults) = parse(text, "proxy.toml", Path::new("/nowhere"), &env) {
        let printed = faults.to_string();
        prop_assert!(!printed.is_empty());
        prop_assert_eq!(printed.lines().count(), faults.iter().count());
        prop_assert!(!printed.contains("leaked"));
        prop_assert!(printed.chars().all(|c| c == '\n' || !c.is_control()));
    }
    Ok(())
}

/// Any value a key may be given.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,25}",
        "-?[0-9]{1,3}(\\.[0-9])?",
        Just("true".to_owned()),
        "\"[a-z0-9:./\\[\\]-]{0,20}\"",
        "'[^'\\n\\p{C}]{0,20}'",
        "\"[0-9]{1,20}(us|ms|s|m|h|d|KiB|GiB|)\"",
        "'[$]{0,2}[{]?(DATABASE_URL|NONE|EMPTY)(:-.?)?[}]?'",
        Just("[]".to_owned()),
        Just("['a', 1, {}]".to_owned()),
        Just("{ mode = 'pin', ca = 3 }".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("'unix:/x'".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,200}") {
        survives(&text)?;
    }

    #[test]
    fn any_text_behind_a_key(text in "[\\x00-\\x7f]{0,40}") {
        survives(&format!("region = \"{text}\"\n{LEAST}"))?;
    }

    #[test]
    fn any_value_anywhere(line in 0..SHIPPED.lines().count(), value in value()) {
        let replaced: Vec<String> = SHIPPED
            .lines()
            .enumerate()
            .map(|(index, text)| match text.split_once(" = ") {
                Some((key, _)) if index == line => {
                    format!("{} = {value}", key.trim_start_matches("# "))
                }
                _ => text.to_owned(),
            })
            .collect();
        survives(&replaced.join("\n"))?;
    }

    #[test]
    fn any_piece_cut_out(from in 0..SHIPPED.len(), length in 0..200_usize) {
        let cut: String = SHIPPED
            .char_indices()
            .filter(|(index, _)| !(from..from + length).contains(index))
            .map(|(_, c)| c)
            .collect();
        survives(&cut)?;
    }

    #[test]
    fn durations_and_sizes(text in "\\PC{0,20}") {
        let _duration = crate::config::duration::parse(&text);
        let _size = crate::config::size::parse(&text);
    }
}
