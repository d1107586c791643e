//! `${VAR}` and `${VAR:-default}` in string values.
//!
//! As in a shell: the default serves when the variable is unset or empty. `$${` writes a literal
//! `${`; any other `$` stands for itself. A default cannot hold `}` and is not expanded again.

use super::fault::Problem;

/// A string value after expansion. It may be a secret: outside tests it has no `Debug`.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(super) struct Expanded {
    /// The text to use.
    pub(super) text: String,
    /// Whether any variable was named in it.
    pub(super) from_env: bool,
}

/// Expands `raw`, or says everything that is wrong in it.
pub(super) fn expand(raw: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, Vec<Problem>> {
    // Sized ahead, so that growing it seldom leaves a copy of a secret behind.
    let mut text = String::with_capacity(raw.len().max(256));
    let mut from_env = false;
    let mut problems = Vec::new();
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            rest = after;
            continue;
        }
        text.push_str(before);
        let Some((inside, after)) = after.split_once('}') else {
            problems
                .push(Problem::new("a ${ without its }", "close it, or write $${ for the two characters themselves"));
            return Err(problems);
        };
        from_env = true;
        match variable(inside, env) {
            Ok(value) => text.push_str(&value),
            Err(problem) => problems.push(problem),
        }
        rest = after;
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    text.push_str(rest);
    Ok(Expanded { text, from_env })
}

/// The value of `NAME` or `NAME:-default`.
fn variable(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_name(name) {
        return Err(Problem::new(
            "what stands in ${ } is not the name of an environment variable",
            "write ${NAME} or ${NAME:-default}, or $${ for the two characters themselves",
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Problem::new(
            format!("the environment variable {name} is not set"),
            format!("set it, or write ${{{name}:-default}}"),
        )),
    }
}

/// Letters, digits and underscores, not beginning with a digit.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn expands() {
        for (raw, text, from_env) in [
            ("plain", "plain", false),
            ("${HOST}:3306", "db:3306", true),
            ("${HOST}-${HOST}", "db-db", true),
            ("a${EMPTY}b", "ab", true),
            ("${EMPTY:-x}", "x", true),
            ("${NONE:-}", "", true),
            ("${NONE:-a:-b}", "a:-b", true),
            ("${NESTED}", "${HOST}", true),
            ("pa$$word$", "pa$$word$", false),
            ("$HOST", "$HOST", false),
            ("$${HOST}", "${HOST}", false),
        ] {
            let expanded = expand(raw, &env).expect(raw);
            assert_eq!(expanded, Expanded { text: text.to_owned(), from_env }, "{raw}");
        }
    }

    #[test]
    fn names_every_missing_variable() {
        let problems = expand("${A}${B:-b}${C}", &env).expect_err("two are missing");
        let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_ref()).collect();
        assert_eq!(messages, ["the environment variable A is not set", "the environment variable C is not set"]);
        for raw in ["${", "${HOST", "${}", "${1A}", "${A B}", "${:-x}", "${HOST-x}"] {
            assert!(expand(raw, &env).is_err(), "{raw}");
        }
    }
}
