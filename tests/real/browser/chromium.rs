//! Chromium without a screen, spoken to by its debugging protocol over two pipes. It has a directory of its own, asks
//! nobody for updates, and ends with the test.

use crate::drivers::is_there;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const GOODBYE: Duration = Duration::from_secs(10);
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const OPTIONS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

/// A browser with one page.
pub(super) struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    session: String,
    calls: u64,
    /// What it told of its own accord.
    events: Vec<Value>,
    _directory: TempDir,
}

impl Browser {
    /// Starts one; `None`, with a word about it, where there is none.
    pub(super) fn start() -> Option<Self> {
        // Debian and Ubuntu call it by these names; the last one is asked for if there is none.
        let has = |program: &&&str| {
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        };
        let program = PROGRAMS.iter().find(has).unwrap_or(&PROGRAMS[0]);
        if !is_there(&[program, "--version"], "chromium") {
            return None;
        }
        let directory = tempfile::tempdir().expect("directory");
        let [to, from] = ["to", "from"].map(|name| directory.path().join(name));
        assert!(Command::new("mkfifo").args([&to, &from]).status().expect("mkfifo runs").success());
        // It reads commands from descriptor 3 and writes to 4.
        let child = Command::new("sh")
            .args(["-c", "in=$1 out=$2; shift 2; exec \"$@\" 3<\"$in\" 4>\"$out\"", "sh"])
            .args([&to, &from])
            .arg(program)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", directory.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let to = OpenOptions::new().write(true).open(to).expect("opened");
        let from = messages(File::open(from).expect("opened"));
        let (session, events) = (String::new(), Vec::new());
        let mut browser = Self { child, to, from, session, calls: 0, events, _directory: directory };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", &json!({"targetId": target, "flatten": true}));
        attached["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Opens a page in a window of this size.
    pub(super) fn open(&mut self, url: &str, (width, height): (u32, u32), colours: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        self.call("Emulation.setScrollbarsHidden", &json!({"hidden": true}));
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": colours}]});
        self.call("Emulation.setEmulatedMedia", &features);
        self.call("Page.navigate", &json!({"url": url}));
    }

    /// The value of an expression in the page.
    pub(super) fn value(&mut self, expression: &str) -> Value {
        let wish = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let told = self.call("Runtime.evaluate", &wish);
        assert!(told.get("exceptionDetails").is_none(), "{expression}: {told}");
        told["result"]["value"].clone()
    }

    /// The text of the page, as it is seen.
    pub(super) fn text(&mut self) -> String {
        self.value("document.body ? document.body.innerText : ''").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true. While a page comes, what it is about may not be there.
    pub(super) fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + LIMIT;
        let asked = format!("(() => {{ try {{ return {expression}; }} catch {{ return false; }} }})()");
        while self.value(&asked) != Value::Bool(true) {
            assert!(Instant::now() < deadline, "{expression} never became true:\n{}", self.text());
            // Whatever it tells meanwhile is a reason to look again.
            self.events.extend(self.from.recv_timeout(LOOK_EVERY));
        }
    }

    /// Errors so far: of scripts, of the policy, of requests.
    pub(super) fn errors(&mut self) -> Vec<String> {
        let is_error = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_error).map(ToString::to_string).collect()
    }

    /// What it asked for so far.
    pub(super) fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| Some(event["params"]["request"]["url"].as_str()?.to_owned())).collect()
    }

    /// The page as a PNG, down to so many pixels.
    pub(super) fn picture(&mut self, file: &Path, longest: f64) {
        use base64::Engine;
        let height = self.value("document.documentElement.scrollHeight").as_f64().expect("a height").min(longest);
        let width = self.value("document.documentElement.clientWidth").as_f64().expect("a width");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let shot = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let told = self.call("Page.captureScreenshot", &shot);
        let data = told["data"].as_str().expect("a picture");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        std::fs::write(file, bytes).expect("written");
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        loop {
            let told = self.from.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{method}: no answer"));
            if told["id"] != self.calls {
                self.events.push(told);
                continue;
            }
            assert!(told.get("error").is_none(), "{method}: {told}");
            return told["result"].clone();
        }
    }
}

fn messages(from: File) -> Receiver<Value> {
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        for message in BufReader::new(from).split(0).map_while(Result::ok) {
            let told = serde_json::from_slice(&message).expect("JSON");
            if sender.send(told).is_err() {
                return;
            }
        }
    });
    messages
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _gone = self.to.write_all(format!("{}\0", json!({"id": 0, "method": "Browser.close"})).as_bytes());
        // It closes its end when it ends; or it is ended.
        while self.from.recv_timeout(GOODBYE).is_ok() {}
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
