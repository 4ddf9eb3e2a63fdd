//! Random scripts over the whole pipeline: the real services, workers and embedded adapters, an
//! org and an mOS in the same thread, a simulated clock, faults and crashes from one seed; judged
//! by the oracle once everything is at rest.
//!
//! `cargo test -p simulation` plays 100 seeds and those of `seeds.txt`, which have failed before;
//! `MOSYNC_SIM_SCRIPTS=1000` plays more. A seed that fails prints the command that replays it.
//! On a machine under load two runs of a seed may part: something still looks at real time. Play it
//! again on a quiet one.

#[cfg(test)]
mod bulk;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod entering;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod invisible;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod office;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod persons;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod polls;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod script;
#[cfg(test)]
mod source;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod target;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
