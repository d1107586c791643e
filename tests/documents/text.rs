//! Markdown, as far as it matters here: headings, prose, and what is written as code.

/// A piece of a document that is code, with the language of its block, if it has one.
pub(crate) struct Code<'t> {
    pub(crate) language: &'t str,
    pub(crate) text: &'t str,
}

/// Blocks behind fences, indented blocks line by line, and spans between backticks.
pub(crate) fn code(document: &str) -> Vec<Code<'_>> {
    let mut found = Vec::new();
    for (n, part) in document.split("\n```").enumerate() {
        if n % 2 == 1 {
            let (language, text) = part.split_once('\n').unwrap_or(("", part));
            found.push(Code { language: language.trim(), text });
            continue;
        }
        for line in part.lines() {
            if let Some(text) = line.strip_prefix("    ").filter(|rest| !rest.starts_with([' ', '*', '-'])) {
                found.push(Code { language: "", text });
            }
        }
        // A span may go on in the next line.
        for text in part.split('`').skip(1).step_by(2) {
            found.push(Code { language: "", text });
        }
    }
    found
}

/// What links to headings name, as GitHub makes it.
pub(crate) fn anchors(document: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (n, part) in document.split("\n```").enumerate().filter(|(n, _)| n % 2 == 0) {
        // The rest of the line that ends a block is no heading.
        for line in part.lines().skip(usize::from(n > 0)) {
            let title = line.trim_start_matches('#');
            if title.len() == line.len() || !title.starts_with(' ') {
                continue;
            }
            let slug = title.trim().to_lowercase().replace(' ', "-");
            found.push(slug.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect());
        }
    }
    found
}

/// Targets of links, without those of the web.
pub(crate) fn links(document: &str) -> Vec<&str> {
    let blocks = document.split("\n```").step_by(2);
    let targets = blocks.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.contains(' ')).collect()
}
