//! What is told to the administrators: from the stores to a mail server, over crashes.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use console::{Caller, Notifier, OpsError};
use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::job::{Job, JobKind, PausedBy, SalesforceStatus};
use domain::notification::{
    Board, DeliveryState, Event, Matter, Notice, Notification, SENDING_FOR, Settled, Way,
};
use domain::permission::{Grant, PermissionSnapshot};
use domain::tally::{Count, Tally};
use notify::{Config, Notify, Smtp, Tls};
use ports::courier::{Courier, KeptMail};
use ports::source::ReplayId;
use ports::stores::{GapCause, LOST_FIELDS, StreamState, WorkerState};
use runtime::figures;
use testkit::MailServer;
use testkit::mail::{Encryption, Fault};
use tokio::sync::Notify as Bell;
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, TOPIC, record};

const ADA: &str = "ada@acme.example";
const DAY: i64 = 86_400;

/// A desk whose notifications go to a mail server of its own.
struct Office {
    desk: Desk,
    server: MailServer,
    courier: Arc<dyn Courier>,
}

impl Office {
    async fn open() -> Self {
        let server = MailServer::start(Encryption::Off, None).await;
        let desk = Desk::open();
        desk.save(|settings| settings.admin_emails = vec![ADA.to_owned()])
            .await;
        let smtp = Smtp {
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            tls: Tls::Off,
            ca: None,
            login: None,
        };
        let courier = Notify::new(config(Some(smtp)), desk.clock()).unwrap();
        let office = Self {
            desk,
            server,
            courier: Arc::new(courier),
        };
        office.desk.workers_run().await;
        office.round().await;
        assert_eq!(office.told().await, []);
        office
    }

    fn notifier(&self, holder: &str, courier: &Arc<dyn Courier>) -> Notifier {
        let keep = Duration::from_secs(30 * 86_400);
        let ops = self.desk.ops.clone();
        Notifier::new(ops, Arc::clone(courier), holder.to_owned(), keep)
    }

    /// Looks once, and sends what is due.
    async fn round(&self) {
        let mut notifier = self.notifier("one", &self.courier);
        notifier.round(&CancellationToken::new()).await.unwrap();
    }

    /// Rounds over a time, with workers that go on.
    async fn rounds(&self, seconds: i64) {
        for _ in 0..seconds / 10 {
            self.desk.pass(10);
            self.desk.workers_run().await;
            self.round().await;
        }
    }

    /// Oldest first.
    async fn kept(&self) -> Vec<Notification> {
        let mut kept = self.desk.stores.outbox.list(None, 1_000).await.unwrap();
        kept.reverse();
        kept
    }

    async fn told(&self) -> Vec<(Matter, Event, u64)> {
        let kept = self.kept().await.into_iter();
        kept.map(|one| (one.notice.matter, one.notice.event, one.notice.count))
            .collect()
    }

    fn subjects(&self) -> Vec<String> {
        let mails = self.server.mails();
        let subjects = mails.iter().map(|mail| mail.header("Subject").unwrap());
        subjects.collect()
    }

    fn ids(&self) -> Vec<String> {
        let mails = self.server.mails();
        let ids = mails.iter().map(|mail| mail.header("Message-ID").unwrap());
        ids.collect()
    }

    async fn gap(&self, id: &str) {
        let job = self.desk.job(JobKind::CatchUp, id).await;
        let evidence = "seen by a test";
        self.desk.gap(id, GapCause::Overflow, evidence, &job).await;
    }

    /// A load of one contact, of which this has become, to its end.
    async fn load(&self, name: &str, became: Count) -> Job {
        let load = self.desk.job(JobKind::SyncAll, name).await;
        let (jobs, now) = (&self.desk.stores.jobs, self.desk.now());
        for to in [SalesforceStatus::Counting, SalesforceStatus::Extracting] {
            self.desk.transition(&load.id, to, None).await;
        }
        let mut progress = load.progress.clone();
        (progress.announced, progress.next_index) = (1, 1);
        jobs.advance(&load.id, &progress, None, now).await.unwrap();
        let mut tally = Tally::default();
        tally.add(ObjectKind::Contact, Count::Read);
        tally.add(ObjectKind::Contact, became);
        jobs.count(&load.id, 0, None, &tally, now).await.unwrap();
        self.desk
            .transition(&load.id, SalesforceStatus::Sealed, None)
            .await;
        load
    }
}

fn config(smtp: Option<Smtp>) -> Config {
    Config {
        from: "mosync@acme.example".to_owned(),
        public_url: Some("https://mosync.acme.example".parse().unwrap()),
        smtp,
        folder: None,
        webhook: None,
        timeout: Duration::from_secs(20),
    }
}

#[tokio::test]
async fn a_thousand_errors_of_a_cause_in_a_minute_are_one_mail() {
    let office = Office::open().await;
    for round in 0..6 {
        for number in 0..167 {
            office.desk.park(round * 167 + number, |_| {}).await;
        }
        office.rounds(10).await;
    }
    office.rounds(300).await;
    let opened = (Matter::RecordsParked, Event::Opened, 1_002);
    assert_eq!(office.told().await, [opened]);
    assert_eq!(
        office.subjects(),
        ["[mosync] 1002 records are parked (Contact)"]
    );
    let data = &office.server.mails()[0].data;
    for said in [
        "value_too_long",
        "Shorten the field",
        "https://mosync.acme.example/parked",
    ] {
        assert!(data.contains(said), "{said}: {data}");
    }
    // mOS's own message may name a value.
    assert!(!data.contains("title is too long"), "{data}");
    let records = (0..1_002).map(|number| record(ObjectKind::Contact, number));
    let records = records
        .map(|id| (ObjectKind::Contact, id))
        .collect::<Vec<_>>();
    let parked = &office.desk.stores.parked;
    let version = domain::Version::at(office.desk.now());
    parked.clear(&records, version).await.unwrap();
    office.rounds(120).await;
    let closed = (Matter::RecordsParked, Event::Closed, 1_002);
    assert_eq!(office.told().await, [opened, closed]);
    assert_eq!(office.server.mails().len(), 2);
}

#[tokio::test]
async fn everything_that_is_to_be_told_is() {
    let office = Office::open().await;
    let desk = &office.desk;
    let now = desk.now();
    desk.park(1, |parked| parked.kind = FailureKind::Unreadable)
        .await;
    desk.die("garbage", b"?".to_vec()).await;
    office.gap("overflow").await;
    let notes = &desk.stores.notes;
    notes
        .keep(LOST_FIELDS, "[[\"Opportunity\",\"Term__c\"]]")
        .await
        .unwrap();
    let held = desk.job(JobKind::Backfill, "held").await;
    desk.pause(&held.id, PausedBy::Person, "wait", None).await;
    let stream = StreamState {
        position: ReplayId(vec![7]),
        at_end: true,
        window_over: false,
        heard: now.before(Duration::from_secs(50 * 3_600)),
        last_event: None,
    };
    desk.stores
        .position
        .store_stream(TOPIC, &stream)
        .await
        .unwrap();
    crate::furnished::store_permissions(desk).await;
    let until = now.as_micros();
    for _ in 0..40 {
        desk.pass(10);
        let failing = WorkerState::Failing("Salesforce says: Name = 'Geheim GmbH'".to_owned());
        let quota = [(figures::API_LIVE_HELD_UNTIL, until)];
        desk.report("listener", failing, &quota).await;
        let paused = WorkerState::Paused("mOS answers 503".to_owned());
        desk.report("loader", paused, &[]).await;
        desk.report("permission", WorkerState::Running, &[]).await;
        // The filter is not heard of any more.
        office.round().await;
    }
    let told = office
        .told()
        .await
        .into_iter()
        .filter(|(_, event, _)| *event == Event::Opened);
    let told = told.map(|(matter, ..)| matter);
    let expected = [
        Matter::RecordsParked,
        Matter::DeadMessages,
        Matter::Gap,
        Matter::FieldsLost,
        Matter::JobsPaused,
        Matter::JobStalled,
        Matter::StreamLate,
        Matter::PermissionsExpiring,
        Matter::Quota,
        Matter::ServiceFailing,
        Matter::ServiceSilent,
        Matter::SyncPaused,
    ];
    assert_eq!(told.clone().count(), expected.len(), "each once");
    assert_eq!(told.collect::<BTreeSet<_>>(), expected.into());
    let kept = office.kept().await;
    let of_dead = |told: &&Notification| told.notice.matter == Matter::DeadMessages;
    let page = &kept.iter().find(of_dead).unwrap().notice.page;
    assert_eq!(page, "/parked/dead", "it leads to the messages");
    assert_eq!(office.server.mails().len(), kept.len());
    for mail in office.server.mails() {
        assert!(!mail.data.contains("Geheim"), "{}", mail.data);
    }
    // What is disabled by somebody is told as that.
    desk.save(|settings| settings.disabled = true).await;
    office.round().await;
    assert!(
        office
            .subjects()
            .contains(&"[mosync] mOS Sync is disabled".to_owned())
    );
    // And everything comes to its end.
    desk.save(|settings| settings.disabled = false).await;
    notes.keep(LOST_FIELDS, "[]").await.unwrap();
    office.rounds(120).await;
    let closed = office.told().await;
    for matter in [
        Matter::FieldsLost,
        Matter::Quota,
        Matter::ServiceFailing,
        Matter::ServiceSilent,
        Matter::SyncPaused,
        Matter::SyncDisabled,
        Matter::PermissionsExpiring,
    ] {
        assert!(
            closed.contains(&(matter, Event::Closed, 1)),
            "{matter:?}: {closed:?}"
        );
    }
}

#[tokio::test]
async fn whose_permission_runs_out_is_told_also_when_they_come_within_sight_as_another_leaves() {
    let office = Office::open().await;
    let first = office.desk.now().after(Duration::from_secs(60));
    let week = Duration::from_secs(7 * 86_400);
    let holder = |number, expires| {
        let grant = Grant {
            permission_set: "mOS_User".to_owned(),
            group: None,
            expires: Some(expires),
        };
        (record(ObjectKind::User, number), [grant].into())
    };
    let snapshot = PermissionSnapshot {
        number: 1,
        taken: office.desk.now(),
        holders: [holder(1, first), holder(2, first.after(week))].into(),
        ..PermissionSnapshot::default()
    };
    let permissions = &office.desk.stores.permissions;
    permissions.store(&snapshot, None).await.unwrap();
    office.rounds(200).await;
    let expiring = |event| (Matter::PermissionsExpiring, event, 1);
    // The first is over since it was last seen, which is before the second was.
    let told = [Event::Opened, Event::Closed, Event::Opened].map(expiring);
    assert_eq!(office.told().await, told);
}

#[tokio::test]
async fn a_job_that_ends_is_told_once_with_its_summary() {
    let office = Office::open().await;
    let desk = &office.desk;
    office.load("load", Count::Filtered).await;
    let failed = desk.job(JobKind::Backfill, "failed").await;
    let why = Some("INVALID_FIELD at Amount > 4711 near 'Geheim'");
    desk.transition(&failed.id, SalesforceStatus::Failed, why)
        .await;
    // Small and many: nobody wants to hear of each.
    let small = desk.job(JobKind::Retry, "small").await;
    desk.transition(&small.id, SalesforceStatus::Cancelled, None)
        .await;
    office.rounds(60).await;
    let told = office.told().await.into_iter().map(|(matter, ..)| matter);
    let told = told.collect::<Vec<_>>();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&Matter::JobFinished) && told.contains(&Matter::JobFailed));
    let mails = office.server.mails();
    let of = |word: &str| {
        let mail = mails
            .iter()
            .find(|mail| mail.header("Subject").unwrap().contains(word));
        mail.unwrap().data.clone()
    };
    assert!(of("has finished").contains("Contact: read 1, filtered 1"));
    assert!(of("has failed").contains("INVALID_FIELD at Amount"));
    assert!(!of("has failed").contains("4711") && !of("has failed").contains("Geheim"));
}

/// A full load takes hours, and meanwhile parked records are taken up again.
#[tokio::test]
async fn a_load_that_fails_and_a_job_that_is_held_are_told_behind_however_many_other_jobs() {
    let office = Office::open().await;
    let desk = &office.desk;
    let load = desk.job(JobKind::SyncAll, "load").await;
    let held = desk.job(JobKind::Backfill, "held").await;
    desk.many_small_jobs().await;
    desk.pause(&held.id, PausedBy::Person, "lunch", None).await;
    let (failed, why) = (SalesforceStatus::Failed, Some("no access"));
    desk.transition(&load.id, failed, why).await;
    office.rounds(360).await;
    let told = office.told().await.into_iter();
    let told = told.map(|(matter, event, _)| (matter, event));
    let expected = [
        (Matter::JobFailed, Event::Happened),
        (Matter::JobsPaused, Event::Opened),
    ];
    assert_eq!(told.collect::<BTreeSet<_>>(), expected.into());
}

#[tokio::test]
async fn a_job_that_leaves_records_parked_says_so_and_where_they_are() {
    let office = Office::open().await;
    let whole = office.load("whole", Count::Created).await;
    let in_part = office.load("in part", Count::Parked).await;
    office.rounds(60).await;
    let kept = office.kept().await;
    let of = |job: &Job| {
        let object = format!("job {}", job.id);
        let told = kept.iter().find(|told| told.notice.object == object);
        told.unwrap().notice.clone()
    };
    let (whole, in_part) = (of(&whole), of(&in_part));
    let all = "everything that it was to bring is in mOS";
    assert_eq!(
        (whole.matter, whole.cause.as_str()),
        (Matter::JobFinished, all)
    );
    assert_eq!(whole.advice, "");
    assert_eq!(in_part.matter, Matter::JobFinished);
    assert_eq!(
        in_part.cause,
        format!("{all}, but for records that are parked")
    );
    assert!(in_part.advice.contains("Parked Records"), "{in_part:?}");
    assert_eq!(in_part.details, ["Contact: read 1, parked 1"]);
}

#[tokio::test]
async fn reading_in_bulk_that_waits_for_the_allowance_is_told_whoever_says_so() {
    let office = Office::open().await;
    let desk = &office.desk;
    let quota = |event| (Matter::Quota, event, 1);
    let until = desk.now().after(Duration::from_secs(3_600));
    let is_told = async || {
        let told = office.kept().await.pop().unwrap().notice;
        assert_eq!(told.object, "jobs that read in bulk");
        let again = format!("tried again at {until}");
        assert!(told.cause.contains(&again), "{}", told.cause);
    };
    // The listener, of whatever it reads.
    let held = [(figures::API_BULK_HELD_UNTIL, until.as_micros())];
    desk.report("listener", WorkerState::Running, &held).await;
    office.round().await;
    assert_eq!(office.told().await, [quota(Event::Opened)]);
    is_told().await;
    desk.pass(5);
    office.round().await;
    office.rounds(120).await;
    let once = [quota(Event::Opened), quota(Event::Closed)];
    assert_eq!(office.told().await, once);
    // A job.
    let job = desk.job(JobKind::SyncAll, "held").await;
    let why = "the allowance is used up";
    desk.pause(&job.id, PausedBy::Quota, why, Some(until)).await;
    office.round().await;
    assert_eq!(office.told().await[2..], [quota(Event::Opened)]);
    is_told().await;
    desk.pass(5);
    office.round().await;
    let jobs = &desk.stores.jobs;
    let resumed = jobs.resume(&job.id, PausedBy::Quota, desk.now()).await;
    assert!(resumed.unwrap());
    office.rounds(120).await;
    assert_eq!(office.told().await[2..], once);
}

#[tokio::test]
async fn a_gap_that_comes_and_goes_between_two_looks_is_told_all_the_same() {
    let office = Office::open().await;
    office.desk.pass(3);
    office.gap("brief").await;
    office.desk.pass(3);
    let position = &office.desk.stores.position;
    let closed = position.close_gap("brief", office.desk.now()).await;
    closed.unwrap();
    office.rounds(120).await;
    let gap = |event| (Matter::Gap, event, 1);
    let told = [gap(Event::Opened), gap(Event::Closed)];
    assert_eq!(office.told().await, told);
    // It is over.
    office.rounds(120).await;
    assert_eq!(office.told().await, told);
}

#[tokio::test]
async fn what_happened_before_the_first_look_is_not_told() {
    let office = Office::open().await;
    let desk = &office.desk;
    let old = desk.job(JobKind::Backfill, "old").await;
    desk.transition(&old.id, SalesforceStatus::Failed, Some("x"))
        .await;
    desk.pass(DAY);
    // As if mosync of a version with notifications were started now.
    let board = Board {
        revision: 2,
        ..Board::new(desk.now())
    };
    desk.stores.outbox.post(&board, &[]).await.unwrap();
    office.rounds(60).await;
    assert_eq!(office.told().await, []);
}

/// Takes a mail to its server, and is killed before it can say so.
struct Killed {
    real: Arc<dyn Courier>,
    taken: Arc<Bell>,
    once: AtomicBool,
}

#[async_trait]
impl Courier for Killed {
    async fn kept(&self, notice: &Notice) -> Result<Option<KeptMail>, String> {
        self.real.kept(notice).await
    }

    fn ways(&self, addresses: &[String]) -> Vec<Way> {
        self.real.ways(addresses)
    }

    async fn deliver(&self, notification: &Notification, way: &Way) -> Settled {
        let settled = self.real.deliver(notification, way).await;
        if self.once.swap(false, Ordering::SeqCst) {
            self.taken.notify_one();
            pending::<()>().await;
        }
        settled
    }
}

#[tokio::test]
async fn a_mail_whose_sender_is_killed_is_sent_again_as_the_same() {
    let office = Office::open().await;
    office.gap("overflow").await;
    let taken = Arc::new(Bell::new());
    let killed: Arc<dyn Courier> = Arc::new(Killed {
        real: Arc::clone(&office.courier),
        taken: Arc::clone(&taken),
        once: AtomicBool::new(true),
    });
    let mut notifier = office.notifier("one", &killed);
    let stop = CancellationToken::new();
    tokio::select! {
        done = notifier.round(&stop) => panic!("{done:?}"),
        () = taken.notified() => {}
    }
    drop(notifier);
    assert_eq!(office.server.mails().len(), 1);
    let way = |kept: &[Notification]| kept[0].deliveries[0].clone();
    assert_eq!(way(&office.kept().await).state, DeliveryState::Sending);
    // Another process takes over: not while the first may still be at it.
    let mut other = office.notifier("other", &office.courier);
    other.round(&stop).await.unwrap();
    assert_eq!(office.server.mails().len(), 1);
    office
        .desk
        .pass(i64::try_from(SENDING_FOR.as_secs()).unwrap());
    office.desk.workers_run().await;
    other.round(&stop).await.unwrap();
    other.round(&stop).await.unwrap();
    let mails = office.server.mails();
    assert_eq!(mails.len(), 2, "once more, and not again");
    assert_eq!(mails[0], mails[1]);
    let sent = way(&office.kept().await);
    assert_eq!((sent.state, sent.attempts), (DeliveryState::Sent, 2));
}

#[tokio::test]
async fn one_process_of_two_watches_and_sends() {
    let office = Office::open().await;
    office.gap("overflow").await;
    let (one, other) = (
        office.notifier("one", &office.courier),
        office.notifier("other", &office.courier),
    );
    let stop = CancellationToken::new();
    let rounds = [one, other].map(|mut notifier| {
        let stop = stop.clone();
        async move {
            for _ in 0..5 {
                notifier.round(&stop).await.unwrap();
            }
        }
    });
    futures::future::join_all(rounds).await;
    // Two that have both seen the same: the second to write it down is refused.
    let both = [
        office.notifier("one", &office.courier),
        office.notifier("one", &office.courier),
    ];
    office.gap("another").await;
    futures::future::try_join_all(both.iter().map(Notifier::look))
        .await
        .unwrap();
    assert_eq!(office.told().await.len(), 1);
    assert_eq!(office.server.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_with_growing_pauses_and_failure_is_shown() {
    let office = Office::open().await;
    office.server.misbehave(Some(Fault::Greylist));
    office.gap("overflow").await;
    office.round().await;
    let mut tries = Vec::new();
    while let Some(due) = office.kept().await[0].due() {
        let wait = due.since(office.desk.now()).as_secs();
        tries.push(wait);
        office.desk.pass(i64::try_from(wait).unwrap());
        office.desk.workers_run().await;
        office.round().await;
    }
    assert_eq!(tries, [30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200]);
    let kept = office.kept().await;
    let gap = &kept[0].deliveries[0];
    assert_eq!((gap.state, gap.attempts), (DeliveryState::Failed, 9));
    let said = gap.said.as_ref().unwrap();
    assert!(
        said.contains("given up after 9 attempts") && said.contains("451"),
        "{said}"
    );
    let warns = |warnings: &[String]| warnings.iter().any(|one| one.contains("did not reach"));
    assert!(warns(&office.desk.ops.status().await.unwrap().warnings));
    // A day later it is history.
    office.desk.pass(DAY + 1);
    assert!(!warns(&office.desk.ops.status().await.unwrap().warnings));
    assert_eq!(office.server.mails(), []);
}

#[tokio::test]
async fn who_has_left_the_settings_gets_nothing_more_and_nobody_is_an_answer_too() {
    let office = Office::open().await;
    office.server.misbehave(Some(Fault::Greylist));
    office.gap("overflow").await;
    office.round().await;
    office.server.misbehave(None);
    office
        .desk
        .save(|settings| settings.admin_emails.clear())
        .await;
    office.desk.pass(30);
    office.desk.workers_run().await;
    office.round().await;
    let kept = office.kept().await;
    assert_eq!(kept[0].deliveries[0].state, DeliveryState::Dropped);
    // With nobody to tell, it is kept and shown all the same.
    office.desk.die("garbage", b"?".to_vec()).await;
    office.rounds(70).await;
    let kept = office.kept().await;
    let last = kept.last().unwrap();
    assert_eq!(last.notice.matter, Matter::DeadMessages);
    assert_eq!((last.deliveries.len(), last.due()), (0, None));
    assert_eq!(office.server.mails(), []);
    assert!(office.ids().is_empty());
}

#[tokio::test]
async fn a_test_says_what_each_server_answers() {
    let office = Office::open().await;
    let nobody = office.desk.ops.test_notification(Caller::Api).await;
    assert!(matches!(nobody, Err(OpsError::Conflict(why)) if why.contains("[notify]")));
    let ops = office.desk.ops.clone().telling(Arc::clone(&office.courier));
    office
        .desk
        .save(|settings| settings.admin_emails = vec![ADA.to_owned(), "bo@acme.example".to_owned()])
        .await;
    office
        .server
        .misbehave(Some(Fault::RefuseReceiver("bo@acme.example".to_owned())));
    let test = ops.test_notification(Caller::CommandLine).await.unwrap();
    let tried = test.tried.iter().map(|one| (one.to[0].as_str(), one.taken));
    assert_eq!(
        tried.collect::<Vec<_>>(),
        [(ADA, true), ("bo@acme.example", false)]
    );
    assert!(test.tried[0].said.contains("250"), "{test:?}");
    assert!(test.tried[1].said.contains("550"), "{test:?}");
    assert_eq!(office.subjects(), ["[mosync] this is a test"]);
    let line = office.desk.log().await.remove(0);
    assert!(
        line.message.contains("1 of 2 receivers"),
        "{}",
        line.message
    );
    assert!(!line.message.contains('@'), "{}", line.message);
    // Nobody was to be told anything by it.
    let warnings = ops.status().await.unwrap().warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
}
