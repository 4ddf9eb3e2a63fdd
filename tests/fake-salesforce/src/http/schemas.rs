//! The schemas of change events over REST.
use serde_json::{Value, json};

use super::reply::Reply;
use super::{App, Incoming};
use crate::error::ApiError;

/// `GET /event/eventSchema/<id>`.
pub(crate) fn by_id(app: &App, incoming: &Incoming, id: &str) -> Result<Reply, ApiError> {
    let schema = app.log.schema_json(id);
    let schema = schema
        .ok_or_else(|| ApiError::new("NOT_FOUND", "The requested resource does not exist"))?;
    compact(incoming, &schema, id)
}

/// `GET /sobjects/<Entity>ChangeEvent/eventSchema`.
pub(crate) fn by_event(app: &App, incoming: &Incoming, event: &str) -> Result<Reply, ApiError> {
    let id = event
        .strip_suffix("ChangeEvent")
        .and_then(|entity| app.log.schema_id(entity));
    let id =
        id.ok_or_else(|| ApiError::new("NOT_FOUND", "The requested resource does not exist"))?;
    by_id(app, incoming, &id)
}

/// The Avro schema with its id as `uuid`. Only the form that the Pub/Sub API uses is here.
fn compact(incoming: &Incoming, schema: &str, id: &str) -> Result<Reply, ApiError> {
    let format = incoming.parameter("payloadFormat").unwrap_or("COMPACT");
    if !format.eq_ignore_ascii_case("COMPACT") {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            "only payloadFormat=COMPACT is known here",
        ));
    }
    let mut schema: Value = serde_json::from_str(schema).unwrap_or_default();
    if let Value::Object(schema) = &mut schema {
        schema.insert("uuid".to_owned(), json!(id));
    }
    Ok(Reply::json(200, &schema))
}
