//! Ids that lead to the record in Salesforce.

use domain::SalesforceId;
use maud::{Markup, html};

use crate::pages::context::PageContext;

/// A record's id, as a link to the record in Lightning.
pub fn id(context: &PageContext, id: &SalesforceId) -> Markup {
    link(context, &format!("/lightning/r/{id}/view"), id)
}

/// The org's id, as a link to its Company Information.
pub fn org(context: &PageContext, id: &SalesforceId) -> Markup {
    link(context, "/lightning/setup/CompanyProfileInfo/home", id)
}

fn link(context: &PageContext, path: &str, id: &SalesforceId) -> Markup {
    let instance = &context.viewer.instance_url;
    html! {
        @if instance.is_empty() { code { (id) } }
        @else {
            a.record href=(format!("{instance}{path}")) target="_blank" rel="noopener noreferrer" title="Open in Salesforce" { code { (id) } }
        }
    }
}
