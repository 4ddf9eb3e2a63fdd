//! Random filters over random opportunities, asked twice: of mosync's own evaluator, row by row,
//! and in SOQL of the stand-in org, which shares no code with it. An exact condition lets through
//! the same rows, any other one no less; the statements of a full load, everything in scope.
//!
//! `cargo test -p pushdown` asks 250 filters; `MOSYNC_PUSHDOWN_FILTERS=5000` asks more. A seed that
//! fails prints the command that asks it again.
