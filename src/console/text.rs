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

/// What one sign of a pattern of `LIKE` stands for.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// Any number of characters.
    Any,
    /// One character, whichever.
    One,
    /// This character.
    Just(char),
}

/// Whether a text fits a pattern of `LIKE`, upper and lower case being the same.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let signs = signs(&pattern.to_lowercase());
    let (mut at, mut sign) = (0, 0);
    // Behind the last `%`, and where the text goes on that it has not swallowed yet. What fitted before one need not be
    // tried again: it has swallowed as little as it could.
    let mut last = None;
    while let Some(c) = text.get(at) {
        match signs.get(sign) {
            Some(Sign::Any) => {
                sign += 1;
                last = Some((sign, at));
            }
            Some(Sign::One) => (at, sign) = (at + 1, sign + 1),
            Some(Sign::Just(one)) if one == c => (at, sign) = (at + 1, sign + 1),
            _ => match &mut last {
                Some((behind, from)) => {
                    *from += 1;
                    (at, sign) = (*from, *behind);
                }
                None => return false,
            },
        }
    }
    signs[sign..].iter().all(|sign| matches!(sign, Sign::Any))
}

fn signs(pattern: &str) -> Vec<Sign> {
    let mut signs = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        signs.push(match c {
            '%' => Sign::Any,
            '_' => Sign::One,
            '\\' => Sign::Just(chars.next().unwrap_or(c)),
            c => Sign::Just(c),
        });
    }
    signs
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
            ("aab", "%a_", true),
            ("abcabd", "%ab%d", true),
            ("abcabd", "%abd_", false),
            ("a", "a%%%%%%%%%%%%", true),
            // Whoever tries every place for each of them is at it for ever.
            (&"a".repeat(1024), "%%%%%%%%#", false),
            (&"a".repeat(1024), "%a%a%a%a%a%a%a%a%a%a%#", false),
        ] {
            assert_eq!(is_like(text, pattern), want, "{text} {pattern}");
        }
    }
}
