//! Random scripts over the whole pipeline: the real services, workers and embedded adapters, an
//! org and an mOS in the same thread, a simulated clock, faults and crashes from one seed; judged
//! by the oracle once everything is at rest.
//!
//! Scenarios are scripts in which the rules change too: what an administrator saves, who holds
//! permission, what day it is. They come to rest, and are judged, after each change.
//!
//! `cargo test -p simulation` plays 100 seeds and those of `seeds.txt`, which have failed before;
//! `MOSYNC_SIM_SCRIPTS=1000` plays more, `MOSYNC_SIM_SCENARIOS=500` more scenarios, as
//! `tests/run.sh --long` does. A seed that fails prints the command that replays it.

#[cfg(test)]
mod beside_live;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod disabled;
#[cfg(test)]
mod entering;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod gaps;
#[cfg(test)]
mod grown;
#[cfg(test)]
mod in_hand;
#[cfg(test)]
mod invisible;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod lanes;
#[cfg(test)]
mod licences;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod office;
#[cfg(test)]
mod org_moves;
#[cfg(test)]
mod outdated;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod parents;
#[cfg(test)]
mod permission_sets;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod persons;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod polls;
#[cfg(test)]
mod preview;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod record_types;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod rule_mutants;
#[cfg(test)]
mod salesforce;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod script;
#[cfg(test)]
mod short_answers;
#[cfg(test)]
mod source;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod target;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn;
#[cfg(test)]
mod unmappable;
#[cfg(test)]
mod world;
