//! What pages are made of, each kind in a file of its own.

pub mod badge;
pub(super) mod bar;
pub mod card;
pub mod empty;
pub mod form;
pub mod icon;
pub mod notice;
pub mod pager;
pub mod record;
pub mod table;
pub mod time;
