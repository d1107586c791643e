//! `landbridge top`: what goes on in a running Landbridge, live, in a terminal.
//!
//! It asks for `/status.json`, as the page does. `picture` draws, `line` is text with looks, `terminal` is the rest.

mod line;
mod picture;
mod terminal;

use self::line::{Line, Look, harmless};
use self::picture::{Order, Rates, View, draw};
use self::terminal::Terminal;
use super::ask::Place;
use super::{complain, print, runtime};
use crate::config;
use crate::status::Report;
use crate::status::report::FORMAT;
use anyhow::{Context, Result, bail};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Characters in a line where nobody says how many there are.
const WIDTH: usize = 120;
/// Rates are over about so many reports.
const KEPT: usize = 10;
/// What the last line says.
const HELP: &str = "q leave  p pause  s sort  (t total, m mean, w worst, c count, l last)";

/// What is wanted.
#[derive(Debug)]
pub(super) struct Wish {
    /// Where, if it is said.
    pub(super) url: Option<String>,
    /// One picture.
    pub(super) once: bool,
    /// The JSON as it is.
    pub(super) json: bool,
    /// From one report to the next.
    pub(super) every: Duration,
}

/// Does it. `file` says where to ask, if nobody else does.
pub(super) fn top(wish: &Wish, file: &Path) -> ExitCode {
    let place = match place(wish.url.as_deref(), file) {
        Ok(place) => place,
        Err(why) => {
            complain(&format!("landbridge: {why}"));
            return ExitCode::from(2);
        }
    };
    let done = match wish {
        Wish { json: true, .. } => ask(&place).map(|(text, _)| print(&harmless(&text))),
        Wish { once: false, .. } if std::io::stdout().is_terminal() => live(&place, wish.every),
        _ => once(&place),
    };
    super::finish(done)
}

fn place(url: Option<&str>, file: &Path) -> Result<Place, String> {
    if let Some(url) = url {
        return Place::parse(url).map_err(|why| format!("--url {url}: {why}"));
    }
    match config::http_address(file, &|name| std::env::var(name).ok())? {
        Some(address) => Ok(Place::of(address)),
        None => Err(format!("{}: [listen] http is \"\": there is nobody to ask", file.display())),
    }
}

/// The report, as text and as read.
fn ask(place: &Place) -> Result<(String, Report)> {
    let host = &place.host;
    let answer = place
        .get("/status.json")
        .with_context(|| format!("nobody answers at {host}; --url or --config say where Landbridge is"))?;
    match answer.status {
        200 => {}
        404 => bail!("{host} has no /status.json: [listen] status is off, or it is something else"),
        status => bail!("{host} answers with status {status}"),
    }
    let text = String::from_utf8(answer.body).with_context(|| format!("{host}: the answer is not text"))?;
    let report: Report =
        serde_json::from_str(&text).with_context(|| format!("{host} answers with what this version cannot read"))?;
    if report.format != FORMAT {
        bail!("{host} speaks format {} and this program {FORMAT}; use the one of its version", report.format);
    }
    Ok((text, report))
}

fn is_colourful() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stdout().is_terminal()
}

fn once(place: &Place) -> Result<()> {
    let (_, report) = ask(place)?;
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = terminal::size().map(|(width, _)| width).or(columns).unwrap_or(WIDTH);
    let view = View { report: &report, rates: None, order: Order::default(), width, height: None };
    let lines: Vec<String> = draw(&view).iter().map(|line| line.print(width, is_colourful())).collect();
    print(&lines.join("\n"));
    Ok(())
}

fn live(place: &Place, every: Duration) -> Result<()> {
    let runtime = runtime()?;
    let done = runtime.block_on(watch(place, every));
    // A question may still wait for its answer.
    runtime.shutdown_background();
    done
}

async fn watch(place: &Place, every: Duration) -> Result<()> {
    // Before the terminal is taken: whoever ends this gives it back.
    let mut ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let mut resized = signal(SignalKind::window_change())?;
    // What cannot be asked at all is said where it stays to be read.
    let (first, asked) = (Arc::new(ask(place)?.1), Instant::now());
    let terminal = Terminal::take(is_colourful())?;
    let (mut keys, mut reports) = (terminal::keys(), reports(place.clone(), every));
    let mut screen = Screen { reports: vec![(asked, first)], ..Screen::default() };
    loop {
        screen.draw(&terminal)?;
        tokio::select! {
            () = any(&mut ends) => return Ok(()),
            _ = resized.recv() => {}
            key = keys.recv(), if !keys.is_closed() || !keys.is_empty() => match key {
                // q, ctrl-c and ctrl-d.
                Some(b'q' | 3 | 4) => return Ok(()),
                Some(key) => screen.pressed(key),
                None => {}
            },
            report = reports.recv() => match report {
                Some(told) => screen.told(told),
                None => bail!("nobody asks any more"),
            },
        }
    }
}

async fn any(signals: &mut [std::io::Result<Signal>; 3]) {
    let [interrupt, terminate, hangup] = signals.each_mut().map(|signal| async move {
        match signal {
            Ok(signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    });
    tokio::select! { _ = interrupt => {} _ = terminate => {} _ = hangup => {} }
}

type Told = (Instant, Result<Report>);

/// Asks again and again.
fn reports(place: Place, every: Duration) -> mpsc::Receiver<Told> {
    let (sender, told) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let place = place.clone();
            let Ok(report) = tokio::task::spawn_blocking(move || ask(&place)).await else { return };
            if sender.send((Instant::now(), report.map(|(_, report)| report))).await.is_err() {
                return;
            }
        }
    });
    told
}

/// What is on the screen.
#[derive(Debug, Default)]
struct Screen {
    /// The last ones, the newest at the end.
    reports: Vec<(Instant, Arc<Report>)>,
    order: Order,
    is_paused: bool,
    /// Why there is none newer.
    gone: Option<String>,
}

impl Screen {
    fn pressed(&mut self, key: u8) {
        match key {
            b'p' | b' ' => self.is_paused = !self.is_paused,
            b's' => self.order = self.order.next(),
            key => self.order = Order::of(key).unwrap_or(self.order),
        }
    }

    fn told(&mut self, (at, report): Told) {
        match report {
            Err(error) => self.gone = Some(format!("{error:#}")),
            Ok(_) if self.is_paused => self.gone = None,
            Ok(report) => {
                self.gone = None;
                let is_kept = self.reports.len() < KEPT;
                self.reports.drain(..usize::from(!is_kept));
                self.reports.push((at, Arc::new(report)));
            }
        }
    }

    fn draw(&self, terminal: &Terminal) -> std::io::Result<()> {
        let (width, height) = terminal::size().unwrap_or((WIDTH, 40));
        terminal.show(&self.lines(width, height), width)
    }

    fn lines(&self, width: usize, height: usize) -> Vec<Line> {
        let (Some((first, old)), Some((last, report))) = (self.reports.first(), self.reports.last()) else {
            return Vec::new();
        };
        let rates = Rates::between(old, report, last.duration_since(*first));
        let room = height.saturating_sub(1);
        let mut lines = draw(&View { report, rates, order: self.order, width, height: Some(room) });
        lines.resize(room, Line::new());
        lines.push(match &self.gone {
            Some(why) => Line::of(Look::Bad, why),
            None if self.is_paused => Line::of(Look::Warn, "paused: p goes on"),
            None => Line::of(Look::Faint, HELP),
        });
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(saved: u64) -> Report {
        let mut report = Report { format: FORMAT, ..Report::default() };
        report.round_trips.saved = saved;
        report
    }

    #[test]
    fn keys_and_reports_change_the_screen() {
        let now = Instant::now();
        let mut screen = Screen { reports: vec![(now, Arc::new(told(100)))], ..Screen::default() };
        let text = |screen: &Screen| {
            screen.lines(100, 30).iter().map(|line| line.print(100, false)).collect::<Vec<_>>().join("\n")
        };
        assert!(text(&screen).ends_with(HELP) && !text(&screen).contains("a second"), "{}", text(&screen));
        screen.told((now + Duration::from_secs(2), Ok(told(150))));
        assert!(text(&screen).contains("150 round trips saved  25 a second now"), "{}", text(&screen));
        screen.pressed(b'p');
        screen.told((now + Duration::from_secs(3), Ok(told(500))));
        assert!(text(&screen).contains("paused") && !text(&screen).contains("500"), "{}", text(&screen));
        screen.told((now + Duration::from_secs(4), Err(anyhow::anyhow!("it is gone"))));
        assert!(text(&screen).ends_with("it is gone"));
        for (key, order) in [(b's', Order::Mean), (b's', Order::Worst), (b'l', Order::Last), (b's', Order::Total)] {
            screen.pressed(key);
            assert_eq!(screen.order, order);
        }
        screen.pressed(b'p');
        for second in 5..30 {
            screen.told((now + Duration::from_secs(second), Ok(told(second))));
        }
        assert_eq!(screen.reports.len(), KEPT);
        assert_eq!(screen.lines(100, 10).len(), 10);
    }
}
