//! A kill after every single statement of a swap, in both directions, each followed by both ways out.

use super::super::super::swap::budget;
use backstock_testbed::ServerKind;

use super::*;

/// Runs `act` with so many statements allowed. Tells whether it came to its end.
fn killed_after(statements: u64, act: impl FnOnce() -> Result<Vec<String>>) -> bool {
    budget::allow(Some(statements));
    let outcome = act();
    budget::allow(None);
    outcome.is_ok()
}

// One test for each server, since they take long and can run beside each other.

#[test]
fn after_a_kill_at_any_statement_both_ways_out_are_exact_on_mariadb() {
    kill_at_any_statement(ServerKind::MariaDb);
}

#[test]
fn after_a_kill_at_any_statement_both_ways_out_are_exact_on_mysql() {
    kill_at_any_statement(ServerKind::MySql);
}

fn kill_at_any_statement(kind: ServerKind) {
    if let Some(server) = &Server::for_test(kind, &ServerOptions::default()) {
        let shop = fixtures::two_states(server);
        let plan = plan_load(&settings(server), &request(&shop.report, "shop")).unwrap();
        load(&settings(server), &plan, &shop.target).unwrap();
        let mut connection = connect(server);
        let connection = &mut connection;
        let is_old = |at: u64| {
            let found = backstock_testbed::compare(&picture(server, "shop"), &shop.old);
            assert!(found.is_empty(), "{} killed at {at}: {found:?}", server.kind().name());
            assert_same(&picture(server, "other"), &shop.other);
        };
        let is_new = |at: u64| {
            let found =
                backstock_testbed::compare(&unaccepted(&picture(server, "shop")), &unaccepted(&shop.new));
            assert!(found.is_empty(), "{} killed at {at}: {found:?}", server.kind().name());
            assert_same(&picture(server, "other"), &shop.other);
        };
        let mut statements = 0;
        loop {
            // Both ways out of either direction, in turn: each pair of neighbours differs in one statement only.
            let turn = statements % 2 == 0;
            let done = killed_after(statements, || forward(connection, &plan));
            if turn {
                backward(connection, &plan).unwrap();
                is_old(statements);
            }
            forward(connection, &plan).unwrap();
            is_new(statements);
            let done = killed_after(statements, || backward(connection, &plan)) && done;
            if !turn {
                forward(connection, &plan).unwrap();
                is_new(statements);
            }
            backward(connection, &plan).unwrap();
            is_old(statements);
            if done {
                break;
            }
            statements += 1;
        }
        assert!(statements > 40, "only {statements} statements");
        forward(connection, &plan).unwrap();
        // The same for the end: whatever was done of it, doing it again ends it.
        for statements in 0.. {
            if killed_after(statements, || accept(connection, &plan)) {
                break;
            }
        }
        assert_same(&picture(server, "shop"), &shop.new);
    }
}
