//! The file as Compose reads it: anchors and merges resolved, variables replaced by their defaults.

use crate::read;
use serde_norway::{Mapping, Value};
use std::collections::BTreeMap;

pub(crate) struct Composition {
    pub(crate) value: Value,
}

impl Composition {
    /// Reads it with these variables set, and no others.
    pub(crate) fn load(variables: &[(&str, &str)]) -> Self {
        let mut value: Value = serde_norway::from_str(&read("docker-compose.yml")).expect("YAML");
        value.apply_merge().expect("merges");
        replace(&mut value, variables);
        Self { value }
    }

    pub(crate) fn services(&self) -> BTreeMap<&str, &Mapping> {
        let services = self.value["services"].as_mapping().expect("services");
        services.iter().map(|(name, service)| (text(name), service.as_mapping().expect("a service"))).collect()
    }

    pub(crate) fn service(&self, name: &str) -> &Value {
        let service = &self.value["services"][name];
        assert!(service.is_mapping(), "a service {name}");
        service
    }

    /// The words of a service's command.
    pub(crate) fn command(&self, name: &str) -> Vec<String> {
        list(&self.service(name)["command"])
    }

    pub(crate) fn environment(&self, name: &str) -> BTreeMap<String, String> {
        let Some(variables) = self.service(name)["environment"].as_mapping() else {
            return BTreeMap::new();
        };
        variables.iter().map(|(name, value)| (text(name).to_owned(), text(value).to_owned())).collect()
    }

    /// Pairs of what is mounted and where.
    pub(crate) fn mounts(&self, name: &str) -> Vec<(String, String)> {
        let pair = |mount: &String| {
            let mut parts = mount.split(':');
            let (from, to) = (parts.next(), parts.next());
            assert!(matches!(parts.next(), None | Some("ro")), "{mount}");
            (from.expect("a source").to_owned(), to.expect("a target").to_owned())
        };
        list(&self.service(name)["volumes"]).iter().map(pair).collect()
    }

    /// What is published: address, port there, port in the container.
    pub(crate) fn ports(&self, name: &str) -> Vec<(String, u16, u16)> {
        let port = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text}: a port"));
        let parts = |entry: &String| match entry.split(':').collect::<Vec<_>>()[..] {
            [address, outside, inside] => (address.to_owned(), port(outside), port(inside)),
            _ => panic!("{entry}: without an address it is published to everybody"),
        };
        list(&self.service(name)["ports"]).iter().map(parts).collect()
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value:?}: a text"))
}

pub(crate) fn list(value: &Value) -> Vec<String> {
    let entries = value.as_sequence().map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(|entry| text(entry).to_owned()).collect()
}

fn replace(value: &mut Value, variables: &[(&str, &str)]) {
    match value {
        Value::String(text) => *text = replaced(text, variables),
        Value::Sequence(entries) => entries.iter_mut().for_each(|entry| replace(entry, variables)),
        Value::Mapping(entries) => entries.values_mut().for_each(|entry| replace(entry, variables)),
        _ => {}
    }
}

/// `${NAME:-default}`: the only form the file may have, so that nothing needs to be set.
fn replaced(text: &str, variables: &[(&str, &str)]) -> String {
    let Some((before, rest)) = text.split_once("${") else {
        assert!(!text.contains('$'), "{text}: a variable without a default");
        return text.to_owned();
    };
    let (inner, after) = rest.split_once('}').expect("a variable ends");
    let (name, default) = inner.split_once(":-").unwrap_or_else(|| panic!("{text}: {inner} has no default"));
    let value = variables.iter().find(|(known, _)| *known == name).map_or(default, |(_, value)| value);
    format!("{before}{value}{}", replaced(after, variables))
}
