//! The filter here and the filter in SOQL.
//!
//! The `cfg(test)` marks tell the lints that helpers, too, are test code.

#[cfg(test)]
mod filters;
#[cfg(test)]
mod held_together;
#[cfg(test)]
mod literals;
#[cfg(test)]
mod org;
#[cfg(test)]
mod profile;
