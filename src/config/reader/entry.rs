//! One key and its value, before it is known what they mean.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::config::document::{Document, Found, Spot};
use crate::config::expand::Expanded;
use crate::config::fault::Problem;

/// A key taken out of its table.
pub(super) struct Entry<'d, 'a> {
    document: &'d Document<'a>,
    /// Where it is, with the value as written.
    pub(super) spot: Spot,
    /// The place without the value: `[pool] max`.
    bare: String,
    /// Whether the value may never be quoted.
    secret: bool,
    span: Range<usize>,
    value: DeValue<'a>,
}

impl<'d, 'a> Entry<'d, 'a> {
    /// `bare` and `path` name it for people and programs; `start` is where its key begins.
    pub(super) fn new(
        document: &'d Document<'a>,
        key: &str,
        bare: String,
        path: String,
        start: usize,
        value: Spanned<DeValue<'a>>,
    ) -> Self {
        let secret = key == "password";
        let span = value.span();
        let value = value.into_inner();
        let at = Some(document.position(start));
        let place = place(document, &bare, secret, &value, &span);
        Self { document, spot: Spot { at, key: path, place }, bare, secret, span, value }
    }

    /// The value as a text with its variables expanded.
    pub(super) fn text(&self, fix: impl Into<Cow<'static, str>>) -> Option<Expanded> {
        match &self.value {
            DeValue::String(raw) => self.document.expand(raw, &self.spot),
            _ => self.wrong_type("a text", fix),
        }
    }

    /// Whether the value is written as a number.
    pub(super) fn is_integer(&self) -> bool {
        self.value.is_integer()
    }

    /// The value as a whole number; a text counts if a variable gave it.
    pub(super) fn number(&self, what: &'static str, fix: &'static str) -> Option<i128> {
        let problem = match &self.value {
            DeValue::Integer(integer) => match parse_integer(integer) {
                Some(number) => return Some(number),
                None => Problem::new("out of range", fix),
            },
            DeValue::String(raw) => {
                let expanded = self.document.expand(raw, &self.spot)?;
                match expanded.text.trim().parse() {
                    Ok(number) if expanded.from_env => return Some(number),
                    _ if expanded.from_env => Problem::new(
                        format!("the environment does not make it {what}"),
                        "set the variable to a whole number",
                    ),
                    _ => return self.wrong_type(what, fix),
                }
            }
            _ => return self.wrong_type(what, fix),
        };
        self.document.fault(&self.spot, problem);
        None
    }

    /// The value as yes or no; a text counts if a variable gave it.
    pub(super) fn flag(&self) -> Option<bool> {
        match &self.value {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(raw) => {
                let expanded = self.document.expand(raw, &self.spot)?;
                match expanded.text.trim() {
                    "true" if expanded.from_env => Some(true),
                    "false" if expanded.from_env => Some(false),
                    _ => self.wrong_type("true or false", "write true or false without quotes"),
                }
            }
            _ => self.wrong_type("true or false", "write true or false without quotes"),
        }
    }

    /// The value with its place, or `None` once the problem is reported.
    pub(super) fn found<T>(&self, value: Result<T, Problem>) -> Option<Found<T>> {
        match value {
            Ok(value) => Some(Found { value, spot: self.spot.clone() }),
            Err(problem) => {
                self.document.fault(&self.spot, problem);
                None
            }
        }
    }

    /// The items of a list, or the value itself.
    pub(super) fn into_items(self) -> Vec<Self> {
        let DeValue::Array(items) = self.value else {
            return vec![self];
        };
        let Self { document, spot, bare, secret, .. } = self;
        let item = |(index, item): (usize, Spanned<DeValue<'a>>)| {
            let span = item.span();
            let value = item.into_inner();
            let spot = Spot {
                at: Some(document.position(span.start)),
                key: format!("{}[{index}]", spot.key),
                place: place(document, &bare, secret, &value, &span),
            };
            Self { document, spot, bare: bare.clone(), secret, span, value }
        };
        items.into_iter().enumerate().map(item).collect()
    }

    /// The value as a table; a fault is reported at `header`.
    pub(super) fn into_table(self, header: &Spot, fix: &str) -> Option<DeTable<'a>> {
        let kind = kind(&self.value);
        if let DeValue::Table(table) = self.value {
            return Some(table);
        }
        let message = format!("expected a table, found {kind}");
        self.document.fault(header, Problem::new(message, fix.to_owned()));
        None
    }

    /// The tables of `[[name]]` with the byte where each begins.
    pub(super) fn into_tables(self, header: &Spot, name: &str) -> Vec<(usize, DeTable<'a>)> {
        let fix = format!("write [[{name}]] once for each {name}");
        let kind = kind(&self.value);
        let wrong = |message: String| {
            self.document.fault(header, Problem::new(message, fix.clone()));
        };
        match self.value {
            DeValue::Array(items) => {
                let mut tables = Vec::new();
                for item in items {
                    let start = item.span().start;
                    match item.into_inner() {
                        DeValue::Table(table) => tables.push((start, table)),
                        _ => wrong("expected tables, found a list".to_owned()),
                    }
                }
                tables
            }
            DeValue::Table(table) => {
                wrong(format!("[{name}] is a single table"));
                vec![(self.span.start, table)]
            }
            _ => {
                wrong(format!("expected tables, found {kind}"));
                Vec::new()
            }
        }
    }

    fn wrong_type<T>(&self, expected: &'static str, fix: impl Into<Cow<'static, str>>) -> Option<T> {
        let message = format!("expected {expected}, found {}", kind(&self.value));
        self.document.fault(&self.spot, Problem::new(message, fix));
        None
    }
}

/// `bare = value`; tables and lists are not quoted, secrets never.
fn place(document: &Document<'_>, bare: &str, secret: bool, value: &DeValue<'_>, span: &Range<usize>) -> String {
    match value {
        _ if secret => format!("{bare} = [redacted]"),
        DeValue::Table(_) | DeValue::Array(_) => bare.to_owned(),
        _ => format!("{bare} = {}", document.quote(span.clone())),
    }
}

fn parse_integer(integer: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// What a value is, with its article.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
