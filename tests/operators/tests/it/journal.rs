//! The settings journal: killed anywhere, nothing is lost, and no number is given twice.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use console::journal::{FILE, Journal};
use console::views::SavedView;
use console::{Author, Caller, Operations, OpsError};
use domain::filter::FieldTypes;
use domain::job::Job;
use domain::settings::{MOSYNC, SettingsRevision};
use http::StatusCode;
use ports::stores::{SettingsStore, StoreError, Stores};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::desk::{Desk, TOPIC};
use crate::settings::{pin, save};

struct Kept {
    folder: TempDir,
}

impl Kept {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    fn journal(&self) -> Journal {
        Journal::new(self.file())
    }

    /// The operations of a process that keeps this journal.
    fn ops(&self, desk: &Desk) -> Operations {
        desk.ops.clone().journaling(Some(self.journal()))
    }

    /// The same with stores of its own.
    fn ops_with(&self, desk: &Desk, stores: Stores) -> Operations {
        let org = Arc::<crate::desk::DeskOrg>::clone(&desk.org);
        let ops = Operations::new(stores, Arc::clone(&desk.queue), desk.clock(), org, TOPIC);
        ops.journaling(Some(self.journal()))
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file()).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Saves what was made from revision 2.
async fn save_by(ops: &Operations, settings: Value) -> Result<SavedView, OpsError> {
    let asked = json!({"base": 2, "settings": settings});
    let asked = serde_json::from_value(asked).unwrap();
    let author = Author::of(&Caller::CommandLine, Some("ada"));
    ops.save_settings(&asked, &author).await
}

async fn current(desk: &Desk) -> SettingsRevision {
    desk.stores.settings.current().await.unwrap()
}

/// Two revisions saved and written down.
async fn two_saved(kept: &Kept) -> Desk {
    let desk = Desk::open();
    let door = desk.door_of(kept.ops(&desk)).await;
    for (base, closed) in [(0, true), (1, false)] {
        let answer = save(&door, base, json!({"sync_closed": closed})).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
    desk
}

#[tokio::test]
async fn a_lost_store_is_restored_with_its_numbers() {
    let kept = Kept::new();
    let desk = two_saved(&kept).await;
    assert_eq!(kept.lines().len(), 2);
    let mode = std::fs::metadata(kept.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds mail addresses");

    let anew = Desk::open();
    let ops = kept.ops(&anew);
    ops.reconcile_settings().await.unwrap();
    assert_eq!(current(&anew).await, current(&desk).await);
    let line = &anew.log().await[0].message;
    assert!(line.contains("revision 2 is in force again"), "{line}");
    ops.reconcile_settings().await.unwrap();
    assert_eq!(anew.log().await.len(), 1, "once");
    assert_eq!(kept.lines().len(), 2);
    let door = anew.door_of(ops).await;
    let next = save(&door, 2, json!({"disabled": true})).await.json();
    assert_eq!(next["revision"], 3);
}

#[tokio::test]
async fn what_mosync_wrote_into_a_lost_store_gives_way() {
    let kept = Kept::new();
    let desk = two_saved(&kept).await;
    let anew = Desk::open();
    pin(&anew, "00D000000000001").await;
    kept.ops(&anew).reconcile_settings().await.unwrap();
    assert_eq!(current(&anew).await, current(&desk).await);
}

#[tokio::test]
async fn what_is_saved_elsewhere_is_written_down() {
    let kept = Kept::new();
    let desk = two_saved(&kept).await;
    // By a process without the journal, and by mosync itself.
    let elsewhere = desk.door().await;
    save(&elsewhere, 2, json!({"disabled": true})).await;
    let fourth = desk.save_as(MOSYNC, FieldTypes::new(), |settings| {
        settings.run_in_sandbox = true;
    });
    let fourth = fourth.await;
    kept.ops(&desk).reconcile_settings().await.unwrap();
    assert_eq!(kept.lines().len(), 4);
    let anew = Desk::open();
    kept.ops(&anew).reconcile_settings().await.unwrap();
    assert_eq!(current(&anew).await, fourth);
}

/// The store of a process that is killed in the middle of a save.
struct Deadly {
    store: Arc<dyn SettingsStore>,
    saves_first: bool,
    reached: Arc<Notify>,
}

#[async_trait]
impl SettingsStore for Deadly {
    async fn current(&self) -> Result<SettingsRevision, StoreError> {
        self.store.current().await
    }
    async fn save(
        &self,
        next: &SettingsRevision,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        if self.saves_first {
            self.store.save(next, backfill).await?;
        }
        self.reached.notify_one();
        std::future::pending().await
    }
    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError> {
        self.store.revision(number).await
    }
    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError> {
        self.store.history(before, limit).await
    }
    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError> {
        self.store.restore(revisions).await
    }
}

/// Saves revision 3 and ends at that very step, before the store has done it or after.
async fn killed_while_saving(kept: &Kept, desk: &Desk, saves_first: bool) {
    let reached = Arc::new(Notify::new());
    let stores = Stores {
        settings: Arc::new(Deadly {
            store: Arc::clone(&desk.stores.settings),
            saves_first,
            reached: Arc::clone(&reached),
        }),
        ..desk.stores.clone()
    };
    let ops = kept.ops_with(desk, stores);
    // Dropped at this very step, with the lock of the file, as a killed process drops everything.
    tokio::select! {
        saved = save_by(&ops, json!({"disabled": true})) => panic!("{saved:?}"),
        () = reached.notified() => {}
    }
}

#[tokio::test]
async fn killed_after_it_was_written_down_and_before_it_was_saved() {
    let kept = Kept::new();
    let desk = two_saved(&kept).await;
    killed_while_saving(&kept, &desk, false).await;
    assert_eq!(kept.lines().len(), 3);

    // The store is still there: it says that the save was not done, and its number is free.
    let copy = Kept::new();
    std::fs::copy(kept.file(), copy.file()).unwrap();
    kept.ops(&desk).reconcile_settings().await.unwrap();
    assert_eq!(current(&desk).await.revision, 2);
    let anew = Desk::open();
    kept.ops(&anew).reconcile_settings().await.unwrap();
    assert_eq!(current(&anew).await, current(&desk).await, "taken back");
    let door = desk.door_of(kept.ops(&desk)).await;
    let next = save(&door, 2, json!({"run_in_sandbox": true})).await.json();
    assert_eq!(next["revision"], 3);
    let anew = Desk::open();
    kept.ops(&anew).reconcile_settings().await.unwrap();
    assert_eq!(current(&anew).await, current(&desk).await);

    // The store is lost too: nobody knows whether the save was done, so its number is not given to
    // anything else.
    let anew = Desk::open();
    copy.ops(&anew).reconcile_settings().await.unwrap();
    let restored = current(&anew).await;
    assert_eq!(restored.revision, 3);
    assert!(restored.settings.disabled);
}

#[tokio::test]
async fn killed_after_it_was_saved() {
    let kept = Kept::new();
    let desk = two_saved(&kept).await;
    killed_while_saving(&kept, &desk, true).await;
    kept.ops(&desk).reconcile_settings().await.unwrap();
    assert_eq!(current(&desk).await.revision, 3);
    assert_eq!(kept.lines().len(), 3);
    let anew = Desk::open();
    kept.ops(&anew).reconcile_settings().await.unwrap();
    assert_eq!(current(&anew).await, current(&desk).await);
}

/// A store that is emptied between two of the questions that are asked of it.
struct Lost {
    before: Arc<dyn SettingsStore>,
    after: Arc<dyn SettingsStore>,
    asked: AtomicUsize,
    at: usize,
}

impl Lost {
    fn now(&self) -> &dyn SettingsStore {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        if asked < self.at {
            &*self.before
        } else {
            &*self.after
        }
    }
}

#[async_trait]
impl SettingsStore for Lost {
    async fn current(&self) -> Result<SettingsRevision, StoreError> {
        self.now().current().await
    }
    async fn save(
        &self,
        next: &SettingsRevision,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        self.now().save(next, backfill).await
    }
    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError> {
        self.now().revision(number).await
    }
    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError> {
        self.now().history(before, limit).await
    }
    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError> {
        self.now().restore(revisions).await
    }
}

#[tokio::test]
async fn a_store_lost_while_it_is_written_down_is_restored() {
    let mut written = 0;
    for at in 0..8 {
        let kept = Kept::new();
        let journal = kept.journal();
        let desk = Desk::open();
        let door = desk.door().await;
        let saved = save(&door, 0, json!({"disabled": true})).await;
        assert_eq!(saved.status, 200, "{:?}", saved.body);
        let anew = Desk::open();
        let lost = Lost {
            before: Arc::clone(&desk.stores.settings),
            after: Arc::clone(&anew.stores.settings),
            asked: AtomicUsize::new(0),
            at,
        };
        journal.reconcile(&lost).await.unwrap();
        if kept.lines().is_empty() {
            continue;
        }
        written += 1;
        journal.reconcile(&*anew.stores.settings).await.unwrap();
        assert_eq!(current(&anew).await, current(&desk).await, "lost at {at}");
    }
    assert!(written > 3, "{written} times it was lost after that");
}

#[tokio::test]
async fn killed_in_the_middle_of_a_line() {
    let kept = Kept::new();
    let desk = two_saved(&kept).await;
    let whole = std::fs::read(kept.file()).unwrap();
    let line = serde_json::to_vec(&json!({"saved": {"revision": 3}})).unwrap();
    for length in [1, line.len() / 2, line.len()] {
        let mut file = std::fs::File::options()
            .append(true)
            .open(kept.file())
            .unwrap();
        file.write_all(&line[..length]).unwrap();
        let anew = Desk::open();
        kept.ops(&anew).reconcile_settings().await.unwrap();
        assert_eq!(current(&anew).await, current(&desk).await);
        assert_eq!(std::fs::read(kept.file()).unwrap(), whole, "cut off");
    }
}

#[tokio::test]
async fn a_refused_save_leaves_no_trace_that_would_be_restored() {
    let kept = Kept::new();
    let desk = two_saved(&kept).await;
    let door = desk.door_of(kept.ops(&desk)).await;
    // Refused by the store, at the last moment.
    let racing = Stores {
        settings: Arc::new(Racing(Arc::clone(&desk.stores.settings))),
        ..desk.stores.clone()
    };
    let late = desk.door_of(kept.ops_with(&desk, racing)).await;
    let refused = save(&late, 2, json!({"disabled": true})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{:?}", refused.body);
    let theirs = &refused.json()["error"]["conflict"]["theirs"][0]["words"];
    assert_eq!(theirs, "Run In Sandbox: off \u{2192} on");
    kept.ops(&desk).reconcile_settings().await.unwrap();
    let anew = Desk::open();
    kept.ops(&anew).reconcile_settings().await.unwrap();
    let restored = current(&anew).await;
    assert_eq!(restored, current(&desk).await);
    assert!(restored.settings.run_in_sandbox && !restored.settings.disabled);
    assert_eq!(save(&door, 3, json!({})).await.status, 200);
}

/// Somebody else saves, elsewhere, just before.
struct Racing(Arc<dyn SettingsStore>);

#[async_trait]
impl SettingsStore for Racing {
    async fn current(&self) -> Result<SettingsRevision, StoreError> {
        self.0.current().await
    }
    async fn save(
        &self,
        next: &SettingsRevision,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        let current = self.0.current().await?;
        let mut settings = current.settings.clone();
        settings.run_in_sandbox = true;
        let types = current.field_types.clone();
        let theirs = current.next(
            settings,
            types,
            current.org.clone(),
            "bo (command line)",
            next.saved,
        );
        self.0.save(&theirs, None).await?;
        self.0.save(next, backfill).await
    }
    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError> {
        self.0.revision(number).await
    }
    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError> {
        self.0.history(before, limit).await
    }
    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError> {
        self.0.restore(revisions).await
    }
}

/// Somebody else with the same journal saves as soon as this one has looked.
struct Overtaken {
    store: Arc<dyn SettingsStore>,
    theirs: Mutex<Option<Operations>>,
}

#[async_trait]
impl SettingsStore for Overtaken {
    async fn current(&self) -> Result<SettingsRevision, StoreError> {
        let seen = self.store.current().await?;
        let theirs = self.theirs.lock().unwrap().take();
        if let Some(theirs) = theirs {
            let saved = save_by(&theirs, json!({"run_in_sandbox": true})).await;
            assert_eq!(saved.unwrap().revision, 3);
        }
        Ok(seen)
    }
    async fn save(
        &self,
        next: &SettingsRevision,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        self.store.save(next, backfill).await
    }
    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError> {
        self.store.revision(number).await
    }
    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError> {
        self.store.history(before, limit).await
    }
    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError> {
        self.store.restore(revisions).await
    }
}

#[tokio::test]
async fn whoever_comes_second_leaves_the_line_of_the_first() {
    let kept = Kept::new();
    let desk = two_saved(&kept).await;
    let stores = Stores {
        settings: Arc::new(Overtaken {
            store: Arc::clone(&desk.stores.settings),
            theirs: Mutex::new(Some(kept.ops(&desk))),
        }),
        ..desk.stores.clone()
    };
    let late = kept.ops_with(&desk, stores);
    let refused = save_by(&late, json!({"disabled": true})).await.unwrap_err();
    let OpsError::SettingsConflict(conflict) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(conflict.current.revision, 3);
    // The store is lost before anybody looks again.
    let anew = Desk::open();
    kept.ops(&anew).reconcile_settings().await.unwrap();
    assert_eq!(current(&anew).await, current(&desk).await);
    assert!(current(&anew).await.settings.run_in_sandbox);
}

#[tokio::test]
async fn without_its_journal_nothing_is_saved() {
    let desk = Desk::open();
    let kept = Kept::new();
    let nowhere = Journal::new(kept.folder.path().join("no/such/folder/settings.jsonl"));
    let ops = desk.ops.clone().journaling(Some(nowhere));
    let door = desk.door_of(ops).await;
    let refused = save(&door, 0, json!({"disabled": true})).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let sentence = refused.sentence();
    for word in ["no/such/folder", "console.journal", "not changed"] {
        assert!(sentence.contains(word), "{sentence}");
    }
    assert_eq!(current(&desk).await.revision, 0);

    std::fs::write(kept.file(), "{\"saved\": 7}\n").unwrap();
    let error = kept.ops(&desk).reconcile_settings().await.unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}
