//! Wall clocks that are wrong or set.

use std::time::Duration;

use super::last;
use crate::rig::Rig;
use crate::row::{Fault, Row};
use crate::support::clock::FakeClock;

const HOUR: Duration = Duration::from_secs(3_600);

pub fn rows() -> Vec<Row> {
    let row = |id, name, allow, recovery| Row {
        clocks: true,
        ..Row::redis(id, name, allow, recovery)
    };
    vec![
        row("C01", "clock_forward_1h", 5, 3.0).fault(
            "all wall clocks jump an hour ahead; Redis TIME outvotes them",
            |rig| step(rig, |clock| clock.ahead(HOUR)),
        ),
        row("C02", "clock_back_1h", 5, 3.0).fault(
            "all wall clocks jump an hour back; Redis TIME outvotes them",
            |rig| step(rig, |clock| clock.behind(HOUR)),
        ),
        row("C03", "clock_back_2s", 5, 4.0).fault("all wall clocks jump 2 s back", |rig| {
            step(rig, |clock| clock.behind(Duration::from_secs(2)))
        }),
        row("C04", "skewed_follower_takes_over", 40, 5.0).fault(
            "the standby's clock is 30 s ahead; the leader is killed",
            |rig| {
                let standby = rig.standby();
                if let Some(clock) = &rig.instances[standby].clock {
                    clock.ahead(Duration::from_secs(30));
                }
                last(2.0);
                let leader = rig.leader();
                let at = rig.kill(leader);
                Fault::at(at)
            },
        ),
    ]
}

fn step(rig: &mut Rig, by: fn(&FakeClock)) -> Fault {
    for instance in &rig.instances {
        if let Some(clock) = &instance.clock {
            by(clock);
        }
    }
    let fault = Fault::now();
    last(8.0);
    fault
}
