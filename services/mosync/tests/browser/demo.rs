//! `mosync demo` as a person starts it: it says where the console is and whom to sign in as.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use browser::{Browser, Scripts};

/// Ends with this value, if it has not ended before.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        if self.0.kill().is_ok() && self.0.wait().is_ok() {}
    }
}

fn after<'t>(lines: &'t [String], mark: &str) -> &'t str {
    let line = lines.iter().find_map(|line| line.split_once(mark));
    let (_, rest) = line.unwrap_or_else(|| panic!("nothing says {mark:?}: {lines:#?}"));
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_says_whom_to_sign_in_as_and_they_can() {
    let child = Command::new(env!("CARGO_BIN_EXE_mosync"))
        .args(["demo", "--opportunities", "40", "--duration", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut demo = Demo(child);
    let said = BufReader::new(demo.0.stderr.take().unwrap());
    let mut said = said.lines();
    let mut lines = Vec::new();
    // All of it is said before the first load.
    while !lines
        .iter()
        .any(|line: &String| line.contains("first load"))
    {
        lines.push(said.next().expect("the demo says more").unwrap());
    }
    std::thread::spawn(move || said.count());
    let printed = BufReader::new(demo.0.stdout.take().unwrap());
    std::thread::spawn(move || printed.lines().count());

    let console = after(&lines, "the console: ")
        .trim_end_matches('/')
        .to_owned();
    let people: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("sign in as "))
        .collect();
    assert_eq!(people.len(), 2, "{lines:#?}");
    let name = |line: &String| {
        let (_, rest) = line.split_once("sign in as ").unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    assert!(people[0].contains("an administrator") && people[1].contains("without rights"));
    let browser = Browser::open(Scripts::On).await;
    browser.go(&console).await;
    browser.sign_in(&name(people[0])).await;
    browser.until_titled("Sync Status").await;
    browser.go(&format!("{console}/settings")).await;
    browser.until_titled("mOS Settings").await;
    browser.forget().await;
    browser.go(&console).await;
    browser.sign_in(&name(people[1])).await;
    browser.until_titled("You have no access to mosync").await;
    drop(browser);

    // Ctrl-C ends it in order.
    let pid = demo.0.id().to_string();
    let told = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(told.success());
    let ended = tokio::task::spawn_blocking(move || demo.0.wait().unwrap());
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), ended).await;
    assert_eq!(ended.expect("the demo ends").unwrap().code(), Some(0));
}
