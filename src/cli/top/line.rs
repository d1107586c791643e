//! Lines of text in a terminal: pieces with a look, columns that line up, and nothing that a terminal would obey.

use std::fmt::Write;

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As it is.
    Plain,
    /// Less important.
    Faint,
    /// More important.
    Strong,
    /// Of this shore.
    Near,
    /// Of the other shore.
    Far,
    /// Somebody should look.
    Warn,
    /// Somebody must act.
    Bad,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Faint => "2",
            Self::Strong => "1",
            Self::Near => "32",
            Self::Far => "34",
            Self::Warn => "33",
            Self::Bad => "1;31",
        }
    }
}

/// A line, or a cell of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(Look, String)>);

impl Line {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// One of a single piece.
    pub(super) fn of(look: Look, text: impl AsRef<str>) -> Self {
        Self::new().and(look, text)
    }

    /// With another piece. What a terminal would take for a command is shown as a dot.
    pub(super) fn and(mut self, look: Look, text: impl AsRef<str>) -> Self {
        let text = text.as_ref().chars().map(|c| match c {
            '\n' | '\t' | '\r' => ' ',
            c if misleads(c) => '·',
            c => c,
        });
        self.0.push((look, text.collect()));
        self
    }

    /// With all the pieces of another.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// How many characters it has.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// As text of at most `width` characters, for a terminal with colours or for whatever else reads it.
    pub(super) fn print(&self, width: usize, in_colour: bool) -> String {
        let (mut out, mut left) = (String::new(), width);
        let is_cut = self.width() > width;
        for (look, text) in &self.0 {
            let room = if is_cut { left.saturating_sub(1) } else { left };
            let shown: String = text.chars().take(room).collect();
            left -= shown.chars().count();
            if in_colour && *look != Look::Plain {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "\x1b[{}m{shown}\x1b[0m", look.code());
            } else {
                out.push_str(&shown);
            }
        }
        if is_cut && width > 0 {
            out.push('…');
        }
        if in_colour { out } else { out.trim_end().to_owned() }
    }
}

/// The same JSON, with what a terminal would take for a command, or for another order of characters, written as numbers.
/// Such characters can only be inside of strings.
pub(super) fn harmless(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if misleads(c) && !c.is_ascii() {
            // All of them are in the first plane. Writing to a String cannot fail.
            let _infallible = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a terminal shows something else than this character: C0 and C1 controls, ends of lines, marks of direction.
fn misleads(c: char) -> bool {
    let directs = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || directs || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its heading.
    pub(super) name: &'static str,
    /// Whether it holds numbers.
    pub(super) is_number: bool,
    /// It is left out where a line is shorter than this.
    pub(super) from_width: usize,
}

/// Lays rows out below their headings. Columns that have no room are left out; the last one takes what is left.
pub(super) fn table(columns: &[Column], rows: &[Vec<Line>], width: usize) -> Vec<Line> {
    let is_shown = |column: &Column| width >= column.from_width;
    let heading: Vec<Line> = columns.iter().map(|column| Line::of(Look::Faint, column.name)).collect();
    let all: Vec<&Vec<Line>> = std::iter::once(&heading).chain(rows).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| all.iter().filter_map(|row| row.get(at)).map(Line::width).max().unwrap_or_default())
        .collect();
    let last = columns.iter().rposition(is_shown);
    let line = |row: &&Vec<Line>| {
        let mut line = Line::new();
        let cells = columns.iter().zip(row.iter()).zip(&widths).enumerate();
        for (place, ((column, cell), width)) in cells.filter(|(_, ((column, _), _))| is_shown(column)) {
            let blank = " ".repeat(width.saturating_sub(cell.width()));
            let gap = if line.0.is_empty() { "" } else { "  " };
            line = line.and(Look::Plain, gap);
            line = match () {
                () if column.is_number => line.and(Look::Plain, blank).with(cell.clone()),
                () if Some(place) == last => line.with(cell.clone()),
                () => line.with(cell.clone()).and(Look::Plain, blank),
            };
        }
        line
    };
    all.iter().map(line).collect()
}

/// Phrases in lines of at most `width`, two spaces between them.
pub(super) fn flow(phrases: Vec<Line>, width: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for phrase in phrases {
        match lines.last_mut() {
            Some(line) if line.width() + 2 + phrase.width() <= width => {
                *line = std::mem::take(line).and(Look::Plain, "  ").with(phrase);
            }
            _ => lines.push(phrase),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: &[Line], width: usize) -> Vec<String> {
        lines.iter().map(|line| line.print(width, false)).collect()
    }

    #[test]
    fn nothing_is_obeyed_and_nothing_is_too_long() {
        let line = Line::of(Look::Bad, "a\x1b[2Jb\nc").and(Look::Plain, "déf");
        assert_eq!(line.print(80, false), "a·[2Jb cdéf");
        assert_eq!(line.print(6, false), "a·[2J…");
        assert_eq!(line.print(0, false), "");
        assert_eq!(line.print(80, true), "\x1b[1;31ma·[2Jb c\x1b[0mdéf");
    }

    #[test]
    fn names_do_not_lead_terminals_astray() {
        let name = "a\u{9b}2J\u{85}\u{202e}b\u{2066}é\u{2028}";
        assert_eq!(Line::of(Look::Plain, name).print(80, false), "a·2J··b·é·");
        let json = serde_json::json!({ "name": name, "\u{200f}": 1 }).to_string();
        let shown = harmless(&json);
        assert!(shown.contains(r"a\u009b2J\u0085\u202eb\u2066é\u2028") && !shown.chars().any(misleads), "{shown}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("still JSON");
        assert_eq!(value(&shown), value(&json), "it means the same");
        assert_eq!(harmless("{\n}\n"), "{\n}\n");
    }

    #[test]
    fn columns_line_up_and_give_way() {
        let column = |name, is_number, from_width| Column { name, is_number, from_width };
        let columns =
            [column("name", false, 0), column("n", true, 0), column("more", false, 40), column("x", false, 0)];
        let cell = |text: &str| Line::of(Look::Plain, text);
        let rows = vec![vec![cell("a"), cell("10"), cell("seldom"), cell("y")]];
        assert_eq!(plain(&table(&columns, &rows, 80), 80), ["name   n  more    x", "a     10  seldom  y"]);
        assert_eq!(plain(&table(&columns, &rows, 39), 39), ["name   n  x", "a     10  y"]);
    }

    #[test]
    fn phrases_flow() {
        let phrases = ["one two", "three", "four"].map(|text| Line::of(Look::Plain, text)).to_vec();
        assert_eq!(plain(&flow(phrases.clone(), 14), 14), ["one two  three", "four"]);
        assert_eq!(plain(&flow(phrases, 5), 80), ["one two", "three", "four"]);
    }
}
