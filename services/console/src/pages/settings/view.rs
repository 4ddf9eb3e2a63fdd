//! The page mOS Settings.

use maud::{Markup, html};

use super::filter::{self, Choice};
use super::written::{DAILY, Faults, Written};
use super::{CHECKLIST, HISTORY, PATH, SCRIPT, SYNC_ALL, TRANSFER};
use crate::pages::context::PageContext;
use crate::pages::layout::Page;
use crate::pages::parts::form::{self, Field};
use crate::pages::parts::icon::Icon;
use crate::pages::parts::{card, notice, time};
use crate::pages::{assets, fault};
use crate::views::{FieldList, SettingsView};

/// The form's id, by which the buttons of the header belong to it.
const FORM: &str = "settings";

const FREQUENCIES: &[(&str, &str)] = &[
    ("real_time", "Real time"),
    ("every_5_min", "Every 5 minutes"),
    ("every_15_min", "Every 15 minutes"),
    ("every_30_min", "Every 30 minutes"),
    ("every_60_min", "Every 60 minutes"),
    (DAILY, "Daily"),
];

const BLANKS: &[(&str, &str)] = &[
    ("keep", "A blank field satisfies them, as in list views"),
    ("drop", "A blank field does not satisfy them"),
];

const ZONES: &[(&str, &str)] = &[
    ("org", "The org's default time zone"),
    ("user", "The integration user's time zone"),
];

/// What the page shows.
pub(super) struct Shown<'a> {
    pub(super) written: &'a Written,
    pub(super) faults: &'a Faults,
    /// Whether the form holds what is not saved.
    pub(super) unsaved: bool,
    pub(super) current: &'a SettingsView,
    /// The fields, or why there are none.
    pub(super) fields: Result<&'a FieldList, String>,
}

pub(super) fn page(context: &PageContext, shown: &Shown<'_>) -> Page {
    let Shown {
        written, faults, ..
    } = shown;
    let no_fields = [];
    let fields = shown
        .fields
        .as_ref()
        .map_or(&no_fields[..], |list| &list.fields);
    let choice = Choice { fields };
    let body = form::order_as(
        context,
        FORM,
        PATH,
        shown.unsaved,
        html! {
            input type="hidden" name="base" value=(written.base);
            div.columns {
                (card::card("Notifications", &emails(written, faults)))
                (card::card("Switches", &switches(written)))
            }
            (card::card("Basic settings", &basic(written, faults, context.org.time_zone.as_deref())))
            (card::card("Opportunity Filter", &html! {
                @if let Err(why) = &shown.fields {
                    (notice::warning(&html! { "The fields of the org cannot be listed now: " (fault::said(why)) }))
                }
                p.only-read id=(filter::SAID) role="status" {}
                (filter::builder(written, faults, choice))
                (meaning(written, faults))
            }))
        },
    );
    let mut page = Page::new("mOS Settings", Icon::Settings, body)
        .hint(hint(shown.current))
        .actions(html! {
            a.button href=(SYNC_ALL) { "Sync all data to mOS" }
            button.brand-button type="submit" form=(FORM) name="do" value="preview" { "Save" }
        })
        .script(SCRIPT)
        .script(assets::SAID);
    if !faults.is_empty() {
        page = page.notice(notice::failed(&html! {
            p { strong { "Nothing was saved." } " " (told(faults)) }
            @if let Some(elsewhere) = faults.elsewhere() { p { (elsewhere) } }
        }));
    }
    page
}

fn told(faults: &Faults) -> String {
    match faults.len() {
        1 => "One field needs a look.".to_owned(),
        number => format!("{number} fields need a look."),
    }
}

fn hint(current: &SettingsView) -> Markup {
    html! {
        @match current.saved {
            Some(saved) => { "Revision " (current.revision) ", saved " (time::at(saved)) " by " (current.author) }
            None => "Nothing was saved yet: these are the settings as they come."
        }
        " · " a href=(HISTORY) { "History" }
        " · " a href=(TRANSFER) { "Export and import" }
        " · " a href=(CHECKLIST) { "First-run checklist" }
    }
}

fn emails(written: &Written, faults: &Faults) -> Markup {
    Field::new("emails", "mOS Admin Email Notification")
        .help("Who receives every notification of the integration. Several addresses with commas between them.")
        .error(faults.of("emails").as_deref())
        .area(&written.emails, 2)
}

fn switches(written: &Written) -> Markup {
    html! {
        (Field::new("disabled", "Disable mOS Sync")
            .help("Stops the synchronisation: nothing is sent to mOS. What changes meanwhile is caught up later.")
            .checkbox(written.disabled))
        (Field::new("run_in_sandbox", "Run In Sandbox")
            .help("Lets a Salesforce sandbox be synchronised with mOS. Without it nothing is sent from a sandbox.")
            .checkbox(written.run_in_sandbox))
    }
}

fn basic(written: &Written, faults: &Faults, org_zone: Option<&str>) -> Markup {
    let zone = org_zone.map_or_else(String::new, |zone| format!(" ({zone})"));
    let daily = format!("The time in the org's zone{zone}, such as 06:30; counts for Daily only.");
    let of = |field: &str| faults.of(field);
    html! {
        div.row.tops {
            (Field::new("frequency", "Frequency of syncs")
                .error(of("frequency").as_deref())
                .select(FREQUENCIES, &written.frequency))
            (Field::new("daily_at", "Daily at")
                .help(&daily)
                .error(of("daily_at").as_deref())
                .input("text", &written.daily_at))
        }
        (Field::new("sync_closed", "Sync closed opportunities")
            .help("Without it, an opportunity that closes is sent once more, and then no more.")
            .checkbox(written.sync_closed))
        div.row.tops {
            (Field::new("percent", "Share of the API allowance, percent")
                .help("Bulk reading stops when mosync has used so much of the org's requests within 24 hours.")
                .error(of("percent").as_deref())
                .input("text", &written.percent))
            (Field::new("reserve", "API allowance kept for the org, percent")
                .help("Live changes stop when no more than this is left; bulk reading at twice as much.")
                .error(of("reserve").as_deref())
                .input("text", &written.reserve))
        }
    }
}

fn meaning(written: &Written, faults: &Faults) -> Markup {
    html! {
        div.row.tops.meaning {
            (Field::new("blanks", "Blank fields and negations (not equal to, does not contain, excludes)")
                .error(faults.of("blanks").as_deref())
                .select(BLANKS, &written.blanks))
            (Field::new("zone", "Dates are days in")
                .error(faults.of("zone").as_deref())
                .select(ZONES, &written.zone))
        }
    }
}
