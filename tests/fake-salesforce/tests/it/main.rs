//! The fake org from outside: in process and through its doors.
mod common;
mod writes;
