//! The small coloured square beside a page's title.

use maud::{Markup, html};

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// Settings and mapping.
    Settings,
    /// People.
    Users,
    /// The state of the sync.
    Status,
    /// Jobs.
    Jobs,
    /// Parked records.
    Parked,
    /// Logs.
    Logs,
    /// Why a record was or was not synced.
    Explain,
    /// Mail.
    Notifications,
    /// Sign-in and tokens.
    Access,
    /// Something is wrong.
    Fault,
}

impl Icon {
    /// The square. Decoration: the title says it.
    pub fn markup(self) -> Markup {
        let (class, path) = match self {
            Self::Settings => (
                "icon grey",
                "M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10.5 3h3l.5 2.4 1.6.7 2.1-1.3 2 2.1-1.2 2 .7 1.6 2.3.5v3l-2.3.5-.7 1.6 1.2 2-2 2.1-2.1-1.3-1.6.7-.5 2.4h-3l-.5-2.4-1.6-.7-2.1 1.3-2-2.1 1.2-2-.7-1.6L2.500 14v-3l2.300-.5.7-1.600-1.200-2 2-2.100 2.100 1.300 1.600-.7z",
            ),
            Self::Users => (
                "icon blue",
                "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm-8 8c0-4 4-6 8-6s8 2 8 6z",
            ),
            Self::Status => (
                "icon green",
                "M3 13h4l2-7 4 13 3-9 1.500 3H21v2h-5l-1-1-2.500 8-4-13L8.500 15H3z",
            ),
            Self::Jobs => ("icon violet", "M4 5h16v3H4zm0 5.500h11v3H4zM4 16h7v3H4z"),
            Self::Parked => (
                "icon orange",
                "M7 4h6a5 5 0 0 1 0 10h-3v6H7zm3 3v4h3a2 2 0 0 0 0-4z",
            ),
            Self::Logs => ("icon teal", "M5 3h10l4 4v14H5zm3 7v2h8v-2zm0 4v2h8v-2z"),
            Self::Explain => (
                "icon blue",
                "M10 4a6 6 0 1 0 3.700 10.700L19 20l1.500-1.500-5.300-5.300A6 6 0 0 0 10 4zm0 2.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7z",
            ),
            Self::Notifications => (
                "icon violet",
                "M3 6h18l-9 6.500zm0 2.500V18h18V8.500L12 15z",
            ),
            Self::Access => (
                "icon grey",
                "M7 10V8a5 5 0 0 1 10 0v2h1.500v10h-13V10zm2.500 0h5V8a2.500 2.500 0 0 0-5 0z",
            ),
            Self::Fault => ("icon red", "M12 3l10 18H2zm-1 6v6h2V9zm0 7.500v2h2v-2z"),
        };
        html! {
            span class=(class) aria-hidden="true" {
                svg viewBox="0 0 24 24" width="24" height="24" { path d=(path) fill="currentColor" {} }
            }
        }
    }
}
