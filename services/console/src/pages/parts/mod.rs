//! What pages are made of, each kind in a file of its own.

// A page takes from here what it needs.
pub(super) mod badge;
pub(super) mod card;
pub(super) mod empty;
pub(super) mod form;
pub(super) mod icon;
pub(super) mod notice;
pub(super) mod pager;
pub(super) mod record;
pub(super) mod table;
pub(super) mod time;
