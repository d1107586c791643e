//! Stored functions that somebody has declared to only read.

use std::sync::Arc;

/// Names of functions, each perhaps with its schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadFunctions(Vec<Name>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    schema: Option<String>,
    function: String,
}

impl ReadFunctions {
    /// Functions as `total`, in whatever schema, or `shop.total`, in that one alone.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        let split = |name: &String| match name.split_once('.') {
            Some((schema, function)) => Name { schema: Some(schema.to_owned()), function: function.to_owned() },
            None => Name { schema: None, function: name.clone() },
        };
        Self(names.iter().map(split).collect())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this function is declared. Servers compare names of functions without regard to case; those of
    /// schemas may differ by it, so here they do.
    fn holds(&self, schema: Option<&[u8]>, function: &[u8]) -> bool {
        self.0.iter().any(|name| {
            name.function.as_bytes().eq_ignore_ascii_case(function)
                && name.schema.as_ref().is_none_or(|declared| Some(declared.as_bytes()) == schema)
        })
    }
}

/// Declared functions, and the schema of whoever calls one by its name alone.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) functions: Arc<ReadFunctions>,
    pub(super) schema: Option<Vec<u8>>,
}

impl Declared {
    /// Whether a call of `function`, perhaps with its schema, is one of these.
    pub(super) fn holds(&self, schema: Option<&[u8]>, function: &[u8]) -> bool {
        self.functions.holds(schema.or(self.schema.as_deref()), function)
    }
}
