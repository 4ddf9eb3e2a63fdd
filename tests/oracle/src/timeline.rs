//! Plays the history once and notes, for every record, when it was in scope.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::calendar::Day;
use crate::filter::{Matcher, Today, instant};
use crate::history::{Entity, History, Moment, Row, Step};
use crate::ledger::Kind;
use crate::mapping::{Mapped, Mapping};
use crate::settings::{Settings, SettingsError};

/// A record in mOS's terms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct RecordId {
    /// The type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The Salesforce id.
    pub id: String,
}

/// A stretch of time, microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub from: i64,
    /// The moment it ended; `None` while it lasts.
    pub to: Option<i64>,
}

impl Span {
    /// Whether it has a moment in common with `[from, to]`.
    pub(crate) fn touches(&self, from: i64, to: i64) -> bool {
        self.from <= to && self.to.is_none_or(|end| end >= from)
    }

    /// Whether it lasts, and has lasted since that moment.
    pub(crate) fn lasts_since(&self, moment: i64) -> bool {
        self.to.is_none() && self.from <= moment
    }
}

/// Settings, and the moment from which they are in force.
#[derive(Debug, Clone, Copy)]
pub struct Epoch<'s> {
    /// Microseconds since 1970.
    pub from_micros: i64,
    /// They, and the org as it stood then.
    pub settings: &'s Settings,
}

impl<'s> Epoch<'s> {
    /// Settings that have always been in force.
    #[must_use]
    pub const fn always(settings: &'s Settings) -> Self {
        Self {
            from_micros: i64::MIN,
            settings,
        }
    }
}

/// A record among others of its kind.
pub(crate) type Key<'h> = (Kind, &'h str);

/// A change of a record that mOS could hear of.
#[derive(Debug)]
pub(crate) struct Touch<'h> {
    pub(crate) key: Key<'h>,
    pub(crate) at_micros: i64,
    /// A mapped field differs from before.
    pub(crate) mapped: bool,
}

/// When an opportunity closed while it was in scope.
#[derive(Debug)]
pub(crate) struct Closing<'h> {
    pub(crate) id: &'h str,
    pub(crate) at_micros: i64,
}

/// The history as the rule sees it: who and what was in scope, and when.
#[derive(Debug)]
pub struct Timeline<'h> {
    pub(crate) history: &'h History,
    /// Records that exist, at the end.
    rows: BTreeMap<(Entity, &'h str), &'h Row>,
    /// By the rules alone; while the synchronisation is switched off they go on.
    pub(crate) spans: BTreeMap<Key<'h>, Vec<Span>>,
    /// Opportunities that would qualify were they open: only their last word may be sent.
    pub(crate) closed: BTreeMap<&'h str, Vec<Span>>,
    pub(crate) closings: Vec<Closing<'h>>,
    pub(crate) touches: Vec<Touch<'h>>,
    /// When the synchronisation was switched off.
    pub(crate) disabled: Vec<Span>,
    /// The mapping at the end.
    pub(crate) mapping: Mapping,
    /// Every mapping that was in force.
    pub(crate) mappings: Vec<Mapping>,
}

impl<'h> Timeline<'h> {
    /// Plays everything up to and including the moment `until`, under settings that never change.
    ///
    /// # Errors
    /// When the filter's logic cannot be read.
    pub fn new(
        history: &'h History,
        settings: &'h Settings,
        until: i64,
    ) -> Result<Self, SettingsError> {
        Self::of_epochs(history, &[Epoch::always(settings)], until)
    }

    /// The same under settings that change: each epoch lasts until the next begins, and before the
    /// first nothing is in scope.
    ///
    /// # Errors
    /// When a filter's logic cannot be read.
    pub fn of_epochs(
        history: &'h History,
        epochs: &[Epoch<'h>],
        until: i64,
    ) -> Result<Self, SettingsError> {
        Player::play(history, epochs, until, 0)
    }

    /// The same as somebody sees it who hears up to `lag_micros` late of a permission that ended,
    /// of settings that were saved and of a date that turned, and of each at another moment: in
    /// scope is what may be in scope to him.
    ///
    /// # Errors
    /// When a filter's logic cannot be read.
    pub fn with_lag(
        history: &'h History,
        epochs: &[Epoch<'h>],
        until: i64,
        lag_micros: i64,
    ) -> Result<Self, SettingsError> {
        Player::play(history, epochs, until, lag_micros)
    }

    /// Whether a record is in scope at the end.
    #[must_use]
    pub fn in_scope(&self, kind: Kind, id: &str) -> bool {
        self.spans
            .get(&(kind, id))
            .and_then(|spans| spans.last())
            .is_some_and(|span| span.to.is_none())
    }

    /// Whether the synchronisation is switched off at the end.
    pub(crate) fn is_disabled(&self) -> bool {
        self.disabled.last().is_some_and(|span| span.to.is_none())
    }

    /// When a record was in scope.
    #[must_use]
    pub fn spans<'a>(&'a self, kind: Kind, id: &'a str) -> &'a [Span] {
        self.spans.get(&(kind, id)).map_or(&[], Vec::as_slice)
    }

    /// What records of these types have said, and from when on, in the order of time; `None` where
    /// they were gone.
    pub(crate) fn versions(&self) -> BTreeMap<Key<'h>, Vec<(i64, Option<&'h Row>)>> {
        let mut versions: BTreeMap<Key<'h>, Vec<(i64, Option<&'h Row>)>> = BTreeMap::new();
        for moment in self.history.moments() {
            for step in &moment.steps {
                if let Some(kind) = kind_of(step.entity) {
                    let row = (!step.is_gone(self.history)).then_some(&step.row);
                    let of = versions.entry((kind, &step.id)).or_default();
                    of.push((moment.at_micros, row));
                }
            }
        }
        versions
    }

    /// A record that exists at the end.
    pub(crate) fn row(&self, entity: Entity, id: &str) -> Option<&'h Row> {
        self.rows.get(&(entity, id)).copied()
    }

    /// What mOS should hold at the end of a field, the record's own or a parent's: `Account.Industry`
    /// is what the record says to which `AccountId` leads.
    pub(crate) fn expected(&self, field: &Mapped, row: &Row) -> Value {
        let (mut row, mut path) = (row, field.salesforce.as_str());
        while let Some((step, rest)) = path.split_once('.') {
            let entity = match step {
                "Owner" | "CreatedBy" | "LastModifiedBy" => Entity::User,
                "Account" | "Parent" => Entity::Account,
                "Contact" => Entity::Contact,
                "Opportunity" => Entity::Opportunity,
                _ => return Value::Null,
            };
            let parent = self.history.text(row, &format!("{step}Id"));
            let Some(parent) = parent.and_then(|id| self.row(entity, id)) else {
                return Value::Null;
            };
            (row, path) = (parent, rest);
        }
        field.of_cell(self.history.cell(row, path))
    }

    /// The records of an object that exist at the end.
    pub(crate) fn rows_of(&self, entity: Entity) -> impl Iterator<Item = &'h Row> + '_ {
        self.rows
            .range((entity, "")..)
            .take_while(move |((other, _), _)| *other == entity)
            .map(|(_, row)| *row)
    }

    /// The records in scope at the end, with their rows.
    pub(crate) fn scope(&self) -> impl Iterator<Item = (Key<'h>, &'h Row)> + '_ {
        let enabled = !self.is_disabled();
        self.spans
            .iter()
            .filter(move |_| enabled)
            .filter_map(|(key, spans)| {
                spans.last().filter(|span| span.to.is_none())?;
                Some((*key, *self.rows.get(&(entity_of(key.0), key.1))?))
            })
    }
}

/// Settings and their filter, ready to be asked.
struct Rules<'h> {
    from: i64,
    settings: &'h Settings,
    matcher: Matcher<'h>,
    mapping: Mapping,
    days: BTreeMap<Day, Today>,
}

/// What happens without a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due<'h> {
    /// A permission of that user runs out, or is heard of no longer.
    Permission(&'h str),
    /// Settings come into force.
    Epoch(usize),
    /// A day begins on which the filter of these settings means something else.
    Turn(usize),
    /// What was known before is known no more.
    Again,
}

struct Player<'h> {
    rules: Vec<Rules<'h>>,
    /// Which of them are in force.
    current: Option<usize>,
    lag: i64,
    timeline: Timeline<'h>,
    opportunities_of: BTreeMap<&'h str, BTreeSet<&'h str>>,
    roles_of: BTreeMap<&'h str, BTreeSet<&'h str>>,
    grants_of: BTreeMap<&'h str, BTreeSet<&'h str>>,
    granting_sets: BTreeSet<&'h str>,
    granting_groups: BTreeSet<&'h str>,
    permitted: BTreeSet<&'h str>,
    /// When those who are permitted only because nobody has heard yet were so last.
    lost: BTreeMap<&'h str, i64>,
    agenda: BTreeSet<(i64, Due<'h>)>,
    /// What each qualifying opportunity brings into scope.
    brings: BTreeMap<&'h str, BTreeSet<Key<'h>>>,
    /// By how many opportunities a record is brought.
    counts: BTreeMap<Key<'h>, usize>,
}

/// What a commit made doubtful.
#[derive(Default)]
struct Doubt<'h> {
    opportunities: BTreeSet<&'h str>,
    users: BTreeSet<&'h str>,
    records: BTreeSet<Key<'h>>,
    /// A permission set or group changed: everybody is asked again.
    everybody: bool,
    /// Opportunities that were in scope and open before.
    open_before: BTreeSet<&'h str>,
}

impl<'h> Player<'h> {
    fn play(
        history: &'h History,
        epochs: &[Epoch<'h>],
        until: i64,
        lag: i64,
    ) -> Result<Timeline<'h>, SettingsError> {
        let mut player = Self::new(history, epochs, lag)?;
        for moment in history.moments() {
            if moment.at_micros > until {
                break;
            }
            player.pass_time(moment.at_micros);
            player.commit(moment);
        }
        player.pass_time(until);
        Ok(player.timeline)
    }

    fn new(history: &'h History, epochs: &[Epoch<'h>], lag: i64) -> Result<Self, SettingsError> {
        let first = history
            .moments()
            .first()
            .map_or(0, |moment| moment.at_micros);
        let mut rules = Vec::new();
        for epoch in epochs {
            rules.push(Rules {
                from: epoch.from_micros.max(first),
                settings: epoch.settings,
                matcher: Matcher::new(epoch.settings)?,
                mapping: Mapping::of(epoch.settings.mapping.as_deref()),
                days: BTreeMap::new(),
            });
        }
        let begins = rules.iter().enumerate();
        let agenda = begins.map(|(place, rules)| (rules.from, Due::Epoch(place)));
        Ok(Self {
            agenda: agenda.collect(),
            rules,
            current: None,
            lag,
            timeline: Timeline {
                history,
                rows: BTreeMap::new(),
                spans: BTreeMap::new(),
                closed: BTreeMap::new(),
                closings: Vec::new(),
                touches: Vec::new(),
                disabled: Vec::new(),
                mapping: Mapping::of(None),
                mappings: Vec::new(),
            },
            opportunities_of: BTreeMap::new(),
            roles_of: BTreeMap::new(),
            grants_of: BTreeMap::new(),
            granting_sets: BTreeSet::new(),
            granting_groups: BTreeSet::new(),
            permitted: BTreeSet::new(),
            lost: BTreeMap::new(),
            brings: BTreeMap::new(),
            counts: BTreeMap::new(),
        })
    }

    /// Grants run out, settings come into force and days begin without a commit.
    fn pass_time(&mut self, now: i64) {
        while let Some((at, due)) = self.agenda.first().copied().filter(|(at, _)| *at <= now) {
            self.agenda.remove(&(at, due));
            let mut doubt = Doubt::default();
            match due {
                Due::Permission(user) => self.ask_permission(user, at, &mut doubt),
                Due::Epoch(place) => self.begin(place, at, &mut doubt),
                Due::Turn(place) => {
                    self.await_turn(place, at);
                    self.doubt_all(at, &mut doubt);
                }
                Due::Again => {
                    let all = self.rows_of(Entity::Opportunity).map(|(id, _)| id);
                    doubt.opportunities.extend(all);
                }
            }
            self.settle(&doubt, at);
        }
    }

    fn begin(&mut self, place: usize, at: i64, doubt: &mut Doubt<'h>) {
        self.current = Some(place);
        let Some(rules) = self.rules.get(place) else {
            return;
        };
        self.timeline.mapping = rules.mapping.clone();
        self.timeline.mappings.push(rules.mapping.clone());
        mark(&mut self.timeline.disabled, rules.settings.disabled, at);
        // Which sets grant permission is not in the document, but may differ all the same.
        doubt.everybody = true;
        self.ask_everybody(at, doubt);
        self.await_turn(place, at);
        self.doubt_all(at, doubt);
    }

    /// All opportunities are to be judged anew now, and once more when the old rules are forgotten.
    fn doubt_all(&mut self, at: i64, doubt: &mut Doubt<'h>) {
        if self.lag > 0 {
            self.agenda.insert((at + self.lag + 1, Due::Again));
        }
        let all = self.rows_of(Entity::Opportunity).map(|(id, _)| id);
        doubt.opportunities.extend(all);
    }

    fn await_turn(&mut self, place: usize, at: i64) {
        // Those of earlier settings come to nothing.
        if self.current == Some(place)
            && let Some(rules) = self.rules.get(place)
            && let Some(turn) = rules.matcher.next_turn(at)
        {
            self.agenda.insert((turn, Due::Turn(place)));
        }
    }

    fn ask_everybody(&mut self, at: i64, doubt: &mut Doubt<'h>) {
        self.find_granting_sets();
        let holders: Vec<&str> = self.grants_of.keys().copied().collect();
        for user in holders {
            self.ask_permission(user, at, doubt);
        }
    }

    fn commit(&mut self, moment: &'h Moment) {
        let mut doubt = Doubt::default();
        for step in &moment.steps {
            if !step.silent {
                self.note_touch(step, moment.at_micros);
            }
            let new = (!step.is_gone(self.timeline.history)).then_some(&step.row);
            self.replace(step.entity, &step.id, new, moment.at_micros, &mut doubt);
        }
        if doubt.everybody {
            self.ask_everybody(moment.at_micros, &mut doubt);
        }
        for user in std::mem::take(&mut doubt.users) {
            self.ask_permission(user, moment.at_micros, &mut doubt);
        }
        self.settle(&doubt, moment.at_micros);
    }

    /// A change mOS could hear of, for the latency. Must come before the row is replaced.
    fn note_touch(&mut self, step: &'h Step, at_micros: i64) {
        let Some(kind) = kind_of(step.entity) else {
            return;
        };
        let history = self.timeline.history;
        let old = self.timeline.rows.get(&(step.entity, step.id.as_ref()));
        let fields = self.timeline.mapping.fields(kind);
        let mapped = old.is_none_or(|old| {
            fields.iter().any(|field| {
                let field = field.salesforce.as_str();
                history.cell(old, field) != history.cell(&step.row, field)
            })
        });
        self.timeline.touches.push(Touch {
            key: (kind, &step.id),
            at_micros,
            mapped,
        });
    }

    /// Puts a record's new row (or its absence) into the world and notes what it makes doubtful.
    fn replace(
        &mut self,
        entity: Entity,
        id: &'h str,
        new: Option<&'h Row>,
        at_micros: i64,
        doubt: &mut Doubt<'h>,
    ) {
        let history = self.timeline.history;
        let old = match new {
            Some(row) => self.timeline.rows.insert((entity, id), row),
            None => self.timeline.rows.remove(&(entity, id)),
        };
        let text = |row: Option<&'h Row>, field: &str| row.and_then(|row| history.text(row, field));
        match entity {
            Entity::User => {
                doubt.users.insert(id);
                doubt.records.insert((Kind::User, id));
            }
            Entity::Account => {
                doubt.records.insert((Kind::Company, id));
            }
            Entity::Contact => {
                doubt.records.insert((Kind::Contact, id));
            }
            Entity::Opportunity => {
                if self.brings.contains_key(id)
                    && old.is_some_and(|row| !history.flag(row, "IsClosed"))
                {
                    doubt.open_before.insert(id);
                }
                move_in(
                    &mut self.opportunities_of,
                    text(old, "OwnerId"),
                    text(new, "OwnerId"),
                    id,
                );
                doubt.opportunities.insert(id);
            }
            Entity::OpportunityContactRole => {
                let (before, after) = (text(old, "OpportunityId"), text(new, "OpportunityId"));
                move_in(&mut self.roles_of, before, after, id);
                doubt.opportunities.extend(before.into_iter().chain(after));
            }
            Entity::PermissionSetAssignment => {
                let (before, after) = (text(old, "AssigneeId"), text(new, "AssigneeId"));
                move_in(&mut self.grants_of, before, after, id);
                doubt.users.extend(before.into_iter().chain(after));
                let end = text(new, "ExpirationDate")
                    .and_then(instant)
                    .map(|end| end.as_microsecond());
                // What is over already is seen at once; the past is not played again.
                if let (Some(user), Some(end)) = (after, end)
                    && end > at_micros
                {
                    self.agenda.insert((end, Due::Permission(user)));
                }
            }
            Entity::PermissionSet | Entity::PermissionSetGroupComponent => doubt.everybody = true,
            // Of these the settings tell.
            Entity::Organization
            | Entity::CurrencyType
            | Entity::FiscalYearSettings
            | Entity::Period => {}
        }
    }

    fn rows_of(&self, entity: Entity) -> impl Iterator<Item = (&'h str, &'h Row)> + '_ {
        self.timeline
            .rows
            .range((entity, "")..)
            .take_while(move |((other, _), _)| *other == entity)
            .map(|((_, id), row)| (*id, *row))
    }

    fn find_granting_sets(&mut self) {
        let history = self.timeline.history;
        let rules = self.current.and_then(|place| self.rules.get(place));
        let Some(wanted) = rules.map(|rules| &rules.settings.permissions.sets) else {
            return;
        };
        self.granting_sets = self
            .rows_of(Entity::PermissionSet)
            .filter(|(_, row)| {
                let name = history.text(row, "Name");
                name.is_some_and(|name| wanted.iter().any(|set| set == name))
                    // In force in a session that activates it, and nobody acts in one.
                    && !history.flag(row, "HasActivationRequired")
            })
            .map(|(id, _)| id)
            .collect();
        self.granting_groups = self
            .rows_of(Entity::PermissionSetGroupComponent)
            .filter(|(_, row)| {
                let set = history.text(row, "PermissionSetId");
                set.is_some_and(|set| self.granting_sets.contains(set))
            })
            .filter_map(|(_, row)| history.text(row, "PermissionSetGroupId"))
            .collect();
    }

    /// Whether a user holds mOS permission now, as far as has been heard; when that changed, all
    /// their opportunities are doubtful.
    fn ask_permission(&mut self, user: &'h str, now: i64, doubt: &mut Doubt<'h>) {
        let mut holds = self.is_permitted(user, now);
        if holds {
            self.lost.remove(user);
        } else if self.lag > 0 && self.permitted.contains(user) {
            let heard = *self.lost.entry(user).or_insert(now) + self.lag + 1;
            if now < heard {
                holds = true;
                self.agenda.insert((heard, Due::Permission(user)));
            } else {
                self.lost.remove(user);
            }
        }
        let changed = if holds {
            self.permitted.insert(user)
        } else {
            self.permitted.remove(user)
        };
        if changed && let Some(owned) = self.opportunities_of.get(user) {
            doubt.opportunities.extend(owned.iter().copied());
        }
    }

    fn is_permitted(&self, user: &str, now: i64) -> bool {
        let history = self.timeline.history;
        let active = self
            .timeline
            .rows
            .get(&(Entity::User, user))
            .is_some_and(|row| history.flag(row, "IsActive"));
        let grants = self.grants_of.get(user).into_iter().flatten();
        active
            && grants
                .filter_map(|grant| {
                    self.timeline
                        .rows
                        .get(&(Entity::PermissionSetAssignment, *grant))
                })
                .any(|row| self.grants(row, now))
    }

    fn grants(&self, assignment: &Row, now: i64) -> bool {
        let history = self.timeline.history;
        let text = |field| history.text(assignment, field);
        // IsActive says what ExpirationDate says, but only at the moment the row was read.
        let expired = text("ExpirationDate")
            .and_then(instant)
            .is_some_and(|end| end.as_microsecond() <= now);
        let revoked = history.flag(assignment, "IsRevoked");
        let direct = text("PermissionSetId").is_some_and(|set| self.granting_sets.contains(set));
        let through_group =
            text("PermissionSetGroupId").is_some_and(|group| self.granting_groups.contains(group));
        !expired && !revoked && (direct || through_group)
    }

    /// Decides again over everything doubtful, as of one moment.
    fn settle(&mut self, doubt: &Doubt<'h>, at: i64) {
        let mut doubtful = doubt.records.clone();
        for opportunity in &doubt.opportunities {
            let row = self
                .timeline
                .rows
                .get(&(Entity::Opportunity, *opportunity))
                .copied();
            let (qualifies, last_word) = row.map_or((false, false), |row| self.judge(row, at));
            mark(
                self.timeline.closed.entry(opportunity).or_default(),
                last_word,
                at,
            );
            if last_word && doubt.open_before.contains(opportunity) {
                self.timeline.closings.push(Closing {
                    id: opportunity,
                    at_micros: at,
                });
            }

            let brings = match row {
                Some(row) if qualifies => self.brought_by(opportunity, row),
                _ => BTreeSet::new(),
            };
            let brought = self.brings.remove(opportunity).unwrap_or_default();
            for key in brought.difference(&brings) {
                if let Some(count) = self.counts.get_mut(key) {
                    *count -= 1;
                }
            }
            for key in brings.difference(&brought) {
                *self.counts.entry(*key).or_default() += 1;
            }
            doubtful.extend(brought.symmetric_difference(&brings).copied());
            if qualifies {
                self.brings.insert(opportunity, brings);
            }
        }
        for key in doubtful {
            let exists = self.timeline.rows.contains_key(&(entity_of(key.0), key.1));
            let brought = self.counts.get(&key).is_some_and(|count| *count > 0);
            mark(
                self.timeline.spans.entry(key).or_default(),
                exists && brought,
                at,
            );
        }
    }

    /// Whether an opportunity qualifies, and whether it would, were it open: in the eyes of
    /// somebody who has heard of everything that is older than the lag.
    fn judge(&mut self, row: &Row, at: i64) -> (bool, bool) {
        let history = self.timeline.history;
        let owner = history.text(row, "OwnerId");
        if !owner.is_some_and(|owner| self.permitted.contains(owner)) {
            return (false, false);
        }
        let closed = history.flag(row, "IsClosed");
        let (mut qualifies, mut last_word) = (false, false);
        let Some(current) = self.current else {
            return (false, false);
        };
        // From the newest settings back to those that had been replaced before the lag began.
        for rules in self.rules.iter_mut().take(current + 1).rev() {
            for moment in BTreeSet::from([at, at - self.lag]) {
                let day = rules.matcher.day_at(moment);
                let matcher = &rules.matcher;
                let today = rules.days.entry(day).or_insert_with(|| matcher.today(day));
                if matcher.matches(today, history, row) {
                    let wanted = !closed || rules.settings.sync_closed;
                    qualifies |= wanted;
                    last_word |= !wanted;
                }
            }
            if rules.from <= at - self.lag {
                break;
            }
        }
        (qualifies, last_word)
    }

    /// A qualifying opportunity and what comes with it.
    fn brought_by(&self, opportunity: &'h str, row: &'h Row) -> BTreeSet<Key<'h>> {
        let history = self.timeline.history;
        let mut keys = BTreeSet::from([(Kind::Opportunity, opportunity)]);
        keys.extend(history.text(row, "OwnerId").map(|id| (Kind::User, id)));
        keys.extend(history.text(row, "AccountId").map(|id| (Kind::Company, id)));
        for role in self.roles_of.get(opportunity).into_iter().flatten() {
            keys.insert((Kind::ContactRole, role));
            let row = self
                .timeline
                .rows
                .get(&(Entity::OpportunityContactRole, *role))
                .copied();
            let contact = row.and_then(|row| history.text(row, "ContactId"));
            keys.extend(contact.map(|id| (Kind::Contact, id)));
        }
        keys
    }
}

/// Moves an id from one owner's set to another's.
fn move_in<'h>(
    sets: &mut BTreeMap<&'h str, BTreeSet<&'h str>>,
    from: Option<&'h str>,
    to: Option<&'h str>,
    id: &'h str,
) {
    if let Some(set) = from.and_then(|from| sets.get_mut(from)) {
        set.remove(id);
    }
    if let Some(to) = to {
        sets.entry(to).or_default().insert(id);
    }
}

/// Begins or ends a span where the state changed.
fn mark(spans: &mut Vec<Span>, holds: bool, at: i64) {
    match spans.last_mut().filter(|span| span.to.is_none()) {
        Some(span) if !holds => span.to = Some(at),
        None if holds => spans.push(Span { from: at, to: None }),
        _ => {}
    }
}

fn kind_of(entity: Entity) -> Option<Kind> {
    match entity {
        Entity::User => Some(Kind::User),
        Entity::Account => Some(Kind::Company),
        Entity::Contact => Some(Kind::Contact),
        Entity::Opportunity => Some(Kind::Opportunity),
        Entity::OpportunityContactRole => Some(Kind::ContactRole),
        Entity::PermissionSet
        | Entity::PermissionSetAssignment
        | Entity::PermissionSetGroupComponent
        | Entity::Organization
        | Entity::CurrencyType
        | Entity::FiscalYearSettings
        | Entity::Period => None,
    }
}

pub(crate) fn entity_of(kind: Kind) -> Entity {
    match kind {
        Kind::User => Entity::User,
        Kind::Company => Entity::Account,
        Kind::Contact => Entity::Contact,
        Kind::Opportunity => Entity::Opportunity,
        Kind::ContactRole => Entity::OpportunityContactRole,
    }
}
