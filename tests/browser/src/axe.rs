//! axe-core, unmodified, against the rules of WCAG 2.1, levels A and AA.

use serde_json::json;

use crate::Browser;

const AXE: &str = include_str!("../axe/axe.min.js");

/// The rules.
const TAGS: [&str; 4] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];

/// What a page keeps somebody from, a line each with the elements at fault.
///
/// # Panics
/// When the check cannot be made, or has looked at nothing.
pub async fn faults(browser: &Browser) -> Vec<String> {
    let loaded = browser.run(AXE, Vec::new()).await;
    loaded.unwrap_or_else(|error| panic!("axe-core does not load: {error}"));
    let checked = browser
        .client
        .execute_async(
            "const [tags, done] = arguments;
             axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] })
               .then((found) => done({
                 passes: found.passes.length,
                 faults: found.violations.map((fault) =>
                   `${fault.id} (${fault.impact}): ${fault.help}\\n` +
                   fault.nodes.map((node) => `    ${node.target.join(' ')}: ${node.failureSummary.replaceAll('\\n', ' ')}\\n        ${node.html}`).join('\\n')),
               }))
               .catch((error) => done({ passes: 0, faults: [String(error)] }));",
            vec![json!(TAGS)],
        )
        .await;
    let checked = checked.unwrap_or_else(|error| panic!("axe-core does not answer: {error}"));
    let faults = checked["faults"].as_array().expect("a list of faults");
    let passes = checked["passes"].as_u64().unwrap_or_default();
    assert!(
        passes > 5 || !faults.is_empty(),
        "axe-core has looked at nothing: {checked}"
    );
    let texts = faults.iter().filter_map(|fault| fault.as_str());
    texts.map(str::to_owned).collect()
}
