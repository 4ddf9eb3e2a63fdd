//! The fake org from outside: in process and through its doors.
//!
//! The `cfg(test)` marks tell the lints that helpers, too, are test code.
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod common;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod load;
#[cfg(test)]
mod more_doors;
#[cfg(test)]
mod people;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod soql;
#[cfg(test)]
mod writes;
