//! Commands that people are told to type.

use crate::{Document, documents, none, root, text};
use clap::{Command, CommandFactory};
use landbridge::cli::Cli;
use std::collections::BTreeSet;

/// The simple commands of a piece of code: without `sudo`, assignments and what came before a `|` or `;`.
fn commands(code: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for command in code.lines().flat_map(|line| line.split(&[';', '|'][..])).flat_map(|part| part.split("&&")) {
        let words = command.split_whitespace().skip_while(|word| {
            matches!(*word, "sudo" | "$") || word.split_once('=').is_some_and(|(name, _)| is_variable(name))
        });
        let words: Vec<&str> = words.map(|word| word.trim_matches(&['\'', '"', '`'][..])).collect();
        if !words.is_empty() {
            found.push(words);
        }
    }
    found
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn targets_of_make_exist() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect();
    let mut faults = Vec::new();
    // That one quotes sentences, with a verb in them.
    for Document { path, text } in documents().into_iter().filter(|document| !document.path.ends_with("docs/logs.md")) {
        for code in text::code(&text) {
            for words in commands(code.text) {
                if let ["make", target, ..] = words[..]
                    && !target.contains('=')
                    && !targets.contains(target)
                {
                    faults.push(format!("{}: make {target}", path.display()));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn commands_and_options_of_landbridge_exist() {
    let cli = Cli::command();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for Document { path, text } in documents() {
        for code in text::code(&text).iter().filter(|code| !matches!(code.language, "toml" | "yaml")) {
            for words in commands(code.text) {
                if words[0].rsplit('/').next() != Some("landbridge") {
                    continue;
                }
                if let Err(fault) = understood(&cli, &words[1..], &mut seen) {
                    faults.push(format!("{}: {}: {fault}", path.display(), words.join(" ")));
                }
            }
        }
    }
    none(&faults);
    for command in ["run", "check", "explain"] {
        assert!(seen.contains(command), "no document names `landbridge {command}`: {seen:?}");
    }
}

fn understood(cli: &Command, words: &[&str], seen: &mut BTreeSet<String>) -> Result<(), String> {
    let known = |command: &Command, option: &str| {
        let options = command.get_arguments().filter_map(clap::Arg::get_long);
        options.chain(["help", "version"]).any(|long| long == option)
    };
    let mut command = None;
    let mut is_value = false;
    for word in words {
        if let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) {
            let option = option.split(['=', ']', '[']).next().expect("a name");
            if !known(cli, option) && !command.is_some_and(|command| known(command, option)) {
                return Err(format!("there is no --{option}"));
            }
            is_value = command.is_none();
        } else if command.is_none() && !is_value && !word.starts_with(['-', '<', '[', '#']) {
            let name = word.trim_end_matches(['.', ',', ':']);
            if name == "help" {
                return Ok(());
            }
            let found = cli.get_subcommands().find(|command| command.get_name() == name);
            command = Some(found.ok_or_else(|| format!("there is no `{name}`"))?);
            seen.insert(name.to_owned());
        } else {
            is_value = false;
        }
    }
    Ok(())
}
