//! What a person sees of the page, and what the page does not do.

use super::chromium::Browser;
use crate::support::{Bed, one, settings};
use landbridge::config::{Settings, StatusPage};
use landbridge::lab::{Flavor, accounts};
use mysql_async::prelude::*;
use std::sync::Arc;

const SHOWN: &str = "document.getElementById('state').textContent === 'serving'";

fn url(bed: &Bed) -> String {
    format!("http://{}/", bed.app().http.expect("there is one"))
}

async fn in_browser<T: Send + 'static>(work: impl FnOnce(&mut Browser) -> T + Send + 'static) -> Option<T> {
    let work = move || Browser::start().map(|mut browser| work(&mut browser));
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

fn with_a_page(bed: &Bed, status: StatusPage) -> Settings {
    let monitor = ("200ms", accounts::MONITOR.password);
    let mut settings = settings(&bed.pair, (&bed.ocean, &bed.shore), (4, 16), monitor, ("", "", ""));
    settings.listen.status = status;
    settings
}

/// Nothing sticks out to the side, no script failed, nobody else was asked.
fn is_sound(browser: &mut Browser, url: &str) {
    let sticks_out = "[...document.querySelectorAll('body *')].filter(e => \
        e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('svg')).map(e => e.outerHTML.slice(0, 80)).join()";
    assert_eq!(browser.value(sticks_out), "", "sticks out");
    assert_eq!(browser.value("document.documentElement.scrollWidth <= innerWidth"), true, "it can be moved sideways");
    assert_eq!(browser.errors(), Vec::<String>::new());
    let foreign = |asked: &String| !asked.starts_with(url) && asked != "about:blank";
    assert_eq!(browser.requests().into_iter().filter(foreign).collect::<Vec<_>>(), Vec::<String>::new());
}

/// Names, counts and statements are there at every width, live, and what looks like HTML stays text.
async fn what_a_person_sees(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n, s) VALUES (1, 'hidden')").await.expect("write");
    let evil = "SELECT 7 AS `<img src=x onerror=alert(1)>`, 'hidden'";
    client.query_drop(evil).await.expect("a name like any other");
    one::<u8>(&mut client, "SELECT GET_LOCK('it', 0)").await;
    let (url, runtime, bed) = (url(&bed), tokio::runtime::Handle::current(), Arc::new(bed));
    let seen = bed.clone();
    let look = move |browser: &mut Browser| {
        for (width, height) in [(1280, 900), (768, 900), (360, 740)] {
            browser.open(&url, (width, height), if width == 768 { "dark" } else { "light" });
            browser.until(SHOWN);
            browser.until("document.getElementById('clients').textContent === '1'");
            let text = browser.text();
            for part in ["primary", "replica", "takes reads", "named_lock", "insert", "INSERT INTO t", "OVERSEAS"] {
                assert!(text.contains(part), "{part} missing at {width}:\n{text}");
            }
            assert!(text.contains("<img src=x") && !text.contains("hidden"), "{text}");
            assert_eq!(browser.value("document.images.length"), 0);
            assert_eq!(browser.value("document.querySelectorAll('.server.up').length"), 2);
            is_sound(browser, &url);
        }
        // Live: something breaks, and it is told without being asked for.
        runtime.block_on(seen.pair.replica.sql("STOP REPLICA")).expect("stopped");
        browser.until("document.getElementById('alarms').innerText.includes('replica does not replicate')");
        browser.until("document.title.startsWith('(1) Landbridge')");
        runtime.block_on(seen.pair.replica.sql("START REPLICA")).expect("started");
        browser.until("document.getElementById('alarms').children.length === 0");
        browser.value("document.querySelector('button[data-sort=count]').click()");
        browser.until("document.querySelector('th[aria-sort]').textContent.includes('count')");
        is_sound(browser, &url);
        // Who does not look asks for nothing.
        let hide = |is_hidden| {
            format!(
                "Object.defineProperty(document, 'hidden', {{value: {is_hidden}, configurable: true}}); \
                 document.dispatchEvent(new Event('visibilitychange')); performance.now()"
            )
        };
        let hidden_at = browser.value(&hide(true)).as_f64().expect("a time");
        browser.until(&format!("performance.now() > {hidden_at} + 2500"));
        let asked = "performance.getEntriesByType('resource').filter(e => e.name.endsWith('.json'))";
        let late = format!("{asked}.filter(e => e.startTime > {hidden_at}).length");
        assert_eq!(browser.value(&late), 0);
        browser.value(&hide(false));
        browser.until(&format!("{late} > 0"));
        // Gone, and back.
        runtime.block_on(seen.app().reload(with_a_page(&seen, StatusPage::Off))).expect("applied");
        browser.until("!document.getElementById('gone').hidden");
        assert!(browser.text().contains("Landbridge does not answer since"), "{}", browser.text());
        assert!(browser.text().contains("it answers 404"), "{}", browser.text());
        runtime.block_on(seen.app().reload(with_a_page(&seen, StatusPage::Auto))).expect("applied");
        browser.until("document.getElementById('gone').hidden");
        browser.until(SHOWN);
    };
    in_browser(look).await;
    drop(client);
    Arc::into_inner(bed).expect("nobody else").stop().await;
}

crate::on_both!(what_a_person_sees);
