//! The scripts that are played, and the proof that they see.

use crate::chance::Rates;
use crate::mutants::Mutant;
use crate::scenario;
use crate::script::{Outcome, play, play_polled};
use crate::turn::Turn;

const SCRIPTS: u64 = 100;
const SCENARIOS: u64 = 40;
/// Every combination of polled objects, and some twice.
const POLLED_SCRIPTS: u64 = 40;
const SCRIPTS_PLAYED_TWICE: u64 = 10;
/// Scripts within which a planted fault must show.
const MUTANT_SCRIPTS: u64 = 200;

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no main that could read its environment"
)]
fn asked_for(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn setting(name: &str) -> Option<u64> {
    asked_for(name).map(|value| value.parse().unwrap())
}

fn report(seed: u64, outcome: &Outcome) -> String {
    format!(
        "seed {seed}: {}\n  replay (where objects are polled, with MOSYNC_SIM_POLLED=1): MOSYNC_SIM_SEED={seed} cargo test -p simulation replay -- --nocapture",
        outcome.faults.join("; ")
    )
}

/// Plays one of so many shares of the seeds.
fn share(number: u64, shares: usize, scripts: u64, mut play: impl FnMut(u64) -> Outcome) {
    let scripts = setting("MOSYNC_SIM_SCRIPTS").unwrap_or(scripts);
    let mut failed = Vec::new();
    for seed in (number..scripts).step_by(shares) {
        let outcome = play(seed);
        if !outcome.faults.is_empty() {
            println!("{}", report(seed, &outcome));
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "these scripts fail: {failed:?}");
}

/// Every fourth seed, so that the machine's cores share the work.
fn quarter(number: u64) {
    share(number, 4, SCRIPTS, |seed| {
        play(seed, Rates::FULL, Mutant::None)
    });
}

/// I1 where objects have no change capture and are polled: half the seeds.
fn polled_half(number: u64) {
    share(number, 2, POLLED_SCRIPTS, |seed| {
        play_polled(seed, Rates::FULL)
    });
}

#[test]
fn scripts_with_polled_objects_end_as_the_oracle_says_1_of_2() {
    polled_half(0);
}

#[test]
fn scripts_with_polled_objects_end_as_the_oracle_says_2_of_2() {
    polled_half(1);
}

#[test]
fn scripts_end_as_the_oracle_says_1_of_4() {
    quarter(0);
}

#[test]
fn scripts_end_as_the_oracle_says_2_of_4() {
    quarter(1);
}

#[test]
fn scripts_end_as_the_oracle_says_3_of_4() {
    quarter(2);
}

#[test]
fn scripts_end_as_the_oracle_says_4_of_4() {
    quarter(3);
}

/// With `MOSYNC_SIM_TURNS=Relative,Midnight`, these; else all.
fn turns() -> Vec<Turn> {
    match asked_for("MOSYNC_SIM_TURNS") {
        Some(names) => names
            .split(',')
            .map(|name| Turn::named(name.trim()).unwrap())
            .collect(),
        None => Turn::ALL.to_vec(),
    }
}

/// Half of the scenarios go without faults: of these the sums must be exactly mOS's.
fn play_scenario(seed: u64) -> Outcome {
    let rates = if seed.is_multiple_of(2) {
        Rates::NONE
    } else {
        Rates::FULL
    };
    scenario::play(seed, rates, &turns(), Mutant::None)
}

/// I12, and the rule at rest, where the rules change too: half the seeds.
fn scenario_half(number: u64) {
    let scenarios = setting("MOSYNC_SIM_SCENARIOS").unwrap_or(SCENARIOS);
    let mut failed = Vec::new();
    for seed in (number..scenarios).step_by(2) {
        let outcome = play_scenario(seed);
        if !outcome.faults.is_empty() {
            println!(
                "scenario {seed}: {}\n  replay: MOSYNC_SIM_SCENARIO={seed} cargo test -p simulation replay_scenario -- --nocapture",
                outcome.faults.join("; ")
            );
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "these scenarios fail: {failed:?}");
}

#[test]
fn scenarios_of_changing_rules_are_at_rest_as_the_oracle_says_1_of_2() {
    scenario_half(0);
}

#[test]
fn scenarios_of_changing_rules_are_at_rest_as_the_oracle_says_2_of_2() {
    scenario_half(1);
}

/// Nothing is wrong with it; what happened is told where it was asked for.
fn replayed(outcome: &Outcome, was_asked_for: bool) {
    if was_asked_for {
        for line in &outcome.trace {
            println!("{line}");
        }
    }
    assert!(outcome.faults.is_empty(), "{}", outcome.faults.join("\n"));
}

/// With `MOSYNC_SIM_SCENARIO`, that scenario with its trace; else the first one.
#[test]
fn replay_scenario() {
    let asked = setting("MOSYNC_SIM_SCENARIO");
    let outcome = play_scenario(asked.unwrap_or(0));
    replayed(&outcome, asked.is_some());
}

#[test]
fn scripts_that_once_failed_pass() {
    for line in include_str!("../seeds.txt").lines() {
        let seed = line.split('#').next().unwrap_or_default().trim();
        if seed.is_empty() {
            continue;
        }
        let seed = seed.parse().unwrap();
        let outcome = play(seed, Rates::FULL, Mutant::None);
        assert!(outcome.faults.is_empty(), "{}", report(seed, &outcome));
    }
}

/// With `MOSYNC_SIM_SEED`, that script with its trace; else the first one. With
/// `MOSYNC_SIM_POLLED=1` as it is where objects are polled, with `MOSYNC_SIM_FAULTLESS=1` as it
/// goes when nothing goes wrong.
#[test]
fn replay() {
    let asked = setting("MOSYNC_SIM_SEED");
    let seed = asked.unwrap_or(0);
    let rates = if setting("MOSYNC_SIM_FAULTLESS") == Some(1) {
        Rates::NONE
    } else {
        Rates::FULL
    };
    let outcome = if setting("MOSYNC_SIM_POLLED") == Some(1) {
        play_polled(seed, rates)
    } else {
        play(seed, rates, Mutant::None)
    };
    replayed(&outcome, asked.is_some());
}

#[test]
fn a_script_without_faults_ends_as_the_oracle_says() {
    for seed in 0..20 {
        let outcome = play(seed, Rates::NONE, Mutant::None);
        assert!(outcome.faults.is_empty(), "{}", report(seed, &outcome));
    }
}

/// Without which no seed that fails could be replayed.
#[test]
fn a_seed_is_the_same_script_every_time() {
    let scripts = setting("MOSYNC_SIM_SCRIPTS").unwrap_or(SCRIPTS_PLAYED_TWICE);
    let mut parted = Vec::new();
    for seed in 0..scripts {
        let first = play(seed, Rates::FULL, Mutant::None);
        let second = play(seed, Rates::FULL, Mutant::None);
        if first == second {
            continue;
        }
        let mut lines = first.trace.iter().zip(&second.trace);
        println!(
            "seed {seed} parts at {:?}",
            lines.find(|(first, second)| first != second)
        );
        parted.push(seed);
    }
    assert!(parted.is_empty(), "these scripts part: {parted:?}");
}

fn is_seen(mutant: Mutant, sign: &str) {
    is_seen_from(0, mutant, sign);
}

/// A fault that shows seldom: no script before the first one is worth the time.
fn is_seen_from(first: u64, mutant: Mutant, sign: &str) {
    let seen = (first..first + MUTANT_SCRIPTS).find(|seed| {
        play(*seed, Rates::FULL, mutant)
            .faults
            .iter()
            .any(|fault| fault.starts_with(sign))
    });
    assert!(seen.is_some(), "{mutant:?} goes unnoticed");
    println!("{mutant:?} is seen in script {seen:?}");
}

#[test]
fn acknowledging_before_the_work_is_seen() {
    is_seen(Mutant::AcksFirst, "lost units");
}

#[test]
fn an_mos_without_version_guard_is_seen() {
    is_seen_from(90, Mutant::NoVersionGuard, "stale");
}

#[test]
fn lost_companions_are_seen() {
    is_seen(Mutant::LosesCompanions, "missing");
}

#[test]
fn counting_without_the_mark_is_seen() {
    is_seen(Mutant::CountsTwice, "the jobs count");
}

#[test]
fn counting_before_the_last_record_is_done_is_seen() {
    is_seen(Mutant::CountsEarly, "the sums of");
}

/// Within so many scenarios of such turns a planted fault of the rules must show.
const MUTANT_SCENARIOS: u64 = 40;

fn rules_are_seen(mutant: Mutant, turns: &[Turn], sign: &str) {
    rules_are_seen_from(0, mutant, turns, sign);
}

/// A fault that shows seldom: no scenario before the first one is worth the time.
fn rules_are_seen_from(first: u64, mutant: Mutant, turns: &[Turn], sign: &str) {
    let seen = (first..first + MUTANT_SCENARIOS).find(|seed| {
        scenario::play(*seed, Rates::NONE, turns, mutant)
            .faults
            .iter()
            .any(|fault| fault.contains(sign))
    });
    assert!(seen.is_some(), "{mutant:?} goes unnoticed");
    println!("{mutant:?} is seen in scenario {seen:?}");
}

#[test]
fn a_save_without_its_backfill_is_seen() {
    let turns = [Turn::Wider, Turn::SyncClosed, Turn::Blanks];
    rules_are_seen(Mutant::SavesWithoutBackfill, &turns, ": missing: ");
}

#[test]
fn a_filter_that_stays_what_it_was_is_seen() {
    let turns = [Turn::Narrower, Turn::Other];
    rules_are_seen(Mutant::KeepsOldFilter, &turns, "out of scope: ");
}

#[test]
fn sending_while_disabled_is_seen() {
    rules_are_seen(
        Mutant::IgnoresDisabled,
        &[Turn::Disabled],
        ": sent while disabled: ",
    );
}

#[test]
fn a_grant_without_its_backfill_is_seen() {
    let turns = [Turn::Grant, Turn::Group];
    rules_are_seen(Mutant::GrantsWithoutBackfill, &turns, ": missing: ");
}

#[test]
fn a_revoke_that_nobody_hears_of_is_seen() {
    let turns = [Turn::Revoke, Turn::Deactivate];
    rules_are_seen(Mutant::RevokesUnheard, &turns, "out of scope: ");
}

#[test]
fn midnights_without_a_sweep_are_seen() {
    for seed in 0..3 {
        let right = scenario::play_over_midnight(seed, Mutant::None);
        assert!(right.faults.is_empty(), "{}", report(seed, &right));
        let wrong = scenario::play_over_midnight(seed, Mutant::NeverSweeps);
        let missing = |fault: &String| fault.starts_with("missing: ");
        assert!(wrong.faults.iter().any(missing), "{:?}", wrong.faults);
    }
}

#[test]
fn stages_and_formulas_that_nobody_looks_at_are_seen() {
    let turns = [Turn::Retype, Turn::Formula];
    rules_are_seen(Mutant::NeverRefreshes, &turns, "Retype: ");
}

#[test]
fn deals_that_close_without_a_word_are_seen() {
    rules_are_seen_from(
        17,
        Mutant::LosesLastWords,
        &[Turn::Frequency],
        "no last word",
    );
}
