//! Conversations with a mail server that takes mails, and with one that does not.

use std::time::Duration;

use domain::notification::{Event, Matter, Notification, Settled, Way};
use notify::{Config, Notify, Tls, Webhook};
use ports::courier::Courier;
use testkit::MailServer;
use testkit::mail::{Encryption, Fault, Mail};

use super::{by, config, courier, notice, to};

const LOGIN: Option<(&str, &str)> = Some(("mosync", "pa55word"));
const ADA: &str = "ada@acme.example";
const BO: &str = "bo@acme.example";

async fn plain() -> (MailServer, Notify) {
    let server = MailServer::start(Encryption::Off, LOGIN).await;
    let courier = courier(by(&server, Tls::Off));
    (server, courier)
}

fn parked(courier: &Notify) -> Notification {
    let notice = notice(Matter::RecordsParked, Event::Opened);
    to(courier, notice, &[ADA, BO])
}

async fn deliver(courier: &Notify, letter: &Notification, place: usize) -> Settled {
    courier.deliver(letter, &letter.deliveries[place].way).await
}

fn later(settled: &Settled) -> &str {
    match settled {
        Settled::Later(why) => why,
        other => panic!("to be tried again, and not {other:?}"),
    }
}

fn id(mail: &Mail) -> String {
    mail.header("Message-ID").unwrap()
}

#[tokio::test]
async fn the_webhook_is_told_beside_mails_and_beside_the_folder() {
    let server = MailServer::start(Encryption::Off, LOGIN).await;
    let addresses = [ADA, BO].map(str::to_owned);
    let ways = |config: Config| {
        let webhook = Webhook {
            url: "http://127.0.0.1:9/hook".parse().unwrap(),
            secret: "a secret of the test's".to_owned().into(),
        };
        let webhook = Some(webhook);
        courier(Config { webhook, ..config }).ways(&addresses)
    };
    let [ada, bo] = addresses.clone().map(|to| Way::Mail { to });
    assert_eq!(ways(by(&server, Tls::Off)), [ada, bo, Way::Webhook]);
    let folder = Some("/var/lib/mosync/mail".into());
    let to = addresses.to_vec();
    assert_eq!(
        ways(Config { folder, ..config() }),
        [Way::Folder { to }, Way::Webhook]
    );
}

#[tokio::test]
async fn each_receiver_gets_the_same_mail_in_a_conversation_of_its_own() {
    let (server, courier) = plain().await;
    let letter = parked(&courier);
    for place in 0..2 {
        let settled = deliver(&courier, &letter, place).await;
        assert!(
            matches!(&settled, Settled::Sent(said) if said.contains("250 2.0.0 queued as 4711")),
            "{settled:?}"
        );
    }
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(
        (&mails[0].to[..], &mails[1].to[..]),
        (&[ADA.to_owned()][..], &[BO.to_owned()][..])
    );
    assert_eq!(mails[0].data, mails[1].data);
    let mail = &mails[0];
    assert_eq!(mail.from, "mosync@acme.example");
    assert_eq!(id(mail), format!("<{}@acme.example>", letter.id()));
    let thread = format!("<{}@acme.example>", letter.notice.incident);
    assert_eq!(mail.header("References").unwrap(), thread);
    assert_eq!(mail.header("To").unwrap(), format!("{ADA}, {BO}"));
    assert_eq!(
        mail.header("Date").unwrap(),
        "Mon, 21 Sep 2026 14:13:20 +0000"
    );
    assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(
        mail.header("Subject").unwrap(),
        "[mosync] 812 records are parked (Contact)"
    );
    for part in [
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/html; charset=utf-8",
        "https://mosync.acme.example/parked",
    ] {
        assert!(mail.data.contains(part), "{part}: {}", mail.data);
    }
}

#[tokio::test]
async fn encrypted_servers_are_spoken_to_and_no_other_when_that_is_wanted() {
    for (encryption, tls) in [
        (Encryption::StartTls, Tls::StartTls),
        (Encryption::Implicit, Tls::Implicit),
    ] {
        let server = MailServer::start(encryption, LOGIN).await;
        let courier = courier(by(&server, tls));
        let settled = deliver(&courier, &parked(&courier), 0).await;
        assert!(matches!(settled, Settled::Sent(_)), "{tls:?}: {settled:?}");
        assert_eq!(server.mails().len(), 1);
    }
    // A server (or somebody in between) that does not offer it gets neither mail nor password.
    let server = MailServer::start(Encryption::Off, LOGIN).await;
    let courier = courier(by(&server, Tls::StartTls));
    let settled = deliver(&courier, &parked(&courier), 0).await;
    assert!(later(&settled).contains("STARTTLS"), "{settled:?}");
    assert_eq!(server.mails(), []);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let server = MailServer::start(Encryption::Implicit, LOGIN).await;
    let mut config = by(&server, Tls::Implicit);
    config.smtp.as_mut().unwrap().ca = None;
    let courier = courier(config);
    let settled = deliver(&courier, &parked(&courier), 0).await;
    assert!(later(&settled).contains("cannot be reached"), "{settled:?}");
    assert_eq!(server.mails(), []);
}

#[tokio::test]
async fn what_is_refused_for_now_is_taken_later_as_the_same_mail() {
    for (fault, word) in [
        (
            Fault::RefuseLogin,
            "refuses the login: permanent error (535)",
        ),
        (
            Fault::Greylist,
            "did not take the mail: transient error (451)",
        ),
        (Fault::CloseInData, "did not take the mail"),
    ] {
        let (server, courier) = plain().await;
        let letter = parked(&courier);
        server.misbehave(Some(fault.clone()));
        let settled = deliver(&courier, &letter, 0).await;
        assert!(later(&settled).contains(word), "{fault:?}: {settled:?}");
        assert!(!format!("{settled:?}").contains("pa55word"));
        assert_eq!(server.mails(), []);
        server.misbehave(None);
        assert!(matches!(
            deliver(&courier, &letter, 0).await,
            Settled::Sent(_)
        ));
        assert_eq!(
            id(&server.mails()[0]),
            format!("<{}@acme.example>", letter.id())
        );
    }
}

#[tokio::test]
async fn a_receiver_that_is_refused_does_not_keep_it_from_the_others() {
    let (server, courier) = plain().await;
    server.misbehave(Some(Fault::RefuseReceiver(ADA.to_owned())));
    let letter = parked(&courier);
    let settled = deliver(&courier, &letter, 0).await;
    assert!(
        matches!(&settled, Settled::Never(why) if why.contains("(550)")),
        "{settled:?}"
    );
    assert!(matches!(
        deliver(&courier, &letter, 1).await,
        Settled::Sent(_)
    ));
    assert_eq!(server.mails().len(), 1);
    assert_eq!(server.mails()[0].to, [BO]);
}

#[tokio::test]
async fn a_mail_that_was_taken_without_a_word_is_sent_again_to_the_letter() {
    let (server, courier) = plain().await;
    server.misbehave(Some(Fault::TakeAndClose));
    let letter = parked(&courier);
    later(&deliver(&courier, &letter, 0).await);
    server.misbehave(None);
    // Another attempt is counted, and changes nothing of the mail.
    let letter = letter.begun(0, letter.notice.at);
    assert!(matches!(
        deliver(&courier, &letter, 0).await,
        Settled::Sent(_)
    ));
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0], mails[1]);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left() {
    let server = MailServer::start(Encryption::Off, LOGIN).await;
    server.misbehave(Some(Fault::Hang));
    let courier = courier(Config {
        timeout: Duration::from_millis(300),
        ..by(&server, Tls::Off)
    });
    let settled = deliver(&courier, &parked(&courier), 0).await;
    assert!(later(&settled).contains("did not answer"), "{settled:?}");
    assert_eq!(server.conversations(), 1);
}

#[tokio::test]
async fn words_from_elsewhere_make_no_header_and_no_markup() {
    let (server, courier) = plain().await;
    let mut notice = notice(Matter::JobFailed, Event::Happened);
    notice.object = "job x\r\nBcc: eve@evil.example\r\n\r\n.\r\nMAIL FROM:<eve>".to_owned();
    notice.cause = "<script>alert(1)</script> & \"so on\" für Zoë".to_owned();
    let letter = to(&courier, notice, &[ADA]);
    let settled = deliver(&courier, &letter, 0).await;
    assert!(matches!(settled, Settled::Sent(_)), "{settled:?}");
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("Bcc"), None);
    assert_eq!(mails[0].to, [ADA]);
    let html = mails[0].data.split("text/html").nth(1).unwrap();
    assert!(!html.contains("<script"), "{html}");
}
