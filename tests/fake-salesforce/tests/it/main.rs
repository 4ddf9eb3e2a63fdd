//! The fake org from outside: in process and through its doors.
//!
//! The `cfg(test)` marks tell the lints that helpers, too, are test code.
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod common;
#[cfg(test)]
mod composite;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod described;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod events;
#[cfg(test)]
mod external_ids;
#[cfg(test)]
mod load;
#[cfg(test)]
mod people;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod soap;
#[cfg(test)]
mod soql;
#[cfg(test)]
mod writes;
