//! Nothing here: see `tests/it`.
