//! The machine's clock, under the name that the script's steps know.

#[derive(Debug)]
pub(crate) struct SimClock;

impl SimClock {
    #[expect(clippy::unused_self, reason = "called as the simulation's clock is")]
    pub(crate) fn micros(&self) -> i64 {
        fake_mos_clock()
    }
}

fn fake_mos_clock() -> i64 {
    fake_salesforce::server::system_clock()()
}
