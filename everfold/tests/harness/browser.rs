//! A real Chromium, led by its own protocol.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};

use super::{PATIENCE, eventually};

pub struct Browser {
    process: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    calls: u64,
    /// What the browser complained about: refused scripts and styles, failed loads, uncaught errors.
    pub complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut process = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--remote-debugging-port=0", "--window-size=1000,760", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is there; on Debian: sudo apt-get install chromium");
        let mut lines = BufReader::new(process.stderr.take().expect("stderr is a pipe")).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.split_once("DevTools listening on ")?.1.trim().to_owned()));
        thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tungstenite::connect(url.expect("chromium listens")).expect("chromium answers");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).expect("a wait can be bounded");
        }
        let mut browser = Browser { process, socket, session: None, calls: 0, complaints: vec![], _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.call("Log.enable", json!({}));
        browser.call("Runtime.enable", json!({}));
        browser
    }

    pub fn go(&mut self, url: &str) {
        let reply = self.call("Page.navigate", json!({"url": url}));
        assert!(reply["errorText"].is_null(), "{url}: {reply}");
        eventually("the page is loaded", || (self.see("document.readyState") == "complete").then_some(()));
    }

    /// The value of a JavaScript expression in the page.
    pub fn see(&mut self, expression: &str) -> Value {
        let reply = self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        reply["result"]["value"].clone()
    }

    /// What a person reads there.
    pub fn text(&mut self) -> String {
        self.see("document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    pub fn read_until(&mut self, words: &str) -> String {
        let mut text = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(words, || {
                text = self.text();
                text.contains(words).then_some(())
            })
        }));
        assert!(found.is_ok(), "`{words}` is not in: {text}");
        text
    }

    pub fn set_dark(&mut self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    pub fn set_script(&mut self, is_on: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !is_on}));
    }

    /// As base64 of a PNG.
    pub fn screenshot(&mut self) -> String {
        self.call("Page.captureScreenshot", json!({}))["data"].as_str().expect("a picture").to_owned()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(call.to_string())).expect("chromium listens");
        loop {
            let Message::Text(text) = self.socket.read().expect("chromium answers in time") else { continue };
            let mut reply: Value = serde_json::from_str(&text).expect("JSON");
            if reply["id"] == self.calls {
                assert!(reply["error"].is_null(), "{method}: {reply}");
                return reply["result"].take();
            }
            let is_complaint = reply["params"]["entry"]["level"] == "error";
            if is_complaint || reply["method"] == "Runtime.exceptionThrown" {
                self.complaints.push(reply["params"].to_string());
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Keeps a picture where a person can look at it, if `EVERFOLD_PICTURES` names a folder.
pub fn keep_picture(name: &str, base64: &str) {
    if let Some(folder) = std::env::var_os("EVERFOLD_PICTURES") {
        std::fs::write(Path::new(&folder).join(name).with_extension("png.base64"), base64).expect("a folder");
    }
}
