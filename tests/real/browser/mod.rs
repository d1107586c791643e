//! The status page in a real browser.

mod chromium;
mod page;
mod pictures;
