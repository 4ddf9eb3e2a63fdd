//! One Chromium with a profile of its own, behind a chromedriver of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testkit::process::Guardian;

/// The zone of whoever looks: another one than UTC, so that it is seen which of them a page shows.
const ZONE: &str = "Europe/Berlin";
/// How a chromedriver says where it listens.
const STARTED: &str = "started successfully on port ";

/// Whether pages may run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    /// As browsers come.
    On,
    /// Switched off in the browser's settings.
    Off,
    /// On, and what a page asks before it is left waits for [`Browser::answer`]. Else pages are left
    /// without a word.
    Asking,
}

/// A browser with one window. It ends with this value, or with the process that it belongs to.
#[derive(Debug)]
pub struct Browser {
    pub(crate) client: Client,
    driver: Child,
    port: u16,
    session: String,
    /// The Chromium's process.
    pid: u64,
    guardian: Guardian,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, 1440 by 900.
    ///
    /// # Panics
    /// When the Debian packages `chromium` and `chromium-driver` are missing, or do not start.
    pub async fn open(scripts: Scripts) -> Self {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let (driver, port) = start_driver(&profile);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wishes(&profile, scripts))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        let session = client.session_id().await.expect("an answer");
        let granted = client.capabilities().expect("what the session can");
        let pid = granted.get("goog:processID").and_then(Value::as_u64);
        let pid = pid.expect("chromedriver tells Chromium's process id");
        let guardian = Guardian::to_run(&format!(
            "kill -KILL {} {pid}; rm -rf '{}'",
            driver.id(),
            profile.path().display()
        ));
        Self {
            client,
            driver,
            port,
            session: session.expect("a session has an id"),
            pid,
            guardian,
            _profile: profile,
        }
    }

    /// Gives a command of Chromium's own protocol.
    ///
    /// # Panics
    /// When Chromium refuses it.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = DevTools {
            command: command.to_owned(),
            parameters,
        };
        let answer = self.client.issue_cmd(command).await;
        answer.unwrap_or_else(|error| panic!("Chromium refuses: {error}"))
    }

    /// Ends the session, so that Chromium ends by itself. Not over the client: that needs a runtime,
    /// which may be gone.
    fn end_session(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = format!(
            "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
            self.session, self.port
        );
        stream.write_all(request.as_bytes())?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if self.end_session().is_err() {
            let killed = Command::new("kill")
                .args(["-KILL", &self.pid.to_string()])
                .output();
            killed.expect("`kill` can be run");
        }
        // Both fail only when it has ended already.
        drop(self.driver.kill().and_then(|()| self.driver.wait()));
        self.guardian.dismiss();
    }
}

/// A driver on a free port of the loopback, which it tells. It takes a port that IPv4 has free and
/// ends when that of IPv6 is taken, by another driver as likely as not: then another port is taken.
fn start_driver(profile: &TempDir) -> (Child, u16) {
    const PORTS: usize = 10;
    let mut started = (0..PORTS).filter_map(|_| started_driver(profile));
    started.next().expect("chromedriver tells its port")
}

/// `None` when it has ended without telling.
fn started_driver(profile: &TempDir) -> Option<(Child, u16)> {
    let started = Command::new("chromedriver")
        .arg("--port=0")
        .env("TZ", ZONE)
        .env("HOME", profile.path())
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_CACHE_HOME")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Out of reach of a Ctrl-C that ends the tests: the guardian sees to it.
        .process_group(0)
        .spawn();
    let mut driver = started.unwrap_or_else(|error| {
        panic!(
            "chromedriver cannot be started ({error}); install the Debian packages chromium and chromium-driver, as tests/packages.sh does"
        )
    });
    let said = driver.stdout.take().expect("its output is ours");
    let mut lines = BufReader::new(said).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once(STARTED)?;
        rest.trim_end_matches('.').parse().ok()
    });
    let Some(port) = port else {
        driver.wait().expect("it has closed its output");
        return None;
    };
    // What it says later has to go somewhere.
    std::thread::spawn(move || lines.count());
    Some((driver, port))
}

/// What Chromium is asked for.
fn wishes(profile: &TempDir, scripts: Scripts) -> Map<String, Value> {
    let folder = profile.path().join("chromium");
    let mut preferences = json!({
        "intl.accept_languages": "en-US",
        "credentials_enable_service": false,
        // As strict as browsers come: no cookies of other sites but partitioned ones.
        "profile.cookie_controls_mode": 1,
    });
    if scripts == Scripts::Off {
        preferences["profile.managed_default_content_settings.javascript"] = json!(2);
    }
    let options = json!({
        "args": [
            "--headless=new",
            // Root has no sandbox, and containers seldom have a large /dev/shm.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--lang=en-US",
            "--window-size=1440,900",
            format!("--user-data-dir={}", folder.display()),
        ],
        "prefs": preferences,
    });
    let mut wishes = json!({
        "browserName": "chrome",
        // The stand-ins' certificates are their own roots.
        "acceptInsecureCerts": true,
        "goog:chromeOptions": options,
        "timeouts": {"pageLoad": 60_000, "script": 60_000},
    });
    if scripts == Scripts::Asking {
        wishes["unhandledPromptBehavior"] = json!({"default": "ignore", "beforeUnload": "ignore"});
        // Without it chromedriver answers for the test.
        wishes["webSocketUrl"] = json!(true);
    }
    wishes.as_object().cloned().unwrap_or_default()
}

/// A command of the `DevTools` protocol.
#[derive(Debug)]
struct DevTools {
    command: String,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _url: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({"cmd": self.command, "params": self.parameters});
        (http::Method::POST, Some(body.to_string()))
    }
}
