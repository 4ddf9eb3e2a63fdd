//! The filter here and the filter in SOQL.

mod filters;
mod held_together;
mod org;
