//! Named locks by which it is known that no connection of a load is at work any more. A server carries the statement of a
//! client that has died to its end, so that it may make a table after others have looked for what was left.

use super::super::ddl::Text;
use crate::Connection;
use crate::load::LoadPlan;

/// Connections that a load opens at most.
pub(super) const CONNECTIONS: usize = 4;

/// How long one that is still at work is waited for, seconds. Then whatever it leaves is left.
const WAIT_S: u32 = 60;

/// Takes the lock of one connection, which the server gives back when it ends. Where there are no such locks (some
/// clusters) nothing is waited for.
pub(super) fn enter(connection: &mut Connection, plan: &LoadPlan, number: usize) {
    let _ = ask(connection, "GET_LOCK", plan, number, &format!(",{WAIT_S}"));
}

/// Waits until no connection of a load of this plan that died is at work.
pub(crate) fn wait_for_the_dead(connection: &mut Connection, plan: &LoadPlan) {
    for number in 0..CONNECTIONS {
        enter(connection, plan, number);
        let _ = ask(connection, "RELEASE_LOCK", plan, number, "");
    }
}

fn ask(
    connection: &mut Connection,
    function: &str,
    plan: &LoadPlan,
    number: usize,
    more: &str,
) -> crate::error::Result<()> {
    let name = format!("backstock load {} {number}", plan.tag);
    let statement =
        Text::new(format!("SELECT {function}(")).text(name.as_bytes()).sql(format!("{more})")).bytes();
    connection.query(&statement).map(drop)
}
