//! The page, as a visitor sees it.

use crate::site::{Answer, Site, http};

/// What nobody's browser may take for anything but text, as a form sends it, and as the page must show it.
const MESSAGE: &str = "%3Cscript%3Ealert(%22hi%22)%3C%2Fscript%3E+%26+%27more%27";
const SHOWN: &str = "&lt;script&gt;alert(&quot;hi&quot;)&lt;/script&gt; &amp; &#039;more&#039;";

/// Writes, and looks where the page sends the browser.
fn write(port: u16, name: &str) -> Answer {
    let answer = http(port, "/", Some(&format!("name={name}&message={MESSAGE}")));
    assert_eq!(answer.status, 303, "{}\n{}", answer.head, answer.body);
    let location = answer.head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a location");
    http(port, location, None)
}

/// What is written is there on the next page, whoever answers; both ways are shown; without the primary what can go on
/// goes on.
#[test]
fn the_guestbook() {
    let Some(mut site) = Site::start() else { return };
    let port = site.ports().guestbook;
    let page = http(port, "/", None);
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(!page.body.contains("<td>says"), "both ways are open:\n{}", page.body);
    // The schema crosses the ocean before the replica answers anything.
    site.until("replica", "answers reads", || {
        http(port, "/", None).body.contains("<td>answered by<td>primary<td>replica")
    });

    let mut read_at_the_replica = 0;
    for n in 0..20 {
        let page = write(port, &format!("visitor-{n}")).body;
        assert!(page.contains("Written at the <b>primary</b>"), "entry {n} is there:\n{page}");
        assert!(page.contains(&format!("<b>visitor-{n}</b>: {SHOWN}")), "{page}");
        assert!(!page.contains("<script"), "{page}");
        read_at_the_replica += i32::from(page.contains("<b>replica</b>.</p>"));
    }
    assert!(read_at_the_replica > 0, "no entry was read back nearby");
    // What the other pages of the README are about: statements are shown, behind a published port, too.
    let metrics = http(site.ports().http, "/metrics", None).body;
    assert!(metrics.contains("landbridge_statements_total"), "{metrics}");
    let status = http(site.ports().http, "/", None);
    assert!(status.status == 200 && status.head.contains("text/html"), "{}", status.head);
    let status = http(site.ports().http, "/status.json", None).body;
    assert!(status.contains("AS read_at FROM entries"), "{status}");

    site.kill("primary");
    let page = http(port, "/", None).body;
    assert!(page.contains("<td>says"), "the way to the primary is closed:\n{page}");
    assert!(page.contains("visitor-19"), "entries are still there:\n{page}");
    let refused = http(port, "/", Some("name=nobody&message=nothing"));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("Not written: "), "{}", refused.body);
    assert!(refused.body.contains("visitor-19"), "{}", refused.body);
}
