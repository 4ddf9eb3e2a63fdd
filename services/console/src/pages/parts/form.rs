//! Forms and their fields: every field has a label, may have a help text, and shows in place what
//! is wrong with it.

use maud::{Markup, html};

use crate::operations::LONGEST_REASON;
use crate::pages::context::PageContext;

/// The name of the field that carries the session's token.
pub const TOKEN: &str = "form_token";

/// A form that orders something. Forms without the session's token are refused, so every form that
/// posts is made here.
pub fn order(context: &PageContext, action: &str, body: Markup) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name=(TOKEN) value=(context.viewer.form_token);
            (body)
        }
    }
}

/// The same with an id, by which buttons elsewhere on the page belong to it.
pub(crate) fn order_named(context: &PageContext, id: &str, action: &str, body: Markup) -> Markup {
    html! {
        form method="post" action=(action) id=(id) {
            input type="hidden" name=(TOKEN) value=(context.viewer.form_token);
            (body)
        }
    }
}

/// The same of a form that is filled in over a while. `unsaved` says that it holds
/// what is not saved; a script then asks before the page is left.
pub(crate) fn order_as(
    context: &PageContext,
    id: &str,
    action: &str,
    unsaved: bool,
    body: Markup,
) -> Markup {
    html! {
        form method="post" action=(action) id=(id) data-guarded data-unsaved[unsaved] {
            input type="hidden" name=(TOKEN) value=(context.viewer.form_token);
            (body)
        }
    }
}

/// A button that leaves behind what is not saved, and is not asked about it: that is what it says.
pub(crate) fn leave(path: &str, label: &str) -> Markup {
    html! {
        form method="get" action=(path) data-guarded {
            button.button type="submit" { (label) }
        }
    }
}

/// A field's label, help and error, without its value.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The name in the form.
    pub name: &'a str,
    /// The id in the page, where the name is not the only one on it.
    pub id: Option<&'a str>,
    /// What people call it.
    pub label: &'a str,
    /// How it is meant, if that is not plain.
    pub help: Option<&'a str>,
    /// What is wrong with what was written.
    pub error: Option<&'a str>,
    /// Whether it must be filled in.
    pub required: bool,
    /// Letters that fit in.
    pub longest: Option<usize>,
}

impl<'a> Field<'a> {
    /// With a name and a label.
    pub const fn new(name: &'a str, label: &'a str) -> Self {
        Self {
            name,
            id: None,
            label,
            help: None,
            error: None,
            required: false,
            longest: None,
        }
    }

    /// Why somebody gives an order.
    pub(crate) const fn reason(label: &'a str) -> Self {
        Self {
            longest: Some(LONGEST_REASON),
            ..Self::new("reason", label)
        }
    }

    /// With an id of its own: another form of the page has a field of that name.
    #[must_use]
    pub const fn id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }

    fn place(&self) -> &'a str {
        self.id.unwrap_or(self.name)
    }

    /// With a help text.
    #[must_use]
    pub const fn help(mut self, help: &'a str) -> Self {
        self.help = Some(help);
        self
    }

    /// With what is wrong, if anything is.
    #[must_use]
    pub const fn error(mut self, error: Option<&'a str>) -> Self {
        self.error = error;
        self
    }

    /// Which must be filled in.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// One line; `kind` is the `type` of HTML, such as `text`, `email`, `search` or `date`.
    pub fn input(&self, kind: &str, value: &str) -> Markup {
        self.around(&html! {
            input id=(self.place()) name=(self.name) type=(kind) value=(value)
                required[self.required]
                maxlength=[self.longest]
                aria-invalid=[self.error.map(|_| "true")]
                aria-describedby=[self.described_by()];
        })
    }

    /// One line with suggestions: the id of a `datalist` of the page.
    pub(crate) fn input_with(&self, kind: &str, value: &str, list: Option<&str>) -> Markup {
        self.around(&html! {
            input id=(self.place()) name=(self.name) type=(kind) value=(value) list=[list]
                autocomplete="off"
                required[self.required]
                aria-invalid=[self.error.map(|_| "true")]
                aria-describedby=[self.described_by()];
        })
    }

    /// One of several that are made at run time; the page's script
    /// asks the server anew when another one is chosen.
    pub(crate) fn select_with(&self, options: &[(String, String)], chosen: &str) -> Markup {
        self.around(&html! {
            select id=(self.place()) name=(self.name) data-refresh
                aria-invalid=[self.error.map(|_| "true")]
                aria-describedby=[self.described_by()] {
                @for (value, label) in options {
                    option value=(value) selected[value == chosen] { (label) }
                }
            }
        })
    }

    /// Several lines.
    pub fn area(&self, value: &str, lines: u8) -> Markup {
        self.around(&html! {
            textarea id=(self.place()) name=(self.name) rows=(lines)
                required[self.required]
                aria-invalid=[self.error.map(|_| "true")]
                aria-describedby=[self.described_by()] { (value) }
        })
    }

    /// One of several: value and label of each.
    pub fn select(&self, options: &[(&str, &str)], chosen: &str) -> Markup {
        self.around(&html! {
            select id=(self.place()) name=(self.name)
                required[self.required]
                aria-invalid=[self.error.map(|_| "true")]
                aria-describedby=[self.described_by()] {
                @for (value, label) in options {
                    option value=(value) selected[*value == chosen] { (label) }
                }
            }
        })
    }

    /// Yes or no; sent as `on`, or not at all.
    pub fn checkbox(&self, is_on: bool) -> Markup {
        html! {
            div.field.check {
                input id=(self.place()) name=(self.name) type="checkbox" checked[is_on]
                    aria-invalid=[self.error.map(|_| "true")]
                    aria-describedby=[self.described_by()];
                label for=(self.place()) { (self.label) }
                (self.below())
            }
        }
    }

    /// The label above a control of the page's own and what is below it. The control's id is the
    /// field's.
    pub fn around(&self, control: &Markup) -> Markup {
        let class = if self.error.is_some() {
            "field wrong"
        } else {
            "field"
        };
        html! {
            div class=(class) {
                label for=(self.place()) {
                    @if self.required { abbr title="required" { "*" } " " }
                    (self.label)
                }
                (control)
                (self.below())
            }
        }
    }

    fn below(&self) -> Markup {
        html! {
            @if let Some(error) = self.error {
                p.error id=(format!("{}-error", self.place())) { (error) }
            }
            @if let Some(help) = self.help {
                p.help id=(format!("{}-help", self.place())) { (help) }
            }
        }
    }

    fn described_by(&self) -> Option<String> {
        let named = |part: Option<&str>, what| part.map(|_| format!("{}-{what}", self.place()));
        let parts = [named(self.error, "error"), named(self.help, "help")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

/// The button that does what the page is for.
pub fn submit(label: &str) -> Markup {
    html! { button.brand-button type="submit" { (label) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_field_says_so_to_everybody() {
        let field = Field::new("email", "Email")
            .help("An address.")
            .error(Some("`x` is no address"));
        let markup = field.input("email", "\"x").into_string();
        for part in [
            "<label for=\"email\">Email</label>",
            "aria-invalid=\"true\"",
            "aria-describedby=\"email-error email-help\"",
            "value=\"&quot;x\"",
            "id=\"email-error\">`x` is no address",
        ] {
            assert!(markup.contains(part), "{part} in {markup}");
        }
        assert!(!markup.contains("maxlength"), "{markup}");
        let reason = Field::reason("Why").input("text", "").into_string();
        assert!(reason.contains(" name=\"reason\" type=\"text\" value=\"\" maxlength=\"500\""));
        let right = Field::new("email", "Email")
            .input("email", "")
            .into_string();
        assert!(!right.contains("aria-invalid") && !right.contains("aria-describedby"));
    }
}
