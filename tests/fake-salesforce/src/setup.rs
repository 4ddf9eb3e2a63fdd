//! What every org has from its first day.
use crate::commit::Row;
use crate::error::ApiError;
use crate::org::Org;
use crate::schema;
use crate::transaction::{Transaction, row};

/// Stage, default probability, closed, won, forecast category, its label.
const STAGES: [(&str, u32, bool, bool, &str); 10] = [
    ("Prospecting", 10, false, false, "Pipeline"),
    ("Qualification", 10, false, false, "Pipeline"),
    ("Needs Analysis", 20, false, false, "Pipeline"),
    ("Value Proposition", 50, false, false, "Pipeline"),
    ("Id. Decision Makers", 60, false, false, "Pipeline"),
    ("Perception Analysis", 70, false, false, "Pipeline"),
    ("Proposal/Price Quote", 75, false, false, "Pipeline"),
    ("Negotiation/Review", 90, false, false, "Pipeline"),
    ("Closed Won", 100, true, true, "Closed"),
    ("Closed Lost", 0, true, false, "Omitted"),
];

/// The profile of the integration user, which shows and changes all data.
pub(crate) const ADMINISTRATOR: &str = "System Administrator";

/// The integration user's name where none is configured.
pub const DEFAULT_USERNAME: &str = "integration@fake.example.com";

impl Org {
    /// The organization, its profiles and stages, and the integration user, as the ledger's first
    /// commit.
    pub(crate) fn install_setup(&self) {
        let mut writer = self.writer();
        let at = self.now_micros();
        let written = {
            let state = self.state();
            let mut transaction = Transaction::trusted(&state, &mut writer, self.admin_id(), at);
            if let Err(error) = self.set_up(&mut transaction) {
                tracing::error!(%error, "the org's own set-up was refused");
            }
            transaction.finish()
        };
        self.commit(&mut writer, at, self.admin_id(), "", written);
    }

    fn set_up(&self, transaction: &mut Transaction<'_>) -> Result<(), ApiError> {
        let mut insert = |entity: &str, fields: Row| match schema::entity(entity) {
            Some(entity) => transaction.insert(entity, &fields),
            None => Err(ApiError::new("INVALID_TYPE", entity)),
        };
        let administrator = insert("Profile", row([("Name", ADMINISTRATOR.to_owned())]))?;
        insert("Profile", row([("Name", "Standard User".to_owned())]))?;
        insert(
            "User",
            row([
                ("Id", self.admin_id().to_owned()),
                ("Username", DEFAULT_USERNAME.to_owned()),
                ("FirstName", "Integration".to_owned()),
                ("LastName", "User".to_owned()),
                ("Email", "integration@example.com".to_owned()),
                ("CommunityNickname", "integration".to_owned()),
                ("ProfileId", administrator),
                ("TimeZoneSidKey", "GMT".to_owned()),
            ]),
        )?;
        insert(
            "Organization",
            row([
                ("Id", self.org_id().to_owned()),
                ("Name", "Fake Salesforce".to_owned()),
                ("TimeZoneSidKey", "GMT".to_owned()),
                ("FiscalYearStartMonth", "1".to_owned()),
                ("OrganizationType", "Enterprise Edition".to_owned()),
                ("InstanceName", "FAKE1".to_owned()),
            ]),
        )?;
        for (order, (name, probability, closed, won, category)) in STAGES.iter().enumerate() {
            insert(
                "OpportunityStage",
                row([
                    ("MasterLabel", (*name).to_owned()),
                    ("ApiName", (*name).to_owned()),
                    ("SortOrder", (order + 1).to_string()),
                    ("IsClosed", closed.to_string()),
                    ("IsWon", won.to_string()),
                    ("ForecastCategory", (*category).to_owned()),
                    ("ForecastCategoryName", (*category).to_owned()),
                    ("DefaultProbability", probability.to_string()),
                ]),
            )?;
        }
        Ok(())
    }
}
