//! `mosync parked`.

use std::process::ExitCode;

use ports::stores::ParkedFilter;
use runtime::config::Config;

use crate::exit::{Failure, print};

const PAGE: usize = 500;

/// Lists every parked record.
pub(crate) async fn list(config: &Config, json: bool) -> Result<ExitCode, Failure> {
    let adapters = super::connect(config).await?;
    let mut after = None;
    let mut records = 0_usize;
    loop {
        let page = adapters
            .stores
            .parked
            .list(&ParkedFilter::default(), after, PAGE)
            .await?;
        let Some(last) = page.last() else { break };
        after = Some((last.object, last.id));
        records += page.len();
        for parked in page {
            if json {
                print(
                    &serde_json::to_string(&parked)
                        .map_err(|error| Failure::failed(error.to_string()))?,
                );
            } else {
                let parent = parked
                    .parent
                    .map(|(object, id)| format!(", waits for {object} {id}"))
                    .unwrap_or_default();
                print(&format!(
                    "{} {} since {}: {}{parent}: {}",
                    parked.object,
                    parked.id,
                    parked.since,
                    parked.kind.name(),
                    parked.message
                ));
                print(&format!("    {}", parked.kind.advice()));
            }
        }
    }
    if records == 0 && !json {
        print("nothing is parked");
    }
    Ok(ExitCode::SUCCESS)
}
