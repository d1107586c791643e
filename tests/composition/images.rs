//! The Dockerfiles: what they copy is there, and what they run this program understands.

use crate::compose::Composition;
use crate::{read, root};
use clap::Parser;
use landbridge::cli::Cli;

/// The words of an instruction in exec form.
fn words(dockerfile: &str, instruction: &str) -> Vec<String> {
    let (_, rest) = dockerfile.split_once(instruction).unwrap_or_else(|| panic!("{instruction} is there"));
    let line = rest.lines().next().expect("a line").trim();
    let inner = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    let inner = inner.unwrap_or_else(|| panic!("{instruction} {line}: needs a shell, and there is none"));
    inner.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
}

fn understood(words: &[String]) {
    if let Err(error) = Cli::try_parse_from(words) {
        panic!("{words:?}: {error}");
    }
}

#[test]
fn the_image_of_landbridge() {
    let text = read("Dockerfile");
    let (_, last) = text.rsplit_once("\nFROM ").expect("stages");
    assert!(last.lines().next().expect("an image").ends_with(":nonroot"), "nobody runs it as root");
    assert!(!last.contains("\nRUN "), "without a shell nothing can be run");
    let entrypoint = words(last, "\nENTRYPOINT ");
    assert_eq!(entrypoint, ["/usr/local/bin/landbridge"]);
    assert!(last.contains("COPY --from=build /usr/local/bin/landbridge /usr/local/bin/landbridge"));
    understood(&[entrypoint.clone(), words(last, "\nCMD ")].concat());
    let (_, check) = last.split_once("HEALTHCHECK").expect("a health check");
    let check = words(check, "CMD ");
    assert_eq!(check[0], entrypoint[0]);
    understood(&check);
    // What the build needs is not kept from it.
    let ignored = read(".dockerignore");
    for needed in ["src", "benches", "Cargo.toml", "Cargo.lock", "README.md"] {
        assert!(!ignored.lines().any(|line| line.trim_start_matches('/') == needed), "{needed}");
    }
    let manifest = read("Cargo.toml");
    assert!(!text.contains("--profile dist") || manifest.contains("[profile.dist]"));
}

#[test]
fn the_image_of_the_guestbook() {
    let text = read("deploy/compose/guestbook/Dockerfile");
    for line in text.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let source = line.split(' ').next().expect("a source");
        assert!(root().join("deploy/compose/guestbook").join(source).is_file(), "{source}");
    }
    assert!(text.contains("\nUSER www-data\n"), "nobody runs it as root");
    assert_eq!(words(&text, "\nCMD ")[..2], ["php", "-S"]);
}

#[test]
fn the_ocean_of_the_composition() {
    let file = Composition::load(&[("OCEAN_RTT", "2s")]);
    let command = file.command("ocean");
    assert!(command.contains(&"2s".to_owned()), "{command:?}");
    understood(&[vec!["landbridge".to_owned()], command].concat());
}
