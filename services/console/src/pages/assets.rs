//! Style sheet and scripts, part of the executable. An address names the content by its hash, so
//! that browsers keep it for ever and never show an old one.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};

use crate::pages::asked::Path;
use crate::token;

/// The style sheet.
pub(super) const STYLE: &str = "console.css";
/// What operators' pages have beside it.
pub(super) const OPERATORS_STYLE: &str = "operators.css";
/// Keeps what is live on a page up to date.
pub(super) const LIVE: &str = "live.js";
/// Shows times in the zone of whoever looks.
pub(super) const TIMES: &str = "times.js";
/// The same for times that are written into fields or drawn.
pub(super) const MOMENTS: &str = "moments.js";
/// Says aloud what a script has changed.
pub(super) const SAID: &str = "said.js";
/// Brings the tab of the page into sight where not all fit.
pub(super) const TABS: &str = "tabs.js";
/// The icon of the browser's tab.
pub(super) const ICON: &str = "mosync.svg";

/// Name, media type, content.
const ASSETS: &[(&str, &str, &str)] = &[
    (
        STYLE,
        "text/css; charset=utf-8",
        include_str!("../../assets/console.css"),
    ),
    (
        OPERATORS_STYLE,
        "text/css; charset=utf-8",
        include_str!("../../assets/operators.css"),
    ),
    (
        LIVE,
        "text/javascript; charset=utf-8",
        include_str!("../../assets/live.js"),
    ),
    (
        TIMES,
        "text/javascript; charset=utf-8",
        include_str!("../../assets/times.js"),
    ),
    (
        MOMENTS,
        "text/javascript; charset=utf-8",
        include_str!("../../assets/moments.js"),
    ),
    (
        SAID,
        "text/javascript; charset=utf-8",
        include_str!("../../assets/said.js"),
    ),
    (
        TABS,
        "text/javascript; charset=utf-8",
        include_str!("../../assets/tabs.js"),
    ),
    (
        super::sign_in::FRAME_SCRIPT,
        "text/javascript; charset=utf-8",
        include_str!("../../assets/frame.js"),
    ),
    (
        super::sign_in::HANDOVER_SCRIPT,
        "text/javascript; charset=utf-8",
        include_str!("../../assets/handover.js"),
    ),
    (
        super::settings::SCRIPT,
        "text/javascript; charset=utf-8",
        include_str!("../../assets/settings.js"),
    ),
    (
        ICON,
        "image/svg+xml",
        include_str!("../../assets/mosync.svg"),
    ),
];

/// Each asset's address.
static ADDRESSES: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let address = |name: &str, content: &str| {
        let hash = token::hash_in_words(&token::hash(content));
        let hash: String = hash.chars().take(16).collect();
        format!("/assets/{name}?v={hash}")
    };
    ASSETS
        .iter()
        .map(|(name, _, content)| (*name, address(name, content)))
        .collect()
});

/// Where an asset is, with its hash.
pub(super) fn address(name: &str) -> &'static str {
    ADDRESSES
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("/assets/", |(_, address)| address.as_str())
}

/// Only names of the table above are known: nothing is read from a disk.
pub(super) async fn show(Path(name): Path<String>) -> Response {
    let Some((_, media_type, content)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, *media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, *content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_has_an_address_that_names_its_content() {
        for (name, ..) in ASSETS {
            let address = address(name);
            let (path, hash) = address.split_once("?v=").unwrap();
            assert_eq!(path, format!("/assets/{name}"));
            assert_eq!(hash.len(), 16, "{address}");
        }
    }

    /// WCAG 2.1, relative luminance of `#rrggbb`.
    fn luminance(colour: &str) -> f64 {
        let part = |from: usize| {
            let part = colour.get(from..from + 2).unwrap();
            let part = u8::from_str_radix(part, 16).unwrap();
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        part(3).mul_add(0.7152, part(1).mul_add(0.2126, part(5) * 0.0722))
    }

    #[test]
    fn what_charts_and_bars_are_drawn_in_stands_out_from_white() {
        let style = ASSETS.iter().find(|(name, ..)| *name == OPERATORS_STYLE);
        let (.., style) = style.unwrap();
        let drawn = style
            .split('}')
            .filter(|rule| !rule.contains(".hit"))
            .filter_map(|rule| rule.split_once("fill: #"));
        let mut seen = 0;
        for (selector, colour) in drawn {
            seen += 1;
            let colour = format!("#{}", colour.get(..6).unwrap());
            let contrast = 1.05 / (luminance(&colour) + 0.05);
            assert!(contrast >= 3.0, "{selector} {colour}: {contrast:.2} to 1");
        }
        assert!(seen >= 6, "{seen}");
    }
}
