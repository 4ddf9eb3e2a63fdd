//! Tokens of the API.

use async_trait::async_trait;
use domain::Timestamp;
use ports::stores::{ApiToken, KnownToken, Revoked, StoreError, TokenStore};
use rusqlite::{OptionalExtension, Row, params};

use crate::core::{Fault, of_doc, to_doc};
use crate::stores::Tables;

/// The token's document, when it was used, the end's document.
type Stored = (String, Option<i64>, Option<String>);

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn known((doc, used, revoked): Stored) -> Result<KnownToken, Fault> {
    Ok(KnownToken {
        token: of_doc(&doc)?,
        used: used.map(Timestamp::from_micros),
        revoked: revoked.as_deref().map(of_doc).transpose()?,
    })
}

#[async_trait]
impl TokenStore for Tables {
    async fn add_token(&self, token: &ApiToken) -> Result<(), StoreError> {
        let token = token.clone();
        let added = self.0.run(move |tx| {
            tx.db
                .prepare_cached(
                    "INSERT INTO tokens (hash, created, doc) VALUES (?1, ?2, ?3)
                     ON CONFLICT (hash) DO NOTHING",
                )?
                .execute(params![
                    token.hash,
                    token.created.as_micros(),
                    to_doc(&token)?
                ])?;
            Ok(())
        });
        Ok(added.await?)
    }

    async fn token(&self, hash: &str) -> Result<Option<KnownToken>, StoreError> {
        let hash = hash.to_owned();
        let found = self.0.run(move |tx| {
            let found = tx
                .db
                .prepare_cached("SELECT doc, used, revoked FROM tokens WHERE hash = ?1")?
                .query_row([hash], stored)
                .optional()?;
            found.map(known).transpose()
        });
        Ok(found.await?)
    }

    async fn tokens(&self) -> Result<Vec<KnownToken>, StoreError> {
        let all = self.0.run(move |tx| {
            let mut select = tx.db.prepare_cached(
                "SELECT doc, used, revoked FROM tokens ORDER BY created DESC, hash",
            )?;
            let mut rows = select.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(known(stored(row)?)?);
            }
            Ok(all)
        });
        Ok(all.await?)
    }

    async fn used(&self, hash: &str, at: Timestamp) -> Result<(), StoreError> {
        let hash = hash.to_owned();
        let noted = self.0.run(move |tx| {
            tx.db
                .prepare_cached(
                    "UPDATE tokens SET used = max(coalesce(used, ?2), ?2) WHERE hash = ?1",
                )?
                .execute(params![hash, at.as_micros()])?;
            Ok(())
        });
        Ok(noted.await?)
    }

    async fn revoke(&self, hash: &str, revoked: &Revoked) -> Result<(), StoreError> {
        let (hash, revoked) = (hash.to_owned(), revoked.clone());
        let done = self.0.run(move |tx| {
            tx.db
                .prepare_cached(
                    "UPDATE tokens SET revoked = coalesce(revoked, ?2) WHERE hash = ?1",
                )?
                .execute(params![hash, to_doc(&revoked)?])?;
            Ok(())
        });
        Ok(done.await?)
    }
}
