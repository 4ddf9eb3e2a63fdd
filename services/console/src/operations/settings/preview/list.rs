//! Every opportunity that a previewed save does something to, page by page or as a file.

use std::sync::Arc;

use domain::SalesforceId;
use domain::filter::Pushdown;
use domain::rule::Effect;
use futures::Stream;
use ports::source::Source;

use super::Foreseen;
use super::sets::{Found, Sought};
use crate::OpsError;
use crate::operations::{Operations, one_of, page_size};
use crate::views::{PreviewedList, PreviewedSearch, PreviewedView};

/// Rows asked for at a time for an export; with the one behind them a page of SOQL's.
const EXPORTED: usize = 1_999;

impl Operations {
    /// A page of the opportunities of which the same becomes.
    ///
    /// # Errors
    /// [`OpsError::NotFound`] for a preview that is not kept, [`OpsError::Invalid`] names the value
    /// that cannot be understood.
    pub async fn previewed(
        &self,
        preview: &str,
        search: &PreviewedSearch,
    ) -> Result<PreviewedList, OpsError> {
        if search.format.is_some() {
            return Err(OpsError::Invalid(
                "format is for the export of a preview; a page is JSON".to_owned(),
            ));
        }
        let Some(effect) = search.effect.as_deref() else {
            return Err(OpsError::Invalid(
                "effect is missing; write enters, leaves or sent_again".to_owned(),
            ));
        };
        let effect = effect_of(effect)?;
        let max = page_size(search.limit)?;
        let after = search.after.as_deref().map(place_of).transpose()?;
        let foreseen = self.previews.find(preview)?;
        let (opportunities, next) = page(&self.source, &foreseen, effect, after, max).await?;
        Ok(PreviewedList {
            opportunities,
            next: next.map(|id| id.to_string()),
        })
    }

    /// All of them, read page by page as they are taken.
    ///
    /// # Errors
    /// As [`Self::previewed`], before anything is read; later ones are in the stream.
    pub fn all_previewed(
        &self,
        preview: &str,
        search: &PreviewedSearch,
    ) -> Result<impl Stream<Item = Result<Vec<PreviewedView>, OpsError>> + Send + use<>, OpsError>
    {
        if search.limit.is_some() || search.after.is_some() {
            return Err(OpsError::Invalid(
                "limit and after are for pages; an export has every opportunity".to_owned(),
            ));
        }
        let foreseen = self.previews.find(preview)?;
        let effects = match search.effect.as_deref() {
            Some(effect) => {
                let effect = effect_of(effect)?;
                told(&foreseen, effect)?;
                vec![effect]
            }
            None => Effect::ALL
                .into_iter()
                .filter(|effect| told(&foreseen, *effect).is_ok())
                .collect(),
        };
        let source = Arc::clone(&self.source);
        let begin = (effects.into_iter(), None);
        Ok(futures::stream::try_unfold(
            begin,
            move |(mut effects, place)| {
                let (source, foreseen) = (Arc::clone(&source), Arc::clone(&foreseen));
                async move {
                    let Some((effect, after)) = place.or_else(|| Some((effects.next()?, None)))
                    else {
                        return Ok(None);
                    };
                    let (lines, next) = page(&source, &foreseen, effect, after, EXPORTED).await?;
                    let next = next.map(|next| (effect, Some(next)));
                    Ok::<_, OpsError>(Some((lines, (effects, next))))
                }
            },
        ))
    }
}

/// A page, and where the next begins.
async fn page(
    source: &Arc<dyn Source>,
    foreseen: &Arc<Foreseen>,
    effect: Effect,
    after: Option<SalesforceId>,
    max: usize,
) -> Result<(Vec<PreviewedView>, Option<SalesforceId>), OpsError> {
    let Some(sought) = told(foreseen, effect)? else {
        return Ok((Vec::new(), None));
    };
    let found = Found::by(foreseen, effect, &sought);
    let mut opportunities = found.first(source, after, max + 1).await?;
    let is_more = opportunities.len() > max;
    opportunities.truncate(max);
    let next = opportunities.last().map(|last| last.id);
    Ok((opportunities, next.filter(|_| is_more)))
}

/// How they are looked for; `None` where there are none.
///
/// # Errors
/// [`OpsError::Conflict`] where nobody can tell which they are.
fn told(foreseen: &Foreseen, effect: Effect) -> Result<Option<Pushdown>, OpsError> {
    match foreseen.sought(effect) {
        Sought::Nobody => Ok(None),
        Sought::Those(sought) => Ok(Some(sought)),
        Sought::Unknown(why) => Err(OpsError::Conflict(why.to_owned())),
    }
}

fn effect_of(text: &str) -> Result<Effect, OpsError> {
    one_of("effect", text, Effect::ALL, |effect| effect.name())
}

fn place_of(text: &str) -> Result<SalesforceId, OpsError> {
    SalesforceId::parse(text).map_err(|error| {
        OpsError::Invalid(format!(
            "after `{text}` is no place in the list ({error}); give `next` of the page before"
        ))
    })
}
