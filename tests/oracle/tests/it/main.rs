//! The oracle on cases worked out by hand, against a slow second reading of the rule, and at size.
//! (`cfg(test)` tells clippy that helpers here are tests too, where unwrap is allowed.)

#[cfg(test)]
mod cases;
#[cfg(test)]
mod epochs;
#[cfg(test)]
mod org;
#[cfg(test)]
mod slow;
