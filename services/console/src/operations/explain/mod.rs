//! Why a record is in mOS, or is not. It is a view of the sync rule: what decides is
//! [`Rules::judge`] and the permission snapshot, here it is only told.

mod facts;
mod ids;
mod owner;
mod scope;
mod verdict;
mod words;

use std::sync::Arc;

use domain::permission::PermissionSnapshot;
use domain::rule::Rules;
use domain::settings::SettingsRevision;
use domain::{ObjectKind, Row, SalesforceId, Timestamp};
use ports::source::SourceError;
use runtime::readback::{self, Read};
use runtime::through::{self, Through};
use runtime::worker::Outage;

use super::Operations;
use crate::OpsError;
use crate::views::{ExplainCode, ExplainMos, ExplainSettings, ExplainView, Found};
use facts::Facts;
use scope::Judged;

/// When Salesforce last stamped a record as changed; every object has it.
const STAMP: &str = "SystemModstamp";

/// A record, and the rules it is judged by.
struct Asked {
    object: ObjectKind,
    id: SalesforceId,
    /// When the ticket was taken under which everything is judged.
    at: Timestamp,
    rules: Arc<Rules>,
    revision: SettingsRevision,
    snapshot: PermissionSnapshot,
}

/// What was found.
struct Looked {
    facts: Facts,
    read: Read,
    judged: Option<Judged>,
    through: Option<Through>,
}

impl Operations {
    /// Why the record with this id, or at this address of Salesforce's pages, is in mOS or is not.
    /// An id of an object that is not synced is told so in the view.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for what holds no Salesforce id, [`OpsError::OutOfReach`] when a store
    /// or Salesforce does not answer. mOS's silence is told in the view.
    pub async fn explain(&self, asked: &str) -> Result<ExplainView, OpsError> {
        let id = ids::read(asked).map_err(|fault| OpsError::Invalid(words::bad_id(&fault)))?;
        let mut view = blank(asked.trim(), id, self.now());
        let Some(object) = ObjectKind::of_prefix(id.key_prefix()) else {
            (view.verdict, view.advice) = words::not_synced(&id);
            return Ok(view);
        };
        view.object = Some(object);
        let (asked, looked) = self.looked(object, id).await?;
        self.told(view, &asked, looked).await
    }

    /// Looked up; once more where Salesforce refuses a field that has vanished meanwhile.
    async fn looked(
        &self,
        object: ObjectKind,
        id: SalesforceId,
    ) -> Result<(Asked, Looked), OpsError> {
        let asked = self.asked(object, id).await?;
        match self.rules.seen_anew_if_refused(self.look(&asked).await) {
            Err(Outage::Source(SourceError::Refused { .. })) => {}
            looked => return Ok((asked, looked?)),
        }
        let asked = self.asked(object, id).await?;
        let looked = self.look(&asked).await?;
        Ok((asked, looked))
    }

    /// The rules, all of one revision.
    async fn asked(&self, object: ObjectKind, id: SalesforceId) -> Result<Asked, OpsError> {
        loop {
            let (revision, ticket, snapshot) = tokio::join!(
                self.stores.settings.current(),
                self.rules.ticket(),
                self.stores.permissions.latest(),
            );
            let (revision, (ticket, rules)) = (revision?, ticket?);
            // Saved in between: asked again.
            if revision.rule_revision == rules.rule_revision {
                return Ok(Asked {
                    object,
                    id,
                    at: ticket.version.time(),
                    rules,
                    revision,
                    snapshot: snapshot?,
                });
            }
        }
    }

    /// Everything that is asked of Salesforce, of mOS and of the stores, as far as possible at once.
    async fn look(&self, asked: &Asked) -> Result<Looked, Outage> {
        let (facts, (read, judged), through) = tokio::try_join!(
            self.facts(asked),
            self.read_and_judged(asked),
            self.through(asked),
        )?;
        Ok(Looked {
            facts,
            read,
            judged,
            through,
        })
    }

    async fn through(&self, asked: &Asked) -> Result<Option<Through>, Outage> {
        if let ObjectKind::Opportunity | ObjectKind::OpportunityContactRole = asked.object {
            return Ok(None);
        }
        let at = asked.at;
        let permits = |owner: &SalesforceId| asked.snapshot.permits(owner, at);
        let record = (asked.object, asked.id);
        let through = through::read(&*self.source, &asked.rules, at, record, &permits).await?;
        Ok(Some(through))
    }

    /// The record, and the opportunity that decides: itself, or that of the role, if it can be seen.
    async fn read_and_judged(&self, asked: &Asked) -> Result<(Read, Option<Judged>), Outage> {
        let read = self.read(asked.object, asked.id, &asked.rules).await?;
        let judged = match (&read, asked.object) {
            (Read::Row(row), ObjectKind::Opportunity) => scope::judge(asked, asked.id, row),
            (Read::Row(row), ObjectKind::OpportunityContactRole) => {
                let of = row.fields().ok().and_then(|role| role.id("OpportunityId"));
                match of {
                    Some(of) => self.judged_of_role(asked, of).await?,
                    None => None,
                }
            }
            (Read::Row(_), ObjectKind::User | ObjectKind::Account | ObjectKind::Contact)
            | (Read::Deleted | Read::Absent, _) => None,
        };
        Ok((read, judged))
    }

    async fn judged_of_role(
        &self,
        asked: &Asked,
        of: SalesforceId,
    ) -> Result<Option<Judged>, Outage> {
        Ok(
            match self.read(ObjectKind::Opportunity, of, &asked.rules).await? {
                Read::Row(row) => scope::judge(asked, of, &row),
                Read::Deleted | Read::Absent => None,
            },
        )
    }

    async fn read(
        &self,
        object: ObjectKind,
        id: SalesforceId,
        rules: &Rules,
    ) -> Result<Read, Outage> {
        let mut fields = rules.fields_to_read(object);
        fields.insert(STAMP.to_owned());
        let mut read = readback::read(&*self.source, object, &[id].into(), &fields).await?;
        Ok(read.remove(&id).unwrap_or(Read::Absent))
    }

    /// Puts what was found into the view, and the verdict on it.
    async fn told(
        &self,
        mut view: ExplainView,
        asked: &Asked,
        looked: Looked,
    ) -> Result<ExplainView, OpsError> {
        let Looked {
            facts,
            read,
            judged,
            through,
        } = looked;
        view.owner = self.owner(asked, judged.as_ref()).await?;
        view.settings = Some(settings(&asked.revision));
        view.found = Some(found(&read));
        let mut seen = facts.seen;
        seen.modified = modified(&read);
        view.seen = Some(seen);
        view.mos = facts.mos.map(|mos| compared(mos, asked, &read));
        view.in_scope = match read {
            Read::Row(_) => {
                view.through = through.map(|through| scope::through(asked, &through));
                view.obstacles = scope::obstacles(asked, judged.as_ref(), &view);
                Some(view.obstacles.is_empty())
            }
            Read::Deleted => Some(false),
            // Whether it is there at all is not known.
            Read::Absent => None,
        };
        view.opportunity = judged.map(|judged| judged.view);
        view.gates = facts.gates;
        view.next_window = facts.next_window;
        view.last_job = facts.last_job;
        view.possible_jobs = facts.possible_jobs;
        view.log = facts.log;
        view.parked = facts.parked;
        view.code = verdict::of(&view);
        (view.verdict, view.advice) = words::of(&view, asked);
        Ok(view)
    }
}

fn blank(asked: &str, id: SalesforceId, now: Timestamp) -> ExplainView {
    ExplainView {
        asked: asked.to_owned(),
        object: None,
        id,
        read_at: now,
        code: ExplainCode::NotASyncedObject,
        verdict: String::new(),
        advice: String::new(),
        in_scope: None,
        obstacles: Vec::new(),
        found: None,
        seen: None,
        settings: None,
        opportunity: None,
        owner: None,
        through: None,
        gates: Vec::new(),
        next_window: None,
        parked: None,
        mos: None,
        log: Vec::new(),
        last_job: None,
        possible_jobs: Vec::new(),
    }
}

fn settings(revision: &SettingsRevision) -> ExplainSettings {
    ExplainSettings {
        revision: revision.revision,
        rule_revision: revision.rule_revision,
        saved: revision.saved,
        author: revision.author.clone(),
        frequency: revision.settings.frequency.to_string(),
    }
}

const fn found(read: &Read) -> Found {
    match read {
        Read::Row(_) => Found::Row,
        Read::Deleted => Found::Deleted,
        Read::Absent => Found::Absent,
    }
}

fn modified(read: &Read) -> Option<Timestamp> {
    let Read::Row(row) = read else { return None };
    Timestamp::parse(&row.fields().ok()?.text(STAMP)?)
}

/// What mOS holds, against what would be sent.
fn compared(mut mos: ExplainMos, asked: &Asked, read: &Read) -> ExplainMos {
    let Read::Row(row) = read else { return mos };
    if mos.held != Some(true) {
        return mos;
    }
    match sent(asked, row) {
        Ok(sent) => mos.differs = domain::mapping::differing(&sent, &mos.fields),
        Err(trouble) => mos.trouble = Some(trouble),
    }
    mos
}

/// What would be sent of the record now.
fn sent(asked: &Asked, row: &Row) -> Result<Box<serde_json::value::RawValue>, String> {
    let fields = row.fields().map_err(|error| error.to_string())?;
    let mapped = asked.rules.mapping().map(asked.object, &fields);
    mapped.map_err(|fault| fault.to_string())
}
