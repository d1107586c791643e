//! The words of a command: names, strings, numbers and signs, without comments.

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A name or keyword, a number, or a variable with its `@`; as it was written.
    Bare(String),
    /// A string, without its quotes.
    Text(String),
    /// Anything else, a character each.
    Sign(char),
}

impl Word {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Bare(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// A bare word or a string.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Bare(text) | Self::Text(text) => Some(text),
            Self::Sign(_) => None,
        }
    }
}

/// Splits a text. What is not closed ends with the text; a `;` at the end is no word.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            '\'' | '"' => quoted(rest, first, Word::Text),
            '`' => quoted(rest, first, Word::Bare),
            '#' => (None, behind(rest, "\n")),
            '-' if rest.starts_with("-- ") || rest == "--" => (None, behind(rest, "\n")),
            // What servers take for code is passed over as well: it is about them.
            '/' if rest.starts_with("/*") => (None, behind(rest, "*/")),
            _ if is_bare(first) => {
                let end = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                (Some(Word::Bare(word.to_owned())), behind)
            }
            sign => (Some(Word::Sign(sign)), rest.get(sign.len_utf8()..).unwrap_or_default()),
        };
        words.extend(word);
        rest = behind.trim_start();
    }
    while words.last() == Some(&Word::Sign(';')) {
        words.pop();
    }
    words
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '$' | '.' | '-')
}

fn behind<'t>(text: &'t str, end: &str) -> &'t str {
    text.split_once(end).map_or("", |(_, behind)| behind)
}

/// A quoted word, whose quotes are doubled or escaped inside.
fn quoted(text: &str, quote: char, make: impl Fn(String) -> Word) -> (Option<Word>, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            _ if c == quote && chars.peek().is_some_and(|(_, next)| *next == quote) => {
                chars.next();
                out.push(c);
            }
            _ if c == quote => return (Some(make(out)), text.get(at + 1..).unwrap_or_default()),
            c => out.push(c),
        }
    }
    (Some(make(out)), "")
}

/// Whether a text fits a pattern of `LIKE`, upper and lower case being the same.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    fn fits(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|at| fits(text.get(at..).unwrap_or_default(), rest)),
            ['\\', escaped, rest @ ..] => {
                text.split_first().is_some_and(|(first, behind)| first == escaped && fits(behind, rest))
            }
            [one, rest @ ..] => {
                text.split_first().is_some_and(|(first, behind)| (*one == '_' || first == one) && fits(behind, rest))
            }
        }
    }
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    // Each `%` tries every place: a few are enough for everybody.
    pattern.matches('%').count() <= 8 && fits(&lower(text), &lower(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_words() {
        let bare = |text: &str| Word::Bare(text.into());
        assert_eq!(words(" show pools ; "), [bare("show"), bare("pools")]);
        assert_eq!(
            words("/* driver */ SELECT @@a.b, 'it''s', \"x\\\"y\" -- c\n=`n`"),
            [
                bare("SELECT"),
                bare("@@a.b"),
                Word::Sign(','),
                Word::Text("it's".into()),
                Word::Sign(','),
                Word::Text("x\"y".into()),
                Word::Sign('='),
                bare("n")
            ]
        );
        assert_eq!(words("'open"), [Word::Text("open".into())]);
        assert_eq!(words("/* open"), []);
    }

    #[test]
    fn patterns() {
        for (text, pattern, want) in [
            ("app", "app%", true),
            ("App-2", "app%", true),
            ("replica-eu", "%-eu", true),
            ("replica-us", "%-eu", false),
            ("abc", "a_c", true),
            ("a%", r"a\%", true),
            ("ab", r"a\%", false),
            ("", "%", true),
            ("x", "", false),
        ] {
            assert_eq!(is_like(text, pattern), want, "{text} {pattern}");
        }
    }
}
