//! Tokens of the API: one hash of documents, one of when each was used, one of their ends.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::Timestamp;
use ports::stores::{ApiToken, KnownToken, Revoked, StoreError, TokenStore};

use crate::link::{Link, of_doc, script, to_doc};

/// Documents, times of use and ends, each by the token's hash.
type Stored = (
    BTreeMap<String, String>,
    BTreeMap<String, i64>,
    BTreeMap<String, String>,
);

impl Link {
    /// All of them: there are few.
    async fn known_tokens(&self) -> Result<Vec<KnownToken>, StoreError> {
        let (docs, used, revoked): Stored = self.run(script!("tokens"), &[]).await?;
        docs.iter()
            .map(|(hash, doc)| {
                Ok(KnownToken {
                    token: of_doc(doc)?,
                    used: used.get(hash).copied().map(Timestamp::from_micros),
                    revoked: revoked.get(hash).map(|doc| of_doc(doc)).transpose()?,
                })
            })
            .collect()
    }
}

#[async_trait]
impl TokenStore for Link {
    async fn add_token(&self, token: &ApiToken) -> Result<(), StoreError> {
        self.ask(
            redis::cmd("HSETNX")
                .arg(self.key("tokens"))
                .arg(&token.hash)
                .arg(to_doc(token)?),
        )
        .await
    }

    async fn token(&self, hash: &str) -> Result<Option<KnownToken>, StoreError> {
        let all = self.known_tokens().await?;
        Ok(all.into_iter().find(|known| known.token.hash == hash))
    }

    async fn tokens(&self) -> Result<Vec<KnownToken>, StoreError> {
        let mut all = self.known_tokens().await?;
        all.sort_by(|a, b| {
            let newest_first = b.token.created.cmp(&a.token.created);
            newest_first.then_with(|| a.token.hash.cmp(&b.token.hash))
        });
        Ok(all)
    }

    async fn used(&self, hash: &str, at: Timestamp) -> Result<(), StoreError> {
        let arguments = [hash.to_owned(), at.as_micros().to_string()];
        self.run(script!("token_used"), &arguments).await
    }

    async fn revoke(&self, hash: &str, revoked: &Revoked) -> Result<(), StoreError> {
        let arguments = [hash.to_owned(), to_doc(revoked)?];
        self.run(script!("revoke_token"), &arguments).await
    }
}
