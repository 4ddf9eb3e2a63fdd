//! Field Mapping: which Salesforce field fills which field in mOS.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use domain::ObjectKind;
use domain::mapping::{ContractTermType, Mapping, MappingRow};
use http::StatusCode;
use maud::{Markup, html};
use serde::Serialize;
use serde_json::json;

use super::context::PageContext;
use super::fault::{self, sentence};
use super::layout::Page;
use super::parts::icon::Icon;
use super::parts::{badge, card, form, notice};
use super::sent::Sent;
use super::settings::written::Faults;
use super::settings::{self, Came, SCRIPT};
use super::{Desk, download};
use crate::OpsError;
use crate::export::Line;
use crate::views::{FaultView, FieldList, FieldView, SaveSettings};

/// Where it is.
pub(super) const PATH: &str = "/mapping";
/// Where the mapping that the org keeps is taken over.
pub(super) const TAKE_OVER: &str = "/mapping/take-over";
/// The rows in force as CSV.
pub(super) const EXPORT: &str = "/mapping/export";
const FORM: &str = "mapping";

/// A row of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Row {
    object: String,
    mos_field: String,
    salesforce_field: String,
    active: bool,
    term: String,
}

impl Line for Row {
    const HEADINGS: &'static [&'static str] = &[
        "object",
        "mos_field",
        "salesforce_field",
        "active",
        "standard",
        "contract_term_type",
    ];

    fn cells(&self) -> Vec<String> {
        // What is not mapped is neither.
        let active = match (self.salesforce_field.is_empty(), self.active) {
            (true, _) => "",
            (false, true) => "yes",
            (false, false) => "no",
        };
        vec![
            self.object.clone(),
            self.mos_field.clone(),
            self.salesforce_field.clone(),
            active.to_owned(),
            standard(self).unwrap_or_default().to_owned(),
            self.term.clone(),
        ]
    }
}

/// What stands in the form.
#[derive(Debug, Clone, Default)]
struct Written {
    base: u64,
    rows: Vec<Row>,
}

impl Written {
    /// Every field of mOS, mapped or not.
    fn of(base: u64, mapping: &Mapping) -> Self {
        let mut rows = Vec::new();
        for object in ObjectKind::ALL {
            for (mos_field, _) in Mapping::mos_fields(object) {
                let is_of =
                    |row: &&MappingRow| (row.object, row.mos_field.as_str()) == (object, mos_field);
                let mapped: Vec<Row> = mapping.rows().iter().filter(is_of).map(row).collect();
                if mapped.is_empty() {
                    rows.push(Row {
                        object: object.api_name().to_owned(),
                        mos_field: mos_field.to_owned(),
                        active: true,
                        ..Row::default()
                    });
                }
                rows.extend(mapped);
            }
        }
        Self { base, rows }
    }

    fn read(pairs: &[(String, String)]) -> Self {
        /// mOS has fewer fields, each with a row or two.
        const MOST: usize = 400;
        let sent: BTreeMap<&str, &str> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let text = |name: String| sent.get(name.as_str()).copied().unwrap_or_default();
        let rows =
            (1..=MOST).take_while(|number| sent.contains_key(format!("mos.{number}").as_str()));
        Self {
            base: text("base".to_owned()).parse().unwrap_or_default(),
            rows: rows
                .map(|number| Row {
                    object: text(format!("object.{number}")).to_owned(),
                    mos_field: text(format!("mos.{number}")).to_owned(),
                    salesforce_field: text(format!("field.{number}")).trim().to_owned(),
                    active: sent.contains_key(format!("active.{number}").as_str()),
                    term: text(format!("term.{number}")).to_owned(),
                })
                .collect(),
        }
    }

    /// The rows as a document has them. An empty Salesforce field is no row: the mOS field is mapped
    /// as standard, where it has a standard.
    fn document(&self) -> Vec<serde_json::Value> {
        let filled = self
            .rows
            .iter()
            .filter(|row| !row.salesforce_field.is_empty());
        filled
            .map(|row| {
                let mut value = json!({
                    "object": row.object, "mos_field": row.mos_field,
                    "salesforce_field": row.salesforce_field, "active": row.active,
                });
                if !row.term.is_empty()
                    && let Some(fields) = value.as_object_mut()
                {
                    fields.insert("contract_term_type".to_owned(), json!(row.term));
                }
                value
            })
            .collect()
    }

    fn place(&self, found: &[FaultView], faults: &mut Faults) {
        let filled: Vec<usize> = (1..)
            .zip(&self.rows)
            .filter(|(_, row)| !row.salesforce_field.is_empty())
            .map(|(number, _)| number)
            .collect();
        for fault in found {
            let message = sentence(&fault.message);
            let by_name = fault
                .at
                .strip_prefix("mapping.")
                .and_then(|at| at.split_once('.'));
            if let Some((object, mos_field)) = by_name {
                let rows = (1..).zip(&self.rows).filter(|(_, row)| {
                    (row.object.as_str(), row.mos_field.as_str()) == (object, mos_field)
                });
                let numbers: Vec<usize> = rows.map(|(number, _)| number).collect();
                match numbers.last() {
                    Some(number) => faults.add(format!("field.{number}"), message),
                    None => faults.add("", message),
                }
                continue;
            }
            let place = fault
                .at
                .strip_prefix("mapping[")
                .and_then(|at| at.strip_suffix(']'));
            let place = place.and_then(|place| place.parse::<usize>().ok());
            let number = place.and_then(|place| filled.get(place.checked_sub(1)?));
            match number {
                Some(number) => faults.add(format!("field.{number}"), message),
                None => faults.add("", message),
            }
        }
    }
}

fn row(row: &MappingRow) -> Row {
    Row {
        object: row.object.api_name().to_owned(),
        mos_field: row.mos_field.clone(),
        salesforce_field: row.salesforce_field.clone(),
        active: row.active,
        term: row.contract_term_type.map(term_name).unwrap_or_default(),
    }
}

/// As documents spell it.
fn term_name(term: ContractTermType) -> String {
    json!(term).as_str().unwrap_or_default().to_owned()
}

pub(super) async fn show(State(desk): State<Desk>, context: PageContext) -> Response {
    let page = async {
        let current = desk.operations.settings().await?;
        let written = Written::of(current.revision, &current.settings.mapping);
        Ok(page(&desk, &context, &written, &Faults::default(), false).await)
    };
    settings::answer(&context, page.await)
}

pub(super) async fn export(State(desk): State<Desk>, context: PageContext) -> Response {
    let current = desk.operations.settings().await;
    let rows = current.map(|current| Written::of(current.revision, &current.settings.mapping).rows);
    download::whole(&context, "mosync-mapping.csv", rows).await
}

/// The form with a mapping that was looked at, and what is wrong with it.
pub(super) async fn again(
    desk: &Desk,
    context: &PageContext,
    (base, mapping): (u64, &Mapping),
    found: &[FaultView],
) -> Page {
    let written = Written::of(base, mapping);
    let mut faults = Faults::default();
    written.place(found, &mut faults);
    page(desk, context, &written, &faults, true).await
}

/// The mapping that the org keeps as custom metadata of the mOS package: what saving it would do.
pub(super) async fn take_over(State(desk): State<Desk>, context: PageContext) -> Response {
    let looked = async {
        let current = desk.operations.settings().await?;
        let taken = desk.operations.mapping_of_org(&current.settings.mapping);
        let failed = match taken.await {
            Ok(taken) => {
                let mut document = json!(current.settings);
                if let Some(document) = document.as_object_mut() {
                    document.insert("mapping".to_owned(), json!(taken.mapping));
                }
                let asked = SaveSettings {
                    base: Some(current.revision),
                    settings: serde_json::from_value(document.clone()).ok(),
                };
                let page =
                    settings::foresee(&desk, &context, &asked, document, Came::Mapping).await?;
                return Ok(match taken.remarks.as_slice() {
                    [] => page,
                    remarks => page.notice(notice::warning(&sentences(remarks.iter()))),
                });
            }
            Err(error) => error,
        };
        let said = if let OpsError::Refused(found) = &failed {
            sentences(found.iter().map(|fault| &fault.message))
        } else if matches!(failed, OpsError::NotFound(_) | OpsError::OutOfReach(_)) {
            html! { p { (sentence(&failed.to_string())) } }
        } else {
            return Err(failed);
        };
        let written = Written::of(current.revision, &current.settings.mapping);
        let page = page(&desk, &context, &written, &Faults::default(), false).await;
        Ok(page.status(failed.status()).notice(notice::failed(&html! {
            p { strong { "The org's mapping was not taken over." } }
            (said)
        })))
    };
    settings::answer(&context, looked.await)
}

fn sentences<'s>(said: impl Iterator<Item = &'s String>) -> Markup {
    html! { ul { @for one in said { li { (sentence(one)) } } } }
}

/// The form was sent, by one of its buttons.
pub(super) async fn act(State(desk): State<Desk>, context: PageContext, sent: Sent) -> Response {
    let mut written = Written::read(sent.pairs());
    let deed = sent.get("do");
    let deed = deed.as_deref().unwrap_or("preview");
    if deed != "preview" {
        change(&mut written, deed);
        let page = page(&desk, &context, &written, &Faults::default(), true).await;
        return settings::answer(&context, Ok(page));
    }
    let looked = async {
        let base = desk.operations.settings_revision(written.base).await?;
        let mut document = json!(base.settings);
        if let Some(document) = document.as_object_mut() {
            document.insert("mapping".to_owned(), json!(written.document()));
        }
        let asked = SaveSettings {
            base: Some(written.base),
            settings: serde_json::from_value(document.clone()).ok(),
        };
        match settings::foresee(&desk, &context, &asked, document, Came::Mapping).await {
            Err(OpsError::Refused(found)) => {
                let mut faults = Faults::default();
                written.place(&found, &mut faults);
                let page = page(&desk, &context, &written, &faults, true).await;
                Ok(page.status(StatusCode::UNPROCESSABLE_ENTITY))
            }
            Err(error) if settings::is_kept_with(&error) => {
                let page = page(&desk, &context, &written, &Faults::default(), true).await;
                let told = sentence(&error.to_string());
                Ok(page
                    .status(error.status())
                    .notice(notice::failed(&html! { "Nothing was saved. " (told) })))
            }
            other => other,
        }
    };
    settings::answer(&context, looked.await)
}

/// A row more for a mOS field, or one less.
fn change(written: &mut Written, deed: &str) {
    let place = |deed: &str| deed.parse::<usize>().ok()?.checked_sub(1);
    if let Some(place) = deed.strip_prefix("add.").and_then(place)
        && let Some(row) = written.rows.get(place).cloned()
    {
        let added = Row {
            salesforce_field: String::new(),
            active: false,
            ..row
        };
        written.rows.insert(place + 1, added);
    }
    let Some(place) = deed.strip_prefix("remove.").and_then(place) else {
        return;
    };
    let Some(row) = written.rows.get(place).cloned() else {
        return;
    };
    let is_same = |other: &&Row| (&other.object, &other.mos_field) == (&row.object, &row.mos_field);
    if written.rows.iter().filter(is_same).count() > 1 {
        written.rows.remove(place);
    } else if let Some(row) = written.rows.get_mut(place) {
        // The last row of a field goes back to the standard.
        standard(row)
            .unwrap_or_default()
            .clone_into(&mut row.salesforce_field);
        row.active = true;
        row.term.clear();
    }
}

fn standard(row: &Row) -> Option<&'static str> {
    let object = row.object.parse::<ObjectKind>().ok()?;
    let mut fields = Mapping::mos_fields(object);
    fields.find(|(name, _)| *name == row.mos_field)?.1
}

async fn page(
    desk: &Desk,
    context: &PageContext,
    written: &Written,
    faults: &Faults,
    unsaved: bool,
) -> Page {
    let mut unlisted = None;
    let mut lists = BTreeMap::new();
    for object in ObjectKind::ALL {
        match desk.operations.fields_of(object).await {
            Ok(list) => {
                lists.insert(object, list);
            }
            Err(error) => {
                unlisted = Some(error.to_string());
                break;
            }
        }
    }
    let body = form::order_as(
        context,
        FORM,
        PATH,
        unsaved,
        html! {
            input type="hidden" name="base" value=(written.base);
            @for object in ObjectKind::ALL {
                (card::card(object.api_name(), &object_rows(object, written, faults, lists.get(&object))))
            }
        },
    );
    let mut page = Page::new("Field Mapping", Icon::Settings, body)
        .hint(html! { "Only active rows are synced. A field that is left empty is mapped as standard, where it has a standard." })
        .actions(html! {
            a.button href=(EXPORT) download { "Export CSV" }
            a.button href="/settings/transfer" { "Export and import" }
            (form::order(context, TAKE_OVER, html! {
                button.button type="submit" { "Take over the org's mapping" }
            }))
            button.brand-button type="submit" form=(FORM) name="do" value="preview" { "Save" }
        })
        .script(SCRIPT);
    if let Some(why) = unlisted {
        page = page.notice(notice::warning(
            &html! { "The fields of the org cannot be listed now: " (fault::said(&why)) },
        ));
    }
    if !faults.is_empty() {
        page = page.notice(notice::failed(&html! {
            p { strong { "Nothing was saved." } " Look at the rows with a sentence in red." }
            @if let Some(elsewhere) = faults.elsewhere() { p { (elsewhere) } }
        }));
    }
    page
}

fn object_rows(
    object: ObjectKind,
    written: &Written,
    faults: &Faults,
    fields: Option<&FieldList>,
) -> Markup {
    let no_fields: [FieldView; 0] = [];
    let fields = fields.map_or(&no_fields[..], |list| &list.fields);
    let is_of = |row: &Row| row.object == object.api_name();
    let rows = (1_usize..).zip(&written.rows).filter(|(_, row)| is_of(row));
    html! {
        div.mapping id=(format!("mapping-{object}")) {
            datalist id=(format!("fields-{object}")) {
                @for field in fields.iter().filter(|field| !field.name.contains('.')) {
                    option value=(field.name) { (field.label) }
                }
            }
            div.mapping-row.mapping-head aria-hidden="true" {
                span { "mOS field" } span { "Salesforce field" } span { "Is Active" } span { "Standard" } span {}
            }
            @for (number, row) in rows { (mapping_row(object, number, row, faults)) }
        }
    }
}

fn mapping_row(object: ObjectKind, number: usize, row: &Row, faults: &Faults) -> Markup {
    let name = format!("field.{number}");
    let fault = faults.of(&name);
    let standard = standard(row);
    let differs = standard.unwrap_or_default() != row.salesforce_field || !row.active;
    let is_changed = differs && !(standard.is_none() && row.salesforce_field.is_empty());
    let has_term = Mapping::has_term(object, &row.mos_field);
    let label = format!("Salesforce field for {} of {object}", row.mos_field);
    html! {
        div.mapping-row.wrong[fault.is_some()] role="group" aria-label=(format!("{} of {object}", row.mos_field)) {
            input type="hidden" name=(format!("object.{number}")) value=(row.object);
            input type="hidden" name=(format!("mos.{number}")) value=(row.mos_field);
            div.mapping-mos { code { (row.mos_field) } @if is_changed { " " (badge::badge(badge::Tone::Busy, "Own")) } }
            div {
                input id=(name) name=(name) type="text" value=(row.salesforce_field) autocomplete="off"
                    list=(format!("fields-{object}")) aria-label=(label)
                    placeholder=(if standard.is_some() { "as standard" } else { "not mapped" })
                    aria-invalid=[fault.as_ref().map(|_| "true")]
                    aria-describedby=[fault.as_ref().map(|_| format!("{name}-error"))];
                @if let Some(fault) = &fault { p.error id=(format!("{name}-error")) { (fault) } }
                @if has_term { (term(number, row)) }
            }
            div.mapping-active {
                input id=(format!("active.{number}")) name=(format!("active.{number}")) type="checkbox" checked[row.active];
                label for=(format!("active.{number}")) { "Active" span.only-read { ": " (row.mos_field) " of " (object.api_name()) } }
            }
            div.mapping-standard.quiet { @if let Some(standard) = standard { code { (standard) } } @else { "none" } }
            div.mapping-buttons {
                @if is_changed {
                    button.button type="submit" name="do" value=(format!("remove.{number}")) formnovalidate {
                        "Remove" span.only-read { " the row of " (row.mos_field) }
                    }
                }
                button.button type="submit" name="do" value=(format!("add.{number}")) formnovalidate {
                    "Add row" span.only-read { " for " (row.mos_field) }
                }
            }
        }
    }
}

fn term(number: usize, row: &Row) -> Markup {
    let name = format!("term.{number}");
    html! {
        div.mapping-term {
            label for=(name) { "ContractTermType" }
            select id=(name) name=(name) {
                option value="" selected[row.term.is_empty()] { "Monthly (default)" }
                @for term in ContractTermType::ALL {
                    @let value = term_name(term);
                    option value=(value) selected[value == row.term] { (term.name()) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(rows: &[(&str, &str, bool)]) -> Mapping {
        let rows = rows
            .iter()
            .map(|(mos_field, salesforce_field, active)| MappingRow {
                object: ObjectKind::Opportunity,
                mos_field: (*mos_field).to_owned(),
                salesforce_field: (*salesforce_field).to_owned(),
                active: *active,
                contract_term_type: None,
            });
        Mapping::new(rows.collect()).unwrap()
    }

    #[test]
    fn the_form_of_a_mapping_makes_that_mapping() {
        for mapping in [
            Mapping::default(),
            mapped(&[("arr", "ARR__c", true), ("amount", "Amount", false)]),
            mapped(&[("arr", "ARR__c", false), ("arr", "Other__c", true)]),
        ] {
            let written = Written::of(1, &mapping);
            let rows: Vec<MappingRow> = serde_json::from_value(json!(written.document())).unwrap();
            assert_eq!(Mapping::new(rows).unwrap(), mapping);
        }
    }

    #[test]
    fn rows_are_added_and_taken_back_to_the_standard() {
        let mut written = Written::of(1, &mapped(&[("amount", "ARR__c", true)]));
        let place = |written: &Written| {
            let of_amount = |row: &Row| row.object == "Opportunity" && row.mos_field == "amount";
            written.rows.iter().position(of_amount).unwrap()
        };
        let number = place(&written) + 1;
        change(&mut written, &format!("add.{number}"));
        assert_eq!(written.rows[number].mos_field, "amount");
        change(&mut written, &format!("remove.{}", number + 1));
        change(&mut written, &format!("remove.{number}"));
        assert_eq!(written.rows[place(&written)].salesforce_field, "Amount");
        for nonsense in ["remove.0", "remove.x", "add.9999", "dance"] {
            change(&mut written, nonsense);
        }
        assert_eq!(
            written.rows.len(),
            Written::of(1, &Mapping::default()).rows.len()
        );
    }
}
