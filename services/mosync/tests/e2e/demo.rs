//! `mosync demo`, small: an audit that is clean, and a report that has everything.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{Client, StatusCode, header};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::servers;
use crate::world::mosync;

/// On a loaded machine; most take seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

async fn demo(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let report = file.to_str().unwrap();
    let mut all = vec!["demo", "--headless", "--report", report];
    all.extend(arguments);
    let answer = mosync(&all).await;
    assert_eq!(answer.code, Some(0), "{}\n{}", answer.stdout, answer.stderr);
    assert!(
        answer
            .stdout
            .contains("audit: missing 0, stale 0, sent out of scope 0"),
        "{}",
        answer.stdout
    );
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    for key in ["missing", "stale", "out_of_scope"] {
        assert_eq!(report[key], 0, "{report:#}");
    }
    assert!(report["changes"].as_u64().unwrap() > 0, "{report:#}");
    assert!(report["changes_per_second"].as_f64().unwrap() > 0.0);
    assert!(
        report["latency_ms"]["p50"].as_f64() > Some(0.0),
        "{report:#}"
    );
    assert!(report["latency_ms"]["p99"].as_f64() >= report["latency_ms"]["p50"].as_f64());
    assert!(report["peak_rss_mib"].as_f64().unwrap() > 1.0);
    assert!(report["salesforce_api_calls"].as_u64().unwrap() > 0);
    report
}

#[tokio::test]
async fn embedded() {
    let report = demo(&["--opportunities", "300", "--duration", "5", "--seed", "7"]).await;
    assert_eq!(report["adapters"], "embedded");
}

#[tokio::test]
async fn an_org_of_one_s_own() {
    let org = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/org");
    let org = org.to_str().unwrap();
    demo(&[
        "--load",
        org,
        "--duration",
        "3",
        "--changes-per-second",
        "20",
    ])
    .await;
}

#[tokio::test]
async fn on_servers_of_its_own() {
    // Two brokers at a time are too much for a small machine.
    let _alone = servers::take().await;
    let report = demo(&["--real", "--opportunities", "100", "--duration", "3"]).await;
    assert_eq!(report["adapters"], "RabbitMQ and Redis");
}

/// A demo that somebody looks at.
struct Shown {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
    console: String,
    token: String,
    administrator: (String, String),
    visitor: (String, String),
}

fn after<'t>(line: &'t str, mark: &str) -> Option<&'t str> {
    line.split_once(mark).map(|(_, rest)| rest)
}

/// Name and password of `sign in as NAME with the password PASSWORD: WHAT`.
fn credentials(line: &str) -> Option<(String, String)> {
    let (name, rest) = after(line, "sign in as ")?.split_once(" with the password ")?;
    let (password, _) = rest.split_once(": ")?;
    Some((name.to_owned(), password.to_owned()))
}

impl Shown {
    async fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mosync"))
            .arg("demo")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (mut console, mut token, mut people) = (None, None, Vec::new());
        let told = async {
            let mut said = Vec::new();
            while people.len() < 2 {
                let line = lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("it ended: {said:#?}"));
                if let Some(address) = after(&line, "the console: ") {
                    console = Some(address.trim_end_matches('/').to_owned());
                }
                if let Some(rest) = after(&line, "`Authorization: Bearer ") {
                    token = Some(rest.trim_end_matches('`').to_owned());
                }
                people.extend(credentials(&line).map(|who| (line.clone(), who)));
                said.push(line);
            }
        };
        tokio::time::timeout(PATIENCE, told).await.unwrap();
        let [(first, administrator), (second, visitor)] = people.try_into().unwrap();
        assert!(first.contains("an administrator"), "{first}");
        assert!(second.contains("a user without rights"), "{second}");
        Self {
            process,
            lines,
            console: console.unwrap(),
            token: token.unwrap(),
            administrator,
            visitor,
        }
    }

    /// Until it knows who holds what.
    async fn knows_people(&self) {
        let client = Client::builder().no_proxy().build().unwrap();
        let known = async {
            loop {
                let status = client
                    .get(format!("{}/api/v1/status", self.console))
                    .bearer_auth(&self.token)
                    .send()
                    .await
                    .unwrap();
                let status: Value = status.json().await.unwrap();
                if status["permissions_polled"].is_number() {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, known).await.unwrap();
    }

    /// Goes through Salesforce's own pages; what the console then answers, and what it says on its
    /// page mOS Settings.
    async fn sign_in(&self, (username, password): &(String, String)) -> [(StatusCode, String); 2] {
        let mut browser = Browser::new();
        let begun = browser.get(&format!("{}/sign-in", self.console)).await;
        let login = begun.to.unwrap();
        let page = browser.get(&login).await;
        assert!(page.text.contains("login_form"), "{}", page.text);
        let form = [("username", username.as_str()), ("pw", password.as_str())];
        let inside = browser.post(&login, &form).await.to.unwrap();
        let asked = browser.get(&inside).await;
        let back = match asked.to {
            Some(back) => back,
            None => {
                let allowed = browser.post(&inside, &[("approval", "allow")]).await;
                allowed.to.unwrap()
            }
        };
        let came = browser.get(&back).await;
        let settings = browser.get(&format!("{}/settings", self.console)).await;
        [(came.status, came.text), (settings.status, settings.text)]
    }

    /// Ctrl-C.
    async fn interrupt(mut self) -> ExitStatus {
        let pid = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await;
        assert!(sent.unwrap().success());
        let ended = async {
            // Read on, so that it can say what it has to say.
            while self.lines.next_line().await.unwrap().is_some() {}
            self.process.wait().await.unwrap()
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap()
    }
}

/// Keeps cookies by host and port, and follows nothing unasked.
struct Browser {
    client: Client,
    cookies: std::collections::BTreeMap<(String, String), String>,
}

struct Page {
    status: StatusCode,
    /// Where it sends the browser.
    to: Option<String>,
    text: String,
}

impl Browser {
    fn new() -> Self {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        Self {
            client: client.build().unwrap(),
            cookies: std::collections::BTreeMap::new(),
        }
    }

    async fn get(&mut self, address: &str) -> Page {
        let request = self.client.get(address);
        self.send(request).await
    }

    async fn post(&mut self, address: &str, form: &[(&str, &str)]) -> Page {
        let request = self.client.post(address).form(form);
        self.send(request).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let mut request = request.build().unwrap();
        let url = request.url().clone();
        let host = url.authority().to_owned();
        let ours = self.cookies.iter().filter(|((of, _), _)| *of == host);
        let pairs = ours.map(|((_, name), value)| format!("{name}={value}"));
        let line = pairs.collect::<Vec<_>>().join("; ");
        if !line.is_empty() {
            let line = header::HeaderValue::from_str(&line).unwrap();
            request.headers_mut().insert(header::COOKIE, line);
        }
        let response = self.client.execute(request).await.unwrap();
        for line in response.headers().get_all(header::SET_COOKIE) {
            let (pair, _) = line.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            self.cookies.insert(key, value.to_owned());
        }
        let to = response.headers().get(header::LOCATION);
        Page {
            status: response.status(),
            to: to.map(|to| url.join(to.to_str().unwrap()).unwrap().to_string()),
            text: response.text().await.unwrap(),
        }
    }
}

#[tokio::test]
async fn somebody_signs_in_as_either_user_and_ends_it_by_ctrl_c() {
    // An org of its own has neither an administrator nor, for sure, somebody without rights.
    let org = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/org");
    for arguments in [
        &["--opportunities", "50", "--duration", "2"][..],
        &["--load", org.to_str().unwrap(), "--duration", "2"],
    ] {
        let demo = Shown::start(arguments).await;
        demo.knows_people().await;
        let [came, settings] = demo.sign_in(&demo.administrator).await;
        assert_eq!(came.0, StatusCode::SEE_OTHER, "{}", came.1);
        assert_eq!(settings.0, StatusCode::OK, "{}", settings.1);
        assert!(settings.1.contains("Administrator"), "{}", settings.1);
        let [came, settings] = demo.sign_in(&demo.visitor).await;
        assert_eq!(came.0, StatusCode::FORBIDDEN, "{}", came.1);
        assert!(
            came.1.contains("Ask a Salesforce administrator"),
            "{}",
            came.1
        );
        assert_eq!(settings.0, StatusCode::UNAUTHORIZED, "{}", settings.1);
        let ended = demo.interrupt().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }
}
