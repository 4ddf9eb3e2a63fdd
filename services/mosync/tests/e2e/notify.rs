//! Notifications of a running mosync, and the commands about them.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::MailServer;
use testkit::mail::{Encryption, Fault};

use crate::cli::embedded;
use crate::world::mosync;

#[tokio::test(flavor = "multi_thread")]
async fn a_running_mosync_sends_mails_and_a_test_says_what_the_server_answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(Encryption::Off, None).await;
    let more = format!(
        "[notify]\nsmtp_host = \"127.0.0.1\"\nsmtp_port = {}\nsmtp_tls = \"none\"\nfrom = \"mosync@acme.example\"\n",
        server.port()
    );
    let config = embedded(folder.path(), &more);
    let run = async |arguments: &[&str]| {
        let config = ["--config", config.to_str().unwrap()];
        mosync(&[arguments, &config].concat()).await
    };
    let nobody = run(&["notify", "test"]).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("admin-emails"), "{nobody:?}");
    for (key, value) in [("admin-emails", "ada@acme.example"), ("disabled", "on")] {
        let set = run(&["settings", "set", key, value]).await;
        assert_eq!(set.code, Some(0), "{set:?}");
    }
    let test = run(&["notify", "test"]).await;
    assert_eq!(test.code, Some(0), "{test:?}");
    assert!(test.stdout.contains("ada@acme.example: taken"), "{test:?}");
    assert!(test.stdout.contains("250 2.0.0 queued as 4711"), "{test:?}");
    server.misbehave(Some(Fault::RefuseReceiver("ada@acme.example".to_owned())));
    let refused = run(&["notify", "test"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("NOT TAKEN"), "{refused:?}");
    assert!(refused.stdout.contains("550"), "{refused:?}");
    server.misbehave(None);

    let mut all = Command::new(env!("CARGO_BIN_EXE_mosync"))
        .args(["all", "--config", config.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let disabled = "[mosync] mOS Sync is disabled";
    let told = async {
        loop {
            let mails = server.mails();
            let mail = mails
                .into_iter()
                .find(|mail| mail.header("Subject").as_deref() == Some(disabled));
            if let Some(mail) = mail {
                return mail;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mail = tokio::time::timeout(Duration::from_secs(60), told).await;
    let access = boot::console::access::read(&folder.path().join("data"));
    // That it was taken is written down a moment later.
    let listed = async {
        loop {
            let list = run(&["notify", "list", "--json"]).await;
            let list: Value = serde_json::from_str(&list.stdout).unwrap();
            if list["notifications"][0]["deliveries"][0]["state"] == "sent" {
                return list;
            }
        }
    };
    let list = tokio::time::timeout(Duration::from_secs(60), listed).await;
    all.kill().unwrap();
    all.wait().unwrap();
    let (mail, list) = (mail.unwrap(), list.unwrap());
    let id = list["notifications"][0]["id"].as_str().unwrap();
    assert_eq!(
        mail.header("Message-ID").unwrap(),
        format!("<{id}@acme.example>")
    );
    assert_eq!(list["notifications"][0]["matter"], "sync_disabled");
    // No address is configured: it leads to where the console listens.
    let link = format!("http://{}/settings", access.unwrap().address);
    assert!(mail.data.lines().any(|line| line == link), "{}", mail.data);
}
