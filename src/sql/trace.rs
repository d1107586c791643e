//! The trace a statement belongs to: `traceparent` among the tags of a comment at either end of its text, as a
//! sqlcommenter writes them. Looked for only when a line about the statement is written.
//!
//! <https://www.w3.org/TR/trace-context/#traceparent-header>

use memchr::memmem;

const TAG: &[u8] = b"traceparent";
/// `00-` and 32, 16 and 2 hexadecimal digits, with `-` in between.
const LENGTH: usize = 55;

/// The `traceparent` of a text, if it has one. What is no such thing is not returned: nothing else of a statement
/// may come to where this is shown.
#[must_use]
pub fn traceparent(sql: &[u8]) -> Option<&str> {
    leading(sql).or_else(|| trailing(sql).and_then(tag))
}

/// That of the first comment in front which has one.
fn leading(sql: &[u8]) -> Option<&str> {
    let mut rest = sql;
    loop {
        let inside = rest.trim_ascii_start().strip_prefix(b"/*")?;
        let end = memmem::find(inside, b"*/")?;
        let (comment, behind) = inside.split_at_checked(end)?;
        if let Some(found) = tag(comment) {
            return Some(found);
        }
        rest = behind.get(2..)?;
    }
}

/// The comment at the end.
fn trailing(sql: &[u8]) -> Option<&[u8]> {
    let end = sql.iter().rposition(|byte| !byte.is_ascii_whitespace() && *byte != b';')?;
    let inside = sql.get(..=end)?.strip_suffix(b"*/")?;
    inside.get(memmem::rfind(inside, b"/*")? + 2..)
}

fn tag(comment: &[u8]) -> Option<&str> {
    let behind = comment.get(memmem::find(comment, TAG)? + TAG.len()..)?;
    let value = behind.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let value = value.strip_prefix(b"'").unwrap_or(value).get(..LENGTH)?;
    let fits = value.iter().enumerate().all(|(at, byte)| match at {
        2 | 35 | 52 => *byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    std::str::from_utf8(value).ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::traceparent;

    const ID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn it_is_found_at_either_end() {
        for sql in [
            format!("SELECT 1 /*traceparent='{ID}'*/"),
            format!("SELECT 1 /* action='x', traceparent = '{ID}',tracestate='a%3Db' */ ;\n"),
            format!("/*traceparent='{ID}'*/ SELECT 'a /* b */'"),
            format!(" /* landbridge: primary */ /*traceparent={ID}*/SELECT 1 /* other */"),
        ] {
            assert_eq!(traceparent(sql.as_bytes()), Some(ID), "{sql}");
        }
    }

    #[test]
    fn nothing_else_is_taken_for_it() {
        let short = &ID[..54];
        for sql in [
            String::new(),
            "SELECT 1".to_owned(),
            format!("SELECT '/*traceparent=''{ID}''*/' FROM t"),
            format!("SELECT 1 /*traceparent='{short}'*/"),
            format!("SELECT 1 /*traceparent='{}'*/", ID.replace("4bf9", "4BF9")),
            "SELECT 1 /*traceparent='secret-secret-secret-secret-secret-secret-secret-secret-x'*/".to_owned(),
            "/*traceparent".to_owned(),
            "*/".to_owned(),
            "/*/".to_owned(),
        ] {
            assert_eq!(traceparent(sql.as_bytes()), None, "{sql}");
        }
    }
}
