//! What the file says must be there, fit together, and be reachable from this machine only.

use crate::compose::{Composition, list, text};
use crate::{read, root};
use landbridge::config;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a service here may say. Compose has more words; a misspelt one would not be among these.
const KEYS: [&str; 13] = [
    "build",
    "command",
    "depends_on",
    "entrypoint",
    "environment",
    "healthcheck",
    "image",
    "ports",
    "restart",
    "stop_grace_period",
    "stop_signal",
    "volumes",
    "hostname",
];

/// Compose itself, where it is installed: Debian's or the plugin of Docker.
#[test]
fn compose_reads_it() {
    for program in [&["docker-compose"][..], &["docker", "compose"]] {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            continue;
        }
        let mut command = Command::new(program[0]);
        let config = command.args(&program[1..]).arg("config").current_dir(root()).output().expect("runs");
        assert!(config.status.success(), "{}", String::from_utf8_lossy(&config.stderr));
    }
}

#[test]
fn every_word_is_known_and_every_name_exists() {
    let file = Composition::load(&[]);
    let services = file.services();
    let volumes = file.value["volumes"].as_mapping().expect("volumes");
    for (name, service) in &services {
        for key in service.keys() {
            assert!(KEYS.contains(&text(key)), "{name}: {key:?}");
        }
        for (from, to) in file.mounts(name) {
            assert!(to.starts_with('/'), "{name}: {to}");
            match from.strip_prefix("./") {
                Some(path) => assert!(root().join(path).exists(), "{name} mounts {path}, which is not there"),
                None => assert!(volumes.contains_key(from.as_str()), "{name} mounts {from}, which is no volume"),
            }
        }
        for (address, _, _) in file.ports(name) {
            assert_eq!(address, "127.0.0.1", "{name}: published beyond this machine");
        }
        let build = &file.service(name)["build"];
        if let Some(directory) = build.as_str() {
            assert!(root().join(directory).join("Dockerfile").is_file(), "{name}: {directory} has no Dockerfile");
        }
        let image = file.service(name)["image"].as_str();
        assert!(image.is_some() || build.is_string(), "{name}: neither an image nor a build");
        if image == Some("landbridge") {
            let makes_it = |other: &&str| file.service(other)["build"].is_string();
            assert!(services.keys().any(|other| file.service(other)["image"].as_str() == image && makes_it(other)));
        }
    }
}

#[test]
fn what_is_waited_for_can_happen() {
    let file = Composition::load(&[]);
    for name in file.services().keys() {
        let depends = &file.service(name)["depends_on"];
        let mut awaited: Vec<(String, String)> =
            list(depends).into_iter().map(|n| (n, "service_started".into())).collect();
        for (other, how) in depends.as_mapping().into_iter().flatten() {
            awaited.push((text(other).to_owned(), text(&how["condition"]).to_owned()));
        }
        for (other, condition) in awaited {
            let service = file.service(&other);
            let check = &service["healthcheck"];
            match condition.as_str() {
                "service_started" => {}
                "service_completed_successfully" => assert!(service["restart"].is_null(), "{other} never completes"),
                "service_healthy" => {
                    let in_image =
                        service["build"].as_str() == Some(".") && read("Dockerfile").contains("\nHEALTHCHECK ");
                    assert!(check["test"].is_sequence() || in_image, "{other} is never healthy");
                    assert!(check["disable"].as_bool() != Some(true), "{other} is never healthy");
                }
                other => panic!("{name}: {other}"),
            }
        }
    }
}

/// Names of hosts in the files are services, and certificates hold the names that are verified.
#[test]
fn hosts_are_services() {
    let file = Composition::load(&[]);
    let environment = file.environment("landbridge");
    let text = read("deploy/compose/proxy.toml");
    let settings =
        config::parse(&text, "proxy.toml", Path::new("/etc/landbridge"), &|name| environment.get(name).cloned())
            .unwrap_or_else(|faults| panic!("{faults}"));
    // All are waived: see the end of the file.
    let warned: Vec<&str> = settings.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(warned, ["listen.http", "listen.allow_plaintext", "listen.status"]);
    let certified = read("deploy/compose/certs.sh");
    let mut hosts: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("address = \"")?.split(':').next().map(str::to_owned))
        .collect();
    assert_eq!(hosts.len(), 2);
    hosts.push("ocean".into()); // that the replica dials
    assert!(read("deploy/compose/replica.sh").contains("${PRIMARY_HOST:-ocean}"));
    for host in &hosts {
        file.service(host);
        assert!(certified.contains(&format!("DNS:{host}")), "no certificate names {host}");
    }
    for dsn in ["LANDBRIDGE_DSN", "DIRECT_DSN"] {
        let dsn = &file.environment("guestbook")[dsn];
        let host = dsn.split("host=").nth(1).and_then(|rest| rest.split(';').next()).expect("a host");
        file.service(host);
    }
}

/// Variables that scripts and pages read are set where they run.
#[test]
fn variables_are_set() {
    let file = Composition::load(&[]);
    // What the image's entry point sets.
    let known =
        |name: &str, service: &str| name == "MYSQL_ROOT_PASSWORD" || file.environment(service).contains_key(name);
    for service in ["primary", "replica"] {
        let script = read(&format!("deploy/compose/{service}.sh"));
        let used: BTreeSet<&str> = script.split("'$").chain(script.split("\"$")).skip(1).filter_map(name_at).collect();
        assert!(used.len() >= 2, "{used:?}");
        for name in used {
            assert!(known(name, service), "{service}.sh reads {name}, which nobody sets");
        }
    }
    let page = read("deploy/compose/guestbook/index.php");
    for part in page.split("getenv('").skip(1) {
        let name = part.split('\'').next().expect("a name");
        assert!(known(name, "guestbook"), "the guestbook reads {name}, which nobody sets");
    }
}

fn name_at(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_uppercase() && c != '_')?;
    text.get(..end).filter(|name| !name.is_empty())
}

/// What people are told to open is published, and the other way round.
#[test]
fn the_readme_names_what_is_published() {
    let file = Composition::load(&[]);
    let (readme, comment) = (read("README.md"), read("docker-compose.yml"));
    for (service, inside) in [("guestbook", 8080), ("landbridge", 9306), ("grafana", 3000)] {
        let ports = file.ports(service);
        let (_, outside, _) = ports.iter().find(|port| port.2 == inside).expect("published");
        let url = format!("http://127.0.0.1:{outside}");
        assert!(readme.contains(&url) && comment.contains(&url), "{url} of {service}");
    }
}

/// Every port can be another one on this machine, by a variable that the file's comment names with its default.
#[test]
fn every_port_can_be_moved() {
    let (file, text) = (Composition::load(&[]), read("docker-compose.yml"));
    let comment: String = text.lines().take_while(|line| line.starts_with('#') || line.is_empty()).collect();
    let mut moved = 0;
    for name in file.services().keys() {
        for (_, outside, inside) in file.ports(name) {
            let (before, _) = comment.split_once(&format!("_PORT ({outside})")).unwrap_or_else(|| panic!("{outside}"));
            let start = before.rfind(' ').map_or(0, |at| at + 1);
            let variable = format!("{}_PORT", before.get(start..).expect("a name"));
            let there = Composition::load(&[(&variable, "12345")]).ports(name);
            assert!(there.contains(&("127.0.0.1".to_owned(), 12345, inside)), "{variable}: {there:?}");
            moved += 1;
        }
    }
    assert_eq!(moved, 5);
}

/// The scripts that are mounted and run, by a program that is there on many machines.
#[test]
fn scripts_are_sound() {
    let mut command = Command::new("shellcheck");
    for script in ["certs.sh", "primary.sh", "replica.sh"] {
        command.arg(root().join("deploy/compose").join(script));
    }
    let verdict = command.arg(root().join("tests/composition/entrypoint.sh")).output();
    if let Ok(verdict) = verdict {
        assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stdout));
    }
}

/// Grafana and Prometheus find what is mounted where they look.
#[test]
fn prometheus_and_grafana_find_their_files() {
    let file = Composition::load(&[]);
    let mounted = |service: &str, to: &str| {
        let mount = file.mounts(service).into_iter().find(|(_, target)| target == to).expect(to);
        root().join(mount.0)
    };
    let prometheus = mounted("prometheus", "/etc/prometheus").join("prometheus.yml");
    if let Ok(text) = std::fs::read_to_string(prometheus) {
        assert!(text.contains("landbridge:9306"), "Landbridge is scraped by its service's name");
    }
    let dashboards = mounted("grafana", "/var/lib/grafana/dashboards");
    let home = &file.environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    let home = dashboards.join(Path::new(home).file_name().expect("a file"));
    let any = std::fs::read_dir(&dashboards)
        .expect("dashboards")
        .flatten()
        .any(|e| e.path().extension().is_some_and(|e| e == "json"));
    assert!(home.is_file() || !any, "{} is the page that opens", home.display());
    assert!(mounted("grafana", "/etc/grafana/provisioning").is_dir());
}
